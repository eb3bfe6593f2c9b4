//! Whole numbers of any type in as many bytes as the steps need that they are
//! from the least.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{max, min};
use arrow::datatypes::{
    ArrowNativeType, ArrowNumericType, ArrowPrimitiveType, DataType, Date32Type, Decimal128Type,
    Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::steps::{Step, common, steps};

/// Does something for the arrow type of a data type that counts something.
macro_rules! by_kind {
    ($data_type:expr, $do:ident($($argument:expr),*), else $other:expr) => {
        match $data_type {
            DataType::Int32 => $do::<Int32Type>($($argument),*),
            DataType::Int64 => $do::<Int64Type>($($argument),*),
            DataType::Date32 => $do::<Date32Type>($($argument),*),
            DataType::Decimal128(..) => $do::<Decimal128Type>($($argument),*),
            DataType::Timestamp(TimeUnit::Second, _) => $do::<TimestampSecondType>($($argument),*),
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                $do::<TimestampMillisecondType>($($argument),*)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                $do::<TimestampMicrosecondType>($($argument),*)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                $do::<TimestampNanosecondType>($($argument),*)
            }
            _ => $other,
        }
    };
}

/// Whole numbers from the least to the most, in even steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The least value.
    pub least: i64,
    /// The greatest.
    pub most: i64,
    /// What each differs by from the least is a multiple of it; 0 where all are alike.
    pub step: u64,
    /// None is null.
    pub is_full: bool,
}

impl Span {
    /// That of a column whose type counts something.
    pub(super) fn of(column: &ArrayRef) -> Option<Self> {
        if let Some(values) = column.as_boolean_opt() {
            let (least, most) = (i64::from(!values.has_false()), i64::from(values.has_true()));
            return Some(Self::new(least.min(most), most, 1, column));
        }
        by_kind!(column.data_type(), span_of(column), else None)
    }

    fn new(least: i64, most: i64, step: u64, column: &ArrayRef) -> Self {
        let step = if least == most { 0 } else { step };
        Self { least, most, step, is_full: column.null_count() == 0 }
    }

    /// One that holds what either holds.
    pub(super) fn or(self, other: Self) -> Self {
        let apart = self.least.abs_diff(other.least);
        Self {
            least: self.least.min(other.least),
            most: self.most.max(other.most),
            step: common(common(self.step, other.step), apart),
            is_full: self.is_full && other.is_full,
        }
    }

    /// The narrowest width for its numbers, of a type.
    pub(super) fn width(&self, kind: &DataType) -> Width {
        let own = kind.primitive_width().unwrap_or(0);
        match self.most.abs_diff(self.least) / self.step.max(1) {
            0 if self.is_full => Width::Zero,
            most if most <= u8::MAX.into() && own > 1 => Width::One,
            most if most <= u16::MAX.into() && own > 2 => Width::Two,
            most if most <= u32::MAX.into() && own > 4 => Width::Four,
            _ if own > 8 => Width::Eight,
            _ => Width::Own,
        }
    }
}

/// Bytes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Zero,
    One,
    Two,
    Four,
    Eight,
    /// As the type has it.
    Own,
}

impl Width {
    /// How many they are, for a type.
    pub(super) fn bytes(self, kind: &DataType) -> usize {
        match self {
            Self::Zero => 0,
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
            Self::Eight => 8,
            Self::Own => kind.primitive_width().unwrap_or(1),
        }
    }
}

/// A value that is a whole number, whatever it counts.
trait Whole: ArrowNativeType + Ord {
    /// The number, where 64 bits hold it.
    fn exact(self) -> Option<i64>;
    /// The lower 64 bits of the number.
    fn wide(self) -> i64;
    /// The number of these bits, or what fits of them.
    fn cut(bits: i64) -> Self;
}

macro_rules! whole {
    ($($native:ty),*) => {$(
        impl Whole for $native {
            fn exact(self) -> Option<i64> {
                i64::try_from(self).ok()
            }

            fn wide(self) -> i64 {
                self as i64
            }

            fn cut(bits: i64) -> Self {
                bits as Self
            }
        }
    )*};
}

