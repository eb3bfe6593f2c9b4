//! Whether what is published is still what was written: every file the
//! manifest names is read to its end and compared with its checksum there, and
//! so is what other engines see of it.
//!
//! A copy in a Hive folder or a Delta table is the same as the file of the set.
//! On a disk it usually *is* that file under another name, and is read once.
//!
//! Runs may publish meanwhile. So what looks damaged is believed only if the
//! manifest is still the one that was read; else everything is looked at again.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt};

use crate::storage::{Digest, Location};

use super::Target;
use super::clock::{Day, RunId};
use super::delta;
use super::error::Error;
use super::manifest::{DataFile, Entry, Manifest};
use super::staging::part_name;
use super::view::{self, Layout, folder};

/// Files read at once; each holds a megabyte.
const READS_IN_FLIGHT_MAX: usize = 4;
/// Times that all is looked at because somebody has published meanwhile.
const TRIES_MAX: usize = 3;

/// What is to be looked at.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Full names of tables; None for all.
    pub tables: Option<BTreeSet<String>>,
    /// The day; None for all.
    pub as_of: Option<Day>,
}

impl Scope {
    fn has(&self, table: &str, day: Day) -> bool {
        self.has_table(table) && self.as_of.is_none_or(|wanted| wanted == day)
    }

    fn has_table(&self, table: &str) -> bool {
        self.tables.as_ref().is_none_or(|tables| tables.contains(table))
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Checked {
    /// Tables that were looked at, each on each day.
    pub tables: usize,
    /// Files the manifest names, and their copies for other engines.
    pub files: usize,
    /// Bytes of all these files.
    pub bytes: u64,
    /// Files of Delta tables that somebody else has rewritten, OPTIMIZE say: no
    /// checksum is known of what came in their place.
    pub rewritten: usize,
    /// What is not as it was published, by place.
    pub damages: Vec<Damage>,
    /// Files in the folders of tables that nothing published names, though
    /// whoever reads the folders counts their rows.
    pub surplus: Vec<String>,
    /// Logs of Delta tables that cannot be read.
    pub logs: Vec<Error>,
    /// Whether the folders of the tables show an older publication: then they
    /// were not looked at.
    pub is_behind: bool,
    /// The run that seems to be at work.
    pub working: Option<RunId>,
}

impl Checked {
    /// Whether everything is as it was published.
    pub fn is_sound(&self) -> bool {
        self.damages.is_empty()
            && self.surplus.is_empty()
            && self.logs.is_empty()
            && !self.is_behind
    }
}

/// A file that is not as it was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Name of the pipeline that has published it.
    pub pipeline: String,
    /// Full name of its table.
    pub table: String,
    /// The day of the table.
    pub day: Day,
    /// Path relative to the target.
    pub path: String,
    /// What is different.
    pub cause: String,
}

/// A published file and its name for other engines.
struct Look<'a> {
    table: &'a str,
    day: Day,
    run_id: &'a RunId,
    file: &'a DataFile,
    /// None where no other engine is shown it, or it was not looked at.
    copy: Option<String>,
}

pub(super) async fn verify(target: &Target, scope: &Scope) -> Result<Checked, Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        let Some(manifest) = target.manifest().await? else { return Ok(Checked::default()) };
        let checked = once(target, &manifest, scope).await;
        if tries == TRIES_MAX || checked.as_ref().is_ok_and(Checked::is_sound) {
            return checked;
        }
        let now = target.manifest().await?;
        if now.is_some_and(|now| now.publication == manifest.publication) {
            return checked;
        }
    }
}

async fn once(target: &Target, manifest: &Manifest, scope: &Scope) -> Result<Checked, Error> {
    let location = target.location();
    let is_behind = !view::is_current(location, manifest).await?;
    let mut checked = Checked { is_behind, ..Checked::default() };
    if checked.is_behind {
        checked.working = target.working().await?;
    }
    let deltas = deltas(location, manifest, scope, &mut checked).await;
    let entries = manifest.entries().filter(|(table, day, _)| scope.has(table, *day));
    let mut looks = Vec::new();
    for (table, day, entry) in entries {
        checked.tables += 1;
        for (part, file) in (0u32..).zip(&entry.files) {
            let copy = match (checked.is_behind, manifest.layout(table)) {
                (true, _) => None,
                (false, Layout::Hive) => {
                    Some(format!("{}/as_of={day}/{}", folder(table), part_name(part)))
                }
                (false, Layout::Delta) => deltas.get(table).and_then(|shown| {
                    copy_in_delta(shown, manifest, (table, day, entry), part, &mut checked)
                }),
            };
            looks.push(Look { table, day, run_id: &entry.run_id, file, copy });
        }
    }
    let reads = looks.iter().map(|look| read(location, manifest, look));
    // Collected first: a stream of borrowing closures is too general for rustc.
    let reads: Vec<_> = reads.collect();
    let mut reads = futures::stream::iter(reads).buffered(READS_IN_FLIGHT_MAX);
    while let Some(Read { files, damages }) = reads.try_next().await? {
        checked.files += files;
        checked.damages.extend(damages);
    }
    drop(reads);
    checked.bytes =
        looks.iter().map(|look| look.file.bytes * if look.copy.is_some() { 2 } else { 1 }).sum();
    if !checked.is_behind {
        checked.surplus = surplus(location, manifest, scope).await?;
    }
    Ok(checked)
}

