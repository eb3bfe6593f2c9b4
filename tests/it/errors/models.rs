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
    assert_snapshot!(check(&small_but(METRICS, "from facts", "form facts")), @"
    error: not valid SQL: expected: end of statement, found: form
      --> sql/metrics/spenders.sql:16:1
       |
    16 | form facts.customers
       | ^^^^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_query_that_breaks_off_is_shown_at_its_end() {
    assert_snapshot!(check(&small_but(METRICS, ">= $least", ">=")), @"
    error: not valid SQL: expected: an expression, found: EOF
      --> sql/metrics/spenders.sql:18:17
       |
    18 | where orders >=
       |                ^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn an_open_quote_is_shown() {
    assert_snapshot!(check(&small_but(METRICS, "$grade as", "'gold as")), @"
    error: not valid SQL: unterminated string literal
      --> sql/metrics/spenders.sql:14:5
       |
    14 |     'gold as grade
       |     ^^^^^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn an_unknown_column_is_told_what_it_probably_means() {
    assert_snapshot!(check(&small_but(METRICS, "    revenue,", "    revenu as revenue,")), @"
    error: no column `revenu`
      --> sql/metrics/spenders.sql:13:5
       |
    13 |     revenu as revenue,
       |     ^^^^^^
       |
       = help: did you mean `revenue`?

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn an_unknown_column_of_a_table_is_told_too() {
    let project = small_but(METRICS, "where orders", "where customers.order");
    assert_snapshot!(check(&project), @"
    error: no column `customers.order`
      --> sql/metrics/spenders.sql:18:7
       |
    18 | where customers.order >= $least
       |       ^^^^^^^^^^^^^^^
       |
       = help: did you mean `orders`?

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn an_unknown_function_is_named() {
    assert_snapshot!(check(&small_but(METRICS, "$grade as", "uper($grade) as")), @"
    error: `metrics.spenders` does not plan: Invalid function 'uper'.
      --> sql/metrics/spenders.sql:14:5
       |
    14 |     uper($grade) as grade
       |     ^^^^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn types_that_do_not_fit_are_named() {
    assert_snapshot!(check(&small_but(METRICS, "orders >= $least", "orders >= $least and revenue")), @"
    error: `metrics.spenders` does not plan: Cannot infer common argument type for logical boolean operation Boolean AND Decimal128(18, 2)
     --> sql/metrics/spenders.sql:1:1
      |
    1 | -- metrics.spenders: who brings the most?
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_column_that_is_not_grouped_is_named() {
    assert_snapshot!(check(&small_but(METRICS, "    revenue,", "    sum(revenue) as revenue,")), @r#"
    error: `metrics.spenders` does not plan: Column in SELECT must be in GROUP BY or an aggregate function: While expanding wildcard, column "facts.customers.customer_id" must appear in the GROUP BY clause or must be part of an aggregate function, currently only "sum(facts.customers.revenue)" appears in the SELECT clause satisfies this requirement
      --> sql/metrics/spenders.sql:12:5
       |
    12 |     customer_id,
       |     ^^^^^^^^^^^

    error: 1 problem in 1 file; nothing was run
    exit 2
    "#);
}

#[test]
fn a_model_does_not_insert() {
    assert_snapshot!(check(&query("insert into facts.customers select 1")), @"
    error: a model is a query, but this is `insert`
      --> sql/metrics/spenders.sql:11:1
       |
    11 | insert into facts.customers select 1
       | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = note: tenure writes the table; the file only says what is in it
       = help: begin with `select` or `with`

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_model_does_not_copy() {
    assert_snapshot!(check(&query("copy facts.customers to '/tmp/customers.parquet'")), @"
    error: a model is a query, but this is `copy`
      --> sql/metrics/spenders.sql:11:1
       |
    11 | copy facts.customers to '/tmp/customers.parquet'
       | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = note: tenure writes the table; the file only says what is in it
       = help: begin with `select` or `with`

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_model_does_not_create() {
    assert_snapshot!(check(&query("create table x as select 1 as one")), @"
    error: a model is a query, but this is `create`
      --> sql/metrics/spenders.sql:11:1
       |
    11 | create table x as select 1 as one
       | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = note: tenure writes the table; the file only says what is in it
       = help: begin with `select` or `with`

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_model_does_not_create_outside_either() {
    let sql = "create external table x stored as parquet location '/etc/passwd'";
    assert_snapshot!(check(&query(sql)), @"
    error: a model is a query, but this is `create`
      --> sql/metrics/spenders.sql:11:1
       |
    11 | create external table x stored as parquet location '/etc/passwd'
       | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = note: tenure writes the table; the file only says what is in it
       = help: begin with `select` or `with`

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_model_is_one_query() {
    assert_snapshot!(check(&query("select 1;\nselect 2;")), @"
    error: a model is one query, but here are 2 statements
      --> sql/metrics/spenders.sql:11:1
       |
    11 | select 1;
       | ^^^^^^^^^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_model_has_a_query() {
    assert_snapshot!(check(&query("")), @"
    error: the file has no query
     --> sql/metrics/spenders.sql:1:1
      |
    1 | -- metrics.spenders: who brings the most?
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_model_reads_no_file() {
    let file = "where orders in (select 1 from '/etc/passwd') and orders";
    assert_snapshot!(check(&small_but(METRICS, "where orders", file)), @"
    error: `metrics.spenders` does not plan: table 'datafusion.public./etc/passwd' not found
     --> sql/metrics/spenders.sql:1:1
      |
    1 | -- metrics.spenders: who brings the most?
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_model_may_not_ask_for_the_time() {
    let project = small_but(METRICS, "where orders", "where now() > date '2024-01-01' and orders");
    assert_snapshot!(check(&project), @"
    error: `now` may not be used in a model
      --> sql/metrics/spenders.sql:18:7
       |
    18 | where now() > date '2024-01-01' and orders >= $least
       |       ^^^
       |
       = note: the same orders and parameters must give the same table, on any day
       = help: the day is `$as_of`

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_model_may_not_ask_for_the_day() {
    let project =
        small_but(METRICS, "where orders", "where current_date > '2024-01-01' and orders");
    assert_snapshot!(check(&project), @"
    error: `current_date` may not be used in a model
      --> sql/metrics/spenders.sql:18:7
       |
    18 | where current_date > '2024-01-01' and orders >= $least
       |       ^^^^^^^^^^^^
       |
       = note: the same orders and parameters must give the same table, on any day
       = help: the day is `$as_of`

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_model_may_not_throw_dice() {
    assert_snapshot!(check(&small_but(METRICS, "where orders", "where random() < 0.5 and orders")), @"
    error: `random` may not be used in a model
      --> sql/metrics/spenders.sql:18:7
       |
    18 | where random() < 0.5 and orders >= $least
       |       ^^^^^^
       |
       = note: the same orders and parameters must give the same table, on any day

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_model_may_not_estimate() {
    let sql = "select customer_id, cast(approx_distinct(revenue) as decimal(18,2)) as revenue,\n    \
               $grade as grade\nfrom facts.customers where orders > $least\ngroup by customer_id";
    assert_snapshot!(check(&query(sql)), @"
    error: `approx_distinct` may not be used in a model
      --> sql/metrics/spenders.sql:11:26
       |
    11 | select customer_id, cast(approx_distinct(revenue) as decimal(18,2)) as revenue,
       |                          ^^^^^^^^^^^^^^^
       |
       = note: the same orders and parameters must give the same table, on any day

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_model_stands_in_a_folder_of_a_schema() {
    let project = small();
    project.file("sql/loose.sql", "select 1");
    assert_snapshot!(check(&project), @"
    error: a model stands in `sql/<schema>/<table>.sql`
    --> sql/loose.sql
    exit 2
    ");
}
