//! Rows to Parquet bytes on all cores: each row group is encoded by itself, and
//! they are put together in order. The bytes depend on the rows alone, not on
//! how many threads there were.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::runtime::SpawnedTask;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Writes one Parquet file.
pub struct Encoder<W> {
    file: SerializedFileWriter<Vec<u8>>,
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    /// Batches of the row group that is not full yet, and their rows.
    open: Vec<RecordBatch>,
    open_rows: usize,
    group_rows: usize,
    /// Row groups begun so far.
    groups: usize,
    /// Those being encoded, the oldest first.
    working: VecDeque<SpawnedTask<Result<Vec<ArrowColumnChunk>>>>,
    at_once: usize,
    sink: W,
}

impl<W: AsyncWrite + Unpin> Encoder<W> {
    /// Begins a file with row groups of `group_rows` rows, of which `at_once`
    /// are encoded at the same time.
    ///
    /// # Errors
    /// A type that Parquet does not have.
    pub fn new(
        sink: W,
        schema: SchemaRef,
        properties: WriterProperties,
        group_rows: usize,
        at_once: usize,
    ) -> Result<Self> {
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties))?;
        let (file, factory) = writer.into_serialized_writer()?;
        Ok(Self {
            file,
            factory,
            schema,
            open: Vec::new(),
            open_rows: 0,
            group_rows,
            groups: 0,
            working: VecDeque::new(),
            at_once: at_once.max(1),
            sink,
        })
    }

    /// Adds rows. Page bounds follow the batches, so these must be cut alike
    /// each time.
    ///
    /// # Errors
    /// The encoder or the sink fails.
    pub async fn write(&mut self, mut batch: RecordBatch) -> Result<()> {
        while self.open_rows + batch.num_rows() >= self.group_rows {
            let fits = self.group_rows - self.open_rows;
            self.open.push(batch.slice(0, fits));
            batch = batch.slice(fits, batch.num_rows() - fits);
            self.begin_group().await?;
        }
        if batch.num_rows() > 0 {
            self.open_rows += batch.num_rows();
            self.open.push(batch);
        }
        Ok(())
    }

    /// Writes what is left and the footer; returns the sink, not yet shut down.
    ///
    /// # Errors
    /// The encoder or the sink fails.
    pub async fn finish(mut self) -> Result<W> {
        if !self.open.is_empty() {
            self.begin_group().await?;
        }
        while !self.working.is_empty() {
            self.end_group().await?;
        }
        self.file.finish()?;
        self.drain().await?;
        Ok(self.sink)
    }

    async fn begin_group(&mut self) -> Result<()> {
        while self.working.len() >= self.at_once {
            self.end_group().await?;
        }
        let writers = self.factory.create_column_writers(self.groups)?;
        let batches = std::mem::take(&mut self.open);
        let schema = Arc::clone(&self.schema);
        self.open_rows = 0;
        self.groups += 1;
        let task = SpawnedTask::spawn_blocking(move || encode(&schema, &batches, writers));
        self.working.push_back(task);
        Ok(())
    }

    /// Puts the oldest row group into the file.
    async fn end_group(&mut self) -> Result<()> {
        let Some(task) = self.working.pop_front() else { return Ok(()) };
        let chunks = task.join().await.map_err(|error| ParquetError::External(error.into()))??;
        let mut group = self.file.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        self.drain().await
    }

    /// Hands on the bytes that are final.
    async fn drain(&mut self) -> Result<()> {
        self.file.flush()?;
        let bytes = std::mem::take(self.file.inner_mut());
        self.sink.write_all(&bytes).await.map_err(|error| ParquetError::External(error.into()))
    }
}

fn encode(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    mut writers: Vec<ArrowColumnWriter>,
) -> Result<Vec<ArrowColumnChunk>> {
    for batch in batches {
        let mut leaves = writers.iter_mut();
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            for leaf in compute_leaves(field, column)? {
                if let Some(writer) = leaves.next() {
                    writer.write(&leaf)?;
                }
            }
        }
    }
    writers.into_iter().map(ArrowColumnWriter::close).collect()
}
