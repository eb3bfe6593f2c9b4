//! What an object holds, as a checksum, however large it is.

use std::fs::File;
use std::io::{self, Read};

use futures::TryStreamExt;
use object_store::{Error as StoreError, GetResultPayload, ObjectStoreExt};
use sha2::{Digest as _, Sha256};

use super::error::{Action, Error};
use super::location::{Location, hex, present};

/// Bytes of a file that are read at once.
const BUFFER_BYTES: usize = 1024 * 1024;

/// Size and checksum of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Its size.
    pub bytes: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

impl Digest {
    /// Of content that is in memory.
    pub fn of(content: &[u8]) -> Self {
        Self { bytes: content.len() as u64, sha256: hex(&Sha256::digest(content)) }
    }
}

impl Location {
    /// Reads an object to its end and returns its digest; None if there is none.
    /// Memory is bounded, whatever its size.
    ///
    /// # Errors
    /// When the store refuses or fails, or the bucket is missing.
    pub async fn digest(&self, relative: &str) -> Result<Option<Digest>, Error> {
        let path = self.path(relative);
        self.read(Action::Read, relative, || async {
            let Some(found) = present(self.store().get(&path).await)? else { return Ok(None) };
            match found.payload {
                GetResultPayload::File(file, _) => {
                    let digest = tokio::task::spawn_blocking(move || of_file(file)).await?;
                    let failed = |error: io::Error| StoreError::Generic {
                        store: "LocalDisk",
                        source: error.into(),
                    };
                    digest.map(Some).map_err(failed)
                }
                GetResultPayload::Stream(mut content) => {
                    let (mut hasher, mut bytes) = (Sha256::new(), 0);
                    while let Some(chunk) = content.try_next().await? {
                        bytes += chunk.len() as u64;
                        hasher.update(&chunk);
                    }
                    Ok(Some(Digest { bytes, sha256: hex(&hasher.finalize()) }))
                }
            }
        })
        .await
    }

    /// On a disk: whether two names are one file, as hard links are.
    pub fn is_same_file(&self, one: &str, other: &str) -> bool {
        let Some(folder) = self.folder() else { return false };
        is_same_file(&folder.join(one), &folder.join(other))
    }
}

fn of_file(mut file: File) -> io::Result<Digest> {
    let (mut hasher, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                bytes += read as u64;
                hasher.update(&buffer[..read]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Digest { bytes, sha256: hex(&hasher.finalize()) })
}

#[cfg(unix)]
fn is_same_file(one: &std::path::Path, other: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path| std::fs::metadata(path).map(|found| (found.dev(), found.ino()));
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

/// Unknown elsewhere: then both are read.
#[cfg(not(unix))]
fn is_same_file(_: &std::path::Path, _: &std::path::Path) -> bool {
    false
}
