//! Group keys that DataFusion would drop or add.
//!
//! A table that has a row for each `store` tells that its other columns follow from
//! it. Joined to orders, a store stands in many rows, and only the columns of that
//! table still follow from it. DataFusion 55 knows that, and forgets it when the rows
//! are grouped by the store and something else: all columns of the groups follow from
//! the store, it says. A query that groups those by the same two again loses the
//! second key, or is given others that it did not ask for, without a word.
//!
//! So keys have another name while rows are grouped, and nothing that was known of
//! them comes with them.

use std::cell::Cell;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Dependency, Result};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection};
use datafusion::sql::sqlparser::ast::TableFactor;

thread_local! {
    /// Whether the relation that comes next is the one that is being asked for.
    static IS_ASKED_FOR: Cell<bool> = const { Cell::new(false) };
}

/// Plans a query that another reads as DataFusion does, but for such keys. At once,
/// for what is known of it decides how the other is planned.
#[derive(Debug)]
pub struct Independent;

impl RelationPlanner for Independent {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let may_be_a_query =
            matches!(relation, TableFactor::Table { .. } | TableFactor::Derived { .. });
        if IS_ASKED_FOR.take() || !may_be_a_query {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        }
        // It comes back here first.
        IS_ASKED_FOR.set(true);
        let plan = independent(context.plan(relation)?)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
    }
}

/// A plan with all such keys renamed.
fn independent(plan: LogicalPlan) -> Result<LogicalPlan> {
    let is_one = |node: &LogicalPlan| match node {
        LogicalPlan::Aggregate(aggregate) => is_misled(aggregate),
        _ => false,
    };
    if !plan.exists(|node| Ok(is_one(node)))? {
        return Ok(plan);
    }
    let renamed = plan.transform_up(|node| {
        // What was known of the rows below is not any more.
        let node = node.recompute_schema()?;
        Ok(Transformed::yes(match node {
            LogicalPlan::Aggregate(aggregate) if is_misled(&aggregate) => renamed(&aggregate)?,
            node => node,
        }))
    });
    Ok(renamed?.data)
}

/// Whether some of the keys alone are thought to be one, of rows that a join has
/// made many of.
fn is_misled(aggregate: &Aggregate) -> bool {
    let schema = aggregate.input.schema();
    let keys: Vec<usize> = aggregate
        .group_expr
        .iter()
        .filter_map(|key| schema.maybe_index_of_column(key.try_as_col()?))
        .collect();
    schema.functional_dependencies().iter().any(|dependency| {
        dependency.mode == Dependency::Multi
            && dependency.source_indices.len() < aggregate.group_expr.len()
            && dependency.source_indices.iter().all(|index| keys.contains(index))
    })
}

fn renamed(aggregate: &Aggregate) -> Result<LogicalPlan> {
    let other = |place: usize| format!("group key {place}");
    let keys = aggregate.group_expr.iter().enumerate();
    let keys: Vec<Expr> = keys.map(|(place, key)| key.clone().alias(other(place))).collect();
    let count = keys.len();
    let input = Arc::clone(&aggregate.input);
    let grouped = Aggregate::try_new(input, keys, aggregate.aggr_expr.clone())?;
    let columns =
        aggregate.schema.iter().enumerate().map(|(place, (qualifier, field))| {
            match place < count {
                true => Expr::Column(Column::new_unqualified(other(place)))
                    .alias_qualified(qualifier.cloned(), field.name()),
                false => Expr::Column(Column::from((qualifier, field))),
            }
        });
    let columns = columns.collect();
    let grouped = Arc::new(LogicalPlan::Aggregate(grouped));
    Ok(LogicalPlan::Projection(Projection::try_new(columns, grouped)?))
}
