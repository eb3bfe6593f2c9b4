//! Texts that are broken in small ways, held against parsers as simple as can be:
//! what is read is all there is, and what is no CSV or JSON is refused.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use datafusion::error::DataFusionError;
use futures::{StreamExt, TryStreamExt};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::bytes::Chunks;
use super::shape::{Columns, Fields};
use super::{Fault, csv, grammar, json};
use crate::plan::{CsvStyle, Delimiter, Escape};

/// A number below a limit.
fn below(random: &mut ChaCha8Rng, limit: usize) -> usize {
    let drawn = usize::try_from(random.next_u32()).expect("32 bits");
    drawn % limit.max(1)
}

/// A text in pieces as a store may send it.
fn pieces(text: &str, random: &mut ChaCha8Rng) -> Chunks {
    let mut rest = text.as_bytes();
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at((below(random, 40) + 1).min(rest.len()));
        chunks.push(Ok(Bytes::copy_from_slice(chunk)));
        rest = behind;
    }
    futures::stream::iter(chunks).boxed()
}

/// The text with some characters taken out, put in, doubled or exchanged.
fn mutated(text: &str, alphabet: &[char], random: &mut ChaCha8Rng) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=below(random, 3) {
        let at = below(random, chars.len());
        let new = alphabet[below(random, alphabet.len())];
        match below(random, 4) {
            0 => drop(chars.remove(at)),
            1 => chars.insert(at, new),
            2 => chars[at] = new,
            _ => chars.truncate(at.max(1)),
        }
        if chars.is_empty() {
            chars.push('x');
        }
    }
    chars.into_iter().collect()
}

const CSV: &str = "id,name,note\r\n1,\"a, b\",x\n2,\"say \"\"hi\"\"\",\"two\nlines\"\n\n3,c,\n4,\"\",\"y\"\n5,d 5\" e,z\n";

/// Records by the standard, character by character; none where it is no CSV.
fn strict(text: &str, backslash: bool) -> Option<Vec<Vec<String>>> {
    let mut records = Vec::new();
    let mut record: Vec<String> = Vec::new();
    let (mut field, mut several) = (String::new(), false);
    let mut chars = text.chars().peekable();
    loop {
        let at_start = field.is_empty();
        match chars.next() {
            Some('"') if at_start => {
                loop {
                    match chars.next()? {
                        '\\' if backslash => {
                            let escaped = chars.next()?;
                            several |= matches!(escaped, '\n' | '\r');
                            field.push(escaped);
                        }
                        '"' if chars.peek() == Some(&'"') => field.extend(chars.next()),
                        '"' => break,
                        other => {
                            several |= matches!(other, '\n' | '\r');
                            field.push(other);
                        }
                    }
                }
                if !matches!(chars.peek(), None | Some(',' | '\n' | '\r')) {
                    return None;
                }
                match chars.next() {
                    Some(',') => record.push(std::mem::take(&mut field)),
                    _ => {
                        record.push(std::mem::take(&mut field));
                        records.push(std::mem::take(&mut record));
                    }
                }
            }
            // A quote in a value without quotes may be one that is missing elsewhere.
            Some('"') if several => return None,
            Some(',') => record.push(std::mem::take(&mut field)),
            end @ (None | Some('\n' | '\r')) => {
                if !(record.is_empty() && field.is_empty()) {
                    record.push(std::mem::take(&mut field));
                    records.push(std::mem::take(&mut record));
                }
                if end.is_none() {
                    let width = records.first().map_or(0, Vec::len);
                    return records.iter().all(|record| record.len() == width).then_some(records);
                }
            }
            Some(other) => field.push(other),
        }
    }
}

/// The values of batches, null as an empty text.
fn cells(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for batch in batches {
        let options = FormatOptions::default();
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).expect("shown"))
            .collect();
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|column| column.value(row).to_string()).collect());
        }
    }
    rows
}

async fn read_csv(
    text: Chunks,
    columns: usize,
    escape: Escape,
) -> Result<Vec<Vec<String>>, DataFusionError> {
    let fields: Vec<Field> =
        (0..columns).map(|n| Field::new(format!("c{n}"), DataType::Utf8, true)).collect();
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let style = CsvStyle { delimiter: Delimiter::Comma, escape };
    let rows = csv::rows(text, style, &schema, (0..columns).collect(), 3, |_| {});
    Ok(cells(&rows.try_collect::<Vec<_>>().await?))
}

