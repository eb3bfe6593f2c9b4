//! Money to come: expected purchases, month by month, discounted.

use libm::{exp, log1p};

use super::model::Outlook;
use super::time::Span;

/// How the money of some time to come is counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// How far one looks.
    pub horizon: Span,
    /// A month: what comes within it is discounted by its end.
    pub month: Span,
    /// What money in a month is worth less than today, as a share.
    pub monthly: f64,
}

impl Terms {
    /// Terms of twelve months a year and a discount a year, as a share.
    pub fn yearly(horizon: Span, discount: f64) -> Self {
        let monthly = libm::expm1(log1p(discount) / 12.0);
        Self { horizon, month: Span::days(365.25 / 12.0), monthly }
    }

    /// Expected purchases within the horizon, each as a share of one made
    /// today: times the expected spend, the residual value.
    pub fn discounted(&self, outlook: &Outlook) -> f64 {
        self.discounted_by(|within| outlook.expected(within))
    }

    /// The same of whatever is expected within a time.
    pub fn discounted_by(&self, expected: impl Fn(Span) -> f64) -> f64 {
        let month = self.month.in_unit(super::time::Unit::Day);
        let horizon = self.horizon.in_unit(super::time::Unit::Day);
        let (mut sum, mut before, mut number) = (0.0, 0.0, 0.0);
        while number * month < horizon {
            number += 1.0;
            let until = expected(Span::days((number * month).min(horizon)));
            sum += (until - before) * exp(-number * log1p(self.monthly));
            before = until;
        }
        sum
    }
}
