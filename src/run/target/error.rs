//! What can go wrong with a target, and what each means for the caller.
//!
//! Variants are what a caller branches on, for the exit code too; which one each
//! has is decided in `run::failure`. Everything a user reads comes from
//! [`Error::explained`].

use std::fmt;

use crate::storage::{self, Explained};

use super::clock::{Day, RunId};
use super::lease::{LEASE, Lease};

/// An error of a target.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Another run is working here; nothing was done.
    Locked {
        /// The target's URL or path, without secrets.
        url: String,
        /// The lease in the way; this run's own where the other has written none yet.
        holder: Box<Lease>,
    },
    /// This run no longer holds the lock, so it cannot publish.
    LeaseLost {
        /// The target's URL or path, without secrets.
        url: String,
        /// The run that lost the lock.
        run_id: RunId,
        /// The run that took over; None if the lock was removed or the successor is not
        /// known.
        to: Option<RunId>,
    },
    /// The target was written by a newer version in a format this one cannot read.
    NewerFormat {
        /// Where the manifest stands.
        place: String,
        /// The format the manifest was written in.
        found: u32,
        /// The newest format this version reads.
        known: u32,
    },
    /// A record of the target is not what was once written.
    Unreadable {
        /// Where the record stands.
        place: String,
        /// Why it cannot be read, in the words of what failed.
        cause: String,
    },
    /// The store ignores conditions on writes, so two runs could overwrite each other.
    NoConditionalWrites {
        /// The target's URL, without secrets.
        url: String,
    },
    /// A file that was to be published is not there as it was staged.
    NotStaged {
        /// URL or path of the staged file, without secrets.
        place: String,
        /// Size of the file as it was written.
        expected_bytes: u64,
        /// Size of the file that is there; None if there is none.
        found_bytes: Option<u64>,
    },
    /// Two tables would share one Hive folder.
    SameFolder {
        /// Name of the Hive folder both would have, relative to the target.
        folder: String,
        /// Full name of the table that has the folder.
        first: String,
        /// Full name of the table that would take it as well.
        second: String,
    },
    /// A table that cannot be had in its format here, however often it is tried.
    Delta {
        /// What is not possible.
        what: String,
        /// The table or file it is about; empty where that is said already.
        place: String,
        /// Why not.
        cause: String,
        /// The next move.
        help: String,
    },
    /// The log of a Delta table that could not be read or written this time.
    DeltaLog {
        /// What has failed.
        what: String,
        /// The table or file it is about.
        place: String,
        /// Why.
        cause: String,
        /// The next move.
        help: String,
    },
    /// What is published is not what the folders of these tables show.
    Behind {
        /// The target's URL or path, without secrets.
        url: String,
        /// Each folder that could not be brought up to date, and why.
        failed: Vec<(String, Error)>,
        /// Whether the others are up to date; else they were not tried.
        all_tried: bool,
    },
    /// A file is not what it was when it was written.
    Damaged {
        /// URL or path of the file, without secrets.
        place: String,
        /// Full name of the table it belongs to.
        table: String,
        /// The day of the table.
        day: Day,
        /// What is different.
        cause: String,
    },
    /// The store refused or failed.
    Storage(storage::Error),
}

