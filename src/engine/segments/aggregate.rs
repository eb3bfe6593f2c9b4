//! Groups over segments: the group of a row is that of the row before, or the
//! next one. DataFusion's accumulators do the sums; no key is hashed.

use std::fmt::{Debug, Formatter};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{concat, take};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::{OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan,
    InputDistributionRequirements, InputOrderMode, PlanProperties, ReplaceChildrenOptions,
};
use futures::{Stream, StreamExt, TryStreamExt};

use super::bounds::{Bounds, Finder, one_row};

/// An aggregation over rows that lie by its group keys.
///
/// All that the planner asks is answered by the operator it stands for.
#[derive(Debug)]
pub struct SegmentedAggregate {
    original: Arc<dyn ExecutionPlan>,
    metrics: ExecutionPlanMetricsSet,
}

impl SegmentedAggregate {
    /// Stands for an aggregation of DataFusion that is done in one step, over
    /// rows sorted by the group keys.
    pub fn replacing(original: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        let aggregate = original.downcast_ref::<AggregateExec>()?;
        let in_one =
            matches!(aggregate.mode(), AggregateMode::Single | AggregateMode::SinglePartitioned);
        let groups = aggregate.group_expr();
        let plain = in_one
            && *aggregate.input_order_mode() == InputOrderMode::Sorted
            && groups.is_single()
            && !groups.expr().is_empty()
            && aggregate.limit_options().is_none()
            && aggregate.aggr_expr().iter().all(|aggregate| {
                aggregate.groups_accumulator_supported() && aggregate.order_bys().is_empty()
            });
        let original = Arc::clone(original);
        plain.then(|| Self { original, metrics: ExecutionPlanMetricsSet::new() })
    }
}

impl DisplayAs for SegmentedAggregate {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut Formatter) -> std::fmt::Result {
        write!(f, "SegmentedAggregate: ")?;
        self.original.fmt_as(format, f)
    }
}

impl ExecutionPlan for SegmentedAggregate {
    fn name(&self) -> &'static str {
        "SegmentedAggregate"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.original.properties()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        self.original.input_distribution_requirements()
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        self.original.required_input_ordering()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        self.original.maintains_input_order()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.original.children()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.original.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let original = Arc::clone(&self.original).replace_children(children, options)?;
        Ok(match Self::replacing(&original) {
            Some(aggregate) => Arc::new(aggregate),
            None => original,
        })
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let Some(aggregate) = self.original.downcast_ref::<AggregateExec>() else {
            return self.original.execute(partition, context);
        };
        let rows = context.session_config().batch_size();
        let work = Work {
            input: aggregate.input().execute(partition, context)?,
            keys: aggregate.group_expr().input_exprs(),
            totals: totals(aggregate)?,
            bounds: Finder::default(),
            names: Vec::new(),
            groups: 0,
            rows,
            schema: self.schema(),
            metrics: BaselineMetrics::new(&self.metrics, partition),
            ended: false,
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), work.stream())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        self.original.child_stats_requests(partition)
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        self.original.statistics_from_inputs(inputs, args)
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
