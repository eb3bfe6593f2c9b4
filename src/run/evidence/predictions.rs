//! What is said about predictions: of which model they are made, and how far off
//! it was in the hold-out.

use serde_json::{Map, Value, json};

use super::{Evidence, Question, Row, number, text};
use crate::plan::params::{ParamValue, Values};
use crate::run::fitted::{COHORT_AVERAGE, GAMMA_GAMMA, NOT_CONVERGED, reason};

/// An error of the hold-out from which on it is told, gate or not: a quarter of
/// the purchases.
const ERROR_MAX: f64 = 0.25;

/// Another model than the one that was asked for, or none at all.
pub const STAND_INS: Question = Question {
    tables: &["models.fit"],
    sql: "
        select distinct model, used, warnings
        from models.fit
        where warnings is not null
        order by model
    ",
    tell: stand_ins,
};

/// The end of the hold-out, of the model that predictions are made of.
pub const HOLDOUT: Question = Question {
    tables: &["metrics.model_backtest"],
    sql: "
        select
            model,
            key as weeks,
            cumulative_actual as actual,
            cumulative_expected as expected,
            cumulative_error as error
        from metrics.model_backtest
        where is_used and basis = 'week'
        order by key desc
        limit 1
    ",
    tell: holdout,
};

fn stand_ins(rows: &[Row], values: &Values) -> Vec<Evidence> {
    let asked = match values.get("purchase_model") {
        Some(ParamValue::Text(name)) => name.as_str(),
        _ => return Vec::new(),
    };
    let is_spend = |row: &&Row| text(row, "model") == GAMMA_GAMMA;
    let (spend, purchases): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(is_spend);
    // All rows name the same one that is used.
    let is_average = purchases.iter().any(|row| text(row, "used") == COHORT_AVERAGE);
    let told = match purchases.first() {
        Some(row) if is_average => vec![average(row, &purchases, asked)],
        _ => purchases.iter().filter_map(|row| other_model(row, asked)).collect(),
    };
    told.into_iter().chain(spend.into_iter().filter_map(|row| other_model(row, asked))).collect()
}

/// Averages instead of a model.
fn average(first: &Row, purchases: &[&Row], asked: &str) -> Evidence {
    // Reasons that the candidates share are told once.
    let mut reasons: Vec<&str> = purchases.iter().flat_map(|row| reasons(row)).collect();
    reasons.sort_unstable();
    reasons.dedup();
    let message = format!(
        "no model of purchases could be used ({}): predictions are averages of each month's \
         new customers, which know nothing of who has left",
        words(&reasons)
    );
    Evidence {
        code: "cohort_average",
        message,
        fields: fields(asked, text(first, "used"), &reasons),
    }
}

/// Something else than a model that was asked for.
fn other_model(row: &Row, asked: &str) -> Option<Evidence> {
    let (model, used) = (text(row, "model"), text(row, "used"));
    let reasons: Vec<&str> = reasons(row).collect();
    let why = words(&reasons);
    let message = match model {
        _ if model == used => return None,
        GAMMA_GAMMA => {
            format!("expected spend is each customer's own average, not that of gamma_gamma: {why}")
        }
        _ if asked == model => format!("predictions are made of {used} instead of {model}: {why}"),
        // Of several candidates one is as good as another; one that could not be
        // compared may have been better.
        _ if reasons.contains(&NOT_CONVERGED) => {
            format!("{used} was chosen without comparing it with {model}: {why}")
        }
        _ => return None,
    };
    Some(Evidence { code: "stand_in_model", message, fields: fields(model, used, &reasons) })
}

fn fields(asked: &str, used: &str, reasons: &[&str]) -> Map<String, Value> {
    let fields = json!({ "model": asked, "used": used, "reasons": reasons });
    fields.as_object().cloned().unwrap_or_default()
}

fn reasons(row: &Row) -> impl Iterator<Item = &str> {
    text(row, "warnings").split(", ")
}

fn words(reasons: &[&str]) -> String {
    let words: Vec<&str> = reasons.iter().map(|code| reason(code)).collect();
    words.join("; ")
}

fn holdout(rows: &[Row], _: &Values) -> Vec<Evidence> {
    rows.iter().filter_map(too_far_off).collect()
}

/// That a model was far off at the end of the hold-out.
fn too_far_off(row: &Row) -> Option<Evidence> {
    let (actual, expected) = (number(row, "actual")?, number(row, "expected")?);
    if (expected - actual).abs() <= ERROR_MAX * actual {
        return None;
    }
    let (model, weeks) = (text(row, "model"), number(row, "weeks")?);
    let came = match number(row, "error") {
        Some(error) => {
            format!("{actual:.0} came, an error of {:+.0} %; predictions may be as far off", {
                error * 100.0
            })
        }
        None => "none came; predictions may be as wrong".into(),
    };
    let message = format!(
        "{model} expected {expected:.0} purchases in the hold-out of {weeks:.0} weeks, and {came} \
         (metrics.model_backtest)"
    );
    Some(Evidence { code: "holdout_error", message, fields: row.clone() })
}
