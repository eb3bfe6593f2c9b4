//! One file for all the rows that a run keeps on disk. What nobody reads any more
//! is written over: the pages of a new file have to be found and cleared first,
//! which takes longer than to write them.
//!
//! The file is cut into *extents*, and what is stored lies in as many as it needs,
//! wherever they are.

use std::fs::{File, OpenOptions};
use std::io::{Error, Read, Result, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::buffer::{Buffer, MutableBuffer};
use memmap2::{Mmap, MmapOptions};

/// Bytes of an extent: a map of one is made for many batches, and as much of each
/// table that is read counts as memory.
const EXTENT_BYTES: u64 = 8 << 20;

/// Bytes from which a stretch is mapped and not copied: to make a map and to undo
/// it stops all threads for a moment.
const MAP_BYTES_MIN: usize = 16 << 10;

/// The file.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    extents: Mutex<Extents>,
}

/// Which extents there are.
#[derive(Debug, Default)]
struct Extents {
    /// Those that hold nothing; the last one was given back last.
    free: Vec<u64>,
    count: u64,
}

impl Disk {
    /// A file that is made when something is written. It is whoever's folder it is
    /// in who removes it.
    pub fn new(path: PathBuf) -> Self {
        Self { path, extents: Mutex::default() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.extents().count * EXTENT_BYTES
    }

    /// Begins to store something.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn writer(self: &Arc<Self>) -> Result<DiskWriter> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(&self.path)?;
        let stored = Stored { disk: Arc::clone(self), extents: Vec::new(), bytes: 0 };
        Ok(DiskWriter { file, stored })
    }

    fn take(&self) -> u64 {
        let mut extents = self.extents();
        extents.free.pop().unwrap_or_else(|| {
            extents.count += 1;
            extents.count - 1
        })
    }

    fn extents(&self) -> MutexGuard<'_, Extents> {
        self.extents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that is stored. Its extents are free when it goes.
#[derive(Debug)]
pub struct Stored {
    disk: Arc<Disk>,
    extents: Vec<u64>,
    bytes: u64,
}

impl Stored {
    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Begins to read it.
    ///
    /// # Errors
    /// The file is gone.
    pub fn reader(self: &Arc<Self>) -> Result<DiskReader> {
        let file = File::open(&self.disk.path)?;
        Ok(DiskReader { stored: Arc::clone(self), open: Mutex::new(Open { file, window: None }) })
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.disk.extents().free.append(&mut self.extents);
    }
}

/// Stores what is written to it.
#[derive(Debug)]
pub struct DiskWriter {
    file: File,
    stored: Stored,
}

impl DiskWriter {
    /// What was stored.
    pub fn finish(self) -> Stored {
        self.stored
    }
}

impl Write for DiskWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let Self { file, stored } = self;
        // A write that failed may have left an extent that nothing is in yet.
        if stored.bytes == stored.extents.len() as u64 * EXTENT_BYTES {
            stored.extents.push(stored.disk.take());
        }
        let within = stored.bytes % EXTENT_BYTES;
        let rest = usize::try_from(EXTENT_BYTES - within).unwrap_or(usize::MAX);
        file.seek(SeekFrom::Start(place(stored, stored.bytes)? + within))?;
        let written = file.write(&bytes[..bytes.len().min(rest)])?;
        stored.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }
}

/// Reads what is stored.
#[derive(Debug)]
pub struct DiskReader {
    stored: Arc<Stored>,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// The extent that is mapped.
    window: Option<(u64, Arc<Mapped>)>,
}

/// The map of an extent, which is not written over as long as it is read.
#[derive(Debug)]
struct Mapped {
    map: Mmap,
    _stored: Arc<Stored>,
}

impl DiskReader {
    /// Reads a stretch: mapped where that is less work than to copy it.
    ///
    /// # Errors
    /// The disk fails, or there is no such stretch.
    pub fn stretch(&self, offset: u64, length: usize) -> Result<Buffer> {
        let end = offset.checked_add(length as u64).filter(|end| *end <= self.stored.bytes);
        let end = end.ok_or_else(|| Error::other("a stretch past the end of what is stored"))?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let is_in_one = offset / EXTENT_BYTES == end.saturating_sub(1) / EXTENT_BYTES;
        if is_in_one && length >= MAP_BYTES_MIN {
            let skip = usize::try_from(offset % EXTENT_BYTES).unwrap_or(usize::MAX);
            return open.map(&self.stored, offset / EXTENT_BYTES)?.part(skip, length);
        }
        let mut bytes = MutableBuffer::from_len_zeroed(length);
        open.copy(&self.stored, offset, &mut bytes)?;
        Ok(bytes.into())
    }
}

