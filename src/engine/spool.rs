//! Rows put aside in the scratch folder while something else goes on with the
//! rest: written as they come, read when all are there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::prelude::SessionContext;
use tokio::sync::Mutex;

use super::files::{FilesTable, TableFile};
use super::scratch::{Scratch, ScratchWriter, Written};

/// A table that is being written, by any number of writers.
pub struct Spool {
    scratch: Arc<Scratch>,
    folder: String,
    schema: SchemaRef,
    next: AtomicUsize,
    written: Mutex<Vec<(TableFile, Written)>>,
}

impl Spool {
    /// A table in a folder of the scratch, which is made with its first row.
    pub fn new(scratch: &Arc<Scratch>, folder: &str, schema: SchemaRef) -> Self {
        Self {
            scratch: Arc::clone(scratch),
            folder: folder.into(),
            schema,
            next: AtomicUsize::new(0),
            written: Mutex::new(Vec::new()),
        }
    }

    /// A writer of its own for each task.
    pub fn writer(self: &Arc<Self>) -> SpoolWriter {
        SpoolWriter { spool: Arc::clone(self), open: None, rows: 0 }
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The table. All writers have closed.
    pub async fn table(&self, context: &SessionContext) -> FilesTable {
        self.with_contents(context).await.0
    }

    /// The same, telling what each file has.
    pub async fn with_contents(&self, context: &SessionContext) -> (FilesTable, Vec<Written>) {
        let files = self.written.lock().await.clone();
        let contents: Vec<Written> = files.iter().map(|(_, written)| *written).collect();
        (self.scratch.table(context, Arc::clone(&self.schema), files), contents)
    }
}

/// Writes some rows of a spooled table.
pub struct SpoolWriter {
    spool: Arc<Spool>,
    open: Option<(String, ScratchWriter)>,
    rows: usize,
}

impl SpoolWriter {
    /// Writes the rows of a batch.
    ///
    /// # Errors
    /// The disk fails.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let (_, writer) = match &mut self.open {
            Some(open) => open,
            None => {
                let number = self.spool.next.fetch_add(1, Ordering::Relaxed);
                let name = format!("{}/{number:05}.parquet", self.spool.folder);
                let writer = self.spool.scratch.create(&name, &self.spool.schema).await?;
                self.open.insert((name, writer))
            }
        };
        writer.write(batch).await?;
        self.rows += batch.num_rows();
        Ok(())
    }

    /// Completes the file.
    ///
    /// # Errors
    /// The disk fails.
    pub async fn close(self) -> Result<()> {
        if let Some((name, writer)) = self.open {
            let written = Written::end(writer, self.rows).await?;
            let file = self.spool.scratch.file(&name).await?;
            self.spool.written.lock().await.push((file, written));
        }
        Ok(())
    }
}
