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

/// Makes one Parquet file, and hands on its bytes as they become final.
pub struct Encoder {
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
}

impl Encoder {
    /// Begins a file with row groups of `group_rows` rows, of which `at_once`
    /// are encoded at the same time.
    ///
    /// # Errors
    /// A type that Parquet does not have.
    pub fn new(
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
        })
    }

    /// Adds rows, and returns the bytes that come next in the file. Page bounds
    /// follow the batches, so these must be cut alike each time.
    ///
    /// # Errors
    /// Rows that cannot be encoded.
    pub async fn write(&mut self, mut batch: RecordBatch) -> Result<Vec<u8>> {
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
        self.final_bytes()
    }

    /// Ends the file, and returns the bytes that are left, the footer last.
    ///
    /// # Errors
    /// Rows that cannot be encoded.
    pub async fn finish(&mut self) -> Result<Vec<u8>> {
        if !self.open.is_empty() {
            self.begin_group().await?;
        }
        while !self.working.is_empty() {
            self.end_group().await?;
        }
        self.file.finish()?;
        self.final_bytes()
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
        Ok(())
    }

    fn final_bytes(&mut self) -> Result<Vec<u8>> {
        self.file.flush()?;
        Ok(std::mem::take(self.file.inner_mut()))
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
