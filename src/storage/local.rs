//! A local disk that keeps the promises an object store makes.
//!
//! `LocalFileSystem` refuses conditional updates, never syncs, and cannot copy
//! between file systems. This decorator adds what publishing needs:
//!
//! - **every put is atomic and durable**: a hidden temporary file, `fsync`,
//!   rename, `fsync` of the folder;
//! - **`PutMode::Update`** compares the file's content under an OS file lock;
//! - **copy is a hard link** swapped in by rename, and a copied, synced
//!   temporary file where links are not possible.
//!
//! Hidden files are named `<name>#<digits>`, which `LocalFileSystem` leaves out
//! of listings and no `*.parquet` glob matches. `#0` is the lock of a key and
//! stays; any other number is a temporary file that a crash may leave behind.
//!
//! It does not interpret what it stores.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UpdateVersion, UploadPart,
};
use sha2::{Digest, Sha256};

use super::temporary::{STORE, Temporary, create_parent, explain, sync_folder, with_suffix};

/// Suffix of the lock file of a key.
const LOCK_SUFFIX: &str = "#0";

/// Prefix of a version that is the content itself, not inode and time.
const CONTENT_PREFIX: &str = "sha256:";

/// The local disk as an object store; paths are absolute file system paths.
#[derive(Clone, Debug)]
pub struct LocalDisk {
    inner: Arc<LocalFileSystem>,
}

impl LocalDisk {
    /// The whole disk, not a folder of it. Touches no file.
    pub fn new() -> Self {
        Self { inner: Arc::new(LocalFileSystem::new()) }
    }

    /// The version of `content` that [`PutMode::Update`] compares.
    ///
    /// Inode and time can repeat within a clock tick; content with a unique id
    /// in it cannot.
    pub(crate) fn content_version(content: &[u8]) -> UpdateVersion {
        UpdateVersion { e_tag: Some(content_tag(content)), version: None }
    }
}

impl Default for LocalDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for LocalDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

#[async_trait]
impl ObjectStore for LocalDisk {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let path = self.inner.path_to_filesystem(location)?;
        blocking(move || match opts.mode {
            PutMode::Overwrite => overwrite(&path, &payload),
            PutMode::Create => create(&path, &payload),
            PutMode::Update(version) => update(&path, &payload, &version),
        })
        .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let path = self.inner.path_to_filesystem(location)?;
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(SyncedUpload { inner, path }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        if options.mode == CopyMode::Create {
            return self.inner.copy_opts(from, to, options).await;
        }
        let from = self.inner.path_to_filesystem(from)?;
        let to = self.inner.path_to_filesystem(to)?;
        blocking(move || replace_by_link(&from, &to)).await
    }
}

/// A multipart upload whose file is on the disk, not in its cache, once complete.
#[derive(Debug)]
struct SyncedUpload {
    inner: Box<dyn MultipartUpload>,
    path: PathBuf,
}

#[async_trait]
impl MultipartUpload for SyncedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let result = self.inner.complete().await?;
        let path = self.path.clone();
        // Synced after the rename, which is soon enough: nothing names a
        // staged file before it has been recorded as complete.
        blocking(move || {
            File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(|error| explain(error, &path))?;
            sync_folder(&path)
        })
        .await?;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

fn overwrite(path: &FsPath, payload: &PutPayload) -> Result<PutResult> {
    let temporary = Temporary::write(path, payload)?;
    temporary.rename_to(path)?;
    Ok(put_result(payload))
}

/// Linking fails if the name exists, in one step; without links, a lock helps.
fn create(path: &FsPath, payload: &PutPayload) -> Result<PutResult> {
    let temporary = Temporary::write(path, payload)?;
    match fs::hard_link(&temporary.path, path) {
        Ok(()) => sync_folder(path)?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(already_exists(error, path));
        }
        Err(_) => {
            let _lock = lock_key(path)?;
            if path.exists() {
                return Err(already_exists(ErrorKind::AlreadyExists.into(), path));
            }
            temporary.rename_to(path)?;
        }
    }
    Ok(put_result(payload))
}

/// Compare and swap: the lock makes compare and rename one step for all
/// processes that update through this decorator.
fn update(path: &FsPath, payload: &PutPayload, expected: &UpdateVersion) -> Result<PutResult> {
    let _lock = lock_key(path)?;
    let current = match fs::read(path) {
        Ok(content) => content_tag(&content),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(precondition("nothing is there", path));
        }
        Err(error) => return Err(explain(error, path)),
    };
    if expected.e_tag.as_deref() != Some(current.as_str()) {
        return Err(precondition("its content changed", path));
    }
    overwrite(path, payload)
}

fn replace_by_link(from: &FsPath, to: &FsPath) -> Result<()> {
    create_parent(to)?;
    let temporary = Temporary::beside(to);
    match fs::hard_link(from, &temporary.path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound && !from.exists() => {
            return Err(explain(error, from));
        }
        // Another file system, or one without links: copy, then swap in whole.
        Err(_) => {
            fs::copy(from, &temporary.path).map_err(|error| explain(error, to))?;
            File::open(&temporary.path)
                .and_then(|file| file.sync_all())
                .map_err(|error| explain(error, to))?;
        }
    }
    temporary.rename_to(to)
}

