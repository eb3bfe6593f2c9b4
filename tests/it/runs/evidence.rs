//! The model that is chosen of several, and what a run says against its own
//! predictions.

use std::fmt::Write;

use chrono::{Days, NaiveDate};
use serde_json::Value;

use super::{GENERATED_AS_OF, generated};
use crate::project::Project;

const TABLES: &str = "metrics.model_fit, metrics.model_warnings, metrics.model_backtest, metrics.customer_predictions";

const AS_OF: &str = "2025-12-31";

fn pipeline(project: &Project, orders: &str, models: &str) {
    let text = format!(
        "pipeline: p\nsources:\n  orders:\n    url: {orders}\nmodels: {{ {models} }}\n\
         tables: [{TABLES}]\npublish:\n  url: out\n"
    );
    project.file("pipelines/p.yaml", &text);
}

/// The warnings of a run with a code, as programs get them, and as people do.
fn said(project: &Project, as_of: &str) -> (Vec<Value>, String) {
    let arguments = ["run", "pipelines/p.yaml", "--as-of", as_of, "--full-refresh"];
    let words = project.tenure(&arguments);
    assert_eq!(words.code, 0, "{}", words.stderr);
    let objects = project.tenure(&[&arguments[..], &["--log", "json"]].concat());
    let events = objects.stderr.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let is_evidence = |event: &Value| event["event"] == "warning" && event["code"].is_string();
    let found: Vec<Value> = events.filter(is_evidence).collect();
    for event in &found {
        let message = event["message"].as_str().expect("words");
        assert!(words.stderr.contains(&format!("warning: {message}\n")), "{}", words.stderr);
    }
    assert_eq!(words.stderr.matches("warning: ").count(), found.len(), "{}", words.stderr);
    (found, words.stderr)
}

/// Numbers that seem drawn at random and are the same every time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Orders of customers who come at any time within two years and buy after gaps of
/// their own; `leaves` says how many of a hundred purchases are the last.
fn orders(customers: u64, leaves: u64) -> String {
    let mut rows = "order_id,customer_id,ordered_at,amount\n".to_string();
    let (mut draw, mut number) = (Draw(11), 0);
    let last: NaiveDate = AS_OF.parse().expect("a day");
    for customer in 0..customers {
        let mut left = draw.below(700);
        let pace = 10 + draw.below(60);
        loop {
            let amount = 10 + customer % 17 + draw.below(20);
            let _ = writeln!(rows, "{number},{customer},{},{amount}.00", last - Days::new(left));
            number += 1;
            // Sums of four are less even than a clock and more than chance.
            let gap = 1 + (0..4).map(|_| draw.below(pace)).sum::<u64>() / 2;
            if gap > left || draw.below(100) < leaves {
                break;
            }
            left -= gap;
        }
    }
    rows
}

/// Orders of subscribers who pay every thirty days, all the same, until one renewal in
/// ten is their last.
fn subscribers(seed: u64) -> String {
    let mut rows = "order_id,customer_id,ordered_at,amount\n".to_string();
    let (mut draw, mut number) = (Draw(seed), 0);
    let last: NaiveDate = AS_OF.parse().expect("a day");
    for customer in 0..900 {
        let mut left = draw.below(1_000);
        loop {
            let _ = writeln!(rows, "{number},{customer},{},29.99", last - Days::new(left));
            number += 1;
            if left < 30 || draw.below(10) == 0 {
                break;
            }
            left -= 30;
        }
    }
    rows
}

