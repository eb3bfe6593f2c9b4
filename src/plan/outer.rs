//! The ends of a pipeline: where rows come from, where tables go, and what
//! the engine may use.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::compile::{Purpose, Variables};
use super::sources::{Need, SOURCES, SourceKind, source_kind};
use super::spec::{SourceSpec, Spanned, Spec};
use super::{
    CsvStyle, Delimiter, Encodings, EnginePlan, Escape, FileFormat, Mapping, PublishPlan,
    Rejection, Rows, SourcePlan, TableFormat, Writers, limits, pitfalls, unheeded,
};
use crate::problem::{Problem, suggest};

/// The sources of a pipeline.
pub fn sources(
    spec: &Spec,
    purpose: Purpose,
    variables: &Variables,
    problems: &mut Vec<Problem>,
) -> Vec<SourcePlan> {
    let mut plans = Vec::new();
    for source in &spec.sources {
        let name = &source.name.value;
        match source_kind(name) {
            Some(kind) => plans.extend(one_source(kind, source, purpose, variables, problems)),
            None => {
                let help = suggest(name, SOURCES.iter().map(|kind| kind.name));
                problems.push(
                    Problem::at(&source.name.at, format!("no source `{name}`")).maybe_help(help),
                );
            }
        }
    }
    if !spec.sources.iter().any(|source| source.name.value == "orders") {
        problems.push(
            Problem::at(&spec.pipeline.at, "the pipeline has no source `orders`")
                .help("add `orders:` under `sources:`; every table is made from it"),
        );
    }
    plans
}

fn one_source(
    kind: &'static SourceKind,
    source: &SourceSpec,
    purpose: Purpose,
    variables: &Variables,
    problems: &mut Vec<Problem>,
) -> Option<SourcePlan> {
    let format = file_format(source, problems);
    let rows = [("orders", Rows::Orders), ("lines", Rows::Lines)];
    let rows = choice(source.rows.as_ref(), "rows", &rows, problems);
    let columns = mappings(kind, source, problems);
    let reject = rejections(source, problems);
    let url = source.url.as_ref()?;
    Some(SourcePlan {
        kind,
        url: place(url, purpose, variables, problems)?,
        at: source.name.at.clone(),
        format: format?,
        rows: rows?,
        columns,
        reject,
        reject_max: source.reject_max.as_ref().map(|share| share.value),
        storage: options(&source.storage, purpose, variables, problems),
    })
}

fn file_format(source: &SourceSpec, problems: &mut Vec<Problem>) -> Option<FileFormat> {
    let delimiter = choice(source.delimiter.as_ref(), "delimiter", &Delimiter::ALL, problems)?;
    let escape = choice(source.escape.as_ref(), "escape", &Escape::ALL, problems)?;
    let csv = FileFormat::Csv(CsvStyle { delimiter, escape });
    let delta = FileFormat::Delta(source.version.as_ref().map(|version| version.value));
    let formats = [
        ("parquet", FileFormat::Parquet),
        ("csv", csv),
        ("json", FileFormat::Json),
        ("delta", delta),
    ];
    let format = choice(source.format.as_ref(), "format", &formats, problems)?;
    let of_csv = [(&source.delimiter, "a delimiter"), (&source.escape, "an escape")];
    for (written, what) in of_csv.iter().filter(|_| format != csv) {
        if let Some(written) = written {
            let problem = Problem::at(&written.at, format!("only CSV has {what}"));
            problems.push(problem.help("say `format: csv`, or leave it out"));
        }
    }
    if let Some(written) = source.version.as_ref().filter(|_| format != delta) {
        let problem = Problem::at(&written.at, "only Delta tables have versions");
        problems.push(problem.help("say `format: delta`, or leave it out"));
    }
    Some(format)
}

/// One of a few words; the first where nothing is written.
fn choice<T: Copy>(
    written: Option<&Spanned<String>>,
    key: &str,
    known: &[(&str, T)],
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let Some(written) = written else { return known.first().map(|(_, value)| *value) };
    let found = known.iter().find(|(word, _)| *word == written.value);
    if found.is_none() {
        let help = suggest(&written.value, known.iter().map(|(word, _)| *word));
        let message = format!("no {key} `{}`", written.value);
        problems.push(Problem::at(&written.at, message).maybe_help(help));
    }
    found.map(|(_, value)| *value)
}