impl Error {
    /// The message in the form all messages have.
    pub fn explained(&self) -> Explained {
        match self {
            Self::Storage(error) => error.explained().clone(),
            Self::Locked { url, holder } => explain(
                format!("another run is working on this target since {}", holder.since.format("%Y-%m-%d %H:%M:%S UTC")),
                url,
                format!("run {} on host {}, process {}", holder.run_id, holder.host, holder.pid),
                if holder.ends_with_its_process(url) {
                    "wait for it, or end its process: the lock ends with it; `tenure unlock --force` lets it live and keeps it from publishing".to_owned()
                } else {
                    format!(
                        "wait for it; if it is dead, its lock ends {} s after its last sign of life, or at once with `tenure unlock --force`, after which it cannot publish even if it lives",
                        holder.ttl_seconds
                    )
                },
            ),
            Self::LeaseLost { url, run_id, to } => explain(
                format!("run {run_id} lost its lock"),
                url,
                match to {
                    Some(run) => format!("run {run} took over, because this one gave no sign of life in time"),
                    None => "its lock was removed or taken over".to_owned(),
                },
                "run again; was this machine suspended, or the store out of reach?".to_owned(),
            ),
            Self::NewerFormat { place, found, known } => explain(
                format!("this target has format {found}, and this version reads up to {known}"),
                place,
                "a newer version has published here".to_owned(),
                "use that version; formats are never written back to older ones".to_owned(),
            ),
            Self::Unreadable { place, cause } => explain(
                "a record of this target cannot be read".to_owned(),
                place,
                cause.clone(),
                if place.ends_with(LEASE) {
                    "it only says who works here: delete it, when no run does".to_owned()
                } else {
                    "it was changed by hand, cut short or has decayed; restore it from a backup or object versions, or publish to a new target".to_owned()
                },
            ),
            Self::NoConditionalWrites { url } => explain(
                "this store ignores conditions on writes (If-None-Match, If-Match)".to_owned(),
                url,
                "two runs at once could overwrite each other's result".to_owned(),
                "use a store that honours them, or set `single_writer: true` under `storage:` if never two runs overlap".to_owned(),
            ),
            Self::NotStaged { place, expected_bytes, found_bytes } => explain(
                "a staged file is not whole; nothing was published".to_owned(),
                place,
                match found_bytes {
                    Some(found) => format!("{expected_bytes} bytes were written, {found} are there"),
                    None => format!("{expected_bytes} bytes were written, and it is gone"),
                },
                "run again; does anything else delete below `_tenure/`?".to_owned(),
            ),
            Self::Delta { what, place, cause, help }
            | Self::DeltaLog { what, place, cause, help } => {
                explain(what.clone(), place, cause.clone(), help.clone())
            }
            Self::Behind { url, failed, all_tried } => behind(url, failed, *all_tried),
            Self::Damaged { place, table, day, cause } => explain(
                format!("a file of `{table}` as of {day} is not as it was published"),
                place,
                cause.clone(),
                format!("`tenure run PIPELINE --as-of {day} --full-refresh` makes it again"),
            ),
            Self::SameFolder { folder, first, second } => explain(
                format!("`{first}` and `{second}` would both be published as `{folder}/`"),
                "",
                "a table's folder is its name without the schema".to_owned(),
                "rename one of them, or publish them to different targets".to_owned(),
            ),
        }
    }
}

/// Names every folder that failed, with the reason of each.
fn behind(url: &str, failed: &[(String, Error)], all_tried: bool) -> Explained {
    let mut causes: Vec<String> = Vec::new();
    for (folder, error) in failed {
        let Explained { what, causes: why, .. } = error.explained();
        let why: String = why.first().map(|why| format!(": {why}")).unwrap_or_default();
        causes.push(format!("`{folder}`: {what}{why}"));
    }
    if !all_tried {
        causes.push("these took so long that the folders after them were not tried".to_owned());
    }
    let next = "then `tenure gc PIPELINE`, or the next run, brings them up to date";
    let first = failed.first().and_then(|(_, error)| error.explained().help);
    let folders = if failed.len() == 1 { "folder" } else { "folders" };
    Explained {
        what: format!(
            "{} {folders} of tables could not be brought up to date; readers of the manifest \
             see what is published",
            failed.len()
        ),
        place: url.to_owned(),
        causes,
        help: Some(match first {
            Some(help) => format!("{help}; {next}"),
            None => format!("remove the cause; {next}"),
        }),
    }
}

fn explain(what: String, place: &str, cause: String, help: String) -> Explained {
    Explained { what, place: place.to_owned(), causes: vec![cause], help: Some(help) }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.explained().fmt(f)
    }
}

impl std::error::Error for Error {}

impl From<storage::Error> for Error {
    fn from(error: storage::Error) -> Self {
        Self::Storage(error)
    }
}
