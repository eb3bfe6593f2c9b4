//! `tenure verify`: reads what is published, and compares it with the checksums
//! it was published with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use glob::Pattern;

use super::console::{Console, counted};
use super::project;
use crate::error::{Error, Result};
use crate::problem::Problem;
use crate::report::published;
use crate::report::units;
use crate::run;
use crate::run::target::{Checked, Damage, Day, Manifest, Scope, Target};

/// What to verify.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The pipeline file
    #[arg(value_name = "PIPELINE")]
    pipeline: PathBuf,

    /// Only what is published for this day
    #[arg(long, value_name = "DATE")]
    as_of: Option<Day>,

    /// Only these tables, with or without their schema, or a pattern such as rfm_*
    #[arg(long, value_name = "TABLE")]
    select: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// A file that is not as it was published, each named with the next move;
/// nothing is published there; the target cannot be read.
pub async fn verify(arguments: &Arguments, console: &Console) -> Result<()> {
    let opened = project::open(&arguments.pipeline, console)?;
    let (target, own) = (opened.target()?, opened.name()?);
    let scope = scope(arguments, &target).await?;
    let checked = target.verify(&scope).await.map_err(run::explain)?;
    if checked.is_sound() {
        return console.print(&format!("{}: all as published\n", summed_up(&checked)));
    }
    let mut problems = damaged(&checked, &arguments.pipeline, &own, &target);
    problems.extend(surplus(&checked, &target));
    problems.extend(checked.logs.iter().map(|error| run::explained(&error.explained())));
    problems.extend(behind(&checked, &arguments.pipeline, &target));
    Err(Error::Failed(problems))
}

/// The tables and the day that are asked for.
async fn scope(arguments: &Arguments, target: &Target) -> Result<Scope> {
    let manifest = target.manifest().await.map_err(run::explain)?;
    let manifest = manifest.unwrap_or_else(Manifest::empty);
    let url = target.location().url();
    if manifest.tables.is_empty() {
        let problem = Problem::named(url, "nothing is published here yet");
        return Err(invalid(problem.help("publish with `tenure run PIPELINE --as-of YYYY-MM-DD`")));
    }
    let mut tables = BTreeSet::new();
    for word in &arguments.select {
        tables.extend(selected(word, &manifest, target)?);
    }
    let scope = Scope {
        tables: Some(tables).filter(|_| !arguments.select.is_empty()),
        as_of: arguments.as_of,
    };
    let is_in = |table: &str| scope.tables.as_ref().is_none_or(|tables| tables.contains(table));
    match arguments.as_of {
        Some(day) if !manifest.on(day).any(|(table, _)| is_in(table)) => {
            let days: BTreeSet<Day> = manifest
                .entries()
                .filter(|(table, ..)| is_in(table))
                .map(|(_, day, _)| day)
                .collect();
            let last = days.last().map(|last| format!("the last day published is {last}"));
            let what = if scope.tables.is_some() { "none of these tables" } else { "nothing" };
            let message = format!("{what} is published as of {day}");
            Err(invalid(Problem::named(url, message).maybe_help(last)))
        }
        _ => Ok(scope),
    }
}

/// The tables that a word means.
fn selected(word: &str, manifest: &Manifest, target: &Target) -> Result<BTreeSet<String>> {
    let names = || manifest.tables.keys().map(String::as_str);
    if word.contains(['*', '?', '[']) {
        let pattern = Pattern::new(word).map_err(|error| {
            invalid(Problem::new(format!("`{word}` is no pattern")).causes(&error))
        })?;
        let short = |name: &str| name.split_once('.').map_or(name, |(_, name)| name).to_string();
        let is_meant = |name: &&str| pattern.matches(name) || pattern.matches(&short(name));
        let found: BTreeSet<String> = names().filter(is_meant).map(str::to_string).collect();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(BTreeSet::from([published::resolve(word, names(), target.location())?]))
}

fn summed_up(checked: &Checked) -> String {
    let rewritten = match checked.rewritten {
        0 => String::new(),
        files => format!(
            " ({} of Delta tables rewritten by others, which have no checksum)",
            counted(files, "file")
        ),
    };
    let (files, tables) = (counted(checked.files, "file"), counted(checked.tables, "table"));
    format!("{files} of {tables}, each day counted, {}{rewritten}", units::bytes(checked.bytes))
}

/// A problem for each day, with its files: they have one next move.
fn damaged(checked: &Checked, pipeline: &Path, own: &str, target: &Target) -> Vec<Problem> {
    let mut days: BTreeMap<(&str, Day), Vec<&Damage>> = BTreeMap::new();
    for damage in &checked.damages {
        days.entry((&damage.pipeline, damage.day)).or_default().push(damage);
    }
    let problem = |((made_by, day), damages): ((&str, Day), Vec<&Damage>)| {
        let are = if damages.len() == 1 { "is" } else { "are" };
        let message = format!(
            "{} published as of {day} {are} not as published",
            counted(damages.len(), "file")
        );
        let problem = Problem::named(target.location().url(), message);
        let problem = damages.into_iter().fold(problem, |problem, damage| {
            problem.note("file", format!("{} ({}): {}", damage.path, damage.table, damage.cause))
        });
        let pipeline = pipeline.display();
        problem.help(match made_by == own {
            true => {
                format!("`tenure run {pipeline} --as-of {day} --full-refresh` makes them again")
            }
            false => format!(
                "pipeline `{made_by}` has published them: `tenure run` with its file, \
                 `--as-of {day} --full-refresh`, makes them again"
            ),
        })
    };
    days.into_iter().map(problem).collect()
}

fn surplus(checked: &Checked, target: &Target) -> Option<Problem> {
    if checked.surplus.is_empty() {
        return None;
    }
    let files = counted(checked.surplus.len(), "file");
    let message = format!("{files} in the folders of tables: nothing published names them");
    let problem = Problem::named(target.location().url(), message);
    let problem =
        checked.surplus.iter().fold(problem, |problem, path| problem.note("file", path.clone()));
    Some(problem.help("delete them: whoever reads the folders counts their rows"))
}

fn behind(checked: &Checked, pipeline: &Path, target: &Target) -> Option<Problem> {
    if !checked.is_behind {
        return None;
    }
    let message = "the folders of the tables do not show what is published";
    let problem = Problem::named(target.location().url(), message);
    Some(match &checked.working {
        Some(run) => {
            problem.note("note", format!("run {run} is at work")).help("verify when it has ended")
        }
        None => problem
            .note("cause", "a run has ended before it had brought them up to date")
            .help(format!("`tenure gc {}` brings them up to date", pipeline.display())),
    })
}

fn invalid(problem: Problem) -> Error {
    Error::Invalid(vec![problem])
}
