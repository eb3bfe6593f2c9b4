//! Fitting the models, and judging whether what they say can be used: where
//! not, something simpler stands in, and a warning says so.

use std::sync::Arc;

use arrow::array::{BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::prelude::SessionContext;

use super::{Settings, column, count, declared, histories, numbers, table, whole};
use crate::clv::{self, GammaGamma, Histories, Kind, PurchaseFit, Span, Spend, correlation};

/// Customers below which purchases are not modelled.
const CUSTOMERS_MIN: f64 = 500.0;

/// Days of history below which purchases are not modelled.
const DAYS_MIN: f64 = 180.0;

/// Customers with repeat spend below which spend is not modelled.
const SPENDERS_MIN: f64 = 100.0;

/// Correlation of frequency and spend from which on they are not independent.
const CORRELATION_MAX: f64 = 0.3;

/// Twice the log-likelihood that two more parameters must bring to be worth
/// having: the 95 % quantile of chi-squared with two degrees of freedom.
const WORTH_HAVING: f64 = 5.991;

/// Predictions are averages of the cohort.
pub const COHORT_AVERAGE: &str = "cohort average";

/// Expected spend is the customer's own mean.
pub const OWN_AVERAGE: &str = "own average";

/// The unit of the spend model.
const MONEY: &str = "money";

/// The name of the spend model.
pub const GAMMA_GAMMA: &str = "gamma_gamma";

/// A model as it stands in the table.
struct Fitted {
    model: &'static str,
    parameters: &'static [&'static str],
    /// None where there was nothing to fit.
    estimates: Option<Vec<f64>>,
    standard_errors: Option<Vec<f64>>,
    unit: String,
    log_likelihood: f64,
    converged: bool,
    gradient: f64,
    iterations: u64,
    customers: f64,
    used: String,
    warnings: Vec<&'static str>,
}

/// The rows of `models.fit`.
///
/// # Errors
/// The counts cannot be read.
pub async fn rows(
    context: &SessionContext,
    settings: &Settings,
    schema: SchemaRef,
) -> Result<RecordBatch> {
    let counted = count(&histories(context).await?, settings.unit);
    let spend = spend(context).await?;
    let kind = Kind::parse(&settings.purchases).unwrap_or(Kind::BgNbd);
    let fitted = tokio::task::spawn_blocking(move || {
        let mut fitted = purchases(kind, &counted);
        fitted.push(spending(&spend));
        fitted
    });
    let fitted = fitted.await.map_err(|error| DataFusionError::External(Box::new(error)))?;
    as_rows(&fitted, schema)
}

async fn spend(context: &SessionContext) -> Result<Vec<Spend>> {
    let batch = table(context, "facts.spend_counts").await?;
    let frequency = whole(&batch, "frequency")?;
    let total = numbers(column(&batch, "repeat_spend")?)?;
    let customers = whole(&batch, "customers")?;
    let rows = (0..batch.num_rows()).map(|row| {
        let times = u32::try_from(frequency[row]).unwrap_or(u32::MAX);
        let customers = u64::try_from(customers[row]).unwrap_or(0);
        Spend::new(times, total[row] / f64::from(times), customers)
    });
    let rows: std::result::Result<Vec<_>, _> = rows.collect();
    let mut rows = rows.map_err(|error| DataFusionError::External(error.into()))?;
    // Sums in a fixed order are the same bits.
    rows.sort_by(|a, b| a.frequency.cmp(&b.frequency).then(a.mean.total_cmp(&b.mean)));
    Ok(rows)
}

/// The model that is asked for, and NBD to compare with.
fn purchases(kind: Kind, counted: &Histories) -> Vec<Fitted> {
    let mut warnings = Vec::new();
    if counted.customers() < CUSTOMERS_MIN {
        warnings.push("too_few_customers");
    }
    if counted.longest() < Span::days(DAYS_MIN) {
        warnings.push("too_short");
    }
    if counted.repeaters(2) == 0.0 {
        warnings.push("too_few_repeats");
    }
    if counted.repeaters(1) == 0.0 {
        let unit = counted.unit().to_string();
        let customers = counted.customers();
        let names = kind.parameters();
        return vec![nothing(kind.name(), names, unit, customers, warnings, COHORT_AVERAGE)];
    }
    let baseline = clv::fit(Kind::Nbd, counted);
    let found = match kind {
        Kind::Nbd => None,
        _ => Some(clv::fit(kind, counted)),
    };
    let is_certain = |fit: &PurchaseFit| fit.converged && fit.standard_errors.is_some();
    let is_thin = !warnings.is_empty();
    if is_thin {
        // What a search makes of too little says nothing more.
    } else if let Some(found) = &found {
        if !found.converged {
            warnings.push("not_converged");
        } else if 2.0 * (found.log_likelihood - baseline.log_likelihood) < WORTH_HAVING {
            warnings.push("degenerate_dropout");
        } else if found.standard_errors.is_none() {
            warnings.push("flat_likelihood");
        }
    } else if !is_certain(&baseline) {
        warnings.push(if baseline.converged { "flat_likelihood" } else { "not_converged" });
    }
    // A ridge leaves parameters open, not what they predict.
    let is_sound = warnings.iter().all(|reason| *reason == "flat_likelihood");
    let used = match found {
        _ if is_thin => COHORT_AVERAGE,
        _ if is_sound => kind.name(),
        Some(_) if is_certain(&baseline) => Kind::Nbd.name(),
        _ => COHORT_AVERAGE,
    };
    let customers = counted.customers();
    let of_baseline = match found {
        // It is there to compare with, and says nothing about itself.
        Some(_) => described(&baseline, customers, Kind::Nbd.name(), Vec::new()),
        None => described(&baseline, customers, used, warnings.clone()),
    };
    let found = found.map(|found| described(&found, customers, used, warnings));
    found.into_iter().chain([of_baseline]).collect()
}