#[tokio::test]
async fn broken_csv_is_read_as_it_is_or_refused() {
    let alphabet = ['"', '"', ',', '\n', '\r', '\\', 'a', '1', ' '];
    let mut random = ChaCha8Rng::seed_from_u64(18);
    let (mut accepted, mut refused) = (0, 0);
    for case in 0..6_000 {
        let text = mutated(CSV, &alphabet, &mut random);
        let (escape, backslash) = match case % 3 {
            0 => (Escape::Backslash, true),
            _ => (Escape::Quote, false),
        };
        let expected = strict(&text, backslash);
        let width = expected.as_ref().and_then(|records| records.first()).map_or(3, Vec::len);
        let found = read_csv(pieces(&text, &mut random), width, escape).await;
        match (expected, found) {
            (Some(mut records), Ok(found)) => {
                records.drain(..1.min(records.len()));
                assert_eq!(found, records, "{text:?}");
                accepted += 1;
            }
            (None, Err(_)) => refused += 1,
            (expected, found) => panic!("{text:?}: {expected:?}, but {found:?}"),
        }
    }
    assert!(accepted > 500 && refused > 1_000, "{accepted} accepted, {refused} refused");
}

#[tokio::test]
async fn the_line_of_a_quote_is_named() {
    let fault = async |text: &str| {
        let whole = futures::stream::iter([Ok(Bytes::copy_from_slice(text.as_bytes()))]).boxed();
        let error = read_csv(whole, 2, Escape::Quote).await.expect_err("no CSV");
        Fault::of(&error).cloned().unwrap_or_else(|| panic!("{error}"))
    };
    let never = |opened| Fault::NeverClosed { opened, backslash: None };
    assert_eq!(fault("a,b\n1,\"x\n2,y\n").await, never(2));
    assert_eq!(fault("\n\r\n\ra,b\r\n\"1\r\n2\",x\r\n3,\"\r\n4,y").await, never(7));
    let after = |opened, line| Fault::AfterQuote { opened, line, backslash: None };
    assert_eq!(fault("a,b\n1,\"x\" y\n").await, after(2, 2));
    assert_eq!(fault("a,b\n1,\"x\n2,\"y\"\n").await, after(2, 3));
    let backslash = Some(2);
    let expected = Fault::AfterQuote { opened: 2, line: 4, backslash };
    assert_eq!(fault("a,b\n1,\"5\\\"\"\n2,y\n3,\"z\"\n").await, expected);
    let expected = Fault::Ambiguous { opened: 2, line: 4, backslash: None };
    assert_eq!(fault("a,b\n1,\"x\n2,y\n3,\",z\"\n").await, expected);
}

const JSON: &str = "{\"id\": 7, \"amount\": 12.50, \"note\": \"a\\u00e9\\\"b\", \"who\": {\"id\": null, \"tags\": [1, 2.5]}}\n\n{\"amount\": -0.285e1, \"id\": \"00007\", \"who\": null, \"ok\": true}\n{\"id\":8,\"amount\":19,\"amount\":1E-3,\"late\":[{\"x\":\"y\"}]}\n";

/// How many objects there are, one a line; or what is wrong.
fn objects(text: &str) -> Result<usize, serde_json::Error> {
    let lines = text.split('\n').filter(|line| !line.trim_ascii().is_empty());
    let lines: Vec<&str> = lines.collect();
    for line in &lines {
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line)?;
    }
    Ok(lines.len())
}

async fn columns(text: Chunks) -> Result<Columns, DataFusionError> {
    json::columns(text, Arc::new(|_: &str| true), 2).await
}

#[tokio::test]
async fn broken_json_is_read_as_it_is_or_refused() {
    let alphabet = ['"', '{', '}', '[', ']', ',', ':', '\\', '\n', '0', '.', 'e', '-', 'u', ' '];
    let mut random = ChaCha8Rng::seed_from_u64(19);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..4_000 {
        let text = mutated(JSON, &alphabet, &mut random);
        let expected = objects(&text);
        let found = columns(pieces(&text, &mut random)).await;
        match (expected, &found) {
            (Ok(count), Ok(columns)) => {
                assert_eq!(columns.records, count as u64, "{text:?}");
                accepted += 1;
            }
            (Err(_), Err(_)) => refused += 1,
            // The other parser reads numbers as doubles.
            (Err(error), Ok(_)) if error.to_string().contains("number out of range") => {}
            (expected, found) => panic!("{text:?}: {expected:?}, but {found:?}"),
        }
        let Ok(columns) = found else { continue };
        let schema: SchemaRef = Arc::new(columns.schema());
        let rows = json::rows(pieces(&text, &mut random), &schema, 2, 2, |_| {});
        let rows: Vec<RecordBatch> =
            rows.try_collect().await.unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let count = rows.iter().map(RecordBatch::num_rows).sum::<usize>() as u64;
        assert_eq!(count, columns.records, "{text:?}");
    }
    assert!(accepted > 500 && refused > 1_000, "{accepted} accepted, {refused} refused");
}

