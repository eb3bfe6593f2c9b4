//! What a run did, written while it does it: one small object a step.
//!
//! Stores cannot append, so a step is an object, `_tenure/runs/<run_id>/<seq>.json`.
//! When a run ends, a summary of its steps is put beside them, so that listing
//! runs reads one object a run. The summary is derived: without it (a run that
//! died) it is made again from the steps.
//!
//! The journal says what happened; what *is* published only the manifest says.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::storage::Location;

use super::clock::{Clock, Day, RunId, instant, maybe_instant};
use super::error::Error;
use super::manifest::{self, RunInfo};
use super::staging::StagedTable;

/// Where journals are, relative to the target.
pub const RUNS: &str = "_tenure/runs";
const SUMMARY: &str = "summary.json";
const READS_IN_FLIGHT_MAX: usize = 8;

/// The command that takes a day back, as its arguments name it.
pub const WITHDRAW: &str = "withdraw";

/// A step of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// The first step: all that `retry` needs to do the same again.
    Started {
        /// Name of the pipeline that is run.
        pipeline: String,
        /// The day the run computes its tables for.
        as_of: Day,
        /// Parameter → the value this run uses.
        params: BTreeMap<String, Value>,
        /// Version of this program.
        version: String,
        /// The arguments as given, for a retry.
        #[serde(default)]
        arguments: Vec<String>,
        /// The run this one repeats; None if it is no retry.
        #[serde(default)]
        retry_of: Option<RunId>,
        /// Path → fingerprint of each text of the project that decides what is
        /// made; a retry needs the very same.
        #[serde(default)]
        texts: BTreeMap<String, String>,
    },
    /// A source as its store lists it while nothing of it has been read.
    SourceListed(SourceListed),
    /// A source was read to its end; every row was accepted or set aside.
    SourceRead(SourceRead),
    /// The files of a table are written whole, and nobody can see them yet.
    TableStaged(StagedTable),
    /// A table was not computed again: it is what `from` made.
    TableReused {
        /// Full name of the table.
        table: String,
        /// The day of the table that is used again.
        day: Day,
        /// The run that computed it.
        from: RunId,
    },
    /// The checks were run on what is staged, and none or some have failed.
    Audited {
        /// Number of checks that were run.
        checks: u64,
        /// Names of the checks that failed; empty if all hold.
        failures: Vec<String>,
    },
    /// The manifest names what this run made: readers see it.
    Published {
        /// Id of the publication, as the manifest has it.
        commit_id: String,
        /// Epoch of the manifest that was written.
        epoch: u64,
        /// Number of tables this run made; neither tables carried on from before nor
        /// rows set aside count.
        tables: u64,
        /// Rows of these tables together.
        rows: u64,
        /// Size of their files together.
        bytes: u64,
        /// Number of tables that are no longer published for the day.
        #[serde(default, skip_serializing_if = "is_zero")]
        withdrawn: u64,
    },
    /// The run ended without publishing.
    Failed {
        /// What went wrong, without causes and help.
        error: String,
        /// Whether the same run over the same files would fail again: an audit
        /// found something, and would find it again.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        repeats: bool,
    },
    /// The user or the system has asked the run to stop, and it has.
    Interrupted,
    /// The run ended in good order.
    Finished,
    /// A step of a later version.
    #[serde(other)]
    Unknown,
}

/// A source as a run found it: all that the run, or a retry of it, may read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceListed {
    /// Name of the source, such as `orders`.
    pub source: String,
    /// Without secrets.
    pub url: String,
    /// Path, size and version of each file, by path.
    pub files: Vec<SourceFile>,
    /// The version, of a table that has one (Delta).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_version: Option<u64>,
}

/// What became of the rows of a source: accepted + rejected = read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRead {
    /// Name of the source, such as `orders`.
    pub source: String,
    /// Without secrets.
    pub url: String,
    /// Size of its files together, as stored (compressed, if they are).
    pub bytes: u64,
    /// Rows its files hold.
    pub read: u64,
    /// Rows that were usable and went on to the tables.
    pub accepted: u64,
    /// Reason → rows.
    pub rejected: BTreeMap<String, u64>,
    /// Changes when a file, its size or its version changes.
    pub fingerprint: String,
    /// Of the identity map, what it merges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Merged>,
    /// Path, size and version of each file, for `retry` to compare.
    #[serde(default)]
    pub files: Vec<SourceFile>,
    /// The version, of a table that has one (Delta).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_version: Option<u64>,
}

/// What an identity map says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// Ids that are somebody else's.
    pub ids: u64,
    /// Whose they are.
    pub customers: u64,
    /// Ids that others lead to and that lead on.
    pub chained: u64,
    /// Those of them that lead back to themselves.
    pub circular: u64,
}

/// A file of a source, as it was when a run read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Relative to the URL of the source.
    pub path: String,
    /// Size as stored.
    pub bytes: u64,
    /// The store's version or ETag, or else the time of the last change in microseconds
    /// since 1970; None if nothing of that is known.
    pub version: Option<String>,
}

