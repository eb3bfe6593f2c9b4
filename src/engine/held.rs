//! The table that a join without keys holds in memory.
//!
//! Where it does not fit, DataFusion's nested loop join computes it a second time,
//! into the scratch folder. In DataFusion 55 that gives other rows, without a word:
//! a scan of files goes on where it was, so that those read by then are missing
//! (apache/datafusion#24676, an error only where none are left), and an outer join
//! repeats the rows that match nothing for each partition of the other side (#22641)
//! or loses them (#24745). Here it is out of memory instead, as other joins are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::joins::NestedLoopJoinExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};

use super::passing::{Difference, Passing};

/// A nested loop join that computes once what it holds, or not at all.
///
/// # Errors
/// The planner's.
pub fn replacing(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() else { return Ok(None) };
    if join.left().is::<Passing<Once>>() {
        return Ok(None);
    }
    let held = Arc::new(Passing::<Once>::new(Arc::clone(join.left())));
    let children = vec![held as _, Arc::clone(join.right())];
    // All that the planner knows of the input stays true.
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
    Arc::clone(node).replace_children(children, options).map(Some)
}

/// Rows are passed on a single time.
#[derive(Debug, Default)]
struct Once {
    is_begun: AtomicBool,
}

impl Difference for Once {
    const NAME: &'static str = "Once";

    /// # Errors
    /// It has been read before: the join had no room for the rows.
    fn begin(&self) -> Result<()> {
        if !self.is_begun.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let what = "a join without `=` holds its first table in memory, which does not fit: the \
                    smaller one should come first";
        Err(DataFusionError::ResourcesExhausted(what.into()))
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
