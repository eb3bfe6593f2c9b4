//! What Parquet files may hold that is read by no plain rule: times of its oldest kind,
//! categories of numbers, whole numbers that came as floats.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int8Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{Field, Int8Type, Schema};
use parquet::data_type::{Int64Type, Int96, Int96Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::pipeline;
use crate::project::{Project, parquet, typed};

const DAY: &str = "2026-06-30";
const NANOS_A_DAY: u64 = 86_400_000_000_000;
/// 1970-01-01, as INT96 counts days.
const EPOCH: i64 = 2_440_588;

fn source(project: &Project, source: &str) {
    pipeline(project, source, "facts.orders");
}

fn rows(project: &Project, columns: &[&str]) -> Vec<String> {
    project.run(DAY);
    project.rows("facts.orders", columns)
}

fn aside(project: &Project) -> Vec<String> {
    project.rows("quarantine.orders", &["order_id", "reason"])
}

/// Writes orders whose times are INT96: an id, days since 1970, and hours of that day.
fn int96(path: &Path, orders: &[(i64, i64, u64)]) {
    let message = "message orders { required int64 order_id; required int64 customer_id; \
                   required int96 ordered_at; required int64 amount (decimal(18,2)); }";
    let schema = Arc::new(parse_message_type(message).expect("a schema"));
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    let file = File::create(path).expect("a file");
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).expect("a writer");
    let mut group = writer.next_row_group().expect("a group");
    let ids: Vec<i64> = orders.iter().map(|(id, ..)| *id).collect();
    let times: Vec<Int96> = orders
        .iter()
        .map(|(_, days, hours)| {
            let nanos = hours * (NANOS_A_DAY / 24);
            let (low, high) = (nanos & u64::from(u32::MAX), nanos >> 32);
            let word = |part: u64| u32::try_from(part).expect("32 bits");
            let mut time = Int96::new();
            time.set_data(word(low), word(high), u32::try_from(days + EPOCH).expect("a day"));
            time
        })
        .collect();
    let amounts = vec![1_000; ids.len()];
    for (place, values) in [(0, Some(&ids)), (1, Some(&ids)), (2, None), (3, Some(&amounts))] {
        let mut column = group.next_column().expect("a column").expect("another");
        match values {
            Some(values) => column.typed::<Int64Type>().write_batch(values, None, None),
            None => column.typed::<Int96Type>().write_batch(&times, None, None),
        }
        .unwrap_or_else(|error| panic!("column {place}: {error}"));
        column.close().expect("a column");
    }
    group.close().expect("a group");
    writer.close().expect("a footer");
}

/// Days since 1970 of the first day of a year, by the calendar of today.
fn first_day(year: i32) -> i64 {
    let day = chrono::NaiveDate::from_ymd_opt(year, 1, 1).expect("a day");
    day.signed_duration_since(chrono::NaiveDate::default()).num_days()
}

