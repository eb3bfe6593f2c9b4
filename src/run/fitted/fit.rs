//! Fitting the models, judging whether what they say can be used, and choosing
//! among several: where none can be used, something simpler stands in, and a
//! warning says so.

use std::sync::Arc;

use arrow::array::{BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::prelude::SessionContext;

use super::candidates::{Asked, Candidate, choose, sample};
use super::reasons::{
    DEGENERATE_DROPOUT, FLAT_LIKELIHOOD, NO_MEAN_SPEND, NOT_CONVERGED, SPEND_FOLLOWS_FREQUENCY,
    TOO_FEW_CUSTOMERS, TOO_FEW_REPEATS, TOO_FEW_SPENDERS, TOO_SHORT,
};
use super::{Settings, column, count, declared, held, histories, numbers, table, whole};
use crate::clv::{
    self, GammaGamma, Held, Histories, History, Impossible, Kind, PurchaseFit, Span, Spend, Unit,
    correlation,
};

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
    /// What candidates are compared by, and how it came.
    score: Option<(f64, &'static str)>,
    used: &'static str,
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
    let histories = histories(context).await?;
    let unit = settings.unit;
    let spend = spend(context).await?;
    let asked = Asked::parse(&settings.purchases);
    // Only a choice needs to know what came afterwards.
    let came = match asked {
        Asked::Best if settings.holdout_days > 0 => held(context).await?,
        _ => Vec::new(),
    };
    let holdout = Span::days(f64::from(settings.holdout_days));
    let fitted = tokio::task::spawn_blocking(move || {
        let mut fitted = purchases(asked, &histories, unit, &came, holdout)?;
        fitted.push(spending(&spend));
        Ok(fitted)
    });
    let fitted = fitted.await.map_err(|error| DataFusionError::External(Box::new(error)))?;
    let fitted = fitted.map_err(|error: Impossible| DataFusionError::External(error.into()))?;
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

/// The models that are asked for, and NBD to compare with.
fn purchases(
    asked: Asked,
    histories: &[(History, u64)],
    unit: Unit,
    came: &[Held],
    holdout: Span,
) -> std::result::Result<Vec<Fitted>, Impossible> {
    let all = count(histories, unit);
    let thin = too_little(&all);
    if all.repeaters(1) == 0.0 {
        let nothing = |kind: &Kind| {
            let (names, unit) = (kind.parameters(), unit.to_string());
            nothing(kind.name(), names, unit, all.customers(), thin.clone(), COHORT_AVERAGE)
        };
        return Ok(asked.candidates().iter().map(nothing).collect());
    }
    let all = Population::of(all)?;
    let few = match asked {
        Asked::Best => {
            sample(histories).map(|few| Population::of(count(&few, unit))).transpose()?
        }
        Asked::Named(_) => None,
    };
    let candidate = |kind: Kind| -> std::result::Result<Candidate, Impossible> {
        let of = few.as_ref().filter(|_| kind == Kind::ParetoNbd).unwrap_or(&all);
        let fit = of.fit(kind)?;
        let reasons = match asked.candidates().contains(&kind) {
            // What a search makes of too little says nothing more.
            true if !thin.is_empty() => thin.clone(),
            true => doubts(&fit, &of.baseline),
            // It is there to compare with, and says nothing about itself.
            false => Vec::new(),
        };
        Ok(Candidate { fit, customers: of.counted.customers(), reasons })
    };
    let candidates = asked.fitted().into_iter().map(candidate);
    let mut candidates: Vec<Candidate> = candidates.collect::<std::result::Result<_, _>>()?;
    let choice = choose(asked, &candidates, came, holdout);
    on_all(&mut candidates, choice.used, &all)?;
    let used = choice.used.map_or(COHORT_AVERAGE, Kind::name);
    let fitted = candidates.into_iter().zip(choice.scores);
    Ok(fitted.map(|(one, score)| described(one, score, used)).collect())
}

/// Fits the model that is used on all customers, where it was compared by a sample.
fn on_all(
    candidates: &mut [Candidate],
    used: Option<Kind>,
    all: &Population,
) -> std::result::Result<(), Impossible> {
    let customers = all.counted.customers();
    let is_of_few =
        |one: &&mut Candidate| used == Some(one.fit.model.kind()) && one.customers < customers;
    for one in candidates.iter_mut().filter(is_of_few) {
        let fit = all.fit(one.fit.model.kind())?;
        if fit.converged {
            (one.fit, one.customers) = (fit, customers);
        }
    }
    Ok(())
}

/// Customers to fit models on, and NBD of them.
struct Population {
    counted: Histories,
    baseline: PurchaseFit,
}

impl Population {
    fn of(counted: Histories) -> std::result::Result<Self, Impossible> {
        let baseline = clv::fit(Kind::Nbd, &counted)?;
        Ok(Self { counted, baseline })
    }

    fn fit(&self, kind: Kind) -> std::result::Result<PurchaseFit, Impossible> {
        match kind {
            Kind::Nbd => Ok(self.baseline.clone()),
            kind => clv::fit(kind, &self.counted),
        }
    }
}

/// What keeps any model from being used.
fn too_little(counted: &Histories) -> Vec<&'static str> {
    let mut reasons = Vec::new();
    if counted.customers() < CUSTOMERS_MIN {
        reasons.push(TOO_FEW_CUSTOMERS);
    }
    if counted.longest() < Span::days(DAYS_MIN) {
        reasons.push(TOO_SHORT);
    }
    if counted.repeaters(2) == 0.0 {
        reasons.push(TOO_FEW_REPEATS);
    }
    reasons
}

/// What speaks against a fit.
fn doubts(fit: &PurchaseFit, baseline: &PurchaseFit) -> Vec<&'static str> {
    let is_baseline = fit.model.kind() == baseline.model.kind();
    let gain = 2.0 * (fit.log_likelihood - baseline.log_likelihood);
    if !fit.converged {
        vec![NOT_CONVERGED]
    } else if !is_baseline && gain < WORTH_HAVING {
        vec![DEGENERATE_DROPOUT]
    } else if fit.standard_errors.is_none() {
        vec![FLAT_LIKELIHOOD]
    } else {
        Vec::new()
    }
}

