//! Gamma-Gamma (Fader and Hardie 2013; Colombo and Jiang 1999): what a
//! customer spends on a purchase day varies around a mean of their own,
//! z ~ Gamma(p, ν), and the means vary between customers, ν ~ Gamma(q, v).
//! Spend has nothing to do with how often somebody buys.

use libm::log;

use super::maximise::{Likelihood, Maximum, maximise};
use super::special::{HALF_LN_TAU, beyond_stirling, beyond_stirling_slope, lag};
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

/// A point of the search: the scale M = pv/q of the customers' means, and what
/// 1/p and 1/q are, how much days and customers differ.
///
/// The density of a mean spend z over x days is that of z/M ~ F(2px, 2q)
/// (Fader and Hardie 2013, eq. 1a, over P = px and M). Written as there it is a
/// difference of numbers that grow with p and q. With the deviations
/// t = (z−M)/M · P/(P+q) and u = (M−z)/z · q/(P+q) it is
///
/// ```text
/// −P k(u) − q k(t) + ½ ln(Pq/(P+q)) − ½ ln 2π + S(P+q) − S(P) − S(q) − ln z
/// k(t) = ln(1+t) − t/(1+t),  S(z) = ln Γ(z) − (z−½) ln z + z − ½ ln 2π
/// ```
///
/// in which p → ∞ (all days of a customer are alike) and q → ∞ (all customers
/// are) are ordinary points.
struct Point {
    scale: f64,
    p: f64,
    q: f64,
}

/// What depends on the frequency alone.
#[derive(Default)]
struct OfFrequency {
    value: f64,
    by_days: f64,
    by_customers: f64,
}

impl Point {
    fn of_frequency(&self, x: f64) -> OfFrequency {
        let Self { p, q, .. } = *self;
        let days = p * x;
        let both = days + q;
        let (share, rest) = (days / both, q / both);
        let steep = beyond_stirling_slope(both);
        OfFrequency {
            value: 0.5 * log(days * rest) - HALF_LN_TAU + beyond_stirling(both)
                - beyond_stirling(days)
                - beyond_stirling(q),
            by_days: 0.5 * rest + share * steep - beyond_stirling_slope(days),
            by_customers: 0.5 * share + rest * steep - beyond_stirling_slope(q),
        }
    }

    /// The log-likelihood of a mean spend but for its −ln z, and the slopes by
    /// ln M, ln P and ln q.
    fn value(&self, x: f64, mean: f64, of: &OfFrequency) -> (f64, [f64; 3]) {
        let Self { scale, p, q } = *self;
        let days = p * x;
        let both = days + q;
        let above = (mean - scale) / scale * (days / both);
        let below = (scale - mean) / mean * (q / both);
        let (own, others) = (days * lag(below), q * lag(above));
        let by_scale = q * (above / (1.0 + above));
        (of.value - own - others, [by_scale, of.by_days - own, of.by_customers - others])
    }
}

impl GammaGamma {
    fn point(&self) -> Point {
        Point { scale: self.p / self.q * self.v, p: self.p, q: self.q }
    }

    /// The log-likelihood of a mean spend `mean` over `x` purchase days: of a
    /// density in money, so it may be above 0.
    pub fn log_likelihood(&self, x: f64, mean: f64) -> f64 {
        let point = self.point();
        point.value(x, mean, &point.of_frequency(x)).0 - log(mean)
    }

    /// The expected mean spend of a customer who has spent `mean` on each of
    /// `x` purchase days, or of anybody where x = 0 (eq. 5). None where q ≤ 1:
    /// the mean of all customers is then infinite.
    pub fn expected(&self, x: f64, mean: f64) -> Option<f64> {
        let Self { p, q, v } = *self;
        (q > 1.0).then(|| p * (v + x * mean) / (p * x + q - 1.0))
    }

    /// Fits it. Where [`alike`] customers spend there is nothing to fit: the
    /// likelihood has no highest point.
    pub fn fit(spend: &[Spend]) -> Maximum<3> {
        let likelihood = SpendLikelihood { spend };
        let customers = likelihood.observations().max(1.0);
        let mean_of = |of: &dyn Fn(&Spend) -> f64| {
            spend.iter().map(|one| one.customers * of(one)).sum::<f64>() / customers
        };
        let mean = mean_of(&|one| one.mean);
        let square = mean_of(&|one| (one.mean / mean - 1.0) * (one.mean / mean - 1.0));
        // The last ones spread as the means do, between days or customers.
        let narrow = 2.0 + 1.0 / square.max(1.0 / SPREAD_MAX);
        let starts = [(2.0, 3.0), (1.0, 2.0), (6.0, 4.0), (20.0, 1.5)];
        let starts = starts.into_iter().chain([(narrow, 100.0 * narrow), (narrow, narrow)]);
        let starts = starts.map(|(p, q): (f64, f64)| [mean * (q - 1.0) / q, 1.0 / p, 1.0 / q]);
        let found = maximise(&likelihood, &starts.collect::<Vec<_>>());
        let [scale, days, others] = found.parameters;
        let parameters = [1.0 / days, 1.0 / others, scale * (days / others)];
        let slopes = [[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 1.0, -1.0]];
        found.in_parameters(parameters, &slopes)
    }
}

/// 1 / the squared coefficient of variation from which on spend is one price.
const SPREAD_MAX: f64 = 1e18;

/// Whether all customers have spent the same, but for rounding. The likelihood
/// then grows without end the narrower the laws are.
pub fn alike(spend: &[Spend]) -> bool {
    let least = spend.iter().fold(f64::INFINITY, |least, one| least.min(one.mean));
    let most = spend.iter().fold(0.0, |most: f64, one| most.max(one.mean));
    most - least <= most * 2.0 / libm::sqrt(SPREAD_MAX)
}

/// The likelihood of all customers under Gamma-Gamma.
pub(super) struct SpendLikelihood<'a> {
    /// Sorted by frequency, so that what depends on it alone is found once.
    pub(super) spend: &'a [Spend],
}

impl Likelihood<3> for SpendLikelihood<'_> {
    fn observations(&self) -> f64 {
        self.spend.iter().map(|spend| spend.customers).sum()
    }

    fn evaluate(&self, &[scale, days, others]: &[f64; 3]) -> (f64, [f64; 3]) {
        let point = Point { scale, p: 1.0 / days, q: 1.0 / others };
        let (mut sum, mut slopes) = (0.0, [0.0; 3]);
        let mut known = 0;
        let mut of = OfFrequency::default();
        for spend in self.spend {
            let x = f64::from(spend.frequency);
            if known != spend.frequency {
                known = spend.frequency;
                of = point.of_frequency(x);
            }
            let (value, [by_scale, by_days, by_customers]) = point.value(x, spend.mean, &of);
            sum += spend.customers * (value - log(spend.mean));
            slopes[0] += spend.customers * by_scale;
            // P and q fall where 1/p and 1/q rise.
            slopes[1] -= spend.customers * by_days;
            slopes[2] -= spend.customers * by_customers;
        }
        (sum, slopes)
    }
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
