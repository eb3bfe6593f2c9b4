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

/// The part of the engine's memory for what is kept, where memory is plenty: the
/// other half is for what is at work.
const KEPT_SHARE: u64 = 2;

/// Whether all that a run keeps of so many rows would fit into memory.
pub fn is_plenty(engine: &EnginePlan, rows: u64) -> bool {
    rows.saturating_mul(ROW_BYTES).saturating_add(TURN_BYTES) <= engine.memory_bytes
}

/// Decides where tables are kept from now on, given so many rows more from which
/// they are made: rows of a source, or of tables that stand.
pub fn make(engine: &EnginePlan, of: &str, rows: u64, context: &SessionContext, scratch: &Scratch) {
    let (rows, memory) = (scratch.note_rows(of, rows), engine.memory_bytes);
    if rows.saturating_mul(ROW_BYTES) > memory.saturating_mul(MEMORIES_MAX) {
        scratch.pack();
    } else if is_plenty(engine, rows) {
        scratch.hold(context, memory / KEPT_SHARE);
    } else {
        scratch.write_out();
    }
}
