//! Delta tables: another view of the same sets, with a history.
//!
//! A table whose pipeline says `format: delta` is, in place of its Hive
//! folders, a Delta table partitioned by `as_of`:
//!
//! ```text
//! cohort_retention/_delta_log/00000000000000000007.json
//! cohort_retention/as_of=2026-11-20/part-00000-<run>.parquet
//! ```
//!
//! The manifest decides, as everywhere. After it is written each table whose
//! files changed gets one commit, which removes the files of the days that were
//! replaced and adds the new ones; a run that dies between two tables is rolled
//! forward by the next command, where Hive folders are repaired. Both ask the
//! same question: does the table show the files the manifest names? What is so
//! already is not committed again, so repeating is safe.
//!
//! **Versions.** The manifest names the version of each table that makes the
//! set. Who holds the lock knows it beforehand: the next one ([`plan`]). If a
//! foreign writer (OPTIMIZE, say) takes that number in between, our commit finds
//! it taken, looks again, and makes the one after; the manifest is then corrected
//! before the view is marked current. Between the two a reader may find a version
//! it cannot open yet, or one that is not ours: our commits say `commitId`.
//!
//! **Fence.** Each commit carries the epoch of the manifest as the transaction
//! of application `tenure`. A run that lost its lock and wakes finds a later
//! epoch there, or its version taken, and stops: it cannot put an older set over
//! a newer one.
//!
//! Reading order: `action` and `log` (the protocol), `plan`, here, `commit`,
//! `schema`, `stats`, `checkpoint`, `expiry` (what nobody needs any more), `shown`
//! (what a table shows, to be compared).

mod action;
mod checkpoint;
mod commit;
mod expiry;
mod log;
mod plan;
mod schema;
mod shown;
mod stats;

use std::collections::{BTreeMap, BTreeSet};

use crate::storage::Location;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};

use super::clock::{Day, RunId};
use super::error::Error;
use super::lock::Lock;
use super::manifest::{DataFile, Entry, Manifest};
use super::view::folder;
use action::Add;
use log::State;
use schema::DAY_COLUMN;

pub(super) use expiry::{Expired, expired};
pub(super) use plan::{admit, plan};
pub(super) use shown::{FileState, Shown, path_of, shown};

/// Whose transactions are ours.
const APP_ID: &str = "tenure";
/// Commits from one checkpoint to the next, unless the table says otherwise.
const CHECKPOINT_INTERVAL: u64 = 10;
const CHECKPOINT_PROPERTY: &str = "delta.checkpointInterval";
/// Foreign commits that may come between looking and committing.
const COMMIT_TRIES_MAX: usize = 8;
const REQUESTS_IN_FLIGHT_MAX: usize = 8;

/// Tables as they were when their next version was planned; none of a table
/// that is to be made.
#[derive(Default)]
pub(super) struct Planned(BTreeMap<String, Option<State>>);

/// Who shows what.
pub(super) struct Showing<'a> {
    pub(super) location: &'a Location,
    pub(super) manifest: &'a Manifest,
    pub(super) lock: &'a Lock,
    pub(super) now: DateTime<Utc>,
}

/// Days of a table that may not show what they should.
pub(super) enum Stale {
    /// Nothing is known: all of them.
    All,
    /// These; what others made of the rest (OPTIMIZE, say) stays.
    Days(BTreeSet<String>),
}

impl Stale {
    fn is(&self, day: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Days(days) => day.is_some_and(|day| days.contains(day)),
        }
    }
}

/// Makes `table` show what the manifest names, and returns the version that
/// does; None for a table that never was and names nothing.
///
/// # Errors
/// [`Error::LeaseLost`] if another run has committed since; the store's error.
pub(super) async fn show(
    showing: &Showing<'_>,
    table: &str,
    stale: &Stale,
    planned: &mut Planned,
) -> Result<Option<u64>, Error> {
    let all = wanted(showing.manifest, table);
    let mut known = planned.0.remove(table);
    let mut made = BTreeMap::new();
    for _ in 0..COMMIT_TRIES_MAX {
        let state = match known.take() {
            Some(state) => state,
            None => log::read(showing.location, &folder(table)).await?,
        };
        if let Some(state) = &state {
            plan::check(showing.location, table, state)?;
            fence(showing, state)?;
        } else if all.is_empty() {
            return Ok(None);
        }
        // A table that is not there yet, or not any more, needs every day.
        let stale = if state.is_some() { stale } else { &Stale::All };
        let wanted: Wanted<'_> = all
            .iter()
            .filter(|(_, (day, ..))| stale.is(Some(&day.to_string())))
            .map(|(path, want)| (path.clone(), *want))
            .collect();
        add(showing, table, state.as_ref(), &wanted, &mut made).await?;
        let gone = commit::gone(state.as_ref(), &wanted, stale);
        let Some(actions) = commit::actions(showing, table, state.as_ref(), &gone, &made)? else {
            return match state {
                Some(state) => shown_by(showing, table, &state).await.map(Some),
                None => Ok(None),
            };
        };
        showing.lock.verify().await?;
        let version = state.as_ref().map_or(0, |state| state.version + 1);
        if log::write(showing.location, &folder(table), version, &actions).await? {
            let mut state = state.unwrap_or_default();
            actions.into_iter().for_each(|action| state.apply(action));
            state.version = version;
            keep_short(showing, table, &state).await;
            return Ok(Some(version));
        }
    }
    Err(Error::DeltaLog {
        what: format!("`{table}` could not be committed"),
        place: showing.location.shown(&folder(table)),
        cause: format!("other writers were faster {COMMIT_TRIES_MAX} times"),
        help: "pause what else writes to this Delta table; the next run goes on".into(),
    })
}

