//! Groups over segments: the group of a row is that of the row before, or the
//! next one. DataFusion's accumulators do the sums; no key is hashed.
//!
//! Where only the first keys are known to be in order, the rows of a segment are
//! put in the order of the others first. Mostly they are: a month rises with the
//! day, though no planner knows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{concat, take};
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::metrics::BaselineMetrics;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, InputOrderMode};
use futures::{Stream, StreamExt, TryStreamExt};

use super::bounds::{Bounds, Finder, one_row};
use super::order;
use super::sort::within_segments;
use super::stand_in::Way;

/// An aggregation over rows that lie by its group keys.
#[derive(Debug)]
pub struct SegmentedAggregate {
    /// How many of the group keys are in order.
    sorted: usize,
}

impl Way for SegmentedAggregate {
    const NAME: &'static str = "SegmentedAggregate";

    /// For an aggregation that is done in one step, over rows sorted by the
    /// group keys, or spread and sorted by the first of them: segments are
    /// small where rows are spread by them.
    fn of(original: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        let aggregate = original.downcast_ref::<AggregateExec>()?;
        let in_one =
            matches!(aggregate.mode(), AggregateMode::Single | AggregateMode::SinglePartitioned);
        let groups = aggregate.group_expr();
        let keys = groups.input_exprs();
        let sorted = match aggregate.input_order_mode() {
            InputOrderMode::Sorted => keys.len(),
            _ => order::lies_by(aggregate.input(), keys.first()?).then_some(1)?,
        };
        let plain = in_one
            && groups.is_single()
            && !groups.expr().is_empty()
            && aggregate.limit_options().is_none()
            && aggregate.aggr_expr().iter().all(|aggregate| {
                aggregate.groups_accumulator_supported() && aggregate.order_bys().is_empty()
            });
        plain.then_some(Self { sorted })
    }

    fn run(
        &self,
        original: &Arc<dyn ExecutionPlan>,
        mut input: SendableRecordBatchStream,
        context: &TaskContext,
        metrics: BaselineMetrics,
    ) -> Result<SendableRecordBatchStream> {
        let aggregate = original.downcast_ref::<AggregateExec>().ok_or_else(|| {
            DataFusionError::Internal(format!("{} is no aggregation", original.name()))
        })?;
        let keys = aggregate.group_expr().input_exprs();
        let (segment, rest) = keys.split_at(self.sorted);
        if !rest.is_empty() {
            let within = rest.iter().map(|key| PhysicalSortExpr::new_default(Arc::clone(key)));
            input = within_segments(input, segment.to_vec(), within.collect(), None);
        }
        let work = Work {
            input,
            keys,
            totals: totals(aggregate)?,
            bounds: Finder::default(),
            names: Vec::new(),
            groups: 0,
            rows: context.session_config().batch_size(),
            schema: original.schema(),
            metrics,
            ended: false,
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(original.schema(), work.stream())))
    }
}

/// One aggregate and its state.
struct Total {
    accumulator: Box<dyn GroupsAccumulator>,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    filter: Option<Arc<dyn PhysicalExpr>>,
}

fn totals(aggregate: &AggregateExec) -> Result<Vec<Total>> {
    let filters = aggregate.filter_expr();
    let expressions = aggregate.aggr_expr().iter();
    let total = expressions.enumerate().map(|(index, expression)| {
        Ok(Total {
            accumulator: expression.create_groups_accumulator()?,
            arguments: expression.expressions(),
            filter: filters.get(index).cloned().flatten(),
        })
    });
    total.collect()
}

/// The state of one partition.
struct Work {
    input: SendableRecordBatchStream,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    totals: Vec<Total>,
    bounds: Finder,
    /// The keys of the groups in the accumulators, as pieces of each column.
    names: Vec<Vec<ArrayRef>>,
    /// Groups in the accumulators; the last one may go on.
    groups: usize,
    /// Groups that are enough for a batch of the result.
    rows: usize,
    schema: SchemaRef,
    metrics: BaselineMetrics,
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

    /// The next batch of finished groups.
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while !self.ended {
            match self.input.next().await.transpose()? {
                Some(batch) if batch.num_rows() > 0 => {
                    self.push(&batch)?;
                    if self.groups > self.rows {
                        return self.emit(self.groups - 1).map(Some);
                    }
                }
                Some(_) => {}
                None => self.ended = true,
            }
        }
        match self.groups {
            0 => Ok(None),
            groups => self.emit(groups).map(Some),
        }
    }

    fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let time = self.metrics.elapsed_compute().clone();
        let _timer = time.timer();
        let rows = batch.num_rows();
        let evaluate = |expression: &Arc<dyn PhysicalExpr>| -> Result<ArrayRef> {
            expression.evaluate(batch)?.into_array(rows)
        };
        let keys = self.keys.iter().map(evaluate).collect::<Result<Vec<_>>>()?;
        let bounds = self.bounds.next(&keys, rows)?;
        let indices = self.number(&bounds);
        self.name(&keys, &bounds)?;
        for total in &mut self.totals {
            let values = total.arguments.iter().map(evaluate).collect::<Result<Vec<_>>>()?;
            let filter = total.filter.as_ref().map(evaluate).transpose()?;
            let filter = filter.as_ref().map(|filter| filter.as_boolean() as &BooleanArray);
            total.accumulator.update_batch(&values, &indices, filter, self.groups)?;
        }
        Ok(())
    }

    /// The group of every row.
    fn number(&mut self, bounds: &Bounds) -> Vec<usize> {
        let mut indices = Vec::with_capacity(bounds.rows);
        for range in bounds.ranges() {
            self.groups += usize::from(bounds.begins.value(range.start));
            indices.resize(range.end, self.groups - 1);
        }
        indices
    }

    /// Notes the keys of the groups that begin.
    fn name(&mut self, keys: &[ArrayRef], bounds: &Bounds) -> Result<()> {
        if bounds.starts.is_empty() {
            return Ok(());
        }
        let starts = bounds.starts.iter().map(|start| u32::try_from(*start).unwrap_or(u32::MAX));
        let starts = UInt32Array::from_iter_values(starts);
        self.names.resize_with(keys.len(), Vec::new);
        for (pieces, key) in self.names.iter_mut().zip(keys) {
            pieces.push(take(key, &starts, None)?);
        }
        Ok(())
    }

    /// Takes the first groups out.
    fn emit(&mut self, groups: usize) -> Result<RecordBatch> {
        let time = self.metrics.elapsed_compute().clone();
        let _timer = time.timer();
        let all = groups == self.groups;
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for pieces in &mut self.names {
            let known: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
            let known = concat(&known)?;
            *pieces = if all { Vec::new() } else { vec![one_row(&known, groups)] };
            columns.push(known.slice(0, groups));
        }
        for total in &mut self.totals {
            let emit = if all { EmitTo::All } else { EmitTo::First(groups) };
            columns.push(total.accumulator.evaluate(emit)?);
        }
        self.groups -= groups;
        self.metrics.record_output(groups);
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}
