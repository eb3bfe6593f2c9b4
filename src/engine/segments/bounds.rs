//! Where segments begin: a row whose key differs from that of the row before.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, BooleanBufferBuilder};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::cmp::distinct;
use arrow::error::ArrowError;

/// The segments of one batch.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Rows of the batch; at least one.
    pub rows: usize,
    /// One bit a row: set where a segment begins. Row 0 may carry on that of
    /// the batch before.
    pub begins: BooleanBuffer,
    /// The same as positions, ascending.
    pub starts: Vec<usize>,
}

impl Bounds {
    /// Whether row 0 belongs to the last segment of the batch before.
    pub fn continues(&self) -> bool {
        !self.begins.value(0)
    }

    /// The rows of the segment that was begun in an earlier batch.
    pub fn carried(&self) -> usize {
        self.starts.first().copied().unwrap_or(self.rows)
    }

    /// Segments that also begin where those of another split do.
    pub fn or(self, other: &Self) -> Self {
        let begins = &self.begins | &other.begins;
        let starts = places(&begins);
        Self { rows: self.rows, begins, starts }
    }

    /// The row ranges of all segments, the carried one first if there is one.
    pub fn ranges(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        let carried = (self.carried() > 0).then_some(0..self.carried());
        let ends = self.starts.iter().skip(1).copied().chain([self.rows]);
        carried.into_iter().chain(self.starts.iter().zip(ends).map(|(start, end)| *start..end))
    }

    /// Bits of the rows behind which a segment ends; `open` says that the last
    /// one goes on in the next batch.
    pub fn ends(&self, open: bool) -> BooleanBuffer {
        let mut ends = BooleanBufferBuilder::new(self.rows);
        ends.append_buffer(&self.begins.slice(1, self.rows - 1));
        ends.append(!open);
        ends.finish()
    }
}

/// Finds the bounds of batch after batch.
#[derive(Debug, Default)]
pub struct Finder {
    /// The keys of the last row seen.
    last: Option<Vec<ArrayRef>>,
}

impl Finder {
    /// The bounds of the next batch, given its keys. Null equals null.
    ///
    /// # Errors
    /// Keys that cannot be compared.
    pub fn next(&mut self, keys: &[ArrayRef], rows: usize) -> Result<Bounds, ArrowError> {
        let begins = match &self.last {
            None => true,
            Some(last) => {
                let mut differ = false;
                for (key, last) in keys.iter().zip(last) {
                    differ |= distinct(&key.slice(0, 1), last)?.value(0);
                }
                differ
            }
        };
        let mut inner: Option<BooleanArray> = None;
        for key in keys {
            let differ = distinct(&key.slice(1, rows - 1), &key.slice(0, rows - 1))?;
            inner = Some(match inner {
                None => differ,
                Some(known) => arrow::compute::or(&known, &differ)?,
            });
        }
        let mut bits = BooleanBufferBuilder::new(rows);
        bits.append(begins);
        match inner {
            Some(inner) => bits.append_buffer(inner.values()),
            None => bits.append_n(rows - 1, false),
        }
        self.last = Some(keys.iter().map(|key| one_row(key, rows - 1)).collect());
        let bits = bits.finish();
        let starts = places(&bits);
        Ok(Bounds { rows, begins: bits, starts })
    }
}

/// The places of the bits that are set.
fn places(bits: &BooleanBuffer) -> Vec<usize> {
    let mut places = Vec::with_capacity(bits.count_set_bits());
    places.extend(bits.set_indices());
    places
}

/// A row of a column by itself, without holding on to the column.
pub fn one_row(column: &ArrayRef, row: usize) -> ArrayRef {
    let slice = column.slice(row, 1);
    // A copy, so that a buffer of a whole batch is not kept for its last row.
    arrow::compute::concat(&[slice.as_ref()]).unwrap_or_else(|_| Arc::clone(&slice))
}
