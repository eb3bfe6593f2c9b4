//! The folders of tables, where something is in their way: the others are
//! brought up to date, all that failed are told, and what is told a second time
//! is an error. Nothing behind a symbolic link is removed.

use std::fs;
use std::path::Path;

use super::reuse::{DAY, ROWS};
use crate::project::{Outcome, Project};

const NEXT_DAY: &str = "2024-04-01";
const TABLES: &str = "facts.customers, facts.orders, metrics.value_concentration";

fn published() -> Project {
    let project = Project::new();
    project.orders("orders/all.parquet", ROWS);
    project.pipeline(TABLES, "");
    project.run(DAY);
    project
}

fn command(project: &Project, arguments: &[&str]) -> Outcome {
    project.tenure(&[&[arguments[0], "pipelines/p.yaml"], &arguments[1..]].concat())
}

/// A folder that stands where a file is to come, in a day of a table.
fn obstruct(project: &Project, table: &str, day: &str) -> std::path::PathBuf {
    let path = project.path(&format!("out/{table}/as_of={day}/part-00000.parquet"));
    fs::create_dir_all(path.join("in the way")).expect("a folder");
    path
}

fn has_file(project: &Project, table: &str, day: &str) -> bool {
    project.path(&format!("out/{table}/as_of={day}/part-00000.parquet")).is_file()
}

#[test]
fn one_folder_that_fails_keeps_no_other_from_its_day() {
    let project = published();
    let obstacles = ["customers", "orders"].map(|table| obstruct(&project, table, NEXT_DAY));
    // Published, so a warning; each that failed is named.
    let run = project.run(NEXT_DAY);
    assert!(run.stderr.contains("2 folders of tables could not be brought up"), "{}", run.stderr);
    for table in ["customers", "orders"] {
        assert!(run.stderr.contains(&format!("`{table}/as_of={NEXT_DAY}`")), "{}", run.stderr);
    }
    assert!(has_file(&project, "value_concentration", NEXT_DAY), "it comes after those");
    assert!(has_file(&project, "quarantine_orders", NEXT_DAY));

    // The next ones find it so again: one that publishes, one that has nothing
    // to do, one that takes a day back, and one that only tidies up.
    fs::remove_dir_all(&obstacles[1]).expect("removed");
    let again = command(&project, &["run", "--as-of", NEXT_DAY, "--full-refresh"]);
    assert_eq!(again.code, 1, "{}", again.stderr);
    assert!(
        again.stderr.contains("published, but, as before this run, 1 folder"),
        "{}",
        again.stderr
    );
    assert!(again.stdout.contains("published to"), "{}", again.stdout);
    assert!(has_file(&project, "orders", NEXT_DAY));
    let nothing = command(&project, &["run", "--as-of", NEXT_DAY]);
    assert_eq!(nothing.code, 1, "{}", nothing.stderr);
    assert!(nothing.stdout.contains("nothing to do"), "{}", nothing.stdout);
    let withdrawn = command(&project, &["withdraw", "--as-of", DAY]);
    assert_eq!(withdrawn.code, 1, "{}", withdrawn.stderr);
    assert!(!has_file(&project, "customers", DAY), "what is taken back goes all the same");
    let gc = command(&project, &["gc"]);
    assert_eq!(gc.code, 1, "{}", gc.stderr);
    let verified = command(&project, &["verify"]);
    assert_eq!(verified.code, 1, "{}", verified.stderr);
    assert!(verified.stderr.contains("do not show what is published"), "{}", verified.stderr);

    // The next move.
    fs::remove_dir_all(&obstacles[0]).expect("removed");
    let gc = command(&project, &["gc"]);
    assert_eq!(gc.code, 0, "{}", gc.stderr);
    assert!(has_file(&project, "customers", NEXT_DAY));
    assert_eq!(command(&project, &["verify"]).code, 0);
    assert_eq!(command(&project, &["run", "--as-of", NEXT_DAY]).code, 0);
}

#[test]
fn a_warning_that_does_not_come_again_is_no_error() {
    let project = published();
    let obstacle = obstruct(&project, "customers", NEXT_DAY);
    project.run(NEXT_DAY);
    fs::remove_dir_all(obstacle).expect("removed");
    let run = project.run_with(NEXT_DAY, &["--full-refresh"]);
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
}

