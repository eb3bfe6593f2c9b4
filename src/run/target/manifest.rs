//! `_tenure/current.json`: the one object that says what is published.
//!
//! **Invariant:** a reader that follows the manifest sees one whole run or the
//! one before. It holds because sets are immutable and this object is replaced
//! by a single conditional PUT ([`write`]), never in parts.
//!
//! The file is data for any language: plain JSON, sorted keys, unknown fields
//! kept, a `format` that only grows. It knows nothing of how tables are made.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::UpdateVersion;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::storage::{Expect, Location, Settled, hex};

use super::clock::{Day, RunId, instant};
use super::error::Error;
use super::seal;
use super::view::Layout;

/// Where the manifest is, relative to the target.
pub const CURRENT: &str = "_tenure/current.json";

/// The format this version writes, and the newest it reads.
pub const FORMAT: u32 = 1;

/// Published runs remembered; older ones count as collectable anyway.
const HISTORY_MAX: usize = 1000;

/// What is published, and who may publish next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format of this object; one above [`FORMAT`] is not read.
    pub format: u32,
    /// Grows by one whenever a run takes the lock.
    pub epoch: u64,
    /// Fresh in every write, so that content alone tells writes apart.
    pub write_id: String,
    /// The run that took the lock last: only it knows this object's version.
    pub fence: Option<Fence>,
    /// The last publication; None on a target that only was locked so far.
    pub publication: Option<Publication>,
    /// The runs whose files are named below.
    pub runs: BTreeMap<RunId, RunInfo>,
    /// Runs that were published, oldest first, for `keep_runs`.
    pub history: Vec<RunId>,
    /// Schemas by their checksum: most days of a table share one.
    pub schemas: BTreeMap<String, Vec<Column>>,
    /// Full table name → day → its files.
    pub tables: BTreeMap<String, BTreeMap<Day, Entry>>,
    /// Check → day → what it looked at when it found nothing, as a fingerprint.
    #[serde(default)]
    pub checks: BTreeMap<String, BTreeMap<Day, String>>,
    /// Full name of each table that is a Delta table → the version of it that
    /// shows what is named here. The other tables are Hive folders.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub delta: BTreeMap<String, u64>,
    /// What tables were made from, by checksum: most days share one. For
    /// telling people what changed; see the plan.
    #[serde(default)]
    pub recipes: BTreeMap<String, Value>,
    /// The write id, and the SHA-256 of this object with zeros in its place. None if it
    /// was written by a version that did not seal it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<String>,
    /// Fields of later versions, kept as they are.
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}

/// Marks the manifest as rewritten by whoever holds the lock since.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fence {
    /// Token of the lease the run took.
    pub token: String,
    /// The run that took it, or whose lock was taken away.
    pub run_id: RunId,
}

/// One act of publishing. It stays the same while locks come and go, so it
/// answers "did my publication happen?" even later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Publication {
    /// Fresh for each publication; 32 hexadecimal digits.
    pub commit_id: String,
    /// The run that published.
    pub run_id: RunId,
    /// When, by the clock of that run; shown, never compared.
    #[serde(with = "instant")]
    pub published_at: DateTime<Utc>,
    /// Version of the program that published.
    pub tool_version: String,
}

/// What a run was asked to do, from what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Name of the pipeline that was run.
    pub pipeline: String,
    /// The day the run computed its tables for.
    pub as_of: Day,
    /// Parameter → the value the run used.
    #[serde(default)]
    pub params: BTreeMap<String, Value>,
    /// Source → the snapshot the run has read.
    #[serde(default)]
    pub sources: BTreeMap<String, SourceInfo>,
    /// Version of the program that ran.
    pub tool_version: String,
    /// Fingerprint of the project's texts: with the same, they need not be
    /// checked again. None if that was not recorded.
    #[serde(default)]
    pub texts: Option<String>,
    /// Key into [`Manifest::recipes`].
    #[serde(default)]
    pub recipes: Option<String>,
}

/// The snapshot of a source a run has read; its files stand in the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceInfo {
    /// Without secrets.
    pub url: String,
    /// Number of files read.
    pub files: u64,
    /// Size of these files together, as stored (compressed, if they are).
    pub bytes: u64,
    /// Rows read, whether they were accepted or set aside.
    pub rows: u64,
    /// Changes when a file, its size or its version changes.
    pub fingerprint: String,
    /// The version, of a table that has one (Delta).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_version: Option<u64>,
}

/// A column of a published table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// As in the table's file.
    pub name: String,
    /// Its type in SQL, such as `bigint`, `text` or `decimal(18,2)`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What the column means, for people; empty if that was not recorded.
    #[serde(default)]
    pub comment: String,
}

