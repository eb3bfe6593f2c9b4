//! The one pass over the files of a source: each row is set aside or accepted,
//! and where it goes is all that is done with it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::{filter_record_batch, not};
use arrow::datatypes::SchemaRef;
use datafusion::common::runtime::JoinSet;
use datafusion::dataframe::DataFrame;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::{ExecutionPlan, execute_stream_partitioned};
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use super::classify;
use crate::engine::collect::{Collected, Collector};
use crate::engine::keys::{self, KeyFile, Keys};
use crate::engine::scratch::Scratch;
use crate::engine::spool::{Spool, SpoolWriter};
use crate::engine::text::scan::records;
use crate::plan::SourcePlan;

/// Keys a task holds before it writes them to a file: eight megabytes.
const KEYS_HELD_MAX: usize = 1 << 20;

/// A pass that is about to begin.
pub struct Pass<'a> {
    context: &'a SessionContext,
    scratch: &'a Arc<Scratch>,
    source: &'a SourcePlan,
    plan: Arc<dyn ExecutionPlan>,
    /// Columns that lines of one order have in common.
    common: Vec<&'static str>,
    /// The columns of rows that are accepted.
    pub accepted: SchemaRef,
    /// The columns of rows that are set aside.
    pub aside: SchemaRef,
}

/// What a pass gave.
pub struct Passed {
    /// Rows of the files.
    pub rows: u64,
    /// Rows that were not set aside.
    pub accepted: u64,
    /// Whether any of these lacks what other lines of its order may say.
    pub has_gaps: bool,
    /// Rows that were set aside.
    pub aside: Arc<Spool>,
    /// Where the others are.
    pub rest: Rest,
}

/// Where accepted rows are.
pub enum Rest {
    /// On their way into the clustered order.
    Collected(Box<Collected>),
    /// In the scratch folder, with the images of their keys.
    Spooled(Arc<Spool>, KeyFiles),
}

/// Keys of spooled rows.
#[derive(Default)]
pub struct KeyFiles {
    held: Vec<Keys>,
    files: Vec<KeyFile>,
}

impl KeyFiles {
    /// The images that stand more than once.
    ///
    /// # Errors
    /// The disk fails.
    pub fn repeats(&self, threads: usize) -> Result<HashSet<u64>> {
        keys::repeats(&self.held, &self.files, threads)
    }
}

/// Where the rows of a task go; the columns of the query of `classify::pass`.
struct Shared {
    aside: Arc<Spool>,
    sink: Sink,
    /// Canonical columns; `reject`, `set_aside` and what follows from them are behind.
    columns: usize,
    /// Columns that are accepted.
    accepted: Vec<usize>,
    key: Vec<usize>,
    /// Columns that lines of one order have in common.
    common: Vec<usize>,
    name: &'static str,
    scratch: Arc<Scratch>,
    key_files: AtomicUsize,
}

enum Sink {
    Cluster(Arc<Collector>),
    Spool(Arc<Spool>),
}

impl<'a> Pass<'a> {
    /// A pass over the rows of `classify::pass`; `common` are columns that lines of one
    /// order have in common.
    ///
    /// # Errors
    /// They cannot be planned.
    pub async fn new(
        context: &'a SessionContext,
        scratch: &'a Arc<Scratch>,
        source: &'a SourcePlan,
        rows: DataFrame,
        common: Vec<&'static str>,
    ) -> Result<Self> {
        let plan = rows.create_physical_plan().await?;
        let schema = plan.schema();
        let columns = schema.index_of("reject")?;
        let aside = schema.project(&(0..=columns).collect::<Vec<_>>())?;
        let accepted = schema.project(&accepted(&schema)?)?;
        let (accepted, aside) = (Arc::new(accepted), Arc::new(aside));
        Ok(Self { context, scratch, source, plan, common, accepted, aside })
    }

    /// Runs it.
    ///
    /// # Errors
    /// The files or the disk fail.
    pub async fn run(self) -> Result<Passed> {
        let shared = Arc::new(self.shared()?);
        let plan = Arc::clone(&self.plan);
        let mut tasks = JoinSet::new();
        for stream in execute_stream_partitioned(plan, self.context.task_ctx())? {
            tasks.spawn(work(stream, Arc::clone(&shared)));
        }
        let mut all = Part::default();
        while let Some(done) = tasks.join_next().await {
            all.add(done.map_err(|error| DataFusionError::External(Box::new(error)))??);
        }
        // Of texts, the records that their files have, whatever the parser gave.
        let rows = records(self.plan.as_ref()).unwrap_or(all.rows);
        let Some(Shared { aside, sink, .. }) = Arc::into_inner(shared) else {
            return Err(DataFusionError::Internal("a task of the pass goes on".into()));
        };
        let rest = match sink {
            Sink::Spool(spool) => Rest::Spooled(spool, all.keys),
            Sink::Cluster(collector) => Rest::Collected(Box::new(Collector::finish(collector)?)),
        };
        let Part { accepted, has_gaps, .. } = all;
        Ok(Passed { rows, accepted, has_gaps, aside, rest })
    }

