//! Dealing: every stretch of a kept table, cut into the ranges of its ids, and
//! written again in that form, so that a range can be read by itself.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, filter, is_not_null, take, take_record_batch};
use arrow::datatypes::SchemaRef;
use datafusion::common::exec_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryLimit;
use datafusion::physical_plan::ExecutionPlan;
use tempfile::TempDir;

use crate::engine::kept::KeptScan;
use crate::engine::part::{Opened, Part, PartWriter, Room, widened};
use crate::engine::spread::Ranges;

/// How many rows are handled at a time.
#[derive(Debug, Clone)]
pub struct Sizes {
    /// Rows aimed at in a range.
    pub range_rows: usize,
    /// Rows dealt together.
    pub stretch_rows: usize,
    /// Ranges.
    pub ranges: usize,
    /// Bytes of a row in memory, roughly.
    pub row_bytes: usize,
}

/// Rows of a range: its columns stay in the cache, one at a time.
const RANGE_ROWS_MAX: usize = 96 << 10;

/// Rows of a stretch, unless its pieces would be tiny.
const STRETCH_ROWS_MAX: usize = 64 << 10;

/// Rows of a range in a stretch at least: each piece has a head of its own.
const PIECE_ROWS_MIN: usize = 256;

/// Ranges at most.
const RANGES_MAX: usize = 1024;

/// Rows that take up no more than the head of a piece.
const ROWS_MIN: usize = 4 << 10;

impl Sizes {
    /// Rows below which a general sort does as well.
    pub const LEAST_ROWS: usize = RANGE_ROWS_MAX;

    /// Those for a table, in so much memory.
    pub fn of(kept: &KeptScan, memory: MemoryLimit) -> Self {
        let rows: usize = kept.parts().iter().map(|part| part.rows()).sum();
        let bytes: u64 = kept.parts().iter().map(|part| part.bytes()).sum();
        let packed = kept.parts().iter().any(|part| part.room() == Room::Scarce);
        let row_bytes = usize::try_from(bytes).unwrap_or(usize::MAX) / rows.max(1);
        let row_bytes = row_bytes.max(8) * if packed { 3 } else { 1 };
        let share = match memory {
            MemoryLimit::Finite(bytes) => bytes / 64 / row_bytes,
            _ => usize::MAX,
        };
        let range_rows = share.clamp(ROWS_MIN, RANGE_ROWS_MAX);
        let ranges = (rows / range_rows).clamp(1, RANGES_MAX);
        let range_rows = rows / ranges;
        let stretch_rows = share.clamp(ROWS_MIN, STRETCH_ROWS_MAX).max(ranges * PIECE_ROWS_MIN);
        Self { range_rows, stretch_rows, ranges, row_bytes }
    }

    /// Bytes held by a thread: a stretch or a range as read, together, and in
    /// its new order.
    pub fn bytes(&self) -> usize {
        3 * self.row_bytes * self.stretch_rows.max(self.range_rows)
    }
}

/// A table in ranges. Its files go with it.
#[derive(Debug)]
pub struct Dealt {
    /// All columns, and of each whether it was dealt: those that hold nothing
    /// are not.
    whole: SchemaRef,
    is_dealt: Vec<bool>,
    /// The columns that were dealt.
    schema: SchemaRef,
    /// Of each partition, stretch after stretch, and in it range after range.
    parts: Vec<Arc<Part>>,
    ranges: usize,
    /// Rows of the largest range.
    largest: usize,
    _folder: TempDir,
}

impl Dealt {
    /// Deals a kept table by one of its columns, into `folder`, until told to
    /// stop.
    ///
    /// # Errors
    /// The disk fails, or it was told to stop.
    pub fn new(
        kept: &KeptScan,
        id: usize,
        sizes: &Sizes,
        folder: TempDir,
        stop: &AtomicBool,
    ) -> Result<Self> {
        let whole = kept.schema();
        let is_dealt: Vec<bool> =
            (0..whole.fields().len()).map(|column| column == id || kept.holds(column)).collect();
        let columns: Vec<usize> = (0..is_dealt.len()).filter(|column| is_dealt[*column]).collect();
        let schema = Arc::new(whole.project(&columns)?);
        let ranges = Ranges::even(&sample(kept, id, sizes)?, sizes.ranges)?;
        let id = columns.partition_point(|column| *column < id);
        let deal = |partition: usize| {
            let path = folder.path().join(format!("{partition:05}.arrow"));
            let room = kept.parts()[partition].room();
            let mut writer = PartWriter::new(path, &schema, room)?;
            let mut rows = vec![0; ranges.count()];
            let mut stretches = Stretches::of(kept, partition, &columns, sizes.stretch_rows)?;
            while let Some(stretch) = stretches.next()? {
                if stop.load(Ordering::Relaxed) {
                    return exec_err!("nobody waits for these rows any more");
                }
                deal_stretch(&stretch, id, &ranges, &mut writer, &mut rows)?;
            }
            Ok::<_, DataFusionError>((Arc::new(writer.finish()?), rows))
        };
        let dealt = std::thread::scope(|scope| {
            let deal = &deal;
            let threads: Vec<_> = (0..kept.parts().len())
                .map(|partition| scope.spawn(move || deal(partition)))
                .collect();
            let stopped = |_| DataFusionError::Internal("a thread that deals rows stopped".into());
            threads
                .into_iter()
                .map(|thread| thread.join().map_err(stopped)?)
                .collect::<Result<Vec<_>>>()
        })?;
        let (parts, rows): (Vec<_>, Vec<Vec<usize>>) = dealt.into_iter().unzip();
        let of_range = |range: usize| rows.iter().map(|rows| rows[range]).sum();
        let largest = (0..ranges.count()).map(of_range).max().unwrap_or(0);
        let ranges = ranges.count();
        Ok(Self { whole, is_dealt, schema, parts, ranges, largest, _folder: folder })
    }

