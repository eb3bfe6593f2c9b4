//! The purchases to come of a customer who is alive now.
//!
//! All models share a property: given that a customer is alive at the end of a
//! history, what follows is what follows for a newcomer, only with other
//! parameters. So there is one place for everything that lies in the future,
//! and a history only moves the parameters (see `PurchaseModel::alive`).

use libm::{exp, expm1, log, sqrt};

use super::chances::Chances;
use super::quadrature::{beta_mean, panels};
use super::rates::Rates;
use super::special::relative_decay;

/// How purchases follow each other from now on. While alive, a customer buys
/// at a rate λ ~ Gamma(r, α).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Process {
    /// Nobody drops out.
    Lasting {
        /// The purchase rates.
        rates: Rates,
    },
    /// After each purchase a customer drops out with probability
    /// p ~ Beta(a, b).
    AfterPurchase {
        /// The purchase rates.
        rates: Rates,
        /// Dropping out.
        chances: Chances,
    },
    /// A customer drops out at any time, at a rate μ ~ Gamma(s, β).
    AtAnyTime {
        /// The purchase rates.
        rates: Rates,
        /// The dropout rates.
        dropout: Rates,
    },
}

/// Terms of the sum in `expected` at most; past them quadrature is as fast.
const TERMS_MAX: f64 = 2000.0;

/// Certainty is never reached.
const LEVEL_MAX: f64 = 1.0 - 1e-14;

/// Purchases looked at one by one at most.
const PURCHASES_MAX: usize = 100_000;

impl Process {
    /// The expected number of purchases within `t`.
    pub fn expected(&self, t: f64) -> f64 {
        if t <= 0.0 {
            return 0.0;
        }
        match *self {
            Self::Lasting { rates } => rates.mean * t,
            Self::AfterPurchase { rates, chances } => expected_after_purchase(&rates, &chances, t),
            // Schmittlein, Morrison and Colombo (1987), with the
            // fraction written so that it holds at s = 1, at s = ∞ and where
            // nobody drops out as well: r/α · β ln(1 + t/β) · (1 − e⁻ʸ)/y with
            // y = (s−1) ln(1 + t/β).
            Self::AtAnyTime { rates, dropout } => {
                let slowed = Rates { mean: 1.0, kappa: dropout.kappa * dropout.mean };
                let decay = relative_decay((1.0 - dropout.kappa) * dropout.elapsed(t));
                rates.mean * slowed.elapsed(t) * decay
            }
        }
    }

    /// Expected purchases of all time to come, each worth e^(−`rate` · t) of
    /// what it is worth now.
    /// None where that is no discount, and the sum may have no end.
    pub fn expected_discounted(&self, rate: f64) -> Option<f64> {
        if rate.is_nan() || rate <= 0.0 {
            return None;
        }
        // ∫ e^(−δt) dE(t) = δ ∫ e^(−δt) E(t) dt. The expectation is smooth
        // over times as long as those it has passed, and at first over as
        // long as the law takes to change, or one purchase or life lasts.
        let (nearest, shortest) = match *self {
            Self::Lasting { rates } => return Some(rates.mean / rate),
            Self::AfterPurchase { rates, .. } => (rates.reach(0.0), rates.mean),
            Self::AtAnyTime { rates, dropout } => {
                (rates.reach(0.0).min(dropout.reach(0.0)), dropout.mean)
            }
        };
        let mut sum = 0.0;
        let width = |t: f64| Some((nearest + t).min(4.0 / rate).min(4.0 / shortest + t / 4.0));
        panels(0.0, 50.0 / rate, width, |t, weight| {
            sum += weight * rate * exp(-rate * t) * self.expected(t);
        });
        Some(sum)
    }

