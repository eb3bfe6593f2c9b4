//! What on a disk keeps a path from being made: a file where a folder should
//! be, or a folder that the system lets nobody make.
//!
//! Looked at only after something has failed, to name what the system's own
//! words leave out.

use std::fs;
use std::path::{Path as FsPath, PathBuf};

use super::error::{Action, Error, Kind};

/// The nearest thing on the way to a path that is no folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// A file stands where a folder should be.
    File(PathBuf),
    /// The first folder that is not there.
    NoFolder(PathBuf),
}

/// What is in the way to `path`, if anything is.
pub(super) fn find(path: &FsPath) -> Option<Obstacle> {
    let mut missing = None;
    for folder in path.ancestors().skip(1) {
        match fs::metadata(folder) {
            Ok(found) if found.is_dir() => break,
            Ok(_) => return Some(Obstacle::File(folder.to_path_buf())),
            Err(_) => missing = Some(folder),
        }
    }
    missing.map(|folder| Obstacle::NoFolder(folder.to_path_buf()))
}

/// Names what is in the way to `path`, where that is why `action` has failed.
pub(super) fn named(error: Error, action: Action, path: &FsPath) -> Error {
    if !matches!(error.kind(), Kind::Missing | Kind::Failed) {
        return error;
    }
    match find(path) {
        Some(Obstacle::File(file)) => error
            .saying(format!("cannot {action}: `{}` is a file, not a folder", file.display()))
            .advising("correct the path, or move this file away"),
        Some(Obstacle::NoFolder(folder)) if action == Action::Write => error
            .saying(format!("cannot {action}: the folder `{}` cannot be made", folder.display()))
            .advising("correct the path: the system takes no folder there"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_thing_that_is_no_folder_is_found() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |relative: &str| dir.path().join(relative);
        fs::write(path("file"), "").expect("a file");
        fs::create_dir(path("folder")).expect("a folder");
        for (relative, expected) in [
            ("new", None),
            ("file", None),
            ("folder/new", None),
            ("file/a", Some(Obstacle::File(path("file")))),
            ("file/a/b/c", Some(Obstacle::File(path("file")))),
            ("folder/a/b/c", Some(Obstacle::NoFolder(path("folder/a")))),
        ] {
            assert_eq!(find(&path(relative)), expected, "{relative}");
        }
    }
}
