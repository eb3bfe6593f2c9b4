//! Opening a source: which files it has, which columns stand in them, and
//! whether they agree. Rows are read in `ingest`.
//!
//! Listing is a step of its own: it reads no file, and it is all that is
//! needed to tell whether anything is new.

use std::path::Path;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::datasource::object_store::ObjectStoreUrl;
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt};
use glob::{MatchOptions, Pattern};
use object_store::ObjectMeta;
use sha2::{Digest, Sha256};

use super::Job;
use super::agreed::agree;
use super::columns::KeptColumns;
use super::failure::of_store;
pub(super) use super::folders::is_data;
use super::folders::{is_left_out, partition_columns, partitions};
use super::schema::{self, FileSchema};
use super::table_formats::{self, delta};
use super::target::{SourceFile, SourceListed};
use crate::engine::files::{FilesTable, TableFile};
use crate::error::Result;
use crate::plan::{FileFormat, SourcePlan, Variables};
use crate::problem::{Problem, suggest};
use crate::storage::{self, Location, hex};

/// Footers read at the same time.
pub(super) const FOOTERS_IN_FLIGHT_MAX: usize = 16;

/// A source whose files are known and agree.
#[derive(Debug)]
pub struct Opened {
    /// The files as one table.
    pub table: FilesTable,
    /// The store they are in.
    pub location: Location,
    /// Each file as the run record keeps it.
    pub files: Vec<SourceFile>,
    /// Rows, where the format knows them without reading (Parquet).
    pub rows: Option<u64>,
    /// Changes when a file, its size or its version changes.
    pub fingerprint: String,
    /// The version, of a table that has one.
    pub version: Option<u64>,
    /// What its files call its columns, where that is not what the table calls them.
    pub names: String,
    /// Files that are not read because of a name, although they may be meant.
    pub left_out: Vec<String>,
    /// The columns of each file.
    pub schemas: Vec<FileSchema>,
}

impl Opened {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// The files of a source, as its store lists them.
pub struct Listed {
    location: Location,
    found: Vec<Found>,
    /// The table they are of, whose log says which files count.
    table: Option<delta::Table>,
    /// Files beside them that are not read because of a name.
    left_out: Vec<String>,
}

impl Listed {
    /// Each file as the run record keeps it, by path.
    pub fn files(&self) -> Vec<SourceFile> {
        if let Some(table) = &self.table {
            return table.source_files();
        }
        let file = |file: &Found| SourceFile {
            path: file.relative.clone(),
            bytes: file.meta.size,
            version: Some(version_of(&file.meta)),
        };
        self.found.iter().map(file).collect()
    }

