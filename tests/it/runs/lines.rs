//! Lines of one order: what one of them says holds for all, what two of them say
//! differently sets them aside, and a run tells where much is.

use insta::assert_snapshot;

use super::{TABLES, assert_same, journal, pipeline};
use crate::project::{Outcome, Project};

fn lines(project: &Project, header: &str, rows: &[&str], params: &str, tables: &str) {
    let rows: Vec<&str> = rows.iter().map(|row| row.trim()).collect();
    project.orders("orders/all.parquet", &format!("{header}\n{}\n", rows.join("\n")));
    pipeline(project, "url: orders\nrows: lines", tables);
    let text = std::fs::read_to_string(project.path("pipelines/p.yaml")).expect("a pipeline");
    project.file("pipelines/p.yaml", &format!("{text}{params}"));
}

fn warnings(outcome: &Outcome) -> String {
    let lines = outcome.stderr.lines().filter(|line| line.starts_with("warning"));
    lines.collect::<Vec<_>>().join("\n")
}

const EUROS: &str = "params:\n  currency: EUR\n";

const HEADER: &str = "order_id,customer_id,ordered_at,amount,currency,channel,store";

/// As shops export them: everything on the first line, money and little else on others.
const TORN: &str = "\
    1,7,2024-01-05T10:00:00,10.00,EUR,web,a
    1,7,2024-01-05T10:00:00,5.00,,,
    1,,,2.50,,,
    2,8,2024-02-05T10:00:00,20.00,EUR,,b
    2,8,,,,shop,
    2,,,1.00,EUR,,
    3,9,2024-01-07T10:00:00,30.00,USD,web,a
    3,9,2024-01-07T10:00:00,30.00,,web,a
    4,9,2024-01-08T10:00:00,40.00,EUR,web,a
    4,9,2024-01-08T10:00:00,40.00,USD,web,a
    5,9,2024-01-09T10:00:00,50.00,,web,a
    6,,2024-01-10T10:00:00,60.00,EUR,web,a
    7,9,,70.00,EUR,web,a
    8,9,2024-01-11T10:00:00,,EUR,web,a
    9,9,2024-09-01T10:00:00,90.00,EUR,web,a
    9,,,90.00,,web,a
    10,7,2024-01-12T10:00:00,1.00,EUR,web,a
    10,8,,1.00,,web,a";

