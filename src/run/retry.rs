//! Repeating a run that came to nothing: what its journal says it was asked to
//! do, from what, and what it had staged when it ended. It is repeated as it
//! was or not at all; whatever is different by now is named.

use std::collections::BTreeMap;

use super::target::{
    Day, Error as TargetError, LockState, Record, RunId, RunSummary, SourceFile, SourceListed,
    SourceRead, StagedTable, Status, Step, Target,
};
use super::{Job, explain, source};
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::problem::Problem;

/// Runs looked through for one to repeat, the newest first.
const RUNS_MAX: usize = 1000;

/// Differences told; more would bury the message.
const SHOWN_MAX: usize = 5;

/// A run as its journal tells it, together with the runs it repeated in turn.
#[derive(Debug)]
pub struct Earlier {
    /// The run.
    pub run_id: RunId,
    /// How it ended.
    status: Status,
    /// The day it was about.
    pub as_of: Day,
    /// The arguments it was given.
    pub arguments: Vec<String>,
    version: String,
    texts: BTreeMap<String, String>,
    /// Whether an audit ended it, and would end a retry.
    fails_again: bool,
    /// Whether a step of its journal is missing.
    has_gap: bool,
    listed: BTreeMap<String, SourceListed>,
    read: BTreeMap<String, SourceRead>,
    staged: BTreeMap<String, Offer>,
}

/// A table that a run had staged.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The run.
    pub by: RunId,
    /// Its table.
    pub table: StagedTable,
}

impl Earlier {
    /// The run `wanted`, else the last of `pipeline`.
    ///
    /// # Errors
    /// There is none, or it is still at work.
    pub async fn find(target: &Target, pipeline: &str, wanted: Option<&RunId>) -> Result<Self> {
        let mut runs = target.runs(RUNS_MAX).await.map_err(explain)?;
        runs.retain(|run| run.pipeline.as_deref() == Some(pipeline));
        let url = target.location().url();
        let chosen = match wanted {
            Some(run_id) => runs.iter().find(|run| run.run_id == *run_id).ok_or_else(|| {
                Problem::named(url, format!("no run {run_id} of pipeline `{pipeline}` is known"))
                    .help("`tenure runs` lists them")
            }),
            None => runs.iter().find(|run| !run.is_withdrawal).ok_or_else(|| {
                let message = format!("nothing to retry: pipeline `{pipeline}` has not run yet");
                Problem::named(url, message)
                    .help("`tenure run PIPELINE --as-of YYYY-MM-DD` is its first run")
            }),
        };
        let chosen = chosen.map_err(refused)?;
        if chosen.status == Status::Running {
            return Err(at_work(target).await?);
        }
        if let Some(retry) = runs.iter().find(|run| is_done(run, &chosen.run_id)) {
            let message = format!("nothing to retry: run {} was retried", chosen.run_id);
            let what = format!("run {} repeated it and has published", retry.run_id);
            let help = format!("`tenure show PIPELINE TABLE --run {}` shows it", retry.run_id);
            return Err(refused(Problem::named(url, message).note("note", what).help(help)));
        }
        Self::read(target, chosen).await
    }

    async fn read(target: &Target, run: &RunSummary) -> Result<Self> {
        let records = target.steps(&run.run_id).await.map_err(explain)?;
        let started = records.first().map(|record| record.step.clone());
        let Some(Step::Started { as_of, arguments, version, mut retry_of, texts, .. }) = started
        else {
            let message = format!("run {} cannot be retried", run.run_id);
            let why = "its first step cannot be read, which says what it was asked to do";
            return Err(refused(Problem::new(message).note("cause", why)));
        };
        let mut earlier = Self {
            run_id: run.run_id.clone(),
            status: run.status,
            as_of,
            arguments,
            version,
            texts,
            fails_again: records
                .iter()
                .any(|r| matches!(r.step, Step::Failed { repeats: true, .. })),
            has_gap: has_gap(&records),
            listed: BTreeMap::new(),
            read: BTreeMap::new(),
            staged: BTreeMap::new(),
        };
        earlier.add(&run.run_id, records);
        // A retry that came to nothing may have got less far than what it
        // repeats. Ids sort by age, so the chain ends.
        let mut newest = run.run_id.clone();
        while let Some(before) = retry_of.take().filter(|before| *before < newest) {
            let records = target.steps(&before).await.map_err(explain)?;
            if let Some(Step::Started { retry_of: further, .. }) = records.first().map(|r| &r.step)
            {
                retry_of.clone_from(further);
            }
            earlier.add(&before, records);
            newest = before;
        }
        Ok(earlier)
    }

