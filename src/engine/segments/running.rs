//! Aggregates from the start of a segment to the current row.

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
