//! Published files in which a bit has flipped: `verify` names each, `show`
//! prints nothing of them, and no run computes from them.

use std::fs;
use std::path::PathBuf;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::reuse::{DAY, ROWS};
use super::{GENERATED_AS_OF, generated, pipeline_of_generated};
use crate::project::{Outcome, Project, killed_at, run_id};

/// Rounds, and bits that flip in each.
const ROUNDS: usize = 40;
const FLIPS: usize = 5;
/// How often the next move is followed to its end.
const REPAIRED_EVERY: usize = 10;

const TABLES: &str = "facts.customers, facts.orders, metrics.value_concentration";

fn published() -> Project {
    let project = Project::with_models();
    project.orders("orders/all.parquet", ROWS);
    project.pipeline(TABLES, "");
    project.run(DAY);
    project
}

fn command(project: &Project, arguments: &[&str]) -> Outcome {
    project.tenure(&[&[arguments[0], "pipelines/p.yaml"], &arguments[1..]].concat())
}

/// The published files of a table in its set.
fn set_files(project: &Project, table: &str) -> Vec<PathBuf> {
    let pattern = project.path(&format!("out/_tenure/sets/*/{table}/as_of={DAY}/*.parquet"));
    let paths = glob::glob(&pattern.to_string_lossy()).expect("a pattern");
    paths.map(|path| path.expect("a path")).collect()
}

/// Flips a bit of a file in place, as a disk does: links show it, too.
fn flip(path: &PathBuf, bit: usize) {
    let mut content = fs::read(path).expect("a file");
    content[bit / 8] ^= 1 << (bit % 8);
    let mut file = fs::OpenOptions::new().write(true).open(path).expect("a file");
    std::io::Write::write_all(&mut file, &content).expect("written");
}

/// Flips bits until so many files differ, and tells which: two flips of one bit
/// are none.
fn damage(project: &Project, random: &mut ChaCha8Rng) -> Vec<(&'static str, PathBuf, usize)> {
    let tables = ["facts.customers", "facts.orders", "metrics.value_concentration"];
    let mut flips: Vec<(&str, PathBuf, usize)> = Vec::new();
    while flips.len() < FLIPS {
        let table = tables[random.random_range(0..tables.len())];
        let path = set_files(project, table).pop().expect("a file");
        let bits = fs::metadata(&path).expect("a file").len() as usize * 8;
        let bit = random.random_range(0..bits);
        if !flips.iter().any(|(other, _, at)| *other == table && *at == bit) {
            flip(&path, bit);
            flips.push((table, path, bit));
        }
    }
    flips
}

#[test]
fn every_file_with_a_flipped_bit_is_named() {
    let project = published();
    let mut random = ChaCha8Rng::seed_from_u64(13);
    for round in 0..ROUNDS {
        let flips = damage(&project, &mut random);
        let verified = command(&project, &["verify"]);
        let said = &verified.stderr;
        let context = format!("round {round}, {flips:?}: {said}");
        assert_eq!(verified.code, 1, "{context}");
        for (table, path, _) in &flips {
            let relative = path.strip_prefix(project.path("out")).expect("below");
            assert!(said.contains(&*relative.to_string_lossy()), "{context}");
            // The folder has the same file under another name.
            let (_, name) = table.split_once('.').expect("a schema");
            let folder = format!("{name}/as_of={DAY}/part-00000.parquet");
            assert!(said.contains(&folder), "{context}");
        }
        let shown = command(&project, &["show", flips[0].0]);
        assert_eq!((shown.code, shown.stdout.as_str()), (1, ""), "{context}");
        if round % REPAIRED_EVERY == 0 {
            let next = format!("tenure run pipelines/p.yaml --as-of {DAY} --full-refresh");
            assert!(said.contains(&next), "{context}");
            let next: Vec<&str> = next.split(' ').skip(1).collect();
            let run = project.tenure(&next);
            assert_eq!(run.code, 0, "{context}: {}", run.stderr);
            command(&project, &["gc", "--keep-runs", "0"]);
        } else {
            flips.iter().for_each(|(_, path, bit)| flip(path, *bit));
        }
        assert_eq!(command(&project, &["verify"]).code, 0, "{context}");
    }
}

/// What a dead run had staged is taken over only as it was written.
#[test]
fn a_retry_takes_nothing_over_that_is_damaged() {
    let project = generated();
    pipeline_of_generated(&project, "");
    let run = ["run", "pipelines/p.yaml", "--as-of", GENERATED_AS_OF];
    let killed = run_id(&killed_at(project.command(&run), "table", 4));
    let pattern = project.path(&format!("out/_tenure/sets/{killed}/*/*/part-00000.parquet"));
    let staged = glob::glob(&pattern.to_string_lossy()).expect("a pattern").flatten();
    let staged: Vec<PathBuf> = staged.collect();
    assert!(staged.len() > 1, "{staged:?}");
    for path in &staged {
        let content = fs::read(path).expect("a file");
        flip(path, content.len() * 4);
    }
    let retried = command(&project, &["retry"]);
    assert_eq!(retried.code, 0, "{}", retried.stderr);
    assert!(!retried.stderr.contains("staged by run"), "{}", retried.stderr);
    assert_eq!(command(&project, &["verify"]).code, 0);
}

/// A table that stands and is read for another one.
#[test]
fn no_run_computes_from_a_damaged_table() {
    let project = published();
    let path = set_files(&project, "facts.customers").remove(0);
    let model = "sql/metrics/value_concentration.sql";
    let text = fs::read_to_string(project.path(model)).expect("a model");
    // As an analyst edits it: the result is the same, the query is another.
    let (head, query) =
        text.split_at(text.find("\nselect").or(text.find("\nwith")).expect("a query"));
    project.file(model, &format!("{head}\n{}", query.replacen("select", "select distinct", 1)));
    let plan = command(&project, &["plan", "--as-of", DAY]).stdout;
    let stands = |line: &&str| line.contains("facts.customers") && line.contains("reuse");
    assert!(plan.lines().any(|line| stands(&line)), "{plan}");
    let content = fs::read(&path).expect("a file");
    flip(&path, content.len() * 4);
    let run = command(&project, &["run", "--as-of", DAY]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let said = "`facts.customers` is damaged and built again";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    assert_eq!(command(&project, &["verify"]).code, 0);
}
