//! What is expected of customers where little is known: cohorts of a few days,
//! visits that cost nothing, money that was given back.

use std::fmt::Write;

use chrono::{Days, NaiveDate};

use crate::project::Project;

const AS_OF: &str = "2025-06-30";

/// A project over orders, `(customer, day, amount, kind)`, that asks for BG/NBD.
fn project(orders: &[(&str, &str, &str, &str)]) -> Project {
    let mut rows = "order_id,customer_id,ordered_at,amount,kind\n".to_string();
    for (number, (customer, day, amount, kind)) in orders.iter().enumerate() {
        let _ = writeln!(rows, "{number},{customer},{day},{amount},{kind}");
    }
    let project = Project::new();
    project.orders("orders/o.parquet", &rows).pipeline(
        "facts.purchase_histories, facts.purchase_cohorts, metrics.customer_predictions, \
         metrics.model_fit",
        "models: { purchases: bg_nbd }\n",
    );
    project
}

fn numbers(project: &Project, table: &str, columns: &[&str]) -> Vec<Vec<f64>> {
    let rows = project.rows(table, columns);
    let number = |cell: &str| cell.parse().unwrap_or(f64::NAN);
    rows.iter().map(|row| row.split(' ').map(number).collect()).collect()
}

fn near(got: f64, want: f64, what: &str) {
    assert!((got - want).abs() <= 1e-6 * want.abs().max(1.0), "{what}: {got} is not {want}");
}

/// The day so many days before the last.
fn ago(days: u64) -> String {
    let day: NaiveDate = AS_OF.parse().expect("a day");
    (day - Days::new(days)).to_string()
}

/// A customer who came back on the second day is not expected to come every other
/// day for a year.
#[test]
fn two_days_of_history_foretell_no_year() {
    let project = project(&[
        ("a", "2025-06-28", "40.00", "sale"),
        ("a", "2025-06-29", "60.00", "sale"),
        ("b", "2025-01-05", "30.00", "sale"),
        ("b", "2025-03-05", "30.00", "sale"),
        ("c", "2025-01-09", "20.00", "sale"),
        ("d", "2025-05-30", "25.00", "sale"),
        ("e", "2025-02-14", "1000.00", "sale"),
    ]);
    project.run(AS_OF);
    // Days: a 2, b 176, c 172, d 31, e 136; two repeat purchases.
    let yearly = 2.0 / 517.0 * 365.0;
    let columns = ["expected_purchases_365"];
    for row in numbers(&project, "metrics.customer_predictions", &columns) {
        near(row[0], yearly, "a year");
    }
}

/// A shop that opened yesterday: the days that nobody has seen yet bring nothing.
#[test]
fn a_shop_of_three_days_foretells_no_more_than_it_has_seen() {
    let project = project(&[
        ("a", "2025-06-28", "40.00", "sale"),
        ("a", "2025-06-29", "60.00", "sale"),
        ("b", "2025-06-29", "30.00", "sale"),
    ]);
    project.run(AS_OF);
    for row in numbers(&project, "metrics.customer_predictions", &["expected_purchases_365"]) {
        near(row[0], 1.0, "a year");
    }
}

/// Customers of a cohort: how many, for how many days, and every how many they buy.
const COHORTS: [(u64, u64, u64); 4] = [(30, 700, 10), (30, 400, 100), (30, 150, 60), (9, 2, 1)];

