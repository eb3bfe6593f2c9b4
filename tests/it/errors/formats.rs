//! Text files that are not what their source says, or not throughout: another
//! format, another separator, a line that breaks off.

use insta::assert_snapshot;

use super::{change, run, small};
use crate::project::Project;

/// The small project, whose orders are one text file of a format.
fn text(format: &str, content: &[u8]) -> Project {
    let project = small();
    std::fs::remove_file(project.path("orders/o.parquet")).expect("a file");
    let url = format!("url: orders\n    format: {format}");
    change(&project, "pipelines/p.yaml", "url: orders", &url);
    std::fs::write(project.path(&format!("orders/o.{format}")), content).expect("a file");
    project
}

/// What a run of it says.
fn said(format: &str, content: &str) -> String {
    run(&text(format, content.as_bytes()))
}

#[test]
fn another_separator_is_named() {
    let rows = "order_id;customer_id;ordered_at;amount\n1;7;2024-01-05;20,00\n";
    assert_snapshot!(said("csv", rows), @r#"
    error: the fields of the file are separated by something else
    --> [TMP]/orders/o.csv
     = found: order_id;customer_id;ordered_at;amount
     = help: the first line looks separated by `;`: say `delimiter: ";"` for this source; a number with a comma is read by `cast(replace(amount, ',', '.') as decimal(18,2))`
    exit 1
    "#);
    let tabs = said("csv", &rows.replace(';', "\t"));
    assert!(tabs.contains("say `delimiter: \"tab\"` for this source"), "{tabs}");
}

#[test]
fn json_that_is_read_as_csv_is_told() {
    assert_snapshot!(said("csv", "{\"order_id\":1,\"customer_id\":7}\n"), @r#"
    error: the file is JSON, not CSV
    --> [TMP]/orders/o.csv
     = found: {"order_id":1,"customer_id":7}
     = help: say `format: json` for this source
    exit 1
    "#);
}

#[test]
fn csv_that_is_read_as_json_is_told() {
    assert_snapshot!(said("json", "order_id,customer_id\n1,7\n"), @"
    error: the file is not JSON
    --> [TMP]/orders/o.json
     = found: order_id,customer_id
     = help: `format: json` reads one object a line; if it is CSV, say `format: csv`
    exit 1
    ");
}

#[test]
fn objects_that_are_not_on_lines_of_their_own_are_told() {
    assert_snapshot!(said("json", "[{\"order_id\":1},\n{\"order_id\":2}]\n"), @r#"
    error: the file is one JSON array, not one object a line
    --> [TMP]/orders/o.json
     = found: [{"order_id":1},
     = help: `format: json` reads one whole object a line: `jq -c '.[]'` makes such lines of an array, `jq -c .` of objects
    exit 1
    "#);
    assert_snapshot!(said("json", "{\n\"order_id\":1\n}\n"), @"
    error: line 1 of the file is not a JSON object
    --> [TMP]/orders/o.json:1
     = found: {
     = cause: no key begins at character 2
     = help: correct the line: `format: json` reads one whole object a line; `jq -c .` makes such lines of objects that stand on several
    exit 1
    ");
}

#[test]
fn an_empty_text_is_told() {
    assert_snapshot!(said("json", ""), @"
    error: the file is empty
    --> [TMP]/orders/o.json
     = help: leave empty files out of `url`
    exit 1
    ");
    assert_snapshot!(said("csv", ""), @"
    error: the file has no header line
    --> [TMP]/orders/o.csv
     = help: leave empty files out of `url`
    exit 1
    ");
}

#[test]
fn a_text_that_is_read_as_parquet_is_told_by_its_name() {
    let project = small();
    project.file("orders/o.csv", "order_id,customer_id\n1,7\n");
    change(&project, "pipelines/p.yaml", "url: orders", "url: orders/o.csv");
    assert_snapshot!(run(&project), @"
    error: not a Parquet file, or one cut short
    --> [TMP]/orders/o.csv
     = cause: Parquet error: Parquet error: Invalid Parquet file. Corrupt footer
     = note: 25 bytes
     = help: if it is what its name says, say `format: csv` for this source
    exit 1
    ");
}

#[test]
fn a_parquet_file_that_is_read_as_csv_is_told() {
    assert_snapshot!(said("csv", "PAR1\u{0}\u{1}"), @"
    error: the file is a Parquet file
    --> [TMP]/orders/o.csv
     = help: say `format: parquet` for this source
    exit 1
    ");
}

#[test]
fn a_line_with_another_number_of_fields_is_named() {
    let rows = "order_id,customer_id,ordered_at,amount\n1,7,2024-01-05,20.00\n";
    assert_snapshot!(said("csv", &format!("{rows}2,7,2024-01-06,20,00\n")), @"
    error: line 3 of the file has 5 fields, its header 4
    --> [TMP]/orders/o.csv:3
     = help: correct the line: a value with a comma or a line break in it stands in double quotes, and each quote is closed
    exit 1
    ");
    let cut = said("csv", &format!("{rows}2,7,2024-01"));
    assert!(cut.starts_with("error: line 3 of the file has 3 fields, its header 4\n"), "{cut}");
}

#[test]
fn a_line_that_is_not_utf_8_is_named() {
    let rows = b"order_id,customer_id,ordered_at,amount,store\n1,7,2024-01-05,20.00,K\xf6ln\n";
    assert_snapshot!(run(&text("csv", rows)), @"
    error: line 2 of the file is not UTF-8
    --> [TMP]/orders/o.csv:2
     = found: field 5
     = help: write the file as UTF-8, such as with `iconv -f WINDOWS-1252 -t UTF-8`
    exit 1
    ");
}

#[test]
fn a_text_of_two_bytes_a_character_is_told_how_to_be_converted() {
    let rows = "order_id,customer_id,ordered_at,amount\n1,7,2024-01-05,20.00\n";
    let encoded = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    assert_snapshot!(run(&text("csv", &encoded(&format!("\u{feff}{rows}")))), @"
    error: the file is UTF-16, not UTF-8
    --> [TMP]/orders/o.csv
     = help: write the file as UTF-8, such as with `iconv -f UTF-16 -t UTF-8`
    exit 1
    ");
    // Without the mark that says which byte is first.
    let said = run(&text("csv", &encoded(rows)));
    assert!(said.contains("`iconv -f UTF-16LE -t UTF-8`"), "{said}");
}

#[test]
fn a_line_that_is_no_json_object_is_named() {
    let row = "{\"order_id\":1,\"customer_id\":7,\"ordered_at\":\"2024-01-05\",\"amount\":2.5}\n";
    assert_snapshot!(said("json", &format!("{row}\nhello\n{row}")), @"
    error: line 3 of the file is not a JSON object
    --> [TMP]/orders/o.json:3
     = found: hello
     = cause: no object begins at character 1
     = help: correct the line: `format: json` reads one whole object a line; `jq -c .` makes such lines of objects that stand on several
    exit 1
    ");
    let cut = said("json", &format!("{row}{{\"order_id\":2,\"customer_id\""));
    assert!(cut.starts_with("error: line 2 of the file is not a JSON object\n"), "{cut}");
}