whole!(i32, i64, i128, u8, u16, u32, u64);

fn span_of<Kind: ArrowNumericType<Native: Whole>>(column: &ArrayRef) -> Option<Span> {
    let values = column.as_primitive::<Kind>();
    let (least, most) = bounds(values)?;
    let is_whole = |step: &u64| {
        let step = Step::of(*step);
        let is_whole = |value: Kind::Native| step.divides(apart(value.wide(), least));
        match values.nulls() {
            None => values.values().iter().all(|value| is_whole(*value)),
            Some(_) => values.iter().flatten().all(is_whole),
        }
    };
    let step = steps(column.data_type()).iter().copied().find(is_whole);
    Some(Span::new(least, most, step.unwrap_or(1), column))
}

fn bounds<Kind: ArrowNumericType<Native: Whole>>(
    values: &PrimitiveArray<Kind>,
) -> Option<(i64, i64)> {
    if values.null_count() > 0 {
        return min(values)?.exact().zip(max(values)?.exact());
    }
    // Both in one pass: a column of money is larger than the nearest cache.
    let first = *values.values().first()?;
    let both = |(least, most): (Kind::Native, Kind::Native), value: &Kind::Native| {
        (least.min(*value), most.max(*value))
    };
    let (least, most) = values.values().iter().fold((first, first), both);
    least.exact().zip(most.exact())
}

/// How much a number is above the least.
fn apart(number: i64, least: i64) -> u64 {
    number.wrapping_sub(least).cast_unsigned()
}

/// Numbers as their steps above the least, in the span's width.
pub(super) fn above(column: &ArrayRef, span: &Span) -> ArrayRef {
    by_kind!(column.data_type(), above_of(column, span), else Arc::clone(column))
}

fn above_of<Kind: ArrowPrimitiveType<Native: Whole>>(column: &ArrayRef, span: &Span) -> ArrayRef {
    let (values, least) = (column.as_primitive::<Kind>(), span.least);
    let width = span.width(column.data_type());
    // To multiply where there is nothing to divide would take twice as long.
    let narrow = match span.step {
        0 | 1 => narrow_to(values, |value| apart(value.wide(), least), width),
        step => {
            let step = Step::of(step);
            narrow_to(values, |value| step.quotient(apart(value.wide(), least)), width)
        }
    };
    narrow.unwrap_or_else(|| Arc::clone(column))
}

/// The numbers of a type that [`above`] made narrow.
pub(super) fn from_above(stored: &ArrayRef, span: &Span, kind: &DataType) -> ArrayRef {
    by_kind!(kind, from_above_of(stored, span, kind), else Arc::clone(stored))
}

fn from_above_of<Kind: ArrowPrimitiveType<Native: Whole>>(
    stored: &ArrayRef,
    span: &Span,
    kind: &DataType,
) -> ArrayRef {
    match span.width(kind) {
        Width::One => grown::<UInt8Type, Kind>(stored, span, kind),
        Width::Two => grown::<UInt16Type, Kind>(stored, span, kind),
        Width::Four => grown::<UInt32Type, Kind>(stored, span, kind),
        Width::Eight => grown::<UInt64Type, Kind>(stored, span, kind),
        Width::Zero | Width::Own => Arc::clone(stored),
    }
}

fn grown<Stored, Kind>(stored: &ArrayRef, span: &Span, kind: &DataType) -> ArrayRef
where
    Stored: ArrowPrimitiveType<Native: Whole>,
    Kind: ArrowPrimitiveType<Native: Whole>,
{
    let (stored, least) = (stored.as_primitive::<Stored>(), span.least);
    let values: PrimitiveArray<Kind> = match span.step {
        0 | 1 => stored.unary(|steps| Kind::Native::cut(least.wrapping_add(steps.wide()))),
        step => {
            let step = step.cast_signed();
            let value = |steps: i64| least.wrapping_add(steps.wrapping_mul(step));
            stored.unary(|steps| Kind::Native::cut(value(steps.wide())))
        }
    };
    Arc::new(values.with_data_type(kind.clone()))
}