fn described(
    candidate: Candidate,
    score: Option<(f64, &'static str)>,
    used: &'static str,
) -> Fitted {
    let Candidate { fit, customers, reasons: warnings } = candidate;
    let kind = fit.model.kind();
    Fitted {
        model: kind.name(),
        parameters: kind.parameters(),
        estimates: Some(fit.estimates),
        standard_errors: fit.standard_errors,
        unit: fit.model.unit.to_string(),
        log_likelihood: fit.log_likelihood,
        converged: fit.converged,
        gradient: fit.gradient,
        iterations: fit.iterations,
        customers,
        score,
        used,
        warnings,
    }
}

fn nothing(
    model: &'static str,
    parameters: &'static [&'static str],
    unit: String,
    customers: f64,
    warnings: Vec<&'static str>,
    used: &'static str,
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
        score: None,
        used,
        warnings,
    }
}

fn spending(spend: &[Spend]) -> Fitted {
    let parameters: &[&str] = &["p", "q", "v"];
    let customers: f64 = spend.iter().map(|one| one.customers).sum();
    let mut warnings = Vec::new();
    if customers < SPENDERS_MIN {
        warnings.push(TOO_FEW_SPENDERS);
    }
    if spend.len() < 3 || clv::alike(spend) {
        if warnings.is_empty() {
            // Everybody spends the same: there is nothing to tell them apart by.
            warnings.push(FLAT_LIKELIHOOD);
        }
        return nothing(GAMMA_GAMMA, parameters, MONEY.into(), customers, warnings, OWN_AVERAGE);
    }
    let found = GammaGamma::fit(spend);
    if !found.has_converged() {
        warnings.push(NOT_CONVERGED);
    } else if found.parameters[1] <= 1.0 {
        warnings.push(NO_MEAN_SPEND);
    } else if found.covariance.is_none() {
        warnings.push(FLAT_LIKELIHOOD);
    }
    if correlation(spend).is_some_and(|rho| rho.abs() > CORRELATION_MAX) {
        warnings.push(SPEND_FOLLOWS_FREQUENCY);
    }
    // At a limit, where days or customers are alike, parameters are open and
    // what they predict is not.
    let is_sound = warnings.iter().all(|reason| {
        *reason == FLAT_LIKELIHOOD && found.is_determined && explains(spend, &found.parameters)
    });
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
        score: None,
        used: if is_sound { GAMMA_GAMMA } else { OWN_AVERAGE },
        warnings,
    }
}

/// From here on customers are alike to the model.
const ALIKE: f64 = 1e12;

/// How much more than they do customers may differ by chance under such a model.
const SPREAD_MAX: f64 = 2.0;

/// Whether a model in which customers are alike has their means differ about as much as
/// they do. Where some pay next to nothing and the others alike it puts the difference
/// down to chance within a customer, and would have all of them pay the same.
fn explains(spend: &[Spend], &[p, q, v]: &[f64; 3]) -> bool {
    if q < ALIKE {
        return true;
    }
    let mean = p * (v / q);
    let sum = |of: &dyn Fn(&Spend) -> f64| -> f64 {
        spend.iter().map(|one| one.customers * of(one)).sum()
    };
    let found = sum(&|one| (one.mean - mean) * (one.mean - mean));
    let implied = sum(&|one| mean * mean / (p * f64::from(one.frequency)));
    implied <= SPREAD_MAX * found
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
            Arc::new(number(&|one, _| finite(one.score?.0))),
            Arc::new(text(&|one, _| Some(one.score?.1.into()))),
            Arc::new(text(&|one, _| Some(one.used.into()))),
            Arc::new(text(&|one, _| (!one.warnings.is_empty()).then(|| one.warnings.join(", ")))),
        ],
    )
}
