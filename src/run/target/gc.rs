//! Removes what nobody needs any more: old sets and what dead runs left.
//!
//! **Invariant:** a file the manifest names is never removed. It holds twice:
//! [`plan`] leaves named files out, and [`collect`] runs under the lock, checks
//! it again before each set, and checks each file against the manifest.
//!
//! A set is *superseded* when its run was published and some of its files are no
//! longer named; the last `keep_runs` of them stay. It is an *orphan* when its
//! run never published: orphans older than the last publication go, a younger
//! one stays, for `retry` may use what it staged. Of Delta tables goes what
//! `delta::expiry` finds.
//!
//! On a disk nothing behind a symbolic link is removed, for it may be anybody's;
//! the link is named instead.

use std::collections::{BTreeMap, BTreeSet};

use crate::storage::{Depth, Location, left_alone};

use super::clock::RunId;
use super::delta::{self, Expired};
use super::error::Error;
use super::lease::LEASE;
use super::lock::Lock;
use super::manifest::Manifest;
use super::probe::PROBES;
use super::staging::SETS;

/// Probes and clock marks of commands that died are removed after this.
const LEFTOVER_SECONDS_MAX: i64 = 3600;
const LEFTOVERS: [&str; 2] = [PROBES, "_tenure/clock"];

/// What a collection removes, to be shown before it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GcPlan {
    /// One entry a run that loses files, the newest run first.
    pub removals: Vec<Removal>,
    /// Commits and checkpoints of Delta tables that no version needs that is
    /// kept: path relative to the target, and size.
    pub logs: Vec<(String, u64)>,
}

impl GcPlan {
    /// Bytes that all removals together free.
    pub fn bytes(&self) -> u64 {
        let logs: u64 = self.logs.iter().map(|(_, bytes)| bytes).sum();
        logs + self.removals.iter().map(|removal| removal.bytes).sum::<u64>()
    }

    /// Number of files that all removals together delete.
    pub fn files(&self) -> usize {
        self.logs.len() + self.removals.iter().map(|removal| removal.files.len()).sum::<usize>()
    }
}

impl GcPlan {
    /// Adds a file of a Delta table to what its run loses.
    fn add(&mut self, file: Expired) {
        let Some(run_id) = file.run_id else {
            return self.logs.push((file.path, file.bytes));
        };
        let place = self.removals.iter().position(|removal| removal.run_id <= run_id);
        let place = place.unwrap_or(self.removals.len());
        if self.removals.get(place).is_none_or(|removal| removal.run_id != run_id) {
            let why = Why::Superseded;
            self.removals.insert(place, Removal { run_id, why, files: Vec::new(), bytes: 0 });
        }
        self.removals[place].files.push(file.path);
        self.removals[place].bytes += file.bytes;
    }
}

/// The files of one run that go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// The run that staged the files.
    pub run_id: RunId,
    /// What makes the files unneeded.
    pub why: Why,
    /// Relative to the target.
    pub files: Vec<String>,
    /// Size of these files together.
    pub bytes: u64,
}

/// Why a run's files are not needed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Published once, replaced since, and older than `keep_runs` allow.
    Superseded,
    /// Staged by a run that never published.
    Orphan,
}

/// Run → its files and their sizes.
type Sets = BTreeMap<RunId, Vec<(String, u64)>>;

/// What to remove, given what is there. Pure.
fn plan(manifest: &Manifest, sets: Sets, keep_runs: usize, working: Option<&RunId>) -> GcPlan {
    let named: BTreeSet<&str> = manifest.named_files().map(|file| file.path.as_str()).collect();
    let published: BTreeSet<&RunId> = manifest.history.iter().chain(manifest.runs.keys()).collect();
    let last_published = manifest.publication.as_ref().map(|publication| &publication.run_id);
    let mut kept = 0;
    let mut removals = Vec::new();
    for (run_id, files) in sets.into_iter().rev() {
        let (files, sizes): (Vec<_>, Vec<_>) =
            files.into_iter().filter(|(path, _)| !named.contains(path.as_str())).unzip();
        if working == Some(&run_id) || files.is_empty() && published.contains(&run_id) {
            continue;
        }
        let why = if published.contains(&run_id) {
            kept += 1;
            if kept <= keep_runs {
                continue;
            }
            Why::Superseded
        } else {
            if last_published.is_none_or(|last| run_id > *last) {
                continue;
            }
            Why::Orphan
        };
        removals.push(Removal { run_id, why, files, bytes: sizes.iter().sum() });
    }
    GcPlan { removals, logs: Vec::new() }
}

