//! Whether published tables that a run reads again are what was written: each file
//! has its checksum in the manifest. Nothing is computed from one that has decayed.

use super::reuse::Look;
use super::target::{DataFile, Day, Error, Manifest, Target};
use super::{Event, Job, explain};
use crate::error::Result;
use crate::problem::Problem;

/// What is wrong with the first file of a table that is not what was written, and which
/// it is.
///
/// # Errors
/// The store refuses or fails.
pub async fn damage(
    target: &Target,
    table: &str,
    day: Day,
    files: &[DataFile],
) -> Result<Option<String>> {
    match target.check_content(table, day, files).await {
        Ok(()) => Ok(None),
        Err(Error::Damaged { place, cause, .. }) => Ok(Some(format!("{place}: {cause}"))),
        Err(error) => Err(explain(error)),
    }
}

/// Looks at the published tables that this run would read, and builds again those
/// that are damaged, with a warning that names the file.
///
/// # Errors
/// The store refuses or fails.
pub async fn leave_out_damaged(
    job: &Job<'_>,
    target: &Target,
    manifest: &Manifest,
    look: &mut Look<'_>,
) -> Result<()> {
    let day = Day::from(job.plan.as_of);
    // What is built again may read others.
    while let Some(name) = look.work.read_back.difference(&look.intact).next().cloned() {
        let files = manifest.entry(&name, day).map(|entry| entry.files.as_slice());
        match damage(target, &name, day, files.unwrap_or_default()).await? {
            None => drop(look.intact.insert(name)),
            Some(damage) => {
                let text = format!("`{name}` is damaged and built again: {damage}");
                job.observer.event(&Event::Warning(text));
                look.does_not_stand(&name);
            }
        }
    }
    Ok(())
}

/// That a table is damaged which cannot be built again in this run any more.
pub fn damaged(table: &str, damage: &str) -> Problem {
    Problem::new(format!("`{table}` is damaged, and this run has to read it"))
        .note("cause", damage)
        .help("run again: the table is built anew then")
}
