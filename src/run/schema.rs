//! What columns a file has, read from its footer, its header or its records.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use datafusion::datasource::physical_plan::parquet::Int96Coercer;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use object_store::ObjectMeta;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaData;

use super::{guess, text};
use crate::panics;
use crate::plan::{FileFormat, SourcePlan};
use crate::problem::Problem;
use crate::storage::Location;

/// The columns of one file.
#[derive(Debug, Clone)]
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
        FileFormat::Csv(style) => text::csv(plan, style, location, meta, &place).await,
        FileFormat::Json => text::json(plan, location, meta, &place).await,
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
