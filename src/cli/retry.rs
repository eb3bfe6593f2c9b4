//! `tenure retry`: goes on with a run that failed or died, exactly as it was:
//! the same arguments, texts, version and files, and what it had staged.

use std::path::{Path, PathBuf};

use clap::Args;

use super::console::Console;
use super::project::{self, Opened};
use super::{given_to_run, run};
use crate::error::{Error, Result};
use crate::problem::Problem;
use crate::run::target::{RunId, RunSummary, Status};
use crate::run::{Earlier, Stop};

/// Runs looked through for one that is left, the newest first.
const RUNS_MAX: usize = 1000;

/// The next move where no run is left to go on with.
const NEW_RUN: &str =
    "`tenure run PIPELINE --as-of YYYY-MM-DD` builds what has changed since, or another day";

/// Which run to repeat.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The pipeline file
    #[arg(value_name = "PIPELINE")]
    pipeline: PathBuf,

    /// The run to go on with; the last one unless told
    #[arg(long, value_name = "RUN_ID")]
    run: Option<RunId>,
}

/// Runs the command.
///
/// # Errors
/// Nothing to repeat, or something is not as it was; else what keeps any run
/// from publishing.
pub async fn retry(arguments: &Arguments, console: &Console, stop: &Stop) -> Result<()> {
    let opened = project::open(&arguments.pipeline, console)?;
    let target = opened.target()?;
    let name = opened.name()?;
    let earlier = Earlier::find(&target, &name, arguments.run.as_ref());
    let earlier = stop.unless_asked(earlier).await?;
    let again = Again::of(&earlier)?;
    if again.days.is_empty() {
        return Err(pointed(earlier.nothing_left(), &opened, &earlier.run_id, console).await);
    }
    let asked = again.asked(&opened, &earlier)?;
    run::each_day(&asked, &again.days, console, stop).await
}

/// What a run was asked to do, and the days of it that are left.
struct Again {
    arguments: run::Arguments,
    days: Vec<Option<String>>,
}

impl Again {
    fn of(earlier: &Earlier) -> Result<Self> {
        let Some(arguments) = given_to_run(&earlier.arguments) else {
            return Err(earlier.refused(not_a_run(earlier)));
        };
        let days = left(earlier, run::days(&arguments)?);
        Ok(Self { arguments, days })
    }

    fn asked<'a>(&'a self, opened: &'a Opened, earlier: &'a Earlier) -> Result<run::Asked<'a>> {
        earlier.is_same(&opened.texts())?;
        Ok(run::Asked {
            opened,
            arguments: &self.arguments,
            given: earlier.arguments.clone(),
            earlier: Some(earlier),
        })
    }
}

/// Why something in the list of runs cannot be gone on with.
fn not_a_run(earlier: &Earlier) -> Problem {
    let problem = Problem::new(format!("run {} cannot be retried", earlier.run_id));
    match earlier.arguments.first().map(String::as_str) {
        None | Some("run") => problem.note("cause", "its arguments are not in its journal"),
        Some(_) => {
            problem.note("cause", format!("it was `tenure {}`", earlier.arguments.join(" ")))
        }
    }
}

/// The days a run has not come to, of those it was to do: its own, unless it
/// has published it, and those after.
fn left(earlier: &Earlier, days: Vec<Option<String>>) -> Vec<Option<String>> {
    let own = earlier.as_of.to_string();
    let is_left = |day: &Option<String>| match day {
        Some(day) if earlier.went_well() => *day > own,
        Some(day) => *day >= own,
        None => !earlier.went_well(),
    };
    days.into_iter().filter(is_left).collect()
}

/// That a run would be gone on with if somebody asked for it, and may end better
/// then. Runs nothing.
///
/// # Errors
/// Why it would be refused, or fail again.
async fn would_go_on(opened: &Opened, run_id: &RunId, console: &Console) -> Result<()> {
    let earlier = Earlier::find(&opened.target()?, &opened.name()?, Some(run_id)).await?;
    let again = Again::of(&earlier)?;
    let Some(first) = again.days.first() else { return Err(earlier.nothing_left()) };
    run::can_begin(&again.asked(opened, &earlier)?, first.as_deref(), console).await?;
    earlier.may_go_well()
}

/// The next move after a run of this pipeline that came to nothing: to go on with
/// it where that may help and nothing has come in its place, else what a retry of
/// it would say.
pub async fn advice(
    opened: &Opened,
    pipeline: &Path,
    run_id: &RunId,
    console: &Console,
) -> Option<String> {
    let runs = opened.target().ok()?.runs(RUNS_MAX).await.ok()?;
    let run =
        runs.iter().find(|run| run.run_id == *run_id && run.pipeline == opened.name().ok())?;
    if let Some(after) = superseded_by(run, &runs) {
        let after = &after.run_id;
        return Some(format!("run {after} has done its day since; see that without `--run`"));
    }
    match would_go_on(opened, run_id, console).await {
        Ok(()) => {
            Some(format!("`tenure retry {} --run {run_id}` goes on with it", pipeline.display()))
        }
        Err(error) => {
            let problem = error.problems().first()?;
            let noted = || problem.notes.first().map(|(_, text)| text.clone());
            problem.help.clone().or_else(noted)
        }
    }
}

/// That nothing is left to do, and which run before that one is left, if there
/// is one that would be gone on with.
async fn pointed(nothing_left: Error, opened: &Opened, run_id: &RunId, console: &Console) -> Error {
    let Error::Invalid(mut problems) = nothing_left else { return nothing_left };
    let before = failed_before(opened, run_id, console).await;
    for problem in &mut problems {
        problem.help = Some(match &before {
            Some(run) => format!("`--run {run}` goes on with one that failed"),
            None => NEW_RUN.into(),
        });
    }
    Error::Invalid(problems)
}

/// The last run before `run_id` that came to nothing, where nothing has come in
/// its place and it would be gone on with.
async fn failed_before(opened: &Opened, run_id: &RunId, console: &Console) -> Option<RunId> {
    let mut runs = opened.target().ok()?.runs(RUNS_MAX).await.ok()?;
    let name = opened.name().ok()?;
    runs.retain(|run| run.pipeline.as_deref() == Some(name.as_str()));
    let before = runs.iter().find(|run| {
        run.run_id < *run_id
            && run.status.came_to_nothing()
            && !runs.iter().any(|other| other.retry_of.as_ref() == Some(&run.run_id))
            && superseded_by(run, &runs).is_none()
    });
    let before = before?.run_id.clone();
    would_go_on(opened, &before, console).await.is_ok().then_some(before)
}

/// The first run after one that came to nothing that did the same day of the
/// same pipeline, among some.
pub fn superseded_by<'a>(run: &RunSummary, runs: &'a [RunSummary]) -> Option<&'a RunSummary> {
    let is_done = |other: &&RunSummary| {
        other.run_id > run.run_id
            && matches!(other.status, Status::Published | Status::Finished)
            && !other.is_withdrawal
            && other.as_of == run.as_of
            && other.pipeline == run.pipeline
    };
    let came_to_nothing = run.status.came_to_nothing();
    runs.iter().filter(is_done).filter(|_| came_to_nothing).min_by_key(|other| &other.run_id)
}