/// Cohorts that differ by more than chance keep what is theirs, as far as they have
/// been seen. The estimator is written here a second time, from its definition.
#[test]
fn large_cohorts_keep_their_own_rate_and_young_ones_only_for_their_days() {
    let mut orders = Vec::new();
    for (cohort, (customers, age, every)) in COHORTS.iter().enumerate() {
        for customer in 0..*customers {
            // Within a cohort customers differ: every third buys once only.
            let last = if customer % 3 == 0 { 0 } else { *age };
            for day in (0..=last).step_by(usize::try_from(*every).expect("days")) {
                orders.push((format!("c{cohort}-{customer:02}"), ago(age - day)));
            }
        }
    }
    let orders: Vec<(&str, &str, &str, &str)> = orders
        .iter()
        .map(|(customer, day)| (customer.as_str(), day.as_str(), "10.00", "sale"))
        .collect();
    let project = project(&orders);
    project.run(AS_OF);

    // (purchases, days) of each customer, by cohort.
    let lives: Vec<Vec<(f64, f64)>> = COHORTS
        .iter()
        .map(|(customers, age, every)| {
            let life = |customer: u64| match customer % 3 {
                0 => (0.0, *age as f64),
                _ => ((age / every) as f64, *age as f64),
            };
            (0..*customers).map(life).collect()
        })
        .collect();
    let want = shrunk(&lives);
    let columns = ["purchases_a_day", "known_days", "shop_purchases_a_day"];
    let mut found = numbers(&project, "facts.purchase_cohorts", &columns);
    // Cohorts stand by month, the youngest last, as they do above.
    assert_eq!(found.len(), COHORTS.len());
    let shop = found[0][2];
    for ((row, want), (_, age, _)) in found.iter_mut().zip(&want).zip(COHORTS) {
        near(row[0], *want, "purchases a day");
        near(row[1], age as f64, "known days");
    }
    // The oldest has bought 46 times a customer in 700 days, the shop 17 times.
    assert!(found[0][0] > 0.9 * 700.0 / 10.0 * 2.0 / 3.0 / 700.0, "{found:?}");
    let rows = project.rows(
        "metrics.customer_predictions",
        &["customer_id", "expected_purchases_30", "expected_purchases_365", "basis"],
    );
    for (cohort, (row, (_, age, _))) in found.iter().zip(COHORTS).enumerate() {
        let of = |row: &&String| row.starts_with(&format!("c{cohort}-01 "));
        let cells: Vec<&str> = rows.iter().find(of).expect("a row").split(' ').collect();
        let expected = |days: f64| {
            let own = days.min(age as f64);
            row[0] * own + shop * (days - own)
        };
        near(cells[1].parse().expect("a number"), expected(30.0), "30 days");
        near(cells[2].parse().expect("a number"), expected(365.0), "365 days");
        assert_eq!(cells[3..], ["cohort", "average"]);
    }
}

/// The rate of each cohort by empirical Bayes, see docs/clv.md.
fn shrunk(cohorts: &[Vec<(f64, f64)>]) -> Vec<f64> {
    let total = |cohort: &Vec<(f64, f64)>| {
        cohort.iter().fold((0.0, 0.0), |sum, life| (sum.0 + life.0, sum.1 + life.1))
    };
    let totals: Vec<(f64, f64)> = cohorts.iter().map(total).collect();
    let (x, e) = total(&totals);
    let m = x / e;
    let squares = |lives: &[(f64, f64)]| -> f64 {
        lives.iter().map(|(x, e)| (x - m * e) * (x - m * e)).sum()
    };
    let within = squares(&cohorts.concat());
    let (c, e_squares) = (within / e, totals.iter().map(|(_, e)| e * e).sum::<f64>());
    let v = (squares(&totals) - within).max(0.0) / e_squares;
    totals.iter().map(|(x, e)| m + v * e / (v * e + c) * (x / e - m)).collect()
}

/// One wholesaler among them is not what everybody is expected to spend.
#[test]
fn a_wholesaler_does_not_set_what_others_spend() {
    let names: Vec<String> = (0..40).map(|number| format!("c{number:02}")).collect();
    let mut orders = vec![
        ("wholesale", "2025-01-03", "90000.00", "sale"),
        ("wholesale", "2025-02-03", "90000.00", "sale"),
        ("wholesale", "2025-03-03", "90000.00", "sale"),
    ];
    for (number, name) in names.iter().enumerate() {
        orders.push((name, "2025-01-05", "20.00", "sale"));
        if number < 25 {
            orders.push((name, "2025-02-05", "20.00", "sale"));
        }
    }
    let project = project(&orders);
    project.run(AS_OF);
    let rows =
        project.rows("metrics.customer_predictions", &["customer_id", "expected_spend", "basis"]);
    let of = |customer: &str| {
        let row = rows.iter().find(|row| row.starts_with(customer)).expect("a row");
        row.split(' ').nth(1).expect("money").to_string()
    };
    assert_eq!(of("wholesale"), "90000.00");
    assert_eq!(of("c39"), "20.00", "never came back");
}

