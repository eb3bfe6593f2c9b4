//! What is wrong with the text of a file, and in which line.

use datafusion::error::DataFusionError;

/// A text that is not what its format asks for. Lines are those of the file as
/// an editor counts them, from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A quote opens a value of CSV, and the file ends within it.
    #[error("the quote that opens in line {opened} is never closed")]
    NeverClosed {
        /// Where the value begins.
        opened: u64,
        /// Where `\"` stands first, if it does and is no escape.
        backslash: Option<u64>,
    },
    /// A value in quotes has ended, and neither a delimiter nor a line end follows.
    #[error("text follows the closing quote of a value in line {line}")]
    AfterQuote {
        /// Where the value begins.
        opened: u64,
        /// Where it ends.
        line: u64,
        /// Where `\"` stands first, if it does and is no escape.
        backslash: Option<u64>,
    },
    /// A quote within a value without quotes, behind a value that runs over
    /// several lines: which of the two the line belongs to cannot be told.
    #[error("a quote stands within a value in line {line}")]
    Ambiguous {
        /// Where the value of several lines begins.
        opened: u64,
        /// Where the other quote is.
        line: u64,
        /// Where `\"` stands first, if it does and is no escape.
        backslash: Option<u64>,
    },
    /// A value in quotes runs over several lines, each of which is a row of its own.
    #[error("the value that opens in line {opened} holds rows")]
    HoldsRows {
        /// Where the value begins.
        opened: u64,
        /// Where its record ends.
        line: u64,
    },
    /// A line that is not one JSON object.
    #[error("line {line} is not a JSON object: {why} at character {column}")]
    NotAnObject {
        /// Which line.
        line: u64,
        /// How far it is JSON, in characters.
        column: usize,
        /// What is wrong there.
        why: &'static str,
        /// The line.
        found: String,
    },
    /// Bytes that are not UTF-8.
    #[error("line {line} is not UTF-8")]
    NotUtf8 {
        /// Which line.
        line: u64,
    },
    /// The parser gave another number of records than the file has.
    #[error("the file has {counted} records, and {given} of them were read")]
    Uncounted {
        /// Records of the file.
        counted: u64,
        /// Rows that the parser gave.
        given: u64,
    },
}

impl Fault {
    /// The fault that an error of the engine comes from, if it does.
    pub fn of(error: &DataFusionError) -> Option<&Self> {
        match error.find_root() {
            DataFusionError::External(error) => error.downcast_ref(),
            _ => None,
        }
    }
}

impl From<Fault> for DataFusionError {
    fn from(fault: Fault) -> Self {
        Self::External(Box::new(fault))
    }
}
