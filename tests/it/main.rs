//! Tests through the front door: a real project folder, the real binary, rows
//! in and rows out. One binary, because each links DataFusion once.

/// Files and histories from the field, in `../shared/cases`.
mod cases;
/// Delta tables written by hand.
mod lake;
/// A project in a temporary folder, and the binary that runs it.
mod project;

/// Bad input: each message a snapshot, each exit code the documented one.
mod errors;
/// Damaged files: no panic, and no row lost in silence.
mod fuzz;
/// What a disk, a text, a folder or a terminal can do to a run.
mod hardening;
/// The rules of the house that a machine can keep.
mod house;
/// A second, naive implementation of the core tables, which must agree.
mod oracle;
/// Numbers others have printed, over the data sets in `../shared/data`.
mod reference;
/// Runs as a whole: the same again is the same bytes, every row is accounted
/// for, and no run harms another.
mod runs;
/// One suite over every kind of place that can be published to.
mod stores;
/// What customers are worth where averages mislead, and money that came back.
mod values;
/// The worked examples of the catalogue of metrics.
mod worked;
