//! An upload of any size: one put if small, parts if large.
//!
//! Nothing is visible before it is finished. One that fails or is given up
//! takes its parts with it: most stores keep the parts of an upload that nobody
//! ends, unseen and paid for.

use bytes::Bytes;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload, Result as StoreResult};
use tokio::task::JoinSet;

use super::error::{Action, Error};
use super::location::Location;

/// Bytes of one part: S3 wants at least 5 MiB and at most 10,000 parts, so
/// 10 MiB allows files of 100 GB.
const PART_BYTES: usize = 10 * 1024 * 1024;
/// Parts in flight for one upload: bounds its memory at 40 MiB and a part.
const PARTS_IN_FLIGHT_MAX: usize = 4;

/// An object on its way.
pub struct Upload {
    location: Location,
    path: String,
    /// What is not sent yet; less than a part.
    waiting: Vec<u8>,
    parts: Option<Parts>,
}

struct Parts {
    upload: Box<dyn MultipartUpload>,
    in_flight: JoinSet<StoreResult<()>>,
}

impl Location {
    /// Begins an upload to `relative`.
    pub fn upload(&self, relative: &str) -> Upload {
        let (location, path) = (self.clone(), relative.to_owned());
        Upload { location, path, waiting: Vec::new(), parts: None }
    }
}

impl Upload {
    /// The path it goes to.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Adds bytes; waits while too many parts are in flight.
    ///
    /// # Errors
    /// When the store refuses or fails; then the upload is to be given up.
    pub async fn write(&mut self, mut data: &[u8]) -> Result<(), Error> {
        while !data.is_empty() {
            let fits = data.len().min(PART_BYTES - self.waiting.len());
            let (now, later) = data.split_at(fits);
            self.waiting.extend_from_slice(now);
            data = later;
            if self.waiting.len() == PART_BYTES {
                self.send().await.map_err(|error| self.explain(&error))?;
            }
        }
        Ok(())
    }

    /// Makes the object visible, whole.
    ///
    /// # Errors
    /// When the store refuses or fails; its parts are removed.
    pub async fn finish(mut self) -> Result<(), Error> {
        if self.parts.is_none() {
            let content = Bytes::from(std::mem::take(&mut self.waiting));
            return self.location.put(&self.path, content).await;
        }
        match self.complete().await {
            Ok(()) => {
                self.parts = None;
                Ok(())
            }
            Err(error) => {
                let error = self.explain(&error);
                self.abort().await;
                Err(error)
            }
        }
    }

    /// Gives the upload up, and removes the parts that have arrived.
    pub async fn abort(mut self) {
        if let Some(parts) = self.parts.take() {
            parts.abort(&self.path).await;
        }
    }

    /// Sends what waits as the next part.
    async fn send(&mut self) -> StoreResult<()> {
        let next = Vec::with_capacity(PART_BYTES);
        let part = PutPayload::from(std::mem::replace(&mut self.waiting, next));
        let parts = match self.parts.take() {
            Some(parts) => parts,
            None => Parts {
                upload: self
                    .location
                    .store()
                    .put_multipart(&self.location.path(&self.path))
                    .await?,
                in_flight: JoinSet::new(),
            },
        };
        let parts = self.parts.insert(parts);
        while parts.in_flight.len() >= PARTS_IN_FLIGHT_MAX {
            parts.arrived().await?;
        }
        parts.in_flight.spawn(parts.upload.put_part(part));
        Ok(())
    }

    async fn complete(&mut self) -> StoreResult<()> {
        if !self.waiting.is_empty() {
            self.send().await?;
        }
        let Some(parts) = &mut self.parts else { return Ok(()) };
        while !parts.in_flight.is_empty() {
            parts.arrived().await?;
        }
        parts.upload.complete().await.map(drop)
    }

    fn explain(&self, error: &object_store::Error) -> Error {
        self.location.explain(Action::Write, &self.path, error)
    }
}

/// One that is dropped under way is given up while the run ends.
impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let path = std::mem::take(&mut self.path);
            runtime.spawn(async move { parts.abort(&path).await });
        }
    }
}

impl Parts {
    async fn abort(mut self, path: &str) {
        self.in_flight.shutdown().await;
        if let Err(error) = self.upload.abort().await {
            tracing::debug!(%error, path, "parts of an upload may be left behind");
        }
    }

    /// Waits for one part to arrive.
    async fn arrived(&mut self) -> StoreResult<()> {
        self.in_flight.join_next().await.unwrap_or(Ok(Ok(())))?
    }
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("path", &self.path).finish_non_exhaustive()
    }
}
