//! BG/NBD (Fader, Hardie and Lee 2005a) and MBG/NBD (Batislam, Denizel and
//! Filiztekin 2007; Hoppe and Wagner 2007): customers buy at a rate
//! λ ~ Gamma(r, α) and drop out with probability p ~ Beta(a, b) after a repeat
//! purchase; in MBG/NBD after the first one, too.
//!
//! With n = x in BG/NBD and n = x + 1 in MBG/NBD, the occasions on which a
//! customer could have dropped out, both likelihoods are
//!
//! ```text
//! Γ(r+x)/Γ(r) · α^r / (α+T)^(r+x) · B(a, b+n)/B(a, b) · (1 + odds)
//! odds = a/(b+n-1) · ((α+T)/(α+t_x))^(r+x), or 0 where n = 0
//! ```
//!
//! and the odds are those of being gone to being alive. They are computed over
//! mean and spread of both laws, see [`super::rates`] and [`super::chances`]:
//! with the clock c of the rates the last factor is e^((1+κx)(c(T)−c(t_x))).

use libm::{exp, log, log1p};

use super::chances::{Chances, Stay};
use super::history::Histories;
use super::maximise::Likelihood;
use super::process::Process;
use super::rates::{Clock, Rates, Rise};
use super::special::{sigmoid, softplus};

/// Parameters of BG/NBD or MBG/NBD.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BetaGeometric {
    /// The purchase rates: Gamma(r, α).
    pub rates: Rates,
    /// Dropping out: Beta(a, b).
    pub chances: Chances,
    /// Whether one can drop out after the very first purchase: MBG/NBD.
    pub from_first: bool,
}

impl BetaGeometric {
    /// The model at a point of the search: rate, κ, odds of dropping out, φ.
    pub fn at(&[mean, kappa, odds, phi]: &[f64; 4], from_first: bool) -> Self {
        let chances = Chances::of_odds(odds, phi);
        Self { rates: Rates { mean, kappa }, chances, from_first }
    }

    /// Its parameters as the literature has them, and the slopes of their
    /// logarithms by those of the point.
    pub fn parameters(&self) -> ([f64; 4], [[f64; 4]; 4]) {
        let Self { rates, chances, .. } = *self;
        let parameters = [rates.shape(), rates.rate(), chances.a(), chances.b()];
        let slopes = [
            [0.0, -1.0, 0.0, 0.0],
            [-1.0, -1.0, 0.0, 0.0],
            [0.0, 0.0, chances.q, -1.0],
            [0.0, 0.0, -chances.p, -1.0],
        ];
        (parameters, slopes)
    }

    fn occasions(&self, x: f64) -> f64 {
        if self.from_first { x + 1.0 } else { x }
    }

    /// The log-likelihood of one customer; lengths in the unit of the rates.
    pub fn log_likelihood(&self, x: f64, t_x: f64, age: f64) -> f64 {
        let Self { rates, chances, .. } = *self;
        let stay = Stay::new(chances).up_to(self.occasions(x)).logarithm;
        let rise = Rise::new(rates.kappa).up_to(x).logarithm;
        let elapsed = (1.0 + rates.kappa * x) * rates.clock(age).elapsed;
        rise + x * log(rates.mean) - elapsed + stay + softplus(self.log_odds(x, t_x, age))
    }

    /// The logarithm of the odds of being gone.
    fn log_odds(&self, x: f64, t_x: f64, age: f64) -> f64 {
        let n = self.occasions(x);
        if n == 0.0 {
            return f64::NEG_INFINITY;
        }
        let silent = (1.0 + self.rates.kappa * x) * self.rates.between(t_x, age);
        log(self.chances.odds(n)) + silent
    }

    /// The probability of being alive at the end of a history.
    pub fn p_alive(&self, x: f64, t_x: f64, age: f64) -> f64 {
        sigmoid(-self.log_odds(x, t_x, age))
    }

    /// What follows for one who is alive at the end of a history.
    pub fn alive(&self, x: f64, age: f64) -> Process {
        let rates = self.rates.after(x, age);
        Process::AfterPurchase { rates, chances: self.chances.after(self.occasions(x)) }
    }
}

