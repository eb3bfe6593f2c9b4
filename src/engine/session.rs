//! A DataFusion session with the limits a pipeline states.

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::rules;
use crate::plan::EnginePlan;
use crate::plan::typecheck;

/// How many of the largest consumers an out-of-memory error names.
const NAMED_CONSUMERS: usize = 3;

/// Rows in a batch: DataFusion's own default, stated because page bounds in
/// published files follow it.
pub const BATCH_ROWS: usize = 8192;

/// Opens a session that spills past its memory into `scratch`.
///
/// # Errors
/// The scratch folder cannot be used.
pub fn open(engine: &EnginePlan, scratch: PathBuf) -> datafusion::error::Result<SessionContext> {
    let memory = usize::try_from(engine.memory_bytes).unwrap_or(usize::MAX);
    let consumers =
        std::num::NonZeroUsize::new(NAMED_CONSUMERS).unwrap_or(std::num::NonZeroUsize::MIN);
    let pool = TrackConsumersPool::new(FairSpillPool::new(memory), consumers);
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![scratch]));
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(disk)
        .build_arc()?;
    let planning = typecheck::session_in(config(engine), runtime);
    let state = SessionStateBuilder::new_from_existing(planning.state())
        .with_physical_optimizer_rules(rules::all())
        .build();
    Ok(SessionContext::new_with_state(state))
}

fn config(engine: &EnginePlan) -> SessionConfig {
    let mut config = SessionConfig::new().with_batch_size(BATCH_ROWS);
    if let Some(threads) = engine.threads {
        config = config.with_target_partitions(threads);
    }
    let options = config.options_mut();
    // Orders lie by customer; grouping by (customer, period) needs no exchange
    // even with a single partition.
    options.optimizer.subset_repartition_threshold = 1;
    // A sort keeps this much aside for merging what it spilled. The default,
    // 10 MiB for each of them, alone exceeds a small budget.
    let reserve = engine.memory_bytes / 64;
    options.execution.sort_spill_reservation_bytes =
        usize::try_from(reserve).unwrap_or(usize::MAX).min(10 << 20);
    config
}
