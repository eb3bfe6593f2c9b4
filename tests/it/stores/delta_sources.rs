//! Delta tables that another program has written, as sources: on a disk and in a store.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::server::{self, Server};
use super::{Place, ready};
use crate::project::Project;

/// The tables that were written, by name, and what counts in each.
fn written(url: &str, server: Option<&Server>) -> Option<Value> {
    let python = server::installed("venv/bin/python")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/stores/delta_writers.py");
    let mut command = Command::new(python);
    command.arg(script).arg(url);
    if let Some(server) = server {
        command.envs(server.environment.iter().cloned());
    }
    let output = command.output().expect("python starts");
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(3) {
        eprintln!("{said}");
        return None;
    }
    assert!(output.status.success(), "{said}");
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// A project that reads one of the tables, or whatever else a source says.
fn reading(url: &str, more: &str, server: Option<&Server>) -> (Project, crate::project::Outcome) {
    let project = Project::new();
    project.file(
        "pipelines/p.yaml",
        &format!(
            "pipeline: p\nsources:\n  orders:\n    url: \"{url}\"\n{more}tables: [facts.orders]\n\
             publish:\n  url: out\n"
        ),
    );
    let mut command = project.command(&["run", "pipelines/p.yaml", "--as-of", "2024-12-31"]);
    if let Some(server) = server {
        command.envs(server.environment.iter().cloned());
    }
    let output = command.output().expect("the binary starts");
    let outcome = crate::project::Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    (project, outcome)
}

/// Every table is read as its writer reads it, and none as loose files.
fn read_alike(url: &str, server: Option<&Server>, least: usize) {
    let Some(told) = written(url, server) else { return };
    let told = told.as_object().expect("tables");
    assert!(told.len() >= least, "{told:?}");
    for (name, rows) in told {
        let (table, version) =
            name.split_once('@').map_or((name.as_str(), None), |(t, v)| (t, Some(v)));
        let version =
            version.map(|version| format!("    version: {version}\n")).unwrap_or_default();
        let more = format!("    format: delta\n{version}");
        let (project, outcome) = reading(&format!("{url}/{table}"), &more, server);
        assert_eq!(outcome.code, 0, "{name}: {}", outcome.stderr);
        let mut found: Vec<String> = project.rows("facts.orders", &["order_id", "net", "channel"]);
        let rows = rows.as_array().expect("rows").iter().map(|row| {
            let texts = [&row[1], &row[2]].map(|text| text.as_str().expect("a text"));
            format!("{} {} {}", row[0], texts[0], texts[1])
        });
        let mut rows: Vec<String> = rows.collect();
        found.sort();
        rows.sort();
        assert_eq!(found, rows, "{name}");
        for loose in
            [table.to_string(), format!("{table}/*.parquet"), format!("{table}/**/*.parquet")]
        {
            let (_, outcome) = reading(&format!("{url}/{loose}"), "", server);
            let has_files = !outcome.stderr.contains("has no Parquet files");
            assert_eq!(outcome.code, 1, "{loose}: {}", outcome.stderr);
            let is_told = outcome.stderr.contains("a Delta table");
            assert!(is_told || !has_files, "{loose}: {}", outcome.stderr);
        }
    }
    let (_, outcome) = reading(&format!("{url}/parted/channel=web"), "", server);
    assert!(outcome.stderr.contains(&format!("`url: {url}/parted`")), "{}", outcome.stderr);
    let (_, outcome) = reading(url, "", server);
    assert!(outcome.stderr.contains("tables are there"), "{}", outcome.stderr);
}

#[test]
fn tables_of_others_are_read_on_a_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    read_alike(&folder.path().display().to_string(), None, 9);
}

#[test]
fn tables_of_others_are_read_in_seaweedfs() {
    let Some(server) = server::seaweedfs() else { return };
    let place = ready(server);
    let server = place.server.as_ref().expect("a server");
    read_alike(&format!("{}/lake", server.bucket), Some(server), 6);
}

#[test]
fn tables_of_others_are_read_in_moto() {
    let Some(server) = server::moto() else { return };
    let place: Place = ready(server);
    let server = place.server.as_ref().expect("a server");
    read_alike(&format!("{}/lake", server.bucket), Some(server), 6);
}

#[test]
fn tables_of_others_are_read_in_azurite() {
    let Some(server) = server::azurite() else { return };
    let place: Place = ready(server);
    let server = place.server.as_ref().expect("a server");
    read_alike(&format!("{}/lake", server.bucket), Some(server), 6);
}

/// The checksum of a page tells what no value would.
#[test]
fn a_page_whose_checksum_does_not_hold_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = folder.path().display().to_string();
    if written(&url, None).is_none() {
        return;
    }
    let file = folder.path().join("checked.parquet");
    let (project, outcome) = reading(&file.display().to_string(), "", None);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(project.rows("facts.orders", &["net"])[0], "1.00");
    let whole = std::fs::read(&file).expect("a file");
    // An amount as it stands in its page: the cents of 1.00, in eight bytes.
    let cents = 500_u64.to_be_bytes();
    let at = whole.windows(8).position(|bytes| bytes == cents).expect("the amount of an order");
    let mut broken = whole.clone();
    broken[at + 7] ^= 1;
    std::fs::write(&file, broken).expect("a file");
    let (_, outcome) = reading(&file.display().to_string(), "", None);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    let stderr = &outcome.stderr;
    assert!(stderr.contains("checksum") && stderr.contains("checked.parquet"), "{stderr}");
}
