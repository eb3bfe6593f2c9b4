//! Columns that look at the rows around: the one before, the one behind, the
//! last one of the segment. Those that look ahead wait for batches not yet
//! seen.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{concat, interleave, nullif};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use super::bounds::{Bounds, Finder, one_row};
use super::columns::{Column, Nulls, Step};
use super::running::{MovingSum, Running};

/// The value of the row before, within the segment.
pub struct Lag {
    nulls: Nulls,
    /// What the first row of the next batch sees, if it carries on.
    last: Option<ArrayRef>,
}

impl Lag {
    /// Before the first batch.
    pub fn new(nulls: Nulls) -> Self {
        Self { nulls, last: None }
    }
}

impl Step for Lag {
    fn step(&mut self, arguments: &[ArrayRef], bounds: &Bounds) -> Result<ArrayRef, ArrowError> {
        let (argument, last) = (&arguments[0], bounds.rows - 1);
        if self.nulls == Nulls::Respect || argument.logical_null_count() == 0 {
            let before = self.last.take().unwrap_or_else(|| null_like(argument));
            let shifted = concat(&[before.as_ref(), argument.slice(0, last).as_ref()])?;
            self.last = Some(one_row(argument, last));
            return hide(&shifted, &bounds.begins);
        }
        let carried = self.last.take().filter(|_| bounds.continues());
        let mut seen = carried.as_ref().map(|_| CARRIED);
        let valid = argument.logical_nulls();
        let mut picks = Vec::with_capacity(bounds.rows);
        for row in 0..bounds.rows {
            if bounds.begins.value(row) {
                seen = None;
            }
            picks.push(seen.unwrap_or(NOTHING));
            if valid.as_ref().is_none_or(|valid| valid.is_valid(row)) {
                seen = Some((HERE, row));
            }
        }
        let column = pick(argument, carried.as_ref(), &picks)?;
        self.last = match seen {
            Some((HERE, row)) => Some(one_row(argument, row)),
            Some(_) => carried,
            None => None,
        };
        Ok(column)
    }
}

/// Batches whose columns wait for what comes behind them.
struct Waiting {
    queue: VecDeque<(ArrayRef, Bounds)>,
    /// No further batch comes.
    ended: bool,
    done: VecDeque<ArrayRef>,
}

impl Waiting {
    fn new() -> Self {
        Self { queue: VecDeque::new(), ended: false, done: VecDeque::new() }
    }

    /// What the open segment of the oldest batch meets in those behind it:
    /// `look` finds it in the rows a batch carries on, or looks further.
    fn behind(&self, look: impl Fn(&ArrayRef, &Bounds) -> Option<usize>) -> Behind {
        for (array, bounds) in self.queue.iter().skip(1) {
            if !bounds.continues() {
                return Behind::Nothing;
            }
            if let Some(row) = look(array, bounds) {
                return Behind::Row(one_row(array, row));
            }
            if bounds.carried() < bounds.rows {
                return Behind::Nothing;
            }
        }
        if self.ended { Behind::Nothing } else { Behind::Unknown }
    }
}

/// What comes behind a batch, in its last segment.
enum Behind {
    /// Batches not yet seen will tell.
    Unknown,
    /// The segment ends without it.
    Nothing,
    /// The value, as a column of one row.
    Row(ArrayRef),
}

/// The value of the row behind, within the segment.
pub struct Lead {
    nulls: Nulls,
    waiting: Waiting,
}

impl Lead {
    /// Before the first batch.
    pub fn new(nulls: Nulls) -> Self {
        Self { nulls, waiting: Waiting::new() }
    }

    fn settle(&mut self) -> Result<(), ArrowError> {
        while !self.waiting.queue.is_empty() {
            let next = match self.nulls {
                Nulls::Respect => self.waiting.behind(|_, _| Some(0)),
                Nulls::Ignore => self.waiting.behind(|array, bounds| {
                    let valid = array.logical_nulls();
                    (0..bounds.carried())
                        .find(|row| valid.as_ref().is_none_or(|valid| valid.is_valid(*row)))
                }),
            };
            let carried = match next {
                Behind::Unknown => return Ok(()),
                Behind::Nothing => None,
                Behind::Row(value) => Some(value),
            };
            if let Some((argument, bounds)) = self.waiting.queue.pop_front() {
                let column = self.column(&argument, &bounds, carried.as_ref())?;
                self.waiting.done.push_back(column);
            }
        }
        Ok(())
    }

    fn column(
        &self,
        argument: &ArrayRef,
        bounds: &Bounds,
        carried: Option<&ArrayRef>,
    ) -> Result<ArrayRef, ArrowError> {
        let rows = bounds.rows;
        let ends = bounds.ends(carried.is_some());
        if self.nulls == Nulls::Respect || argument.logical_null_count() == 0 {
            let behind = carried.cloned().unwrap_or_else(|| null_like(argument));
            let shifted = concat(&[argument.slice(1, rows - 1).as_ref(), behind.as_ref()])?;
            return hide(&shifted, &ends);
        }
        let valid = argument.logical_nulls();
        let mut picks = vec![NOTHING; rows];
        let mut seen = carried.map(|_| CARRIED);
        for row in (0..rows).rev() {
            if ends.value(row) {
                seen = None;
            }
            picks[row] = seen.unwrap_or(NOTHING);
            if valid.as_ref().is_none_or(|valid| valid.is_valid(row)) {
                seen = Some((HERE, row));
            }
        }
        pick(argument, carried, &picks)
    }
}

