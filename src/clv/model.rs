//! A purchase model as one chooses it by name, fits it and asks it questions.

use std::fmt;

use super::Impossible;
use super::beta_geometric::{BetaGeometric, BetaGeometricLikelihood};
use super::chances::Chances;
use super::history::{Histories, History};
use super::maximise::{Maximum, maximise};
use super::nbd::{Nbd, NbdLikelihood};
use super::pareto_nbd::{ParetoLikelihood, ParetoNbd};
use super::process::Process;
use super::rates::Rates;
use super::time::{Span, Unit};

/// The purchase models there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// BG/NBD: dropping out after a repeat purchase.
    BgNbd,
    /// MBG/NBD: dropping out after any purchase.
    MbgNbd,
    /// Pareto/NBD: dropping out at any time.
    ParetoNbd,
    /// NBD: nobody drops out.
    Nbd,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::BgNbd, Self::MbgNbd, Self::ParetoNbd, Self::Nbd];

    /// Reads a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name in pipelines and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::BgNbd => "bg_nbd",
            Self::MbgNbd => "mbg_nbd",
            Self::ParetoNbd => "pareto_nbd",
            Self::Nbd => "nbd",
        }
    }

    /// The names of its parameters, as the literature has them.
    pub fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::BgNbd | Self::MbgNbd => &["r", "alpha", "a", "b"],
            Self::ParetoNbd => &["r", "alpha", "s", "beta"],
            Self::Nbd => &["r", "alpha"],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BgNbd => "BG/NBD",
            Self::MbgNbd => "MBG/NBD",
            Self::ParetoNbd => "Pareto/NBD",
            Self::Nbd => "NBD",
        })
    }
}

/// A purchase model with its parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Parameters {
    /// BG/NBD or MBG/NBD.
    BetaGeometric(BetaGeometric),
    /// Pareto/NBD.
    Pareto(ParetoNbd),
    /// NBD.
    Lasting(Nbd),
}

/// A purchase model that knows its unit of time: whoever asks it speaks of
/// lengths that know theirs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PurchaseModel {
    /// The parameters.
    pub parameters: Parameters,
    /// The unit in which they are.
    pub unit: Unit,
}

/// The purchases to come of one customer, or of one who is new.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outlook {
    /// The probability of being alive.
    pub p_alive: f64,
    process: Process,
    unit: Unit,
}

impl PurchaseModel {
    /// A model of given parameters, in the order of [`Kind::parameters`]; none
    /// where there are not as many, or one is not above 0.
    pub fn new(kind: Kind, parameters: &[f64], unit: Unit) -> Option<Self> {
        if !parameters.iter().all(|value| *value > 0.0 && value.is_finite()) {
            return None;
        }
        let parameters = match (kind, parameters) {
            (Kind::BgNbd | Kind::MbgNbd, &[r, alpha, a, b]) => {
                let (rates, chances) = (Rates::new(r, alpha), Chances::new(a, b));
                let from_first = kind == Kind::MbgNbd;
                Parameters::BetaGeometric(BetaGeometric { rates, chances, from_first })
            }
            (Kind::ParetoNbd, &[r, alpha, s, beta]) => {
                let (rates, dropout) = (Rates::new(r, alpha), Rates::new(s, beta));
                Parameters::Pareto(ParetoNbd { rates, dropout })
            }
            (Kind::Nbd, &[r, alpha]) => Parameters::Lasting(Nbd { rates: Rates::new(r, alpha) }),
            _ => return None,
        };
        Some(Self { parameters, unit })
    }

    /// Which model it is.
    pub fn kind(&self) -> Kind {
        match self.parameters {
            Parameters::BetaGeometric(model) if model.from_first => Kind::MbgNbd,
            Parameters::BetaGeometric(_) => Kind::BgNbd,
            Parameters::Pareto(_) => Kind::ParetoNbd,
            Parameters::Lasting(_) => Kind::Nbd,
        }
    }

