//! A place in a store: where things are read and written, and its name.
//!
//! All paths a caller gives are relative to the place. Every error names the
//! full URL and passes the redactor. Listings come back sorted, because stores
//! list in any order.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::{Path, PathPart};
use object_store::{Error as StoreError, ObjectMeta, ObjectStore, ObjectStoreExt, UpdateVersion};

use super::error::{Action, Error, names_missing_bucket};
use super::local::LocalDisk;
use super::obstacle::{self, Obstacle};
use super::redact::Redactor;
use super::settle::{self, Expect, Settled};

/// Deletes in flight at once.
const DELETES_IN_FLIGHT_MAX: usize = 8;
/// Tries of a write that may be repeated, each with the client's own retries inside.
const WRITES_MAX: u32 = 4;
/// Tries of a read.
const READS_MAX: u32 = 2;
/// Pause after the first failed try; doubles with each further one.
const PAUSE_MS: u64 = if cfg!(test) { 1 } else { 50 };

const HEX: &[u8; 16] = b"0123456789abcdef";

/// How many writers the target may have; see the capability probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// The store honours conditional writes, which is checked.
    Many,
    /// The user vouches (`single_writer: true`) that never two runs overlap.
    Single,
}

/// An object and the version to name when replacing it.
#[derive(Clone, Debug)]
pub struct Versioned {
    /// The whole object.
    pub content: Bytes,
    /// What a conditional write names to replace exactly this content.
    pub version: UpdateVersion,
    /// Size and time of the last change, by the store's clock, as of the same read.
    pub meta: ObjectMeta,
}

/// The folder of a location on the local disk.
#[derive(Clone)]
pub(crate) struct Disk {
    pub(crate) root: PathBuf,
}

/// A store, a prefix in it, and its URL without secrets.
#[derive(Clone)]
pub struct Location {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    url: String,
    disk: Option<Disk>,
    writers: Writers,
    redactor: Arc<Redactor>,
}

