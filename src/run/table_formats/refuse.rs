//! A source that would read the files of a table one by one is refused: rows that
//! were deleted, changed or compacted are in them still.

use std::path::PathBuf;

use object_store::ObjectMeta;
use object_store::path::Path;

use super::recognise::{Format, Sign, around, is_below, tables};
use crate::plan::SourcePlan;
use crate::problem::Problem;
use crate::storage::Location;

/// Folders named in a message; more would bury it.
const SHOWN_MAX: usize = 5;

/// That no file which a source would read belongs to a table: `listed` is what is
/// below the location, and `read` what the source takes of it. `written` is the
/// location as the pipeline writes it.
///
/// # Errors
/// The table, and the next move.
pub async fn loose_files<'a>(
    plan: &SourcePlan,
    location: &Location,
    written: &str,
    listed: &[(String, ObjectMeta)],
    read: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), Problem> {
    let mut below = tables(listed.iter().map(|(path, _)| path.as_str()));
    below.retain(|root, _| read.clone().any(|path| is_below(path, root)));
    if let Some((root, sign)) = below.first_key_value() {
        let problem = refusal(plan, location.shown(root), &below_as_written(written, root), sign);
        return Err(match below.len() {
            1 => problem,
            all => problem.note("note", several(written, below.keys(), all)),
        });
    }
    if let Some((up, sign)) = around(location.store(), location.prefix()).await {
        let root = above_as_written(written, location, up);
        return Err(refusal(plan, root.clone(), &root, &sign));
    }
    if let Some(folder) = read.clone().next().and_then(|file| linked(location, file))
        && let Ok(path) = Path::from_absolute_path(&folder)
        && let Some((up, sign)) = around(location.store(), &path).await
    {
        let root = folder.ancestors().nth(up).unwrap_or(&folder).display().to_string();
        return Err(refusal(plan, root.clone(), &root, &sign));
    }
    Ok(())
}

/// The folder that a file really is in, if a link leads there.
fn linked(location: &Location, file: &str) -> Option<PathBuf> {
    let file = location.folder()?.join(file);
    let real = std::fs::canonicalize(&file).ok()?;
    (real != file).then(|| real.parent().map(PathBuf::from))?
}

fn several<'a>(written: &str, roots: impl Iterator<Item = &'a String>, all: usize) -> String {
    let shown = roots.take(SHOWN_MAX).map(|root| format!("`{}`", below_as_written(written, root)));
    let shown = shown.collect::<Vec<_>>().join(", ");
    let more = if all > SHOWN_MAX { ", …" } else { "" };
    format!("{all} tables are there: {shown}{more}; a source reads one of them")
}

/// `root` is the table's folder as a pipeline would write it.
fn refusal(plan: &SourcePlan, place: String, root: &str, sign: &Sign) -> Problem {
    let (format, log) = match sign.format {
        Format::Delta => ("a Delta", "_delta_log"),
        Format::Iceberg => ("an Iceberg", "metadata"),
        Format::Hudi => ("a Hudi", ".hoodie"),
    };
    let message = format!(
        "source `{}` would read the files of {format} table as if every row in them counted",
        plan.kind.name
    );
    let why = format!(
        "rows that were deleted, changed or compacted are still in its files; only `{log}` says \
         which count"
    );
    let help = match sign.format {
        Format::Delta => format!("say `format: delta` and `url: {root}` for this source"),
        Format::Iceberg => format!(
            "write its newest snapshot to a file and name that in `url`, such as with DuckDB: \
             `copy (select * from iceberg_scan('{root}/{}')) to 'orders.parquet'`",
            sign.file
        ),
        Format::Hudi => format!(
            "write its newest snapshot to a folder and name that in `url`, such as with Spark: \
             `spark.read.format(\"hudi\").load(\"{root}\").write.parquet(\"orders\")`"
        ),
    };
    Problem::named(place, message).note("note", why).help(help)
}

/// A folder below a place, as a pipeline would write it.
pub fn below_as_written(written: &str, relative: &str) -> String {
    match (written, relative) {
        (written, "") => written.into(),
        (".", relative) => relative.into(),
        ("/", relative) => format!("/{relative}"),
        (written, relative) => format!("{written}/{relative}"),
    }
}

/// A folder so many names above a place, as a pipeline would write it.
pub fn above_as_written(written: &str, location: &Location, up: usize) -> String {
    let names = written.split('/').filter(|name| !matches!(*name, "" | ".")).count();
    let is_relative = !written.contains("://") && !written.starts_with('/');
    let is_plain = !written.split('/').any(|name| name == ".." || name == ".");
    let from = match is_relative && (names <= up || !is_plain) {
        // It is above the project folder.
        true if up > 0 => location.url(),
        _ => written.trim_end_matches('/'),
    };
    match (0..up).fold(from, |text, _| above(text)) {
        "" => "/".into(),
        root => root.into(),
    }
}

fn above(text: &str) -> &str {
    text.rsplit_once('/').map_or("", |(above, _)| above)
}
