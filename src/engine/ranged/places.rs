//! The order of the rows of a range.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, UInt32Array};
use arrow::compute::{max, min, sort_to_indices};
use arrow::datatypes::Int64Type;
use arrow::row::{RowConverter, SortField};
use datafusion::error::Result;

use super::Key;

/// The places of rows in the order of keys; equal ones in any order.
///
/// # Errors
/// A type that has no order.
pub fn places(columns: &[ArrayRef], keys: &[Key]) -> Result<UInt32Array> {
    if let [one] = columns {
        let packed = one.as_primitive_opt::<Int64Type>().and_then(in_order_of_numbers);
        return match packed {
            Some(places) => Ok(places),
            None => Ok(sort_to_indices(one, Some(keys[0].options), None)?),
        };
    }
    let fields = columns
        .iter()
        .zip(keys)
        .map(|(column, key)| SortField::new_with_options(column.data_type().clone(), key.options));
    let rows = RowConverter::new(fields.collect())?.convert_columns(columns)?;
    let mut places: Vec<u32> = (0..u32::try_from(rows.num_rows()).unwrap_or(u32::MAX)).collect();
    places.sort_by(|a, b| rows.row(*a as usize).cmp(&rows.row(*b as usize)));
    Ok(UInt32Array::from(places))
}

/// Ascending numbers: a number and its place in 64 bits are sorted without looking
/// anywhere else. None if they do not fit, or some are null.
fn in_order_of_numbers(numbers: &Int64Array) -> Option<UInt32Array> {
    if numbers.null_count() > 0 {
        return None;
    }
    let (Some(least), Some(most)) = (min(numbers), max(numbers)) else {
        return Some(UInt32Array::from(Vec::<u32>::new()));
    };
    let place_bits = usize::BITS - numbers.len().leading_zeros();
    if most.abs_diff(least) > u64::MAX >> place_bits {
        return None;
    }
    let pack = |(place, number): (u64, &i64)| number.abs_diff(least) << place_bits | place;
    let mut packed: Vec<u64> = (0..).zip(numbers.values()).map(pack).collect();
    packed.sort_unstable();
    let mask = (1 << place_bits) - 1;
    let place = |packed: u64| u32::try_from(packed & mask).ok();
    packed.into_iter().map(place).collect::<Option<Vec<_>>>().map(UInt32Array::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(numbers: &[i64]) -> Option<Vec<u32>> {
        in_order_of_numbers(&numbers.to_vec().into()).map(|places| places.values().to_vec())
    }

    #[test]
    fn numbers_that_lie_close_are_packed() {
        assert_eq!(order(&[]), Some(vec![]));
        assert_eq!(order(&[7]), Some(vec![0]));
        assert_eq!(order(&[-3, 9, -5, 9]), Some(vec![2, 0, 1, 3]));
        assert_eq!(order(&[i64::MAX, i64::MAX - 1]), Some(vec![1, 0]));
        assert_eq!(order(&[i64::MAX, i64::MIN]), None);
        let far = i64::MIN + (1 << 62) - 1;
        assert_eq!(order(&[far, i64::MIN]), Some(vec![1, 0]));
        assert_eq!(order(&[far + 1, i64::MIN]), None);
    }
}
