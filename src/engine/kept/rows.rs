//! The rows of a partition: narrowed as they are written, as they were
//! when they are read.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::common::Lying;
use super::narrow::Form;
use super::part::{Columns, Opened, Part, PartWriter};
use super::room::Room;
use super::words::Words;

/// Rows that are complete.
#[derive(Debug)]
pub struct Rows {
    part: Arc<Part>,
    /// Of each batch, in the order of the columns.
    forms: Vec<Vec<Form>>,
    /// Of each column.
    words: Arc<Vec<Words>>,
}

impl Rows {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.part.rows()
    }

    /// How many batches there are.
    pub fn batches(&self) -> usize {
        self.part.batches()
    }

    /// Bytes in memory and on disk.
    pub fn bytes(&self) -> u64 {
        self.part.bytes()
    }

    /// Where they find room.
    pub fn room(&self) -> &Room {
        self.part.room()
    }

    /// The forms of a column, batch by batch.
    pub fn forms(&self, column: usize) -> impl Iterator<Item = Form> {
        self.forms.iter().map(move |forms| forms[column])
    }

    /// The words of a column.
    pub fn words(&self, column: usize) -> &Words {
        &self.words[column]
    }

    /// Begins to read some columns; `schema` is that of all.
    ///
    /// # Errors
    /// The disk fails.
    pub fn open(
        self: &Arc<Self>,
        schema: &SchemaRef,
        columns: Vec<usize>,
    ) -> Result<Reader, ArrowError> {
        let opened = self.part.open(&columns)?;
        let schema = Arc::new(schema.project(&columns)?);
        Ok(Reader { rows: Arc::clone(self), opened, schema, columns })
    }
}

/// Reads some columns of rows.
#[derive(Debug)]
pub struct Reader {
    rows: Arc<Rows>,
    opened: Opened,
    columns: Vec<usize>,
    /// Of these columns.
    schema: SchemaRef,
}

impl Reader {
    /// Reads a batch.
    ///
    /// # Errors
    /// The disk fails, or the file is not as it was written.
    pub fn read(&self, batch: usize) -> Result<RecordBatch, ArrowError> {
        let stored = self.stored(batch)?;
        let columns = (0..self.columns.len()).map(|column| stored.whole(column));
        let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(stored.rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
    }

    /// Reads a batch as it lies.
    ///
    /// # Errors
    /// The disk fails, or the file is not as it was written.
    pub fn stored(&self, batch: usize) -> Result<Stored<'_>, ArrowError> {
        let (rows, columns) = self.opened.read(batch)?;
        Ok(Stored { reader: self, forms: &self.rows.forms[batch], rows, columns })
    }
}

/// A batch as it lies.
pub struct Stored<'a> {
    reader: &'a Reader,
    /// Of all columns there are.
    forms: &'a [Form],
    rows: usize,
    /// Those that are read.
    columns: Columns,
}

impl Stored<'_> {
    /// A column as it was.
    ///
    /// # Errors
    /// It was not written in its form.
    pub fn whole(&self, column: usize) -> Result<ArrayRef, ArrowError> {
        self.lying(column).whole()
    }

    /// A column as it lies.
    pub fn lying(&self, column: usize) -> Lying<'_> {
        let place = self.reader.columns[column];
        Lying {
            form: self.forms[place],
            words: &self.reader.rows.words[place],
            stored: self.columns[column].as_ref(),
            kind: self.reader.schema.field(column).data_type(),
            rows: self.rows,
        }
    }
}

/// Rows that are being written.
pub struct RowsWriter {
    part: PartWriter,
    forms: Vec<Vec<Form>>,
    words: Vec<Words>,
}

impl RowsWriter {
    /// Begins with rows of a schema.
    pub fn new(schema: &SchemaRef, room: Room) -> Self {
        let words = vec![Words::default(); schema.fields().len()];
        Self { part: PartWriter::new(room), forms: Vec::new(), words }
    }

    /// Adds a batch, if it has rows.
    ///
    /// # Errors
    /// The disk fails, or a type that cannot be written.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mut forms = Vec::with_capacity(batch.num_columns());
        let mut narrowed = Vec::with_capacity(batch.num_columns());
        for (column, words) in batch.columns().iter().zip(&mut self.words) {
            let form = Form::of(column, words);
            narrowed.push(form.narrowed(column, words));
            forms.push(form);
        }
        self.forms.push(forms);
        self.part.write(batch.num_rows(), &narrowed)
    }

    /// Completes them.
    ///
    /// # Errors
    /// The disk fails.
    pub fn finish(self) -> Result<Rows, ArrowError> {
        let part = Arc::new(self.part.finish()?);
        Ok(Rows { part, forms: self.forms, words: Arc::new(self.words) })
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Decimal128Array, Int64Array, StringViewArray};
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::execution::memory_pool::{MemoryPool, UnboundedMemoryPool};

    use super::*;
    use crate::engine::kept::{Disk, Spare};

    fn batch(schema: &SchemaRef, from: i64, money: Option<i128>) -> RecordBatch {
        let ids = Int64Array::from_iter_values(from..from + 3);
        let amounts = Decimal128Array::from(vec![None, money, None]);
        let amounts = amounts.with_precision_and_scale(18, 2).expect("a decimal");
        let notes = StringViewArray::from(vec![None::<&str>; 3]);
        let columns = vec![Arc::new(ids) as ArrayRef, Arc::new(amounts), Arc::new(notes)];
        RecordBatch::try_new(Arc::clone(schema), columns).expect("columns of one length")
    }

    #[test]
    fn batches_of_different_shapes_come_back_as_they_were() {
        let schema: SchemaRef = Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("amount", DataType::Decimal128(18, 2), true),
            Field::new("note", DataType::Utf8View, true),
        ]));
        let folder = tempfile::tempdir().expect("a folder");
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        // In memory: all, or as much as the first batch takes up.
        let disk = Room::on(&Arc::new(Disk::new(folder.path().join("rows"))));
        let ample = |bytes| disk.spared(Spare::new(&pool, bytes));
        for room in [ample(1 << 20), ample(100), disk.unpacked(), disk.packed()] {
            let mut writer = RowsWriter::new(&schema, room);
            let batches = [None, Some(500), None].map(|money| batch(&schema, 7, money));
            batches.iter().for_each(|batch| writer.write(batch).expect("written"));
            writer.write(&batches[0].slice(0, 0)).expect("written");
            let rows = Arc::new(writer.finish().expect("whole"));
            assert_eq!((rows.count(), rows.batches()), (9, 3));
            let holds =
                [0, 1, 2].map(|column| rows.forms(column).any(|form| form != Form::Nothing));
            assert_eq!(holds, [true, true, false]);
            for columns in [&[0, 1, 2][..], &[2, 0], &[1], &[2], &[]] {
                let reader = rows.open(&schema, columns.to_vec()).expect("there");
                for (place, written) in batches.iter().enumerate() {
                    let read = reader.read(place).expect("read");
                    assert_eq!(read, written.project(columns).expect("columns"), "{columns:?}");
                }
                assert!(reader.read(3).is_err());
            }
        }
    }
}
