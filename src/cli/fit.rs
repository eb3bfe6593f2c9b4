//! `tenure fit`: fits the models of a pipeline and prints what they found, as a
//! person reads it. Nothing is published.

use std::fmt::Write;
use std::path::PathBuf;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use clap::Args;

use super::console::{Console, counted};
use super::request::RequestArguments;
use super::{progress, project};
use crate::error::Result;
use crate::plan::params::ParamValue;
use crate::report::table::TextTable;
use crate::run::target::Clock;
use crate::run::{self, Computed, Job};

/// What to fit.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The pipeline file
    #[arg(value_name = "PIPELINE")]
    pipeline: PathBuf,

    /// Last day counted, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    as_of: Option<String>,

    /// auto, bg_nbd, mbg_nbd, pareto_nbd or nbd; what the pipeline says unless told
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,

    /// Set a parameter; repeat for more
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = super::request::pair)]
    params: Vec<(String, String)>,
}

/// The tables that are looked at.
const TABLES: [&str; 3] = ["metrics.model_fit", "metrics.model_warnings", "metrics.model_backtest"];

/// Runs the command.
///
/// # Errors
/// Every problem of the project, or a source that cannot be read.
pub async fn fit(arguments: &Arguments, console: &Console) -> Result<()> {
    let opened = project::open(&arguments.pipeline, console)?;
    let mut params = arguments.params.clone();
    params.extend(arguments.model.iter().map(|model| ("purchase_model".into(), model.clone())));
    let mut request = RequestArguments::of(params).on(arguments.as_of.as_deref());
    request.instead = TABLES.map(String::from).to_vec();
    let plan = opened.compile(&request).await?;
    let observer = progress::observer(console);
    let job = Job {
        plan: &plan,
        base: &opened.base,
        variables: &opened.variables,
        refresh: false,
        arguments: Vec::new(),
        earlier: None,
        observer: observer.as_ref(),
        clock: Clock::system(),
    };
    let computed = run::compute(&job).await?;
    let holdout = plan.values.get("holdout_days").unwrap_or(&ParamValue::Null);
    console.print(&described(&computed, holdout))
}

fn described(computed: &[Computed], holdout: &ParamValue) -> String {
    let table = |name: &str| {
        let found = computed.iter().find(|computed| computed.name == name);
        found.map_or(&[][..], |computed| &computed.rows)
    };
    let mut text = String::new();
    let parameters = rows(table("metrics.model_fit"), &PARAMETER);
    let warnings = rows(table("metrics.model_warnings"), &WARNING);
    let mut models: Vec<&str> = parameters.iter().map(|row| row[0].as_str()).collect();
    models.dedup();
    for model in models {
        let of_model: Vec<_> = parameters.iter().filter(|row| row[0] == model).collect();
        let Some(first) = of_model.first() else { continue };
        let [_, _, _, _, unit, likelihood, iterations, customers, _, _, score, by] =
            first.as_slice()
        else {
            continue;
        };
        if of_model.iter().all(|row| row[2].is_empty()) {
            let _ = writeln!(text, "{model}: not fitted");
            explain(&mut text, model, &warnings);
            continue;
        }
        let customers = counted(customers.parse().unwrap_or(0), "customer");
        let unit = if unit == "money" { "money" } else { &format!("{unit}s") };
        let _ = writeln!(
            text,
            "{model}: {customers}, log-likelihood {likelihood}, {iterations} steps, in {unit}"
        );
        let mut lines = TextTable::new(["parameter", "estimate", "standard error"]);
        for row in &of_model {
            let error = if row[3].is_empty() { "flat" } else { &row[3] };
            lines.row([row[1].as_str(), &row[2], error]);
        }
        lines.right(1);
        lines.right(2);
        text.push_str(&lines.render());
        if first[9] != "true" {
            let _ = writeln!(text, "the search did not come to rest");
        }
        if !score.is_empty() {
            let _ = writeln!(text, "score {score} a customer ({})", compared_by(by));
        }
        explain(&mut text, model, &warnings);
    }
    text.push_str(&made_of(&parameters));
    text.push_str(&backtest(&rows(table("metrics.model_backtest"), &BACKTEST), holdout));
    text
}

/// How a score came about.
fn compared_by(basis: &str) -> &'static str {
    match basis {
        "holdout" => "log-likelihood of the hold-out",
        _ => "log-likelihood less what the parameters cost: there is no hold-out",
    }
}

/// Why a model is not used, if it is not.
fn explain(text: &mut String, model: &str, warnings: &[Vec<String>]) {
    for row in warnings.iter().filter(|row| row[0] == model) {
        let _ = writeln!(text, "warning: {} ({})", row[2], row[1]);
    }
    text.push('\n');
}

/// What predictions are made of: all models of purchases name the same one.
fn made_of(parameters: &[Vec<String>]) -> String {
    let of = |is_spend: bool| {
        let row = parameters.iter().find(|row| (row[0] == SPEND) == is_spend)?;
        Some(row[8].as_str())
    };
    let (Some(purchases), Some(spend)) = (of(false), of(true)) else { return String::new() };
    format!("predictions are made of: {purchases}, spend of: {spend}\n")
}

/// The model of spend.
const SPEND: &str = "gamma_gamma";

/// The end of the hold-out, by model.
fn backtest(rows: &[Vec<String>], holdout: &ParamValue) -> String {
    if rows.is_empty() && *holdout == ParamValue::Int(0) {
        return "not tested: give it a hold-out, such as --param holdout_days=91\n".into();
    }
    if rows.is_empty() {
        return "not tested: averages of the cohort are no model\n".into();
    }
    let mut text = String::new();
    let mut weeks: Vec<&Vec<String>> = rows.iter().filter(|row| row[1] == "week").collect();
    weeks.sort_by_key(|row| (row[0].clone(), row[2].parse::<u64>().unwrap_or(0)));
    for (place, row) in weeks.iter().enumerate() {
        if weeks.get(place + 1).is_none_or(|next| next[0] != row[0]) {
            let _ = writeln!(
                text,
                "hold-out of {}: {} purchases, {} expected {} (error {})",
                counted(row[2].parse().unwrap_or(0), "week"),
                row[3],
                row[0],
                row[4],
                row[5]
            );
        }
    }
    text
}

const PARAMETER: [&str; 12] = [
    "model",
    "parameter",
    "estimate",
    "standard_error",
    "unit",
    "log_likelihood",
    "iterations",
    "customers",
    "used",
    "converged",
    "score",
    "score_basis",
];
const WARNING: [&str; 3] = ["model", "reason", "meaning"];
const BACKTEST: [&str; 6] =
    ["model", "basis", "key", "cumulative_actual", "cumulative_expected", "cumulative_error"];

/// Some columns of some batches as words.
fn rows(batches: &[RecordBatch], columns: &[&str]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let words = columns.iter().map(|name| word(batch, name, row).unwrap_or_default());
            rows.push(words.collect());
        }
    }
    rows
}

fn word(batch: &RecordBatch, name: &str, row: usize) -> Option<String> {
    let array = batch.column_by_name(name)?;
    if array.is_null(row) {
        return None;
    }
    if let Some(numbers) = array.as_primitive_opt::<Float64Type>() {
        return Some(number(numbers.value(row)));
    }
    let texts = cast(array, &DataType::Utf8).ok()?;
    Some(texts.as_string::<i32>().value(row).to_string())
}

/// Four places, or five digits of what is small or large.
fn number(value: f64) -> String {
    match value.abs() {
        size if size == 0.0 || (1e-3..1e7).contains(&size) => format!("{value:.4}"),
        _ => format!("{value:.4e}"),
    }
}
