//! What a file seems to be that is not what its source says: by how it begins,
//! or by its name.

use super::malformed::{AS_UTF_8, beginning};
use crate::plan::{Delimiter, FileFormat};
use crate::problem::Problem;

/// That a text file is of the format its source says, as far as its first bytes
/// tell.
///
/// # Errors
/// What it seems to be, and what to say or to do instead.
pub fn other_than(format: FileFormat, lead: &[u8], place: &str) -> Result<(), Problem> {
    if let Some(encoding) = utf_16(lead) {
        let problem = Problem::named(place, "the file is UTF-16, not UTF-8");
        let convert = format!("such as with `iconv -f {encoding} -t UTF-8`");
        return Err(problem.help(format!("write the file as UTF-8, {convert}")));
    }
    let lead = lead.trim_ascii_start();
    let line = lead.split(|byte| *byte == b'\n').next().unwrap_or(lead).trim_ascii_end();
    let found = |message: &str, help: String| {
        Err(Problem::named(place, message).note("found", beginning(line)).help(help))
    };
    if lead.starts_with(b"PK\x03\x04") {
        let problem = Problem::named(place, "the file is a zip archive, as workbooks of Excel are");
        return Err(problem.help("save the sheet as `CSV UTF-8`, or unpack the archive"));
    }
    // Behind the mark of Parquet stand numbers, behind a column of that name text.
    let is_number = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
    if lead.starts_with(b"PAR1") && lead.get(4).is_some_and(is_number) {
        let problem = Problem::named(place, "the file is a Parquet file");
        return Err(problem.help("say `format: parquet` for this source"));
    }
    if std::str::from_utf8(line).is_err_and(|error| error.error_len().is_some()) {
        let problem = Problem::named(place, "the first line of the file is not UTF-8");
        return Err(problem.note("found", beginning(line)).help(AS_UTF_8));
    }
    match format {
        FileFormat::Csv(_) if is_json(lead) => {
            let help = match lead.first() {
                Some(b'[') => ONE_A_LINE,
                _ => "say `format: json` for this source",
            };
            found("the file is JSON, not CSV", help.into())
        }
        FileFormat::Csv(style) => match separator(line, style.delimiter) {
            Some(word) => found(
                "the fields of the file are separated by something else",
                format!(
                    "the first line looks separated by `{word}`: say `delimiter: \"{word}\"` for \
                     this source; a number with a comma is read by `cast(replace(amount, ',', '.') \
                     as decimal(18,2))`"
                ),
            ),
            None => Ok(()),
        },
        FileFormat::Json if lead.is_empty() => {
            let problem = Problem::named(place, "the file is empty");
            Err(problem.help("leave empty files out of `url`"))
        }
        FileFormat::Json if lead.starts_with(b"[") => {
            found("the file is one JSON array, not one object a line", ONE_A_LINE.into())
        }
        FileFormat::Json if !lead.starts_with(b"{") => found(
            "the file is not JSON",
            "`format: json` reads one object a line; if it is CSV, say `format: csv`".into(),
        ),
        FileFormat::Json | FileFormat::Parquet | FileFormat::Delta(_) => Ok(()),
    }
}

/// What iconv calls the encoding of a text whose characters have two bytes each: it
/// begins with a mark, or with letters of which every other byte is zero.
fn utf_16(lead: &[u8]) -> Option<&'static str> {
    match lead {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        [a, 0, b, 0, ..] if *a > 0 && *b > 0 => Some("UTF-16LE"),
        [0, a, 0, b, ..] if *a > 0 && *b > 0 => Some("UTF-16BE"),
        _ => None,
    }
}

/// The next move where objects are not on lines of their own.
const ONE_A_LINE: &str = "`format: json` reads one whole object a line: `jq -c '.[]'` makes such \
                          lines of an array, `jq -c .` of objects";

/// That no columns were found.
pub fn no_columns(format: FileFormat, place: &str) -> Problem {
    match format {
        FileFormat::Json => {
            Problem::named(place, "no line of the file is a JSON object").help(ONE_A_LINE)
        }
        FileFormat::Csv(_) | FileFormat::Parquet | FileFormat::Delta(_) => {
            Problem::named(place, "the file has no header line")
                .help("leave empty files out of `url`")
        }
    }
}

/// What helps where two columns of a file have one name.
pub fn one_name_each(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Csv(_) => {
            "give each a name of its own in the header line; a file without such a line needs one"
        }
        FileFormat::Json | FileFormat::Parquet | FileFormat::Delta(_) => {
            "write the file with one name for each"
        }
    }
}

/// The format whose files are called like this one, if it is not Parquet.
pub fn by_name(place: &str) -> Option<&'static str> {
    let name = place.to_lowercase();
    let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
    match name.rsplit_once('.')?.1 {
        "csv" => Some("csv"),
        "json" | "jsonl" | "ndjson" => Some("json"),
        _ => None,
    }
}

/// An object, or an array of something: no header begins with a bracket and a
/// quote behind it.
fn is_json(lead: &[u8]) -> bool {
    let Some((b'{' | b'[', rest)) = lead.split_first() else { return false };
    matches!(rest.trim_ascii_start().first(), Some(b'"' | b'{' | b'['))
}

/// What stands between the three fields or more of a header without the delimiter;
/// once may be part of a name, and so may what is quoted.
fn separator(line: &[u8], delimiter: Delimiter) -> Option<&'static str> {
    let outside = line.split(|byte| *byte == b'"').step_by(2);
    let outside: Vec<u8> = outside.flatten().copied().collect();
    if outside.contains(&delimiter.byte()) {
        return None;
    }
    let is_between = |byte: u8| outside.iter().filter(|other| **other == byte).count() > 1;
    let known = Delimiter::ALL.into_iter();
    known.rev().find(|(_, other)| is_between(other.byte())).map(|(word, _)| word)
}
