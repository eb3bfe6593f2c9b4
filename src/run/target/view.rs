//! The Hive folders: what is published, laid out for every other engine.
//!
//! `metrics.cohort_retention` on a day is `cohort_retention/as_of=DAY/part-00000.parquet`,
//! always under the same names. The folders are a copy of what the manifest
//! names: hard links on a disk, the store's own copies elsewhere.
//!
//! **Invariant:** a file of the view is a whole, audited file at any instant
//! (copies replace whole). Files of one refresh change one after another, so
//! only the manifest shows sets; the marker says which publication the folders
//! show, and whoever finds it behind repairs them.
//!
//! Stores copy objects of at most 5 GB in one request; tables are written in
//! smaller parts.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use crate::storage::{Depth, Location};

use super::clock::RunId;
use super::error::Error;
use super::lock::Lock;
use super::manifest::{self, Entry, Manifest};
use super::staging::part_name;

/// Says which publication the folders show.
pub const MARKER: &str = "_tenure/view.json";

const COPIES_IN_FLIGHT_MAX: usize = 8;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Marker {
    commit_id: String,
    /// `cohort_retention/as_of=2026-11-20` → what it shows.
    shown: BTreeMap<String, Shown>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Shown {
    run_id: RunId,
    files: usize,
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
    Ok(read_marker(location).await?.is_some_and(|marker| marker.commit_id == publication.commit_id))
}

/// Makes the folders show what `manifest` names. Does only what the marker
/// says is needed, and everything if there is no marker; safe to repeat.
///
/// # Errors
/// [`Error::LeaseLost`] if another run took over: then the marker is removed,
/// so that whoever comes next checks every folder.
pub(super) async fn refresh(
    location: &Location,
    manifest: &Manifest,
    lock: &Lock,
) -> Result<(), Error> {
    let Some(publication) = &manifest.publication else {
        return Ok(());
    };
    let marker = read_marker(location).await?.unwrap_or_default();
    if marker.commit_id == publication.commit_id {
        return Ok(());
    }
    let wanted = wanted(manifest);
    for (folder, entry) in &wanted {
        if marker.shown.get(folder) != Some(&shown(entry)) {
            lock.verify().await?;
            show(location, folder, entry).await?;
        }
    }
    for folder in marker.shown.keys().filter(|folder| !wanted.contains_key(*folder)) {
        lock.verify().await?;
        remove_parts(location, folder, 0).await?;
        location.sweep(folder, Depth::All).await;
    }
    if let Err(error) = lock.verify().await {
        // We may have been asleep between a check and a copy, and have put an
        // older file over a newer one.
        location.delete(MARKER).await?;
        return Err(error);
    }
    let shown = wanted.iter().map(|(folder, entry)| (folder.clone(), shown(entry))).collect();
    let marker = Marker { commit_id: publication.commit_id.clone(), shown };
    location.put(MARKER, manifest::to_json(&marker, location, MARKER)?).await?;
    Ok(())
}

fn wanted(manifest: &Manifest) -> BTreeMap<String, &Entry> {
    manifest
        .entries()
        .map(|(table, day, entry)| (format!("{}/as_of={day}", folder(table)), entry))
        .collect()
}

fn shown(entry: &Entry) -> Shown {
    Shown { run_id: entry.run_id.clone(), files: entry.files.len() }
}

/// Puts the files of `entry` into `folder`, and removes parts beyond them.
async fn show(location: &Location, folder: &str, entry: &Entry) -> Result<(), Error> {
    let copies = entry.files.iter().zip(0u32..).map(|(file, part)| {
        let target = format!("{folder}/{}", part_name(part));
        async move { location.copy(&file.path, &target).await }
    });
    let copies: Vec<_> = copies.collect();
    futures::stream::iter(copies)
        .buffer_unordered(COPIES_IN_FLIGHT_MAX)
        .try_collect::<Vec<()>>()
        .await?;
    remove_parts(location, folder, entry.files.len()).await
}

/// Removes our parts from number `from` on. Files of other names are not ours
/// and stay.
async fn remove_parts(location: &Location, folder: &str, from: usize) -> Result<(), Error> {
    let listed = location.list(folder).await?;
    let surplus: Vec<_> = listed
        .into_iter()
        .filter_map(|(path, _)| {
            let name = path.strip_prefix(folder)?.strip_prefix('/')?;
            let number = name.strip_prefix("part-")?.strip_suffix(".parquet")?;
            (number.parse::<usize>().ok()? >= from).then_some(path)
        })
        .collect();
    Ok(location.delete_all(&surplus).await?)
}

/// A marker that cannot be read counts as none: then every folder is checked.
async fn read_marker(location: &Location) -> Result<Option<Marker>, Error> {
    let Some(content) = location.get(MARKER).await? else {
        return Ok(None);
    };
    Ok(serde_json::from_slice(&content).ok())
}
