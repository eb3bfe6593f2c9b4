//! A history read piece by piece, over many nights, is the history read as a
//! whole.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::Value;

use super::{TABLES, assert_same};
use crate::project::Project;

const HEADER: &str = "order_id,customer_id,ordered_at,amount,currency,channel";

/// Files of a source: name and rows.
type Files = BTreeMap<String, Vec<String>>;

/// A source that changes at random, with everything that pieces must get
/// right: late rows, numbers that stand twice in a file or in two, rows that
/// never count, days that come and go.
struct History {
    random: ChaCha8Rng,
    files: Files,
    next_file: usize,
    next_order: usize,
    day: usize,
}

impl History {
    fn new(seed: u64) -> Self {
        let random = ChaCha8Rng::seed_from_u64(seed);
        let mut history =
            Self { random, files: Files::new(), next_file: 0, next_order: 1, day: 40 };
        for _ in 0..3 {
            history.add();
        }
        history
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.random.next_u64() % end as u64).expect("small")
    }

    fn row(&mut self) -> String {
        let order = match self.below(12) {
            // A number that may have come before.
            0 => self.below(self.next_order) + 1,
            _ => {
                self.next_order += 1;
                self.next_order
            }
        };
        let customer = match self.below(15) {
            0 => String::new(),
            _ => (self.below(12) + 1).to_string(),
        };
        let day = self.below(self.day + 4);
        let (month, day) = (day / 28 % 12 + 1, day % 28 + 1);
        let amount = self.below(9) as f64 - 1.0;
        let currency = if self.below(10) == 0 { "USD" } else { "EUR" };
        let channel = ["web", "shop", ""][self.below(3)];
        format!(
            "{order},{customer},2024-{month:02}-{day:02}T{:02}:00:00,{amount:.2},{currency},{channel}",
            self.below(3)
        )
    }

    fn rows(&mut self) -> Vec<String> {
        let mut rows: Vec<String> = (0..5 + self.below(30)).map(|_| self.row()).collect();
        if self.below(3) == 0 {
            rows.push(rows[0].clone());
        }
        rows
    }

    fn add(&mut self) {
        let rows = self.rows();
        let folder = ["early", "late"][self.below(2)];
        self.files.insert(format!("orders/{folder}/{:03}.parquet", self.next_file), rows);
        self.next_file += 1;
        self.day += 1;
    }

    fn any(&mut self) -> String {
        let place = self.below(self.files.len());
        self.files.keys().nth(place).expect("a file").clone()
    }

    /// One night: a file comes, is corrected, vanishes, or nothing happens.
    fn change(&mut self) {
        match self.below(8) {
            0 if self.files.len() > 3 => {
                let file = self.any();
                self.files.remove(&file);
            }
            1 => {
                let (file, rows) = (self.any(), self.rows());
                self.files.insert(file, rows);
            }
            2 => self.day = self.day.saturating_sub(9).max(20),
            3 => {}
            4 => (0..10).for_each(|_| self.add()),
            _ => self.add(),
        }
    }

    fn as_of(&self) -> String {
        format!("2024-{:02}-{:02}", self.day / 28 % 12 + 1, self.day % 28 + 1)
    }
}

fn pipeline(project: &Project) {
    project.pipeline(
        TABLES,
        "params:\n  currency: EUR\n  history_start: 2024-01-03\nengine:\n  threads: 2\n",
    );
}

fn write(project: &Project, before: &Files, now: &Files) {
    for file in before.keys().filter(|file| !now.contains_key(*file)) {
        std::fs::remove_file(project.path(file)).expect("a file");
    }
    for (file, rows) in now.iter().filter(|(file, rows)| before.get(*file) != Some(rows)) {
        project.orders(file, &format!("{HEADER}\n{}\n", rows.join("\n")));
    }
}

/// What was published for a day.
fn of_day(project: &Project, day: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = project.published();
    files.retain(|(name, _)| name.contains(&format!("as_of={day}")));
    assert!(files.len() > 20);
    files
}

/// The pieces of a project: name and files.
fn pieces(project: &Project) -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(project.path("out/_tenure/cache/orders/index.json"));
    let index: Value = serde_json::from_str(&text.expect("an index")).expect("JSON");
    let pieces = index["pieces"].as_array().expect("pieces").iter();
    let pieces = pieces.map(|piece| {
        let files = piece["files"].as_array().expect("files").len();
        (piece["name"].as_str().expect("a name").to_string(), files)
    });
    let pieces: BTreeMap<String, usize> = pieces.collect();
    let folders = super::paths(project, "out/_tenure/cache/orders/*/");
    let folders: BTreeSet<String> = folders
        .iter()
        .filter(|folder| std::fs::read_dir(folder).expect("a folder").next().is_some())
        .map(|folder| folder.file_name().expect("a name").to_string_lossy().into_owned())
        .collect();
    assert_eq!(folders, pieces.keys().cloned().collect(), "no piece that is not named stays");
    pieces
}

