//! CSV and JSON as programs write them and people break them: every order that is
//! in a file counts, or the run stops and names the line.

use std::io::Write;

use super::{paths, pipeline};
use crate::project::Project;

const HEADER: &str = "order_id,customer_id,ordered_at,amount,campaign\n";

/// A project whose orders are one file.
fn of(file: &str, content: &[u8], more: &str) -> Project {
    let project = Project::new();
    let format = if file.to_lowercase().contains("json") { "json" } else { "csv" };
    project.file(&format!("orders/{file}"), "");
    std::fs::write(project.path(&format!("orders/{file}")), content).expect("a file");
    pipeline(&project, &format!("url: orders\nformat: {format}\n{more}"), "facts.orders");
    project
}

/// What a run publishes: these columns of orders.
fn published(project: &Project, columns: &[&str]) -> Vec<String> {
    project.run("2026-06-30");
    project.rows("facts.orders", columns)
}

/// What a run says that ends badly.
fn refused(project: &Project) -> String {
    let outcome = project.tenure(&["run", "pipelines/p.yaml", "--as-of", "2026-06-30"]);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    outcome.stderr
}

fn csv(rows: &str) -> Project {
    of("o.csv", format!("{HEADER}{rows}").as_bytes(), "")
}

fn json(lines: &str) -> Project {
    of("o.jsonl", lines.as_bytes(), "")
}

/// A line of JSON.
fn line(id: usize, rest: &str) -> String {
    format!("{{\"order_id\":{id},\"customer_id\":7,\"ordered_at\":\"2026-01-05\",{rest}}}\n")
}

#[test]
fn quotes_that_do_not_match_stop_a_run() {
    for (rows, place, words) in [
        (
            "1,7,2026-01-05,10,web\n2,8,2026-01-06,20,\"shop\n3,9,2026-01-07,30,web\n",
            3,
            "never closed",
        ),
        ("1,7,2026-01-05,10,\"web\n2,8,2026-01-06,20,\"shop\"\n", 2, "closed in line 3 only"),
        ("1,7,2026-01-05,10,\"web\" x\n", 2, "text follows the closing quote"),
        ("1,7,2026-01-05,10,\"web\n2,8,2026-01-06,20,\",x\"\n", 2, "line 3 has a quote"),
        ("\r\n1,7,2026-01-05,10,\"a\r\nb\"\r\n2,8,2026-01-06,20,\"shop\r\n", 5, "never closed"),
        ("1,7,2026-01-05,10,web\n2,8,2026-01-06,20,\"", 3, "never closed"),
        ("1,7,2026-01-05,10,\"web\n2,8,2026-01-06,20,x\n3,9,2026-01-06,20,shop\"", 2, "each of"),
    ] {
        let said = refused(&csv(rows));
        assert!(said.contains(words) && said.contains(&format!("o.csv:{place}\n")), "{said}");
        assert!(said.contains(&format!("correct line {place}")), "{said}");
    }
    let header = of("o.csv", b"order_id,\"customer_id,ordered_at,amount\n1,7,2026-01-05,10\n", "");
    let said = refused(&header);
    assert!(said.contains("the quote that opens in line 1 of the file is never closed"), "{said}");
}

