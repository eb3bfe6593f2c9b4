//! What the number of a parameter may be: a share of 80 is a percentage typed in
//! the wrong unit, and a window of -5 days a slip. Either would be published.

use std::fmt;

use super::params::{ParamType, ParamValue};

/// The bounds of a number, or of every number of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bounds(Vec<(Bound, String)>);

/// One bound, as its key in YAML says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    AtLeast,
    Above,
    AtMost,
    Below,
}

impl Bounds {
    /// The keys that declare a bound.
    pub const KEYS: [&'static str; 4] = ["at_least", "above", "at_most", "below"];

    /// Adds a bound by its key.
    ///
    /// # Errors
    /// The reason, to follow `because`: values of this type have no bounds, or the
    /// text is no number.
    pub fn add(&mut self, key: &str, text: &str, kind: &ParamType) -> Result<(), String> {
        let kind = match kind {
            ParamType::List(inner) => inner,
            kind => kind,
        };
        if !matches!(kind, ParamType::Int | ParamType::Decimal) {
            return Err(format!("`{key}` is for numbers, not for `{kind}`"));
        }
        let bound = match key {
            "at_least" => Bound::AtLeast,
            "above" => Bound::Above,
            "at_most" => Bound::AtMost,
            _ => Bound::Below,
        };
        kind.value(text)?;
        self.0.push((bound, text.trim().into()));
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a value keeps within the bounds; one that is not set does.
    ///
    /// # Errors
    /// The reason, to follow the name of the parameter.
    pub fn hold(&self, value: &ParamValue) -> Result<(), String> {
        match value {
            ParamValue::List(items) => items.iter().try_for_each(|item| self.hold(item)),
            ParamValue::Int(_) | ParamValue::Decimal(_) => {
                match self.0.iter().all(|(bound, end)| bound.holds(&value.to_string(), end)) {
                    true => Ok(()),
                    false => Err(format!("must be {self}, not `{value}`")),
                }
            }
            _ => Ok(()),
        }
    }
}

impl Bound {
    fn holds(self, value: &str, end: &str) -> bool {
        // Both are digits, checked when they were read.
        let (Ok(value), Ok(end)) = (value.parse::<f64>(), end.parse::<f64>()) else {
            return false;
        };
        match self {
            Self::AtLeast => value >= end,
            Self::Above => value > end,
            Self::AtMost => value <= end,
            Self::Below => value < end,
        }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (bound, end)) in self.0.iter().enumerate() {
            let word = match bound {
                Bound::AtLeast => "at least",
                Bound::Above => "above",
                Bound::AtMost => "at most",
                Bound::Below => "below",
            };
            let and = if place > 0 { " and " } else { "" };
            write!(f, "{and}{word} {end}")?;
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
        assert!(bounds.is_empty());
    }
}
