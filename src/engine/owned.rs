//! A temporary folder with an owner: gone when it is dropped, and when its
//! process was killed, removed by the next that looks.
//!
//! The owner holds a lock of the operating system on a file inside, which ends
//! with the process however it ends.

use std::fs::{self, File, TryLockError};
use std::io::Result;
use std::path::Path;

use tempfile::TempDir;

/// What the folders' names begin with.
const PREFIX: &str = "tenure-";

/// The file that is locked.
const OWNER: &str = "owner";

/// A folder of this process.
#[derive(Debug)]
pub struct OwnedFolder {
    folder: TempDir,
    /// Holds the lock.
    _owner: File,
}

impl OwnedFolder {
    /// Makes a folder below `parent`, and removes those whose owner is dead.
    ///
    /// # Errors
    /// The folder cannot be made or locked.
    pub fn new(parent: &Path) -> Result<Self> {
        fs::create_dir_all(parent)?;
        sweep(parent);
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        // Locked before it has its name, so that nobody finds it unlocked. Where
        // files cannot be locked it gets none, and nobody takes it for left behind.
        let unnamed = folder.path().join("owner.new");
        let owner = File::create(&unnamed)?;
        if owner.lock().is_ok() {
            fs::rename(unnamed, folder.path().join(OWNER))?;
        }
        Ok(Self { folder, _owner: owner })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes what dead processes left. What cannot be looked at or removed stays:
/// it may be another user's.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if is_ours && is_left_behind(&entry.path().join(OWNER)) {
            tracing::info!(folder = %entry.path().display(), "removing what a dead run left");
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_left_behind(owner: &Path) -> bool {
    match File::open(owner) {
        Ok(file) => {
            !matches!(file.try_lock(), Err(TryLockError::WouldBlock | TryLockError::Error(_)))
        }
        // None of ours, or not finished yet.
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_living_stay_and_those_of_the_dead_go() {
        let parent = tempfile::tempdir().expect("a folder");
        let living = OwnedFolder::new(parent.path()).expect("a folder");
        // As a killed process leaves it: the file is there, the lock is not.
        let dead = parent.path().join("tenure-dead");
        fs::create_dir(&dead).expect("a folder");
        fs::write(dead.join(OWNER), "").expect("a file");
        let foreign = parent.path().join("tenure-notes");
        fs::create_dir(&foreign).expect("a folder");
        let other = OwnedFolder::new(parent.path()).expect("a folder");
        assert!(living.path().exists() && other.path().exists() && foreign.exists());
        assert!(!dead.exists());
        let path = living.path().to_path_buf();
        drop(living);
        assert!(!path.exists());
    }
}
