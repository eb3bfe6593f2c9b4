//! Parquet files with bytes that are not those that were written.

use std::fmt::Write;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;

use super::damage::damaged;
use super::{each_seed, ends_as_documented};
use crate::project::Project;

/// Orders of a damaged file.
const ROWS: usize = 120;

fn orders() -> String {
    let mut rows = String::from("order_id,customer_id,ordered_at,amount,kind,channel\n");
    for row in 0..ROWS {
        let (customer, day) = (row % 17, row % 28 + 1);
        let kind = if row % 11 == 0 { "refund" } else { "sale" };
        let channel = ["web", "shop", "app"][row % 3];
        writeln!(rows, "{row},{customer},2026-01-{day:02}T10:00:00,{row}.50,{kind},{channel}")
            .expect("text");
    }
    rows
}

/// Rows that the footer of a file tells, if it has one that can be read.
fn rows_of(bytes: &[u8]) -> Option<u64> {
    let reader = SerializedFileReader::new(bytes::Bytes::copy_from_slice(bytes)).ok()?;
    u64::try_from(reader.metadata().file_metadata().num_rows()).ok()
}

/// Whether a reader that knows nothing of ours reads a file to its end.
fn is_sound(bytes: &[u8]) -> bool {
    let bytes = bytes::Bytes::copy_from_slice(bytes);
    std::panic::catch_unwind(|| {
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).ok()?.build().ok()?;
        reader.map(|batch| batch.ok()).collect::<Option<Vec<_>>>()
    })
    .is_ok_and(|batches| batches.is_some())
}

#[test]
fn damaged_parquet_files_are_refused_or_every_row_is_accounted_for() {
    let original = Project::new();
    original.orders("orders/a.parquet", &orders());
    let bytes = std::fs::read(original.path("orders/a.parquet")).expect("a file");
    each_seed(|seed| {
        let project = Project::new();
        project.pipeline("facts.orders, facts.customers", "");
        let bytes = damaged(&bytes, seed);
        std::fs::create_dir(project.path("orders")).expect("a folder");
        std::fs::write(project.path("orders/a.parquet"), &bytes).expect("a file");
        let run = ["run", "pipelines/p.yaml", "--as-of", "2026-06-30", "--log", "json"];
        let outcome = project.tenure(&run);
        ends_as_documented(&outcome)?;
        if outcome.code != 0 {
            // A value that is another one may be too large; then no file is broken.
            return match outcome.stderr.contains("a.parquet") || is_sound(&bytes) {
                true => Ok(()),
                false => Err(format!("the file is not named: {}", outcome.stderr)),
            };
        }
        let (read, told) = (rows_read(&outcome.stderr), rows_of(&bytes));
        match read == told {
            true => Ok(()),
            false => Err(format!("read {read:?} of {told:?} rows")),
        }
    });
}

/// Rows accepted and set aside, as the run tells them.
fn rows_read(log: &str) -> Option<u64> {
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let source = events.rev().find(|event| event["event"] == "source")?;
    let rejected = source["rejected"].as_object()?.values().filter_map(Value::as_u64);
    Some(source["accepted"].as_u64()? + rejected.sum::<u64>())
}
