//! How a table lies in its files: in the order of its key, cut where it is
//! large, with what helps to find a customer in it.

use std::fs::File;
use std::path::Path;

use parquet::basic::Encoding;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::{ReadOptionsBuilder, SerializedFileReader};

use super::{GENERATED_AS_OF, generated, paths, pipeline_of_generated};
use crate::project::Project;

const ORDERS: &str = "facts.orders";

/// Cuts the files of the pipeline's tables.
fn cut(project: &Project, rows: usize) {
    let text = std::fs::read_to_string(project.path("pipelines/p.yaml")).expect("a pipeline");
    let cut = text.replace("  url: out\n", &format!("  url: out\n  file_rows: {rows}\n"));
    project.file("pipelines/p.yaml", &cut);
}

#[test]
fn a_large_table_is_cut_and_still_one() {
    let project = generated();
    pipeline_of_generated(&project, "");
    project.run(GENERATED_AS_OF);
    let whole = project.table(ORDERS);
    let rows = whole.lines().count() - 1;
    cut(&project, 20_000);
    project.run_with(GENERATED_AS_OF, &["--full-refresh"]);
    assert_eq!(whole, project.table(ORDERS), "the same rows in the same order");
    let parts = paths(&project, "out/orders/as_of=*/part-*.parquet");
    assert!(parts.len() >= 2, "{rows} rows in {} files", parts.len());
    assert_eq!(parts.len(), rows.div_ceil(20_000));
    let counts: Vec<i64> = parts.iter().map(|part| rows_of(part)).collect();
    assert_eq!(counts.iter().sum::<i64>(), i64::try_from(rows).expect("few"));
    assert!(counts[..counts.len() - 1].iter().all(|count| *count == 20_000), "{counts:?}");
    let others = paths(&project, "out/cohort_retention/as_of=*/part-*.parquet");
    assert_eq!(others.len(), 1, "a small table is one file");
}

#[test]
fn a_table_that_shrinks_leaves_no_part_behind() {
    let project = Project::new();
    let order = |n: usize| format!("{n},{},2024-01-05T10:00:00,10.00\n", n % 3);
    let orders = |count: usize| {
        let rows: String = (1..=count).map(order).collect();
        project.orders(
            "orders/all.parquet",
            &format!("order_id,customer_id,ordered_at,amount\n{rows}"),
        );
    };
    orders(10);
    project.pipeline(ORDERS, "");
    cut(&project, 4);
    project.run("2024-01-31");
    let parts = || paths(&project, "out/orders/as_of=2024-01-31/*").len();
    assert_eq!(parts(), 3);
    orders(5);
    project.run("2024-01-31");
    assert_eq!(parts(), 2);
    assert_eq!(project.rows(ORDERS, &["order_id"]), ["1", "2", "3", "4", "5"]);
}

#[test]
fn a_customer_is_found_by_a_filter_where_rows_lie_otherwise() {
    let project = generated();
    pipeline_of_generated(&project, "");
    project.run(GENERATED_AS_OF);
    let filters = |pattern: &str| {
        let path = paths(&project, pattern).remove(0);
        let properties = ReaderProperties::builder().set_read_bloom_filter(true).build();
        let options = ReadOptionsBuilder::new().with_reader_properties(properties).build();
        let file = File::open(path).expect("a file");
        let reader = SerializedFileReader::new_with_options(file, options).expect("Parquet");
        let columns = reader.metadata().file_metadata().schema_descr().columns().to_vec();
        let group = reader.get_row_group(0).expect("a row group");
        let found = columns.iter().enumerate().filter_map(|(index, column)| {
            group
                .get_column_bloom_filter(index)
                .map(|filter| (column.name().to_string(), filter.clone()))
        });
        found.collect::<Vec<_>>()
    };
    let of_orders = filters("out/orders/as_of=*/part-00000.parquet");
    let [(column, filter)] = of_orders.as_slice() else { panic!("{} filters", of_orders.len()) };
    assert_eq!(column, "customer_id");
    let customers = project.rows(ORDERS, &["customer_id"]);
    let known: Vec<i64> = customers.iter().map(|id| id.parse().expect("a number")).collect();
    assert!(known.iter().take(1_000).all(|id| filter.check(id)));
    let strangers = (1..1_000_i64).filter(|n| filter.check(&-n)).count();
    assert!(strangers < 100, "{strangers} of 999 strangers pass");
    assert!(filters("out/customers/as_of=*/part-00000.parquet").is_empty(), "bounds do it there");
}

#[test]
fn numbers_are_differences_only_where_that_is_asked_for() {
    let project = generated();
    pipeline_of_generated(&project, "");
    project.run(GENERATED_AS_OF);
    let rows = project.table(ORDERS);
    let delta = || {
        let path = paths(&project, "out/orders/as_of=*/part-00000.parquet").remove(0);
        let reader = SerializedFileReader::new(File::open(path).expect("a file")).expect("Parquet");
        let columns = reader.metadata().row_group(0).columns().to_vec();
        let is_delta = |column: &ColumnChunkMetaData| {
            column.encodings().any(|encoding| encoding == Encoding::DELTA_BINARY_PACKED)
        };
        let found = columns.iter().filter(|column| is_delta(column));
        found.map(|column| column.column_path().string()).collect::<Vec<_>>()
    };
    assert!(delta().is_empty(), "what every reader knows, unless told");
    let text = std::fs::read_to_string(project.path("pipelines/p.yaml")).expect("a pipeline");
    let text = text.replace("  url: out\n", "  url: out\n  encodings: v2\n");
    project.file("pipelines/p.yaml", &text);
    project.run_with(GENERATED_AS_OF, &["--full-refresh"]);
    let columns = delta();
    for column in ["order_id", "customer_id", "order_date", "order_number"] {
        assert!(columns.iter().any(|found| found == column), "{column} of {columns:?}");
    }
    assert!(!columns.iter().any(|found| found == "kind"), "texts have none");
    assert_eq!(rows, project.table(ORDERS), "the same rows in the same order");
}

fn rows_of(path: &Path) -> i64 {
    let reader = SerializedFileReader::new(File::open(path).expect("a file")).expect("Parquet");
    reader.metadata().file_metadata().num_rows()
}

#[test]
fn a_history_larger_than_a_range_is_published_in_the_order_of_its_key() {
    let project = Project::new();
    // Order ids that have nothing to do with customers or days.
    let row = |n: u64| {
        let day = n % 28 + 1;
        format!("{},{},2024-01-{day:02}T10:00:00,10.00\n", n * 7_919 % 150_001, n % 5_003)
    };
    let rows: String = (1..=150_000).map(row).collect();
    project
        .orders("orders/all.parquet", &format!("order_id,customer_id,ordered_at,amount\n{rows}"));
    project.pipeline("facts.orders, facts.customers", "engine:\n  threads: 2\n");
    let run = ["run", "pipelines/p.yaml", "--as-of", "2024-01-31"];
    let output = project.command(&run).env("TENURE_LOG", "tenure::engine=debug").output();
    let log = String::from_utf8_lossy(&output.expect("the binary starts").stderr).into_owned();
    assert!(log.contains("RangedSort: [order_id"), "{log}");
    let ids = project.rows(ORDERS, &["order_id"]);
    let ids: Vec<u64> = ids.iter().map(|id| id.parse().expect("a number")).collect();
    assert_eq!(ids, (1..=150_000).collect::<Vec<u64>>());
}
