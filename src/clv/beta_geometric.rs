//! BG/NBD (Fader, Hardie and Lee 2005a) and MBG/NBD (Batislam, Denizel and
//! Filiztekin 2007; Hoppe and Wagner 2007): customers buy at a rate
//! λ ~ Gamma(r, α) and drop out with probability p ~ Beta(a, b) after a repeat
//! purchase; in MBG/NBD after the first one, too.
//!
//! With n = x in BG/NBD and n = x + 1 in MBG/NBD, the occasions on which a
//! customer could have dropped out, both likelihoods are
//!
//! ```text
//! Γ(r+x)/Γ(r) · α^r / (α+T)^(r+x) · B(a, b+n)/B(a, b) · (1 + odds)
//! odds = a/(b+n-1) · ((α+T)/(α+t_x))^(r+x), or 0 where n = 0
//! ```
//!
//! and the odds are those of being gone to being alive.

use libm::{exp, log, log1p};

use super::history::Histories;
use super::maximise::Likelihood;
use super::process::Process;
use super::special::{digamma_rise, ln_rise, sigmoid, softplus};

/// Parameters of BG/NBD or MBG/NBD.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BetaGeometric {
    /// Shape of the purchase rates.
    pub r: f64,
    /// Rate of the purchase rates.
    pub alpha: f64,
    /// Shape of dropping out.
    pub a: f64,
    /// Shape of staying.
    pub b: f64,
    /// Whether one can drop out after the very first purchase: MBG/NBD.
    pub from_first: bool,
}

impl BetaGeometric {
    fn occasions(&self, x: f64) -> f64 {
        if self.from_first { x + 1.0 } else { x }
    }

    /// The log-likelihood of one customer; lengths in the unit of `alpha`.
    pub fn log_likelihood(&self, x: f64, t_x: f64, age: f64) -> f64 {
        let n = self.occasions(x);
        let stay = ln_rise(self.b, n) - ln_rise(self.a + self.b, n);
        let buy = ln_rise(self.r, x) - self.r * log1p(age / self.alpha) - x * log(self.alpha + age);
        buy + stay + softplus(self.log_odds(x, t_x, age))
    }

    /// The logarithm of the odds of being gone.
    fn log_odds(&self, x: f64, t_x: f64, age: f64) -> f64 {
        let n = self.occasions(x);
        if n == 0.0 {
            return f64::NEG_INFINITY;
        }
        log(self.a / (self.b + n - 1.0)) + (self.r + x) * log1p((age - t_x) / (self.alpha + t_x))
    }

    /// The probability of being alive at the end of a history.
    pub fn p_alive(&self, x: f64, t_x: f64, age: f64) -> f64 {
        sigmoid(-self.log_odds(x, t_x, age))
    }

    /// What follows for one who is alive at the end of a history.
    pub fn alive(&self, x: f64, age: f64) -> Process {
        let Self { r, alpha, a, b, .. } = *self;
        Process::AfterPurchase { r: r + x, alpha: alpha + age, a, b: b + self.occasions(x) }
    }
}

/// The likelihood of all customers under BG/NBD or MBG/NBD.
pub struct BetaGeometricLikelihood<'a> {
    /// The customers.
    pub histories: &'a Histories,
    /// Whether one can drop out after the very first purchase.
    pub from_first: bool,
}

impl Likelihood<4> for BetaGeometricLikelihood<'_> {
    fn observations(&self) -> f64 {
        self.histories.customers()
    }

    fn evaluate(&self, &[r, alpha, a, b]: &[f64; 4]) -> (f64, [f64; 4]) {
        let model = BetaGeometric { r, alpha, a, b, from_first: self.from_first };
        let logarithms: Vec<f64> = self.histories.times.iter().map(|t| log(alpha + t)).collect();
        let inverses: Vec<f64> = self.histories.times.iter().map(|t| 1.0 / (alpha + t)).collect();
        let log_alpha = log(alpha);
        let mut either = Softplus::new();
        let mut sum = 0.0;
        let mut slopes = [0.0; 4];
        for group in &self.histories.groups {
            let x = group.frequency;
            let n = model.occasions(x);
            let exponent = r + x;
            let stay = ln_rise(b, n) - ln_rise(a + b, n);
            let constant = ln_rise(r, x) + stay + r * log_alpha;
            let by_r = digamma_rise(r, x) + log_alpha;
            let by_a = -digamma_rise(a + b, n);
            let by_b = by_a + digamma_rise(b, n);
            let last = b + n - 1.0;
            let hazard = if n > 0.0 { log(a / last) } else { f64::NEG_INFINITY };
            // Sums over the rows of what differs between them.
            let (mut count, mut logs, mut inverse) = (0.0, 0.0, 0.0);
            let (mut gone, mut gone_logs, mut gone_inverse) = (0.0, 0.0, 0.0);
            for row in &group.rows {
                let (age, recency) = (row.age as usize, row.recency as usize);
                count += row.customers;
                logs += row.customers * logarithms[age];
                inverse += row.customers * inverses[age];
                if n > 0.0 {
                    let since = logarithms[age] - logarithms[recency];
                    let share = either.add(hazard + exponent * since, row.customers);
                    let share = row.customers * share;
                    gone += share;
                    gone_logs += share * since;
                    gone_inverse += share * (inverses[age] - inverses[recency]);
                }
            }
            sum += count * constant - exponent * logs;
            slopes[0] += count * by_r - logs + gone_logs;
            slopes[1] += count * (r / alpha) + exponent * (gone_inverse - inverse);
            slopes[2] += count * by_a + gone / a;
            slopes[3] += count * by_b - if n > 0.0 { gone / last } else { 0.0 };
        }
        (sum + either.total(), slopes)
    }
}

/// A sum of ln(1 + eʸ) = max(y, 0) + ln(1 + e^−|y|) that takes one logarithm for
/// many terms: that of the product of what stands in it, each at most 2.
struct Softplus {
    sum: f64,
    product: f64,
}

/// From here on the logarithm of the product is taken.
const PRODUCT_MAX: f64 = 1e300;

impl Softplus {
    fn new() -> Self {
        Self { sum: 0.0, product: 1.0 }
    }

    /// Adds a term for so many customers, and returns 1 / (1 + e⁻ʸ).
    fn add(&mut self, y: f64, customers: f64) -> f64 {
        let small = exp(-y.abs());
        if customers == 1.0 {
            self.product *= 1.0 + small;
            if self.product > PRODUCT_MAX {
                self.sum += log(self.product);
                self.product = 1.0;
            }
        } else {
            self.sum += customers * log1p(small);
        }
        match y > 0.0 {
            true => {
                self.sum += customers * y;
                1.0 / (1.0 + small)
            }
            false => small / (1.0 + small),
        }
    }

    fn total(&self) -> f64 {
        self.sum + log(self.product)
    }
}
