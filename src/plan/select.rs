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
/// A selector that chooses nothing.
pub fn select(
    selectors: &[String],
    published: &BTreeSet<TableName>,
    models: &Models,
) -> Result<BTreeSet<TableName>, Vec<Problem>> {
    let words = selectors.iter().flat_map(|text| text.split([',', ' ']));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return Ok(published.clone());
    }
    let mut chosen = BTreeSet::new();
    let mut problems = Vec::new();
    for word in words {
        let found = one(word, published, models);
        if found.is_empty() {
            problems.push(nothing(word, published));
        }
        chosen.extend(found);
    }
    if problems.is_empty() { Ok(chosen) } else { Err(problems) }
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

fn nothing(word: &str, published: &BTreeSet<TableName>) -> Problem {
    let bare = word.trim_matches('+');
    let known: Vec<String> = published
        .iter()
        .map(|name| if bare.contains('.') { name.to_string() } else { name.table.clone() })
        .collect();
    Problem::new(format!("`--select {word}` chooses no table of this pipeline"))
        .maybe_help(suggest(bare, known.iter().map(String::as_str)))
}

/// The tables a pipeline lists, globs resolved. Those whose file is `broken` have
/// been spoken of.
pub fn listed(
    words: &[super::spec::Spanned<String>],
    models: &Models,
    broken: &BTreeSet<TableName>,
    problems: &mut Vec<Problem>,
) -> BTreeSet<TableName> {
    let publishable = |name: &&TableName| matches!(name.schema.as_str(), "facts" | "metrics");
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
