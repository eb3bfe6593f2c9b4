//! What stands below a place, and sweeping up what a crash left there.
//!
//! Listings come back sorted and relative to the place, because stores list in
//! any order and nobody above should care for prefixes.

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectMeta};

use super::error::{Action, Error};
use super::location::{Location, is_absent};
use super::temporary::is_temporary;

/// How deep a sweep goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The folder's own files.
    Folder,
    /// Everything below, and folders that are empty then.
    All,
}

impl Location {
    /// Every object below `relative`, as (path relative to this place, meta), sorted.
    ///
    /// # Errors
    /// When the store refuses or fails; an empty or missing folder is no error.
    pub async fn list(&self, relative: &str) -> Result<Vec<(String, ObjectMeta)>, Error> {
        let path = self.path(relative);
        let listed = self.read(Action::List, relative, || async {
            let listed = self.store().list(Some(&path)).try_collect::<Vec<ObjectMeta>>();
            absent_is_empty(listed.await)
        });
        let metas = listed.await?;
        let mut found: Vec<_> = metas
            .into_iter()
            .filter_map(|meta| Some((self.relative(&meta.location)?, meta)))
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    /// The names of the folders right below `relative`, sorted.
    ///
    /// # Errors
    /// As [`Location::list`].
    pub async fn folders(&self, relative: &str) -> Result<Vec<String>, Error> {
        let path = self.path(relative);
        let listed = self.read(Action::List, relative, || async {
            let listed = self.store().list_with_delimiter(Some(&path));
            absent_is_empty(listed.await.map(|listed| listed.common_prefixes))
        });
        let prefixes = listed.await?;
        let mut names: Vec<_> =
            prefixes.iter().filter_map(|prefix| prefix.filename().map(str::to_owned)).collect();
        names.sort();
        Ok(names)
    }

    /// On a disk: removes temporary files a crash left in `relative`, and with
    /// [`Depth::All`] empty folders too. Elsewhere there are none.
    ///
    /// Only for a caller that knows nobody else is writing there.
    pub async fn sweep(&self, relative: &str, depth: Depth) {
        let Some(root) = self.folder() else { return };
        if self.link_at(relative).is_some() {
            return;
        }
        let folder = root.join(relative);
        // What cannot be swept now is swept next time: it is invisible.
        let swept = tokio::task::spawn_blocking(move || sweep_folder(&folder, depth)).await;
        if let Err(error) = swept {
            tracing::debug!(%error, "sweep did not finish");
        }
    }

    fn relative(&self, location: &Path) -> Option<String> {
        let parts: Vec<_> = location.prefix_match(self.prefix())?.collect();
        Some(parts.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("/"))
    }
}

/// A folder that is missing holds nothing.
fn absent_is_empty<T>(listed: Result<Vec<T>, StoreError>) -> Result<Vec<T>, StoreError> {
    match listed {
        Err(error) if is_absent(&error) => Ok(Vec::new()),
        other => other,
    }
}

fn sweep_folder(folder: &std::path::Path, depth: Depth) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if depth == Depth::All {
                sweep_folder(&path, depth);
            }
        } else if entry.file_name().to_str().is_some_and(is_temporary) {
            let _ = std::fs::remove_file(&path);
        }
    }
    if depth == Depth::All {
        // Fails, as it should, unless the folder is empty.
        let _ = std::fs::remove_dir(folder);
    }
}