/// Looks at the target and plans.
///
/// # Errors
/// When the store refuses or fails.
pub(super) async fn look(
    location: &Location,
    manifest: &Manifest,
    keep_runs: usize,
    working: Option<&RunId>,
) -> Result<GcPlan, Error> {
    let mut sets = Sets::new();
    // By folders too: on a disk a set may hold nothing but temporary files.
    for name in location.folders(SETS).await? {
        if location.link_at(&format!("{SETS}/{name}")).is_some() {
            continue;
        }
        if let Ok(run_id) = name.parse() {
            sets.entry(run_id).or_default();
        }
    }
    for (path, meta) in location.list_own(SETS).await? {
        let run =
            path.strip_prefix(SETS).and_then(|rest| rest.trim_start_matches('/').split('/').next());
        if let Some(Ok(run_id)) = run.map(str::parse) {
            sets.entry(run_id).or_default().push((path, meta.size));
        }
    }
    let mut plan = plan(manifest, sets, keep_runs, working);
    // The store's time: a working run keeps its lease young.
    if let Some(lease) = location.head(LEASE).await? {
        let expired = delta::expired(location, manifest, keep_runs, lease.last_modified).await?;
        own(location, expired).into_iter().for_each(|file| plan.add(file));
    }
    Ok(plan)
}

/// Without what a symbolic link leads to.
fn own(location: &Location, files: Vec<Expired>) -> Vec<Expired> {
    let mut links = BTreeSet::new();
    let own = files.into_iter().filter(|file| match location.link_above(&file.path) {
        Some(link) => {
            links.insert(link);
            false
        }
        None => true,
    });
    let own = own.collect();
    links.iter().for_each(|link| left_alone(link));
    own
}

/// Removes what `plan` lists.
///
/// # Errors
/// [`Error::LeaseLost`] if another run took over; the store's error otherwise.
/// What was removed until then stays removed, and repeating is safe.
pub(super) async fn collect(
    location: &Location,
    plan: &GcPlan,
    manifest: &Manifest,
    lock: &Lock,
) -> Result<(), Error> {
    let named: BTreeSet<&str> = manifest.named_files().map(|file| file.path.as_str()).collect();
    for removal in &plan.removals {
        // A run that took over might use these files; so ask each time.
        lock.verify().await?;
        let files: Vec<_> =
            removal.files.iter().filter(|file| !named.contains(file.as_str())).cloned().collect();
        location.delete_all(&files).await?;
        location.sweep(&format!("{SETS}/{}", removal.run_id), Depth::All).await;
    }
    let logs: Vec<String> = plan.logs.iter().map(|(path, _)| path.clone()).collect();
    if !logs.is_empty() {
        lock.verify().await?;
        location.delete_all(&logs).await?;
    }
    remove_leftovers(location).await
}

/// Removes probes and clock marks of commands that died. Their age is judged
/// against our own lease, which the heartbeat keeps young.
async fn remove_leftovers(location: &Location) -> Result<(), Error> {
    let Some(lease) = location.head(LEASE).await? else {
        return Ok(());
    };
    for folder in LEFTOVERS {
        let listed = location.list_own(folder).await?;
        let old: Vec<_> = listed
            .into_iter()
            .filter(|(_, meta)| {
                (lease.last_modified - meta.last_modified).num_seconds() > LEFTOVER_SECONDS_MAX
            })
            .map(|(path, _)| path)
            .collect();
        location.delete_all(&old).await?;
    }
    Ok(())
}
