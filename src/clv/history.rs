//! What the models know of a customer, and of all customers together.

use libm::{lgamma, log};

use super::time::{Span, Unit};
use super::{Invalid, Result};

/// A customer's purchases up to a day. Several orders of one day are one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct History {
    /// Repeat purchase days: purchase days less one. `x` in the literature.
    pub frequency: u32,
    /// From the first purchase to the latest; 0 without a repeat. `t_x`.
    pub recency: Span,
    /// From the first purchase to the day up to which one looks. `T`.
    pub age: Span,
}

impl History {
    /// A history.
    ///
    /// # Errors
    /// A length that is negative or no number, a latest purchase behind the
    /// end, or one that is none.
    pub fn new(frequency: u32, recency: Span, age: Span) -> Result<Self> {
        let (last, end) = (recency.in_unit(Unit::Day), age.in_unit(Unit::Day));
        if !(last.is_finite() && end.is_finite() && last >= 0.0) {
            return Err(Invalid(format!("recency {last} and age {end} days: no history")));
        }
        if last > end {
            let text = format!(
                "the latest purchase, {last} days after the first, is behind the \
                                end of the history at {end} days"
            );
            return Err(Invalid(text));
        }
        if (frequency == 0) != (last == 0.0) {
            let text = format!(
                "{frequency} repeat purchases and the latest {last} days after the \
                                first contradict each other"
            );
            return Err(Invalid(text));
        }
        Ok(Self { frequency, recency, age })
    }
}

/// Customers by their history: all that a fit needs. Its cost grows with the
/// different histories, not with the customers.
#[derive(Debug, Clone)]
pub struct Histories {
    /// Every length that occurs, as recency or as age, in `unit`.
    pub(super) times: Vec<f64>,
    /// The unit of the times.
    pub(super) unit: Unit,
    /// Customers of equal frequency, rising.
    pub(super) groups: Vec<Group>,
}

/// Customers of equal frequency.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) frequency: f64,
    pub(super) rows: Vec<Row>,
}

/// Customers of equal history.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// Places in `times`.
    pub(super) recency: u32,
    pub(super) age: u32,
    pub(super) customers: f64,
}

impl Histories {
    /// Counts histories. The order in which they come does not matter.
    pub fn count(histories: impl IntoIterator<Item = (History, u64)>, unit: Unit) -> Self {
        // Lengths are compared by their bits, which for lengths rise with them.
        let bits = |span: Span| (span.in_unit(unit) + 0.0).to_bits();
        let rows = histories.into_iter().map(|(history, customers)| {
            (history.frequency, bits(history.age), bits(history.recency), customers)
        });
        let mut rows: Vec<(u32, u64, u64, u64)> = rows.collect();
        rows.sort_unstable();
        let mut times: Vec<u64> = rows.iter().flat_map(|row| [row.1, row.2]).collect();
        times.sort_unstable();
        times.dedup();
        let place = |length: u64| {
            let found = times.binary_search(&length).unwrap_or_default();
            u32::try_from(found).unwrap_or(u32::MAX)
        };
        let mut groups: Vec<Group> = Vec::new();
        let alike = rows.chunk_by(|one, next| (one.0, one.1, one.2) == (next.0, next.1, next.2));
        for rows in alike {
            let (frequency, age, recency, _) = rows[0];
            let customers: u64 = rows.iter().map(|row| row.3).sum();
            let frequency = f64::from(frequency);
            if groups.last().is_none_or(|group| group.frequency != frequency) {
                groups.push(Group { frequency, rows: Vec::new() });
            }
            let (recency, age, customers) = (place(recency), place(age), customers as f64);
            if let Some(group) = groups.last_mut() {
                group.rows.push(Row { recency, age, customers });
            }
        }
        Self { times: times.into_iter().map(f64::from_bits).collect(), unit, groups }
    }

    /// The unit of their lengths.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// How many customers there are.
    pub fn customers(&self) -> f64 {
        self.sum(|_, row| row.customers)
    }

    /// How many of them have purchased again `times` times or more.
    pub fn repeaters(&self, times: u32) -> f64 {
        self.sum(|x, row| if x >= f64::from(times) { row.customers } else { 0.0 })
    }

    /// Repeat purchases for each unit of time that a customer was looked at.
    pub fn rate(&self) -> f64 {
        let purchases = self.sum(|x, row| x * row.customers);
        purchases / self.sum(|_, row| self.times[row.age as usize] * row.customers)
    }

    /// What a log-likelihood has to be added to be one of counts.
    ///
    /// The likelihood of a history is a density of the times of its purchases,
    /// so it depends on the unit and may be above 1. It does not rise with t_x,
    /// and histories of x purchases with the latest until t fill t^x / x!. So
    /// the density at t_x times t_x^x / x! is at most the probability of x
    /// purchases, the latest no later than t_x: never above 1, in any unit. Of
    /// the parameters it knows nothing.
    pub(super) fn log_volume(&self) -> f64 {
        self.sum(|x, row| {
            let latest = self.times[row.recency as usize];
            if x == 0.0 { 0.0 } else { row.customers * (x * log(latest) - lgamma(x + 1.0)) }
        })
    }

    /// The longest age.
    pub fn longest(&self) -> Span {
        let ages = self.groups.iter().flat_map(|group| &group.rows).map(|row| row.age).max();
        let longest = ages.and_then(|place| self.times.get(place as usize)).copied();
        Span::of(longest.unwrap_or(0.0), self.unit)
    }

    fn sum(&self, of: impl Fn(f64, &Row) -> f64) -> f64 {
        let groups = self.groups.iter();
        groups.map(|group| group.rows.iter().map(|row| of(group.frequency, row)).sum::<f64>()).sum()
    }
}
