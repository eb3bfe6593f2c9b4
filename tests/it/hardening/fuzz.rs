//! Texts of a project that were changed at random: `tenure check` says what is wrong
//! with them, soon, and ends as it is documented to. `FUZZ=5000 make test` tries more.

use std::process::Stdio;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{below, small};

/// Texts of a project.
const TEXTS: [&str; 4] =
    ["pipelines/p.yaml", "sql/params.yaml", "sql/facts/customers.sql", "sql/metrics/spenders.sql"];

/// What is put somewhere.
const PIECES: [&str; 62] = [
    "é",
    "\u{1F600}",
    "\u{202e}",
    "\u{feff}",
    "\u{1b}[31m",
    "\0",
    "\t",
    "\r",
    "\n",
    "\n\n",
    " ",
    "  ",
    "'",
    "\"",
    "`",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    ":",
    ": ",
    "- ",
    "-- ",
    "/*",
    "*/",
    "#",
    "&a ",
    "*a",
    "!!str ",
    "|",
    ">",
    "%",
    "@",
    "$",
    "$$",
    "${",
    "${X}",
    "${X:-y}",
    "~",
    "null",
    "true",
    "1e999",
    "99999999999999999999",
    "-0",
    ".nan",
    "0x1F",
    "2024-13-45",
    "<<: ",
    "? ",
    "---\n",
    "...\n",
    ";",
    ",",
    " as ",
    " from ",
    " over (",
    " case when ",
    " union all select ",
    " tablesample (1 rows)",
    " is distinct from ",
];

/// As many as a few seconds allow, unless told.
fn mutations() -> usize {
    std::env::var("FUZZ").ok().and_then(|count| count.parse().ok()).unwrap_or(150)
}

const SECONDS_MAX: u64 = 20;

fn mutate(random: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    let place = below(random, bytes.len() + 1);
    let length = below(random, 40).min(bytes.len() - place);
    match below(random, 9) {
        0 if place < bytes.len() => bytes[place] ^= 1 << below(random, 8),
        1 => drop(bytes.drain(place..place + length)),
        2 => {
            let part = bytes[place..place + length].to_vec();
            let to = below(random, bytes.len() + 1);
            bytes.splice(to..to, part);
        }
        3 => {
            let part = PIECES[below(random, PIECES.len())].repeat(below(random, 3_000));
            bytes.splice(place..place, part.into_bytes());
        }
        4 => {
            let any = u8::try_from(random.next_u64() % 256).expect("a byte");
            bytes.splice(place..place, [any]);
        }
        5 => bytes.truncate(place),
        6 if place < bytes.len() => bytes[place] = b"0aZ_.,:'\"-"[below(random, 10)],
        _ => {
            let part = PIECES[below(random, PIECES.len())];
            bytes.splice(place..place, part.bytes());
        }
    }
}

/// What is wrong with how it ended, if something is.
fn fault(seed: u64) -> Option<String> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let project = small();
    let text = TEXTS[below(&mut random, TEXTS.len())];
    let mut bytes = std::fs::read(project.path(text)).expect("a text");
    for _ in 0..1 + below(&mut random, 3) {
        mutate(&mut random, &mut bytes);
    }
    std::fs::write(project.path(text), &bytes).expect("written");
    let mut command = project.command(&["check", "pipelines/p.yaml"]);
    let said = std::fs::File::create(project.path("said")).expect("a file");
    let mut check = command.stdout(Stdio::null()).stderr(said).spawn().expect("the binary starts");
    let begun = Instant::now();
    let code = loop {
        if let Some(status) = check.try_wait().expect("a status") {
            break status.code();
        }
        if begun.elapsed() > Duration::from_secs(SECONDS_MAX) {
            check.kill().expect("it runs");
            break None;
        }
        std::thread::sleep(Duration::from_millis(3));
    };
    let said = std::fs::read(project.path("said")).expect("what was said");
    let said = String::from_utf8_lossy(&said);
    let is_raw = said.chars().any(|letter| letter.is_control() && letter != '\n');
    let is_fine = matches!(code, Some(0 | 2)) && !said.contains("panicked") && !is_raw;
    let took = begun.elapsed();
    (!is_fine).then(|| {
        let kept = std::env::temp_dir().join(format!("fuzz-{seed}"));
        let _ = std::fs::write(&kept, &bytes);
        format!("seed {seed}, {text} ({}), exit {code:?} after {took:?}:\n{said}", kept.display())
    })
}

#[test]
fn texts_that_were_changed_at_random_are_checked_without_a_panic() {
    let count = mutations() as u64;
    let faults = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for half in 0..2 {
            let faults = &faults;
            scope.spawn(move || {
                for seed in (half..count).step_by(2) {
                    if let Some(found) = fault(seed) {
                        faults.lock().expect("no panic").push(found);
                    }
                }
            });
        }
    });
    let faults = faults.into_inner().expect("no panic");
    assert!(faults.is_empty(), "{} of {count}:\n{}", faults.len(), faults.join("\n\n"));
}
