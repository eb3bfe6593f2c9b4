//! Text files as rows: CSV, and JSON with one object a line.
//!
//! The parsers are arrow's. What they pass over without a word (a quote that is
//! never closed, a number cut to fit a type) is looked for here, in the same
//! bytes: [`quotes`] follows the quotes of CSV and counts its records, [`shape`]
//! finds the columns and types of JSON in all of a file.

pub mod bytes;
mod csv;
mod fault;
mod grammar;
mod json;
mod lines;
pub mod quotes;
pub mod scan;
pub mod shape;

pub use fault::Fault;
pub use json::columns;

#[cfg(test)]
mod tests;
