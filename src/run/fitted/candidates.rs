//! Choosing the model of purchases: the one that is named where it can be used,
//! or of several candidates the one that foretold the hold-out best.

use super::reasons::FLAT_LIKELIHOOD;
use crate::clv::{Held, History, Kind, PurchaseFit, Span, Unit, score};

/// Which models a pipeline asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// `auto`: whichever is best.
    Best,
    /// One by its name.
    Named(Kind),
}

/// The word for the best of all.
const AUTO: &str = "auto";

/// The score is of the hold-out.
const BY_HOLDOUT: &str = "holdout";

/// The score is of the calibration itself.
const BY_CRITERION: &str = "bic";

impl Asked {
    /// Reads the parameter, which takes nothing else.
    pub fn parse(text: &str) -> Self {
        match Kind::parse(text) {
            _ if text == AUTO => Self::Best,
            Some(kind) => Self::Named(kind),
            None => Self::Named(Kind::BgNbd),
        }
    }

    /// The models that predictions may be made of.
    pub fn candidates(self) -> Vec<Kind> {
        match self {
            Self::Best => Kind::ALL.to_vec(),
            Self::Named(kind) => vec![kind],
        }
    }

    /// Those that are fitted: NBD in any case, to compare with.
    pub fn fitted(self) -> Vec<Kind> {
        match self {
            Self::Best => Kind::ALL.to_vec(),
            Self::Named(Kind::Nbd) => vec![Kind::Nbd],
            Self::Named(kind) => vec![kind, Kind::Nbd],
        }
    }
}

/// A model that was fitted, and what speaks against it.
pub struct Candidate {
    /// The fit.
    pub fit: PurchaseFit,
    /// On how many customers.
    pub customers: f64,
    /// Codes, see `reasons`.
    pub reasons: Vec<&'static str>,
}

impl Candidate {
    fn kind(&self) -> Kind {
        self.fit.model.kind()
    }

    /// A ridge leaves parameters open, not what they predict.
    fn is_sound(&self) -> bool {
        self.fit.converged && self.reasons.iter().all(|reason| *reason == FLAT_LIKELIHOOD)
    }
}

/// What predictions are made of.
pub struct Choice {
    /// The model; none where there is none to use.
    pub used: Option<Kind>,
    /// The score of each candidate and how it came; none where nothing is compared.
    pub scores: Vec<Option<(f64, &'static str)>>,
}

/// Customers from which on a model that takes long is fitted on a sample, until it is
/// chosen. A tenth of a million tells models apart as well as a million does.
const SAMPLE: u64 = 100_000;

/// A sample of so many customers or some more, if there are twice as many: each k-th
/// in the order of their histories, so that every kind of history has its share.
pub fn sample(histories: &[(History, u64)]) -> Option<Vec<(History, u64)>> {
    let customers: u64 = histories.iter().map(|(_, customers)| customers).sum();
    let step = customers / SAMPLE;
    if step < 2 {
        return None;
    }
    let mut sorted: Vec<&(History, u64)> = histories.iter().collect();
    let days = |span: Span| span.in_unit(Unit::Day).to_bits();
    sorted.sort_unstable_by_key(|(one, _)| (one.frequency, days(one.age), days(one.recency)));
    let mut before = 0;
    let rows = sorted.into_iter().filter_map(|(history, customers)| {
        let taken = (before + customers).div_ceil(step) - u64::div_ceil(before, step);
        before += customers;
        (taken > 0).then_some((*history, taken))
    });
    Some(rows.collect())
}

/// Chooses among models that were fitted; `came` is what customers did in the hold-out.
pub fn choose(asked: Asked, candidates: &[Candidate], came: &[Held], holdout: Span) -> Choice {
    match asked {
        Asked::Named(kind) => {
            Choice { used: named(kind, candidates), scores: vec![None; candidates.len()] }
        }
        Asked::Best => {
            let scores = candidates.iter().map(|one| scored(one, came, holdout));
            let scores: Vec<_> = scores.collect();
            Choice { used: best(candidates, &scores), scores }
        }
    }
}

/// The model of a name, else NBD. A model of dropping out that cannot be used leaves
/// one in which nobody does, unless there is too little for any.
fn named(kind: Kind, candidates: &[Candidate]) -> Option<Kind> {
    let of = |kind: Kind| candidates.iter().find(|one| one.kind() == kind);
    let asked = of(kind)?;
    if asked.is_sound() {
        return Some(kind);
    }
    let is_fitted = asked.reasons.iter().any(|reason| OF_THE_FIT.contains(reason));
    let baseline = of(Kind::Nbd).filter(|_| is_fitted && kind != Kind::Nbd)?;
    baseline.is_sound().then_some(Kind::Nbd)
}

/// Reasons that speak against one model, and not against all.
const OF_THE_FIT: [&str; 2] = [super::reasons::NOT_CONVERGED, super::reasons::DEGENERATE_DROPOUT];

/// The score of a candidate by a customer; none of one that cannot be used.
///
/// Without a hold-out it is what the fit itself says, less what its parameters cost
/// (Schwarz 1978): −½ BIC, which is on the same scale.
fn scored(candidate: &Candidate, came: &[Held], holdout: Span) -> Option<(f64, &'static str)> {
    if !candidate.is_sound() {
        return None;
    }
    let Candidate { fit, customers, .. } = candidate;
    if !came.is_empty() {
        return Some((score(&fit.model, came, holdout), BY_HOLDOUT));
    }
    let cost = fit.estimates.len() as f64 / 2.0 * libm::log(*customers);
    Some(((fit.log_likelihood - cost) / customers, BY_CRITERION))
}

/// The candidate of the highest score; of equal ones the first.
fn best(candidates: &[Candidate], scores: &[Option<(f64, &'static str)>]) -> Option<Kind> {
    let mut best: Option<(f64, Kind)> = None;
    for (candidate, score) in candidates.iter().zip(scores) {
        let Some((score, _)) = *score else { continue };
        if score.is_finite() && best.is_none_or(|(highest, _)| score > highest) {
            best = Some((score, candidate.kind()));
        }
    }
    best.map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(frequency: u32) -> History {
        let recency = Span::days(f64::from(frequency));
        History::new(frequency, recency, Span::days(900.0)).expect("a history")
    }

    /// Each history has its share, whatever the order in which they come.
    #[test]
    fn a_sample_has_every_tenth_customer() {
        let counts = [(0, 599_990), (1, 300_005), (2, 100_004), (3, 1)];
        let mut histories: Vec<_> = counts.map(|(x, customers)| (history(x), customers)).to_vec();
        let of = |histories: &[(History, u64)]| -> Vec<(u32, u64)> {
            let sample = sample(histories).expect("a sample");
            sample.iter().map(|(history, customers)| (history.frequency, *customers)).collect()
        };
        let found = of(&histories);
        assert_eq!(found, [(0, 59_999), (1, 30_001), (2, 10_000)]);
        histories.reverse();
        assert_eq!(of(&histories), found);
        assert!(sample(&histories[2..]).is_some());
        assert!(sample(&[(history(0), 150_000)]).is_none(), "few enough for all");
    }
}
