//! Every row is accounted for: it counts, or it stands in the quarantine with
//! the reason for which it does not.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{journal, pipeline};
use crate::project::{Outcome, Project};

/// What the newest run recorded about a source.
fn source_read(project: &Project, source: &str) -> Value {
    let is_it = |step: &Value| step["step"] == "source_read" && step["source"] == source;
    journal(project).into_iter().find(is_it).expect("the source was read")
}

/// `read = accepted + rejected`, and the quarantine has as many rows as were
/// rejected, by reason.
fn assert_adds_up(project: &Project, source: &str) -> Value {
    let step = source_read(project, source);
    let rejected = step["rejected"].as_object().expect("reasons");
    let sum: u64 = rejected.values().filter_map(Value::as_u64).sum();
    let number = |name: &str| step[name].as_u64().expect("a number");
    assert_eq!(number("read"), number("accepted") + sum, "{step}");
    let rows = project.rows(&format!("quarantine.{source}"), &["reason"]);
    for (reason, count) in rejected {
        let found = rows.iter().filter(|row| *row == reason).count();
        assert_eq!(Some(found as u64), count.as_u64(), "{reason}");
    }
    assert_eq!(rows.len() as u64, sum);
    json!({ "read": step["read"], "accepted": step["accepted"], "rejected": step["rejected"] })
}