impl Open {
    fn copy(&mut self, stored: &Stored, mut offset: u64, mut into: &mut [u8]) -> Result<()> {
        while !into.is_empty() {
            let within = offset % EXTENT_BYTES;
            let rest = usize::try_from(EXTENT_BYTES - within).unwrap_or(usize::MAX);
            let (now, later) = into.split_at_mut(rest.min(into.len()));
            self.file.seek(SeekFrom::Start(place(stored, offset)? + within))?;
            self.file.read_exact(now)?;
            offset += now.len() as u64;
            into = later;
        }
        Ok(())
    }

    /// The map of an extent of what is stored.
    #[expect(unsafe_code, reason = "no other way to read without a copy")]
    fn map(&mut self, stored: &Arc<Stored>, number: u64) -> Result<Arc<Mapped>> {
        if let Some((mapped, map)) = &self.window
            && *mapped == number
        {
            return Ok(Arc::clone(map));
        }
        let start = number * EXTENT_BYTES;
        let length = usize::try_from((stored.bytes - start).min(EXTENT_BYTES));
        let mut options = MmapOptions::new();
        options.offset(place(stored, start)?).len(length.unwrap_or(usize::MAX));
        // SAFETY: the file stands in a folder of this run's own, and an extent is
        // written to again only after what is stored there has gone, on which the
        // map holds.
        let map = unsafe { options.map(&self.file)? };
        let mapped = Arc::new(Mapped { map, _stored: Arc::clone(stored) });
        self.window = Some((number, Arc::clone(&mapped)));
        Ok(mapped)
    }
}

impl Mapped {
    /// A part of it, which takes up no more than that where memory is counted.
    #[expect(unsafe_code, reason = "no other way to read without a copy")]
    fn part(self: Arc<Self>, skip: usize, length: usize) -> Result<Buffer> {
        let part = self.map.get(skip..skip + length);
        let start = part.and_then(|part| NonNull::new(part.as_ptr().cast_mut()));
        let start = start.ok_or_else(|| Error::other("a stretch past the end of an extent"))?;
        // SAFETY: the part is as long as that, and the map lives as long as the
        // buffer.
        Ok(unsafe { Buffer::from_custom_allocation(start, length, self) })
    }
}

/// Where in the file the extent begins that holds a byte of what is stored.
fn place(stored: &Stored, offset: u64) -> Result<u64> {
    let number = usize::try_from(offset / EXTENT_BYTES).unwrap_or(usize::MAX);
    let extent = stored.extents.get(number);
    Ok(extent.ok_or_else(|| Error::other("an extent that is not there"))? * EXTENT_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(disk: &Arc<Disk>, seed: usize, length: usize) -> Arc<Stored> {
        let mut writer = disk.writer().expect("a file");
        for piece in bytes(seed, 0..length).chunks(1 << 20) {
            writer.write_all(piece).expect("written");
        }
        Arc::new(writer.finish())
    }

    fn bytes(seed: usize, places: std::ops::Range<usize>) -> Vec<u8> {
        places
            .map(|place| u8::try_from((place * 31 + place / 997 + seed) % 251).expect("a byte"))
            .collect()
    }

    /// Stretches within an extent, over two and over three, small and large.
    fn check(stored: &Arc<Stored>, seed: usize) {
        let reader = stored.reader().expect("there");
        let length = usize::try_from(stored.bytes()).expect("a length");
        let extent = usize::try_from(EXTENT_BYTES).expect("a length");
        for (offset, wanted) in
            [(0, 100), (64, 1 << 20), (extent - 50, 100), (extent - 5, extent + 9), (length - 9, 9)]
        {
            let wanted = wanted.min(length - offset.min(length));
            let read = reader.stretch(offset as u64, wanted).expect("read");
            assert_eq!(read.as_slice(), bytes(seed, offset..offset + wanted), "{offset} {wanted}");
        }
        assert!(reader.stretch(stored.bytes() - 1, 2).is_err());
    }

    #[test]
    fn what_is_gone_is_written_over_but_not_what_is_still_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Arc::new(Disk::new(folder.path().join("rows")));
        let large = 2 * usize::try_from(EXTENT_BYTES).expect("a length") + 12_345;
        let (first, second) = (store(&disk, 1, large), store(&disk, 2, large));
        check(&first, 1);
        check(&second, 2);
        let six = disk.bytes();
        assert_eq!(six, 6 * EXTENT_BYTES);

        // A map holds on to its extents.
        let read = first.reader().expect("there").stretch(0, 1 << 20).expect("read");
        drop(first);
        let third = store(&disk, 3, large);
        assert_eq!(disk.bytes(), six + 3 * EXTENT_BYTES);
        assert_eq!(read.as_slice(), bytes(1, 0..1 << 20));
        drop(read);

        drop(second);
        let fourth = store(&disk, 4, 2 * large);
        assert_eq!(disk.bytes(), six + 3 * EXTENT_BYTES, "six extents were free");
        check(&third, 3);
        check(&fourth, 4);
    }
}
