//! The same history in other clothes: other formats, folders, names, and the
//! few settings that change what it means.

use insta::assert_snapshot;

use super::{assert_same, pipeline};
use crate::project::{Project, parquet, typed};

const TABLES: &str = "facts.orders, facts.customers, metrics.cohort_retention";

const CSV: &str = "\
order_id,customer_id,ordered_at,amount,channel
1,7,2024-01-05T10:00:00,10.00,web
2,7,2024-02-05T10:30:00,12.34,shop
3,7,2024-02-06T00:00:00,-5.00,shop
4,8,2024-01-31T23:30:00,20.10,
5,8,2024-02-29T12:00:00,0.99,web
";

/// The tables that `CSV` gives as one Parquet file.
fn expected(project: &Project) -> Vec<(String, Vec<u8>)> {
    project.orders("plain/orders.parquet", CSV);
    pipeline(project, "url: plain/orders.parquet", TABLES);
    project.run("2024-03-31");
    project.published()
}

/// Runs with another orders block; the same tables must come out.
fn same_from(project: &Project, expected: &[(String, Vec<u8>)], orders: &str) {
    pipeline(project, orders, TABLES);
    project.run("2024-03-31");
    assert_same(expected, &project.published(), orders);
}

#[test]
fn csv_gives_the_same_tables_as_parquet() {
    let project = Project::new();
    let expected = expected(&project);
    project.file("text/orders.csv", CSV);
    // In a CSV file everything is text, so that `007` stays `007`.
    let columns = "columns:\n  order_id: cast(order_id as bigint)\n  \
                   customer_id: cast(customer_id as bigint)\n  ordered_at: ordered_at\n  \
                   amount: amount\n  channel: channel";
    same_from(&project, &expected, &format!("url: text/orders.csv\nformat: csv\n{columns}"));
}

#[test]
fn json_lines_give_the_same_tables_as_parquet() {
    let project = Project::new();
    let expected = expected(&project);
    let (head, rows) = CSV.split_once('\n').expect("a header");
    let cell = |(name, cell): (&str, &str)| match (name, cell) {
        (_, "") => format!("\"{name}\":null"),
        ("ordered_at" | "channel", cell) => format!("\"{name}\":\"{cell}\""),
        (_, cell) => format!("\"{name}\":{cell}"),
    };
    let line = |row: &str| head.split(',').zip(row.split(',')).map(cell).collect::<Vec<_>>();
    let json = rows.lines().map(|row| format!("{{{}}}\n", line(row).join(",")));
    project.file("lines/orders.jsonl", &json.collect::<String>());
    same_from(&project, &expected, "url: lines\nformat: json");
}

#[test]
fn a_glob_reads_the_files_it_matches_and_no_others() {
    let project = Project::new();
    let expected = expected(&project);
    let lines: Vec<&str> = CSV.lines().collect();
    let part = |rows: &[&str]| format!("{}\n{}\n", lines[0], rows.join("\n"));
    project.orders("lake/2024/orders-01.parquet", &part(&lines[1..3]));
    project.orders("lake/2024/orders-02.parquet", &part(&lines[3..]));
    project.orders("lake/2024/draft-03.parquet", &part(&["9,9,2024-01-01T00:00:00,9.00,web"]));
    same_from(&project, &expected, "url: lake/*/orders-*.parquet");
    same_from(&project, &expected, "url: lake/2024/orders-0[12].parquet");
}

#[test]
fn files_that_are_no_data_are_not_read() {
    let project = Project::new();
    let expected = expected(&project);
    project.orders("lake/orders.parquet", CSV);
    project.file("lake/_SUCCESS", "");
    project.file("lake/.orders.parquet.crc", "nothing");
    project.file("lake/_temporary/0/part.parquet", "half a file");
    project.file("lake/README.txt", "read me");
    same_from(&project, &expected, "url: lake/");
}

