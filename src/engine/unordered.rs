//! The table that a hash join holds in memory, as one in no order.
//!
//! DataFusion 55 takes the order of that table for a second key of what the join
//! gives: rows by `period`, and within a period by `customer_id`, if the other side
//! streams by period and the table lies by customer. It is one only where no two
//! rows of the other side have the same `period`; else each of them begins with the
//! first customer again. What is grouped by such an order has groups twice, without
//! a word. So the table's order is hidden, before anything is planned on it.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};

use super::passing::{Difference, Passing};

/// A hash join that knows of no order of what it holds, nor of one that comes about
/// later: a window of that table is sorted when all rules before have been applied.
///
/// # Errors
/// The planner's.
pub fn replacing(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(join) = node.downcast_ref::<HashJoinExec>() else { return Ok(None) };
    if join.left().is::<Passing<Unordered>>() {
        return Ok(None);
    }
    let held = Arc::new(Passing::<Unordered>::new(Arc::clone(join.left())));
    let children = vec![held as _, Arc::clone(join.right())];
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    Arc::clone(node).replace_children(children, options).map(Some)
}

/// Nothing is said of the order of the rows.
#[derive(Debug, Default)]
struct Unordered;

impl Difference for Unordered {
    const NAME: &'static str = "Unordered";
    const TELLS_ORDER: bool = false;
}
