//! `tenure unlock`: shows who holds a target, and takes the lock from the dead.

use std::path::PathBuf;

use clap::Args;

use super::console::Console;
use super::project;
use crate::error::Result;
use crate::run;
use crate::run::target::{Life, LockState, Unlock};

/// Whose lock.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The pipeline file
    #[arg(value_name = "PIPELINE")]
    pipeline: PathBuf,

    /// Also if the run seems alive; it cannot publish any more
    #[arg(long)]
    force: bool,

    /// Only show who holds the lock
    #[arg(long, conflicts_with = "force")]
    dry_run: bool,
}

/// Runs the command.
///
/// # Errors
/// The holder is alive and not to be forced out, or the target cannot be
/// written.
pub async fn unlock(arguments: &Arguments, console: &Console) -> Result<()> {
    let target = project::open(&arguments.pipeline, console)?.target()?;
    let url = target.location().url();
    let state = target.lock_state().await.map_err(run::explain)?;
    let Some(state) = state.filter(|state| state.life != Life::Released) else {
        return console.print(&format!("nobody holds {url}\n"));
    };
    if arguments.dry_run {
        return console.print(&described(&state));
    }
    let how = if arguments.force { Unlock::Anyway } else { Unlock::Dead };
    match target.unlock(how).await.map_err(run::explain)? {
        None => console.tell(&format!("nobody holds {url} any more\n")),
        Some(lease) => {
            let text = described(&LockState { lease, life: state.life });
            console.tell(&format!("{text}its lock is removed\n"));
        }
    }
    Ok(())
}

fn described(state: &LockState) -> String {
    let lease = &state.lease;
    let life = match state.life {
        Life::Alive => "alive",
        Life::Dead => "gives no sign of life",
        Life::Released => "has given the lock back",
    };
    format!(
        "run {} on {}, process {}, since {}: {life}\n",
        lease.run_id,
        lease.host,
        lease.pid,
        lease.since.format("%Y-%m-%d %H:%M:%S UTC")
    )
}