fn mappings(
    kind: &'static SourceKind,
    source: &SourceSpec,
    problems: &mut Vec<Problem>,
) -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = Vec::new();
    for (name, expression) in &source.columns {
        let column = kind.column(&name.value).filter(|column| column.need != Need::Derived);
        let Some(column) = column else {
            let message = format!("source `{}` has no column `{}`", kind.name, name.value);
            let help = suggest(&name.value, kind.mappable());
            problems.push(Problem::at(&name.at, message).maybe_help(help));
            continue;
        };
        if mappings.iter().any(|known| known.column.name == column.name) {
            let message = format!("column `{}` is mapped twice", name.value);
            problems.push(Problem::at(&name.at, message));
        }
        // Whether it is a column or SQL shows when the source is opened; what would be
        // left out of SQL, or break the parser, shows now.
        if let Err(refusal) = parse_within_limits(&expression.value)
            && let Refusal::Beyond(message) = refusal
        {
            problems.push(Problem::at(&expression.at, message));
        }
        mappings.push(Mapping {
            column,
            expression: expression.value.clone(),
            at: expression.at.clone(),
        });
    }
    if !mappings.is_empty() {
        let missing = kind.columns.iter().filter(|column| column.need == Need::Required);
        for column in missing.filter(|c| !mappings.iter().any(|m| m.column.name == c.name)) {
            let message = format!("source `{}` does not map `{}`", kind.name, column.name);
            let help = format!("add `{}: …` under `columns:` ({})", column.name, column.doc);
            problems.push(Problem::at(&source.name.at, message).help(help));
        }
    }
    mappings
}

fn rejections(source: &SourceSpec, problems: &mut Vec<Problem>) -> Vec<Rejection> {
    let mut rejections = Vec::new();
    for (reason, expression) in &source.reject {
        // Whether it is a predicate over the source's columns shows when the
        // source is opened; whether it is SQL at all shows now.
        if let Err(refusal) = parse_within_limits(&expression.value) {
            let message = match refusal {
                Refusal::Syntax(error) => {
                    format!("`{}` is not a SQL predicate: {error}", reason.value)
                }
                Refusal::Beyond(message) => message,
            };
            problems.push(Problem::at(&expression.at, message));
        }
        rejections.push(Rejection {
            reason: reason.value.clone(),
            expression: expression.value.clone(),
            at: expression.at.clone(),
        });
    }
    rejections
}

/// Parses an expression of a pipeline.
///
/// # Errors
/// The parser's message.
pub fn parse_expression(text: &str) -> Result<Expr, String> {
    parse_within_limits(text).map_err(|refusal| match refusal {
        Refusal::Syntax(message) | Refusal::Beyond(message) => message,
    })
}

/// Why an expression is not taken.
enum Refusal {
    /// It is no SQL.
    Syntax(String),
    /// It is SQL, and not what it seems, or too much of it.
    Beyond(String),
}

fn parse_within_limits(text: &str) -> Result<Expr, Refusal> {
    if let Some((_, message)) = limits::exceeded(text) {
        return Err(Refusal::Beyond(message));
    }
    let dialect = GenericDialect {};
    let parsed = Parser::new(&dialect).try_with_sql(text).and_then(|mut parser| {
        let expression = parser.parse_expr()?;
        parser.expect_token(&datafusion::sql::sqlparser::tokenizer::Token::EOF)?;
        Ok(expression)
    });
    let expression = parsed.map_err(|error| {
        let text = error.to_string();
        let text = text.trim_start_matches("sql parser error: ");
        Refusal::Syntax(text.split(" at Line").next().unwrap_or(text).to_string())
    })?;
    if pitfalls::swallowing(&expression).is_some() {
        return Err(Refusal::Beyond(pitfalls::SWALLOWED.into()));
    }
    match unheeded::unheeded(&expression) {
        Some(found) => Err(Refusal::Beyond(format!("{}; {}", found.told(text).1, found.help))),
        None => Ok(expression),
    }
}

/// Where tables go.
pub fn publish(
    spec: &Spec,
    purpose: Purpose,
    variables: &Variables,
    problems: &mut Vec<Problem>,
) -> Option<PublishPlan> {
    let Some(publish) = &spec.publish else {
        problems.push(
            Problem::at(&spec.pipeline.at, "the pipeline does not say where to publish")
                .help("add `publish: { url: … }`"),
        );
        return None;
    };
    let formats = [("parquet", TableFormat::Parquet), ("delta", TableFormat::Delta)];
    let format = choice(publish.format.as_ref(), "format", &formats, problems)?;
    let encodings = [("v1", Encodings::V1), ("v2", Encodings::V2)];
    let encodings = choice(publish.encodings.as_ref(), "encodings", &encodings, problems)?;
    Some(PublishPlan {
        url: place(publish.url.as_ref()?, purpose, variables, problems)?,
        format,
        encodings,
        file_rows: publish.file_rows.as_ref().map_or(FILE_ROWS, |count| count.value),
        keep_runs: publish.keep_runs.as_ref().map_or(30, |count| count.value),
        writers: match publish.single_writer.as_ref().map(|single| single.value) {
            Some(true) => Writers::Single,
            _ => Writers::Many,
        },
        storage: options(&publish.storage, purpose, variables, problems),
    })
}

