//! `tenure retry`: goes on with a run that failed or died, exactly as it was:
//! the same arguments, texts, version and files, and what it had staged.

use std::path::PathBuf;

use clap::Args;

use super::console::Console;
use super::{given_to_run, project, run};
use crate::error::Result;
use crate::problem::Problem;
use crate::run::Earlier;
use crate::run::target::RunId;

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
pub async fn retry(arguments: &Arguments, console: &Console) -> Result<()> {
    let opened = project::open(&arguments.pipeline)?;
    let target = opened.target()?;
    let earlier = Earlier::find(&target, &opened.name()?, arguments.run.as_ref()).await?;
    let Some(again) = given_to_run(&earlier.arguments) else {
        let message = format!("run {} cannot be retried", earlier.run_id);
        let problem = Problem::new(message).note("cause", "its arguments are not in its journal");
        return Err(earlier.refused(problem));
    };
    let days = left(&earlier, run::days(&again)?);
    if days.is_empty() {
        return Err(earlier.nothing_left());
    }
    earlier.is_same(&opened.texts())?;
    let asked = run::Asked {
        opened: &opened,
        arguments: &again,
        given: earlier.arguments.clone(),
        earlier: Some(&earlier),
    };
    run::each_day(&asked, &days, console).await
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
