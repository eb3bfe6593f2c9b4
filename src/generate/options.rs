//! What may be asked of the generator, with its limits. It decides only
//! whether the wishes can be met; nothing is drawn or written here.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, NaiveDate};

use super::GenerateError;
use super::calendar::Calendar;

/// Text ids have eight digits (`C-00001234`), so that they sort as numbers do.
const CUSTOMERS_MAX: u64 = 99_999_999;
/// Fifty years: seconds since the start fit 32 bits.
const MONTHS_MAX: u32 = 600;
/// Years every date library and SQL engine agrees about.
const YEARS: std::ops::RangeInclusive<i32> = 1900..=2100;
/// A gamma with a smaller shape is zero to the precision of a double too
/// often; larger parameters than this describe equal customers.
const PARAMETERS: std::ops::RangeInclusive<f64> = 0.05..=1e6;
/// Above this a customer is a machine, and one life could fill the memory.
const MEAN_RATE_PER_WEEK_MAX: f64 = 100.0;

/// A wish for an order history. [`Options::default`] is a shop of two years
/// whose customers buy like those of the CDNOW sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How many customers join over the whole history, 1 to 99,999,999.
    pub customers: u64,
    /// Length of the history, in months from `start`.
    pub months: u32,
    /// Chooses one history of those the other options allow; the same seed makes the
    /// same bytes.
    pub seed: u64,
    /// First day of the history.
    pub start: NaiveDate,
    /// When customers buy and when they drop out.
    pub process: Process,
    /// How the worth of orders is distributed.
    pub spend: Spend,
    /// Whether weekdays and months differ. Off, the purchases of a customer
    /// are a plain Poisson process in days, for tests that recover parameters.
    pub seasonality: bool,
    /// Share of the sales that come back, in full or in part; 0 to 1.
    pub refund_rate: f64,
    /// Whether `customer_id` is a number or a text.
    pub id_type: IdType,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            customers: 10_000,
            months: 24,
            seed: 1,
            start: NaiveDate::from_ymd_opt(2024, 1, 1).unwrap_or_default(),
            process: Process::BG_NBD,
            spend: Spend::GAMMA_GAMMA,
            seasonality: true,
            refund_rate: 0.06,
            id_type: IdType::BigInt,
        }
    }
}

impl Options {
    /// Checks every option and lays out the calendar they ask for.
    pub(super) fn calendar(&self) -> Result<Calendar, GenerateError> {
        let mut problems = self.problems();
        if problems.is_empty() {
            if let Some(calendar) = Calendar::new(self.start, self.months, self.seasonality) {
                return Ok(calendar);
            }
            problems.push(format!("the history does not end: start is {}", self.start));
        }
        Err(GenerateError::InvalidOptions { problems })
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut demand = |holds: bool, problem: String| {
            if !holds {
                problems.push(problem);
            }
        };
        demand(
            (1..=CUSTOMERS_MAX).contains(&self.customers),
            format!("customers is {}, but must be 1 to {CUSTOMERS_MAX}", self.customers),
        );
        demand(
            (1..=MONTHS_MAX).contains(&self.months),
            format!("months is {}, but must be 1 to {MONTHS_MAX}", self.months),
        );
        demand(
            YEARS.contains(&self.start.year()),
            format!(
                "start is {}, but must lie in {} to {}",
                self.start,
                YEARS.start(),
                YEARS.end()
            ),
        );
        demand(
            (0.0..=1.0).contains(&self.refund_rate),
            format!("the refund rate is {}, but must be a share from 0 to 1", self.refund_rate),
        );
        for (name, value) in self.process.parameters().into_iter().chain(self.spend.parameters()) {
            demand(
                PARAMETERS.contains(&value),
                format!("{name} is {value}, but must be 0.05 to 1000000"),
            );
        }
        let (r, alpha) = self.process.buying();
        demand(
            r / alpha <= MEAN_RATE_PER_WEEK_MAX,
            format!(
                "customers would buy {} times a week, but at most {MEAN_RATE_PER_WEEK_MAX} is allowed; \
                 lower r or raise alpha",
                r / alpha
            ),
        );
        demand(
            self.spend.q > 1.0,
            format!("q is {}, but must be above 1 for the mean spend to exist", self.spend.q),
        );
        problems
    }
}

