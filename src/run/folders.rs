//! What the names of folders say of the files in them: `day=2026-11-20` is a column.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use percent_encoding::percent_decode_str;

use super::source::Found;
use crate::plan::SourcePlan;
use crate::problem::Problem;
use crate::storage::Location;

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
