//! `tenure generate`: an order history with known truth.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::Args;

use super::console::Console;
use crate::error::{Error, Result};
use crate::generate::{self, GenerateError, IdType, Options, Process};
use crate::problem::Problem;
use crate::report::units::grouped;

/// What to make.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder to write: orders/, customers.parquet and the truth behind them
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Customers who join over the months
    #[arg(long, value_name = "N", default_value_t = Options::default().customers)]
    customers: u64,

    /// Length of the history in months
    #[arg(long, value_name = "M", default_value_t = Options::default().months)]
    months: u32,

    /// The same seed gives the same bytes
    #[arg(long, value_name = "S", default_value_t = Options::default().seed)]
    seed: u64,

    /// First day of the history
    #[arg(long, value_name = "DATE", default_value_t = Options::default().start)]
    start: NaiveDate,

    /// How customers buy and drop out: bg_nbd or pareto_nbd
    #[arg(long, value_name = "MODEL", default_value_t = Options::default().process)]
    process: Process,

    /// What customers are called: bigint or text
    #[arg(long, value_name = "TYPE", default_value = "bigint")]
    id_type: IdType,

    /// Share of the sales that come back, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = Options::default().refund_rate)]
    refund_rate: f64,

    /// Make all weekdays and months alike
    #[arg(long)]
    no_seasonality: bool,
}

/// Runs the command.
///
/// # Errors
/// Options that cannot be met, or a folder that cannot be written.
pub fn generate(arguments: &Arguments, console: &Console) -> Result<()> {
    let options = Options {
        customers: arguments.customers,
        months: arguments.months,
        seed: arguments.seed,
        start: arguments.start,
        process: arguments.process,
        seasonality: !arguments.no_seasonality,
        refund_rate: arguments.refund_rate,
        id_type: arguments.id_type,
        ..Options::default()
    };
    let made = generate::generate(&options, &arguments.folder).map_err(explain)?;
    let last = made.end.pred_opt().unwrap_or(made.end);
    console.tell(&format!(
        "{} orders and {} refunds of {} customers, {} to {last}, in {}\n",
        grouped(made.sales),
        grouped(made.refunds),
        grouped(made.customers),
        made.start,
        arguments.folder.display(),
    ));
    Ok(())
}

fn explain(error: GenerateError) -> Error {
    match error {
        GenerateError::InvalidOptions { problems } => {
            Error::Invalid(problems.into_iter().map(Problem::new).collect())
        }
        GenerateError::Leftover { .. } | GenerateError::TooManyRows { .. } => {
            Error::Invalid(vec![Problem::new(error.to_string())])
        }
        other => Problem::new("cannot generate an order history").causes(&other).into(),
    }
}
