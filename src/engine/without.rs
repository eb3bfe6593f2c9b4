//! Rows that are looked at on their own, told by the images of their keys.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, not};
use arrow::datatypes::Schema;
use datafusion::error::Result;

use super::keys;

/// Rows that are looked at on their own, by the images of their keys.
#[derive(Debug, Clone)]
pub struct Without {
    pub(super) key: Vec<usize>,
    pub(super) images: Arc<HashSet<u64>>,
}

impl Without {
    /// Rows of a schema, by the columns of their key.
    ///
    /// # Errors
    /// The schema has no such column.
    pub fn new(schema: &Schema, key: &[&str], images: HashSet<u64>) -> Result<Self> {
        let key = key.iter().map(|name| schema.index_of(name)).collect::<Result<_, _>>()?;
        Ok(Self { key, images: Arc::new(images) })
    }

    /// These rows of a batch.
    ///
    /// # Errors
    /// A type that has no hash.
    pub fn these(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        Ok(filter_record_batch(batch, &self.of(batch)?)?)
    }

    fn of(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let column = |index: &usize| Arc::clone(batch.column(*index));
        self.found(&self.key.iter().map(column).collect::<Vec<_>>())
    }

    /// Which rows these are, by their keys.
    pub(super) fn found(&self, key: &[ArrayRef]) -> Result<BooleanArray> {
        let mut images = Vec::new();
        keys::images(key, &mut images)?;
        let found = images
            .iter()
            .enumerate()
            .map(|(row, image)| Some(self.images.contains(image) && keys::present(key, row)));
        Ok(found.collect())
    }

    /// The other rows of a batch.
    ///
    /// # Errors
    /// A type that has no hash.
    pub fn rest(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        Ok(filter_record_batch(batch, &not(&self.of(batch)?)?)?)
    }
}
