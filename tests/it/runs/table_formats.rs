//! Tables of other formats as sources: their files hold rows that no longer count, and
//! nobody may read them one by one.

use serde_json::json;

use super::journal;
use crate::lake::{Lake, mapped, metadata, orders, protocol};
use crate::project::{Outcome, Project};

const HEAD: &str = "order_id,customer_id,ordered_at,amount\n";
const DAY: &str = "2024-02-28";

fn rows(lines: &[&str]) -> String {
    format!("{HEAD}{}", lines.iter().map(|line| format!("{line}\n")).collect::<String>())
}

/// Orders 1 to 4 of four customers.
fn four() -> String {
    rows(&[
        "1,11,2024-01-01T10:00:00,10.00",
        "2,12,2024-01-02T10:00:00,20.00",
        "3,13,2024-01-03T10:00:00,30.00",
        "4,14,2024-01-04T10:00:00,40.00",
    ])
}

fn source(project: &Project, source: &str) {
    super::pipeline(project, source, "facts.orders");
}

fn run(project: &Project) -> Outcome {
    project.tenure(&["run", "pipelines/p.yaml", "--as-of", DAY])
}

/// Orders and their amounts, once published.
fn published(project: &Project) -> Vec<String> {
    let outcome = run(project);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    project.rows("facts.orders", &["order_id", "net"])
}

fn refused(project: &Project, words: &[&str]) {
    let outcome = run(project);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    for word in words {
        assert!(outcome.stderr.contains(word), "no `{word}` in {}", outcome.stderr);
    }
}

/// A table of two files, of which one was removed, below a folder.
fn deleted(project: &Project, folder: &str) {
    let lake = Lake::of_orders(project, folder);
    lake.commit(1, &[lake.add("a.parquet", &four())]);
    let kept = rows(&["1,11,2024-01-01T10:00:00,10.00", "3,13,2024-01-03T10:00:00,30.00"]);
    lake.commit(2, &[lake.add("b.parquet", &kept), Lake::remove("a.parquet")]);
}

#[test]
fn a_delta_folder_is_not_read_as_loose_files() {
    for (url, help) in [
        ("lake/orders", "`url: lake/orders`"),
        ("lake/orders/", "`url: lake/orders`"),
        ("./lake/orders", "orders`"),
        ("lake", "`url: lake/orders`"),
        ("lake/*/*.parquet", "`url: lake/orders`"),
        ("lake/orders/*.parquet", "`url: lake/orders`"),
        ("lake/orders/b.parquet", "`url: lake/orders`"),
        ("la*/orders/b.parquet", "`url: lake/orders`"),
        ("lake/**/*.parquet", "`url: lake/orders`"),
    ] {
        let project = Project::new();
        deleted(&project, "lake/orders");
        source(&project, &format!("url: \"{url}\""));
        refused(&project, &["a Delta table", "format: delta", help]);
        // What it says is to be done, can be done.
        source(&project, "url: lake/orders\nformat: delta");
        assert_eq!(published(&project), ["1 10.00", "3 30.00"], "{url}");
    }
}

#[test]
fn a_part_of_a_delta_table_is_not_read_either() {
    let project = Project::new();
    deleted(&project, "lake/orders");
    project.orders("lake/orders/day=1/x/c.parquet", &four());
    for url in ["lake/orders/day=1", "lake/orders/day=1/x", "lake/orders/day=*/*/*.parquet"] {
        source(&project, &format!("url: {url}"));
        refused(&project, &["a Delta table", "`url: lake/orders`"]);
    }
    std::os::unix::fs::symlink("lake/orders/day=1", project.path("newest")).expect("a link");
    for url in ["newest", "newest/x/*.parquet", "newest/x/c.parquet"] {
        source(&project, &format!("url: {url}"));
        refused(&project, &["a Delta table", "format: delta", "lake/orders` for this source"]);
    }
    source(&project, "url: lake/orders/day=1\nformat: delta");
    refused(&project, &["it is a folder of the Delta table `lake/orders`", "`url: lake/orders`"]);
    source(&project, "url: lake\nformat: delta");
    refused(&project, &["there are tables below it: `lake/orders`"]);
    project.orders("loose/a.parquet", &four());
    source(&project, "url: loose\nformat: delta");
    refused(&project, &["is no Delta table", "has no `_delta_log`", "format: parquet"]);
}

#[test]
fn files_beside_a_table_are_files() {
    let project = Project::new();
    deleted(&project, "lake/other");
    project.orders("lake/orders/a.parquet", &four());
    project.file("lake/orders/metadata/notes.json", "{}");
    for url in ["lake/orders", "lake/orders/*.parquet", "lake/*ers/*.parquet"] {
        source(&project, &format!("url: {url}"));
        assert_eq!(published(&project).len(), 4, "{url}");
    }
    source(&project, "url: lake");
    refused(&project, &["`url: lake/other`"]);
}

