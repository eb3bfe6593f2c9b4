//! How much a run keeps for itself, and where it finds room for it.

use datafusion::prelude::SessionContext;

use crate::engine::scratch::Scratch;
use crate::plan::EnginePlan;

/// Bytes that a run keeps for each row from which it makes tables, roughly.
const ROW_BYTES: u64 = 170;

/// As many times the engine's memory it keeps as it lies in memory; past that
/// reading has to wait for the disk anyway, and packed rows are fewer bytes.
const MEMORIES_MAX: u64 = 2;

/// Bytes that operators of a table at work want to have whatever its size.
const TURN_BYTES: u64 = 256 << 20;

/// Bytes that the operators of a table at work want for each customer, roughly: a
/// join that cannot spill holds ids and a few columns.
const CUSTOMER_BYTES: u64 = 64;

/// The part of the engine's memory for what is kept, where memory is plenty: the
/// other half is for what is at work.
const KEPT_SHARE: u64 = 2;

/// Whether all that a run keeps, as far as is known, would fit into memory.
fn is_plenty(engine: &EnginePlan, scratch: &Scratch) -> bool {
    bytes(scratch).saturating_add(TURN_BYTES) <= engine.memory_bytes
}

/// Whether there is memory for two tables at work at the same time. Unless all is
/// plenty, that is known once the customers are counted: there may be as many as
/// orders.
pub fn is_for_two(
    engine: &EnginePlan,
    customers: Option<u64>,
    context: &SessionContext,
    scratch: &Scratch,
) -> bool {
    let reserved = context.runtime_env().memory_pool.reserved() as u64;
    let free = engine.memory_bytes.saturating_sub(reserved);
    let work = |customers: u64| customers.saturating_mul(CUSTOMER_BYTES).saturating_add(TURN_BYTES);
    is_plenty(engine, scratch)
        || customers.is_some_and(|customers| work(customers).saturating_mul(2) <= free)
}

/// Decides where tables are kept from now on, given so many rows more from which
/// they are made: rows of a source, or of tables that stand.
pub fn make(engine: &EnginePlan, of: &str, rows: u64, context: &SessionContext, scratch: &Scratch) {
    scratch.note_rows(of, rows);
    if bytes(scratch) > engine.memory_bytes.saturating_mul(MEMORIES_MAX) {
        scratch.pack();
    } else if is_plenty(engine, scratch) {
        scratch.hold(context, engine.memory_bytes / KEPT_SHARE);
    } else {
        scratch.write_out();
    }
}

fn bytes(scratch: &Scratch) -> u64 {
    scratch.rows().saturating_mul(ROW_BYTES)
}
