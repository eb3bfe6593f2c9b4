//! What no version of a Delta table needs any more that is kept.
//!
//! **Invariant:** a file goes only if the newest version does not name it,
//! none of the last `keep_runs` versions before it that tenure made did, and it
//! was removed longer ago than the table keeps removed files for
//! (`delta.deletedFileRetentionDuration`, a week unless somebody changed it).
//! Only files tenure made are looked at. A file that is not in the newest
//! version and was in a kept one must have been removed since; so the commits
//! since then say all there is to know.
//!
//! Commits go when a checkpoint stands behind them, no kept version needs them,
//! and they are older than `delta.logRetentionDuration` (thirty days).

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};
use futures::{StreamExt, TryStreamExt};

use crate::storage::Location;

use super::super::clock::RunId;
use super::super::error::Error;
use super::super::manifest::Manifest;
use super::super::view::folder;
use super::action::Add;
use super::log::{self, Kind, Listed, State};
use super::{REQUESTS_IN_FLIGHT_MAX, run_of, wanted};

const FILES_PROPERTY: &str = "delta.deletedFileRetentionDuration";
const LOG_PROPERTY: &str = "delta.logRetentionDuration";

/// A file that nobody needs, and the run that made it; none of a log.
pub(in super::super) struct Expired {
    pub(in super::super) path: String,
    pub(in super::super) bytes: u64,
    pub(in super::super) run_id: Option<RunId>,
}

/// What may go of the Delta tables of `manifest`, by the store's time.
///
/// # Errors
/// When the store refuses or fails, or a log cannot be read.
pub(in super::super) async fn expired(
    location: &Location,
    manifest: &Manifest,
    keep_runs: usize,
    now: DateTime<Utc>,
) -> Result<Vec<Expired>, Error> {
    let looks = manifest.delta.keys();
    let looks = looks.map(|table| of_table(location, manifest, table, keep_runs, now));
    let looks: Vec<_> = looks.collect();
    let expired: Vec<Vec<Expired>> =
        futures::stream::iter(looks).buffered(REQUESTS_IN_FLIGHT_MAX).try_collect().await?;
    Ok(expired.into_iter().flatten().collect())
}

async fn of_table(
    location: &Location,
    manifest: &Manifest,
    table: &str,
    keep_runs: usize,
    now: DateTime<Utc>,
) -> Result<Vec<Expired>, Error> {
    let folder = &folder(table);
    let Some(mut state) = log::read(location, folder).await? else {
        return Ok(Vec::new());
    };
    // What is to be committed yet is needed as well.
    state.files.extend(wanted(manifest, table).into_keys().map(|path| (path, Add::default())));
    let unneeded = unneeded(location, folder, &state, now).await?;
    let listed = log::list(location, folder).await?;
    let old = old_log(&listed, &state, now);
    if unneeded.is_empty() && old.is_empty() {
        return Ok(Vec::new());
    }
    // Only now: reading back costs a request a version.
    let kept = kept(location, &listed, keep_runs).await?;
    let files = unneeded.into_iter().filter(|(path, _)| {
        path.strip_prefix(folder).is_some_and(|path| !kept.files.contains(path.trim_matches('/')))
    });
    let files = files.map(|(path, bytes)| Expired { run_id: run_of(&path), path, bytes });
    let limit = kept.from.min(state.version);
    // One that is not whole opens nothing.
    let below = log::last_checkpoint(&listed, limit).unwrap_or(0);
    let logs = old.into_iter().filter(|file| file.version < below);
    let logs =
        logs.map(|file| Expired { path: file.path.clone(), bytes: file.meta.size, run_id: None });
    Ok(files.chain(logs).collect())
}

/// Our files that the newest version does not name and whose time is over.
async fn unneeded(
    location: &Location,
    folder: &str,
    state: &State,
    now: DateTime<Utc>,
) -> Result<Vec<(String, u64)>, Error> {
    let young = (now - retention(state)).timestamp_millis();
    let listed = location.list(folder).await?;
    let found = listed.into_iter().filter(|(path, meta)| {
        let Some(inside) = path.strip_prefix(folder).map(|path| path.trim_start_matches('/'))
        else {
            return false;
        };
        let removed = state.tombstones.get(inside).and_then(|gone| gone.deletion_timestamp);
        // A file no version ever named was copied by a run that died; its copy
        // may be a link, as old as the file of the set.
        let since = removed.unwrap_or_else(|| meta.last_modified.timestamp_millis());
        run_of(inside).is_some() && !state.files.contains_key(inside) && since <= young
    });
    Ok(found.map(|(path, meta)| (path, meta.size)).collect())
}

/// Files of the log that are older than it is kept.
fn old_log<'a>(listed: &'a [Listed], state: &State, now: DateTime<Utc>) -> Vec<&'a Listed> {
    let old = now - period(state.property(LOG_PROPERTY), Duration::days(30));
    let checkpoint = log::last_checkpoint(listed, u64::MAX).unwrap_or(0);
    let before = listed.iter().filter(|file| file.version < checkpoint);
    before.filter(|file| file.meta.last_modified <= old).collect()
}

/// The versions that stay whole.
struct Kept {
    /// The first of them.
    from: u64,
    /// What they name and the newest does not.
    files: BTreeSet<String>,
}

/// Reads commits backwards until `keep_runs` of ours before the last are found.
async fn kept(location: &Location, listed: &[Listed], keep_runs: usize) -> Result<Kept, Error> {
    let mut files = BTreeSet::new();
    let mut ours = 0;
    let mut from = 0;
    for file in listed.iter().rev().filter(|file| file.kind == Kind::Commit) {
        let (version, actions) = log::commit(location, file).await?;
        from = version;
        ours += usize::from(log::is_ours(&actions));
        if ours > keep_runs {
            break;
        }
        // What this commit removed, the version before it had.
        files.extend(actions.into_iter().filter_map(|action| Some(action.remove?.path)));
    }
    Ok(Kept { from, files })
}

/// How long a table keeps the files of older versions.
pub(super) fn retention(state: &State) -> Duration {
    period(state.property(FILES_PROPERTY), Duration::days(7))
}

/// An interval as Delta writes it: `interval 1 week`, `2 days`.
fn period(text: Option<&str>, otherwise: Duration) -> Duration {
    let parsed = text.and_then(|text| {
        let text = text.trim().to_ascii_lowercase();
        let (count, unit) = text.trim_start_matches("interval").trim().split_once(' ')?;
        let count: i64 = count.parse().ok()?;
        match unit.trim().trim_end_matches('s') {
            "week" => Duration::try_weeks(count),
            "day" => Duration::try_days(count),
            "hour" => Duration::try_hours(count),
            "minute" => Duration::try_minutes(count),
            "second" => Duration::try_seconds(count),
            "millisecond" => Duration::try_milliseconds(count),
            _ => None,
        }
    });
    parsed.unwrap_or(otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_as_delta_writes_them() {
        for (text, seconds) in [
            (Some("interval 1 week"), 604_800),
            (Some("interval 2 days"), 172_800),
            (Some("3 HOURS"), 10_800),
            (Some("interval 0 seconds"), 0),
            (Some("a while"), 60),
            (None, 60),
        ] {
            assert_eq!(period(text, Duration::minutes(1)).num_seconds(), seconds, "{text:?}");
        }
    }
}
