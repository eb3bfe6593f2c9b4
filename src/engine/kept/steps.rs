//! Even steps between numbers: instants that are all at midnight, or at whole
//! seconds, are few bytes apart once they are counted in days or seconds.

use arrow::datatypes::{DataType, TimeUnit};

const DAY: u64 = 86_400;

/// Steps that are looked for in the numbers of a type, the widest first.
pub(super) fn steps(kind: &DataType) -> &'static [u64] {
    match kind {
        DataType::Timestamp(TimeUnit::Second, _) => &[DAY],
        DataType::Timestamp(TimeUnit::Millisecond, _) => &[DAY * 1_000, 1_000],
        DataType::Timestamp(TimeUnit::Microsecond, _) => &[DAY * 1_000_000, 1_000_000, 1_000],
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            &[DAY * 1_000_000_000, 1_000_000_000, 1_000_000, 1_000]
        }
        _ => &[],
    }
}

/// The widest step that two are multiples of; of 0 every number is one.
pub(super) fn common(mut one: u64, mut other: u64) -> u64 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

/// Divides by a step what is known to be a multiple of it, without a division:
/// an odd number has an inverse in 64 bits (Granlund and Montgomery 1994,
/// "Division by invariant integers using multiplication", section 9).
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// The step is an odd number times two to the power of this.
    twos: u32,
    /// Of the odd number.
    inverse: u64,
    /// The greatest multiple of the odd number, divided by it.
    most: u64,
}

impl Step {
    /// A step, which is not 0.
    pub(super) fn of(step: u64) -> Self {
        let twos = step.trailing_zeros();
        let odd = step >> twos;
        // Right in three bits; each round doubles them.
        let mut inverse = odd;
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        }
        Self { twos, inverse, most: u64::MAX / odd }
    }

    /// How many steps a multiple is.
    pub(super) fn quotient(self, number: u64) -> u64 {
        (number >> self.twos).wrapping_mul(self.inverse)
    }

    /// Whether a number is a multiple.
    pub(super) fn divides(self, number: u64) -> bool {
        let is_even = number.trailing_zeros() >= self.twos;
        is_even && self.quotient(number) <= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_and_no_others_are_divided() {
        for step in [1, 2, 3, 7, 1_000, 1_000_000, DAY * 1_000_000, 1 << 63, u64::MAX] {
            let divided = Step::of(step);
            let around = |number: u64| [number.wrapping_sub(1), number, number.wrapping_add(1)];
            let multiples = [0, 1, 2, 3, 5, 1_096, u64::MAX / step];
            let numbers = multiples.into_iter().filter_map(|times| step.checked_mul(times));
            for number in numbers.flat_map(around) {
                assert_eq!(divided.divides(number), number % step == 0, "{number} by {step}");
                if number % step == 0 {
                    assert_eq!(divided.quotient(number), number / step);
                }
            }
        }
    }

    #[test]
    fn steps_have_a_step_in_common() {
        assert_eq!(common(0, 0), 0);
        assert_eq!(common(0, 7), 7);
        assert_eq!(common(DAY, 3_600), 3_600);
        assert_eq!(common(1_000, 7), 1);
    }
}
