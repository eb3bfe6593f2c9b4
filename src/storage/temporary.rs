//! Hidden files on their way to a name: written, synced, renamed.
//!
//! The small tools `local` keeps its promises with. Nothing here knows of
//! conditions or versions.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path as FsPath, PathBuf};

use object_store::{PutPayload, Result};

/// The name of the store in its errors.
pub(super) const STORE: &str = "LocalDisk";

/// A hidden file beside its target; removed when dropped, wherever it failed.
pub(super) struct Temporary {
    pub(super) path: PathBuf,
}

impl Temporary {
    /// Names one beside `target`; whoever fills it makes it.
    pub(super) fn beside(target: &FsPath) -> Self {
        Self { path: temporary_path(target) }
    }

    /// Writes and syncs one; what is renamed later is whole.
    pub(super) fn write(target: &FsPath, payload: &PutPayload) -> Result<Self> {
        create_parent(target)?;
        let temporary = Self::beside(target);
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary.path)?;
            for chunk in payload {
                file.write_all(chunk)?;
            }
            file.sync_all()
        })();
        written.map_err(|error| explain(error, target))?;
        Ok(temporary)
    }

    /// Puts it in the place of `target` in one step, durably.
    pub(super) fn rename_to(&self, target: &FsPath) -> Result<()> {
        fs::rename(&self.path, target).map_err(|error| explain(error, target))?;
        sync_folder(target)
    }
}

impl Drop for Temporary {
    /// Also after a rename: two links to one file make rename do nothing and
    /// succeed, and then the temporary name is still there.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// True for the name of a temporary file of this decorator or its inner store.
pub(crate) fn is_temporary(file_name: &str) -> bool {
    file_name.rsplit_once('#').is_some_and(|(_, digits)| {
        digits != "0" && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn temporary_path(target: &FsPath) -> PathBuf {
    let random = uuid::Uuid::new_v4().as_u128();
    with_suffix(target, &format!("#{random}"))
}

pub(super) fn with_suffix(path: &FsPath, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

pub(super) fn create_parent(path: &FsPath) -> Result<()> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(|error| explain(error, parent)),
        None => Ok(()),
    }
}

/// Makes the folder's new entry durable. Not all systems can open folders, and
/// those that cannot need not.
pub(super) fn sync_folder(path: &FsPath) -> Result<()> {
    if let Some(Ok(folder)) = path.parent().map(File::open) {
        match folder.sync_all() {
            Err(error) if error.kind() != ErrorKind::InvalidInput => {
                return Err(explain(error, path));
            }
            _ => {}
        }
    }
    Ok(())
}

/// An I/O error as a store's: what a caller branches on, else the error itself.
pub(super) fn explain(source: io::Error, path: &FsPath) -> object_store::Error {
    let path = path.display().to_string();
    match source.kind() {
        ErrorKind::NotFound => object_store::Error::NotFound { path, source: source.into() },
        ErrorKind::PermissionDenied => {
            object_store::Error::PermissionDenied { path, source: source.into() }
        }
        _ => object_store::Error::Generic { store: STORE, source: Box::new(source) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_names_are_told_from_locks_and_data() {
        assert!(is_temporary("a.parquet#12") && is_temporary("current.json#1"));
        for name in ["current.json#0", "a.parquet", "a#b", "a#"] {
            assert!(!is_temporary(name), "{name}");
        }
    }
}
