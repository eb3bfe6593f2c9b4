//! Refunds that name their sale: which keys to look at, in numbers too large to join.

use std::collections::HashSet;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::{and, filter, is_not_null};
use arrow::datatypes::Schema;
use datafusion::error::Result;

use super::keys;

/// Columns by which a refund names its sale.
#[derive(Debug, Clone, Copy)]
pub struct Naming {
    pub(super) is_refund: usize,
    pub(super) refund_of: usize,
    pub(super) order_id: usize,
}

impl Naming {
    /// Those of a schema.
    ///
    /// # Errors
    /// It has no such columns.
    pub fn of(schema: &Schema) -> Result<Self> {
        let [is_refund, refund_of, order_id] =
            ["is_refund", "refund_of", "order_id"].map(|name| schema.index_of(name));
        Ok(Self { is_refund: is_refund?, refund_of: refund_of?, order_id: order_id? })
    }
}

/// Adds the images of what refunds among some rows name, and of their own numbers.
///
/// # Errors
/// A type that has no hash.
pub fn add(
    is_refund: &ArrayRef,
    refund_of: &ArrayRef,
    order_id: &ArrayRef,
    all: &mut HashSet<u64>,
) -> Result<()> {
    let names = and(is_refund.as_boolean(), &is_not_null(refund_of)?)?;
    let mut images = Vec::new();
    for column in [refund_of, order_id] {
        keys::images(&[filter(column, &names)?], &mut images)?;
        all.extend(images.iter().copied());
    }
    Ok(())
}
