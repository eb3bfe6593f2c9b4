//! Files and histories from the field, in `../shared/cases`: each is run as it
//! lies there, and must end in one of the ways that are right for it. What is
//! right is data: `files.yaml` and `analytics.yaml` beside this file.

mod case;
mod outcome;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use self::case::Case;
use self::outcome::Outcomes;

/// Cases run at the same time: each is a process that mostly waits.
const AT_ONCE: usize = 4;

/// The day of all cases that name none.
const AS_OF: &str = "2026-06-30";

/// The folder of the cases of a kind; none, and a word about it, where it is
/// not there.
fn folder(kind: &str) -> Option<PathBuf> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/cases").join(kind);
    if !cases.is_dir() {
        eprintln!("skipped: ../shared/cases/{kind} is absent");
        return None;
    }
    Some(cases)
}

/// Runs every case of a kind and tells all that end otherwise than they should.
fn all_end_as_expected(kind: &str, pipeline: &'static str, expected: &str) {
    let Some(folder) = folder(kind) else { return };
    let expected: BTreeMap<String, Outcomes> = serde_yaml::from_str(expected).expect("YAML");
    let cases: Vec<Case> = expected
        .into_iter()
        .map(|(name, outcomes)| Case { folder: folder.join(&name), name, pipeline, outcomes })
        .collect();
    let failures = case::in_turn(&cases, AT_ONCE);
    let failed = failures.len();
    assert!(failures.is_empty(), "{failed} of {}:\n{}", cases.len(), failures.join("\n"));
}

/// No case is left out by mistake: each folder has an expectation, or waits for
/// one and is named there.
fn every_case_is_known(kind: &str, expected: &str, later: &[&str]) {
    let Some(folder) = folder(kind) else { return };
    let expected: BTreeMap<String, Outcomes> = serde_yaml::from_str(expected).expect("YAML");
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("one"));
    let folders = entries.filter(|entry| entry.path().is_dir());
    let names = folders.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut unknown: Vec<String> = names
        .filter(|name| !expected.contains_key(name) && !later.contains(&name.as_str()))
        .collect();
    unknown.sort();
    assert_eq!(unknown, Vec::<String>::new(), "cases without an expectation");
}

const FILES: &str = include_str!("files.yaml");
const ANALYTICS: &str = include_str!("analytics.yaml");

/// Input that is refused though it can be read, and help that leads nowhere:
/// not silent, and no part of this suite yet.
const REFUSED: [&str; 29] = [
    "09-ndjson-amount-text-and-number",
    "103-ndjson-record-over-1mib",
    "119-currency-spelling",
    "131-column-named-like-a-type",
    "144-exponent-0",
    "148-leading-blank-lines",
    "149-ndjson-late-object",
    "156-column-in-reject-literal",
    "164-parquet-lenient-thrift",
    "166-parquet-encrypted-column",
    "167-ndjson-bom",
    "174-quoted-semicolon-header",
    "175-decimal-comma-help",
    "181-epoch-micros",
    "184-to-timestamp-9999",
    "187-case-timestamp-literal",
    "19-upper-case-gz",
    "20-gz-named-csv",
    "21-xlsx-named-csv",
    "40-binary-strings",
    "42-duckdb-infinity",
    "46-csv-line-number",
    "51-latin1-header",
    "53-trailing-delimiters",
    "69-uint-mixed",
    "70-uint-mixed-varchar",
    "76-date32-max",
    "86-hive-no-extension",
    "98-time-of-day",
];

#[test]
fn files_from_the_field_are_read_as_they_were_meant_or_refused() {
    all_end_as_expected("files", "p.yaml", FILES);
}

#[test]
fn histories_from_the_field_have_the_tables_their_owners_expect() {
    all_end_as_expected("analytics", "pipeline.yaml", ANALYTICS);
}

#[test]
fn every_case_from_the_field_has_an_expectation() {
    every_case_is_known("files", FILES, &REFUSED);
    every_case_is_known("analytics", ANALYTICS, &[]);
}
