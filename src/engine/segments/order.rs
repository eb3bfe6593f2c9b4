//! Orders that hold although the planner does not know of them: what joins
//! each row to a few others keeps the rows where they are.

use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, PartitionMode};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning};

use super::aggregate::SegmentedAggregate;
use super::stand_in::StandIn;

/// Whether the rows of a plan are spread by a column, and the rows of a value
/// lie together and in ascending order of it.
pub fn lies_by(plan: &Arc<dyn ExecutionPlan>, key: &Arc<dyn PhysicalExpr>) -> bool {
    key.downcast_ref::<Column>().is_some_and(|column| column_lies(plan, column.index()))
}

fn column_lies(plan: &Arc<dyn ExecutionPlan>, index: usize) -> bool {
    if is_known(plan, index) {
        return true;
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let from = projection.expr().get(index);
        return from.is_some_and(|from| lies_by(projection.input(), &from.expr));
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let from = projected(filter.projection().as_deref(), index);
        return from.is_some_and(|from| column_lies(filter.input(), from));
    }
    if let Some(cooperative) = plan.downcast_ref::<CooperativeExec>() {
        return column_lies(cooperative.input(), index);
    }
    if let Some(groups) = plan.downcast_ref::<StandIn<SegmentedAggregate>>() {
        // Groups come in the order in which their rows lay.
        let aggregate = groups.original().downcast_ref::<AggregateExec>();
        return index == 0
            && aggregate.is_some_and(|aggregate| {
                let keys = aggregate.group_expr().input_exprs();
                keys.first().is_some_and(|key| lies_by(aggregate.input(), key))
            });
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        // One side is held, the other streams past it. (An outer join keeps
        // the order only where the planner knows of one.)
        let streams = *join.partition_mode() == PartitionMode::CollectLeft
            && *join.join_type() == JoinType::Inner;
        let left = join.left().schema().fields().len();
        let from = projected(join.projection.as_deref(), index);
        return streams
            && from
                .and_then(|from| from.checked_sub(left))
                .is_some_and(|from| column_lies(join.right(), from));
    }
    if let Some(join) = plan.downcast_ref::<CrossJoinExec>() {
        // One row to each: nothing is repeated.
        let left = join.left().schema().fields().len();
        return is_one_row(join.left())
            && index.checked_sub(left).is_some_and(|from| column_lies(join.right(), from));
    }
    false
}

fn is_known(plan: &Arc<dyn ExecutionPlan>, index: usize) -> bool {
    let schema = plan.schema();
    let Some(field) = schema.fields().get(index) else { return false };
    let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), index));
    let Partitioning::Hash(spread, _) = plan.output_partitioning() else { return false };
    let options = arrow::compute::SortOptions { descending: false, nulls_first: false };
    let order = LexOrdering::new([PhysicalSortExpr { expr: Arc::clone(&column), options }]);
    spread.as_slice() == [column]
        && order.is_some_and(|order| {
            plan.equivalence_properties().ordering_satisfy(order).unwrap_or(false)
        })
}

/// The column of an operator's whole output from which a chosen one is.
fn projected(projection: Option<&[usize]>, index: usize) -> Option<usize> {
    match projection {
        Some(columns) => columns.get(index).copied(),
        None => Some(index),
    }
}

/// Whether a plan gives a single row: totals without groups do.
fn is_one_row(plan: &Arc<dyn ExecutionPlan>) -> bool {
    match plan.downcast_ref::<AggregateExec>() {
        Some(aggregate) => aggregate.group_expr().is_true_no_grouping(),
        None => {
            let same = plan.downcast_ref::<ProjectionExec>().map(ProjectionExec::input);
            same.is_some_and(is_one_row)
        }
    }
}
