//! Where a run puts its tables before anybody may see them.
//!
//! **Invariant:** files below `_tenure/sets/<run_id>/` are written once and
//! never changed. Nothing names them until the manifest does.
//!
//! It does not know Parquet: it counts and hashes whatever bytes pass.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::storage::{self, Location, hex};

use super::clock::{Day, RunId};
use super::error::Error;
use super::manifest::{Column, DataFile, Entry};

/// Where sets are, relative to the target.
pub const SETS: &str = "_tenure/sets";

/// Requests in flight while staged files are looked up.
const HEADS_IN_FLIGHT_MAX: usize = 8;

/// A table that is staged whole and may be published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StagedTable {
    /// The full name, such as `metrics.cohort_retention`.
    pub table: String,
    /// The day of the table that was computed.
    pub day: Day,
    /// Its parts, in the order of their numbers.
    pub files: Vec<DataFile>,
    /// Its columns, in the order of the file.
    pub schema: Vec<Column>,
    /// Columns whose values name a row: no two rows agree in all of them.
    pub grain: Vec<String>,
    /// What the table was computed from, for reuse; None if that was not recorded.
    pub fingerprint: Option<String>,
}

impl StagedTable {
    /// Rows of all files together.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// Size of all files together, in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// The path of a staged file, relative to the target.
pub fn staged_path(run_id: &RunId, table: &str, day: Day, part: u32) -> String {
    format!("{SETS}/{run_id}/{table}/as_of={day}/{}", part_name(part))
}

/// The fixed name of a part; readers of the Hive view see the same.
pub(super) fn part_name(part: u32) -> String {
    format!("part-{part:05}.parquet")
}

/// An open upload that counts and hashes what passes.
///
/// Memory is bounded by the parts in flight, whatever the file's size. Nothing
/// becomes visible without [`Upload::finish`].
#[derive(Debug)]
pub struct Upload {
    inner: storage::Upload,
    bytes: u64,
    hasher: Sha256,
}

impl Upload {
    pub(super) fn open(location: &Location, path: &str) -> Self {
        Self { inner: location.upload(path), bytes: 0, hasher: Sha256::new() }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When the store refuses or fails; then the upload is to be given up.
    pub async fn write(&mut self, data: &[u8]) -> Result<(), Error> {
        self.hasher.update(data);
        self.bytes += data.len() as u64;
        Ok(self.inner.write(data).await?)
    }

    /// Completes the upload; `rows` is what the writer counted.
    ///
    /// # Errors
    /// When the store refuses or fails; the file then does not exist.
    pub async fn finish(self, rows: u64) -> Result<DataFile, Error> {
        let path = self.inner.path().to_owned();
        self.inner.finish().await?;
        Ok(DataFile { path, rows, bytes: self.bytes, sha256: hex(&self.hasher.finalize()) })
    }

    /// Gives the upload up, so that no parts are left behind in the store.
    pub async fn abort(self) {
        self.inner.abort().await;
    }
}

/// Checks that every staged file is there with the size that was written.
///
/// # Errors
/// [`Error::NotStaged`] for the first that is not.
pub(super) async fn verify(location: &Location, tables: &[StagedTable]) -> Result<(), Error> {
    let checks: Vec<_> = tables
        .iter()
        .flat_map(|table| &table.files)
        .map(|file| verify_file(location, file))
        .collect();
    futures::stream::iter(checks)
        .buffer_unordered(HEADS_IN_FLIGHT_MAX)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(())
}

/// The tables that lack a file, or have one of another size.
///
/// # Errors
/// When the store refuses or fails.
pub(super) async fn incomplete<'a>(
    location: &Location,
    tables: impl Iterator<Item = (&'a str, &'a Entry)>,
) -> Result<BTreeSet<String>, Error> {
    let looks = tables.flat_map(|(table, entry)| {
        entry.files.iter().map(move |file| async move {
            match verify_file(location, file).await {
                Ok(()) => Ok(None),
                Err(Error::NotStaged { .. }) => Ok(Some(table.to_string())),
                Err(error) => Err(error),
            }
        })
    });
    // Collected first: a stream of borrowing closures is too general for rustc.
    let looks: Vec<_> = looks.collect();
    let found = futures::stream::iter(looks)
        .buffer_unordered(HEADS_IN_FLIGHT_MAX)
        .try_collect::<Vec<Option<String>>>()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

async fn verify_file(location: &Location, file: &DataFile) -> Result<(), Error> {
    let found_bytes = location.head(&file.path).await?.map(|meta| meta.size);
    if found_bytes == Some(file.bytes) {
        return Ok(());
    }
    Err(Error::NotStaged {
        place: location.shown(&file.path),
        expected_bytes: file.bytes,
        found_bytes,
    })
}
