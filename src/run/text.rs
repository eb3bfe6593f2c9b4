//! The columns of text files: the header line of CSV; of JSON, every key of every
//! record, in a type that holds all of its values.

use std::sync::Arc;

use ::bytes::Bytes;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::error::DataFusionError;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;

use super::schema::FileSchema;
use super::{agreed, guess, malformed};
use crate::engine::text::quotes::Quotes;
use crate::engine::text::shape::Columns;
use crate::engine::text::{self, Fault, bytes};
use crate::plan::{CsvStyle, FileFormat, SourcePlan};
use crate::problem::Problem;
use crate::storage::Location;

/// Enough of a CSV file for its header.
const HEAD_BYTES: u64 = 1 << 20;

/// Enough of a text to tell what it is: its first line, as a rule.
const LEAD_BYTES: usize = 1 << 14;

/// Reads the columns of a CSV file. Every column is text, so that `007` stays
/// `007` until the mapping says what it is.
///
/// # Errors
/// The file cannot be read, is not CSV, or has no header.
pub async fn csv(
    plan: &SourcePlan,
    style: CsvStyle,
    location: &Location,
    meta: &ObjectMeta,
    place: &str,
) -> Result<FileSchema, Problem> {
    let head = bytes::head(location.store(), meta, HEAD_BYTES).await;
    let head = head.map_err(|error| malformed::unread(plan, place, &error))?;
    guess::other_than(plan.format, &head[..head.len().min(LEAD_BYTES)], place)?;
    let is_whole = (head.len() as u64) < HEAD_BYTES;
    header_is_whole(&head, style, is_whole)
        .map_err(|fault| malformed::faulty(plan, place, &fault))?;
    let format = Format::default().with_header(true).with_delimiter(style.delimiter.byte());
    let format = match style.escape.byte() {
        Some(escape) => format.with_escape(escape),
        None => format,
    };
    let found = format.infer_schema(head.as_ref(), Some(0));
    let (schema, _) = found.map_err(|error| malformed::unread(plan, place, &error.into()))?;
    if schema.fields().is_empty() {
        return Err(guess::no_columns(plan.format, place));
    }
    let names = schema.fields().iter().map(|field| field.name().clone()).collect();
    let text = |name: String| Field::new(name, DataType::Utf8, true);
    let fields: Vec<Field> = named(names).into_iter().map(text).collect();
    Ok(FileSchema { schema: Arc::new(Schema::new(fields)), rows: None })
}

/// That the quotes of the header are closed. What is wrong further down is told
/// when the rows are read.
fn header_is_whole(head: &[u8], style: CsvStyle, is_whole: bool) -> Result<(), Fault> {
    let mut quotes = Quotes::new(style.delimiter.byte(), style.escape.byte().is_some());
    let taken = quotes.take(head).and_then(|()| match is_whole {
        true => quotes.finish().map(drop),
        false => Ok(()),
    });
    match taken {
        Err(fault) if quotes.records() <= 1 => Err(fault),
        _ => Ok(()),
    }
}

/// Names for columns of which several have none: spreadsheets write empty columns
/// behind the last one.
fn named(names: Vec<String>) -> Vec<String> {
    if names.iter().filter(|name| name.is_empty()).count() < 2 {
        return names;
    }
    let name = |(place, name): (usize, String)| match name.is_empty() {
        true => format!("column {}", place + 1),
        false => name,
    };
    names.into_iter().enumerate().map(name).collect()
}

/// Reads the columns of a file of JSON, from its first record to its last.
///
/// # Errors
/// The file cannot be read, a line is not a JSON object, or a column that is used
/// has values that no type holds.
pub async fn json(
    plan: &SourcePlan,
    location: &Location,
    meta: &ObjectMeta,
    place: &str,
) -> Result<FileSchema, Problem> {
    let broken = |error: &DataFusionError| malformed::unread(plan, place, error);
    let mut text = bytes::chunks(location.store(), meta).await.map_err(|error| broken(&error))?;
    let first = text.try_next().await.map_err(|error| broken(&error))?.unwrap_or_default();
    guess::other_than(plan.format, &first[..first.len().min(LEAD_BYTES)], place)?;
    let whole = futures::stream::iter([Ok::<Bytes, _>(first)]).chain(text).boxed();
    let source = plan.clone();
    let is_read = Arc::new(move |name: &str| agreed::is_read(&source, name));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let columns = text::columns(whole, is_read, threads).await;
    columns_agree(plan, place, columns.map_err(|error| broken(&error))?)
}

fn columns_agree(plan: &SourcePlan, place: &str, columns: Columns) -> Result<FileSchema, Problem> {
    for (path, clash) in columns.clashes() {
        if agreed::is_read_at(plan, &path) {
            return Err(malformed::clash(plan, place, &path, clash));
        }
    }
    if columns.are_too_many() {
        let message = "the records of the file have thousands of different keys";
        return Err(Problem::named(place, message)
            .help("are some of them values, such as dates or ids? give each a key of its own"));
    }
    if columns.fields.is_empty() {
        return Err(guess::no_columns(FileFormat::Json, place));
    }
    Ok(FileSchema { schema: Arc::new(columns.schema()), rows: Some(columns.records) })
}
