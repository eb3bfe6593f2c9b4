//! The log of one Delta table: what is in it, and the next commit.
//!
//! **Invariant:** a commit is one conditional PUT of the next number, settled
//! as the manifest's is: any doubtful answer is followed by a look at what
//! stands there. Nothing is written to the log in any other way, except
//! checkpoints, which repeat what commits have said.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};

use crate::storage::{Expect, Location, Settled};

use super::super::error::Error;
use super::super::manifest;
use super::action::{Action, Add, MetaData, Protocol, Remove, Txn};
use super::{APP_ID, checkpoint};

/// Of the folder of a table.
const LOG: &str = "_delta_log";
const GETS_IN_FLIGHT_MAX: usize = 8;
/// Digits of a version in the name of its file.
const DIGITS: usize = 20;

/// What a table is at a version.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) version: u64,
    pub(super) protocol: Protocol,
    pub(super) meta_data: MetaData,
    /// Application → its last transaction.
    pub(super) txns: BTreeMap<String, Txn>,
    /// Path → the file; what a reader of this version reads.
    pub(super) files: BTreeMap<String, Add>,
    /// Path → when it went; what readers of older versions may read.
    pub(super) tombstones: BTreeMap<String, Remove>,
    /// The newest commit of ours behind the last checkpoint.
    pub(super) ours: Option<u64>,
    /// Version of the last checkpoint.
    pub(super) checkpoint: Option<u64>,
}

/// A file of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Commit,
    /// A part of a checkpoint, and how many there are.
    Checkpoint(usize),
}

/// The files of a log, with their version, size and time.
pub(super) struct Listed {
    pub(super) version: u64,
    pub(super) kind: Kind,
    pub(super) path: String,
    pub(super) meta: object_store::ObjectMeta,
}

/// The log below `folder`; empty where there is no Delta table.
///
/// # Errors
/// When the store refuses or fails.
pub(super) async fn list(location: &Location, folder: &str) -> Result<Vec<Listed>, Error> {
    let below = format!("{folder}/{LOG}");
    let listed = location.list(&below).await?;
    let known = listed.into_iter().filter_map(|(path, meta)| {
        let (version, kind) = named(path.strip_prefix(&below)?.strip_prefix('/')?)?;
        Some(Listed { version, kind, path, meta })
    });
    Ok(known.collect())
}

/// Version and kind by the name of a file; None for others, `_last_checkpoint`
/// among them: the listing says what it says.
fn named(name: &str) -> Option<(u64, Kind)> {
    let (digits, rest) = name.split_at_checked(DIGITS)?;
    let version = digits.parse().ok()?;
    match rest {
        ".json" => Some((version, Kind::Commit)),
        ".checkpoint.parquet" => Some((version, Kind::Checkpoint(1))),
        part => {
            let part = part.strip_prefix(".checkpoint.")?.strip_suffix(".parquet")?;
            let (_, parts) = part.split_once('.')?;
            Some((version, Kind::Checkpoint(parts.parse().ok()?)))
        }
    }
}

/// The newest version whose checkpoint is there whole, up to a version.
pub(super) fn last_checkpoint(listed: &[Listed], limit: u64) -> Option<u64> {
    let mut found: BTreeMap<u64, (usize, usize)> = BTreeMap::new();
    for file in listed.iter().filter(|file| file.version <= limit) {
        if let Kind::Checkpoint(parts) = file.kind {
            found.entry(file.version).or_insert((parts, 0)).1 += 1;
        }
    }
    found.into_iter().rev().find(|(_, (parts, there))| parts == there).map(|(version, _)| version)
}

/// The table below `folder` as it is now; None if there is none.
///
/// # Errors
/// When the store refuses or fails, or the log has a gap or cannot be read.
pub(super) async fn read(location: &Location, folder: &str) -> Result<Option<State>, Error> {
    let listed = list(location, folder).await?;
    if listed.is_empty() {
        return Ok(None);
    }
    let checkpoint = last_checkpoint(&listed, u64::MAX);
    let mut state = State { checkpoint, ..State::default() };
    if let Some(version) = checkpoint {
        state.version = version;
        let parts = listed
            .iter()
            .filter(|file| file.version == version && matches!(file.kind, Kind::Checkpoint(_)));
        for part in parts {
            let content = get(location, &part.path).await?;
            let actions = checkpoint::read(content);
            for action in actions.map_err(|cause| unreadable(location, &part.path, cause))? {
                state.apply(action);
            }
        }
    }
    let first = checkpoint.map_or(0, |version| version + 1);
    let commits = listed
        .iter()
        .filter(|file| file.kind == Kind::Commit && file.version >= first)
        .map(|file| commit(location, file));
    let commits: Vec<_> = commits.collect();
    let mut commits = futures::stream::iter(commits).buffered(GETS_IN_FLIGHT_MAX);
    let mut next = first;
    while let Some((version, actions)) = commits.try_next().await? {
        if version != next {
            let cause = format!("version {next} is missing");
            return Err(unreadable(location, &format!("{folder}/{LOG}"), cause));
        }
        if is_ours(&actions) {
            state.ours = Some(version);
        }
        actions.into_iter().for_each(|action| state.apply(action));
        state.version = version;
        next += 1;
    }
    if state.meta_data.schema_string.is_empty() {
        let cause = "it holds no metadata".to_owned();
        return Err(unreadable(location, &format!("{folder}/{LOG}"), cause));
    }
    Ok(Some(state))
}

