//! Batches as they lie in memory: there, or on disk, to which writing copies
//! and of which reading only makes a map where that is less work.
//!
//! Each batch has its own columns, and their types: what holds nothing need not
//! be written, and the same column may be narrower here than there.

use std::io::{BufWriter, IntoInnerError};
use std::sync::Arc;

use super::disk::{DiskReader, DiskWriter, Stored};
use super::room::{Room, Share};
use arrow::array::{Array, ArrayData, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::writer::{FileWriter, IpcWriteOptions};
use arrow::ipc::{Block, CompressionType, MetadataVersion, root_as_footer};

/// Columns of a batch, where they are there.
pub type Columns = Vec<Option<ArrayRef>>;

/// Batches that are complete.
#[derive(Debug)]
pub struct Part {
    /// What is on disk: a file of Arrow's, if anything is.
    stored: Option<Arc<Stored>>,
    room: Room,
    batches: Vec<Batch<Block>>,
    shapes: Vec<Shape>,
    rows: usize,
    bytes: u64,
    /// What is held counts as long as it is.
    _share: Option<Share>,
}

/// Where a batch is.
#[derive(Debug)]
enum Batch<Block> {
    /// In memory.
    Held { rows: usize, columns: Columns },
    /// In the file: where, and what it has, as a place in `shapes`.
    Written { block: Block, shape: usize },
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
        self.batches.len()
    }

    /// Bytes of all batches, as they lie.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where its rows find room.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// Begins to read some columns.
    ///
    /// # Errors
    /// The disk fails.
    pub fn open(self: &Arc<Self>, columns: &[usize]) -> Result<Opened, ArrowError> {
        let file = self.stored.as_ref().map(Stored::reader).transpose()?;
        let shapes = self.shapes.iter().map(|shape| Projected::new(shape, columns)).collect();
        Ok(Opened { part: Arc::clone(self), columns: columns.to_vec(), file, shapes })
    }
}

/// Batches that are being read.
#[derive(Debug)]
pub struct Opened {
    part: Arc<Part>,
    columns: Vec<usize>,
    /// None if all are held.
    file: Option<DiskReader>,
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
    /// Reads a batch, whose arrays lie in memory, or in a copy or the map of its
    /// stretch of the file: how many rows, and the columns.
    ///
    /// # Errors
    /// The disk fails, or the file is not as it was written.
    pub fn read(&self, batch: usize) -> Result<(usize, Columns), ArrowError> {
        match self.part.batches.get(batch) {
            Some(Batch::Held { rows, columns }) => {
                Ok((*rows, self.columns.iter().map(|column| columns[*column].clone()).collect()))
            }
            Some(Batch::Written { block, shape }) => self.written(block, &self.shapes[*shape]),
            None => Err(self.broken()),
        }
    }

    fn written(&self, block: &Block, shape: &Projected) -> Result<(usize, Columns), ArrowError> {
        let bytes = i64::from(block.metaDataLength()) + block.bodyLength();
        let offset = u64::try_from(block.offset()).map_err(|_| self.broken())?;
        let bytes = usize::try_from(bytes).map_err(|_| self.broken())?;
        let file = self.file.as_ref().ok_or_else(|| self.broken())?;
        let Projected { decoder, is_there } = shape;
        let read = decoder.read_record_batch(block, &file.stretch(offset, bytes)?)?;
        let read = read.ok_or_else(|| self.broken())?;
        let mut there = read.columns().iter();
        let column = |is_there: &bool| if *is_there { there.next().cloned() } else { None };
        Ok((read.num_rows(), is_there.iter().map(column).collect()))
    }

    fn broken(&self) -> ArrowError {
        ArrowError::IpcError(format!("{} is broken", self.part.room.disk().path().display()))
    }
}

/// Batches that are being written.
pub struct PartWriter {
    room: Room,
    share: Option<Share>,
    /// None as long as all are held.
    file: Option<FileWriter<BufWriter<DiskWriter>>>,
    batches: Vec<Batch<()>>,
    /// What batches of the file have.
    shapes: Vec<Shape>,
    rows: usize,
    held_bytes: usize,
}

impl PartWriter {
    /// Begins; what finds no room in memory goes to the disk.
    pub fn new(room: Room) -> Self {
        let share = room.share();
        let (batches, shapes) = (Vec::new(), Vec::new());
        Self { room, share, file: None, batches, shapes, rows: 0, held_bytes: 0 }
    }