fn described(fit: &PurchaseFit, customers: f64, used: &str, warnings: Vec<&'static str>) -> Fitted {
    let kind = fit.model.kind();
    Fitted {
        model: kind.name(),
        parameters: kind.parameters(),
        estimates: Some(fit.estimates.clone()),
        standard_errors: fit.standard_errors.clone(),
        unit: fit.model.unit.to_string(),
        log_likelihood: fit.log_likelihood,
        converged: fit.converged,
        gradient: fit.gradient,
        iterations: fit.iterations,
        customers,
        used: used.into(),
        warnings,
    }
}

fn nothing(
    model: &'static str,
    parameters: &'static [&'static str],
    unit: String,
    customers: f64,
    warnings: Vec<&'static str>,
    used: &str,
) -> Fitted {
    Fitted {
        model,
        parameters,
        estimates: None,
        standard_errors: None,
        unit,
        log_likelihood: f64::NAN,
        converged: false,
        gradient: f64::NAN,
        iterations: 0,
        customers,
        used: used.into(),
        warnings,
    }
}

fn spending(spend: &[Spend]) -> Fitted {
    let parameters: &[&str] = &["p", "q", "v"];
    let customers: f64 = spend.iter().map(|one| one.customers).sum();
    let mut warnings = Vec::new();
    if customers < SPENDERS_MIN {
        warnings.push("too_few_spenders");
    }
    if spend.len() < 3 {
        if warnings.is_empty() {
            // Everybody spends the same: there is nothing to tell them apart by.
            warnings.push("flat_likelihood");
        }
        return nothing(GAMMA_GAMMA, parameters, MONEY.into(), customers, warnings, OWN_AVERAGE);
    }
    let found = GammaGamma::fit(spend);
    if !found.has_converged() {
        warnings.push("not_converged");
    } else if found.parameters[1] <= 1.0 {
        warnings.push("no_mean_spend");
    } else if found.covariance.is_none() {
        warnings.push("flat_likelihood");
    }
    if correlation(spend).is_some_and(|rho| rho.abs() > CORRELATION_MAX) {
        warnings.push("spend_follows_frequency");
    }
    Fitted {
        model: GAMMA_GAMMA,
        parameters,
        estimates: Some(found.parameters.to_vec()),
        standard_errors: found.standard_errors().map(|errors| errors.to_vec()),
        unit: MONEY.into(),
        log_likelihood: found.log_likelihood,
        converged: found.has_converged(),
        gradient: found.gradient,
        iterations: found.iterations,
        customers,
        used: if warnings.is_empty() { GAMMA_GAMMA } else { OWN_AVERAGE }.into(),
        warnings,
    }
}

/// A row a parameter.
fn as_rows(fitted: &[Fitted], schema: SchemaRef) -> Result<RecordBatch> {
    let rows = || {
        fitted.iter().flat_map(|one| one.parameters.iter().enumerate().map(move |row| (one, row)))
    };
    let finite = |number: f64| number.is_finite().then_some(number);
    let text = |of: &dyn Fn(&Fitted, &str) -> Option<String>| {
        rows().map(|(one, (_, name))| of(one, name)).collect::<StringArray>()
    };
    let number = |of: &dyn Fn(&Fitted, usize) -> Option<f64>| {
        rows().map(|(one, (place, _))| of(one, place)).collect::<Float64Array>()
    };
    let whole =
        |of: &dyn Fn(&Fitted) -> i64| rows().map(|(one, _)| Some(of(one))).collect::<Int64Array>();
    let converged: BooleanArray = rows().map(|(one, _)| Some(one.converged)).collect();
    declared(
        schema,
        vec![
            Arc::new(text(&|one, _| Some(one.model.into()))),
            Arc::new(text(&|_, name| Some(name.into()))),
            Arc::new(number(&|one, place| finite(*one.estimates.as_ref()?.get(place)?))),
            Arc::new(number(&|one, place| finite(*one.standard_errors.as_ref()?.get(place)?))),
            Arc::new(text(&|one, _| Some(one.unit.clone()))),
            Arc::new(number(&|one, _| finite(one.log_likelihood))),
            Arc::new(converged),
            Arc::new(number(&|one, _| finite(one.gradient))),
            Arc::new(whole(&|one| i64::try_from(one.iterations).unwrap_or(i64::MAX))),
            Arc::new(whole(&|one| one.customers as i64)),
            Arc::new(text(&|one, _| Some(one.used.clone()))),
            Arc::new(text(&|one, _| (!one.warnings.is_empty()).then(|| one.warnings.join(", ")))),
        ],
    )
}
