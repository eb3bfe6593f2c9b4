//! Writing a header anew after its query has changed: what it reads, its
//! parameters, its columns. Titles, comments and notes stay as they are.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::prelude::SessionConfig;

use super::compile::Project;
use super::header::Header;
use super::model::{self, Model, TableName};
use super::params::{Params, Values};
use super::types::{ColumnType, IdType};
use super::{spec, typecheck};
use crate::problem::Source;

/// The files whose header does not say what their query does, and their new
/// text. Files that do not plan are left alone: `check` says why.
pub async fn fix(project: &Project) -> Vec<(String, String)> {
    let mut models = Vec::new();
    for source in &project.models {
        let path = source.path.trim_start_matches("sql/").trim_end_matches(".sql");
        if let Some(name) = TableName::parse(&path.replace('/', ".")) {
            models.extend(model::read(name, source).0);
        }
    }
    let params = project.params.as_ref().map_or_else(Params::new, |text| spec::read_params(text).0);
    let values: Values = params
        .iter()
        .map(|(name, param)| {
            (name.clone(), param.default.clone().unwrap_or_else(|| param.kind.sample()))
        })
        .collect();
    let context = typecheck::session(SessionConfig::new());
    let known: Vec<&Model> = models.iter().collect();
    if typecheck::register(&context, &known, IdType::Text).is_err() {
        return Vec::new();
    }
    let mut fixed = Vec::new();
    for model in &models {
        if let Ok(plan) = typecheck::plan(&context, model, &params, &values).await {
            let text = rewrite(model, plan.schema().as_arrow());
            if text != model.source.text {
                fixed.push((model.source.path.clone(), text));
            }
        }
    }
    fixed
}

fn rewrite(model: &Model, planned: &Schema) -> String {
    let header = &model.header;
    let mut lines = vec![format!("{}: {}", model.name, header.title), String::new()];
    lines = title(model).unwrap_or(lines);
    let grain: Vec<String> = header.grain.iter().map(|word| word.value.clone()).collect();
    if !grain.is_empty() {
        lines.push(list("grain", &grain));
    }
    let optional = |name: &str| header.uses.iter().any(|word| word.value == name);
    let names: Vec<String> = model.tables.iter().map(|table| table.value.to_string()).collect();
    let (uses, reads): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| optional(name));
    lines.push(list("reads", &in_order(reads, header.reads.iter().map(|word| &word.value))));
    if !uses.is_empty() {
        lines.push(list("uses", &uses));
    }
    let used: Vec<String> = model.placeholders.iter().map(|word| word.value.clone()).collect();
    lines.push(list("params", &in_order(used, header.params.iter().map(|word| &word.value))));
    if let Some(rule) = &header.rule {
        lines.push(format!("rule    {}", rule.value));
    }
    if model.name.schema != "checks" {
        lines.push(String::new());
        lines.extend(columns(header, planned));
    }
    if !header.notes.is_empty() {
        lines.push(String::new());
        lines.extend(header.notes.lines().map(str::to_string));
    }
    let body = &model.source.text[header.range.end..];
    let lines = lines.iter().map(|line| format!("-- {line}").trim_end().to_string());
    let comment = lines.collect::<Vec<_>>().join("\n");
    if unchanged(header, &comment, &model.source) {
        return model.source.text.clone();
    }
    format!("{comment}{body}")
}

/// The lines of the title as they are written.
fn title(model: &Model) -> Option<Vec<String>> {
    let written = model.header.name.as_ref()?;
    if written.value != model.name.to_string() {
        return None;
    }
    let lines = model.source.text.lines().map(|line| line.trim_start_matches("--").trim());
    let mut title: Vec<String> =
        lines.take_while(|line| !line.is_empty()).map(str::to_string).collect();
    title.push(String::new());
    Some(title)
}

/// A header that says the same is left in its author's hand.
fn unchanged(header: &Header, comment: &str, source: &Arc<Source>) -> bool {
    let again = Source::new(source.path.clone(), format!("{comment}\n"));
    let (new, _) = super::header::read(&again);
    let words = |list: &[spec::Spanned<String>]| {
        let mut words: Vec<String> = list.iter().map(|word| word.value.clone()).collect();
        words.sort();
        words
    };
    let columns = |header: &Header| {
        let columns = header.columns.iter();
        columns.map(|column| (column.name.value.clone(), column.kind)).collect::<Vec<_>>()
    };
    words(&new.reads) == words(&header.reads)
        && words(&new.uses) == words(&header.uses)
        && words(&new.params) == words(&header.params)
        && columns(&new) == columns(header)
        && header.name.as_ref().map(|name| &name.value) == new.name.as_ref().map(|name| &name.value)
}

fn list(keyword: &str, words: &[String]) -> String {
    let words = if words.is_empty() { "none".into() } else { words.join(", ") };
    format!("{keyword:<7} {words}")
}

/// What is found, in the order in which it was written before.
fn in_order<'a>(found: Vec<String>, written: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut ordered: Vec<String> = written.filter(|word| found.contains(word)).cloned().collect();
    let new: Vec<String> = found.into_iter().filter(|word| !ordered.contains(word)).collect();
    ordered.extend(new);
    ordered
}

fn columns(header: &Header, planned: &Schema) -> Vec<String> {
    let rows: Vec<(String, String, String)> = planned
        .fields()
        .iter()
        .map(|field| {
            let written = header.columns.iter().find(|column| column.name.value == *field.name());
            let kind = match written {
                Some(column) if column.kind.accepts(field.data_type()) => column.kind.to_string(),
                _ => planned_type(field.name(), field.data_type()),
            };
            let comment = written.map_or("(say what it means)", |column| &column.comment);
            (field.name().clone(), kind, comment.to_string())
        })
        .collect();
    let names = rows.iter().map(|row| row.0.len()).max().unwrap_or(0);
    let kinds = rows.iter().map(|row| row.1.len()).max().unwrap_or(0);
    rows.iter()
        .map(|(name, kind, comment)| format!("{name:<names$}  {kind:<kinds$}  {comment}"))
        .collect()
}

fn planned_type(name: &str, planned: &DataType) -> String {
    if name.ends_with("_id") && ColumnType::Id.accepts(planned) {
        return ColumnType::Id.to_string();
    }
    ColumnType::describe(planned)
}