#[test]
fn rows_that_do_not_count_are_set_aside_with_a_reason() {
    let project = Project::new();
    project.orders(
        "orders/all.parquet",
        "order_id,customer_id,ordered_at,amount,kind,currency,store
         1,7,2024-01-05T10:00:00,10.00,sale,EUR,a
         ,7,2024-01-06T10:00:00,11.00,sale,EUR,a
         3,,2024-01-07T10:00:00,12.00,sale,EUR,a
         4,7,,13.00,sale,EUR,a
         5,7,2024-01-08T10:00:00,,sale,EUR,a
         6,7,2024-01-08T10:00:00,,redemption,EUR,a
         7,7,2024-01-09T10:00:00,14.00,gift,EUR,a
         8,7,2024-02-01T00:00:00,15.00,sale,EUR,a
         9,7,2024-01-31T23:59:59,16.00,sale,EUR,a
         10,7,2022-12-31T23:59:59,17.00,sale,EUR,a
         11,7,2024-01-10T10:00:00,18.00,sale,USD,a
         12,7,2024-01-10T10:00:00,19.00,sale,,a
         13,7,2024-01-11T10:00:00,20.00,sale,EUR,test
         14,8,2024-01-12T10:00:00,21.00,sale,EUR,a
         14,8,2024-01-12T10:00:00,21.00,sale,EUR,a
         14,8,2024-01-12T10:00:00,21.00,sale,EUR,a
         15,8,2024-01-13T10:00:00,22.00,sale,EUR,a
         15,8,2024-01-13T10:00:00,22.00,sale,EUR,a
         15,9,2024-01-13T10:00:00,22.00,sale,EUR,a
         16,,,,gift,USD,test",
    );
    let more = "params:\n  currency: EUR\n  history_start: 2023-01-01\n";
    project.pipeline("facts.orders, facts.customers", more);
    let text = std::fs::read_to_string(project.path("pipelines/p.yaml")).expect("the pipeline");
    let text = text.replace(
        "    url: orders\n",
        "    url: orders\n    reject:\n      test_store: store = 'test'\n",
    );
    project.file("pipelines/p.yaml", &text);
    project.run("2024-01-31");
    assert_snapshot!(assert_adds_up(&project, "orders"), @r#"{"accepted":4,"read":20,"rejected":{"after_as_of":1,"before_history":1,"contradiction":3,"duplicate":2,"no_amount":1,"no_currency":1,"no_customer":1,"no_order_id":1,"no_time":1,"other_currency":1,"test_store":2,"unknown_kind":1}}"#);
    let columns = ["reason", "row_number", "order_id", "customer_id", "amount"];
    assert_snapshot!(project.rows("quarantine.orders", &columns).join("\n"), @"
    after_as_of 1 8 7 15.00
    before_history 1 10 7 17.00
    contradiction 1 15 8 22.00
    contradiction 2 15 8 22.00
    contradiction 3 15 9 22.00
    duplicate 1 14 8 21.00
    duplicate 2 14 8 21.00
    no_amount 1 5 7 null
    no_currency 1 12 7 19.00
    no_customer 1 3 null 12.00
    no_order_id 1 null 7 11.00
    no_time 1 4 7 13.00
    other_currency 1 11 7 18.00
    test_store 1 13 7 20.00
    test_store 2 16 null null
    unknown_kind 1 7 7 14.00
    ");
    assert_snapshot!(project.rows("facts.orders", &["order_id", "kind", "gross"]).join("\n"), @r"
    1 sale 10.00
    6 redemption 0.00
    9 sale 16.00
    14 sale 21.00
    ");
}

#[test]
fn a_source_in_which_nothing_counts_gives_empty_tables() {
    let project = Project::new();
    project.orders(
        "orders/all.parquet",
        "order_id,customer_id,ordered_at,amount
         1,,2024-01-05T10:00:00,10.00
         2,7,2024-02-05T10:00:00,10.00",
    );
    project.pipeline("facts.customers, metrics.cohort_retention, metrics.rfm_segments", "");
    let outcome = project.run("2024-01-31");
    assert_snapshot!(warnings(&outcome), @"warning: source `orders`: 2 rows read, 0 accepted (after_as_of 1, no_customer 1), what is made from it is empty; `tenure show PIPELINE quarantine.orders` has the rows: are the mapping and the day right?");
    assert_snapshot!(assert_adds_up(&project, "orders"), @r#"{"accepted":0,"read":2,"rejected":{"after_as_of":1,"no_customer":1}}"#);
    assert_eq!(project.rows("facts.customers", &["customer_id"]).len(), 0);
    assert_eq!(project.rows("metrics.cohort_retention", &["cohort_start"]).len(), 0);
}

/// The lines that warn.
fn warnings(outcome: &Outcome) -> String {
    let lines = outcome.stderr.lines().filter(|line| line.starts_with("warning"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_source_without_rows_is_told() {
    let project = Project::new();
    project.file("orders/o.csv", "order_id,customer_id,ordered_at,amount\n");
    pipeline(&project, "url: orders\nformat: csv", "facts.customers");
    let outcome = project.run("2024-01-31");
    assert_snapshot!(warnings(&outcome), @"warning: source `orders`: 0 rows read from 1 file, what is made from it is empty; is `orders` complete?");
    assert_eq!(project.rows("facts.customers", &["customer_id"]).len(), 0);
    // What has rows that count needs no warning.
    project.file("orders/o.csv", "order_id,customer_id,ordered_at,amount\n1,7,2024-01-05,10\n");
    assert_eq!(warnings(&project.run("2024-01-31")), "");
}

#[test]
fn lines_are_set_aside_one_by_one_and_orders_that_do_not_agree_whole() {
    let project = Project::new();
    project.orders(
        "orders/all.parquet",
        "order_id,line_id,customer_id,ordered_at,amount
         1,a,7,2024-01-05T10:00:00,10.00
         1,b,7,2024-01-05T10:00:01,2.50
         1,b,7,2024-01-05T10:00:01,2.50
         2,a,7,2024-01-06T10:00:00,10.00
         2,a,7,2024-01-06T10:00:00,99.00
         2,b,7,2024-01-06T10:00:00,1.00
         3,a,7,2024-01-07T10:00:00,10.00
         3,b,8,2024-01-07T10:00:00,10.00
         4,,7,2024-01-08T10:00:00,1.00
         4,,7,2024-01-08T10:00:00,1.00
         5,a,,2024-01-09T10:00:00,1.00
         5,b,7,2024-01-09T10:00:00,3.00",
    );
    pipeline(&project, "url: orders\nrows: lines", "facts.orders");
    project.run("2024-01-31");
    assert_snapshot!(assert_adds_up(&project, "orders"), @r#"{"accepted":6,"read":12,"rejected":{"contradiction":5,"duplicate":1}}"#);
    assert_snapshot!(project.rows("facts.orders", &["order_id", "ordered_at", "net"]).join("\n"), @"
    1 2024-01-05T10:00:00 12.50
    4 2024-01-08T10:00:00 2.00
    5 2024-01-09T10:00:00 4.00
    ");
    let columns = ["reason", "order_id", "line_id", "amount"];
    assert_snapshot!(project.rows("quarantine.orders", &columns).join("\n"), @"
    contradiction 2 b 1.00
    contradiction 2 a 10.00
    contradiction 2 a 99.00
    contradiction 3 a 10.00
    contradiction 3 b 10.00
    duplicate 1 b 2.50
    ");
}

#[test]
fn other_sources_have_a_quarantine_of_their_own() {
    let project = Project::new();
    project.orders(
        "orders/all.parquet",
        "order_id,customer_id,ordered_at,amount
         1,7,2024-01-05T10:00:00,10.00
         2,8,2024-01-05T10:00:00,10.00",
    );
    project.orders(
        "customers.parquet",
        "customer_id,acquired_at,channel,acquisition_cost
         7,2024-01-01,ad,5.00
         8,2024-01-02,ad,6.00
         8,2024-01-03,web,7.00
         9,2024-01-04,web,8.00
         9,2024-01-04,web,8.00
         ,2024-01-05,web,9.00",
    );
    let text = "pipeline: p\nsources:\n  orders:\n    url: orders\n  customers:\n    \
                url: customers.parquet\ntables: [facts.customers]\npublish:\n  url: out\n";
    project.file("pipelines/p.yaml", text);
    project.run("2024-01-31");
    assert_snapshot!(assert_adds_up(&project, "customers"), @r#"{"accepted":2,"read":6,"rejected":{"contradiction":2,"duplicate":1,"no_customer":1}}"#);
    let columns = ["customer_id", "acquisition_channel", "acquisition_cost"];
    assert_snapshot!(project.rows("facts.customers", &columns).join("\n"), @r"
    7 ad 5.00
    8 null null
    ");
}

/// Rows set aside are told with their source; tables and their rows are counted
/// without them, wherever they are counted.
#[test]
fn what_is_set_aside_is_no_table_of_the_run() {
    let project = Project::new();
    project.orders(
        "orders/all.parquet",
        "order_id,customer_id,ordered_at,amount
         1,7,2024-01-05T10:00:00,10.00
         2,8,2024-01-05T10:00:00,10.00
         3,,2024-01-06T10:00:00,10.00",
    );
    project.pipeline("facts.customers", "");
    let outcome = project.run("2024-01-31");
    assert!(outcome.stdout.starts_with("1 table as of 2024-01-31 published to "), "{outcome:?}");
    assert!(outcome.stderr.contains("1 set aside in quarantine.orders: no_customer 1"));
    let steps = journal(&project);
    let published = steps.iter().find(|step| step["step"] == "published").expect("published");
    assert_eq!((&published["tables"], &published["rows"]), (&json!(1), &json!(2)));
    let listed = project.tenure(&["runs", "pipelines/p.yaml"]).stdout;
    let line = listed.lines().find(|line| line.contains(" published ")).expect("the run");
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[1..5], ["published", "2024-01-31", "1", "2"], "{listed}");
    assert!(line.ends_with("1 of 3 rows set aside"), "{listed}");
}

/// A check may look at what was set aside, where there is such a source.
#[test]
fn a_check_may_look_at_what_was_set_aside() {
    let project = Project::with_models();
    let check = |name: &str, table: &str, limit: usize| {
        let text = format!(
            "-- checks.{name}: few rows have no customer.\n--\n-- reads   {table}\n\
             -- params  none\n\nselect reason, count(*) as rows from {table}\n\
             where reason = 'no_customer' group by reason having count(*) > {limit}\n"
        );
        project.file(&format!("sql/checks/{name}.sql"), &text);
    };
    let orders = "\
        order_id,customer_id,ordered_at,amount
        1,7,2024-01-05T10:00:00,10.00
        2,,2024-01-06T10:00:00,20.00";
    project.orders("orders/o.parquet", orders);
    project.pipeline("facts.customers", "");
    check("few_without", "quarantine.orders", 1);
    // Nothing is set aside of a source that is not there.
    check("of_no_source", "quarantine.customers", 0);
    project.run("2024-01-31");
    check("few_without", "quarantine.orders", 0);
    let run = ["run", "pipelines/p.yaml", "--as-of", "2024-01-31"];
    let outcome = project.tenure(&run);
    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("check `checks.few_without` found 1"), "{}", outcome.stderr);
}
