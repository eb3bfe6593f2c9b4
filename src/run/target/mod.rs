//! The place a run publishes to: who may, what is there, how it changes.
//!
//! ```text
//! Target::new(location, clock, times)          no request yet
//!   .claim(run_id)      probe → lock → fence → repair what a dead run left
//!     .journal()        record steps while they happen
//!     .upload(…)        stage files nobody can see
//!     .publish(…)       one conditional PUT, then the Hive folders
//!     .collect(…)       remove what nobody needs
//!     .release()        give the lock back
//! ```
//!
//! Reading order: `manifest` (what is published), `lease` and `lock` (who may
//! publish),
//! `staging`, `publish`, `view` (Hive folders), `delta`, `journal`, `gc`. None of
//! them knows SQL or a cloud, and only `delta` knows Parquet.
//!
//! ```text
//! _tenure/current.json        the manifest: what is published
//! _tenure/lease.json          who is working
//! _tenure/view.json           which publication the Hive folders show
//! _tenure/sets/<run>/<table>/as_of=<day>/part-00000.parquet
//! _tenure/runs/<run>/000000.json, …, summary.json
//! <name>/as_of=<day>/part-00000.parquet        the Hive folders
//! <name>/_delta_log/…, <name>/as_of=<day>/part-00000-<run>.parquet   or a Delta table
//! ```

mod clock;
mod delta;
mod error;
mod gc;
mod journal;
mod lease;
mod lock;
mod manifest;
mod probe;
mod publish;
mod staging;
mod versions;
mod view;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use object_store::UpdateVersion;

use crate::storage::{Depth, Expect, Location, Settled};

pub use clock::{Clock, Day, Malformed, RunId};
pub use error::Error;
pub use gc::{GcPlan, Removal, Why};
pub use journal::{
    Journal, RUNS, Record, RunSummary, SourceFile, SourceListed, SourceRead, Status, Step,
};
pub use lease::{LEASE, Lease, LeaseState, Life, LockState, LockTimes};
pub use manifest::{
    CURRENT, Column, DataFile, Entry, FORMAT, Manifest, Publication, RunInfo, SourceInfo,
};
pub use publish::{OtherTables, Request};
pub use staging::{SETS, StagedTable, Upload, staged_path};
pub use view::{Layout, check_folders, folder};

use lock::Lock;
use manifest::Purpose;
use publish::Committed;

/// A place to publish to. Making one makes no request.
#[derive(Clone, Debug)]
pub struct Target {
    location: Location,
    clock: Clock,
    times: LockTimes,
}

/// Whether a table is the rows of a source that were set aside.
pub fn is_quarantine(table: &str) -> bool {
    table.starts_with("quarantine.")
}

/// How to remove a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlock {
    /// Only if its holder is dead.
    Dead,
    /// Also if it seems alive; then it cannot publish any more.
    Anyway,
}

impl Target {
    /// A target at `location`, for runs whose records go by `clock` and whose locks
    /// last as `times` say. Makes no request.
    pub fn new(location: Location, clock: Clock, times: LockTimes) -> Self {
        Self { location, clock, times }
    }

    /// The place and store everything of this target is in.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// What is published; None where nobody has worked yet.
    ///
    /// # Errors
    /// When it cannot be read, or a newer version wrote it.
    pub async fn manifest(&self) -> Result<Option<Manifest>, Error> {
        manifest::read(&self.location).await
    }

    /// Whether the Hive folders show what the manifest names. If not, the next
    /// run repairs them.
    ///
    /// # Errors
    /// When the store refuses or fails.
    pub async fn view_is_current(&self) -> Result<bool, Error> {
        match self.manifest().await? {
            Some(manifest) => self.shows(&manifest).await,
            None => Ok(true),
        }
    }

    /// Whether the Hive folders show what `manifest` names.
    ///
    /// # Errors
    /// When the store refuses or fails.
    pub async fn shows(&self, manifest: &Manifest) -> Result<bool, Error> {
        view::is_current(&self.location, manifest).await
    }

