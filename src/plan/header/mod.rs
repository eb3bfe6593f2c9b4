//! The comment a model begins with: what it is, its grain, what it reads, its
//! parameters, and every column with type and meaning.
//!
//! ```sql
//! -- metrics.cohort_retention: how many of a cohort order again later?
//! --
//! -- grain   cohort_start, period_index
//! -- reads   facts.customer_periods
//! -- uses    sources.customers
//! -- params  cohort_grain
//! --
//! -- cohort_start   date    first day of the cohort's period
//! -- period_index   bigint  0 is the cohort's own period
//! --                        and comments may go on below
//! --
//! -- Free notes.
//! ```
//!
//! The first empty line may be left out: what declares beyond doubt does so in
//! the title's paragraph too.

mod line;
mod reader;

use std::ops::Range;

use super::spec::Spanned;
use super::types::ColumnType;

pub use reader::read;

/// A header as understood.
#[derive(Debug, Clone, Default)]
pub struct Header {
    /// The name it gives itself.
    pub name: Option<Spanned<String>>,
    /// The sentence after the name.
    pub title: String,
    /// The columns that name a row; the table is sorted by them.
    pub grain: Vec<Spanned<String>>,
    /// Tables that must exist.
    pub reads: Vec<Spanned<String>>,
    /// Tables that may be absent.
    pub uses: Vec<Spanned<String>>,
    /// Parameters.
    pub params: Vec<Spanned<String>>,
    /// How a rule file can be checked.
    pub rule: Option<Spanned<String>>,
    /// Every column in order.
    pub columns: Vec<Column>,
    /// The bytes from the first to the last line of the comment.
    pub range: Range<usize>,
    /// Its lines in order, for `check --fix`: none may be lost.
    pub lines: Vec<Written>,
}

impl Header {
    /// Whether it is known what each line was meant to declare.
    pub fn is_clear(&self) -> bool {
        self.lines.iter().all(|line| line.part != Part::Unknown)
    }
}

/// A line of a header as it stands in the file.
#[derive(Debug, Clone)]
pub struct Written {
    /// What it was taken for.
    pub part: Part,
    /// Its bytes, `--` included, its end not.
    pub range: Range<usize>,
}

/// What a line of a header is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Name and title, or what stands where they should.
    Title,
    /// A list or a rule.
    Declaration,
    /// A column, by its number, or more of its meaning.
    Column(usize),
    /// Free text.
    Note,
    /// Not understood; there is a problem that says so.
    Unread,
    /// The same, and what it was meant to declare is not known: such a header cannot
    /// be written anew.
    Unknown,
}

/// A column as its header describes it.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: Spanned<String>,
    /// Its type.
    pub kind: ColumnType,
    /// What it means.
    pub comment: String,
}

/// Windows' editors begin a file with it. It is no part of the text.
pub const BYTE_ORDER_MARK: char = '\u{feff}';

/// The byte at which a text begins.
pub fn beginning(text: &str) -> usize {
    if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 }
}

/// The folders of `sql/` that models stand in, which are the schemas of their tables.
pub const FOLDERS: [&str; 5] = ["staging", "facts", "metrics", "rules", "checks"];

/// Whether a word can be the name of a model; any text may stand before a colon.
pub fn is_model(word: &str) -> bool {
    line::is_table(word) && FOLDERS.iter().any(|folder| word.split('.').next() == Some(folder))
}
