//! Small text files, broken at random with fixed seeds: a run reads every record
//! that is in them, or stops. The records are counted by a parser as simple as
//! can be.

use std::sync::atomic::{AtomicUsize, Ordering};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{journal, pipeline};
use crate::project::Project;

/// Files of each format.
const CASES: usize = 60;

const CSV: &str = "order_id,customer_id,ordered_at,amount,campaign\n\
                   1,7,2026-01-05,10,\"tv, radio\"\n2,8,2026-01-06,20,\"say \"\"hi\"\"\"\n\
                   3,9,2026-01-07,30,\"two\nlines\"\n4,9,2026-01-08,40,web\n\
                   5,9,2026-01-09,50,\n6,7,2026-01-10,60,\"\"\n";

const JSON: &str = "{\"order_id\":1,\"customer_id\":7,\"ordered_at\":\"2026-01-05\",\"amount\":10}\n\
                    {\"order_id\":2,\"customer_id\":8,\"ordered_at\":\"2026-01-06\",\"amount\":2.5}\n\
                    {\"order_id\":3,\"customer_id\":9,\"ordered_at\":\"2026-01-07\",\"note\":[{\"a\":1}]}\n\
                    {\"order_id\":4,\"customer_id\":9,\"ordered_at\":\"2026-01-08\",\"amount\":\"4\"}\n";

fn below(random: &mut ChaCha8Rng, limit: usize) -> usize {
    usize::try_from(random.next_u32()).expect("32 bits") % limit
}

/// The text with one or two bytes taken out, put in or exchanged, or cut short.
fn mutated(text: &str, seed: usize, alphabet: &[u8]) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(u64::try_from(seed).expect("few"));
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=below(&mut random, 2) {
        let at = below(&mut random, bytes.len());
        let new = alphabet[below(&mut random, alphabet.len())];
        match below(&mut random, 7) {
            0..=2 => drop(bytes.remove(at)),
            3 | 4 => bytes.insert(at, new),
            5 => bytes[at] = new,
            _ => bytes.truncate(at.max(60)),
        }
    }
    bytes
}

/// Records below the header, where quotes match and every record is as wide as
/// the header.
fn csv_records(text: &str) -> Option<usize> {
    let (mut widths, mut width) = (Vec::new(), 1);
    let (mut in_quotes, mut is_empty, mut at_start) = (false, true, true);
    let mut several = false;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if in_quotes => match chars.peek() {
                Some('"') => drop(chars.next()),
                None | Some(',' | '\n' | '\r') => in_quotes = false,
                _ => return None,
            },
            other if in_quotes => several |= matches!(other, '\n' | '\r'),
            '"' if at_start => (in_quotes, is_empty, at_start) = (true, false, false),
            '"' if several => return None,
            ',' => (width, is_empty, at_start) = (width + 1, false, true),
            '\n' | '\r' => {
                widths.extend((!is_empty).then_some(width));
                (width, is_empty, at_start) = (1, true, true);
            }
            _ => (is_empty, at_start) = (false, false),
        }
    }
    widths.extend((!is_empty).then_some(width));
    let (header, rows) = widths.split_first()?;
    (!in_quotes && rows.iter().all(|row| row == header)).then_some(rows.len())
}

/// Records, where every line is an object.
fn json_records(text: &str) -> Option<usize> {
    let lines = text.split('\n').filter(|line| !line.trim().is_empty());
    let is_object = |line: &str| {
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line).is_ok()
    };
    let lines: Vec<&str> = lines.collect();
    lines.iter().all(|line| is_object(line)).then_some(lines.len())
}

fn check(format: &str, content: &[u8], records: Option<usize>) -> bool {
    let project = Project::new();
    project.file(&format!("orders/o.{format}"), "");
    std::fs::write(project.path(&format!("orders/o.{format}")), content).expect("a file");
    pipeline(&project, &format!("url: orders\nformat: {format}"), "facts.orders");
    let outcome = project.tenure(&["run", "pipelines/p.yaml", "--as-of", "2026-06-30"]);
    let text = String::from_utf8_lossy(content);
    let said = &outcome.stderr;
    assert!([0, 1, 2].contains(&outcome.code) && !said.contains("panicked"), "{text}\n{said}");
    if outcome.code != 0 {
        let is_told = ["= help: ", "= cause: ", "= note: "].iter().any(|note| said.contains(note));
        assert!(is_told, "{text}\n{said}");
        return false;
    }
    let steps = journal(&project);
    let read = steps.iter().find(|step| step["step"] == "source_read").expect("it is read");
    assert_eq!(read["read"].as_u64(), records.map(|records| records as u64), "{text}\n{said}");
    true
}

/// Runs all cases of a format on two threads.
fn check_all(format: &str, text: &str, alphabet: &[u8], records: fn(&str) -> Option<usize>) {
    let (next, published) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= CASES {
                break;
            }
            let content = mutated(text, seed, alphabet);
            let expected = std::str::from_utf8(&content).ok().and_then(records);
            let is_published = check(format, &content, expected);
            published.fetch_add(usize::from(is_published), Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(work);
        }
    });
    let published = published.into_inner();
    assert!((5..CASES - 5).contains(&published), "{published} of {CASES} are published");
}

#[test]
fn broken_csv_is_read_whole_or_refused() {
    check_all("csv", CSV, b"\",\n\r\\a1\xff", csv_records);
}

#[test]
fn broken_json_is_read_whole_or_refused() {
    check_all("json", JSON, b"\"{}[],:\n\\0.e-\xff", json_records);
}