#[test]
fn the_keys_of_hive_folders_are_columns() {
    let project = Project::new();
    let expected = expected(&project);
    let without_channel = |channel: &str| {
        let rows = CSV.lines().skip(1).filter(|row| row.rsplit(',').next() == Some(channel));
        let rows = rows.map(|row| row.rsplit_once(',').expect("a channel").0);
        let head = "order_id,customer_id,ordered_at,amount";
        format!("{head}\n{}\n", rows.collect::<Vec<_>>().join("\n"))
    };
    project.orders("hive/channel=web/a.parquet", &without_channel("web"));
    project.orders("hive/channel=shop/a.parquet", &without_channel("shop"));
    project.orders("hive/channel=__HIVE_DEFAULT_PARTITION__/a.parquet", &without_channel(""));
    same_from(&project, &expected, "url: hive");
}

#[test]
fn columns_are_mapped_by_name_and_by_expression() {
    let project = Project::new();
    let expected = expected(&project);
    let renamed = "Invoice,Who,When,Cents,Via\n1,7,2024-01-05T10:00:00,1000,WEB
        2,7,2024-02-05T10:30:00,1234,SHOP\n3,7,2024-02-06T00:00:00,-500,SHOP
        4,8,2024-01-31T23:30:00,2010,\n5,8,2024-02-29T12:00:00,99,WEB\n";
    project.orders("other/orders.parquet", renamed);
    let columns = "url: other\ncolumns:\n  order_id: cast(Invoice as bigint)\n  \
                   customer_id: cast(who as bigint)\n  ordered_at: cast(When as timestamp)\n  \
                   amount: cast(Cents as decimal(18,2)) / 100\n  channel: lower(Via)";
    same_from(&project, &expected, columns);
}