#[test]
fn what_is_said_once_in_an_order_holds_for_its_lines() {
    let project = Project::new();
    let rows: Vec<&str> = TORN.lines().collect();
    lines(&project, HEADER, &rows, EUROS, "facts.orders");
    project.run("2024-06-30");
    let columns = ["order_id", "customer_id", "ordered_at", "net", "channel", "store"];
    assert_snapshot!(project.rows("facts.orders", &columns).join("\n"), @"
    1 7 2024-01-05T10:00:00 17.50 web a
    2 8 2024-02-05T10:00:00 21.00 shop b
    ");
    let columns = ["reason", "order_id", "customer_id", "amount", "currency"];
    assert_snapshot!(project.rows("quarantine.orders", &columns).join("\n"), @"
    after_as_of 9 9 90.00 EUR
    after_as_of 9 9 90.00 EUR
    contradiction 4 9 40.00 EUR
    contradiction 4 9 40.00 USD
    contradiction 10 7 1.00 EUR
    contradiction 10 8 1.00 EUR
    no_amount 8 9 null EUR
    no_currency 5 9 50.00 null
    no_customer 6 null 60.00 EUR
    no_time 7 9 70.00 EUR
    other_currency 3 9 30.00 USD
    other_currency 3 9 30.00 USD
    ");
    let step = journal(&project).into_iter().find(|step| step["step"] == "source_read");
    let step = step.expect("the source was read");
    assert_snapshot!(format!("{} {} {}", step["read"], step["accepted"], step["rejected"]), @r#"18 6 {"after_as_of":2,"contradiction":4,"no_amount":1,"no_currency":1,"no_customer":1,"no_time":1,"other_currency":2}"#);
}

#[test]
fn neither_the_order_of_lines_nor_the_split_of_files_matters() {
    let project = Project::new();
    let mut rows: Vec<&str> = TORN.lines().collect();
    lines(&project, HEADER, &rows, EUROS, TABLES);
    project.run("2024-06-30");
    let expected = project.published();
    let aside = project.table("quarantine.orders");
    for turn in 0..3 {
        rows.reverse();
        rows.rotate_left(5 + turn);
        let other = Project::new();
        lines(&other, HEADER, &rows[..1], EUROS, TABLES);
        for (place, chunk) in rows[1..].chunks(3).enumerate() {
            let rows: Vec<&str> = chunk.iter().map(|row| row.trim()).collect();
            let text = format!("{HEADER}\n{}\n", rows.join("\n"));
            other.orders(&format!("orders/{place}.parquet"), &text);
        }
        other.run("2024-06-30");
        assert_same(&expected, &other.published(), &format!("turn {turn}"));
        assert_eq!(aside, other.table("quarantine.orders"), "turn {turn}");
    }
}

/// A Shopify export: the currency and the total on the first line of an order only.
#[test]
fn an_export_with_totals_on_first_lines_counts_all_of_them() {
    let project = Project::new();
    let export = "Name,Email,Currency,Total,Created at,Lineitem name\n\
        #1001,ann@example.com,EUR,33.00,2024-01-10T10:00:00,Tea\n\
        #1001,ann@example.com,,,,Pot\n\
        #1001,ann@example.com,,,,Cup\n\
        #1002,bob@example.com,EUR,5.00,2024-01-11T10:00:00,Tea\n";
    project.file("orders.csv", export);
    let orders = "url: orders.csv\nformat: csv\nrows: lines\ncolumns:\n  order_id: Name\n  \
                  customer_id: Email\n  ordered_at: \"\\\"Created at\\\"\"\n  \
                  amount: cast(Total as decimal(18,2))\n  currency: Currency";
    pipeline(&project, orders, "facts.orders");
    let text = std::fs::read_to_string(project.path("pipelines/p.yaml")).expect("a pipeline");
    project.file("pipelines/p.yaml", &format!("{text}{EUROS}"));
    let outcome = project.run("2024-06-30");
    let columns = ["order_id", "customer_id", "net"];
    let orders = project.rows("facts.orders", &columns);
    assert_eq!(orders, ["#1001 ann@example.com 33.00", "#1002 bob@example.com 5.00"]);
    assert_eq!(warnings(&outcome), "");
    assert_eq!(project.rows("quarantine.orders", &["reason"]).len(), 0);
}

/// A refund may say its customer and time once, too, and those of the sale hold for it
/// but not its time.
#[test]
fn a_refund_has_a_time_of_its_own() {
    let project = Project::new();
    let header = "order_id,customer_id,ordered_at,amount,kind";
    let rows = [
        "1,7,2024-01-05T10:00:00,10.00,sale",
        "1,,,5.00,sale",
        "1,,2024-02-05T10:00:00,-4.00,refund",
        "1,,,-1.00,refund",
        "2,7,2024-01-06T10:00:00,8.00,sale",
        "2,,,-8.00,refund",
    ];
    lines(&project, header, &rows, "", "facts.orders, facts.customer_days");
    project.run("2024-06-30");
    let orders = project.rows("facts.orders", &["order_id", "gross", "refunded"]);
    assert_eq!(orders, ["1 15.00 5.00", "2 8.00 0.00"]);
    let days = project.rows("facts.customer_days", &["order_date", "net"]);
    assert_eq!(days, ["2024-01-05 15.00", "2024-01-06 8.00", "2024-02-05 -5.00"]);
    assert_eq!(project.rows("quarantine.orders", &["reason", "order_id"]), ["no_time 2"]);
}

#[test]
fn a_large_share_set_aside_is_told() {
    let project = Project::new();
    let row = |order: usize, amount: &str, currency: &str| {
        format!("{order},{},2024-01-05T10:00:00,{amount},{currency},,", order % 5 + 1)
    };
    let mut rows: Vec<String> = (1..=38).map(|order| row(order, "10.00", "EUR")).collect();
    rows.extend((39..=40).map(|order| row(order, "10.00", "")));
    let write = |rows: &[String]| {
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        lines(&project, HEADER, &rows, EUROS, "facts.orders");
        project.run("2024-06-30")
    };
    // Two of forty rows are five in a hundred, and no more.
    assert_eq!(warnings(&write(&rows)), "");
    // Little in rows, much in money.
    rows[39] = row(40, "900.00", "");
    assert_snapshot!(warnings(&write(&rows)), @"warning: source `orders`: 2 of 40 rows (5.0 %, 70.5 % of the money) are set aside: no_currency 2; `tenure show PIPELINE quarantine.orders` has the rows; if that is meant, say how much may be by `reject_max`");
    rows.push(row(41, "1.00", ""));
    rows.push(row(42, "1.00", "USD"));
    let outcome = write(&rows);
    assert_snapshot!(warnings(&outcome), @"warning: source `orders`: 4 of 42 rows (9.5 %, 70.6 % of the money) are set aside: no_currency 3, other_currency 1; `tenure show PIPELINE quarantine.orders` has the rows; if that is meant, say how much may be by `reject_max`");
    // Days that a run is not about are no news.
    let late: Vec<String> =
        rows.iter().map(|row| row.replace("2024-01-05", "2024-09-05")).collect();
    let late = [&rows[..20], &late[20..38]].concat();
    assert_eq!(warnings(&write(&late)), "");
    // Who says how much may be set aside expects it.
    let text = std::fs::read_to_string(project.path("pipelines/p.yaml")).expect("a pipeline");
    let text = text.replace("    rows: lines\n", "    rows: lines\n    reject_max: 0.5\n");
    project.file("pipelines/p.yaml", &text);
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    project.orders("orders/all.parquet", &format!("{HEADER}\n{}\n", rows.join("\n")));
    assert_eq!(warnings(&project.run("2024-06-30")), "");
    let json = project.tenure(&[
        "run",
        "pipelines/p.yaml",
        "--as-of",
        "2024-06-30",
        "--full-refresh",
        "--log",
        "json",
    ]);
    assert_eq!(json.code, 0, "{}", json.stderr);
    assert!(!json.stderr.contains("\"warning\""), "{}", json.stderr);
    project.file("pipelines/p.yaml", &text.replace("    reject_max: 0.5\n", ""));
    let json = project.tenure(&[
        "run",
        "pipelines/p.yaml",
        "--as-of",
        "2024-06-30",
        "--full-refresh",
        "--log",
        "json",
    ]);
    let warning = json.stderr.lines().find(|line| line.contains("\"event\":\"warning\""));
    assert!(warning.expect("a warning").contains("no_currency 3"), "{}", json.stderr);
}