/// The likelihood of all customers under BG/NBD or MBG/NBD.
pub struct BetaGeometricLikelihood<'a> {
    /// The customers.
    pub histories: &'a Histories,
    /// Whether one can drop out after the very first purchase.
    pub from_first: bool,
}

/// Sums over customers of equal frequency.
#[derive(Default)]
struct Sums {
    customers: f64,
    /// What has passed until the end.
    age: Clock,
    /// What has passed since the latest purchase, of those who are gone.
    silent: Clock,
    gone: f64,
}

impl Likelihood<4> for BetaGeometricLikelihood<'_> {
    fn observations(&self) -> f64 {
        self.histories.customers()
    }

    fn evaluate(&self, at: &[f64; 4]) -> (f64, [f64; 4]) {
        let model = BetaGeometric::at(at, self.from_first);
        let BetaGeometric { rates, chances, .. } = model;
        let clocks: Vec<Clock> = self.histories.times.iter().map(|t| rates.clock(*t)).collect();
        let log_mean = log(rates.mean);
        let (mut rise, mut stay) = (Rise::new(rates.kappa), Stay::new(chances));
        let mut either = Softplus::new();
        let (mut sum, mut slopes) = (0.0, [0.0; 4]);
        for group in &self.histories.groups {
            let x = group.frequency;
            let n = model.occasions(x);
            let (rise, stay) = (rise.up_to(x), stay.up_to(n));
            let more = 1.0 + rates.kappa * x;
            let hazard = if n > 0.0 { log(chances.odds(n)) } else { f64::NEG_INFINITY };
            // Sums over the rows of what differs between them.
            let mut of = Sums::default();
            for row in &group.rows {
                let age = clocks[row.age as usize];
                of.customers += row.customers;
                of.age.add(row.customers, age);
                if n > 0.0 {
                    let silent = age.since(clocks[row.recency as usize]);
                    let share = either.add(hazard + more * silent.elapsed, row.customers);
                    let share = row.customers * share;
                    of.gone += share;
                    of.silent.add(share, silent);
                }
            }
            // Time passes for the living until the end, for the gone until the
            // latest purchase.
            let passed = of.age.since(of.silent);
            let again = rise.logarithm + x * log_mean + stay.logarithm;
            sum += of.customers * again - more * of.age.elapsed;
            slopes[0] += of.customers * x - more * passed.by_mean;
            slopes[1] += of.customers * rise.by_kappa - rates.kappa * x * passed.elapsed
                + more * passed.by_kappa;
            slopes[2] += of.customers * stay.by_odds;
            slopes[3] += of.customers * stay.by_phi;
            if n > 0.0 {
                let stayed = chances.stayed(n);
                slopes[2] += of.gone * chances.q * (1.0 + chances.p / stayed);
                slopes[3] -= of.gone * ((n - 1.0) * chances.phi / stayed);
            }
        }
        (sum + either.total(), slopes)
    }
}

/// A sum of ln(1 + eʸ) = max(y, 0) + ln(1 + e^−|y|) that takes one logarithm for
/// many terms: that of the product of what stands in it, each at most 2.
struct Softplus {
    sum: f64,
    product: f64,
}

/// From here on the logarithm of the product is taken.
const PRODUCT_MAX: f64 = 1e300;

impl Softplus {
    fn new() -> Self {
        Self { sum: 0.0, product: 1.0 }
    }

    /// Adds a term for so many customers, and returns 1 / (1 + e⁻ʸ).
    fn add(&mut self, y: f64, customers: f64) -> f64 {
        let small = exp(-y.abs());
        if customers == 1.0 {
            self.product *= 1.0 + small;
            if self.product > PRODUCT_MAX {
                self.sum += log(self.product);
                self.product = 1.0;
            }
        } else {
            self.sum += customers * log1p(small);
        }
        match y > 0.0 {
            true => {
                self.sum += customers * y;
                1.0 / (1.0 + small)
            }
            false => small / (1.0 + small),
        }
    }

    fn total(&self) -> f64 {
        self.sum + log(self.product)
    }
}
