//! Runs killed again and again while a reader follows the manifest: whatever
//! it names is whole, and the next run cleans up.
//!
//! `KILLS=200 make test` kills more often than the tests of every day do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Instant;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Place, SECOND};

/// Kills unless the environment says how many.
const KILLS: usize = 12;

/// Bytes and checksum of each file.
type Files = BTreeMap<PathBuf, (u64, String)>;

/// What the manifest names: the files of every table and day, and their runs.
fn named(target: &Path) -> Option<(Files, Vec<String>)> {
    let text = std::fs::read(target.join("_tenure/current.json")).ok()?;
    let manifest: Value = serde_json::from_slice(&text).expect("a manifest is always whole");
    let mut files = BTreeMap::new();
    let mut runs = Vec::new();
    for days in manifest["tables"].as_object().expect("tables").values() {
        for entry in days.as_object().expect("days").values() {
            runs.push(entry["run_id"].as_str().expect("a run").to_string());
            for file in entry["files"].as_array().expect("files") {
                let path = target.join(file["path"].as_str().expect("a path"));
                let bytes = file["bytes"].as_u64().expect("bytes");
                let sum = file["sha256"].as_str().expect("a checksum").to_string();
                files.insert(path, (bytes, sum));
            }
        }
    }
    Some((files, runs))
}

/// Whether every file that is named is there and is what it should be; none
/// where the manifest has changed meanwhile, and files may be gone.
fn is_whole(target: &Path) -> Option<bool> {
    let before = named(target)?;
    let mut whole = true;
    for (path, (bytes, sum)) in &before.0 {
        let content = std::fs::read(path).unwrap_or_default();
        let found: String = Sha256::digest(&content).iter().map(|b| format!("{b:02x}")).collect();
        whole &= content.len() as u64 == *bytes && found == *sum;
    }
    // A full run makes every table: a set of several runs is a mixture.
    whole &= before.1.iter().all(|run| *run == before.1[0]);
    (whole || named(target)? == before).then_some(whole)
}

#[test]
fn kills_at_any_time_leave_a_whole_set() {
    let kills = std::env::var("KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let place = Place::new(None);
    let begun = Instant::now();
    place.publishes(SECOND, &["--full-refresh"]);
    let length = begun.elapsed();
    let target = place.project.path("out");
    let expected = place.published(SECOND);
    let stop = AtomicBool::new(false);
    let looks = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                assert_ne!(is_whole(&target), Some(false), "a reader met half a set");
                looks.fetch_add(1, Ordering::Relaxed);
            }
        });
        for kill in 0..kills {
            // Spread over a run, from its first moment to behind its end.
            let share = (kill * 7919 % 1000) as f64 / 900.0;
            let mut run = place.start(SECOND);
            sleep(length.mul_f64(share));
            run.signal_if_alive("KILL");
            run.wait();
            assert_ne!(is_whole(&target), Some(false), "kill {kill} at {share} of a run");
        }
        stop.store(true, Ordering::Relaxed);
    });
    place.publishes(SECOND, &["--full-refresh"]);
    assert!(place.published(SECOND) == expected, "the next run publishes as ever");
    let removed = place.tenure(&["gc", "pipelines/p.yaml", "--keep-runs", "0"]);
    assert_eq!(removed.code, 0, "{}", removed.stderr);
    let (files, _) = named(&target).expect("a manifest");
    let sets = glob::glob(&target.join("_tenure/sets/**/*.parquet").to_string_lossy());
    let left: Vec<PathBuf> = sets.expect("a pattern").map(|path| path.expect("a path")).collect();
    assert_eq!(left.len(), files.len(), "what dead runs staged is gone");
    println!("{kills} kills, {} looks", looks.load(Ordering::Relaxed));
    assert!(looks.load(Ordering::Relaxed) > 0);
}