/// Visits that are prepaid cost nothing: that is known, and not what all others pay.
#[test]
fn who_has_come_back_and_paid_nothing_is_expected_to_pay_nothing() {
    let project = project(&[
        ("prepaid", "2025-01-05", "500.00", "sale"),
        ("prepaid", "2025-02-05", "0.00", "redemption"),
        ("prepaid", "2025-03-05", "0.00", "redemption"),
        ("free", "2025-01-05", "500.00", "sale"),
        ("free", "2025-02-05", "0.00", "sale"),
        ("back", "2025-01-05", "500.00", "sale"),
        ("back", "2025-02-05", "80.00", "sale"),
        ("back", "2025-02-20", "-80.00", "refund"),
        ("cent", "2025-01-05", "500.00", "sale"),
        ("cent", "2025-02-05", "0.01", "sale"),
        ("payer", "2025-01-05", "500.00", "sale"),
        ("payer", "2025-02-05", "40.00", "sale"),
        ("new", "2025-01-05", "500.00", "sale"),
    ]);
    project.run(AS_OF);
    let columns = ["customer_id", "expected_spend", "predicted_value"];
    let rows = project.rows("metrics.customer_predictions", &columns);
    let of = |customer: &str| {
        let row = rows.iter().find(|row| row.starts_with(customer)).expect("a row");
        let cells: Vec<f64> =
            row.split(' ').skip(1).map(|cell| cell.parse().expect("money")).collect();
        (cells[0], cells[1])
    };
    for customer in ["prepaid", "free", "back"] {
        assert_eq!(of(customer), (0.0, 0.0), "{customer}");
    }
    assert_eq!(of("cent").0, 0.01);
    assert_eq!(of("payer").0, 40.0);
    // Two of five who came back pay at all: 0, 0, 0, 0.01 and at most 32.00, the
    // 95 % quantile.
    assert_eq!(of("new").0, 6.4);
    let shares = project.rows("facts.purchase_cohorts", &["paying_share"]);
    assert_eq!(shares, ["0.4"]);
}

/// Customers of whom every third pays in advance, and then so much a visit; the others
/// spend what they do, or all the same but for chance.
fn visits(prepaid: &str, alike: bool) -> Project {
    let mut rows = "order_id,customer_id,ordered_at,amount\n".to_string();
    let mut draw = 7_u64;
    let mut next = |below: u64| {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (draw >> 33) % below
    };
    let mut number = 0;
    for customer in 0..900 {
        let (level, pace, age) = (20 + next(60), 40 + next(200), 300 + next(100));
        let mut left = age;
        loop {
            let amount = match customer % 3 {
                0 if left == age => "500.00".to_string(),
                0 => prepaid.to_string(),
                _ if alike => format!("{}.00", 30 + next(25)),
                1 => format!("{}.00", level + next(20)),
                _ => format!("{}.50", level / 2 + next(9)),
            };
            let _ = writeln!(rows, "{number},{customer},{},{amount}", ago(left));
            number += 1;
            let gap = 1 + next(pace);
            if gap > left || next(8) == 0 {
                break;
            }
            left -= gap;
        }
    }
    let project = Project::new();
    project.orders("orders/o.parquet", &rows).pipeline(
        "facts.purchase_histories, facts.purchase_cohorts, metrics.customer_predictions, \
         metrics.model_fit",
        "models: { purchases: mbg_nbd }\n",
    );
    project.run(AS_OF);
    project
}

