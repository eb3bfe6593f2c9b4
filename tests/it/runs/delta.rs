//! `format: delta`, on a disk, where its log can be looked at: one commit a run
//! for each table that changed, and nothing lost that a version needs.

use std::collections::BTreeSet;
use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::reuse::{DAY, MORE, ROWS, assert_nothing_to_do, change};
use super::{journal, paths};
use crate::project::{Outcome, Project};

const BEFORE: &str = "2024-02-29";
const TABLES: &str = "facts.customers, facts.unattributed_refunds, metrics.value_assumptions";
const FORMAT: &str = "  format: delta\n";

fn unpublished() -> Project {
    let project = Project::with_models();
    project.orders("orders/all.parquet", ROWS);
    project.pipeline(TABLES, FORMAT);
    project
}

/// A project published once as Delta tables.
fn published() -> Project {
    let project = unpublished();
    project.run(DAY);
    project
}

fn log_file(project: &Project, folder: &str, version: u64) -> std::path::PathBuf {
    project.path(&format!("out/{folder}/_delta_log/{version:020}.json"))
}

/// The actions of a version, each as (its kind, its fields).
fn actions(project: &Project, folder: &str, version: u64) -> Vec<(String, Value)> {
    let text = fs::read_to_string(log_file(project, folder, version)).expect("a commit");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("json"));
    let mut actions = Vec::new();
    for line in lines {
        let (kind, fields) = line.as_object().expect("an action").iter().next().expect("a kind");
        actions.push((kind.clone(), fields.clone()));
    }
    actions
}

fn kinds(project: &Project, folder: &str, version: u64) -> String {
    let actions = actions(project, folder, version);
    actions.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>().join(" ")
}

fn of_kind(project: &Project, folder: &str, version: u64, kind: &str) -> Vec<Value> {
    let actions = actions(project, folder, version).into_iter();
    actions.filter(|(found, _)| found == kind).map(|(_, fields)| fields).collect()
}

/// The newest version of a table; None without any.
fn version(project: &Project, folder: &str) -> Option<u64> {
    let names = paths(project, &format!("out/{folder}/_delta_log/*.json"));
    let name = names.last()?.file_stem()?.to_string_lossy().into_owned();
    name.parse().ok()
}

fn manifest(project: &Project) -> Value {
    let text = fs::read(project.path("out/_tenure/current.json")).expect("a manifest");
    serde_json::from_slice(&text).expect("json")
}

/// What somebody else commits to a table.
fn foreign(project: &Project, folder: &str, actions: &[Value]) {
    let version = version(project, folder).expect("a table") + 1;
    let lines: String = actions.iter().map(|action| format!("{action}\n")).collect();
    fs::write(log_file(project, folder, version), lines).expect("written");
}

/// Changes the properties of a table, as `alter table set` does.
fn set(project: &Project, folder: &str, properties: &[(&str, &str)]) {
    let mut meta_data = of_kind(project, folder, 0, "metaData").remove(0);
    for (name, value) in properties {
        meta_data["configuration"][*name] = json!(value);
    }
    foreign(project, folder, &[json!({ "metaData": meta_data })]);
}

fn data_files(project: &Project, folder: &str) -> BTreeSet<String> {
    let files = paths(project, &format!("out/{folder}/as_of=*/*.parquet"));
    let root = project.path(&format!("out/{folder}"));
    files.iter().map(|p| p.strip_prefix(&root).expect("below").display().to_string()).collect()
}

