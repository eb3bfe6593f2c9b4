//! Published tables: found through the manifest, read from the files it names.
//!
//! Never from the Hive folders: they are a view for other engines, and while
//! it is refreshed they may show parts of two runs.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::ops::ControlFlow;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use super::ending::Ending;
use crate::error::{Error, Result};
use crate::problem::{Problem, suggest};
use crate::run;
use crate::run::target::{
    Column, DataFile, Day, RunId, StagedTable, Status, Step, Target, is_quarantine,
};
use crate::storage::{Digest, Location};

/// Tables named in a message; more would bury it.
const NAMES_MAX: usize = 24;

/// A table on one day, as one run made it.
#[derive(Debug, Clone)]
pub struct Published {
    /// Its full name.
    pub name: String,
    /// The day it is about.
    pub as_of: Day,
    /// The run that made it.
    pub run_id: RunId,
    /// The parameters of that run.
    pub params: BTreeMap<String, Value>,
    /// Its columns.
    pub columns: Vec<Column>,
    /// How the run that was asked for ended; none where nobody named one.
    pub ending: Option<Ending>,
    files: Vec<DataFile>,
    location: Location,
}

/// Which table someone wants to see.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its name, with or without the schema.
    pub name: &'a str,
    /// The day; the newest where nobody says.
    pub as_of: Option<Day>,
    /// The run; the one whose files are published where nobody says.
    pub run_id: Option<&'a RunId>,
}

/// How much of a table to read.
#[derive(Debug, Clone, Default)]
pub struct Excerpt {
    /// Columns in the order wanted; empty means all.
    pub columns: Vec<String>,
    /// Rows at most.
    pub rows_max: Option<u64>,
}

/// What somebody finds who asks for a table.
#[derive(Debug)]
pub enum Found {
    /// The table.
    Table(Box<Published>),
    /// The run that was asked for came to nothing before it made the table. What
    /// there is to do about it is left to say.
    Unmade(Problem, RunId),
}

/// Finds a table.
///
/// # Errors
/// Nothing is published, or no such table, day or run.
pub async fn find(target: &Target, wanted: &Wanted<'_>) -> Result<Found> {
    match wanted.run_id {
        Some(run_id) => staged(target, wanted, run_id).await,
        None => Ok(Found::Table(Box::new(current(target, wanted).await?))),
    }
}

/// A table the manifest names.
async fn current(target: &Target, wanted: &Wanted<'_>) -> Result<Published> {
    let location = target.location();
    let manifest = target.manifest().await.map_err(run::explain)?;
    let Some(manifest) = manifest.filter(|manifest| !manifest.tables.is_empty()) else {
        let problem = Problem::named(location.url(), "nothing is published here yet");
        return Err(problem.help("publish with `tenure run PIPELINE --as-of YYYY-MM-DD`").into());
    };
    let name = resolve(wanted.name, manifest.tables.keys().map(String::as_str), location)?;
    let found = match wanted.as_of {
        Some(day) => manifest.entry(&name, day).map(|entry| (day, entry)),
        None => manifest.latest(&name),
    };
    let Some((as_of, entry)) = found else {
        let days = manifest.tables.get(&name).into_iter().flat_map(BTreeMap::keys);
        return Err(no_day(&name, wanted.as_of, days, location));
    };
    Ok(Published {
        as_of,
        run_id: entry.run_id.clone(),
        params: manifest
            .runs
            .get(&entry.run_id)
            .map(|info| info.params.clone())
            .unwrap_or_default(),
        columns: manifest.schema_of(entry).to_vec(),
        ending: None,
        files: entry.files.clone(),
        location: location.clone(),
        name,
    })
}

