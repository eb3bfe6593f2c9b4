//! Choosing the model of purchases: the one that is named where it can be used,
//! or of several candidates the one that foretold the hold-out best.

use super::reasons::FLAT_LIKELIHOOD;
use crate::clv::{Held, Kind, PurchaseFit, Span, score};

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

/// Chooses among models that were fitted on so many customers; `came` is what they
/// did in the hold-out.
pub fn choose(
    asked: Asked,
    candidates: &[Candidate],
    customers: f64,
    came: &[Held],
    holdout: Span,
) -> Choice {
    match asked {
        Asked::Named(kind) => {
            Choice { used: named(kind, candidates), scores: vec![None; candidates.len()] }
        }
        Asked::Best => {
            let scores = candidates.iter().map(|one| scored(one, customers, came, holdout));
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
fn scored(
    candidate: &Candidate,
    customers: f64,
    came: &[Held],
    holdout: Span,
) -> Option<(f64, &'static str)> {
    if !candidate.is_sound() {
        return None;
    }
    let fit = &candidate.fit;
    if !came.is_empty() {
        return Some((score(&fit.model, came, holdout), BY_HOLDOUT));
    }
    let cost = fit.estimates.len() as f64 / 2.0 * libm::log(customers);
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