/// Gives a file another name in the place of whatever has it, durably. Tells whether
/// that could be: not on another file system, nor on one without links.
pub(super) async fn link(from: PathBuf, to: PathBuf) -> Result<bool> {
    blocking(move || {
        create_parent(&to)?;
        let temporary = Temporary::beside(&to);
        if fs::hard_link(&from, &temporary.path).is_err() {
            return Ok(false);
        }
        temporary.rename_to(&to)?;
        // Soon enough: nothing names it yet.
        File::open(&to).and_then(|file| file.sync_all()).map_err(|error| explain(error, &to))?;
        Ok(true)
    })
    .await
}

/// Waits for the OS lock of `path`; dropped or killed, the OS gives it free.
///
/// The lock file is never removed: who waits on a removed file holds nothing.
fn lock_key(path: &FsPath) -> Result<File> {
    create_parent(path)?;
    let lock_path = with_suffix(path, LOCK_SUFFIX);
    let open = || {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&lock_path)?;
        file.lock()?;
        Ok(file)
    };
    open().map_err(|error| explain(error, &lock_path))
}

fn put_result(payload: &PutPayload) -> PutResult {
    let mut hasher = Sha256::new();
    for chunk in payload {
        hasher.update(chunk);
    }
    PutResult { e_tag: Some(tag(&hasher.finalize())), version: None }
}

fn content_tag(content: &[u8]) -> String {
    tag(&Sha256::digest(content))
}

fn tag(digest: &[u8]) -> String {
    format!("{CONTENT_PREFIX}{}", super::location::hex(digest))
}

fn already_exists(source: io::Error, path: &FsPath) -> object_store::Error {
    object_store::Error::AlreadyExists { path: path.display().to_string(), source: source.into() }
}

fn precondition(reason: &'static str, path: &FsPath) -> object_store::Error {
    object_store::Error::Precondition { path: path.display().to_string(), source: reason.into() }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::*;

    fn key(dir: &tempfile::TempDir, name: &str) -> Path {
        Path::from_absolute_path(dir.path().join(name)).expect("a path")
    }

    async fn read(disk: &LocalDisk, key: &Path) -> Vec<u8> {
        disk.get(key).await.expect("get").bytes().await.expect("bytes").to_vec()
    }

    fn when(version: &[u8]) -> PutOptions {
        PutMode::Update(LocalDisk::content_version(version)).into()
    }

    #[tokio::test]
    async fn an_update_needs_the_content_it_expects() {
        let dir = tempfile::tempdir().expect("dir");
        let (disk, key) = (LocalDisk::new(), key(&dir, "deep/current.json"));
        let missing = disk.put_opts(&key, "b".into(), when(b"a")).await;
        assert!(matches!(missing, Err(object_store::Error::Precondition { .. })));
        let first = disk.put_opts(&key, "a".into(), PutMode::Create.into()).await.expect("create");
        assert_eq!(UpdateVersion::from(first), LocalDisk::content_version(b"a"));
        let twice = disk.put_opts(&key, "z".into(), PutMode::Create.into()).await;
        assert!(matches!(twice, Err(object_store::Error::AlreadyExists { .. })));
        disk.put_opts(&key, "b".into(), when(b"a")).await.expect("update");
        let stale = disk.put_opts(&key, "c".into(), when(b"a")).await;
        assert!(matches!(stale, Err(object_store::Error::Precondition { .. })));
        assert_eq!(read(&disk, &key).await, b"b");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_many_updates_at_once_one_wins() {
        let dir = tempfile::tempdir().expect("dir");
        let (disk, key) = (LocalDisk::new(), key(&dir, "k"));
        disk.put(&key, "start".into()).await.expect("put");
        let tries = (0..16).map(|n| {
            let (disk, key) = (disk.clone(), key.clone());
            tokio::spawn(async move {
                disk.put_opts(&key, format!("w{n}").into(), when(b"start")).await.is_ok()
            })
        });
        let won = futures::future::join_all(tries)
            .await
            .into_iter()
            .filter(|won| matches!(won, Ok(true)))
            .count();
        assert_eq!(won, 1);
    }

    #[tokio::test]
    async fn a_copy_is_a_link_and_replaces_whole_also_onto_itself() {
        let dir = tempfile::tempdir().expect("dir");
        let disk = LocalDisk::new();
        let (from, to) = (key(&dir, "set/a.parquet"), key(&dir, "view/a.parquet"));
        disk.put(&from, "rows".into()).await.expect("put");
        disk.put(&to, "old".into()).await.expect("put");
        for _ in 0..2 {
            disk.copy(&from, &to).await.expect("copy");
        }
        assert_eq!(read(&disk, &to).await, b"rows");
        let names: Vec<_> = fs::read_dir(dir.path().join("view"))
            .expect("folder")
            .map(|entry| entry.expect("entry").file_name())
            .collect();
        assert_eq!(names, ["a.parquet"]);
    }
}
