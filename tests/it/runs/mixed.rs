//! Files of one source that are not alike: columns are found by name, in types
//! that hold the values of all.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, Schema};
use insta::assert_snapshot;

use super::pipeline;
use crate::project::{Project, parquet};

const COLUMNS: [&str; 5] = ["order_id", "customer_id", "order_date", "net", "channel"];

fn orders(project: &Project, source: &str) -> String {
    pipeline(project, source, "facts.orders");
    project.run("2024-12-31");
    project.rows("facts.orders", &COLUMNS).join("\n")
}

#[test]
fn columns_of_csv_files_are_found_by_name() {
    let project = Project::new();
    for (file, text) in [
        ("a", "order_id,customer_id,ordered_at,subtotal,total\n1,7,2024-01-01,10,12\n"),
        ("b", "order_id,customer_id,ordered_at,total,subtotal\n2,8,2024-01-02,60,50\n"),
        ("c", "total,channel,ordered_at,customer_id,order_id\n30,web,2024-01-03,9,3\n"),
        ("d", "order_id,customer_id,ordered_at,subtotal,total\n4,7,2024-01-04,1,2\n"),
    ] {
        project.file(&format!("orders/{file}.csv"), text);
    }
    let source = "url: orders\nformat: csv\ncolumns:\n  order_id: order_id\n  \
                  customer_id: customer_id\n  ordered_at: ordered_at\n  amount: total\n  \
                  channel: channel";
    assert_snapshot!(orders(&project, source), @r"
    1 7 2024-01-01 12.00 null
    2 8 2024-01-02 60.00 null
    3 9 2024-01-03 30.00 web
    4 7 2024-01-04 2.00 null
    ");
    // One file less and one more renew the pieces, each by its own header.
    std::fs::remove_file(project.path("orders/a.csv")).expect("a file");
    project.file("orders/e.csv", "ordered_at,order_id,total,customer_id\n2024-01-05,5,3,9\n");
    assert_snapshot!(orders(&project, source), @r"
    2 8 2024-01-02 60.00 null
    3 9 2024-01-03 30.00 web
    4 7 2024-01-04 2.00 null
    5 9 2024-01-05 3.00 null
    ");
}

#[test]
fn a_line_of_a_csv_file_is_held_against_the_header_of_that_file() {
    let project = Project::new();
    project.file("orders/a.csv", "order_id,customer_id,ordered_at,amount\n1,7,2024-01-01,10\n");
    project.file("orders/b.csv", "order_id,x,customer_id,ordered_at,amount\n2,,8,2024-01-01\n");
    pipeline(&project, "url: orders\nformat: csv", "facts.orders");
    let outcome = project.tenure(&["run", "pipelines/p.yaml", "--as-of", "2024-12-31"]);
    assert_snapshot!(outcome.stderr, @"
    error: line 2 of the file has 4 fields, its header 5
    --> [TMP]/orders/b.csv:2
     = help: correct the line: a value with a comma or a line break in it stands in double quotes, and each quote is closed
    ");
}

#[test]
fn fields_may_be_separated_by_something_else() {
    for (delimiter, byte) in [(";", ";"), ("tab", "\t"), ("|", "|")] {
        let project = Project::new();
        let lines = ["order_id,customer_id,ordered_at,amount", "1,7,2024-01-01,_12.5_"];
        let text = lines.map(|line| line.replace(',', byte).replace("_12.5_", "\"12,5\"") + "\n");
        project.file("orders/a.csv", &text.concat());
        let source = format!(
            "url: orders\nformat: csv\ndelimiter: \"{delimiter}\"\ncolumns:\n  order_id: \
             order_id\n  customer_id: customer_id\n  ordered_at: ordered_at\n  amount: \
             cast(replace(amount, ',', '.') as decimal(18,2))"
        );
        assert_eq!(orders(&project, &source), "1 7 2024-01-01 12.50 null", "{delimiter}");
    }
}

/// A batch of one order with an amount and a channel as they come.
fn one(id: i64, amount: ArrayRef, zone: &str, channel: Option<ArrayRef>) -> RecordBatch {
    let at = TimestampMicrosecondArray::from(vec![1_704_100_000_000_000]).with_timezone(zone);
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("order_id", Arc::new(Int64Array::from(vec![id]))),
        ("customer_id", Arc::new(Int64Array::from(vec![7]))),
        ("ordered_at", Arc::new(at)),
        ("amount", amount),
    ];
    columns.extend(channel.map(|channel| ("channel", channel)));
    RecordBatch::try_from_iter(columns).expect("a batch")
}

fn decimal(value: i128, precision: u8, scale: i8) -> ArrayRef {
    let array = Decimal128Array::from(vec![value]).with_precision_and_scale(precision, scale);
    Arc::new(array.expect("fits"))
}

#[test]
fn types_of_parquet_files_need_only_have_one_that_holds_both() {
    let project = Project::new();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["web"]));
    let few: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::from_iter(["app"]));
    let whole: ArrayRef = Arc::new(Int64Array::from(vec![12]));
    for (file, batch) in [
        ("a", one(1, decimal(1_050, 4, 2), "UTC", Some(texts))),
        ("b", one(2, decimal(1_234_567, 18, 2), "+00:00", Some(few))),
        ("c", one(3, decimal(10_501, 5, 3), "Europe/Berlin", None)),
        ("d", one(4, whole, "UTC", None)),
    ] {
        parquet(&project.path(&format!("orders/{file}.parquet")), &batch);
    }
    assert_snapshot!(orders(&project, "url: orders"), @r"
    1 7 2024-01-01 10.50 web
    2 7 2024-01-01 12345.67 app
    3 7 2024-01-01 10.50 null
    4 7 2024-01-01 12.00 null
    ");
}