/// Gamma-Gamma puts it down to chance that some pay a cent and all others some 40: in
/// it customers are alike. Then it is no model of them, for all would pay the same.
#[test]
fn who_pays_a_cent_a_visit_is_not_expected_to_pay_as_others_do() {
    let project = visits("0.01", true);
    let fit = project.rows("metrics.model_fit", &["model", "used", "warnings"]);
    assert!(fit.contains(&"gamma_gamma own average flat_likelihood".to_string()), "{fit:?}");
    let histories = numbers(&project, "facts.purchase_histories", &["frequency", "repeat_spend"]);
    let spends = numbers(&project, "metrics.customer_predictions", &["expected_spend"]);
    let is_cent = |history: &[f64]| history[0] > 0.0 && history[1] < 1.0;
    let cents = histories.iter().zip(&spends).filter(|(history, _)| is_cent(history));
    let cents: Vec<f64> = cents.map(|(_, spend)| spend[0]).collect();
    assert!(cents.len() > 100 && cents.iter().all(|spend| *spend == 0.01), "{cents:?}");
}

/// Nothing is known to be nothing by Gamma-Gamma, too, which is fitted on those who pay.
#[test]
fn a_model_of_spend_knows_who_pays_nothing() {
    let project = visits("0.00", false);
    let fit = project.rows("metrics.model_fit", &["model", "used", "estimate"]);
    let spend: Vec<&String> = fit.iter().filter(|row| row.starts_with("gamma_gamma ")).collect();
    assert!(spend.iter().all(|row| row.starts_with("gamma_gamma gamma_gamma ")), "{fit:?}");
    let estimate =
        |row: usize| -> f64 { spend[row].split(' ').nth(2).expect("p").parse().expect("a number") };
    let (p, q, v) = (estimate(0), estimate(1), estimate(2));
    let share: f64 =
        project.rows("facts.purchase_cohorts", &["paying_share"])[0].parse().expect("a share");
    assert!((0.6..0.75).contains(&share), "{share}");

    let histories = numbers(
        &project,
        "facts.purchase_histories",
        &["customer_id", "frequency", "repeat_spend"],
    );
    let predictions = numbers(
        &project,
        "metrics.customer_predictions",
        &["customer_id", "expected_spend", "predicted_value"],
    );
    let basis = project.rows("metrics.customer_predictions", &["basis"]);
    let mut nothing = 0;
    for ((history, prediction), basis) in histories.iter().zip(&predictions).zip(&basis) {
        assert_eq!(history[0], prediction[0]);
        let (x, paid, spend) = (history[1], history[2], prediction[1]);
        if x == 0.0 {
            // Money in cents.
            assert!((spend - share * p * v / (q - 1.0)).abs() < 0.006, "{spend}");
            assert_eq!(basis, "prior mean");
        } else if paid == 0.0 {
            assert_eq!((spend, prediction[2]), (0.0, 0.0));
            nothing += 1;
        } else {
            assert!((spend - p * (v + paid) / (p * x + q - 1.0)).abs() < 0.006, "{spend}");
        }
        let is_model = ["prior mean", "mbg_nbd", "nbd"].contains(&basis.as_str());
        assert!(is_model, "{basis}");
    }
    assert!(nothing > 100, "{nothing}");
}

/// A refund lowers the purchase that it is of; that of a first order says nothing of
/// the next.
#[test]
fn repeat_spend_is_net_of_the_refunds_of_repeat_purchases() {
    let project = project(&[
        ("a", "2025-01-05", "100.00", "sale"),
        ("a", "2025-01-20", "-30.00", "refund"),
        ("a", "2025-02-05", "80.00", "sale"),
        ("a", "2025-02-05", "15.00", "sale"),
        ("a", "2025-06-30", "-20.00", "refund"),
        ("b", "2025-01-05", "10.00", "sale"),
        ("b", "2025-02-05", "10.00", "sale"),
        ("b", "2025-02-06", "-25.00", "refund"),
    ]);
    project.run(AS_OF);
    let columns = ["customer_id", "frequency", "recency_days", "age_days", "repeat_spend"];
    let histories = project.rows("facts.purchase_histories", &columns);
    assert_eq!(histories, ["a 1 31 176 75.00", "b 1 31 176 -15.00"]);
    let spends = project.rows("metrics.customer_predictions", &["expected_spend"]);
    assert_eq!(spends, ["75.00", "0.00"]);
}
