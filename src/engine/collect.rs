//! Collects rows that are to be clustered: in memory as far as the engine may
//! use it, past that as sorted pieces in the scratch folder.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{cast, not};
use arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_plan::{ExecutionPlan, execute_stream, execute_stream_partitioned};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use tokio::sync::Mutex;
use tokio::task::{JoinSet, spawn_blocking};

use super::chunk::{Chunk, Tally};
use super::cluster::{Clustered, Piece};
use super::kept::KeptTable;
use super::keys::{self, KEY_BYTES, KeyFile, Keys};
use super::life::Lives;
use super::naming::{self, Naming};
use super::scratch::Scratch;
use super::without::Without;

/// Rows on their way into the clustered order.
pub struct Collector {
    context: SessionContext,
    scratch: Arc<Scratch>,
    schema: SchemaRef,
    /// The columns that are a row's key, if keys are to be compared.
    key: Vec<usize>,
    held: Mutex<Held>,
}

/// What is in memory, and where the rest went.
struct Held {
    chunks: Vec<Chunk>,
    tally: Tally,
    keys: Keys,
    reservation: MemoryReservation,
    pieces: Vec<Arc<dyn ExecutionPlan>>,
    key_files: Vec<KeyFile>,
}

impl Collector {
    /// A collector of rows of a schema, into pieces of one scratch folder.
    pub fn new(
        context: &SessionContext,
        scratch: &Arc<Scratch>,
        schema: &SchemaRef,
        key: &[usize],
    ) -> Self {
        let consumer = MemoryConsumer::new("clustering orders").with_can_spill(true);
        let reservation = consumer.register(&context.runtime_env().memory_pool);
        Self {
            context: context.clone(),
            scratch: Arc::clone(scratch),
            schema: Arc::clone(schema),
            key: key.to_vec(),
            held: Mutex::new(Held {
                chunks: Vec::new(),
                tally: Tally::of(&[], schema),
                keys: Keys::default(),
                reservation,
                pieces: Vec::new(),
                key_files: Vec::new(),
            }),
        }
    }