#[test]
fn times_of_the_oldest_kind_do_not_wrap() {
    let project = Project::new();
    let orders = [
        (1, first_day(2026), 10),
        (2, first_day(1), 0),
        (3, first_day(9999), 23),
        (4, first_day(1600), 0),
        (5, first_day(2263), 0),
        (6, first_day(2026) + 1, 0),
    ];
    int96(&project.path("orders/a.parquet"), &orders);
    source(&project, "url: orders");
    let kept = ["1 2026-01-01T10:00:00", "6 2026-01-02T00:00:00"];
    assert_eq!(rows(&project, &["order_id", "ordered_at"]), kept);
    let left = ["3 after_as_of", "5 after_as_of", "2 impossible_time", "4 impossible_time"];
    assert_eq!(aside(&project), left);

    // Beside times that are no instants, and in another source beside those that are.
    let head = "order_id,customer_id,ordered_at,amount";
    project.orders("orders/b.parquet", &format!("{head}\n7,7,2026-02-01T00:00:00,1.00"));
    assert_eq!(rows(&project, &["order_id"]), ["1", "6", "7"]);
    let batch = typed(&format!("{head}\n8,8,2026-03-01T00:00:00,1.00\n"));
    let zoned = arrow::datatypes::DataType::Timestamp(
        arrow::datatypes::TimeUnit::Microsecond,
        Some("UTC".into()),
    );
    let mut columns = batch.columns().to_vec();
    columns[2] = arrow::compute::cast(&columns[2], &zoned).expect("instants");
    let fields = batch
        .schema()
        .fields()
        .iter()
        .zip(&columns)
        .map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true))
        .collect::<Vec<_>>();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch");
    project.orders("orders/b.parquet", &format!("{head}\n7,7,2026-02-01T00:00:00,1.00"));
    std::fs::remove_file(project.path("orders/b.parquet")).expect("a file");
    parquet(&project.path("orders/c.parquet"), &batch);
    int96(
        &project.path("orders/d.parquet"),
        &[(9, first_day(2026) + 90, 1), (10, first_day(2500), 0)],
    );
    let kept = [
        "1 2026-01-01T10:00:00",
        "6 2026-01-02T00:00:00",
        "8 2026-03-01T00:00:00",
        "9 2026-04-01T01:00:00",
    ];
    assert_eq!(rows(&project, &["order_id", "ordered_at"]), kept);
    // A clock in another place changes no instant.
    pipeline(&project, "url: orders", "facts.orders");
    let zone = ["--param", "timezone=America/New_York"];
    project.run_with(DAY, &zone);
    assert_eq!(project.rows("facts.orders", &["order_id", "ordered_at"]), kept);
}

#[test]
fn a_folder_that_the_url_names_is_a_column_too() {
    let project = Project::new();
    let order = "order_id,customer_id,ordered_at,amount\n1,7,2026-01-05T10:00:00,1.00";
    project.orders("lake/channel=web/store=a%20b/p.parquet", order);
    for url in [
        "lake",
        "lake/channel=web",
        "lake/channel=web/*/*.parquet",
        "lake/channel=web/store=a%20b",
        "lake/channel=web/store=a%20b/*.parquet",
        "lake/channel=web/store=a%20b/p.parquet",
        "./lake/channel=*/store=a%20b/p.parquet",
    ] {
        source(&project, &format!("url: \"{url}\""));
        let found = rows(&project, &["channel", "store"]);
        assert_eq!(found, ["web a b"], "{url}");
    }
    project.orders("_exports/p.parquet", order);
    source(&project, "url: _exports");
    assert_eq!(rows(&project, &["channel"]), ["null"], "a folder that is named is not hidden");
    // What is left out for its name is told; a partition is not.
    project.orders("mixed/a/p.parquet", order);
    project.orders("mixed/_b/p.parquet", order);
    project.orders("mixed/_temporary/p.parquet", order);
    source(&project, "url: mixed");
    let said = project.run(DAY).stderr;
    assert!(
        said.contains("1 file is left out of `mixed`") && said.contains("mixed/_b/p"),
        "{said}"
    );
    source(&project, "url: mixed/*/p.parquet");
    assert!(!project.run(DAY).stderr.contains("left out"));
    project.orders("parts/_load=1/p.parquet", order);
    source(&project, "url: parts");
    assert!(!project.run(DAY).stderr.contains("left out"));
    let absolute = project.path("lake/channel=web/*/*.parquet").display().to_string();
    for url in [absolute.clone(), format!("file://{absolute}")] {
        source(&project, &format!("url: \"{url}\""));
        assert_eq!(rows(&project, &["channel", "store"]), ["web a b"], "{url}");
    }
    // What the file says itself counts more; of one key twice, the nearer.
    let order = "order_id,customer_id,ordered_at,amount,store\n1,7,2026-01-05T10:00:00,1.00,c";
    project.orders("deep/channel=web/channel=shop/store=x/p.parquet", order);
    source(&project, "url: deep/channel=web/channel=shop/store=x/*.parquet");
    assert_eq!(rows(&project, &["channel", "store"]), ["shop c"]);
}

