//! A file that cannot be read as what it is said to be: which line of it, and
//! what to do. Runs only after something went wrong.

use std::error::Error;

use datafusion::error::DataFusionError;
use futures::TryStreamExt;

use super::failure::cause;
use super::source::Opened;
use crate::engine::files::TableFile;
use crate::engine::text::quotes::Quotes;
use crate::engine::text::shape::Clash;
use crate::engine::text::{Fault, bytes};
use crate::plan::{CsvStyle, FileFormat, SourcePlan};
use crate::problem::Problem;

/// Characters of a line shown; more would bury the message.
const SHOWN_CHARS: usize = 60;

/// What is wrong with a file whose rows cannot be read, whatever is made of
/// them; none where it is the store that fails, which names the file itself.
pub async fn problem(
    source: &SourcePlan,
    opened: &Opened,
    file: &TableFile,
    place: &str,
    error: &DataFusionError,
) -> Option<Problem> {
    let root = error.find_root();
    if matches!(root, DataFusionError::ObjectStore(_) | DataFusionError::ResourcesExhausted(_)) {
        return None;
    }
    if let Some(fault) = Fault::of(error) {
        return Some(faulty(source, place, fault));
    }
    let cause = cause(root);
    let is_text = matches!(source.format, FileFormat::Csv(_) | FileFormat::Json);
    if is_text && is_cut(&cause) {
        return Some(cut(place, &cause));
    }
    Some(match source.format {
        FileFormat::Csv(style) => csv(source, style, opened, file, place, &cause).await,
        FileFormat::Json => unreadable(source, place, &cause)
            .help("did the file change while it was read? run again"),
        FileFormat::Parquet if cause.contains("Required field") => unreadable(source, place, &cause)
            .note("note", "a page of it does not begin as Parquet's pages do: it is damaged, or its column is encrypted")
            .help("write the file again, without encryption, or leave it out of `url`"),
        FileFormat::Parquet => {
            unreadable(source, place, &cause).help("write the file again, or leave it out of `url`")
        }
        FileFormat::Delta(_) => unreadable(source, place, &cause).help(
            "restore the file, or read a version of the table in which it does not count (`version:`)",
        ),
    })
}

/// What is wrong with a file whose columns cannot be read.
pub fn unread(source: &SourcePlan, place: &str, error: &DataFusionError) -> Problem {
    if let Some(fault) = Fault::of(error) {
        return faulty(source, place, fault);
    }
    let root = error.find_root();
    let cause = cause(root);
    if is_cut(&cause) {
        return cut(place, &cause);
    }
    let below: &dyn Error = match root {
        DataFusionError::ObjectStore(error) => error.as_ref(),
        DataFusionError::IoError(error) => error,
        DataFusionError::ArrowError(error, _) => error.as_ref(),
        other => other,
    };
    Problem::named(place, "the columns of the file cannot be read").causes(below)
}

/// Whether a packed file ends too early, by what its decoders say.
fn is_cut(cause: &str) -> bool {
    let cause = cause.to_lowercase();
    let ends = ["unexpected end of file", "incomplete", "failed to fill whole buffer", "corrupt"];
    ends.iter().any(|words| cause.contains(words))
}

fn cut(place: &str, cause: &str) -> Problem {
    Problem::named(place, "the packed file is cut short, or damaged")
        .note("cause", cause)
        .help("copy it again, or pack it again")
}

/// A fault that the scan of a text has found.
pub fn faulty(source: &SourcePlan, place: &str, fault: &Fault) -> Problem {
    let at = |line: u64, message: String| Problem::named(format!("{place}:{line}"), message);
    match fault {
        Fault::NeverClosed { opened, backslash } => {
            let message =
                format!("the quote that opens in line {opened} of the file is never closed");
            at(*opened, message).help(close_quotes(*opened, *backslash))
        }
        Fault::AfterQuote { opened, line, backslash } => {
            let message = match opened == line {
                true => {
                    format!("text follows the closing quote of a value in line {line} of the file")
                }
                false => format!(
                    "the quote that opens in line {opened} of the file is closed in line {line} \
                     only, and text follows it"
                ),
            };
            at(*opened, message).help(close_quotes(*opened, *backslash))
        }
        Fault::Ambiguous { opened, line, backslash } => {
            let message = format!(
                "the value in quotes that opens in line {opened} of the file runs over several \
                 lines, and line {line} has a quote within a value without quotes"
            );
            at(*opened, message)
                .note("note", "if a quote is missing, lines between the two are no rows any more")
                .help(close_quotes(*opened, *backslash))
        }
        Fault::HoldsRows { opened, line } => {
            let message = format!(
                "the value in quotes that opens in line {opened} of the file ends in line {line}, \
                 and each of these lines looks like a row of its own"
            );
            at(*opened, message).help(format!(
                "{}; if the lines do belong to the value, write it without line breaks",
                close_quotes(*opened, None)
            ))
        }
        Fault::NotAnObject { line, column, why, found } => {
            at(*line, format!("line {line} of the file is not a JSON object"))
                .note("found", found)
                .note("cause", format!("{why} at character {column}"))
                .help(
                    "correct the line: `format: json` reads one whole object a line; `jq -c .` \
                     makes such lines of objects that stand on several",
                )
        }
        Fault::NotUtf8 { line } => {
            at(*line, format!("line {line} of the file is not UTF-8")).help(AS_UTF_8)
        }
        Fault::Uncounted { counted, given } => {
            let message = format!(
                "a file of source `{}` has {counted} records, and {given} of them were read",
                source.kind.name
            );
            Problem::named(place, message)
                .help("did the file change while it was read? run again, and report it if it stays")
        }
    }
}

