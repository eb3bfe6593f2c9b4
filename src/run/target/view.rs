//! The Hive folders: what is published, laid out for every other engine.
//!
//! `metrics.cohort_retention` on a day is `cohort_retention/as_of=DAY/part-00000.parquet`,
//! always under the same names. The folders are a copy of what the manifest
//! names: hard links on a disk, the store's own copies elsewhere. A table that
//! is a Delta table (see `delta`) has commits in their place.
//!
//! **Invariant:** a file of the view is a whole, audited file at any instant
//! (copies replace whole). Files of one refresh change one after another, so
//! only the manifest shows sets; the marker says which publication the folders
//! show, and whoever finds it behind repairs them.
//!
//! **Marker.** Before anything is changed it names every folder that is about to
//! be, so that whoever repairs knows them all; when all is done it is replaced,
//! if nobody has touched it since. A run that has lost its lock and may have put
//! an older file over a newer one takes back what it says, whoever has written it.
//!
//! **Failures.** One folder that cannot be brought up to date does not keep the
//! others from it; all that failed are told together. Parts that are surplus
//! go before parts that are new come: a reader rather lacks rows for a moment
//! than counts those of a day that is taken back.
//!
//! Stores copy objects of at most 5 GB in one request; tables are written in
//! smaller parts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use futures::{StreamExt, TryStreamExt};
use object_store::UpdateVersion;
use serde::{Deserialize, Serialize};

use crate::storage::{Depth, Expect, Location};

use super::delta::{self, Planned, Showing, Stale};
use super::error::Error;
use super::failures::Failures;
use super::manifest::{self, Entry, Manifest, fresh_id};
use super::marker::{MARKER, Marker, Shown, put_marker, read_marker};
use super::staging::part_name;

/// How a table is laid out for other engines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Hive folders with plain Parquet.
    #[default]
    Hive,
    /// A Delta table.
    Delta,
}

/// Times the marker may be touched by runs that have lost their lock.
pub(super) const MARKER_TRIES_MAX: usize = 4;
const COPIES_IN_FLIGHT_MAX: usize = 8;

/// What the folders show now, to be marked.
pub(super) struct Refreshed {
    marker: Marker,
    /// The marker that is to be replaced.
    before: UpdateVersion,
    /// Delta tables and the versions that show what is published, as far as
    /// they were looked at.
    pub(super) versions: BTreeMap<String, u64>,
}

/// The Hive folder of `table`: its name without the schema. A quarantine keeps
/// its schema (`quarantine_orders`): it lies beside the facts it is not part of.
pub fn folder(table: &str) -> String {
    match table.rsplit_once('.') {
        Some(("quarantine", name)) => format!("quarantine_{name}"),
        Some((_, name)) => name.to_owned(),
        None => table.to_owned(),
    }
}

/// Checks that no two tables share a folder, as `a.customers` and
/// `b.customers` would. Callers check this when they compile, too.
///
/// # Errors
/// [`Error::SameFolder`] for the first pair.
pub fn check_folders<'a>(tables: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let mut owners = BTreeMap::new();
    for table in tables {
        if let Some(first) = owners.insert(folder(table), table).filter(|first| *first != table) {
            return Err(Error::SameFolder {
                folder: folder(table),
                first: first.to_owned(),
                second: table.to_owned(),
            });
        }
    }
    Ok(())
}

/// Whether the folders show what `manifest` names.
///
/// # Errors
/// When the store refuses or fails.
pub(super) async fn is_current(location: &Location, manifest: &Manifest) -> Result<bool, Error> {
    let Some(publication) = &manifest.publication else {
        return Ok(true);
    };
    Ok(read_marker(location).await?.0.commit_id == publication.commit_id)
}