/// A number as its digits and the place of the point, whichever way it is written.
fn value(number: &str) -> (bool, String, i64) {
    let lower = number.to_lowercase();
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((lower.as_str(), "0"));
    let negative = mantissa.starts_with('-');
    let (whole, behind) = mantissa
        .trim_start_matches('-')
        .split_once('.')
        .unwrap_or_else(|| (mantissa.trim_start_matches('-'), ""));
    let mut exponent =
        exponent.parse::<i64>().expect("an exponent") - i64::try_from(behind.len()).expect("short");
    let digits = format!("{whole}{behind}");
    let mut digits = digits.trim_start_matches('0').to_string();
    while digits.ends_with('0') {
        digits.pop();
        exponent += 1;
    }
    match digits.is_empty() {
        true => (false, digits, 0),
        false => (negative, digits, exponent),
    }
}

/// Numbers of a file are exactly those that were written, whatever stands beside
/// them.
#[tokio::test]
async fn numbers_are_exact() {
    let mut random = ChaCha8Rng::seed_from_u64(20);
    let digits = |random: &mut ChaCha8Rng, most: usize| {
        let count = below(random, most) + 1;
        (0..count).map(|_| char::from(b'0' + below(random, 10) as u8)).collect::<String>()
    };
    for _ in 0..2_000 {
        let numbers: Vec<String> = (0..=below(&mut random, 4))
            .map(|_| {
                let sign = if below(&mut random, 3) == 0 { "-" } else { "" };
                let whole = digits(&mut random, 20);
                let whole = match whole.trim_start_matches('0') {
                    "" => "0",
                    whole => whole,
                };
                let behind = match below(&mut random, 3) {
                    0 => format!(".{}", digits(&mut random, 18)),
                    _ => String::new(),
                };
                let exponent = match below(&mut random, 4) {
                    0 => format!("e{}", below(&mut random, 30) as i64 - 15),
                    _ => String::new(),
                };
                format!("{sign}{whole}{behind}{exponent}")
            })
            .collect();
        let text: String = numbers.iter().map(|n| format!("{{\"n\":{n}}}\n")).collect();
        let found = columns(pieces(&text, &mut random)).await.expect("JSON");
        let schema: SchemaRef = Arc::new(found.schema());
        let rows = json::rows(pieces(&text, &mut random), &schema, 100, 1, |_| {});
        let rows: Vec<RecordBatch> =
            rows.try_collect().await.unwrap_or_else(|error| panic!("{text}: {error}"));
        let kind = schema.field(0).data_type();
        for (written, read) in numbers.iter().zip(cells(&rows)) {
            assert_eq!(value(written), value(&read[0]), "{text} as {kind}");
        }
    }
}

/// The type of the only column of some values.
fn type_of(values: &[&str]) -> Option<DataType> {
    let mut fields = Fields::default();
    for (line, value) in (1..).zip(values) {
        grammar::record(&format!("{{\"v\":{value}}}"), line, &mut fields).expect("JSON");
    }
    let schema = Columns { fields, records: 0 }.schema();
    schema.fields().first().map(|field| field.data_type().clone())
}

#[test]
fn a_type_holds_every_value() {
    use DataType::{Boolean, Decimal128, Int64, Null, Utf8};
    for (values, expected) in [
        (&["null"][..], Some(Null)),
        (&["7", "null", "-9223372036854775808"], Some(Int64)),
        (&["9223372036854775808"], Some(Decimal128(38, 0))),
        (&["10", "19.99"], Some(Decimal128(18, 2))),
        (&["10", "0.285"], Some(Decimal128(24, 6))),
        (&["19.990000000000002"], Some(Decimal128(36, 18))),
        (&["1e1"], Some(Decimal128(18, 2))),
        (&["1e300"], Some(Utf8)),
        (&["\"00007\"", "7"], Some(Utf8)),
        (&["true", "false"], Some(Boolean)),
        (&["true", "1"], Some(Utf8)),
        (&["10.5", "{\"value\":10.5}"], None),
        (&["[1]", "{}"], None),
    ] {
        assert_eq!(type_of(values), expected, "{values:?}");
        let backwards: Vec<&str> = values.iter().rev().copied().collect();
        assert_eq!(type_of(&backwards), expected, "{backwards:?}");
    }
    let fields = vec![Field::new("a", Int64, true), Field::new("b", Utf8, true)];
    let expected = DataType::Struct(fields.into());
    assert_eq!(type_of(&["{\"b\":\"x\"}", "null", "{\"a\":1,\"b\":2}"]), Some(expected));
}

/// Lines that a fault tells, wherever the file is cut into blocks.
#[tokio::test]
async fn a_line_is_named_in_a_long_file() {
    let line = format!("{{\"a\":1,\"b\":\"{}\"}}\n", "x".repeat(500));
    let good: String = line.repeat(9_000);
    for (bad, expected) in [("{\"a\":NaN}", "no value begins"), ("{} {}", "something follows")] {
        let text = format!("{good}\n\n{bad}\n{good}");
        let whole = futures::stream::iter([Ok(Bytes::from(text))]).boxed();
        let error: DataFusionError = columns(whole).await.expect_err("no JSON");
        match Fault::of(&error) {
            Some(Fault::NotAnObject { line: 9_003, why, .. }) => {
                assert!(why.starts_with(expected), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }
}