/// How customers buy and drop out; time is in weeks of seven days.
///
/// Both buy by a Poisson process at a rate of their own, gamma distributed
/// over customers with shape `r` and rate `alpha` (weeks). The first purchase
/// is the day of joining; the rate governs those after it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Process {
    /// After each repeat purchase a customer drops out with a probability of
    /// their own, beta distributed (`a`, `b`). Not after the first: in the
    /// model a customer who bought once is alive (Fader, Hardie & Lee 2005,
    /// "Counting Your Customers" the Easy Way, Marketing Science 24).
    BgNbd {
        /// Shape of the purchase rates; the larger, the more alike customers are.
        r: f64,
        /// Rate parameter of the purchase rates, in weeks: the mean is `r / alpha` a week.
        alpha: f64,
        /// First parameter of the dropout probabilities, whose mean is `a / (a + b)`.
        a: f64,
        /// Second parameter of the dropout probabilities; the larger, the fewer drop out.
        b: f64,
    },
    /// A customer lives for an exponential time whose rate is gamma
    /// distributed with shape `s` and rate `beta` (weeks; Schmittlein,
    /// Morrison & Colombo 1987, Counting Your Customers, Management
    /// Science 33).
    ParetoNbd {
        /// Shape of the purchase rates; the larger, the more alike customers are.
        r: f64,
        /// Rate parameter of the purchase rates, in weeks: the mean is `r / alpha` a week.
        alpha: f64,
        /// Shape of the dropout rates; the larger, the more alike customers are.
        s: f64,
        /// Rate parameter of the dropout rates, in weeks: the mean is `s / beta` a week.
        beta: f64,
    },
}

impl Process {
    /// The estimates for the CDNOW sample in Fader, Hardie & Lee 2005.
    pub const BG_NBD: Self = Self::BgNbd { r: 0.243, alpha: 4.414, a: 0.793, b: 2.426 };
    /// The same paper's Pareto/NBD estimates for the same customers.
    pub const PARETO_NBD: Self =
        Self::ParetoNbd { r: 0.553, alpha: 10.578, s: 0.606, beta: 11.669 };

    /// Shape and rate (weeks) of the purchase rates.
    pub(super) fn buying(&self) -> (f64, f64) {
        match *self {
            Self::BgNbd { r, alpha, .. } | Self::ParetoNbd { r, alpha, .. } => (r, alpha),
        }
    }

    fn parameters(&self) -> [(&'static str, f64); 4] {
        match *self {
            Self::BgNbd { r, alpha, a, b } => [("r", r), ("alpha", alpha), ("a", a), ("b", b)],
            Self::ParetoNbd { r, alpha, s, beta } => {
                [("r", r), ("alpha", alpha), ("s", s), ("beta", beta)]
            }
        }
    }
}

impl FromStr for Process {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<Self, UnknownChoice> {
        match text {
            "bg_nbd" => Ok(Self::BG_NBD),
            "pareto_nbd" => Ok(Self::PARETO_NBD),
            _ => Err(UnknownChoice { text: text.to_owned(), choices: "bg_nbd or pareto_nbd" }),
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BgNbd { .. } => "bg_nbd",
            Self::ParetoNbd { .. } => "pareto_nbd",
        })
    }
}

/// What an order is worth, gamma-gamma distributed: a customer's orders are
/// gamma with shape `p` and a rate that is itself gamma with shape `q` and
/// rate `v` (currency units), so the mean over customers is p v / (q - 1)
/// (Fader, Hardie & Lee 2005, RFM and CLV, Journal of Marketing Research 42;
/// Fader & Hardie 2013, The Gamma-Gamma Model of Monetary Value).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spend {
    /// Shape of the worth of one customer's orders; the larger, the more alike they
    /// are.
    pub p: f64,
    /// Shape of the customers' own rates; above 1, or there is no mean over customers.
    pub q: f64,
    /// Rate parameter of the customers' own rates, in currency units.
    pub v: f64,
}

impl Spend {
    /// The papers' estimates for the CDNOW sample; the mean is 35.2 an order.
    pub const GAMMA_GAMMA: Self = Self { p: 6.25, q: 3.74, v: 15.44 };

    /// Mean spend an order over all customers, in currency units.
    pub fn mean(&self) -> f64 {
        self.p * self.v / (self.q - 1.0)
    }

    fn parameters(&self) -> [(&'static str, f64); 3] {
        [("p", self.p), ("q", self.q), ("v", self.v)]
    }
}

/// How a customer is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdType {
    /// 1234
    BigInt,
    /// C-00001234
    Text,
}

impl FromStr for IdType {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<Self, UnknownChoice> {
        match text {
            "bigint" => Ok(Self::BigInt),
            "text" => Ok(Self::Text),
            _ => Err(UnknownChoice { text: text.to_owned(), choices: "bigint or text" }),
        }
    }
}

/// A word that names none of an option's choices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a choice here; use {choices}")]
pub struct UnknownChoice {
    text: String,
    choices: &'static str,
}
