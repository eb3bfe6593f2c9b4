//! Aggregates from the start of a segment to the current row.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, Int64Array, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    ArrowNativeTypeOp, DataType, Date32Type, Decimal128Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt64Type,
};

use super::bounds::Bounds;

/// What is kept from row to row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// The sum of the values that are not null; null before the first.
    Sum,
    /// The smallest value so far.
    Min,
    /// The largest value so far.
    Max,
}

/// A running aggregate over batch after batch.
pub trait Running: Send {
    /// The values of the next batch's rows.
    fn next(&mut self, values: &ArrayRef, bounds: &Bounds) -> ArrayRef;
}

/// The number of values that are not null so far, as `count` gives it.
#[derive(Debug, Default)]
pub struct Count(i64);

impl Running for Count {
    fn next(&mut self, values: &ArrayRef, bounds: &Bounds) -> ArrayRef {
        // A null literal has no validity bits of its own.
        let valid = values.logical_nulls();
        let mut counts = Vec::with_capacity(bounds.rows);
        for range in bounds.ranges() {
            if bounds.begins.value(range.start) {
                self.0 = 0;
            }
            match &valid {
                None => counts.extend(range.map(|_| {
                    self.0 += 1;
                    self.0
                })),
                Some(valid) => counts.extend(range.map(|row| {
                    self.0 += i64::from(valid.is_valid(row));
                    self.0
                })),
            }
        }
        Arc::new(Int64Array::from(counts))
    }
}

/// The fold of one type, if there is one.
pub fn fold(fold: Fold, input: &DataType, output: &DataType) -> Option<Box<dyn Running>> {
    fn of<T: ArrowPrimitiveType>(fold: Fold, output: &DataType) -> Option<Box<dyn Running>> {
        Some(Box::new(Folding::<T> { fold, output: output.clone(), state: None }))
    }
    let summable = matches!(input, DataType::Int64 | DataType::UInt64 | DataType::Decimal128(..));
    let same = match (input, output) {
        (DataType::Decimal128(_, a), DataType::Decimal128(_, b)) => a == b,
        (a, b) => a == b,
    };
    if !same || (fold == Fold::Sum && !summable) {
        return None;
    }
    match input {
        DataType::Int64 => of::<Int64Type>(fold, output),
        DataType::UInt64 => of::<UInt64Type>(fold, output),
        DataType::Int32 => of::<Int32Type>(fold, output),
        DataType::Date32 => of::<Date32Type>(fold, output),
        DataType::Decimal128(..) => of::<Decimal128Type>(fold, output),
        DataType::Timestamp(TimeUnit::Second, _) => of::<TimestampSecondType>(fold, output),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            of::<TimestampMillisecondType>(fold, output)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            of::<TimestampMicrosecondType>(fold, output)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => of::<TimestampNanosecondType>(fold, output),
        _ => None,
    }
}

/// The sum of the values up to the current row whose key is not more than
/// `preceding` smaller; null where there is none. Null keys are among
/// themselves.
pub struct MovingSum {
    preceding: i64,
    output: DataType,
    /// The rows in the frame, by key.
    frame: VecDeque<(Option<i64>, Option<i128>)>,
    sum: i128,
    /// How many values in the frame are not null.
    known: usize,
}

impl MovingSum {
    /// The sum for one type, if it can be had.
    pub fn new(preceding: i64, input: &DataType, output: &DataType) -> Option<Self> {
        let fits = match (input, output) {
            (DataType::Decimal128(_, a), DataType::Decimal128(_, b)) => a == b,
            (a, b) => *a == DataType::Int64 && a == b,
        };
        let output = output.clone();
        let frame = VecDeque::new();
        fits.then_some(Self { preceding, output, frame, sum: 0, known: 0 })
    }

    /// The sums of the next batch's rows.
    pub fn next(&mut self, values: &ArrayRef, keys: &ArrayRef, bounds: &Bounds) -> ArrayRef {
        let keys = keys.as_primitive::<Int64Type>();
        let decimals = values.as_primitive_opt::<Decimal128Type>();
        let bigints = values.as_primitive_opt::<Int64Type>();
        let mut sums = Vec::with_capacity(bounds.rows);
        for row in 0..bounds.rows {
            if bounds.begins.value(row) {
                self.frame.clear();
                (self.sum, self.known) = (0, 0);
            }
            let value = match (decimals, bigints) {
                _ if values.is_null(row) => None,
                (Some(decimals), _) => Some(decimals.value(row)),
                (None, Some(bigints)) => Some(i128::from(bigints.value(row))),
                (None, None) => None,
            };
            self.step(keys.is_valid(row).then(|| keys.value(row)), value);
            sums.push((self.known > 0).then_some(self.sum));
        }
        if decimals.is_some() {
            let sums = PrimitiveArray::<Decimal128Type>::from_iter(sums);
            return Arc::new(sums.with_data_type(self.output.clone()));
        }
        // Wraps as the sum of bigints does.
        #[expect(clippy::cast_possible_truncation, reason = "wraps on purpose")]
        let sums = sums.into_iter().map(|sum| sum.map(|sum| sum as i64));
        Arc::new(sums.collect::<Int64Array>())
    }

    fn step(&mut self, key: Option<i64>, value: Option<i128>) {
        while let Some((oldest, left)) = self.frame.front().copied() {
            let stays = match (oldest, key) {
                (Some(oldest), Some(key)) => oldest >= key.saturating_sub(self.preceding),
                (oldest, key) => oldest == key,
            };
            if stays {
                break;
            }
            self.frame.pop_front();
            self.sum = self.sum.wrapping_sub(left.unwrap_or(0));
            self.known -= usize::from(left.is_some());
        }
        self.frame.push_back((key, value));
        self.sum = self.sum.wrapping_add(value.unwrap_or(0));
        self.known += usize::from(value.is_some());
    }
}

struct Folding<T: ArrowPrimitiveType> {
    fold: Fold,
    output: DataType,
    /// What the rows of the open segment so far give.
    state: Option<T::Native>,
}

impl<T: ArrowPrimitiveType> Folding<T> {
    fn combine(&self, value: T::Native) -> T::Native {
        match (self.state, self.fold) {
            (None, _) => value,
            (Some(so_far), Fold::Sum) => so_far.add_wrapping(value),
            (Some(so_far), Fold::Min) if value.is_lt(so_far) => value,
            (Some(so_far), Fold::Max) if value.is_gt(so_far) => value,
            (Some(so_far), _) => so_far,
        }
    }
}

impl<T: ArrowPrimitiveType> Running for Folding<T> {
    fn next(&mut self, values: &ArrayRef, bounds: &Bounds) -> ArrayRef {
        let values = values.as_primitive::<T>();
        let valid = values.nulls();
        let mut folded = Vec::with_capacity(bounds.rows);
        let mut known = valid.map(|_| Vec::with_capacity(bounds.rows));
        for range in bounds.ranges() {
            if bounds.begins.value(range.start) {
                self.state = None;
            }
            for row in range {
                if valid.is_none_or(|valid| valid.is_valid(row)) {
                    self.state = Some(self.combine(values.value(row)));
                }
                folded.push(self.state.unwrap_or_default());
                if let Some(known) = &mut known {
                    known.push(self.state.is_some());
                }
            }
        }
        let nulls = known.map(NullBuffer::from).filter(|nulls| nulls.null_count() > 0);
        Arc::new(PrimitiveArray::<T>::new(folded.into(), nulls).with_data_type(self.output.clone()))
    }
}
