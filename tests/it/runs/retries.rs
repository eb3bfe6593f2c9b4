//! `tenure retry`: a run that was killed is gone on with as it was, and what
//! it publishes is the same to the byte as if nothing had happened.

use std::fs::{self, OpenOptions};

use serde_json::Value;

use super::{GENERATED_AS_OF, assert_same, generated, journal, paths, pipeline_of_generated};
use crate::project::{Outcome, Project, halted_at, killed_at, run_id};

const RUN: [&str; 4] = ["run", "pipelines/p.yaml", "--as-of", GENERATED_AS_OF];
const RETRY: [&str; 2] = ["retry", "pipelines/p.yaml"];

/// The generated history and the pipeline over it, and what a run that nobody
/// disturbs publishes.
fn with_expected(run: &[&str]) -> (Project, Vec<(String, Vec<u8>)>) {
    let [project, calm] = [(), ()].map(|()| {
        let project = generated();
        pipeline_of_generated(&project, "");
        project
    });
    let outcome = calm.tenure(run);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    (project, calm.published())
}

fn retried(project: &Project) -> Outcome {
    let outcome = project.tenure(&RETRY);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    outcome
}

/// The tables that a retry says it has from `run`.
fn staged_by(outcome: &Outcome, run: &str) -> Vec<String> {
    let end = format!("staged by run {run}");
    let lines = outcome.stderr.lines().filter(|line| line.ends_with(&end));
    lines.filter_map(|line| line.split(' ').next().map(str::to_string)).collect()
}

/// What a dead run staged can be looked at, and of the rest it is told why it
/// is not there and what to do.
fn assert_told_as_dead(project: &Project, events: &[Value]) {
    let run = run_id(events);
    let show = |table: &str| project.tenure(&["show", "pipelines/p.yaml", table, "--run", &run]);
    let staged = events.iter().find(|event| event["event"] == "table").expect("a table");
    let shown = show(staged["table"].as_str().expect("a name"));
    let title = shown.stdout.lines().next().expect("a title");
    assert!(title.contains(", not published: its run died after it had staged `"), "{title}");
    // The last one in the order of work.
    let unmade = show("value_formulas");
    assert_eq!(unmade.code, 2, "{}", unmade.stdout);
    for part in [
        format!("run {run} made no table `value_formulas`"),
        "nothing of it is published: it died after it had staged `".into(),
        format!("help: `tenure retry pipelines/p.yaml --run {run}` goes on with it"),
    ] {
        assert!(unmade.stderr.contains(&part), "{part} is missing in\n{}", unmade.stderr);
    }
    assert_eq!(unmade.stderr.matches("quarantine.orders").count(), 1, "{}", unmade.stderr);
}

#[test]
fn a_killed_run_is_gone_on_with_and_gives_the_same_bytes() {
    let run = [&RUN[..], &["--param", "vip_amount=500"]].concat();
    let (project, expected) = with_expected(&run);
    let events = killed_at(project.command(&run), "table", 4);
    let first = run_id(&events);
    assert!(project.published().is_empty(), "nothing is published");
    assert_told_as_dead(&project, &events);

    // The retry dies as well: what both have staged counts.
    let second = killed_at(project.command(&RETRY), "table", 8);
    let from_first = second.iter().filter(|event| event["staged_by"] == first.as_str()).count();
    assert!(from_first >= 4, "{second:?}");
    let second = run_id(&second);

    let last = retried(&project);
    assert!(staged_by(&last, &second).len() >= 8, "{}", last.stderr);
    assert!(last.stdout.contains(" staged before, "), "{}", last.stdout);
    assert_same(&expected, &project.published(), "after two kills");
    let steps = journal(&project);
    assert_eq!(steps[0]["arguments"][5], "vip_amount=500");
    let listed = project.tenure(&["runs", "pipelines/p.yaml"]).stdout;
    assert!(listed.contains(&format!("retry of {second}")), "{listed}");
    assert!(listed.contains(&format!("retry of {first}")), "{listed}");
    let sets = paths(&project, "out/_tenure/sets/*");
    assert_eq!(sets.len(), 1, "what the dead staged is cleared away: {sets:?}");

    let again = project.tenure(&RETRY);
    assert_eq!(again.code, 2, "{}", again.stdout);
    assert!(again.stderr.contains("has published"), "{}", again.stderr);
    project.tenure(&["run", "pipelines/p.yaml", "--as-of", GENERATED_AS_OF]);
    let named = project.tenure(&[&RETRY[..], &["--run", &second]].concat());
    assert_eq!(named.code, 2, "{}", named.stdout);
    assert!(named.stderr.contains("was retried"), "{}", named.stderr);
}

