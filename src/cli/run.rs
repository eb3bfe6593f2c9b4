//! `tenure run`: builds, audits and publishes; one day, or a range of them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Instant;

use chrono::NaiveDate;
use clap::Args;

use super::console::{Console, counted};
use super::project::{self, Opened};
use super::request::RequestArguments;
use super::{plan, progress};
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::problem::Problem;
use crate::report::units;
use crate::run::target::Clock;
use crate::run::{self, Earlier, Job, Observer, Stop};

/// Days one backfill may have: ten years.
const BACKFILL_DAYS_MAX: usize = 3_660;

/// What to run.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The pipeline file
    #[arg(value_name = "PIPELINE")]
    pipeline: PathBuf,

    /// Last day counted, YYYY-MM-DD
    #[arg(long, value_name = "DATE", conflicts_with = "from")]
    as_of: Option<String>,

    /// First day of a range; every day becomes a set of its own
    #[arg(long, value_name = "DATE", requires = "to")]
    from: Option<NaiveDate>,

    /// Last day of the range
    #[arg(long, value_name = "DATE", requires = "from")]
    to: Option<NaiveDate>,

    #[command(flatten)]
    request: RequestArguments,

    /// Show what would run, and run nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command; `given` are the arguments of the process, for the record.
///
/// # Errors
/// Whatever keeps a day from being published; the days before it are.
pub async fn run(
    arguments: &Arguments,
    given: &[OsString],
    console: &Console,
    stop: &Stop,
) -> Result<()> {
    let opened = project::open(&arguments.pipeline, console)?;
    let given: Vec<String> =
        given.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let days = days(arguments)?;
    let asked = Asked { opened: &opened, arguments, given, earlier: None };
    each_day(&asked, &days, console, stop).await
}

/// What is asked for, and of what.
pub struct Asked<'a> {
    /// The project.
    pub opened: &'a Opened,
    /// What to run.
    pub arguments: &'a Arguments,
    /// The same as words, for the record.
    pub given: Vec<String>,
    /// The run that is repeated, if one is: all its days are of the sources it
    /// found.
    pub earlier: Option<&'a Earlier>,
}

/// Runs days one after another, each published by itself.
///
/// # Errors
/// Whatever keeps a day from being published; the days before it are.
pub async fn each_day(
    asked: &Asked<'_>,
    days: &[Option<String>],
    console: &Console,
    stop: &Stop,
) -> Result<()> {
    let begun = Instant::now();
    for (published, day) in days.iter().enumerate() {
        let done = one_day(asked, day.as_deref(), console, stop).await;
        if published > 0 && done.is_err() {
            let before = counted(published, "day");
            console.warning(&format!("stopped after {before} of {}", days.len()));
        }
        done?;
    }
    if days.len() > 1 && !asked.arguments.dry_run {
        let took = units::seconds(begun.elapsed());
        console.tell(&format!("{} done in {took}\n", counted(days.len(), "day")));
    }
    Ok(())
}

/// The days asked for; a day nobody gave is the compiler's to ask for.
///
/// # Errors
/// A range of none or too many.
pub fn days(arguments: &Arguments) -> Result<Vec<Option<String>>> {
    let (Some(from), Some(to)) = (arguments.from, arguments.to) else {
        return Ok(vec![arguments.as_of.clone()]);
    };
    let days: Vec<_> = from
        .iter_days()
        .take_while(|day| *day <= to)
        .take(BACKFILL_DAYS_MAX + 1)
        .map(|day| Some(day.to_string()))
        .collect();
    let problem = match days.len() {
        0 => Problem::new(format!("--from {from} is later than --to {to}")),
        1..=BACKFILL_DAYS_MAX => return Ok(days),
        _ => Problem::new(format!("a range has at most {BACKFILL_DAYS_MAX} days"))
            .help("split it into several runs"),
    };
    Err(Error::Invalid(vec![problem]))
}

async fn one_day(
    asked: &Asked<'_>,
    day: Option<&str>,
    console: &Console,
    stop: &Stop,
) -> Result<()> {
    let plan = stop.unless_asked(planned(asked, day)).await?;
    let observer = progress::observer(console);
    let job = job(asked, &plan, observer.as_ref());
    if asked.arguments.dry_run {
        let preview = stop.unless_asked(run::preview(&job)).await?;
        return console.print(&plan::describe(&plan, &preview));
    }
    let report = run::execute(&job, stop).await?;
    progress::finish(console, &report);
    match report.behind {
        Some(problem) => Err(problem.into()),
        None => Ok(()),
    }
}

/// That the first of some days can be gone on with. Reads no data.
///
/// # Errors
/// Whatever would keep it from beginning.
pub async fn can_begin(asked: &Asked<'_>, day: Option<&str>, console: &Console) -> Result<()> {
    let plan = planned(asked, day).await?;
    let observer = progress::observer(console);
    match asked.earlier {
        Some(earlier) => earlier.check_sources(&job(asked, &plan, observer.as_ref())).await,
        None => Ok(()),
    }
}

/// The plan of a day, which is all of what an earlier run ran, if it is to be
/// repeated.
async fn planned(asked: &Asked<'_>, day: Option<&str>) -> Result<Plan> {
    let mut request = asked.arguments.request.on(day);
    if !asked.arguments.request.full_refresh {
        request.sound = asked.opened.sound().await;
    }
    let plan = asked.opened.compile(&request).await?;
    if let Some(earlier) = asked.earlier {
        earlier.is_all(&plan)?;
    }
    Ok(plan)
}

fn job<'a>(asked: &Asked<'a>, plan: &'a Plan, observer: &'a dyn Observer) -> Job<'a> {
    Job {
        plan,
        base: &asked.opened.base,
        variables: &asked.opened.variables,
        refresh: asked.arguments.request.full_refresh,
        arguments: asked.given.clone(),
        earlier: asked.earlier,
        observer,
        clock: Clock::system(),
    }
}
