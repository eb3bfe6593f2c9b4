//! `tenure plan`: what a run would do and why; it does none of it.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;

use super::console::{Console, counted};
use super::request::RequestArguments;
use super::{progress, project};
use crate::error::Result;
use crate::plan::{FileFormat, Model, Plan, Role, Rows, SourcePlan, TableFormat};
use crate::run::target::Clock;
use crate::run::{self, Job, Preview};

/// What to plan.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The pipeline file
    #[arg(value_name = "PIPELINE")]
    pipeline: PathBuf,

    /// Last day counted, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    as_of: Option<String>,

    #[command(flatten)]
    request: RequestArguments,
}

/// Runs the command.
///
/// # Errors
/// Every problem of the project.
pub async fn plan(arguments: &Arguments, console: &Console) -> Result<()> {
    let opened = project::open(&arguments.pipeline, console)?;
    let request = arguments.request.on(arguments.as_of.as_deref());
    let plan = opened.compile(&request).await?;
    let observer = progress::observer(console);
    let job = Job {
        plan: &plan,
        base: &opened.base,
        variables: &opened.variables,
        refresh: arguments.request.full_refresh,
        arguments: Vec::new(),
        earlier: None,
        observer: observer.as_ref(),
        clock: Clock::system(),
    };
    let preview = run::preview(&job).await?;
    console.print(&describe(&plan, &preview))
}

/// A plan and what a run would make of it, as people read it.
pub fn describe(plan: &Plan, preview: &Preview) -> String {
    let work = &preview.work;
    let published = plan.tables.iter().filter(|table| table.role == Role::Published);
    let (reused, built): (Vec<_>, Vec<_>) =
        published.partition(|table| work.reuse.contains(&table.model.name.to_string()));
    let mut text = format!(
        "{} as of {}: {} to build, {} to reuse, {} to run\n",
        plan.pipeline,
        plan.as_of,
        counted(built.len(), "table"),
        counted(reused.len(), "table"),
        counted(work.checks.len(), "check"),
    );
    section(&mut text, "Sources", plan.sources.iter().map(|read| source(read, preview)));
    section(&mut text, "Parameters", parameters(plan));
    let tables = plan.tables.iter().map(|table| table_line(&table.model, table.role, preview));
    section(&mut text, "Tables, in the order of work", tables);
    let checks = plan.checks.iter().map(|check| {
        let name = check.name.to_string();
        let action = if work.checks.contains(&name) { "run" } else { "passed" };
        [name, action.into(), reads(check)]
    });
    section(&mut text, "Checks; a row they return stops the run", checks);
    let dropped = preview.dropped.iter().map(|name| [name.clone(), why(name, preview)]);
    section(&mut text, "No longer published, for they would contradict this run", dropped);
    let kept =
        counted(usize::try_from(plan.publish.keep_runs).unwrap_or(usize::MAX), "superseded run");
    let format = match plan.publish.format {
        TableFormat::Parquet => "parquet",
        TableFormat::Delta => "delta",
    };
    section(&mut text, "Publish", [[plan.publish.url.clone(), format!("{format}, {kept} kept")]]);
    text
}

/// What becomes of a table, why, and what it is made from.
fn table_line(model: &Model, role: Role, preview: &Preview) -> [String; 4] {
    let name = model.name.to_string();
    let work = &preview.work;
    let stands = || match preview.runs.get(&name) {
        Some(run) => format!("nothing changed since run {run}"),
        None => String::new(),
    };
    let (action, why) = match role {
        Role::Published if work.publish.contains(&name) => ("build", why(&name, preview)),
        Role::Published => ("reuse", stands()),
        Role::Step if work.compute.contains(&name) => ("step", String::new()),
        Role::Step if work.read_back.contains(&name) => ("reuse", stands()),
        Role::Step => ("skip", "nothing to build reads it".into()),
    };
    [name, action.into(), why, reads(model)]
}

fn why(name: &str, preview: &Preview) -> String {
    let unlisted = || "made from something else, and not listed any more".to_string();
    preview.reasons.get(name).cloned().unwrap_or_else(unlisted)
}

fn source(source: &SourcePlan, preview: &Preview) -> [String; 4] {
    let format: String = match source.format {
        FileFormat::Parquet => "parquet".into(),
        FileFormat::Csv(_) => "csv".into(),
        FileFormat::Json => "json".into(),
        FileFormat::Delta(None) => "delta".into(),
        FileFormat::Delta(Some(version)) => format!("delta, version {version}"),
    };
    let rows = match source.rows {
        Rows::Lines => ", rows are lines of orders",
        Rows::Orders => "",
    };
    let name = source.kind.name;
    let files = preview.files.get(name).map_or("no files".into(), |files| counted(*files, "file"));
    let action = match preview.work.compute.contains(&format!("sources.{name}")) {
        true => "read",
        false => "skip",
    };
    [name.into(), action.into(), source.url.clone(), format!("{format}{rows}, {files}")]
}

/// The parameters that the tables of this plan depend on.
fn parameters(plan: &Plan) -> impl Iterator<Item = [String; 2]> + '_ {
    let built_in = ["as_of", "timezone", "history_start", "currency"];
    let used = move |name: &str| {
        built_in.contains(&name)
            || plan
                .tables
                .iter()
                .any(|table| table.model.placeholders.iter().any(|used| used.value == name))
    };
    let values = plan.values.iter().filter(move |(name, _)| used(name));
    values.map(|(name, value)| [name.clone(), value.to_string()])
}

fn reads(model: &Model) -> String {
    let tables: Vec<String> = model.tables.iter().map(|table| table.value.to_string()).collect();
    match tables.is_empty() {
        true => String::new(),
        false => format!("from {}", tables.join(", ")),
    }
}

/// A heading and lines whose words stand below each other.
fn section<const N: usize>(
    text: &mut String,
    heading: &str,
    lines: impl IntoIterator<Item = [String; N]>,
) {
    let lines: Vec<[String; N]> = lines.into_iter().collect();
    if lines.is_empty() {
        return;
    }
    let width = |index: usize| lines.iter().map(|line| line[index].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|index| width(index).unwrap_or(0)).collect();
    let _ = writeln!(text, "\n{heading}");
    for line in &lines {
        let words = line.iter().zip(&widths).map(|(word, width)| format!("{word:<width$}"));
        let _ = writeln!(text, "  {}", words.collect::<Vec<_>>().join("  ").trim_end());
    }
}
