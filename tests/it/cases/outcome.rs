//! What is right for a case, as YAML: one or more ways to end, of which one
//! must hold.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A case: its day, and the ways in which it may end.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcomes {
    /// The day of the run.
    pub as_of: Option<String>,
    /// More arguments of the run.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// One of these must hold.
    pub any: Vec<Outcome>,
}

/// One way to end.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Outcome {
    /// The run stops: every one of these words stands in what it says.
    Stops {
        /// The words.
        stops: Vec<String>,
        /// Words that would be wrong.
        #[serde(default)]
        never: Vec<String>,
    },
    /// The run publishes.
    Publishes(Published),
}

/// What is published, and what is said about it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Published {
    /// Rows of `facts.orders`, as `order_id net`.
    pub orders: Option<Vec<String>>,
    /// Rows set aside by reason; none is named where nothing is.
    pub set_aside: Option<BTreeMap<String, u64>>,
    /// What queries over the published tables must give.
    pub queries: Vec<Query>,
    /// Words that stand in what the run says.
    pub says: Vec<String>,
    /// Words that do not.
    pub never: Vec<String>,
}

/// A query over published tables, by their short names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Its text.
    pub sql: String,
    /// Its rows: cells separated by blanks.
    pub gives: Vec<String>,
}
