//! A file of batches in the form in which rows lie in memory: writing copies,
//! reading only maps.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
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
    /// Where the batches stand.
    blocks: Vec<Block>,
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
        self.blocks.iter().map(|block| u64::try_from(block.bodyLength()).unwrap_or(0)).sum()
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
    ) -> std::io::Result<Opened> {
        let decoder = FileDecoder::new(Arc::clone(schema), MetadataVersion::V5)
            .with_projection(columns.to_vec());
        Ok(Opened { part: Arc::clone(self), file: File::open(&self.path)?, decoder })
    }
}

/// A file that is being read.
#[derive(Debug)]
pub struct Opened {
    part: Arc<Part>,
    file: File,
    decoder: FileDecoder,
}

impl Opened {
    /// Reads a batch, whose arrays lie in the map of its stretch of the file.
    ///
    /// # Errors
    /// The disk fails, or the file is not as it was written.
    pub fn read(&self, batch: usize) -> Result<RecordBatch, ArrowError> {
        let broken = || ArrowError::IpcError(format!("{} is broken", self.part.path.display()));
        let block = self.part.blocks.get(batch).ok_or_else(broken)?;
        let bytes = i64::from(block.metaDataLength()) + block.bodyLength();
        let offset = u64::try_from(block.offset()).map_err(|_| broken())?;
        let bytes = usize::try_from(bytes).map_err(|_| broken())?;
        let batch = self.decoder.read_record_batch(block, &map(&self.file, offset, bytes)?)?;
        batch.ok_or_else(broken)
    }
}

/// A file that is being written.
pub struct PartWriter {
    path: PathBuf,
    room: Room,
    file: FileWriter<BufWriter<File>>,
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
        Ok(Self { path, room, file, rows: 0 })
    }

    /// Adds a batch.
    ///
    /// # Errors
    /// The disk fails.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.rows += batch.num_rows();
        self.file.write(&compact(batch)?)
    }

    /// Completes the file.
    ///
    /// # Errors
    /// The disk fails.
    pub fn finish(mut self) -> Result<Part, ArrowError> {
        self.file.finish()?;
        drop(self.file);
        let blocks = blocks(&self.path)?;
        Ok(Part { path: self.path, room: self.room, blocks, rows: self.rows })
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
    RecordBatch::try_new(batch.schema(), columns.collect())
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
