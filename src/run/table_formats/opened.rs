//! A Delta table opened as a source: its files as one table, without the rows that were
//! deleted from them, under the names that the table gives its columns.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef};
use datafusion::common::ScalarValue;
use futures::{StreamExt, TryStreamExt};
use parquet::arrow::arrow_reader::RowSelection;
use parquet::arrow::{PARQUET_FIELD_ID_META_KEY, parquet_to_arrow_schema};
use parquet::file::metadata::ParquetMetaData;

use super::delta::{Column, DataFile, Table, plain};
use super::problems;
use crate::engine::files::{FilesTable, TableFile};
use crate::error::Result;
use crate::plan::{FileFormat, SourcePlan};
use crate::problem::Problem;
use crate::run::agreed::is_read;
use crate::run::schema;
use crate::run::source::{FOOTERS_IN_FLIGHT_MAX, Opened, fingerprint, store_url};

/// Opens what was listed.
///
/// # Errors
/// A file that cannot be read, or a column that has no form here.
pub async fn open(plan: &SourcePlan, table: Table) -> Result<Opened> {
    readable(plan, &table)?;
    let deleted = table.deleted(plan).await?;
    let footers: Vec<Arc<ParquetMetaData>> =
        futures::stream::iter(table.files.iter().map(|file| {
            let place = table.location.shown(&file.relative);
            schema::footer(&table.location, &file.meta, place)
        }))
        .buffered(FOOTERS_IN_FLIGHT_MAX)
        .try_collect()
        .await?;
    let partitions: Vec<&Column> = table.columns.iter().filter(|c| c.is_partition).collect();
    let columns = || table.columns.iter().filter(|column| !column.is_partition);
    let mut files = Vec::new();
    let mut rows = 0;
    for ((file, footer), deleted) in table.files.iter().zip(&footers).zip(&deleted) {
        let place = || table.location.shown(&file.relative);
        let total = usize::try_from(footer.file_metadata().num_rows()).unwrap_or(0);
        if deleted.last().is_some_and(|last| *last >= total as u64) {
            let cause = format!("it deletes a row that is none of the file's {total}");
            return Err(problems::vector(place(), &cause).into());
        }
        rows += total - deleted.len();
        let known = if table.by_id { names_by_id(footer) } else { HashMap::new() };
        let called = columns().map(|column| {
            let by_id = column.id.and_then(|id| known.get(&id));
            by_id.unwrap_or(&column.physical).clone()
        });
        let names: Vec<String> =
            called.chain(partitions.iter().map(|column| column.physical.clone())).collect();
        let ours = columns().chain(partitions.iter().copied()).map(|column| &column.name);
        files.push(TableFile {
            partition_values: values(file, &partitions, place)?,
            names: (!ours.eq(&names)).then(|| names.into()),
            selection: (!deleted.is_empty()).then(|| all_but(deleted, total)),
            ..TableFile::named(file.meta.clone())
        });
    }
    let records = table.source_files();
    let typed = |column: &&Column| -> FieldRef {
        Arc::new(Field::new(&column.name, column.kind.clone(), true))
    };
    Ok(Opened {
        table: FilesTable {
            store: store_url(plan.kind.name)?,
            files,
            schema: plain(&table.columns),
            partition_columns: partitions.iter().map(typed).collect(),
            format: FileFormat::Parquet,
            layout: None,
            rows: Some(rows),
        },
        fingerprint: fingerprint(&records, Some(table.version)),
        files: records,
        rows: Some(rows as u64),
        version: Some(table.version),
        names: names_read(plan, &table),
        left_out: Vec::new(),
        schemas: Vec::new(),
        location: table.location,
    })
}

/// That the names of columns within columns are those of the files. Where the table calls
/// them otherwise, only whole columns are known under two names.
fn readable(plan: &SourcePlan, table: &Table) -> Result<(), Problem> {
    let is_mapped = table.by_id || table.columns.iter().any(|c| c.name != c.physical);
    let nested = table.columns.iter().filter(|c| c.kind.is_nested() && is_read(plan, &c.name));
    let Some(column) = nested.filter(|_| is_mapped).map(|column| &column.name).next() else {
        return Ok(());
    };
    let message = format!(
        "column `{column}` of source `{}` has columns within it, which the files of this Delta \
         table call by other names (column mapping)",
        plan.kind.name
    );
    Err(Problem::named(table.location.url(), message)
        .help("write what is needed of it into a column of its own, and map that"))
}

/// What the files call the columns that something is made from: another column of the same
/// name gives other rows.
fn names_read(plan: &SourcePlan, table: &Table) -> String {
    let read = table.columns.iter().filter(|column| is_read(plan, &column.name));
    let read = read.map(|c| format!("{:?} {:?} {:?}\n", c.name, c.physical, c.id));
    read.collect::<Vec<_>>().concat()
}

/// The columns of a file by their number.
fn names_by_id(footer: &ParquetMetaData) -> HashMap<i64, String> {
    let file = footer.file_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), None);
    let Ok(schema) = schema else { return HashMap::new() };
    let numbered = schema.fields().iter().filter_map(|field| {
        let id = field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()?;
        Some((id, field.name().clone()))
    });
    numbered.collect()
}

/// The values of the partition columns of a file, which the log writes as texts.
fn values(
    file: &DataFile,
    columns: &[&Column],
    place: impl Fn() -> String,
) -> Result<Vec<ScalarValue>, Problem> {
    let value = |column: &&Column| {
        let text = file.partitions.get(&column.physical).filter(|text| !text.is_empty());
        match text {
            None => ScalarValue::try_from(&column.kind),
            Some(text) => ScalarValue::try_from_string(text.clone(), &column.kind),
        }
        .map_err(|error| {
            let message = format!("the value of partition column `{}` cannot be read", column.name);
            let problem = Problem::named(place(), message);
            problem.note("found", text.cloned().unwrap_or_default()).causes(&error)
        })
    };
    columns.iter().map(value).collect()
}

/// The rows of a file but some.
fn all_but(deleted: &[u64], total: usize) -> RowSelection {
    let places = deleted.iter().filter_map(|place| usize::try_from(*place).ok()).chain([total]);
    let mut from = 0;
    let kept: Vec<Range<usize>> = places
        .map(|place| {
            let kept = from..place;
            from = place + 1;
            kept
        })
        .filter(|kept| !kept.is_empty())
        .collect();
    RowSelection::from_consecutive_ranges(kept.into_iter(), total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleted_rows_are_passed_over() {
        let kept = |deleted: &[u64], total| {
            let mut at = 0;
            let mut kept = Vec::new();
            for part in all_but(deleted, total).iter() {
                if !part.skip {
                    kept.extend(at..at + part.row_count);
                }
                at += part.row_count;
            }
            assert_eq!(at, total, "every row is either read or passed over");
            kept
        };
        assert_eq!(kept(&[0, 2, 3], 6), [1, 4, 5]);
        assert_eq!(kept(&[5], 6), [0, 1, 2, 3, 4]);
        assert_eq!(kept(&[], 2), [0, 1]);
        assert!(kept(&[0, 1], 2).is_empty());
    }
}