    fn lengths(&self, history: &History) -> (f64, f64, f64) {
        let frequency = f64::from(history.frequency);
        (frequency, history.recency.in_unit(self.unit), history.age.in_unit(self.unit))
    }

    /// The log-likelihood of a customer, lengths in the model's unit.
    pub fn log_likelihood(&self, history: &History) -> f64 {
        let (x, t_x, age) = self.lengths(history);
        match self.parameters {
            Parameters::BetaGeometric(model) => model.log_likelihood(x, t_x, age),
            Parameters::Pareto(model) => model.log_likelihood(x, t_x, age),
            Parameters::Lasting(model) => model.log_likelihood(x, age),
        }
    }

    /// The probability that a customer of this history is alive at its end.
    pub fn p_alive(&self, history: &History) -> f64 {
        let (x, t_x, age) = self.lengths(history);
        match self.parameters {
            Parameters::BetaGeometric(model) => model.p_alive(x, t_x, age),
            Parameters::Pareto(model) => model.p_alive(x, t_x, age),
            Parameters::Lasting(_) => 1.0,
        }
    }

    /// The outlook of a customer who is known to be alive: it depends on
    /// frequency and age alone.
    pub fn alive(&self, frequency: u32, age: Span) -> Outlook {
        let (x, age) = (f64::from(frequency), age.in_unit(self.unit));
        let process = match self.parameters {
            Parameters::BetaGeometric(model) => model.alive(x, age),
            Parameters::Pareto(model) => model.alive(x, age),
            Parameters::Lasting(model) => model.alive(x, age),
        };
        Outlook { p_alive: 1.0, process, unit: self.unit }
    }

    /// The outlook of a customer.
    pub fn outlook(&self, history: &History) -> Outlook {
        let alive = self.alive(history.frequency, history.age);
        Outlook { p_alive: self.p_alive(history), ..alive }
    }

    /// The outlook of somebody who has just bought for the first time.
    pub fn newcomer(&self) -> Outlook {
        let none = Span::days(0.0);
        self.outlook(&History { frequency: 0, recency: none, age: none })
    }
}

impl Outlook {
    /// Expected purchases within a time.
    pub fn expected(&self, within: Span) -> f64 {
        self.p_alive * self.process.expected(within.in_unit(self.unit))
    }

    /// Expected purchases of all time to come, each worth less the later it
    /// comes: by a factor of 1 + `yearly` a year, continuously.
    /// None without a discount: the sum may have no end.
    pub fn expected_discounted(&self, yearly: f64, year: Span) -> Option<f64> {
        let rate = libm::log1p(yearly) / year.in_unit(self.unit);
        Some(self.p_alive * self.process.expected_discounted(rate)?)
    }

    /// P(n or fewer purchases within a time) for n = 0, 1, … until `level` is
    /// passed.
    pub fn cumulative(&self, within: Span, level: f64) -> Vec<f64> {
        let gone = 1.0 - self.p_alive;
        // The alive have to make up for those who never buy again.
        let needed = if self.p_alive > 0.0 { (level - gone) / self.p_alive } else { 0.0 };
        let alive = self.process.cumulative(within.in_unit(self.unit), needed);
        alive.into_iter().map(|probability| gone + self.p_alive * probability).collect()
    }
}

/// A model and how well it is known.
#[derive(Debug, Clone)]
pub struct PurchaseFit {
    /// The model.
    pub model: PurchaseModel,
    /// Its parameters in the order of [`Kind::parameters`].
    pub estimates: Vec<f64>,
    /// Their standard errors; none where the likelihood is flat.
    pub standard_errors: Option<Vec<f64>>,
    /// The log-likelihood, lengths in the model's unit.
    pub log_likelihood: f64,
    /// The steepest slope left, see [`Maximum::gradient`].
    pub gradient: f64,
    /// Steps taken.
    pub iterations: u64,
    /// Whether the search came to rest.
    pub converged: bool,
}

