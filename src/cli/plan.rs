//! `tenure plan`: what a run would do, and does not.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;

use super::console::{Console, counted};
use super::project;
use super::request::RequestArguments;
use crate::error::Result;
use crate::plan::{FileFormat, Model, Plan, Role, Rows, SourcePlan};

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
    let opened = project::open(&arguments.pipeline)?;
    let plan = opened.compile(&arguments.request.on(arguments.as_of.as_deref())).await?;
    console.print(&describe(&plan))
}

/// A plan as people read it.
pub fn describe(plan: &Plan) -> String {
    let published = plan.tables.iter().filter(|table| table.role == Role::Published).count();
    let mut text = format!(
        "{} as of {}: {} to publish, {} on the way, {}\n",
        plan.pipeline,
        plan.as_of,
        counted(published, "table"),
        counted(plan.tables.len() - published, "step"),
        counted(plan.checks.len(), "check"),
    );
    section(&mut text, "Sources", plan.sources.iter().map(source));
    section(&mut text, "Parameters", parameters(plan));
    let tables = plan.tables.iter().map(|table| {
        let role = match table.role {
            Role::Published => "publish",
            Role::Step => "step",
        };
        [table.model.name.to_string(), role.into(), reads(&table.model)]
    });
    section(&mut text, "Tables, in the order of work", tables);
    let checks = plan.checks.iter().map(|check| [check.name.to_string(), reads(check)]);
    section(&mut text, "Checks; a row they return stops the run", checks);
    let kept =
        counted(usize::try_from(plan.publish.keep_runs).unwrap_or(usize::MAX), "superseded run");
    section(&mut text, "Publish", [[plan.publish.url.clone(), format!("parquet, {kept} kept")]]);
    text
}

fn source(source: &SourcePlan) -> [String; 3] {
    let format = match source.format {
        FileFormat::Parquet => "parquet",
        FileFormat::Csv => "csv",
        FileFormat::Json => "json",
    };
    let rows = match source.rows {
        Rows::Lines => ", rows are lines of orders",
        Rows::Orders => "",
    };
    [source.kind.name.into(), source.url.clone(), format!("{format}{rows}")]
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
