//! Pipelines with `models:`: what they publish, what they refuse, and what
//! stands in where there is too little to go by.

use insta::assert_snapshot;

use super::{GENERATED_AS_OF, assert_same, generated};
use crate::project::Project;

const TABLES: &str = "metrics.model_fit, metrics.model_warnings, metrics.model_backtest, \
    metrics.customer_predictions, metrics.customer_value";

/// A pipeline over the generated history that fits BG/NBD.
fn pipeline(project: &Project, models: &str, more: &str) {
    let text = format!(
        "pipeline: p\nsources:\n  orders:\n    url: data/orders\nmodels:\n  purchases: bg_nbd\n\
         {models}tables: [{TABLES}]\npublish:\n  url: out\n{more}"
    );
    project.file("pipelines/p.yaml", &text);
}

fn run(project: &Project, as_of: &str) -> (i32, String) {
    let outcome = project.tenure(&["run", "pipelines/p.yaml", "--as-of", as_of]);
    (outcome.code, outcome.stderr)
}

#[test]
fn models_are_the_same_bytes_for_any_number_of_threads() {
    let project = generated();
    pipeline(&project, "  holdout: 13 weeks\n", "engine: { threads: 1 }\n");
    project.run(GENERATED_AS_OF);
    let one = project.published();
    assert!(one.iter().any(|(name, _)| name.starts_with("customer_predictions/")));
    pipeline(&project, "  holdout: 13 weeks\n", "engine: { threads: 3 }\n");
    project.run_with(GENERATED_AS_OF, &["--full-refresh"]);
    assert_same(&one, &project.published(), "three threads");

    // Every customer has a prediction, and the same one beside the value.
    let predictions =
        project.rows("metrics.customer_predictions", &["customer_id", "predicted_value"]);
    let values = project.rows("metrics.customer_value", &["customer_id", "predicted_value"]);
    assert_eq!(predictions, values);

    // Weeks and frequencies tell of the same purchases.
    let last = |basis: &str| {
        let columns = ["model", "basis", "cumulative_actual", "cumulative_expected"];
        let rows = project.rows("metrics.model_backtest", &columns);
        let of = |row: &&String| row.starts_with(&format!("bg_nbd {basis} "));
        let last = rows.iter().rev().find(of).expect("a row").clone();
        let numbers: Vec<f64> =
            last.split(' ').skip(2).map(|cell| cell.parse().expect("a number")).collect();
        (numbers[0], numbers[1])
    };
    let (weeks, frequencies) = (last("week"), last("frequency"));
    assert_eq!(weeks.0, frequencies.0);
    assert!((weeks.1 / frequencies.1 - 1.0).abs() < 1e-9);

    // A day more, with as many held out: the gate looks at the day before.
    pipeline(&project, "  holdout: 13 weeks\n  gate: { worse_than_last: 0.5 }\n", "");
    project.run("2026-01-01");
}

#[test]
fn a_gate_stops_what_is_too_far_off() {
    let project = generated();
    pipeline(&project, "  holdout: 13 weeks\n", "");
    project.run("2025-12-30");
    let before = project.published();
    pipeline(&project, "  holdout: 13 weeks\n  gate: { cumulative_error_max: 0.000001 }\n", "");
    let (code, text) = run(&project, GENERATED_AS_OF);
    assert_eq!(code, 3, "{text}");
    assert!(
        text.contains("check `checks.backtest_within_gate` found 1 counter-examples"),
        "{text}"
    );
    assert!(text.contains("bg_nbd") && text.contains("expected"), "{text}");
    assert_same(&before, &project.published(), "a gate that stopped");
    // Not worse than by a negative number: that is, better.
    pipeline(&project, "  holdout: 13 weeks\n  gate: { worse_than_last: -0.9 }\n", "");
    let (code, text) = run(&project, GENERATED_AS_OF);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("last_error"), "{text}");
}

/// A gate counts whether or not the back-test is published, and a hold-out in
/// which nobody bought is no success.
#[test]
fn a_gate_is_not_passed_in_silence() {
    let project = generated();
    let gate = "  holdout: 13 weeks\n  gate: { cumulative_error_max: 0.000001 }\n";
    pipeline(&project, gate, "");
    let arguments = ["run", "pipelines/p.yaml", "--as-of", GENERATED_AS_OF];
    let selected = [&arguments[..], &["--select", "metrics.customer_predictions"]].concat();
    let outcome = project.tenure(&selected);
    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    // Half a year after the last order.
    pipeline(&project, "  holdout: 13 weeks\n  gate: { cumulative_error_max: 0.5 }\n", "");
    let (code, text) = run(&project, "2026-06-30");
    assert_eq!(code, 3, "{text}");
}

