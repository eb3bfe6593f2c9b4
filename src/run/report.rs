//! What happens while a run goes on, and what happened when it is over.

use std::time::Duration;

use chrono::NaiveDate;

use super::evidence::Evidence;
use super::target::{RunId, SourceRead, StagedTable};
use crate::plan::TableFormat;
use crate::problem::Problem;

/// Something a person who watches a run wants to know.
#[derive(Debug, Clone)]
pub enum Event {
    /// The run has its lock and begins.
    Started {
        /// The run.
        run_id: RunId,
        /// The day it is about.
        as_of: NaiveDate,
        /// Where it publishes.
        url: String,
        /// How many steps will follow: sources, tables and checks that have to
        /// be done.
        steps: usize,
    },
    /// A step begins: the name of a source or table.
    Working {
        /// Its name.
        name: String,
    },
    /// A source has been read.
    Source(SourceRead, Duration),
    /// A table has been built.
    Table(TableReport),
    /// A check has found nothing.
    Check {
        /// Its name.
        name: String,
    },
    /// Something worth knowing that does not stop the run.
    Warning(String),
    /// What the tables of the run say against themselves.
    Evidence(Evidence),
    /// Everything is published.
    Published {
        /// The run.
        run_id: RunId,
        /// Where.
        url: String,
    },
}

/// One table of a run.
#[derive(Debug, Clone)]
pub struct TableReport {
    /// Its full name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Time to compute and write it.
    pub elapsed: Duration,
    /// The run that had staged it, where this one has taken it over.
    pub staged_by: Option<RunId>,
    /// Whether readers will see it, or other tables are made from it.
    pub role: crate::plan::Role,
}

impl TableReport {
    /// A table, or rows set aside, that `by` had staged.
    pub fn taken_over(table: &StagedTable, by: &RunId) -> Self {
        Self {
            name: table.table.clone(),
            rows: table.rows(),
            bytes: table.bytes(),
            elapsed: Duration::ZERO,
            staged_by: Some(by.clone()),
            role: crate::plan::Role::Published,
        }
    }
}

/// What a run did.
#[derive(Debug, Clone)]
pub struct Report {
    /// The run.
    pub run_id: RunId,
    /// The day it was about.
    pub as_of: NaiveDate,
    /// Where it published.
    pub url: String,
    /// What became of every row read.
    pub sources: Vec<SourceRead>,
    /// The tables that were built, in the order of work.
    pub tables: Vec<TableReport>,
    /// The published tables that stay as they were.
    pub reused: Vec<String>,
    /// The tables that were there before and are laid out in another way now,
    /// all days of them.
    pub turned_over: Vec<String>,
    /// How the published tables are laid out.
    pub format: TableFormat,
    /// Checks that were run and found nothing.
    pub checks: usize,
    /// How it ended.
    pub outcome: Outcome,
    /// That the folders of the tables were behind when it began and still are,
    /// which somebody has to look at; None where they show what is published.
    pub behind: Option<Problem>,
    /// How long it took.
    pub elapsed: Duration,
}

/// How a run that went well has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// What was published is replaced.
    Published,
    /// Everything stands as it was published before.
    NothingToDo,
}

/// Someone who watches a run.
pub trait Observer: Send + Sync {
    /// Called in the order things happen.
    fn event(&self, event: &Event);
}