/// Makes the folders show what the manifest names. Does only what the marker
/// says is needed, and everything if there is no marker; safe to repeat. None
/// where there was nothing to do; else the caller marks it done.
///
/// # Errors
/// [`Error::LeaseLost`] if another run took over: then the marker says that
/// nothing is known, so that whoever comes next checks every folder. The same if the marker keeps
/// changing under us. [`Error::Behind`] names the folders that could not be
/// brought up to date; the others are.
pub(super) async fn refresh(
    showing: &Showing<'_>,
    planned: Planned,
) -> Result<Option<Refreshed>, Error> {
    let Showing { location, manifest, lock, .. } = *showing;
    let Some(publication) = &manifest.publication else {
        return Ok(None);
    };
    let wanted = wanted(manifest);
    let shown: BTreeMap<String, Shown> =
        wanted.iter().map(|(folder, want)| (folder.clone(), want.shown())).collect();
    let Some((marker, before)) = announce(showing, &publication.commit_id, &shown).await? else {
        return Ok(None);
    };
    // Commits first: what they replace is removed only when they stand.
    let mut failures = Failures::default();
    let done = async {
        let versions = commit(showing, planned, &marker, &shown, &mut failures).await?;
        bring_up(showing, &wanted, &marker, &mut failures).await?;
        Ok::<_, Error>(versions)
    };
    let done = done.await;
    if let Err(error) = lock.verify().await {
        // We may have been asleep between a check and a copy, and have put an
        // older file over a newer one.
        distrust(location, marker.changing(&shown)).await?;
        return Err(error);
    }
    let marker = Marker { commit_id: publication.commit_id.clone(), write_id: fresh_id(), shown };
    let versions = done?;
    failures.into_result(location)?;
    Ok(Some(Refreshed { marker, before, versions }))
}

/// Says in the marker which folders are about to change; returns what it said
/// before, and its version. None if they show the publication already.
async fn announce(
    showing: &Showing<'_>,
    commit_id: &str,
    shown: &BTreeMap<String, Shown>,
) -> Result<Option<(Marker, UpdateVersion)>, Error> {
    for _ in 0..MARKER_TRIES_MAX {
        let (marker, expect) = read_marker(showing.location).await?;
        if marker.commit_id == commit_id {
            return Ok(None);
        }
        showing.lock.verify().await?;
        let changing = marker.changing(shown);
        if let Some(version) = put_marker(showing.location, &changing, &expect).await? {
            return Ok(Some((marker, version)));
        }
    }
    Err(showing.lock.lost_to(None))
}

/// Empties the folders of days that are no longer published, and shows the sets
/// in those that the marker says are behind.
///
/// # Errors
/// The lock is lost, or cannot be asked for; what else fails is noted.
async fn bring_up(
    showing: &Showing<'_>,
    wanted: &BTreeMap<String, Want<'_>>,
    marker: &Marker,
    failures: &mut Failures,
) -> Result<(), Error> {
    let Showing { location, lock, .. } = *showing;
    let gone = marker.shown.iter().filter(|(folder, _)| !wanted.contains_key(*folder));
    for (folder, _) in gone.filter(|(_, shown)| shown.layout == Layout::Hive) {
        lock.verify().await?;
        let begun = Instant::now();
        let emptied = remove_parts(location, folder, 0).await;
        location.sweep(folder, Depth::All).await;
        failures.note(folder, begun, emptied)?;
    }
    let stale =
        wanted.iter().filter(|(folder, want)| marker.shown.get(*folder) != Some(&want.shown()));
    for (folder, want) in stale {
        // What a commit would have replaced stays where it has failed.
        if failures.has(table_of(folder)) {
            continue;
        }
        if failures.is_enough() {
            break;
        }
        lock.verify().await?;
        let begun = Instant::now();
        let shown = bring_up_one(location, folder, want, marker).await;
        failures.note(folder, begun, shown)?;
    }
    Ok(())
}

async fn bring_up_one(
    location: &Location,
    folder: &str,
    want: &Want<'_>,
    marker: &Marker,
) -> Result<(), Error> {
    match want.layout {
        Layout::Hive => show(location, folder, want.entry).await?,
        Layout::Delta if marker.is_delta(folder) || marker.is_new(folder) => {}
        Layout::Delta => remove_parts(location, folder, 0).await?,
    }
    if want.layout == Layout::Hive && marker.may_be_delta(folder) {
        remove_versions(location, folder).await?;
    }
    Ok(())
}

/// The folder of a table, by that of one of its days.
fn table_of(folder: &str) -> &str {
    folder.rsplit_once("/as_of=").map_or(folder, |(table, _)| table)
}

/// Says that nothing is known of the folders but that they are there: those of
/// `ours`, and what the marker names by now.
async fn distrust(location: &Location, ours: Marker) -> Result<(), Error> {
    let (there, _) = read_marker(location).await?;
    let mut shown = ours.shown;
    shown.extend(there.shown);
    shown.values_mut().for_each(|shown| shown.run_id = None);
    let marker = Marker { commit_id: String::new(), write_id: fresh_id(), shown };
    Ok(location.put(MARKER, manifest::to_json(&marker, location, MARKER)?).await?)
}

