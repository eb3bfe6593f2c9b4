//! A file of batches in the form in which rows lie in memory: writing copies,
//! reading only maps.
//!
//! Columns of which a batch holds nothing (a source that does not map them, say)
//! are not written: they would take up as much room as any other.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::writer::{FileWriter, IpcWriteOptions};
use arrow::ipc::{Block, CompressionType, MetadataVersion, root_as_footer};
use memmap2::MmapOptions;

/// Whether rows may lie on disk as in memory, or are packed: more work for
/// each reader, for a third of the space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// As in memory.
    Plenty,
    /// Packed.
    Scarce,
}

/// A file that is complete.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
    room: Room,
    /// Where the batches stand, and which columns each has, as a place in `shapes`.
    blocks: Vec<(Block, usize)>,
    /// Columns that batches have, by their places in the schema.
    shapes: Vec<Vec<usize>>,
    rows: usize,
}

impl Part {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many batches there are.
    pub fn batches(&self) -> usize {
        self.blocks.len()
    }

    /// Bytes of all batches, as they lie on disk.
    pub fn bytes(&self) -> u64 {
        self.blocks.iter().map(|(block, _)| u64::try_from(block.bodyLength()).unwrap_or(0)).sum()
    }

    /// Whether a column holds anything anywhere.
    pub fn holds(&self, column: usize) -> bool {
        self.shapes.iter().any(|shape| shape.contains(&column))
    }

    /// How its rows lie.
    pub fn room(&self) -> Room {
        self.room
    }

    /// Opens the file to read some columns of it; `schema` is that of the file.
    ///
    /// # Errors
    /// The disk fails.
    pub fn open(
        self: &Arc<Self>,
        schema: &SchemaRef,
        columns: &[usize],
    ) -> Result<Opened, ArrowError> {
        let shapes = self.shapes.iter().map(|shape| Shape::new(shape, schema, columns));
        Ok(Opened {
            part: Arc::clone(self),
            file: File::open(&self.path)?,
            schema: Arc::new(schema.project(columns)?),
            shapes: shapes.collect::<Result<_, _>>()?,
        })
    }
}

/// A file that is being read.
#[derive(Debug)]
pub struct Opened {
    part: Arc<Part>,
    file: File,
    /// Of the columns that are read.
    schema: SchemaRef,
    shapes: Vec<Shape>,
}

/// How to read batches that have some of the columns.
#[derive(Debug)]
struct Shape {
    decoder: FileDecoder,
    /// Of each column that is read, whether it was written.
    is_there: Vec<bool>,
}

impl Shape {
    fn new(written: &[usize], schema: &SchemaRef, columns: &[usize]) -> Result<Self, ArrowError> {
        let place = |column: &usize| written.iter().position(|other| other == column);
        let there: Vec<usize> = columns.iter().filter_map(place).collect();
        let schema = Arc::new(schema.project(written)?);
        let decoder = FileDecoder::new(schema, MetadataVersion::V5).with_projection(there);
        Ok(Self { decoder, is_there: columns.iter().map(|c| written.contains(c)).collect() })
    }
}

impl Opened {
    /// Reads a batch, whose arrays lie in the map of its stretch of the file.
    ///
    /// # Errors
    /// The disk fails, or the file is not as it was written.
    pub fn read(&self, batch: usize) -> Result<RecordBatch, ArrowError> {
        let broken = || ArrowError::IpcError(format!("{} is broken", self.part.path.display()));
        let (block, shape) = self.part.blocks.get(batch).ok_or_else(broken)?;
        let bytes = i64::from(block.metaDataLength()) + block.bodyLength();
        let offset = u64::try_from(block.offset()).map_err(|_| broken())?;
        let bytes = usize::try_from(bytes).map_err(|_| broken())?;
        let Shape { decoder, is_there } = &self.shapes[*shape];
        let batch = decoder.read_record_batch(block, &map(&self.file, offset, bytes)?)?;
        widened(&batch.ok_or_else(broken)?, &self.schema, is_there)
    }
}

/// A batch with the columns it lacks, which hold nothing.
///
/// # Errors
/// The columns it has are not those of the schema.
pub fn widened(
    batch: &RecordBatch,
    schema: &SchemaRef,
    is_there: &[bool],
) -> Result<RecordBatch, ArrowError> {
    let rows = batch.num_rows();
    let mut there = batch.columns().iter();
    let columns = schema.fields().iter().zip(is_there).map(|(field, is_there)| {
        let column = if *is_there { there.next() } else { None };
        column.cloned().unwrap_or_else(|| new_null_array(field.data_type(), rows))
    });
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns.collect(), &options)
}

/// A file that is being written.
pub struct PartWriter {
    path: PathBuf,
    room: Room,
    file: FileWriter<BufWriter<File>>,
    /// Columns that batches have, and of each batch which.
    shapes: Vec<Vec<usize>>,
    shape_of: Vec<usize>,
    rows: usize,
}

impl PartWriter {
    /// Begins a file.
    ///
    /// # Errors
    /// The disk fails, or a type that cannot be written.
    pub fn new(path: PathBuf, schema: &SchemaRef, room: Room) -> Result<Self, ArrowError> {
        let packing = (room == Room::Scarce).then_some(CompressionType::LZ4_FRAME);
        let options = IpcWriteOptions::default().try_with_compression(packing)?;
        let file = BufWriter::new(File::create(&path)?);
        let file = FileWriter::try_new_with_options(file, schema, options)?;
        Ok(Self { path, room, file, shapes: Vec::new(), shape_of: Vec::new(), rows: 0 })
    }

