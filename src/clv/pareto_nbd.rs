//! Pareto/NBD (Schmittlein, Morrison and Colombo 1987; Fader and Hardie 2005):
//! customers buy at a rate λ ~ Gamma(r, α) and drop out at a rate
//! μ ~ Gamma(s, β).
//!
//! The likelihood is usually written with hypergeometric functions, differences
//! of which cancel or overflow. Here it is what it was before the integration:
//!
//! ```text
//! Γ(r+x)/Γ(r) · α^r β^s · (1 / ((α+T)^(r+x) (β+T)^s) + s ∫ dτ / ((α+τ)^(r+x) (β+τ)^(s+1)))
//! ```
//!
//! over τ from t_x to T: alive at the end, or gone at τ. Both terms are
//! positive, the integrand is smooth and falls, and its derivatives by the
//! parameters are integrals of the same kind. Both laws are written over their
//! mean and spread, see [`super::rates`]: with their clocks c and d, and the
//! mean dropout rate m(τ) = s/(β+τ) of those who are alive at τ, the brackets
//! and what stands before them are
//!
//! ```text
//! m^x · Π (1+jκ) · (e^(−(1+κx) c(T) − d(T)) + ∫ m(τ) e^(−(1+κx) c(τ) − d(τ)) dτ)
//! ```

use libm::{exp, log};

use super::history::Histories;
use super::maximise::Likelihood;
use super::process::Process;
use super::quadrature::panels;
use super::rates::{Clock, Rates, Rise};
use super::special::{sigmoid, softplus};

/// Parameters of Pareto/NBD.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParetoNbd {
    /// The purchase rates: Gamma(r, α).
    pub rates: Rates,
    /// The dropout rates: Gamma(s, β).
    pub dropout: Rates,
}

/// The integral over the time of dropping out, with its means.
struct Gone {
    /// The logarithm of the odds of being gone to being alive.
    log_odds: f64,
    /// Means over that time of the clock of purchases.
    purchases: Clock,
    /// Means of the clock of dropping out.
    dropout: Clock,
}

impl ParetoNbd {
    /// The model at a point of the search: rate, κ, rate of dropping out and
    /// its κ.
    pub fn at(&[mean, kappa, drop, drop_kappa]: &[f64; 4]) -> Self {
        let dropout = Rates { mean: drop, kappa: drop_kappa };
        Self { rates: Rates { mean, kappa }, dropout }
    }

    /// Its parameters as the literature has them, and the slopes of their
    /// logarithms by those of the point.
    pub fn parameters(&self) -> ([f64; 4], [[f64; 4]; 4]) {
        let Self { rates, dropout } = *self;
        let parameters = [rates.shape(), rates.rate(), dropout.shape(), dropout.rate()];
        let slopes = [
            [0.0, -1.0, 0.0, 0.0],
            [-1.0, -1.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, -1.0],
            [0.0, 0.0, -1.0, -1.0],
        ];
        (parameters, slopes)
    }

    /// The log-likelihood of one customer; lengths in the unit of the rates.
    pub fn log_likelihood(&self, x: f64, t_x: f64, age: f64) -> f64 {
        let again = Rise::new(self.rates.kappa).up_to(x).logarithm + x * log(self.rates.mean);
        let alive = self.more(x) * self.rates.clock(age).elapsed + self.dropout.clock(age).elapsed;
        again - alive + softplus(self.gone(x, t_x, age).log_odds)
    }

    fn more(&self, x: f64) -> f64 {
        1.0 + self.rates.kappa * x
    }