/// One table on one day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its parts, in the order of their numbers.
    pub files: Vec<DataFile>,
    /// Rows of all files together.
    pub rows: u64,
    /// Size of all files together.
    pub bytes: u64,
    /// Key into [`Manifest::schemas`].
    pub schema: String,
    /// Columns whose values name a row: no two rows agree in all of them.
    pub grain: Vec<String>,
    /// Key into [`Manifest::runs`].
    pub run_id: RunId,
    /// What the table was computed from, for reuse; see the plan.
    pub fingerprint: Option<String>,
    /// Fields of later versions, kept as they are.
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}

/// One immutable file; `path` is relative to the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Relative to the target, below `_tenure/sets/`.
    pub path: String,
    /// Rows in the file.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of the whole file, in lower-case hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    /// The manifest of a target nobody has published to.
    pub fn empty() -> Self {
        Self {
            format: FORMAT,
            epoch: 0,
            write_id: fresh_id(),
            fence: None,
            publication: None,
            runs: BTreeMap::new(),
            history: Vec::new(),
            schemas: BTreeMap::new(),
            tables: BTreeMap::new(),
            checks: BTreeMap::new(),
            delta: BTreeMap::new(),
            recipes: BTreeMap::new(),
            seal: None,
            more: BTreeMap::new(),
        }
    }

    /// What is published of `table` on `day`; None if nothing is.
    pub fn entry(&self, table: &str, day: Day) -> Option<&Entry> {
        self.tables.get(table)?.get(&day)
    }

    /// What is published on `day`, by full table name.
    pub fn on(&self, day: Day) -> impl Iterator<Item = (&str, &Entry)> {
        self.tables.iter().filter_map(move |(name, days)| Some((name.as_str(), days.get(&day)?)))
    }

    /// The newest day of `table` and its files.
    pub fn latest(&self, table: &str) -> Option<(Day, &Entry)> {
        self.tables.get(table)?.last_key_value().map(|(day, entry)| (*day, entry))
    }

    /// How `table` is laid out for other engines.
    pub fn layout(&self, table: &str) -> Layout {
        match self.delta.contains_key(table) {
            true => Layout::Delta,
            false => Layout::Hive,
        }
    }

    /// The columns of `entry`.
    pub fn schema_of(&self, entry: &Entry) -> &[Column] {
        self.schemas.get(&entry.schema).map_or(&[], Vec::as_slice)
    }

    /// Every entry, by table and day.
    pub fn entries(&self) -> impl Iterator<Item = (&str, Day, &Entry)> {
        self.tables.iter().flat_map(|(table, days)| {
            days.iter().map(move |(day, entry)| (table.as_str(), *day, entry))
        })
    }

    /// Every file that is published: what must never be collected.
    pub fn named_files(&self) -> impl Iterator<Item = &DataFile> {
        self.entries().flat_map(|(_, _, entry)| &entry.files)
    }

    /// The next manifest after `fence` took the lock: nothing published changes.
    pub(super) fn fenced(&self, fence: Fence) -> Self {
        Self { epoch: self.epoch + 1, write_id: fresh_id(), fence: Some(fence), ..self.clone() }
    }

    /// The same publication, with the versions its Delta tables came to have.
    pub(super) fn corrected(&self, versions: BTreeMap<String, u64>) -> Self {
        let delta = self.delta.clone().into_iter().chain(versions).collect();
        Self { delta, write_id: fresh_id(), ..self.clone() }
    }

    /// Drops what no entry refers to, and history beyond its limit.
    pub(super) fn pruned(mut self) -> Self {
        let runs: BTreeSet<_> = self.entries().map(|(_, _, entry)| entry.run_id.clone()).collect();
        let schemas: BTreeSet<_> =
            self.entries().map(|(_, _, entry)| entry.schema.clone()).collect();
        self.runs.retain(|run_id, _| runs.contains(run_id));
        self.schemas.retain(|schema, _| schemas.contains(schema));
        self.tables.retain(|_, days| !days.is_empty());
        self.delta.retain(|table, _| self.tables.contains_key(table));
        let days: BTreeSet<Day> = self.entries().map(|(_, day, _)| day).collect();
        for passed in self.checks.values_mut() {
            passed.retain(|day, _| days.contains(day));
        }
        self.checks.retain(|_, days| !days.is_empty());
        let recipes: BTreeSet<_> =
            self.runs.values().filter_map(|info| info.recipes.clone()).collect();
        self.recipes.retain(|recipe, _| recipes.contains(recipe));
        let surplus = self.history.len().saturating_sub(HISTORY_MAX);
        self.history.drain(..surplus);
        self
    }
}

