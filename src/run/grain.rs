//! The audit of a table's keys: none null, none twice. The table passes sorted
//! by them, so each row need only be compared with the one before.

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::partition;
use arrow::error::ArrowError;
use arrow::row::{OwnedRow, RowConverter, SortField};

use super::stage::TableShape;
use crate::problem::Problem;

/// Compares the keys of a sorted stream of batches.
pub struct Grain<'a> {
    shape: &'a TableShape,
    converter: RowConverter,
    last: Option<OwnedRow>,
}

impl<'a> Grain<'a> {
    /// An audit of a table that has not begun to pass.
    ///
    /// # Errors
    /// A key whose type has no order.
    pub fn new(shape: &'a TableShape) -> Result<Self, ArrowError> {
        let types = shape.grain.iter().map(|name| {
            let field = shape.schema.field_with_name(name)?;
            Ok(SortField::new(field.data_type().clone()))
        });
        let converter = RowConverter::new(types.collect::<Result<_, ArrowError>>()?)?;
        Ok(Self { shape, converter, last: None })
    }

    /// Audits the next batch.
    ///
    /// # Errors
    /// A null key, or a key that stands twice, with its values.
    pub fn audit(&mut self, batch: &RecordBatch) -> Result<(), Problem> {
        let keys = self.keys(batch);
        if batch.num_rows() == 0 || keys.is_empty() {
            return Ok(());
        }
        for (name, key) in self.shape.grain.iter().zip(&keys) {
            if let Some(row) = (0..key.len()).find(|row| key.is_null(*row)) {
                return Err(self.broken(&format!("`{name}` is null"), batch, row));
            }
        }
        let ranges = partition(&keys).map_err(|error| self.unreadable(&error))?.ranges();
        if let Some(range) = ranges.iter().find(|range| range.len() > 1) {
            return Err(self.broken("the key stands twice", batch, range.start + 1));
        }
        let edge = |row: usize| keys.iter().map(|key| key.slice(row, 1)).collect::<Vec<ArrayRef>>();
        let first = self.converter.convert_columns(&edge(0));
        let first = first.map_err(|error| self.unreadable(&error))?.row(0).owned();
        if self.last.as_ref().is_some_and(|last| *last == first) {
            return Err(self.broken("the key stands twice", batch, 0));
        }
        let last = self.converter.convert_columns(&edge(batch.num_rows() - 1));
        self.last = Some(last.map_err(|error| self.unreadable(&error))?.row(0).owned());
        Ok(())
    }

    fn keys(&self, batch: &RecordBatch) -> Vec<ArrayRef> {
        self.shape.grain.iter().filter_map(|name| batch.column_by_name(name).cloned()).collect()
    }

    fn broken(&self, what: &str, batch: &RecordBatch, row: usize) -> Problem {
        let problem =
            Problem::new(format!("audit failed for `{}`; nothing was published", self.shape.name))
                .note(
                    "check",
                    format!("grain ({}) must be unique and not null", self.shape.grain.join(", ")),
                )
                .note("found", what.to_string());
        let sample = batch.slice(row, 1);
        match super::audit::as_table(&[sample]) {
            Some(table) => problem.note("row", table),
            None => problem,
        }
        .help("is the grain in the header right? else a join in the query multiplies rows")
    }

    fn unreadable(&self, error: &ArrowError) -> Problem {
        Problem::new(format!("the keys of `{}` cannot be compared", self.shape.name)).causes(error)
    }
}
