//! What is expected of each customer: a function of their history that a query
//! calls row by row, so that customers stream and are never held.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, Float64Builder, StringBuilder, StructArray};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::DataFusionError;
use datafusion::dataframe::DataFrame;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::SessionContext;

use super::chosen::Chosen;
use super::fit::COHORT_AVERAGE;
use super::{Settings, numbers};
use crate::clv::{History, Span, Terms};

/// The columns of a prediction, behind the customer.
const NUMBERS: [&str; 8] = [
    "p_alive",
    "expected_purchases_30",
    "expected_purchases_90",
    "expected_purchases_365",
    "expected_spend",
    "predicted_value",
    "value_low",
    "value_high",
];

/// Its texts, behind the numbers.
const TEXTS: [&str; 2] = ["model", "basis"];

/// Expected spend is that of customers in general.
const PRIOR_MEAN: &str = "prior mean";

/// Days of the expected purchases.
const WITHIN: [f64; 3] = [30.0, 90.0, 365.0];

/// Frequencies and ages that are remembered at a time.
const KNOWN_MAX: usize = 50_000;

/// The predictions of all customers.
///
/// # Errors
/// The models cannot be read.
pub async fn query(context: &SessionContext, settings: &Settings) -> Result<DataFrame> {
    let chosen = Chosen::read(context).await?;
    context.register_udf(ScalarUDF::new_from_impl(Predict::new(chosen, settings.clone())));
    let columns = NUMBERS.iter().chain(&TEXTS);
    let columns: Vec<_> = columns.map(|name| format!("prediction['{name}'] as {name}")).collect();
    let sql = format!(
        "select customer_id, {} from (
            select
                histories.customer_id,
                predict(
                    histories.frequency, histories.recency_days, histories.age_days,
                    histories.repeat_spend, cohorts.purchases_a_day,
                    cohorts.shop_purchases_a_day, cohorts.known_days, cohorts.mean_spend,
                    cohorts.paying_share
                ) as prediction
            from facts.purchase_histories as histories
            inner join facts.purchase_cohorts as cohorts
                on histories.cohort_month = cohorts.cohort_month
        )",
        columns.join(", ")
    );
    context.sql(&sql).await
}

/// `predict(frequency, recency_days, age_days, repeat_spend, purchases_a_day,
/// shop_purchases_a_day, known_days, mean_spend, paying_share)`: from the fifth on
/// they are of `facts.purchase_cohorts`.
#[derive(Debug)]
struct Predict {
    signature: Signature,
    chosen: Chosen,
    terms: Terms,
    interval: f64,
    /// What customers of one frequency and age have in common.
    known: Mutex<HashMap<(u32, u64), Arc<Common>>>,
}

/// What is to be expected of those who are alive, by frequency and age.
#[derive(Debug)]
struct Common {
    /// Purchases within each of `WITHIN`.
    expected: [f64; 3],
    /// Purchases within the horizon, discounted.
    discounted: f64,
    /// The same for one purchase.
    discount: f64,
    /// P(so many purchases or fewer within the horizon).
    cumulative: Vec<f64>,
}

/// One customer.
struct Customer {
    frequency: u32,
    recency: f64,
    age: f64,
    repeat_spend: f64,
    cohort: Cohort,
}

/// What is known of those who first bought in the same month.
struct Cohort {
    /// Purchases a day, for as many days as they have been seen.
    rate: f64,
    /// Those of all customers, which hold from then on.
    shop_rate: f64,
    /// Days that they have been seen.
    known_days: f64,
    /// What they spend on a purchase day.
    spend: f64,
    /// The share of customers with repeat purchases who spend anything on them.
    paying_share: f64,
}

impl Cohort {
    /// Purchases of a customer within so many days. A cohort foretells no more days
    /// than it has seen.
    fn expected(&self, days: f64) -> f64 {
        let own = days.min(self.known_days);
        self.rate * own + self.shop_rate * (days - own)
    }
}

/// What is expected of one customer; NaN for what is not known.
struct Prediction {
    numbers: [f64; NUMBERS.len()],
    texts: [&'static str; TEXTS.len()],
}

impl Predict {
    fn new(chosen: Chosen, settings: Settings) -> Self {
        let horizon = Span::days(f64::from(settings.horizon_days));
        Self {
            signature: Signature::any(9, Volatility::Immutable),
            chosen,
            terms: Terms::yearly(horizon, settings.discount),
            interval: settings.interval.clamp(0.0, 1.0),
            known: Mutex::default(),
        }
    }

    fn of(&self, customer: &Customer) -> Result<Prediction> {
        let Some(model) = self.chosen.purchases else { return Ok(self.average(customer)) };
        let (recency, age) = (Span::days(customer.recency), Span::days(customer.age));
        let history = History::new(customer.frequency, recency, age);
        let history = history.map_err(|error| DataFusionError::External(error.into()))?;
        let p_alive = model.p_alive(&history);
        let common = self.common(customer)?;
        let name = model.kind().name();
        let (spend, is_own) = self.spend(customer);
        let [a, b, c] = common.expected.map(|expected| p_alive * expected);
        let worth = |purchases: usize| purchases as f64 * common.discount * spend;
        let tail = (1.0 - self.interval) / 2.0;
        let low = common.quantile(p_alive, tail);
        let high = common.quantile(p_alive, 1.0 - tail);
        let value = p_alive * common.discounted * spend;
        let numbers = [p_alive, a, b, c, spend, value, worth(low), worth(high)];
        Ok(Prediction { numbers, texts: [name, if is_own { name } else { PRIOR_MEAN }] })
    }

