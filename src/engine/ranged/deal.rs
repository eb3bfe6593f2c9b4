//! Dealing: every stretch of a kept table, cut into the ranges of its ids, and
//! written again in that form, so that a range can be read by itself.
//!
//! Rows are moved about in the narrowest form that holds the whole table: each
//! is copied twice, and fewer bytes are fewer cache lines.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat, filter, is_not_null, take};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::exec_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryLimit;
use datafusion::physical_plan::ExecutionPlan;

use crate::engine::kept::{Columns, Common, KeptScan, Part, PartWriter, Reader};
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
        let rows: usize = kept.parts().iter().map(|part| part.count()).sum();
        let row_bytes = row_bytes(kept, rows.max(1));
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

/// Bytes of a row in memory, at most: as it lies, and the columns that are narrower
/// there in full.
fn row_bytes(kept: &KeptScan, rows: usize) -> usize {
    let bytes: u64 = kept.parts().iter().map(|part| part.bytes()).sum();
    let packed = kept.parts().iter().any(|part| part.room().is_scarce());
    let stored = usize::try_from(bytes).unwrap_or(usize::MAX) / rows;
    let schema = kept.schema();
    let narrowed = (0..schema.fields().len()).filter(|column| kept.is_narrowed(*column));
    let width = |column: usize| match schema.field(column).data_type() {
        DataType::Boolean => 1,
        kind => kind.primitive_width().unwrap_or(size_of::<u128>()),
    };
    let widened: usize = narrowed.map(width).sum();
    (stored * if packed { 3 } else { 1 } + widened).max(8)
}

/// A table in ranges. Their room is free when it goes.
#[derive(Debug)]
pub struct Dealt {
    schema: SchemaRef,
    /// Of each column, how it was dealt.
    forms: Vec<Common>,
    /// Of each partition, stretch after stretch, and in it range after range.
    parts: Vec<Arc<Part>>,
    ranges: usize,
    /// Rows of the largest range.
    largest: usize,
}

impl Dealt {
    /// Deals a kept table by one of its columns, until told to stop.
    ///
    /// # Errors
    /// The disk fails, or it was told to stop.
    pub fn new(kept: &KeptScan, id: usize, sizes: &Sizes, stop: &AtomicBool) -> Result<Self> {
        let schema = kept.schema();
        let forms: Vec<_> = (0..schema.fields().len()).map(|column| kept.form(column)).collect();
        let ranges = Ranges::even(&sample(kept, id, sizes)?, sizes.ranges)?;
        let deal = |partition: usize| {
            // Pieces are too small to be packed.
            let room = kept.parts()[partition].room();
            let room = if room.is_scarce() { room.unpacked() } else { room.clone() };
            let mut writer = PartWriter::new(room);
            let mut rows = vec![0; ranges.count()];
            let mut stretches = Stretches::of(kept, partition, id, &forms, sizes.stretch_rows)?;
            while let Some(stretch) = stretches.next(&ranges)? {
                if stop.load(Ordering::Relaxed) {
                    return exec_err!("nobody waits for these rows any more");
                }
                stretch.deal(&mut writer, &mut rows)?;
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
        Ok(Self { schema, forms, parts, ranges: ranges.count(), largest })
    }

    /// How many ranges there are.
    pub fn ranges(&self) -> usize {
        self.ranges
    }

    /// Rows of the largest range.
    pub fn largest(&self) -> usize {
        self.largest
    }

    /// The rows of a range, in the order that `places` gives them by some of their
    /// columns.
    ///
    /// # Errors
    /// The disk fails, or there is no such order.
    pub fn range(
        &self,
        range: usize,
        by: impl Iterator<Item = usize>,
        places: impl Fn(&[ArrayRef]) -> Result<UInt32Array>,
    ) -> Result<RecordBatch> {
        let (rows, dealt) = self.read(range)?;
        let widened = |column: usize, dealt: &Option<ArrayRef>| {
            let kind = self.schema.field(column).data_type();
            self.forms[column].widened(dealt.as_ref(), kind, rows)
        };
        let keys: Vec<ArrayRef> =
            by.map(|column| widened(column, &dealt[column])).collect::<Result<_, _>>()?;
        let places = places(&keys)?;
        let columns = dealt.iter().enumerate().map(|(column, dealt)| {
            let taken = dealt.as_ref().map(|dealt| take(dealt, &places, None)).transpose()?;
            widened(column, &taken)
        });
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns.collect::<Result<_, _>>()?)?)
    }

