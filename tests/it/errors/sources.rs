//! Files that rows should come from: absent, broken, of another shape.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, FixedSizeBinaryArray, Int64Array, RecordBatch, UInt64Array,
};
use insta::assert_snapshot;

use super::{change, run, small};
use crate::project::{Project, parquet, typed};

/// The small project with its orders folder emptied.
fn without_orders() -> Project {
    let project = small();
    std::fs::remove_file(project.path("orders/o.parquet")).expect("a file");
    project
}

/// The small project reading CSV.
fn csv(rows: &str) -> Project {
    let project = without_orders();
    change(&project, "pipelines/p.yaml", "url: orders", "url: orders\n    format: csv");
    project.file("orders/o.csv", rows);
    project
}

/// The small project with one order, of which one column holds something else.
fn holding(name: &str, value: ArrayRef) -> Project {
    let project = small();
    let batch = typed("order_id,customer_id,ordered_at,amount\n1,7,2024-01-05T10:00:00,20.00\n");
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let column = if field.name() == name { &value } else { column };
        (field.name().clone(), Arc::clone(column))
    });
    let batch = RecordBatch::try_from_iter(columns.collect::<Vec<_>>()).expect("a batch");
    parquet(&project.path("orders/o.parquet"), &batch);
    project
}

/// Maps one of its columns, and the others by their names.
fn map(project: &Project, name: &str, expression: &str) {
    let columns = ["order_id", "customer_id", "ordered_at", "amount"].map(|column| {
        let mapped = if column == name { expression } else { column };
        format!("      {column}: {mapped}\n")
    });
    let source = format!("url: orders\n    columns:\n{}", columns.concat());
    change(project, "pipelines/p.yaml", "url: orders\n", &source);
}

