//! Runs as a whole: what they make must depend on the data, the parameters
//! and the version, and on nothing else; and no run may harm another.

mod alike;
mod damage;
mod delta;
mod evidence;
mod files;
mod folders;
mod identities;
mod inputs;
mod known_before;
mod lifecycle_windows;
mod lines;
mod locks;
mod mixed;
mod models;
mod mutations;
mod parquet;
mod people;
mod pieces;
mod planner;
mod plans;
mod predictions;
mod quarantine;
mod refunds;
mod repeats;
mod retries;
mod reuse;
mod selections;
mod table_formats;
mod texts;
mod withdrawals;

use std::path::PathBuf;

use serde_json::Value;

use crate::project::Project;

/// Every table that is published by default.
const TABLES: &str = "facts.orders, facts.customers, facts.customer_periods, \
    facts.unattributed_refunds, metrics.cohort_retention, \
    metrics.cohort_retention_by_attribute, metrics.retention_windows, \
    metrics.repurchase_summary, metrics.repurchase_windows, metrics.repurchase_steps, \
    metrics.repurchase_cycle, metrics.repurchase_gap_histogram, metrics.rfm_scores, \
    metrics.rfm_segments, metrics.rfm_cells, metrics.rfm_moves, metrics.lifecycle_states, \
    metrics.lifecycle_transitions, metrics.lifecycle_summary, metrics.value_formulas, \
    metrics.value_assumptions, metrics.customer_value, metrics.value_concentration";

/// The last day of the generated history.
const GENERATED_AS_OF: &str = "2025-12-31";

/// A project with a generated history of some 20,000 customers in `data/`.
fn generated() -> Project {
    let project = Project::new();
    let arguments = ["generate", "data", "--customers", "20000", "--months", "24", "--seed", "7"];
    let outcome = project.tenure(&arguments);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    project
}

/// A pipeline over the generated history that publishes everything to `out`.
fn pipeline_of_generated(project: &Project, more: &str) {
    let text = format!(
        "pipeline: p\nsources:\n  orders:\n    url: data/orders\n  customers:\n    \
         url: data/customers.parquet\ntables: [{TABLES}]\npublish:\n  url: out\n{more}"
    );
    project.file("pipelines/p.yaml", &text);
}

/// A pipeline with its orders block and tables.
fn pipeline(project: &Project, orders: &str, tables: &str) {
    let text = format!(
        "pipeline: p\nsources:\n  orders:\n{}tables: [{tables}]\npublish:\n  url: out\n",
        orders.lines().map(|line| format!("    {}\n", line)).collect::<String>(),
    );
    project.file("pipelines/p.yaml", &text);
}

/// Asserts that two sets of published files are the same, naming the first
/// that is not.
pub fn assert_same(expected: &[(String, Vec<u8>)], found: &[(String, Vec<u8>)], what: &str) {
    let names = |files: &[(String, Vec<u8>)]| {
        files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(expected), names(found), "{what}: other files");
    for ((name, bytes), (_, other)) in expected.iter().zip(found) {
        assert!(bytes == other, "{what}: {name} differs");
    }
}

/// The steps that the newest run wrote into its journal.
fn journal(project: &Project) -> Vec<Value> {
    let runs = paths(project, "out/_tenure/runs/*");
    let newest = runs.last().expect("a run").join("0*.json");
    let steps = glob::glob(&newest.to_string_lossy()).expect("a pattern");
    let mut paths: Vec<PathBuf> = steps.map(|path| path.expect("a path")).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).expect("a step");
            serde_json::from_str(&text).expect("JSON")
        })
        .collect()
}

/// What a pattern finds in the project, in order.
fn paths(project: &Project, pattern: &str) -> Vec<PathBuf> {
    let pattern = project.path(pattern);
    let found = glob::glob(&pattern.to_string_lossy()).expect("a pattern");
    let mut paths: Vec<PathBuf> = found.map(|path| path.expect("a path")).collect();
    paths.sort();
    paths
}