/// A model in which nobody leaves would have all of them pay for ever.
#[test]
fn subscribers_who_left_are_known_to_have_left() {
    for seed in 1..=3 {
        let project = Project::new();
        project.orders("orders/o.parquet", &subscribers(seed));
        pipeline(&project, "orders", "purchases: auto, holdout: 13 weeks");
        let (events, words) = said(&project, AS_OF);
        assert!(events.iter().all(|event| event["code"] != "holdout_error"), "{words}");
        let used = project.rows("metrics.model_fit", &["model", "used"]);
        assert!(!used.contains(&"nbd nbd".to_string()), "{seed}: {used:?}");
        // The latest purchase of a customer who pays no more is long ago.
        let columns = ["customer_id", "recency_days", "age_days"];
        project.file("pipelines/h.yaml", &histories());
        let outcome = project.tenure(&["run", "pipelines/h.yaml", "--as-of", AS_OF]);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let shown = ["show", "pipelines/h.yaml", "facts.purchase_histories", "--format", "csv"];
        let table = project.tenure(&shown).stdout;
        let header: Vec<&str> = table.lines().next().expect("a header").split(',').collect();
        let places =
            columns.map(|name| header.iter().position(|known| *known == name).expect("a column"));
        let silent = table.lines().skip(1).filter_map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let [id, recency, age] =
                places.map(|place| cells[place].parse::<u64>().expect("a number"));
            (age - recency > 120).then_some(id)
        });
        let silent: Vec<String> = silent.map(|id| id.to_string()).collect();
        assert!(silent.len() > 300, "{}", silent.len());
        let alive = project.rows("metrics.customer_predictions", &["customer_id", "p_alive"]);
        let of_silent = alive.iter().filter_map(|row| {
            let (id, p_alive) = row.split_once(' ').expect("two cells");
            let is_silent = silent.iter().any(|silent| silent == id);
            is_silent.then(|| p_alive.parse::<f64>().expect("a number"))
        });
        let of_silent: Vec<f64> = of_silent.collect();
        let mean = of_silent.iter().sum::<f64>() / of_silent.len() as f64;
        assert!(mean < 0.05, "{seed}: {mean}");
        assert!(of_silent.iter().all(|p_alive| *p_alive < 0.2), "{seed}: {of_silent:?}");
    }
}

/// A pipeline that publishes when customers bought.
fn histories() -> String {
    "pipeline: h\nsources:\n  orders:\n    url: orders\ntables: [facts.purchase_histories]\n\
     publish:\n  url: histories\n"
        .into()
}

fn scores(project: &Project) -> Vec<(String, f64)> {
    let rows = project.rows("metrics.model_fit", &["model", "parameter", "score"]);
    let of_first = rows.iter().filter(|row| row.split(' ').nth(1) == Some("r"));
    let scored = of_first.filter_map(|row| {
        let cells: Vec<&str> = row.split(' ').collect();
        Some((cells[0].to_string(), cells[2].parse().ok()?))
    });
    scored.collect()
}

/// The best in the hold-out is used, and everything says which it was.
#[test]
fn auto_uses_the_model_that_foretold_the_holdout_best() {
    let project = generated();
    pipeline(&project, "data/orders", "purchases: auto, holdout: 13 weeks");
    project.run(GENERATED_AS_OF);
    let scores = scores(&project);
    assert!(scores.len() > 1, "{scores:?}");
    let best = scores.iter().max_by(|a, b| a.1.total_cmp(&b.1)).expect("a score").0.clone();
    assert_ne!(best, "nbd", "customers of the generator leave: {scores:?}");

    let fit = project.rows("metrics.model_fit", &["model", "used", "score_basis"]);
    for row in &fit {
        let cells: Vec<&str> = row.split(' ').collect();
        assert!(cells[0] == "gamma_gamma" || cells[1] == best, "{row}");
        assert!(cells[0] == "gamma_gamma" || cells[2] == "holdout", "{row}");
    }
    for kind in ["bg_nbd", "mbg_nbd", "pareto_nbd", "nbd"] {
        assert!(fit.iter().any(|row| row.starts_with(kind)), "{kind} is not in {fit:?}");
    }
    let backtest = project.rows("metrics.model_backtest", &["model", "is_used"]);
    for row in &backtest {
        let (model, is_used) = row.split_once(' ').expect("two cells");
        assert_eq!(is_used == "true", model == best, "{row}");
    }
    let mut tested: Vec<&str> = backtest.iter().filter_map(|row| row.split(' ').next()).collect();
    tested.dedup();
    assert_eq!(tested.len(), scores.len(), "{tested:?}");
    let predictions = project.rows("metrics.customer_predictions", &["model", "basis"]);
    for row in &predictions {
        assert!(*row == format!("{best} {best}") || *row == format!("{best} prior mean"), "{row}");
    }

    // It is the model of that name, and not another fit.
    pipeline(&project, "data/orders", &format!("purchases: {best}, holdout: 13 weeks"));
    let columns = ["customer_id", "p_alive", "expected_purchases_365", "predicted_value"];
    let chosen = project.rows("metrics.customer_predictions", &columns);
    project.run(GENERATED_AS_OF);
    assert_eq!(chosen, project.rows("metrics.customer_predictions", &columns));
    let named = project.rows("metrics.model_fit", &["score"]);
    assert!(named.iter().all(|score| score == "null"), "{named:?}");
}

