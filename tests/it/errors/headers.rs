//! A model's header against its query: docs that cannot drift.

use insta::assert_snapshot;

use super::{change, check, said, small, small_but};

const METRICS: &str = "sql/metrics/spenders.sql";
const FACTS: &str = "sql/facts/customers.sql";

#[test]
fn a_header_names_the_type_the_query_gives() {
    assert_snapshot!(check(&small_but(FACTS, "orders        bigint", "orders        double")), @"");
}

#[test]
fn a_header_describes_no_column_the_query_has_not() {
    assert_snapshot!(check(&small_but(METRICS, "    revenue,\n", "")), @"");
}

#[test]
fn a_header_describes_every_column_of_the_query() {
    assert_snapshot!(check(&small_but(METRICS, "    revenue,\n", "    revenue,\n    orders,\n")), @"");
}

#[test]
fn a_header_has_the_order_of_the_query() {
    let project = small_but(
        METRICS,
        "-- revenue      decimal(18,2)  their money\n-- grade        text           the word for it",
        "-- grade        text           the word for it\n-- revenue      decimal(18,2)  their money",
    );
    assert_snapshot!(check(&project), @"");
}

#[test]
fn a_header_names_what_is_read() {
    let project = small();
    change(&project, METRICS, "reads   facts.customers", "reads   facts.orders");
    assert_snapshot!(check(&project), @"");
}

#[test]
fn a_header_names_the_parameters_used() {
    assert_snapshot!(check(&small_but(METRICS, "params  grade, least", "params  grade, lest")), @"");
}

#[test]
fn a_header_has_the_name_of_its_path() {
    assert_snapshot!(check(&small_but(METRICS, "metrics.spenders:", "metrics.buyers:")), @"");
}

#[test]
fn a_grain_is_made_of_columns() {
    assert_snapshot!(check(&small_but(METRICS, "grain   customer_id", "grain   custmer_id")), @"");
}

#[test]
fn a_table_has_a_grain() {
    assert_snapshot!(check(&small_but(METRICS, "-- grain   customer_id\n", "")), @"");
}

#[test]
fn a_column_has_a_type_there_is() {
    let project = small_but(METRICS, "grade        text  ", "grade        string");
    assert_snapshot!(check(&project), @"");
}

#[test]
fn a_model_has_a_header() {
    let project = small();
    let text = std::fs::read_to_string(project.path(METRICS)).expect("a file");
    let body = text.find("select").expect("a query");
    project.file(METRICS, &text[body..]);
    assert_snapshot!(check(&project), @"");
}

/// What `check` complains about in a header, `check --fix` writes.
#[test]
fn a_header_can_be_written_anew() {
    let project = small_but(METRICS, "    revenue,\n", "    orders,\n    revenue,\n");
    change(&project, METRICS, "params  grade, least", "params  grade");
    change(&project, FACTS, "orders        bigint", "orders        double");
    let fixed = project.tenure(&["check", "pipelines/p.yaml", "--fix"]);
    assert_eq!(fixed.code, 0, "{}", fixed.stderr);
    let rewritten: Vec<&str> =
        fixed.stdout.lines().filter(|line| line.starts_with("rewrote")).collect();
    assert_snapshot!(rewritten.join("\n"), @"");
    let text = std::fs::read_to_string(project.path(METRICS)).expect("a file");
    let (header, _) = text.split_once("\n\n").expect("a header");
    assert_snapshot!(header, @"");
    let again = project.tenure(&["check", "pipelines/p.yaml", "--fix"]);
    assert!(!said(&again).contains("rewrote"), "the second time there is nothing to do");
}
