//! Orders hash-partitioned by customer and sorted by the customer's life: done
//! once, so that every fact and metric behind streams along it.
//!
//! The partitioning is the planner's own (`RepartitionExec`): the planner takes
//! any two hash layouts of equal width for compatible, and another hash
//! function would silently lose rows in joins.

use std::sync::Arc;

use arrow::compute::SortOptions;
use datafusion::error::Result;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::expressions::col;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};

/// The order of a customer's life: what staging and facts stream along.
pub const LIFE: [&str; 4] = ["customer_id", "ordered_at", "is_refund", "order_id"];

/// Puts a partition and sort step on top of a plan of order events.
///
/// # Errors
/// The plan lacks a column.
pub fn cluster(plan: Arc<dyn ExecutionPlan>, partitions: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = plan.schema();
    let by_customer = Partitioning::Hash(vec![col("customer_id", &schema)?], partitions);
    let spread = Arc::new(RepartitionExec::try_new(plan, by_customer)?);
    // Nulls first or last is all the same where there are none, but the
    // planner compares: these are the options of a plain SQL `order by`.
    let options = SortOptions { descending: false, nulls_first: false };
    let keys: Result<Vec<PhysicalSortExpr>> = LIFE
        .iter()
        .map(|name| Ok(PhysicalSortExpr { expr: col(name, &schema)?, options }))
        .collect();
    let Some(ordering) = LexOrdering::new(keys?) else { return Ok(spread) };
    Ok(Arc::new(SortExec::new(ordering, spread).with_preserve_partitioning(true)))
}
