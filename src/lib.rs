//! tenure turns an order history in Parquet into the tables a business runs
//! its customers by.
//!
//! Text becomes a [`plan::Plan`] (decided, without touching the world), a plan
//! becomes tables (acted), tables become what people look at. The modules, in
//! reading order:

pub mod cli;
pub mod clv;
pub mod engine;
pub mod error;
pub mod generate;
pub mod panics;
pub mod plan;
pub mod problem;
pub mod report;
pub mod run;
pub mod storage;
pub mod visible;

/// Version and build of this program, as runs record it. Two builds of one
/// version may compute differently, so they are not taken for each other.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "+", env!("TENURE_BUILD"));
