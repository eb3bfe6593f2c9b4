//! `format: delta` on every kind of place, read back by other engines: each
//! version of a table shows what was published when it was made.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::server;
use super::{FIRST, Place, SECOND, TABLES, ready};
use crate::project::{killed_at, run_id};

/// Tables whose sums are compared; both have a column `net`.
const SUMMED: [&str; 2] = ["facts.orders", "facts.customers"];

/// Tries at killing a run between two commits, which takes milliseconds.
const KILLS_MAX: usize = 40;

/// The same place, whose tables are Delta tables.
fn delta(place: Place) -> Place {
    let file = "pipelines/p.yaml";
    let text = std::fs::read_to_string(place.project.path(file)).expect("a pipeline");
    place.project.file(file, &format!("{text}  format: delta\n"));
    place
}

fn folder(table: &str) -> &str {
    table.rsplit('.').next().expect("a name")
}

impl Place {
    /// What a reader finds in a table; none where it is not installed.
    fn read(&self, reader: &str, table: &str, version: Option<u64>) -> Option<Vec<String>> {
        let python = server::installed("venv/bin/python")?;
        let url = match &self.server {
            Some(server) => format!("{}/{}", server.url, folder(table)),
            None => self.project.path("out").join(folder(table)).display().to_string(),
        };
        let mut command = Command::new(python);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/stores/delta_readers.py");
        command.arg(script).arg(reader).arg(url).args(version.map(|v| v.to_string()));
        if let Some(server) = &self.server {
            command.envs(server.environment.iter().cloned());
        }
        let output = command.output().expect("python starts");
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(3) {
            eprintln!("{reader}: {said}");
            return None;
        }
        assert!(output.status.success(), "{reader} {table} {version:?}: {said}");
        Some(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
    }

    /// A line a day, as the readers print it: the day, rows and sum of `net`.
    fn sums(&self, table: &str, days: &[&str]) -> Vec<String> {
        let line = |day: &&str| {
            let show = ["show", "pipelines/p.yaml", table, "--as-of", day, "--format", "csv"];
            let outcome = self.tenure(&show);
            assert_eq!(outcome.code, 0, "{}", outcome.stderr);
            let mut lines = outcome.stdout.lines();
            let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
            let place = header.iter().position(|name| *name == "net").expect("a column");
            let (mut rows, mut cents) = (0, 0i64);
            for line in lines {
                let net = line.split(',').nth(place).expect("a value").replace('.', "");
                (rows, cents) = (rows + 1, cents + net.parse::<i64>().expect("cents"));
            }
            format!("{day} {rows} {}.{:02}", cents / 100, cents % 100)
        };
        days.iter().map(line).collect()
    }

    /// Asks every reader; they must agree with what is published.
    fn agrees(&self, days: &[&str], version: Option<u64>, expected: &[Vec<String>]) -> usize {
        let mut asked = 0;
        for (table, expected) in SUMMED.iter().zip(expected) {
            for reader in ["duckdb", "polars"] {
                if let Some(found) = self.read(reader, table, version) {
                    assert_eq!(&found, expected, "{reader} {table} {days:?} {version:?}");
                    asked += 1;
                }
            }
        }
        asked
    }

    fn expected(&self, days: &[&str]) -> Vec<Vec<String>> {
        SUMMED.iter().map(|table| self.sums(table, days)).collect()
    }
}

/// Publish, add a day, replace one, nothing to do, kill, collect; every version
/// read back.
fn conforms(place: &Place) {
    place.publishes(FIRST, &["--full-refresh"]);
    let one = place.expected(&[FIRST]);
    let mut asked = place.agrees(&[FIRST], None, &one);
    let first = place.read("history", "facts.orders", None).map_or(0, |lines| lines.len() - 1);
    let first = u64::try_from(first).expect("a version");

    place.publishes(SECOND, &[]);
    let two = place.expected(&[FIRST, SECOND]);
    asked += place.agrees(&[FIRST, SECOND], None, &two);
    let nothing = place.run(SECOND, &[]);
    assert!(nothing.stdout.contains("nothing to do"), "{}", nothing.stdout);

    // A narrower history changes sums, and replaces the day.
    place.publishes(SECOND, &["--param", "history_start=2025-01-01"]);
    let narrow = place.expected(&[FIRST, SECOND]);
    assert_ne!(narrow, two, "the day has other sums");
    asked += place.agrees(&[FIRST, SECOND], None, &narrow);
    asked += place.agrees(&[FIRST, SECOND], Some(first + 1), &two);
    asked += place.agrees(&[FIRST], Some(first), &one);

    // Killed with a table staged, gone on with, and old sets removed.
    let all = ["run", "pipelines/p.yaml", "--as-of", SECOND, "--full-refresh"];
    let killed = run_id(&killed_at(place.command(&all), "table", 1));
    let freed = place.tenure(&["unlock", "pipelines/p.yaml", "--force"]);
    assert_eq!(freed.code, 0, "{}", freed.stderr);
    let retried = place.tenure(&["retry", "pipelines/p.yaml"]);
    assert_eq!(retried.code, 0, "{}", retried.stderr);
    assert!(retried.stderr.contains(&format!("staged by run {killed}")), "{}", retried.stderr);
    let collected = place.tenure(&["gc", "pipelines/p.yaml", "--keep-runs", "0"]);
    assert_eq!(collected.code, 0, "{}", collected.stderr);
    asked += place.agrees(&[FIRST, SECOND], None, &two);
    // A version stays readable for a week, whatever sets are gone.
    asked += place.agrees(&[FIRST, SECOND], Some(first + 2), &narrow);
    println!("{asked} reads by other engines");
}

#[test]
fn delta_on_a_disk() {
    conforms(&delta(Place::new(None)));
}

#[test]
fn delta_on_seaweedfs() {
    let Some(server) = server::seaweedfs() else { return };
    conforms(&delta(ready(server)));
}

#[test]
fn delta_on_moto() {
    let Some(server) = server::moto() else { return };
    conforms(&delta(ready(server)));
}

#[test]
fn delta_on_the_stand_in_for_gcs() {
    conforms(&delta(ready(server::gcs())));
}

#[test]
fn delta_on_azurite() {
    let Some(server) = server::azurite() else { return };
    conforms(&delta(ready(server)));
}

/// Types are those of the files, days are dates, and who made a version stands
/// in its history.
#[test]
fn readers_see_types_and_runs() {
    let place = delta(Place::new(None));
    place.publishes(FIRST, &[]);
    let Some(types) = place.read("types", "facts.orders", None) else { return };
    let kind = |name: &str| {
        types.iter().find_map(|line| line.strip_prefix(&format!("{name} "))).expect("a column")
    };
    assert_eq!(kind("order_id"), "Int64");
    assert_eq!(kind("order_date"), "Date");
    assert_eq!(kind("net"), "Decimal(precision=18, scale=2)");
    assert_eq!(kind("ordered_at"), "Datetime(time_unit='us', time_zone=None)");
    assert_eq!(kind("channel"), "String");
    assert_eq!(kind("as_of"), "Date");
    let history = place.read("history", "facts.orders", None).expect("deltalake is there");
    let run = place.manifest()["publication"]["run_id"].as_str().expect("a run").to_owned();
    assert_eq!(history, [format!("0 run {run}")]);
}

impl Place {
    fn manifest(&self) -> Value {
        let text = std::fs::read(self.project.path("out/_tenure/current.json"));
        serde_json::from_slice(&text.expect("a manifest")).expect("json")
    }

