//! NBD (Ehrenberg 1959): customers buy at a rate λ ~ Gamma(r, α) for ever. The
//! baseline: what a model with dropping out must beat, and what it becomes
//! where hardly anybody does.

use libm::{log, log1p};

use super::history::Histories;
use super::maximise::Likelihood;
use super::process::Process;
use super::special::{digamma_rise, ln_rise};

/// Parameters of NBD.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nbd {
    /// Shape of the purchase rates.
    pub r: f64,
    /// Rate of the purchase rates.
    pub alpha: f64,
}

impl Nbd {
    /// The log-likelihood of one customer; lengths in the unit of `alpha`.
    pub fn log_likelihood(&self, x: f64, age: f64) -> f64 {
        ln_rise(self.r, x) - self.r * log1p(age / self.alpha) - x * log(self.alpha + age)
    }

    /// What follows a history.
    pub fn alive(&self, x: f64, age: f64) -> Process {
        Process::Lasting { r: self.r + x, alpha: self.alpha + age }
    }
}

/// The likelihood of all customers under NBD.
pub struct NbdLikelihood<'a> {
    /// The customers.
    pub histories: &'a Histories,
}

impl Likelihood<2> for NbdLikelihood<'_> {
    fn observations(&self) -> f64 {
        self.histories.customers()
    }

    fn evaluate(&self, &[r, alpha]: &[f64; 2]) -> (f64, [f64; 2]) {
        let logarithms: Vec<f64> = self.histories.times.iter().map(|t| log(alpha + t)).collect();
        let log_alpha = log(alpha);
        let (mut sum, mut slopes) = (0.0, [0.0; 2]);
        for group in &self.histories.groups {
            let x = group.frequency;
            let (mut count, mut logs, mut inverse) = (0.0, 0.0, 0.0);
            for row in &group.rows {
                let age = row.age as usize;
                count += row.customers;
                logs += row.customers * logarithms[age];
                inverse += row.customers / (alpha + self.histories.times[age]);
            }
            sum += count * (ln_rise(r, x) + r * log_alpha) - (r + x) * logs;
            slopes[0] += count * (digamma_rise(r, x) + log_alpha) - logs;
            slopes[1] += count * (r / alpha) - (r + x) * inverse;
        }
        (sum, slopes)
    }
}
