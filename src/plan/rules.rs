//! Rule files, decided: a rule is one table of values whose header says what
//! it covers, so gaps, overlaps and rules that can never fire are found
//! before any order is read.
//!
//! ```sql
//! -- rule    ranges measure in (recency, frequency): at_least <= value < below
//! -- rule    cells r_score in (1..5), f_high in (false, true)
//! ```
//!
//! Behind it, each after a semicolon, may stand what else holds of the rows:
//! `state in (active, lost)`, the values that others know what to do with, and
//! `segment names name_en, action_en`, columns that go with another.

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

/// What a rule file must cover, and what holds of its rows.
#[derive(Debug, PartialEq)]
struct Rule {
    cover: Cover,
    /// For a column, the values it may have.
    domains: Vec<Domain>,
    /// For a column, others that have one value where it has.
    names: Vec<(String, Vec<String>)>,
}

#[derive(Debug, PartialEq)]
enum Cover {
    /// For each key, ranges that tile the line of numbers; the keys, if they are
    /// told.
    Ranges { key: String, known: Option<Vec<String>>, low: String, high: String },
    /// Every cell of a product of small domains, once.
    Cells(Vec<Domain>),
}

/// A column and values.
type Domain = (String, Vec<String>);

/// Lints every rule file of a project.
pub async fn check(models: &Models, params: &Params, values: &Values) -> Vec<Problem> {
    let mut problems = Vec::new();
    for model in models.values().filter(|model| model.name.schema == "rules") {
        let Some(rule) = &model.header.rule else { continue };
        let Some(parsed) = parse(&rule.value) else {
            problems.push(Problem::at(&rule.at, "this does not say what the rules cover").help(
                "write `ranges key: low <= value < high`, or `cells a in (1..5), b in (x, y)`; \
                 after a `;` also `c in (x, y)` and `c names d, e`",
            ));
            continue;
        };
        match rows(model, params, values).await {
            Ok(rows) => problems.extend(amiss(model, rule, &parsed, &rows)),
            Err(problem) => problems.push(problem),
        }
    }
    problems
}

fn parse(text: &str) -> Option<Rule> {
    let mut clauses = text.split(';').map(str::trim).filter(|clause| !clause.is_empty());
    let mut rule =
        Rule { cover: parse_cover(clauses.next()?)?, domains: Vec::new(), names: Vec::new() };
    for clause in clauses {
        match clause.split_once(" names ") {
            Some((name, others)) => rule.names.push((name.trim().into(), list(others))),
            None => rule.domains.push(parse_domain(clause)?),
        }
    }
    Some(rule)
}

fn parse_cover(text: &str) -> Option<Cover> {
    if let Some(rest) = text.strip_prefix("ranges ") {
        let (key, range) = rest.split_once(':')?;
        let (low, rest) = range.split_once("<=")?;
        let (_value, high) = rest.split_once('<')?;
        let (key, known) = match key.contains('(') {
            true => parse_domain(key).map(|(key, known)| (key, Some(known)))?,
            false => (key.trim().to_string(), None),
        };
        return Some(Cover::Ranges {
            key,
            known,
            low: low.trim().into(),
            high: high.trim().into(),
        });
    }
    let parts = text.strip_prefix("cells ")?.split_inclusive(')');
    let domains: Vec<Domain> = parts
        .map(|part| parse_domain(part.trim_start_matches([',', ' '])))
        .collect::<Option<_>>()?;
    (!domains.is_empty()).then_some(Cover::Cells(domains))
}

/// `column in (a, b)` or `column in (1..5)`.
fn parse_domain(text: &str) -> Option<Domain> {
    let (name, values) = text.trim().split_once(" in (")?;
    let values = values.strip_suffix(')')?;
    let values: Vec<String> = match values.split_once("..") {
        Some((from, to)) => {
            let (from, to): (i64, i64) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
            (from..=to).map(|number| number.to_string()).collect()
        }
        None => list(values),
    };
    (!values.is_empty()).then(|| (name.trim().to_string(), values))
}

