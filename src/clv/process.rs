//! The purchases to come of a customer who is alive now.
//!
//! All models share a property: given that a customer is alive at the end of a
//! history, what follows is what follows for a newcomer, only with other
//! parameters. So there is one place for everything that lies in the future,
//! and a history only moves the parameters (see `PurchaseModel::alive`).

use libm::{exp, expm1, log, log1p};

use super::quadrature::{beta_mean, panels};
use super::special::relative_decay;

/// How purchases follow each other from now on. While alive, a customer buys
/// at a rate λ ~ Gamma(`r`, `alpha`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Process {
    /// Nobody drops out.
    Lasting {
        /// Shape of the rates.
        r: f64,
        /// Rate of the rates, in units of time.
        alpha: f64,
    },
    /// After each purchase a customer drops out with probability
    /// p ~ Beta(`a`, `b`).
    AfterPurchase {
        /// Shape of the rates.
        r: f64,
        /// Rate of the rates, in units of time.
        alpha: f64,
        /// Shape of dropping out.
        a: f64,
        /// Shape of staying.
        b: f64,
    },
    /// A customer drops out at any time, at a rate μ ~ Gamma(`s`, `beta`).
    AtAnyTime {
        /// Shape of the rates.
        r: f64,
        /// Rate of the rates, in units of time.
        alpha: f64,
        /// Shape of the dropout rates.
        s: f64,
        /// Rate of the dropout rates, in units of time.
        beta: f64,
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
            Self::Lasting { r, alpha } => r * (t / alpha),
            Self::AfterPurchase { r, alpha, a, b } => expected_after_purchase(r, t / alpha, a, b),
            // Schmittlein, Morrison and Colombo (1987), with the
            // fraction written so that it holds at s = 1 as well.
            Self::AtAnyTime { r, alpha, s, beta } => {
                let logarithm = log1p(t / beta);
                r * (beta / alpha) * logarithm * relative_decay((s - 1.0) * logarithm)
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
        // ∫ e^(−δt) dE(t) = δ ∫ e^(−δt) E(t) dt
        let nearest = match *self {
            Self::Lasting { r, alpha } => return Some(r / (alpha * rate)),
            Self::AfterPurchase { alpha, .. } => alpha,
            Self::AtAnyTime { alpha, beta, .. } => alpha.min(beta),
        };
        let mut sum = 0.0;
        let width = |t: f64| Some((nearest + t).min(4.0 / rate));
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
            Self::Lasting { r, alpha } => {
                let mut purchases = Purchases::new(r, t / alpha);
                while add(purchases.next_probability()) {}
            }
            Self::AfterPurchase { r, alpha, a, b } => {
                let mut purchases = Purchases::new(r, t / alpha);
                // Alive after n purchases, and dropped out with the n-th.
                let (mut alive, mut dropped, mut n, mut below) = (1.0, 0.0, 0.0, 0.0);
                loop {
                    let probability = purchases.next_probability();
                    let at_least = f64::max(1.0 - below, 0.0);
                    if !add(alive * probability + dropped * at_least) {
                        break;
                    }
                    below += probability;
                    dropped = alive * (a / (a + b + n));
                    alive *= (b + n) / (a + b + n);
                    n += 1.0;
                }
            }
            Self::AtAnyTime { r, alpha, s, beta } => {
                let mut nodes = Vec::new();
                let width = |u: f64| Some((alpha + u).min(beta + u) / 2.0);
                panels(0.0, t, width, |u, weight| {
                    let density = weight * s / (beta + u) * exp(-s * log1p(u / beta));
                    nodes.push((density, Purchases::new(r, u / alpha)));
                });
                nodes.push((exp(-s * log1p(t / beta)), Purchases::new(r, t / alpha)));
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
fn expected_after_purchase(r: f64, u: f64, a: f64, b: f64) -> f64 {
    let none = r * log1p(u);
    let z = u / (1.0 + u);
    let mean = r * u;
    let terms = mean + 12.0 * libm::sqrt(mean * (1.0 + u)) - 40.0 / log(z);
    if !(terms < TERMS_MAX && none < 600.0 && terms.is_finite()) {
        let value = |p: f64| {
            let pu = p * u;
            if pu * (1.0 + r) < 1e-14 { r * u } else { -expm1(-r * log1p(pu)) / p }
        };
        return beta_mean(a, b, u * (1.0 + r), value);
    }
    let mut probability = exp(-none);
    let mut more = -expm1(-none);
    let (mut survives, mut n, mut sum) = (1.0, 0.0, 0.0);
    while n < TERMS_MAX {
        let term = more * survives;
        sum += term;
        probability *= z * (r + n) / (n + 1.0);
        more -= probability;
        survives *= (b + n) / (a + b + n);
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
    r: f64,
    z: f64,
    n: f64,
    logarithm: f64,
    /// Its value while it is no underflow.
    probability: f64,
}

impl Purchases {
    fn new(r: f64, u: f64) -> Self {
        let logarithm = -r * log1p(u);
        Self { r, z: u / (1.0 + u), n: 0.0, logarithm, probability: exp(logarithm) }
    }

    fn next_probability(&mut self) -> f64 {
        let probability = self.probability;
        let factor = self.z * (self.r + self.n) / (self.n + 1.0);
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
    exp(ways - r * log1p(u) + n * log(u / (1.0 + u)))
}