#[test]
fn a_source_folder_may_not_be_empty() {
    assert_snapshot!(run(&without_orders()), @"
    error: source `orders` has no Parquet files
    --> orders
     = note: nothing is there ([TMP])
     = help: is the path right? In a folder, names that begin with `_` or `.` are not read, nor are links that lead nowhere
    exit 1
    ");
}

#[test]
fn a_source_path_must_exist() {
    let project = small();
    change(&project, "pipelines/p.yaml", "url: orders", "url: ordres/2024");
    assert_snapshot!(run(&project), @"
    error: source `orders` has no Parquet files
    --> ordres/2024
     = note: nothing is there ([TMP]/ordres)
     = help: is the path right? In a folder, names that begin with `_` or `.` are not read, nor are links that lead nowhere
    exit 1
    ");
}

#[test]
fn a_source_below_a_file_is_told_so() {
    let project = small();
    change(&project, "pipelines/p.yaml", "url: orders", "url: orders/o.parquet/2024");
    assert_snapshot!(run(&project), @"
    error: cannot read source `orders`
    --> [TMP]/orders/o.parquet/2024
     = cause: cannot read: `[TMP]/orders/o.parquet` is a file, not a folder
     = cause: Generic LocalFileSystem error: Unable to open file [TMP]/orders/o.parquet/2024: Not a directory (os error 20)
     = help: correct the path, or move this file away
    exit 1
    ");
    change(&project, "pipelines/p.yaml", "o.parquet/2024", "o.parquet/*.parquet");
    assert_snapshot!(run(&project), @"
    error: source `orders` has no Parquet files
    --> orders/o.parquet/*.parquet
     = note: `[TMP]/orders/o.parquet` is a file, not a folder
     = help: is the path right?
    exit 1
    ");
}

#[test]
fn a_folder_of_other_files_is_named_with_its_first() {
    let project = without_orders();
    project.file("orders/orders.csv", "order_id\n1\n");
    assert_snapshot!(run(&project), @"
    error: source `orders` has no Parquet files
    --> orders
     = note: 1 files listed, first `orders/orders.csv`
     = help: is the path or `format` right?
    exit 1
    ");
}

#[test]
fn a_text_named_parquet_is_no_parquet_file() {
    let project = small();
    project.file("orders/z.parquet", "order_id,customer_id\n1,2\nthree,four\n");
    assert_snapshot!(run(&project), @"
    error: not a Parquet file, or one cut short
    --> [TMP]/orders/z.parquet
     = cause: Parquet error: Parquet error: Invalid Parquet file. Corrupt footer
     = note: 36 bytes
     = help: write the file again, or leave it out of `url`
    exit 1
    ");
}

#[test]
fn an_empty_parquet_file_is_said_to_be_empty() {
    let project = small();
    project.file("orders/z.parquet", "");
    assert_snapshot!(run(&project), @"
    error: the file is empty, so it is not a Parquet file
    --> [TMP]/orders/z.parquet
     = cause: Parquet error: Parquet error: Parquet files are at least 8 bytes long, but file length is 0
     = note: 0 bytes
     = help: write the file again, or leave it out of `url`
    exit 1
    ");
}

#[test]
fn a_truncated_parquet_file_is_named() {
    let project = small();
    let whole = std::fs::read(project.path("orders/o.parquet")).expect("a file");
    std::fs::write(project.path("orders/z.parquet"), &whole[..whole.len() / 2]).expect("a file");
    let said = run(&project).replace(&format!("{} bytes", whole.len() / 2), "[HALF] bytes");
    assert_snapshot!(said, @"
    error: not a Parquet file, or one cut short
    --> [TMP]/orders/z.parquet
     = cause: Parquet error: Parquet error: Invalid Parquet file. Corrupt footer
     = note: [HALF] bytes
     = help: write the file again, or leave it out of `url`
    exit 1
    ");
}

/// The footer is whole, and what it points at is not.
#[test]
fn a_parquet_file_with_broken_pages_is_named() {
    let project = small();
    let mut bytes = std::fs::read(project.path("orders/o.parquet")).expect("a file");
    bytes[4..120].fill(0xff);
    std::fs::write(project.path("orders/o.parquet"), bytes).expect("a file");
    assert_snapshot!(run(&project), @"
    error: a file of source `orders` cannot be read
    --> [TMP]/orders/o.parquet
     = cause: Parquet argument error: Unexpected struct field type 15
     = help: write the file again, or leave it out of `url`
    exit 1
    ");
}

#[test]
fn a_file_with_another_schema_is_named_beside_the_first() {
    let project = small();
    project.orders("orders/z.parquet", "order_id,customer_id,ordered_at,note\n4,8,2024-05-12,x");
    assert_snapshot!(run(&project), @"
    error: files of source `orders` disagree on column `amount`
    --> [TMP]/orders/z.parquet
     = here: absent
     = elsewhere: decimal(18,2) (in [TMP]/orders/o.parquet)
     = help: write the files alike, or leave those of another kind out of `url`
    exit 1
    ");
}

#[test]
fn a_file_with_another_type_is_named_beside_the_first() {
    let project = small();
    project.orders(
        "orders/z.parquet",
        "order_id,customer_id,ordered_at,amount\nfour,8,2024-05-12T10:00:00,1",
    );
    assert_snapshot!(run(&project), @"
    error: files of source `orders` disagree on column `order_id`
    --> [TMP]/orders/z.parquet
     = here: text
     = elsewhere: bigint (in [TMP]/orders/o.parquet)
     = help: write the files alike, or leave those of another kind out of `url`
    exit 1
    ");
}

#[test]
fn a_missing_column_is_named_with_what_there_is() {
    let project = small();
    project.orders("orders/o.parquet", "order_id,customer_id,orderd_at,amount\n1,7,2024-01-05,1");
    assert_snapshot!(run(&project), @"
    error: source `orders` has no column `ordered_at`
     --> pipelines/p.yaml:3:3
      |
    3 |   orders:
      |   ^^^^^^
      |
      = note: its files have order_id, customer_id, orderd_at, amount
      = help: did you mean `orderd_at`?

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_misspelt_column_of_a_mapping_is_underlined() {
    let project = small();
    let columns = "url: orders\n    columns:\n      order_id: order_id\n      customer_id: \
                   custmer_id\n      ordered_at: ordered_at\n      amount: amount * rate";
    change(&project, "pipelines/p.yaml", "url: orders", columns);
    assert_snapshot!(run(&project), @"
    error: source `orders` has no column `custmer_id`
     --> pipelines/p.yaml:7:20
      |
    7 |       customer_id: custmer_id
      |                    ^^^^^^^^^^
      |
      = note: its files have order_id, customer_id, ordered_at, amount
      = help: did you mean `customer_id`?

    error: source `orders` has no column `rate`
     --> pipelines/p.yaml:9:15
      |
    9 |       amount: amount * rate
      |               ^^^^^^^^^^^^^
      |
      = note: its files have order_id, customer_id, ordered_at, amount

    error: 2 problems in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn text_in_an_amount_is_shown_with_its_file() {
    let project = csv(
        "order_id,customer_id,ordered_at,amount\n1,7,2024-01-05,20.00\n2,7,2024-01-06,20 euro\n",
    );
    assert_snapshot!(run(&project), @"
    error: `20 euro` in `amount` of source `orders` is not a number
    --> [TMP]/orders/o.csv
     = column: amount
     = help: correct the file, or map the columns under `columns:`, this one as `amount: try_cast(amount as decimal(18,2))`: what cannot be read is null then, and the row is set aside as `no_amount` (`reject:` does not keep a conversion from failing)
    exit 1
    ");
}

#[test]
fn a_number_too_large_is_told_so() {
    let rows = "order_id,customer_id,ordered_at,amount\n1,7,2024-01-05,10000000000000000\n";
    assert_snapshot!(run(&csv(rows)), @"
    error: `10000000000000000` in `amount` of source `orders` is not a number that fits decimal(18,2)
    --> [TMP]/orders/o.csv
     = column: amount
     = help: correct the file, or map the columns under `columns:`, this one as `amount: try_cast(amount as decimal(18,2))`: what cannot be read is null then, and the row is set aside as `no_amount` (`reject:` does not keep a conversion from failing)
    exit 1
    ");
}

#[test]
fn an_id_past_64_bits_may_be_a_text() {
    let project = small();
    let ids: ArrayRef = Arc::new(UInt64Array::from(vec![1, u64::MAX]));
    let batch = typed(
        "customer_id,ordered_at,amount\n7,2024-01-05T10:00:00,20.00\n7,2024-01-06T10:00:00,1.00\n",
    );
    let mut columns = vec![("order_id", ids)];
    let schema = batch.schema();
    columns.extend(
        schema.fields().iter().map(|f| f.name().as_str()).zip(batch.columns().iter().cloned()),
    );
    parquet(
        &project.path("orders/o.parquet"),
        &RecordBatch::try_from_iter(columns).expect("a batch"),
    );
    assert_snapshot!(run(&project), @"
    error: `18446744073709551615` in `order_id` of source `orders` is not a whole number below 2^63
    --> [TMP]/orders/o.parquet
     = column: order_id
     = help: map `order_id: cast(order_id as varchar)`: an id may be a text
    exit 1
    ");
}

#[test]
fn ids_that_are_bytes_are_mapped_as_hexadecimal_digits() {
    let ids = FixedSizeBinaryArray::try_from_iter([[0x5f; 16]].into_iter()).expect("ids");
    let project = holding("customer_id", Arc::new(ids));
    assert_snapshot!(run(&project), @"
    error: `customer_id` of source `orders` is FixedSizeBinary(16), not id
     --> pipelines/p.yaml:3:3
      |
    3 |   orders:
      |   ^^^^^^
      |
      = help: map the columns under `columns:`, this one as `customer_id: encode(customer_id, 'hex')`: its bytes as hexadecimal digits

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
    map(&project, "customer_id", "encode(customer_id, 'hex')");
    project.run("2024-06-30");
    assert_eq!(project.rows("facts.customers", &["customer_id"]), ["5f".repeat(16)]);
}

/// Bytes of any length may be a text: that is known only where they are not.
#[test]
fn bytes_that_are_no_text_are_shown_with_their_file() {
    let ids = BinaryArray::from(vec![&[0xff_u8; 4][..]]);
    assert_snapshot!(run(&holding("customer_id", Arc::new(ids))), @"
    error: `ffffffff` in `customer_id` of source `orders` is not text
    --> [TMP]/orders/o.parquet
     = column: customer_id
     = help: map the columns under `columns:`, this one as `customer_id: encode(customer_id, 'hex')`: its bytes as hexadecimal digits
    exit 1
    ");
}

#[test]
fn numbers_are_times_once_it_is_said_what_they_mean() {
    let day = holding("ordered_at", Arc::new(Int64Array::from(vec![20_240_105])));
    assert_snapshot!(run(&day), @"
    error: `ordered_at` of source `orders` is bigint, not timestamp
     --> pipelines/p.yaml:3:3
      |
    3 |   orders:
      |   ^^^^^^
      |
      = help: map the columns under `columns:`, this one by what its numbers mean: seconds as `ordered_at: to_timestamp(ordered_at)`, milliseconds as `to_timestamp_millis(ordered_at)`, days written 20240101 as `to_date(cast(ordered_at as varchar), '%Y%m%d')`

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
    // Each reading is of its numbers: the same day, 177 before the one of the run.
    for (number, expression) in [
        (1_704_448_800, "to_timestamp(ordered_at)"),
        (1_704_448_800_000, "to_timestamp_millis(ordered_at)"),
        (20_240_105, "to_date(cast(ordered_at as varchar), '%Y%m%d')"),
    ] {
        let project = holding("ordered_at", Arc::new(Int64Array::from(vec![number])));
        map(&project, "ordered_at", expression);
        project.run("2024-06-30");
        assert_eq!(project.rows("facts.customers", &["recency_days"]), ["177"], "{expression}");
    }
}

#[test]
fn milliseconds_that_are_read_as_seconds_are_told() {
    let project = holding("ordered_at", Arc::new(Int64Array::from(vec![1_704_448_800_000])));
    map(&project, "ordered_at", "to_timestamp(ordered_at)");
    assert_snapshot!(run(&project), @"
    error: cannot read `ordered_at` of source `orders`
    --> [TMP]/orders/o.parquet
     = mapped: to_timestamp(ordered_at)
     = cause: Cannot cast Timestamp(s) value 1704448800000 to Timestamp(ns): converted value exceeds the representable i64 range
     = help: map it by what its numbers mean: seconds as `ordered_at: to_timestamp(ordered_at)`, milliseconds as `to_timestamp_millis(ordered_at)`, days written 20240101 as `to_date(cast(ordered_at as varchar), '%Y%m%d')`
    exit 1
    ");
}

#[test]
fn an_impossible_day_is_shown_with_its_file() {
    let project =
        csv("order_id,customer_id,ordered_at,amount\n1,7,2024-01-05,20.00\n2,7,2024-02-30,1.00\n");
    assert_snapshot!(run(&project), @"
    error: `2024-02-30` in `ordered_at` of source `orders` is not a time
    --> [TMP]/orders/o.csv
     = column: ordered_at
     = help: correct the file, or map the columns under `columns:`, this one as `ordered_at: try_cast(ordered_at as date)`: what cannot be read is null then, and the row is set aside as `no_time` (`reject:` does not keep a conversion from failing)
    exit 1
    ");
}

#[test]
fn an_expression_that_fails_on_a_value_names_the_file() {
    let project =
        csv("order_id,customer_id,ordered_at,price\n1,7,2024-01-05,20.00\n2,7,2024-01-06,?\n");
    let columns = "url: orders\n    columns:\n      order_id: order_id\n      customer_id: \
                   customer_id\n      ordered_at: ordered_at\n      amount: cast(price as double)";
    change(&project, "pipelines/p.yaml", "url: orders", columns);
    assert_snapshot!(run(&project), @"
    error: `?` in `amount` of source `orders` is not a number
    --> [TMP]/orders/o.csv
     = mapped: cast(price as double)
     = help: correct the file, or write `try_cast` for `cast` in the mapping: what cannot be read is null then, and the row is set aside as `no_amount` (`reject:` does not keep a conversion from failing)
    exit 1
    ");
    // Which is what it says.
    change(&project, "pipelines/p.yaml", "cast(price", "try_cast(price");
    let outcome = project.run("2024-06-30");
    assert!(outcome.stderr.contains("1 set aside in quarantine.orders: no_amount 1"));
}

#[test]
fn a_column_that_does_not_fit_is_mapped_by_an_expression() {
    let project =
        csv("order_id,customer_id,ordered_at,Net Price\n1,7,2024-01-05,20.00\n2,7,2024-01-06,?\n");
    let columns = "url: orders\n    columns:\n      order_id: order_id\n      customer_id: \
                   customer_id\n      ordered_at: ordered_at\n      amount: Net Price";
    change(&project, "pipelines/p.yaml", "url: orders", columns);
    assert_snapshot!(run(&project), @r#"
    error: `?` in `amount` of source `orders` is not a number
    --> [TMP]/orders/o.csv
     = column: "Net Price"
     = help: correct the file, or map `amount: try_cast("Net Price" as decimal(18,2))`: what cannot be read is null then, and the row is set aside as `no_amount` (`reject:` does not keep a conversion from failing)
    exit 1
    "#);
    let lenient = "amount: try_cast(\"Net Price\" as decimal(18,2))";
    change(&project, "pipelines/p.yaml", "amount: Net Price", lenient);
    let outcome = project.run("2024-06-30");
    assert!(outcome.stderr.contains("1 set aside in quarantine.orders: no_amount 1"));
}

#[test]
fn a_reason_that_fails_on_a_value_is_named() {
    let project = csv("order_id,customer_id,ordered_at,amount,rate\n1,7,2024-01-05,20.00,x\n");
    let reject = "url: orders\n    reject:\n      odd: cast(rate as int) > 3";
    change(&project, "pipelines/p.yaml", "url: orders", reject);
    assert_snapshot!(run(&project), @"
    error: cannot tell whether `odd` sets a row of source `orders` aside
    --> [TMP]/orders/o.csv
     = reject: cast(rate as int) > 3
     = cause: `x` is not a whole number
     = help: write `try_cast` for `cast` in the predicate: what cannot be read is null then, and earns no reason
    exit 1
    ");
}

#[test]
fn an_id_that_is_a_float_is_refused() {
    let project = small();
    let columns = "url: orders\n    columns:\n      order_id: cast(order_id as double)\n      \
                   customer_id: customer_id\n      ordered_at: ordered_at\n      amount: amount";
    change(&project, "pipelines/p.yaml", "url: orders", columns);
    assert_snapshot!(run(&project), @"
    error: `order_id` of source `orders` is double, not id
     --> pipelines/p.yaml:6:17
      |
    6 |       order_id: cast(order_id as double)
      |                 ^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: map it as `order_id: cast(cast(order_id as double) as bigint)`; ids past 2^53 are not exact any more, and have to be texts

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_rule_that_is_no_predicate_is_refused() {
    let project = small();
    let reject = "url: orders\n    reject:\n      free: amount * 2";
    change(&project, "pipelines/p.yaml", "url: orders", reject);
    assert_snapshot!(run(&project), @"
    error: a predicate is true or false, this is decimal(38,2)
     --> pipelines/p.yaml:6:13
      |
    6 |       free: amount * 2
      |             ^^^^^^^^^^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn orders_in_two_currencies_do_not_add_up() {
    let project = small();
    project.orders(
        "orders/o.parquet",
        "order_id,customer_id,ordered_at,amount,currency\n1,7,2024-01-05T10:00:00,1,EUR\n\
         2,7,2024-01-06T10:00:00,1,USD",
    );
    assert_snapshot!(run(&project), @"
    error: orders come in several currencies
     --> pipelines/p.yaml:3:3
      |
    3 |   orders:
      |   ^^^^^^
      |
      = found:
               currency
               EUR
               USD
      = help: say which one counts (`currency: EUR` under `params:`; the others are set aside), or convert them in the mapping of `amount`
    exit 1
    ");
}
