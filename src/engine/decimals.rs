//! Decimals put into a narrower type: what a sum of money is, once it is done.
//!
//! Arrow multiplies every value by 1, checks it and copies it. Where the scale
//! stays, the values are those that are there already: they are looked at once
//! and passed on as they lie.

use std::fmt::{Display, Formatter};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, FieldRef, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::logical_expr::sort_properties::ExprProperties;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::CastExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

/// A projection that casts decimals this way, where it applies.
///
/// # Errors
/// The planner's.
pub fn replacing(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(projection) = node.downcast_ref::<ProjectionExec>() else { return Ok(None) };
    let input = projection.input();
    let mut any = false;
    let mut columns = Vec::with_capacity(projection.expr().len());
    for column in projection.expr() {
        let expr = Arc::clone(&column.expr).transform_up(|expr| {
            Ok(match NarrowCast::replacing(&expr, &input.schema()) {
                Some(cast) => Transformed::yes(Arc::new(cast) as Arc<dyn PhysicalExpr>),
                None => Transformed::no(expr),
            })
        })?;
        any |= expr.transformed;
        columns.push(ProjectionExpr { expr: expr.data, alias: column.alias.clone() });
    }
    if !any {
        return Ok(None);
    }
    let narrowed = ProjectionExec::try_new(columns, Arc::clone(input))?;
    Ok(Some(Arc::new(narrowed)))
}

/// A cast of a decimal into one of the same scale and fewer digits. Its type and
/// order are those of the cast it stands for.
#[derive(Debug, Eq)]
struct NarrowCast {
    original: Arc<dyn PhysicalExpr>,
    precision: u8,
    scale: i8,
}

impl NarrowCast {
    fn replacing(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Option<Self> {
        let cast = expr.downcast_ref::<CastExpr>()?;
        let DataType::Decimal128(from, old_scale) = cast.expr().data_type(schema).ok()? else {
            return None;
        };
        let DataType::Decimal128(precision, scale) = *cast.cast_type() else { return None };
        (old_scale == scale && precision < from).then(|| Self {
            original: Arc::clone(expr),
            precision,
            scale,
        })
    }

    fn cast(&self) -> Result<&CastExpr> {
        self.original
            .downcast_ref::<CastExpr>()
            .ok_or_else(|| DataFusionError::Internal(format!("{} is no cast", self.original)))
    }
}

impl PartialEq for NarrowCast {
    fn eq(&self, other: &Self) -> bool {
        self.original.eq(&other.original)
    }
}

impl Hash for NarrowCast {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.original.hash(state);
    }
}

impl Display for NarrowCast {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.original.fmt(f)
    }
}

impl PhysicalExpr for NarrowCast {
    fn data_type(&self, input: &Schema) -> Result<DataType> {
        self.original.data_type(input)
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.original.nullable(input)
    }

    fn return_field(&self, input: &Schema) -> Result<FieldRef> {
        self.original.return_field(input)
    }

    /// # Errors
    /// A value has more digits than there are, as the cast says it.
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let cast = self.cast()?;
        let value = cast.expr().evaluate(batch)?;
        if let ColumnarValue::Array(array) = &value
            && let Some(decimals) = array.as_primitive_opt::<Decimal128Type>()
            && decimals.scale() == self.scale
            && fit(decimals.values(), self.precision)
        {
            let kind = cast.cast_type().clone();
            return Ok(ColumnarValue::Array(Arc::new(decimals.clone().with_data_type(kind))));
        }
        value.cast_to(cast.cast_type(), Some(cast.cast_options()))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.original.children()
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let original = Arc::clone(&self.original).with_new_children(children)?;
        Ok(Arc::new(Self { original, precision: self.precision, scale: self.scale }))
    }

    fn get_properties(&self, children: &[ExprProperties]) -> Result<ExprProperties> {
        self.original.get_properties(children)
    }

    fn fmt_sql(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.original.fmt_sql(f)
    }
}

/// Whether all values have so many digits at most. What lies in the place of a
/// null is looked at too: a loop without a branch.
fn fit(values: &[i128], precision: u8) -> bool {
    let most = 10_i128.pow(u32::from(precision)) - 1;
    values.iter().fold(true, |fit, value| fit & (-most <= *value) & (*value <= most))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, ArrayRef, Decimal128Array};
    use arrow::datatypes::Field;
    use datafusion::physical_expr::expressions::{cast, col};

    use super::*;

    /// Both ways of casting `values`, a sum of money, to `decimal(5,2)`.
    fn both(values: Vec<Option<i128>>) -> [std::result::Result<ArrayRef, String>; 2] {
        let column = Decimal128Array::from(values).with_precision_and_scale(28, 2).expect("sound");
        let batch =
            RecordBatch::try_from_iter([("sum", Arc::new(column) as ArrayRef)]).expect("sound");
        let schema = batch.schema();
        let original =
            cast(col("sum", &schema).expect("sound"), &schema, DataType::Decimal128(5, 2))
                .expect("sound");
        let narrow = NarrowCast::replacing(&original, &schema).expect("sound");
        let rows = batch.num_rows();
        [original.as_ref(), &narrow as &dyn PhysicalExpr].map(|expr| {
            let value = expr.evaluate(&batch).map_err(|error| error.to_string())?;
            value.into_array(rows).map_err(|error| error.to_string())
        })
    }

    #[test]
    fn a_narrow_cast_gives_what_the_cast_gives() {
        let [cast, narrow] = both(vec![Some(99_999), None, Some(-99_999), Some(0)]);
        assert_eq!(cast.expect("sound").as_ref(), narrow.expect("sound").as_ref());
        for value in [100_000, -100_000, i128::MIN, i128::MAX] {
            let [cast, narrow] = both(vec![Some(1), Some(value)]);
            assert_eq!(cast.expect_err("refused"), narrow.expect_err("refused"));
        }
    }

    #[test]
    fn what_lies_in_the_place_of_a_null_does_not_count() {
        let values = vec![1_i128, i128::MAX];
        let column = Decimal128Array::new(values.into(), Some(vec![true, false].into()));
        assert!(!fit(column.values(), 5));
        let kept = column.with_precision_and_scale(28, 2).expect("sound");
        let batch =
            RecordBatch::try_from_iter([("sum", Arc::new(kept) as ArrayRef)]).expect("sound");
        let schema = batch.schema();
        let original =
            cast(col("sum", &schema).expect("sound"), &schema, DataType::Decimal128(5, 2))
                .expect("sound");
        let narrow = NarrowCast::replacing(&original, &schema).expect("sound");
        let array = narrow.evaluate(&batch).expect("sound").into_array(2).expect("sound");
        assert_eq!(array.null_count(), 1);
        assert_eq!(array.as_primitive::<Decimal128Type>().value(0), 1);
    }

    #[test]
    fn other_casts_are_left_alone() {
        let schema = Schema::new(vec![Field::new("sum", DataType::Decimal128(28, 2), true)]);
        for other in [DataType::Decimal128(38, 2), DataType::Decimal128(20, 1), DataType::Int64] {
            let original =
                cast(col("sum", &schema).expect("sound"), &schema, other).expect("sound");
            assert!(NarrowCast::replacing(&original, &schema).is_none());
        }
    }
}
