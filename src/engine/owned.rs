//! A temporary folder with an owner: gone when it is dropped, and when its
//! process was killed, removed by the next that looks.
//!
//! The owner holds a lock of the operating system on a file inside, which ends
//! with the process however it ends.
//!
//! The folder above may be shared with other users. So ours has a name nobody can
//! foresee and is for its own user alone, and of what others have put there under
//! such a name nothing is opened, followed or removed.

use std::fs::{self, File, Metadata, TryLockError};
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
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let folder = builder.tempdir_in(parent)?;
        // Locked before it has its name, so that nobody finds it unlocked. Where
        // files cannot be locked it gets none, and nobody takes it for left behind.
        let unnamed = folder.path().join("owner.new");
        let owner = File::create(&unnamed)?;
        if owner.lock().is_ok() {
            fs::rename(unnamed, folder.path().join(OWNER))?;
        }
        sweep(parent, &fs::symlink_metadata(folder.path())?);
        Ok(Self { folder, _owner: owner })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes what dead processes of the user left who made the folder `ours`. What
/// cannot be looked at or removed stays.
fn sweep(parent: &Path, ours: &Metadata) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let is_named = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if is_named && is_left_behind(&entry.path(), ours) {
            tracing::info!(folder = %entry.path().display(), "removing what a dead run left");
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether a folder is of the same user, and nobody holds its lock.
fn is_left_behind(folder: &Path, ours: &Metadata) -> bool {
    let owner = folder.join(OWNER);
    // A symbolic link is none of these, nor is a pipe, which would wait for a writer.
    let is_ours = fs::symlink_metadata(folder)
        .is_ok_and(|found| found.is_dir() && is_of_same_user(&found, ours) && is_private(&found))
        && fs::symlink_metadata(&owner)
            .is_ok_and(|found| found.is_file() && is_of_same_user(&found, ours));
    is_ours
        && File::open(owner).is_ok_and(|file| {
            !matches!(file.try_lock(), Err(TryLockError::WouldBlock | TryLockError::Error(_)))
        })
}

#[cfg(unix)]
fn is_of_same_user(found: &Metadata, ours: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    found.uid() == ours.uid()
}

/// Temporary folders are a user's own there.
#[cfg(not(unix))]
fn is_of_same_user(_found: &Metadata, _ours: &Metadata) -> bool {
    true
}

/// Whether nobody else can put something else into a folder while it is looked at.
#[cfg(unix)]
fn is_private(found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    found.mode() & 0o022 == 0
}

#[cfg(not(unix))]
fn is_private(_found: &Metadata) -> bool {
    true
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
        #[cfg(unix)]
        fs::set_permissions(&dead, std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .expect("set");
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

    #[cfg(unix)]
    #[test]
    fn nothing_but_a_plain_folder_of_the_same_user_is_opened_or_removed() {
        use std::os::unix::fs::{PermissionsExt, chown, symlink};

        let parent = tempfile::tempdir().expect("a folder");
        let inside = |name: &str| {
            let folder = parent.path().join(name);
            fs::create_dir(&folder).expect("a folder");
            fs::write(folder.join("rows"), "rows").expect("a file");
            folder
        };
        let elsewhere = tempfile::tempdir().expect("a folder");
        fs::write(elsewhere.path().join(OWNER), "").expect("a file");
        symlink(elsewhere.path(), parent.path().join("tenure-link")).expect("a link");
        fs::write(parent.path().join("tenure-file"), "").expect("a file");
        symlink(elsewhere.path().join(OWNER), inside("tenure-linked").join(OWNER)).expect("a link");
        let _socket = std::os::unix::net::UnixListener::bind(inside("tenure-socket").join(OWNER));
        // Who opens a pipe to read waits for somebody to write.
        let pipe = inside("tenure-pipe").join(OWNER);
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
        assert!(made.success());
        let open = inside("tenure-open");
        fs::write(open.join(OWNER), "").expect("a file");
        fs::set_permissions(&open, PermissionsExt::from_mode(0o777)).expect("set");
        let foreign = inside("tenure-foreign");
        fs::write(foreign.join(OWNER), "").expect("a file");
        // Only a superuser can give it away.
        let is_given = chown(&foreign, Some(65_534), None).is_ok();
        if !is_given {
            eprintln!("skipped: a folder of another user can only be made by a superuser");
            fs::remove_dir_all(&foreign).expect("removed");
        }

        let ours = OwnedFolder::new(parent.path()).expect("a folder");
        let mode = fs::metadata(ours.path()).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let mut left: Vec<String> = fs::read_dir(parent.path())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .filter(|name| !ours.path().ends_with(name))
            .collect();
        left.sort();
        let mut expected = vec![
            "tenure-file",
            "tenure-link",
            "tenure-linked",
            "tenure-open",
            "tenure-pipe",
            "tenure-socket",
        ];
        if is_given {
            expected.insert(1, "tenure-foreign");
        }
        assert_eq!(left, expected);
        assert!(elsewhere.path().join(OWNER).exists());
    }
}
