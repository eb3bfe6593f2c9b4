//! The table that a join without keys holds in memory.
//!
//! Where it does not fit, DataFusion's nested loop join computes it a second time,
//! into the scratch folder. In DataFusion 55 that gives other rows, without a word:
//! a scan of files goes on where it was, so that those read by then are missing
//! (apache/datafusion#24676, an error only where none are left), and an outer join
//! repeats the rows that match nothing for each partition of the other side (#22641)
//! or loses them (#24745). Here it is out of memory instead, as other joins are.

use std::fmt::Formatter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, Statistics};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::joins::NestedLoopJoinExec;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};

/// The optimizer rule: what a nested loop join holds is computed once, or not.
#[derive(Debug, Default)]
pub struct Held;

impl PhysicalOptimizerRule for Held {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let replaced = plan.transform_up(|node| {
            let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() else {
                return Ok(Transformed::no(node));
            };
            if join.left().is::<Once>() {
                return Ok(Transformed::no(node));
            }
            let held = Arc::new(Once::new(Arc::clone(join.left())));
            let children = vec![held as _, Arc::clone(join.right())];
            // All that the planner knows of the input stays true.
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
            Ok(Transformed::yes(node.replace_children(children, options)?))
        });
        Ok(replaced?.data)
    }

    fn name(&self) -> &'static str {
        "held"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Passes on the rows of its input, a single time.
#[derive(Debug)]
struct Once {
    input: Arc<dyn ExecutionPlan>,
    is_begun: AtomicBool,
}

impl Once {
    fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        Self { input, is_begun: AtomicBool::new(false) }
    }
}

impl DisplayAs for Once {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut Formatter) -> std::fmt::Result {
        write!(f, "Once")
    }
}

impl ExecutionPlan for Once {
    fn name(&self) -> &'static str {
        "Once"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
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
            Err(_) => Err(DataFusionError::Internal("Once has one input".into())),
        }
    }

    /// # Errors
    /// It has been executed before: the join had no room for the rows.
    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        if self.is_begun.swap(true, Ordering::Relaxed) {
            let what = "a join without `=` holds its first table in memory, which does not fit: \
                        the smaller one should come first";
            return Err(DataFusionError::ResourcesExhausted(what.into()));
        }
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

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::datasource::MemTable;
    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::engine::session;
    use crate::plan::EnginePlan;

    /// A session with a table `small` and one that is larger, in two partitions.
    fn session(memory: u64, scratch: &tempfile::TempDir) -> SessionContext {
        let engine = EnginePlan { memory_bytes: memory, threads: Some(2), scratch: None };
        let context = session::open(&engine, scratch.path().into()).expect("a session");
        let batch = |numbers: std::ops::Range<i64>| {
            let numbers: ArrayRef = Arc::new(numbers.collect::<Int64Array>());
            RecordBatch::try_from_iter([("number", numbers)]).expect("a column")
        };
        let small = vec![vec![batch(0..1_000), batch(1_000..2_000)]];
        let large = vec![vec![batch(500..3_000)], vec![batch(3_000..5_500)]];
        for (name, rows) in [("small", small), ("large", large)] {
            let table = MemTable::try_new(rows[0][0].schema(), rows).expect("a table");
            context.register_table(name, Arc::new(table)).expect("a name");
        }
        context
    }

    async fn rows(context: &SessionContext, join: &str) -> Result<usize> {
        let on = "small.number < large.number and small.number > large.number - 2";
        let query = format!("select small.number from small {join} large on {on}");
        Ok(context.sql(&query).await?.collect().await?.iter().map(RecordBatch::num_rows).sum())
    }

    #[tokio::test]
    async fn what_does_not_fit_is_not_computed_again() {
        let scratch = tempfile::tempdir().expect("a folder");
        for (join, expected) in [("join", 1_501), ("left join", 2_000), ("right join", 5_000)] {
            let found = rows(&session(64 << 20, &scratch), join).await;
            assert_eq!(found.expect("room for all"), expected, "{join}");
            let error = rows(&session(12 << 10, &scratch), join).await.expect_err("no room");
            let root = error.find_root();
            assert!(matches!(root, DataFusionError::ResourcesExhausted(_)), "{join}: {root}");
            assert!(root.to_string().contains("a join without `=`"), "{join}: {root}");
        }
    }
}