/// The next move where encodings differ.
pub const AS_UTF_8: &str = "write the file as UTF-8, such as with `iconv -f WINDOWS-1252 -t UTF-8`";

fn close_quotes(opened: u64, backslash: Option<u64>) -> String {
    let close = format!(
        "correct line {opened}: a value that begins with a quote ends with one, and a quote within \
         it is written twice, `\"\"`"
    );
    match backslash {
        Some(line) => format!(
            "line {line} has `\\\"`: if quotes within values are written so, say `escape: backslash` \
             for this source; else {close}"
        ),
        None => close,
    }
}

/// A column of JSON that is used, and has values of which one is an object or a
/// list and another is not.
pub fn clash(source: &SourcePlan, place: &str, path: &[String], clash: Clash) -> Problem {
    let Clash { first: (before, line_before), other: (kind, line) } = clash;
    let message = format!(
        "`{}` of source `{}` is {kind} in line {line} of the file",
        path.join("."),
        source.kind.name
    );
    Problem::named(format!("{place}:{line}"), message)
        .note("elsewhere", format!("it is {before} in line {line_before}"))
        .help("write it alike in every record, or leave the file out of `url`")
}

fn unreadable(source: &SourcePlan, place: &str, cause: &str) -> Problem {
    let message = format!("a file of source `{}` cannot be read", source.kind.name);
    Problem::named(place, message).note("cause", cause)
}

/// The parser names the record, and what it has too much or too little of.
async fn csv(
    source: &SourcePlan,
    style: CsvStyle,
    opened: &Opened,
    file: &TableFile,
    place: &str,
    cause: &str,
) -> Problem {
    let cause = cause.trim_start_matches("Csv error: ");
    let Some(record) = number_after(cause, "for line ") else {
        let problem = unreadable(source, place, cause);
        return problem.help("write the file again, or leave it out of `url`");
    };
    let line = line_of_record(opened, file, style, record).await.unwrap_or(record);
    let place = format!("{place}:{line}");
    match (number_after(cause, "expected "), number_after(cause, " got ")) {
        (Some(header), Some(fields)) => {
            let message =
                format!("line {line} of the file has {fields} fields, its header {header}");
            Problem::named(place, message).help(
                "correct the line: a value with a comma or a line break in it stands in double \
                 quotes, and each quote is closed",
            )
        }
        _ if cause.contains("UTF-8") => {
            let field = number_after(cause, "field ").map(|field| format!("field {field}"));
            let problem = Problem::named(place, format!("line {line} of the file is not UTF-8"));
            field
                .into_iter()
                .fold(problem, |problem, field| problem.note("found", field))
                .help(AS_UTF_8)
        }
        _ => Problem::named(place, format!("line {line} of the file cannot be read"))
            .note("cause", cause)
            .help("correct the line"),
    }
}

fn number_after(text: &str, word: &str) -> Option<u64> {
    let (_, rest) = text.split_once(word)?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// The line in which a record of a CSV file begins: lines are more where values
/// have line breaks, or where some are empty.
async fn line_of_record(
    opened: &Opened,
    file: &TableFile,
    style: CsvStyle,
    record: u64,
) -> Option<u64> {
    let mut text = bytes::chunks(opened.location.store(), &file.meta).await.ok()?;
    let escapes = style.escape.byte().is_some();
    let mut quotes = Quotes::new(style.delimiter.byte(), escapes).seeking(record);
    while quotes.found().is_none()
        && let Some(chunk) = text.try_next().await.ok()?
    {
        quotes.take(&chunk).ok()?;
    }
    quotes.found()
}

/// The beginning of a text, for a message.
pub fn beginning(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}
