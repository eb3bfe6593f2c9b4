//! What a Delta table shows now, for somebody who compares it with the manifest.

use std::collections::BTreeSet;

use crate::storage::Location;

use super::super::clock::{Day, RunId};
use super::super::error::Error;
use super::super::view::folder;
use super::schema::DAY_COLUMN;
use super::{log, part_name, run_of};

/// The files a table names.
pub(in super::super) struct Shown {
    named: BTreeSet<String>,
    removed: BTreeSet<String>,
    /// Days that have files of others.
    foreign: BTreeSet<String>,
}

/// What became of a file that tenure has committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum FileState {
    /// Whoever reads the table reads it.
    Named,
    /// Somebody else has put another in its place.
    Rewritten,
    /// The log does not know it.
    Unknown,
}

/// The path in its table of a part that a run has made.
pub(in super::super) fn path_of(day: Day, part: u32, run_id: &RunId) -> String {
    format!("as_of={day}/{}", part_name(part, run_id))
}

/// Reads the log of a table of which the manifest names `version`.
///
/// # Errors
/// [`Error::DeltaLog`] if it cannot be read or does not reach that version; the
/// store's error.
pub(in super::super) async fn shown(
    location: &Location,
    table: &str,
    version: u64,
) -> Result<Shown, Error> {
    let lacks = |cause: String| Error::DeltaLog {
        what: format!("the Delta table of `{table}` is not what was published"),
        place: location.shown(&folder(table)),
        cause,
        help: "delete its `_delta_log` and `_tenure/view.json`: then `tenure gc PIPELINE` begins \
               a new log from what is published"
            .into(),
    };
    let Some(state) = log::read(location, &folder(table)).await? else {
        return Err(lacks("its log is gone".into()));
    };
    if state.version < version {
        let newest = state.version;
        return Err(lacks(format!("its newest version is {newest}, published was {version}")));
    }
    let foreign = state.files.values().filter(|add| run_of(&add.path).is_none());
    let foreign = foreign.filter_map(|add| add.partition_values.get(DAY_COLUMN)?.clone());
    Ok(Shown {
        foreign: foreign.collect(),
        removed: state.tombstones.into_keys().collect(),
        named: state.files.into_keys().collect(),
    })
}

impl Shown {
    /// What became of the file at `path`, which is of `day`.
    pub(in super::super) fn state_of(&self, path: &str, day: Day) -> FileState {
        if self.named.contains(path) {
            FileState::Named
        } else if self.removed.contains(path) || self.foreign.contains(&day.to_string()) {
            FileState::Rewritten
        } else {
            FileState::Unknown
        }
    }
}
