//! tenure turns an order history in Parquet into the tables a business runs
//! its customers by.
//!
//! Text becomes a [`plan::Plan`] (decided, without touching the world), a plan
//! becomes tables (acted), tables become what people look at. The modules, in
//! reading order:

pub mod problem;
pub mod error;
pub mod plan;
pub mod engine;
pub mod generate;
pub mod run;
pub mod storage;
pub mod report;
pub mod cli;
