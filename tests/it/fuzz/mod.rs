//! Files that were damaged at random, always the same way: whatever they hold,
//! the program ends with a documented exit code, never with a panic, and where
//! it publishes, every row of the file is accounted for.
//!
//! `TENURE_FUZZ=1000 make test` tries more of each kind than the default.

mod damage;
mod parquet;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::project::Outcome;

/// Damaged inputs of each kind, where nothing else is said.
const TRIALS: u64 = 60;
/// Trials at the same time.
const AT_ONCE: usize = 2;

/// How many damaged inputs of a kind are tried.
fn trials() -> u64 {
    let asked = std::env::var("TENURE_FUZZ").ok();
    asked.map_or(TRIALS, |text| text.parse().expect("TENURE_FUZZ is a number"))
}

/// Tries a damage for each seed, some at a time. What was wrong, by seed.
fn each_seed(trial: impl Fn(u64) -> Result<(), String> + Sync) {
    let next = AtomicU64::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= trials() {
                        break;
                    }
                    if let Err(why) = trial(seed) {
                        failures.lock().expect("no panic").push(format!("seed {seed}: {why}"));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("no panic");
    failures.sort();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), trials(), failures.join("\n"));
}

/// That a command ended as documented, whatever it was given.
fn ends_as_documented(outcome: &Outcome) -> Result<(), String> {
    let said = &outcome.stderr;
    match outcome.code {
        0..=3 if !said.contains("panicked") => Ok(()),
        code => Err(format!("exit {code}: {said}")),
    }
}