    fn shared(&self) -> Result<Shared> {
        let schema = self.plan.schema();
        let rest = Arc::clone(&self.accepted);
        let key = classify::key(self.source);
        let key = key.iter().map(|name| rest.index_of(name)).collect::<Result<Vec<_>, _>>()?;
        let common = self.common.iter().map(|name| rest.index_of(name));
        let common = common.collect::<Result<Vec<_>, _>>()?;
        let sink = match classify::is_orders(self.source) {
            true => {
                let collector = Collector::new(self.context, self.scratch, &rest, &key);
                Sink::Cluster(Arc::new(collector))
            }
            false => Sink::Spool(Arc::new(Spool::new(self.scratch, &self.folder("rows"), rest))),
        };
        Ok(Shared {
            aside: Arc::new(Spool::new(
                self.scratch,
                &self.folder("aside"),
                Arc::clone(&self.aside),
            )),
            sink,
            columns: schema.index_of("reject")?,
            accepted: accepted(&schema)?,
            key,
            common,
            name: self.source.kind.name,
            scratch: Arc::clone(self.scratch),
            key_files: AtomicUsize::new(0),
        })
    }

    fn folder(&self, what: &str) -> String {
        format!("ingest/{}/{what}", self.source.kind.name)
    }
}

/// The columns that are accepted.
fn accepted(schema: &SchemaRef) -> Result<Vec<usize>> {
    let mut accepted: Vec<usize> = (0..schema.index_of("reject")?).collect();
    accepted.extend(classify::FOLLOWING.iter().filter_map(|name| schema.index_of(name).ok()));
    Ok(accepted)
}

/// What a task did.
#[derive(Default)]
struct Part {
    rows: u64,
    accepted: u64,
    has_gaps: bool,
    keys: KeyFiles,
}

impl Part {
    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.accepted += other.accepted;
        self.has_gaps |= other.has_gaps;
        self.keys.held.extend(other.keys.held);
        self.keys.files.extend(other.keys.files);
    }
}

async fn work(mut stream: SendableRecordBatchStream, shared: Arc<Shared>) -> Result<Part> {
    let mut part = Part::default();
    let mut aside = shared.aside.writer();
    let mut spool = match &shared.sink {
        Sink::Spool(spool) => Some(spool.writer()),
        Sink::Cluster(_) => None,
    };
    let mut keys = Keys::default();
    let mut buffer = Vec::new();
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        part.rows += batch.num_rows() as u64;
        let rest = shared.split(&batch, &mut aside).await?;
        part.accepted += rest.num_rows() as u64;
        part.has_gaps |= shared.common.iter().any(|index| rest.column(*index).null_count() > 0);
        match (&shared.sink, &mut spool) {
            (Sink::Cluster(collector), _) => collector.push(&rest, &mut buffer).await?,
            (Sink::Spool(_), None) => {}
            (Sink::Spool(_), Some(writer)) => {
                shared.note_keys(&rest, &mut keys, &mut buffer, &mut part.keys)?;
                writer.write(&rest).await?;
            }
        }
    }
    part.keys.held.push(keys);
    aside.close().await?;
    if let Some(spool) = spool {
        spool.close().await?;
    }
    Ok(part)
}

impl Shared {
    /// The rows of a batch that are accepted; the others are written away.
    async fn split(&self, batch: &RecordBatch, aside: &mut SpoolWriter) -> Result<RecordBatch> {
        let rest = batch.project(&self.accepted)?;
        let set_aside = batch.column(self.columns + 1).as_boolean();
        if !set_aside.has_true() {
            return Ok(rest);
        }
        let rejected = batch.project(&(0..=self.columns).collect::<Vec<_>>())?;
        aside.write(&filter_record_batch(&rejected, set_aside)?).await?;
        Ok(filter_record_batch(&rest, &not(set_aside)?)?)
    }

    fn note_keys(
        &self,
        rows: &RecordBatch,
        keys: &mut Keys,
        buffer: &mut Vec<u64>,
        done: &mut KeyFiles,
    ) -> Result<()> {
        if self.key.is_empty() {
            return Ok(());
        }
        let key: Vec<ArrayRef> =
            self.key.iter().map(|index| Arc::clone(rows.column(*index))).collect();
        keys.add(&key, buffer)?;
        if keys.count() >= KEYS_HELD_MAX {
            let name = &self.name;
            let number = self.key_files.fetch_add(1, Ordering::Relaxed);
            let path = self.scratch.spill().join(format!("{name}-keys-{number:05}"));
            done.files.push(std::mem::take(keys).write(path)?);
        }
        Ok(())
    }
}
