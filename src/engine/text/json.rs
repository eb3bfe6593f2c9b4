//! Files of JSON, one object a line: the columns of all their records, and rows
//! in the types of these columns.
//!
//! A file is read twice, once to find its columns and once for its rows: only
//! all records tell which type holds every value. Both ways read blocks of lines
//! side by side, also of a file that is packed.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use arrow::json::ReaderBuilder;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use memchr::memchr;

use super::Fault;
use super::bytes::Chunks;
use super::grammar;
use super::lines::{Block, blocks};
use super::shape::Columns;

/// Whether anything is made from a column.
pub type IsRead = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Characters of a line shown; more would bury the message.
const SHOWN_CHARS: usize = 60;

/// Finds the columns of a file; what nothing is made from is only named.
///
/// # Errors
/// The store fails, or a line is not a JSON object.
pub async fn columns(text: Chunks, is_read: IsRead, at_once: usize) -> Result<Columns> {
    blocks(text)
        .map(|block| {
            let is_read = Arc::clone(&is_read);
            on_a_thread(block, move |block| Ok(columns_of(block, &*is_read)?))
        })
        .buffered(at_once.max(1))
        .try_fold(Columns::default(), async |mut all, more| {
            all.merge(more);
            Ok(all)
        })
        .await
}

fn columns_of(block: &Block, is_read: &dyn Fn(&str) -> bool) -> Result<Columns, Fault> {
    let mut columns = Columns::default();
    for (line, text) in records(block)? {
        grammar::record(text, line, &mut columns.fields).map_err(|wrong| Fault::NotAnObject {
            line,
            column: text.get(..wrong.at).map_or(0, |text| text.chars().count()) + 1,
            why: wrong.why,
            found: beginning(text.trim_ascii()),
        })?;
        columns.records += 1;
        if columns.records == 1 {
            columns.fields.ignore(is_read);
        }
    }
    columns.fields.ignore(is_read);
    Ok(columns)
}

/// The lines of a block that are records, each with its number.
fn records(block: &Block) -> Result<impl Iterator<Item = (u64, &str)>, Fault> {
    let mut rest = block.text()?;
    let mut number = block.line;
    let lines = std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |end| end + 1);
        let (line, behind) = rest.split_at(end);
        rest = behind;
        number += 1;
        Some((number - 1, line.trim_ascii_end()))
    });
    Ok(lines.filter(|(_, line)| !line.is_empty()))
}

fn beginning(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}

/// Reads the columns of `schema`, whose types hold every value of the file. Tells
/// `counted` how many records the file has.
pub fn rows(
    text: Chunks,
    schema: &SchemaRef,
    batch_rows: usize,
    at_once: usize,
    mut counted: impl FnMut(u64) + Send + 'static,
) -> BoxStream<'static, Result<RecordBatch>> {
    let schema = Arc::clone(schema);
    blocks(text)
        .map(move |block| {
            let schema = Arc::clone(&schema);
            on_a_thread(block, move |block| rows_of(block, &schema, batch_rows))
        })
        .buffered(at_once.max(1))
        .map_ok(move |batches| {
            counted(batches.iter().map(|batch| batch.num_rows() as u64).sum());
            futures::stream::iter(batches.into_iter().map(Ok::<_, DataFusionError>))
        })
        .try_flatten()
        .boxed()
}

fn rows_of(block: &Block, schema: &SchemaRef, batch_rows: usize) -> Result<Vec<RecordBatch>> {
    let counted = records(block)?.count();
    if schema.fields().is_empty() {
        let options = RecordBatchOptions::new().with_row_count(Some(counted));
        let none = RecordBatch::try_new_with_options(Arc::clone(schema), Vec::new(), &options)?;
        return Ok(vec![none]);
    }
    let mut decoder = ReaderBuilder::new(Arc::clone(schema))
        .with_batch_size(batch_rows)
        // A number that stands beside texts is a text, as it is written.
        .with_coerce_primitive(true)
        .build_decoder()?;
    let mut rest = block.bytes().as_ref();
    let mut batches = Vec::new();
    let mut given = 0;
    while !rest.is_empty() {
        let taken = decoder.decode(rest)?;
        rest = &rest[taken..];
        if let Some(batch) = decoder.flush()? {
            given += batch.num_rows();
            batches.push(batch);
        }
    }
    match given == counted {
        true => Ok(batches),
        false => Err(Fault::Uncounted { counted: counted as u64, given: given as u64 }.into()),
    }
}

/// Works on a block on another thread.
async fn on_a_thread<T: Send + 'static>(
    block: Result<Block>,
    work: impl FnOnce(&Block) -> Result<T> + Send + 'static,
) -> Result<T> {
    let block = block?;
    let task = SpawnedTask::spawn_blocking(move || work(&block));
    task.join().await.map_err(|error| DataFusionError::External(Box::new(error)))?
}