/// A step as written: when, and which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Number of the step in its run, counted from 0; also the name of its object.
    pub seq: u64,
    /// When it was written, by the clock of the run.
    #[serde(with = "instant")]
    pub at: DateTime<Utc>,
    /// What happened.
    #[serde(flatten)]
    pub step: Step,
}

/// How a run ended, or that it did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It has not ended and holds the lock.
    Running,
    /// The manifest has named what it made, even if a later run has replaced that.
    Published,
    /// It ended with an error and has published nothing.
    Failed,
    /// It was asked to stop before it published, and gave the lock back.
    Interrupted,
    /// It ended in good order and had nothing to publish.
    Finished,
    /// It neither ended nor holds the lock.
    Died,
}

impl Status {
    /// Whether a run is over and has not done what it was to do.
    pub fn came_to_nothing(self) -> bool {
        matches!(self, Self::Failed | Self::Interrupted | Self::Died)
    }
}

/// A run in one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// The run that is summed up.
    pub run_id: RunId,
    /// How it ended, as far as journal, manifest and lock tell.
    pub status: Status,
    /// Name of its pipeline; None if neither journal nor manifest tells.
    pub pipeline: Option<String>,
    /// The day it computed tables for; None if neither journal nor manifest tells.
    pub as_of: Option<Day>,
    /// Parameter → value; empty also if the first step cannot be read.
    pub params: BTreeMap<String, Value>,
    /// Version of the program that ran; None if the first step cannot be read.
    pub version: Option<String>,
    /// When its first readable step was written; None if there is none.
    #[serde(with = "maybe_instant")]
    pub started_at: Option<DateTime<Utc>>,
    /// When its last closing step was written; None if it runs or died before one.
    #[serde(with = "maybe_instant")]
    pub ended_at: Option<DateTime<Utc>>,
    /// Number of tables it published; 0 if it noted no publication.
    pub tables: u64,
    /// Rows of the tables it published; 0 if it noted no publication.
    pub rows: u64,
    /// Size of the files it published; 0 if it noted no publication.
    pub bytes: u64,
    /// Number of tables it took back; 0 if it noted no publication.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub withdrawn: u64,
    /// Whether to take tables back was all it was asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_withdrawal: bool,
    /// Rows read, over all sources.
    pub rows_read: u64,
    /// Rows that were usable, over all sources.
    pub rows_accepted: u64,
    /// Rows that were set aside, over all sources and reasons.
    pub rows_rejected: u64,
    /// What went wrong; None if it noted no failure.
    pub error: Option<String>,
    /// The run it repeats; None if it is no retry.
    #[serde(default)]
    pub retry_of: Option<RunId>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The journal of the run that is under way.
#[derive(Debug)]
pub struct Journal {
    location: Location,
    run_id: RunId,
    clock: Clock,
    next_seq: AtomicU64,
}

impl Journal {
    pub(super) fn new(location: &Location, run_id: &RunId, clock: &Clock) -> Self {
        Self {
            location: location.clone(),
            run_id: run_id.clone(),
            clock: clock.clone(),
            next_seq: AtomicU64::new(0),
        }
    }

    /// Writes a step. Steps may be written from several tasks at once.
    ///
    /// # Errors
    /// When the store refuses or fails.
    pub async fn record(&self, step: Step) -> Result<(), Error> {
        let seq = self.next_seq.fetch_add(1, Ordering::Relaxed);
        let record = Record { seq, at: self.clock.now(), step };
        let relative = format!("{RUNS}/{}/{seq:06}.json", self.run_id);
        let body = manifest::to_json(&record, &self.location, &relative)?;
        Ok(self.location.put(&relative, body).await?)
    }

    /// Writes the last step and the summary.
    ///
    /// # Errors
    /// When the step cannot be written; the summary can be made again.
    pub async fn close(&self, step: Step) -> Result<(), Error> {
        self.record(step).await?;
        let summarised = async {
            let records = read(&self.location, &self.run_id).await?;
            let summary = RunSummary::of(&self.run_id, &records);
            let relative = format!("{RUNS}/{}/{SUMMARY}", self.run_id);
            let body = manifest::to_json(&summary, &self.location, &relative)?;
            Ok::<(), Error>(self.location.put(&relative, body).await?)
        };
        if let Err(error) = summarised.await {
            tracing::warn!(%error, "the summary of the run could not be written");
        }
        Ok(())
    }
}

impl RunSummary {
    /// What `records` say of a run, taken that it is over. Pure.
    fn of(run_id: &RunId, records: &[Record]) -> Self {
        let mut summary = Self {
            run_id: run_id.clone(),
            status: Status::Died,
            pipeline: None,
            as_of: None,
            params: BTreeMap::new(),
            version: None,
            started_at: records.first().map(|record| record.at),
            ended_at: None,
            tables: 0,
            rows: 0,
            bytes: 0,
            withdrawn: 0,
            is_withdrawal: false,
            rows_read: 0,
            rows_accepted: 0,
            rows_rejected: 0,
            error: None,
            retry_of: None,
        };
        for record in records {
            summary.add(record);
        }
        summary
    }

