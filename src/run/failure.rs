//! What goes wrong below (the engine, the store) in the user's terms.

use std::error::Error as StdError;
use std::io;

use datafusion::error::DataFusionError;

use super::target;
use crate::error::Error;
use crate::problem::Problem;
use crate::storage::{self, Explained, Kind};

/// A store's explanation as a problem.
pub fn explained(explained: &Explained) -> Problem {
    let mut problem = match explained.place.as_str() {
        "" => Problem::new(explained.what.clone()),
        place => Problem::named(place, explained.what.clone()),
    };
    for cause in &explained.causes {
        problem = problem.note("cause", cause.clone());
    }
    problem.maybe_help(explained.help.clone())
}

/// An error of the target, and what it means for the exit code.
#[expect(clippy::needless_pass_by_value, reason = "for use in map_err")]
pub fn explain(error: target::Error) -> Error {
    let problem = explained(&error.explained());
    match &error {
        target::Error::Locked { .. } => Error::Locked(problem),
        target::Error::Storage(error) => of_store(error, problem),
        // For the pipeline to take back, or to accept; trying again is of no use.
        target::Error::NoConditionalWrites { .. } | target::Error::Delta { .. } => {
            Error::Invalid(vec![problem])
        }
        _ => problem.into(),
    }
}

/// What an error of a store, told as `problem`, means for the exit code: whether
/// the pipeline or the environment lacks something, so that trying again is of
/// no use, or a store or disk has failed or refused.
pub fn of_store(error: &storage::Error, problem: Problem) -> Error {
    match error.kind() {
        Kind::Misconfigured | Kind::NoCredentials => Error::Invalid(vec![problem]),
        _ => problem.into(),
    }
}

/// An error and what lies behind it, outermost first.
fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}

fn names_full_disk(error: &(dyn StdError + 'static)) -> bool {
    let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    chain(error).any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| full.contains(&error.kind()))
    })
}

/// An error of the engine, under a headline.
pub fn engine_problem(error: &DataFusionError, headline: &str) -> Problem {
    let root = error.find_root();
    let text = root.strip_backtrace();
    let first = text.lines().next().unwrap_or_default();
    match root {
        DataFusionError::ResourcesExhausted(_) => {
            let headline = headline.replacen("cannot", "not enough memory to", 1);
            Problem::new(headline)
                .note("cause", first.trim_start_matches("Resources exhausted: "))
                .help("raise `engine.memory`; spilling is on, so this is what one operator needs")
        }
        // The engine writes nowhere else.
        _ if names_full_disk(error) => {
            Problem::new(format!("{headline}: the scratch folder is full"))
                .note("cause", clean(first))
                .help(
                    "free space there, or name a folder with more (`engine.scratch`): a run keeps \
                 some 250 bytes an order",
                )
        }
        DataFusionError::Internal(_) => Problem::new(headline).note("cause", clean(first)).help(
            "this is a fault of the engine, not of the pipeline; it may show only where memory is \
             short: raise `engine.memory`, and report it if it stays",
        ),
        _ => Problem::new(headline).note("cause", clean(first)),
    }
}

/// What an error of the engine comes from, without the names of its layers.
pub fn cause(error: &DataFusionError) -> String {
    let text = error.find_root().strip_backtrace();
    clean(text.lines().next().unwrap_or_default())
}

/// An error while a table was computed.
pub fn table_problem(table: &str, error: &DataFusionError) -> Error {
    let problem = engine_problem(error, &format!("cannot compute `{table}`"));
    let text = cause(error).to_lowercase();
    let is = |words: &[&str]| words.iter().any(|words| text.contains(words));
    let help = match () {
        () if problem.help.is_some() => None,
        () if is(&["divide by zero"]) => Some(
            "divide by `nullif(…, 0)`, here or in a step that it reads: without a divisor the \
             result is null then",
        ),
        () if is(&["overflow", "too large to store", "too small to store"]) => Some(
            "a number is larger than its type: look at the largest values and at the parameters, \
             or cast to a wider type, here or in a step that it reads",
        ),
        () if is(&["cannot cast"]) => Some(
            "write `try_cast` for `cast`, here or in a step that it reads: what cannot be read \
             is null then",
        ),
        () => None,
    };
    problem.maybe_help(help.map(String::from)).into()
}

fn clean(text: &str) -> String {
    let noise = [
        "Execution error: ",
        "IO error: ",
        "Io error: ",
        "External: ",
        "External error: ",
        "Arrow error: ",
        "Parquet error: ",
    ];
    noise.iter().fold(text.to_string(), |text, noise| text.replace(noise, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_the_engine_has_a_next_move() {
        let error = DataFusionError::Internal("no data to spill.\nPlease report".into());
        let problem = engine_problem(&error, "cannot compute `facts.x`");
        assert!(problem.help.is_some_and(|help| help.contains("raise `engine.memory`")));
    }
}
