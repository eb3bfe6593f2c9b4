//! The rows of `models.*`: what `clv` makes of tables that SQL has counted.
//!
//! ```text
//! history_counts, holdout_counts, spend_counts ─► fit ─► models.fit
//! models.fit, history_counts ─► backtest ─► models.expected
//! models.fit, purchase_histories, purchase_cohorts ─► predict ─► models.predictions
//! ```

mod backtest;
mod candidates;
mod chosen;
mod fit;
mod predict;
mod reasons;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef};
use datafusion::common::TableReference;
use datafusion::dataframe::DataFrame;
use datafusion::error::{DataFusionError, Result};
use datafusion::prelude::SessionContext;

use crate::clv::{Held, Histories, History, Span, Unit};
use crate::plan::fitted::{SCHEMA, is_asked_for};
use crate::plan::params::{ParamValue, Values};
use crate::plan::types::IdType;
use crate::plan::{Model, typecheck};

pub use fit::{COHORT_AVERAGE, GAMMA_GAMMA};
pub use reasons::{NOT_CONVERGED, words as reason};

/// The rows of a table of `models.*`, as a query; none of any other table, and
/// none where no model is asked for: its own SQL then says what it is.
///
/// # Errors
/// What it is made from cannot be read.
pub async fn query(
    context: &SessionContext,
    model: &Model,
    values: &Values,
) -> Result<Option<DataFrame>> {
    if model.name.schema != SCHEMA || !is_asked_for(values) {
        return Ok(None);
    }
    let settings = Settings::of(values);
    let schema = typecheck::declared_schema(&model.header.columns, IdType::Text);
    let batch = match model.name.table.as_str() {
        "fit" => fit::rows(context, &settings, schema).await?,
        "expected" => backtest::rows(context, &settings, schema).await?,
        "predictions" => return predict::query(context, &settings).await.map(Some),
        _ => return Ok(None),
    };
    context.read_batch(batch).map(Some)
}

/// What the parameters say.
#[derive(Debug, Clone, PartialEq)]
struct Settings {
    purchases: String,
    unit: Unit,
    holdout_days: u32,
    horizon_days: u32,
    discount: f64,
    interval: f64,
}

impl Settings {
    fn of(values: &Values) -> Self {
        let text = |name: &str| match values.get(name) {
            Some(ParamValue::Text(text) | ParamValue::Decimal(text)) => text.clone(),
            Some(ParamValue::Int(number)) => number.to_string(),
            _ => String::new(),
        };
        let whole = |name: &str| text(name).parse().unwrap_or(0);
        let number = |name: &str| text(name).parse().unwrap_or(0.0);
        Self {
            purchases: text("purchase_model"),
            unit: if text("model_unit") == "day" { Unit::Day } else { Unit::Week },
            holdout_days: whole("holdout_days"),
            horizon_days: whole("clv_horizon_days"),
            discount: number("discount_rate"),
            interval: number("value_interval"),
        }
    }
}

/// A small table, whole.
async fn table(context: &SessionContext, name: &str) -> Result<RecordBatch> {
    let (schema, table) = name.split_once('.').unwrap_or(("models", name));
    let frame = context.table(TableReference::partial(schema, table)).await?;
    let schema: SchemaRef = Arc::clone(frame.schema().inner());
    let batches = frame.collect().await?;
    let schema = batches.first().map_or(schema, RecordBatch::schema);
    Ok(concat_batches(&schema, &batches)?)
}

/// Customers of the calibration, counted.
async fn histories(context: &SessionContext) -> Result<Vec<(History, u64)>> {
    counted(&table(context, "facts.history_counts").await?)
}

/// The same by what they did in the hold-out.
async fn held(context: &SessionContext) -> Result<Vec<Held>> {
    let batch = table(context, "facts.holdout_counts").await?;
    let purchases = whole(&batch, "holdout_frequency")?;
    let rows = counted(&batch)?.into_iter().zip(purchases);
    let rows = rows.map(|((history, customers), purchases)| {
        let purchases = u32::try_from(purchases).unwrap_or(u32::MAX);
        Held { history, purchases, customers }
    });
    Ok(rows.collect())
}

/// Histories and how many customers have each.
fn counted(batch: &RecordBatch) -> Result<Vec<(History, u64)>> {
    let column = |name: &str| whole(batch, name);
    let (frequency, recency) = (column("frequency")?, column("recency_days")?);
    let (age, customers) = (column("age_days")?, column("customers")?);
    let rows = (0..batch.num_rows()).map(|row| {
        let days = |days: i64| Span::days(days as f64);
        let frequency = u32::try_from(frequency[row]).unwrap_or(u32::MAX);
        let history = History::new(frequency, days(recency[row]), days(age[row]));
        let history = history.map_err(|error| DataFusionError::External(error.into()))?;
        Ok((history, u64::try_from(customers[row]).unwrap_or(0)))
    });
    rows.collect()
}

fn count(histories: &[(History, u64)], unit: Unit) -> Histories {
    Histories::count(histories.iter().copied(), unit)
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch
        .column_by_name(name)
        .ok_or_else(|| DataFusionError::Internal(format!("a table has no column {name}")))
}

fn whole(batch: &RecordBatch, name: &str) -> Result<Vec<i64>> {
    let array = cast(column(batch, name)?, &DataType::Int64)?;
    Ok(array.as_primitive::<Int64Type>().values().to_vec())
}

/// Numbers, NaN for nulls.
fn numbers(array: &ArrayRef) -> Result<Vec<f64>> {
    let array = cast(array, &DataType::Float64)?;
    let array = array.as_primitive::<Float64Type>();
    Ok(array.iter().map(|value| value.unwrap_or(f64::NAN)).collect())
}

fn texts(batch: &RecordBatch, name: &str) -> Result<Vec<String>> {
    let array = cast(column(batch, name)?, &DataType::Utf8)?;
    let array = array.as_string::<i32>();
    Ok(array.iter().map(|value| value.unwrap_or_default().to_string()).collect())
}

/// Columns in the types that a header declares.
fn declared(schema: SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    let columns = columns.iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()));
    let columns = columns.collect::<std::result::Result<_, _>>()?;
    Ok(RecordBatch::try_new(schema, columns)?)
}