#[test]
fn lines_are_summed_to_orders_where_the_source_says_so() {
    let project = Project::new();
    let lines = "\
        order_id,customer_id,ordered_at,amount
        1,7,2024-01-05T10:00:00,10.00
        1,7,2024-01-05T10:00:00,10.00
        1,7,2024-01-05T10:00:00,-2.00
        2,7,2024-01-06T10:00:00,5.00
        3,7,2024-01-07T10:00:00,-5.00";
    project.orders("orders/all.parquet", lines);
    let shown = |rows: &str| {
        pipeline(&project, &format!("url: orders\nrows: {rows}"), "facts.orders");
        project.run("2024-01-31");
        let orders = project.rows("facts.orders", &["order_id", "gross", "refunded", "net"]);
        let aside = project.rows("quarantine.orders", &["reason", "order_id", "amount"]);
        [orders, vec!["--".into()], aside].concat().join("\n")
    };
    assert_snapshot!(shown("lines"), @r"
    1 18.00 0.00 18.00
    2 5.00 5.00 0.00
    --
    ");
    // A copy of a row, and a refund that carries the number of its sale.
    assert_snapshot!(shown("orders"), @r"
    1 10.00 2.00 8.00
    2 5.00 5.00 0.00
    --
    duplicate 1 10.00
    ");
}

#[test]
fn an_order_of_lines_may_sell_and_take_back_at_once() {
    let project = Project::new();
    let lines = "\
        order_id,customer_id,ordered_at,amount,kind
        1,7,2024-01-05T10:00:00,10.00,sale
        1,7,2024-01-05T10:00:00,4.00,refund
        1,7,2024-01-05T10:00:00,-1.00,refund
        2,7,2024-01-06T10:00:00,,redemption
        2,7,2024-01-06T10:00:00,3.00,sale
        3,7,2024-01-07T10:00:00,8.00,redemption";
    project.orders("orders/all.parquet", lines);
    pipeline(&project, "url: orders\nrows: lines", "facts.orders");
    project.run("2024-01-31");
    let columns = ["order_id", "kind", "gross", "refunded", "net"];
    assert_snapshot!(project.rows("facts.orders", &columns).join("\n"), @r"
    1 sale 10.00 3.00 7.00
    2 sale 3.00 0.00 3.00
    3 redemption 0.00 0.00 0.00
    ");
}

#[test]
fn the_time_zone_decides_on_which_day_an_order_was() {
    let orders = "\
        order_id,customer_id,ordered_at,amount
        1,7,2024-01-31T22:30:00,10.00
        2,7,2024-01-31T23:30:00,10.00
        3,7,2024-03-31T22:30:00,10.00
        4,7,2024-04-01T03:30:00,10.00";
    let days = |timezone: &str, as_of: &str| {
        let project = Project::new();
        project.orders("orders/all.parquet", orders);
        project.pipeline("facts.orders", &format!("params:\n  timezone: {timezone}\n"));
        project.run(as_of);
        project.rows("facts.orders", &["order_id", "ordered_at", "order_date"]).join("\n")
    };
    assert_snapshot!(days("UTC", "2024-04-01"), @r"
    1 2024-01-31T22:30:00 2024-01-31
    2 2024-01-31T23:30:00 2024-01-31
    3 2024-03-31T22:30:00 2024-03-31
    4 2024-04-01T03:30:00 2024-04-01
    ");
    assert_snapshot!(days("Europe/Berlin", "2024-04-01"), @r"
    1 2024-01-31T22:30:00 2024-01-31
    2 2024-01-31T23:30:00 2024-02-01
    3 2024-03-31T22:30:00 2024-04-01
    4 2024-04-01T03:30:00 2024-04-01
    ");
    assert_snapshot!(days("America/New_York", "2024-04-01"), @r"
    1 2024-01-31T22:30:00 2024-01-31
    2 2024-01-31T23:30:00 2024-01-31
    3 2024-03-31T22:30:00 2024-03-31
    4 2024-04-01T03:30:00 2024-03-31
    ");
    // An order on the day counts, by the clock of the shop.
    assert_snapshot!(days("Europe/Berlin", "2024-01-31"), @"1 2024-01-31T22:30:00 2024-01-31");
}

#[test]
fn days_without_a_time_are_the_same_days_everywhere() {
    let project = Project::new();
    let batch = typed("order_id,customer_id,acquired_at,amount\n1,7,2024-01-31,10.00\n");
    parquet(&project.path("orders/all.parquet"), &batch);
    for timezone in ["Pacific/Auckland", "America/Los_Angeles"] {
        let columns = "url: orders\ncolumns:\n  order_id: order_id\n  customer_id: customer_id\n  \
                       ordered_at: acquired_at\n  amount: amount";
        pipeline(&project, columns, "facts.orders");
        project.run_with("2024-02-29", &["--param", &format!("timezone={timezone}")]);
        assert_eq!(project.rows("facts.orders", &["order_date"]), ["2024-01-31"]);
    }
}

/// A day begins when it does there, so that gaps are never below 0; also where
/// clocks skip midnight.
#[test]
fn days_and_instants_stand_in_one_order() {
    let project = Project::new();
    let csv = "order_id,customer_id,ordered_at,amount\n1,7,2024-03-05T02:00:00Z,10.00\n\
               2,7,2024-03-05,10.00\n3,7,2024-03-06T04:59:00Z,10.00\n4,7,2024-04-26,10.00\n";
    project.file("orders/o.csv", csv);
    let columns = ["order_id", "ordered_at", "order_date", "order_number", "days_since_previous"];
    let shown = |timezone: &str| {
        pipeline(&project, "url: orders\nformat: csv", "facts.orders");
        project.run_with("2024-12-31", &["--param", &format!("timezone={timezone}")]);
        project.rows("facts.orders", &columns).join("\n")
    };
    assert_snapshot!(shown("America/New_York"), @"
    1 2024-03-05T02:00:00 2024-03-04 1 null
    2 2024-03-05T05:00:00 2024-03-05 2 1
    3 2024-03-06T04:59:00 2024-03-05 3 0
    4 2024-04-26T04:00:00 2024-04-26 4 52
    ");
    assert_snapshot!(shown("Africa/Cairo"), @"
    1 2024-03-05T02:00:00 2024-03-05 2 0
    2 2024-03-04T22:00:00 2024-03-05 1 null
    3 2024-03-06T04:59:00 2024-03-06 3 1
    4 2024-04-25T22:00:00 2024-04-26 4 51
    ");
    assert_snapshot!(shown("UTC"), @"
    1 2024-03-05T02:00:00 2024-03-05 2 0
    2 2024-03-05T00:00:00 2024-03-05 1 null
    3 2024-03-06T04:59:00 2024-03-06 3 1
    4 2024-04-26T00:00:00 2024-04-26 4 51
    ");
}

/// The same days, written as text.
#[test]
fn days_that_are_texts_are_the_same_days_everywhere() {
    let csv = "order_id,customer_id,ordered_at,amount\n1,7,2024-01-31,10.00\n\
               2,7,2024-01-31T02:00:00,10.00\n";
    let json = "{\"order_id\":1,\"customer_id\":7,\"ordered_at\":\"2024-01-31\",\"amount\":10}\n\
                {\"order_id\":2,\"customer_id\":7,\"ordered_at\":\"2024-01-31T02:00:00\",\
                \"amount\":10}\n";
    for (format, text) in [("csv", csv), ("json", json)] {
        let project = Project::new();
        project.file(&format!("orders/all.{format}"), text);
        pipeline(&project, &format!("url: orders\nformat: {format}"), "facts.orders");
        project.run_with("2024-02-29", &["--param", "timezone=America/Los_Angeles"]);
        let days = project.rows("facts.orders", &["order_id", "order_date"]);
        assert_eq!(days, ["1 2024-01-31", "2 2024-01-30"], "{format}");
    }
}

/// A name may have any letter in it, and a bracket that begins no pattern.
#[test]
fn files_are_found_whatever_they_are_called() {
    let header = "order_id,customer_id,ordered_at,amount";
    for name in
        ["Bücher.csv", "销售.csv", "100%.csv", "a%20b.csv", "q#1.csv", "b~c.csv", "o [1].csv"]
    {
        let project = Project::new();
        project.file(&format!("in/{name}"), &format!("{header}\n1,7,2024-01-05,10\n"));
        pipeline(&project, &format!("url: \"in/{name}\"\nformat: csv"), "facts.orders");
        project.run("2024-01-31");
        assert_eq!(project.rows("facts.orders", &["net"]), ["10.00"], "{name}");
    }
    let project = Project::new();
    project.file("zürich/é.csv", &format!("{header}\n1,7,2024-01-05,10\n"));
    pipeline(&project, "url: zürich\nformat: csv", "facts.orders");
    project.run("2024-01-31");
    assert_eq!(project.rows("facts.orders", &["net"]), ["10.00"], "a folder");
}

/// An empty text is no time and no amount, in whatever file.
#[test]
fn an_empty_text_is_null_in_every_column() {
    let project = Project::new();
    project.file(
        "orders/o.json",
        "{\"order_id\": 1, \"customer_id\": 7, \"ordered_at\": \"2024-01-05\", \"amount\": \"5\"}\n\
         {\"order_id\": 2, \"customer_id\": 7, \"ordered_at\": \"\", \"amount\": \"5\"}\n\
         {\"order_id\": 3, \"customer_id\": 7, \"ordered_at\": \"2024-01-05\", \"amount\": \"\"}\n",
    );
    pipeline(&project, "url: orders\nformat: json", "facts.orders");
    project.run("2024-01-31");
    assert_eq!(project.rows("facts.orders", &["order_id"]), ["1"]);
    let aside = project.rows("quarantine.orders", &["reason", "order_id"]);
    assert_eq!(aside, ["no_amount 3", "no_time 2"]);
}