/// Parts that are surplus go first: also where what comes in their place cannot
/// come, nobody counts rows of before.
#[test]
fn surplus_parts_go_before_new_ones_come() {
    let project = Project::new();
    project.orders("orders/all.parquet", ROWS);
    project.pipeline("facts.orders", "  file_rows: 2\n");
    project.run(DAY);
    let folder = project.path(&format!("out/orders/as_of={DAY}"));
    let parts = || fs::read_dir(&folder).expect("a folder").count();
    let before = parts();
    assert!(before > 1, "{before}");
    fs::remove_file(folder.join("part-00000.parquet")).expect("removed");
    fs::create_dir_all(folder.join("part-00000.parquet/in the way")).expect("a folder");
    project.pipeline("facts.orders", "  file_rows: 1000000\n");
    let run = project.run_with(DAY, &["--full-refresh"]);
    assert!(run.stderr.contains("could not be brought up to date"), "{}", run.stderr);
    assert_eq!(parts(), 1, "the folder in the way is left, and no part of before");
}

#[cfg(unix)]
fn link(to: &Path, at: &Path) {
    std::os::unix::fs::symlink(to, at).expect("a link");
}

/// Every file below a folder, by its path from there.
fn files(folder: &Path) -> Vec<String> {
    let pattern = folder.join("**/*");
    let paths = glob::glob(&pattern.to_string_lossy()).expect("a pattern");
    let paths = paths.map(|path| path.expect("a path")).filter(|path| path.is_file());
    paths.map(|path| path.strip_prefix(folder).expect("below").display().to_string()).collect()
}

/// What looks like sets and leftovers lies elsewhere, and links lead there from
/// every place where something is removed.
#[cfg(unix)]
#[test]
fn nothing_behind_a_symbolic_link_is_removed() {
    let project = published();
    project.run_with(DAY, &["--full-refresh"]);
    let elsewhere = tempfile::tempdir().expect("a folder");
    let old_run = "20200101T000000000Z-0a1b2c3d";
    let make = |path: &str| {
        let path = elsewhere.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, "mine").expect("a file");
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(100_000);
        fs::File::options().write(true).open(&path).expect("it").set_modified(old).expect("old");
    };
    make("set/facts.customers/as_of=2020-01-01/part-00000.parquet");
    make("set/part-00000.parquet#77");
    make("table/part-00000.parquet");
    make("probe/old");
    make("day/part-00000.parquet");
    make("day/part-00001.parquet");
    let sets = project.path("out/_tenure/sets");
    let own = sets.join("20200101T000000001Z-0a1b2c3d/facts.orders");
    fs::create_dir_all(&own).expect("a folder");
    fs::write(own.join("part-00000.parquet"), "left by a run").expect("a file");
    link(&elsewhere.path().join("set"), &sets.join(old_run));
    link(&elsewhere.path().join("table"), &own.join("as_of=2020-01-01"));
    fs::remove_dir_all(project.path("out/_tenure/probe")).ok();
    link(&elsewhere.path().join("probe"), &project.path("out/_tenure/probe"));
    // Around in a circle.
    link(&sets, &own.join("circle"));
    let before = files(elsewhere.path());
    assert_eq!(before.len(), 6);

    for more in [&["--dry-run"][..], &[]] {
        let gc = command(&project, &[&["gc", "--keep-runs", "0"], more].concat());
        assert_eq!(gc.code, 0, "{}", gc.stderr);
        assert!(
            gc.stderr.contains("is a symbolic link; what is behind it is left"),
            "{}",
            gc.stderr
        );
        assert_eq!(files(elsewhere.path()), before, "gc {more:?}");
    }
    assert!(!own.join("part-00000.parquet").exists(), "its own file is removed");
    project.run_with(DAY, &["--full-refresh"]);
    assert_eq!(files(elsewhere.path()), before, "nor does a run remove there");

    // The folder of a day that is taken back: its parts stay, and that is said.
    let day = project.path(&format!("out/customers/as_of={DAY}"));
    fs::remove_dir_all(&day).expect("removed");
    link(&elsewhere.path().join("day"), &day);
    let withdrawn = command(&project, &["withdraw", "--as-of", DAY]);
    assert_eq!(withdrawn.code, 0, "{}", withdrawn.stderr);
    assert!(withdrawn.stderr.contains("is a symbolic link"), "{}", withdrawn.stderr);
    assert_eq!(files(elsewhere.path()), before);
}

/// A target that is reached through a link is the user's own.
#[cfg(unix)]
#[test]
fn a_target_may_be_a_link() {
    let project = Project::new();
    project.orders("orders/all.parquet", ROWS);
    project.pipeline(TABLES, "");
    fs::create_dir(project.path("large disk")).expect("a folder");
    link(&project.path("large disk"), &project.path("out"));
    project.run(DAY);
    project.run_with(DAY, &["--full-refresh"]);
    let sets = || fs::read_dir(project.path("out/_tenure/sets")).expect("a folder").count();
    assert_eq!(sets(), 2);
    let gc = command(&project, &["gc", "--keep-runs", "0"]);
    assert_eq!((gc.code, gc.stderr.as_str()), (0, ""));
    assert_eq!(sets(), 1);
}