/// Limits of the engine.
pub fn engine(spec: &Spec, problems: &mut Vec<Problem>) -> EnginePlan {
    let engine = &spec.engine;
    let memory_bytes = match &engine.memory {
        None => DEFAULT_MEMORY_BYTES,
        Some(text) => bytes(&text.value).unwrap_or_else(|| {
            let message = format!("`{}` is not an amount of memory", text.value);
            problems.push(Problem::at(&text.at, message).help("write it like 512MiB or 8GiB"));
            DEFAULT_MEMORY_BYTES
        }),
    };
    let threads = engine.threads.as_ref().filter(|text| text.value != "auto").and_then(|text| {
        let threads = text.value.parse().ok().filter(|threads| (1..=1024).contains(threads));
        if threads.is_none() {
            let message = format!("`threads` must be `auto` or 1 to 1024, not `{}`", text.value);
            problems.push(Problem::at(&text.at, message));
        }
        threads
    });
    let scratch = engine.scratch.as_ref().map(|text| text.value.clone());
    EnginePlan { memory_bytes, threads, scratch }
}

/// Half of what a small server has; larger histories spill past it.
const DEFAULT_MEMORY_BYTES: u64 = 4 << 30;

/// 64 row groups: some hundred MB of orders or customers.
const FILE_ROWS: u64 = 64 << 17;

fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text[digits.len()..].trim() {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    let number: f64 = digits.trim().parse().ok()?;
    // Memory sizes are far below the 2^53 that a double holds exactly.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded above")]
    let bytes = (number > 0.0 && number < 1e6).then(|| (number * f64::from(unit)) as u64);
    bytes
}

fn options(
    pairs: &[(Spanned<String>, Spanned<String>)],
    purpose: Purpose,
    variables: &Variables,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, String> {
    let mut options = BTreeMap::new();
    for (name, value) in pairs {
        let secret = ["secret", "password", "token", "access_key", "account_key", "sas"];
        if secret.iter().any(|word| name.value.to_lowercase().contains(word)) {
            problems.push(
                Problem::at(&name.at, format!("`{}` is a secret", name.value))
                    .note("note", "a pipeline file is shared and kept; credentials are not")
                    .help("leave it out: credentials are read from the environment"),
            );
            continue;
        }
        if let Some(value) = interpolate(value, purpose, variables, problems) {
            options.insert(name.value.clone(), value);
        }
    }
    options
}

/// A `url`, with its variables replaced.
fn place(
    url: &Spanned<String>,
    purpose: Purpose,
    variables: &Variables,
    problems: &mut Vec<Problem>,
) -> Option<String> {
    let place = interpolate(url, purpose, variables, problems)?;
    if place.trim().is_empty() {
        // A variable may be set and empty.
        let message = match url.value.trim().is_empty() {
            true => "`url` names no place".to_string(),
            false => format!("`url` names no place: `{}` is empty", url.value),
        };
        let help = "name a folder, or a URL such as s3://bucket/folder";
        problems.push(Problem::at(&url.at, message).help(help));
        return None;
    }
    Some(place)
}

/// What stands in a check for a variable that is not set.
pub const UNSET: &str = "unset";

/// Replaces `${VAR}` and `${VAR:-default}`; `$$` is a dollar.
fn interpolate(
    text: &Spanned<String>,
    purpose: Purpose,
    variables: &Variables,
    problems: &mut Vec<Problem>,
) -> Option<String> {
    let mut out = String::new();
    let mut rest = text.value.as_str();
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        if rest.starts_with('{') && !rest.contains('}') {
            let message = "a variable of the environment is not closed";
            problems
                .push(Problem::at(&text.at, message).help("write `${NAME}`, or `$$` for a dollar"));
            return None;
        }
        let Some((name, after)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'))
        else {
            out.push('$');
            continue;
        };
        rest = after;
        let (name, default) = match name.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (name, None),
        };
        match (variables.get(name).map(String::as_str).or(default), purpose) {
            (Some(value), _) if value.contains('\n') => {
                let message = format!("the value of `{name}` has a line break");
                problems.push(Problem::at(&text.at, message));
                return None;
            }
            (Some(value), _) => out.push_str(value),
            (None, Purpose::Check) => out.push_str(UNSET),
            (None, Purpose::Run) => {
                let message = format!("the environment variable `{name}` is not set");
                problems.push(
                    Problem::at(&text.at, message)
                        .help(format!("export {name}=…, or write ${{{name}:-default}}")),
                );
                return None;
            }
        }
    }
    out.push_str(rest);
    Some(out)
}
