//! Where a run puts its tables before anybody may see them.
//!
//! **Invariant:** files below `_tenure/sets/<run_id>/` are written once and
//! never changed. Nothing names them until the manifest does.
//!
//! It does not know Parquet: it counts and hashes whatever bytes pass.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::{fmt, io};

use futures::{StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::storage::{Action, Location, hex};

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

/// An open upload: an `AsyncWrite` that counts and hashes what passes.
///
/// Memory is bounded by the parts in flight, whatever the file's size. Dropped
/// without [`Upload::finish`] nothing becomes visible.
pub struct Upload {
    writer: BufWriter,
    location: Location,
    path: String,
    bytes: u64,
    hasher: Sha256,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Closed by whoever wrote through it, as Parquet writers do.
    Closed,
}

impl Upload {
    pub(super) fn open(location: &Location, path: String) -> Self {
        Self {
            writer: location.writer(&path),
            location: location.clone(),
            path,
            bytes: 0,
            hasher: Sha256::new(),
            state: State::Open,
        }
    }

    /// Completes the upload; `rows` is what the writer counted.
    ///
    /// # Errors
    /// When the store refuses or fails; the file then does not exist.
    pub async fn finish(mut self, rows: u64) -> Result<DataFile, Error> {
        if self.state == State::Open {
            self.shutdown().await.map_err(|error| explained(error, &self.location, &self.path))?;
        }
        let sha256 = hex(&self.hasher.finalize());
        Ok(DataFile { path: self.path, rows, bytes: self.bytes, sha256 })
    }

    /// Gives the upload up, so that no parts are left behind in the store.
    pub async fn abort(mut self) {
        if let Err(error) = self.writer.abort().await {
            tracing::debug!(%error, path = self.path, "an upload could not be aborted");
        }
    }

    /// The error of a writer below, explained: whoever writes through this
    /// passes it on as it is, and need not know where it goes.
    fn explain(&self, error: io::Error) -> io::Error {
        io::Error::other(explained(error, &self.location, &self.path))
    }
}

/// What an I/O error of an upload means.
fn explained(error: io::Error, location: &Location, path: &str) -> Error {
    let error = match error.downcast::<Error>() {
        Ok(explained) => return explained,
        Err(error) => error,
    };
    let error = match error.downcast::<object_store::Error>() {
        Ok(error) => error,
        Err(error) => object_store::Error::Generic { store: "upload", source: Box::new(error) },
    };
    Error::Storage(location.explain(Action::Write, path, &error))
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("path", &self.path)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl AsyncWrite for Upload {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = std::task::ready!(Pin::new(&mut self.writer).poll_write(cx, data));
        let written = written.map_err(|error| self.explain(error))?;
        self.hasher.update(&data[..written]);
        self.bytes += written as u64;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx).map_err(|error| self.explain(error))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = std::task::ready!(Pin::new(&mut self.writer).poll_shutdown(cx));
        closed.map_err(|error| self.explain(error))?;
        self.state = State::Closed;
        Poll::Ready(Ok(()))
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
