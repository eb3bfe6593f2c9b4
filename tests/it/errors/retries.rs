//! Runs that cannot be gone on with: something is not as it was, or nothing
//! is left to do. Each is refused before anything runs.

use insta::{assert_snapshot, with_settings};

use super::{ORDERS, change, said, small};
use crate::project::Project;

/// What differs from run to run and from build to build.
const FILTERS: [(&str, &str); 2] =
    [(r"\d{8}T\d{9}Z-[0-9a-f]{8}", "[RUN]"), (r"\d+\.\d+\.\d+\+[0-9a-z]+", "[VERSION]")];

const RUN: [&str; 4] = ["run", "pipelines/p.yaml", "--as-of", "2024-06-30"];

/// The small project after a run that failed, because a check did.
fn failed() -> Project {
    let project = small();
    project.orders("orders/o.parquet", &ORDERS.replace("20.00", "-90.00"));
    let outcome = project.tenure(&RUN);
    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    project
}

/// The small project after a run that could stage nothing, for a file was in
/// its way that is gone by now.
fn obstructed() -> Project {
    let project = small();
    project.file("out/_tenure/sets", "");
    let outcome = project.tenure(&RUN);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    std::fs::remove_file(project.path("out/_tenure/sets")).expect("a file");
    project
}

/// What a retry of it says, which leaves no trace.
fn retry(project: &Project, more: &[&str]) -> String {
    let runs = || std::fs::read_dir(project.path("out/_tenure/runs")).map_or(0, Iterator::count);
    let before = runs();
    let outcome = project.tenure(&[&["retry", "pipelines/p.yaml"], more].concat());
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    assert_eq!(runs(), before, "nothing ran");
    said(&outcome)
}

/// Its journal, with a text replaced.
fn rewrite_journal(project: &Project, from: &str, to: &str) {
    let found = glob::glob(&project.path("out/_tenure/runs/*/000000.json").to_string_lossy());
    let path = found.expect("a pattern").next().expect("a run").expect("a path");
    let text = std::fs::read_to_string(&path).expect("a step");
    assert!(text.contains(from), "{text}");
    std::fs::write(&path, text.replace(from, to)).expect("a step");
}