    /// How many ranges there are.
    pub fn ranges(&self) -> usize {
        self.ranges
    }

    /// Rows of the largest range.
    pub fn largest(&self) -> usize {
        self.largest
    }

    /// The rows of a range: the columns that were dealt.
    ///
    /// # Errors
    /// The disk fails.
    pub fn range(&self, range: usize) -> Result<RecordBatch> {
        let columns: Vec<usize> = (0..self.schema.fields().len()).collect();
        let mut pieces = Vec::new();
        for part in &self.parts {
            let opened = part.open(&self.schema, &columns)?;
            for piece in (range..part.batches()).step_by(self.ranges) {
                pieces.push(opened.read(piece)?);
            }
        }
        Ok(concat_batches(&self.schema, &pieces)?)
    }

    /// Rows with all columns.
    ///
    /// # Errors
    /// They are no rows of this table.
    pub fn widened(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        Ok(widened(rows, &self.whole, &self.is_dealt)?)
    }
}

/// Ids from all over the table, without nulls.
fn sample(kept: &KeptScan, id: usize, sizes: &Sizes) -> Result<Vec<ArrayRef>> {
    let rows: usize = kept.parts().iter().map(|part| part.rows()).sum();
    let step = Ranges::step(rows, sizes.ranges);
    let mut sampled = Vec::new();
    for (partition, part) in kept.parts().iter().enumerate() {
        let opened = kept.open(partition, &[id])?;
        let mut next = step / 2;
        for batch in 0..part.batches() {
            let batch = opened.read(batch)?;
            let places = UInt32Array::from_iter_values(
                (next..batch.num_rows()).step_by(step).filter_map(|row| u32::try_from(row).ok()),
            );
            next += places.len() * step;
            next -= batch.num_rows();
            let ids = take(batch.column(0), &places, None)?;
            sampled.push(filter(&ids, &is_not_null(&ids)?)?);
        }
    }
    Ok(sampled)
}

/// A partition, stretch by stretch.
struct Stretches {
    opened: Opened,
    schema: SchemaRef,
    batches: Range<usize>,
    stretch_rows: usize,
}

impl Stretches {
    fn of(
        kept: &KeptScan,
        partition: usize,
        columns: &[usize],
        stretch_rows: usize,
    ) -> Result<Self> {
        let schema = Arc::new(kept.schema().project(columns)?);
        let opened = kept.open(partition, columns)?;
        let batches = 0..kept.parts()[partition].batches();
        Ok(Self { opened, schema, batches, stretch_rows })
    }

    fn next(&mut self) -> Result<Option<RecordBatch>> {
        let (mut stretch, mut rows) = (Vec::new(), 0);
        while rows < self.stretch_rows
            && let Some(batch) = self.batches.next()
        {
            let batch = self.opened.read(batch)?;
            rows += batch.num_rows();
            stretch.push(batch);
        }
        Ok(if rows == 0 { None } else { Some(concat_batches(&self.schema, &stretch)?) })
    }
}

/// Writes a stretch as one piece for each range.
fn deal_stretch(
    stretch: &RecordBatch,
    id: usize,
    ranges: &Ranges,
    writer: &mut PartWriter,
    counts: &mut [usize],
) -> Result<()> {
    let of_rows = ranges.of_each(stretch.column(id))?;
    let mut starts = vec![0_u32; ranges.count() + 1];
    for range in &of_rows {
        starts[*range as usize + 1] += 1;
    }
    for range in 1..starts.len() {
        starts[range] += starts[range - 1];
    }
    let mut next = starts.clone();
    let mut places = vec![0_u32; of_rows.len()];
    for (row, range) in (0..).zip(&of_rows) {
        let place = &mut next[*range as usize];
        places[*place as usize] = row;
        *place += 1;
    }
    let dealt = take_record_batch(stretch, &UInt32Array::from(places))?;
    for (pair, count) in starts.windows(2).zip(counts) {
        let (start, end) = (pair[0] as usize, pair[1] as usize);
        *count += end - start;
        writer.write(&dealt.slice(start, end - start))?;
    }
    Ok(())
}
