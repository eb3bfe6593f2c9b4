//! Numbers that a file has as floats although they are whole, as pandas makes of integers
//! where one is missing: written out as texts, store 12 is `12`, not `12.0`.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Cast, Expr, TryCast, cast, try_cast, when};

/// A float as text: without a point where it is whole.
pub fn as_text(number: &Expr, kind: &DataType) -> Expr {
    let whole = try_cast(number.clone(), DataType::Int64);
    let is_whole = cast(whole.clone(), kind.clone()).eq(number.clone());
    let text = cast(number.clone(), DataType::Utf8);
    when(is_whole, cast(whole, DataType::Utf8)).otherwise(text.clone()).unwrap_or(text)
}

/// An expression in which every float that it casts to text is written so.
pub fn written_out(expression: Expr, type_of: impl Fn(&Expr) -> DataType) -> Expr {
    let before = expression.clone();
    let written = expression.transform_up(|part| {
        let (Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field })) = &part
        else {
            return Ok(Transformed::no(part));
        };
        let kind = type_of(expr);
        Ok(match kind.is_floating() && field.data_type().is_string() {
            true => Transformed::yes(cast(as_text(expr, &kind), field.data_type().clone())),
            false => Transformed::no(part),
        })
    });
    // The walk itself cannot fail.
    written.map_or(before, |written| written.data)
}
