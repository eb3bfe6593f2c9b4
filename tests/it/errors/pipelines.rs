//! What a pipeline says: keys and words that are misspelt, missing or do not fit together.

use insta::assert_snapshot;

use super::{change, check, run, run_with, small, small_but};
use crate::project::Project;

const PIPELINE: &str = "pipelines/p.yaml";

#[test]
fn an_unknown_key_is_told_what_it_probably_means() {
    assert_snapshot!(check(&small_but(PIPELINE, "publish:", "publsh:")), @"
    error: unknown key `publsh` in the pipeline
     --> pipelines/p.yaml:6:1
      |
    6 | publsh:
      | ^^^^^^
      |
      = help: did you mean `publish`? known keys: pipeline, params, sources, models, tables, publish, engine

    error: the pipeline does not say where to publish
     --> pipelines/p.yaml:1:11
      |
    1 | pipeline: p
      |           ^
      |
      = help: add `publish: { url: … }`

    error: 2 problems in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn an_unknown_key_deep_down_is_told_too() {
    assert_snapshot!(check(&small_but(PIPELINE, "url: orders", "url: orders\n    rejct: {}")), @"
    error: unknown key `rejct` in source `orders`
     --> pipelines/p.yaml:5:5
      |
    5 |     rejct: {}
      |     ^^^^^
      |
      = help: did you mean `reject`? known keys: url, format, delimiter, version, escape, rows, columns, reject, reject_max, storage

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_wrong_word_is_told_what_there_is() {
    let words = "url: orders\n    format: parket\n    rows: items";
    assert_snapshot!(check(&small_but(PIPELINE, "url: orders", words)), @"
    error: no format `parket`
     --> pipelines/p.yaml:5:13
      |
    5 |     format: parket
      |             ^^^^^^
      |
      = help: did you mean `parquet`?

    error: no rows `items`
     --> pipelines/p.yaml:6:11
      |
    6 |     rows: items
      |           ^^^^^
      |
      = help: known: orders, lines

    error: 2 problems in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_misspelt_source_is_told_what_it_probably_means() {
    assert_snapshot!(check(&small_but(PIPELINE, "  orders:", "  order:")), @"
    error: no source `order`
     --> pipelines/p.yaml:3:3
      |
    3 |   order:
      |   ^^^^^
      |
      = help: did you mean `orders`?

    error: the pipeline has no source `orders`
     --> pipelines/p.yaml:1:11
      |
    1 | pipeline: p
      |           ^
      |
      = help: add `orders:` under `sources:`; every table is made from it

    error: `facts.customers` needs the source `orders`
     --> pipelines/p.yaml:5:10
      |
    5 | tables: [facts.customers, metrics.spenders]
      |          ^^^^^^^^^^^^^^^
      |
      = note: `staging.orders` reads it
      = help: add `orders` under `sources:`, or drop the table

    error: `metrics.spenders` needs the source `orders`
     --> pipelines/p.yaml:5:27
      |
    5 | tables: [facts.customers, metrics.spenders]
      |                           ^^^^^^^^^^^^^^^^
      |
      = note: `staging.orders` reads it
      = help: add `orders` under `sources:`, or drop the table

    error: 4 problems in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_misspelt_table_is_told_what_it_probably_means() {
    assert_snapshot!(check(&small_but(PIPELINE, "metrics.spenders", "metrics.spendres")), @"
    error: no table `metrics.spendres` to publish
     --> pipelines/p.yaml:5:27
      |
    5 | tables: [facts.customers, metrics.spendres]
      |                           ^^^^^^^^^^^^^^^^
      |
      = help: did you mean `metrics.spenders`?

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_table_needs_its_schema() {
    assert_snapshot!(check(&small_but(PIPELINE, "metrics.spenders", "spenders")), @"
    error: no table `spenders` to publish
     --> pipelines/p.yaml:5:27
      |
    5 | tables: [facts.customers, spenders]
      |                           ^^^^^^^^
      |
      = help: did you mean `metrics.spenders`?

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn only_facts_and_metrics_are_published() {
    assert_snapshot!(check(&small_but(PIPELINE, "metrics.spenders", "staging.orders")), @"
    error: no table `staging.orders` to publish
     --> pipelines/p.yaml:5:27
      |
    5 | tables: [facts.customers, staging.orders]
      |                           ^^^^^^^^^^^^^^
      |
      = help: only facts and metrics can be published

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_pipeline_needs_orders_tables_and_a_target() {
    let project = small();
    project.file(PIPELINE, "pipeline: p\nsources:\n  customers:\n    url: customers\n");
    assert_snapshot!(check(&project), @"
    error: the pipeline has no source `orders`
     --> pipelines/p.yaml:1:11
      |
    1 | pipeline: p
      |           ^
      |
      = help: add `orders:` under `sources:`; every table is made from it

    error: the pipeline does not say where to publish
     --> pipelines/p.yaml:1:11
      |
    1 | pipeline: p
      |           ^
      |
      = help: add `publish: { url: … }`

    error: 2 problems in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_mapping_names_every_column_that_must_be_there() {
    let columns = "url: orders\n    columns:\n      order_id: id\n      custmer_id: who\n      \
                   amount: price +";
    assert_snapshot!(run(&small_but(PIPELINE, "url: orders", columns)), @"
    error: source `orders` has no column `custmer_id`
     --> pipelines/p.yaml:7:7
      |
    7 |       custmer_id: who
      |       ^^^^^^^^^^
      |
      = help: did you mean `customer_id`?

    error: source `orders` does not map `customer_id`
     --> pipelines/p.yaml:3:3
      |
    3 |   orders:
      |   ^^^^^^
      |
      = help: add `customer_id: …` under `columns:` (who ordered)

    error: source `orders` does not map `ordered_at`
     --> pipelines/p.yaml:3:3
      |
    3 |   orders:
      |   ^^^^^^
      |
      = help: add `ordered_at: …` under `columns:` (when it was bought, UTC)

    error: 3 problems in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    assert_snapshot!(run(&small_but(PIPELINE, "url: orders", "url: ${NO_SUCH_ORDERS}")), @"
    error: the environment variable `NO_SUCH_ORDERS` is not set
     --> pipelines/p.yaml:4:10
      |
    4 |     url: ${NO_SUCH_ORDERS}
      |          ^^^^^^^^^^^^^^^^^
      |
      = help: export NO_SUCH_ORDERS=…, or write ${NO_SUCH_ORDERS:-default}

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_check_needs_no_variable() {
    let project = small_but(PIPELINE, "url: orders", "url: ${NO_SUCH_ORDERS}");
    let outcome = project.tenure(&["check", PIPELINE]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
}

#[test]
fn a_secret_does_not_stand_in_a_pipeline() {
    let secret = "url: out\n  storage:\n    aws_secret_access_key: hunter2";
    let said = check(&small_but(PIPELINE, "url: out", secret));
    assert_snapshot!(said, @"
    error: `aws_secret_access_key` is a secret
     --> pipelines/p.yaml:9:5
      |
    9 |     aws_secret_access_key: hunter2
      |     ^^^^^^^^^^^^^^^^^^^^^
      |
      = note: a pipeline file is shared and kept; credentials are not
      = help: leave it out: credentials are read from the environment

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_storage_option_nobody_knows_is_refused() {
    let option = "url: out\n  storage:\n    regoin: eu-central-1";
    assert_snapshot!(run(&small_but(PIPELINE, "url: out", option)), @"
    error: storage option `regoin` means nothing here
    --> out
     = help: remove it: a folder has no options
    exit 2
    ");
}

#[test]
fn a_selector_that_chooses_nothing_is_told_what_it_probably_means() {
    assert_snapshot!(run_with(&small(), &["--select", "spendres"]), @"
    error: `--select spendres` chooses no table of this pipeline
     |
     = help: did you mean `spenders`?
    exit 2
    ");
}

/// Everything would be built for somebody who asked for less.
#[test]
fn an_empty_selector_is_refused() {
    assert_snapshot!(run_with(&small(), &["--select", ""]), @"
    error: `--select` names no table: its value is empty
     |
     = note: that is what a shell makes of a variable that is not set
     = help: name tables, such as `--select metrics.rfm_scores`, or leave it out for all of them
    exit 2
    ");
}

#[test]
fn a_selector_of_what_is_not_published_is_told_why() {
    assert_snapshot!(run_with(&small(), &["--select", "staging.orders"]), @"
    error: `--select staging.orders` chooses no table of this pipeline
     |
     = help: only facts and metrics are published: `staging.orders+` is what is made from it
    exit 2
    ");
    let project = small_but(PIPELINE, "facts.customers, ", "");
    let said = run_with(&project, &["--select", "facts.customers"]);
    let help = "the pipeline does not publish `facts.customers`: list it under `tables:`";
    assert!(said.contains(help), "{said}");
}

#[test]
fn a_selector_like_no_table_of_many_is_told_where_they_are_listed() {
    let project = Project::new();
    project.pipeline("facts.*, metrics.*", "");
    assert_snapshot!(run_with(&project, &["--select", "nosuch"]), @"
    error: `--select nosuch` chooses no table of this pipeline
     |
     = help: `tenure plan` lists the tables of a pipeline
    exit 2
    ");
}

/// A core table of today needs no source but orders; this model does.
#[test]
fn a_table_whose_source_is_absent_is_refused() {
    let project = needs_surveys();
    assert_snapshot!(check(&project), @"
    error: `metrics.happy` needs the source `surveys`
     --> pipelines/p.yaml:5:10
      |
    5 | tables: [metrics.happy]
      |          ^^^^^^^^^^^^^
      |
      = note: `facts.answers` reads it
      = help: add `surveys` under `sources:`, or drop the table

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

fn needs_surveys() -> Project {
    let project = small();
    project.pipeline("metrics.happy", "");
    let facts = "-- facts.answers: what was answered.\n--\n-- grain   customer_id\n\
                 -- reads   sources.surveys\n-- params  none\n--\n\
                 -- customer_id  id      who\n-- score        bigint  0 to 10\n\n\
                 select customer_id, max(score) as score\nfrom sources.surveys\n\
                 group by customer_id\n";
    let metrics = "-- metrics.happy: who is happy?\n--\n-- grain   customer_id\n\
                   -- reads   facts.answers\n-- params  none\n--\n\
                   -- customer_id  id  who\n\nselect customer_id\nfrom facts.answers\n\
                   where score >= 9\n";
    project.file("sql/facts/answers.sql", facts).file("sql/metrics/happy.sql", metrics);
    project
}

#[test]
fn everything_wrong_is_said_at_once() {
    let project = small_but(PIPELINE, "publish:", "publsh:");
    change(&project, PIPELINE, "metrics.spenders", "metrics.spendres");
    change(&project, PIPELINE, "pipeline: p\n", "pipeline: p\nparams:\n  leest: 2\n");
    change(&project, "sql/metrics/spenders.sql", "from facts.customers", "from facts.custmers");
    change(&project, "sql/facts/customers.sql", "group by", "gruop by");
    assert_snapshot!(check(&project), @"
    error: unknown key `publsh` in the pipeline
     --> pipelines/p.yaml:8:1
      |
    8 | publsh:
      | ^^^^^^
      |
      = help: did you mean `publish`? known keys: pipeline, params, sources, models, tables, publish, engine

    error: not valid SQL: expected: end of statement, found: by
      --> sql/facts/customers.sql:21:7
       |
    21 | gruop by customer_id
       |       ^^

    error: no parameter `leest` is declared in this project
     --> pipelines/p.yaml:3:3
      |
    3 |   leest: 2
      |   ^^^^^
      |
      = help: did you mean `least`?

    error: no table `facts.custmers`
      --> sql/metrics/spenders.sql:16:6
       |
    16 | from facts.custmers
       |      ^^^^^^^^^^^^^^
       |
       = help: known: checks.money_is_earned, metrics.spenders, staging.orders

    error: the pipeline does not say where to publish
     --> pipelines/p.yaml:1:11
      |
    1 | pipeline: p
      |           ^
      |
      = help: add `publish: { url: … }`

    error: no table `metrics.spendres` to publish
     --> pipelines/p.yaml:7:27
      |
    7 | tables: [facts.customers, metrics.spendres]
      |                           ^^^^^^^^^^^^^^^^
      |
      = help: did you mean `metrics.spenders`?

    error: 6 problems in 3 files; nothing was run
    exit 2
    ");
}

#[test]
fn a_variable_that_is_not_closed_is_no_path() {
    let project = small_but("pipelines/p.yaml", "url: orders", "url: ${ORDERS");
    assert_snapshot!(check(&project), @"
    error: a variable of the environment is not closed
     --> pipelines/p.yaml:4:10
      |
    4 |     url: ${ORDERS
      |          ^^^^^^^^
      |
      = help: write `${NAME}`, or `$$` for a dollar

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}
