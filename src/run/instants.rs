//! Times of a source as expressions: the instant in UTC, and the day that the
//! pipeline's time zone had then.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions::datetime::expr_fn::to_local_time;
use datafusion::functions::unicode::expr_fn::character_length;
use datafusion::logical_expr::{Expr, cast, lit, try_cast, when};

/// The characters of `2026-11-20`.
const DAY_LENGTH: i32 = 10;

/// Whether values are texts, each written out or one of a few.
pub fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, kind) => kind.is_string(),
        kind => kind.is_string(),
    }
}

/// A point in time, UTC. A day begins when it does in the pipeline's time zone,
/// so that instants and days stand in one order.
pub fn instant(raw: &Expr, kind: &DataType, timezone: &str) -> Expr {
    let stored = DataType::Timestamp(TimeUnit::Microsecond, None);
    let is_elsewhere = timezone != "UTC";
    match kind {
        // Through a zone: without one, the wall clock would be kept.
        DataType::Timestamp(_, Some(_)) => cast(cast(raw.clone(), zoned("UTC")), stored),
        kind if *kind == stored => raw.clone(),
        DataType::Date32 | DataType::Date64 if is_elsewhere => beginning(raw.clone(), timezone),
        kind if is_text(kind) && is_elsewhere => {
            let day = beginning(cast(text(raw), DataType::Date32), timezone);
            by_length(raw, day, cast(raw.clone(), stored))
        }
        _ => cast(raw.clone(), stored),
    }
}

/// The first instant of a day in a time zone, UTC. Where clocks skip midnight or
/// show it twice, that of the hour after; where they skip the day, of the day after.
fn beginning(day: Expr, timezone: &str) -> Expr {
    let stored = DataType::Timestamp(TimeUnit::Microsecond, None);
    let midnight = cast(day, stored.clone());
    let after = |hours| {
        let later = midnight.clone() + lit(ScalarValue::new_interval_mdn(0, 0, hours * HOUR));
        try_cast(later, zoned(timezone))
    };
    cast(cast(coalesce(vec![after(0), after(1), after(2), after(24)]), zoned("UTC")), stored)
}

/// In nanoseconds.
const HOUR: i64 = 3_600_000_000_000;

/// The day of a point in time, in the pipeline's time zone. What is a day already
/// stays it, wherever the clock stands.
pub fn local_day(raw: &Expr, kind: &DataType, timezone: &str) -> Expr {
    let at = match kind {
        kind if is_text(kind) => {
            cast(raw.clone(), DataType::Timestamp(TimeUnit::Microsecond, None))
        }
        kind => instant(raw, kind, timezone),
    };
    let local = match timezone {
        "UTC" => cast(at, DataType::Date32),
        _ => {
            let here = cast(cast(at, zoned("UTC")), zoned(timezone));
            cast(to_local_time(vec![here]), DataType::Date32)
        }
    };
    match kind {
        DataType::Date32 => raw.clone(),
        DataType::Timestamp(..) => local,
        kind if is_text(kind) => by_length(raw, cast(text(raw), DataType::Date32), local),
        _ => cast(raw.clone(), DataType::Date32),
    }
}

/// One thing of a text that is a day, of which no hour is known, and another of
/// one that is an instant.
fn by_length(raw: &Expr, day: Expr, instant: Expr) -> Expr {
    let is_day = character_length(text(raw)).eq(lit(DAY_LENGTH));
    when(is_day, day).otherwise(instant.clone()).unwrap_or(instant)
}

fn text(raw: &Expr) -> Expr {
    cast(raw.clone(), DataType::Utf8)
}

fn zoned(timezone: &str) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(timezone.into()))
}
