//! Decides. Text becomes a [`Plan`], and nothing here touches storage, the
//! clock or the environment: the same texts and values give the same plan.

mod bounded;
pub mod bounds;
pub mod compile;
pub mod fingerprint;
pub mod fitted;
mod fix;
pub mod header;
mod keys;
mod limits;
pub mod model;
pub mod order;
mod outer;
pub mod params;
mod pitfalls;
pub mod reuse;
mod rewrite;
mod rules;
mod select;
pub mod sources;
pub mod spec;
mod tables;
pub mod typecheck;
pub mod types;
mod unheeded;
mod uses;
mod values;
pub mod why;

use std::collections::BTreeMap;

use chrono::NaiveDate;

pub use compile::{Project, Purpose, Request, Variables, compile, name, publishing};
pub use fix::fix;
pub use model::{Model, TableName};
pub use outer::{UNSET, parse_expression};

use crate::problem::At;
use params::{Params, Values};
use sources::{SourceColumn, SourceKind};

/// A pipeline as understood: what a run will do, completely.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The pipeline's name.
    pub pipeline: String,
    /// The last day counted.
    pub as_of: NaiveDate,
    /// The declared parameters.
    pub params: Params,
    /// Their values.
    pub values: Values,
    /// Where rows come from.
    pub sources: Vec<SourcePlan>,
    /// What is built, each after what it reads.
    pub tables: Vec<PlannedTable>,
    /// Checks that read only what is built.
    pub checks: Vec<Model>,
    /// Tables of the pipeline that `--select` leaves out, and what only they
    /// need, each after what it reads: what is published of them stays only if
    /// it still is what a run would make.
    pub beside: Vec<Model>,
    /// Changes when a text, a parameter or the program does: what was found
    /// sound once need not be checked again.
    pub texts: String,
    /// A fingerprint of each text it was made from, by path: all that decides
    /// what a run of it makes, and no text of other pipelines or tables.
    pub files: BTreeMap<String, String>,
    /// Where tables go.
    pub publish: PublishPlan,
    /// Limits of the engine.
    pub engine: EnginePlan,
}

/// A table of a plan.
#[derive(Debug, Clone)]
pub struct PlannedTable {
    /// The model that makes it.
    pub model: Model,
    /// Whether anybody will see it.
    pub role: Role,
}

/// What becomes of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is published.
    Published,
    /// Published tables are built from it.
    Step,
}

/// A source as understood.
#[derive(Debug, Clone)]
pub struct SourcePlan {
    /// Which of the known sources it is.
    pub kind: &'static SourceKind,
    /// File, folder or glob.
    pub url: String,
    /// Where the pipeline names it.
    pub at: At,
    /// Its file format.
    pub format: FileFormat,
    /// What a row is.
    pub rows: Rows,
    /// What each canonical column is made of; empty means the source's columns
    /// already have the canonical names.
    pub columns: Vec<Mapping>,
    /// Rows to set aside: reason and predicate over the source's columns.
    pub reject: Vec<Rejection>,
    /// The largest share of rows that may be set aside before the run stops.
    pub reject_max: Option<f64>,
    /// Options of the store.
    pub storage: BTreeMap<String, String>,
}

/// A canonical column and the source's expression for it.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// The canonical column.
    pub column: &'static SourceColumn,
    /// A column of the source, or a SQL expression over its columns.
    pub expression: String,
    /// Where the pipeline says so.
    pub at: At,
}

/// A reason to set rows aside.
#[derive(Debug, Clone)]
pub struct Rejection {
    /// The reason, as it stands in the quarantine.
    pub reason: String,
    /// A predicate over the source's columns.
    pub expression: String,
    /// Where the pipeline says so.
    pub at: At,
}

/// A file format of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Apache Parquet.
    Parquet,
    /// Text with a header line; every column is read as text.
    Csv(CsvStyle),
    /// One JSON object a line.
    Json,
    /// A Delta table, at its newest version or at this one.
    Delta(Option<u64>),
}

/// How CSV is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvStyle {
    /// What stands between fields.
    pub delimiter: Delimiter,
    /// How a quote is written within quotes.
    pub escape: Escape,
}

/// How a quote is written within a value in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// Twice, `""`, as the standard has it.
    Quote,
    /// Behind a backslash, `\"`, as Spark and MySQL write it.
    Backslash,
}

impl Escape {
    /// Each, as a pipeline writes it.
    pub const ALL: [(&str, Self); 2] = [("quote", Self::Quote), ("backslash", Self::Backslash)];

    /// The character in front of a quote, where it is no quote.
    pub fn byte(self) -> Option<u8> {
        match self {
            Self::Quote => None,
            Self::Backslash => Some(b'\\'),
        }
    }
}

/// What stands between the fields of a line of CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delimiter {
    /// `,`
    Comma,
    /// `;`, where a comma stands in numbers.
    Semicolon,
    /// A tab.
    Tab,
    /// `|`
    Pipe,
}

impl Delimiter {
    /// Each, as a pipeline writes it.
    pub const ALL: [(&str, Self); 5] = [
        (",", Self::Comma),
        (";", Self::Semicolon),
        ("\t", Self::Tab),
        ("tab", Self::Tab),
        ("|", Self::Pipe),
    ];

    /// The character, which is one byte.
    pub fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Pipe => b'|',
        }
    }
}

/// What a row of a source of orders is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// An order; a second row of the same order is a duplicate.
    Orders,
    /// A line of an order; lines of one order are summed.
    Lines,
}

/// Where and how tables are published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishPlan {
    /// The target folder or bucket prefix.
    pub url: String,
    /// What a published table is for other engines.
    pub format: TableFormat,
    /// The encodings of its files.
    pub encodings: Encodings,
    /// Rows of a file at most; at least 1.
    pub file_rows: u64,
    /// How many superseded sets stay.
    pub keep_runs: u64,
    /// Whether a store without conditional writes is accepted.
    pub writers: Writers,
    /// Options of the store.
    pub storage: BTreeMap<String, String>,
}

/// What a published table is for other engines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TableFormat {
    /// Plain Parquet in Hive folders.
    #[default]
    Parquet,
    /// A Delta table.
    Delta,
}

/// The encodings that Parquet files use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encodings {
    /// Those of Parquet's first version, which everything reads.
    #[default]
    V1,
    /// Those of its second version where they are fewer bytes.
    V2,
}

/// How many runs may meet on one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writers {
    /// Any number; the store must support conditional writes.
    Many,
    /// The user vouches for there being one.
    Single,
}

/// Limits of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnginePlan {
    /// Bytes the query engine may hold; it spills past them.
    pub memory_bytes: u64,
    /// Threads; none means one a core.
    pub threads: Option<usize>,
    /// Folder for spilled data; none means the system's.
    pub scratch: Option<String>,
}

impl Plan {
    /// The sources in the order in which they are read: identities first, for
    /// they apply to all others, then orders, whose ids the others' are like.
    pub fn sources_in_order(&self) -> Vec<&SourcePlan> {
        let mut sources: Vec<&SourcePlan> = self.sources.iter().collect();
        let place = |source: &&SourcePlan| {
            ["customer_ids", "orders"].iter().position(|name| *name == source.kind.name)
        };
        sources.sort_by_key(|source| place(source).unwrap_or(usize::MAX));
        sources
    }

    /// A parameter's text value, where it has one.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name) {
            Some(params::ParamValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A parameter's date, where it has one.
    pub fn date(&self, name: &str) -> Option<NaiveDate> {
        match self.values.get(name) {
            Some(params::ParamValue::Date(day)) => Some(*day),
            _ => None,
        }
    }
}
