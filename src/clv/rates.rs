//! A gamma law of rates, written over its mean and over how much they differ.
//!
//! The literature has λ ~ Gamma(r, α). Where customers are alike, r and α grow
//! without end, and r ln α − (r+x) ln(α+T) is a difference of numbers of 1e20:
//! rounding, not likelihood. Over the mean m = r/α and the squared coefficient
//! of variation κ = 1/r, the same terms are
//!
//! ```text
//! Γ(r+x)/Γ(r) · α^r / (α+T)^(r+x) = m^x · Π (1+jκ) · e^(−(1+κx) · c(T)),  j = 0 … x−1
//! c(t) = ln(1 + κmt) / κ
//! ```
//!
//! (Fader, Hardie and Lee 2005a, eq. 6, with r = 1/κ and α = 1/(κm)). Nothing
//! in it cancels, and κ = 0 is an ordinary point: everybody buys at the rate m,
//! c(t) = mt, and purchases are a Poisson process.

use libm::log1p;

use super::special::{NEAR, lag_near};

/// A gamma law of rates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Their mean, m.
    pub mean: f64,
    /// Their squared coefficient of variation, κ; 0 where all are the same.
    pub kappa: f64,
}

/// The time that has passed, as the law feels it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    /// c(t).
    pub elapsed: f64,
    /// Its slope by ln m.
    pub by_mean: f64,
    /// Its slope by ln κ, of which the sign is turned.
    pub by_kappa: f64,
}

impl Clock {
    /// Adds another one, times a weight.
    pub fn add(&mut self, weight: f64, other: Self) {
        self.elapsed += weight * other.elapsed;
        self.by_mean += weight * other.by_mean;
        self.by_kappa += weight * other.by_kappa;
    }

    /// A sum as a mean.
    pub fn over(self, total: f64) -> Self {
        let Self { elapsed, by_mean, by_kappa } = self;
        Self { elapsed: elapsed / total, by_mean: by_mean / total, by_kappa: by_kappa / total }
    }

    /// This one, with another one in a share of the cases.
    pub fn mixed(self, share: f64, other: Self) -> Self {
        let mean = |own: f64, other: f64| (1.0 - share) * own + share * other;
        Self {
            elapsed: mean(self.elapsed, other.elapsed),
            by_mean: mean(self.by_mean, other.by_mean),
            by_kappa: mean(self.by_kappa, other.by_kappa),
        }
    }

    /// What has passed since another one.
    pub fn since(self, other: Self) -> Self {
        Self {
            elapsed: self.elapsed - other.elapsed,
            by_mean: self.by_mean - other.by_mean,
            by_kappa: self.by_kappa - other.by_kappa,
        }
    }
}

impl Rates {
    /// The law of a shape and a rate, as the literature has them.
    pub fn new(shape: f64, rate: f64) -> Self {
        Self { mean: shape / rate, kappa: 1.0 / shape }
    }

    /// The shape, r.
    pub fn shape(&self) -> f64 {
        1.0 / self.kappa
    }

    /// The rate, α.
    pub fn rate(&self) -> f64 {
        1.0 / (self.kappa * self.mean)
    }

    /// What has passed at `t`: c(t).
    pub fn elapsed(&self, t: f64) -> f64 {
        let plain = self.mean * t;
        let v = self.kappa * plain;
        if v == 0.0 { plain } else { plain * (log1p(v) / v) }
    }

    /// What has passed at `t`, with its slopes.
    pub fn clock(&self, t: f64) -> Clock {
        self.clock_of(t, self.elapsed(t))
    }

    /// The same where c(t) is known.
    pub fn clock_of(&self, t: f64, elapsed: f64) -> Clock {
        let plain = self.mean * t;
        let v = self.kappa * plain;
        let by_mean = plain / (1.0 + v);
        let by_kappa = if v < NEAR { plain * (lag_near(v) * v) } else { elapsed - by_mean };
        Clock { elapsed, by_mean, by_kappa }
    }

    /// What passes between two times, as exactly if they lie close together.
    pub fn between(&self, from: f64, to: f64) -> f64 {
        self.after(0.0, from).elapsed(to - from)
    }

    /// The mean rate of those to whom nothing has happened until `t`.
    pub fn mean_at(&self, t: f64) -> f64 {
        self.mean / (1.0 + self.kappa * self.mean * t)
    }

    /// How far a singularity is from `t`: α + t.
    pub fn reach(&self, t: f64) -> f64 {
        (1.0 + self.kappa * self.mean * t) / (self.kappa * self.mean)
    }

    /// The law of those to whom it happened `x` times until `t`:
    /// Gamma(r + x, α + t).
    pub fn after(&self, x: f64, t: f64) -> Self {
        let more = 1.0 + self.kappa * x;
        Self { mean: self.mean_at(t) * more, kappa: self.kappa / more }
    }
}

/// Σ ln(1 + jκ) for j = 0 … n−1, which is ln Γ(r+n)/Γ(r) − n ln r, with n going
/// up: every sum goes on where the last one ended.
#[derive(Debug, Clone, Copy)]
pub struct Rise {
    kappa: f64,
    n: f64,
    /// The sum.
    pub logarithm: f64,
    /// Its slope by ln κ.
    pub by_kappa: f64,
}

impl Rise {
    /// The empty sum.
    pub fn new(kappa: f64) -> Self {
        Self { kappa, n: 0.0, logarithm: 0.0, by_kappa: 0.0 }
    }

    /// The sum of `n` terms, `n` being no smaller than before.
    pub fn up_to(&mut self, n: f64) -> Self {
        while self.n < n {
            let v = self.n * self.kappa;
            self.logarithm += log1p(v);
            self.by_kappa += v / (1.0 + v);
            self.n += 1.0;
        }
        *self
    }
}