#[test]
fn what_never_ran_cannot_be_retried() {
    assert_snapshot!(retry(&small(), &[]), @"
    error: nothing to retry: pipeline `p` has not run yet
    --> [TMP]/out
     = help: `tenure run PIPELINE --as-of YYYY-MM-DD` is its first run
    exit 2
    ");
}

#[test]
fn what_went_well_cannot_be_retried() {
    let project = small();
    project.run("2024-06-30");
    with_settings!({ filters => FILTERS.to_vec() }, {
        assert_snapshot!(retry(&project, &[]), @"
        error: nothing to retry: run [RUN] has published
         |
         = help: `tenure run PIPELINE --as-of YYYY-MM-DD` builds what has changed since, or another day
        exit 2
        ");
    });
    project.run("2024-06-30");
    with_settings!({ filters => FILTERS.to_vec() }, {
        assert_snapshot!(retry(&project, &[]), @"
        error: nothing to retry: run [RUN] found nothing to do
         |
         = help: `tenure run PIPELINE --as-of YYYY-MM-DD` builds what has changed since, or another day
        exit 2
        ");
    });
}

/// The run of another day came between, and a retry is asked for out of habit.
#[test]
fn a_failure_before_the_last_run_is_pointed_out() {
    let project = obstructed();
    project.run("2024-01-04");
    with_settings!({ filters => FILTERS.to_vec() }, {
        assert_snapshot!(retry(&project, &[]), @"
        error: nothing to retry: run [RUN] has published
         |
         = help: `--run [RUN]` goes on with one that failed
        exit 2
        ");
    });
    // It would be refused now.
    change(&project, "sql/metrics/spenders.sql", "who brings the most?", "who brings most?");
    with_settings!({ filters => FILTERS.to_vec() }, {
        assert_snapshot!(retry(&project, &[]), @"
        error: nothing to retry: run [RUN] has published
         |
         = help: `tenure run PIPELINE --as-of YYYY-MM-DD` builds what has changed since, or another day
        exit 2
        ");
    });
}

/// A check has found something, and would find it again.
#[test]
fn a_failure_that_would_come_again_is_not_pointed_out() {
    let project = failed();
    project.run("2024-01-04");
    with_settings!({ filters => FILTERS.to_vec() }, {
        assert_snapshot!(retry(&project, &[]), @"
        error: nothing to retry: run [RUN] has published
         |
         = help: `tenure run PIPELINE --as-of YYYY-MM-DD` builds what has changed since, or another day
        exit 2
        ");
    });
}

/// Somebody has corrected the orders and run the day again.
#[test]
fn a_failure_whose_day_was_published_since_is_over() {
    let project = failed();
    let failed = newest_run(&project);
    project.orders("orders/o.parquet", ORDERS);
    project.run("2024-06-30");
    let published = newest_run(&project);
    with_settings!({ filters => FILTERS.to_vec() }, {
        assert_snapshot!(retry(&project, &[]), @"
        error: nothing to retry: run [RUN] has published
         |
         = help: `tenure run PIPELINE --as-of YYYY-MM-DD` builds what has changed since, or another day
        exit 2
        ");
    });
    let listed = project.tenure(&["runs", "pipelines/p.yaml"]).stdout;
    let line = listed.lines().find(|line| line.starts_with(&failed)).expect("the failed run");
    assert!(line.ends_with(&format!("; superseded by {published}")), "{listed}");
    let line = listed.lines().find(|line| line.starts_with(&published)).expect("the other run");
    assert!(!line.contains("superseded"), "{listed}");
    let show = |table: &str| shown(&project, table, &failed);
    with_settings!({ filters => FILTERS.to_vec() }, {
        assert_snapshot!(show("nothing"), @"
        error: run [RUN] made no table `nothing`
        --> [TMP]/out
         = note: nothing of it is published: it failed in its checks: check `checks.money_is_earned` found 1 counter-examples
         = made: facts.customers, metrics.spenders, quarantine.orders
         = help: run [RUN] has done its day since; see that without `--run`
        exit 2
        ");
        assert_snapshot!(show("spenders"), @"
        error: `metrics.spenders` is gone
        --> [TMP]/out/_tenure/sets/[RUN]/metrics.spenders/as_of=2024-06-30/part-00000.parquet
         = help: what a run staged and did not publish stays until the next run that publishes
        exit 1
        ");
    });
}

/// What is said of a table of a run.
fn shown(project: &Project, table: &str, run: &str) -> String {
    said(&project.tenure(&["show", "pipelines/p.yaml", table, "--run", run]))
}

/// The id of the newest run.
fn newest_run(project: &Project) -> String {
    let found = std::fs::read_dir(project.path("out/_tenure/runs")).expect("runs");
    let names = found.map(|run| run.expect("a run").file_name().to_string_lossy().into_owned());
    names.max().expect("a run")
}

#[test]
fn what_a_failed_run_did_not_make_is_told_with_how_it_ended() {
    let project = failed();
    let run = newest_run(&project);
    let show = |table: &str| shown(&project, table, &run);
    with_settings!({ filters => FILTERS.to_vec() }, {
        assert_snapshot!(show("nothing"), @"
        error: run [RUN] made no table `nothing`
        --> [TMP]/out
         = note: nothing of it is published: it failed in its checks: check `checks.money_is_earned` found 1 counter-examples
         = made: facts.customers, metrics.spenders, quarantine.orders
         = help: correct what it found, then start afresh: `tenure run pipelines/p.yaml --as-of 2024-06-30`
        exit 2
        ");
        assert_snapshot!(show("spendres"), @"
        error: run [RUN] made no table `spendres`
        --> [TMP]/out
         = note: nothing of it is published: it failed in its checks: check `checks.money_is_earned` found 1 counter-examples
         = made: facts.customers, metrics.spenders, quarantine.orders
         = help: did you mean `spenders`?
        exit 2
        ");
    });
    let shown = show("spenders");
    let title = "metrics.spenders as of 2024-06-30, not published: its run failed in its checks: \
                 check `checks.money_is_earned` found 1 counter-examples\n";
    assert!(shown.starts_with(title), "{shown}");

    change(&project, "sql/metrics/spenders.sql", "who brings the most?", "who brings most?");
    let shown = show("nothing");
    let afresh = "help: start afresh: `tenure run pipelines/p.yaml --as-of 2024-06-30`";
    assert!(shown.contains(afresh), "a retry would be refused: {shown}");
}

#[test]
fn a_run_that_only_something_in_its_way_has_stopped_is_to_be_gone_on_with() {
    let project = obstructed();
    let run = newest_run(&project);
    with_settings!({ filters => FILTERS.to_vec() }, {
        assert_snapshot!(shown(&project, "spenders", &run), @"
        error: run [RUN] made no table `spenders`
        --> [TMP]/out
         = note: nothing of it is published: it failed after it had read source `orders`: cannot write: `[TMP]/out/_tenure/sets` is a file, not a folder
         = help: `tenure retry pipelines/p.yaml --run [RUN]` goes on with it
        exit 2
        ");
    });
}

#[test]
fn a_run_that_went_well_is_told_as_one() {
    let project = small();
    project.run("2024-06-30");
    let show =
        |run: &str| said(&project.tenure(&["show", "pipelines/p.yaml", "nothing", "--run", run]));
    with_settings!({ filters => FILTERS.to_vec() }, {
        assert_snapshot!(show(&newest_run(&project)), @"
        error: run [RUN] made no table `nothing`
        --> [TMP]/out
         = note: it has published
         = made: facts.customers, metrics.spenders, quarantine.orders
         = help: leave out `--run` for what is published now
        exit 2
        ");
    });
    project.run("2024-06-30");
    with_settings!({ filters => FILTERS.to_vec() }, {
        assert_snapshot!(show(&newest_run(&project)), @"
        error: run [RUN] made no table `nothing`
        --> [TMP]/out
         = note: it found nothing to do, and made no table
         = help: leave out `--run` for what is published now
        exit 2
        ");
    });
}

#[test]
fn an_unknown_run_cannot_be_retried() {
    let project = failed();
    with_settings!({ filters => FILTERS.to_vec() }, {
        assert_snapshot!(retry(&project, &["--run", "20240630T020000000Z-1a2b3c4d"]), @"
        error: no run [RUN] of pipeline `p` is known
        --> [TMP]/out
         = help: `tenure runs` lists them
        exit 2
        ");
    });
}

#[test]
fn a_source_that_has_changed_is_named_with_what_changed() {
    let project = failed();
    project.orders("orders/o.parquet", ORDERS);
    project.orders("orders/p.parquet", ORDERS);
    let mut filters = FILTERS.to_vec();
    filters.push((r"has \d+ bytes, had \d+", "has [N] bytes, had [N]"));
    filters.push((r"was written again, with as many bytes", "has [N] bytes, had [N]"));
    with_settings!({ filters => filters.clone() }, {
        assert_snapshot!(retry(&project, &[]), @"
        error: source `orders` is not what run [RUN] found
        --> [TMP]
         = changed: orders/o.parquet has [N] bytes, had [N]
         = new: orders/p.parquet
         = help: start afresh: `tenure run pipelines/p.yaml --as-of 2024-06-30`
        exit 2
        ");
    });
    std::fs::remove_file(project.path("orders/o.parquet")).expect("a file");
    with_settings!({ filters => filters }, {
        assert_snapshot!(retry(&project, &[]), @"
        error: source `orders` is not what run [RUN] found
        --> [TMP]
         = gone: orders/o.parquet
         = new: orders/p.parquet
         = help: start afresh: `tenure run pipelines/p.yaml --as-of 2024-06-30`
        exit 2
        ");
    });
}

#[test]
fn a_project_that_has_changed_is_named_with_what_changed() {
    let project = failed();
    change(&project, "sql/metrics/spenders.sql", "who brings the most?", "who brings most?");
    change(&project, "pipelines/p.yaml", "pipeline: p", "# Ours.\npipeline: p");
    with_settings!({ filters => FILTERS.to_vec() }, {
        assert_snapshot!(retry(&project, &[]), @"
        error: the project is not what run [RUN] ran
         |
         = changed: pipelines/p.yaml
         = changed: sql/metrics/spenders.sql
         = help: start afresh: `tenure run pipelines/p.yaml --as-of 2024-06-30`
        exit 2
        ");
    });
}

#[test]
fn a_check_that_is_new_is_a_change() {
    let project = failed();
    project.file(
        "sql/checks/nobody_is_nobody.sql",
        "-- checks.nobody_is_nobody: everybody has a name.\n--\n-- reads   facts.customers\n\
         -- params  none\n\nselect customer_id\n\nfrom facts.customers\n\n\
         where customer_id is null\n",
    );
    with_settings!({ filters => FILTERS.to_vec() }, {
        assert_snapshot!(retry(&project, &[]), @"
        error: the project is not what run [RUN] ran
         |
         = new: sql/checks/nobody_is_nobody.sql
         = help: start afresh: `tenure run pipelines/p.yaml --as-of 2024-06-30`
        exit 2
        ");
    });
}

/// A model that the run had nothing to do with may change.
#[test]
fn another_model_is_no_change() {
    let project = failed();
    let text = std::fs::read_to_string(project.path("sql/metrics/spenders.sql")).expect("a file");
    project.file("sql/metrics/savers.sql", &text.replace("spenders", "savers"));
    let outcome = project.tenure(&["retry", "pipelines/p.yaml"]);
    assert_eq!(outcome.code, 3, "it fails as it did: {}", outcome.stderr);
    assert!(outcome.stderr.contains("staged by run"), "{}", outcome.stderr);
}

#[test]
fn another_version_cannot_go_on() {
    let project = failed();
    rewrite_journal(&project, tenure::VERSION, "0.0.1+0123456789ab");
    with_settings!({ filters => FILTERS.to_vec() }, {
        assert_snapshot!(retry(&project, &[]), @"
        error: run [RUN] was made by another tenure
         |
         = then: [VERSION]
         = now: [VERSION]
         = help: start afresh: `tenure run pipelines/p.yaml --as-of 2024-06-30`
        exit 2
        ");
    });
}

#[test]
fn a_run_without_its_arguments_cannot_be_retried() {
    let project = failed();
    rewrite_journal(&project, "\"2024-06-30\"\n  ]", "\"2024-06-30\", \"--what\"\n  ]");
    with_settings!({ filters => FILTERS.to_vec() }, {
        assert_snapshot!(retry(&project, &[]), @"
        error: run [RUN] cannot be retried
         |
         = cause: its arguments are not in its journal
         = help: start afresh: `tenure run pipelines/p.yaml --as-of 2024-06-30 --what`
        exit 2
        ");
    });
}
