//! Bits flip on every disk in the end. Whatever flips in what is kept for the next
//! night, or in what is published and read again: the next run gives the right tables,
//! or says which file is not what was written.

use std::path::{Path, PathBuf};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::{below, copy, files, small};
use crate::project::Project;
use crate::runs::assert_same;

/// Flips in all; `FLIPS=1000 make test` tries more.
fn flips() -> usize {
    std::env::var("FLIPS").ok().and_then(|count| count.parse().ok()).unwrap_or(200)
}

/// Orders of some customers, so that files are larger than their heads.
fn orders(project: &Project, file: usize) {
    let row = |n: usize| {
        let (order, day) = (file * 100 + n, n % 28 + 1);
        format!("{order},{},2024-0{file}-{day:02}T1{}:00:00,{n}.50,web\n", n % 17, n % 10)
    };
    let rows: String = (1..80).map(row).collect();
    let header = "order_id,customer_id,ordered_at,amount,channel\n";
    // What is set aside is kept beside the rows.
    let aside = format!("{file}00,,2024-0{file}-01T00:00:00,1.00,web\n");
    project.orders(&format!("orders/{file}.parquet"), &format!("{header}{aside}{rows}"));
}

/// Flips one bit of one of some files; tells which.
fn flip(random: &mut ChaCha8Rng, files: &[PathBuf]) -> PathBuf {
    let path = files[below(random, files.len())].clone();
    let mut bytes = std::fs::read(&path).expect("a file");
    let place = below(random, bytes.len());
    bytes[place] ^= 1 << below(random, 8);
    // The same file under another name decays with it, as on a disk.
    std::fs::write(&path, bytes).expect("written");
    path
}

/// Does something for each of some numbers, two at a time.
fn each(count: usize, work: impl Fn(usize) + Sync) {
    std::thread::scope(|scope| {
        for half in 0..2 {
            let work = &work;
            scope.spawn(move || (half..count).step_by(2).for_each(work));
        }
    });
}

/// A project that stands as another did at a time.
fn as_of(project: &Project) -> Project {
    let again = Project::new();
    for folder in ["sql", "orders", "pipelines", "out"] {
        copy(&project.path(folder), &again.path(folder));
    }
    again
}

fn data(folder: &Path) -> Vec<PathBuf> {
    let mut all = files(folder);
    all.retain(|path| !path.to_string_lossy().ends_with("lock"));
    all
}

#[test]
fn a_bit_that_flips_in_the_kept_history_is_named_and_its_files_are_read_again() {
    let project = small();
    std::fs::remove_file(project.path("orders/1.parquet")).expect("removed");
    (1..=3).for_each(|file| orders(&project, file));
    // Three nights, and as many pieces, of which the next night reads two.
    project.run("2024-12-28");
    orders(&project, 4);
    project.run("2024-12-29");
    orders(&project, 5);
    let clean = as_of(&project);
    clean.run_with("2024-12-30", &["--full-refresh"]);
    let expected = clean.published();

    each(flips() / 2, |number| {
        let mut random = ChaCha8Rng::seed_from_u64(number as u64);
        let night = Project::new();
        for folder in ["sql", "pipelines", "out"] {
            copy(&project.path(folder), &night.path(folder));
        }
        // The same files as before, to the inode.
        std::os::unix::fs::symlink(project.path("orders"), night.path("orders")).expect("a link");
        let flipped = flip(&mut random, &data(&night.path("out/_tenure/cache")));
        let outcome = night.run("2024-12-30");
        assert_same(&expected, &night.published(), &format!("{number} {flipped:?}"));
        let name = flipped.strip_prefix(night.path("out")).expect("below").display().to_string();
        let is_named = outcome.stderr.contains("the kept order history is damaged")
            && outcome.stderr.contains(&name);
        assert!(is_named || name.ends_with("index.json"), "{name}: {}", outcome.stderr);
        // Once it has healed, there is nothing more to say.
        let next = night.run("2024-12-31");
        assert!(!next.stderr.contains("damaged"), "{name}: {}", next.stderr);
    });
}

#[test]
fn a_bit_that_flips_in_what_is_published_is_never_read_as_if_it_had_not() {
    let project = small();
    orders(&project, 2);
    project.run("2024-12-30");
    let clean = as_of(&project);
    clean.run_with("2024-12-30", &["--param", "least=5"]);
    let expected = clean.table("metrics.spenders");
    let facts = clean.table("facts.customers");
    assert_ne!(expected, project.table("metrics.spenders"));

    each(flips() / 2, |number| {
        let mut random = ChaCha8Rng::seed_from_u64(1_000_000 + number as u64);
        let night = Project::new();
        for folder in ["sql", "pipelines", "out"] {
            copy(&project.path(folder), &night.path(folder));
        }
        std::os::unix::fs::symlink(project.path("orders"), night.path("orders")).expect("a link");
        let mut all = data(&night.path("out/_tenure/sets"));
        all.push(night.path("out/_tenure/current.json"));
        let flipped = flip(&mut random, &all);
        let name = flipped.file_name().expect("a name").to_string_lossy().into_owned();
        let is_of_facts = flipped.to_string_lossy().contains("/facts.customers/");
        let run = ["run", "pipelines/p.yaml", "--as-of", "2024-12-30", "--param", "least=5"];
        let outcome = night.tenure(&run);
        if outcome.code != 0 {
            assert!(outcome.stderr.contains("current.json"), "{flipped:?}: {}", outcome.stderr);
            return;
        }
        assert_eq!(night.table("metrics.spenders"), expected, "{flipped:?}");
        if is_of_facts {
            let is_named = outcome.stderr.contains("is damaged and built again")
                && outcome.stderr.contains(&name);
            assert!(is_named, "{flipped:?}: {}", outcome.stderr);
            assert_eq!(night.table("facts.customers"), facts, "{flipped:?}");
        }
    });
}

#[test]
fn a_piece_that_is_gone_or_cut_short_is_read_again() {
    let project = small();
    orders(&project, 2);
    project.run("2024-12-01");
    type Harm = fn(&Path);
    let cut: Harm = |path| std::fs::write(path, "half").expect("written");
    let gone: Harm = |path| std::fs::remove_file(path).expect("removed");
    let harms = [("part-00000.parquet", cut), ("keys", cut), ("keys", gone), ("index.json", cut)];
    for (day, (file, harm)) in harms.into_iter().enumerate() {
        let pattern = project.path(&format!("out/_tenure/cache/orders/**/{file}"));
        let found = glob::glob(&pattern.to_string_lossy()).expect("a pattern").next();
        harm(&found.expect("a file").expect("a path"));
        let outcome = project.run(&format!("2024-12-{:02}", day + 2));
        assert!(outcome.stderr.contains("order history is damaged"), "{}", outcome.stderr);
        let found = project.published();
        project.run_with(&format!("2024-12-{:02}", day + 2), &["--full-refresh"]);
        assert_same(&project.published(), &found, file);
    }
}
