//! Copying within a store, also where its client cannot replace an object.
//!
//! The client of `object_store` 0.13 has the two modes of a copy swapped for
//! Google Cloud Storage: a copy that may replace sends
//! `x-goog-if-generation-match: 0`, and the store refuses it where an object
//! stands. There the content passes through this process instead, as a stream.
//! A test in `tests/it/stores/gcs` fails as soon as the client is right.

use futures::StreamExt;
use object_store::{Error as StoreError, GetResult, ObjectStoreExt};
use tokio::sync::Semaphore;

use super::error::{Action, Error, Kind};
use super::location::{Location, WRITES_MAX};

/// MiB that copies through this process may hold at one time, all together.
const CARRIED_MIB_MAX: u32 = 128;
/// MiB one of them holds at most: an upload has four parts in flight and one
/// that fills.
const ONE_MIB_MAX: u32 = 52;
const MIB: u64 = 1024 * 1024;

static CARRIED_MIB: Semaphore = Semaphore::const_new(CARRIED_MIB_MAX as usize);

/// What a copy made by the store can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copies {
    /// Whatever stands at the target is replaced.
    Replace,
    /// It is refused where an object stands.
    OntoNothing,
}

impl Location {
    /// Copies within the store; on a disk by hard link. The target is replaced
    /// whole or not at all.
    ///
    /// # Errors
    /// When the store refuses or fails after retries.
    pub async fn copy(&self, from: &str, to: &str) -> Result<(), Error> {
        let (source, target) = (self.path(from), self.path(to));
        let is_done = self.tried(WRITES_MAX, Action::Copy, to, || async {
            match self.store().copy(&source, &target).await {
                Err(StoreError::AlreadyExists { .. }) if self.copies() == Copies::OntoNothing => {
                    Ok(false)
                }
                done => done.map(|()| true),
            }
        });
        match is_done.await? {
            true => Ok(()),
            false => self.carry(from, to).await,
        }
    }

    /// Copies through this process; once more where the content breaks off.
    async fn carry(&self, from: &str, to: &str) -> Result<(), Error> {
        match self.carry_once(from, to).await {
            Err(error) if error.kind() == Kind::Failed => {
                tracing::debug!(%error, "trying again");
                self.carry_once(from, to).await
            }
            done => done,
        }
    }

    async fn carry_once(&self, from: &str, to: &str) -> Result<(), Error> {
        let source = self.path(from);
        let found = self.read(Action::Copy, from, || self.store().get(&source)).await?;
        let mib = u32::try_from(found.meta.size / MIB).unwrap_or(u32::MAX);
        // Closed it never is; without a permit the copy would be as right.
        let _permit = CARRIED_MIB.acquire_many(mib.saturating_add(1).min(ONE_MIB_MAX)).await;
        let mut upload = self.upload(to);
        match self.pour(found, from, &mut upload).await {
            Ok(()) => upload.finish().await,
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }

    /// Writes all of `found` into `upload`.
    async fn pour(
        &self,
        found: GetResult,
        from: &str,
        upload: &mut super::Upload,
    ) -> Result<(), Error> {
        let expected = found.meta.size;
        let mut content = found.into_stream();
        let mut poured = 0;
        while let Some(bytes) = content.next().await {
            let bytes = bytes.map_err(|error| self.explain(Action::Copy, from, &error))?;
            poured += bytes.len() as u64;
            upload.write(&bytes).await?;
        }
        if poured == expected {
            return Ok(());
        }
        let short = format!("{poured} of {expected} bytes arrived");
        let error = StoreError::Generic { store: "copy", source: short.into() };
        Err(self.explain(Action::Copy, from, &error))
    }
}