/// The key of `columns` in [`Manifest::schemas`].
pub(super) fn schema_key(columns: &[Column]) -> String {
    let mut hasher = Sha256::new();
    for column in columns {
        for text in [&column.name, &column.type_name, &column.comment] {
            hasher.update(text.len().to_le_bytes());
            hasher.update(text.as_bytes());
        }
    }
    // Half a checksum tells the schemas of one project apart well enough.
    hex(&hasher.finalize()[..8])
}

/// The key of `recipes` in [`Manifest::recipes`].
pub(super) fn recipes_key(recipes: &Value) -> String {
    hex(&Sha256::digest(recipes.to_string().as_bytes())[..8])
}

/// The manifest of `location`, None where nobody has worked yet.
///
/// # Errors
/// When it cannot be read, or was written in a newer format.
pub async fn read(location: &Location) -> Result<Option<Manifest>, Error> {
    Ok(read_versioned(location).await?.map(|(manifest, _)| manifest))
}

pub(super) async fn read_versioned(
    location: &Location,
) -> Result<Option<(Manifest, UpdateVersion)>, Error> {
    let Some(found) = location.get_versioned(CURRENT).await? else {
        return Ok(None);
    };
    let manifest = parse(&found.content, &location.shown(CURRENT))?;
    Ok(Some((manifest, found.version)))
}

/// Why the manifest is written; decides what counts as "ours" when in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To take the lock: only this very write counts.
    Fence,
    /// To publish: a later lock holder may have carried the publication on.
    Publish,
}

/// Replaces the manifest if it is still `expect`: the one act that publishes.
///
/// # Errors
/// When the store refuses, or gives no definite answer.
pub(super) async fn write(
    location: &Location,
    manifest: &Manifest,
    expect: &Expect,
    purpose: Purpose,
) -> Result<Settled, Error> {
    let body = seal::sealed(manifest, location)?;
    let carried_on = |content: &[u8]| {
        purpose == Purpose::Publish
            && parse(content, CURRENT).is_ok_and(|found| commit_of(&found) == commit_of(manifest))
    };
    Ok(location.put_if_ours(CURRENT, &body, expect, carried_on).await?)
}

fn commit_of(manifest: &Manifest) -> Option<&str> {
    manifest.publication.as_ref().map(|publication| publication.commit_id.as_str())
}

pub(super) fn parse(content: &[u8], place: &str) -> Result<Manifest, Error> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    // The format first: a newer file may not fit the struct at all.
    let Format { format: found } = from_json(content, place)?;
    if found > FORMAT {
        return Err(Error::NewerFormat { place: place.to_owned(), found, known: FORMAT });
    }
    let manifest: Manifest = from_json(content, place)?;
    if seal::is_unbroken(&manifest, content) {
        return Ok(manifest);
    }
    let cause = "it has another checksum than it was written with".to_owned();
    Err(Error::Unreadable { place: place.to_owned(), cause })
}

/// Reads a record; `place` names it in the error.
pub(super) fn from_json<T: DeserializeOwned>(content: &[u8], place: &str) -> Result<T, Error> {
    serde_json::from_slice(content)
        .map_err(|error| Error::Unreadable { place: place.to_owned(), cause: error.to_string() })
}

/// Writes a record: indented and with sorted maps, the same bytes each time.
pub(super) fn to_json<T: Serialize>(
    record: &T,
    location: &Location,
    relative: &str,
) -> Result<Bytes, Error> {
    let mut json = serde_json::to_vec_pretty(record).map_err(|error| Error::Unreadable {
        place: location.shown(relative),
        cause: error.to_string(),
    })?;
    json.push(b'\n');
    Ok(json.into())
}

/// An id no other write has.
pub(super) fn fresh_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_survive_and_newer_formats_are_refused() {
        let mut json = serde_json::to_value(Manifest::empty()).expect("json");
        json["later"] = Value::from(7);
        let manifest = parse(json.to_string().as_bytes(), "m").expect("parses");
        assert_eq!(manifest.more["later"], Value::from(7));
        json["format"] = Value::from(2);
        json["epoch"] = Value::from("not even a number");
        let error = parse(json.to_string().as_bytes(), "m").expect_err("newer");
        assert!(matches!(error, Error::NewerFormat { found: 2, known: 1, .. }), "{error}");
    }

    #[test]
    fn the_same_manifest_gives_the_same_bytes() {
        let manifest = Manifest { write_id: "w".into(), ..Manifest::empty() };
        let json = serde_json::to_string(&manifest).expect("json");
        let back: Manifest = serde_json::from_str(&json).expect("back");
        assert_eq!(serde_json::to_string(&back).expect("json"), json);
    }
}