#[test]
fn iceberg_and_hudi_tables_are_refused_with_a_way_out() {
    let project = Project::new();
    for version in ["v1", "v2"] {
        project.file(&format!("ice/orders/metadata/{version}.metadata.json"), "{}");
    }
    project.orders("ice/orders/data/day=1/a.parquet", &four());
    project.file("hudi/orders/.hoodie/hoodie.properties", "hoodie.table.name=orders");
    project.orders("hudi/orders/day=1/a.parquet", &four());
    for url in ["ice/orders", "ice", "ice/orders/data", "ice/orders/data/day=1", "ice/*/data/**/*"]
    {
        source(&project, &format!("url: \"{url}\""));
        refused(
            &project,
            &["an Iceberg table", "iceberg_scan('ice/orders/metadata/v2.metadata.json')"],
        );
    }
    for url in ["hudi/orders", "hudi", "hudi/orders/day=1", "hudi/orders/*/*.parquet"] {
        source(&project, &format!("url: \"{url}\""));
        refused(&project, &["a Hudi table", "load(\"hudi/orders\")"]);
    }
}

#[test]
fn a_version_is_read_and_recorded() {
    let project = Project::new();
    deleted(&project, "lake");
    source(&project, "url: lake\nformat: delta\nversion: 1");
    assert_eq!(published(&project).len(), 4);
    source(&project, "url: lake\nformat: delta");
    assert_eq!(published(&project).len(), 2);
    let read = journal(&project).into_iter().find(|step| step["step"] == "source_read");
    assert_eq!(read.expect("a source")["table_version"], 2);
    assert!(run(&project).stdout.contains("nothing to do"));

    // A commit without data is a version, too.
    let lake = Lake::new(&project, "lake");
    lake.commit(3, &[json!({ "commitInfo": { "operation": "OPTIMIZE" } })]);
    let again = run(&project);
    assert!(again.stderr.contains("version 3"), "{}", again.stderr);

    lake.commit(4, &[lake.add("c.parquet", &rows(&["5,15,2024-01-05T10:00:00,50.00"]))]);
    assert_eq!(published(&project), ["1 10.00", "3 30.00", "5 50.00"]);
    source(&project, "url: lake\nformat: delta\nversion: 9");
    refused(&project, &["has no version 9", "its newest is 4", "`version: 4`"]);
}

#[test]
fn rows_that_a_deletion_vector_names_do_not_count() {
    let project = Project::new();
    let lake = Lake::of_orders(&project, "lake");
    let (one, two) = (lake.add("a.parquet", &four()), {
        let more = four().replace("\n1,", "\n5,").replace("\n2,", "\n6,");
        let more = more.replace("\n3,", "\n7,").replace("\n4,", "\n8,");
        lake.add("b.parquet", &more)
    });
    lake.commit(1, &[one.clone(), two.clone()]);
    source(&project, "url: lake\nformat: delta");
    assert_eq!(published(&project).len(), 8);
    let removed = [Lake::remove("a.parquet"), Lake::remove("b.parquet")];
    let both = [Lake::without(&one, &[1, 3]), lake.without_by_file(&two, &[0])];
    lake.commit(2, &[removed.as_slice(), &both].concat());
    let left = ["1 10.00", "3 30.00", "6 20.00", "7 30.00", "8 40.00"];
    assert_eq!(published(&project), left);
    // Every row of a file.
    let none = Lake::without(&one, &[0, 1, 2, 3]);
    lake.commit(3, &[Lake::remove_of(&both[0]), none.clone()]);
    assert_eq!(published(&project), left[2..]);
    // A row that the file does not have, and a number that is not theirs.
    let beyond = Lake::without(&one, &[7]);
    lake.commit(4, &[Lake::remove_of(&none), beyond.clone()]);
    refused(&project, &["which rows are deleted", "a.parquet"]);
    let mut wrong = Lake::without(&one, &[1]);
    wrong["add"]["deletionVector"]["cardinality"] = json!(3);
    lake.commit(5, &[Lake::remove_of(&beyond), wrong]);
    refused(&project, &["which rows are deleted", "a.parquet"]);
}