impl Column for Lead {
    fn push(&mut self, arguments: &[ArrayRef], bounds: &Bounds) -> Result<(), ArrowError> {
        self.waiting.queue.push_back((Arc::clone(&arguments[0]), bounds.clone()));
        self.settle()
    }

    fn finish(&mut self) -> Result<(), ArrowError> {
        self.waiting.ended = true;
        self.settle()
    }

    fn done(&mut self) -> &mut VecDeque<ArrayRef> {
        &mut self.waiting.done
    }
}

/// Gives every row of a segment what stands in its last one.
struct AtEnd(Waiting);

impl AtEnd {
    fn settle(&mut self) -> Result<(), ArrowError> {
        while let Some((values, bounds)) = self.0.queue.front() {
            // The last row of the segment may be a batch's last row, of which
            // only the batch behind tells whether it is.
            let carried = match self.behind() {
                Behind::Unknown => return Ok(()),
                Behind::Nothing => None,
                Behind::Row(value) => Some(value),
            };
            let mut picks = Vec::with_capacity(bounds.rows);
            for range in bounds.ranges() {
                let open = range.end == bounds.rows && carried.is_some();
                let pick = if open { CARRIED } else { (HERE, range.end - 1) };
                picks.extend(range.map(|_| pick));
            }
            let column = pick(values, carried.as_ref(), &picks)?;
            self.0.done.push_back(column);
            self.0.queue.pop_front();
        }
        Ok(())
    }

    /// The value at the end of the oldest batch's last segment, if that ends
    /// in a later batch.
    fn behind(&self) -> Behind {
        let mut found = Behind::Nothing;
        for (values, bounds) in self.0.queue.iter().skip(1) {
            if !bounds.continues() {
                return found;
            }
            found = Behind::Row(one_row(values, bounds.carried() - 1));
            if bounds.carried() < bounds.rows {
                return found;
            }
        }
        if self.0.ended { found } else { Behind::Unknown }
    }

    fn push(&mut self, values: ArrayRef, bounds: Bounds) -> Result<(), ArrowError> {
        self.0.queue.push_back((values, bounds));
        self.settle()
    }

    fn finish(&mut self) -> Result<(), ArrowError> {
        self.0.ended = true;
        self.settle()
    }
}

/// An aggregate over the whole segment: what the running one has come to in
/// the segment's last row.
pub struct Whole {
    running: Box<dyn Running>,
    at_end: AtEnd,
}

impl Whole {
    /// Before the first batch.
    pub fn new(running: Box<dyn Running>) -> Self {
        Self { running, at_end: AtEnd(Waiting::new()) }
    }
}

impl Column for Whole {
    fn push(&mut self, arguments: &[ArrayRef], bounds: &Bounds) -> Result<(), ArrowError> {
        let so_far = self.running.next(&arguments[0], bounds);
        self.at_end.push(so_far, bounds.clone())
    }

    fn finish(&mut self) -> Result<(), ArrowError> {
        self.at_end.finish()
    }

    fn done(&mut self) -> &mut VecDeque<ArrayRef> {
        &mut self.at_end.0.done
    }
}

/// A sum over the rows whose key is at most `preceding` smaller. Rows of one
/// key are peers: each has the sum that the last of them has come to.
pub struct Sliding {
    moving: MovingSum,
    peers: Finder,
    at_end: AtEnd,
}

impl Sliding {
    /// The sum for one type, if it can be had.
    pub fn new(preceding: i64, input: &DataType, output: &DataType) -> Option<Self> {
        let moving = MovingSum::new(preceding, input, output)?;
        Some(Self { moving, peers: Finder::default(), at_end: AtEnd(Waiting::new()) })
    }
}

impl Column for Sliding {
    fn push(&mut self, arguments: &[ArrayRef], bounds: &Bounds) -> Result<(), ArrowError> {
        let [value, key] = arguments else { return Ok(()) };
        let keys = self.peers.next(std::slice::from_ref(key), bounds.rows)?;
        let so_far = self.moving.next(value, key, bounds);
        self.at_end.push(so_far, keys.or(bounds))
    }

    fn finish(&mut self) -> Result<(), ArrowError> {
        self.at_end.finish()
    }

    fn done(&mut self) -> &mut VecDeque<ArrayRef> {
        &mut self.at_end.0.done
    }
}

/// Where `pick` takes a row from: the batch, the carried value, or null.
const HERE: usize = 0;
const CARRIED: (usize, usize) = (1, 0);
const NOTHING: (usize, usize) = (2, 0);

fn pick(
    argument: &ArrayRef,
    carried: Option<&ArrayRef>,
    picks: &[(usize, usize)],
) -> Result<ArrayRef, ArrowError> {
    let nothing = null_like(argument);
    let carried = carried.unwrap_or(&nothing);
    interleave(&[argument.as_ref(), carried.as_ref(), nothing.as_ref()], picks)
}

fn null_like(array: &ArrayRef) -> ArrayRef {
    new_null_array(array.data_type(), 1)
}

/// The column with nulls where the mask is set.
fn hide(column: &ArrayRef, mask: &BooleanBuffer) -> Result<ArrayRef, ArrowError> {
    nullif(column, &BooleanArray::new(mask.clone(), None))
}
