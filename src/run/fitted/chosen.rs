//! The models that predictions are made of, read from `models.fit`.

use datafusion::error::Result;
use datafusion::prelude::SessionContext;

use super::fit::{GAMMA_GAMMA, OWN_AVERAGE};
use super::{column, numbers, table, texts};
use crate::clv::{GammaGamma, Kind, PurchaseModel, Unit};

/// The models to use; none where something simpler stands in.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// Of purchases.
    pub purchases: Option<PurchaseModel>,
    /// Of spend.
    pub spend: Option<GammaGamma>,
    /// All models of purchases whose fit came to rest, to compare with.
    pub fitted: Vec<PurchaseModel>,
}

impl Chosen {
    /// Reads them.
    ///
    /// # Errors
    /// The table cannot be read.
    pub async fn read(context: &SessionContext) -> Result<Self> {
        let batch = table(context, "models.fit").await?;
        let (models, names) = (texts(&batch, "model")?, texts(&batch, "parameter")?);
        let (used, units) = (texts(&batch, "used")?, texts(&batch, "unit")?);
        let converged = texts(&batch, "converged")?;
        let estimates = numbers(column(&batch, "estimate")?)?;
        let unit = match units.iter().any(|unit| unit == "week") {
            true => Unit::Week,
            false => Unit::Day,
        };
        let estimate = |model: &str, name: &&str| {
            let row =
                (0..batch.num_rows()).find(|row| models[*row] == model && names[*row] == *name);
            row.map(|row| estimates[row])
        };
        let purchase_model = |kind: Kind| {
            let names = kind.parameters().iter();
            let estimates: Option<Vec<f64>> =
                names.map(|name| estimate(kind.name(), name)).collect();
            PurchaseModel::new(kind, &estimates?, unit)
        };
        // All models of purchases name the one that is used.
        let rows = 0..batch.num_rows();
        let used_row = rows.clone().find(|row| models[*row] != GAMMA_GAMMA);
        let purchases = used_row.and_then(|row| Kind::parse(&used[row])).and_then(purchase_model);
        let is_at_rest = |kind: &Kind| {
            rows.clone().any(|row| models[row] == kind.name() && converged[row] == "true")
        };
        let fitted = Kind::ALL.into_iter().filter(is_at_rest).filter_map(purchase_model);
        let fitted = fitted.collect();
        let own = rows.clone().any(|row| models[row] == GAMMA_GAMMA && used[row] == OWN_AVERAGE);
        let parameter = |name: &str| estimate(GAMMA_GAMMA, &name).filter(|value| value.is_finite());
        let spend = (parameter("p"), parameter("q"), parameter("v"));
        let spend = match spend {
            (Some(p), Some(q), Some(v)) if !own => Some(GammaGamma { p, q, v }),
            _ => None,
        };
        Ok(Self { purchases, spend, fitted })
    }
}
