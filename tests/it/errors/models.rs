//! One `.sql` file: one query that only reads, gives the same rows on any day,
//! and names columns there are.

use insta::assert_snapshot;

use super::{check, small, small_but};
use crate::project::Project;

const METRICS: &str = "sql/metrics/spenders.sql";

/// The small project with another query under the header of its metric.
fn query(sql: &str) -> Project {
    let project = small();
    let text = std::fs::read_to_string(project.path(METRICS)).expect("a file");
    let (header, _) = text.split_once("\nselect").expect("a query");
    project.file(METRICS, &format!("{header}\n{sql}\n"));
    project
}

#[test]
fn wrong_sql_is_shown_where_it_stops_making_sense() {
    assert_snapshot!(check(&small_but(METRICS, "from facts", "form facts")), @"");
}

#[test]
fn a_query_that_breaks_off_is_shown_at_its_end() {
    assert_snapshot!(check(&small_but(METRICS, ">= $least", ">=")), @"");
}

#[test]
fn an_open_quote_is_shown() {
    assert_snapshot!(check(&small_but(METRICS, "$grade as", "'gold as")), @"");
}

#[test]
fn an_unknown_column_is_told_what_it_probably_means() {
    assert_snapshot!(check(&small_but(METRICS, "    revenue,", "    revenu as revenue,")), @"");
}

#[test]
fn an_unknown_column_of_a_table_is_told_too() {
    let project = small_but(METRICS, "where orders", "where customers.order");
    assert_snapshot!(check(&project), @"");
}

#[test]
fn an_unknown_function_is_named() {
    assert_snapshot!(check(&small_but(METRICS, "$grade as", "uper($grade) as")), @"");
}

#[test]
fn types_that_do_not_fit_are_named() {
    assert_snapshot!(check(&small_but(METRICS, "orders >= $least", "orders >= $least and revenue")), @"");
}

#[test]
fn a_column_that_is_not_grouped_is_named() {
    assert_snapshot!(check(&small_but(METRICS, "    revenue,", "    sum(revenue) as revenue,")), @"");
}

#[test]
fn a_model_does_not_insert() {
    assert_snapshot!(check(&query("insert into facts.customers select 1")), @"");
}

#[test]
fn a_model_does_not_copy() {
    assert_snapshot!(check(&query("copy facts.customers to '/tmp/customers.parquet'")), @"");
}

#[test]
fn a_model_does_not_create() {
    assert_snapshot!(check(&query("create table x as select 1 as one")), @"");
}

#[test]
fn a_model_does_not_create_outside_either() {
    let sql = "create external table x stored as parquet location '/etc/passwd'";
    assert_snapshot!(check(&query(sql)), @"");
}

#[test]
fn a_model_is_one_query() {
    assert_snapshot!(check(&query("select 1;\nselect 2;")), @"");
}

#[test]
fn a_model_has_a_query() {
    assert_snapshot!(check(&query("")), @"");
}

#[test]
fn a_model_reads_no_file() {
    let file = "where orders in (select 1 from '/etc/passwd') and orders";
    assert_snapshot!(check(&small_but(METRICS, "where orders", file)), @"");
}

#[test]
fn a_model_may_not_ask_for_the_time() {
    let project = small_but(METRICS, "where orders", "where now() > date '2024-01-01' and orders");
    assert_snapshot!(check(&project), @"");
}

#[test]
fn a_model_may_not_ask_for_the_day() {
    let project =
        small_but(METRICS, "where orders", "where current_date > '2024-01-01' and orders");
    assert_snapshot!(check(&project), @"");
}

#[test]
fn a_model_may_not_throw_dice() {
    assert_snapshot!(check(&small_but(METRICS, "where orders", "where random() < 0.5 and orders")), @"");
}

#[test]
fn a_model_may_not_estimate() {
    let sql = "select customer_id, cast(approx_distinct(revenue) as decimal(18,2)) as revenue,\n    \
               $grade as grade\nfrom facts.customers where orders > $least\ngroup by customer_id";
    assert_snapshot!(check(&query(sql)), @"");
}

#[test]
fn a_model_stands_in_a_folder_of_a_schema() {
    let project = small();
    project.file("sql/loose.sql", "select 1");
    assert_snapshot!(check(&project), @"");
}
