//! Gamma-Gamma (Fader and Hardie 2013; Colombo and Jiang 1999): what a
//! customer spends on a purchase day varies around a mean of their own,
//! z ~ Gamma(p, ν), and the means vary between customers, ν ~ Gamma(q, v).
//! Spend has nothing to do with how often somebody buys.

use libm::{lgamma, log};

use super::maximise::{Likelihood, Maximum, maximise};
use super::special::{digamma_rise, ln_rise};
use super::{Invalid, Result};

/// Parameters of Gamma-Gamma.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GammaGamma {
    /// Shape of a purchase day's spend.
    pub p: f64,
    /// Shape of the customers' rates.
    pub q: f64,
    /// Rate of the customers' rates, in money.
    pub v: f64,
}

/// Customers who spend alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spend {
    /// Repeat purchase days.
    pub frequency: u32,
    /// Mean spend of a repeat purchase day.
    pub mean: f64,
    /// How many such customers there are.
    pub customers: f64,
}

impl Spend {
    /// Spend that the model can be fitted on.
    ///
    /// # Errors
    /// No repeat purchase, or a mean that is not above 0.
    pub fn new(frequency: u32, mean: f64, customers: u64) -> Result<Self> {
        if frequency == 0 || !(mean > 0.0 && mean.is_finite()) {
            let text = format!("{frequency} repeat purchase days of {mean}: no spend to fit");
            return Err(Invalid(text));
        }
        Ok(Self { frequency, mean, customers: customers as f64 })
    }
}

impl GammaGamma {
    /// The log-likelihood of a mean spend `mean` over `x` purchase days (Fader
    /// and Hardie 2013, eq. 1a).
    pub fn log_likelihood(&self, x: f64, mean: f64) -> f64 {
        let Self { p, q, v } = *self;
        let total = x * mean;
        ln_inverse_beta(p * x, q) - log(mean)
            + q * log(v / (total + v))
            + p * x * log(total / (total + v))
    }

    /// The expected mean spend of a customer who has spent `mean` on each of
    /// `x` purchase days, or of anybody where x = 0 (eq. 5). None where q ≤ 1:
    /// the mean of all customers is then infinite.
    pub fn expected(&self, x: f64, mean: f64) -> Option<f64> {
        let Self { p, q, v } = *self;
        (q > 1.0).then(|| p * (v + x * mean) / (p * x + q - 1.0))
    }

    /// Fits it.
    pub fn fit(spend: &[Spend]) -> Maximum<3> {
        let likelihood = SpendLikelihood { spend };
        let customers = likelihood.observations().max(1.0);
        let sum: f64 = spend.iter().map(|spend| spend.customers * spend.mean).sum();
        let mean = sum / customers;
        let starts = [(2.0, 3.0), (1.0, 2.0), (6.0, 4.0), (20.0, 1.5)];
        let starts = starts.map(|(p, q): (f64, f64)| [p, q, mean * (q - 1.0) / p]);
        maximise(&likelihood, &starts)
    }
}

/// The likelihood of all customers under Gamma-Gamma.
struct SpendLikelihood<'a> {
    /// Sorted by frequency, so that what depends on it alone is found once.
    spend: &'a [Spend],
}

impl Likelihood<3> for SpendLikelihood<'_> {
    fn observations(&self) -> f64 {
        self.spend.iter().map(|spend| spend.customers).sum()
    }

    fn evaluate(&self, &[p, q, v]: &[f64; 3]) -> (f64, [f64; 3]) {
        let (mut sum, mut slopes) = (0.0, [0.0; 3]);
        let mut known = 0;
        let (mut inverse_beta, mut by_p, mut by_q) = (0.0, 0.0, 0.0);
        for spend in self.spend {
            let x = f64::from(spend.frequency);
            if known != spend.frequency {
                known = spend.frequency;
                inverse_beta = ln_inverse_beta(p * x, q);
                by_p = digamma_rise(p * x, q);
                by_q = digamma_rise(q, p * x);
            }
            let total = x * spend.mean;
            let all = total + v;
            let (own, others) = (log(total / all), log(v / all));
            let value = inverse_beta - log(spend.mean) + q * others + p * x * own;
            sum += spend.customers * value;
            slopes[0] += spend.customers * x * (by_p + own);
            slopes[1] += spend.customers * (by_q + others);
            slopes[2] += spend.customers * (q * total - p * x * v) / (v * all);
        }
        (sum, slopes)
    }
}

/// −ln B(a, b), the gamma function being that of the smaller one.
fn ln_inverse_beta(a: f64, b: f64) -> f64 {
    ln_rise(a.max(b), a.min(b)) - lgamma(a.min(b))
}

/// The correlation of frequency and mean spend: the model assumes none. None
/// where one of them does not vary.
pub fn correlation(spend: &[Spend]) -> Option<f64> {
    let sum = |of: &dyn Fn(&Spend) -> f64| -> f64 {
        spend.iter().map(|one| one.customers * of(one)).sum()
    };
    let customers = sum(&|_| 1.0);
    let x = sum(&|one| f64::from(one.frequency)) / customers;
    let z = sum(&|one| one.mean) / customers;
    let moment = |a: &dyn Fn(&Spend) -> f64, b: &dyn Fn(&Spend) -> f64| sum(&|one| a(one) * b(one));
    let (dx, dz) = (|one: &Spend| f64::from(one.frequency) - x, |one: &Spend| one.mean - z);
    let correlation = moment(&dx, &dz) / libm::sqrt(moment(&dx, &dx) * moment(&dz, &dz));
    correlation.is_finite().then_some(correlation)
}