#[test]
fn a_file_that_is_not_whole_is_made_again() {
    let (project, expected) = with_expected(&RUN);
    let killed = run_id(&killed_at(project.command(&RUN), "table", 6));
    let pattern = format!("out/_tenure/sets/{killed}/facts.customers/*/*.parquet");
    let file = OpenOptions::new().write(true).open(&paths(&project, &pattern)[0]);
    file.expect("a file").set_len(100).expect("cut off");
    let last = retried(&project);
    let tables = staged_by(&last, &killed);
    assert!(tables.len() >= 5, "{}", last.stderr);
    assert!(!tables.contains(&"facts.customers".to_string()), "{}", last.stderr);
    assert_same(&expected, &project.published(), "with a file that was cut off");
}

/// A range goes on with the day it came to, wherever it was killed.
#[test]
fn a_range_goes_on_with_the_days_that_are_left() {
    let range = ["run", "pipelines/p.yaml", "--from", "2025-12-29", "--to", GENERATED_AS_OF];
    let (project, expected) = with_expected(&range);
    // In the second day: all tables of the first, and some more.
    let first_day = expected.iter().filter(|(name, _)| name.contains("as_of=2025-12-29"));
    let tables = first_day.filter(|(name, _)| !name.starts_with("quarantine")).count();
    let killed = run_id(&killed_at(project.command(&range), "table", tables + 3));
    let retry = retried(&project);
    assert!(staged_by(&retry, &killed).len() >= 3, "{}", retry.stderr);
    assert!(retry.stdout.contains("2 days done"), "{}", retry.stdout);
    assert_same(&expected, &project.published(), "killed in the second day");

    let project = generated();
    pipeline_of_generated(&project, "");
    killed_at(project.command(&range), "published", 1);
    retried(&project);
    assert_same(&expected, &project.published(), "killed between two days");
    let again = project.tenure(&RETRY);
    assert_eq!(again.code, 2, "{}", again.stdout);
}

/// What the run that is repeated found holds for the days after its own, too.
#[test]
fn a_source_that_changes_while_a_range_goes_on_ends_it() {
    let range = ["run", "pipelines/p.yaml", "--from", "2025-12-30", "--to", GENERATED_AS_OF];
    let project = generated();
    pipeline_of_generated(&project, "");
    killed_at(project.command(&range), "table", 3);
    let halted = halted_at(project.command(&RETRY), "check", 1);
    let one = &paths(&project, "data/orders/*.parquet")[0];
    fs::copy(one, one.with_file_name("late.parquet")).expect("copied");
    let (code, said) = halted.go_on();
    assert_eq!(code, Some(2), "{said}");
    for part in ["is not what run", "late.parquet", "stopped after 1 day of 2"] {
        assert!(said.contains(part), "{part} is missing in\n{said}");
    }
    let published = project.published();
    assert!(published.iter().all(|(name, _)| name.contains("as_of=2025-12-30")));
}

/// A kill before anything is read leaves nothing to reuse, and hinders nothing.
#[test]
fn a_run_that_was_killed_at_once_is_started_again() {
    let (project, expected) = with_expected(&RUN);
    killed_at(project.command(&RUN), "started", 1);
    retried(&project);
    assert_same(&expected, &project.published(), "killed at once");
}
