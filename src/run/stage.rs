//! Writing one table where nobody sees it yet: sorted by its grain, audited
//! as it passes, the same bytes each time.
//!
//! Identical bytes need a writer of our own shape: one sorted stream, batches
//! of a fixed size, fixed rows per row group, and nothing in the file that a
//! run could change.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::BatchCoalescer;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::encode::Encoder;
use super::failure;
use super::grain::Grain;
use super::target::Column as PublishedColumn;
use crate::engine::session::BATCH_ROWS;
use crate::error::{Error, Result};
use crate::plan::header::Column;
use crate::plan::types::{ColumnType, IdType};
use crate::problem::Problem;

/// Rows of a row group: few enough to skip by statistics, enough to compress.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// What a table is, for its file and for the manifest.
#[derive(Debug, Clone)]
pub struct TableShape {
    /// Its full name.
    pub name: String,
    /// Its columns as published.
    pub schema: SchemaRef,
    /// The columns that name a row.
    pub grain: Vec<String>,
    /// The columns as the manifest describes them.
    pub columns: Vec<PublishedColumn>,
}

impl TableShape {
    /// The shape a header declares, for a query that gives `planned`.
    pub fn new(name: &str, columns: &[Column], grain: Vec<String>, planned: &Schema) -> Self {
        let mut fields = Vec::with_capacity(columns.len());
        let mut described = Vec::with_capacity(columns.len());
        for column in columns {
            let text = &column.name.value;
            let id = match planned.field_with_name(text).map(Field::data_type) {
                Ok(arrow::datatypes::DataType::Int64) => IdType::Bigint,
                _ => IdType::Text,
            };
            let arrow = column.kind.arrow(id);
            let key = grain.contains(text);
            let comment = [("comment".to_string(), column.comment.clone())];
            described.push(PublishedColumn {
                name: text.clone(),
                type_name: ColumnType::describe(&arrow),
                comment: column.comment.clone(),
            });
            // One entry of metadata: a map of several has no fixed order.
            fields.push(Field::new(text, arrow, !key).with_metadata(comment.into()));
        }
        Self { name: name.into(), schema: Arc::new(Schema::new(fields)), grain, columns: described }
    }
}

/// Writes a stream that is sorted by the grain, encoding on `threads`, and
/// returns its rows and the writer, which is complete.
///
/// # Errors
/// The query fails, a key is null or stands twice, or the target refuses.
pub async fn write<W>(
    mut stream: SendableRecordBatchStream,
    shape: &TableShape,
    sink: W,
    threads: usize,
) -> Result<(u64, W)>
where
    W: AsyncWrite + Unpin + Send,
{
    let failed = |error: &(dyn std::error::Error + 'static)| cannot_write(shape, error);
    let schema = Arc::clone(&shape.schema);
    let encoder = Encoder::new(sink, schema, properties(), ROW_GROUP_ROWS, threads);
    let mut encoder = encoder.map_err(|error| failed(&error))?;
    let mut grain = Grain::new(shape).map_err(|error| failed(&error))?;
    let mut coalescer = BatchCoalescer::new(Arc::clone(&shape.schema), BATCH_ROWS);
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(|error| super::table_problem(&shape.name, &error))?;
        let batch = conform(&batch, shape).map_err(|error| failed(&error))?;
        grain.audit(&batch).map_err(|problem| Error::Audit(vec![problem]))?;
        coalescer.push_batch(batch).map_err(|error| failed(&error))?;
        while let Some(full) = coalescer.next_completed_batch() {
            rows += full.num_rows() as u64;
            encoder.write(full).await.map_err(|error| failed(&error))?;
        }
    }
    coalescer.finish_buffered_batch().map_err(|error| failed(&error))?;
    while let Some(last) = coalescer.next_completed_batch() {
        rows += last.num_rows() as u64;
        encoder.write(last).await.map_err(|error| failed(&error))?;
    }
    let mut sink = encoder.finish().await.map_err(|error| failed(&error))?;
    sink.shutdown().await.map_err(|error| failed(&error))?;
    Ok((rows, sink))
}

fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Page)
        // The version of tenure, not of the libraries under it.
        .set_created_by(concat!("tenure ", env!("CARGO_PKG_VERSION")).into())
        .build()
}

/// The batch in the published types; the planner's own (Utf8View, say) are an
/// affair of the engine.
fn conform(
    batch: &RecordBatch,
    shape: &TableShape,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let columns = shape.schema.fields().iter().map(|field| {
        let column = batch.column_by_name(field.name()).ok_or_else(|| {
            arrow::error::ArrowError::SchemaError(format!("no column {}", field.name()))
        })?;
        let strict = arrow::compute::CastOptions { safe: false, ..Default::default() };
        arrow::compute::cast_with_options(column, field.data_type(), &strict)
    });
    let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
    // Null keys are the audit's to report, with the rows that have them.
    let nullable: Vec<Field> = shape
        .schema
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect();
    let schema = Arc::new(Schema::new(nullable));
    RecordBatch::try_new(schema, columns)
}

fn cannot_write(shape: &TableShape, error: &(dyn std::error::Error + 'static)) -> Error {
    match failure::of_target(error) {
        Some(problem) => problem.into(),
        None => Problem::new(format!("cannot write `{}`", shape.name)).causes(error).into(),
    }
}