/// A table some run made, whether it was published, superseded or refused by
/// an audit. Its journal names the files, or the run whose files it used again.
async fn staged(target: &Target, wanted: &Wanted<'_>, run_id: &RunId) -> Result<Found> {
    let location = target.location();
    let mut params = BTreeMap::new();
    let mut tables: BTreeMap<String, StagedTable> = BTreeMap::new();
    let mut reused: BTreeMap<String, RunId> = BTreeMap::new();
    let steps = target.steps(run_id).await.map_err(run::explain)?;
    if steps.is_empty() {
        let problem = Problem::named(location.url(), format!("there is no run `{run_id}` here"));
        return Err(invalid(problem.help("`tenure runs PIPELINE` lists them")));
    }
    let ending = Ending::find(target, run_id, &steps).await?;
    for record in steps {
        match record.step {
            Step::Started { params: given, .. } => params = given,
            Step::TableStaged(table) => drop(tables.insert(table.table.clone(), table)),
            Step::TableReused { table, from, .. } => drop(reused.insert(table, from)),
            _ => {}
        }
    }
    let names: Vec<&str> = tables.keys().chain(reused.keys()).map(String::as_str).collect();
    let Some(name) = matching(wanted.name, &names) else {
        let problem = not_made(wanted.name, run_id, &ending, &names, location);
        return match ending.status {
            status if status.came_to_nothing() => Ok(Found::Unmade(problem, run_id.clone())),
            _ => Err(invalid(problem)),
        };
    };
    if let Some(from) = reused.get(&name) {
        // As the run that made it left it.
        return Box::pin(staged(target, &Wanted { name: &name, ..*wanted }, from)).await;
    }
    let table = tables.remove(&name);
    let Some(table) = table.filter(|table| wanted.as_of.is_none_or(|day| day == table.day)) else {
        return Err(no_day(&name, wanted.as_of, [], location));
    };
    Ok(Found::Table(Box::new(Published {
        as_of: table.day,
        run_id: run_id.clone(),
        params,
        columns: table.schema,
        ending: Some(ending),
        files: table.files,
        location: location.clone(),
        name,
    })))
}

/// The full name of a table that is published.
///
/// # Errors
/// There is none of that name.
pub fn resolve<'a>(
    word: &str,
    names: impl Iterator<Item = &'a str>,
    location: &Location,
) -> Result<String> {
    let names: Vec<&str> = names.collect();
    matching(word, &names).ok_or_else(|| {
        let problem = Problem::named(location.url(), format!("no table `{word}` is published"));
        let known = || suggest(word, names.iter().map(|name| short(name)));
        let many = "`tenure plan PIPELINE --as-of YYYY-MM-DD` lists the tables of a pipeline";
        invalid(problem.help(near(word, &names).or_else(known).unwrap_or_else(|| many.into())))
    })
}

/// The full name behind a word. Tables win over what was set aside.
fn matching(word: &str, names: &[&str]) -> Option<String> {
    let is_it = |name: &&&str| name.split_once('.').is_some_and(|(_, table)| table == word);
    let whole = names.iter().find(|name| **name == word);
    let found = whole.or_else(|| {
        let (aside, tables): (Vec<_>, Vec<_>) =
            names.iter().filter(is_it).partition(|name| is_quarantine(name));
        tables.into_iter().chain(aside).next()
    });
    found.map(|name| (*name).to_string())
}

/// The table that was probably meant.
fn near(word: &str, names: &[&str]) -> Option<String> {
    let meant = |help: &String| help.starts_with("did");
    let whole = suggest(word, names.iter().copied()).filter(meant);
    whole.or_else(|| suggest(word, names.iter().map(|name| short(name))).filter(meant))
}

/// The word by which a table is asked for. What was set aside is called in
/// full: a source may bear the name of a table.
fn short(name: &str) -> &str {
    match name.split_once('.') {
        Some((_, table)) if !is_quarantine(name) => table,
        _ => name,
    }
}

/// A table that a run has not made, what it has made, and how it ended.
fn not_made(
    word: &str,
    run_id: &RunId,
    ending: &Ending,
    names: &[&str],
    location: &Location,
) -> Problem {
    let problem = Problem::named(location.url(), format!("run {run_id} made no table `{word}`"));
    let problem = match ending.status {
        Status::Published | Status::Finished => problem
            .note("note", format!("it {}", ending.phrase()))
            .help("leave out `--run` for what is published now"),
        Status::Running | Status::Failed | Status::Interrupted | Status::Died => {
            problem.note("note", format!("nothing of it is published: it {}", ending.phrase()))
        }
    };
    let mut made = names.to_vec();
    made.sort_unstable();
    let problem = match made.len() {
        0 => problem,
        1..=NAMES_MAX => problem.note("made", made.join(", ")),
        more => problem.note("made", format!("{more} other tables")),
    };
    problem.maybe_help(near(word, names))
}

fn no_day<'a>(
    name: &str,
    day: Option<Day>,
    days: impl IntoIterator<Item = &'a Day>,
    location: &Location,
) -> Error {
    let day = day.map_or_else(String::new, |day| format!(" as of {day}"));
    let problem = Problem::named(location.url(), format!("`{name}` is not published{day}"));
    let days: Vec<String> = days.into_iter().map(Day::to_string).collect();
    invalid(match days.as_slice() {
        [] => problem,
        // A year of days would bury the message.
        [.., last] if days.len() > 12 => {
            problem.help(format!("published are {} days, the last {last}", days.len()))
        }
        _ => problem.help(format!("published days: {}", days.join(", "))),
    })
}

