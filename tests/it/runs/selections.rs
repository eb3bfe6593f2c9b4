//! What becomes of the tables of a day that a run does not make.

use insta::assert_snapshot;

use super::assert_same;
use super::reuse::{
    DAY, MORE, ROWS, SMALL, assert_as_fresh, assert_nothing_to_do, built, change, published,
};
use crate::project::Project;

#[test]
fn a_selection_leaves_alone_what_still_stands() {
    let project = Project::with_models();
    project.orders("orders/all.parquet", ROWS);
    project.pipeline(SMALL, "");
    project.run_with(DAY, &["--select", "facts.customers"]);
    assert_eq!(built(&project), ["sources.orders", "facts.customers"]);
    project.run(DAY);
    assert!(!built(&project).contains(&"facts.customers".to_string()), "{:?}", built(&project));
    let all = project.published();
    assert_nothing_to_do(&project.run_with(DAY, &["--select", "cohort_retention"]));
    project.run_with(DAY, &["--select", "cohort_retention", "--full-refresh"]);
    assert_same(&all, &project.published(), "one built anew");
}

#[test]
fn a_selection_drops_what_would_contradict_it() {
    let project = published();
    project.orders("orders/more.parquet", MORE);
    let outcome = project.run_with(DAY, &["--select", "facts.customers"]);
    let warning = outcome.stderr.lines().find(|line| line.starts_with("warning"));
    assert_snapshot!(warning.expect("a warning"), @"warning: not published as of 2024-03-31 any more, for they contradict what this run made (a run without --select makes all tables of the pipeline): facts.orders, metrics.cohort_retention, metrics.lifecycle_states, metrics.value_concentration");
    let names: Vec<String> = project.published().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "customers/as_of=2024-03-31/part-00000.parquet",
            "quarantine_orders/as_of=2024-03-31/part-00000.parquet"
        ]
    );
    project.run(DAY);
    assert!(!built(&project).contains(&"facts.customers".to_string()), "{:?}", built(&project));
    assert_as_fresh(&project, DAY);
}

#[test]
fn a_table_that_is_not_listed_any_more_stays_until_it_contradicts() {
    let project = published();
    project.pipeline("facts.orders, facts.customers", "");
    change(&project, "sql/facts/customers.sql", "-- customer_id ", "-- customer_id  ");
    let names = |project: &Project| -> Vec<String> {
        let first = |(name, _): (String, _)| name.split('/').next().unwrap_or("").to_string();
        project.published().into_iter().map(first).collect()
    };
    assert_nothing_to_do(&project.run(DAY));
    assert_eq!(names(&project).len(), 6);
    project.orders("orders/more.parquet", MORE);
    let outcome = project.run(DAY);
    assert!(outcome.stderr.contains("not published as of 2024-03-31 any more"));
    assert_eq!(names(&project), ["customers", "orders", "quarantine_orders"]);
}

/// Nobody knows any more what it was made from; another query may be one of that.
#[test]
fn a_table_that_is_not_listed_any_more_goes_when_a_query_changes() {
    let project = published();
    project.pipeline("facts.orders, facts.customers", "");
    change(&project, "sql/facts/orders.sql", "from final", "from final where true");
    let outcome = project.run(DAY);
    let warning = outcome.stderr.lines().find(|line| line.starts_with("warning"));
    assert_snapshot!(warning.expect("a warning"), @"warning: not published as of 2024-03-31 any more, for the pipeline makes them no longer, and what they were made from may have changed: metrics.cohort_retention, metrics.lifecycle_states, metrics.value_concentration");
    assert!(!project.published().iter().any(|(name, _)| name.starts_with("cohort_retention")));
}

/// Two pipelines may mean different things by one table; who comes last is told.
#[test]
fn a_table_that_another_pipeline_published_is_not_replaced_in_silence() {
    let project = published();
    let first = std::fs::read_to_string(project.path("pipelines/p.yaml")).expect("a file");
    let second = first.replacen("pipeline: p", "pipeline: q\nparams:\n  margin_rate: 0.5", 1);
    project.file("pipelines/q.yaml", &second);
    let outcome = project.tenure(&["run", "pipelines/q.yaml", "--as-of", DAY, "--full-refresh"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let warning = outcome.stderr.lines().find(|line| line.starts_with("warning"));
    assert_snapshot!(warning.expect("a warning"), @"warning: tables of another pipeline were replaced as of 2024-03-31: facts.customers, facts.orders, metrics.cohort_retention, metrics.lifecycle_states, metrics.value_concentration of `p`; leave each table to one pipeline, or give each pipeline a target of its own");
    let own = project.tenure(&["run", "pipelines/q.yaml", "--as-of", DAY, "--full-refresh"]);
    assert!(!own.stderr.contains("warning"), "{}", own.stderr);
}

/// What one pipeline publishes, another may compute on its way: from other orders,
/// and no table of its own.
#[test]
fn a_step_that_another_pipeline_publishes_stays() {
    let project = Project::with_models();
    project.orders("orders/all.parquet", ROWS);
    project.orders("others/all.parquet", MORE);
    project.pipeline("facts.customers, metrics.rfm_scores", "");
    let first = std::fs::read_to_string(project.path("pipelines/p.yaml")).expect("a file");
    let second = first
        .replacen("pipeline: p", "pipeline: q", 1)
        .replacen("url: orders", "url: others", 1)
        .replacen("facts.customers, metrics.rfm_scores", "metrics.value_concentration", 1);
    project.file("pipelines/q.yaml", &second);
    project.run(DAY);
    let customers = project.table("facts.customers");
    let other = project.tenure(&["run", "pipelines/q.yaml", "--as-of", DAY]);
    assert_eq!(other.code, 0, "{}", other.stderr);
    assert!(!other.stderr.contains("warning"), "{}", other.stderr);
    assert_eq!(project.table("facts.customers"), customers);
    assert!(!built(&project).contains(&"facts.customers".to_string()));
}