    /// P(X ≤ n) for n = 0, 1, … until it passes `level`, X being the purchases
    /// within `t`.
    pub fn cumulative(&self, t: f64, level: f64) -> Vec<f64> {
        let level = level.min(LEVEL_MAX);
        let mut reached = 0.0;
        let mut cumulative = Vec::new();
        let mut add = |probability: f64| {
            reached = f64::min(reached + probability, 1.0);
            cumulative.push(reached);
            reached <= level && cumulative.len() < PURCHASES_MAX
        };
        match *self {
            Self::Lasting { rates } => {
                let mut purchases = Purchases::new(&rates, t);
                while add(purchases.next_probability()) {}
            }
            Self::AfterPurchase { rates, chances } => {
                let mut purchases = Purchases::new(&rates, t);
                // Alive after n purchases, and dropped out with the n-th.
                let (mut alive, mut dropped, mut n, mut below) = (1.0, 0.0, 0.0, 0.0);
                loop {
                    let probability = purchases.next_probability();
                    let at_least = f64::max(1.0 - below, 0.0);
                    if !add(alive * probability + dropped * at_least) {
                        break;
                    }
                    below += probability;
                    let Chances { p, q, .. } = chances.after(n);
                    dropped = alive * p;
                    alive *= q;
                    n += 1.0;
                }
            }
            Self::AtAnyTime { rates, dropout } => {
                let mut nodes = Vec::new();
                // P(n purchases until u) is a hump of a width of √n purchases.
                let width = |u: f64| {
                    let lived = 4.0 / ((1.0 + dropout.kappa) * dropout.mean_at(u));
                    let hump = 4.0 * sqrt((1.0 + rates.mean * u) * (1.0 + rates.kappa));
                    let reach = rates.reach(u).min(dropout.reach(u)) / 2.0;
                    Some(reach.min(lived).min(hump / rates.mean))
                };
                panels(0.0, t, width, |u, weight| {
                    let density = weight * dropout.mean_at(u) * exp(-dropout.elapsed(u));
                    nodes.push((density, Purchases::new(&rates, u)));
                });
                nodes.push((exp(-dropout.elapsed(t)), Purchases::new(&rates, t)));
                let mut next = || -> f64 {
                    nodes.iter_mut().map(|(weight, n)| *weight * n.next_probability()).sum()
                };
                while add(next()) {}
            }
        }
        cumulative
    }
}

/// Σ over j of P(more than j purchases, were there no dropping out) times
/// E[(1 − p)ʲ]: Fader, Hardie and Lee (2005a), eq. 9, in a form whose terms
/// are positive for every a, where theirs is a difference that fails at a = 1
/// and has no value for a + b + x < 1.
fn expected_after_purchase(rates: &Rates, chances: &Chances, t: f64) -> f64 {
    let none = rates.elapsed(t);
    let mean = rates.mean * t;
    let u = rates.kappa * mean;
    let z = u / (1.0 + u);
    // Without any spread terms fall faster than in every geometric series.
    let slowly = if z > 0.0 { -40.0 / log(z) } else { 0.0 };
    let terms = mean + 12.0 * sqrt(mean * (1.0 + u)) + slowly;
    if !(terms < TERMS_MAX && none < 600.0 && terms.is_finite()) {
        // Dropping out with the chance p thins purchases: E[(1 − e^(−c(pt)))/p].
        let value = |p: f64| {
            let small = p * mean * (1.0 + rates.kappa) < 1e-14;
            if small { mean } else { -expm1(-rates.elapsed(p * t)) / p }
        };
        return beta_mean(chances, mean * (1.0 + rates.kappa), value);
    }
    let mut probability = exp(-none);
    let mut more = -expm1(-none);
    let (mut survives, mut n, mut sum) = (1.0, 0.0, 0.0);
    while n < TERMS_MAX {
        let term = more * survives;
        sum += term;
        probability *= mean / (1.0 + u) * (1.0 + rates.kappa * n) / (n + 1.0);
        more -= probability;
        survives *= chances.after(n).q;
        n += 1.0;
        // Behind the mean the terms fall at least as fast as a geometric series.
        if more <= 0.0 || (n > mean && term * (1.0 + u) < 1e-17 * sum) {
            break;
        }
    }
    sum
}

/// The negative binomial distribution of purchases within a time, one number
/// of purchases after the other.
struct Purchases {
    /// (n+1) P(n+1) / P(n) = mean · (1 + κn).
    mean: f64,
    kappa: f64,
    n: f64,
    logarithm: f64,
    /// Its value while it is no underflow.
    probability: f64,
}

impl Purchases {
    fn new(rates: &Rates, t: f64) -> Self {
        let logarithm = -rates.elapsed(t);
        let mean = rates.mean_at(t) * t;
        let kappa = rates.kappa;
        Self { mean, kappa, n: 0.0, logarithm, probability: exp(logarithm) }
    }

    fn next_probability(&mut self) -> f64 {
        let probability = self.probability;
        let factor = self.mean * (1.0 + self.kappa * self.n) / (self.n + 1.0);
        self.n += 1.0;
        if self.logarithm > -600.0 {
            self.probability *= factor;
        } else {
            self.logarithm += log(factor);
            self.probability = exp(self.logarithm);
        }
        probability
    }
}

/// P(X = n) of a negative binomial distribution, for tests and single values.
#[cfg(test)]
pub fn negative_binomial(n: f64, r: f64, u: f64) -> f64 {
    let ways = super::special::ln_rise(r, n) - libm::lgamma(n + 1.0);
    exp(ways - r * libm::log1p(u) + n * log(u / (1.0 + u)))
}
