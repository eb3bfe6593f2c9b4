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
//! parameters are integrals of the same kind.

use libm::{exp, log, log1p};

use super::history::Histories;
use super::maximise::Likelihood;
use super::process::Process;
use super::quadrature::panels;
use super::special::{digamma_rise, ln_rise, sigmoid, softplus};

/// Parameters of Pareto/NBD.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParetoNbd {
    /// Shape of the purchase rates.
    pub r: f64,
    /// Rate of the purchase rates.
    pub alpha: f64,
    /// Shape of the dropout rates.
    pub s: f64,
    /// Rate of the dropout rates.
    pub beta: f64,
}

/// The integral over the time of dropping out, with its means.
struct Gone {
    /// The logarithm of the odds of being gone to being alive.
    log_odds: f64,
    /// Means over that time τ: of ln(α+τ) and 1/(α+τ), ln(β+τ) and 1/(β+τ).
    means: [f64; 4],
}

impl ParetoNbd {
    /// The log-likelihood of one customer; lengths in the unit of `alpha`.
    pub fn log_likelihood(&self, x: f64, t_x: f64, age: f64) -> f64 {
        self.alive_term(x, age) + softplus(self.gone(x, t_x, age).log_odds)
    }

    /// The logarithm of the likelihood of the history and of being alive.
    fn alive_term(&self, x: f64, age: f64) -> f64 {
        let Self { r, alpha, s, beta } = *self;
        ln_rise(r, x) - r * log1p(age / alpha) - x * log(alpha + age) - s * log1p(age / beta)
    }

    fn gone(&self, x: f64, t_x: f64, age: f64) -> Gone {
        let Self { r, alpha, s, beta } = *self;
        let exponent = r + x;
        let (first, second) = (alpha + t_x, beta + t_x);
        let mut total = 0.0;
        let mut means = [0.0; 4];
        let fallen = |t: f64| exponent * log1p((t - t_x) / first) + s * log1p((t - t_x) / second);
        let width = |t: f64| {
            let fall = exponent / (alpha + t) + (s + 1.0) / (beta + t);
            let wide = (alpha + t).min(beta + t).min(6.0 / fall);
            (fallen(t) < 45.0).then_some(wide)
        };
        panels(t_x, age, width, |t, weight| {
            let (log_alpha, log_beta) = (log1p((t - t_x) / first), log1p((t - t_x) / second));
            let (of_alpha, of_beta) = (1.0 / (alpha + t), 1.0 / (beta + t));
            let density = weight * of_beta * exp(-exponent * log_alpha - s * log_beta);
            total += density;
            means[0] += density * log_alpha;
            means[1] += density * of_alpha;
            means[2] += density * log_beta;
            means[3] += density * of_beta;
        });
        if total == 0.0 {
            // The history ends with the latest purchase.
            return Gone { log_odds: f64::NEG_INFINITY, means: [0.0; 4] };
        }
        means = means.map(|mean| mean / total);
        means[0] += log(first);
        means[2] += log(second);
        Gone { log_odds: fallen(age) + log(s * total), means }
    }

    /// The probability of being alive at the end of a history.
    pub fn p_alive(&self, x: f64, t_x: f64, age: f64) -> f64 {
        sigmoid(-self.gone(x, t_x, age).log_odds)
    }

    /// What follows for one who is alive at the end of a history.
    pub fn alive(&self, x: f64, age: f64) -> Process {
        let Self { r, alpha, s, beta } = *self;
        Process::AtAnyTime { r: r + x, alpha: alpha + age, s, beta: beta + age }
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

    fn evaluate(&self, &[r, alpha, s, beta]: &[f64; 4]) -> (f64, [f64; 4]) {
        let model = ParetoNbd { r, alpha, s, beta };
        let times = &self.histories.times;
        let (mut sum, mut slopes) = (0.0, [0.0; 4]);
        for group in &self.histories.groups {
            let x = group.frequency;
            let by_r = digamma_rise(r, x) + log(alpha);
            for row in &group.rows {
                let (t_x, age) = (times[row.recency as usize], times[row.age as usize]);
                let Gone { log_odds, means } = model.gone(x, t_x, age);
                let gone = sigmoid(log_odds);
                let mean = |here: f64, then: f64| (1.0 - gone) * here + gone * then;
                sum += row.customers * (model.alive_term(x, age) + softplus(log_odds));
                let (end, finish) = (alpha + age, beta + age);
                slopes[0] += row.customers * (by_r - mean(log(end), means[0]));
                slopes[1] += row.customers * (r / alpha - (r + x) * mean(1.0 / end, means[1]));
                slopes[2] += row.customers * (log(beta) - mean(log(finish), means[2]) + gone / s);
                slopes[3] += row.customers * (s / beta - mean(s / finish, (s + 1.0) * means[3]));
            }
        }
        (sum, slopes)
    }
}
