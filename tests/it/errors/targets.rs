//! Where tables should go, and what the engine may use on the way.

use insta::assert_snapshot;

use super::{ORDERS, change, check, run, said, small, small_but};
use crate::project::{Project, parquet, typed};

const PIPELINE: &str = "pipelines/p.yaml";

#[test]
fn a_file_in_the_place_of_the_target_is_named() {
    let project = small();
    project.file("out", "not a folder");
    assert_snapshot!(run(&project), @"
    error: cannot write: `[TMP]/out` is a file, not a folder
    --> [TMP]/out/_tenure/holder
     = cause: Generic LocalDisk error: Not a directory (os error 20)
     = help: correct the path, or move this file away
    exit 1
    ");
}

#[test]
fn a_file_in_the_way_to_the_target_is_named() {
    let project = small_but(PIPELINE, "url: out", "url: blocked/warehouse");
    project.file("blocked", "not a folder");
    assert_snapshot!(run(&project), @"
    error: cannot write: `[TMP]/blocked` is a file, not a folder
    --> [TMP]/blocked/warehouse/_tenure/holder
     = cause: Generic LocalDisk error: Not a directory (os error 20)
     = help: correct the path, or move this file away
    exit 1
    ");
}

/// Linux makes no folder in this one, whoever asks.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_made_is_named() {
    assert_snapshot!(run(&small_but(PIPELINE, "url: out", "url: /proc/nope/x")), @"
    error: cannot write: the folder `/proc/nope` cannot be made
    --> /proc/nope/x/_tenure/holder
     = cause: Generic LocalDisk error: No such file or directory (os error 2)
     = help: correct the path: the system takes no folder there
    exit 1
    ");
}

#[test]
fn a_scheme_nobody_knows_is_refused() {
    assert_snapshot!(run(&small_but(PIPELINE, "url: out", "url: ftp://host/folder")), @"
    error: no storage has the scheme `ftp://`
    --> ftp://host/folder
     = help: known are plain paths, file://, s3://, gs://, az:// and abfss://
    exit 2
    ");
}

/// As a path it would be a folder of this name, and nobody would look there.
#[test]
fn a_url_without_its_slashes_is_no_folder() {
    let project = small_but(PIPELINE, "url: orders", "url: s3:/lake/orders-*.parquet");
    change(&project, PIPELINE, "url: out", "url: ${NO_SUCH_WAREHOUSE:-s3:lake/out}");
    let said = run(&project);
    assert_snapshot!(said, @"
    error: cannot read source `orders`
    --> s3:/lake/orders-*.parquet
     = cause: `s3:` is not followed by two slashes
     = help: write `s3://lake/orders-*.parquet`, or `./s3:/lake/orders-*.parquet` for a folder of that name

    error: `s3:` is not followed by two slashes
    --> s3:lake/out
     = help: write `s3://lake/out`, or `./s3:lake/out` for a folder of that name
    exit 2
    ");
    assert_eq!(check(&project), said);
    assert!(!project.path("s3:lake").exists());
}

#[test]
fn a_folder_may_have_a_colon_in_its_name() {
    let project = small_but(PIPELINE, "url: out", "url: data/a:b");
    project.run("2024-06-30");
    assert!(project.path("data/a:b/_tenure/current.json").exists());
    change(&project, PIPELINE, "url: data/a:b", "url: ./s3:b/x");
    project.run("2024-06-30");
    assert!(project.path("s3:b/x/_tenure/current.json").exists());
}

/// A check asks no store, so it needs neither a network nor credentials.
#[test]
fn a_check_refuses_a_place_in_the_words_of_a_run() {
    let project = small_but(PIPELINE, "url: orders", "url: s4://lake/orders");
    change(&project, PIPELINE, "url: out", "url: s3://");
    let said = check(&project);
    assert_snapshot!(said, @"
    error: cannot read source `orders`
    --> s4://lake/orders
     = cause: no storage has the scheme `s4://`
     = help: known are plain paths, file://, s3://, gs://, az:// and abfss://

    error: the URL names no bucket
    --> s3://
     = help: write `s3://bucket/folder`
    exit 2
    ");
    assert_eq!(run(&project), said);
}

#[test]
fn a_check_judges_what_it_knows_of_a_place() {
    let project = small_but(PIPELINE, "url: orders", "url: ${NO_SUCH_SCHEME}://lake/orders");
    change(&project, PIPELINE, "url: out", "url: s3://${NO_SUCH_BUCKET}/out");
    let outcome = project.tenure(&["check", PIPELINE]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    change(&project, PIPELINE, "url: s3:", "url: s4:");
    assert_snapshot!(check(&project), @"
    error: no storage has the scheme `s4://`
    --> s4://unset/out
     = help: known are plain paths, file://, s3://, gs://, az:// and abfss://
    exit 2
    ");
}

#[test]
fn a_broken_record_of_the_target_is_named() {
    let project = small();
    project.file("out/_tenure/current.json", "{ not json");
    assert_snapshot!(run(&project), @"
    error: a record of this target cannot be read
    --> [TMP]/out/_tenure/current.json
     = cause: key must be a string at line 1 column 3
     = help: it was changed by hand, cut short or has decayed; restore it from a backup or object versions, or publish to a new target
    exit 1
    ");
}

#[test]
fn a_memory_too_small_is_told_what_to_raise() {
    let project = large();
    change(&project, PIPELINE, "memory: 1GiB", "memory: 1KiB");
    let said = run(&project);
    let (_, said) = said.split_once("error:").expect("an error");
    // Which operator asks first, and for how much, is the engine's affair.
    let cause = said.lines().find(|line| line.contains("cause")).expect("a cause").to_string();
    assert_snapshot!(format!("error:{}", said.replace(&cause, "   = cause: [CAUSE]")), @"
    error: not enough memory to compute `facts.customers`
    --> sql/facts/customers.sql
       = cause: [CAUSE]
     = help: raise `engine.memory`; spilling is on, so this is what one operator needs
    exit 1
    ");
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
    assert_snapshot!(said(&before), @"
    error: nothing is published here yet
    --> [TMP]/out
     = help: publish with `tenure run PIPELINE --as-of YYYY-MM-DD`
    exit 1
    ");
    project.run("2024-06-30");
    let misspelt = project.tenure(&["show", PIPELINE, "spendres"]);
    assert_snapshot!(said(&misspelt), @"
    error: no table `spendres` is published
    --> [TMP]/out
     = help: did you mean `spenders`?
    exit 2
    ");
    let column = project.tenure(&["show", PIPELINE, "spenders", "--columns", "nope"]);
    assert_snapshot!(said(&column), @"
    error: `metrics.spenders` has no column `nope`
    --> [TMP]/out
     = help: known: customer_id, revenue, grade
    exit 2
    ");
    let other_day = project.tenure(&["show", PIPELINE, "spenders", "--as-of", "2024-06-29"]);
    assert_snapshot!(said(&other_day), @"
    error: `metrics.spenders` is not published as of 2024-06-29
    --> [TMP]/out
     = help: published days: 2024-06-30
    exit 2
    ");
}

/// Where there is much, somebody who is far off is told all the same.
#[test]
fn of_many_tables_columns_and_parameters_is_told_where_they_stand() {
    let project = Project::new();
    project.orders("orders/o.parquet", ORDERS);
    project.pipeline("facts.*, metrics.*", "");
    project.run("2024-06-30");
    assert_snapshot!(said(&project.tenure(&["show", PIPELINE, "zzz"])), @"
    error: no table `zzz` is published
    --> [TMP]/out
     = help: `tenure plan PIPELINE --as-of YYYY-MM-DD` lists the tables of a pipeline
    exit 2
    ");
    let column = project.tenure(&["show", PIPELINE, "customers", "--columns", "zzz"]);
    assert!(column.stderr.contains("= help: known: customer_id, "), "{}", column.stderr);
    let day = ["run", PIPELINE, "--as-of", "2024-06-30", "--param", "zzz=1"];
    let parameter = project.tenure(&day);
    assert_eq!(parameter.code, 2);
    assert!(parameter.stderr.contains("= help: known: as_of, "), "{}", parameter.stderr);
}

#[test]
fn a_target_that_names_no_place_is_refused() {
    let project = small_but(PIPELINE, "url: out", "url: ${NO_SUCH_WAREHOUSE:-}");
    assert_snapshot!(check(&project), @"
    error: `url` names no place: `${NO_SUCH_WAREHOUSE:-}` is empty
     --> pipelines/p.yaml:7:8
      |
    7 |   url: ${NO_SUCH_WAREHOUSE:-}
      |        ^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: name a folder, or a URL such as s3://bucket/folder

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
    change(&project, PIPELINE, "${NO_SUCH_WAREHOUSE:-}", "''");
    assert!(check(&project).starts_with("error: `url` names no place\n"));
}

#[test]
fn encodings_are_of_one_version_or_the_other() {
    let project = small_but(PIPELINE, "url: out", "url: out\n  encodings: new");
    assert_snapshot!(check(&project), @"
    error: no encodings `new`
     --> pipelines/p.yaml:8:14
      |
    8 |   encodings: new
      |              ^^^
      |
      = help: known: v1, v2

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn limits_have_units_and_bounds() {
    let project = small();
    let engine = "engine:\n  memory: 8 gigs\n  threads: 0\n";
    project.pipeline("facts.customers", engine);
    change(&project, PIPELINE, "url: orders", "url: orders\n    reject_max: 5");
    change(&project, PIPELINE, "url: out", "url: out\n  file_rows: 0\n  keep_runs: many");
    assert_snapshot!(check(&project), @"
    error: `reject_max` must be a number from 0 to 1, not `5`
     --> pipelines/p.yaml:5:17
      |
    5 |     reject_max: 5
      |                 ^

    error: `file_rows` must be a whole number, 1 or more, not `0`
     --> pipelines/p.yaml:9:14
      |
    9 |   file_rows: 0
      |              ^

    error: `keep_runs` must be a whole number, 0 or more, not `many`
      --> pipelines/p.yaml:10:14
       |
    10 |   keep_runs: many
       |              ^^^^

    error: `8 gigs` is not an amount of memory
      --> pipelines/p.yaml:12:11
       |
    12 |   memory: 8 gigs
       |           ^^^^^^
       |
       = help: write it like 512MiB or 8GiB

    error: `threads` must be `auto` or 1 to 1024, not `0`
      --> pipelines/p.yaml:13:12
       |
    13 |   threads: 0
       |            ^

    error: 5 problems in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_count_below_its_least_is_told_the_least() {
    let counts = "url: out\n  file_rows: -1\n  keep_runs: -1";
    assert_snapshot!(check(&small_but(PIPELINE, "url: out", counts)), @"
    error: `file_rows` must be a whole number, 1 or more, not `-1`
     --> pipelines/p.yaml:8:14
      |
    8 |   file_rows: -1
      |              ^^

    error: `keep_runs` must be a whole number, 0 or more, not `-1`
     --> pipelines/p.yaml:9:14
      |
    9 |   keep_runs: -1
      |              ^^

    error: 2 problems in 1 file; nothing was run
    exit 2
    ");
}

/// The next run would read what this one published.
#[test]
fn tables_do_not_go_where_orders_come_from() {
    let project = small();
    change(&project, PIPELINE, "url: out", "url: orders/tables");
    assert_snapshot!(check(&project), @"
    error: source `orders` would read the tables that are published
     --> pipelines/p.yaml:3:3
      |
    3 |   orders:
      |   ^^^^^^
      |
      = source: orders
      = target: orders/tables
      = help: publish to a folder of its own, beside the source

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
    // Beside the orders, but one of the tables has the name of their folder.
    change(&project, PIPELINE, "url: orders/tables", "url: .");
    change(&project, PIPELINE, "url: orders\n", "url: ./customers\n");
    assert!(check(&project).contains("would read the tables that are published"));
    for (source, code) in [
        ("./orders", "exit 0"),
        ("./customers/*.parquet", "exit 0"),
        ("'**/*.parquet'", "exit 2"),
        ("data/../customers", "exit 2"),
        ("/customers", "exit 0"),
        ("s3://bucket/customers", "exit 0"),
    ] {
        let project = small_but(PIPELINE, "url: out", "url: .");
        change(&project, PIPELINE, "url: orders", &format!("url: {source}"));
        let said = check(&project);
        assert!(said.ends_with(code), "{source}: {said}");
    }
    // Other files than those that are published are not read.
    let project = small_but(PIPELINE, "url: out", "url: orders/_tables");
    assert!(check(&project).ends_with("exit 0"));
    change(&project, PIPELINE, "url: orders/_tables", "url: orders/tables");
    change(&project, PIPELINE, "url: orders\n", "url: orders\n    format: csv\n");
    assert!(check(&project).ends_with("exit 0"));
}