    /// Adds what a run knew, where later ones do not know it better.
    fn add(&mut self, run_id: &RunId, records: Vec<Record>) {
        for Record { step, .. } in records {
            match step {
                Step::SourceListed(listed) => {
                    self.listed.entry(listed.source.clone()).or_insert(listed);
                }
                Step::SourceRead(read) => {
                    self.read.entry(read.source.clone()).or_insert(read);
                }
                Step::TableStaged(table) => {
                    let offer = || Offer { by: run_id.clone(), table: table.clone() };
                    self.staged.entry(table.table.clone()).or_insert_with(offer);
                }
                _ => {}
            }
        }
    }

    /// Whether it did what it was to do on its day: then it is the days after
    /// that which are left, if any.
    pub fn went_well(&self) -> bool {
        matches!(self.status, Status::Published | Status::Finished)
    }

    /// The run that a job for `day` repeats: only for its own day is it this one.
    pub fn repeated(&self, day: Day) -> Option<RunId> {
        (!self.went_well() && self.as_of == day).then(|| self.run_id.clone())
    }

    /// That nothing is left to do.
    pub fn nothing_left(&self) -> Error {
        let what = match self.status {
            Status::Finished => "found nothing to do",
            _ => "has published",
        };
        refused(Problem::new(format!("nothing to retry: run {} {what}", self.run_id)))
    }

    /// That a retry may end better than it did.
    ///
    /// # Errors
    /// An audit has found something, and would find it again.
    pub fn may_go_well(&self) -> Result<()> {
        if !self.fails_again {
            return Ok(());
        }
        let message = format!("run {} would fail again", self.run_id);
        let help = format!(
            "correct what it found, then start afresh: `tenure {}`",
            self.arguments.join(" ")
        );
        Err(refused(Problem::new(message).help(help)))
    }

    /// That it may be repeated by this program, over these texts.
    ///
    /// # Errors
    /// What is different.
    pub fn is_same(&self, texts: &BTreeMap<String, String>) -> Result<()> {
        if self.version != crate::VERSION {
            let message = format!("run {} was made by another tenure", self.run_id);
            let problem = Problem::new(message)
                .note("then", self.version.clone())
                .note("now", crate::VERSION);
            return Err(self.refused(problem));
        }
        let changed = self.texts.iter().filter(|(path, then)| texts.get(*path) != Some(*then));
        let told = changed.map(|(path, _)| match texts.contains_key(path) {
            true => ("changed", path.clone()),
            false => ("gone", path.clone()),
        });
        self.project_unchanged(told.collect())
    }

    /// That nothing has been added to what it ran.
    ///
    /// # Errors
    /// What is new.
    pub fn is_all(&self, plan: &Plan) -> Result<()> {
        let new = plan.files.keys().filter(|path| !self.texts.contains_key(*path));
        self.project_unchanged(new.map(|path| ("new", path.clone())).collect())
    }

