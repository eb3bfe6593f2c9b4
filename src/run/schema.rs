//! What columns a file has, read from its footer, header or first records.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use bytes::Bytes;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::physical_plan::parquet::Int96Coercer;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use object_store::{ObjectMeta, ObjectStoreExt};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaData;

use super::guess;
use crate::panics;
use crate::plan::{Delimiter, FileFormat, SourcePlan};
use crate::problem::Problem;
use crate::storage::Location;

/// Enough of a text file for its header or first records.
const HEAD_BYTES: u64 = 1 << 20;

/// Enough of a text to tell what it is: its first line, as a rule.
const LEAD_BYTES: u64 = 1 << 14;

/// JSON records looked at to find the columns.
const JSON_RECORDS: usize = 10_000;

/// The columns of one file.
#[derive(Debug)]
pub struct FileSchema {
    /// Names and types.
    pub schema: SchemaRef,
    /// Its rows, where the format says so without being read.
    pub rows: Option<u64>,
}

/// Reads the schema of a file.
///
/// # Errors
/// The file cannot be read or is not of the format.
pub async fn read(
    plan: &SourcePlan,
    location: &Location,
    meta: &ObjectMeta,
    relative: &str,
) -> Result<FileSchema, Problem> {
    let place = location.shown(relative);
    let found = match plan.format {
        FileFormat::Parquet | FileFormat::Delta(_) => parquet(location, meta, &place).await,
        FileFormat::Csv(delimiter) => {
            let columns = |head| csv_schema(head, delimiter);
            text(plan.format, location, meta, &place, columns).await
        }
        FileFormat::Json => text(plan.format, location, meta, &place, json_schema).await,
    }?;
    match twice(&found.schema) {
        Some(name) => Err(Problem::named(place, format!("two columns are called `{name}`"))
            .help(guess::one_name_each(plan.format))),
        None => Ok(found),
    }
}

/// A name that two columns have.
fn twice(schema: &Schema) -> Option<&str> {
    let mut seen = HashSet::new();
    schema.fields().iter().map(|field| field.name().as_str()).find(|name| !seen.insert(*name))
}

async fn parquet(
    location: &Location,
    meta: &ObjectMeta,
    place: &str,
) -> Result<FileSchema, Problem> {
    let footer = footer(location, meta, place.into()).await?;
    let file = footer.file_metadata();
    let schema = || parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata());
    let schema = panics::caught_now(schema);
    let schema = schema.map_err(|panicked| not_parquet(meta, place, &panicked))?;
    let schema = schema.map_err(|error| not_parquet(meta, place, &error))?;
    let times = Int96Coercer::new(file.schema_descr(), &schema, &TimeUnit::Microsecond).coerce();
    let fields = times.as_ref().unwrap_or(&schema).fields().iter().zip(schema.fields());
    let fields = fields.map(|(field, before)| column(field, before));
    Ok(FileSchema {
        schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        rows: Some(u64::try_from(file.num_rows()).unwrap_or(0)),
    })
}

/// What Parquet says of a file at its end.
///
/// # Errors
/// The file cannot be read, or is not Parquet.
pub async fn footer(
    location: &Location,
    meta: &ObjectMeta,
    place: String,
) -> Result<Arc<ParquetMetaData>, Problem> {
    let store = location.store().as_ref();
    let read = async { DFParquetMetadata::new(store, meta).fetch_metadata().await };
    match panics::caught(read).await {
        Ok(footer) => footer.map_err(|error| not_parquet(meta, &place, error.find_root())),
        Err(panicked) => Err(not_parquet(meta, &place, &panicked)),
    }
}

/// In the metadata of a column: that its times are of Parquet's oldest kind, which are
/// instants, and whose files do not say so.
pub const IS_INT96: &str = "int96";

