//! Where tables should go, and what the engine may use on the way.

use insta::assert_snapshot;

use super::{change, run, said, small, small_but};
use crate::project::{Project, parquet, typed};

const PIPELINE: &str = "pipelines/p.yaml";

#[test]
fn a_file_in_the_place_of_the_target_is_named() {
    let project = small();
    project.file("out", "not a folder");
    assert_snapshot!(run(&project), @"");
}

#[test]
fn a_file_in_the_way_to_the_target_is_named() {
    let project = small_but(PIPELINE, "url: out", "url: blocked/warehouse");
    project.file("blocked", "not a folder");
    assert_snapshot!(run(&project), @"");
}

#[test]
fn a_scheme_nobody_knows_is_refused() {
    assert_snapshot!(run(&small_but(PIPELINE, "url: out", "url: ftp://host/folder")), @"");
}

#[test]
fn a_broken_record_of_the_target_is_named() {
    let project = small();
    project.file("out/_tenure/current.json", "{ not json");
    assert_snapshot!(run(&project), @"");
}

#[test]
fn a_memory_too_small_is_told_what_to_raise() {
    let project = large();
    change(&project, PIPELINE, "memory: 1GiB", "memory: 100KiB");
    let said = run(&project);
    // Which operator asks first, and for how much, is the engine's affair.
    let cause = said.lines().find(|line| line.contains("cause")).expect("a cause").to_string();
    assert_snapshot!(said.replace(&cause, "   = cause: [CAUSE]"), @"");
}

/// More orders than a small memory holds.
fn large() -> Project {
    let project = small();
    project.pipeline("facts.customers", "engine:\n  memory: 1GiB\n  threads: 2\n");
    let rows = (0..60_000).map(|order| {
        let day = 1 + order % 28;
        format!("{order},{},2024-05-{day:02}T10:00:00,{}.00\n", order % 20_011, order % 97)
    });
    let rows: String = rows.collect();
    let text = format!("order_id,customer_id,ordered_at,amount\n{rows}");
    parquet(&project.path("orders/o.parquet"), &typed(&text));
    project
}

#[test]
fn a_table_never_published_is_told_what_there_is() {
    let project = small();
    let before = project.tenure(&["show", PIPELINE, "spenders"]);
    assert_snapshot!(said(&before), @"");
    project.run("2024-06-30");
    let misspelt = project.tenure(&["show", PIPELINE, "spendres"]);
    assert_snapshot!(said(&misspelt), @"");
    let other_day = project.tenure(&["show", PIPELINE, "spenders", "--as-of", "2024-06-29"]);
    assert_snapshot!(said(&other_day), @"");
}
