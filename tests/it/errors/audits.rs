//! What the audit finds: exit code 3, and nothing is published.

use insta::{assert_snapshot, with_settings};

use super::{change, run, said, small, small_but};
use crate::project::Project;

const FACTS: &str = "sql/facts/customers.sql";

/// The id of a run, which is another each time.
const RUN: (&str, &str) = (r"\d{8}T\d{9}Z-[0-9a-f]{8}", "[RUN]");

#[test]
fn a_key_that_stands_twice_stops_the_run() {
    let project = small_but(FACTS, "group by customer_id", "group by customer_id, order_date");
    assert_snapshot!(run(&project), @"
    error: audit failed for `facts.customers`; nothing was published
    --> sql/facts/customers.sql
     = check: grain (customer_id) must be unique and not null
     = found: the key stands twice
     = row:
            customer_id  orders  revenue  recency_days
            7            1       30.00    120
     = help: is the grain in the header right? else a join in the query multiplies rows
    exit 3
    ");
}

#[test]
fn a_key_that_is_null_stops_the_run() {
    let project = small_but(
        FACTS,
        "select\n    customer_id,\n",
        "select\n    case when max(amount) < 20 then null else customer_id end as customer_id,\n",
    );
    assert_snapshot!(run(&project), @"
    error: audit failed for `facts.customers`; nothing was published
    --> sql/facts/customers.sql
     = check: grain (customer_id) must be unique and not null
     = found: `customer_id` is null
     = row:
            customer_id  orders  revenue  recency_days
            null         1       12.50    50
     = help: is the grain in the header right? else a join in the query multiplies rows
    exit 3
    ");
}

#[test]
fn a_check_that_finds_something_stops_the_run() {
    let project = small_but("sql/checks/money_is_earned.sql", "revenue < 0", "revenue < 40");
    assert_snapshot!(run(&project), @"
    error: check `checks.money_is_earned` found 1 counter-examples; nothing was published
     --> sql/checks/money_is_earned.sql:1:1
      |
    1 | -- checks.money_is_earned: nobody brings less than nothing.
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = check: nobody brings less than nothing.
      = found:
               customer_id  revenue
               8            12.50
      = help: the rows contradict what the check says: correct the query that makes them, or the check; `tenure show PIPELINE TABLE --run RUN` shows what this run had made
    exit 3
    ");
}

#[test]
fn all_checks_that_find_something_are_told() {
    let project = small_but("sql/checks/money_is_earned.sql", "revenue < 0", "revenue > 40");
    let other = "-- checks.everybody_is_back: nobody has bought only once.\n--\n\
                 -- reads   facts.customers\n-- params  none\n\nselect customer_id, orders\n\
                 from facts.customers\nwhere orders < 2\n";
    project.file("sql/checks/everybody_is_back.sql", other);
    assert_snapshot!(run(&project), @"
    error: check `checks.everybody_is_back` found 1 counter-examples; nothing was published
     --> sql/checks/everybody_is_back.sql:1:1
      |
    1 | -- checks.everybody_is_back: nobody has bought only once.
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = check: nobody has bought only once.
      = found:
               customer_id  orders
               8            1
      = help: the rows contradict what the check says: correct the query that makes them, or the check; `tenure show PIPELINE TABLE --run RUN` shows what this run had made

    error: check `checks.money_is_earned` found 1 counter-examples; nothing was published
     --> sql/checks/money_is_earned.sql:1:1
      |
    1 | -- checks.money_is_earned: nobody brings less than nothing.
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = check: nobody brings less than nothing.
      = found:
               customer_id  revenue
               7            50.00
      = help: the rows contradict what the check says: correct the query that makes them, or the check; `tenure show PIPELINE TABLE --run RUN` shows what this run had made
    exit 3
    ");
}

#[test]
fn more_rows_set_aside_than_allowed_stop_the_run() {
    let project = with_bad_rows("    reject_max: 0.01\n");
    with_settings!({ filters => vec![RUN] }, {
        assert_snapshot!(run(&project), @"
        error: too many rows of source `orders` are set aside; nothing was published
         --> pipelines/p.yaml:3:3
          |
        3 |   orders:
          |   ^^^^^^
          |
          = found: 2 of 6 rows (33.33 %)
          = limit: reject_max: 0.01
          = reasons: free 1, no_customer 1
          = rows:
                  reason       order_id  customer_id  ordered_at           amount
                  free         3         8            2024-05-11T10:00:00  0.00
                  no_customer  2         null         2024-03-02T10:00:00  30.00
          = help: correct the files or the mapping, or raise `reject_max`; `tenure show PIPELINE quarantine.orders --run [RUN]` has all of them
        exit 3
        ");
    });
}

/// What a run has set aside can be looked at, and a retry is not offered: it
/// would find the same rows.
#[test]
fn rows_of_which_too_many_are_set_aside_can_be_looked_at() {
    let project = with_bad_rows("    reject_max: 0.01\n");
    run(&project);
    let found = std::fs::read_dir(project.path("out/_tenure/runs")).expect("runs");
    let run = found.last().expect("a run").expect("a run").file_name();
    let run = run.to_string_lossy();
    let show =
        |table: &str| said(&project.tenure(&["show", "pipelines/p.yaml", table, "--run", &run]));
    with_settings!({ filters => vec![RUN] }, {
        assert_snapshot!(show("nothing"), @"
        error: run [RUN] made no table `nothing`
        --> [TMP]/out
         = note: nothing of it is published: it failed after it had staged `quarantine.orders`: too many rows of source `orders` are set aside
         = made: quarantine.orders
         = help: correct what it found, then start afresh: `tenure run pipelines/p.yaml --as-of 2024-06-30`
        exit 2
        ");
    });
    let rows = show("quarantine.orders");
    assert!(rows.ends_with("2 rows\nexit 0"), "{rows}");
    // A retry reads the source again: what was staged has not been counted.
    let retried = project.tenure(&["retry", "pipelines/p.yaml"]);
    assert_eq!(retried.code, 3, "{}", retried.stderr);
}

/// A reason that is about another column shows it.
#[test]
fn a_row_that_is_set_aside_is_shown_with_what_it_is_about() {
    let project = small();
    let currency = "pipeline: p\nparams:\n  currency: { type: text, default: EUR, doc: ours }\n";
    change(&project, "pipelines/p.yaml", "pipeline: p\n", currency);
    change(&project, "pipelines/p.yaml", "url: orders\n", "url: orders\n    reject_max: 0\n");
    project.orders(
        "orders/o.parquet",
        "order_id,customer_id,ordered_at,amount,currency
         1,7,2024-01-05T10:00:00,20.00,EUR
         2,7,2024-03-02T10:00:00,30.00,USD",
    );
    let said = run(&project);
    let shown = "other_currency  2         7            2024-03-02T10:00:00  30.00   USD\n";
    assert!(said.contains(shown), "{said}");
}

/// Orders after the day change nothing: an earlier day is made again as it was.
#[test]
fn rows_of_other_days_do_not_count_as_set_aside() {
    let project = with_bad_rows("    reject_max: 0.34\n");
    project.run("2024-06-30");
    let some = project.tenure(&["run", "pipelines/p.yaml", "--as-of", "2024-05-12"]);
    assert_eq!(some.code, 3, "2 of the 5 rows up to that day are bad: {}", some.stderr);
    change(&project, "pipelines/p.yaml", "reject_max: 0.34", "reject_max: 0.4");
    project.run("2024-05-12");
    // Nor do bad rows of later days, whatever else is wrong with them.
    project.orders(
        "orders/later.parquet",
        "order_id,customer_id,ordered_at,amount
         7,,2024-06-02T10:00:00,30.00
         8,8,2024-06-11T10:00:00,0.00",
    );
    project.run("2024-05-12");
    let late = project.tenure(&["run", "pipelines/p.yaml", "--as-of", "2024-06-30"]);
    assert_eq!(late.code, 3, "4 of 8 rows are bad: {}", late.stderr);
}

/// Without a limit quarantine is normal: the run publishes and exits 0.
#[test]
fn rows_set_aside_within_the_limit_do_not_stop_the_run() {
    for limit in ["", "    reject_max: 0.5\n"] {
        with_bad_rows(limit).run("2024-06-30");
    }
}

fn with_bad_rows(limit: &str) -> Project {
    let project = small();
    change(
        &project,
        "pipelines/p.yaml",
        "    url: orders\n",
        &format!("    url: orders\n    reject:\n      free: amount = 0\n{limit}"),
    );
    project.orders(
        "orders/o.parquet",
        "order_id,customer_id,ordered_at,amount
         1,7,2024-01-05T10:00:00,20.00
         2,,2024-03-02T10:00:00,30.00
         3,8,2024-05-11T10:00:00,0.00
         4,8,2024-05-12T10:00:00,5.00
         5,9,2024-05-12T10:00:00,5.00
         6,9,2024-05-13T10:00:00,5.00",
    );
    project
}

/// A run that fails leaves what was published before as it was.
#[test]
fn what_was_published_before_an_audit_failed_stays() {
    let project = small();
    project.run("2024-06-30");
    let before = project.published();
    assert_ne!(before, []);
    change(&project, FACTS, "group by customer_id", "group by customer_id, order_date");
    let failed = project.tenure(&["run", "pipelines/p.yaml", "--as-of", "2024-06-30"]);
    assert_eq!(failed.code, 3, "{}", failed.stderr);
    assert_eq!(project.published(), before);
}