/// Orders with a column of some kind.
fn with_column(project: &Project, file: &str, first: i64, name: &str, values: &ArrayRef) {
    let ids = first..first + i64::try_from(values.len()).expect("few");
    let lines = ids.map(|id| format!("{id},7,2026-01-05T10:00:00,1.00\n")).collect::<String>();
    let batch = typed(&format!("order_id,customer_id,ordered_at,amount\n{lines}"));
    let field = Field::new(name, values.data_type().clone(), true);
    let schema = batch.schema();
    let mut columns = schema
        .fields()
        .iter()
        .map(|f| f.as_ref().clone())
        .zip(batch.columns().to_vec())
        .filter(|(field, _)| field.name() != name)
        .collect::<Vec<_>>();
    columns.push((field, Arc::clone(values)));
    let (fields, columns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch");
    parquet(&project.path(file), &batch);
}

#[test]
fn a_whole_number_is_written_alike_in_every_file() {
    let ints: ArrayRef = Arc::new(Int64Array::from(vec![12, 7]));
    let floats: ArrayRef =
        Arc::new(Float64Array::from(vec![Some(12.0), None, Some(7.5), Some(1.5e7), Some(1e300)]));
    let project = Project::new();
    with_column(&project, "orders/1.parquet", 1, "store", &ints);
    source(&project, "url: orders");
    let mapped = "url: orders\ncolumns:\n  order_id: order_id\n  customer_id: customer_id\n  \
                  ordered_at: ordered_at\n  amount: amount\n  store: ";
    let alone = rows(&project, &["store"]);
    assert_eq!(alone, ["12", "7"]);
    with_column(&project, "orders/2.parquet", 3, "store", &floats);
    let both = ["12", "7", "12", "null", "7.5", "15000000", "1e300"];
    assert_eq!(rows(&project, &["store"]), both);
    for expression in ["store", "cast(store as varchar)", "try_cast(store as varchar)"] {
        source(&project, &format!("{mapped}{expression}"));
        assert_eq!(rows(&project, &["store"]), both, "{expression}");
    }
    source(&project, &format!("{mapped}concat('s', cast(store as varchar))"));
    assert_eq!(rows(&project, &["store"])[..3], ["s12", "s7", "s12"]);
}

#[test]
fn categories_of_numbers_are_the_numbers() {
    let keys = || Int8Array::from(vec![0, 1, 0]);
    let category = |values: ArrayRef| -> ArrayRef {
        Arc::new(DictionaryArray::<Int8Type>::try_new(keys(), values).expect("categories"))
    };
    let project = Project::new();
    let floats = category(Arc::new(Float64Array::from(vec![1001.0, 1002.0])));
    with_column(&project, "orders/1.parquet", 1, "customer_id", &floats);
    source(&project, "url: orders");
    let refused = project.tenure(&["run", "pipelines/p.yaml", "--as-of", DAY]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    let help = "`customer_id: cast(customer_id as bigint)`";
    assert!(refused.stderr.contains(help), "{}", refused.stderr);
    let ints = category(Arc::new(Int64Array::from(vec![1001, 1002])));
    with_column(&project, "orders/1.parquet", 1, "customer_id", &ints);
    let plain: ArrayRef = Arc::new(Int64Array::from(vec![1001]));
    with_column(&project, "orders/2.parquet", 4, "customer_id", &plain);
    let found = rows(&project, &["order_id", "customer_id"]);
    assert_eq!(found, ["1 1001", "2 1002", "3 1001", "4 1001"]);
    let texts = category(Arc::new(StringArray::from(vec!["007", "8"])));
    std::fs::remove_file(project.path("orders/2.parquet")).expect("a file");
    with_column(&project, "orders/1.parquet", 1, "customer_id", &texts);
    assert_eq!(rows(&project, &["customer_id"]), ["007", "8", "007"]);
}
