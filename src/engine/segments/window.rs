//! Window functions over segments, in one pass.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::BaselineMetrics;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, InputOrderMode};
use futures::{Stream, StreamExt, TryStreamExt};

use super::bounds::Finder;
use super::columns::{Column, Function};
use super::stand_in::Way;

/// A window operator over rows that lie by its partition keys.
#[derive(Debug)]
pub struct SegmentedWindow {
    keys: Vec<Arc<dyn PhysicalExpr>>,
    functions: Vec<Function>,
}

impl Way for SegmentedWindow {
    const NAME: &'static str = "SegmentedWindow";

    /// For a window operator whose rows lie by key, if all its functions are
    /// known here.
    fn of(original: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        let windows = if let Some(bounded) = original.downcast_ref::<BoundedWindowAggExec>() {
            (bounded.input_order_mode == InputOrderMode::Sorted).then(|| bounded.window_expr())?
        } else {
            original.downcast_ref::<WindowAggExec>()?.window_expr()
        };
        let keys = windows.first()?.partition_by().to_vec();
        let alike = |keys: &[Arc<dyn PhysicalExpr>], others: &[Arc<dyn PhysicalExpr>]| {
            keys.len() == others.len() && keys.iter().all(|key| others.contains(key))
        };
        if keys.is_empty() || !windows.iter().all(|window| alike(&keys, window.partition_by())) {
            return None;
        }
        let schema = original.children().first()?.schema();
        let functions = windows.iter().map(|window| Function::of(window.as_ref(), &schema));
        Some(Self { keys, functions: functions.collect::<Option<Vec<_>>>()? })
    }

    fn run(
        &self,
        original: &Arc<dyn ExecutionPlan>,
        input: SendableRecordBatchStream,
        _context: &TaskContext,
        metrics: BaselineMetrics,
    ) -> Result<SendableRecordBatchStream> {
        let work = Work {
            input,
            keys: self.keys.clone(),
            columns: self.functions.iter().filter_map(Function::column).collect(),
            arguments: self.functions.iter().map(|function| function.arguments.clone()).collect(),
            bounds: Finder::default(),
            waiting: VecDeque::new(),
            schema: original.schema(),
            metrics,
            ended: false,
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(original.schema(), work.stream())))
    }
}

/// The state of one partition.
struct Work {
    input: SendableRecordBatchStream,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    columns: Vec<Box<dyn Column>>,
    arguments: Vec<Vec<Arc<dyn PhysicalExpr>>>,
    bounds: Finder,
    /// Batches some of whose columns are not known yet.
    waiting: VecDeque<RecordBatch>,
    schema: SchemaRef,
    metrics: BaselineMetrics,
    ended: bool,
}

impl Work {
    fn stream(self) -> impl Stream<Item = Result<RecordBatch>> {
        futures::stream::try_unfold(self, |mut work| async move {
            let batch = work.next().await?;
            Ok(batch.map(|batch| (batch, work)))
        })
        .into_stream()
    }

    /// The next complete batch.
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.complete()? {
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            match self.input.next().await.transpose()? {
                Some(batch) if batch.num_rows() > 0 => self.push(batch)?,
                Some(_) => {}
                None => self.finish()?,
            }
        }
    }

    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        let time = self.metrics.elapsed_compute().clone();
        let _timer = time.timer();
        let rows = batch.num_rows();
        let evaluate = |expression: &Arc<dyn PhysicalExpr>| -> Result<ArrayRef> {
            expression.evaluate(&batch)?.into_array(rows)
        };
        let keys = self.keys.iter().map(evaluate).collect::<Result<Vec<_>>>()?;
        let bounds = self.bounds.next(&keys, rows)?;
        for (column, arguments) in self.columns.iter_mut().zip(&self.arguments) {
            let arguments = arguments.iter().map(evaluate).collect::<Result<Vec<_>>>()?;
            column.push(&arguments, &bounds)?;
        }
        self.waiting.push_back(batch);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.ended = true;
        for column in &mut self.columns {
            column.finish()?;
        }
        Ok(())
    }

    /// The oldest batch, if all its columns are known.
    fn complete(&mut self) -> Result<Option<RecordBatch>> {
        if self.waiting.is_empty() || self.columns.iter_mut().any(|c| c.done().is_empty()) {
            return Ok(None);
        }
        let Some(batch) = self.waiting.pop_front() else { return Ok(None) };
        let mut columns = batch.columns().to_vec();
        columns.extend(self.columns.iter_mut().filter_map(|column| column.done().pop_front()));
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        self.metrics.record_output(batch.num_rows());
        Ok(Some(batch))
    }
}
