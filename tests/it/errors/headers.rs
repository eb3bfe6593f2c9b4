//! A model's header against its query: docs that cannot drift.

use insta::assert_snapshot;

use super::{change, check, small, small_but};

const METRICS: &str = "sql/metrics/spenders.sql";
const FACTS: &str = "sql/facts/customers.sql";

#[test]
fn a_header_names_the_type_the_query_gives() {
    assert_snapshot!(check(&small_but(FACTS, "orders        bigint", "orders        double")), @"
    error: header and query of `facts.customers` disagree on `orders`
     --> sql/facts/customers.sql:8:4
      |
    8 | -- orders        double         how many orders
      |    ^^^^^^
      |
      = header: double
      = query: bigint
      = help: cast it in `final`, or correct the header (`tenure check --fix`)

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_header_describes_no_column_the_query_has_not() {
    assert_snapshot!(check(&small_but(METRICS, "    revenue,\n", "")), @"
    error: the header of `metrics.spenders` has a column `revenue`, the query has not
     --> sql/metrics/spenders.sql:8:4
      |
    8 | -- revenue      decimal(18,2)  their money
      |    ^^^^^^^
      |
      = help: known: customer_id, grade

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_header_describes_every_column_of_the_query() {
    assert_snapshot!(check(&small_but(METRICS, "    revenue,\n", "    revenue,\n    orders,\n")), @"
    error: the query of `metrics.spenders` gives a column `orders` that its header does not describe
      --> sql/metrics/spenders.sql:14:5
       |
    14 |     orders,
       |     ^^^^^^
       |
       = help: describe it, or let `tenure check --fix` write the header

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_header_has_the_order_of_the_query() {
    let project = small_but(
        METRICS,
        "-- revenue      decimal(18,2)  their money\n-- grade        text           the word for it",
        "-- grade        text           the word for it\n-- revenue      decimal(18,2)  their money",
    );
    assert_snapshot!(check(&project), @"
    error: the header of `metrics.spenders` has `grade` where the query has `revenue`
     --> sql/metrics/spenders.sql:8:4
      |
    8 | -- grade        text           the word for it
      |    ^^^^^
      |
      = help: put them in the same order

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_header_names_what_is_read() {
    let project = small();
    change(&project, METRICS, "reads   facts.customers", "reads   facts.orders");
    assert_snapshot!(check(&project), @"
    error: `metrics.spenders` says it reads `facts.orders`, the query does not
     --> sql/metrics/spenders.sql:4:12
      |
    4 | -- reads   facts.orders
      |            ^^^^^^^^^^^^
      |
      = help: known: facts.customers

    error: `metrics.spenders` reads `facts.customers`, its header does not say so
      --> sql/metrics/spenders.sql:16:6
       |
    16 | from facts.customers
       |      ^^^^^^^^^^^^^^^
       |
       = help: add it to `reads`, or let `tenure check --fix` do it

    error: 2 problems in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_header_names_the_parameters_used() {
    assert_snapshot!(check(&small_but(METRICS, "params  grade, least", "params  grade, lest")), @"
    error: `metrics.spenders` uses `$least`, its header does not say so
      --> sql/metrics/spenders.sql:18:17
       |
    18 | where orders >= $least
       |                 ^^^^^^
       |
       = help: add it to `params`, or let `tenure check --fix` do it

    error: `metrics.spenders` says it uses `lest`, the query does not
     --> sql/metrics/spenders.sql:5:19
      |
    5 | -- params  grade, lest
      |                   ^^^^
      |
      = help: did you mean `least`?

    error: 2 problems in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_header_has_the_name_of_its_path() {
    assert_snapshot!(check(&small_but(METRICS, "metrics.spenders:", "metrics.buyers:")), @"
    error: the header of `metrics.spenders` names it `metrics.buyers`
     --> sql/metrics/spenders.sql:1:4
      |
    1 | -- metrics.buyers: who brings the most?
      |    ^^^^^^^^^^^^^^
      |
      = help: the path is the name; correct the header

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_grain_is_made_of_columns() {
    assert_snapshot!(check(&small_but(METRICS, "grain   customer_id", "grain   custmer_id")), @"
    error: the grain of `metrics.spenders` names no column `custmer_id`
     --> sql/metrics/spenders.sql:3:12
      |
    3 | -- grain   custmer_id
      |            ^^^^^^^^^^
      |
      = help: did you mean `customer_id`?

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_table_has_a_grain() {
    assert_snapshot!(check(&small_but(METRICS, "-- grain   customer_id\n", "")), @"
    error: the header of `metrics.spenders` states no grain
     --> sql/metrics/spenders.sql:1:1
      |
    1 | -- metrics.spenders: who brings the most?
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: add `-- grain   column, …`: the columns that name a row

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_column_has_a_type_there_is() {
    let project = small_but(METRICS, "grade        text  ", "grade        string");
    assert_snapshot!(check(&project), @"
    error: no column type `string`
     --> sql/metrics/spenders.sql:9:17
      |
    9 | -- grade        string         the word for it
      |                 ^^^^^^
      |
      = help: types: id, text, bigint, double, boolean, date, timestamp, decimal(p,s)

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_model_has_a_header() {
    let project = small();
    let text = std::fs::read_to_string(project.path(METRICS)).expect("a file");
    let body = text.find("select").expect("a query");
    project.file(METRICS, &text[body..]);
    assert_snapshot!(check(&project), @"
    error: `metrics.spenders` has no header
     --> sql/metrics/spenders.sql:1:1
      |
    1 | select
      | ^^^^^^
      |
      = help: begin the file with `-- metrics.spenders: what it says`, or let `tenure check --fix` write one

    error: `metrics.spenders` uses `$grade`, its header does not say so
     --> sql/metrics/spenders.sql:4:5
      |
    4 |     $grade as grade
      |     ^^^^^^
      |
      = help: add it to `params`, or let `tenure check --fix` do it

    error: `metrics.spenders` uses `$least`, its header does not say so
     --> sql/metrics/spenders.sql:8:17
      |
    8 | where orders >= $least
      |                 ^^^^^^
      |
      = help: add it to `params`, or let `tenure check --fix` do it

    error: `metrics.spenders` reads `facts.customers`, its header does not say so
     --> sql/metrics/spenders.sql:6:6
      |
    6 | from facts.customers
      |      ^^^^^^^^^^^^^^^
      |
      = help: add it to `reads`, or let `tenure check --fix` do it

    error: 4 problems in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_misspelt_list_is_named_and_the_rest_is_read() {
    let project = small_but("sql/metrics/spenders.sql", "-- grain ", "-- grian ");
    assert_snapshot!(check(&project), @"
    error: a header declares no `grian`
     --> sql/metrics/spenders.sql:3:4
      |
    3 | -- grian   customer_id
      |    ^^^^^
      |
      = help: did you mean `grain`?

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
    let fixed = project.tenure(&["check", "pipelines/p.yaml", "--fix"]);
    assert!(fixed.stderr.contains("a header declares no `grian`"), "{}", fixed.stderr);
}

#[test]
fn a_header_that_an_empty_line_cuts_off_is_told_so() {
    let project = small_but("sql/metrics/spenders.sql", "--\n-- grain ", "\n-- grain ");
    assert_snapshot!(check(&project), @"
    error: the header ends at the empty line above this one
     --> sql/metrics/spenders.sql:3:4
      |
    3 | -- grain   customer_id
      |    ^^^^^^^^^^^^^^^^^^^
      |
      = help: write `--` in that line

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_folder_that_holds_no_models_is_named() {
    let project = small();
    project.file("sql/marts/x.sql", "-- marts.x: what\n--\n-- grain   a\n\nselect 1 as a\n");
    assert_snapshot!(check(&project), @"
    error: no folder of models is called `marts`
    --> sql/marts/x.sql
     = help: models stand in staging, facts, metrics, rules, checks
    exit 2
    ");
}

#[test]
fn a_check_may_describe_its_columns() {
    let project = small();
    let text = "-- checks.described: none is.\n--\n-- reads   facts.customers\n-- params  none\n\
                --\n-- customer_id   id   who\n\nselect customer_id from facts.customers where false\n";
    project.file("sql/checks/described.sql", text);
    assert!(check(&project).contains("all sound"), "{}", check(&project));
}

#[test]
fn a_day_column_is_not_published() {
    let file = "sql/metrics/spenders.sql";
    let project = small_but(file, "-- grade        text ", "-- as_of        text ");
    change(&project, file, "$grade as grade", "$grade as as_of");
    assert_snapshot!(check(&project), @"
    error: `metrics.spenders` cannot be published with a column `as_of`
     --> sql/metrics/spenders.sql:9:4
      |
    9 | -- as_of        text           the word for it
      |    ^^^^^
      |
      = note: every published table has one: the day it is about
      = help: give the column another name

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_table_does_not_share_the_folder_of_what_is_set_aside() {
    let project = small();
    let text = std::fs::read_to_string(project.path("sql/metrics/spenders.sql")).expect("a file");
    let text = text.replace("metrics.spenders", "metrics.quarantine_orders");
    project.file("sql/metrics/quarantine_orders.sql", &text);
    project.pipeline("metrics.quarantine_orders", "");
    assert_snapshot!(check(&project), @"
    error: `quarantine.orders` and `metrics.quarantine_orders` would be published to one folder
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

#[test]
fn comments_of_a_query_and_notes_of_a_check_are_no_lists() {
    let project = small_but(
        "sql/metrics/spenders.sql",
        "\nselect\n",
        "\n-- reads facts.customers\n-- grain customer_id\n-- params x\nselect\n",
    );
    let check_ = "sql/checks/money_is_earned.sql";
    change(&project, check_, "-- reads ", "-- Asked for by finance.\n-- owner   bi\n-- reads ");
    assert!(check(&project).contains("all sound"), "{}", check(&project));
}

#[test]
fn lists_are_found_behind_prose_and_named_where_they_end_in_colons() {
    let file = "sql/metrics/spenders.sql";
    let project =
        small_but(file, "--\n-- grain ", "--\n-- Who spends, and how much.\n--\n-- grain ");
    assert!(check(&project).contains("all sound"), "{}", check(&project));
    let project = small_but(file, "-- grain ", "-- grain: ");
    change(&project, file, "-- reads ", "-- reads: ");
    change(&project, file, "-- params ", "-- Params: ");
    assert_snapshot!(check(&project), @"
    error: a header declares no `grain:`
     --> sql/metrics/spenders.sql:3:4
      |
    3 | -- grain:   customer_id
      |    ^^^^^^
      |
      = help: write `grain`

    error: a header declares no `reads:`
     --> sql/metrics/spenders.sql:4:4
      |
    4 | -- reads:   facts.customers
      |    ^^^^^^
      |
      = help: write `reads`

    error: a header declares no `Params:`
     --> sql/metrics/spenders.sql:5:4
      |
    5 | -- Params:  grade, least
      |    ^^^^^^^
      |
      = help: write `params`

    error: 3 problems in 1 file; nothing was run
    exit 2
    ");
    let project = small_but(file, "--\n-- customer_id ", "\n-- customer_id ");
    assert_snapshot!(check(&project), @"
    error: the header ends at the empty line above this one
     --> sql/metrics/spenders.sql:7:4
      |
    7 | -- customer_id  id             who
      |    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write `--` in that line

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}
