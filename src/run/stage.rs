//! Writing one table where nobody sees it yet: sorted by its grain, audited
//! as it passes, the same bytes each time.
//!
//! Identical bytes need a writer of our own shape: one sorted stream, batches
//! of a fixed size, fixed rows per row group, and nothing in the file that a
//! run could change.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::BatchCoalescer;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use super::encode::Encoder;
use super::grain::Grain;
use super::target::{Claim, Column as PublishedColumn, DataFile, Day, Upload};
use crate::engine::session::BATCH_ROWS;
use crate::error::{Error, Result};
use crate::plan::Encodings;
use crate::plan::header::Column;
use crate::plan::types::{ColumnType, IdType};
use crate::problem::Problem;

/// Rows of a row group: few enough to skip by statistics, enough to compress.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// A dictionary of more than that has few values that come again.
const DICTIONARY_BYTES_MAX: usize = 128 * 1024;

/// Digits of a decimal that Parquet has as a 64-bit integer.
const DECIMAL_DIGITS_MAX: u8 = 18;

/// The column that is looked up in tables that are not sorted by it.
const SOUGHT: &str = "customer_id";

/// The share of row groups read in vain for a customer who is not in them.
const BLOOM_ERRORS: f64 = 0.02;

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

/// How the files of a table are cut and written.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// Rows of a file at most.
    pub file_rows: u64,
    /// Its encodings.
    pub encodings: Encodings,
    /// Row groups encoded at the same time.
    pub threads: usize,
}

/// Writes a stream that is sorted by the grain into the files of a day.
///
/// # Errors
/// The query fails, a key is null or stands twice, or the target refuses.
pub async fn write(
    mut stream: SendableRecordBatchStream,
    shape: &TableShape,
    claim: &Claim,
    day: Day,
    cut: Cut,
) -> Result<Vec<DataFile>> {
    let mut files = Files { shape, claim, day, cut, open: None, done: Vec::new() };
    match files.fill(&mut stream).await {
        Ok(()) => Ok(files.done),
        Err(error) => {
            files.abort().await;
            Err(error)
        }
    }
}

/// The files of a table, one after another.
struct Files<'a> {
    shape: &'a TableShape,
    claim: &'a Claim,
    day: Day,
    cut: Cut,
    /// The file that is being written.
    open: Option<Open>,
    done: Vec<DataFile>,
}

struct Open {
    encoder: Encoder,
    upload: Upload,
    /// Rows so far.
    rows: u64,
}