#[test]
fn numbers_outside_of_what_they_can_be_are_refused() {
    let all_in = |text: String, parts: &[&str]| {
        for part in parts {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    };
    let wrong = "models: { purchases: bg_nbd, interval: 80, discount: -0.5 }\n";
    all_in(
        refused(wrong, "facts.orders"),
        &[
            "`interval`: must be above 0 and below 1, not `80`",
            "`discount`: must be at least 0 and at most 1, not `-0.5`",
            "error: 2 problems in 1 file; nothing was run",
        ],
    );
    let idle = "models: { purchases: bg_nbd, gate: { worse_than_last: 0.1 } }\n";
    all_in(refused(idle, "facts.orders"), &["a gate needs a hold-out to judge the model by"]);
}

/// What a model cannot be computed with is refused in any case.
#[test]
fn a_project_without_bounds_of_its_own_is_held_to_those_of_the_models() {
    let project = Project::with_models();
    let text = std::fs::read_to_string(project.path("sql/params.yaml")).expect("a file");
    let bounds = ["at_least:", "above:", "at_most:", "below:"];
    let is_bound = |line: &&str| bounds.iter().any(|bound| line.trim_start().starts_with(bound));
    let lines: Vec<&str> = text.lines().filter(|line| !is_bound(line)).collect();
    project.file("sql/params.yaml", &(lines.join("\n") + "\n"));
    project.pipeline("facts.orders", "models: { purchases: bg_nbd, interval: 80 }\n");
    let outcome = project.tenure(&["check", "pipelines/p.yaml"]);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    let said = "parameter `value_interval` is a share between 0 and 1, such as 0.80, not 80";
    assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
}

/// Ten customers are no population: an average, and a word about it.
#[test]
fn too_little_data_gives_an_average_and_a_warning() {
    let project = Project::new();
    let mut orders = "order_id,customer_id,ordered_at,amount\n".to_string();
    for customer in 1..=10 {
        orders += &format!("{customer}1,{customer},2025-01-0{},10.00\n", 1 + customer % 9);
        if customer % 2 == 0 {
            orders += &format!("{customer}2,{customer},2025-03-01,30.00\n");
        }
    }
    project.orders("data/orders/a.parquet", &orders);
    pipeline(&project, "", "");
    project.run("2025-04-01");
    let warnings = project.rows("metrics.model_warnings", &["model", "reason", "fallback"]);
    assert_eq!(
        warnings,
        [
            "bg_nbd too_few_customers cohort average",
            "bg_nbd too_few_repeats cohort average",
            "bg_nbd too_short cohort average",
            "gamma_gamma too_few_spenders own average",
        ]
    );
    let columns = ["basis", "p_alive", "expected_spend", "value_low"];
    let predictions = project.rows("metrics.customer_predictions", &columns);
    assert_eq!(predictions, vec!["cohort average null 30.00 null"; 10]);
}

#[test]
fn nobody_comes_back_and_nothing_breaks() {
    let project = Project::new();
    project.orders(
        "data/orders/a.parquet",
        "order_id,customer_id,ordered_at,amount\n1,1,2025-01-01,5.00\n2,2,2025-01-02,6.00",
    );
    pipeline(&project, "  holdout: 13 weeks\n", "");
    project.run("2025-04-01");
    let fit = project.rows("metrics.model_fit", &["parameter", "estimate", "used"]);
    assert_eq!(fit[0], "a null cohort average");
    let columns = ["customer_id", "expected_purchases_365", "predicted_value"];
    let predictions = project.rows("metrics.customer_predictions", &columns);
    assert_eq!(predictions, ["1 0.0 null", "2 0.0 null"]);
}

#[test]
fn fit_prints_what_it_found() {
    let project = generated();
    pipeline(&project, "  holdout: 13 weeks\n", "");
    let outcome = project.tenure(&[
        "fit",
        "pipelines/p.yaml",
        "--as-of",
        GENERATED_AS_OF,
        "--model",
        "mbg_nbd",
    ]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.starts_with("mbg_nbd: "), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("\ngamma_gamma: "), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("hold-out of 13 weeks: "), "{}", outcome.stdout);
    assert!(!project.path("out/_tenure/current.json").exists(), "nothing is published");
}

fn refused(models: &str, tables: &str) -> String {
    let project = Project::new();
    project
        .orders("orders/a.parquet", "order_id,customer_id,ordered_at,amount\n1,1,2025-01-01,5.00");
    project.pipeline(tables, models);
    let outcome = project.tenure(&["run", "pipelines/p.yaml", "--as-of", "2025-04-01"]);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    outcome.stderr
}

#[test]
fn a_table_of_models_needs_a_model() {
    assert_snapshot!(refused("", "metrics.model_fit"), @"
    error: `metrics.model_fit` needs a model of purchases
     --> pipelines/p.yaml:5:10
      |
    5 | tables: [metrics.model_fit]
      |          ^^^^^^^^^^^^^^^^^
      |
      = help: add `models: { purchases: auto }`, or drop the table

    error: 1 problem in 1 file; nothing was run
    ");
}

#[test]
fn lengths_of_time_have_units_and_models_have_names() {
    let models = "models: { purchases: bgnbd, holdout: 90, horizn: 1 year }\n";
    assert_snapshot!(refused(models, "facts.orders"), @"
    error: unknown key `horizn` in `models`
     --> pipelines/p.yaml:8:42
      |
    8 | models: { purchases: bgnbd, holdout: 90, horizn: 1 year }
      |                                          ^^^^^^
      |
      = help: did you mean `horizon`? known keys: purchases, unit, holdout, horizon, discount, interval, gate

    error: `purchases`: `bgnbd` is not one of auto, bg_nbd, mbg_nbd, pareto_nbd, nbd
     --> pipelines/p.yaml:8:22
      |
    8 | models: { purchases: bgnbd, holdout: 90, horizn: 1 year }
      |                      ^^^^^

    error: `holdout` must be a length of time with its unit
     --> pipelines/p.yaml:8:38
      |
    8 | models: { purchases: bgnbd, holdout: 90, horizn: 1 year }
      |                                      ^^
      |
      = help: such as `90 days` or `13 weeks`

    error: 3 problems in 1 file; nothing was run
    ");
}
