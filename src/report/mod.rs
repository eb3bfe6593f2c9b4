//! What people look at: published tables, found and read through the manifest,
//! and drawn as text.

pub mod cohorts;
pub mod ending;
pub mod published;
pub mod table;
pub mod units;
