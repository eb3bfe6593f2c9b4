//! The audit of a table's keys: none null, none twice. The table passes sorted
//! by them, so each row need only be compared with the one before. That it is
//! sorted is looked at too: else one key could stand far from itself.

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::kernels::cmp::{eq, lt};
use arrow::compute::{and, or};
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
        let rising = rising(&keys).map_err(|error| self.unreadable(&error))?;
        if rising.has_false()
            && let Some(row) = (0..rising.len()).find(|row| !rising.value(*row))
        {
            let rows = [row, row + 1].map(|row| edge(&keys, row));
            let [one, next] = rows.map(|row| self.converter.convert_columns(&row));
            let one = one.map_err(|error| self.unreadable(&error))?;
            let next = next.map_err(|error| self.unreadable(&error))?;
            return Err(self.unsorted(one.row(0) == next.row(0), batch, row + 1));
        }
        let first = self.converter.convert_columns(&edge(&keys, 0));
        let first = first.map_err(|error| self.unreadable(&error))?.row(0).owned();
        if let Some(last) = self.last.as_ref().filter(|last| **last >= first) {
            return Err(self.unsorted(*last == first, batch, 0));
        }
        let last = self.converter.convert_columns(&edge(&keys, batch.num_rows() - 1));
        self.last = Some(last.map_err(|error| self.unreadable(&error))?.row(0).owned());
        Ok(())
    }

    fn keys(&self, batch: &RecordBatch) -> Vec<ArrayRef> {
        self.shape.grain.iter().filter_map(|name| batch.column_by_name(name).cloned()).collect()
    }

    /// A key that is not above the one before it: the same, or one that should have
    /// come earlier.
    fn unsorted(&self, is_same: bool, batch: &RecordBatch, row: usize) -> Problem {
        match is_same {
            true => self.broken("the key stands twice", batch, row),
            false => {
                let name = &self.shape.name;
                Problem::new(format!("the rows of `{name}` did not come in the order of its key"))
                    .note(
                        "note",
                        "nothing was published; this is a defect of tenure, not of the model",
                    )
                    .help("report it with the query; until then, a step less in one query may help")
            }
        }
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

/// A row of the keys.
fn edge(keys: &[ArrayRef], row: usize) -> Vec<ArrayRef> {
    keys.iter().map(|key| key.slice(row, 1)).collect()
}

/// For each row but the last, whether the next one's keys are above its own. None is
/// null.
fn rising(keys: &[ArrayRef]) -> Result<BooleanArray, ArrowError> {
    let mut found: Option<BooleanArray> = None;
    for key in keys.iter().rev() {
        let rows = key.len() - 1;
        let (one, next) = (key.slice(0, rows), key.slice(1, rows));
        let above = lt(&one, &next)?;
        found = Some(match found {
            None => above,
            Some(later) => or(&above, &and(&eq(&one, &next)?, &later)?)?,
        });
    }
    Ok(found.unwrap_or_else(|| BooleanArray::from(Vec::<bool>::new())))
}
