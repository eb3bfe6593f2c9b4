//! A day that should not have been published is taken back, and nothing else.

use insta::assert_snapshot;
use serde_json::Value;

use super::assert_same;
use super::reuse::{DAY, ROWS, assert_nothing_to_do, published};
use crate::project::{Outcome, Project};

const PIPELINE: &str = "pipelines/p.yaml";
/// A day that will not have come whenever this runs.
const MISTYPED: &str = "9999-03-31";
const QUICK: &str = "facts.customers, metrics.value_concentration";

fn withdraw(project: &Project, more: &[&str]) -> Outcome {
    project.tenure(&[&["withdraw", PIPELINE, "--as-of"], more].concat())
}

fn said(project: &Project, outcome: &Outcome) -> String {
    let stdout = outcome.stdout.replace(&*project.path("").to_string_lossy(), "[TMP]/");
    format!("{stdout}{}exit {}", outcome.stderr, outcome.code)
}

/// A project with a day that was meant, and one that was not.
fn mistyped(format: &str) -> (Project, Vec<(String, Vec<u8>)>, String) {
    let project = Project::with_models();
    project.orders("orders/all.parquet", ROWS);
    project.pipeline(QUICK, format);
    project.run(DAY);
    let before = project.published();
    let outcome = project.run(MISTYPED);
    let warning = outcome.stderr.lines().find(|line| line.starts_with("warning"));
    (project, before, warning.expect("a warning").to_owned())
}

#[test]
fn the_day_goes_and_the_others_stay() {
    let (project, before, warning) = mistyped("");
    assert_snapshot!(warning, @"warning: 9999-03-31 has not come yet; it will be the newest day here until `tenure withdraw PIPELINE --as-of 9999-03-31` takes it back");
    assert!(project.published().len() > before.len());
    let would = withdraw(&project, &[MISTYPED, "--dry-run"]);
    assert_snapshot!(said(&project, &would), @"
    facts.customers
    metrics.value_concentration
    2 tables as of 9999-03-31 would be withdrawn from [TMP]/out; the newest other day is 2024-03-31
    exit 0
    ");
    assert!(project.published().len() > before.len(), "only told");
    assert_snapshot!(said(&project, &withdraw(&project, &[MISTYPED])), @"
    facts.customers
    metrics.value_concentration
    2 tables as of 9999-03-31 withdrawn from [TMP]/out; the newest other day is 2024-03-31
    exit 0
    ");
    assert_same(&before, &project.published(), "the day before");
    let show = project.tenure(&["show", PIPELINE, "customers"]);
    assert!(show.stdout.starts_with("facts.customers as of 2024-03-31"), "{}", show.stdout);
    assert_nothing_to_do(&project.run(DAY));
}

#[test]
fn it_can_be_published_again() {
    let project = published();
    let before = project.published();
    assert_eq!(withdraw(&project, &[DAY]).code, 0);
    assert_eq!(project.published(), [], "nothing is left");
    let outcome = project.tenure(&["plan", PIPELINE, "--as-of", DAY]);
    assert!(outcome.stdout.contains("build  never published for this day"), "{}", outcome.stdout);
    project.run(DAY);
    assert_same(&before, &project.published(), "the same again");
}

#[test]
fn a_delta_table_gets_a_version_without_the_day() {
    let (project, ..) = mistyped("  format: delta\n");
    assert_eq!(withdraw(&project, &[MISTYPED]).code, 0);
    let actions = |version: u64| -> Vec<Value> {
        let log = format!("out/customers/_delta_log/{version:020}.json");
        let text = std::fs::read_to_string(project.path(&log)).expect("a commit");
        text.lines().map(|line| serde_json::from_str(line).expect("json")).collect()
    };
    let added: Vec<Value> =
        actions(1).iter().filter_map(|action| action.get("add").cloned()).collect();
    let removed: Vec<Value> =
        actions(2).iter().filter_map(|action| action.get("remove").cloned()).collect();
    assert_eq!((added.len(), removed.len()), (1, 1));
    assert_eq!(added[0]["path"], removed[0]["path"]);
    // Its last day: the table stays, empty, with its history.
    assert_eq!(withdraw(&project, &[DAY]).code, 0);
    assert!(actions(3).iter().any(|action| action.get("remove").is_some()));
    project.run(DAY);
    assert!(actions(4).iter().any(|action| action.get("add").is_some()));
}

#[test]
fn a_day_that_is_not_there_is_told_with_those_that_are() {
    let project = published();
    assert_snapshot!(said(&project, &withdraw(&project, &["2024-04-30"])), @"
    error: pipeline `p` has published nothing as of 2024-04-30
    --> [TMP]/out
     = help: its days are 2024-03-31
    exit 2
    ");
    let text = std::fs::read_to_string(project.path(PIPELINE)).expect("a file");
    project.file("pipelines/q.yaml", &text.replacen("pipeline: p", "pipeline: q", 1));
    let other = project.tenure(&["withdraw", "pipelines/q.yaml", "--as-of", DAY]);
    assert_snapshot!(said(&project, &other), @"
    error: pipeline `q` has published nothing as of 2024-03-31
    --> [TMP]/out
     = note: that day was published by `p`
     = help: is this its target? `tenure runs PIPELINE` lists what ran here
    exit 2
    ");
    let never = project.tenure(&["withdraw", PIPELINE, "--as-of", "31.03.2024"]);
    assert_snapshot!(said(&project, &never), @"
    error: invalid value '31.03.2024' for '--as-of <DATE>': `31.03.2024` is not a day like 2026-11-20

    For more information, try '--help'.
    exit 2
    ");
}

/// What was taken back is not what a retry goes on with, nor does it stand for
/// a run of the day.
#[test]
fn the_list_of_runs_and_a_retry_know_it() {
    let project = published();
    assert_eq!(withdraw(&project, &[DAY]).code, 0);
    let runs = project.tenure(&["runs", PIPELINE]).stdout;
    let line = runs.lines().nth(2).expect("a run");
    assert!(line.contains("published  2024-03-31       0     0"), "{runs}");
    assert!(line.ends_with("5 tables withdrawn"), "{runs}");
    let id = line.split_whitespace().next().expect("an id").to_string();
    let retry = project.tenure(&["retry", PIPELINE, "--run", &id]);
    assert_eq!(retry.code, 2);
    assert_snapshot!(retry.stderr.replace(&id, "[RUN]"), @"
    error: run [RUN] cannot be retried
     |
     = cause: it was `tenure withdraw pipelines/p.yaml --as-of 2024-03-31`
     = help: start afresh: `tenure withdraw pipelines/p.yaml --as-of 2024-03-31`
    ");
    let last = project.tenure(&["retry", PIPELINE]);
    assert_eq!(last.code, 2);
    assert!(last.stderr.starts_with("error: nothing to retry"), "{}", last.stderr);
}

/// A run that failed is still there to be gone on with.
#[test]
fn a_retry_goes_past_what_was_taken_back() {
    let project = published();
    project.file("orders/all.parquet", "no Parquet any more");
    let failed = project.tenure(&["run", PIPELINE, "--as-of", "2024-04-30"]);
    assert_eq!(failed.code, 1, "{}", failed.stderr);
    assert_eq!(withdraw(&project, &[DAY]).code, 0);
    let again = project.tenure(&["retry", PIPELINE]);
    assert!(again.stderr.contains("not a Parquet file"), "{}", again.stderr);
}
