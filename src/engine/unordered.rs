//! Tables whose order DataFusion 55 takes for one of a result that has none.
//!
//! The table that a hash join holds in memory: it takes its order for a second key of
//! what the join gives, rows by `period`, and within a period by `customer_id`, if the
//! other side streams by period and the table lies by customer. It is one only where no
//! two rows of the other side have the same `period`; else each of them begins with the
//! first customer again.
//!
//! The rows that are grouped by several sets of keys at once (`rollup`, `cube`): a key
//! is null in the sets that it is not in.
//!
//! What is grouped by such an order has groups twice, without a word. So the order of
//! these tables is hidden, before anything is planned on it.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};

use super::passing::{Difference, Passing};

/// An operator that knows of no order of such a table, nor of one that comes about
/// later: a window of it is sorted when all rules before have been applied.
///
/// # Errors
/// The planner's.
pub fn replacing(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let is_grouped_in_sets = |aggregate: &AggregateExec| aggregate.group_expr().has_grouping_set();
    let is_misled = node.is::<HashJoinExec>()
        || node.downcast_ref::<AggregateExec>().is_some_and(is_grouped_in_sets);
    let mut children = node.children().into_iter();
    let Some(table) = children.next().filter(|_| is_misled) else { return Ok(None) };
    if table.is::<Passing<Unordered>>() {
        return Ok(None);
    }
    let hidden = Arc::new(Passing::<Unordered>::new(Arc::clone(table)));
    let children = std::iter::once(hidden as _).chain(children.cloned()).collect();
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
