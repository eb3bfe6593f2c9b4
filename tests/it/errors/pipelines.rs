//! The pipeline file: YAML that is broken, misspelt or incomplete.

use insta::assert_snapshot;

use super::{change, check, run, run_with, said, small, small_but};
use crate::project::Project;

const PIPELINE: &str = "pipelines/p.yaml";

#[test]
fn a_pipeline_file_must_exist() {
    let outcome = small().tenure(&["check", "pipelines/q.yaml"]);
    assert_snapshot!(said(&outcome), @"");
}

#[test]
fn broken_yaml_is_shown_where_it_breaks() {
    assert_snapshot!(check(&small_but(PIPELINE, "url: orders", "url: [orders")), @"");
}

#[test]
fn a_tab_is_no_indentation() {
    assert_snapshot!(check(&small_but(PIPELINE, "    url: orders", "\turl: orders")), @"");
}

#[test]
fn a_key_stands_once() {
    assert_snapshot!(check(&small_but(PIPELINE, "url: orders", "url: orders\n    url: other")), @"");
}

#[test]
fn anchors_are_not_supported() {
    let project = small_but(PIPELINE, "url: orders", "url: &here orders");
    change(&project, PIPELINE, "url: out", "url: *here");
    assert_snapshot!(check(&project), @"");
}

#[test]
fn a_pipeline_is_a_map() {
    let project = small();
    project.file(PIPELINE, "- orders\n- customers\n");
    assert_snapshot!(check(&project), @"");
}

#[test]
fn an_empty_pipeline_is_not_one() {
    let project = small();
    project.file(PIPELINE, "");
    assert_snapshot!(check(&project), @"");
}

#[test]
fn an_unknown_key_is_told_what_it_probably_means() {
    assert_snapshot!(check(&small_but(PIPELINE, "publish:", "publsh:")), @"");
}

#[test]
fn an_unknown_key_deep_down_is_told_too() {
    assert_snapshot!(check(&small_but(PIPELINE, "url: orders", "url: orders\n    rejct: {}")), @"");
}

#[test]
fn a_wrong_word_is_told_what_there_is() {
    let words = "url: orders\n    format: parket\n    rows: items";
    assert_snapshot!(check(&small_but(PIPELINE, "url: orders", words)), @"");
}

#[test]
fn a_misspelt_source_is_told_what_it_probably_means() {
    assert_snapshot!(check(&small_but(PIPELINE, "  orders:", "  order:")), @"");
}

#[test]
fn a_misspelt_table_is_told_what_it_probably_means() {
    assert_snapshot!(check(&small_but(PIPELINE, "metrics.spenders", "metrics.spendres")), @"");
}

#[test]
fn a_table_needs_its_schema() {
    assert_snapshot!(check(&small_but(PIPELINE, "metrics.spenders", "spenders")), @"");
}

#[test]
fn only_facts_and_metrics_are_published() {
    assert_snapshot!(check(&small_but(PIPELINE, "metrics.spenders", "staging.orders")), @"");
}

#[test]
fn a_pipeline_needs_orders_tables_and_a_target() {
    let project = small();
    project.file(PIPELINE, "pipeline: p\nsources:\n  customers:\n    url: customers\n");
    assert_snapshot!(check(&project), @"");
}

#[test]
fn a_mapping_names_every_column_that_must_be_there() {
    let columns = "url: orders\n    columns:\n      order_id: id\n      custmer_id: who\n      \
                   amount: price +";
    assert_snapshot!(run(&small_but(PIPELINE, "url: orders", columns)), @"");
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    assert_snapshot!(run(&small_but(PIPELINE, "url: orders", "url: ${NO_SUCH_ORDERS}")), @"");
}

#[test]
fn a_check_needs_no_variable() {
    let project = small_but(PIPELINE, "url: orders", "url: ${NO_SUCH_ORDERS}");
    let outcome = project.tenure(&["check", PIPELINE]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
}

#[test]
fn a_secret_does_not_stand_in_a_pipeline() {
    let secret = "url: out\n  storage:\n    aws_secret_access_key: hunter2";
    let said = check(&small_but(PIPELINE, "url: out", secret));
    assert_snapshot!(said, @"");
}

#[test]
fn a_storage_option_nobody_knows_is_refused() {
    let option = "url: out\n  storage:\n    regoin: eu-central-1";
    assert_snapshot!(run(&small_but(PIPELINE, "url: out", option)), @"");
}

#[test]
fn limits_have_units_and_bounds() {
    let project = small();
    let engine = "engine:\n  memory: 8 gigs\n  threads: 0\n";
    project.pipeline("facts.customers", engine);
    change(&project, PIPELINE, "url: orders", "url: orders\n    reject_max: 5");
    change(&project, PIPELINE, "url: out", "url: out\n  keep_runs: many");
    assert_snapshot!(check(&project), @"");
}

#[test]
fn a_selector_that_chooses_nothing_is_told_what_it_probably_means() {
    assert_snapshot!(run_with(&small(), &["--select", "spendres"]), @"");
}

/// A core table of today needs no source but orders; this model does.
#[test]
fn a_table_whose_source_is_absent_is_refused() {
    let project = needs_surveys();
    assert_snapshot!(check(&project), @"");
}

fn needs_surveys() -> Project {
    let project = small();
    project.pipeline("metrics.happy", "");
    let facts = "-- facts.answers: what was answered.\n--\n-- grain   customer_id\n\
                 -- reads   sources.surveys\n-- params  none\n--\n\
                 -- customer_id  id      who\n-- score        bigint  0 to 10\n\n\
                 select customer_id, max(score) as score\nfrom sources.surveys\n\
                 group by customer_id\n";
    let metrics = "-- metrics.happy: who is happy?\n--\n-- grain   customer_id\n\
                   -- reads   facts.answers\n-- params  none\n--\n\
                   -- customer_id  id  who\n\nselect customer_id\nfrom facts.answers\n\
                   where score >= 9\n";
    project.file("sql/facts/answers.sql", facts).file("sql/metrics/happy.sql", metrics);
    project
}

#[test]
fn everything_wrong_is_said_at_once() {
    let project = small_but(PIPELINE, "publish:", "publsh:");
    change(&project, PIPELINE, "metrics.spenders", "metrics.spendres");
    change(&project, PIPELINE, "pipeline: p\n", "pipeline: p\nparams:\n  leest: 2\n");
    change(&project, "sql/metrics/spenders.sql", "from facts.customers", "from facts.custmers");
    change(&project, "sql/facts/customers.sql", "group by", "gruop by");
    assert_snapshot!(check(&project), @"");
}