    fn add(&mut self, record: &Record) {
        match &record.step {
            Step::Started { pipeline, as_of, params, version, retry_of, arguments, .. } => {
                self.is_withdrawal = arguments.iter().any(|word| word == WITHDRAW);
                self.pipeline = Some(pipeline.clone());
                self.as_of = Some(*as_of);
                self.params.clone_from(params);
                self.version = Some(version.clone());
                self.retry_of.clone_from(retry_of);
            }
            Step::SourceRead(source) => {
                self.rows_read += source.read;
                self.rows_accepted += source.accepted;
                self.rows_rejected += source.rejected.values().sum::<u64>();
            }
            Step::Published { tables, rows, bytes, withdrawn, .. } => {
                self.status = Status::Published;
                (self.tables, self.rows, self.bytes) = (*tables, *rows, *bytes);
                self.withdrawn = *withdrawn;
                self.ended_at = Some(record.at);
            }
            Step::Failed { error, .. } => {
                if self.status != Status::Published {
                    self.status = Status::Failed;
                }
                self.error = Some(error.clone());
                self.ended_at = Some(record.at);
            }
            Step::Interrupted => {
                if self.status == Status::Died {
                    self.status = Status::Interrupted;
                }
                self.ended_at = Some(record.at);
            }
            Step::Finished => {
                if self.status == Status::Died {
                    self.status = Status::Finished;
                }
                self.ended_at = Some(record.at);
            }
            Step::SourceListed(_)
            | Step::TableStaged(_)
            | Step::TableReused { .. }
            | Step::Audited { .. }
            | Step::Unknown => {}
        }
    }

    /// The manifest is the witness for what was published: a run may have died
    /// between publishing and writing that down.
    fn witnessed(
        mut self,
        history: &[RunId],
        infos: &BTreeMap<RunId, RunInfo>,
        working: Option<&RunId>,
    ) -> Self {
        if working == Some(&self.run_id) && self.status == Status::Died {
            self.status = Status::Running;
        }
        if history.contains(&self.run_id) {
            self.status = Status::Published;
        }
        if let Some(info) = infos.get(&self.run_id) {
            self.pipeline.get_or_insert_with(|| info.pipeline.clone());
            self.as_of.get_or_insert(info.as_of);
        }
        self
    }
}

/// The steps of a run, in order. Steps that cannot be read (cut short by a
/// crash on a store without atomic puts) are left out.
///
/// # Errors
/// When the store refuses or fails.
pub(super) async fn read(location: &Location, run_id: &RunId) -> Result<Vec<Record>, Error> {
    let listed = location.list(&format!("{RUNS}/{run_id}")).await?;
    let steps: Vec<_> =
        listed.into_iter().map(|(path, _)| path).filter(|path| !path.ends_with(SUMMARY)).collect();
    let reads: Vec<_> = steps.iter().map(|path| location.get(path)).collect();
    let contents: Vec<_> =
        futures::stream::iter(reads).buffered(READS_IN_FLIGHT_MAX).try_collect().await?;
    let mut records: Vec<Record> = contents
        .into_iter()
        .flatten()
        .filter_map(|content| serde_json::from_slice(&content).ok())
        .collect();
    records.sort_by_key(|record| record.seq);
    Ok(records)
}

/// The last `limit` runs, newest first. `working` is the run that holds the lock.
///
/// # Errors
/// When the store refuses or fails.
pub(super) async fn runs(
    location: &Location,
    history: &[RunId],
    infos: &BTreeMap<RunId, RunInfo>,
    working: Option<&RunId>,
    limit: usize,
) -> Result<Vec<RunSummary>, Error> {
    let folders = location.folders(RUNS).await?;
    let mut run_ids: Vec<RunId> = folders.iter().filter_map(|name| name.parse().ok()).collect();
    run_ids.sort_by(|a, b| b.cmp(a));
    run_ids.truncate(limit);
    let reads: Vec<_> = run_ids.iter().map(|run_id| summary(location, run_id)).collect();
    let summaries: Vec<RunSummary> =
        futures::stream::iter(reads).buffered(READS_IN_FLIGHT_MAX).try_collect().await?;
    Ok(summaries.into_iter().map(|summary| summary.witnessed(history, infos, working)).collect())
}

async fn summary(location: &Location, run_id: &RunId) -> Result<RunSummary, Error> {
    let written = location.get(&format!("{RUNS}/{run_id}/{SUMMARY}")).await?;
    if let Some(summary) = written.and_then(|content| serde_json::from_slice(&content).ok()) {
        return Ok(summary);
    }
    Ok(RunSummary::of(run_id, &read(location, run_id).await?))
}
