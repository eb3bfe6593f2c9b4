//! Rows on their way into the clustered order, each column in as few bytes as
//! its values need: more of them fit into memory, and each is copied twice.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{filter, take};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::error::Result;

use super::kept::{Common, Form, Lying, Words};
use super::life::LIFE;

/// Some rows.
#[derive(Debug, Clone)]
pub struct Chunk {
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
}

/// A column of them.
#[derive(Debug, Clone)]
struct Column {
    form: Form,
    words: Words,
    /// None if there is nothing to write.
    stored: Option<ArrayRef>,
}

impl Column {
    /// A column; ids that are texts stay what they are, for rows are sorted by them.
    fn of(name: &str, column: &ArrayRef) -> Self {
        let mut words = Words::default();
        let is_text = matches!(column.data_type(), DataType::Utf8 | DataType::Utf8View);
        let form = match is_text && LIFE.contains(&name) {
            true => Form::Plain,
            false => Form::of(column, &mut words),
        };
        let stored = form.narrowed(column, &words);
        Self { stored, form, words: if form == Form::Words { words } else { Words::default() } }
    }

    fn with(&self, change: impl FnOnce(&ArrayRef) -> Result<ArrayRef>) -> Result<Self> {
        let stored = self.stored.as_ref().map(change).transpose()?;
        Ok(Self { form: self.form, words: self.words.clone(), stored })
    }

    fn lying<'a>(&'a self, kind: &'a DataType, rows: usize) -> Lying<'a> {
        let Self { form, words, stored } = self;
        Lying { form: *form, words, stored: stored.as_ref(), kind, rows }
    }
}

impl Chunk {
    /// The rows of a batch of a schema.
    pub fn new(batch: &RecordBatch, schema: &SchemaRef) -> Self {
        let named = schema.fields().iter().zip(batch.columns());
        let columns = named.map(|(field, column)| Column::of(field.name(), column)).collect();
        Self { schema: Arc::clone(schema), columns, rows: batch.num_rows() }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// A column as it lies.
    pub fn lying(&self, column: usize) -> Lying<'_> {
        self.columns[column].lying(self.schema.field(column).data_type(), self.rows)
    }

    /// The values of a column in some rows.
    ///
    /// # Errors
    /// There are no such rows.
    pub fn taken(&self, column: usize, rows: &UInt32Array) -> Result<ArrayRef> {
        let taken = self.columns[column].with(|stored| Ok(take(stored, rows, None)?))?;
        Ok(taken.lying(self.schema.field(column).data_type(), rows.len()).whole()?)
    }

    /// The rows that are chosen.
    ///
    /// # Errors
    /// There is not an answer for each row.
    pub fn filter(&self, chosen: &BooleanArray) -> Result<Self> {
        let filtered = |column: &Column| column.with(|stored| Ok(filter(stored, chosen)?));
        let columns = self.columns.iter().map(filtered).collect::<Result<_>>()?;
        Ok(Self { schema: Arc::clone(&self.schema), columns, rows: chosen.true_count() })
    }

    /// The rows as a batch.
    ///
    /// # Errors
    /// None that is known.
    pub fn batch(&self) -> Result<RecordBatch> {
        let columns = (0..self.columns.len()).map(|column| self.lying(column).whole());
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns.collect::<Result<_, _>>()?)?)
    }
}

/// Chunks together: the form of each column that holds them all, and the bytes they
/// take up in it.
#[derive(Debug, Clone)]
pub struct Tally {
    columns: Vec<ColumnTally>,
    rows: usize,
    chunks: usize,
}

#[derive(Debug, Clone, Default)]
struct ColumnTally {
    common: Common,
    /// Of what is as it was.
    plain_bytes: usize,
    /// Rows of the rest.
    narrowed_rows: usize,
}

/// Bytes of a value that was narrowed and must not stay so, if its type does not
/// tell: a view of a text.
const VALUE_BYTES: usize = size_of::<u128>();

/// Bytes of a column of a chunk beside its values.
const COLUMN_BYTES: usize = 256;

impl Tally {
    /// That of some chunks of a schema.
    pub fn of(chunks: &[Chunk], schema: &SchemaRef) -> Self {
        let columns = vec![ColumnTally::default(); schema.fields().len()];
        let mut tally = Self { columns, rows: 0, chunks: 0 };
        chunks.iter().for_each(|chunk| tally.add(chunk));
        tally
    }

    /// Takes account of one more. One without rows has no say in the forms.
    pub fn add(&mut self, chunk: &Chunk) {
        if chunk.rows == 0 {
            return;
        }
        self.rows += chunk.rows;
        self.chunks += 1;
        for (tally, column) in self.columns.iter_mut().zip(&chunk.columns) {
            tally.common.add(column.form);
            tally.common.learn(&column.words);
            match (column.form, &column.stored) {
                (Form::Plain, Some(stored)) => tally.plain_bytes += stored.get_array_memory_size(),
                _ => tally.narrowed_rows += chunk.rows,
            }
        }
    }

    /// Bytes of all columns.
    pub fn bytes(&self, schema: &SchemaRef) -> usize {
        let bytes = |(tally, kind): (&ColumnTally, &DataType)| {
            let ColumnTally { common, plain_bytes, narrowed_rows } = tally;
            match common.value_bytes(kind) {
                Some(bytes) => bytes * self.rows,
                None => plain_bytes + VALUE_BYTES * narrowed_rows,
            }
        };
        let kinds = schema.fields().iter().map(|field| field.data_type());
        let values: usize = self.columns.iter().zip(kinds).map(bytes).sum();
        values + self.chunks * self.columns.len() * COLUMN_BYTES
    }

    /// The form of each column.
    pub fn into_forms(self) -> Vec<Common> {
        self.columns.into_iter().map(|tally| tally.common).collect()
    }
}
