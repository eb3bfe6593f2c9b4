//! Rule files, decided: a rule is one table of values whose header says what
//! it covers, so gaps, overlaps and rules that can never fire are found
//! before any order is read.
//!
//! ```sql
//! -- rule    ranges measure: at_least <= value < below
//! -- rule    cells r_score in (1..5), f_high in (false, true)
//! ```

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::dataframe::DataFrame;
use datafusion::prelude::SessionConfig;

use super::model::Model;
use super::order::Models;
use super::params::{Params, Values};
use super::spec::Spanned;
use super::typecheck;
use crate::problem::Problem;

/// What a rule file must cover.
#[derive(Debug, PartialEq)]
enum Cover {
    /// For each key, ranges that tile the line of numbers.
    Ranges { key: String, low: String, high: String },
    /// Every cell of a product of small domains, once.
    Cells(Vec<(String, Vec<String>)>),
}

/// Lints every rule file of a project.
pub async fn check(models: &Models, params: &Params, values: &Values) -> Vec<Problem> {
    let mut problems = Vec::new();
    for model in models.values().filter(|model| model.name.schema == "rules") {
        let Some(rule) = &model.header.rule else { continue };
        let Some(cover) = parse(&rule.value) else {
            problems.push(Problem::at(&rule.at, "this does not say what the rules cover").help(
                "write `ranges key: low <= value < high`, or `cells a in (1..5), b in (x, y)`",
            ));
            continue;
        };
        match rows(model, params, values).await {
            Ok(rows) => problems.extend(uncovered(model, rule, &cover, &rows)),
            Err(problem) => problems.push(problem),
        }
    }
    problems
}

fn parse(text: &str) -> Option<Cover> {
    if let Some(rest) = text.strip_prefix("ranges ") {
        let (key, range) = rest.split_once(':')?;
        let (low, rest) = range.split_once("<=")?;
        let (_value, high) = rest.split_once('<')?;
        let word = |text: &str| text.trim().to_string();
        return Some(Cover::Ranges { key: word(key), low: word(low), high: word(high) });
    }
    let mut domains = Vec::new();
    for part in text.strip_prefix("cells ")?.split_inclusive(')') {
        let (name, domain) = part.trim_start_matches([',', ' ']).split_once(" in (")?;
        let domain = domain.strip_suffix(')')?;
        let values = match domain.split_once("..") {
            Some((from, to)) => {
                let (from, to): (i64, i64) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
                (from..=to).map(|number| number.to_string()).collect()
            }
            None => domain.split(',').map(|value| value.trim().to_string()).collect(),
        };
        domains.push((name.trim().to_string(), values));
    }
    (!domains.is_empty()).then_some(Cover::Cells(domains))
}

/// The rows of a rule file, as text by column; `None` is null.
type Row = BTreeMap<String, Option<String>>;

async fn rows(model: &Model, params: &Params, values: &Values) -> Result<Vec<Row>, Problem> {
    let context = typecheck::session(SessionConfig::new().with_target_partitions(1));
    let plan = typecheck::plan(&context, model, params, values).await?;
    let frame = DataFrame::new(context.state(), plan);
    let batches = frame.collect().await;
    let batches = batches.map_err(|error| typecheck::planner_problem(model, &error))?;
    let Some(first) = batches.first() else { return Ok(Vec::new()) };
    let read = concat_batches(&first.schema(), &batches).and_then(|batch| text_rows(&batch));
    read.map_err(|error| {
        Problem::at(&model.source.whole(), "the rules cannot be read").causes(&error)
    })
}

fn text_rows(batch: &RecordBatch) -> Result<Vec<Row>, arrow::error::ArrowError> {
    let mut rows = vec![Row::new(); batch.num_rows()];
    let options = FormatOptions::default();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let column = match field.data_type() {
            DataType::Decimal128(..) => arrow::compute::cast(column, &DataType::Float64)?,
            _ => column.clone(),
        };
        let formatter = ArrayFormatter::try_new(&column, &options)?;
        for (index, row) in rows.iter_mut().enumerate() {
            let value = column.is_valid(index).then(|| formatter.value(index).to_string());
            row.insert(field.name().clone(), value);
        }
    }
    Ok(rows)
}

