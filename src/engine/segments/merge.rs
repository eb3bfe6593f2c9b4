//! A merge of partitions by what they are spread by: no value of it stands in two
//! of them, so whoever comes first is told by it alone, whatever keys are behind.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::metrics::BaselineMetrics;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning};
use futures::StreamExt;
use futures::stream::try_unfold;

use super::stand_in::Way;
use crate::engine::session::BATCH_ROWS;

/// Batches of a partition computed ahead.
const BATCHES_AHEAD: usize = 1;

/// A merge of partitions by their first key.
#[derive(Debug)]
pub struct SegmentedMerge {
    key: usize,
}

impl Way for SegmentedMerge {
    const NAME: &'static str = "SegmentedMerge";

    /// For a merge of all rows, spread by an id that is their first key. Where they
    /// are sorted for it, there may be a better way to do both.
    fn of(original: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        let merge = original.downcast_ref::<SortPreservingMergeExec>()?;
        if merge.input().downcast_ref::<SortExec>().is_some() {
            return None;
        }
        let first = merge.expr().first();
        let key = first.expr.downcast_ref::<Column>()?;
        let Partitioning::Hash(spread, _) = merge.input().output_partitioning() else {
            return None;
        };
        let is_spread_by_it =
            matches!(spread.as_slice(), [by] if by.downcast_ref::<Column>() == Some(key));
        let schema = original.schema();
        let kind = schema.field(key.index()).data_type();
        let is_id = matches!(kind, DataType::Int64 | DataType::Utf8View);
        let is_plain = !first.options.descending && !first.options.nulls_first;
        (is_spread_by_it && is_id && is_plain && merge.fetch().is_none())
            .then_some(Self { key: key.index() })
    }