/// Says that the folders are current. False if somebody has touched the marker
/// since: then they may not be, and everything is to be looked at.
///
/// # Errors
/// When the store refuses or fails: then the next run looks again.
pub(super) async fn mark(location: &Location, refreshed: &Refreshed) -> Result<bool, Error> {
    let expect = Expect::Version(refreshed.before.clone());
    Ok(put_marker(location, &refreshed.marker, &expect).await?.is_some())
}

/// Commits to each Delta table that does not show what it should, by the
/// marker; returns their versions.
///
/// # Errors
/// The lock is lost; what else fails is noted.
async fn commit(
    showing: &Showing<'_>,
    mut planned: Planned,
    marker: &Marker,
    shown: &BTreeMap<String, Shown>,
    failures: &mut Failures,
) -> Result<BTreeMap<String, u64>, Error> {
    let folders = shown.iter().chain(&marker.shown);
    let folders = folders.filter(|(folder, with)| {
        with.layout == Layout::Delta && marker.shown.get(*folder) != shown.get(*folder)
    });
    let mut stale: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (folder, _) in folders {
        if let Some((name, day)) = folder.rsplit_once("/as_of=") {
            stale.entry(name).or_default().insert(day.to_owned());
        }
    }
    let mut versions = BTreeMap::new();
    for (name, days) in stale {
        if failures.is_enough() {
            break;
        }
        let stale = if marker.commit_id.is_empty() { Stale::All } else { Stale::Days(days) };
        let mut tables = showing.manifest.tables.keys().filter(|table| folder(table) == name);
        let table = tables.next().map_or(name, String::as_str);
        if showing.manifest.tables.contains_key(table)
            && showing.manifest.layout(table) == Layout::Hive
        {
            // It was a Delta table; its history is gone, or publishing had been refused.
            continue;
        }
        let begun = Instant::now();
        let version = match delta::show(showing, table, &stale, &mut planned).await {
            Ok(version) => version,
            Err(error) => {
                failures.note(name, begun, Err(error))?;
                continue;
            }
        };
        if showing.manifest.layout(table) == Layout::Delta {
            versions.extend(version.map(|version| (table.to_owned(), version)));
        }
    }
    Ok(versions)
}

/// What a folder is to show.
struct Want<'a> {
    entry: &'a Entry,
    layout: Layout,
}

impl Want<'_> {
    fn shown(&self) -> Shown {
        let Self { entry, layout } = self;
        let run_id = Some(entry.run_id.clone());
        Shown { run_id, files: entry.files.len(), layout: *layout }
    }
}

fn wanted(manifest: &Manifest) -> BTreeMap<String, Want<'_>> {
    manifest
        .entries()
        .map(|(table, day, entry)| {
            let want = Want { entry, layout: manifest.layout(table) };
            (format!("{}/as_of={day}", folder(table)), want)
        })
        .collect()
}

/// Removes parts from `folder` beyond those of `entry`, and puts its files there.
async fn show(location: &Location, folder: &str, entry: &Entry) -> Result<(), Error> {
    remove_parts(location, folder, entry.files.len()).await?;
    let copies = entry.files.iter().zip(0u32..).map(|(file, part)| {
        let target = format!("{folder}/{}", part_name(part));
        async move { location.copy(&file.path, &target).await }
    });
    let copies: Vec<_> = copies.collect();
    futures::stream::iter(copies)
        .buffer_unordered(COPIES_IN_FLIGHT_MAX)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(())
}

/// Removes our parts from number `from` on. Files of other names are not ours
/// and stay.
async fn remove_parts(location: &Location, folder: &str, from: usize) -> Result<(), Error> {
    let listed = location.list(folder).await?;
    let surplus: Vec<_> = listed
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| path.rsplit_once('/').is_some_and(|(parent, _)| parent == folder))
        .filter(|path| part_of(path).is_some_and(|part| part >= from))
        .collect();
    Ok(location.delete_all(&surplus).await?)
}

/// The number of a part of ours; None for files of others.
pub(super) fn part_of(path: &str) -> Option<usize> {
    let (_, name) = path.rsplit_once('/')?;
    name.strip_prefix("part-")?.strip_suffix(".parquet")?.parse().ok()
}

/// Removes the files of a Delta table that is one no more.
async fn remove_versions(location: &Location, folder: &str) -> Result<(), Error> {
    let listed = location.list(folder).await?.into_iter().map(|(path, _)| path);
    let left: Vec<String> = listed.filter(|path| delta::run_of(path).is_some()).collect();
    Ok(location.delete_all(&left).await?)
}
