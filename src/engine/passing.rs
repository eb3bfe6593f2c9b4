//! An operator that passes on the rows of its input as they are, and makes a
//! difference in one thing only.

use std::fmt::{Debug, Formatter};
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};

/// In what such an operator makes a difference.
pub trait Difference: Debug + Default + Send + Sync + 'static {
    /// What plans call it.
    const NAME: &'static str;

    /// Whether the planner may know of the order of the rows.
    const TELLS_ORDER: bool = true;

    /// Called when a partition is to be read.
    ///
    /// # Errors
    /// It must not be.
    fn begin(&self) -> Result<()> {
        Ok(())
    }
}

/// The operator.
#[derive(Debug)]
pub struct Passing<D> {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    difference: D,
}

impl<D: Difference> Passing<D> {
    /// Passes on the rows of a plan.
    pub fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let mut properties = Arc::clone(input.properties());
        if !D::TELLS_ORDER {
            let mut known = input.equivalence_properties().clone();
            known.clear_orderings();
            properties = Arc::new(PlanProperties::clone(&properties).with_eq_properties(known));
        }
        Self { input, properties, difference: D::default() }
    }
}

impl<D: Difference> DisplayAs for Passing<D> {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut Formatter) -> std::fmt::Result {
        f.write_str(D::NAME)
    }
}

impl<D: Difference> ExecutionPlan for Passing<D> {
    fn name(&self) -> &'static str {
        D::NAME
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![D::TELLS_ORDER]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match <[_; 1]>::try_from(children) {
            Ok([input]) => Ok(Arc::new(Self::new(input))),
            Err(_) => Err(DataFusionError::Internal(format!("{} has one input", D::NAME))),
        }
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.difference.begin()?;
        self.input.execute(partition, context)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        _args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        Ok(Arc::clone(&inputs[0]))
    }
}
