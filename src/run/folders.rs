//! What names of files and folders say: which are data, and which give a column, as
//! `day=2026-11-20` does.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use percent_encoding::percent_decode_str;

use super::source::Found;
use crate::plan::{FileFormat, SourcePlan};
use crate::problem::Problem;
use crate::storage::Location;

/// Files that belong to the data: `_SUCCESS`, hidden files and other formats in the same
/// folder do not.
pub fn is_data(relative: &str, format: FileFormat) -> bool {
    !relative.split('/').any(is_hidden) && has_ending(relative, format)
}

/// Names that are no data, as Spark, Hive and DuckDB have it: a partition is one.
fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name.starts_with('_') && !name.contains('=')
}

/// Whether a file is left out for its name alone, and may be meant all the same: what
/// engines keep for themselves under such names is not.
pub fn is_left_out(relative: &str, format: FileFormat) -> bool {
    const OWN: [&str; 6] =
        ["_temporary", "_tenure", "_delta_log", "_change_data", "_spark_metadata", "_committed"];
    let is_own = |part: &str| OWN.contains(&part) || part.starts_with('.');
    has_ending(relative, format)
        && relative.split('/').any(is_hidden)
        && !relative.split('/').any(is_own)
}

/// Whether a file is called as those of a format are.
fn has_ending(relative: &str, format: FileFormat) -> bool {
    let name = relative.to_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    match format {
        FileFormat::Parquet | FileFormat::Delta(_) => ends(&[".parquet", ".parq", ".pq"]),
        FileFormat::Csv(_) => ends(&[".csv", ".csv.gz", ".csv.zst"]),
        FileFormat::Json => {
            let packed = |packer: &str| {
                [".json", ".jsonl", ".ndjson"].map(|ending| format!("{ending}{packer}"))
            };
            ["", ".gz", ".zst"].iter().flat_map(|packer| packed(packer)).any(|e| name.ends_with(&e))
        }
    }
}

/// That files of a source are not read because of their names, which may not be meant.
pub fn left_out(plan: &SourcePlan, files: &[String]) -> Option<String> {
    let first = files.first()?;
    let (source, url) = (plan.kind.name, &plan.url);
    let (count, noun) = (files.len(), if files.len() == 1 { "file is" } else { "files are" });
    Some(format!(
        "source `{source}`: {count} {noun} left out of `{url}`, for a name begins with `_`: \
         `{first}`{}; a glob reads whatever it matches",
        if count > 1 { ", …" } else { "" }
    ))
}

/// How Hive, Spark and the others write null in a path.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The `key=value` parts of a path, in the place that the pipeline names and below it. Of
/// a key that stands twice, the one further down counts.
pub fn partitions(root: &str, relative: &str) -> Vec<(String, Option<String>)> {
    // A bucket is no folder.
    let above = root
        .split_once("://")
        .map_or(root, |(_, rest)| rest.split_once('/').map_or("", |(_, folders)| folders));
    let below = relative.rsplit_once('/').map_or("", |(folders, _)| folders);
    let folders = above.split('/').chain(below.split('/'));
    let pairs: Vec<(&str, &str)> = folders.filter_map(|part| part.split_once('=')).collect();
    let is_last = |place: usize, key: &str| pairs[place + 1..].iter().all(|pair| pair.0 != key);
    let pairs = pairs.iter().enumerate().filter(|(place, (key, _))| is_last(*place, key));
    let pairs = pairs.map(|(_, pair)| *pair);
    // What may not stand in a path is written as `%20`.
    let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let value = |text: &str| (text != HIVE_NULL).then(|| plain(text));
    pairs.map(|(key, text)| (plain(key), value(text))).collect()
}

/// The columns that the folders of files give.
///
/// # Errors
/// A file whose folders give others.
pub fn partition_columns(
    plan: &SourcePlan,
    location: &Location,
    files: &[Found],
) -> Result<Vec<FieldRef>, Problem> {
    let keys =
        |file: &Found| file.partitions.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    let Some(first) = files.first() else { return Ok(Vec::new()) };
    let expected = keys(first);
    if let Some(other) = files.iter().find(|file| keys(file) != expected) {
        let message =
            format!("the folders of source `{}` are not partitioned alike", plan.kind.name);
        return Err(Problem::named(location.shown(&other.relative), message)
            .note("here", keys(other).join(", "))
            .note(
                "first",
                format!("{} ({})", expected.join(", "), location.shown(&first.relative)),
            ));
    }
    Ok(expected.iter().map(|key| Arc::new(Field::new(key, DataType::Utf8, true))).collect())
}
