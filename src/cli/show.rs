//! `tenure show`: prints a published table.

use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use arrow::error::ArrowError;
use clap::{Args, ValueEnum};

use super::console::{Console, Output, written};
use super::project::{self, Opened};
use super::retry;
use crate::error::{Error, Result};
use crate::problem::Problem;
use crate::report::cohorts::{self, Triangle};
use crate::report::published::{self, Excerpt, Found, Published, Wanted};
use crate::report::table::{Rows, TextTable};
use crate::report::units;
use crate::run;
use crate::run::target::{Day, RunId, Target};

/// Rows shown to a person who does not say how many.
const ROWS_SHOWN: u64 = 20;
/// Cohorts shown: three years of months.
const COHORTS_SHOWN: u64 = 36;

/// What to show.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The pipeline file
    #[arg(value_name = "PIPELINE")]
    pipeline: PathBuf,

    /// The table, with or without its schema; quarantine.orders is what was set aside
    #[arg(value_name = "TABLE")]
    table: String,

    /// Rows at most; tables show 20 unless told, csv and json all
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    /// Show only these columns, in this order
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    columns: Vec<String>,

    /// Write a table, CSV, or one JSON object a line
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,

    /// Draw metrics.cohort_retention as a triangle: cohorts down, periods across
    #[arg(long, conflicts_with_all = ["format", "columns"])]
    matrix: bool,

    /// The day; the newest unless told
    #[arg(long, value_name = "DATE")]
    as_of: Option<Day>,

    /// What this run made, even if it was superseded or not published
    #[arg(long, value_name = "RUN_ID")]
    run: Option<RunId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Csv,
    Json,
}

/// Runs the command.
///
/// # Errors
/// No such table, or it cannot be read.
pub async fn show(arguments: &Arguments, console: &Console) -> Result<()> {
    let opened = project::open(&arguments.pipeline, console)?;
    let target = opened.target()?;
    let table = find(arguments, &opened, &target, console).await?;
    let excerpt = Excerpt { columns: arguments.columns.clone(), rows_max: arguments.limit };
    match arguments.format {
        _ if arguments.matrix => {
            let title = title(&table, arguments, &target).await?;
            matrix(&table, &title, arguments.limit, console).await
        }
        Format::Table => {
            let title = title(&table, arguments, &target).await?;
            text(&table, &title, excerpt, console).await
        }
        Format::Csv | Format::Json => rows(&table, &excerpt, arguments.format).await,
    }
}

/// Finds the table. What to do about a run that came to nothing depends on the
/// whole project, so it is added here.
async fn find(
    arguments: &Arguments,
    opened: &Opened,
    target: &Target,
    console: &Console,
) -> Result<Published> {
    let wanted =
        Wanted { name: &arguments.table, as_of: arguments.as_of, run_id: arguments.run.as_ref() };
    match published::find(target, &wanted).await? {
        Found::Table(table) => Ok(*table),
        Found::Unmade(problem, run_id) => {
            let advice = match problem.help {
                None => retry::advice(opened, &arguments.pipeline, &run_id, console).await,
                Some(_) => None,
            };
            Err(Error::Invalid(vec![problem.maybe_help(advice)]))
        }
    }
}

/// Which table this is, and whether readers see it.
async fn title(table: &Published, arguments: &Arguments, target: &Target) -> Result<String> {
    let mut title = format!("{} as of {}", table.name, table.as_of);
    if let Some(ending) = table.ending.as_ref().filter(|ending| !ending.is_published()) {
        title += &format!(", not published: its run {}", ending.phrase());
    } else {
        let version = target.delta_version(&table.name, arguments.run.as_ref()).await;
        if let Some(version) = version.map_err(run::explain)? {
            title += &format!(", version {version} of its Delta table");
        }
    }
    Ok(title)
}

async fn text(
    table: &Published,
    title: &str,
    mut excerpt: Excerpt,
    console: &Console,
) -> Result<()> {
    excerpt.rows_max = Some(excerpt.rows_max.unwrap_or(ROWS_SHOWN));
    let mut lines = TextTable::new(table.chosen(&excerpt)?);
    let add = |batch| lines.batch(&batch).map(ControlFlow::Continue).map_err(unprintable);
    let shown = table.read(&excerpt, add).await?;
    let of = match shown == table.rows() {
        true => String::new(),
        false => format!("{} of ", units::grouped(shown)),
    };
    let rows = units::grouped(table.rows());
    console.print(&format!("{title}\n\n{}\n{of}{rows} rows\n", lines.render()))
}

async fn rows(table: &Published, excerpt: &Excerpt, format: Format) -> Result<()> {
    let output = Output::open();
    let buffer = BufWriter::new(output.clone());
    let mut rows = match format {
        Format::Json => Rows::json(buffer),
        Format::Csv | Format::Table => {
            Rows::csv(buffer, &table.chosen(excerpt)?).map_err(unprintable)?
        }
    };
    let write = |batch| {
        rows.batch(&batch).map_err(unprintable)?;
        Ok(if output.is_closed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    };
    table.read(excerpt, write).await?;
    let mut buffer = rows.finish().map_err(unprintable)?;
    written(buffer.flush())
}

async fn matrix(
    table: &Published,
    title: &str,
    limit: Option<u64>,
    console: &Console,
) -> Result<()> {
    if table.name != "metrics.cohort_retention" {
        let message = format!("`{}` cannot be drawn as a matrix", table.name);
        let problem = Problem::new(message).help("only metrics.cohort_retention can");
        return Err(Error::Invalid(vec![problem]));
    }
    let columns = cohorts::COLUMNS.map(str::to_string).to_vec();
    let excerpt = Excerpt { columns, rows_max: None };
    let mut triangle = Triangle::default();
    let add = |batch| triangle.add(&batch).map(ControlFlow::Continue).map_err(unprintable);
    table.read(&excerpt, add).await?;
    let grain = table.params.get("cohort_grain").and_then(|grain| grain.as_str());
    let cohorts_max = usize::try_from(limit.unwrap_or(COHORTS_SHOWN)).unwrap_or(usize::MAX);
    let drawn = triangle.render(grain.unwrap_or("period"), cohorts_max);
    console.print(&format!("{title}\n\n{drawn}"))
}

fn unprintable(error: ArrowError) -> Error {
    Problem::new("cannot print this table").causes(&error).into()
}
