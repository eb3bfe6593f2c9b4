//! How much of a source is set aside: where it is more than a little, a run says so.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::prelude::SessionContext;

use super::target::SourceRead;
use crate::plan::SourcePlan;

/// The share of rows, or of money, that may be set aside without a word.
const SHARE_MAX: f64 = 0.05;

/// Reasons of rows that a run leaves out because of its day or its parameters.
const OF_OTHER_DAYS: [&str; 2] = ["after_as_of", "before_history"];

/// The reason of rows whose amounts are no money that could be compared.
const OTHER_CURRENCY: &str = "other_currency";

/// That a large share of a source is set aside. Where a pipeline says by `reject_max`
/// how much may be, that is what it expects.
pub async fn warning(
    context: &SessionContext,
    source: &SourcePlan,
    read: &SourceRead,
) -> Option<String> {
    if source.reject_max.is_some() || read.accepted == 0 {
        return None;
    }
    let reasons = read.rejected.iter();
    let reasons: BTreeMap<&str, u64> = reasons
        .map(|(reason, rows)| (reason.as_str(), *rows))
        .filter(|(reason, rows)| *rows > 0 && !OF_OTHER_DAYS.contains(reason))
        .collect();
    let aside: u64 = reasons.values().sum();
    if aside == 0 {
        return None;
    }
    let rows = aside + read.accepted;
    let of_rows = share(count(aside), count(rows));
    let money = money_aside(context, source).await;
    let is_large = |share: &f64| *share > SHARE_MAX;
    if !is_large(&of_rows) && !money.as_ref().is_some_and(is_large) {
        return None;
    }
    // What other currencies would add to it is not known.
    let is_all = !reasons.contains_key(OTHER_CURRENCY);
    let money = money.filter(|share| is_all || is_large(share));
    let name = source.kind.name;
    let told = reasons.iter().map(|(reason, rows)| format!("{reason} {rows}"));
    let told = told.collect::<Vec<_>>().join(", ");
    let money = money.map(|share| format!(", {} of the money", percent(share))).unwrap_or_default();
    Some(format!(
        "source `{name}`: {aside} of {rows} rows ({}{money}) are set aside: {told}; `tenure show \
         PIPELINE quarantine.{name}` has the rows; if that is meant, say how much may be by \
         `reject_max`",
        percent(of_rows)
    ))
}

/// The share of the money of orders that is set aside, but for other currencies.
async fn money_aside(context: &SessionContext, source: &SourcePlan) -> Option<f64> {
    if source.kind.name != "orders" {
        return None;
    }
    let others = OF_OTHER_DAYS.map(|reason| format!("'{reason}'")).join(", ");
    let aside = format!(
        "select sum(abs(amount)) as amount from quarantine.orders \
         where reason not in ({others}, '{OTHER_CURRENCY}')"
    );
    let aside = sum(context, &aside).await?;
    let counted = sum(context, "select sum(abs(amount)) as amount from sources.orders").await?;
    (aside + counted > 0.0).then(|| share(aside, aside + counted))
}

async fn sum(context: &SessionContext, sql: &str) -> Option<f64> {
    let batches = context.sql(sql).await.ok()?.collect().await.ok()?;
    let batch = batches.iter().find(|batch| batch.num_rows() > 0)?;
    let amount = cast(batch.column(0), &DataType::Float64).ok()?;
    Some(amount.as_primitive::<Float64Type>().iter().next()?.unwrap_or(0.0))
}

#[expect(clippy::cast_precision_loss, reason = "a share to one digit")]
fn count(rows: u64) -> f64 {
    rows as f64
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
