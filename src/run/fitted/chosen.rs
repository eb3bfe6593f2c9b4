//! The models that predictions are made of, read from `models.fit`.

use datafusion::error::Result;
use datafusion::prelude::SessionContext;

use super::fit::{GAMMA_GAMMA, OWN_AVERAGE};
use super::{column, numbers, table, texts};
use crate::clv::{GammaGamma, Kind, PurchaseModel, Unit};

/// The models to use; none where something simpler stands in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chosen {
    /// Of purchases.
    pub purchases: Option<PurchaseModel>,
    /// Of spend.
    pub spend: Option<GammaGamma>,
    /// NBD, to compare with.
    pub baseline: Option<PurchaseModel>,
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
        // What stands first, of a model of purchases other than the baseline.
        let rows = 0..batch.num_rows();
        let asked = rows.clone().filter(|row| models[*row] != GAMMA_GAMMA);
        let asked = asked.max_by_key(|row| models[*row] != Kind::Nbd.name());
        let purchases = asked.and_then(|row| Kind::parse(&used[row])).and_then(purchase_model);
        let own = rows.clone().any(|row| models[row] == GAMMA_GAMMA && used[row] == OWN_AVERAGE);
        let parameter = |name: &str| estimate(GAMMA_GAMMA, &name).filter(|value| value.is_finite());
        let spend = (parameter("p"), parameter("q"), parameter("v"));
        let spend = match spend {
            (Some(p), Some(q), Some(v)) if !own => Some(GammaGamma { p, q, v }),
            _ => None,
        };
        Ok(Self { purchases, spend, baseline: purchase_model(Kind::Nbd) })
    }
}
