//! What a run may do while it holds the lock: stage, publish, clean up.
//!
//! **Invariant:** nothing here is believed because we held the lock a moment
//! ago. The manifest is replaced only as the version we know, and the folders
//! are said to be current only if nobody has touched them since.

use std::collections::BTreeMap;

use object_store::UpdateVersion;

use crate::storage::{Depth, Expect, Location, Settled};

use super::clock::{Clock, Day, RunId};
use super::delta;
use super::error::Error;
use super::gc::{self, GcPlan};
use super::is_quarantine;
use super::journal::{Journal, RUNS, Step};
use super::lease::Lease;
use super::lock::Lock;
use super::manifest::{self, DataFile, Manifest, Purpose};
use super::publish::{self, Committed, Request};
use super::staging::{self, StagedTable, Upload, staged_path};
use super::view::{self, Layout, folder};

/// The right to publish to a target, until released, lost or dropped.
///
/// Dropping it without [`Claim::release`] is what a crash does: the lock stays
/// until it runs out (on a local disk it is free at once).
pub struct Claim {
    pub(super) location: Location,
    pub(super) clock: Clock,
    pub(super) run_id: RunId,
    pub(super) lock: Lock,
    /// The manifest as we last wrote it; nobody else can have changed it
    /// without making `version` stale.
    pub(super) manifest: Manifest,
    pub(super) version: UpdateVersion,
    pub(super) journal: Journal,
    /// The run before, if it died with the lock in hand.
    pub(super) dead: Option<RunId>,
    /// Why the folders were behind when the lock was taken, and still are.
    pub(super) behind: Option<Error>,
}

/// A publication that nothing stands against, not written yet.
pub struct Ready {
    next: Manifest,
    planned: delta::Planned,
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
    /// They were behind already when this run began, and it could not bring
    /// them up to date either: somebody has to look.
    StillBehind(Error),
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

    /// That no heartbeat has found another run in our place: working on would be
    /// a waste. Asks nobody as long as that is so; publishing is safe anyway.
    ///
    /// # Errors
    /// [`Error::LeaseLost`], or the store's error.
    pub async fn check(&self) -> Result<(), Error> {
        if self.lock.is_lost() { self.lock.verify().await } else { Ok(()) }
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

    /// Looks whether a set may be published, and what the manifest will say.
    /// Changes nothing: it may be dropped at any time.
    ///
    /// # Errors
    /// [`Error::NotStaged`] for a file that is not there as it was written; a
    /// table that cannot be laid out as it is to be; the store's error.
    pub async fn ready(&self, request: &Request) -> Result<Ready, Error> {
        delta::admit(&self.location, &self.manifest, &request.layouts).await?;
        let mut next = publish::next(&self.manifest, &self.run_id, self.clock.now(), request)?;
        let planned = delta::plan(&self.location, &self.manifest, &mut next).await?;
        staging::verify(&self.location, &request.tables).await?;
        Ok(Ready { next, planned })
    }

    /// Publishes a set, all of it or nothing, then refreshes the Hive folders
    /// and notes it in the journal. To be brought to its end: a request to
    /// publish cannot be called back.
    ///
    /// # Errors
    /// Nothing was published, except that a store which never gave a definite
    /// answer leaves it open: `manifest().publication` will tell.
    pub async fn publish(&mut self, request: &Request, ready: Ready) -> Result<Published, Error> {
        let Ready { next, planned } = ready;
        let committed = publish::commit(&self.location, &next, &self.version, &self.run_id).await?;
        let commit_id = next.publication.as_ref().map(|publication| publication.commit_id.clone());
        let commit_id = commit_id.unwrap_or_default();
        let epoch = next.epoch;
        let withdrawn = request.withdrawn(&self.manifest);
        self.manifest = next;
        // From here on the publication stands: what fails now must not be told
        // as if it did not.
        self.note(request, &commit_id, withdrawn).await;
        let view = match committed {
            Committed::Overtaken => View::Behind(self.lock.lost_to(None)),
            Committed::Current(version) => {
                self.version = version;
                let before = self.behind.take();
                match self.show(planned).await {
                    Ok(()) => View::Current,
                    Err(error @ Error::Behind { .. }) if before.is_some() => {
                        View::StillBehind(error)
                    }
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

    /// Why the folders were behind when the lock was taken and still are, for a
    /// command that publishes nothing; None where they show what is published.
    pub fn behind(&self) -> Option<&Error> {
        self.behind.as_ref()
    }

    /// Finishes what a dead run left: temporary files and the Hive folders.
    /// Neither touches what the manifest names, and neither must keep a run
    /// from working: publishing refreshes the folders anyway.
    pub async fn repair(&mut self) {
        if let Some(run_id) = self.dead.take() {
            tracing::info!(%run_id, "cleaning up after a run that died");
            self.location.sweep("_tenure", Depth::Folder).await;
            self.location.sweep(&format!("{RUNS}/{run_id}"), Depth::All).await;
            for table in self.manifest.tables.keys() {
                self.location.sweep(&folder(table), Depth::All).await;
            }
        }
        if let Err(error) = self.show(delta::Planned::default()).await {
            tracing::info!(%error, "the folders of the tables could not be brought up to date");
            self.behind = Some(error);
        }
    }

    /// Makes the folders show what is published. If somebody touches the marker
    /// meanwhile, all folders are looked at again.
    pub(super) async fn show(&mut self, mut planned: delta::Planned) -> Result<(), Error> {
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

    async fn note(&self, request: &Request, commit_id: &str, withdrawn: usize) {
        // What was set aside is counted where its source is.
        let counted = || request.tables.iter().filter(|staged| !is_quarantine(&staged.table));
        let step = Step::Published {
            commit_id: commit_id.to_owned(),
            epoch: self.manifest.epoch,
            tables: counted().count() as u64,
            rows: counted().map(StagedTable::rows).sum(),
            bytes: counted().map(StagedTable::bytes).sum(),
            withdrawn: withdrawn as u64,
        };
        if let Err(error) = self.journal.record(step).await {
            tracing::warn!(%error, "the journal lacks that this run has published; the manifest knows");
        }
    }
}