#[test]
fn many_nights_of_pieces_give_what_one_night_would() {
    for seed in 0..4 {
        let mut history = History::new(seed);
        let nightly = Project::new();
        pipeline(&nightly);
        let mut before = Files::new();
        for night in 0..8 {
            write(&nightly, &before, &history.files);
            let day = history.as_of();
            nightly.run(&day);
            let fresh = Project::new();
            pipeline(&fresh);
            write(&fresh, &Files::new(), &history.files);
            fresh.run(&day);
            let what = format!("seed {seed}, night {night}");
            assert_same(&of_day(&fresh, &day), &of_day(&nightly, &day), &what);
            assert!(pieces(&nightly).len() <= 16);
            before = history.files.clone();
            history.change();
        }
    }
}

fn two_files(project: &Project) {
    let rows = |begin: usize| {
        let rows = (begin..begin + 5)
            .map(|n| format!("{n},{},2024-01-{:02}T10:00:00,10.00,EUR,web\n", n % 3, n + 1));
        format!("{HEADER}\n{}", rows.collect::<String>())
    };
    project.orders("orders/1.parquet", &rows(0));
    project.orders("orders/2.parquet", &rows(5));
    pipeline(project);
}

#[test]
fn a_new_file_makes_one_new_piece_and_a_correction_renews_one() {
    let project = Project::new();
    two_files(&project);
    project.run("2024-01-31");
    let first = pieces(&project);
    assert_eq!(first.values().collect::<Vec<_>>(), [&2]);

    let row = "77,1,2024-01-20T10:00:00,10.00,EUR,web";
    project.orders("orders/3.parquet", &format!("{HEADER}\n{row}\n"));
    project.run("2024-01-31");
    let second = pieces(&project);
    assert_eq!(second.len(), 2);
    assert!(first.keys().all(|name| second.contains_key(name)), "the first piece stays");

    project.orders("orders/3.parquet", &format!("{HEADER}\n{row}\n78{}\n", &row[2..]));
    project.run("2024-01-31");
    let third = pieces(&project);
    assert_eq!(third.len(), 2);
    assert!(first.keys().all(|name| third.contains_key(name)), "the first piece stays");
    assert_eq!(third.keys().filter(|name| second.contains_key(*name)).count(), 1);
    assert_eq!(project.rows("facts.orders", &["order_id"]).len(), 12 - 2);

    project.run_with("2024-01-31", &["--full-refresh"]);
    assert_eq!(pieces(&project).values().collect::<Vec<_>>(), [&3]);
}

/// The same ids of one person, as texts and as numbers: texts are in another order.
#[test]
fn pieces_are_of_the_type_that_ids_have() {
    let project = Project::new();
    let orders = |first: usize| -> String {
        let row = |n: usize| format!("{n},{},2024-01-{n:02}T10:00:00,5.00,EUR,web\n", n % 12);
        std::iter::once(format!("{HEADER}\n")).chain((first..first + 9).map(row)).collect()
    };
    project.orders("orders/1.parquet", &orders(1));
    project.orders("orders/2.parquet", &orders(10));
    let pairs: String = (0..12).map(|n| format!("{n},{n}\n")).collect();
    let pairs = format!("source_id,customer_id\n{pairs}");
    project.file("ids.csv", &pairs);
    project.orders("ids.parquet", &pairs);
    let pipeline = |ids: &str| {
        let text = format!(
            "pipeline: p\nsources:\n  orders:\n    url: orders\n    columns:\n      \
             order_id: order_id\n      customer_id: cast(customer_id as varchar)\n      \
             ordered_at: ordered_at\n      amount: amount\n  customer_ids:\n    url: {ids}\n\
             tables: [metrics.repurchase_windows, facts.customers]\npublish:\n  url: out\n"
        );
        project.file("pipelines/p.yaml", &text);
    };
    pipeline("ids.csv\n    format: csv");
    project.run("2024-01-31");
    let first = pieces(&project);
    pipeline("ids.parquet");
    project.orders("orders/3.parquet", &orders(19));
    project.run("2024-01-31");
    assert!(first.keys().all(|name| pieces(&project).contains_key(name)), "the pieces stay");
    let found = project.published();
    project.run_with("2024-01-31", &["--full-refresh"]);
    assert_same(&project.published(), &found, "as built anew");
}

#[test]
fn pieces_of_another_mapping_are_made_again() {
    let project = Project::new();
    two_files(&project);
    project.run("2024-01-31");
    let first = pieces(&project);
    let text = std::fs::read_to_string(project.path("pipelines/p.yaml")).expect("the pipeline");
    let reject = "    url: orders\n    reject:\n      web: channel = 'web'\n";
    project.file("pipelines/p.yaml", &text.replace("    url: orders\n", reject));
    project.run("2024-01-31");
    assert_eq!(project.rows("quarantine.orders", &["reason"]).len(), 10);
    assert!(!first.keys().any(|name| pieces(&project).contains_key(name)));
}