    /// The source as the journal keeps it.
    pub fn record(&self, source: &str) -> SourceListed {
        let place = self.table.as_ref().map_or(&self.location, |table| &table.location);
        SourceListed {
            source: source.into(),
            url: place.url().into(),
            files: self.files(),
            table_version: self.table.as_ref().map(|table| table.version),
        }
    }
}

/// Finds the files of a source and reads what columns they have.
///
/// # Errors
/// Nothing there, no access, a file that is not of the format, or files that
/// contradict each other; each naming the file.
pub async fn open(
    plan: &SourcePlan,
    base: &Path,
    variables: &Variables,
    kept: &KeptColumns,
) -> Result<Opened> {
    let listed = list(plan, base, variables).await?;
    let files = listed.files();
    let Listed { location, mut found, table, left_out } = listed;
    if let Some(table) = table {
        return table_formats::open(plan, table).await;
    }
    let schemas: Vec<FileSchema> =
        futures::stream::iter(found.iter().zip(&files).map(async |(file, record)| {
            match kept.of(record) {
                Some(known) => Ok(known),
                None => schema::read(plan, &location, &file.meta, &file.relative).await,
            }
        }))
        .buffered(FOOTERS_IN_FLIGHT_MAX)
        .try_collect()
        .await?;
    let schema = agree(plan, &location, &found, &schemas)?;
    // What a file says itself counts more than the name of its folder.
    found.iter_mut().for_each(|file| {
        file.partitions.retain(|(key, _)| schema.field_with_name(key).is_err());
    });
    let partition_columns = partition_columns(plan, &location, &found)?;
    let rows = schemas.iter().map(|schema| schema.rows).sum::<Option<u64>>();
    let table = FilesTable {
        store: store_url(plan.kind.name)?,
        files: found
            .into_iter()
            .zip(&schemas)
            .map(|(file, schema)| TableFile {
                columns: matches!(plan.format, FileFormat::Csv(_))
                    .then(|| Arc::clone(&schema.schema)),
                partition_values: file
                    .partitions
                    .into_iter()
                    .map(|(_, value)| ScalarValue::Utf8(value))
                    .collect(),
                ..TableFile::named(file.meta)
            })
            .collect(),
        schema,
        partition_columns,
        format: plan.format,
        layout: None,
        rows: rows.and_then(|rows| usize::try_from(rows).ok()),
    };
    let fingerprint = fingerprint(&files, None);
    let (version, names) = (None, String::new());
    Ok(Opened { table, location, files, rows, fingerprint, version, names, left_out, schemas })
}

/// Lists every source of a job.
///
/// # Errors
/// As [`list`].
pub async fn list_all(job: &Job<'_>) -> Result<Vec<SourceListed>> {
    let listed = job.plan.sources.iter().map(async |source| {
        Ok(list(source, job.base, job.variables).await?.record(source.kind.name))
    });
    try_join_all(listed).await
}

/// The name under which the session knows a source's store.
pub fn store_url(name: &str) -> Result<ObjectStoreUrl, Problem> {
    // The host of a URL has no underscores.
    ObjectStoreUrl::parse(format!("source://{}", name.replace('_', "-")))
        .map_err(|error| Problem::new("cannot name the source's store").causes(&error))
}

/// A file that was found.
pub(super) struct Found {
    /// Its path below the location.
    pub(super) relative: String,
    meta: ObjectMeta,
    /// `key=value` parts of its path.
    pub(super) partitions: Vec<(String, Option<String>)>,
}

impl Found {
    /// Whether a folder of its path gives a column of this name.
    pub(super) fn has_in_path(&self, name: &str) -> bool {
        self.partitions.iter().any(|(key, _)| key == name)
    }
}

/// Says what is wrong with where a source is, as far as its text tells.
///
/// # Errors
/// A scheme, a bucket or an option nobody understands.
pub fn check(plan: &SourcePlan) -> Result<(), Problem> {
    let url = plan.url.as_str();
    if matches!(plan.format, FileFormat::Delta(_)) && has_glob(url) {
        let message = format!("source `{}`: a Delta table is one folder", plan.kind.name);
        let problem = Problem::at(&plan.at, message).note("found", url);
        return Err(problem.help("name the folder that has `_delta_log` in it"));
    }
    // A pattern is no part of a URL: its `?` begins no query.
    let end = url.find(['*', '?', '[']).filter(|_| url.contains("://"));
    storage::check(&url[..end.unwrap_or(url.len())], &plan.storage)
        .map_err(|error| cannot_read(plan, &error))
}

/// Finds the files of a source and opens none of them.
///
/// # Errors
/// Nothing there, or no access.
pub async fn list(plan: &SourcePlan, base: &Path, variables: &Variables) -> Result<Listed> {
    let store_problem = |error: storage::Error| of_store(&error, cannot_read(plan, &error));
    let at = |url: &str| storage::open(url, base, variables, &plan.storage).map_err(store_problem);
    if let FileFormat::Delta(version) = plan.format {
        let location = at(trimmed(&plan.url))?;
        let table = delta::list(plan, location.clone(), version).await?;
        return Ok(Listed {
            location,
            found: Vec::new(),
            table: Some(table),
            left_out: Vec::new(),
        });
    }
    let (root, rest) = split(&plan.url);
    let location = at(root)?;
    // A bracket may be one of a name.
    if (!has_glob(rest) || rest.contains('['))
        && !rest.is_empty()
        && let Some(meta) = location.head(rest).await.map_err(store_problem)?
    {
        let partitions = partitions(root, rest);
        let file = Found { relative: rest.into(), meta, partitions };
        not_loose(plan, &location, root, &[], std::slice::from_ref(&file)).await?;
        return Ok(Listed { location, found: vec![file], table: None, left_out: Vec::new() });
    }
    let pattern = has_glob(rest).then(|| Pattern::new(rest)).transpose().map_err(|error| {
        Problem::named(&plan.url, format!("source `{}`: not a glob pattern", plan.kind.name))
            .causes(&error)
    })?;
    let folder = if pattern.is_some() { "" } else { rest };
    let listed = location.list(folder).await.map_err(store_problem)?;
    let under = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let mut files: Vec<Found> = listed
        .iter()
        .map(|(name, meta)| (format!("{under}{}", name.trim_start_matches(&under)), meta))
        .filter(|(name, _)| match &pattern {
            Some(pattern) => pattern.matches_with(name, GLOB),
            // The folder itself is named: it may be called as it likes.
            None => is_data(name.strip_prefix(&under).unwrap_or(name), plan.format),
        })
        .map(|(name, meta)| Found {
            partitions: partitions(root, &name),
            relative: name,
            meta: meta.clone(),
        })
        .collect();
    // Stores list in any order; the order of files must not matter, and a
    // fixed one makes errors and records the same each time.
    files.sort_by(|a, b| a.relative.cmp(&b.relative));
    if files.is_empty() {
        return Err(nothing_there(plan, &location, &listed).into());
    }
    not_loose(plan, &location, root, &listed, &files).await?;
    let is_left_out = |name: &&String| {
        let below = name.strip_prefix(&under).unwrap_or(name);
        pattern.is_none() && is_left_out(below, plan.format)
    };
    let left_out = listed.iter().map(|(name, _)| name).filter(is_left_out).cloned().collect();
    Ok(Listed { location, found: files, table: None, left_out })
}

/// That the Parquet files of a source are no part of a table, whose log has to be asked
/// which of their rows count.
async fn not_loose(
    plan: &SourcePlan,
    location: &Location,
    root: &str,
    listed: &[(String, ObjectMeta)],
    files: &[Found],
) -> Result<(), Problem> {
    if plan.format != FileFormat::Parquet {
        return Ok(());
    }
    let read = files.iter().map(|file| file.relative.as_str());
    table_formats::loose_files(plan, location, root, listed, read).await
}

/// A `url` without a slash at its end.
fn trimmed(url: &str) -> &str {
    match url.trim_end_matches('/') {
        "" => "/",
        trimmed => trimmed,
    }
}

/// How patterns of a `url` are read.
pub(super) const GLOB: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// Whether a `url`, or the rest of one, is a pattern.
pub(super) fn has_glob(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// The folder that can be opened, and the rest: a name or a pattern.
pub(super) fn split(url: &str) -> (&str, &str) {
    let trimmed = url.trim_end_matches('/');
    let scheme = trimmed.find("://").map_or(0, |index| index + 3);
    let fixed = trimmed.find(['*', '?', '[']).unwrap_or(trimmed.len());
    // The folder itself, by one name more.
    let trimmed = trimmed.strip_suffix("/.").unwrap_or(trimmed);
    if trimmed == "." {
        return (".", "");
    }
    match trimmed[scheme..fixed.min(trimmed.len())].rfind('/') {
        Some(0) if scheme == 0 => ("/", &trimmed[1..]),
        Some(slash) => (&trimmed[..scheme + slash], &trimmed[scheme + slash + 1..]),
        // A bucket alone, or a name in the project folder.
        None if scheme > 0 => (trimmed, ""),
        None => (".", trimmed),
    }
}

fn nothing_there(
    plan: &SourcePlan,
    location: &Location,
    listed: &[(String, ObjectMeta)],
) -> Problem {
    let format = match plan.format {
        FileFormat::Parquet | FileFormat::Delta(_) => "Parquet",
        FileFormat::Csv(_) => "CSV",
        FileFormat::Json => "JSON",
    };
    let message = format!("source `{}` has no {format} files", plan.kind.name);
    let problem = Problem::named(plan.url.clone(), message);
    match listed.first() {
        None => match location.file_in_the_way() {
            Some(file) => problem
                .note("note", format!("`{}` is a file, not a folder", file.display()))
                .help("is the path right?"),
            None => problem.note("note", format!("nothing is there ({})", location.url())).help(
                "is the path right? In a folder, names that begin with `_` or `.` are not read, \
                 nor are links that lead nowhere",
            ),
        },
        Some((first, _)) => {
            let names = listed.iter().map(|(name, _)| name.as_str());
            let near = suggest(&plan.url, names).filter(|help| help.starts_with("did"));
            problem
                .note("note", format!("{} files listed, first `{first}`", listed.len()))
                .help(near.unwrap_or_else(|| "is the path or `format` right?".into()))
        }
    }
}

pub(super) fn cannot_read(plan: &SourcePlan, error: &storage::Error) -> Problem {
    let mut problem = super::explained(error.explained());
    let what = std::mem::take(&mut problem.message);
    problem.message = format!("cannot read source `{}`", plan.kind.name);
    problem.notes.insert(0, ("cause", what));
    problem
}

/// What changes when the content does, as far as the store knows it.
pub(super) fn version_of(meta: &ObjectMeta) -> String {
    match (&meta.version, &meta.e_tag) {
        (Some(version), _) => version.clone(),
        (None, Some(e_tag)) => e_tag.clone(),
        (None, None) => meta.last_modified.timestamp_micros().to_string(),
    }
}

/// Changes when a file comes, goes, or is another, and with the version of a table that
/// has one.
pub fn fingerprint(files: &[SourceFile], version: Option<u64>) -> String {
    let mut hasher = Sha256::new();
    if let Some(version) = version {
        hasher.update(format!("version {version}\n"));
    }
    for file in files {
        let version = file.version.as_deref().unwrap_or("");
        hasher.update(format!("{}\n{}\n{version}\n", file.path, file.bytes));
    }
    hex(&hasher.finalize()[..16])
}
