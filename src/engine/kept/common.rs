//! Columns of several batches in one form, so that their values can be put
//! beside each other without being widened.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use super::narrow::Form;
use super::words::Words;

/// A column as it lies in one batch.
#[derive(Debug, Clone, Copy)]
pub struct Lying<'a> {
    /// How its values are written.
    pub form: Form,
    /// The words it may have.
    pub words: &'a Words,
    /// What is written, if anything is.
    pub stored: Option<&'a ArrayRef>,
    /// The type it had.
    pub kind: &'a DataType,
    /// How many values it has.
    pub rows: usize,
}

impl Lying<'_> {
    /// The column as it was.
    ///
    /// # Errors
    /// It was not written in its form.
    pub fn whole(self) -> Result<ArrayRef, ArrowError> {
        self.form.widened(self.stored, self.kind, self.words, self.rows)
    }
}

/// A form that holds a column of several batches, and its words.
#[derive(Debug, Clone, Default)]
pub struct Common {
    /// None as long as there is nothing to hold.
    form: Option<Form>,
    words: Words,
}

impl Common {
    /// Becomes one that also holds a column that is written in a form.
    pub fn add(&mut self, form: Form) {
        self.form = Some(self.form.map_or(form, |before| before.or(form)));
    }

    /// Becomes one that also knows these words.
    pub fn learn(&mut self, words: &Words) {
        if self.form == Some(Form::Plain) {
            return;
        }
        if !self.words.add(words) {
            *self = Self { form: Some(Form::Plain), words: Words::default() };
        }
    }

    /// The form.
    pub fn form(&self) -> Form {
        self.form.unwrap_or(Form::Nothing)
    }

    /// A column in this form, which holds it; nothing if there is nothing to write.
    ///
    /// # Errors
    /// It was not written in its own form.
    pub fn narrowed(&self, lying: Lying<'_>) -> Result<Option<ArrayRef>, ArrowError> {
        match self.form().rebased(lying.form, lying.stored, lying.kind) {
            Some(rebased) => Ok(rebased),
            None => Ok(self.form().narrowed(&lying.whole()?, &self.words)),
        }
    }

    /// The column of a type that is written in this form.
    ///
    /// # Errors
    /// It is not.
    pub fn widened(
        &self,
        stored: Option<&ArrayRef>,
        kind: &DataType,
        rows: usize,
    ) -> Result<ArrayRef, ArrowError> {
        self.form().widened(stored, kind, &self.words, rows)
    }

    /// Bytes of a value of a type, where all have as many.
    pub fn value_bytes(&self, kind: &DataType) -> Option<usize> {
        self.form().value_bytes(kind)
    }
}