    /// Takes the rows of a batch; writes a piece when memory is used up.
    ///
    /// # Errors
    /// The disk fails, or a row lacks what it is sorted by.
    pub async fn push(&self, batch: &RecordBatch, buffer: &mut Vec<u64>) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        // All that takes long is done before others have to wait.
        let chunk = Chunk::new(batch, &self.schema);
        let key: Vec<ArrayRef> =
            self.key.iter().map(|index| Arc::clone(batch.column(*index))).collect();
        keys::images(&key, buffer)?;
        let mut held = self.held.lock().await;
        let mut tally = held.tally.clone();
        tally.add(&chunk);
        let count = held.keys.count() + buffer.len();
        if held.reservation.try_resize(self.bytes(&tally, count)).is_err() {
            self.spill(&mut held).await?;
            tally = Tally::of(std::slice::from_ref(&chunk), &self.schema);
            held.reservation.resize(self.bytes(&tally, buffer.len()));
        }
        held.tally = tally;
        held.keys.add_images(&key, buffer);
        held.chunks.push(chunk);
        Ok(())
    }

    /// What chunks and keys count with. Of chunks half more: a quarter for dealing
    /// them group by group and sorting by slots, a quarter that is given back for the
    /// queries behind.
    fn bytes(&self, tally: &Tally, keys: usize) -> usize {
        tally.bytes(&self.schema) / 2 * 3 + keys * KEY_BYTES
    }

    async fn spill(&self, held: &mut Held) -> Result<()> {
        let chunks = std::mem::take(&mut held.chunks);
        if chunks.is_empty() {
            return Ok(());
        }
        let number = held.pieces.len();
        if !self.key.is_empty() {
            let path = self.scratch.spill().join(format!("keys-{number:05}"));
            held.key_files.push(std::mem::take(&mut held.keys).write(path)?);
        }
        let partitions = threads(&self.context);
        let lives = Arc::new(Lives::new(chunks, &self.schema, partitions).await?);
        let sorted =
            Clustered::new(&self.schema, partitions, vec![Piece::Held(lives)], Vec::new())?;
        let plan: Arc<dyn ExecutionPlan> = Arc::new(sorted.plan());
        let task = self.context.task_ctx();
        let table = KeptTable::write(&plan, task, &self.scratch.on_disk()).await?;
        held.pieces.push(table.scan(&self.context.state(), None, &[], None).await?);
        drop(plan);
        held.reservation.free();
        Ok(())
    }

    /// Takes all rows of a plan.
    ///
    /// # Errors
    /// The query or the disk fails.
    pub async fn drain(self: &Arc<Self>, plan: Arc<dyn ExecutionPlan>) -> Result<()> {
        let mut tasks = JoinSet::new();
        for mut stream in execute_stream_partitioned(plan, self.context.task_ctx())? {
            let collector = Arc::clone(self);
            tasks.spawn(async move {
                let mut buffer = Vec::new();
                while let Some(batch) = stream.next().await {
                    collector.push(&batch?, &mut buffer).await?;
                }
                Ok::<_, DataFusionError>(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.map_err(|error| DataFusionError::External(Box::new(error)))??;
        }
        Ok(())
    }

    /// Everything that was collected.
    ///
    /// # Errors
    /// Somebody still collects.
    pub fn finish(collector: Arc<Self>) -> Result<Collected> {
        let Some(Self { context, schema, key, held, .. }) = Arc::into_inner(collector) else {
            return Err(DataFusionError::Internal("rows are still being collected".into()));
        };
        let Held { chunks, tally, keys, reservation, pieces, key_files } = held.into_inner();
        let bytes = tally.bytes(&schema) / 4 * 5;
        reservation.resize(bytes + keys.count() * KEY_BYTES);
        Ok(Collected {
            context,
            schema,
            key,
            chunks,
            keys,
            bytes,
            reservation: Some(reservation),
            scans: pieces,
            key_files,
            without: None,
            back: Vec::new(),
        })
    }
}

/// Rows that were collected and are not in order yet.
pub struct Collected {
    context: SessionContext,
    schema: SchemaRef,
    key: Vec<usize>,
    chunks: Vec<Chunk>,
    keys: Keys,
    /// What the chunks count with.
    bytes: usize,
    reservation: Option<MemoryReservation>,
    scans: Vec<Arc<dyn ExecutionPlan>>,
    key_files: Vec<KeyFile>,
    without: Option<Without>,
    /// What was taken in again, of which nothing is left out.
    back: Vec<Collected>,
}

impl Collected {
    /// Pieces that have been written before: plans that read them, and files of
    /// their keys.
    ///
    /// # Errors
    /// The schema lacks a column of the key.
    pub fn of(
        context: &SessionContext,
        schema: &SchemaRef,
        key: &[&str],
        scans: Vec<Arc<dyn ExecutionPlan>>,
        key_files: Vec<KeyFile>,
    ) -> Result<Self> {
        let key = key.iter().map(|name| schema.index_of(name)).collect::<Result<_, _>>()?;
        Ok(Self {
            context: context.clone(),
            schema: Arc::clone(schema),
            key,
            chunks: Vec::new(),
            keys: Keys::default(),
            bytes: 0,
            reservation: None,
            scans,
            key_files,
            without: None,
            back: Vec::new(),
        })
    }

    /// Begins to write the keys to a file, and forgets them.
    pub fn write_keys(&mut self, path: PathBuf) -> SpawnedTask<Result<KeyFile>> {
        let keys = std::mem::take(&mut self.keys);
        let files = std::mem::take(&mut self.key_files);
        let bytes = keys.count() * KEY_BYTES;
        let counted = self.reservation.as_ref().map(|all| all.split(bytes.min(all.size())));
        SpawnedTask::spawn_blocking(move || {
            let _counted = counted;
            keys::write(&[keys], &files, path)
        })
    }

    /// What the keys counted with is free again.
    fn forget_keys(&self) {
        if let Some(reservation) = &self.reservation {
            reservation.resize(self.bytes);
        }
    }

    /// The images of keys that stand more than once, here or in `beside`.
    ///
    /// # Errors
    /// The disk fails.
    pub async fn repeats(&mut self, beside: Keys) -> Result<HashSet<u64>> {
        let keys = std::mem::take(&mut self.keys);
        let files = std::mem::take(&mut self.key_files);
        let threads = threads(&self.context);
        let found = spawn_blocking(move || keys::repeats(&[keys, beside], &files, threads)).await;
        self.forget_keys();
        found.map_err(|error| DataFusionError::External(Box::new(error)))?
    }

    /// The images of what refunds name, and of their own numbers: of each row that is
    /// one and names something. The columns are those of [`Naming`].
    ///
    /// # Errors
    /// The disk fails.
    pub async fn named(&self, naming: Naming) -> Result<HashSet<u64>> {
        let mut all = HashSet::new();
        for chunk in &self.chunks {
            let column = |index| chunk.lying(index).whole();
            // Columns of nothing but nulls, which most are, are not looked at.
            let named = column(naming.refund_of)?;
            if named.null_count() < named.len() {
                let (is_refund, id) = (column(naming.is_refund)?, column(naming.order_id)?);
                naming::add(&is_refund, &named, &id, &mut all)?;
            }
        }
        for scan in &self.scans {
            let mut stream = execute_stream(Arc::clone(scan), self.context.task_ctx())?;
            while let Some(batch) = stream.next().await {
                let batch = batch?;
                let column = |index| batch.column(index);
                let (is_refund, id) = (column(naming.is_refund), column(naming.order_id));
                naming::add(is_refund, column(naming.refund_of), id, &mut all)?;
            }
        }
        Ok(all)
    }

    /// Takes out the rows whose keys have such images, and hands them on.
    ///
    /// # Errors
    /// The disk fails, or whoever receives them.
    pub async fn take_out(
        &mut self,
        images: HashSet<u64>,
        mut receive: impl AsyncFnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let without = Without { key: self.key.clone(), images: Arc::new(images) };
        for chunk in &mut self.chunks {
            let key = self.key.iter().map(|column| Ok(chunk.lying(*column).whole()?));
            let found = without.found(&key.collect::<Result<Vec<_>>>()?)?;
            if found.true_count() > 0 {
                receive(chunk.filter(&found)?.batch()?).await?;
                *chunk = chunk.filter(&not(&found)?)?;
            }
        }
        for scan in &self.scans {
            let mut stream = execute_stream(Arc::clone(scan), self.context.task_ctx())?;
            while let Some(batch) = stream.next().await {
                let these = without.these(&batch?)?;
                if these.num_rows() > 0 {
                    receive(these).await?;
                }
            }
        }
        self.without = Some(without);
        Ok(())
    }

    /// Takes in again what was taken out and has been collected anew, in the columns of
    /// this.
    pub fn take_in(&mut self, rows: Self) {
        self.back.push(rows);
    }

    /// The columns of a batch in the types of these rows.
    ///
    /// # Errors
    /// It has others.
    pub fn fitted(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let cast = |(column, field): (&ArrayRef, &FieldRef)| cast(column, field.data_type());
        let columns = batch.columns().iter().zip(self.schema.fields()).map(cast);
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    /// The columns of the rows.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows in order.
    ///
    /// # Errors
    /// A row lacks what it is sorted by.
    pub async fn cluster(self) -> Result<Clustered> {
        let partitions = threads(&self.context);
        let (mut chunks, mut pieces, mut reservations) = (Vec::new(), Vec::new(), Vec::new());
        let schema = Arc::clone(&self.schema);
        let mut all = vec![self];
        while let Some(rows) = all.pop() {
            let written = |scan| Piece::Written { scan, without: rows.without.clone() };
            pieces.extend(rows.scans.into_iter().map(written));
            chunks.extend(rows.chunks);
            reservations.extend(rows.reservation);
            all.extend(rows.back);
        }
        pieces.push(Piece::Held(Arc::new(Lives::new(chunks, &schema, partitions).await?)));
        Clustered::new(&schema, partitions, pieces, reservations)
    }
}

/// Partitions of the engine, which are its threads.
fn threads(context: &SessionContext) -> usize {
    context.state().config().target_partitions()
}