/// A column of a Parquet file. Numbers that stand in it by their place in a list, as pandas
/// writes categories, are the numbers that they are.
fn column(field: &FieldRef, before: &FieldRef) -> Field {
    let kind = match field.data_type() {
        DataType::Dictionary(_, kind) if !kind.is_string() && !kind.is_binary() => kind.as_ref(),
        kind => kind,
    };
    let column = Field::new(field.name(), kind.clone(), field.is_nullable());
    match field.data_type() == before.data_type() {
        true => column,
        false => column.with_metadata([(IS_INT96.into(), String::new())].into()),
    }
}

const UNREADABLE: &str = "the Parquet file cannot be read";

fn not_parquet(meta: &ObjectMeta, place: &str, error: &dyn std::error::Error) -> Problem {
    let text = error.to_string();
    let message = match () {
        () if meta.size == 0 => "the file is empty, so it is not a Parquet file",
        () if text.contains("Invalid Parquet file") || text.contains("magic") => {
            "not a Parquet file, or one cut short"
        }
        () => UNREADABLE,
    };
    let help = match guess::by_name(place) {
        Some(format) => {
            format!("if it is what its name says, say `format: {format}` for this source")
        }
        None if text.contains("ermission denied") => {
            "let whoever runs tenure read the file, or leave it out of `url`".into()
        }
        // Others may be less strict about how a footer is written.
        None if message == UNREADABLE => format!(
            "write the file again, such as with DuckDB, `copy (select * from '{place}') to 'again.parquet'`, and put that in its place, or leave it out of `url`"
        ),
        None => "write the file again, or leave it out of `url`".into(),
    };
    Problem::named(place, message)
        .causes(error)
        .note("note", format!("{} bytes", meta.size))
        .help(help)
}

async fn text(
    format: FileFormat,
    location: &Location,
    meta: &ObjectMeta,
    place: &str,
    infer: impl Fn(Box<dyn Read + Send>) -> Result<Schema, ArrowError>,
) -> Result<FileSchema, Problem> {
    let broken = |error: &dyn std::error::Error| {
        Problem::named(place, "the columns of the file cannot be read").causes(error)
    };
    let range = 0..meta.size.min(HEAD_BYTES);
    let head = match range.is_empty() {
        true => Bytes::new(),
        false => location.store().get_range(&meta.location, range).await.map_err(|e| broken(&e))?,
    };
    let compression = match meta.location.extension() {
        Some("gz") => FileCompressionType::GZIP,
        Some("zst") => FileCompressionType::ZSTD,
        _ => FileCompressionType::UNCOMPRESSED,
    };
    let mut reader = compression.convert_read(Cursor::new(head)).map_err(|error| broken(&error))?;
    let mut lead = Vec::new();
    let read = reader.by_ref().take(LEAD_BYTES).read_to_end(&mut lead);
    read.map_err(|error| broken(&error))?;
    guess::other_than(format, &lead, place)?;
    let whole = Cursor::new(lead).chain(reader);
    let schema = infer(Box::new(whole)).map_err(|error| broken(&error))?;
    if schema.fields().is_empty() {
        return Err(guess::no_columns(format, place));
    }
    Ok(FileSchema { schema: Arc::new(schema), rows: None })
}

/// Names from the header line; every column is text, so that `007` stays
/// `007` until the mapping says what it is.
fn csv_schema(reader: Box<dyn Read + Send>, delimiter: Delimiter) -> Result<Schema, ArrowError> {
    let format = arrow::csv::reader::Format::default().with_header(true);
    let format = format.with_delimiter(delimiter.byte());
    let (schema, _) = format.infer_schema(reader, Some(0))?;
    let fields = schema.fields().iter().map(|field| Field::new(field.name(), DataType::Utf8, true));
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

fn json_schema(reader: Box<dyn Read + Send>) -> Result<Schema, ArrowError> {
    let mut reader = BufReader::new(reader);
    // The last record of the head may be cut; up to there is enough.
    let mut values = Vec::new();
    let mut line = String::new();
    while values.len() < JSON_RECORDS && reader.read_line(&mut line).unwrap_or(0) > 0 {
        if let Ok(value) = serde_json::from_str::<serde_json::Value>(&line) {
            values.push(Ok(value));
        }
        line.clear();
    }
    arrow::json::reader::infer_json_schema_from_iterator(values.into_iter())
}
