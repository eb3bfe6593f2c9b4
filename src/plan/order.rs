//! Who reads whom: which models a run needs, in which order, and whether the
//! arrows go one way.

use std::collections::{BTreeMap, BTreeSet};

use super::fitted;
use super::model::{Model, TableName};
use super::sources::source_kind;
use crate::problem::{Problem, suggest};

/// Models by name.
pub type Models = BTreeMap<TableName, Model>;

/// Whether a model of one schema may read a table.
fn may_read(reader: &str, table: &TableName) -> bool {
    let orders = table.schema == "sources" && table.table == "orders";
    match reader {
        // Who stands in orders of before the history is known from before.
        "staging" => table.schema == "sources" || table.to_string() == "quarantine.orders",
        "facts" => match table.schema.as_str() {
            "sources" => !orders,
            schema => matches!(schema, "staging" | "facts" | "rules"),
        },
        "metrics" => match table.schema.as_str() {
            "sources" => !orders,
            "models" => table.table != fitted::LAST_BACKTEST,
            schema => matches!(schema, "facts" | "metrics" | "rules"),
        },
        "models" => matches!(table.schema.as_str(), "staging" | "facts" | "models"),
        "checks" => table.schema != "sources" && table.schema != "checks",
        _ => false,
    }
}

fn layer_reason(reader: &str) -> &'static str {
    match reader {
        "staging" => "staging reads sources, and nothing reads a source's orders but staging",
        "facts" => "facts read staging, facts and rules",
        "metrics" => {
            "metrics read facts, metrics, rules and models, so that each cleaning rule has one home"
        }
        "rules" => "a rule file is one table of values and reads nothing",
        "checks" => "checks read what is published, not the sources",
        _ => "models stand in `sql/staging`, `facts`, `metrics`, `rules` or `checks`",
    }
}

/// Whether every table that is read exists, is in a layer below, and is named
/// in the header. Those whose file is `broken` have been spoken of.
pub fn check_reads(models: &Models, broken: &BTreeSet<TableName>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for model in models.values() {
        for table in &model.tables {
            let name = &table.value;
            if broken.contains(name) {
                continue;
            }
            if !exists(models, name) {
                problems.push(
                    Problem::at(&table.at, format!("no table `{name}`"))
                        .maybe_help(suggest_table(models, name)),
                );
            } else if !may_read(&model.name.schema, name) {
                let reader = &model.name.schema;
                problems.push(
                    Problem::at(&table.at, format!("`{}` reads `{name}`", model.name))
                        .note("note", layer_reason(reader)),
                );
            }
        }
        // A misspelt name would be told again by every header.
        if model.tables.iter().all(|table| exists(models, &table.value)) {
            problems.extend(compare_header(model));
        }
    }
    problems
}

fn exists(models: &Models, name: &TableName) -> bool {
    match name.schema.as_str() {
        "sources" | "quarantine" => source_kind(&name.table).is_some(),
        _ => models.contains_key(name),
    }
}

/// The table a misspelt name probably means.
pub fn suggest_table(models: &Models, name: &TableName) -> Option<String> {
    let known: Vec<String> = models.keys().map(ToString::to_string).collect();
    suggest(&name.to_string(), known.iter().map(String::as_str)).or_else(|| {
        let same: Vec<&str> = known
            .iter()
            .filter(|known| known.ends_with(&format!(".{}", name.table)))
            .map(String::as_str)
            .collect();
        (!same.is_empty()).then(|| format!("did you mean `{}`?", same.join("` or `")))
    })
}

fn compare_header(model: &Model) -> Vec<Problem> {
    let header = &model.header;
    let mut problems = Vec::new();
    let named = || header.reads.iter().chain(&header.uses);
    for word in named() {
        if !model.tables.iter().any(|table| table.value.to_string() == word.value) {
            let message =
                format!("`{}` says it reads `{}`, the query does not", model.name, word.value);
            let known: Vec<String> = model.tables.iter().map(|t| t.value.to_string()).collect();
            let help = suggest(&word.value, known.iter().map(String::as_str));
            problems.push(Problem::at(&word.at, message).maybe_help(help));
        }
    }
    for table in &model.tables {
        let name = table.value.to_string();
        if !named().any(|word| word.value == name) {
            let message = format!("`{}` reads `{name}`, its header does not say so", model.name);
            problems.push(
                Problem::at(&table.at, message)
                    .help("add it to `reads`, or let `tenure check --fix` do it"),
            );
        }
    }
    problems
}

/// The models that some tables need, themselves included, each after what it
/// reads.
///
/// # Errors
/// Tables that depend on each other in a circle.
pub fn order(models: &Models, wanted: &BTreeSet<TableName>) -> Result<Vec<TableName>, Problem> {
    let mut walk = Walk { models, done: Vec::new(), path: Vec::new() };
    for name in wanted {
        walk.visit(name)?;
    }
    Ok(walk.done)
}

struct Walk<'a> {
    models: &'a Models,
    done: Vec<TableName>,
    path: Vec<TableName>,
}

impl Walk<'_> {
    fn visit(&mut self, name: &TableName) -> Result<(), Problem> {
        let Some(model) = self.models.get(name) else { return Ok(()) };
        if self.done.contains(name) {
            return Ok(());
        }
        if let Some(start) = self.path.iter().position(|on_path| on_path == name) {
            return Err(self.circle(start, name));
        }
        self.path.push(name.clone());
        for table in &model.tables {
            self.visit(&table.value)?;
        }
        self.path.pop();
        self.done.push(name.clone());
        Ok(())
    }

    fn circle(&self, start: usize, name: &TableName) -> Problem {
        let mut chain: Vec<String> = self.path[start..].iter().map(ToString::to_string).collect();
        chain.push(name.to_string());
        let last = self.path.last().and_then(|last| self.models.get(last));
        let table = last.and_then(|model| model.tables.iter().find(|table| table.value == *name));
        let problem = match table {
            Some(table) => Problem::at(&table.at, "tables depend on each other in a circle"),
            None => Problem::new("tables depend on each other in a circle"),
        };
        problem.note("circle", chain.join(" -> "))
    }
}

/// Everything a set of tables is built from, themselves included.
pub fn ancestors(models: &Models, name: &TableName) -> BTreeSet<TableName> {
    let mut found = BTreeSet::new();
    let mut open = vec![name.clone()];
    while let Some(name) = open.pop() {
        if found.insert(name.clone())
            && let Some(model) = models.get(&name)
        {
            open.extend(model.tables.iter().map(|table| table.value.clone()));
        }
    }
    found
}
