//! How a query runs: the session with its limits, and files as tables.
//!
//! Not here: what is computed (`plan`), nor what becomes of it (`run`).

pub mod checksum;
mod chunk;
pub mod cluster;
pub mod collect;
mod compared;
mod decimals;
pub mod files;
mod held;
mod kept;
pub mod keys;
pub mod life;
pub mod merge;
pub mod naming;
mod owned;
mod passing;
mod ranged;
mod rules;
pub mod scratch;
pub mod segments;
pub mod session;
mod slots;
pub mod spool;
pub mod spread;
pub mod text;
mod unordered;
pub mod without;

pub use kept::nothing;

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::display::DisplayableExecutionPlan;

/// Tells the log (`TENURE_LOG=tenure::engine=debug`) how a query ran: its
/// operators with their rows and times.
pub fn trace(name: &str, plan: &dyn ExecutionPlan) {
    tracing::debug!("{name}\n{}", DisplayableExecutionPlan::with_metrics(plan).indent(false));
}
