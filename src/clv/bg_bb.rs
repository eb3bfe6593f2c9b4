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

    /// The log-likelihood of one customer.
    pub fn log_likelihood(&self, taken: u32, last: u32, offered: u32) -> f64 {
        sum(&self.terms(taken, last, offered)).0
    }

    /// The probability of being alive for the next opportunity.
    pub fn p_alive(&self, taken: u32, last: u32, offered: u32) -> f64 {
        let terms = self.terms(taken, last, offered);
        let n = f64::from(offered);
        exp(terms[0].logarithm - sum(&terms).0) * (self.delta + n) / (self.gamma + self.delta + n)
    }

    /// Opportunities one is expected to take of the next `ahead`.
    pub fn expected(&self, taken: u32, last: u32, offered: u32, ahead: u32) -> f64 {
        let ahead = usize::try_from(ahead).unwrap_or(usize::MAX);
        let history = (taken, last, offered);
        self.takes(taken, offered) * self.alive_at_each(history).take(ahead).sum::<f64>()
    }

    /// Opportunities one is expected to take of all to come, each worth
    /// 1 / (1 + `discount`) of the one before (summed as it stands). None
    /// where that is no discount.
    pub fn expected_discounted(
        &self,
        taken: u32,
        last: u32,
        offered: u32,
        discount: f64,
    ) -> Option<f64> {
        if discount.is_nan() || discount <= 0.0 {
            return None;
        }
        let (mut sum, mut worth) = (0.0, 1.0);
        for alive in self.alive_at_each((taken, last, offered)) {
            worth /= 1.0 + discount;
            sum += alive * worth;
            // What follows is at most a geometric series.
            if alive * worth < 1e-16 * discount * sum || alive == 0.0 {
                break;
            }
        }
        Some(self.takes(taken, offered) * sum)
    }

    /// P(`n` of the next `ahead` opportunities are taken).
    pub fn probability(&self, taken: u32, last: u32, offered: u32, n: u32, ahead: u32) -> f64 {
        let terms = self.terms(taken, last, offered);
        let alive = exp(terms[0].logarithm - sum(&terms).0);
        let later = self.after(taken, offered);
        let chosen = |m: u32| {
            let (m, n) = (f64::from(m), f64::from(n));
            ln_rise(m - n + 1.0, n) - libm::lgamma(n + 1.0)
        };
        let term = |m: u32, alive: bool| {
            exp(chosen(m) + later.term(f64::from(n), f64::from(m), alive).logarithm)
        };
        if n > ahead {
            return 0.0;
        }
        let gone: f64 = (n..ahead).map(|m| term(m, false)).sum();
        let never = if n == 0 { 1.0 - alive } else { 0.0 };
        never + alive * (term(ahead, true) + gone)
    }

    /// What a customer who is alive behind a history is like.
    fn after(&self, taken: u32, offered: u32) -> Self {
        let (x, n) = (f64::from(taken), f64::from(offered));
        let Self { alpha, beta, gamma, delta } = *self;
        Self { alpha: alpha + x, beta: beta + n - x, gamma, delta: delta + n }
    }

    /// The chance that one who is alive takes an opportunity.
    fn takes(&self, taken: u32, offered: u32) -> f64 {
        let Self { alpha, beta, .. } = self.after(taken, offered);
        alpha / (alpha + beta)
    }

    /// The chance of being alive for each opportunity to come.
    fn alive_at_each(&self, (taken, last, offered): (u32, u32, u32)) -> impl Iterator<Item = f64> {
        let Self { gamma, delta, .. } = self.after(taken, offered);
        let mut alive = self.p_alive(taken, last, offered);
        (1_u32..).map(move |next| {
            let now = alive;
            let seen = delta + f64::from(next);
            alive *= seen / (gamma + seen);
            now
        })
    }

    /// Fits it.
    pub fn fit(customers: &[Opportunities]) -> Maximum<4> {
        let starts = [[1.0, 1.0, 0.5, 2.0], [0.5, 0.5, 0.2, 1.0], [2.0, 2.0, 1.0, 10.0]];
        let found = maximise(&BgBbLikelihood { customers }, &starts);
        let parameters = found.parameters;
        let itself = std::array::from_fn(|n| std::array::from_fn(|m| f64::from(u8::from(n == m))));
        found.in_parameters(parameters, &itself)
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
        // By the logarithms of the parameters.
        for (slope, parameter) in slopes.iter_mut().zip([alpha, beta, gamma, delta]) {
            *slope *= parameter;
        }
        (all, slopes)
    }
}