#[test]
fn json_files_may_have_whole_amounts_and_others() {
    let project = Project::new();
    let line = |id: i64, amount: &str| {
        format!(
            "{{\"order_id\":{id},\"customer_id\":7,\"ordered_at\":\"2024-01-01T10:00:00\",\
             \"amount\":{amount}}}\n"
        )
    };
    project.file("orders/a.json", &line(1, "12"));
    project.file("orders/b.json", &line(2, "12.5"));
    assert_snapshot!(orders(&project, "url: orders\nformat: json"), @r"
    1 7 2024-01-01 12.00 null
    2 7 2024-01-01 12.50 null
    ");
}

/// CSV cannot tell an empty text from none: the same rows are the same tables.
#[test]
fn an_empty_text_is_none() {
    let project = Project::new();
    let empty: ArrayRef = Arc::new(StringArray::from(vec![""]));
    parquet(&project.path("orders/a.parquet"), &one(1, decimal(1_000, 18, 2), "UTC", Some(empty)));
    assert_snapshot!(orders(&project, "url: orders"), @"1 7 2024-01-01 10.00 null");
}

#[test]
fn what_a_file_says_counts_more_than_its_folder() {
    let project = Project::new();
    let header = "order_id,customer_id,ordered_at,amount";
    project.file(
        "orders/channel=in%20store/ordered_at=2023-01-01/a.csv",
        &format!("{header}\n1,7,2024-01-01,10\n"),
    );
    project.file(
        "orders/channel=web/ordered_at=2023-01-01/a.csv",
        &format!("{header}\n2,7,2024-01-02,20\n"),
    );
    assert_snapshot!(orders(&project, "url: orders\nformat: csv"), @"
    1 7 2024-01-01 10.00 in store
    2 7 2024-01-02 20.00 web
    ");
}

#[test]
fn the_project_folder_is_a_place_like_any_other() {
    for (url, file) in [(".", "o.csv"), ("./", "o.csv"), ("in/.", "in/o.csv"), ("./in", "in/o.csv")]
    {
        let project = Project::new();
        project.file(file, "order_id,customer_id,ordered_at,amount\n1,7,2024-01-01,10\n");
        let source = format!("url: {url}\nformat: csv");
        assert_eq!(orders(&project, &source), "1 7 2024-01-01 10.00 null", "{url}");
    }
}

/// What a run says that ends badly.
fn refused(project: &Project, source: &str) -> String {
    pipeline(project, source, "facts.orders");
    let outcome = project.tenure(&["run", "pipelines/p.yaml", "--as-of", "2024-12-31"]);
    assert_ne!(outcome.code, 0);
    outcome.stderr
}

/// Nulls are where one file says there are none, whichever comes first.
#[test]
fn a_file_with_nulls_may_stand_beside_one_that_has_none() {
    for (whole, with_nulls) in [("a", "b"), ("b", "a")] {
        let project = Project::new();
        let batch = one(1, decimal(1_000, 18, 2), "UTC", None);
        let fields = batch
            .schema()
            .fields()
            .iter()
            .map(|f| f.as_ref().clone().with_nullable(false))
            .collect::<Vec<_>>();
        let required =
            RecordBatch::try_new(Arc::new(Schema::new(fields)), batch.columns().to_vec());
        parquet(&project.path(&format!("orders/{whole}.parquet")), &required.expect("a batch"));
        let mut columns = one(2, decimal(2_000, 18, 2), "UTC", None).columns().to_vec();
        columns[1] = Arc::new(Int64Array::from(vec![None::<i64>]));
        let names = ["order_id", "customer_id", "ordered_at", "amount"];
        let guest = RecordBatch::try_from_iter_with_nullable(
            names.into_iter().zip(columns).map(|(name, column)| (name, column, true)),
        );
        parquet(&project.path(&format!("orders/{with_nulls}.parquet")), &guest.expect("a batch"));
        assert_eq!(orders(&project, "url: orders"), "1 7 2024-01-01 10.00 null");
        assert_eq!(project.rows("quarantine.orders", &["reason", "order_id"]), ["no_customer 2"]);
    }
}

/// Beside whole numbers, ids that became floats would be merged or rewritten.
#[test]
fn ids_are_not_made_floats() {
    let project = Project::new();
    let batch = one(1, decimal(1_000, 18, 2), "UTC", None);
    parquet(&project.path("orders/a.parquet"), &batch);
    let mut columns = batch.columns().to_vec();
    columns[1] = Arc::new(Float64Array::from(vec![8.0]));
    let names = ["order_id", "customer_id", "ordered_at", "amount"];
    let floats = RecordBatch::try_from_iter(names.into_iter().zip(columns)).expect("a batch");
    parquet(&project.path("orders/b.parquet"), &floats);
    assert_snapshot!(refused(&project, "url: orders"), @"
    error: files of source `orders` disagree on column `customer_id`
    --> [TMP]/orders/b.parquet
     = here: double
     = elsewhere: bigint (in [TMP]/orders/a.parquet)
     = help: write the files alike, or leave those of another kind out of `url`
    ");
}

#[test]
fn a_column_that_is_missed_is_told_and_no_other() {
    let project = Project::new();
    let header = "order_id,customer_id,ordered_at,unit_price";
    project.file("orders/a.csv", &format!("{header},price,Channel\n1,7,2024-01-01,10,x,web\n"));
    project.file("orders/b.csv", &format!("{header}\n2,7,2024-01-02,20\n"));
    let mapped = "url: orders\nformat: csv\ncolumns:\n  order_id: order_id\n  customer_id: \
                  customer_id\n  ordered_at: ordered_at\n  amount: unit_price\n  channel: Channel";
    assert_snapshot!(orders(&project, mapped), @r"
    1 7 2024-01-01 10.00 web
    2 7 2024-01-02 20.00 null
    ");
    let judged = format!("{mapped}\nreject:\n  test: price = 'x'");
    assert_snapshot!(refused(&project, &judged), @"
    error: files of source `orders` disagree on column `price`
    --> [TMP]/orders/b.csv
     = here: absent
     = elsewhere: text (in [TMP]/orders/a.csv)
     = help: write the files alike, or leave those of another kind out of `url`
    ");
    project.file("orders/c.csv", &format!("{header},channel\n3,7,2024-01-03,30,app\n"));
    assert_snapshot!(refused(&project, mapped), @"
    error: files of source `orders` spell column `channel` in two ways
    --> [TMP]/orders/c.csv
     = elsewhere: `Channel`
     = help: write the files alike, or leave those of another kind out of `url`
    ");
}

/// No part of a large file may end within a value.
#[test]
fn a_value_may_have_line_breaks_in_a_large_file() {
    let project = Project::new();
    let mut text = String::from("order_id,customer_id,ordered_at,amount,channel\n");
    for id in 0..150_000 {
        text += &format!(
            "{id},{},2024-01-01,1.00,\"at, the\n{id}\ncorner, of\nthe\nstreet{}\"\n",
            id % 999,
            "x".repeat(30)
        );
    }
    assert!(text.len() > 10_000_000, "{}", text.len());
    project.file("orders/a.csv", &text);
    pipeline(&project, "url: orders\nformat: csv", "metrics.repurchase_summary");
    project.run("2024-12-31");
    let orders = project.rows("metrics.repurchase_summary", &["span", "customers", "orders"]);
    assert!(orders.contains(&"all 999 150000".into()), "{orders:?}");
}
