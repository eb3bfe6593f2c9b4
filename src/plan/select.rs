//! dbt's selectors: `name`, `+name` (and what it is built from), `name+` (and
//! what is built from it), globs, several joined by commas or blanks.

use std::collections::BTreeSet;

use glob::Pattern;

use super::model::TableName;
use super::order::{Models, ancestors, suggest_table};
use crate::problem::{Problem, suggest};

/// The tables of a pipeline that some selectors choose.
///
/// # Errors
/// A selector that is empty or chooses nothing.
pub fn select(
    selectors: &[String],
    published: &BTreeSet<TableName>,
    models: &Models,
) -> Result<BTreeSet<TableName>, Vec<Problem>> {
    if selectors.is_empty() {
        return Ok(published.clone());
    }
    let mut chosen = BTreeSet::new();
    let mut problems: Vec<Problem> =
        selectors.iter().filter(|text| words(text).next().is_none()).map(|_| empty()).collect();
    for word in selectors.iter().flat_map(|text| words(text)) {
        let found = one(word, published, models);
        if found.is_empty() {
            problems.push(nothing(word, published, models));
        }
        chosen.extend(found);
    }
    if problems.is_empty() { Ok(chosen) } else { Err(problems) }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ']).filter(|word| !word.is_empty())
}

/// Whoever selects wants less than everything, so that nothing is not taken for it.
fn empty() -> Problem {
    Problem::new("`--select` names no table: its value is empty")
        .note("note", "that is what a shell makes of a variable that is not set")
        .help("name tables, such as `--select metrics.rfm_scores`, or leave it out for all of them")
}

fn one(word: &str, published: &BTreeSet<TableName>, models: &Models) -> BTreeSet<TableName> {
    let upstream = word.starts_with('+');
    let downstream = word.ends_with('+') && word.len() > 1;
    let named = matching(word.trim_matches('+'), models.keys());
    let mut chosen: BTreeSet<TableName> =
        named.iter().filter(|name| published.contains(name)).cloned().collect();
    for table in published {
        let built_from = ancestors(models, table);
        if upstream && named.iter().any(|name| ancestors(models, name).contains(table))
            || downstream && named.iter().any(|name| built_from.contains(name))
        {
            chosen.insert(table.clone());
        }
    }
    chosen
}

/// The names a word or glob means, written with or without the schema.
pub fn matching<'a>(word: &str, names: impl Iterator<Item = &'a TableName>) -> BTreeSet<TableName> {
    let Ok(pattern) = Pattern::new(word) else { return BTreeSet::new() };
    let matches = |name: &&TableName| {
        pattern.matches(&name.to_string()) || !word.contains('.') && pattern.matches(&name.table)
    };
    names.filter(matches).cloned().collect()
}

fn nothing(word: &str, published: &BTreeSet<TableName>, models: &Models) -> Problem {
    let bare = word.trim_matches('+');
    let known: Vec<String> = published
        .iter()
        .map(|name| if bare.contains('.') { name.to_string() } else { name.table.clone() })
        .collect();
    let help = unpublished(bare, published, models)
        .or_else(|| suggest(bare, known.iter().map(String::as_str)))
        .unwrap_or_else(|| "`tenure plan` lists the tables of a pipeline".into());
    Problem::new(format!("`--select {word}` chooses no table of this pipeline")).help(help)
}

/// What helps where a word means tables that the pipeline does not publish.
fn unpublished(word: &str, published: &BTreeSet<TableName>, models: &Models) -> Option<String> {
    let name = matching(word, models.keys()).into_iter().next()?;
    let after = format!("{name}+");
    Some(match is_publishable(&name) {
        true => format!("the pipeline does not publish `{name}`: list it under `tables:`"),
        false if one(&after, published, models).is_empty() => {
            "only facts and metrics are published".into()
        }
        false => format!("only facts and metrics are published: `{after}` is what is made from it"),
    })
}

fn is_publishable(name: &TableName) -> bool {
    matches!(name.schema.as_str(), "facts" | "metrics")
}

/// The tables a pipeline lists, globs resolved. Those whose file is `broken` have
/// been spoken of.
pub fn listed(
    words: &[super::spec::Spanned<String>],
    models: &Models,
    broken: &BTreeSet<TableName>,
    problems: &mut Vec<Problem>,
) -> BTreeSet<TableName> {
    let publishable = |name: &&TableName| is_publishable(name);
    let mut tables = BTreeSet::new();
    for word in words {
        let found = match word.value.contains('.') {
            true => matching(&word.value, models.keys().filter(publishable)),
            false => BTreeSet::new(),
        };
        let is_broken = || TableName::parse(&word.value).is_some_and(|name| broken.contains(&name));
        if found.is_empty() && !is_broken() {
            let problem = Problem::at(&word.at, format!("no table `{}` to publish", word.value));
            let help = match TableName::parse(&word.value) {
                Some(name) if models.contains_key(&name) => {
                    Some("only facts and metrics can be published".into())
                }
                Some(name) => suggest_table(models, &name),
                None => {
                    let guess = TableName { schema: "metrics".into(), table: word.value.clone() };
                    suggest_table(models, &guess)
                }
            };
            problems.push(problem.maybe_help(help));
        }
        tables.extend(found);
    }
    tables
}