    /// The tables of a day that lack a file, or have one of another size.
    ///
    /// # Errors
    /// When the store refuses or fails.
    pub async fn incomplete(
        &self,
        manifest: &Manifest,
        day: Day,
    ) -> Result<BTreeSet<String>, Error> {
        staging::incomplete(&self.location, manifest.on(day)).await
    }

    /// Whether every file of `table` is there with the size that was written.
    ///
    /// # Errors
    /// When the store refuses or fails.
    pub async fn is_whole(&self, table: &StagedTable) -> Result<bool, Error> {
        match staging::verify(&self.location, std::slice::from_ref(table)).await {
            Ok(()) => Ok(true),
            Err(Error::NotStaged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The journal of a run that needs no lock: it publishes nothing.
    pub fn journal(&self, run_id: &RunId) -> Journal {
        Journal::new(&self.location, run_id, &self.clock)
    }

    /// The last `limit` runs, newest first.
    ///
    /// # Errors
    /// When the store refuses or fails.
    pub async fn runs(&self, limit: usize) -> Result<Vec<RunSummary>, Error> {
        let manifest = self.manifest().await?.unwrap_or_else(Manifest::empty);
        let working = self.working().await?;
        journal::runs(&self.location, &manifest.history, &manifest.runs, working.as_ref(), limit)
            .await
    }

    /// The steps of one run, in order; empty for a run that is not known.
    ///
    /// # Errors
    /// When the store refuses or fails.
    pub async fn steps(&self, run_id: &RunId) -> Result<Vec<Record>, Error> {
        journal::read(&self.location, run_id).await
    }

    /// The run that seems to be at work. Needs no right to write.
    ///
    /// # Errors
    /// When the store refuses or fails.
    pub async fn working(&self) -> Result<Option<RunId>, Error> {
        lease::working(&self.location, self.clock.now()).await
    }

    /// The version of a Delta table that shows what `run_id` published, or what
    /// is published now; None if there is none, or the table's log does not reach
    /// back so far.
    ///
    /// # Errors
    /// When the store refuses or fails.
    pub async fn delta_version(
        &self,
        table: &str,
        run_id: Option<&RunId>,
    ) -> Result<Option<u64>, Error> {
        let Some(manifest) = self.manifest().await? else { return Ok(None) };
        match run_id {
            Some(run_id) => versions::of_run(&self.location, &manifest, table, run_id).await,
            None => Ok(manifest.delta.get(table).copied()),
        }
    }

    /// The lock as it looks from outside; None if there never was one.
    ///
    /// # Errors
    /// When the store refuses or fails. Judging a holder's age needs the right
    /// to write: the store's time is what it says of an object just written.
    pub async fn lock_state(&self) -> Result<Option<LockState>, Error> {
        lease::look(&self.location).await
    }

    /// Removes a lock; tells which was removed, None if there was none to remove.
    ///
    /// # Errors
    /// [`Error::Locked`] if its holder is alive and `how` spares the living.
    pub async fn unlock(&self, how: Unlock) -> Result<Option<Lease>, Error> {
        let Some(state) = self.lock_state().await? else {
            return Ok(None);
        };
        match (state.life, how) {
            (Life::Released, _) => Ok(None),
            (Life::Alive, Unlock::Dead) => Err(Error::Locked {
                url: self.location.url().to_owned(),
                holder: Box::new(state.lease),
            }),
            (Life::Dead, _) | (Life::Alive, Unlock::Anyway) => {
                lock::break_lease(&self.location, &state).await?;
                Ok(Some(state.lease))
            }
        }
    }

    /// What a collection would remove now.
    ///
    /// # Errors
    /// When the store refuses or fails.
    pub async fn garbage(&self, keep_runs: usize) -> Result<GcPlan, Error> {
        let Some(manifest) = self.manifest().await? else {
            return Ok(GcPlan::default());
        };
        let working = self.working().await?;
        gc::look(&self.location, &manifest, keep_runs, working.as_ref()).await
    }

    /// Takes the lock for `run_id` and repairs what a dead run left undone.
    ///
    /// # Errors
    /// [`Error::Locked`] (exit code 4) while another run works here;
    /// [`Error::NoConditionalWrites`] if the store cannot be trusted with it.
    pub async fn claim(&self, run_id: RunId) -> Result<Claim, Error> {
        probe::check(&self.location).await?;
        let taken = Lock::take(&self.location, &run_id, &self.clock, self.times).await?;
        let mut claim = Claim {
            location: self.location.clone(),
            clock: self.clock.clone(),
            journal: Journal::new(&self.location, &run_id, &self.clock),
            run_id,
            lock: taken.lock,
            manifest: taken.manifest,
            version: taken.version,
        };
        claim.repair(taken.dead.as_ref()).await;
        Ok(claim)
    }
}

/// The right to publish to a target, until released, lost or dropped.
///
/// Dropping it without [`Claim::release`] is what a crash does: the lock stays
/// until it runs out (on a local disk it is free at once).
pub struct Claim {
    location: Location,
    clock: Clock,
    run_id: RunId,
    lock: Lock,
    /// The manifest as we last wrote it; nobody else can have changed it
    /// without making `version` stale.
    manifest: Manifest,
    version: UpdateVersion,
    journal: Journal,
}

/// What was published, and how the tables' folders are.
#[derive(Debug)]
pub struct Published {
    /// Id of the publication, as the manifest has it.
    pub commit_id: String,
    /// Epoch of the manifest that was written.
    pub epoch: u64,
    /// Whether the Hive folders show this publication.
    pub view: View,
}

/// The tables' folders after publishing.
#[derive(Debug)]
pub enum View {
    /// The folders show what was just published.
    Current,
    /// The publication stands, but the folders still show (parts of) the one
    /// before. The next run repairs them.
    Behind(Error),
}

impl Claim {
    /// The run that holds the lock.
    pub fn run_id(&self) -> &RunId {
        &self.run_id
    }

    /// The lease as it was when the lock was taken; heartbeats do not show here.
    pub fn lease(&self) -> &Lease {
        self.lock.lease()
    }

    /// What is published at this moment.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where this run records its steps.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// True once a heartbeat has found that another run took over: working on
    /// is a waste. Publishing is safe without asking.
    pub fn is_lost(&self) -> bool {
        self.lock.is_lost()
    }

    /// Says early if a table cannot be laid out as it is to be.
    ///
    /// # Errors
    /// [`Error::Delta`] for the first that cannot; the store's error.
    pub async fn admit(&self, layouts: &BTreeMap<String, Layout>) -> Result<(), Error> {
        delta::admit(&self.location, &self.manifest, layouts).await
    }

    /// Opens a file of the set for writing; parts of a table count from 0.
    pub fn upload(&self, table: &str, day: Day, part: u32) -> Upload {
        Upload::open(&self.location, &staged_path(&self.run_id, table, day, part))
    }

    /// Makes a table that an earlier run staged part of this run's set. Its
    /// files are copied within the store, so that each set stands by itself
    /// and the other may be removed.
    ///
    /// # Errors
    /// When the store refuses or fails, or a file is gone.
    pub async fn adopt(&self, table: &StagedTable) -> Result<StagedTable, Error> {
        let mut files = Vec::with_capacity(table.files.len());
        for (file, part) in table.files.iter().zip(0u32..) {
            let path = staged_path(&self.run_id, &table.table, table.day, part);
            self.location.copy(&file.path, &path).await?;
            files.push(DataFile { path, ..file.clone() });
        }
        Ok(StagedTable { files, ..table.clone() })
    }

    /// Publishes a set, all of it or nothing, then refreshes the Hive folders
    /// and notes it in the journal.
    ///
    /// # Errors
    /// Nothing was published, except that a store which never gave a definite
    /// answer leaves it open: `manifest().publication` will tell.
    pub async fn publish(&mut self, request: &Request) -> Result<Published, Error> {
        delta::admit(&self.location, &self.manifest, &request.layouts).await?;
        let mut next = publish::next(&self.manifest, &self.run_id, self.clock.now(), request)?;
        let planned = delta::plan(&self.location, &self.manifest, &mut next).await?;
        let committed =
            publish::commit(&self.location, &next, &self.version, &request.tables, &self.run_id)
                .await?;
        let commit_id = next.publication.as_ref().map(|publication| publication.commit_id.clone());
        let commit_id = commit_id.unwrap_or_default();
        let epoch = next.epoch;
        self.manifest = next;
        // From here on the publication stands: what fails now must not be told
        // as if it did not.
        self.note(request, &commit_id).await;
        let view = match committed {
            Committed::Overtaken => View::Behind(self.lock.lost_to(None)),
            Committed::Current(version) => {
                self.version = version;
                match self.show(planned).await {
                    Ok(()) => View::Current,
                    Err(error) => View::Behind(error),
                }
            }
        };
        Ok(Published { commit_id, epoch, view })
    }

    /// What a collection would remove now.
    ///
    /// # Errors
    /// When the store refuses or fails.
    pub async fn garbage(&self, keep_runs: usize) -> Result<GcPlan, Error> {
        gc::look(&self.location, &self.manifest, keep_runs, Some(&self.run_id)).await
    }

    /// Removes what `plan` lists.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if another run took over; else the store's error.
    /// Repeating is safe.
    pub async fn collect(&self, plan: &GcPlan) -> Result<(), Error> {
        gc::collect(&self.location, plan, &self.manifest, &self.lock).await
    }

    /// Gives the lock back; also to be called when a run has failed.
    pub async fn release(self) {
        self.lock.release().await;
    }

    /// Finishes what a dead run left: temporary files and the Hive folders.
    /// Neither touches what the manifest names, and neither must keep a run
    /// from working: publishing refreshes the folders anyway.
    async fn repair(&mut self, dead: Option<&RunId>) {
        if let Some(run_id) = dead {
            tracing::info!(%run_id, "cleaning up after a run that died");
            self.location.sweep("_tenure", Depth::Folder).await;
            self.location.sweep(&format!("{RUNS}/{run_id}"), Depth::All).await;
            for table in self.manifest.tables.keys() {
                self.location.sweep(&folder(table), Depth::All).await;
            }
        }
        if let Err(error) = self.show(delta::Planned::default()).await {
            tracing::warn!(%error, "the tables' folders could not be repaired; the next publication does it");
        }
    }

    /// Makes the folders show what is published. If somebody touches the marker
    /// meanwhile, all folders are looked at again.
    async fn show(&mut self, mut planned: delta::Planned) -> Result<(), Error> {
        for _ in 0..view::MARKER_TRIES_MAX {
            if self.show_once(std::mem::take(&mut planned)).await? {
                return Ok(());
            }
        }
        Err(self.lock.lost_to(None))
    }

    /// Brings the folders up to date, and makes the manifest say which versions
    /// of Delta tables show it. Whether the marker could be set.
    async fn show_once(&mut self, planned: delta::Planned) -> Result<bool, Error> {
        let showing = delta::Showing {
            location: &self.location,
            manifest: &self.manifest,
            lock: &self.lock,
            now: self.clock.now(),
        };
        let Some(shown) = view::refresh(&showing, planned).await? else {
            return Ok(true);
        };
        let is_named = |(table, version)| self.manifest.delta.get(table) == Some(version);
        if !shown.versions.iter().all(is_named) {
            let corrected = self.manifest.corrected(shown.versions.clone());
            let expect = Expect::Version(self.version.clone());
            let written =
                manifest::write(&self.location, &corrected, &expect, Purpose::Fence).await?;
            let Settled::Written(version) = written else {
                return Err(self.lock.lost_to(None));
            };
            (self.manifest, self.version) = (corrected, version);
        }
        view::mark(&self.location, &shown).await
    }

    async fn note(&self, request: &Request, commit_id: &str) {
        // What was set aside is counted where its source is.
        let counted = || request.tables.iter().filter(|staged| !is_quarantine(&staged.table));
        let step = Step::Published {
            commit_id: commit_id.to_owned(),
            epoch: self.manifest.epoch,
            tables: counted().count() as u64,
            rows: counted().map(StagedTable::rows).sum(),
            bytes: counted().map(StagedTable::bytes).sum(),
        };
        if let Err(error) = self.journal.record(step).await {
            tracing::warn!(%error, "the journal lacks that this run has published; the manifest knows");
        }
    }
}
