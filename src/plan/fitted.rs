//! Tables that probability models fill: `models.*`. Their SQL stands beside
//! this file and says what they are made from and of which types; the rows
//! come from `clv`, the one exception to the rule that a metric is SQL.
//!
//! A pipeline asks for them with `models:`. Its keys are parameters under
//! other names, so that a run can set them, fingerprints know them, and SQL
//! reads them like any other.

use std::collections::BTreeSet;

use super::compile::Request;
use super::model::{self, TableName};
use super::order::{Models, ancestors};
use super::params::{ParamValue, Params, Values};
use super::spec::{ModelsSpec, Spanned, Spec};
use crate::problem::{Problem, Source};

/// The schema of these tables.
pub const SCHEMA: &str = "models";

/// What was published before: known to checks, made by no run.
pub const LAST_BACKTEST: &str = "last_backtest";

/// The tables and their texts.
const TEXTS: [(&str, &str); 4] = [
    ("fit", include_str!("fitted/fit.sql")),
    ("expected", include_str!("fitted/expected.sql")),
    ("predictions", include_str!("fitted/predictions.sql")),
    (LAST_BACKTEST, include_str!("fitted/last_backtest.sql")),
];

/// Whether a run is to fit models.
pub fn is_asked_for(values: &Values) -> bool {
    matches!(values.get("purchase_model"), Some(ParamValue::Text(_)))
}

/// Adds to the tables of a project those that it reads of these. Where no model
/// is asked for they are empty, and nothing is computed for their sake.
pub fn add(models: &mut Models, values: &Values, problems: &mut Vec<Problem>) {
    let own = models.keys().filter(|name| name.schema == SCHEMA).cloned().collect::<Vec<_>>();
    for name in own {
        if let Some(model) = models.remove(&name) {
            let message = format!("`{SCHEMA}` is the schema of tables that tenure makes itself");
            let problem = Problem::at(&model.source.whole(), message);
            problems.push(problem.help("move the file to `sql/metrics/` or `sql/facts/`"));
        }
    }
    let tables = models.values().flat_map(|model| &model.tables).map(|table| &table.value);
    let mut missing: BTreeSet<TableName> =
        tables.filter(|name| name.schema == SCHEMA).cloned().collect();
    while let Some(name) = missing.pop_first() {
        let Some((_, text)) = TEXTS.iter().find(|(table, _)| *table == name.table) else {
            continue;
        };
        let text = if is_asked_for(values) { (*text).into() } else { without_input(text) };
        // The texts are part of the program: tests see to it that they parse.
        let (model, found) = model::read(name.clone(), &Source::new(name.to_string(), text));
        problems.extend(found);
        if let Some(model) = model {
            let more = model.tables.iter().map(|table| &table.value);
            let more = more.filter(|name| name.schema == SCHEMA && !models.contains_key(name));
            missing.extend(more.cloned());
            models.insert(name, model);
        }
    }
}

/// The same table, empty, made from nothing but the type of its ids.
fn without_input(text: &str) -> String {
    let (query, _) =
        text.split_once("\nfrom ").or(text.split_once("\nwhere ")).unwrap_or((text, ""));
    let header = query.lines().map(|line| match line {
        _ if line.starts_with("-- reads ") => "-- reads   staging.orders",
        _ if line.starts_with("-- params ") => "-- params  none",
        line => line,
    });
    let query: Vec<&str> = header.collect();
    let query = query.join("\n").replace("purchase_histories.customer_id", "orders.customer_id");
    format!("{query}\nfrom staging.orders as orders\n\nwhere false\n")
}

/// Whether only the tables of models are to be made, of a pipeline that asks for
/// none.
pub fn fits_nothing(spec: &Spec, request: &Request, values: &Values) -> bool {
    !request.instead.is_empty() && spec.models.is_none() && !is_asked_for(values)
}

/// That they are, said once and not of each table; none where a model was given
/// that is none, which is a problem of its own.
pub fn nothing_to_fit(spec: &Spec, request: &Request, problems: &[Problem]) -> Option<Problem> {
    let is_given = request.params.iter().any(|(name, _)| name == "purchase_model");
    if is_given && !problems.is_empty() {
        return None;
    }
    let message = "there is nothing to fit: the pipeline has no `models:`";
    let help = "say which model, here by `--model auto`, or for every run by \
                `models: { purchases: auto }` in the pipeline";
    Some(Problem::at(&spec.pipeline.at, message).help(help))
}

/// Takes out of the listed tables those that are nothing without a model, where
/// none is asked for: in silence where a glob has brought them in.
pub fn drop_not_asked_for(
    listed: &mut BTreeSet<TableName>,
    models: &Models,
    values: &Values,
    spec: &Spec,
) -> Vec<Problem> {
    // A model that was written and is none is a problem of its own.
    if is_asked_for(values) || spec.models.is_some() {
        return Vec::new();
    }
    let needs_one = |name: &TableName| {
        ancestors(models, name).iter().filter_map(|name| models.get(name)).any(|model| {
            let read = model.header.reads.iter().map(|word| word.value.as_str());
            read.filter_map(TableName::parse).any(|read| read.schema == SCHEMA)
        })
    };
    let dropped = listed.extract_if(.., |name| needs_one(name));
    let named = dropped.filter_map(|name| {
        let word = spec.tables.iter().find(|word| name.is_meant_by(&word.value))?;
        let message = format!("`{name}` needs a model of purchases");
        let help = "add `models: { purchases: auto }`, or drop the table";
        Some(Problem::at(&word.at, message).help(help))
    });
    named.collect()
}

