//! How a query runs: the session with its limits, and files as tables.
//!
//! Not here: what is computed (`plan`), nor what becomes of it (`run`).

pub mod cluster;
pub mod files;
pub mod scratch;
pub mod segments;
pub mod session;
