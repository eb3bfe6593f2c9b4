//! A kept table in the order of an id, without a merge of the whole: its rows
//! are dealt to *ranges* of the id, and each range, small enough for a cache,
//! is sorted by itself.
//!
//! A general sort gathers every row of a merge from somewhere else in memory.
//! Where ids were given in the order of time and rows lie by customer, that is
//! a cache miss for each column of each row. Dealing costs one more copy, and
//! both copies stay in the cache.

mod deal;
mod even;
mod places;
#[cfg(test)]
mod tests;

use std::fmt::Formatter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt};

use self::deal::{Dealt, Sizes};
use self::even::even;
use self::places::places;
use super::kept::KeptScan;

/// How much larger than planned a range may be: an id that stands in a large part
/// of the rows cannot be cut.
const UNEVEN_MAX: usize = 4;

/// A [`RangedSort`] for a sort, where there is one.
///
/// # Errors
/// None.
pub fn replacing(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    Ok(RangedSort::replacing(node).map(|sort| Arc::new(sort) as _))
}

/// A column to sort by.
#[derive(Debug, Clone, Copy)]
struct Key {
    column: usize,
    options: SortOptions,
}

impl Key {
    fn of(key: &PhysicalSortExpr) -> Option<Self> {
        let column = key.expr.downcast_ref::<Column>()?.index();
        Some(Self { column, options: key.options })
    }
}

/// A total sort of a kept table.
///
/// All that the planner asks is answered by the operator it stands for.
#[derive(Debug)]
pub struct RangedSort {
    original: Arc<dyn ExecutionPlan>,
    /// The sort in it.
    sort: Arc<dyn ExecutionPlan>,
    /// What reads the kept table that is its input.
    scan: Arc<dyn ExecutionPlan>,
    ordering: LexOrdering,
    keys: Arc<[Key]>,
    metrics: ExecutionPlanMetricsSet,
}

impl RangedSort {
    /// Stands for a sort of all of a kept table with enough rows to be worth it,
    /// by an id first.
    pub fn replacing(original: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        let sort = match original.downcast_ref::<SortPreservingMergeExec>() {
            Some(merge) if merge.fetch().is_none() => merge.input(),
            Some(_) => return None,
            None if original.output_partitioning().partition_count() == 1 => original,
            None => return None,
        };
        let found = sort.downcast_ref::<SortExec>().filter(|sort| sort.fetch().is_none())?;
        let input = found.input();
        // It may stand behind something that only lets others have a turn.
        let scan = input.downcast_ref::<CooperativeExec>().map_or(input, CooperativeExec::input);
        let kept = scan.downcast_ref::<KeptScan>()?;
        let all = kept.parts().len();
        if all > 1 && !found.preserve_partitioning() {
            return None;
        }
        let keys: Arc<[Key]> = found.expr().iter().map(Key::of).collect::<Option<_>>()?;
        let first = keys.first()?;
        let schema = found.schema();
        let is_id = matches!(
            schema.field(first.column).data_type(),
            DataType::Int64 | DataType::Utf8 | DataType::Utf8View
        );
        let rows: usize = kept.parts().iter().map(|part| part.count()).sum();
        let is_plain = !first.options.descending && !first.options.nulls_first;
        (is_id && is_plain && rows > Sizes::LEAST_ROWS).then(|| Self {
            original: Arc::clone(original),
            sort: Arc::clone(sort),
            scan: Arc::clone(scan),
            ordering: found.expr().clone(),
            keys,
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }
}

/// Memory is accounted for as long as something mentions it.
fn held(_reservation: &MemoryReservation) {}

/// Tells the threads that deal to stop, once it is dropped: nobody can take a
/// thread that is at work away.
struct Stopping(Arc<AtomicBool>);

impl Drop for Stopping {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The scan of a kept table, which it is known to be.
fn kept(scan: &Arc<dyn ExecutionPlan>) -> Result<&KeptScan> {
    scan.downcast_ref::<KeptScan>()
        .ok_or_else(|| DataFusionError::Internal("a ranged sort of no kept table".into()))
}

impl DisplayAs for RangedSort {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut Formatter) -> std::fmt::Result {
        write!(f, "RangedSort: [{}]", self.ordering)
    }
}

impl ExecutionPlan for RangedSort {
    fn name(&self) -> &'static str {
        "RangedSort"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.original.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.sort.children()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.sort.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let sort = Arc::clone(&self.sort).replace_children(children, options)?;
        let original = match Arc::ptr_eq(&self.original, &self.sort) {
            true => sort,
            false => Arc::clone(&self.original).replace_children(vec![sort], options)?,
        };
        Ok(match Self::replacing(&original) {
            Some(ranged) => Arc::new(ranged),
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
        let kept = kept(&self.scan)?;
        let pool = context.memory_pool();
        let sizes = Sizes::of(kept, pool.memory_limit());
        let consumer = MemoryConsumer::new("putting rows in the order of their key");
        let reservation = consumer.register(pool);
        let at_once = kept.parts().len();
        if reservation.try_grow(sizes.bytes() * at_once).is_err() {
            // A general sort can do with less: it spills.
            return self.original.execute(partition, context);
        }
        let rows = MetricBuilder::new(&self.metrics).output_rows(partition);
        let time = MetricBuilder::new(&self.metrics).elapsed_compute(partition);
        let (keys, schema) = (Arc::clone(&self.keys), self.schema());
        let first = keys[0].column;
        let (scan, original) = (Arc::clone(&self.scan), Arc::clone(&self.original));
        let range_rows = sizes.range_rows;
        let (dealing, sorting) = (time.clone(), time);
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Stopping(Arc::clone(&stop));
        let dealt = SpawnedTask::spawn_blocking(move || {
            let _timer = dealing.timer();
            Dealt::new(self::kept(&scan)?, first, &sizes, &stop)
        });
        let ranges = async move {
            let _stopping = stopping;
            let dealt =
                dealt.join().await.map_err(|error| DataFusionError::External(error.into()))?;
            let dealt = Arc::new(dealt?);
            if dealt.largest() > UNEVEN_MAX * range_rows {
                drop(reservation);
                return Ok(original.execute(partition, context)?.boxed());
            }
            let tasks = (0..dealt.ranges()).map(move |range| {
                let (dealt, keys, time) = (Arc::clone(&dealt), Arc::clone(&keys), sorting.clone());
                SpawnedTask::spawn_blocking(move || {
                    let _timer = time.timer();
                    let by = keys.iter().map(|key| key.column);
                    dealt.range(range, by, |columns| places(columns, &keys))
                })
            });
            let joined = futures::stream::iter(tasks).map(async |task: SpawnedTask<_>| {
                task.join().await.map_err(|error| DataFusionError::External(error.into()))?
            });
            Ok::<_, DataFusionError>(
                joined.buffered(at_once).inspect(move |_| held(&reservation)).boxed(),
            )
        };
        let ranges = futures::stream::once(ranges).try_flatten();
        let counted = ranges.inspect_ok(move |range| rows.add(range.num_rows()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, even(counted.boxed()))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        self.sort.child_stats_requests(partition)
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        self.sort.statistics_from_inputs(inputs, args)
    }
}
