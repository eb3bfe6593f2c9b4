//! From the columns of the manifest to the schema of a Delta table, and what
//! of the protocol such a table needs.
//!
//! The schema of a table is that of its newest day, and after it the columns
//! that only older days have: their files still hold them. A key is not null.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::clock::Day;
use super::super::error::Error;
use super::super::manifest::{Column, Entry, Manifest};
use super::action::{MetaData, Protocol};

/// The partition column every table has.
pub(super) const DAY_COLUMN: &str = "as_of";

/// Features of version 7 that tenure writes by or leaves untouched.
const KNOWN_FEATURES: [&str; 4] =
    ["appendOnly", "invariants", "timestampNtz", "vacuumProtocolCheck"];

/// A table that cannot be had as a Delta table, and why.
pub(super) struct Unfit {
    pub(super) what: String,
    pub(super) cause: String,
    pub(super) help: &'static str,
}

/// The schema of `table` over all its days.
///
/// # Errors
/// A column has one type on one day and another on another, or is called as
/// the partition column is.
pub(super) fn schema(manifest: &Manifest, table: &str) -> Result<Value, Error> {
    let mut days: Vec<(Day, &Entry)> = manifest
        .tables
        .get(table)
        .into_iter()
        .flatten()
        .map(|(day, entry)| (*day, entry))
        .collect();
    days.sort_by(|a, b| (&b.1.run_id, b.0).cmp(&(&a.1.run_id, a.0)));
    let mut known: Vec<(Day, &Column)> = Vec::new();
    let mut optional = BTreeSet::new();
    for (place, (day, entry)) in days.iter().enumerate() {
        let columns = manifest.schema_of(entry);
        for column in columns {
            match known.iter().find(|(_, seen)| seen.name == column.name) {
                Some((newer, seen)) if seen.type_name != column.type_name => {
                    return Err(two_types(table, seen, *newer, column, *day));
                }
                Some(_) => {}
                None => known.push((*day, column)),
            }
            if place > 0 && !columns_of(manifest, days[0].1).contains(column.name.as_str())
                || !entry.grain.contains(&column.name)
            {
                optional.insert(column.name.clone());
            }
        }
        let here = columns_of(manifest, entry);
        let missing = known.iter().filter(|(_, column)| !here.contains(column.name.as_str()));
        optional.extend(missing.map(|(_, column)| column.name.clone()));
    }
    if known.iter().any(|(_, column)| column.name == DAY_COLUMN) {
        return Err(reserved(table));
    }
    let fields = known.iter().map(|(_, column)| field(column, optional.contains(&column.name)));
    let day = json!({
        "name": DAY_COLUMN, "type": "date", "nullable": true,
        "metadata": { "comment": "the day the rows are as of" },
    });
    Ok(json!({ "type": "struct", "fields": fields.chain([day]).collect::<Vec<_>>() }))
}

fn columns_of<'a>(manifest: &'a Manifest, entry: &Entry) -> BTreeSet<&'a str> {
    manifest.schema_of(entry).iter().map(|column| column.name.as_str()).collect()
}

fn field(column: &Column, nullable: bool) -> Value {
    let metadata = match column.comment.as_str() {
        "" => json!({}),
        comment => json!({ "comment": comment }),
    };
    json!({
        "name": column.name, "type": delta_type(&column.type_name), "nullable": nullable,
        "metadata": metadata,
    })
}

/// A timestamp of tenure has no zone, neither here nor in the Parquet file.
fn delta_type(type_name: &str) -> &str {
    match type_name {
        "text" => "string",
        "bigint" => "long",
        "timestamp" => "timestamp_ntz",
        // `double`, `boolean`, `date` and `decimal(p,s)` are called alike.
        other => other,
    }
}

/// What readers and writers of a table with `schema` must understand.
pub(super) fn protocol(schema: &Value) -> Protocol {
    let fields = schema["fields"].as_array().map_or(&[][..], Vec::as_slice);
    if !fields.iter().any(|field| field["type"] == "timestamp_ntz") {
        return Protocol { min_reader_version: 1, min_writer_version: 2, ..Protocol::default() };
    }
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    Protocol {
        min_reader_version: 3,
        min_writer_version: 7,
        reader_features: names(&["timestampNtz"]),
        writer_features: names(&["appendOnly", "invariants", "timestampNtz"]),
    }
}

/// The protocol to upgrade to, if `found` does not have what `needed` has.
pub(super) fn upgrade(found: &Protocol, needed: Protocol) -> Option<Protocol> {
    let has = |features: &Option<Vec<String>>| {
        features.as_ref().is_some_and(|known| known.iter().any(|name| name == "timestampNtz"))
    };
    (needed.min_reader_version > 1 && !has(&found.reader_features)).then(|| {
        let both = |ours: Option<Vec<String>>, theirs: &Option<Vec<String>>| {
            let all = ours.into_iter().flatten().chain(theirs.iter().flatten().cloned());
            Some(all.collect::<BTreeSet<_>>().into_iter().collect())
        };
        Protocol {
            reader_features: both(needed.reader_features, &found.reader_features),
            writer_features: both(needed.writer_features, &found.writer_features),
            ..needed
        }
    })
}

/// Why tenure must not write to a table that somebody has given more than it
/// knows; none if it may.
pub(super) fn refusal(protocol: &Protocol, meta_data: &MetaData) -> Option<Unfit> {
    let features = protocol.reader_features.iter().chain(&protocol.writer_features).flatten();
    let unknown: BTreeSet<&str> =
        features.map(String::as_str).filter(|name| !KNOWN_FEATURES.contains(name)).collect();
    let versions = (protocol.min_reader_version, protocol.min_writer_version);
    let help = "take that back in the tool that did it, or publish to another target";
    if !unknown.is_empty() {
        let cause = format!("it uses {}", unknown.into_iter().collect::<Vec<_>>().join(", "));
        return Some(Unfit {
            what: "this Delta table needs more than tenure knows".into(),
            cause,
            help,
        });
    }
    if !matches!(versions, (..=1, ..=2) | (..=3, 7)) {
        let cause = format!("readers need version {}, writers version {}", versions.0, versions.1);
        return Some(Unfit {
            what: "this Delta table needs more than tenure knows".into(),
            cause,
            help,
        });
    }
    let append_only = meta_data.configuration.get("delta.appendOnly").cloned().flatten();
    (append_only.as_deref() == Some("true")).then(|| Unfit {
        what: "this Delta table may only grow, so no day of it can be replaced".into(),
        cause: "its property delta.appendOnly is true".into(),
        help,
    })
}

fn two_types(table: &str, newer: &Column, on: Day, older: &Column, before: Day) -> Error {
    Error::Delta {
        what: format!("`{table}` cannot be one Delta table"),
        place: String::new(),
        cause: format!(
            "column `{}` is {} as of {on} and {} as of {before}",
            newer.name, newer.type_name, older.type_name
        ),
        help: "publish to a new target, and the days you need there once more with --from and --to"
            .into(),
    }
}

fn reserved(table: &str) -> Error {
    Error::Delta {
        what: format!("`{table}` cannot be a Delta table"),
        place: String::new(),
        cause: format!("it has a column `{DAY_COLUMN}`, which is what days are told apart by"),
        help: "call the column something else".into(),
    }
}
