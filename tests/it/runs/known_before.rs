//! Who was a customer before the history begins is no new customer in it, and
//! stands in every sum.

use super::{TABLES, pipeline};
use crate::project::Project;

const HEADER: &str = "order_id,customer_id,ordered_at,amount,kind\n";

/// `old` and `old2` bought in 2018, `gone` only then; `sorry` only gave back.
const ORDERS: &str = "\
    o1,old,2018-05-01T10:00:00,10,sale\n\
    o2,old,2019-02-10T10:00:00,11,sale\n\
    o3,old2,2018-07-01T10:00:00,10,redemption\n\
    o4,old2,2019-01-03T10:00:00,12,sale\n\
    o5,new,2019-01-20T10:00:00,13,sale\n\
    o6,new,2019-02-02T10:00:00,14,sale\n\
    o7,gone,2018-09-09T10:00:00,10,sale\n\
    o8,sorry,2018-09-09T10:00:00,-5,refund\n\
    o9,sorry,2019-02-20T10:00:00,15,sale\n";

const START: &str = "params:\n  history_start: 2019-01-01\n";

fn shop(more: &str) -> Project {
    let project = Project::new();
    project.orders("orders/o.parquet", &format!("{HEADER}{ORDERS}")).pipeline(TABLES, more);
    project.run("2019-02-28");
    project
}

#[test]
fn who_bought_before_the_start_is_in_no_cohort() {
    let shop = shop(START);
    let columns = ["cohort_start", "period_index", "cohort_customers", "is_left_truncated"];
    assert_eq!(
        shop.rows("metrics.cohort_retention", &columns),
        ["2019-01-01 0 1 false", "2019-01-01 1 1 false", "2019-02-01 0 1 false"]
    );
    let columns = ["span", "customers", "new_customers", "repeat_customers", "returning_customers"];
    assert_eq!(
        shop.rows("metrics.repurchase_summary", &columns),
        ["all 4 2 3 null", "period 2 1 null 1", "period 3 1 null 2"]
    );
    let columns = ["repeat_orders", "repeat_revenue", "revenue"];
    assert_eq!(
        shop.rows("metrics.repurchase_summary", &columns),
        ["3 37.00 65.00", "1 12.00 25.00", "2 25.00 40.00"]
    );
    // Windows and steps begin with a first order.
    let columns = ["cohort_start", "window_days", "cohort_customers"];
    let windows = shop.rows("metrics.repurchase_windows", &columns);
    assert!(windows.contains(&"2019-01-01 30 1".to_string()), "{windows:?}");
    let steps = shop.rows("metrics.repurchase_steps", &["order_number", "customers"]);
    assert_eq!(steps, ["1 2", "2 1"]);
    let within = shop.rows("metrics.retention_windows", &["window_days", "eligible_customers"]);
    assert!(within.contains(&"30 1".to_string()), "{within:?}");
}

#[test]
fn their_orders_are_numbered_from_two() {
    let shop = shop(START);
    let columns = ["order_id", "order_number", "purchase_day_number", "previous_order_id"];
    assert_eq!(
        shop.rows("facts.orders", &columns),
        ["o2 2 2 null", "o4 2 2 null", "o5 1 1 null", "o6 2 2 o5", "o9 1 1 null"]
    );
    let columns = ["customer_id", "is_known_before", "orders", "purchase_days", "first_order_id"];
    assert_eq!(
        shop.rows("facts.customers", &columns),
        ["new false 2 2 o5", "old true 1 1 o2", "old2 true 1 1 o4", "sorry false 1 1 o9"]
    );
    let states = shop.rows("metrics.lifecycle_states", &["customer_id", "state"]);
    // An active customer with the most revenue is a VIP.
    assert_eq!(states, ["new vip", "old active", "old2 dormant", "sorry new"]);
    let columns = ["buyers", "first_buyers", "resurrected"];
    assert_eq!(shop.rows("metrics.lifecycle_summary", &columns), ["2 1 1", "3 1 1"]);
}

/// Without a start the files are the history: nothing is known of before.
#[test]
fn without_a_start_everybody_is_new_once() {
    let shop = shop("");
    let known = shop.rows("facts.customers", &["is_known_before"]);
    assert!(known.iter().all(|known| known == "false"));
    let first = shop.rows("metrics.cohort_retention", &["cohort_start", "is_left_truncated"]);
    assert_eq!(first[0], "2018-05-01 true");
}

/// The start lies before the files: they cannot tell who is old.
#[test]
fn a_start_before_the_files_leaves_the_first_cohort_truncated() {
    let shop = shop("params:\n  history_start: 2018-01-01\n");
    let first = shop.rows("metrics.cohort_retention", &["cohort_start", "is_left_truncated"]);
    assert_eq!(first[0], "2018-05-01 true");
}

