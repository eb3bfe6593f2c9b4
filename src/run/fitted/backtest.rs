//! What the fitted models expect of the hold-out days, given the calibration.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::prelude::SessionContext;

use super::chosen::Chosen;
use super::{Settings, declared, histories};
use crate::clv::{History, PurchaseModel, Span};

/// Frequencies from here on are one key.
const FREQUENCY_MAX: u32 = 7;

/// The rows of `models.expected`.
///
/// # Errors
/// What it is made from cannot be read.
pub async fn rows(
    context: &SessionContext,
    settings: &Settings,
    schema: SchemaRef,
) -> Result<RecordBatch> {
    let counted = histories(context).await?;
    let Chosen { purchases, fitted, .. } = Chosen::read(context).await?;
    // Where averages are used nothing is made of any model.
    let fitted = if purchases.is_some() { fitted } else { Vec::new() };
    let used = purchases.map(|model| model.kind().name());
    let days = settings.holdout_days;
    let expected = tokio::task::spawn_blocking(move || {
        let models = fitted.iter();
        models.flat_map(|model| of_model(model, &counted, days)).collect::<Vec<_>>()
    });
    let rows = expected.await.map_err(|error| DataFusionError::External(Box::new(error)))?;
    let text = |of: &dyn Fn(&Row) -> &'static str| {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
    };
    let number =
        |of: &dyn Fn(&Row) -> f64| Arc::new(Float64Array::from_iter_values(rows.iter().map(of)));
    let is_used: BooleanArray = rows.iter().map(|row| Some(Some(row.model) == used)).collect();
    let keys = Int64Array::from_iter_values(rows.iter().map(|row| i64::from(row.key)));
    declared(
        schema,
        vec![
            text(&|row| row.model),
            Arc::new(is_used),
            text(&|row| row.basis),
            Arc::new(keys),
            number(&|row| row.expected),
            number(&|row| row.cumulative),
        ],
    )
}

struct Row {
    model: &'static str,
    basis: &'static str,
    key: u32,
    expected: f64,
    cumulative: f64,
}

/// By week and by frequency. Expectations depend on frequency and age alone,
/// but for the chance of being alive: that is added up first.
fn of_model(model: &PurchaseModel, counted: &[(History, u64)], days: u32) -> Vec<Row> {
    if days == 0 {
        return Vec::new();
    }
    let mut alive: BTreeMap<(u32, u64), (Span, f64)> = BTreeMap::new();
    let mut counted: Vec<&(History, u64)> = counted.iter().collect();
    let key = |history: &History| {
        let days = |span: Span| span.in_unit(crate::clv::Unit::Day).to_bits();
        (history.frequency, days(history.age), days(history.recency))
    };
    counted.sort_by_key(|(history, _)| key(history));
    for (history, customers) in counted {
        let (frequency, age, _) = key(history);
        let sum = alive.entry((frequency, age)).or_insert((history.age, 0.0));
        sum.1 += model.p_alive(history) * *customers as f64;
    }
    let weeks = days.div_ceil(7);
    let mut by_week = vec![0.0; weeks as usize];
    let mut by_frequency: BTreeMap<u32, f64> = BTreeMap::new();
    for ((frequency, _), (age, customers)) in alive {
        let outlook = model.alive(frequency, age);
        let mut before = 0.0;
        for (week, sum) in (1..=weeks).zip(&mut by_week) {
            let until = outlook.expected(Span::days(f64::from((7 * week).min(days))));
            *sum += customers * (until - before);
            before = until;
        }
        *by_frequency.entry(frequency.min(FREQUENCY_MAX)).or_default() += customers * before;
    }
    let name = model.kind().name();
    let weeks = running(name, "week", (1..).zip(by_week));
    weeks.into_iter().chain(running(name, "frequency", by_frequency)).collect()
}

fn running(
    model: &'static str,
    basis: &'static str,
    expected: impl IntoIterator<Item = (u32, f64)>,
) -> Vec<Row> {
    let mut cumulative = 0.0;
    let rows = expected.into_iter().map(|(key, expected)| {
        cumulative += expected;
        Row { model, basis, key, expected, cumulative }
    });
    rows.collect()
}
