//! The same again is the same to the byte: again, with other threads, with
//! little memory, from other files in another order.

use super::{GENERATED_AS_OF, TABLES, assert_same, generated, pipeline, pipeline_of_generated};
use crate::project::Project;

/// Little above the least that works: some aggregates cannot spill.
const MEMORY_TO_SPILL: &str = "48MiB";

#[test]
fn the_same_arguments_give_the_same_bytes_with_any_threads_and_any_memory() {
    let project = generated();
    pipeline_of_generated(&project, "");
    project.run(GENERATED_AS_OF);
    let expected = project.published();
    assert!(expected.len() >= 23, "{} files", expected.len());
    let engines = [
        ("again", String::new()),
        ("1 thread", "engine:\n  threads: 1\n".into()),
        ("2 threads", "engine:\n  threads: 2\n".into()),
        ("7 threads", "engine:\n  threads: 7\n".into()),
        ("spilling", format!("engine:\n  threads: 2\n  memory: {MEMORY_TO_SPILL}\n")),
    ];
    for (what, engine) in engines {
        pipeline_of_generated(&project, &engine);
        project.run_with(GENERATED_AS_OF, &["--full-refresh"]);
        assert_same(&expected, &project.published(), what);
    }
}

/// So few days with orders that a join holds them, and streams the calendar: its
/// rows lie by period, and those of a period by nothing.
#[test]
fn a_short_history_on_one_thread_loses_nobody() {
    let project = Project::new();
    let rows = "\
        order_id,customer_id,ordered_at,amount
        108,5,2024-10-02T20:59:06,139.99
        216,5,2024-10-17T02:07:41,173.32
        502,9,2024-02-19T06:45:27,105.72
        445,9,2024-10-15T09:20:34,-0.21";
    project.orders("orders/all.parquet", rows);
    for threads in [1, 2] {
        let engine = format!("engine:\n  threads: {threads}\n");
        project.pipeline("facts.customers, metrics.lifecycle_states", &engine);
        project.run_with("2025-03-01", &["--full-refresh"]);
        let states = project.rows("metrics.lifecycle_states", &["customer_id", "state"]);
        assert_eq!(states, ["5 lost", "9 lost"], "{threads} threads");
    }
}

/// Rows with everything that could depend on their order: ties, copies,
/// contradictions, refunds, unknown channels.
const ROWS: &str = "\
    1,7,2024-01-05T10:00:00,10.00,web,a
    2,7,2024-01-05T10:00:00,12.00,shop,a
    3,7,2024-01-05T10:00:00,-5.00,,
    4,8,2024-01-09T10:00:00,20.00,web,b
    4,8,2024-01-09T10:00:00,20.00,web,b
    5,8,2024-02-09T10:00:00,21.00,web,b
    5,8,2024-02-09T10:00:00,22.00,web,b
    6,8,2024-02-10T10:00:00,23.00,shop,
    7,9,2024-02-11T10:00:00,24.00,,b
    8,9,2024-02-11T10:00:00,24.00,web,
    9,,2024-02-12T10:00:00,25.00,web,b
    10,9,2024-02-29T23:59:59,-1.00,web,b
    11,10,2023-01-01T00:00:00,99.99,shop,a
    12,10,2024-02-29T00:00:00,0.00,shop,a
    13,11,2024-02-29T00:00:00,-3.00,shop,a";

/// Writes rows, some to a file, with a header.
fn write(project: &Project, file: &str, rows: &[&str]) {
    let header = "order_id,customer_id,ordered_at,amount,channel,store";
    project.orders(file, &format!("{header}\n{}\n", rows.join("\n")));
}

#[test]
fn another_day_leaves_the_first_untouched() {
    let project = Project::new();
    let rows: Vec<&str> = ROWS.lines().collect();
    write(&project, "orders/all.parquet", &rows);
    project.pipeline(TABLES, "");
    project.run("2024-02-10");
    let first = project.published();
    project.run("2024-02-29");
    let both = project.published();
    let (old, new): (Vec<_>, Vec<_>) =
        both.into_iter().partition(|(name, _)| name.contains("as_of=2024-02-10"));
    assert_same(&first, &old, "the first day");
    assert_eq!(new.len(), first.len(), "the second day has all tables, too");
    project.run_with("2024-02-29", &["--full-refresh"]);
    let again = project.published();
    let old: Vec<_> =
        again.into_iter().filter(|(name, _)| name.contains("as_of=2024-02-10")).collect();
    assert_same(&first, &old, "the first day, after the second was made again");
}

#[test]
fn neither_the_order_of_rows_nor_the_split_of_files_matters() {
    let project = Project::new();
    let mut rows: Vec<&str> = ROWS.lines().collect();
    write(&project, "one/all.parquet", &rows);
    rows.reverse();
    rows.swap(2, 9);
    rows.swap(5, 11);
    write(&project, "many/z.parquet", &rows[..1]);
    write(&project, "many/a.parquet", &rows[1..9]);
    write(&project, "many/deep/er/b.parquet", &rows[9..]);
    write(&project, "many/deep/empty.parquet", &[]);
    pipeline(&project, "url: one", TABLES);
    project.run("2024-02-29");
    let expected = project.published();
    let aside = project.table("quarantine.orders");
    pipeline(&project, "url: many", TABLES);
    project.run("2024-02-29");
    assert_same(&expected, &project.published(), "many files");
    assert_eq!(aside, project.table("quarantine.orders"), "what is set aside");
}

#[test]
fn orders_after_the_day_change_nothing() {
    let project = Project::new();
    let mut rows: Vec<&str> = ROWS.lines().collect();
    write(&project, "orders/all.parquet", &rows);
    project.pipeline(TABLES, "");
    project.run("2024-02-29");
    let tables = |project: &Project| {
        let mut files = project.published();
        files.retain(|(name, _)| !name.starts_with("quarantine"));
        files
    };
    let expected = tables(&project);
    let late = [
        "20,7,2024-03-01T00:00:00,1000.00,web,a",
        "21,12,2024-03-02T00:00:00,1000.00,web,a",
        "22,8,2024-03-02T00:00:00,-500.00,web,a",
        // The number of an order that counts, and of one that contradicts it.
        "1,7,2024-03-05T10:00:00,11.00,web,a",
    ];
    rows.splice(3..3, late);
    write(&project, "orders/all.parquet", &rows);
    project.run("2024-02-29");
    assert_same(&expected, &tables(&project), "with later orders");
    let aside = project.rows("quarantine.orders", &["reason", "order_id"]);
    let after: Vec<_> = aside.iter().filter(|row| row.starts_with("after_as_of")).collect();
    assert_eq!(after, ["after_as_of 1", "after_as_of 20", "after_as_of 21", "after_as_of 22"]);
}