#[test]
fn columns_have_the_names_that_the_table_gives_them() {
    let fields = |first: &str, second: &str| {
        [
            mapped("order_id", "long", "c1", 1),
            mapped("customer_id", "long", "c2", 2),
            mapped("ordered_at", "timestamp_ntz", "c3", 3),
            mapped(first, "decimal(18,2)", "c4", 4),
            mapped(second, "decimal(18,2)", "c5", 5),
        ]
    };
    let head = "c1,c2,c3,c4,c5";
    let project = Project::new();
    let lake = Lake::new(&project, "lake");
    let named = json!({ "delta.columnMapping.mode": "name" });
    let protocol = protocol(&["columnMapping", "timestampNtz"]);
    lake.commit(0, &[protocol, metadata(&fields("amount", "before"), &[], named.clone())]);
    let file = |name: &str, order: u64| {
        let rows = format!("{head}\n{order},11,2024-01-01T10:00:00,10.00,7.00");
        let batch = crate::project::typed_as(
            &rows,
            &["order_id", "customer_id", "ordered_at", "amount", "cost"],
        );
        lake.add_batch(name, &batch)
    };
    lake.commit(1, &[file("a.parquet", 1), file("b.parquet", 2)]);
    source(&project, "url: lake\nformat: delta");
    assert_eq!(published(&project), ["1 10.00", "2 10.00"]);
    // The names change places: no file is written, and all is other.
    lake.commit(2, &[metadata(&fields("before", "amount"), &[], named)]);
    assert_eq!(published(&project), ["1 7.00", "2 7.00"]);
}

#[test]
fn columns_are_found_by_their_number() {
    let project = Project::new();
    let lake = Lake::new(&project, "lake");
    let fields = [
        mapped("order_id", "long", "c1", 1),
        mapped("customer_id", "long", "c2", 2),
        mapped("ordered_at", "timestamp_ntz", "c3", 3),
        mapped("amount", "decimal(18,2)", "c4", 4),
    ];
    let by_id = json!({ "delta.columnMapping.mode": "id" });
    lake.commit(0, &[protocol(&["columnMapping", "timestampNtz"]), metadata(&fields, &[], by_id)]);
    let numbered = |names: [&str; 4], order: u64| {
        let rows = format!("{}\n{order},11,2024-01-01T10:00:00,10.00", names.join(","));
        let batch =
            crate::project::typed_as(&rows, &["order_id", "customer_id", "ordered_at", "amount"]);
        let fields = batch
            .schema()
            .fields()
            .iter()
            .zip(1..)
            .map(|(field, id)| {
                let id = [("PARQUET:field_id".to_string(), id.to_string())];
                field.as_ref().clone().with_metadata(id.into())
            })
            .collect::<Vec<_>>();
        let schema = std::sync::Arc::new(arrow::datatypes::Schema::new(fields));
        arrow::array::RecordBatch::try_new(schema, batch.columns().to_vec()).expect("a batch")
    };
    lake.commit(
        1,
        &[
            lake.add_batch("a.parquet", &numbered(["c1", "c2", "c3", "c4"], 1)),
            lake.add_batch("b.parquet", &numbered(["order", "who", "at", "paid"], 2)),
        ],
    );
    source(&project, "url: lake\nformat: delta");
    assert_eq!(published(&project), ["1 10.00", "2 10.00"]);
}

#[test]
fn partitions_and_new_columns_are_columns() {
    let project = Project::new();
    let lake = Lake::new(&project, "lake");
    let mut fields = orders();
    fields.push(crate::lake::field("channel", "string"));
    fields.push(crate::lake::field("store", "integer"));
    fields.push(crate::lake::field("campaign", "string"));
    let protocol = protocol(&["timestampNtz"]);
    lake.commit(0, &[protocol, metadata(&fields, &["channel", "store"], json!({}))]);
    let placed = |add: serde_json::Value, channel: serde_json::Value, store: &str| {
        let mut add = add;
        add["add"]["partitionValues"] = json!({ "channel": channel, "store": store });
        add
    };
    // Folders of another name than the log gives: only the log counts.
    let first = lake.add("channel=zzz/a.parquet", &rows(&["1,11,2024-01-01T10:00:00,10.00"]));
    let second = lake.add("b%20c.parquet", &rows(&["2,11,2024-01-02T10:00:00,20.00"]));
    std::fs::rename(project.path("lake/b%20c.parquet"), project.path("lake/b c.parquet"))
        .expect("a file");
    let third = lake.add(
        "c.parquet",
        "order_id,customer_id,ordered_at,amount,campaign\n3,11,2024-01-03T10:00:00,30.00,spring",
    );
    lake.commit(
        1,
        &[
            placed(first, json!("web"), "7"),
            placed(second, json!(null), ""),
            placed(third, json!("a b/c"), "8"),
        ],
    );
    source(&project, "url: lake\nformat: delta");
    let outcome = run(&project);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let found = project.rows("facts.orders", &["order_id", "channel", "store", "campaign"]);
    assert_eq!(found, ["1 web 7 null", "2 null null null", "3 a b/c 8 spring"]);
}

