//! A lock the operating system frees when its process dies.
//!
//! Only a local folder has one. It tells at once, without waiting for a lease
//! to run out, whether the process that took it is still alive. Where the file
//! system has no locks the answer is [`Exclusive::Unavailable`], and leases
//! decide alone.

use std::fs::{File, OpenOptions, TryLockError};

use super::error::{Action, Error};
use super::location::Location;

/// The answer to asking for the lock; held until it is dropped.
#[derive(Debug)]
pub enum Exclusive {
    /// The lock is ours for as long as the guard lives.
    Held(ExclusiveGuard),
    /// A living process holds it.
    Busy,
    /// This store has no such lock.
    Unavailable,
}

/// Frees the lock when dropped, as the OS does when the process is killed.
#[derive(Debug)]
pub struct ExclusiveGuard {
    _file: File,
}

impl Location {
    /// Tries to take the OS lock called `relative`, without waiting.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub async fn try_exclusive(&self, relative: &str) -> Result<Exclusive, Error> {
        let Some(folder) = self.folder() else {
            return Ok(Exclusive::Unavailable);
        };
        // `#0` keeps the file out of every listing; see `local`.
        let path = folder.join(format!("{relative}#0"));
        let taken = tokio::task::spawn_blocking(move || take(&path)).await;
        let taken = taken.map_err(object_store::Error::from).and_then(|taken| {
            taken.map_err(|source| match source.kind() {
                std::io::ErrorKind::PermissionDenied => object_store::Error::PermissionDenied {
                    path: relative.to_owned(),
                    source: source.into(),
                },
                _ => object_store::Error::Generic { store: "LocalDisk", source: source.into() },
            })
        });
        taken.map_err(|error| self.explain(Action::Write, relative, &error))
    }
}

fn take(path: &std::path::Path) -> std::io::Result<Exclusive> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Exclusive::Held(ExclusiveGuard { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(Exclusive::Busy),
        Err(TryLockError::Error(_)) => Ok(Exclusive::Unavailable),
    }
}
