//! Others read what is published, by nothing but the Hive folders, and say the
//! same: DuckDB, ClickHouse, Polars and pyarrow, each summing up by itself.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Map, Value, json};

use super::{FIRST, Place, SECOND, ready, server};

/// What readers.py needs to know: of each table its folder, columns, rows by
/// day, and its content as `tenure show` tells it.
fn expected(place: &Place) -> Map<String, Value> {
    let manifest = place.bytes("_tenure/current.json");
    let manifest: Value = serde_json::from_slice(&manifest).expect("a manifest");
    let tables = manifest["tables"].as_object().expect("tables");
    let published = tables.iter().filter(|(name, _)| !name.starts_with("quarantine."));
    published.map(|(name, days)| (name.clone(), of_table(place, &manifest, name, days))).collect()
}

fn of_table(place: &Place, manifest: &Value, name: &str, days: &Value) -> Value {
    let schema = days[SECOND]["schema"].as_str().expect("a schema");
    let columns = manifest["schemas"][schema].as_array().expect("columns").iter();
    let columns: Map<String, Value> = columns
        .map(|column| (column["name"].as_str().expect("a name").into(), column["type"].clone()))
        .collect();
    let rows = |day: &str| days[day]["rows"].clone();
    let csv = [FIRST, SECOND].map(|day| {
        let show = ["show", "pipelines/p.yaml", name, "--as-of", day, "--format", "csv"];
        let shown = place.tenure(&show);
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        let path = place.project.path(&format!("{name}.{day}.csv"));
        std::fs::write(&path, shown.stdout).expect("a file");
        path.display().to_string()
    });
    let folder = name.split('.').next_back().expect("a name");
    json!({
        "folder": folder,
        "columns": columns,
        "days": { FIRST: rows(FIRST), SECOND: rows(SECOND) },
        "csv": csv,
    })
}

/// Asks every reader that is installed whether it sees what is expected.
fn ask(place: &Place, python: &Path, expected: &Map<String, Value>) -> Output {
    let told = place.project.path("expected.json");
    std::fs::write(&told, serde_json::to_vec(expected).expect("JSON")).expect("a file");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/stores/readers.py");
    let mut command = Command::new(python);
    command.arg(script).arg(place.url()).arg(told);
    if let Some(server) = &place.server {
        command.envs(server.environment.iter().cloned());
    }
    command.output().expect("python starts")
}

fn others_read(place: &Place, python: &Path) {
    place.publishes(FIRST, &[]);
    place.publishes(SECOND, &[]);
    let mut expected = expected(place);
    let answer = ask(place, python, &expected);
    let said = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert!(answer.status.success(), "{said}{}", String::from_utf8_lossy(&answer.stderr));
    for line in said.lines() {
        eprintln!("{line}");
    }
    // That they would notice: a row more than there is.
    let wrong = &mut expected["facts.customers"]["days"][SECOND];
    *wrong = json!(wrong.as_u64().expect("rows") + 1);
    let noticed = String::from_utf8_lossy(&ask(place, python, &expected).stdout).into_owned();
    for reader in said.lines().filter_map(|line| line.strip_prefix("read: ")) {
        let reader = reader.split(':').next().expect("a name");
        let line = format!("{reader}: facts.customers, rows {SECOND}: ");
        assert!(noticed.contains(&line), "{reader} does not notice: {noticed}");
    }
}

#[test]
fn others_read_a_disk() {
    let Some(python) = server::installed("venv/bin/python") else { return };
    others_read(&Place::new(None), &python);
}

#[test]
fn others_read_seaweedfs() {
    let Some(python) = server::installed("venv/bin/python") else { return };
    let Some(server) = server::seaweedfs() else { return };
    others_read(&ready(server), &python);
}