    fn commit_file(&self, table: &str, version: u64) -> PathBuf {
        let file = format!("out/{}/_delta_log/{version:020}.json", folder(table));
        self.project.path(&file)
    }

    fn version(&self, table: &str) -> u64 {
        let files =
            glob::glob(&self.commit_file(table, 0).with_file_name("*.json").to_string_lossy());
        let last = files.expect("a pattern").last().expect("a table").expect("a path");
        last.file_stem().and_then(|name| name.to_str()?.parse().ok()).expect("a version")
    }

    fn tables(&self) -> Vec<&'static str> {
        TABLES.split(", ").map(str::trim).collect()
    }
}

/// What others do to keep a table fast is built upon: files rewritten in
/// another commit, and a checkpoint of theirs.
#[test]
fn others_may_maintain_a_table() {
    let place = delta(Place::new(None));
    place.publishes(FIRST, &[]);
    place.publishes(SECOND, &[]);
    for table in SUMMED {
        if place.read("maintain", table, None).is_none() {
            return;
        }
    }
    let two = place.expected(&[FIRST, SECOND]);
    place.agrees(&[FIRST, SECOND], None, &two);
    let theirs = place.version("facts.orders");
    assert!(theirs > 1, "they have committed");
    // Of files that came in the place of ours no checksum is known.
    let verified = place.tenure(&["verify", "pipelines/p.yaml"]);
    assert_eq!(verified.code, 0, "{}", verified.stderr);
    assert!(verified.stdout.contains("rewritten by others"), "{}", verified.stdout);
    assert!(place.run(SECOND, &[]).stdout.contains("nothing to do"));
    place.publishes(SECOND, &["--param", "history_start=2025-01-01"]);
    assert_eq!(place.manifest()["delta"]["facts.orders"], theirs + 1);
    let commit = std::fs::read_to_string(place.commit_file("facts.orders", theirs + 1));
    let commit = commit.expect("a commit");
    assert_eq!(commit.matches("{\"add\"").count(), 1, "the other day is left as they made it");
    let narrow = place.expected(&[FIRST, SECOND]);
    place.agrees(&[FIRST, SECOND], None, &narrow);
    place.agrees(&[FIRST, SECOND], Some(theirs), &two);
}

