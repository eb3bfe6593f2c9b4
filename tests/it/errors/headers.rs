//! A model's header against its query: docs that cannot drift.

use insta::assert_snapshot;

use super::{change, check, said, small, small_but};
use crate::project::Project;

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
    assert_snapshot!(rewritten.join("\n"), @"
    rewrote the header of sql/facts/customers.sql
    rewrote the header of sql/metrics/spenders.sql
    ");
    let text = std::fs::read_to_string(project.path(METRICS)).expect("a file");
    let (header, _) = text.split_once("\n\n").expect("a header");
    assert_snapshot!(header, @"
    -- metrics.spenders: who brings the most?
    --
    -- grain   customer_id
    -- reads   facts.customers
    -- params  grade, least
    --
    -- customer_id  id             who
    -- orders       bigint         (say what it means)
    -- revenue      decimal(18,2)  their money
    -- grade        text           the word for it
    ");
    let again = project.tenure(&["check", "pipelines/p.yaml", "--fix"]);
    assert!(!said(&again).contains("rewrote"), "the second time there is nothing to do");
}

/// The small project with another head before the query of `metrics.spenders`,
/// lines ending as told, after `check --fix`: what that says, and the file.
fn fixed(head: &str, end: &str) -> (String, String) {
    let project = small();
    let text = std::fs::read_to_string(project.path(METRICS)).expect("a file");
    let query = text[text.find("select").expect("a query")..].replace('\n', end);
    project.file(METRICS, &format!("{head}{query}"));
    let said = said(&project.tenure(&["check", "pipelines/p.yaml", "--fix"]));
    assert!(said.contains("rewrote the header of sql/metrics/spenders.sql"), "{said}");
    let text = std::fs::read_to_string(project.path(METRICS)).expect("a file");
    let header = text.strip_suffix(&format!("{end}{end}{query}"));
    let header = header.unwrap_or_else(|| panic!("the query is another:\n{text}")).to_string();
    project.tenure(&["check", "pipelines/p.yaml", "--fix"]);
    let again = std::fs::read_to_string(project.path(METRICS)).expect("a file");
    assert_eq!(again, text, "the second time there is nothing to do");
    (said, header)
}

#[test]
fn a_header_is_written_before_a_bare_query() {
    let (said, header) = fixed("", "\n");
    assert_snapshot!(header, @"
    -- metrics.spenders: (say what it is)
    --
    -- reads   facts.customers
    -- params  grade, least
    --
    -- customer_id  id             (say what it means)
    -- revenue      decimal(18,2)  (say what it means)
    -- grade        text           (say what it means)
    ");
    // Which columns name a row, only its author knows.
    assert!(said.contains("the header of `metrics.spenders` states no grain"), "{said}");
    assert!(said.contains("error: 1 problem in 1 file"), "{said}");
}

#[test]
fn a_header_without_empty_lines_keeps_its_lists() {
    let (said, header) = fixed("-- metrics.spenders: who?\n-- grain customer_id\n", "\n");
    assert_snapshot!(header, @"
    -- metrics.spenders: who?
    --
    -- grain   customer_id
    -- reads   facts.customers
    -- params  grade, least
    --
    -- customer_id  id             (say what it means)
    -- revenue      decimal(18,2)  (say what it means)
    -- grade        text           (say what it means)
    ");
    assert!(said.ends_with("exit 0"), "{said}");
}

#[test]
fn words_that_are_no_header_stay() {
    let head = "\
-- my table
-- grain  customer_id
-- reads  facts.customers (of the day)
--
-- revenue  money  what they pay
-- orders   bigint  how often
--
-- Ask before you change this.
";
    let (said, header) = fixed(head, "\n");
    assert_snapshot!(header, @"
    -- metrics.spenders: my table
    --
    -- grain   customer_id
    -- reads   facts.customers
    -- params  grade, least
    --
    -- customer_id  id             (say what it means)
    -- revenue      decimal(18,2)  (say what it means)
    -- grade        text           (say what it means)
    --
    -- reads  facts.customers (of the day)
    --
    -- revenue  money  what they pay
    -- orders   bigint  how often
    --
    -- Ask before you change this.
    ");
    assert!(said.ends_with("exit 0"), "{said}");
}

#[test]
fn a_header_ends_its_lines_as_the_query_does() {
    let (said, header) = fixed("\u{feff}-- who?\r\n-- grain  customer_id\r\n", "\r\n");
    assert!(said.ends_with("exit 0"), "{said}");
    assert!(header.starts_with("\u{feff}-- metrics.spenders: who?\r\n--\r\n"), "{header:?}");
    assert_eq!(header.matches('\n').count(), header.matches("\r\n").count(), "{header:?}");
}

#[test]
fn what_no_header_can_describe_is_left_alone() {
    let more = "    revenue,\n    cast(orders as int) as orders,\n    orders + 1,\n";
    let project = small_but(METRICS, "    revenue,\n", more);
    let before = std::fs::read_to_string(project.path(METRICS)).expect("a file");
    assert_snapshot!(said(&project.tenure(&["check", "pipelines/p.yaml", "--fix"])), @"
    error: the query of `metrics.spenders` gives `orders` the type Int32, which no header knows
      --> sql/metrics/spenders.sql:14:10
       |
    14 |     cast(orders as int) as orders,
       |          ^^^^^^
       |
       = help: cast it: types are text, bigint, double, boolean, date, timestamp, decimal(p,s)

    error: the query of `metrics.spenders` gives a column `facts.customers.orders + Int64(1)`, which no header can name
     --> sql/metrics/spenders.sql:1:1
      |
    1 | -- metrics.spenders: who brings the most?
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: name it in one word: `… as name`

    error: 2 problems in 1 file; nothing was run
    exit 2
    ");
    assert_eq!(std::fs::read_to_string(project.path(METRICS)).expect("a file"), before);
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
fn a_query_without_a_header_that_does_not_plan_says_why() {
    let project = small();
    project.file("sql/metrics/bare.sql", "select customer_id, nett from facts.customers\n");
    let fixed = project.tenure(&["check", "pipelines/p.yaml", "--fix"]);
    assert_snapshot!(super::said(&fixed), @"
    error: no column `nett`
     --> sql/metrics/bare.sql:1:21
      |
    1 | select customer_id, nett from facts.customers
      |                     ^^^^
      |
      = help: known: customer_id, orders, revenue, recency_days

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn an_id_has_the_type_of_an_id_whatever_it_is_called() {
    let project = small();
    project.file(
        "sql/metrics/bare.sql",
        "select customer_id as buyer, count(*) as n_id from facts.customers group by customer_id\n",
    );
    project.tenure(&["check", "pipelines/p.yaml", "--fix"]);
    let text = std::fs::read_to_string(project.path("sql/metrics/bare.sql")).expect("a file");
    assert_snapshot!(text, @"
    -- metrics.bare: (say what it is)
    --
    -- reads   facts.customers
    -- params  none
    --
    -- buyer  id      (say what it means)
    -- n_id   bigint  (say what it means)

    select customer_id as buyer, count(*) as n_id from facts.customers group by customer_id
    ");
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
fn headers_of_the_standard_models_need_no_fixing() {
    let project = Project::with_models();
    project.orders("orders/o.parquet", super::ORDERS);
    project.pipeline("facts.customers", "");
    let fixed = project.tenure(&["check", "pipelines/p.yaml", "--fix"]);
    assert_eq!(fixed.code, 0, "{}", fixed.stderr);
    assert!(!fixed.stdout.contains("rewrote"), "{}", fixed.stdout);
}

#[test]
fn a_query_over_ids_that_are_texts_is_described() {
    let project = small();
    let query = "select substr(customer_id, 1, 1) as first, count(*) as n from facts.customers \
                 group by 1\n";
    project.file("sql/metrics/bare.sql", query);
    project.tenure(&["check", "pipelines/p.yaml", "--fix"]);
    let text = std::fs::read_to_string(project.path("sql/metrics/bare.sql")).expect("a file");
    assert!(text.contains("-- first  text    (say what it means)\n-- n      bigint"), "{text}");
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