    fn gone(&self, x: f64, t_x: f64, age: f64) -> Gone {
        let Self { rates, dropout } = *self;
        let more = self.more(x);
        let (buys, drops) = (rates.after(0.0, t_x), dropout.after(0.0, t_x));
        let (bought, dropped) = (rates.elapsed(t_x), dropout.elapsed(t_x));
        let fallen = |t: f64| more * buys.elapsed(t - t_x) + drops.elapsed(t - t_x);
        let width = |t: f64| {
            let fall = more * rates.mean_at(t) + (1.0 + dropout.kappa) * dropout.mean_at(t);
            let wide = rates.reach(t).min(dropout.reach(t)).min(6.0 / fall);
            (fallen(t) < 45.0).then_some(wide)
        };
        let (mut total, mut purchases, mut leaving) = (0.0, Clock::default(), Clock::default());
        panels(t_x, age, width, |t, weight| {
            let (buys, drops) = (buys.elapsed(t - t_x), drops.elapsed(t - t_x));
            let rate = dropout.mean_at(t) / dropout.mean;
            let density = weight * rate * exp(-more * buys - drops);
            total += density;
            purchases.add(density, rates.clock_of(t, bought + buys));
            leaving.add(density, dropout.clock_of(t, dropped + drops));
        });
        if total == 0.0 {
            // The history ends with the latest purchase.
            let (purchases, dropout) = (Clock::default(), Clock::default());
            return Gone { log_odds: f64::NEG_INFINITY, purchases, dropout };
        }
        Gone {
            log_odds: fallen(age) + log(dropout.mean * total),
            purchases: purchases.over(total),
            dropout: leaving.over(total),
        }
    }

    /// The probability of being alive at the end of a history.
    pub fn p_alive(&self, x: f64, t_x: f64, age: f64) -> f64 {
        sigmoid(-self.gone(x, t_x, age).log_odds)
    }

    /// What follows for one who is alive at the end of a history.
    pub fn alive(&self, x: f64, age: f64) -> Process {
        let Self { rates, dropout } = *self;
        Process::AtAnyTime { rates: rates.after(x, age), dropout: dropout.after(0.0, age) }
    }
}

/// The likelihood of all customers under Pareto/NBD.
pub struct ParetoLikelihood<'a> {
    /// The customers.
    pub histories: &'a Histories,
}

impl Likelihood<4> for ParetoLikelihood<'_> {
    fn observations(&self) -> f64 {
        self.histories.customers()
    }

    fn evaluate(&self, at: &[f64; 4]) -> (f64, [f64; 4]) {
        let model = ParetoNbd::at(at);
        let ParetoNbd { rates, dropout } = model;
        let times = &self.histories.times;
        let purchases: Vec<Clock> = times.iter().map(|t| rates.clock(*t)).collect();
        let drops: Vec<Clock> = times.iter().map(|t| dropout.clock(*t)).collect();
        let log_mean = log(rates.mean);
        let mut rise = Rise::new(rates.kappa);
        let (mut sum, mut slopes) = (0.0, [0.0; 4]);
        for group in &self.histories.groups {
            let x = group.frequency;
            let rise = rise.up_to(x);
            let again = rise.logarithm + x * log_mean;
            let more = model.more(x);
            for row in &group.rows {
                let (t_x, age) = (times[row.recency as usize], times[row.age as usize]);
                let (alive, stays) = (purchases[row.age as usize], drops[row.age as usize]);
                let then = model.gone(x, t_x, age);
                let gone = sigmoid(then.log_odds);
                let passed = alive.mixed(gone, then.purchases);
                let stayed = stays.mixed(gone, then.dropout);
                let elapsed = more * alive.elapsed + stays.elapsed;
                // Of the logarithm of the dropout rate at the time of leaving.
                let slowed = gone * dropout.kappa * then.dropout.by_mean;
                let own = [
                    x - more * passed.by_mean,
                    rise.by_kappa - rates.kappa * x * passed.elapsed + more * passed.by_kappa,
                    gone - slowed - stayed.by_mean,
                    stayed.by_kappa - slowed,
                ];
                sum += row.customers * (again - elapsed + softplus(then.log_odds));
                for (slope, own) in slopes.iter_mut().zip(own) {
                    *slope += row.customers * own;
                }
            }
        }
        (sum, slopes)
    }
}