fn uncovered(model: &Model, rule: &Spanned<String>, cover: &Cover, rows: &[Row]) -> Vec<Problem> {
    let names: Vec<&String> = match cover {
        Cover::Ranges { key, low, high } => vec![key, low, high],
        Cover::Cells(domains) => domains.iter().map(|(name, _)| name).collect(),
    };
    let columns = &model.header.columns;
    let missing = names.iter().find(|name| !columns.iter().any(|c| c.name.value == ***name));
    if let Some(name) = missing {
        let message = format!("`{}` has no column `{name}`", model.name);
        return vec![Problem::at(&rule.at, message)];
    }
    let findings = match cover {
        Cover::Ranges { key, low, high } => ranges(rows, key, low, high),
        Cover::Cells(domains) => cells(rows, domains),
    };
    let at = model.source.whole();
    let problem = |text| Problem::at(&at, format!("`{}`: {text}", model.name));
    findings.into_iter().map(problem).collect()
}

fn number(row: &Row, column: &str, absent: f64) -> f64 {
    let text = row.get(column).and_then(Option::as_deref);
    text.and_then(|text| text.parse().ok()).unwrap_or(absent)
}

fn text<'a>(row: &'a Row, column: &str) -> &'a str {
    row.get(column).and_then(Option::as_deref).unwrap_or("null")
}

/// Gaps, overlaps and empty ranges for each key.
fn ranges(rows: &[Row], key: &str, low: &str, high: &str) -> Vec<String> {
    let mut by_key: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for row in rows {
        let range = (number(row, low, f64::NEG_INFINITY), number(row, high, f64::INFINITY));
        by_key.entry(text(row, key)).or_default().push(range);
    }
    let mut findings = Vec::new();
    for (name, mut ranges) in by_key {
        for (from, to) in ranges.iter().filter(|(from, to)| from >= to) {
            findings.push(format!("for {name}, the rule from {from} to below {to} can never fire"));
        }
        ranges.retain(|(from, to)| from < to);
        ranges.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        let mut reached = f64::NEG_INFINITY;
        for (from, to) in ranges {
            if from > reached {
                findings.push(format!("for {name}, no rule covers {}", span(reached, from)));
            }
            if from < reached {
                findings
                    .push(format!("for {name}, two rules cover {}", span(from, reached.min(to))));
            }
            reached = reached.max(to);
        }
        if reached < f64::INFINITY {
            findings.push(format!("for {name}, no rule covers {}", span(reached, f64::INFINITY)));
        }
    }
    findings
}

fn span(from: f64, to: f64) -> String {
    match (from.is_finite(), to.is_finite()) {
        (false, false) => "any value".into(),
        (false, true) => format!("values below {to}"),
        (true, false) => format!("values from {from} on"),
        (true, true) => format!("values from {from} to below {to}"),
    }
}

/// Cells no rule or more than one covers, and rules outside the domain.
fn cells(rows: &[Row], domains: &[(String, Vec<String>)]) -> Vec<String> {
    let names: Vec<&str> = domains.iter().map(|(name, _)| name.as_str()).collect();
    let describe = |cell: &[&str]| {
        let parts = names.iter().zip(cell).map(|(name, value)| format!("{name} = {value}"));
        parts.collect::<Vec<_>>().join(", ")
    };
    let mut count: BTreeMap<Vec<&str>, usize> = BTreeMap::new();
    for row in rows {
        *count.entry(names.iter().map(|name| text(row, name)).collect()).or_default() += 1;
    }
    let mut all: Vec<Vec<&str>> = vec![Vec::new()];
    for (_, values) in domains {
        all = all
            .iter()
            .flat_map(|cell| {
                values.iter().map(|value| [cell.as_slice(), &[value.as_str()]].concat())
            })
            .collect();
    }
    let mut findings = Vec::new();
    for cell in &all {
        match count.get(cell) {
            None => findings.push(format!("no rule covers {}", describe(cell))),
            Some(1) => {}
            Some(many) => findings.push(format!("{many} rules cover {}", describe(cell))),
        }
    }
    let domain: BTreeSet<&Vec<&str>> = all.iter().collect();
    for cell in count.keys().filter(|cell| !domain.contains(cell)) {
        findings.push(format!("the rule for {} can never fire", describe(cell)));
    }
    findings
}