    fn run(
        &self,
        original: &Arc<dyn ExecutionPlan>,
        input: SendableRecordBatchStream,
        context: &Arc<TaskContext>,
        metrics: BaselineMetrics,
    ) -> Result<SendableRecordBatchStream> {
        let plan = original.children()[0];
        let others = (1..plan.output_partitioning().partition_count())
            .map(|partition| plan.execute(partition, Arc::clone(context)));
        let all = std::iter::once(Ok(input)).chain(others);
        let inputs = all.map(|input| Ok(spawn_buffered(input?, BATCHES_AHEAD)));
        let schema = original.schema();
        let merge = Merge {
            schema: Arc::clone(&schema),
            key: self.key,
            heads: Vec::new(),
            inputs: inputs.collect::<Result<_>>()?,
            batches: Vec::new(),
            from: Vec::with_capacity(BATCH_ROWS),
            metrics,
        };
        let batches = try_unfold(merge, |mut merge| async move {
            Ok(merge.next().await?.map(|batch| (batch, merge)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

/// The state of a merge.
struct Merge {
    schema: SchemaRef,
    key: usize,
    inputs: Vec<SendableRecordBatchStream>,
    /// What is next of each input; none of one that has ended.
    heads: Vec<Option<Head>>,
    /// The batches that rows of the next batch come from.
    batches: Vec<RecordBatch>,
    /// Those rows: the place of a batch, and the row in it.
    from: Vec<(usize, usize)>,
    metrics: BaselineMetrics,
}

/// The rest of a batch.
struct Head {
    /// Its place in `batches`.
    place: usize,
    key: ArrayRef,
    row: usize,
}

impl Merge {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.heads.is_empty() {
            for input in 0..self.inputs.len() {
                let head = self.read(input).await?;
                self.heads.push(head);
            }
        }
        while let Some(first) = self.pass() {
            if self.from.len() == BATCH_ROWS {
                break;
            }
            self.heads[first] = self.read(first).await?;
        }
        match self.from.is_empty() {
            true => Ok(None),
            false => self.batch().map(Some),
        }
    }

    /// The next batch of an input that has rows.
    async fn read(&mut self, input: usize) -> Result<Option<Head>> {
        while let Some(batch) = self.inputs[input].next().await {
            let batch = batch?;
            if batch.num_rows() > 0 {
                let key = Arc::clone(batch.column(self.key));
                self.batches.push(batch);
                return Ok(Some(Head { place: self.batches.len() - 1, key, row: 0 }));
            }
        }
        Ok(None)
    }

    /// Passes rows on until a batch is full, or one that was read is used up; tells
    /// of which input. None if there are no more rows.
    fn pass(&mut self) -> Option<usize> {
        let time = self.metrics.elapsed_compute().clone();
        let _timer = time.timer();
        loop {
            let (first, second) = self.least_two()?;
            let (mut head, other) =
                (self.heads[first].take()?, second.and_then(|second| self.heads[second].as_ref()));
            let room = BATCH_ROWS - self.from.len();
            let end = head.key.len().min(head.row + room);
            let end = other.map_or(end, |other| head.end_before(other, end));
            self.from.extend((head.row..end).map(|row| (head.place, row)));
            head.row = end;
            let is_used_up = head.row == head.key.len();
            self.heads[first] = (!is_used_up).then_some(head);
            if is_used_up || self.from.len() == BATCH_ROWS {
                return Some(first);
            }
        }
    }

    /// The inputs whose next rows come first and second.
    fn least_two(&self) -> Option<(usize, Option<usize>)> {
        let mut least: Option<(usize, &Head)> = None;
        let mut second: Option<(usize, &Head)> = None;
        let there = self.heads.iter().enumerate();
        for (input, head) in there.filter_map(|(input, head)| Some((input, head.as_ref()?))) {
            if least.is_none_or(|(_, least)| head.compare(least).is_lt()) {
                second = least.replace((input, head));
            } else if second.is_none_or(|(_, second)| head.compare(second).is_lt()) {
                second = Some((input, head));
            }
        }
        Some((least?.0, second.map(|(input, _)| input)))
    }

    /// The rows that were passed on.
    fn batch(&mut self) -> Result<RecordBatch> {
        let time = self.metrics.elapsed_compute().clone();
        let _timer = time.timer();
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let merged = interleave_record_batch(&batches, &self.from)?;
        self.from.clear();
        let read = std::mem::take(&mut self.batches);
        for head in self.heads.iter_mut().flatten() {
            self.batches.push(read[head.place].clone());
            head.place = self.batches.len() - 1;
        }
        self.metrics.record_output(merged.num_rows());
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), merged.columns().to_vec())?)
    }
}

impl Head {
    /// Whose next row comes first; one without an id comes last.
    fn compare(&self, other: &Self) -> Ordering {
        compare(&self.key, self.row, &other.key, other.row)
    }

    /// Where the rows end, before another row, that come before the next of
    /// another; at least one does.
    fn end_before(&self, other: &Self, end: usize) -> usize {
        let numbers = self.key.as_primitive_opt::<Int64Type>();
        let others = other.key.as_primitive_opt::<Int64Type>();
        if let (Some(numbers), Some(others)) = (numbers, others)
            && numbers.null_count() == 0
            && others.null_count() == 0
        {
            let bound = others.value(other.row);
            let rows = numbers.values()[self.row..end].iter();
            return (self.row + rows.take_while(|number| **number <= bound).count())
                .max(self.row + 1);
        }
        let is_before = |row: &usize| compare(&self.key, *row, &other.key, other.row).is_le();
        (self.row + 1..end).find(|row| !is_before(row)).unwrap_or(end)
    }
}

fn compare(a: &ArrayRef, a_row: usize, b: &ArrayRef, b_row: usize) -> Ordering {
    let (a_null, b_null) = (a.is_null(a_row), b.is_null(b_row));
    if a_null || b_null {
        return a_null.cmp(&b_null);
    }
    match (a.as_primitive_opt::<Int64Type>(), b.as_primitive_opt::<Int64Type>()) {
        (Some(a), Some(b)) => a.value(a_row).cmp(&b.value(b_row)),
        _ => a.as_string_view().value(a_row).cmp(b.as_string_view().value(b_row)),
    }
}
