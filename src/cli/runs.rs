//! `tenure runs`: what was published when, from what, and what failed.

use std::path::PathBuf;

use chrono::TimeDelta;
use clap::Args;

use super::console::{Console, counted};
use super::project;
use super::retry::superseded_by;
use crate::error::Result;
use crate::report::table::TextTable;
use crate::report::units;
use crate::run;
use crate::run::target::{Life, RunSummary, Status, Target};

/// Which runs to list.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The pipeline file
    #[arg(value_name = "PIPELINE")]
    pipeline: PathBuf,

    /// Runs at most, the newest first
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

/// Runs the command.
///
/// # Errors
/// The target cannot be read.
pub async fn runs(arguments: &Arguments, console: &Console) -> Result<()> {
    let target = project::open(&arguments.pipeline, console)?.target()?;
    let summaries = target.runs(arguments.limit).await.map_err(run::explain)?;
    if summaries.is_empty() {
        return console.print(&format!("no run has worked on {} yet\n", target.location().url()));
    }
    let holder = holder(&target, &summaries).await;
    let head = ["run", "status", "as_of", "tables", "rows", "started", "took", ""];
    let mut table = TextTable::new(head);
    for summary in &summaries {
        let after = superseded_by(summary, &summaries);
        table.row(line(summary, holder.as_deref(), after));
    }
    for index in [3, 4, 6] {
        table.right(index);
    }
    console.print(&table.render())
}

/// Who works here, where somebody does.
async fn holder(target: &Target, summaries: &[RunSummary]) -> Option<String> {
    if !summaries.iter().any(|summary| summary.status == Status::Running) {
        return None;
    }
    // Whoever may read the journal need not be allowed to look at the lock.
    let state = target.lock_state().await.ok()??;
    let holder = format!("on {}, process {}", state.lease.host, state.lease.pid);
    Some(match state.life {
        Life::Alive | Life::Released => holder,
        Life::Dead => format!("{holder}, which gives no sign of life"),
    })
}

fn line(summary: &RunSummary, holder: Option<&str>, after: Option<&RunSummary>) -> Vec<String> {
    let started = summary.started_at.map(|at| at.format("%Y-%m-%d %H:%M:%S").to_string());
    let took = summary.started_at.zip(summary.ended_at).map(|(from, to)| to - from);
    let published = summary.status == Status::Published;
    let count = |number: u64| if published { units::grouped(number) } else { String::new() };
    vec![
        summary.run_id.to_string(),
        status(summary.status).into(),
        summary.as_of.map(|day| day.to_string()).unwrap_or_default(),
        count(summary.tables),
        count(summary.rows),
        started.unwrap_or_default(),
        took.as_ref()
            .and_then(|took| TimeDelta::to_std(took).ok())
            .map(units::seconds)
            .unwrap_or_default(),
        note(summary, holder, after),
    ]
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Running => "running",
        Status::Published => "published",
        Status::Failed => "failed",
        Status::Interrupted => "interrupted",
        Status::Finished => "nothing to do",
        Status::Died => "died",
    }
}

/// What it repeats; who works, why it failed, or what was set aside; what came
/// in its place.
fn note(summary: &RunSummary, holder: Option<&str>, after: Option<&RunSummary>) -> String {
    let repeats = summary.retry_of.iter().map(|run| format!("retry of {run}"));
    let outcome = Some(outcome(summary, holder)).filter(|text| !text.is_empty());
    let after = after.map(|after| format!("superseded by {}", after.run_id));
    repeats.chain(outcome).chain(after).collect::<Vec<_>>().join("; ")
}

fn outcome(summary: &RunSummary, holder: Option<&str>) -> String {
    if let Some(error) = &summary.error {
        return error.lines().next().unwrap_or_default().to_string();
    }
    match summary.status {
        Status::Running => holder.unwrap_or_default().to_string(),
        _ if summary.rows_rejected > 0 => {
            let aside = units::grouped(summary.rows_rejected);
            format!("{aside} of {} rows set aside", units::grouped(summary.rows_read))
        }
        Status::Published if summary.withdrawn > 0 => {
            let withdrawn = usize::try_from(summary.withdrawn).unwrap_or(usize::MAX);
            format!("{} withdrawn", counted(withdrawn, "table"))
        }
        Status::Published if summary.tables == 0 => "no table was built".into(),
        _ => String::new(),
    }
}