    /// Adds a batch.
    ///
    /// # Errors
    /// The disk fails.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.rows += batch.num_rows();
        let holds = |column: &ArrayRef| column.null_count() < column.len();
        let columns = batch.columns().iter().enumerate();
        let shape: Vec<usize> =
            columns.filter(|(_, column)| holds(column)).map(|(place, _)| place).collect();
        let known = self.shapes.iter().position(|known| *known == shape);
        self.file.write(&compact(&batch.project(&shape)?)?)?;
        self.shape_of.push(known.unwrap_or(self.shapes.len()));
        if known.is_none() {
            self.shapes.push(shape);
        }
        Ok(())
    }

    /// Completes the file.
    ///
    /// # Errors
    /// The disk fails.
    pub fn finish(mut self) -> Result<Part, ArrowError> {
        self.file.finish()?;
        drop(self.file);
        let blocks = blocks(&self.path)?.into_iter().zip(self.shape_of).collect();
        let Self { path, room, shapes, rows, .. } = self;
        Ok(Part { path, room, blocks, shapes, rows })
    }
}

/// Views of text may hold on to far more than they show.
fn compact(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Utf8View => {
            let text = column.as_string_view();
            let held: usize = text.data_buffers().iter().map(Buffer::len).sum();
            match held > 2 * text.total_buffer_bytes_used() {
                true => Arc::new(text.gc()) as ArrayRef,
                false => Arc::clone(column),
            }
        }
        _ => Arc::clone(column),
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns.collect(), &options)
}

/// Where the batches of a file stand.
fn blocks(path: &Path) -> Result<Vec<Block>, ArrowError> {
    let length = std::fs::metadata(path)?.len();
    let file = map(&File::open(path)?, 0, usize::try_from(length).unwrap_or(usize::MAX))?;
    let broken = || ArrowError::IpcError(format!("{} has no footer", path.display()));
    let trailer = file.len().checked_sub(TRAILER_BYTES).ok_or_else(broken)?;
    let mark = file[trailer..].try_into().map_err(|_| broken())?;
    let footer = trailer.checked_sub(read_footer_length(mark)?).ok_or_else(broken)?;
    let footer = root_as_footer(&file[footer..trailer]).map_err(|_| broken())?;
    if footer.dictionaries().is_some_and(|dictionaries| !dictionaries.is_empty()) {
        return Err(ArrowError::NotYetImplemented("dictionaries in a kept table".into()));
    }
    Ok(footer.recordBatches().into_iter().flatten().copied().collect())
}

/// The length of the footer and the magic word.
const TRAILER_BYTES: usize = 10;

/// A stretch of a file as memory.
#[expect(unsafe_code, reason = "no other way to read without a copy")]
fn map(file: &File, offset: u64, length: usize) -> Result<Buffer, ArrowError> {
    // SAFETY: the files stand in a folder of this run's own and are complete
    // before they are read; nobody writes to them again.
    let map = unsafe { MmapOptions::new().offset(offset).len(length).map(file)? };
    let map = Arc::new(map);
    let Some(start) = std::ptr::NonNull::new(map.as_ptr().cast_mut()) else {
        return Err(ArrowError::MemoryError("an empty map".into()));
    };
    // SAFETY: the map is as long as that and lives as long as the buffer.
    Ok(unsafe { Buffer::from_custom_allocation(start, length, map) })
}

#[cfg(test)]
mod tests {
    use arrow::array::{Decimal128Array, Int64Array, StringViewArray};
    use arrow::datatypes::{Field, Schema};

    use super::*;

    fn batch(schema: &SchemaRef, from: i64, money: Option<i128>) -> RecordBatch {
        let ids = Int64Array::from_iter_values(from..from + 3);
        let amounts = Decimal128Array::from(vec![None, money, None]);
        let amounts = amounts.with_precision_and_scale(18, 2).expect("a decimal");
        let notes = StringViewArray::from(vec![None::<&str>; 3]);
        let columns = vec![Arc::new(ids) as ArrayRef, Arc::new(amounts), Arc::new(notes)];
        RecordBatch::try_new(Arc::clone(schema), columns).expect("columns of one length")
    }

    #[test]
    fn columns_that_hold_nothing_take_no_room_and_come_back() {
        let schema: SchemaRef = Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("amount", DataType::Decimal128(18, 2), true),
            Field::new("note", DataType::Utf8View, true),
        ]));
        let folder = tempfile::tempdir().expect("a folder");
        for room in [Room::Plenty, Room::Scarce] {
            let path = folder.path().join("part");
            let mut writer = PartWriter::new(path, &schema, room).expect("a file");
            let batches = [None, Some(500), None].map(|money| batch(&schema, 7, money));
            batches.iter().for_each(|batch| writer.write(batch).expect("written"));
            writer.write(&batches[0].slice(0, 0)).expect("written");
            let part = Arc::new(writer.finish().expect("whole"));
            assert_eq!((part.rows(), part.batches()), (9, 4));
            assert_eq!([0, 1, 2].map(|column| part.holds(column)), [true, true, false]);
            for columns in [&[0, 1, 2][..], &[2, 0], &[1], &[2], &[]] {
                let opened = part.open(&schema, columns).expect("there");
                for (place, written) in batches.iter().enumerate() {
                    let read = opened.read(place).expect("read");
                    assert_eq!(read, written.project(columns).expect("columns"), "{columns:?}");
                }
                assert_eq!(opened.read(3).expect("read").num_rows(), 0);
            }
        }
    }
}
