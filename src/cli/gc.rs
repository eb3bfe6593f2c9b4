//! `tenure gc`: removes the files of runs that nobody needs any more.

use std::path::PathBuf;

use clap::Args;

use super::console::{Console, counted};
use super::project;
use crate::error::Result;
use crate::report::table::TextTable;
use crate::report::units;
use crate::run::target::{Clock, GcPlan, RunId, Why};
use crate::run::{self, Stop};

/// What to remove.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The pipeline file
    #[arg(value_name = "PIPELINE")]
    pipeline: PathBuf,

    /// Only list what would be removed
    #[arg(long)]
    dry_run: bool,

    /// Superseded runs that keep their files; what the pipeline says unless told
    #[arg(long, value_name = "N")]
    keep_runs: Option<u64>,
}

/// Runs the command.
///
/// # Errors
/// Another run works on the target, or it cannot be read or written.
pub async fn gc(arguments: &Arguments, console: &Console, stop: &Stop) -> Result<()> {
    let opened = project::open(&arguments.pipeline, console)?;
    let target = opened.target()?;
    let keep = arguments.keep_runs.map_or_else(|| opened.keep_runs(), Ok)?;
    let keep = usize::try_from(keep).unwrap_or(usize::MAX);
    if arguments.dry_run {
        let plan = target.garbage(keep).await.map_err(run::explain)?;
        return console.print(&described(&plan, "would be removed"));
    }
    // Under the lock: a run at work must not lose what it is about to name.
    let run_id = RunId::fresh(&Clock::system());
    let claim = run::claim(&target, &run_id, stop).await?;
    let collected = stop.unless_asked(async {
        let plan = claim.garbage(keep).await.map_err(run::explain)?;
        claim.collect(&plan).await.map_err(run::explain)?;
        Ok(plan)
    });
    let plan = collected.await;
    let behind = claim.behind().map(|error| run::explained(&error.explained()));
    run::release(claim, stop).await;
    console.tell(&described(&plan?, "removed"));
    match behind {
        Some(problem) => Err(problem.into()),
        None => Ok(()),
    }
}

fn described(plan: &GcPlan, what: &str) -> String {
    // Some stores keep the folders of files that are gone.
    if plan.files() == 0 {
        return "nothing to remove\n".into();
    }
    let mut table = TextTable::new(["run", "why", "files", "bytes"]);
    for removal in plan.removals.iter().filter(|removal| !removal.files.is_empty()) {
        let why = match removal.why {
            Why::Superseded => "superseded",
            Why::Orphan => "never published",
        };
        let files = units::grouped(removal.files.len() as u64);
        table.row([removal.run_id.to_string(), why.into(), files, units::bytes(removal.bytes)]);
    }
    if !plan.logs.is_empty() {
        let bytes = plan.logs.iter().map(|(_, bytes)| bytes).sum();
        let files = units::grouped(plan.logs.len() as u64);
        table.row(["".into(), "log of Delta tables".into(), files, units::bytes(bytes)]);
    }
    table.right(2);
    table.right(3);
    let files = counted(plan.files(), "file");
    format!("{}\n{files}, {}, {what}\n", table.render(), units::bytes(plan.bytes()))
}
