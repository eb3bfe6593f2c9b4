//! How well a model foretold what customers did after the days it was fitted on.
//!
//! The score is the mean, over customers, of the logarithm of the probability that
//! the model gave to the number of purchases that came (Good 1952). It is strictly
//! proper: nothing scores better on average than the true probabilities (Gneiting
//! and Raftery 2007), so a model gains nothing by being right in total and wrong
//! about who comes back.

use libm::log;

use super::history::History;
use super::model::PurchaseModel;
use super::time::{Span, Unit};

/// Customers of equal history who bought as often afterwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Held {
    /// Up to the end of the calibration.
    pub history: History,
    /// Purchase days after it.
    pub purchases: u32,
    /// How many customers.
    pub customers: u64,
}

/// What a model takes for impossible costs as much as one in a thousand million:
/// no customer alone decides which model is best.
const LEAST: f64 = 1e-9;

/// The mean logarithm of the probability of what came within a time; NaN without
/// customers. The order of the customers does not matter.
pub fn score(model: &PurchaseModel, held: &[Held], within: Span) -> f64 {
    let mut held: Vec<&Held> = held.iter().collect();
    held.sort_unstable_by_key(|one| key(one));
    let (mut sum, mut customers) = (0.0, 0.0);
    // Of those who are alive, frequency and age say it all.
    for alike in held.chunk_by(|one, next| (key(one).0, key(one).1) == (key(next).0, key(next).1)) {
        let Some(first) = alike.first() else { continue };
        let outlook = model.alive(first.history.frequency, first.history.age);
        let alive = outlook.cumulative(within, 1.0 - LEAST);
        for one in alike {
            let p_alive = model.p_alive(&one.history);
            let probability = match one.purchases {
                0 => (1.0 - p_alive) + p_alive * exactly(&alive, 0),
                n => p_alive * exactly(&alive, n as usize),
            };
            let weight = one.customers as f64;
            sum += weight * log(probability.max(LEAST));
            customers += weight;
        }
    }
    sum / customers
}

/// P(n) of the cumulative probabilities of 0, 1, …; 0 past their end.
fn exactly(cumulative: &[f64], n: usize) -> f64 {
    let below = if n == 0 { 0.0 } else { cumulative.get(n - 1).copied().unwrap_or(1.0) };
    cumulative.get(n).map_or(0.0, |reached| (reached - below).max(0.0))
}

/// Lengths by their bits, which rise with them.
fn key(held: &Held) -> (u32, u64, u64, u32) {
    let bits = |span: Span| span.in_unit(Unit::Day).to_bits();
    let history = &held.history;
    (history.frequency, bits(history.age), bits(history.recency), held.purchases)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clv::Kind;

    fn held(purchases: u32) -> Held {
        let history = History::new(0, Span::days(0.0), Span::days(70.0)).expect("a history");
        Held { history, purchases, customers: 1 }
    }

    /// NBD of r = 1 is geometric: P(n) = (1 − z) zⁿ, z = t / (α + T + t).
    #[test]
    fn the_score_is_the_mean_logarithm_of_what_came() {
        let model = PurchaseModel::new(Kind::Nbd, &[1.0, 10.0], Unit::Week).expect("a model");
        let z: f64 = 5.0 / 25.0;
        let want = ((1.0 - z).ln() + ((1.0 - z) * z * z).ln()) / 2.0;
        let got = score(&model, &[held(2), held(0)], Span::weeks(5.0));
        assert!((got - want).abs() < 1e-12, "{got} is not {want}");
    }

    #[test]
    fn what_cannot_be_costs_no_more_than_one_in_a_thousand_million() {
        let model = PurchaseModel::new(Kind::Nbd, &[1.0, 10.0], Unit::Week).expect("a model");
        let got = score(&model, &[held(1_000)], Span::weeks(5.0));
        assert!((got - 1e-9_f64.ln()).abs() < 1e-9, "{got}");
    }
}