fn invalid(problem: Problem) -> Error {
    Error::Invalid(vec![problem])
}

impl Published {
    /// All its rows.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// The columns of an excerpt, by name.
    ///
    /// # Errors
    /// A column the table does not have.
    pub fn chosen(&self, excerpt: &Excerpt) -> Result<Vec<String>> {
        let known = || self.columns.iter().map(|column| column.name.as_str());
        let all = || known().map(str::to_string).collect::<Vec<_>>();
        if excerpt.columns.is_empty() {
            return Ok(all());
        }
        let unknown = |name: &&String| !known().any(|known| known == name.as_str());
        let problems: Vec<Problem> = excerpt
            .columns
            .iter()
            .filter(unknown)
            .map(|name| {
                let message = format!("`{}` has no column `{name}`", self.name);
                let help = suggest(name, known());
                Problem::named(self.location.url(), message)
                    .help(help.unwrap_or_else(|| format!("known: {}", all().join(", "))))
            })
            .collect();
        match problems.is_empty() {
            true => Ok(excerpt.columns.clone()),
            false => Err(Error::Invalid(problems)),
        }
    }

    /// Reads an excerpt batch by batch until `take` breaks; tells how many rows
    /// that were.
    ///
    /// # Errors
    /// A file that cannot be read, or what `take` says.
    pub async fn read(
        &self,
        excerpt: &Excerpt,
        mut take: impl FnMut(RecordBatch) -> Result<ControlFlow<()>>,
    ) -> Result<u64> {
        let columns = self.chosen(excerpt)?;
        let rows_max = excerpt.rows_max.unwrap_or(u64::MAX);
        let mut rows = 0;
        for file in &self.files {
            if rows >= rows_max {
                break;
            }
            // A part has a bounded size, so it may be held whole.
            let content = self.location.get(&file.path).await;
            let Some(content) = content.map_err(|error| run::explain(error.into()))? else {
                return Err(self.gone(file));
            };
            if let Some(difference) = file.differs(&Digest::of(&content)) {
                return Err(self.damaged(file, difference));
            }
            let builder = ParquetRecordBatchReaderBuilder::try_new(content)
                .map_err(|error| self.unreadable(file, &error))?;
            let names = columns.iter().map(String::as_str);
            let mask = ProjectionMask::columns(builder.parquet_schema(), names);
            let left = usize::try_from(rows_max - rows).unwrap_or(usize::MAX);
            let reader = builder.with_projection(mask).with_limit(left).build();
            for batch in reader.map_err(|error| self.unreadable(file, &error))? {
                let batch = batch.and_then(|batch| in_order(&batch, &columns));
                let batch = batch.map_err(|error| self.unreadable(file, &error))?;
                rows += batch.num_rows() as u64;
                if take(batch)?.is_break() {
                    return Ok(rows);
                }
            }
        }
        Ok(rows)
    }

    fn gone(&self, file: &DataFile) -> Error {
        let help = match &self.ending {
            Some(ending) if !ending.is_published() => {
                "what a run staged and did not publish stays until the next run that publishes"
            }
            _ => "superseded sets stay for `keep_runs` runs; does anything else delete here?",
        };
        Problem::named(self.location.shown(&file.path), format!("`{}` is gone", self.name))
            .help(help)
            .into()
    }

    /// A file that is there and is not what was written; none of its rows is shown.
    fn damaged(&self, file: &DataFile, difference: String) -> Error {
        let (name, day) = (&self.name, self.as_of);
        let message = format!("a file of `{name}` as of {day} is not as it was written");
        let problem = Problem::named(self.location.shown(&file.path), message);
        let help = match self.ending {
            Some(_) => "leave out `--run` for what is published now".to_string(),
            None => format!("`tenure run PIPELINE --as-of {day} --full-refresh` makes it again"),
        };
        problem.note("cause", difference).help(help).into()
    }

    fn unreadable(&self, file: &DataFile, error: &dyn StdError) -> Error {
        let place = self.location.shown(&file.path);
        Problem::named(place, format!("cannot read `{}`", self.name))
            .causes(error)
            .help("files below `_tenure/` are written once; does anything else change them?")
            .into()
    }
}

/// Parquet hands columns out as they stand in the file.
fn in_order(batch: &RecordBatch, columns: &[String]) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let indices: Result<Vec<usize>, _> = columns.iter().map(|name| schema.index_of(name)).collect();
    batch.project(&indices?)
}