    /// A range as it was dealt.
    fn read(&self, range: usize) -> Result<(usize, Columns)> {
        let all: Vec<usize> = (0..self.forms.len()).collect();
        let mut rows = 0;
        let mut pieces: Vec<Columns> = Vec::new();
        for part in &self.parts {
            let opened = part.open(&all)?;
            for piece in (range..part.batches()).step_by(self.ranges) {
                let (more, columns) = opened.read(piece)?;
                rows += more;
                pieces.push(columns);
            }
        }
        Ok((rows, together(&pieces, all.len())?))
    }
}

/// Pieces one after another, column by column.
fn together(pieces: &[Columns], columns: usize) -> Result<Columns> {
    let column = |column: usize| {
        let pieces = pieces.iter().filter_map(|piece| piece[column].as_deref());
        let pieces: Vec<&dyn Array> = pieces.collect();
        if pieces.is_empty() { Ok(None) } else { Ok(Some(concat(&pieces)?)) }
    };
    (0..columns).map(column).collect()
}

/// Ids from all over the table, without nulls.
fn sample(kept: &KeptScan, id: usize, sizes: &Sizes) -> Result<Vec<ArrayRef>> {
    let rows: usize = kept.parts().iter().map(|part| part.count()).sum();
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
struct Stretches<'a> {
    reader: Reader,
    batches: Range<usize>,
    id: usize,
    forms: &'a [Common],
    stretch_rows: usize,
}

/// Rows that are dealt together.
struct Stretch {
    columns: Columns,
    /// The range of each row.
    range_of: Vec<u32>,
}

impl<'a> Stretches<'a> {
    fn of(
        kept: &KeptScan,
        partition: usize,
        id: usize,
        forms: &'a [Common],
        stretch_rows: usize,
    ) -> Result<Self> {
        let all: Vec<usize> = (0..forms.len()).collect();
        let reader = kept.open(partition, &all)?;
        let batches = 0..kept.parts()[partition].batches();
        Ok(Self { reader, batches, id, forms, stretch_rows })
    }

    fn next(&mut self, ranges: &Ranges) -> Result<Option<Stretch>> {
        let (mut pieces, mut range_of) = (Vec::new(), Vec::new());
        while range_of.len() < self.stretch_rows
            && let Some(batch) = self.batches.next()
        {
            let batch = self.reader.stored(batch)?;
            range_of.extend(ranges.of_each(&batch.whole(self.id)?)?);
            let columns = (0..).zip(self.forms);
            let narrowed = columns.map(|(column, form)| form.narrowed(batch.lying(column)));
            pieces.push(narrowed.collect::<Result<_, _>>()?);
        }
        if range_of.is_empty() {
            return Ok(None);
        }
        Ok(Some(Stretch { columns: together(&pieces, self.forms.len())?, range_of }))
    }
}

impl Stretch {
    /// Writes it as one piece for each range.
    fn deal(&self, writer: &mut PartWriter, counts: &mut [usize]) -> Result<()> {
        let mut starts = vec![0_u32; counts.len() + 1];
        for range in &self.range_of {
            starts[*range as usize + 1] += 1;
        }
        for range in 1..starts.len() {
            starts[range] += starts[range - 1];
        }
        let mut next = starts.clone();
        let mut places = vec![0_u32; self.range_of.len()];
        for (row, range) in (0..).zip(&self.range_of) {
            let place = &mut next[*range as usize];
            places[*place as usize] = row;
            *place += 1;
        }
        let places = UInt32Array::from(places);
        let taken = |column: &Option<ArrayRef>| {
            column.as_ref().map(|column| take(column, &places, None)).transpose()
        };
        let dealt: Columns = self.columns.iter().map(taken).collect::<Result<_, _>>()?;
        for (pair, count) in starts.windows(2).zip(counts) {
            let (start, rows) = (pair[0] as usize, (pair[1] - pair[0]) as usize);
            let piece = |column: &Option<ArrayRef>| column.as_ref().map(|c| c.slice(start, rows));
            writer.write(rows, &dealt.iter().map(piece).collect::<Vec<_>>())?;
            *count += rows;
        }
        Ok(())
    }
}