/// The newest commit of tenure up to a version; None if there is none any more.
///
/// # Errors
/// When the store refuses or fails, or a commit cannot be read.
pub(super) async fn last_of_ours(
    location: &Location,
    folder: &str,
    limit: u64,
) -> Result<Option<u64>, Error> {
    let mut listed = list(location, folder).await?;
    listed.retain(|file| file.kind == Kind::Commit && file.version <= limit);
    listed.sort_by_key(|file| std::cmp::Reverse(file.version));
    for file in &listed {
        if is_ours(&commit(location, file).await?.1) {
            return Ok(Some(file.version));
        }
    }
    Ok(None)
}

/// The actions of a commit that was listed.
///
/// # Errors
/// When the store refuses or fails, or a line is no action.
pub(super) async fn commit(
    location: &Location,
    file: &Listed,
) -> Result<(u64, Vec<Action>), Error> {
    let content = get(location, &file.path).await?;
    let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let actions: Result<Vec<Action>, _> = lines.map(serde_json::from_slice).collect();
    let actions = actions.map_err(|error| unreadable(location, &file.path, error.to_string()))?;
    Ok((file.version, actions))
}

/// Whether tenure has made a commit.
pub(super) fn is_ours(actions: &[Action]) -> bool {
    actions.iter().any(|action| action.txn.as_ref().is_some_and(|txn| txn.app_id == APP_ID))
}

/// Makes `actions` the given version of the table below `folder`. False if
/// another writer has taken that version.
///
/// # Errors
/// When the store refuses, or gives no definite answer.
pub(super) async fn write(
    location: &Location,
    folder: &str,
    version: u64,
    actions: &[Action],
) -> Result<bool, Error> {
    let path = format!("{folder}/{LOG}/{version:0DIGITS$}.json");
    let mut body = Vec::new();
    for action in actions {
        let line = serde_json::to_vec(action);
        body.extend(line.map_err(|error| unreadable(location, &path, error.to_string()))?);
        body.push(b'\n');
    }
    let settled = location.put_if(&path, &Bytes::from(body), &Expect::Absent).await?;
    Ok(matches!(settled, Settled::Written(_)))
}

/// Writes what `state` is as one file, so that readers need not read commit by
/// commit, and says so. `tombstones` older than `expired` are left out.
///
/// # Errors
/// When the store refuses or fails.
pub(super) async fn write_checkpoint(
    location: &Location,
    folder: &str,
    state: &State,
    expired: i64,
) -> Result<(), Error> {
    let version = state.version;
    let path = format!("{folder}/{LOG}/{version:0DIGITS$}.checkpoint.parquet");
    let actions = state.actions(expired);
    let body = checkpoint::write(&actions).map_err(|cause| unreadable(location, &path, cause))?;
    location.put(&path, body).await?;
    let hint = serde_json::json!({ "version": version, "size": actions.len() });
    let last = format!("{folder}/{LOG}/_last_checkpoint");
    location.put(&last, manifest::to_json(&hint, location, &last)?).await?;
    Ok(())
}

impl State {
    pub(super) fn apply(&mut self, action: Action) {
        let Action { protocol, meta_data, txn, add, remove, .. } = action;
        self.protocol = protocol.unwrap_or_else(|| std::mem::take(&mut self.protocol));
        self.meta_data = meta_data.unwrap_or_else(|| std::mem::take(&mut self.meta_data));
        if let Some(txn) = txn {
            self.txns.insert(txn.app_id.clone(), txn);
        }
        if let Some(add) = add {
            self.tombstones.remove(&add.path);
            self.files.insert(add.path.clone(), add);
        }
        if let Some(remove) = remove {
            self.files.remove(&remove.path);
            self.tombstones.insert(remove.path.clone(), remove);
        }
    }

    /// Everything that is to be known of this version.
    fn actions(&self, expired: i64) -> Vec<Action> {
        let mut actions = vec![
            Action::protocol(self.protocol.clone()),
            Action::meta_data(self.meta_data.clone()),
        ];
        actions.extend(self.txns.values().cloned().map(Action::txn));
        let gone = self.tombstones.values();
        let gone = gone.filter(|remove| remove.deletion_timestamp.unwrap_or(0) >= expired);
        let unchanged = |remove: &Remove| Remove { data_change: false, ..remove.clone() };
        actions.extend(gone.map(|remove| Action::remove(unchanged(remove))));
        let unchanged = |add: &Add| Add { data_change: false, ..add.clone() };
        actions.extend(self.files.values().map(|add| Action::add(unchanged(add))));
        actions
    }

    /// A property of the table, if it has it.
    pub(super) fn property(&self, name: &str) -> Option<&str> {
        self.meta_data.configuration.get(name)?.as_deref()
    }
}

async fn get(location: &Location, path: &str) -> Result<Bytes, Error> {
    let gone = || unreadable(location, path, "it is gone".to_owned());
    location.get(path).await?.ok_or_else(gone)
}

fn unreadable(location: &Location, path: &str, cause: String) -> Error {
    Error::DeltaLog {
        what: "the log of a Delta table cannot be read or written".into(),
        place: location.shown(path),
        cause,
        help: "does anything else write or delete in `_delta_log/`? Restore it from a backup, or delete it and `_tenure/view.json`: then the next run begins a new one".into(),
    }
}