fn gc(project: &Project, keep_runs: &str) -> String {
    let outcome = project.tenure(&["gc", "pipelines/p.yaml", "--keep-runs", keep_runs]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    outcome.stdout
}

fn refused(project: &Project, day: &str) -> Outcome {
    let outcome = project.tenure(&["run", "pipelines/p.yaml", "--as-of", day]);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    outcome
}

/// The error alone, without what a run tells before it.
fn error(outcome: &Outcome) -> String {
    let at = outcome.stderr.find("error:").expect("an error");
    outcome.stderr[at..].to_owned()
}

/// One run more that publishes other tables for the day.
fn again(project: &Project, rate: &str) {
    project.run_with(DAY, &["--param", &format!("discount_rate={rate}")]);
}

#[test]
fn a_run_is_one_commit_with_its_id() {
    let project = published();
    assert_eq!(kinds(&project, "customers", 0), "commitInfo protocol metaData txn add");
    let info = of_kind(&project, "customers", 0, "commitInfo").remove(0);
    let publication = &manifest(&project)["publication"];
    assert_eq!(info["runId"], publication["run_id"]);
    assert_eq!(info["commitId"], publication["commit_id"]);
    let add = of_kind(&project, "customers", 0, "add").remove(0);
    let path = add["path"].as_str().expect("a path");
    let size = fs::metadata(project.path(&format!("out/customers/{path}"))).expect("a file").len();
    assert_eq!(add["size"], size);
    assert_eq!(add["partitionValues"], json!({ "as_of": DAY }));
    let stats: Value = serde_json::from_str(add["stats"].as_str().expect("stats")).expect("json");
    assert_eq!(stats["numRecords"], 3);
    assert_eq!(stats["minValues"]["customer_id"], 7);
    assert_eq!(stats["maxValues"]["net"].to_string(), "22.34");
    assert_eq!(stats["maxValues"]["first_order_date"], "2024-03-01");
    assert_eq!(stats["nullCount"]["acquired_date"], 3);
    let meta_data = of_kind(&project, "customers", 0, "metaData").remove(0);
    let schema: Value =
        serde_json::from_str(meta_data["schemaString"].as_str().expect("text")).expect("json");
    assert_snapshot!(schema["fields"][0], @r#"{"metadata":{"comment":"who"},"name":"customer_id","nullable":false,"type":"long"}"#);
    assert_snapshot!(schema["fields"][10], @r#"{"metadata":{"comment":"all refunds, positive"},"name":"refunds","nullable":true,"type":"decimal(18,2)"}"#);
    let of_days = paths(&project, "out/customers/as_of=*/part-00000.parquet");
    assert!(of_days.is_empty(), "no plain Parquet beside it");
}

#[test]
fn a_day_is_added_and_a_day_is_replaced() {
    let project = published();
    project.run(BEFORE);
    assert_eq!(kinds(&project, "customers", 1), "commitInfo txn add");
    project.orders("orders/more.parquet", MORE);
    project.run(DAY);
    assert_eq!(kinds(&project, "customers", 2), "commitInfo txn remove add");
    let removed = of_kind(&project, "customers", 2, "remove").remove(0);
    let first = of_kind(&project, "customers", 0, "add").remove(0);
    assert_eq!(removed["path"], first["path"], "the day's file goes");
    assert_eq!(manifest(&project)["delta"]["facts.customers"], 2);
    assert!(data_files(&project, "customers").contains(first["path"].as_str().expect("a path")));
    assert_nothing_to_do(&project.run(DAY));
    assert_eq!(version(&project, "customers"), Some(2));
}

#[test]
fn a_table_that_stands_gets_no_commit() {
    let project = published();
    again(&project, "0.3");
    assert_eq!(version(&project, "value_assumptions"), Some(1));
    assert_eq!(version(&project, "customers"), Some(0));
    let versions = manifest(&project)["delta"].clone();
    assert_eq!(versions["metrics.value_assumptions"], 1);
    assert_eq!(versions["facts.customers"], 0);
    project.run_with(DAY, &["--select", "facts.customers", "--full-refresh"]);
    assert_eq!(version(&project, "customers"), Some(1));
}

#[test]
fn a_foreign_commit_is_built_upon_and_named_right() {
    let project = published();
    set(&project, "customers", &[("note", "ours")]);
    project.orders("orders/more.parquet", MORE);
    project.run(DAY);
    assert_eq!(kinds(&project, "customers", 2), "commitInfo txn remove add");
    assert_eq!(manifest(&project)["delta"]["facts.customers"], 2);

    // As if the number had been taken between the manifest and the commit: the
    // commit is one later than planned, and the run died before it said so.
    let taken = fs::read(log_file(&project, "customers", 2)).expect("a commit");
    fs::write(log_file(&project, "customers", 3), taken).expect("written");
    fs::remove_file(log_file(&project, "customers", 2)).expect("removed");
    foreign_at(&project, "customers", 2);
    fs::remove_file(project.path("out/_tenure/view.json")).expect("removed");
    gc(&project, "30");
    assert_eq!(version(&project, "customers"), Some(3), "nothing is committed twice");
    assert_eq!(manifest(&project)["delta"]["facts.customers"], 3);
}

/// A version that somebody else has taken is not believed to be ours because
/// the manifest planned it, even where a checkpoint hides what came before.
#[test]
fn a_version_taken_by_others_is_not_named_behind_a_checkpoint() {
    let project = published();
    set(&project, "customers", &[("delta.checkpointInterval", "3")]);
    foreign_at(&project, "customers", 2);
    project.orders("orders/more.parquet", MORE);
    project.run(DAY);
    let log = project.path("out/customers/_delta_log");
    assert!(log.join(format!("{:020}.checkpoint.parquet", 3)).exists());
    // As if 2 had been free when it was planned, and the run had died before the
    // manifest could be corrected.
    let path = project.path("out/_tenure/current.json");
    let text = fs::read_to_string(&path).expect("a manifest");
    let planned = text.replace("\"facts.customers\": 3", "\"facts.customers\": 2");
    // Nobody has sealed what is written by hand.
    let planned = planned.replace("\"seal\":", "\"former_seal\":");
    assert_ne!(planned, text);
    fs::write(&path, planned).expect("written");
    fs::remove_file(project.path("out/_tenure/view.json")).expect("removed");
    gc(&project, "30");
    assert_eq!(version(&project, "customers"), Some(3), "nothing is committed twice");
    assert_eq!(manifest(&project)["delta"]["facts.customers"], 3);
}

fn foreign_at(project: &Project, folder: &str, version: u64) {
    let info = json!({ "commitInfo": { "operation": "SET TBLPROPERTIES" } });
    fs::write(log_file(project, folder, version), format!("{info}\n")).expect("written");
}

#[test]
fn tables_that_could_not_be_committed_follow_with_the_next_command() {
    let project = published();
    project.orders("orders/more.parquet", MORE);
    // Nothing can be created at the place of the next version.
    let blocked = log_file(&project, "unattributed_refunds", 1);
    fs::create_dir_all(blocked.join("x")).expect("a folder");
    let outcome = project.run(DAY);
    assert!(outcome.stderr.contains("behind until the next run"), "{}", outcome.stderr);
    assert_eq!(version(&project, "customers"), Some(1));
    fs::remove_dir_all(&blocked).expect("removed");
    gc(&project, "30");
    for folder in ["customers", "unattributed_refunds", "value_assumptions"] {
        assert_eq!(version(&project, folder), Some(1), "{folder}");
        assert!(kinds(&project, folder, 1).starts_with("commitInfo txn remove add"), "{folder}");
    }
    assert_nothing_to_do(&project.run(DAY));
}

#[test]
fn a_column_is_added_in_the_commit_that_has_it_first() {
    let project = published();
    project.run(BEFORE);
    let file = "sql/facts/unattributed_refunds.sql";
    let line = "-- refunded       decimal(18,2)  what was given back, positive\n";
    change(&project, file, line, &format!("{line}-- remark         text           why\n"));
    let select = "        refunded\n\n    from unattributed";
    change(
        &project,
        file,
        select,
        "        refunded,\n        'none' as remark\n\n    from unattributed",
    );
    project.run(DAY);
    assert_eq!(kinds(&project, "unattributed_refunds", 2), "commitInfo metaData txn remove add");
    let meta_data = of_kind(&project, "unattributed_refunds", 2, "metaData").remove(0);
    let before = of_kind(&project, "unattributed_refunds", 0, "metaData").remove(0);
    assert_eq!(meta_data["id"], before["id"], "it is the same table");
    let schema = meta_data["schemaString"].as_str().expect("text");
    let added = r#"{"metadata":{"comment":"why"},"name":"remark","nullable":true,"type":"string"}"#;
    assert!(schema.contains(added), "{schema}");

    change(&project, file, "-- remark         text  ", "-- remark         bigint");
    change(&project, file, "'none' as remark", "1 as remark");
    let manifest_before = manifest(&project)["publication"].clone();
    assert_snapshot!(error(&refused(&project, BEFORE)), @"
    error: `facts.unattributed_refunds` cannot be one Delta table
     |
     = cause: column `remark` is bigint as of 2024-02-29 and text as of 2024-03-31
     = help: publish to a new target, and the days you need there once more with --from and --to
    ");
    assert_eq!(manifest(&project)["publication"], manifest_before, "nothing is published");
}

#[test]
fn plain_parquet_becomes_a_delta_table_and_not_back_unasked() {
    let project = unpublished();
    project.pipeline(TABLES, "");
    project.run(BEFORE);
    project.run(DAY);
    assert_eq!(project.published().len(), 8);
    project.pipeline(TABLES, FORMAT);
    let before = project.table("facts.customers");
    assert_turned_over(&project.run(DAY), "Delta tables");
    let steps = journal(&project);
    assert!(steps.iter().all(|step| step["step"] != "table_staged"), "nothing is computed");
    assert_eq!(project.table("facts.customers"), before);
    let adds = of_kind(&project, "customers", 0, "add");
    assert_eq!(adds.len(), 2, "both days are in the first version");
    assert!(paths(&project, "out/*/as_of=*/part-00000.parquet").is_empty());
    assert_nothing_to_do(&project.run(DAY));

    project.pipeline(TABLES, "");
    assert_snapshot!(error(&refused(&project, DAY)), @"
    error: `facts.customers` is a Delta table here, and the pipeline says `format: parquet`
    --> [TMP]/out/customers
     = cause: plain Parquet in its place would end its history
     = help: publish to another target, keep `format: delta`, or delete this table's folder if its history may go
    ");
    for folder in ["customers", "unattributed_refunds", "value_assumptions", "quarantine_orders"] {
        fs::remove_dir_all(project.path(&format!("out/{folder}/_delta_log"))).expect("removed");
    }
    let rewritten = project.path("out/customers/as_of=2024-02-29/part-00000-4f0a.c000.parquet");
    fs::write(&rewritten, "as OPTIMIZE does").expect("written");
    assert_snapshot!(error(&refused(&project, DAY)), @"
    error: `facts.customers` was a Delta table that others have written to as well
    --> [TMP]/out/customers/as_of=2024-02-29/part-00000-4f0a.c000.parquet
     = cause: files of theirs, which plain readers would count twice: 1
     = help: remove them from `customers/`; what tenure has published is kept under `_tenure/`
    ");
    fs::remove_file(&rewritten).expect("removed");
    assert_turned_over(&project.run(DAY), "plain Parquet");
    assert_eq!(project.published().len(), 8, "plain files alone");
    assert_eq!(paths(&project, "out/*/as_of=*/part-00000.parquet").len(), 8);
    assert_nothing_to_do(&project.run(DAY));
}

/// Files of others stay where they are, so the folders go before.
#[test]
fn a_table_whose_folder_was_removed_turns_back_clean() {
    let project = published();
    project.file(&format!("out/customers/as_of={DAY}/part-0-optimized.parquet"), "rows");
    project.pipeline(TABLES, "");
    for folder in ["customers", "unattributed_refunds", "value_assumptions", "quarantine_orders"] {
        fs::remove_dir_all(project.path(&format!("out/{folder}"))).expect("removed");
    }
    assert_turned_over(&project.run(DAY), "plain Parquet");
    let files = project.published();
    assert_eq!(files.len(), 4);
    assert!(
        files.iter().all(|(name, _)| name.ends_with("/part-00000.parquet")),
        "plain files alone"
    );
}

/// That a run says it has changed the layout, and built nothing.
fn assert_turned_over(outcome: &Outcome, format: &str) {
    let said = &outcome.stdout;
    assert!(said.starts_with("3 tables in "), "{said}");
    assert!(said.contains(&format!(" turned over to {format}, all days, in ")), "{said}");
    assert!(said.contains(" (none built, 0 checks passed, run "), "{said}");
}

/// `tenure show` says which version a set has, also one that was superseded.
#[test]
fn the_version_of_a_set_is_told() {
    let project = published();
    let first = manifest(&project)["publication"]["run_id"].clone();
    let first = first.as_str().expect("an id");
    again(&project, "0.3");
    set(&project, "value_assumptions", &[("note", "ours")]);
    let title = |table: &str, more: &[&str]| {
        let show = ["show", "pipelines/p.yaml", table];
        let outcome = project.tenure(&[&show[..], more].concat());
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        outcome.stdout.lines().next().expect("a title").to_owned()
    };
    let second = manifest(&project)["publication"]["run_id"].clone();
    let second = second.as_str().expect("an id");
    for (table, run, version) in [
        ("metrics.value_assumptions", None, 1),
        ("metrics.value_assumptions", Some(second), 1),
        ("metrics.value_assumptions", Some(first), 0),
        ("facts.customers", Some(second), 0),
    ] {
        let more = run.map_or(vec![], |run| vec!["--run", run]);
        let expected = format!("{table} as of {DAY}, version {version} of its Delta table");
        assert_eq!(title(table, &more), expected, "{run:?}");
    }
    again(&project, "0.4");
    assert_eq!(version(&project, "value_assumptions"), Some(3));
    let superseded = title("metrics.value_assumptions", &["--run", second]);
    assert!(superseded.ends_with(", version 1 of its Delta table"), "{superseded}");
}

#[test]
fn tables_of_others_and_beyond_us_are_left_alone() {
    let project = unpublished();
    let log = log_file(&project, "customers", 0);
    fs::create_dir_all(log.parent().expect("a folder")).expect("a folder");
    let meta_data = json!({ "metaData": { "id": "1", "schemaString": "{}" } });
    fs::write(&log, format!("{meta_data}\n")).expect("written");
    assert_snapshot!(error(&refused(&project, DAY)), @"
    error: `facts.customers` would be published over a Delta table of somebody else
    --> [TMP]/out/customers
     = cause: tenure has never committed to its log
     = help: move it away, or publish to another target
    ");
    fs::remove_dir_all(project.path("out/customers")).expect("removed");

    project.run(DAY);
    let protocol = json!({ "protocol": {
        "minReaderVersion": 3, "minWriterVersion": 7,
        "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"],
    } });
    foreign(&project, "customers", &[protocol]);
    project.orders("orders/more.parquet", MORE);
    assert_snapshot!(error(&refused(&project, DAY)), @"
    error: this Delta table needs more than tenure knows
    --> [TMP]/out/customers
     = cause: it uses deletionVectors
     = help: take that back in the tool that did it, or publish to another target
    ");
}

#[test]
fn a_manifest_that_is_older_than_its_tables_is_refused() {
    let project = published();
    project.run(BEFORE);
    fs::remove_dir_all(project.path("out/_tenure")).expect("removed");
    assert_snapshot!(error(&refused(&project, DAY)), @"
    error: the Delta table of `facts.customers` is of another target than its manifest
    --> [TMP]/out/customers
     = cause: it has seen epoch 2, and this is 1
     = help: was `_tenure/` deleted or restored? Publish to another target, or delete the folder of this table
    ");
}

#[test]
fn what_a_kept_version_needs_stays() {
    let project = published();
    for rate in ["0.2", "0.3", "0.4"] {
        again(&project, rate);
    }
    let folder = "value_assumptions";
    assert_eq!((version(&project, folder), data_files(&project, folder).len()), (Some(3), 4));
    // For a week nothing goes, whatever sets do.
    gc(&project, "0");
    assert_eq!(data_files(&project, folder).len(), 4);
    set(&project, folder, &[("delta.deletedFileRetentionDuration", "interval 0 seconds")]);
    let path_of = |version: u64| {
        let add = of_kind(&project, folder, version, "add").remove(0);
        add["path"].as_str().expect("a path").to_owned()
    };
    gc(&project, "1");
    assert_eq!(data_files(&project, folder), [path_of(2), path_of(3)].into());
    assert!(gc(&project, "0").contains("1 file"), "one more goes");
    assert_eq!(data_files(&project, folder), [path_of(3)].into());
    assert_eq!(gc(&project, "0"), "nothing to remove\n");
    project.table("metrics.value_assumptions");
}

#[test]
fn the_log_is_kept_short() {
    let project = published();
    let folder = "value_assumptions";
    for rate in 11..22 {
        again(&project, &format!("0.{rate}"));
    }
    let checkpoint =
        project.path(&format!("out/{folder}/_delta_log/{:020}.checkpoint.parquet", 10));
    assert!(checkpoint.exists());
    let last = fs::read(project.path(&format!("out/{folder}/_delta_log/_last_checkpoint")));
    let last: Value = serde_json::from_slice(&last.expect("a hint")).expect("json");
    assert_eq!(last["version"], 10);
    gc(&project, "0");
    assert!(log_file(&project, folder, 0).exists(), "a log is kept for thirty days");
    set(&project, folder, &[("delta.logRetentionDuration", "interval 0 seconds")]);
    assert!(gc(&project, "0").contains("log of Delta tables"));
    assert!(!log_file(&project, folder, 9).exists());
    assert!(log_file(&project, folder, 11).exists() && checkpoint.exists());
    // From the checkpoint on everything is known.
    again(&project, "0.5");
    assert_eq!(kinds(&project, folder, 13), "commitInfo txn remove add");
    assert_eq!(of_kind(&project, folder, 13, "commitInfo")[0]["readVersion"], 12);
}