    fn project_unchanged(&self, told: Vec<(&'static str, String)>) -> Result<()> {
        if told.is_empty() {
            return Ok(());
        }
        let message = format!("the project is not what run {} ran", self.run_id);
        Err(self.refused(noted(Problem::new(message), told)))
    }

    /// That the sources of a job are what this run found.
    ///
    /// # Errors
    /// A source cannot be looked at, or which of its files have changed.
    pub async fn check_sources(&self, job: &Job<'_>) -> Result<()> {
        self.is_from(&source::list_all(job).await?)
    }

    /// That these are the sources this run found.
    ///
    /// # Errors
    /// Which files have changed.
    pub fn is_from(&self, now: &[SourceListed]) -> Result<()> {
        for now in now {
            let (source, run_id) = (&now.source, &self.run_id);
            let Some(then) = self.listed.get(source) else {
                if self.has_gap {
                    let message = format!("what run {run_id} found of `{source}` is not known");
                    let why = "its journal lacks a step";
                    return Err(self.refused(Problem::new(message).note("cause", why)));
                }
                // One that it had not looked at yet can be no other.
                continue;
            };
            let mut told = differences(&then.files, &now.files);
            if then.table_version != now.table_version {
                let version = now.table_version.map_or("none".into(), |now| now.to_string());
                told.insert(0, ("version", format!("its table is at version {version} by now")));
            }
            if then.url != now.url {
                told.insert(0, ("moved", format!("it is read from {}", now.url)));
            }
            if !told.is_empty() {
                let message = format!("source `{source}` is not what run {run_id} found");
                return Err(self.refused(noted(Problem::named(&then.url, message), told)));
            }
        }
        Ok(())
    }

    /// What it read of a source.
    pub fn read_of(&self, source: &str) -> Option<&SourceRead> {
        self.read.get(source)
    }

    /// The tables it had staged for a day, as far as they still are whole.
    ///
    /// # Errors
    /// The target cannot be looked at.
    pub async fn offers(&self, target: &Target, day: Day) -> Result<BTreeMap<String, Offer>> {
        let mut whole = BTreeMap::new();
        // Rows set aside need the counts of their source beside them.
        let is_counted = |name: &str| {
            let source = name.strip_prefix("quarantine.");
            source.is_none_or(|source| self.read.contains_key(source))
        };
        for (name, offer) in &self.staged {
            if offer.table.day != day || !is_counted(name) {
                continue;
            }
            if target.is_whole(&offer.table).await.map_err(explain)? {
                whole.insert(name.clone(), offer.clone());
            }
        }
        Ok(whole)
    }

    /// A reason not to repeat it, and what to do instead.
    pub fn refused(&self, problem: Problem) -> Error {
        let afresh = format!("start afresh: `tenure {}`", self.arguments.join(" "));
        refused(problem.help(afresh))
    }
}

/// Whether a step is missing before the last. What a run was about to note when
/// it was interrupted may be missing, and nothing has come of it.
fn has_gap(records: &[Record]) -> bool {
    let steps = records.iter().filter(|record| record.step != Step::Interrupted);
    steps.zip(0..).any(|(record, seq)| record.seq != seq)
}

/// Whether `run` repeated `run_id` and published.
fn is_done(run: &RunSummary, run_id: &RunId) -> bool {
    run.status == Status::Published && run.retry_of.as_ref() == Some(run_id)
}

fn refused(problem: Problem) -> Error {
    Error::Invalid(vec![problem])
}

async fn at_work(target: &Target) -> Result<Error> {
    let url = target.location().url().to_string();
    Ok(match target.lock_state().await.map_err(explain)? {
        Some(LockState { lease, .. }) => {
            explain(TargetError::Locked { url, holder: Box::new(lease) })
        }
        None => refused(Problem::named(url, "the run has just ended").help("try again")),
    })
}

fn noted(problem: Problem, mut told: Vec<(&'static str, String)>) -> Problem {
    let more = told.len().saturating_sub(SHOWN_MAX);
    told.truncate(SHOWN_MAX);
    let problem =
        told.into_iter().fold(problem, |problem, (label, text)| problem.note(label, text));
    match more {
        0 => problem,
        more => problem.note("note", format!("and {more} more")),
    }
}

/// What is different about the files of a source.
fn differences(then: &[SourceFile], now: &[SourceFile]) -> Vec<(&'static str, String)> {
    let by_path = |files: &[SourceFile]| -> BTreeMap<String, SourceFile> {
        files.iter().map(|file| (file.path.clone(), file.clone())).collect()
    };
    let (then, now) = (by_path(then), by_path(now));
    let new = now.keys().filter(|path| !then.contains_key(*path));
    let new = new.map(|path| ("new", path.clone()));
    let old = then.iter().filter_map(|(path, then)| match now.get(path) {
        None => Some(("gone", path.clone())),
        Some(now) if now.bytes != then.bytes => {
            Some(("changed", format!("{path} has {} bytes, had {}", now.bytes, then.bytes)))
        }
        Some(now) if now.version != then.version => {
            Some(("changed", format!("{path} was written again, with as many bytes")))
        }
        Some(_) => None,
    });
    old.chain(new).collect()
}