/// Fits a purchase model on customers, in the unit of their lengths.
///
/// # Errors
/// A log-likelihood that cannot be: a mistake of ours.
pub fn fit(kind: Kind, histories: &Histories) -> Result<PurchaseFit, Impossible> {
    let rate = histories.rate().max(1e-12);
    let lasting = || {
        let starts = [2.0, 0.5].map(|kappa| [rate, kappa]);
        maximise(&NbdLikelihood { histories }, &starts)
    };
    let found = match kind {
        Kind::Nbd => {
            let found = lasting();
            let model = Nbd::at(&found.parameters);
            fitted(Parameters::Lasting(model), histories, found, model.parameters())
        }
        Kind::BgNbd | Kind::MbgNbd => {
            let from_first = kind == Kind::MbgNbd;
            let likelihood = BetaGeometricLikelihood { histories, from_first };
            let [mean, kappa] = lasting().parameters;
            // Rate, κ, odds of dropping out and φ.
            let starts = [
                [1.25 * rate, 2.0, 0.35, 0.37],
                [1.43 * rate, 1.0, 0.1, 0.91],
                [1.25 * rate, 4.0, 0.3, 0.154],
                // The limits in which everybody drops out alike, everybody
                // buys alike, and nobody drops out; and where hardly anybody
                // does, from where the last one is too flat to be left.
                [1.25 * rate, 2.0, 0.3, 1e-7],
                [1.25 * rate, 1e-7, 0.1, 0.1],
                [mean, kappa, 1e-12, 1.0],
                [mean, kappa, 1e-3, 0.2],
            ];
            let found = maximise(&likelihood, &starts);
            let model = BetaGeometric::at(&found.parameters, from_first);
            fitted(Parameters::BetaGeometric(model), histories, found, model.parameters())
        }
        Kind::ParetoNbd => {
            let [mean, kappa] = lasting().parameters;
            // Rate, κ, rate of dropping out and its κ.
            let starts = [
                [1.25 * rate, 2.0, 1.2 * rate, 1.67],
                [1.43 * rate, 1.0, 0.5 * rate, 1.0],
                [1.25 * rate, 2.0, rate, 1e-6],
                [1.25 * rate, 1e-7, 0.1 * rate, 0.1],
                [mean, kappa, 1e-11 * mean, 1.0],
                [mean, kappa, 1e-3 * mean, 1.0],
            ];
            let found = maximise(&ParetoLikelihood { histories }, &starts);
            let model = ParetoNbd::at(&found.parameters);
            fitted(Parameters::Pareto(model), histories, found, model.parameters())
        }
    };
    found.possible(histories)
}

fn fitted<const N: usize>(
    parameters: Parameters,
    histories: &Histories,
    found: Maximum<N>,
    (named, slopes): ([f64; N], [[f64; N]; N]),
) -> PurchaseFit {
    let found = found.in_parameters(named, &slopes);
    PurchaseFit {
        model: PurchaseModel { parameters, unit: histories.unit },
        estimates: found.parameters.to_vec(),
        standard_errors: found.standard_errors().map(|errors| errors.to_vec()),
        log_likelihood: found.log_likelihood,
        gradient: found.gradient,
        iterations: found.iterations,
        converged: found.has_converged(),
    }
}

impl PurchaseFit {
    /// Itself, where its log-likelihood is one that can be: see
    /// [`Histories::log_volume`].
    fn possible(self, histories: &Histories) -> Result<Self, Impossible> {
        let counts = self.log_likelihood + histories.log_volume();
        // Of counts that are certain it is 0, but for rounding.
        if counts <= ROUNDING * histories.customers().max(1.0) {
            return Ok(self);
        }
        Err(Impossible { model: self.model.kind(), log_likelihood: counts })
    }
}

/// What rounding may add to the log-likelihood of a customer.
const ROUNDING: f64 = 1e-9;
