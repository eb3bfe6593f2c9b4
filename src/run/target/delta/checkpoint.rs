//! A checkpoint: the actions of a version as one Parquet file.
//!
//! The columns are those of the protocol that a table of tenure can have, so a
//! checkpoint is the same actions as lines of JSON, and is turned into rows and
//! back as JSON is.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow::json::{LineDelimitedWriter, ReaderBuilder};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};

use super::action::Action;

/// Writes `actions` as a checkpoint.
///
/// # Errors
/// What Arrow or Parquet say.
pub(super) fn write(actions: &[Action]) -> Result<Bytes, String> {
    let schema = Arc::new(schema());
    let rows = rows(&schema, actions).map_err(|error| error.to_string())?;
    let mut body = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut body, schema, None).map_err(|error| error.to_string())?;
    if let Some(batch) = rows {
        writer.write(&batch).map_err(|error| error.to_string())?;
    }
    writer.close().map_err(|error| error.to_string())?;
    Ok(body.into())
}

fn rows(
    schema: &Arc<Schema>,
    actions: &[Action],
) -> Result<Option<RecordBatch>, arrow::error::ArrowError> {
    let mut decoder =
        ReaderBuilder::new(Arc::clone(schema)).with_batch_size(actions.len()).build_decoder()?;
    decoder.serialize(actions)?;
    decoder.flush()
}

/// The actions of a checkpoint, whoever wrote it.
///
/// # Errors
/// What Arrow or Parquet say.
pub(super) fn read(body: Bytes) -> Result<Vec<Action>, String> {
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(body).map_err(|error| error.to_string())?;
    // Statistics may stand there a second time, in columns of their own.
    let columns = builder.parquet_schema().columns().iter().enumerate();
    let wanted = columns.filter(|(_, column)| !column.path().string().contains("_parsed"));
    let wanted: Vec<usize> = wanted.map(|(place, _)| place).collect();
    let mask = ProjectionMask::leaves(builder.parquet_schema(), wanted);
    let reader = builder.with_projection(mask).build().map_err(|error| error.to_string())?;
    let mut lines = LineDelimitedWriter::new(Vec::new());
    for batch in reader {
        lines.write(&batch.map_err(|error| error.to_string())?).map_err(|e| e.to_string())?;
    }
    lines.finish().map_err(|error| error.to_string())?;
    let lines = lines.into_inner();
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(|error| error.to_string())).collect()
}

fn schema() -> Schema {
    Schema::new(vec![
        group("txn", [text("appId"), long("version"), long("lastUpdated")]),
        group(
            "add",
            [
                text("path"),
                texts("partitionValues"),
                long("size"),
                long("modificationTime"),
                boolean("dataChange"),
                text("stats"),
                texts("tags"),
            ],
        ),
        group(
            "remove",
            [
                text("path"),
                long("deletionTimestamp"),
                boolean("dataChange"),
                boolean("extendedFileMetadata"),
                texts("partitionValues"),
                long("size"),
            ],
        ),
        group(
            "metaData",
            [
                text("id"),
                text("name"),
                text("description"),
                group("format", [text("provider"), texts("options")]),
                text("schemaString"),
                list("partitionColumns"),
                long("createdTime"),
                texts("configuration"),
            ],
        ),
        group(
            "protocol",
            [
                integer("minReaderVersion"),
                integer("minWriterVersion"),
                list("readerFeatures"),
                list("writerFeatures"),
            ],
        ),
    ])
}

fn group<const N: usize>(name: &str, fields: [Field; N]) -> Field {
    Field::new(name, DataType::Struct(Fields::from(fields.to_vec())), true)
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn long(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

fn integer(name: &str) -> Field {
    Field::new(name, DataType::Int32, true)
}

fn boolean(name: &str) -> Field {
    Field::new(name, DataType::Boolean, true)
}

fn list(name: &str) -> Field {
    Field::new(name, DataType::List(Arc::new(text("element"))), true)
}

/// A map of text to text; the names inside are Parquet's.
fn texts(name: &str) -> Field {
    let entry = [Field::new("key", DataType::Utf8, false), text("value")];
    let entries = Field::new("key_value", DataType::Struct(Fields::from(entry.to_vec())), false);
    Field::new(name, DataType::Map(Arc::new(entries), false), true)
}

#[cfg(test)]
mod tests {
    use super::super::action::{Add, MetaData, Protocol, Remove, Texts, Txn};
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let day: Texts = [("as_of".to_owned(), Some("2025-12-31".to_owned()))].into();
        let add = Add {
            path: "as_of=2025-12-31/part-00000-r.parquet".into(),
            partition_values: day,
            size: 7,
            modification_time: 8,
            stats: Some("{\"numRecords\":3}".into()),
            ..Add::default()
        };
        let meta_data = MetaData {
            id: "1".into(),
            schema_string: "{}".into(),
            partition_columns: vec!["as_of".into()],
            configuration: [("a".to_owned(), None)].into(),
            ..MetaData::default()
        };
        let protocol = Protocol {
            min_reader_version: 3,
            min_writer_version: 7,
            reader_features: Some(vec!["timestampNtz".into()]),
            writer_features: Some(vec!["timestampNtz".into()]),
        };
        let actions = vec![
            Action::protocol(protocol),
            Action::meta_data(meta_data),
            Action::txn(Txn { app_id: "tenure".into(), version: 9, last_updated: None }),
            Action::remove(Remove { path: "b".into(), size: Some(1), ..add.removed(5) }),
            Action::add(add),
        ];
        let body = write(&actions).expect("a checkpoint");
        let mut back = read(body).expect("reads");
        // A null of a map is left out by the writer of JSON.
        let configuration = &mut back[1].meta_data.as_mut().expect("metadata").configuration;
        configuration.entry("a".into()).or_insert(None);
        assert_eq!(back, actions);
    }
}
