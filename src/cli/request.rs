//! The arguments that say what a run is about; `run` and `plan` share them.

use std::collections::BTreeSet;

use clap::Args;

use crate::plan::{Purpose, Request};

/// Values and tables.
#[derive(Debug, Clone, Args)]
pub struct RequestArguments {
    /// Set a parameter; repeat for more
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    params: Vec<(String, String)>,

    /// Publish only some tables: name, +name, name+, a glob, or several by commas
    #[arg(long, value_name = "SELECTOR")]
    select: Vec<String>,

    /// Build everything, even if nothing changed
    #[arg(long)]
    pub full_refresh: bool,
}

impl RequestArguments {
    /// Nothing but some parameters.
    pub fn of(params: Vec<(String, String)>) -> Self {
        Self { params, select: Vec::new(), full_refresh: false }
    }

    /// The request for one day; none means that `--as-of` was not given.
    pub fn on(&self, as_of: Option<&str>) -> Request {
        Request {
            as_of: as_of.map(str::to_string),
            params: self.params.clone(),
            select: self.select.clone(),
            instead: Vec::new(),
            purpose: Purpose::Run,
            sound: BTreeSet::new(),
        }
    }
}

/// A parameter and its value.
///
/// # Errors
/// What is no such pair.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("write it as name=value".into()),
    }
}
