//! Symbolic links below a place on a disk. What lies behind one is not the
//! place's own: it may be read, and is never removed.

use std::fs;
use std::io;
use std::path::{Path as FsPath, PathBuf};

use object_store::ObjectMeta;

use super::error::{Action, Error};
use super::location::Location;
use super::temporary::STORE;

impl Location {
    /// On a disk: the first symbolic link on the way from this place to
    /// `relative`, itself not counted. The place may be reached through links.
    pub fn link_above(&self, relative: &str) -> Option<PathBuf> {
        let parts = relative.split('/').filter(|part| !part.is_empty());
        let mut path = self.folder()?.to_path_buf();
        let mut parts: Vec<&str> = parts.collect();
        parts.pop();
        parts.into_iter().find_map(|part| {
            path.push(part);
            is_link(&path).then(|| path.clone())
        })
    }

    /// The symbolic link that `relative` is, or lies behind.
    pub fn link_at(&self, relative: &str) -> Option<PathBuf> {
        self.link_above(&format!("{relative}/_"))
    }

    /// As [`Location::list`], for a caller who removes: on a disk nothing behind
    /// a symbolic link is listed, nor the link.
    ///
    /// # Errors
    /// As [`Location::list`].
    pub async fn list_own(&self, relative: &str) -> Result<Vec<(String, ObjectMeta)>, Error> {
        let Some(root) = self.folder() else { return self.list(relative).await };
        if let Some(link) = self.link_at(relative) {
            left_alone(&link);
            return Ok(Vec::new());
        }
        let (folder, below) = (root.join(relative), relative.to_owned());
        let listed = tokio::task::spawn_blocking(move || {
            let mut files = Vec::new();
            walk(&folder, below.trim_matches('/'), &mut files).map(|()| files)
        });
        let listed = listed.await.map_err(io::Error::from).and_then(|listed| listed);
        let failed = |error: io::Error| {
            let error = object_store::Error::Generic { store: STORE, source: error.into() };
            self.explain(Action::List, relative, &error)
        };
        let mut files = listed.map_err(failed)?;
        files.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(files
            .into_iter()
            .map(|(path, found)| {
                let meta = ObjectMeta {
                    location: self.path(&path),
                    last_modified: found.modified.into(),
                    size: found.bytes,
                    e_tag: None,
                    version: None,
                };
                (path, meta)
            })
            .collect())
    }

    /// Why an object is not to be removed: a symbolic link leads to it.
    pub(super) fn behind_link(&self, relative: &str) -> Option<Error> {
        let link = self.link_above(relative)?;
        Some(Error::refused(
            format!("cannot delete: `{}` is a symbolic link", link.display()),
            self.shown(relative),
            "nothing behind a link is removed, for it may be somebody else's: remove the file \
             yourself, or put a folder in the place of the link",
        ))
    }
}

/// Tells that a link was met where files are removed.
pub(crate) fn left_alone(link: &FsPath) {
    tracing::warn!("`{}` is a symbolic link; what is behind it is left alone", link.display());
}

struct Found {
    bytes: u64,
    modified: std::time::SystemTime,
}

/// The files below a folder, under their names from the place on.
fn walk(folder: &FsPath, below: &str, files: &mut Vec<(String, Found)>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        // Names of ours are texts, and a lock or a file on its way has a `#`.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let (path, kind) = (format!("{below}/{name}"), entry.file_type()?);
        if kind.is_symlink() {
            left_alone(&entry.path());
        } else if kind.is_dir() {
            walk(&entry.path(), &path, files)?;
        } else if kind.is_file() && !name.contains('#') {
            match entry.metadata() {
                // Gone since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                found => {
                    let found = found?;
                    let (bytes, modified) = (found.len(), found.modified()?);
                    files.push((path, Found { bytes, modified }));
                }
            }
        }
    }
    Ok(())
}

fn is_link(path: &FsPath) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}
