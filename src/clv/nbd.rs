//! NBD (Ehrenberg 1959): customers buy at a rate λ ~ Gamma(r, α) for ever. The
//! baseline: what a model with dropping out must beat, and what it becomes
//! where hardly anybody does. It is computed over the mean and the spread of
//! the rates, see [`super::rates`].

use libm::log;

use super::history::Histories;
use super::maximise::Likelihood;
use super::process::Process;
use super::rates::{Clock, Rates, Rise};

/// Parameters of NBD.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nbd {
    /// The purchase rates: Gamma(r, α).
    pub rates: Rates,
}

impl Nbd {
    /// The model at a point of the search: rate, κ.
    pub fn at(&[mean, kappa]: &[f64; 2]) -> Self {
        Self { rates: Rates { mean, kappa } }
    }

    /// Its parameters as the literature has them, and the slopes of their
    /// logarithms by those of the point.
    pub fn parameters(&self) -> ([f64; 2], [[f64; 2]; 2]) {
        ([self.rates.shape(), self.rates.rate()], [[0.0, -1.0], [-1.0, -1.0]])
    }

    /// The log-likelihood of one customer; lengths in the unit of the rates.
    pub fn log_likelihood(&self, x: f64, age: f64) -> f64 {
        let Rates { mean, kappa } = self.rates;
        let elapsed = (1.0 + kappa * x) * self.rates.clock(age).elapsed;
        Rise::new(kappa).up_to(x).logarithm + x * log(mean) - elapsed
    }

    /// What follows a history.
    pub fn alive(&self, x: f64, age: f64) -> Process {
        Process::Lasting { rates: self.rates.after(x, age) }
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

    fn evaluate(&self, at: &[f64; 2]) -> (f64, [f64; 2]) {
        let rates = Nbd::at(at).rates;
        let Rates { mean, kappa } = rates;
        let clocks: Vec<Clock> = self.histories.times.iter().map(|t| rates.clock(*t)).collect();
        let log_mean = log(mean);
        let mut rise = Rise::new(kappa);
        let (mut sum, mut slopes) = (0.0, [0.0; 2]);
        for group in &self.histories.groups {
            let x = group.frequency;
            let rise = rise.up_to(x);
            let more = 1.0 + kappa * x;
            let (mut customers, mut passed) = (0.0, Clock::default());
            for row in &group.rows {
                customers += row.customers;
                passed.add(row.customers, clocks[row.age as usize]);
            }
            sum += customers * (rise.logarithm + x * log_mean) - more * passed.elapsed;
            slopes[0] += customers * x - more * passed.by_mean;
            slopes[1] +=
                customers * rise.by_kappa - kappa * x * passed.elapsed + more * passed.by_kappa;
        }
        (sum, slopes)
    }
}