    /// The mean spend that is expected, and whether the customer's own says so. Who
    /// has bought again without paying is known to spend nothing, as on prepaid
    /// visits; of who has not bought again nothing is known.
    fn spend(&self, customer: &Customer) -> (f64, bool) {
        let x = f64::from(customer.frequency);
        if customer.frequency > 0 && customer.repeat_spend <= 0.0 {
            return (0.0, true);
        }
        match &self.chosen.spend {
            Some(model) if customer.frequency > 0 => {
                (model.expected(x, customer.repeat_spend / x).unwrap_or(f64::NAN), true)
            }
            // The model is one of those who pay.
            Some(model) => {
                let paid = model.expected(0.0, 0.0).unwrap_or(f64::NAN);
                (customer.cohort.paying_share * paid, false)
            }
            None if customer.frequency > 0 => (customer.repeat_spend / x, true),
            None => (customer.cohort.spend, false),
        }
    }

    /// As customers of the cohort buy, on average.
    fn average(&self, customer: &Customer) -> Prediction {
        let cohort = &customer.cohort;
        let [a, b, c] = WITHIN.map(|days| cohort.expected(days));
        let (spend, _) = self.spend(customer);
        let discounted = self
            .terms
            .discounted_by(|within| cohort.expected(within.in_unit(crate::clv::Unit::Day)));
        let unknown = f64::NAN;
        let numbers = [unknown, a, b, c, spend, discounted * spend, unknown, unknown];
        Prediction { numbers, texts: [COHORT_AVERAGE; 2] }
    }

    fn common(&self, customer: &Customer) -> Result<Arc<Common>> {
        let key = (customer.frequency, customer.age.to_bits());
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(common) = known().get(&key) {
            return Ok(Arc::clone(common));
        }
        let Some(model) = self.chosen.purchases else {
            return Err(DataFusionError::Internal("predictions without a model".into()));
        };
        let outlook = model.alive(customer.frequency, Span::days(customer.age));
        let discounted = self.terms.discounted(&outlook);
        let total = outlook.expected(self.terms.horizon);
        let common = Arc::new(Common {
            expected: WITHIN.map(|days| outlook.expected(Span::days(days))),
            discounted,
            discount: if total > 0.0 { discounted / total } else { 1.0 },
            cumulative: outlook.cumulative(self.terms.horizon, f64::midpoint(1.0, self.interval)),
        });
        let mut known = known();
        // What was forgotten is computed again, to the same bits.
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(key, Arc::clone(&common));
        Ok(common)
    }
}

impl Common {
    /// The fewest purchases that are not passed with a probability, by one who
    /// is alive with `p_alive`.
    fn quantile(&self, p_alive: f64, level: f64) -> usize {
        let reached = |below: &f64| (1.0 - p_alive) + p_alive * below < level;
        self.cumulative.partition_point(reached)
    }
}

// One session has one such function: it is itself, whatever it holds.
impl PartialEq for Predict {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Predict {}

impl Hash for Predict {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for Predict {
    fn name(&self) -> &'static str {
        "predict"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let columns: Vec<Vec<f64>> = arrays.iter().map(numbers).collect::<Result<_>>()?;
        let mut values: Vec<Float64Builder> =
            NUMBERS.iter().map(|_| Float64Builder::with_capacity(rows)).collect();
        let mut texts = TEXTS.map(|_| StringBuilder::new());
        let [
            frequency,
            recency,
            age,
            repeat_spend,
            rate,
            shop_rate,
            known_days,
            mean_spend,
            paying_share,
        ] = &columns[..]
        else {
            return Err(DataFusionError::Internal("predict takes nine columns".into()));
        };
        for row in 0..frequency.len() {
            let prediction = self.of(&Customer {
                frequency: frequency[row] as u32,
                recency: recency[row],
                age: age[row],
                repeat_spend: repeat_spend[row],
                cohort: Cohort {
                    rate: rate[row],
                    shop_rate: shop_rate[row],
                    known_days: known_days[row],
                    spend: mean_spend[row],
                    paying_share: paying_share[row],
                },
            })?;
            for (builder, number) in values.iter_mut().zip(prediction.numbers) {
                builder.append_option(number.is_finite().then_some(number));
            }
            for (builder, text) in texts.iter_mut().zip(prediction.texts) {
                builder.append_value(text);
            }
        }
        let mut arrays: Vec<ArrayRef> =
            values.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef).collect();
        arrays.extend(texts.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
        Ok(ColumnarValue::Array(Arc::new(StructArray::try_new(fields(), arrays, None)?)))
    }
}

fn fields() -> Fields {
    let numbers = NUMBERS.iter().map(|name| Field::new(*name, DataType::Float64, true));
    let texts = TEXTS.iter().map(|name| Field::new(*name, DataType::Utf8, false));
    numbers.chain(texts).collect()
}
