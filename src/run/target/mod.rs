//! The place a run publishes to: who may, what is there, how it changes.
//!
//! ```text
//! Target::new(location, clock, times)          no request yet
//!   .claim(run_id)      probe → lock → fence → repair what a dead run left
//!     .journal()        record steps while they happen
//!     .upload(…)        stage files nobody can see
//!     .ready(…)         look whether it may be published
//!     .publish(…)       one conditional PUT, then the Hive folders
//!     .collect(…)       remove what nobody needs
//!     .release()        give the lock back
//! ```
//!
//! Reading order: `manifest` (what is published), `lease` and `lock` (who may publish),
//! `staging`, `publish`, `view` (Hive folders) with its `marker`, `delta`, `journal`, `gc`,
//! `verify`. None of them knows SQL or a cloud, and only `delta` knows Parquet.
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

mod claim;
mod clock;
mod delta;
mod error;
mod failures;
mod gc;
mod journal;
mod lease;
mod lock;
mod manifest;
mod marker;
mod probe;
mod publish;
mod seal;
mod staging;
mod verify;
mod versions;
mod view;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::storage::Location;

pub use claim::{Claim, Published, Ready, View};
pub use clock::{Clock, Day, Malformed, RunId};
pub use error::Error;
pub use gc::{GcPlan, Removal, Why};
pub use journal::{
    Journal, Merged, RUNS, Record, RunSummary, SourceFile, SourceListed, SourceRead, Status, Step,
};
pub use lease::{LEASE, Lease, LeaseState, Life, LockState, LockTimes};
pub use manifest::{
    CURRENT, Column, DataFile, Entry, FORMAT, Manifest, Publication, RunInfo, SourceInfo,
};
pub use publish::{OtherTables, Request};
pub use staging::{SETS, StagedTable, Upload, staged_path};
pub use verify::{Checked, Damage, Scope};
pub use view::{Layout, check_folders, folder};

use lock::Lock;

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

    /// Whether every file of `table` is there as it was written, to the byte.
    ///
    /// # Errors
    /// When the store refuses or fails.
    pub async fn is_whole(&self, table: &StagedTable) -> Result<bool, Error> {
        match self.check_content(&table.table, table.day, &table.files).await {
            Ok(()) => Ok(true),
            Err(Error::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// That every file of `table` is there as it was written, to the byte.
    ///
    /// # Errors
    /// [`Error::Damaged`] for the first that is not; the store's error.
    pub async fn check_content(
        &self,
        table: &str,
        day: Day,
        files: &[DataFile],
    ) -> Result<(), Error> {
        verify::check(&self.location, table, day, files).await
    }

    /// Reads every published file within `scope` and what other engines see of
    /// it, and compares both with the manifest.
    ///
    /// # Errors
    /// When the store refuses or fails; what is damaged is told in the result.
    pub async fn verify(&self, scope: &Scope) -> Result<Checked, Error> {
        verify::verify(self, scope).await
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

    /// Gives back the lock of `run_id`, whose answer never came when it took it.
    ///
    /// # Errors
    /// When the store refuses or fails: then the lock runs out by itself.
    pub async fn give_up(&self, run_id: &RunId) -> Result<(), Error> {
        lock::give_up(&self.location, run_id).await
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
        let mut claim = self.take(run_id).await?;
        claim.repair().await;
        Ok(claim)
    }

    /// Takes the lock for `run_id` and nothing else: [`Claim::repair`] is the
    /// caller's to do.
    ///
    /// # Errors
    /// As [`Target::claim`].
    pub async fn take(&self, run_id: RunId) -> Result<Claim, Error> {
        probe::check(&self.location).await?;
        let taken = Lock::take(&self.location, &run_id, &self.clock, self.times).await?;
        Ok(Claim {
            location: self.location.clone(),
            clock: self.clock.clone(),
            journal: Journal::new(&self.location, &run_id, &self.clock),
            run_id,
            lock: taken.lock,
            manifest: taken.manifest,
            version: taken.version,
            dead: taken.dead,
            behind: None,
        })
    }
}
