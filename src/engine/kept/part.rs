//! A file of batches in the form in which rows lie in memory: writing copies,
//! reading only maps.
//!
//! Each batch has its own columns, and their types: what holds nothing need not
//! be written, and the same column may be narrower here than there.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
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

/// Columns of a batch, where they are there.
pub type Columns = Vec<Option<ArrayRef>>;

/// A file that is complete.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
    room: Room,
    /// Where the batches stand, and what each has, as a place in `shapes`.
    blocks: Vec<(Block, usize)>,
    shapes: Vec<Shape>,
    rows: usize,
}

/// What some of the batches have: of each column that is there its type.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shape(Vec<Option<DataType>>);

impl Shape {
    fn of(columns: &[Option<ArrayRef>]) -> Self {
        let kind = |column: &Option<ArrayRef>| column.as_ref().map(|c| c.data_type().clone());
        Self(columns.iter().map(kind).collect())
    }

    /// As the file has it: the columns that are there.
    fn schema(&self) -> SchemaRef {
        let there = self.0.iter().flatten();
        Arc::new(Schema::new(
            there.map(|kind| Field::new("", kind.clone(), true)).collect::<Vec<_>>(),
        ))
    }

    /// Where in the file's batch a column stands.
    fn place(&self, column: usize) -> Option<usize> {
        self.0[column].as_ref()?;
        Some(self.0[..column].iter().flatten().count())
    }
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

    /// How its rows lie.
    pub fn room(&self) -> Room {
        self.room
    }

    /// Opens the file to read some columns of it.
    ///
    /// # Errors
    /// The disk fails.
    pub fn open(self: &Arc<Self>, columns: &[usize]) -> Result<Opened, ArrowError> {
        let shapes = self.shapes.iter().map(|shape| Projected::new(shape, columns)).collect();
        Ok(Opened { part: Arc::clone(self), file: File::open(&self.path)?, shapes })
    }
}

/// A file that is being read.
#[derive(Debug)]
pub struct Opened {
    part: Arc<Part>,
    file: File,
    shapes: Vec<Projected>,
}

/// How to read some columns of batches of a shape.
#[derive(Debug)]
struct Projected {
    decoder: FileDecoder,
    /// Of each column that is read, whether it is there.
    is_there: Vec<bool>,
}

impl Projected {
    fn new(shape: &Shape, columns: &[usize]) -> Self {
        let places: Vec<_> = columns.iter().map(|column| shape.place(*column)).collect();
        let is_there = places.iter().map(Option::is_some).collect();
        let decoder = FileDecoder::new(shape.schema(), MetadataVersion::V5);
        Self { decoder: decoder.with_projection(places.into_iter().flatten().collect()), is_there }
    }
}

impl Opened {
    /// Reads a batch, whose arrays lie in the map of its stretch of the file: how
    /// many rows, and the columns.
    ///
    /// # Errors
    /// The disk fails, or the file is not as it was written.
    pub fn read(&self, batch: usize) -> Result<(usize, Columns), ArrowError> {
        let broken = || ArrowError::IpcError(format!("{} is broken", self.part.path.display()));
        let (block, shape) = self.part.blocks.get(batch).ok_or_else(broken)?;
        let bytes = i64::from(block.metaDataLength()) + block.bodyLength();
        let offset = u64::try_from(block.offset()).map_err(|_| broken())?;
        let bytes = usize::try_from(bytes).map_err(|_| broken())?;
        let Projected { decoder, is_there } = &self.shapes[*shape];
        let read = decoder.read_record_batch(block, &map(&self.file, offset, bytes)?)?;
        let read = read.ok_or_else(broken)?;
        let mut there = read.columns().iter();
        let column = |is_there: &bool| if *is_there { there.next().cloned() } else { None };
        Ok((read.num_rows(), is_there.iter().map(column).collect()))
    }
}

/// A file that is being written.
pub struct PartWriter {
    path: PathBuf,
    room: Room,
    file: FileWriter<BufWriter<File>>,
    /// What batches have, and of each batch which.
    shapes: Vec<Shape>,
    shape_of: Vec<usize>,
    rows: usize,
}

impl PartWriter {
    /// Begins a file.
    ///
    /// # Errors
    /// The disk fails.
    pub fn new(path: PathBuf, room: Room) -> Result<Self, ArrowError> {
        let packing = (room == Room::Scarce).then_some(CompressionType::LZ4_FRAME);
        let options = IpcWriteOptions::default().try_with_compression(packing)?;
        let file = BufWriter::new(File::create(&path)?);
        // Each batch is read by its own shape: the file's schema says nothing.
        let file = FileWriter::try_new_with_options(file, &Schema::empty(), options)?;
        Ok(Self { path, room, file, shapes: Vec::new(), shape_of: Vec::new(), rows: 0 })
    }

    /// Adds a batch of so many rows.
    ///
    /// # Errors
    /// The disk fails, or a type that cannot be written.
    pub fn write(&mut self, rows: usize, columns: &[Option<ArrayRef>]) -> Result<(), ArrowError> {
        let shape = Shape::of(columns);
        let there = columns.iter().flatten().map(compact).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        self.file.write(&RecordBatch::try_new_with_options(shape.schema(), there, &options)?)?;
        let known = self.shapes.iter().position(|known| *known == shape);
        self.shape_of.push(known.unwrap_or(self.shapes.len()));
        if known.is_none() {
            self.shapes.push(shape);
        }
        self.rows += rows;
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
fn compact(column: &ArrayRef) -> ArrayRef {
    if let Some(text) = column.as_string_view_opt() {
        let held: usize = text.data_buffers().iter().map(Buffer::len).sum();
        if held > 2 * text.total_buffer_bytes_used() {
            return Arc::new(text.gc());
        }
    }
    Arc::clone(column)
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
