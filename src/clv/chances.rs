//! A beta law of chances, written over its mean and over how much they differ.
//!
//! The literature has p ~ Beta(a, b). Where nobody drops out a goes to 0, and
//! where everybody does so with the same chance a and b grow without end. Over
//! the mean p = a/(a+b), with q = 1 − p, and φ = 1/(a+b),
//!
//! ```text
//! B(a, b+n)/B(a, b) = Π (1 − p/(1+jφ)),  j = 0 … n−1
//! a/(b+n−1) = p/(q + (n−1)φ)
//! ```
//!
//! (Fader, Hardie and Lee 2005a, eq. 6, factor by factor). p = 0 and φ = 0 are
//! ordinary points: nobody drops out, and everybody with the chance p.

use libm::{log, log1p};

/// A beta law of chances.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chances {
    /// Their mean, p.
    pub p: f64,
    /// 1 − p, exact also where it is small.
    pub q: f64,
    /// How much they differ, φ; 0 where all are the same.
    pub phi: f64,
}

impl Chances {
    /// The law of two shapes, as the literature has them.
    pub fn new(a: f64, b: f64) -> Self {
        Self { p: a / (a + b), q: b / (a + b), phi: 1.0 / (a + b) }
    }

    /// The law of the odds p/q and of φ: what a fit searches over.
    pub fn of_odds(odds: f64, phi: f64) -> Self {
        Self { p: odds / (1.0 + odds), q: 1.0 / (1.0 + odds), phi }
    }

    /// The shape a.
    pub fn a(&self) -> f64 {
        self.p / self.phi
    }

    /// The shape b.
    pub fn b(&self) -> f64 {
        self.q / self.phi
    }

    /// The odds of having dropped out on the last of `n` occasions, of which
    /// there was one at least, to having stayed on it.
    pub fn odds(&self, n: f64) -> f64 {
        self.p / self.stayed(n)
    }

    /// The chance to stay on the last of `n` occasions, times 1 + (n−1)φ.
    pub fn stayed(&self, n: f64) -> f64 {
        self.q + (n - 1.0) * self.phi
    }

    /// The law of those who stayed on `n` occasions: Beta(a, b + n).
    pub fn after(&self, n: f64) -> Self {
        let all = 1.0 + n * self.phi;
        Self { p: self.p / all, q: (self.q + n * self.phi) / all, phi: self.phi / all }
    }
}

/// ln B(a, b+n)/B(a, b), the logarithm of the chance to stay `n` times, with n
/// going up: every sum goes on where the last one ended.
#[derive(Debug, Clone, Copy)]
pub struct Stay {
    chances: Chances,
    n: f64,
    /// The sum.
    pub logarithm: f64,
    /// Its slope by the logarithm of the odds p/q.
    pub by_odds: f64,
    /// Its slope by ln φ.
    pub by_phi: f64,
}

impl Stay {
    /// The empty sum.
    pub fn new(chances: Chances) -> Self {
        Self { chances, n: 0.0, logarithm: 0.0, by_odds: 0.0, by_phi: 0.0 }
    }

    /// The sum of `n` terms, `n` being no smaller than before.
    pub fn up_to(&mut self, n: f64) -> Self {
        let Chances { p, q, phi } = self.chances;
        while self.n < n {
            let more = self.n * phi;
            let (all, stays) = (1.0 + more, q + more);
            // The chance to leave where it is small, the chance to stay where
            // that is.
            let leaves = p / all;
            self.logarithm += if leaves < 0.5 { log1p(-leaves) } else { log(stays / all) };
            self.by_odds -= p * (q / stays);
            self.by_phi += leaves * (more / stays);
            self.n += 1.0;
        }
        *self
    }
}
