//! A file that cannot be read as what it is said to be: which line of it, and
//! what to do. Runs only after something went wrong.

use bytes::Bytes;
use datafusion::error::DataFusionError;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use serde::de::IgnoredAny;

use super::failure::cause;
use super::source::Opened;
use crate::engine::files::TableFile;
use crate::plan::{FileFormat, SourcePlan};
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
    let cause = cause(root);
    Some(match source.format {
        FileFormat::Csv(_) => csv(source, place, &cause),
        FileFormat::Json => match first_bad_line(opened, file).await {
            Some((number, line)) => not_an_object(place, number, &line),
            None => unreadable(source, place, &cause)
                .help("its columns were found in its first records: do all others fit them?"),
        },
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

fn unreadable(source: &SourcePlan, place: &str, cause: &str) -> Problem {
    let message = format!("a file of source `{}` cannot be read", source.kind.name);
    Problem::named(place, message).note("cause", cause)
}

/// The reader names the line, and what it has too much or too little of.
fn csv(source: &SourcePlan, place: &str, cause: &str) -> Problem {
    let cause = cause.trim_start_matches("Csv error: ");
    let Some(line) = number_after(cause, "for line ") else {
        let problem = unreadable(source, place, cause);
        return problem.help("write the file again, or leave it out of `url`");
    };
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
            Problem::named(place, format!("line {line} of the file is not UTF-8"))
                .note("cause", cause)
                .help("write the file as UTF-8, such as with `iconv -f WINDOWS-1252 -t UTF-8`")
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

fn not_an_object(place: &str, number: u64, line: &str) -> Problem {
    let message = format!("line {number} of the file is not a JSON object");
    Problem::named(format!("{place}:{number}"), message)
        .note("found", line)
        .help("correct the line: `format: json` reads one whole object a line")
}

/// The first line of a file that is no JSON object, and its beginning. (The
/// reader of the engine does not count lines.)
async fn first_bad_line(opened: &Opened, file: &TableFile) -> Option<(u64, String)> {
    let got = opened.location.store().get(&file.meta.location).await.ok()?;
    let bytes: BoxStream<'_, Result<Bytes, DataFusionError>> =
        got.into_stream().map_err(DataFusionError::from).boxed();
    let mut bytes = opened.table.compression.convert_stream(bytes).ok()?;
    let (mut rest, mut lines) = (Vec::new(), 0);
    while let Some(chunk) = bytes.next().await {
        rest.extend_from_slice(&chunk.ok()?);
        let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else { continue };
        if let Some(found) = bad_line(&rest[..end], &mut lines) {
            return Some(found);
        }
        rest.drain(..=end);
    }
    bad_line(&rest, &mut lines)
}

/// The same among some whole lines, `before` of which are over.
fn bad_line(text: &[u8], before: &mut u64) -> Option<(u64, String)> {
    for line in text.split(|byte| *byte == b'\n') {
        *before += 1;
        let line = line.trim_ascii();
        let is_object =
            line.starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(line).is_ok();
        if !line.is_empty() && !is_object {
            return Some((*before, beginning(line)));
        }
    }
    None
}

/// The beginning of a text, for a message.
pub fn beginning(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}
