//! Shops whose customers are alike, from orders to predictions: subscribers who
//! pay every month, and buyers of one common rate.

use chrono::{Days, NaiveDate};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::project::Project;

const AS_OF: &str = "2025-06-30";

/// Orders of 900 customers of two years: days until the next one, and the chance
/// to leave instead; and those of the last 13 weeks.
fn orders(seed: u64, leaves: f64, gap: &dyn Fn(&mut ChaCha8Rng) -> u64) -> (String, u32) {
    let random = &mut ChaCha8Rng::seed_from_u64(seed);
    let end: NaiveDate = AS_OF.parse().expect("a day");
    let (begin, tested) = (end - Days::new(730), end - Days::new(91));
    let (mut text, mut later) = ("order_id,customer_id,ordered_at,amount\n".to_string(), 0);
    let mut number = 0;
    for customer in 0..900 {
        let first = begin + Days::new(random.random_range(0..540));
        let mut day = first;
        while day <= end {
            number += 1;
            later += u32::from(day > tested && day > first);
            text += &format!("o{number},c{customer},{day},29.99\n");
            if random.random_bool(leaves) {
                break;
            }
            day = day + Days::new(gap(random));
        }
    }
    (text, later)
}

/// A run of a model over orders.
fn fitted(orders: &str, model: &str) -> Project {
    let project = Project::new();
    project.orders("data/orders/a.parquet", orders);
    let text = format!(
        "pipeline: p\nsources:\n  orders:\n    url: data/orders\nmodels:\n  purchases: {model}\n  \
         holdout: 13 weeks\ntables: [facts.customers, metrics.model_fit, metrics.model_warnings, \
         metrics.model_backtest, metrics.customer_predictions]\npublish:\n  url: out\n"
    );
    project.file("pipelines/p.yaml", &text);
    project.run(AS_OF);
    project
}

/// Expected over made in the hold-out, by one model.
fn ratio(project: &Project, model: &str, later: u32) -> f64 {
    let columns = ["model", "basis", "cumulative_expected"];
    let rows = project.rows("metrics.model_backtest", &columns);
    let of = |row: &&String| row.starts_with(&format!("{model} week "));
    let last = rows.iter().rev().find(of).expect("a week");
    last.split(' ').next_back().expect("a number").parse::<f64>().expect("a number")
        / f64::from(later)
}

fn month(random: &mut ChaCha8Rng) -> u64 {
    random.random_range(24..=36)
}

/// Nothing tells subscribers apart; the model is used all the same, says how
/// many will pay, and who has left.
#[test]
fn subscribers_are_modelled_and_those_who_left_are_gone() {
    let regular = |_: &mut ChaCha8Rng| 30;
    let gaps: [&dyn Fn(&mut ChaCha8Rng) -> u64; 2] = [&regular, &month];
    for (seed, gap) in (1..).zip(gaps) {
        let (text, later) = orders(seed, 0.05, gap);
        let project = fitted(&text, "mbg_nbd");
        let columns = ["model", "used", "converged", "log_likelihood"];
        let fit = project.rows("metrics.model_fit", &columns);
        assert!(fit[0].starts_with("gamma_gamma own average"), "{fit:?}");
        assert!(fit.iter().any(|row| row.starts_with("mbg_nbd mbg_nbd true -")), "{fit:?}");
        assert!(!fit.iter().any(|row| row.starts_with("mbg_nbd nbd")), "{fit:?}");
        let reasons = project.rows("metrics.model_warnings", &["model", "reason"]);
        assert_eq!(reasons, ["gamma_gamma flat_likelihood", "mbg_nbd flat_likelihood"]);
        let ratio = ratio(&project, "mbg_nbd", later);
        assert!((0.9..1.1).contains(&ratio), "{ratio} of what was bought");

        let customers = project.rows("facts.customers", &["customer_id", "last_order_date"]);
        let columns = ["customer_id", "p_alive", "expected_spend"];
        let predictions = project.rows("metrics.customer_predictions", &columns);
        let end: NaiveDate = AS_OF.parse().expect("a day");
        let both = customers.iter().zip(&predictions).map(|(customer, prediction)| {
            let (id, last) = customer.split_once(' ').expect("two");
            let rest = prediction.strip_prefix(&format!("{id} ")).expect("the same customer");
            let (alive, spend) = rest.split_once(' ').expect("two");
            assert_eq!(spend.parse(), Ok(29.99));
            (last.parse::<NaiveDate>().expect("a day"), alive.parse::<f64>().expect("a number"))
        });
        let alive =
            both.filter(|(last, _)| (end - *last).num_days() >= 120).map(|(_, alive)| alive);
        let alive: Vec<f64> = alive.collect();
        let mean = alive.iter().sum::<f64>() / alive.len() as f64;
        assert!(alive.len() > 100 && mean < 0.05, "{mean} of {}", alive.len());
    }
}

/// Buyers of one rate who never leave: a model of leaving has nothing to say,
/// and `nbd` says it, though its r grows without end.
#[test]
fn buyers_of_one_rate_are_left_to_nbd() {
    let rare = |random: &mut ChaCha8Rng| (1..).find(|_| random.random_bool(0.04)).unwrap_or(1);
    let (text, later) = orders(3, 0.0, &rare);
    for model in ["bg_nbd", "mbg_nbd", "pareto_nbd", "nbd"] {
        let project = fitted(&text, model);
        let fit = project.rows("metrics.model_fit", &["model", "used", "converged"]);
        assert!(fit.contains(&format!("{model} nbd true")), "{model}: {fit:?}");
        let ratio = ratio(&project, "nbd", later);
        assert!((0.95..1.05).contains(&ratio), "{model}: {ratio} of what was bought");
    }
}