/// Path in the table → the file of the set it is a copy of.
type Wanted<'a> = BTreeMap<String, (Day, &'a Entry, &'a DataFile)>;

fn wanted<'a>(manifest: &'a Manifest, table: &str) -> Wanted<'a> {
    let days = manifest.tables.get(table).into_iter().flatten();
    days.flat_map(|(day, entry)| {
        entry
            .files
            .iter()
            .zip(0u32..)
            .map(move |(file, part)| (path_of(*day, part, &entry.run_id), (*day, entry, file)))
    })
    .collect()
}

/// Fresh for every run: versions before this one need the files they name.
fn part_name(part: u32, run_id: &RunId) -> String {
    format!("part-{part:05}-{run_id}.parquet")
}

/// The run that made a file of a Delta table; None for files of others.
pub(super) fn run_of(path: &str) -> Option<RunId> {
    let name = path.rsplit('/').next()?.strip_prefix("part-")?.strip_suffix(".parquet")?;
    let (part, run_id) = name.split_once('-')?;
    part.parse::<u32>().ok()?;
    run_id.parse().ok()
}

/// Copies the files the table lacks, and keeps their add actions in `made`.
async fn add(
    showing: &Showing<'_>,
    table: &str,
    state: Option<&State>,
    wanted: &Wanted<'_>,
    made: &mut BTreeMap<String, Add>,
) -> Result<(), Error> {
    let there = |path: &String| state.is_some_and(|state| state.files.contains_key(path));
    let missing = wanted.iter().filter(|(path, _)| !there(path) && !made.contains_key(*path));
    let copies = missing.map(|(path, (day, entry, file))| async move {
        let to = format!("{}/{path}", folder(table));
        showing.location.copy(&file.path, &to).await?;
        let columns = showing.manifest.schema_of(entry);
        let stats = stats::of(showing.location, file, columns).await?;
        Ok::<_, Error>(Add {
            path: path.clone(),
            partition_values: [(DAY_COLUMN.to_owned(), Some(day.to_string()))].into(),
            size: i64::try_from(file.bytes).unwrap_or(i64::MAX),
            modification_time: showing.now.timestamp_millis(),
            data_change: true,
            stats: Some(stats),
            tags: None,
        })
    });
    let copies: Vec<_> = copies.collect();
    let added: Vec<Add> = futures::stream::iter(copies)
        .buffer_unordered(REQUESTS_IN_FLIGHT_MAX)
        .try_collect()
        .await?;
    made.extend(added.into_iter().map(|add| (add.path.clone(), add)));
    Ok(())
}

fn epoch(manifest: &Manifest) -> i64 {
    i64::try_from(manifest.epoch).unwrap_or(i64::MAX)
}

/// A later epoch has been here: what we would show is no longer published.
fn fence(showing: &Showing<'_>, state: &State) -> Result<(), Error> {
    match state.txns.get(APP_ID) {
        Some(txn) if txn.version > epoch(showing.manifest) => Err(showing.lock.lost_to(None)),
        _ => Ok(()),
    }
}

/// The version that shows what is wanted where nothing is left to do: our last
/// commit. What the manifest says may have been taken by somebody else, and is
/// believed only if no commit of ours is left.
async fn shown_by(showing: &Showing<'_>, table: &str, state: &State) -> Result<u64, Error> {
    let ours = match (state.ours, state.checkpoint) {
        (None, Some(checkpoint)) => {
            log::last_of_ours(showing.location, &folder(table), checkpoint).await?
        }
        (ours, _) => ours,
    };
    let named = showing.manifest.delta.get(table).filter(|version| **version <= state.version);
    Ok(ours.or(named.copied()).unwrap_or(state.version))
}

/// Writes a checkpoint if it is time. What cannot be written now is written
/// after a later commit; readers only have more to read until then.
async fn keep_short(showing: &Showing<'_>, table: &str, state: &State) {
    let interval = state.property(CHECKPOINT_PROPERTY).and_then(|text| text.parse().ok());
    let interval = interval.unwrap_or(CHECKPOINT_INTERVAL).max(1);
    if state.version < state.checkpoint.unwrap_or(0) + interval {
        return;
    }
    let expired = showing.now - expiry::retention(state);
    let expired = expired.timestamp_millis();
    let written = log::write_checkpoint(showing.location, &folder(table), state, expired).await;
    if let Err(error) = written {
        tracing::warn!(%error, table, "no checkpoint could be written; it is tried again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_files_are_ours() {
        let run_id: RunId = "20261121T020000123Z-0a1b2c3d".parse().expect("an id");
        let path = format!("as_of=2026-11-20/{}", part_name(7, &run_id));
        assert_eq!(run_of(&path), Some(run_id));
        for other in ["part-00007.parquet", "part-00000-4f0a.c000.snappy.parquet", "x.parquet"] {
            assert_eq!(run_of(other), None, "{other}");
        }
    }
}
