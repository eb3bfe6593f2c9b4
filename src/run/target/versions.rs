//! Which version of a Delta table shows a set: for people who travel in time.
//!
//! The manifest names the versions of what is published. Of sets before it the
//! log of each table tells, as far back as it is kept: a commit names its run.
//! Nothing is decided by that, so a commit that cannot be read is passed over.

use serde_json::Value;

use crate::storage::Location;

use super::clock::RunId;
use super::error::Error;
use super::manifest::Manifest;
use super::view::folder;

/// The version of `table` that shows what `run_id` published: the run's own, or
/// that of the last run before it which had something to commit. None if it is
/// no Delta table, or was none then, or its log begins later.
///
/// # Errors
/// When the store refuses or fails.
pub(super) async fn of_run(
    location: &Location,
    manifest: &Manifest,
    table: &str,
    run_id: &RunId,
) -> Result<Option<u64>, Error> {
    let publication = manifest.publication.as_ref();
    if publication.is_some_and(|publication| publication.run_id == *run_id) {
        return Ok(manifest.delta.get(table).copied());
    }
    let below = format!("{}/_delta_log", folder(table));
    let listed = location.list(&below).await?;
    let numbered = |path: String| {
        let name = path.strip_prefix(&below)?.strip_prefix('/')?;
        let version: u64 = name.strip_suffix(".json")?.parse().ok()?;
        Some((version, path))
    };
    let mut commits: Vec<_> = listed.into_iter().filter_map(|(path, _)| numbered(path)).collect();
    commits.sort_unstable();
    for (version, path) in commits.into_iter().rev() {
        let Some(content) = location.get(&path).await? else { continue };
        // Ids sort by age.
        if run_of(&content).is_some_and(|by| by <= *run_id) {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

/// The run that made a commit; None for commits of others.
fn run_of(content: &[u8]) -> Option<RunId> {
    let lines = content.split(|byte| *byte == b'\n');
    let mut actions = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    actions.find_map(|action| action["commitInfo"]["runId"].as_str()?.parse().ok())
}