fn list(text: &str) -> Vec<String> {
    let words = text.split(',').map(|word| word.trim().trim_matches('\'').to_string());
    words.filter(|word| !word.is_empty()).collect()
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

/// What the rows leave open, and where they contradict what is said of them.
fn amiss(model: &Model, at: &Spanned<String>, rule: &Rule, rows: &[Row]) -> Vec<Problem> {
    let columns = &model.header.columns;
    let is_column = |name: &str| columns.iter().any(|column| column.name.value == name);
    if let Some(name) = rule.columns().find(|name| !is_column(name)) {
        let message = format!("`{}` has no column `{name}`", model.name);
        return vec![Problem::at(&at.at, message)];
    }
    let mut findings = match &rule.cover {
        Cover::Ranges { key, known, low, high } => ranges(rows, key, known.as_deref(), low, high),
        Cover::Cells(domains) => cells(rows, domains),
    };
    findings.extend(rule.domains.iter().flat_map(|domain| unknown(rows, domain)));
    findings.extend(rule.names.iter().flat_map(|(name, others)| twofold(rows, name, others)));
    let whole = model.source.whole();
    let problem = |text| Problem::at(&whole, format!("`{}`: {text}", model.name));
    findings.into_iter().map(problem).collect()
}

impl Rule {
    /// The columns it speaks of.
    fn columns(&self) -> impl Iterator<Item = &str> {
        let cover = match &self.cover {
            Cover::Ranges { key, low, high, .. } => vec![key, low, high],
            Cover::Cells(domains) => domains.iter().map(|(name, _)| name).collect(),
        };
        let domains = self.domains.iter().map(|(name, _)| name);
        let names = self.names.iter().flat_map(|(name, others)| [name].into_iter().chain(others));
        cover.into_iter().chain(domains).chain(names).map(String::as_str)
    }
}

/// Values that nobody knows what to do with.
fn unknown(rows: &[Row], (column, known): &Domain) -> Vec<String> {
    let values: BTreeSet<&str> = rows.iter().map(|row| text(row, column)).collect();
    let strange = values.into_iter().filter(|value| !known.iter().any(|known| known == value));
    let told = |value| format!("{column} `{value}` is none of {}", known.join(", "));
    strange.map(told).collect()
}

/// Columns that have several values where the one they go with has one.
fn twofold(rows: &[Row], name: &str, others: &[String]) -> Vec<String> {
    let mut findings = Vec::new();
    for other in others {
        let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for row in rows {
            values.entry(text(row, name)).or_default().insert(text(row, other));
        }
        for (value, several) in values.into_iter().filter(|(_, values)| values.len() > 1) {
            let several = several.into_iter().map(|one| format!("`{one}`")).collect::<Vec<_>>();
            let several = several.join(" and ");
            findings.push(format!("{name} `{value}` stands with {other} {several}"));
        }
    }
    findings
}

fn number(row: &Row, column: &str, absent: f64) -> f64 {
    let text = row.get(column).and_then(Option::as_deref);
    text.and_then(|text| text.parse().ok()).unwrap_or(absent)
}

fn text<'a>(row: &'a Row, column: &str) -> &'a str {
    row.get(column).and_then(Option::as_deref).unwrap_or("null")
}

/// Gaps, overlaps and empty ranges for each key, and keys that nobody asks for.
fn ranges(rows: &[Row], key: &str, known: Option<&[String]>, low: &str, high: &str) -> Vec<String> {
    let all = known.unwrap_or_default().iter();
    let mut by_key: BTreeMap<&str, Vec<(f64, f64)>> =
        all.map(|name| (name.as_str(), Vec::new())).collect();
    for row in rows {
        let range = (number(row, low, f64::NEG_INFINITY), number(row, high, f64::INFINITY));
        by_key.entry(text(row, key)).or_default().push(range);
    }
    let mut findings = match known {
        Some(known) => unknown(rows, &(key.into(), known.to_vec())),
        None => Vec::new(),
    };
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
