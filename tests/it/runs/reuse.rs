//! What did not change is not computed again, and what is not computed again
//! is what it would have been.

use std::fs;

use insta::assert_snapshot;
use serde_json::Value;

use super::{
    GENERATED_AS_OF, TABLES, assert_same, generated, journal, paths, pipeline_of_generated,
};
use crate::project::{Outcome, Project};

pub(super) const DAY: &str = "2024-03-31";

pub(super) const ROWS: &str = "\
order_id,customer_id,ordered_at,amount
1,7,2024-01-05T10:00:00,10.00
2,7,2024-02-05T10:30:00,12.34
3,8,2024-01-31T23:30:00,20.10
4,8,2024-02-29T12:00:00,0.99
5,9,2024-03-01T12:00:00,7.00
";

pub(super) const MORE: &str = "\
order_id,customer_id,ordered_at,amount
6,10,2024-03-02T10:00:00,10.00
7,7,2024-03-05T10:30:00,12.34
";

/// A change of `metrics.value_concentration` that every check lets pass.
const TIES: &str = "order by net desc, customer_id";
const TIES_REVERSED: &str = "order by net desc, customer_id desc";

pub(super) const SMALL: &str = "facts.orders, facts.customers, metrics.cohort_retention, \
    metrics.lifecycle_states, metrics.value_concentration";

/// A project with models to edit and a few orders, published once.
pub(super) fn published() -> Project {
    let project = Project::with_models();
    project.orders("orders/all.parquet", ROWS);
    project.pipeline(SMALL, "");
    project.run(DAY);
    project
}

/// Replaces a part of a file that must have it.
pub(super) fn change(project: &Project, file: &str, from: &str, to: &str) {
    let text = fs::read_to_string(project.path(file)).expect("a file");
    assert!(text.contains(from), "{file} has no {from}");
    project.file(file, &text.replacen(from, to, 1));
}

/// The tables that the newest run has built or read, in order.
pub(super) fn built(project: &Project) -> Vec<String> {
    let name = |step: &Value| match step["step"].as_str() {
        Some("source_read") => Some(format!("sources.{}", step["source"].as_str()?)),
        Some("table_staged") if step["table"] != "quarantine.orders" => {
            Some(step["table"].as_str()?.to_string())
        }
        _ => None,
    };
    journal(project).iter().filter_map(name).collect()
}

/// The checks the newest run has run.
fn checks(project: &Project) -> Option<u64> {
    journal(project).iter().find(|step| step["step"] == "audited")?["checks"].as_u64()
}

pub(super) fn assert_nothing_to_do(outcome: &Outcome) {
    assert!(outcome.stdout.starts_with("nothing to do: "), "{}", outcome.stdout);
}

/// What a project that never published anything makes of the same files.
pub(super) fn assert_as_fresh(project: &Project, day: &str) {
    let incremental = project.published();
    let shown = project.rows("quarantine.orders", &["reason", "order_id"]);
    fs::remove_dir_all(project.path("out")).expect("removed");
    project.run(day);
    assert_same(&project.published(), &incremental, "against a fresh run");
    assert_eq!(project.rows("quarantine.orders", &["reason", "order_id"]), shown);
}