#[test]
fn what_is_wrong_with_a_table_is_said() {
    let project = Project::new();
    deleted(&project, "lake");
    let lake = Lake::new(&project, "lake");
    lake.lose("b.parquet");
    source(&project, "url: lake\nformat: delta");
    refused(&project, &["is not there", "lake/b.parquet", "it counts at version 2"]);
    lake.lose("a.parquet");
    source(&project, "url: lake\nformat: delta\nversion: 1");
    refused(&project, &["lake/a.parquet", "`vacuum`"]);

    let other = Lake::new(&project, "other");
    other.commit(
        0,
        &[protocol(&["timestampNtz", "timeTravelByMoon"]), metadata(&orders(), &[], json!({}))],
    );
    source(&project, "url: other\nformat: delta");
    refused(&project, &["cannot be read by tenure", "timeTravelByMoon"]);

    let clone = Lake::of_orders(&project, "clone");
    let mut add = clone.add("x.parquet", &four());
    add["add"]["path"] = json!("s3://elsewhere/x.parquet");
    clone.commit(1, &[add]);
    source(&project, "url: clone\nformat: delta");
    refused(&project, &["outside of its folder", "s3://elsewhere/x.parquet", "shallow clone"]);

    project.file("broken/_delta_log/00000000000000000000.json", "{\"protocol\":");
    source(&project, "url: broken\nformat: delta");
    refused(&project, &["the log of the Delta table", "cannot be read"]);

    // A table of nothing is no mistake, and says that it is one.
    Lake::of_orders(&project, "empty");
    source(&project, "url: empty\nformat: delta");
    let outcome = run(&project);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("0 rows read"), "{}", outcome.stderr);
}

#[test]
fn a_version_is_for_tables_that_have_them() {
    let project = Project::new();
    project.orders("orders/a.parquet", &four());
    source(&project, "url: orders\nversion: 3");
    let outcome = run(&project);
    assert_eq!(outcome.code, 2);
    assert!(outcome.stderr.contains("only Delta tables have versions"), "{}", outcome.stderr);
    source(&project, "url: orders\nformat: delta\nversoin: 3");
    assert!(run(&project).stderr.contains("did you mean `version`?"));
    source(&project, "url: \"orders/*\"\nformat: delta");
    let outcome = run(&project);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("a Delta table is one folder"), "{}", outcome.stderr);
}

/// What is published as a Delta table is a source of another pipeline.
#[test]
fn what_is_published_as_delta_can_be_read() {
    let project = Project::new();
    project.orders("orders/a.parquet", &four());
    let text = "pipeline: first\nsources:\n  orders:\n    url: orders\ntables: [facts.orders]\n\
                publish:\n  url: warehouse\n  format: delta\n";
    project.file("pipelines/first.yaml", text);
    for day in ["2024-01-03", "2024-01-31", "2024-01-31"] {
        let first = ["run", "pipelines/first.yaml", "--as-of", day, "--full-refresh"];
        let outcome = project.tenure(&first);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    }
    let columns = "columns:\n  order_id: order_id\n  customer_id: customer_id\n  \
                   ordered_at: ordered_at\n  amount: net\n  channel: cast(as_of as varchar)\n\
                   reject:\n  another_day: as_of <> date '2024-01-31'";
    source(&project, &format!("url: warehouse/orders\nformat: delta\n{columns}"));
    assert_eq!(published(&project), ["1 10.00", "2 20.00", "3 30.00", "4 40.00"]);
    let reasons = project.rows("quarantine.orders", &["reason"]);
    assert_eq!(reasons, ["another_day"; 3]);
    source(&project, &format!("url: warehouse/orders\n{columns}"));
    refused(&project, &["a Delta table", "`url: warehouse/orders`"]);
}

/// Files that stay keep their piece of the history; what a later version takes from them
/// does not.
#[test]
fn a_later_version_gives_what_a_full_refresh_gives() {
    let project = Project::new();
    let lake = Lake::of_orders(&project, "lake");
    let mut files = Vec::new();
    for month in 1..=5 {
        let line = |id: u32| format!("{month}{id},{id},2024-0{month}-0{id}T10:00:00,{id}.00");
        let lines: Vec<String> = (1..=6).map(line).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        files.push(lake.add(&format!("{month}.parquet"), &rows(&lines)));
    }
    lake.commit(1, &files[..3]);
    lake.commit(2, &[files[3].clone()]);
    let without = Lake::without(&files[0], &[0, 5]);
    lake.commit(3, &[Lake::remove("1.parquet"), without, Lake::remove("2.parquet")]);
    lake.commit(4, &[files[4].clone(), files[1].clone()]);
    for version in 1..=4 {
        source(&project, &format!("url: lake\nformat: delta\nversion: {version}"));
        project.run("2024-12-31");
        let read = project.published();
        project.run_with("2024-12-31", &["--full-refresh"]);
        super::assert_same(&project.published(), &read, &format!("version {version}"));
        let orders = project.rows("facts.orders", &["order_id"]).len();
        assert_eq!(orders, [18, 24, 16, 28][version - 1], "version {version}");
    }
}