#[test]
fn who_was_acquired_before_the_files_is_known_from_before() {
    let project = Project::new();
    let customers = "customer_id,acquired_at\n\
                     a,2018-12-31\n\
                     b,2019-01-02\n\
                     c,2019-01-01\n\
                     never,2010-01-01\n";
    let orders = format!(
        "{HEADER}o1,b,2019-01-02T10:00:00,10,sale\no2,a,2019-01-05T10:00:00,10,sale\n\
         o3,c,2019-01-01T10:00:00,10,sale\n"
    );
    project
        .orders("orders/o.parquet", &orders)
        .orders("customers.parquet", customers)
        .file(
            "pipelines/p.yaml",
            &format!(
                "pipeline: p\nsources:\n  orders: {{ url: orders }}\n  customers: {{ url: \
                 customers.parquet }}\ntables: [{TABLES}, facts.known_before]\npublish: {{ url: \
                 out }}\n"
            ),
        )
        .run("2019-02-28");
    assert_eq!(project.rows("facts.known_before", &["customer_id"]), ["a", "never"]);
    let columns = ["cohort_start", "cohort_customers", "is_left_truncated"];
    let cohorts = project.rows("metrics.cohort_retention", &columns);
    assert_eq!(cohorts, ["2019-01-01 2 false", "2019-01-01 2 false"]);
}

/// An order of lines is one sale or one refund, before the start, too; and one
/// person has one past, whatever the ids.
#[test]
fn lines_and_identities_have_a_past() {
    let project = Project::new();
    let lines = "order_id,customer_id,ordered_at,amount\n\
                 1,guest,2018-05-01T10:00:00,30\n\
                 1,guest,2018-05-01T10:00:00,-5\n\
                 2,back,2018-05-01T10:00:00,5\n\
                 2,back,2018-05-01T10:00:00,-30\n\
                 3,ann,2019-01-10T10:00:00,10\n\
                 4,back,2019-01-10T10:00:00,10\n";
    project
        .orders("orders/o.parquet", lines)
        .orders("ids.parquet", "source_id,customer_id\nguest,ann\n")
        .file(
            "pipelines/p.yaml",
            &format!(
                "pipeline: p\n{START}sources:\n  orders: {{ url: orders, rows: lines }}\n  \
                 customer_ids: {{ url: ids.parquet }}\ntables: [facts.customers]\npublish: \
                 {{ url: out }}\n"
            ),
        )
        .run("2019-02-28");
    let known = project.rows("facts.customers", &["customer_id", "is_known_before"]);
    assert_eq!(known, ["ann true", "back false"]);
}

/// A night that only brings a file, and a change of the start alone, know as much
/// as a run that reads everything.
#[test]
fn what_is_reused_knows_who_came_before() {
    let project = Project::new();
    let (first, second) = ORDERS.split_at(ORDERS.find("o5").expect("the fifth"));
    project
        .orders("orders/1.parquet", &format!("{HEADER}{first}"))
        .orders("orders/2.parquet", &format!("{HEADER}{second}"))
        .pipeline(TABLES, "");
    project.run("2019-02-28");
    project.pipeline(TABLES, START).run("2019-02-28");
    let more = "p1,old2,2019-02-11T10:00:00,10,sale\np2,gone,2019-02-12T10:00:00,10,sale\n";
    project.orders("orders/3.parquet", &format!("{HEADER}{more}")).run("2019-02-28");
    let known = project.rows("facts.customers", &["customer_id", "is_known_before"]);
    assert_eq!(known, ["gone true", "new false", "old true", "old2 true", "sorry false"]);
    let reused = project.published();
    project.run_with("2019-02-28", &["--full-refresh"]);
    assert!(reused == project.published());
    // A table alone is computed from what stands.
    project.pipeline(&format!("{TABLES}, facts.known_before"), START).run("2019-02-28");
    let known = project.rows("facts.known_before", &["customer_id"]);
    assert_eq!(known, ["gone", "old", "old2"]);
}

/// Models of one's own read who came before, not what is set aside.
#[test]
fn only_staging_reads_what_is_set_aside() {
    let project = Project::with_models();
    let model = "-- metrics.aside: rows set aside.\n--\n-- grain   reason\n-- reads   \
                 quarantine.orders\n-- params  none\n--\n-- reason  text  why\n\nselect distinct \
                 reason from quarantine.orders\n";
    project
        .orders("orders/o.parquet", &format!("{HEADER}{ORDERS}"))
        .file("sql/metrics/aside.sql", model);
    pipeline(&project, "url: orders", "metrics.aside");
    let outcome = project.tenure(&["check", "pipelines/p.yaml"]);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("reads `quarantine.orders`"), "{}", outcome.stderr);
}
