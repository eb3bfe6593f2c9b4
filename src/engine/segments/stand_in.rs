//! An operator in the place of one of DataFusion's: all that the planner asks
//! is answered by the one it stands for, only the work is done otherwise.

use std::fmt::{Debug, Formatter};
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan,
    InputDistributionRequirements, PlanProperties, ReplaceChildrenOptions,
};

/// Another way to do the work of an operator with one input.
pub trait Way: Debug + Send + Sync + Sized + 'static {
    /// What plans call it.
    const NAME: &'static str;

    /// The way to do what an operator of DataFusion does; none if it is
    /// another operator, or its rows do not lie as they must.
    fn of(original: &Arc<dyn ExecutionPlan>) -> Option<Self>;

    /// Does the work over one partition of the input.
    ///
    /// # Errors
    /// The operator's expressions fail.
    fn run(
        &self,
        original: &Arc<dyn ExecutionPlan>,
        input: SendableRecordBatchStream,
        context: &TaskContext,
        metrics: BaselineMetrics,
    ) -> Result<SendableRecordBatchStream>;
}

/// An operator whose work is done in another way.
#[derive(Debug)]
pub struct StandIn<W> {
    original: Arc<dyn ExecutionPlan>,
    way: W,
    metrics: ExecutionPlanMetricsSet,
}

impl<W: Way> StandIn<W> {
    /// A plan in the place of another, where there is a way.
    pub fn replacing(original: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
        let way = W::of(original)?;
        let original = Arc::clone(original);
        Some(Arc::new(Self { original, way, metrics: ExecutionPlanMetricsSet::new() }))
    }

    /// The operator of DataFusion.
    pub fn original(&self) -> &Arc<dyn ExecutionPlan> {
        &self.original
    }
}

impl<W: Way> DisplayAs for StandIn<W> {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut Formatter) -> std::fmt::Result {
        write!(f, "{}: ", W::NAME)?;
        self.original.fmt_as(format, f)
    }
}

impl<W: Way> ExecutionPlan for StandIn<W> {
    fn name(&self) -> &'static str {
        W::NAME
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
        Ok(Self::replacing(&original).unwrap_or(original))
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
        let input = self.original.children()[0].execute(partition, Arc::clone(&context))?;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        self.way.run(&self.original, input, &context, metrics)
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
