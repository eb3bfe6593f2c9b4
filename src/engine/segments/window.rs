//! Window functions over segments, in one pass.

use std::collections::VecDeque;
use std::fmt::{Debug, Formatter};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan,
    InputDistributionRequirements, InputOrderMode, PlanProperties, ReplaceChildrenOptions,
};
use futures::{Stream, StreamExt, TryStreamExt};

use super::bounds::Finder;
use super::columns::{Column, Function};

/// A window operator over rows that lie by its partition keys.
///
/// All that the planner asks is answered by the operator it stands for; only
/// the work is done otherwise.
#[derive(Debug)]
pub struct SegmentedWindow {
    original: Arc<dyn ExecutionPlan>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    functions: Vec<Function>,
    metrics: ExecutionPlanMetricsSet,
}

impl SegmentedWindow {
    /// Stands for a window operator of DataFusion, if its rows lie by key and
    /// all its functions are known here.
    pub fn replacing(original: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        let windows = if let Some(bounded) = original.downcast_ref::<BoundedWindowAggExec>() {
            (bounded.input_order_mode == InputOrderMode::Sorted).then(|| bounded.window_expr())?
        } else {
            original.downcast_ref::<WindowAggExec>()?.window_expr()
        };
        let keys = windows.first()?.partition_by().to_vec();
        let alike = |keys: &[Arc<dyn PhysicalExpr>], others: &[Arc<dyn PhysicalExpr>]| {
            keys.len() == others.len() && keys.iter().all(|key| others.contains(key))
        };
        if keys.is_empty() || !windows.iter().all(|window| alike(&keys, window.partition_by())) {
            return None;
        }
        let schema = original.children().first()?.schema();
        let functions = windows.iter().map(|window| Function::of(window.as_ref(), &schema));
        let functions = functions.collect::<Option<Vec<_>>>()?;
        let original = Arc::clone(original);
        Some(Self { original, keys, functions, metrics: ExecutionPlanMetricsSet::new() })
    }
}

impl DisplayAs for SegmentedWindow {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut Formatter) -> std::fmt::Result {
        write!(f, "SegmentedWindow: ")?;
        self.original.fmt_as(format, f)
    }
}

impl ExecutionPlan for SegmentedWindow {
    fn name(&self) -> &'static str {
        "SegmentedWindow"
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
        vec![true]
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
            Some(window) => Arc::new(window),
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
        let child = Arc::clone(self.original.children()[0]);
        let work = Work {
            input: child.execute(partition, context)?,
            keys: self.keys.clone(),
            columns: self.functions.iter().filter_map(Function::column).collect(),
            arguments: self.functions.iter().map(|function| function.arguments.clone()).collect(),
            bounds: Finder::default(),
            waiting: VecDeque::new(),
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

/// The state of one partition.
struct Work {
    input: SendableRecordBatchStream,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    columns: Vec<Box<dyn Column>>,
    arguments: Vec<Vec<Arc<dyn PhysicalExpr>>>,
    bounds: Finder,
    /// Batches some of whose columns are not known yet.
    waiting: VecDeque<RecordBatch>,
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

    /// The next complete batch.
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.complete()? {
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            match self.input.next().await.transpose()? {
                Some(batch) if batch.num_rows() > 0 => self.push(batch)?,
                Some(_) => {}
                None => self.finish()?,
            }
        }
    }

    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        let time = self.metrics.elapsed_compute().clone();
        let _timer = time.timer();
        let rows = batch.num_rows();
        let evaluate = |expression: &Arc<dyn PhysicalExpr>| -> Result<ArrayRef> {
            expression.evaluate(&batch)?.into_array(rows)
        };
        let keys = self.keys.iter().map(evaluate).collect::<Result<Vec<_>>>()?;
        let bounds = self.bounds.next(&keys, rows)?;
        for (column, arguments) in self.columns.iter_mut().zip(&self.arguments) {
            let arguments = arguments.iter().map(evaluate).collect::<Result<Vec<_>>>()?;
            column.push(&arguments, &bounds)?;
        }
        self.waiting.push_back(batch);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.ended = true;
        for column in &mut self.columns {
            column.finish()?;
        }
        Ok(())
    }

    /// The oldest batch, if all its columns are known.
    fn complete(&mut self) -> Result<Option<RecordBatch>> {
        if self.waiting.is_empty() || self.columns.iter_mut().any(|c| c.done().is_empty()) {
            return Ok(None);
        }
        let Some(batch) = self.waiting.pop_front() else { return Ok(None) };
        let mut columns = batch.columns().to_vec();
        columns.extend(self.columns.iter_mut().filter_map(|column| column.done().pop_front()));
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        self.metrics.record_output(batch.num_rows());
        Ok(Some(batch))
    }
}
