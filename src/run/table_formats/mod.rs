//! Folders that are a table of a format of their own: Delta, Iceberg, Hudi. Which of
//! their rows count, only the table's log says, so that nobody may read them file by
//! file. Delta tables are read by their log; the others are refused.

pub mod delta;
mod kernel;
mod opened;
mod problems;
mod recognise;
mod refuse;

pub use opened::open;
pub use refuse::loose_files;
