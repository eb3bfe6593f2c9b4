//! Lengths of time that know their unit, so that days and weeks cannot be
//! mixed: the printed value of a customer that is four times too high is the
//! commonest mistake of the field.

use std::fmt;

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A day.
    Day,
    /// Seven days.
    Week,
}

impl Unit {
    /// Days in it.
    pub fn days(self) -> f64 {
        match self {
            Self::Day => 1.0,
            Self::Week => 7.0,
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Day => "day",
            Self::Week => "week",
        })
    }
}

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Span {
    days: f64,
}

impl Span {
    /// So many days.
    pub fn days(days: f64) -> Self {
        Self { days }
    }

    /// So many weeks.
    pub fn weeks(weeks: f64) -> Self {
        Self { days: weeks * 7.0 }
    }

    /// So many of a unit.
    pub fn of(length: f64, unit: Unit) -> Self {
        match unit {
            Unit::Day => Self::days(length),
            Unit::Week => Self::weeks(length),
        }
    }

    /// Its length in a unit.
    pub fn in_unit(self, unit: Unit) -> f64 {
        self.days / unit.days()
    }
}
