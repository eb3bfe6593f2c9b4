//! The optimizer rules of a session, in their order.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;

use super::{decimals, held, ranged, segments, unordered};

/// The rule of DataFusion behind which it is known which side a join holds, and
/// before which no exchange or sort is planned.
const SIDES_ARE_KNOWN: &str = "join_selection";

/// Sums of money come into their type without a copy.
const NARROWED: Rule = Rule { name: "narrowed", replacing: decimals::replacing };

/// Windows and groups of rows that lie by customer go over whole columns.
pub const SEGMENTED: Rule = Rule { name: "segmented", replacing: segments::replacing };

/// Kept tables are sorted range by range.
const RANGED: Rule = Rule { name: "ranged", replacing: ranged::replacing };

/// What a nested loop join holds is computed once, or not.
const HELD: Rule = Rule { name: "held", replacing: held::replacing };

/// What a hash join holds, and what is grouped by several sets of keys, has no order.
const UNORDERED: Rule = Rule { name: "unordered", replacing: unordered::replacing };

/// DataFusion's own rules and ours.
pub fn all() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    let known = rules.iter().position(|rule| rule.name() == SIDES_ARE_KNOWN);
    rules.insert(known.map_or(0, |place| place + 1), Arc::new(UNORDERED));
    // When sorts and exchanges are settled.
    for rule in [NARROWED, SEGMENTED, RANGED, HELD] {
        rules.push(Arc::new(rule));
    }
    rules
}

/// What stands in the place of a node of a plan; none where the node may stay.
type Replacing = fn(&Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>>;

/// A rule that puts other nodes, of the same columns, in the place of some of a
/// plan, from its leaves up.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    name: &'static str,
    replacing: Replacing,
}

impl PhysicalOptimizerRule for Rule {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let replaced = plan.transform_up(|node| {
            let found = (self.replacing)(&node)?;
            Ok(found.map_or_else(|| Transformed::no(node), Transformed::yes))
        });
        Ok(replaced?.data)
    }

    fn name(&self) -> &str {
        self.name
    }

    fn schema_check(&self) -> bool {
        true
    }
}
