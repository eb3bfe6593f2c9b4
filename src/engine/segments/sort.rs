//! A sort whose first keys are in order already: only the rows of a segment
//! change places, so nothing is held but the segment, and nothing is merged.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{LexicographicalComparator, SortColumn, concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::metrics::{BaselineMetrics, Time};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning};
use futures::{Stream, StreamExt, TryStreamExt};

use super::bounds::Finder;
use super::order;
use super::stand_in::Way;

/// A sort within the segments of its first keys.
#[derive(Debug)]
pub struct SegmentedSort {
    /// The keys that are in order.
    segment: Vec<Arc<dyn PhysicalExpr>>,
    /// Those behind them.
    within: Vec<PhysicalSortExpr>,
}

impl Way for SegmentedSort {
    const NAME: &'static str = "SegmentedSort";

    /// For a sort of rows that are spread and sorted by its first keys:
    /// segments are small where rows are spread by them.
    fn of(original: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        let sort = original.downcast_ref::<SortExec>()?;
        if sort.fetch().is_some() || !sort.preserve_partitioning() {
            return None;
        }
        let keys = sort.expr();
        let sorted = known_order(keys, sort.input()).or_else(|| {
            let first = keys.first();
            let plain = !first.options.descending && !first.options.nulls_first;
            (plain && order::lies_by(sort.input(), &first.expr)).then_some(1)
        })?;
        let segment = keys.iter().take(sorted).map(|key| Arc::clone(&key.expr)).collect();
        Some(Self { segment, within: keys.iter().skip(sorted).cloned().collect() })
    }

    fn run(
        &self,
        _original: &Arc<dyn ExecutionPlan>,
        input: SendableRecordBatchStream,
        _context: &TaskContext,
        metrics: BaselineMetrics,
    ) -> Result<SendableRecordBatchStream> {
        Ok(within_segments(input, self.segment.clone(), self.within.clone(), Some(metrics)))
    }
}

/// How many of the keys the planner knows to be in order, if they include
/// those by which the rows are spread.
fn known_order(keys: &LexOrdering, input: &Arc<dyn ExecutionPlan>) -> Option<usize> {
    let Partitioning::Hash(spread, _) = input.output_partitioning() else { return None };
    let sorted = (1..=keys.len()).rev().find(|length| {
        let prefix = LexOrdering::new(keys.iter().take(*length).cloned());
        prefix.is_some_and(|prefix| {
            input.equivalence_properties().ordering_satisfy(prefix).unwrap_or(false)
        })
    })?;
    let within = |key: &Arc<dyn PhysicalExpr>| {
        keys.iter().take(sorted).any(|sorted| sorted.expr.as_ref() == key.as_ref())
    };
    spread.iter().all(within).then_some(sorted)
}

/// Sorts the rows of each segment, which lie together, by further keys.
pub fn within_segments(
    input: SendableRecordBatchStream,
    segment: Vec<Arc<dyn PhysicalExpr>>,
    within: Vec<PhysicalSortExpr>,
    metrics: Option<BaselineMetrics>,
) -> SendableRecordBatchStream {
    let schema = input.schema();
    let work = Work {
        input,
        segment,
        within,
        bounds: Finder::default(),
        open: Vec::new(),
        done: VecDeque::new(),
        schema: Arc::clone(&schema),
        metrics,
        ended: false,
    };
    Box::pin(RecordBatchStreamAdapter::new(schema, work.stream()))
}

/// The state of one partition.
struct Work {
    input: SendableRecordBatchStream,
    segment: Vec<Arc<dyn PhysicalExpr>>,
    within: Vec<PhysicalSortExpr>,
    bounds: Finder,
    /// The rows of the segment that may go on.
    open: Vec<RecordBatch>,
    done: VecDeque<RecordBatch>,
    schema: SchemaRef,
    /// None where the work is part of another's.
    metrics: Option<BaselineMetrics>,
    ended: bool,
}

impl Work {
    fn stream(self) -> impl Stream<Item = Result<RecordBatch>> {
        futures::stream::try_unfold(self, |mut work| async move {
            let batch = work.next().await?;
            Ok(batch.map(|batch| (batch, work)))
        })
        .into_stream()
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.done.pop_front() {
                if let Some(metrics) = &self.metrics {
                    metrics.record_output(batch.num_rows());
                }
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            match self.input.next().await.transpose()? {
                Some(batch) if batch.num_rows() > 0 => self.push(&batch)?,
                Some(_) => {}
                None => {
                    self.ended = true;
                    self.close()?;
                }
            }
        }
    }

    /// Sorts what a batch completes, and keeps its last segment open.
    fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let time = self.metrics.as_ref().map(|metrics| metrics.elapsed_compute().clone());
        let _timer = time.as_ref().map(Time::timer);
        let keys = evaluate(&self.segment, batch)?;
        let bounds = self.bounds.next(&keys, batch.num_rows())?;
        let Some(last) = bounds.starts.last().copied() else {
            self.open.push(batch.clone());
            return Ok(());
        };
        if last > 0 {
            self.open.push(batch.slice(0, last));
        }
        self.close()?;
        self.open.push(batch.slice(last, batch.num_rows() - last));
        Ok(())
    }

    /// Sorts the open rows, which are whole segments.
    fn close(&mut self) -> Result<()> {
        let open = std::mem::take(&mut self.open);
        let batch = match open.as_slice() {
            [] => return Ok(()),
            [one] => one.clone(),
            several => concat_batches(&self.schema, several)?,
        };
        let keys = evaluate(&self.segment, &batch)?;
        let bounds = Finder::default().next(&keys, batch.num_rows())?;
        let columns = self.within.iter().map(|key| {
            let values = key.expr.evaluate(&batch)?.into_array(batch.num_rows())?;
            Ok(SortColumn { values, options: Some(key.options) })
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        if columns.is_empty() {
            self.done.push_back(batch);
            return Ok(());
        }
        let order = LexicographicalComparator::try_new(&columns)?;
        let mut rows: Vec<u32> = (0..u32::try_from(batch.num_rows()).unwrap_or(u32::MAX)).collect();
        let mut moved = false;
        for range in bounds.ranges() {
            // Most segments are in order: a look is cheaper than a sort.
            let mut pairs = range.start..range.end.saturating_sub(1);
            if pairs.any(|row| order.compare(row, row + 1) == Ordering::Greater) {
                moved = true;
                rows[range].sort_by(|a, b| order.compare(*a as usize, *b as usize));
            }
        }
        self.done.push_back(match moved {
            true => take_record_batch(&batch, &UInt32Array::from(rows))?,
            false => batch,
        });
        Ok(())
    }
}

fn evaluate(keys: &[Arc<dyn PhysicalExpr>], batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
    keys.iter().map(|key| key.evaluate(batch)?.into_array(batch.num_rows())).collect()
}