    /// Adds a batch of so many rows.
    ///
    /// # Errors
    /// The disk fails, or a type that cannot be written.
    pub fn write(&mut self, rows: usize, columns: &[Option<ArrayRef>]) -> Result<(), ArrowError> {
        let columns: Columns = columns.iter().map(|column| column.as_ref().map(compact)).collect();
        let batch = match self.finds_room(&columns)? {
            true => Batch::Held { rows, columns },
            false => Batch::Written { block: (), shape: self.write_to_file(rows, columns)? },
        };
        self.batches.push(batch);
        self.rows += rows;
        Ok(())
    }

    fn finds_room(&mut self, columns: &Columns) -> Result<bool, ArrowError> {
        let Some(share) = &self.share else { return Ok(false) };
        let bytes: usize = columns.iter().flatten().map(bytes).sum::<Result<_, _>>()?;
        let is_there = share.grow(bytes);
        if is_there {
            self.held_bytes += bytes;
        }
        Ok(is_there)
    }

    /// Writes a batch, and tells its shape.
    fn write_to_file(&mut self, rows: usize, columns: Columns) -> Result<usize, ArrowError> {
        let shape = Shape::of(&columns);
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(create(&self.room)?),
        };
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let there = columns.into_iter().flatten().collect();
        file.write(&RecordBatch::try_new_with_options(shape.schema(), there, &options)?)?;
        let known = self.shapes.iter().position(|known| *known == shape);
        Ok(known.unwrap_or_else(|| {
            self.shapes.push(shape);
            self.shapes.len() - 1
        }))
    }

    /// Completes it.
    ///
    /// # Errors
    /// The disk fails.
    pub fn finish(self) -> Result<Part, ArrowError> {
        let Self { room, share, file, batches, shapes, rows, held_bytes } = self;
        let mut written = Vec::new();
        let mut stored = None;
        if let Some(file) = file {
            let file = file.into_inner()?.into_inner().map_err(IntoInnerError::into_error)?;
            let file = Arc::new(file.finish());
            written = blocks(&file)?;
            stored = Some(file);
        }
        let body = |block: &Block| u64::try_from(block.bodyLength()).unwrap_or(0);
        let bytes = held_bytes as u64 + written.iter().map(body).sum::<u64>();
        let mut written = written.into_iter();
        let lacks = || ArrowError::IpcError("batches that were written are missing".into());
        let placed = batches.into_iter().map(|batch| match batch {
            Batch::Held { rows, columns } => Ok(Batch::Held { rows, columns }),
            Batch::Written { shape, .. } => {
                Ok(Batch::Written { block: written.next().ok_or_else(lacks)?, shape })
            }
        });
        let batches = placed.collect::<Result<_, ArrowError>>()?;
        Ok(Part { stored, room, batches, shapes, rows, bytes, _share: share })
    }
}

/// Bytes written at a time: the system takes thrice as long for small ones.
const WRITE_BYTES: usize = 1 << 20;

fn create(room: &Room) -> Result<FileWriter<BufWriter<DiskWriter>>, ArrowError> {
    let packing = room.is_scarce().then_some(CompressionType::LZ4_FRAME);
    let options = IpcWriteOptions::default().try_with_compression(packing)?;
    // Each batch is read by its own shape: the file's schema says nothing.
    let file = BufWriter::with_capacity(WRITE_BYTES, room.disk().writer()?);
    FileWriter::try_new_with_options(file, &Schema::empty(), options)
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

/// Bytes that a column takes up, which may be a part of a longer one.
fn bytes(column: &ArrayRef) -> Result<usize, ArrowError> {
    let text = column.as_string_view_opt();
    let beside = text.map_or(0, |text| text.data_buffers().iter().map(Buffer::len).sum());
    Ok(size_of::<ArrayData>() + column.to_data().get_slice_memory_size()? + beside)
}

/// Where the batches of a file stand.
fn blocks(file: &Arc<Stored>) -> Result<Vec<Block>, ArrowError> {
    let reader = file.reader()?;
    let broken = || ArrowError::IpcError("a file of kept rows has no footer".into());
    let trailer = file.bytes().checked_sub(TRAILER_BYTES as u64).ok_or_else(broken)?;
    let mark = reader.stretch(trailer, TRAILER_BYTES)?;
    let length = read_footer_length(mark.as_slice().try_into().map_err(|_| broken())?)?;
    let footer = trailer.checked_sub(length as u64).ok_or_else(broken)?;
    let footer = reader.stretch(footer, length)?;
    let footer = root_as_footer(&footer).map_err(|_| broken())?;
    if footer.dictionaries().is_some_and(|dictionaries| !dictionaries.is_empty()) {
        return Err(ArrowError::NotYetImplemented("dictionaries in a kept table".into()));
    }
    Ok(footer.recordBatches().into_iter().flatten().copied().collect())
}

/// The length of the footer and the magic word.
const TRAILER_BYTES: usize = 10;