/// Other readers understand our checkpoints: without the commits before it a
/// table is still what it was.
#[test]
fn readers_begin_at_a_checkpoint() {
    let place = delta(Place::new(None));
    place.publishes(FIRST, &[]);
    for _ in 0..10 {
        place.publishes(SECOND, &["--full-refresh"]);
    }
    let expected = place.expected(&[FIRST, SECOND]);
    for table in SUMMED {
        for version in 0..10 {
            std::fs::remove_file(place.commit_file(table, version)).expect("removed");
        }
    }
    place.agrees(&[FIRST, SECOND], None, &expected);
    place.agrees(&[FIRST, SECOND], Some(10), &expected);
    place.publishes(SECOND, &["--full-refresh"]);
    place.agrees(&[FIRST, SECOND], None, &expected);
}

/// A run killed between the commits of two tables has published; the next
/// command commits the rest, and the manifest names the versions.
#[test]
fn what_a_kill_between_commits_left_is_rolled_forward() {
    let place = delta(Place::new(None));
    place.publishes(SECOND, &["--full-refresh"]);
    let mut between = 0;
    for kill in 0..KILLS_MAX {
        let before: Vec<u64> = place.tables().iter().map(|table| place.version(table)).collect();
        // The tables are committed in the order of their folders.
        let first = place.commit_file("metrics.cohort_retention", before[2] + 1);
        let mut run = place.start(SECOND);
        let begun = Instant::now();
        while !first.exists() && begun.elapsed() < Duration::from_secs(120) {
            std::hint::spin_loop();
        }
        run.0.kill().expect("killed");
        run.wait();
        let after: Vec<u64> = place.tables().iter().map(|table| place.version(table)).collect();
        let moved = before.iter().zip(&after).filter(|(before, after)| after > before).count();
        assert!(moved > 0, "kill {kill} came before the first commit");
        between += usize::from(moved < before.len());
        // Any command that takes the lock goes on.
        let collected = place.tenure(&["gc", "pipelines/p.yaml"]);
        assert_eq!(collected.code, 0, "{}", collected.stderr);
        let manifest = place.manifest();
        for (table, before) in place.tables().iter().zip(before) {
            assert_eq!(place.version(table), before + 1, "{table} is committed once");
            assert_eq!(manifest["delta"][table], before + 1, "{table} is named");
        }
        if between >= 3 {
            break;
        }
    }
    assert!(between > 0, "no kill came between two commits");
    println!("{between} kills between commits");
    place.agrees(&[SECOND], None, &place.expected(&[SECOND]));
}