/// Without a hold-out the fit itself has to tell, and says that it did.
#[test]
fn auto_without_a_holdout_goes_by_the_calibration() {
    let project = Project::new();
    project.orders("orders/o.parquet", &orders(900, 12));
    pipeline(&project, "orders", "purchases: auto");
    project.run(AS_OF);
    let columns =
        ["model", "parameter", "log_likelihood", "customers", "score", "score_basis", "used"];
    let rows = project.rows("metrics.model_fit", &columns);
    let mut best = (f64::NEG_INFINITY, String::new());
    let mut used = String::new();
    for row in rows.iter().filter(|row| row.split(' ').nth(1) == Some("r")) {
        let cells: Vec<&str> = row.split(' ').collect();
        used = cells[6].to_string();
        let Ok(score) = cells[4].parse::<f64>() else { continue };
        let number = |at: usize| -> f64 { cells[at].parse().expect("a number") };
        let parameters = if cells[0] == "nbd" { 2.0 } else { 4.0 };
        let want = (number(2) - parameters / 2.0 * number(3).ln()) / number(3);
        assert!((score - want).abs() < 1e-9, "{row}");
        assert_eq!(cells[5], "bic");
        if score > best.0 {
            best = (score, cells[0].to_string());
        }
    }
    assert_eq!(used, best.1, "{rows:?}");
    assert_ne!(used, "nbd", "one purchase in eight is the last");
}

#[test]
fn a_fit_of_auto_prints_candidates_and_choice() {
    let project = Project::new();
    project.orders("orders/o.parquet", &orders(900, 12));
    pipeline(&project, "orders", "purchases: bg_nbd, holdout: 13 weeks");
    let arguments = ["fit", "pipelines/p.yaml", "--as-of", AS_OF, "--model", "auto"];
    let outcome = project.tenure(&arguments);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    for part in
        ["\nmbg_nbd: ", "\nnbd: ", "score -", "\npredictions are made of: ", ", nbd expected "]
    {
        assert!(outcome.stdout.contains(part), "{part} is missing in\n{}", outcome.stdout);
    }
}

/// The gate looks at the model that is used, whichever it is.
#[test]
fn a_gate_judges_the_model_that_was_chosen() {
    let project = Project::new();
    project.orders("orders/o.parquet", &orders(900, 12));
    let gate = "purchases: auto, holdout: 13 weeks, gate: { worse_than_last: 0.9 }";
    pipeline(&project, "orders", gate);
    project.run("2025-12-30");
    project.run(AS_OF);
    let used = project.rows("metrics.model_fit", &["used"])[0].clone();
    let gate = "purchases: auto, holdout: 13 weeks, gate: { cumulative_error_max: 0.000001 }";
    pipeline(&project, "orders", gate);
    let outcome = project.tenure(&["run", "pipelines/p.yaml", "--as-of", AS_OF]);
    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    assert!(outcome.stderr.contains(&format!(" {used} ")), "{}", outcome.stderr);
}

/// Nobody buys any more: an error beyond any bound, gate or not, and also where the
/// back-test is not published.
#[test]
fn a_holdout_that_was_foretold_wrongly_is_told() {
    let project = Project::new();
    project.orders("orders/o.parquet", &orders(900, 12));
    pipeline(&project, "orders", "purchases: mbg_nbd, holdout: 13 weeks");
    let (events, _) = said(&project, AS_OF);
    assert!(events.is_empty(), "{events:?}");
    let (events, words) = said(&project, "2026-05-31");
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!(event["code"], "holdout_error");
    assert_eq!(event["model"], "mbg_nbd");
    assert_eq!((event["actual"].as_f64(), event["weeks"].as_f64()), (Some(0.0), Some(13.0)));
    assert!(event["expected"].as_f64().expect("a number") > 1.0, "{event}");
    assert!(event["error"].is_null(), "{event}");
    assert!(words.contains("none came"), "{words}");
    // In part: half of the hold-out lies behind the last order.
    let (events, words) = said(&project, "2026-02-15");
    let [event] = &events[..] else { panic!("{events:?}") };
    let error = event["error"].as_f64().expect("an error");
    assert!(error > 0.25, "{event}");
    assert!(words.contains(&format!("an error of {:+.0} %", error * 100.0)), "{words}");
    let select = ["--select", "metrics.customer_predictions", "--full-refresh"];
    let outcome = project.run_with("2026-02-15", &select);
    assert!(outcome.stderr.contains("warning: mbg_nbd expected "), "{}", outcome.stderr);
}

