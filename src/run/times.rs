//! Times that are numbers, or that a clock on a wall showed: what to write in a
//! mapping, which cannot be known without asking what they mean. Only for messages.

use arrow::array::timezone::Tz;
use arrow::datatypes::DataType;
use chrono::{Duration, FixedOffset, LocalResult, NaiveDateTime, Offset, TimeZone};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, TryCast};

use super::diagnose::quoted;
use crate::problem::At;

/// The next move where numbers are to be times. Taken for what they do not mean,
/// they give days that are wrong, mostly of 1970.
pub fn of_numbers(at: Option<&At>, name: &str, text: &str, kind: &DataType) -> String {
    let which = match at {
        Some(_) => "map it",
        None => "map the columns under `columns:`, this one",
    };
    // Digits with a point behind them are no day.
    let digits = match kind.is_integer() {
        true => text.to_string(),
        false => format!("cast({text} as bigint)"),
    };
    format!(
        "{which} by what its numbers mean: seconds as `{name}: to_timestamp({text})`, \
         milliseconds as `to_timestamp_millis({text})`, days written 20240101 as \
         `to_date(cast({digits} as varchar), '%Y%m%d')`"
    )
}

/// The numbers in an expression that are read as seconds or as parts of them.
pub fn numbers_read(expression: &Expr, schema: &DFSchema) -> Option<(String, DataType)> {
    let mut found = None;
    // The walk itself cannot fail.
    let _ = expression.apply(|part| {
        if let Expr::ScalarFunction(call) = part
            && call.name().starts_with("to_timestamp")
            && let [number] = call.args.as_slice()
            && let Ok(kind) = number.get_type(schema)
            && kind.is_numeric()
        {
            found = Some((shown(number), kind));
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

/// A time that clocks of a zone never show, or show twice.
pub struct WallClock {
    /// What the value is not.
    pub noun: String,
    /// Why.
    pub cause: &'static str,
    /// The next move.
    pub help: String,
}

impl WallClock {
    /// Whether it is the clock that keeps a value from being cast to a type: the
    /// value, as text, and what the expression casts.
    pub fn of(value: &str, expression: &Expr, wanted: &DataType) -> Option<Self> {
        let DataType::Timestamp(_, Some(zone)) = wanted else { return None };
        let clock: Tz = zone.parse().ok()?;
        let shown_at = NaiveDateTime::parse_from_str(value, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
        let (noun, cause) = match clock.offset_from_local_datetime(&shown_at) {
            LocalResult::Single(_) => return None,
            LocalResult::None => (format!("a time in {zone}"), "clocks there skip it"),
            LocalResult::Ambiguous(..) => {
                (format!("one time in {zone}, but two"), "clocks there show it twice")
            }
        };
        let offset = standard(clock, shown_at)?;
        let text = shown(expression);
        let help = format!(
            "write `coalesce(try_cast({text} || ' {zone}' as timestamptz), cast({text} || \
             '{offset}' as timestamptz))` for `{text} at time zone '{zone}'`: what clocks skip \
             or show twice is read as {offset} then"
        );
        Some(Self { noun, cause, help })
    }
}

/// The offset of a zone around a time at which it changes: the smaller one, so that
/// what is skipped keeps its day, also where clocks change at midnight.
fn standard(clock: Tz, around: NaiveDateTime) -> Option<FixedOffset> {
    let day = Duration::days(1);
    let at = |time| Some(clock.offset_from_local_datetime(&time).earliest()?.fix());
    let (before, after) = (at(around - day)?, at(around + day)?);
    Some(if before.local_minus_utc() < after.local_minus_utc() { before } else { after })
}

/// A column, or a text cast to a time, as SQL; what is more than that is left to
/// whoever wrote it.
fn shown(expression: &Expr) -> String {
    let (word, inner, field) = match expression {
        Expr::Column(column) => return quoted(&column.name),
        Expr::Cast(Cast { expr, field }) => ("cast", expr, field),
        Expr::TryCast(TryCast { expr, field }) => ("try_cast", expr, field),
        _ => return "…".into(),
    };
    match (inner.as_ref(), field.data_type()) {
        (Expr::Column(column), DataType::Timestamp(_, None)) => {
            format!("{word}({} as timestamp)", quoted(&column.name))
        }
        (Expr::Column(column), DataType::Int64) => {
            format!("{word}({} as bigint)", quoted(&column.name))
        }
        _ => "…".into(),
    }
}