impl Location {
    /// A place at `prefix` in `store`, shown as `url`.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Path, url: String) -> Self {
        Self { store, prefix, url, disk: None, writers: Writers::Many, redactor: Arc::default() }
    }

    pub(crate) fn on_disk(self, disk: Disk) -> Self {
        Self { disk: Some(disk), ..self }
    }

    pub(crate) fn with_writers(self, writers: Writers) -> Self {
        Self { writers, ..self }
    }

    pub(crate) fn with_redactor(self, redactor: Redactor) -> Self {
        Self { redactor: Arc::new(redactor), ..self }
    }

    /// The same place behind a decorator, for throttles and tests.
    #[must_use]
    pub fn decorated(
        self,
        decorate: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>,
    ) -> Self {
        Self { store: decorate(self.store), ..self }
    }

    /// The store this place is in; its paths are full ones, as [`Location::path`]
    /// gives.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The store's path of this place; empty for the whole bucket.
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// The URL or path to show; it holds no secret.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether conditional writes must hold here or the user vouches for one writer.
    pub fn writers(&self) -> Writers {
        self.writers
    }

    /// The folder on the local disk, if this is one.
    pub fn folder(&self) -> Option<&std::path::Path> {
        self.disk.as_ref().map(|disk| disk.root.as_path())
    }

    /// The place `relative` below this one.
    #[must_use]
    pub fn child(&self, relative: &str) -> Self {
        let disk = self.disk.as_ref().map(|disk| Disk { root: disk.root.join(relative) });
        Self { prefix: self.path(relative), url: self.shown(relative), disk, ..self.clone() }
    }

    /// The store's path of `relative`, letter by letter: a name may have any in it.
    pub fn path(&self, relative: &str) -> Path {
        let parts = relative.split('/').filter(|part| !part.is_empty());
        parts.fold(self.prefix.clone(), |path, part| match PathPart::parse(part) {
            Ok(part) => path.join(part),
            // No name of a file: it is looked for in another spelling, and not found.
            Err(_) => path.join(part),
        })
    }

    /// The URL of `relative`, to show.
    pub fn shown(&self, relative: &str) -> String {
        match relative {
            "" => self.url.clone(),
            relative => format!("{}/{relative}", self.url.trim_end_matches('/')),
        }
    }

    /// Size and time of an object, None if there is none.
    ///
    /// # Errors
    /// When the store refuses or fails, or the bucket is missing.
    pub async fn head(&self, relative: &str) -> Result<Option<ObjectMeta>, Error> {
        let path = self.path(relative);
        self.read(Action::Read, relative, || async { present(self.store.head(&path).await) }).await
    }

    /// The content of an object, None if there is none.
    ///
    /// # Errors
    /// As [`Location::head`].
    pub async fn get(&self, relative: &str) -> Result<Option<Bytes>, Error> {
        Ok(self.get_versioned(relative).await?.map(|found| found.content))
    }

    /// As [`Location::get`], with the version that [`Location::put_if`] takes.
    ///
    /// # Errors
    /// As [`Location::head`].
    pub async fn get_versioned(&self, relative: &str) -> Result<Option<Versioned>, Error> {
        let path = self.path(relative);
        let found = self.read(Action::Read, relative, || async {
            let Some(result) = present(self.store.get(&path).await)? else { return Ok(None) };
            let meta = result.meta.clone();
            Ok(Some((meta, result.bytes().await?)))
        });
        let Some((meta, content)) = found.await? else { return Ok(None) };
        let named = UpdateVersion { e_tag: meta.e_tag.clone(), version: meta.version.clone() };
        Ok(Some(Versioned { version: self.version_of(&content, named), content, meta }))
    }

    /// On a disk the content is the version, elsewhere what the store says.
    pub(crate) fn version_of(&self, content: &[u8], named: UpdateVersion) -> UpdateVersion {
        match self.disk {
            Some(_) => LocalDisk::content_version(content),
            None => named,
        }
    }

    /// Writes an object, whatever stood there.
    ///
    /// # Errors
    /// When the store refuses or fails after retries. Writing the same bytes
    /// twice is harmless, so a doubtful answer is simply tried again.
    pub async fn put(&self, relative: &str, content: Bytes) -> Result<(), Error> {
        let path = self.path(relative);
        self.write(Action::Write, relative, || async {
            self.store.put(&path, content.clone().into()).await.map(drop)
        })
        .await
    }

    /// Writes `content`, which must hold a fresh id, if `expect` holds. A
    /// doubtful answer is settled by reading back.
    ///
    /// # Errors
    /// When the store refuses, or no try got a definite answer.
    pub async fn put_if(
        &self,
        relative: &str,
        content: &Bytes,
        expect: &Expect,
    ) -> Result<Settled, Error> {
        settle::put_if(self, relative, content, expect, |_| false).await
    }

    /// As [`Location::put_if`], where a later writer may have carried ours on.
    ///
    /// # Errors
    /// As [`Location::put_if`].
    pub(crate) async fn put_if_ours(
        &self,
        relative: &str,
        content: &Bytes,
        expect: &Expect,
        is_ours: impl Fn(&[u8]) -> bool + Sync,
    ) -> Result<Settled, Error> {
        settle::put_if(self, relative, content, expect, is_ours).await
    }

    /// Copies within the store; on a disk by hard link. The target is replaced
    /// whole or not at all.
    ///
    /// # Errors
    /// When the store refuses or fails after retries.
    pub async fn copy(&self, from: &str, to: &str) -> Result<(), Error> {
        let (source, target) = (self.path(from), self.path(to));
        self.write(Action::Copy, to, || self.store.copy(&source, &target)).await
    }

    /// On a disk: makes a file of this machine, which does not change any more, an
    /// object by a hard link. Tells whether that could be.
    ///
    /// # Errors
    /// When the disk refuses or fails.
    pub async fn link(&self, file: &std::path::Path, to: &str) -> Result<bool, Error> {
        let Some(folder) = self.folder() else { return Ok(false) };
        let (file, target) = (file.to_path_buf(), folder.join(to));
        super::local::link(file, target)
            .await
            .map_err(|error| self.explain(Action::Copy, to, &error))
    }

    /// Deletes an object; one that is gone already is no error.
    ///
    /// # Errors
    /// When the store refuses or fails after retries.
    pub async fn delete(&self, relative: &str) -> Result<(), Error> {
        let path = self.path(relative);
        self.write(Action::Delete, relative, || async {
            match self.store.delete(&path).await {
                Err(error) if is_absent(&error) => Ok(()),
                other => other,
            }
        })
        .await
    }

    /// Deletes every object in `relatives`.
    ///
    /// # Errors
    /// At the first object that cannot be deleted.
    pub async fn delete_all(&self, relatives: &[String]) -> Result<(), Error> {
        let deletes: Vec<_> = relatives.iter().map(|relative| self.delete(relative)).collect();
        futures::stream::iter(deletes)
            .buffer_unordered(DELETES_IN_FLIGHT_MAX)
            .try_collect::<Vec<()>>()
            .await?;
        Ok(())
    }

    /// The file that stands where this place is to be a folder, or above it.
    /// Listing such a place finds nothing, and no error.
    pub fn file_in_the_way(&self) -> Option<PathBuf> {
        match obstacle::find(&self.folder()?.join("_"))? {
            Obstacle::File(file) => Some(file),
            Obstacle::NoFolder(_) => None,
        }
    }

    pub(crate) fn explain(&self, action: Action, relative: &str, error: &StoreError) -> Error {
        let explained = Error::explain(action, self.shown(relative), error, &self.redactor);
        match self.folder() {
            Some(folder) => obstacle::named(explained, action, &folder.join(relative)),
            None => explained,
        }
    }

    /// Writes; repeats what may be repeated: the store's client retries server
    /// errors, but not a connection that broke after a request was sent.
    async fn write<F>(
        &self,
        action: Action,
        relative: &str,
        work: impl Fn() -> F,
    ) -> Result<(), Error>
    where
        F: Future<Output = Result<(), StoreError>>,
    {
        self.tried(WRITES_MAX, action, relative, work).await
    }

    /// Reads; the store's client retries all but a body that ends too early.
    pub(super) async fn read<T, F>(
        &self,
        action: Action,
        relative: &str,
        work: impl Fn() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        self.tried(READS_MAX, action, relative, work).await
    }

    async fn tried<T, F>(
        &self,
        tries_max: u32,
        action: Action,
        relative: &str,
        work: impl Fn() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut pause = Duration::from_millis(PAUSE_MS);
        let mut tries = 1;
        loop {
            let error = match work().await {
                Err(error) if tries < tries_max && is_passing(&error) => error,
                done => return done.map_err(|error| self.explain(action, relative, &error)),
            };
            let error = self.explain(action, relative, &error);
            tracing::debug!(%error, tries, "trying again");
            tokio::time::sleep(pause).await;
            pause *= 2;
            tries += 1;
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// The URL only: the store's own form could name more than it should.
impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Location").field(&self.url).finish()
    }
}

/// Lower-case hexadecimal, as checksums are written everywhere.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        hex.push(char::from(HEX[usize::from(byte >> 4)]));
        hex.push(char::from(HEX[usize::from(byte & 15)]));
        hex
    })
}

/// True for what may be otherwise the next time. S3 answers 409 to concurrent
/// writes of one key, which the client calls so.
fn is_passing(error: &StoreError) -> bool {
    matches!(error, StoreError::Generic { .. } | StoreError::AlreadyExists { .. })
}

/// An object that may be missing.
pub(super) fn present<T>(answer: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// True when the object, not the bucket, is what is missing.
pub(crate) fn is_absent(error: &StoreError) -> bool {
    matches!(error, StoreError::NotFound { .. }) && !names_missing_bucket(error)
}