/// Spark and MySQL write a quote as `\"`.
#[test]
fn a_backslash_before_a_quote_is_told_and_can_be_read() {
    let rows = "1,7,2026-01-05,10,\"tv 5\\\"\"\n2,8,2026-01-06,20,plain\n\
                3,9,2026-01-07,30,\"x\"\n4,9,2026-01-08,40,\"a, \\\\ b\"\n";
    let said = refused(&csv(rows));
    assert!(
        said.contains("line 2 has `\\\"`") && said.contains("say `escape: backslash`"),
        "{said}"
    );
    let told = of("o.csv", format!("{HEADER}{rows}").as_bytes(), "escape: backslash");
    let orders = published(&told, &["order_id", "net"]);
    assert_eq!(orders, ["1 10.00", "2 20.00", "3 30.00", "4 40.00"]);
    let table = told.tenure(&["show", "pipelines/p.yaml", "facts.orders", "--format", "json"]);
    assert!(table.stdout.contains(r#""tv 5\"""#), "{}", table.stdout);
    assert!(table.stdout.contains(r#""a, \\ b""#), "{}", table.stdout);
}

#[test]
fn an_escape_is_for_csv_alone() {
    let project = of("o.jsonl", line(1, "\"amount\":1").as_bytes(), "escape: backslash");
    let outcome = project.tenure(&["check", "pipelines/p.yaml"]);
    assert_eq!(outcome.code, 2);
    assert!(outcome.stderr.contains("only CSV has an escape"), "{}", outcome.stderr);
    let project = of("o.csv", HEADER.as_bytes(), "escape: backslsh");
    let outcome = project.tenure(&["check", "pipelines/p.yaml"]);
    assert!(outcome.stderr.contains("no escape `backslsh`"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("did you mean `backslash`"), "{}", outcome.stderr);
}

#[test]
fn csv_of_every_kind_is_read_whole() {
    for (what, rows) in [
        ("line breaks in values", "1,7,2026-01-05,10,\"a\nb\r\nc\"\n2,8,2026-01-06,20,x\n"),
        ("doubled quotes", "1,7,2026-01-05,10,\"say \"\"hi\"\"\"\n2,8,2026-01-06,20,\"\"\"\"\n"),
        ("a quote within a value", "1,7,2026-01-05,10,tv 5\" x\n2,8,2026-01-06,20,6\"\n"),
        ("line ends of Windows", "1,7,2026-01-05,10,\"a\"\r\n2,8,2026-01-06,20,\"\"\r\n"),
        ("line ends of old", "1,7,2026-01-05,10,\"a\"\r2,8,2026-01-06,20,b\r"),
        ("empty lines", "\n\n1,7,2026-01-05,10,\"a\"\n\n2,8,2026-01-06,20,b\n\n"),
        ("no end of the last line", "1,7,2026-01-05,10,a\n2,8,2026-01-06,20,\"b\""),
        ("a backslash at an end", "1,7,2026-01-05,10,\"C:\\\"\n2,8,2026-01-06,20,C:\\\n"),
    ] {
        // A column that is not published: its line breaks would not be in one row.
        let text = format!("{HEADER}{rows}").replace("campaign", "note");
        let orders = published(&of("o.csv", text.as_bytes(), ""), &["order_id", "net"]);
        assert_eq!(orders, ["1 10.00", "2 20.00"], "{what}");
    }
}

#[test]
fn a_line_is_counted_as_an_editor_counts_it() {
    for (text, line) in [
        (format!("{HEADER}1,7,2026-01-05,10,\"a\nb\nc\nd\"\n2,8,2026-01-06,20\n"), 6),
        (format!("\n\n\n{HEADER}1,7,2026-01-05,10,x\n2,8,2026-01-06\n"), 6),
        (format!("{HEADER}1,7,2026-01-05,10,x\r\n\r\n2,8,2026-01-06,10,a,b\r\n"), 4),
    ] {
        let said = refused(&of("o.csv", text.as_bytes(), ""));
        assert!(said.starts_with(&format!("error: line {line} of the file has")), "{said}");
    }
    let mut text = format!("{HEADER}1,7,2026-01-05,10,\"a\nb\"\n2,8,2026-01-06,20,").into_bytes();
    text.extend(b"K\xf6ln\n");
    let said = refused(&of("o.csv", &text, ""));
    assert!(said.starts_with("error: line 4 of the file is not UTF-8\n"), "{said}");
}

fn gzip(text: &str) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(text.as_bytes()).expect("written");
    writer.finish().expect("whole")
}

/// What a file is packed with is told by its bytes, whatever it is called.
#[test]
fn files_may_be_packed_or_not() {
    let rows = format!("{HEADER}1,7,2026-01-05,10,web\n");
    let second = rows.replace("\n1,", "\n2,");
    let half = rows.len() / 2;
    let members = [gzip(&rows[..half]), gzip(&rows[half..])].concat();
    let frames = [&rows[..half], &rows[half..]]
        .map(|part| zstd::encode_all(part.as_bytes(), 1).expect("packed"))
        .concat();
    for (name, content) in [
        ("O.CSV.GZ", gzip(&rows)),
        ("o.csv", gzip(&rows)),
        ("o.csv.gz", members),
        ("o.csv.zst", frames),
        ("o.csv.gz", rows.clone().into_bytes()),
    ] {
        let project = of(name, &content, "");
        project.file("orders/p.csv", &second);
        assert_eq!(published(&project, &["order_id"]), ["1", "2"], "{name}");
    }
    let many: String = (0..5_000).map(|n| format!("{n},7,2026-01-05,10,{}\n", n * n)).collect();
    let packed = gzip(&format!("{HEADER}{many}"));
    for name in ["o.csv.gz", "o.csv"] {
        let said = refused(&of(name, &packed[..packed.len() - 100], ""));
        assert!(said.contains("cut short"), "{said}");
    }
    let lines: String = (0..5_000).map(|n| line(n, "\"amount\":1.5")).collect();
    let packed = zstd::encode_all(lines.as_bytes(), 1).expect("packed");
    let said = refused(&of("o.jsonl.zst", &packed[..packed.len() - 100], ""));
    assert!(said.contains("cut short"), "{said}");
    assert_eq!(published(&of("o.jsonl", &packed, ""), &["order_id"]).len(), 5_000);
}

#[test]
fn what_is_no_text_is_told() {
    for (content, words) in [
        (&b"PK\x03\x04\x14\x00\x00\x00"[..], "a zip archive"),
        (b"order_id,customer_id,ordered_at,amount,Gr\xf6\xdfe\n1,7,2026-01-05,10,M\n", "UTF-8"),
        (b"\"order_id\";\"customer_id\";\"ordered_at\";\"amount\"\n", "looks separated by `;`"),
    ] {
        let said = refused(&of("o.csv", content, ""));
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_header_may_end_in_empty_names() {
    let text = "order_id,customer_id,ordered_at,amount,,\n1,7,2026-01-05,10,,\n";
    assert_eq!(published(&of("o.csv", text.as_bytes(), ""), &["order_id"]), ["1"]);
}

/// Lines of JSON far longer than what was once looked at.
fn many(last: &str) -> String {
    let mut lines: String = (1..=20_000).map(|id| line(id, "\"amount\":10")).collect();
    lines += last;
    lines
}

#[test]
fn a_key_may_come_late() {
    let last = line(20_001, "\"amount\":4,\"kind\":\"redemption\"")
        + &line(20_002, "\"amount\":4,\"discount\":1.5");
    let project = json(&many(&last));
    let orders = published(&project, &["order_id", "kind", "net"]);
    assert_eq!(orders.len(), 20_002);
    assert!(orders.contains(&"20001 redemption 0.00".into()));
    let discounts = project.rows("facts.orders", &["order_id", "discount"]);
    assert!(discounts.contains(&"20002 1.50".into()));
    let columns = "columns:\n  order_id: order_id\n  customer_id: who['id']\n  ordered_at: \
                   ordered_at\n  amount: amount\n  kind: kind";
    let who = |id: usize, who: &str| line(id, &format!("\"amount\":10,\"who\":{who}"));
    let guests: String = (1..=20_000).map(|id| who(id, "null")).collect();
    let late = format!("{guests}{}", who(20_001, "{\"name\":\"x\",\"id\":3},\"kind\":\"sale\""));
    let project = of("o.jsonl", late.as_bytes(), columns);
    assert_eq!(published(&project, &["order_id", "customer_id", "kind"]), ["20001 3 sale"]);
}

#[test]
fn numbers_may_change_late() {
    let project = json(&many(&line(20_001, "\"amount\":19.99")));
    let orders = published(&project, &["net"]);
    assert_eq!(orders.last().map(String::as_str), Some("19.99"));
    let mut ids = many("");
    ids += &line(0, "\"amount\":10").replace("\"order_id\":0", "\"order_id\":\"00007\"");
    let orders = published(&json(&ids), &["order_id"]);
    assert_eq!(orders.len(), 20_001);
    assert!(orders.contains(&"00007".into()) && orders.contains(&"7".into()));
}

#[test]
fn numbers_are_read_as_they_are_written() {
    let lines: String = ["0.285", "1e1", "2.5E0", "0.005", "999999999999.99", "1E-2"]
        .iter()
        .zip(1..)
        .map(|(amount, id)| line(id, &format!("\"amount\":{amount}")))
        .collect();
    let orders = published(&json(&lines), &["order_id", "gross", "refunded"]);
    assert_eq!(
        orders,
        [
            "1 0.29 0.00",
            "2 10.00 0.00",
            "3 2.50 0.00",
            "4 0.01 0.00",
            "5 999999999999.99 0.00",
            "6 0.01 0.00"
        ]
    );
    let ids = ["9007199254740993", "9007199254740992", "9223372036854775807"];
    let lines = ids.map(|id| line(0, "\"amount\":1").replace(":0,", &format!(":{id},"))).concat();
    let mut expected = ids.map(String::from);
    expected.sort();
    assert_eq!(published(&json(&lines), &["order_id"]), expected);
    let long = "12345678901234567890";
    let lines = format!("{lines}{}", line(0, "\"amount\":1").replace(":0,", &format!(":{long},")));
    assert!(published(&json(&lines), &["order_id"]).contains(&long.into()));
}

/// A store is the same whether a program writes a point or not.
#[test]
fn whole_numbers_with_a_point_are_texts_without_it() {
    let lines = format!(
        "{}{}",
        line(1, "\"amount\":1,\"store\":12"),
        line(2, "\"amount\":1,\"store\":12.0,\"channel\":1.50")
    );
    let orders = published(&json(&lines), &["order_id", "store", "channel"]);
    assert_eq!(orders, ["1 12 null", "2 12 1.5"]);
    // Ids too, and those of one customer stay those of one.
    let lines = format!("{}{}", line(1, "\"amount\":1"), line(2, "\"amount\":1"));
    let lines = lines.replacen("\"customer_id\":7", "\"customer_id\":7.0", 1);
    let orders = published(&json(&lines), &["order_id", "customer_id", "order_number"]);
    assert_eq!(orders, ["1 7 1", "2 7 2"]);
}

#[test]
fn a_value_that_becomes_an_object_is_named() {
    let project = json(&many(&line(20_001, "\"amount\":{\"value\":10.5}")));
    let said = refused(&project);
    assert!(said.contains("`amount` of source `orders` is an object in line 20001"), "{said}");
    assert!(said.contains("it is a number in line 1\n"), "{said}");
    // What nothing is made from may be whatever it is.
    let odd = line(20_001, "\"amount\":1,\"extra\":{\"a\":1}")
        + &line(20_002, "\"amount\":1,\"extra\":2");
    assert_eq!(published(&json(&many(&odd)), &["order_id"]).len(), 20_002);
    let columns = "columns:\n  order_id: order_id\n  customer_id: who['id']\n  ordered_at: \
                   ordered_at\n  amount: amount";
    let who =
        |id, meta: &str| line(id, &format!("\"amount\":1,\"who\":{{\"id\":{id},\"meta\":{meta}}}"));
    let lines = who(1, "1") + &who(2, "[]");
    let project = of("o.jsonl", lines.as_bytes(), columns);
    assert_eq!(published(&project, &["customer_id"]), ["1", "2"]);
}

#[test]
fn lines_that_are_no_json_are_named() {
    let good = line(1, "\"amount\":1");
    for (bad, words) in [
        ("{\"order_id\":2,\"amount\":NaN}\n", "no value begins at character 24"),
        ("{\"order_id\":2} {\"order_id\":3}\n", "something follows the object"),
        ("{\"order_id\":02}\n", "a comma or `}` is missing"),
        ("{\"order_id\":2\n}\n", "a comma or `}` is missing"),
        ("{\"note\":\"\\ud800\"}\n", "half a character is missing"),
        ("[]\n", "no object begins"),
    ] {
        let said = refused(&json(&format!("{good}\n{bad}{good}")));
        assert!(said.starts_with("error: line 3 of the file is not a JSON object"), "{said}");
        assert!(said.contains(words), "{said}");
    }
    let text = [good.as_bytes(), b"{\"note\":\"K\xf6ln\"}\n"].concat();
    let said = refused(&of("o.jsonl", &text, ""));
    assert!(said.starts_with("error: line 2 of the file is not UTF-8\n"), "{said}");
}

#[test]
fn odd_json_is_read() {
    let text = format!(
        "\u{feff}\r\n{}\r\n  {}",
        line(1, "\"amount\":1").trim_end(),
        line(2, "\"amount\":1,\"amount\":2,\"o\\u0072der_date\":\"x\"")
    );
    assert_eq!(published(&json(&text), &["order_id", "net"]), ["1 1.00", "2 2.00"]);
    let payload = "y".repeat(3_000_000);
    let text =
        line(1, &format!("\"amount\":1,\"payload\":\"{payload}\"")) + &line(2, "\"amount\":2");
    assert_eq!(published(&json(&text), &["order_id", "net"]), ["1 1.00", "2 2.00"]);
}

/// Files need not be alike: what stands beside a text in another file is a text,
/// and objects may have other keys.
#[test]
fn json_files_may_differ() {
    let project = Project::new();
    let who = |id: usize, who: &str, store: &str| {
        line(id, &format!("\"amount\":1,\"who\":{who},\"store\":{store}"))
    };
    project.file("orders/a.json", &who(1, "{\"id\":3,\"a\":{}}", "7"));
    project.file("orders/b.json", &who(2, "{\"id\":3,\"b\":1}", "\"007\""));
    project.file("orders/c.json", &who(3, "null", "null"));
    let source = "url: orders\nformat: json\ncolumns:\n  order_id: order_id\n  customer_id: \
                  who['id']\n  ordered_at: ordered_at\n  amount: amount\n  store: store";
    pipeline(&project, source, "facts.orders");
    let orders = published(&project, &["order_id", "customer_id", "store"]);
    assert_eq!(orders, ["1 3 7", "2 3 007"]);
    assert_eq!(project.rows("quarantine.orders", &["reason", "order_id"]), ["no_customer 3"]);
}

/// A night reads the file it brings; what is known of the others is kept, and is
/// not trusted when it has changed.
#[test]
fn columns_of_json_are_kept_between_runs() {
    let project = Project::new();
    for id in 1..=3 {
        project.file(&format!("orders/{id}.json"), &line(id, "\"amount\":10,\"kind\":\"sale\""));
    }
    pipeline(&project, "url: orders\nformat: json", "facts.orders");
    project.run("2026-06-30");
    let kept = project.path("out/_tenure/cache/columns/orders.json");
    let before = std::fs::read(&kept).expect("columns");
    project.file("orders/4.json", &line(4, "\"amount\":2.5"));
    project.run("2026-06-30");
    let orders = project.rows("facts.orders", &["order_id", "net"]);
    assert_eq!(orders, ["1 10.00", "2 10.00", "3 10.00", "4 2.50"]);
    let after = std::fs::read(&kept).expect("columns");
    assert_ne!(before, after);
    // Damaged, it is not used.
    let text = String::from_utf8(after).expect("JSON").replace("4.json", "5.json");
    std::fs::write(&kept, text).expect("written");
    project.file("orders/5.json", &line(5, "\"amount\":3.25,\"kind\":\"sale\""));
    project.run("2026-06-30");
    let orders = project.rows("facts.orders", &["order_id", "net"]);
    assert_eq!(orders.last().map(String::as_str), Some("5 3.25"));
    // Whoever maps a column anew finds it.
    let source = "url: orders\nformat: json\ncolumns:\n  order_id: order_id\n  customer_id: \
                  customer_id\n  ordered_at: ordered_at\n  amount: amount + 1\n  kind: kind";
    pipeline(&project, source, "facts.orders");
    project.run("2026-06-30");
    assert_eq!(paths(&project, "out/_tenure/cache/columns/*").len(), 1);
}