/// `tenure plan`: what becomes of each table that is not left out, and why.
fn planned(project: &Project, more: &[&str]) -> String {
    let arguments = [&["plan", "pipelines/p.yaml", "--as-of", DAY], more].concat();
    let outcome = project.tenure(&arguments);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let tables = outcome.stdout.split("order of work").nth(1).expect("tables");
    let tables = tables.split("\n\n").next().expect("a section");
    let lines = tables.lines().map(|line| line.split("  from ").next().unwrap_or_default());
    let lines = lines.filter(|line| ["  build  ", "  reuse  "].iter().any(|a| line.contains(a)));
    lines
        .map(|line| line.split(" since run ").next().unwrap_or_default())
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_same_again_is_nothing_to_do() {
    let project = published();
    let manifest = fs::read(project.path("out/_tenure/current.json")).expect("the manifest");
    let before = project.published();
    let outcome = project.run(DAY);
    assert_nothing_to_do(&outcome);
    assert!(outcome.stdout.contains("5 tables as of 2024-03-31 stand in"), "{}", outcome.stdout);
    assert_same(&before, &project.published(), "again");
    let after = fs::read(project.path("out/_tenure/current.json")).expect("the manifest");
    assert_eq!(manifest, after, "nothing is written");
    assert_eq!(paths(&project, "out/_tenure/sets/*").len(), 1);
    let steps = journal(&project);
    let steps: Vec<_> = steps.iter().map(|step| step["step"].as_str().expect("a step")).collect();
    assert_eq!(steps, ["started", "finished"]);
    let runs = project.tenure(&["runs", "pipelines/p.yaml"]).stdout;
    assert!(runs.contains("nothing to do"), "{runs}");
}

#[test]
fn comments_and_layout_of_a_query_are_no_change() {
    let project = published();
    let file = "sql/metrics/value_concentration.sql";
    change(&project, file, "\nwith\n", "\n-- A remark.\n\nwith   -- another\n\n\n");
    assert_nothing_to_do(&project.run(DAY));
}

#[test]
fn a_comment_that_stands_in_the_file_is_a_change_of_that_file_alone() {
    let project = published();
    let file = "sql/facts/customers.sql";
    let text = fs::read_to_string(project.path(file)).expect("a file");
    let line = text.lines().find(|line| line.starts_with("-- customer_id")).expect("a column");
    change(&project, file, line, &format!("{line}, and nobody else"));
    assert!(planned(&project, &[]).contains("facts.customers build its header changed"));
    project.run(DAY);
    assert_eq!(built(&project), ["sources.orders", "facts.customers"]);
    assert_as_fresh(&project, DAY);
}

#[test]
fn a_changed_query_is_built_from_what_stands() {
    let project = published();
    let file = "sql/metrics/value_concentration.sql";
    change(&project, file, TIES, TIES_REVERSED);
    assert_snapshot!(planned(&project, &[]), @r"
    facts.orders reuse nothing changed
    facts.customers reuse nothing changed
    metrics.cohort_retention reuse nothing changed
    metrics.lifecycle_states reuse nothing changed
    metrics.value_concentration build its SQL changed
    ");
    let outcome = project.run(DAY);
    assert_eq!(built(&project), ["metrics.value_concentration"], "no order was read");
    assert!(outcome.stdout.contains("1 table as of"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("(4 reused, 1 check passed"), "{}", outcome.stdout);
    assert_nothing_to_do(&project.run(DAY));
    assert_as_fresh(&project, DAY);
}

#[test]
fn a_changed_rule_rebuilds_what_depends_on_it_and_nothing_else() {
    let project = generated();
    pipeline_of_generated(&project, "");
    copy_models(&project);
    project.run(GENERATED_AS_OF);
    change(&project, "sql/rules/value_tiers.sql", "'serve at low cost'", "'leave them alone'");
    project.run(GENERATED_AS_OF);
    // Who was acquired before the files is known from before: customers are read, too.
    let expected = ["sources.orders", "sources.customers", "metrics.customer_value"];
    assert_eq!(built(&project), expected);
    assert_as_fresh(&project, GENERATED_AS_OF);
    change(&project, "sql/rules/rfm_segments.sql", "'", "'x");
    project.run(GENERATED_AS_OF);
    assert_as_fresh(&project, GENERATED_AS_OF);
}

fn copy_models(project: &Project) {
    let models = Project::with_models();
    fs::rename(models.path("sql"), project.path("sql")).expect("moved");
}

#[test]
fn a_parameter_rebuilds_the_tables_that_use_it() {
    let project = published();
    let arguments = ["--param", "vip_amount=15"];
    assert_snapshot!(planned(&project, &arguments), @r"
    facts.orders reuse nothing changed
    facts.customers reuse nothing changed
    metrics.cohort_retention reuse nothing changed
    metrics.lifecycle_states build parameter vip_amount is 15, was null
    metrics.value_concentration reuse nothing changed
    ");
    project.run_with(DAY, &arguments);
    assert_eq!(built(&project), ["sources.orders", "metrics.lifecycle_states"]);
    assert_nothing_to_do(&project.run_with(DAY, &arguments));
    project.run(DAY);
    assert_eq!(built(&project), ["sources.orders", "metrics.lifecycle_states"]);
}

#[test]
fn a_new_file_is_news_for_everything_that_is_made_of_orders() {
    let project = published();
    project.orders("orders/more.parquet", MORE);
    assert_snapshot!(planned(&project, &[]), @r"
    facts.orders build source orders: 1 new file
    facts.customers build facts.orders is built anew
    metrics.cohort_retention build source orders: 1 new file
    metrics.lifecycle_states build source orders: 1 new file
    metrics.value_concentration build facts.customers is built anew
    ");
    project.run(DAY);
    assert_eq!(built(&project).len(), 6, "{:?}", built(&project));
    assert_as_fresh(&project, DAY);
}

#[test]
fn a_file_that_was_touched_counts_as_changed_and_gives_the_same_tables() {
    let project = published();
    let before = project.published();
    project.orders("orders/all.parquet", ROWS);
    assert!(planned(&project, &[]).contains("source orders: 1 file changed"));
    project.run(DAY);
    assert!(built(&project).contains(&"sources.orders".to_string()));
    assert_same(&before, &project.published(), "the same rows");
    assert_nothing_to_do(&project.run(DAY));
}

#[test]
fn a_check_that_changed_is_run_again() {
    let project = published();
    let file = "sql/checks/value_concentration_sums.sql";
    let text = fs::read_to_string(project.path(file)).expect("a file");
    let title = text.lines().next().expect("a title");
    let never = "-- reads   facts.customers\n-- params  none\n\nselect customer_id \
                 from facts.customers where customer_id < 0\n";
    project.file(file, &format!("{title}\n--\n{never}"));
    let outcome = project.run(DAY);
    let said = "no table built: 5 tables as of 2024-03-31 stand in ";
    assert!(outcome.stdout.starts_with(said), "{}", outcome.stdout);
    assert!(outcome.stdout.contains(" (1 check passed, "), "{}", outcome.stdout);
    assert_eq!((built(&project).len(), checks(&project)), (0, Some(1)));
    assert_nothing_to_do(&project.run(DAY));
    change(&project, file, "customer_id < 0", "customer_id > 0");
    let failed = project.tenure(&["run", "pipelines/p.yaml", "--as-of", DAY]);
    assert_eq!(failed.code, 3, "{}", failed.stderr);
    let again = project.tenure(&["run", "pipelines/p.yaml", "--as-of", DAY]);
    assert_eq!(again.code, 3, "what failed has not passed: {}", again.stderr);
    change(&project, file, "customer_id > 0", "customer_id < 0");
    assert_nothing_to_do(&project.run(DAY));
}

#[test]
fn another_day_is_another_set() {
    let project = published();
    project.run("2024-02-29");
    assert_eq!(built(&project).len(), 6);
    assert_nothing_to_do(&project.run(DAY));
    assert_nothing_to_do(&project.run("2024-02-29"));
    assert_eq!(
        planned(&project, &["--param", "timezone=Europe/Berlin"])
            .matches("parameter timezone")
            .count(),
        3,
        "facts.orders; by way of facts.customer_days metrics.cohort_retention and \
         metrics.lifecycle_states; the others are built from facts.orders"
    );
}

#[test]
fn a_full_refresh_builds_what_stands() {
    let project = published();
    let before = project.published();
    project.run_with(DAY, &["--full-refresh"]);
    assert_eq!(built(&project).len(), 6);
    assert_same(&before, &project.published(), "built anew");
    assert_nothing_to_do(&project.run(DAY));
}

#[test]
fn folders_without_their_marker_are_set_right() {
    let project = published();
    let before = project.published();
    fs::remove_dir_all(project.path("out/cohort_retention")).expect("removed");
    assert_nothing_to_do(&project.run(DAY));
    assert!(project.published() != before, "nobody looks into the folders");
    fs::remove_file(project.path("out/_tenure/view.json")).expect("removed");
    assert_nothing_to_do(&project.run(DAY));
    assert_same(&before, &project.published(), "with the marker gone");
}

#[test]
fn a_run_shows_what_it_used_again() {
    let project = published();
    change(&project, "sql/metrics/value_concentration.sql", TIES, TIES_REVERSED);
    project.run(DAY);
    let runs = paths(&project, "out/_tenure/runs/*");
    let run = runs.last().and_then(|run| run.file_name()).expect("a run").to_string_lossy();
    for table in ["facts.customers", "metrics.value_concentration", "quarantine.orders"] {
        let outcome = project.tenure(&["show", "pipelines/p.yaml", table, "--run", &run]);
        assert_eq!(outcome.code, 0, "{table}: {}", outcome.stderr);
    }
}

#[test]
fn a_run_that_failed_is_nothing_to_build_on() {
    let project = published();
    let before = project.published();
    let file = "sql/metrics/value_concentration.sql";
    let good = fs::read_to_string(project.path(file)).expect("a file");
    change(&project, file, TIES, TIES_REVERSED);
    let check = "-- checks.never: nothing is ever right.\n--\n-- reads   facts.customers\n\
                 -- params  none\n\nselect customer_id from facts.customers\n";
    project.file("sql/checks/never.sql", check);
    let failed = project.tenure(&["run", "pipelines/p.yaml", "--as-of", DAY]);
    assert_eq!(failed.code, 3, "{}", failed.stderr);
    assert_same(&before, &project.published(), "after the failure");
    fs::remove_file(project.path("sql/checks/never.sql")).expect("removed");
    project.run(DAY);
    assert_eq!(built(&project), ["metrics.value_concentration"]);
    project.file(file, &good);
    project.run(DAY);
    assert_same(&before, &project.published(), "as it was");
}

#[test]
fn a_file_that_is_gone_is_built_again() {
    let project = published();
    let before = project.published();
    let set = "out/_tenure/sets/*/metrics.cohort_retention/*/*.parquet";
    fs::remove_file(&paths(&project, set)[0]).expect("removed");
    assert!(planned(&project, &[]).contains("its published file is gone"));
    project.run(DAY);
    assert_same(&before, &project.published(), "built again");
    assert_nothing_to_do(&project.run(DAY));
}

#[test]
fn what_is_reused_is_never_collected() {
    let project = published();
    let text = fs::read_to_string(project.path("pipelines/p.yaml")).expect("the pipeline");
    project.file("pipelines/p.yaml", &format!("{text}  keep_runs: 0\n"));
    for quantile in ["0.5", "0.6", "0.7"] {
        project.run_with(DAY, &["--param", &format!("vip_quantile={quantile}")]);
    }
    assert_eq!(paths(&project, "out/_tenure/sets/*").len(), 2, "the first and the last");
    assert_eq!(project.rows("facts.orders", &["order_id"]).len(), 5);
    project.run(DAY);
    assert_as_fresh(&project, DAY);
}

#[test]
fn a_plan_needs_nothing_to_be_there() {
    let project = Project::with_models();
    project.pipeline(SMALL, "");
    let plan = project.tenure(&["plan", "pipelines/p.yaml", "--as-of", DAY]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    assert!(plan.stderr.starts_with("warning: a run would fail: source `orders` has no Parquet"));
    assert_eq!(plan.stdout.matches("never published for this day").count(), 5);
    assert!(!project.path("out").exists());
}

#[test]
fn every_table_gives_the_same_bytes_whatever_is_reused() {
    let project = Project::new();
    let arguments = ["generate", "data", "--customers", "2000", "--months", "24", "--seed", "3"];
    assert_eq!(project.tenure(&arguments).code, 0);
    pipeline_of_generated(&project, "");
    project.run(GENERATED_AS_OF);
    let expected = project.published();
    // Each table is built alone, from whatever else stands.
    for table in TABLES.split(", ") {
        let file = format!("out/_tenure/sets/*/{table}/*/*.parquet");
        for path in paths(&project, &file) {
            fs::remove_file(path).expect("removed");
        }
        project.run(GENERATED_AS_OF);
        assert_same(&expected, &project.published(), table);
    }
}
