//! `tenure withdraw`: takes back a day that should not have been published.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::console::{Console, counted};
use super::project;
use crate::error::Result;
use crate::run::target::Day;
use crate::run::{self, Stop, Withdrawal};

/// What to take back.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The pipeline file
    #[arg(value_name = "PIPELINE")]
    pipeline: PathBuf,

    /// The day, YYYY-MM-DD; other days stay as they are
    #[arg(long, value_name = "DATE")]
    as_of: Day,

    /// Only list what would be taken back
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command; `given` are the arguments of the process, for the record.
///
/// # Errors
/// Nothing is published for that day, another run works on the target, or it
/// cannot be read or written.
pub async fn withdraw(
    arguments: &Arguments,
    given: &[OsString],
    console: &Console,
    stop: &Stop,
) -> Result<()> {
    let opened = project::open(&arguments.pipeline, console)?;
    let (target, pipeline, day) = (opened.target()?, opened.name()?, arguments.as_of);
    let url = target.location().url();
    if arguments.dry_run {
        let withdrawal = Withdrawal::of(&target, &pipeline, day).await?;
        return console.print(&described(&withdrawal, day, "would be withdrawn", url));
    }
    let given = given.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let withdrawal = run::withdraw(&target, &pipeline, day, given, stop).await?;
    if let Some(cause) = &withdrawal.behind {
        console.warning(&format!(
            "withdrawn, but the folders of the tables are behind until the next run: {cause}"
        ));
    }
    console.tell(&described(&withdrawal, day, "withdrawn", url));
    match withdrawal.still_behind {
        Some(problem) => Err(problem.into()),
        None => Ok(()),
    }
}

fn described(withdrawal: &Withdrawal, day: Day, what: &str, url: &str) -> String {
    let names = withdrawal.tables.iter().map(|name| format!("{name}\n")).collect::<String>();
    let tables = counted(withdrawal.tables.len(), "table");
    let newest = match withdrawal.newest {
        Some(newest) => format!("the newest other day is {newest}"),
        None => "no other day is published".into(),
    };
    format!("{names}{tables} as of {day} {what} from {url}; {newest}\n")
}
