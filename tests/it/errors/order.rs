//! Who reads whom: tables there are, arrows one way, no circles.

use insta::assert_snapshot;

use super::{change, check, small, small_but};

const METRICS: &str = "sql/metrics/spenders.sql";

#[test]
fn a_table_that_is_not_there_is_told_what_it_probably_means() {
    let project = small_but(METRICS, "from facts.customers", "from facts.custmers");
    assert_snapshot!(check(&project), @"
    error: no table `facts.custmers`
      --> sql/metrics/spenders.sql:16:6
       |
    16 | from facts.custmers
       |      ^^^^^^^^^^^^^^
       |
       = help: did you mean `facts.customers`?

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_table_has_a_schema() {
    assert_snapshot!(check(&small_but(METRICS, "from facts.customers", "from customers")), @"
    error: `customers` is not a table of this project
      --> sql/metrics/spenders.sql:16:6
       |
    16 | from customers
       |      ^^^^^^^^^
       |
       = help: tables are named `schema.table`, such as `facts.orders`

    error: `metrics.spenders` says it reads `facts.customers`, the query does not
     --> sql/metrics/spenders.sql:4:12
      |
    4 | -- reads   facts.customers
      |            ^^^^^^^^^^^^^^^

    error: 2 problems in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn metrics_do_not_read_staging() {
    let project = small();
    change(&project, METRICS, "from facts.customers", "from staging.orders");
    change(&project, METRICS, "reads   facts.customers", "reads   staging.orders");
    assert_snapshot!(check(&project), @"
    error: `metrics.spenders` reads `staging.orders`
      --> sql/metrics/spenders.sql:16:6
       |
    16 | from staging.orders
       |      ^^^^^^^^^^^^^^
       |
       = note: metrics read facts, metrics, rules and models, so that each cleaning rule has one home

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn facts_do_not_read_the_source_of_orders() {
    let project = small();
    let facts = "sql/facts/customers.sql";
    change(&project, facts, "from staging.orders", "from sources.orders");
    change(&project, facts, "reads   staging.orders", "reads   sources.orders");
    assert_snapshot!(check(&project), @"
    error: `facts.customers` reads `sources.orders`
      --> sql/facts/customers.sql:19:6
       |
    19 | from sources.orders
       |      ^^^^^^^^^^^^^^
       |
       = note: facts read staging, facts and rules

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn tables_do_not_depend_on_each_other_in_a_circle() {
    let project = small();
    let again = "-- metrics.again: the spenders, again.\n--\n-- grain   customer_id\n\
                 -- reads   metrics.spenders\n-- params  none\n--\n\
                 -- customer_id  id  who\n\nselect customer_id\nfrom metrics.spenders\n";
    project.file("sql/metrics/again.sql", again);
    change(
        &project,
        METRICS,
        "-- reads   facts.customers",
        "-- reads   facts.customers, metrics.again",
    );
    change(
        &project,
        METRICS,
        "where orders",
        "where customer_id in (select customer_id from metrics.again) and orders",
    );
    assert_snapshot!(check(&project), @"
    error: tables depend on each other in a circle
      --> sql/metrics/again.sql:10:6
       |
    10 | from metrics.spenders
       |      ^^^^^^^^^^^^^^^^
       |
       = circle: metrics.spenders -> metrics.again -> metrics.spenders

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_table_does_not_read_itself() {
    let project = small();
    change(
        &project,
        METRICS,
        "reads   facts.customers",
        "reads   facts.customers, metrics.spenders",
    );
    change(
        &project,
        METRICS,
        "where orders",
        "where customer_id in (select customer_id from metrics.spenders) and orders",
    );
    assert_snapshot!(check(&project), @"
    error: tables depend on each other in a circle
      --> sql/metrics/spenders.sql:18:47
       |
    18 | where customer_id in (select customer_id from metrics.spenders) and orders >= $least
       |                                               ^^^^^^^^^^^^^^^^
       |
       = circle: metrics.spenders -> metrics.spenders

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn two_tables_do_not_share_a_folder() {
    let project = small();
    let twin = "-- metrics.customers: everyone.\n--\n-- grain   customer_id\n\
                -- reads   facts.customers\n-- params  none\n--\n\
                -- customer_id  id  who\n\nselect customer_id\nfrom facts.customers\n";
    project.file("sql/metrics/customers.sql", twin);
    project.pipeline("facts.customers, metrics.customers", "");
    assert_snapshot!(check(&project), @"
    error: `facts.customers` and `metrics.customers` would be published to one folder
     --> pipelines/p.yaml:1:11
      |
    1 | pipeline: p
      |           ^
      |
      = help: rename one of them

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

/// A model that cannot be read is spoken of once, not by everyone who reads it.
#[test]
fn a_broken_file_is_no_missing_table() {
    assert_snapshot!(check(&small_but("sql/facts/customers.sql", "count(*) as", "count(* as")), @"
    error: not valid SQL: expected: ), found: as
      --> sql/facts/customers.sql:15:13
       |
    15 |     count(* as orders,
       |             ^^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_circle_is_found_though_no_pipeline_lists_it() {
    let project = small();
    let model = |name: &str, reads: &str| {
        let header =
            format!("-- metrics.{name}: a half of a circle.\n--\n-- grain   customer_id\n");
        let header = format!("{header}-- reads   metrics.{reads}\n-- params  none\n--\n");
        let columns = "-- customer_id  id  who\n\nselect customer_id\n\n";
        project.file(
            &format!("sql/metrics/{name}.sql"),
            &format!("{header}{columns}from metrics.{reads}\n"),
        );
    };
    model("hen", "egg");
    model("egg", "hen");
    assert_snapshot!(check(&project), @"
    error: tables depend on each other in a circle
      --> sql/metrics/hen.sql:11:6
       |
    11 | from metrics.egg
       |      ^^^^^^^^^^^
       |
       = circle: metrics.egg -> metrics.hen -> metrics.egg

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}
