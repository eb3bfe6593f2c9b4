//! How a query runs: the session with its limits, and files as tables.
//!
//! Not here: what is computed (`plan`), nor what becomes of it (`run`).

pub mod cluster;
pub mod collect;
pub mod files;
pub mod keys;
pub mod life;
pub mod merge;
pub mod scratch;
pub mod session;
pub mod spool;
pub mod spread;