/// Numbers narrowed in one span, in another that holds it. Neither is of the type's
/// own width, or of none.
pub(super) fn moved(stored: &ArrayRef, from: &Span, to: &Span, kind: &DataType) -> ArrayRef {
    let step = to.step.max(1);
    let (times, more) = (from.step / step, apart(from.least, to.least) / step);
    let width = to.width(kind);
    match from.width(kind) {
        Width::One => moved_of::<UInt8Type>(stored, times, more, width),
        Width::Two => moved_of::<UInt16Type>(stored, times, more, width),
        Width::Four => moved_of::<UInt32Type>(stored, times, more, width),
        Width::Eight => moved_of::<UInt64Type>(stored, times, more, width),
        Width::Zero | Width::Own => Arc::clone(stored),
    }
}

fn moved_of<Stored: ArrowPrimitiveType<Native: Whole>>(
    stored: &ArrayRef,
    times: u64,
    more: u64,
    width: Width,
) -> ArrayRef {
    let values = stored.as_primitive::<Stored>();
    let steps = |value: Stored::Native| value.wide().cast_unsigned();
    let narrow = match times {
        // A span without steps has but zeros.
        0 | 1 => narrow_to(values, |value| steps(value).wrapping_add(more), width),
        _ => {
            let moved = |value: u64| value.wrapping_mul(times).wrapping_add(more);
            narrow_to(values, |value| moved(steps(value)), width)
        }
    };
    narrow.unwrap_or_else(|| Arc::clone(stored))
}

/// Values in a width, after something was done to them.
fn narrow_to<Kind: ArrowPrimitiveType>(
    values: &PrimitiveArray<Kind>,
    number: impl Fn(Kind::Native) -> u64,
    width: Width,
) -> Option<ArrayRef> {
    Some(match width {
        Width::One => Arc::new(values.unary::<_, UInt8Type>(|value| number(value) as u8)),
        Width::Two => Arc::new(values.unary::<_, UInt16Type>(|value| number(value) as u16)),
        Width::Four => Arc::new(values.unary::<_, UInt32Type>(|value| number(value) as u32)),
        Width::Eight => Arc::new(values.unary::<_, UInt64Type>(number)),
        Width::Zero | Width::Own => return None,
    })
}

/// Rows of shared columns without values, at most: they are never given back.
const SHARED_ROWS_MAX: usize = 128 << 10;

/// A column without values. All of a type and length are the same one: to write so
/// many zeros for each would cost more than all else that is done with it.
pub(super) fn nulls(kind: &DataType, rows: usize) -> ArrayRef {
    static KNOWN: Mutex<Vec<ArrayRef>> = Mutex::new(Vec::new());
    // Not much longer: who counts memory counts all of it.
    let length = rows.next_power_of_two();
    if length > SHARED_ROWS_MAX {
        return new_null_array(kind, rows);
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let found = known.iter().find(|nulls| nulls.len() == length && nulls.data_type() == kind);
    match found {
        Some(nulls) => nulls.slice(0, rows),
        None => {
            known.push(new_null_array(kind, length));
            new_null_array(kind, rows)
        }
    }
}

/// A value in so many rows.
pub(super) fn repeated(value: i64, kind: &DataType, rows: usize) -> ArrayRef {
    if *kind == DataType::Boolean {
        let values =
            if value == 0 { BooleanBuffer::new_unset(rows) } else { BooleanBuffer::new_set(rows) };
        return Arc::new(BooleanArray::new(values, None));
    }
    by_kind!(kind, repeated_of(value, kind, rows), else new_null_array(kind, rows))
}

fn repeated_of<Kind: ArrowPrimitiveType<Native: Whole>>(
    value: i64,
    kind: &DataType,
    rows: usize,
) -> ArrayRef {
    let values = PrimitiveArray::<Kind>::from_value(Kind::Native::cut(value), rows);
    Arc::new(values.with_data_type(kind.clone()))
}