/// What the Delta tables show; a log that cannot be read is noted.
async fn deltas<'a>(
    location: &Location,
    manifest: &'a Manifest,
    scope: &Scope,
    checked: &mut Checked,
) -> BTreeMap<&'a str, delta::Shown> {
    let mut shown = BTreeMap::new();
    for (table, version) in &manifest.delta {
        let is_asked = scope.has_table(table) && manifest.tables.contains_key(table);
        if !is_asked || checked.is_behind {
            continue;
        }
        match delta::shown(location, table, *version).await {
            Ok(found) => drop(shown.insert(table.as_str(), found)),
            Err(error) => checked.logs.push(error),
        }
    }
    shown
}

/// The file of a Delta table that is a copy of a part, if it is to be read.
fn copy_in_delta(
    shown: &delta::Shown,
    manifest: &Manifest,
    (table, day, entry): (&str, Day, &Entry),
    part: u32,
    checked: &mut Checked,
) -> Option<String> {
    let path = delta::path_of(day, part, &entry.run_id);
    match shown.state_of(&path, day) {
        delta::FileState::Named => Some(format!("{}/{path}", folder(table))),
        delta::FileState::Rewritten => {
            checked.rewritten += 1;
            None
        }
        delta::FileState::Unknown => {
            let path = format!("{}/{path}", folder(table));
            let cause = "the log of the Delta table does not name it".to_owned();
            checked.damages.push(damage(manifest, table, day, &entry.run_id, path, cause));
            None
        }
    }
}

/// A file and its copy, once read.
struct Read {
    files: usize,
    damages: Vec<Damage>,
}

async fn read(location: &Location, manifest: &Manifest, look: &Look<'_>) -> Result<Read, Error> {
    let Look { table, day, run_id, file, copy } = look;
    let mut read = Read { files: 1, damages: Vec::new() };
    let own = difference(location, &file.path, file).await?;
    let mut note = |path: &str, cause: Option<String>| {
        if let Some(cause) = cause {
            read.damages.push(damage(manifest, table, *day, run_id, path.to_owned(), cause));
        }
    };
    note(&file.path, own.clone());
    if let Some(copy) = copy {
        let seen = match location.is_same_file(&file.path, copy) {
            true => own,
            false => difference(location, copy, file).await?,
        };
        note(copy, seen);
        read.files += 1;
    }
    Ok(read)
}

fn damage(
    manifest: &Manifest,
    table: &str,
    day: Day,
    run_id: &RunId,
    path: String,
    cause: String,
) -> Damage {
    let pipeline = manifest.runs.get(run_id).map(|info| info.pipeline.clone()).unwrap_or_default();
    Damage { pipeline, table: table.to_owned(), day, path, cause }
}

/// In what the object at `path` is not `file` as it was written; None if in
/// nothing.
async fn difference(
    location: &Location,
    path: &str,
    file: &DataFile,
) -> Result<Option<String>, Error> {
    // A wrong size is a matter of one request.
    let head = location.head(path).await?;
    let found = match head {
        Some(meta) if meta.size == file.bytes => location.digest(path).await?,
        Some(meta) => return Ok(file.differs_in_size(meta.size)),
        None => None,
    };
    Ok(match found {
        None => Some("it is gone".to_owned()),
        Some(found) => file.differs(&found),
    })
}

impl DataFile {
    /// In what content is not what was written; None if in nothing.
    pub fn differs(&self, found: &Digest) -> Option<String> {
        self.differs_in_size(found.bytes).or_else(|| {
            (found.sha256 != self.sha256).then(|| {
                format!(
                    "its checksum (SHA-256) is {}…, published was {}…",
                    start(&found.sha256),
                    start(&self.sha256)
                )
            })
        })
    }

    fn differs_in_size(&self, bytes: u64) -> Option<String> {
        let published = self.bytes;
        (bytes != published).then(|| format!("it has {bytes} bytes, published were {published}"))
    }
}

/// Enough of a checksum to tell two apart.
fn start(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

/// That files are as they were written.
pub(super) async fn check(
    location: &Location,
    table: &str,
    day: Day,
    files: &[DataFile],
) -> Result<(), Error> {
    let checks = files.iter().map(|file| async move {
        match difference(location, &file.path, file).await? {
            None => Ok(()),
            Some(cause) => Err(Error::Damaged {
                place: location.shown(&file.path),
                table: table.to_owned(),
                day,
                cause,
            }),
        }
    });
    let checks: Vec<_> = checks.collect();
    futures::stream::iter(checks).buffered(READS_IN_FLIGHT_MAX).try_collect::<Vec<()>>().await?;
    Ok(())
}

/// Parts in the plain folders of tables that no published table has.
async fn surplus(
    location: &Location,
    manifest: &Manifest,
    scope: &Scope,
) -> Result<Vec<String>, Error> {
    let mut surplus = Vec::new();
    for (table, days) in &manifest.tables {
        if !scope.has_table(table) || manifest.layout(table) == Layout::Delta {
            continue;
        }
        for (path, _) in location.list(&folder(table)).await? {
            let day = path.split('/').find_map(|part| part.strip_prefix("as_of="));
            let day: Option<Day> = day.and_then(|day| day.parse().ok());
            let (Some(part), Some(day)) = (view::part_of(&path), day) else { continue };
            let parts = days.get(&day).map_or(0, |entry| entry.files.len());
            if part >= parts && scope.has(table, day) {
                surplus.push(path);
            }
        }
    }
    Ok(surplus)
}