/// The values that `models:` gives to parameters.
pub fn values(
    spec: &ModelsSpec,
    params: &Params,
    values: &mut Values,
    problems: &mut Vec<Problem>,
) {
    let plain = [
        ("purchases", "purchase_model", &spec.purchases),
        ("unit", "model_unit", &spec.unit),
        ("discount", "discount_rate", &spec.discount),
        ("interval", "value_interval", &spec.interval),
        ("cumulative_error_max", "backtest_error_max", &spec.cumulative_error_max),
        ("worse_than_last", "backtest_worse_max", &spec.worse_than_last),
    ];
    for (key, name, written) in plain {
        if let Some(written) = written {
            set(key, name, written, &written.value, params, values, problems);
        }
    }
    let lengths = [
        ("holdout", "holdout_days", &spec.holdout),
        ("horizon", "clv_horizon_days", &spec.horizon),
    ];
    for (key, name, written) in lengths {
        let Some(written) = written else { continue };
        match days(&written.value) {
            Some(days) => set(key, name, written, &days.to_string(), params, values, problems),
            None => problems.push(
                Problem::at(&written.at, format!("`{key}` must be a length of time with its unit"))
                    .help("such as `90 days` or `13 weeks`"),
            ),
        }
    }
}

/// Parameters of models outside of what they can be; a gate with nothing to
/// judge.
pub fn out_of_range(values: &Values, spec: &Spec) -> Vec<Problem> {
    if !is_asked_for(values) {
        return Vec::new();
    }
    let number = |name: &str| match values.get(name) {
        Some(ParamValue::Int(number)) => Some(*number as f64),
        Some(ParamValue::Decimal(digits)) => digits.parse().ok(),
        _ => None,
    };
    let at = &spec.models.as_ref().map_or(&spec.pipeline.at, |models| &models.at);
    let mut problems = Vec::new();
    for (name, range, holds) in RANGES {
        if !number(name).is_some_and(holds) {
            let value = values.get(name).map_or("null".into(), ToString::to_string);
            let message = format!("parameter `{name}` is {range}, not {value}");
            problems.push(Problem::at(at, message));
        }
    }
    if is_gated(values) && number("holdout_days") == Some(0.0) {
        problems.push(
            Problem::at(at, "a gate needs a hold-out to judge the model by").help(
                "add `holdout: 13 weeks` under `models:`, or take --param holdout_days=0 away",
            ),
        );
    }
    problems
}

/// A parameter, what it may be, and whether a value is.
type Range = (&'static str, &'static str, fn(f64) -> bool);

/// A hundred years: further than any order history or plan reaches.
const DAYS_MAX: f64 = 36_525.0;

const RANGES: [Range; 4] = [
    ("holdout_days", "0 to 36,525 days", |days| (0.0..=DAYS_MAX).contains(&days)),
    ("clv_horizon_days", "1 to 36,525 days", |days| (1.0..=DAYS_MAX).contains(&days)),
    ("discount_rate", "a share of 0 or more, such as 0.10", |share| share >= 0.0),
    ("value_interval", "a share between 0 and 1, such as 0.80", |share| share > 0.0 && share < 1.0),
];

/// Whether publishing depends on the back-test.
pub fn is_gated(values: &Values) -> bool {
    let bounds = ["backtest_error_max", "backtest_worse_max"];
    bounds.iter().any(|name| matches!(values.get(*name), Some(ParamValue::Decimal(_))))
}

/// What judges a model, where the tables of a run depend on one and it is tested:
/// it is computed even if nobody publishes it, for a gate and for warnings.
pub fn judge(run: &[TableName], models: &Models, values: &Values) -> Option<TableName> {
    let backtest = TableName { schema: "metrics".into(), table: "model_backtest".into() };
    let is_judged = run.iter().any(|name| name.schema == SCHEMA && name.table == "predictions");
    let is_tested = values.get("holdout_days") != Some(&ParamValue::Int(0));
    let is_needed = is_asked_for(values) && is_tested && is_judged;
    (is_needed && models.contains_key(&backtest)).then_some(backtest)
}

fn set(
    key: &str,
    name: &str,
    written: &Spanned<String>,
    text: &str,
    params: &Params,
    values: &mut Values,
    problems: &mut Vec<Problem>,
) {
    let Some(param) = params.get(name) else {
        let message = format!("`{key}` sets the parameter `{name}`, which this project lacks");
        problems.push(Problem::at(&written.at, message).help("declare it in `sql/params.yaml`"));
        return;
    };
    match param.accept(text) {
        Ok(value) => drop(values.insert(name.into(), value)),
        Err(reason) => problems.push(Problem::at(&written.at, format!("`{key}`: {reason}"))),
    }
}

/// The days of `13 weeks` or `1 day`.
fn days(text: &str) -> Option<u32> {
    let (number, unit) = text.trim().split_once(char::is_whitespace)?;
    let number: u32 = number.parse().ok()?;
    match unit.trim() {
        "day" | "days" => Some(number),
        "week" | "weeks" => number.checked_mul(7),
        _ => None,
    }
}
