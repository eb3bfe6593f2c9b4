//! What the number of a parameter may be: a share of 80 is a percentage typed in
//! the wrong unit, and a window of -5 days a slip. Either would be published.

use std::fmt;

use super::params::{ParamType, ParamValue};

/// The bounds of a number, or of every number of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bounds(Vec<(Bound, String)>);

/// One bound: its key in YAML, its words, and whether a number keeps to it.
#[derive(Debug)]
struct Kind {
    key: &'static str,
    words: &'static str,
    holds: fn(f64, f64) -> bool,
}

type Bound = &'static Kind;

static KINDS: [Kind; 4] = [
    Kind { key: "at_least", words: "at least", holds: |value, end| value >= end },
    Kind { key: "above", words: "above", holds: |value, end| value > end },
    Kind { key: "at_most", words: "at most", holds: |value, end| value <= end },
    Kind { key: "below", words: "below", holds: |value, end| value < end },
];

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Kind {}

impl Bounds {
    /// The keys that declare a bound.
    pub fn keys() -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|kind| kind.key)
    }

    /// Adds a bound by its key.
    ///
    /// # Errors
    /// The reason, to follow `because`: values of this type have no bounds, or the
    /// text is no number.
    pub fn add(&mut self, key: &str, text: &str, of: &ParamType) -> Result<(), String> {
        let of = match of {
            ParamType::List(inner) => inner,
            of => of,
        };
        let bound = KINDS.iter().find(|kind| kind.key == key);
        match (bound, of) {
            (Some(bound), ParamType::Int | ParamType::Decimal) => {
                of.value(text)?;
                self.0.push((bound, text.trim().into()));
                Ok(())
            }
            _ => Err(format!("`{key}` is for numbers, not for `{of}`")),
        }
    }

    /// Takes over the bounds of another declaration that this one leaves out.
    pub fn inherit(&mut self, other: &Self) {
        for (bound, end) in &other.0 {
            if !self.0.iter().any(|(own, _)| own == bound) {
                self.0.push((bound, end.clone()));
            }
        }
    }

    /// Whether a value keeps within the bounds; one that is not set does.
    ///
    /// # Errors
    /// The reason, to follow the name of the parameter.
    pub fn hold(&self, value: &ParamValue) -> Result<(), String> {
        match value {
            ParamValue::List(items) => items.iter().try_for_each(|item| self.hold(item)),
            ParamValue::Int(_) | ParamValue::Decimal(_) => {
                match self.0.iter().all(|(bound, end)| holds(bound, &value.to_string(), end)) {
                    true => Ok(()),
                    false => Err(format!("must be {self}, not `{value}`")),
                }
            }
            _ => Ok(()),
        }
    }
}

fn holds(bound: Bound, value: &str, end: &str) -> bool {
    // Both are digits, checked when they were read.
    match (value.parse(), end.parse()) {
        (Ok(value), Ok(end)) => (bound.holds)(value, end),
        _ => false,
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (bound, end)) in self.0.iter().enumerate() {
            let and = if place > 0 { " and " } else { "" };
            write!(f, "{and}{} {end}", bound.words)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share() -> Bounds {
        let mut bounds = Bounds::default();
        bounds.add("at_least", "0", &ParamType::Decimal).expect("sound");
        bounds.add("below", "1", &ParamType::Decimal).expect("sound");
        bounds
    }

    #[test]
    fn the_ends_count_as_their_words_say() {
        let decimal = |text: &str| ParamValue::Decimal(text.into());
        assert_eq!(share().hold(&decimal("0")), Ok(()));
        assert_eq!(share().hold(&decimal("0.999999")), Ok(()));
        assert_eq!(share().hold(&ParamValue::Null), Ok(()));
        let said = share().hold(&decimal("1")).expect_err("refused");
        assert_eq!(said, "must be at least 0 and below 1, not `1`");
        assert!(share().hold(&decimal("-0.000001")).is_err());
    }

    #[test]
    fn what_a_declaration_leaves_out_is_inherited_bound_by_bound() {
        let mut bounds = Bounds::default();
        bounds.add("below", "2", &ParamType::Decimal).expect("sound");
        bounds.inherit(&share());
        assert_eq!(bounds.to_string(), "below 2 and at least 0");
    }

    #[test]
    fn every_number_of_a_list_is_held() {
        let days = ParamType::List(Box::new(ParamType::Int));
        let mut bounds = Bounds::default();
        bounds.add("above", "0", &days).expect("sound");
        let list = |items: [i64; 2]| ParamValue::List(items.map(ParamValue::Int).to_vec());
        assert_eq!(bounds.hold(&list([1, 2])), Ok(()));
        assert_eq!(bounds.hold(&list([1, -5])).expect_err("refused"), "must be above 0, not `-5`");
    }

    #[test]
    fn only_numbers_have_bounds_and_only_numbers_are_bounds() {
        let mut bounds = Bounds::default();
        assert!(bounds.add("at_least", "1", &ParamType::Text).is_err());
        assert!(bounds.add("at_least", "0.5", &ParamType::Int).is_err());
        assert_eq!(bounds, Bounds::default());
    }
}