impl Files<'_> {
    /// Writes all rows. There is a file even of none, for it tells the columns.
    async fn fill(&mut self, stream: &mut SendableRecordBatchStream) -> Result<()> {
        let shape = self.shape;
        let failed = |error| cannot_write(shape, &error);
        let mut grain = Grain::new(shape).map_err(failed)?;
        // Full batches pass as they are, if none waits to be filled.
        let mut coalescer = BatchCoalescer::new(Arc::clone(&shape.schema), BATCH_ROWS)
            .with_biggest_coalesce_batch_size(Some(BATCH_ROWS - 1));
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(|error| super::table_problem(&shape.name, &error))?;
            let batch = conform(&batch, shape).map_err(failed)?;
            grain.audit(&batch).map_err(|problem| Error::Audit(vec![problem]))?;
            for start in (0..batch.num_rows()).step_by(BATCH_ROWS) {
                let rows = BATCH_ROWS.min(batch.num_rows() - start);
                coalescer.push_batch(batch.slice(start, rows)).map_err(failed)?;
            }
            while let Some(full) = coalescer.next_completed_batch() {
                self.write(full).await?;
            }
        }
        coalescer.finish_buffered_batch().map_err(failed)?;
        while let Some(last) = coalescer.next_completed_batch() {
            self.write(last).await?;
        }
        if self.done.is_empty() {
            self.open()?;
        }
        self.close().await
    }

    async fn write(&mut self, mut batch: RecordBatch) -> Result<()> {
        while batch.num_rows() > 0 {
            let (shape, rows_max) = (self.shape, self.cut.file_rows);
            let open = self.open()?;
            let fits = usize::try_from(rows_max - open.rows).unwrap_or(usize::MAX);
            let taken = fits.min(batch.num_rows());
            let bytes = open.encoder.write(batch.slice(0, taken)).await;
            let bytes = bytes.map_err(|error| cannot_write(shape, &error))?;
            open.upload.write(&bytes).await.map_err(super::explain)?;
            open.rows += taken as u64;
            batch = batch.slice(taken, batch.num_rows() - taken);
            if taken == fits {
                self.close().await?;
            }
        }
        Ok(())
    }

    /// The file that is being written, or the next.
    fn open(&mut self) -> Result<&mut Open> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.next()?,
        };
        Ok(self.open.insert(open))
    }

    fn next(&self) -> Result<Open> {
        let part = u32::try_from(self.done.len()).unwrap_or(u32::MAX);
        let upload = self.claim.upload(&self.shape.name, self.day, part);
        let (schema, properties) =
            (Arc::clone(&self.shape.schema), properties(self.shape, self.cut.encodings));
        let group_rows =
            ROW_GROUP_ROWS.min(usize::try_from(self.cut.file_rows).unwrap_or(usize::MAX));
        let encoder = Encoder::new(schema, properties, group_rows, self.cut.threads);
        let encoder = encoder.map_err(|error| cannot_write(self.shape, &error))?;
        Ok(Open { encoder, upload, rows: 0 })
    }

    async fn close(&mut self) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let rest = open.encoder.finish().await;
        let rest = rest.map_err(|error| cannot_write(self.shape, &error))?;
        open.upload.write(&rest).await.map_err(super::explain)?;
        if let Some(Open { upload, rows, .. }) = self.open.take() {
            self.done.push(upload.finish(rows).await.map_err(super::explain)?);
        }
        Ok(())
    }

    /// Gives up the file that is being written.
    async fn abort(&mut self) {
        if let Some(open) = self.open.take() {
            open.upload.abort().await;
        }
    }
}

fn properties(shape: &TableShape, encodings: Encodings) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        // The version of tenure, not of the libraries under it.
        .set_created_by(concat!("tenure ", env!("CARGO_PKG_VERSION")).into());
    if let [key] = shape.grain.as_slice() {
        // No value stands twice.
        properties = properties.set_column_dictionary_enabled(key.as_str().into(), false);
    }
    if encodings == Encodings::V2 {
        properties = as_differences(properties, &shape.schema);
    }
    // Who looks for a customer in a table that is sorted by something else has
    // no use for the bounds of its pages.
    let is_sought = |field: &FieldRef| field.name() == SOUGHT;
    if shape.schema.fields().iter().any(is_sought)
        && shape.grain.first().is_some_and(|first| first != SOUGHT)
    {
        properties = properties
            .set_column_bloom_filter_max_ndv(SOUGHT.into(), ROW_GROUP_ROWS as u64)
            .set_column_bloom_filter_fpp(SOUGHT.into(), BLOOM_ERRORS);
    }
    properties.build()
}

/// Integers as differences from the one before.
fn as_differences(
    mut properties: WriterPropertiesBuilder,
    schema: &Schema,
) -> WriterPropertiesBuilder {
    for field in schema.fields() {
        let kind = field.data_type();
        // Days and counts lie close to each other, and ids hardly come again: their
        // differences take no more space than places in a dictionary, and nothing
        // is looked up.
        let is_close = matches!(kind, DataType::Int64 | DataType::Date32);
        if is_close {
            let column = ColumnPath::from(field.name().as_str());
            properties = properties.set_column_dictionary_enabled(column, false);
        }
        // Prices come again, and many instants are midnights: differences are for
        // where a dictionary gives up.
        if is_close || is_instant_or_money(kind) {
            let column = ColumnPath::from(field.name().as_str());
            properties = properties.set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
        }
    }
    properties
}

/// Whether values are instants, or money that Parquet has as integers.
fn is_instant_or_money(kind: &DataType) -> bool {
    match kind {
        DataType::Timestamp(..) => true,
        DataType::Decimal128(precision, _) => *precision <= DECIMAL_DIGITS_MAX,
        _ => false,
    }
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
    Problem::new(format!("cannot write `{}`", shape.name)).causes(error).into()
}
