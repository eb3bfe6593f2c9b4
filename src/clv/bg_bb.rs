//! BG/BB (Fader, Hardie and Shang 2010): purchases at discrete opportunities,
//! such as yearly donations. Alive, a customer takes each with probability
//! p ~ Beta(α, β), and drops out before each with probability θ ~ Beta(γ, δ).

use libm::{exp, log};

use super::maximise::{Likelihood, Maximum, maximise};
use super::special::{digamma_rise, ln_rise};
use super::{Invalid, Result};

/// Parameters of BG/BB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BgBb {
    /// Shape of taking an opportunity.
    pub alpha: f64,
    /// Shape of leaving it.
    pub beta: f64,
    /// Shape of dropping out.
    pub gamma: f64,
    /// Shape of staying.
    pub delta: f64,
}

/// Customers of one history of opportunities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Opportunities {
    /// Those taken.
    pub taken: u32,
    /// The last one taken, counted from 1; 0 if none.
    pub last: u32,
    /// All there were.
    pub offered: u32,
    /// How many such customers there are.
    pub customers: f64,
}

impl Opportunities {
    /// A history of opportunities.
    ///
    /// # Errors
    /// More taken than could be.
    pub fn new(taken: u32, last: u32, offered: u32, customers: u64) -> Result<Self> {
        if taken > last || last > offered || (taken == 0) != (last == 0) {
            let text = format!("{taken} taken, the last of them the {last}th of {offered}");
            return Err(Invalid(text));
        }
        Ok(Self { taken, last, offered, customers: customers as f64 })
    }
}

/// A term of the likelihood: the last opportunity at which one was alive.
struct Term {
    logarithm: f64,
    slopes: [f64; 4],
}

impl BgBb {
    /// The likelihood of `x` of the first `m` opportunities taken, and of being
    /// gone behind the m-th, or alive if `alive`.
    fn term(&self, x: f64, m: f64, alive: bool) -> Term {
        let Self { alpha, beta, gamma, delta } = *self;
        let (both, either) = (alpha + beta, gamma + delta);
        let left = m - x;
        let chances = if alive { m } else { m + 1.0 };
        let gone = if alive { 0.0 } else { log(gamma) };
        let logarithm = ln_rise(alpha, x) + ln_rise(beta, left) - ln_rise(both, m)
            + ln_rise(delta, m)
            - ln_rise(either, chances)
            + gone;
        let (by_both, by_either) = (digamma_rise(both, m), digamma_rise(either, chances));
        let by_gone = if alive { 0.0 } else { 1.0 / gamma };
        let slopes = [
            digamma_rise(alpha, x) - by_both,
            digamma_rise(beta, left) - by_both,
            by_gone - by_either,
            digamma_rise(delta, m) - by_either,
        ];
        Term { logarithm, slopes }
    }

    fn terms(&self, taken: u32, last: u32, offered: u32) -> Vec<Term> {
        let x = f64::from(taken);
        let mut terms = vec![self.term(x, f64::from(offered), true)];
        terms.extend((last..offered).map(|m| self.term(x, f64::from(m), false)));
        terms
    }

    /// The log-likelihood of one customer (eq. 8).
    pub fn log_likelihood(&self, taken: u32, last: u32, offered: u32) -> f64 {
        sum(&self.terms(taken, last, offered)).0
    }

    /// The probability of being alive for the next opportunity (eq. 11).
    pub fn p_alive(&self, taken: u32, last: u32, offered: u32) -> f64 {
        let terms = self.terms(taken, last, offered);
        let n = f64::from(offered);
        exp(terms[0].logarithm - sum(&terms).0) * (self.delta + n) / (self.gamma + self.delta + n)
    }

    /// Opportunities one is expected to take of the next `ahead` (eq. 13).
    pub fn expected(&self, taken: u32, last: u32, offered: u32, ahead: u32) -> f64 {
        let (x, n) = (f64::from(taken), f64::from(offered));
        let Self { alpha, beta, gamma, delta } = *self;
        let mut stays = self.p_alive(taken, last, offered);
        let mut alive = 0.0;
        for next in 1..=ahead {
            alive += stays;
            let seen = n + f64::from(next);
            stays *= (delta + seen) / (gamma + delta + seen);
        }
        (alpha + x) / (alpha + beta + n) * alive
    }

    /// Fits it.
    pub fn fit(customers: &[Opportunities]) -> Maximum<4> {
        let starts = [[1.0, 1.0, 0.5, 2.0], [0.5, 0.5, 0.2, 1.0], [2.0, 2.0, 1.0, 10.0]];
        maximise(&BgBbLikelihood { customers }, &starts)
    }
}

/// The logarithm of a sum, and the share of each term in it.
fn sum(terms: &[Term]) -> (f64, Vec<f64>) {
    let top = terms.iter().fold(f64::NEG_INFINITY, |top, term| f64::max(top, term.logarithm));
    let shares: Vec<f64> = terms.iter().map(|term| exp(term.logarithm - top)).collect();
    let total: f64 = shares.iter().sum();
    (top + log(total), shares.into_iter().map(|share| share / total).collect())
}

struct BgBbLikelihood<'a> {
    customers: &'a [Opportunities],
}

impl Likelihood<4> for BgBbLikelihood<'_> {
    fn observations(&self) -> f64 {
        self.customers.iter().map(|one| one.customers).sum()
    }

    fn evaluate(&self, &[alpha, beta, gamma, delta]: &[f64; 4]) -> (f64, [f64; 4]) {
        let model = BgBb { alpha, beta, gamma, delta };
        let (mut all, mut slopes) = (0.0, [0.0; 4]);
        for one in self.customers {
            let terms = model.terms(one.taken, one.last, one.offered);
            let (logarithm, shares) = sum(&terms);
            all += one.customers * logarithm;
            for (term, share) in terms.iter().zip(shares) {
                for (slope, of_term) in slopes.iter_mut().zip(term.slopes) {
                    *slope += one.customers * share * of_term;
                }
            }
        }
        (all, slopes)
    }
}