/// Nobody leaves, so a model of leaving has nothing to say, and another stands in.
#[test]
fn a_model_that_stands_in_is_told_with_the_reason() {
    let project = Project::new();
    project.orders("orders/o.parquet", &orders(900, 0));
    pipeline(&project, "orders", "purchases: mbg_nbd, holdout: 13 weeks");
    let (events, words) = said(&project, AS_OF);
    let event = events.iter().find(|event| event["code"] == "stand_in_model").expect("an event");
    assert_eq!((&event["model"], &event["used"]), (&"mbg_nbd".into(), &"nbd".into()));
    assert_eq!(event["reasons"][0], "degenerate_dropout");
    let told = "predictions are made of nbd instead of mbg_nbd: no better than a model in which \
                nobody drops out";
    assert!(words.contains(told), "{words}");
    let basis = project.rows("metrics.customer_predictions", &["model", "basis"]);
    assert!(basis.iter().all(|row| row.starts_with("nbd ")), "{basis:?}");
    assert!(basis.contains(&"nbd nbd".to_string()));
    // Of candidates none stands in for another.
    pipeline(&project, "orders", "purchases: auto, holdout: 13 weeks");
    let (events, _) = said(&project, AS_OF);
    assert!(events.iter().all(|event| event["code"] != "stand_in_model"), "{events:?}");
    let used = project.rows("metrics.model_fit", &["used"]);
    assert_eq!(used[0], "nbd");
}

#[test]
fn averages_instead_of_a_model_are_told() {
    for model in ["bg_nbd", "auto"] {
        let project = Project::new();
        project.orders("orders/o.parquet", &orders(40, 12));
        pipeline(&project, "orders", &format!("purchases: {model}, holdout: 13 weeks"));
        let (events, words) = said(&project, AS_OF);
        let codes: Vec<&str> = events.iter().filter_map(|event| event["code"].as_str()).collect();
        assert_eq!(codes, ["cohort_average", "stand_in_model"], "{words}");
        assert_eq!(events[0]["reasons"], serde_json::json!(["too_few_customers"]));
        assert_eq!(
            (&events[0]["model"], &events[0]["used"]),
            (&model.into(), &"cohort average".into())
        );
        assert_eq!(events[1]["model"], "gamma_gamma");
        assert!(words.contains("fewer than 500 customers bought in the calibration"), "{words}");
    }
}

/// A back-test that was published by a release without `is_used`.
#[test]
fn a_back_test_of_before_is_compared_with_all_the_same() {
    let project = Project::with_models();
    project.orders("orders/o.parquet", &orders(900, 12));
    let table = "sql/metrics/model_backtest.sql";
    let now = std::fs::read_to_string(project.path(table)).expect("a file");
    let before = now
        .replace("-- is_used              boolean  whether predictions are made of it\n", "")
        .replace("        is_used,\n", "")
        .replace("        expectations.is_used,\n", "");
    let check = "sql/checks/backtest_within_gate.sql";
    let gate = std::fs::read_to_string(project.path(check)).expect("a file");
    project.file(table, &before);
    std::fs::remove_file(project.path(check)).expect("a file");
    let models = "purchases: mbg_nbd, holdout: 13 weeks";
    pipeline(&project, "orders", models);
    let outcome = project.tenure(&["run", "pipelines/p.yaml", "--as-of", "2025-12-30"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    // A project whose table says less: that is told, and does not stop the run.
    assert!(
        outcome.stderr.contains("metrics.model_backtest could not be asked"),
        "{}",
        outcome.stderr
    );

    project.file(table, &now);
    project.file(check, &gate);
    pipeline(&project, "orders", &format!("{models}, gate: {{ worse_than_last: 0.5 }}"));
    project.run(AS_OF);
    pipeline(&project, "orders", &format!("{models}, gate: {{ worse_than_last: -0.9 }}"));
    let days = project.path("out/_tenure");
    assert!(days.exists());
    let outcome = project.tenure(&["run", "pipelines/p.yaml", "--as-of", AS_OF]);
    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("last_error"), "{}", outcome.stderr);
}
