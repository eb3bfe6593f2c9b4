//! Probability models of purchases and spend: BG/NBD, MBG/NBD, Pareto/NBD, NBD
//! and BG/BB, and Gamma-Gamma. Pure numbers: no table, no file, no clock.
//!
//! ```text
//! History ─► Histories ─► fit ─► PurchaseModel ─► Outlook ─► Terms::discounted
//! Spend ─────────────────► GammaGamma::fit ─► expected ──────────┘
//! ```
//!
//! Everything is computed so that no difference of large numbers is taken:
//! likelihoods in logarithms, over the mean and the spread of each law (`rates`
//! and `chances`), expectations as sums or integrals of positive terms. Reductions run in a fixed order and logarithms come from `libm`, so
//! the same customers give the same bits.

mod beta_geometric;
mod bg_bb;
mod chances;
mod gamma_gamma;
mod history;
mod matrix;
mod maximise;
mod model;
mod nbd;
mod pareto_nbd;
mod process;
mod quadrature;
mod rates;
mod score;
mod special;
#[cfg(test)]
mod tests;
mod time;
mod value;

pub use bg_bb::{BgBb, Opportunities};
pub use gamma_gamma::{GammaGamma, Spend, alike, correlation};
pub use history::{Histories, History};
pub use maximise::Maximum;
pub use model::{Kind, Outlook, PurchaseFit, PurchaseModel, fit};
pub use score::{Held, score};
pub use time::{Span, Unit};
pub use value::Terms;

/// Input outside the domain of the models, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

/// A result that cannot be: a mistake of ours, and never shown as a result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "internal error: the log-likelihood of counts of {model} is {log_likelihood}, and none \
     is above 0"
)]
pub struct Impossible {
    /// The model.
    pub model: Kind,
    /// What came out.
    pub log_likelihood: f64,
}

/// What may be outside the domain.
pub type Result<T> = std::result::Result<T, Invalid>;
