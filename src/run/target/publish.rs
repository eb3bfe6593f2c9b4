//! The act of publishing: one conditional PUT.
//!
//! **Invariant:** before [`commit`] nothing a reader can see has changed, after
//! it everything has. In between there is only the PUT of the manifest, and if
//! its answer is in doubt, the manifest itself is asked.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use object_store::UpdateVersion;
use serde_json::Value;

use crate::storage::{Expect, Location, Settled};

use super::clock::RunId;
use super::error::Error;
use super::is_quarantine;
use super::manifest::{
    self, Entry, Manifest, Publication, Purpose, RunInfo, recipes_key, schema_key,
};
use super::staging::StagedTable;
use super::view::{self, Layout};

/// What a run publishes.
#[derive(Clone, Debug)]
pub struct Request {
    /// What the run was asked to do and from what; kept in the manifest.
    pub info: RunInfo,
    /// Each replaces its table on its day; other days stay as they are.
    pub tables: Vec<StagedTable>,
    /// What becomes of this day's tables that are not in `tables`.
    pub others: OtherTables,
    /// Checks that hold on this day, and what they looked at.
    pub checks: BTreeMap<String, String>,
    /// How the tables of the pipeline are laid out, those it carries on among
    /// them.
    pub layouts: BTreeMap<String, Layout>,
    /// What the tables were made from; kept once for all days that share it.
    pub recipes: Option<Value>,
}

impl Request {
    /// Number of tables that `base` has on this day and that come to an end with
    /// this request; rows set aside do not count.
    pub(super) fn withdrawn(&self, base: &Manifest) -> usize {
        match &self.others {
            OtherTables::Carry => 0,
            OtherTables::Drop(names) => {
                let tables = names.iter().filter(|name| !is_quarantine(name));
                tables.filter(|name| base.entry(name, self.info.as_of).is_some()).count()
            }
        }
    }
}

/// What becomes of tables on this day that the run did not make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OtherTables {
    /// They stay. For a partial run only right if the caller found sources,
    /// parameters and version unchanged.
    Carry,
    /// These are dropped on the run's day: they would contradict the new ones.
    Drop(BTreeSet<String>),
}

/// How an attempt to publish ended.
pub(super) enum Committed {
    /// The manifest is ours, as this version.
    Current(UpdateVersion),
    /// We published, and meanwhile another run has taken the lock.
    Overtaken,
}

/// The manifest that `request` makes of `base`. Pure.
///
/// # Errors
/// [`Error::SameFolder`] if two published tables would share a Hive folder.
pub(super) fn next(
    base: &Manifest,
    run_id: &RunId,
    published_at: DateTime<Utc>,
    request: &Request,
) -> Result<Manifest, Error> {
    let mut next = base.clone();
    if let OtherTables::Drop(names) = &request.others {
        for name in names {
            next.tables.entry(name.clone()).or_default().remove(&request.info.as_of);
        }
    }
    for staged in &request.tables {
        let schema = schema_key(&staged.schema);
        let entry = Entry {
            files: staged.files.clone(),
            rows: staged.rows(),
            bytes: staged.bytes(),
            schema: schema.clone(),
            grain: staged.grain.clone(),
            run_id: run_id.clone(),
            fingerprint: staged.fingerprint.clone(),
            more: BTreeMap::new(),
        };
        next.schemas.insert(schema, staged.schema.clone());
        next.tables.entry(staged.table.clone()).or_default().insert(staged.day, entry);
    }
    for (check, looked_at) in &request.checks {
        let days = next.checks.entry(check.clone()).or_default();
        days.insert(request.info.as_of, looked_at.clone());
    }
    for (table, layout) in &request.layouts {
        match layout {
            // The version is planned later: it takes a look at the table.
            Layout::Delta => drop(next.delta.entry(table.clone()).or_default()),
            Layout::Hive => drop(next.delta.remove(table)),
        }
    }
    let mut info = request.info.clone();
    if let Some(recipes) = &request.recipes {
        let key = recipes_key(recipes);
        next.recipes.insert(key.clone(), recipes.clone());
        info.recipes = Some(key);
    }
    next.runs.insert(run_id.clone(), info);
    next.history.retain(|published| published != run_id);
    next.history.push(run_id.clone());
    next.write_id = manifest::fresh_id();
    next.publication = Some(Publication {
        commit_id: manifest::fresh_id(),
        run_id: run_id.clone(),
        published_at,
        tool_version: request.info.tool_version.clone(),
    });
    let next = next.pruned();
    view::check_folders(next.tables.keys().map(String::as_str))?;
    Ok(next)
}

/// Publishes `next` if the manifest is still the one of `version`.
///
/// # Errors
/// [`Error::LeaseLost`] if another run moved the epoch; the store's error if it
/// refused or never gave a definite answer.
pub(super) async fn commit(
    location: &Location,
    next: &Manifest,
    version: &UpdateVersion,
    run_id: &RunId,
) -> Result<Committed, Error> {
    let expect = Expect::Version(version.clone());
    match manifest::write(location, next, &expect, Purpose::Publish).await? {
        Settled::Written(version) => Ok(Committed::Current(version)),
        Settled::Carried(_) => Ok(Committed::Overtaken),
        Settled::Conflict(found) => {
            let found =
                found.and_then(|found| serde_json::from_slice::<Manifest>(&found.content).ok());
            let to = found.and_then(|found| found.fence).map(|fence| fence.run_id);
            // Our own fence still stands where the lock was only removed.
            let to = to.filter(|to| to != run_id);
            Err(Error::LeaseLost { url: location.url().to_owned(), run_id: run_id.clone(), to })
        }
    }
}
