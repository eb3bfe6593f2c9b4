//! Whole numbers of any type in as many bytes as they differ by from the least.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, new_null_array};
use arrow::compute::{max, min};
use arrow::datatypes::{
    ArrowNativeType, ArrowNumericType, ArrowPrimitiveType, DataType, Date32Type, Decimal128Type,
    Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

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
    /// The narrowest for numbers from the least to the most.
    pub(super) fn of(least: i64, most: i64, is_full: bool, kind: &DataType) -> Self {
        let own = kind.primitive_width().unwrap_or(0);
        match most.abs_diff(least) {
            0 if is_full => Self::Zero,
            range if range <= u8::MAX.into() && own > 1 => Self::One,
            range if range <= u16::MAX.into() && own > 2 => Self::Two,
            range if range <= u32::MAX.into() && own > 4 => Self::Four,
            _ if own > 8 => Self::Eight,
            _ => Self::Own,
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

/// The least and the greatest value, of a type whose values are whole numbers.
pub(super) fn bounds(column: &ArrayRef) -> Option<(i64, i64)> {
    by_kind!(column.data_type(), bounds_of(column), else None)
}

fn bounds_of<Kind: ArrowNumericType<Native: Whole>>(column: &ArrayRef) -> Option<(i64, i64)> {
    let values = column.as_primitive::<Kind>();
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

/// Numbers as what they are above the least, in a width that holds it.
pub(super) fn above(column: &ArrayRef, least: i64, width: Width) -> ArrayRef {
    by_kind!(column.data_type(), above_of(column, least, width), else Arc::clone(column))
}

fn above_of<Kind: ArrowPrimitiveType<Native: Whole>>(
    column: &ArrayRef,
    least: i64,
    width: Width,
) -> ArrayRef {
    let values = column.as_primitive::<Kind>();
    let less = |value: Kind::Native| value.wide().wrapping_sub(least);
    narrow_to(values, less, width).unwrap_or_else(|| Arc::clone(column))
}

/// The numbers of a type that [`above`] made narrow.
pub(super) fn from_above(stored: &ArrayRef, least: i64, width: Width, kind: &DataType) -> ArrayRef {
    by_kind!(kind, from_above_of(stored, least, width, kind), else Arc::clone(stored))
}

fn from_above_of<Kind: ArrowPrimitiveType<Native: Whole>>(
    stored: &ArrayRef,
    least: i64,
    width: Width,
    kind: &DataType,
) -> ArrayRef {
    match width {
        Width::One => grown::<UInt8Type, Kind>(stored, least, kind),
        Width::Two => grown::<UInt16Type, Kind>(stored, least, kind),
        Width::Four => grown::<UInt32Type, Kind>(stored, least, kind),
        Width::Eight => grown::<UInt64Type, Kind>(stored, least, kind),
        Width::Zero | Width::Own => Arc::clone(stored),
    }
}

fn grown<Stored, Kind>(stored: &ArrayRef, least: i64, kind: &DataType) -> ArrayRef
where
    Stored: ArrowPrimitiveType<Native: Whole>,
    Kind: ArrowPrimitiveType<Native: Whole>,
{
    let value = |above: Stored::Native| Kind::Native::cut(least.wrapping_add(above.wide()));
    let values = stored.as_primitive::<Stored>().unary::<_, Kind>(value);
    Arc::new(values.with_data_type(kind.clone()))
}

/// Narrowed numbers above a lesser one, in a width that holds them.
pub(super) fn moved(stored: &ArrayRef, by: i64, from: Width, width: Width) -> ArrayRef {
    match from {
        Width::One => moved_of::<UInt8Type>(stored, by, width),
        Width::Two => moved_of::<UInt16Type>(stored, by, width),
        Width::Four => moved_of::<UInt32Type>(stored, by, width),
        Width::Eight => moved_of::<UInt64Type>(stored, by, width),
        Width::Zero | Width::Own => Arc::clone(stored),
    }
}

fn moved_of<Stored: ArrowPrimitiveType<Native: Whole>>(
    stored: &ArrayRef,
    by: i64,
    width: Width,
) -> ArrayRef {
    let values = stored.as_primitive::<Stored>();
    let more = |value: Stored::Native| value.wide().wrapping_add(by);
    narrow_to(values, more, width).unwrap_or_else(|| Arc::clone(stored))
}

/// Values in a width, after something was done to them.
fn narrow_to<Kind: ArrowPrimitiveType>(
    values: &PrimitiveArray<Kind>,
    number: impl Fn(Kind::Native) -> i64,
    width: Width,
) -> Option<ArrayRef> {
    Some(match width {
        Width::One => Arc::new(values.unary::<_, UInt8Type>(|value| u8::cut(number(value)))),
        Width::Two => Arc::new(values.unary::<_, UInt16Type>(|value| u16::cut(number(value)))),
        Width::Four => Arc::new(values.unary::<_, UInt32Type>(|value| u32::cut(number(value)))),
        Width::Eight => Arc::new(values.unary::<_, UInt64Type>(|value| u64::cut(number(value)))),
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
