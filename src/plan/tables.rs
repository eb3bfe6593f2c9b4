//! Which tables a run builds: those a pipeline lists or a selection leaves of
//! them, and all that they need on the way.

use std::collections::{BTreeMap, BTreeSet};

use super::compile::Request;
use super::model::{Model, TableName};
use super::order::{self, Models};
use super::params::Values;
use super::spec::{SourceSpec, Spec};
use super::{Role, fitted, select};
use crate::problem::Problem;

/// The tables of a run, chosen from those of its pipeline.
#[derive(Default)]
pub struct Tables {
    /// What is published and what that needs, in the order of work.
    pub run: Vec<(TableName, Role)>,
    /// What the pipeline publishes, too, but a selection leaves out, and what
    /// only that needs, in the order of work.
    pub beside: Vec<TableName>,
}

/// The tables this run publishes, in the order of work with all they need.
pub fn choose(
    spec: &Spec,
    models: &Models,
    broken: &BTreeSet<TableName>,
    request: &Request,
    values: &Values,
    problems: &mut Vec<Problem>,
) -> Tables {
    if fitted::fits_nothing(spec, request, values) {
        problems.extend(fitted::nothing_to_fit(spec, request, problems));
        return Tables::default();
    }
    let mut listed = select::listed(&spec.tables, models, broken, problems);
    problems.extend(fitted::drop_not_asked_for(&mut listed, models, values, spec));
    if spec.tables.is_empty() && problems.is_empty() {
        let message = "the pipeline publishes no tables";
        problems.push(Problem::at(&spec.pipeline.at, message).help("list them under `tables:`"));
    }
    problems.extend(same_folder(&listed, spec));
    problems.extend(listed.iter().filter_map(|name| has_a_day(models.get(name)?)));
    problems.extend(absent_sources(&listed, models, spec));
    let chosen = match select::select(&request.select, &listed, models) {
        Ok(chosen) => chosen,
        Err(found) => {
            problems.extend(found);
            return Tables::default();
        }
    };
    let ordered = order::order(models, &chosen).and_then(|run| {
        let run = match fitted::judge(&run, models, values) {
            Some(judge) => order::order(models, &chosen.iter().cloned().chain([judge]).collect())?,
            None => run,
        };
        Ok((run, order::order(models, &listed)?))
    });
    match ordered {
        Ok((run, all)) => {
            let beside = all.into_iter().filter(|name| !run.contains(name)).collect();
            let role = |name: &TableName| match chosen.contains(name) {
                true => Role::Published,
                false => Role::Step,
            };
            let with_role = |name: TableName| (name.clone(), role(&name));
            Tables { run: run.into_iter().map(with_role).collect(), beside }
        }
        Err(problem) => {
            problems.push(problem);
            Tables::default()
        }
    }
}

/// The column by which days of a published table are told apart: readers find it in
/// the names of its folders.
const DAY: &str = "as_of";

/// A column that readers would lose to that of the day.
fn has_a_day(model: &Model) -> Option<Problem> {
    let column = model.header.columns.iter().find(|column| column.name.value == DAY)?;
    let message = format!("`{}` cannot be published with a column `{DAY}`", model.name);
    let problem = Problem::at(&column.name.at, message)
        .note("note", "every published table has one: the day it is about")
        .help("give the column another name");
    Some(problem)
}

/// `facts.orders` and `metrics.orders` would both publish to `orders/`, and what is
/// set aside of orders to `quarantine_orders/`.
fn same_folder(listed: &BTreeSet<TableName>, spec: &Spec) -> Option<Problem> {
    let quarantine = |source: &SourceSpec| TableName {
        schema: "quarantine".into(),
        table: source.name.value.clone(),
    };
    let quarantines: Vec<TableName> = spec.sources.iter().map(quarantine).collect();
    let folder = |name: &TableName| match name.schema.as_str() {
        "quarantine" => format!("quarantine_{}", name.table),
        _ => name.table.clone(),
    };
    let mut folders: BTreeMap<String, &TableName> = BTreeMap::new();
    for name in quarantines.iter().chain(listed) {
        if let Some(other) = folders.insert(folder(name), name) {
            let message = format!("`{other}` and `{name}` would be published to one folder");
            return Some(Problem::at(&spec.pipeline.at, message).help("rename one of them"));
        }
    }
    None
}

/// A published table that needs a source the pipeline does not have.
fn absent_sources(listed: &BTreeSet<TableName>, models: &Models, spec: &Spec) -> Vec<Problem> {
    let mut problems = Vec::new();
    for name in listed {
        for ancestor in order::ancestors(models, name) {
            let Some(model) = models.get(&ancestor) else { continue };
            for table in model.tables.iter().filter(|table| table.value.schema == "sources") {
                let source = &table.value.table;
                let optional =
                    model.header.uses.iter().any(|word| word.value == table.value.to_string());
                let present = spec.sources.iter().any(|present| present.name.value == *source);
                if !optional && !present {
                    let place = spec.tables.iter().find(|word| word.value == name.to_string());
                    let at = place.map_or(&spec.pipeline.at, |word| &word.at);
                    let message = format!("`{name}` needs the source `{source}`");
                    problems.push(
                        Problem::at(at, message)
                            .note("note", format!("`{ancestor}` reads it"))
                            .help(format!("add `{source}` under `sources:`, or drop the table")),
                    );
                }
            }
        }
    }
    problems.dedup();
    problems
}
