//! Which files need a header, and what stands in it: every query is planned,
//! and `rewrite` makes the text.

use std::collections::BTreeMap;

use arrow::datatypes::{FieldRef, Schema};
use datafusion::prelude::SessionConfig;

use super::compile::Project;
use super::model::{self, Model, TableName};
use super::params::Values;
use super::rewrite::{self, Facts, planned_type};
use super::spec::Spanned;
use super::types::{ColumnType, IdType};
use super::{spec, typecheck};
use crate::problem::{Problem, Source};

/// A header can depend on one that is being written: layers of models, each
/// pass mends one.
const PASSES_MAX: usize = 8;

/// The files whose header does not say what their query does, by path with
/// their new text, and why others stay as they are. Files that do not plan are
/// left alone: `check` says why.
pub async fn fix(project: &Project) -> (BTreeMap<String, String>, Vec<Problem>) {
    let mut project = project.clone();
    let mut texts = BTreeMap::new();
    let mut problems = Vec::new();
    for _ in 0..PASSES_MAX {
        let fixed;
        (fixed, problems) = pass(&project).await;
        if fixed.is_empty() {
            break;
        }
        for source in &mut project.models {
            if let Some(text) = fixed.get(&source.path) {
                *source = Source::new(source.path.clone(), text.clone());
            }
        }
        texts.extend(fixed);
    }
    (texts, problems)
}

async fn pass(project: &Project) -> (BTreeMap<String, String>, Vec<Problem>) {
    let mut fixed = BTreeMap::new();
    let mut problems = Vec::new();
    let models = read(project);
    let params = project.params.as_ref().and_then(|text| spec::read_params(text).0);
    let params = params.unwrap_or_default();
    let values: Values = params
        .iter()
        .map(|(name, param)| {
            (name.clone(), param.default.clone().unwrap_or_else(|| param.kind.sample()))
        })
        .collect();
    let known: Vec<&Model> = models.iter().collect();
    let mut sessions = Vec::new();
    for id in [IdType::Text, IdType::Bigint] {
        let context = typecheck::session(SessionConfig::new());
        if typecheck::register(&context, &known, id).is_err() {
            return (fixed, problems);
        }
        sessions.push(context);
    }
    // Of the others `check` says what cannot be read.
    for model in models.iter().filter(|model| model.header.is_clear()) {
        let mut planned = Vec::new();
        for context in &sessions {
            planned.push(typecheck::plan(context, model, &params, &values).await);
        }
        let columns = match <[_; 2]>::try_from(planned) {
            Ok([Ok(text), Ok(bigint)]) => {
                described(text.schema().as_arrow(), bigint.schema().as_arrow())
            }
            Ok([Ok(one), Err(_)] | [Err(_), Ok(one)]) => one.schema().as_arrow().clone(),
            // Of a file with a header `check` says why; without one it cannot.
            Ok([Err(problem), _]) if is_bare(model) => {
                problems.push(problem);
                continue;
            }
            _ => continue,
        };
        match rewritten(model, &columns) {
            Ok(text) if text == model.source.text => {}
            Ok(text) => drop(fixed.insert(model.source.path.clone(), text)),
            Err(found) => problems.extend(found),
        }
    }
    (fixed, problems)
}

/// Whether a query has no header, and reads nothing that only a pipeline makes.
fn is_bare(model: &Model) -> bool {
    let is_fitted = |table: &Spanned<TableName>| table.value.schema == "models";
    let is_described = !model.header.columns.is_empty() || model.name.schema == "checks";
    !is_described && !model.tables.iter().any(is_fitted)
}

/// The columns of a query with texts for ids, of which those are marked that are
/// numbers where ids are: they have the type of an id, whatever it is.
fn described(text: &Schema, bigint: &Schema) -> Schema {
    let marked = |(text, bigint): (&FieldRef, &FieldRef)| {
        let field = text.as_ref().clone();
        match text.data_type() == bigint.data_type() {
            true => field,
            false => field.with_metadata([(rewrite::ID.to_string(), String::new())].into()),
        }
    };
    Schema::new(text.fields().iter().zip(bigint.fields()).map(marked).collect::<Vec<_>>())
}

fn read(project: &Project) -> Vec<Model> {
    let sources = project.models.iter();
    let models = sources.filter_map(|source| {
        let path = source.path.trim_start_matches("sql/").trim_end_matches(".sql");
        let name = TableName::parse(&path.replace('/', "."))?;
        model::read(name, source).0
    });
    models.collect()
}

fn rewritten(model: &Model, planned: &Schema) -> Result<String, Vec<Problem>> {
    let is_check = model.name.schema == "checks";
    let problems = if is_check { Vec::new() } else { indescribable(model, planned) };
    if !problems.is_empty() {
        return Err(problems);
    }
    let facts = Facts {
        name: model.name.to_string(),
        reads: model.tables.iter().map(|table| table.value.to_string()).collect(),
        params: model.placeholders.iter().map(|word| word.value.clone()).collect(),
        columns: (!is_check).then(|| planned.clone()),
    };
    let text = rewrite::rewrite(&model.source, &model.header, &facts).map_err(|one| vec![one])?;
    if !same_query(model, &text) {
        return Err(vec![rewrite::refused(&model.source, &facts.name)]);
    }
    Ok(text)
}

/// Whether a text is read as the same query. `rewrite` has compared the letters;
/// this is what the parser makes of them.
fn same_query(model: &Model, text: &str) -> bool {
    let source = Source::new(model.source.path.clone(), text);
    let (read, _) = model::read(model.name.clone(), &source);
    read.is_some_and(|read| read.statement.to_string() == model.statement.to_string())
}

/// Columns for which a header has no words.
fn indescribable(model: &Model, planned: &Schema) -> Vec<Problem> {
    let mut problems = Vec::new();
    for field in planned.fields() {
        let name = field.name();
        let kind = planned_type(field);
        let (what, help) = if name.is_empty() || name.contains(char::is_whitespace) {
            (format!("a column `{name}`, which no header can name"), NAME)
        } else if ColumnType::parse(&kind).is_none() {
            (format!("`{name}` the type {kind}, which no header knows"), CAST)
        } else {
            continue;
        };
        let message = format!("the query of `{}` gives {what}", model.name);
        problems.push(Problem::at(&typecheck::word(model, name), message).help(help));
    }
    problems
}

const NAME: &str = "name it in one word: `… as name`";
const CAST: &str =
    "cast it: types are text, bigint, double, boolean, date, timestamp, decimal(p,s)";
