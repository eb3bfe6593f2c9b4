//! Finds the keys that stand more than once without a hash table of all of
//! them: 64-bit images are collected, dealt by their high bits, sorted, and
//! neighbours compared. Equal keys have equal images; the few images that
//! stand twice by chance are for the caller to tell apart.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, IntoInnerError, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef};
use datafusion::common::hash_utils::create_hashes;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::repartition::REPARTITION_RANDOM_STATE;

use super::checksum::Summed;

/// Parts by the high bits of an image: small enough to be sorted in a cache.
const PARTS: usize = 256;

/// Spreads the low bits of a hash over the high ones. Odd, so that different
/// hashes stay different.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Bytes of an image in a file.
const IMAGE_BYTES: u64 = 8;

/// Bytes written at a time.
const WRITE_BYTES: usize = 1 << 20;

/// Bytes a collected key is counted with: its image, and room to grow.
pub const KEY_BYTES: usize = 12;

/// The images of each row's key.
///
/// # Errors
/// A type that has no hash.
pub fn images(key: &[ArrayRef], images: &mut Vec<u64>) -> Result<()> {
    images.clear();
    images.resize(key.first().map_or(0, |column| column.len()), 0);
    create_hashes(key, REPARTITION_RANDOM_STATE.random_state(), images)?;
    for image in images {
        *image = image.wrapping_mul(SPREAD);
    }
    Ok(())
}

/// Whether a row has a key: all its columns.
pub fn present(key: &[ArrayRef], row: usize) -> bool {
    key.iter().all(|column| column.is_valid(row))
}

/// Keys of some rows.
#[derive(Debug)]
pub struct Keys {
    parts: Vec<Vec<u64>>,
    count: usize,
}

impl Default for Keys {
    fn default() -> Self {
        Self { parts: vec![Vec::new(); PARTS], count: 0 }
    }
}

impl Keys {
    /// Adds the keys of a batch; `buffer` is used again from batch to batch.
    ///
    /// # Errors
    /// A type that has no hash.
    pub fn add(&mut self, key: &[ArrayRef], buffer: &mut Vec<u64>) -> Result<()> {
        images(key, buffer)?;
        self.add_images(key, buffer);
        Ok(())
    }

    /// Adds the keys of a batch whose images are known.
    pub fn add_images(&mut self, key: &[ArrayRef], images: &[u64]) {
        let whole = key.iter().all(|column| column.null_count() == 0);
        for (row, image) in images.iter().enumerate() {
            if whole || present(key, row) {
                self.parts[part(*image)].push(*image);
                self.count += 1;
            }
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Writes them to a file and forgets them.
    ///
    /// # Errors
    /// The disk fails.
    pub fn write(self, path: PathBuf) -> Result<KeyFile> {
        write(&[self], &[], path)
    }
}

/// Writes keys to a file: how many each part has, then part behind part.
///
/// # Errors
/// The disk fails.
pub fn write(held: &[Keys], files: &[KeyFile], path: PathBuf) -> Result<KeyFile> {
    let file = Summed::new(File::create(&path)?);
    let mut file = BufWriter::with_capacity(WRITE_BYTES, file);
    let mut counts = vec![0_u64; PARTS];
    for (part, count) in counts.iter_mut().enumerate() {
        *count = held.iter().map(|keys| keys.parts[part].len() as u64).sum();
        *count += files.iter().map(|file| file.counts[part]).sum::<u64>();
        file.write_all(&count.to_le_bytes())?;
    }
    let mut images = Vec::new();
    for part in 0..PARTS {
        collect(held, files, part, &mut images)?;
        for image in &images {
            file.write_all(&image.to_le_bytes())?;
        }
    }
    let file = file.into_inner().map_err(IntoInnerError::into_error)?;
    Ok(KeyFile { path, counts, checksum: file.checksum() })
}

/// Keys in a file.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    counts: Vec<u64>,
    checksum: u64,
}

impl KeyFile {
    /// Opens a file that was written, and has this checksum.
    ///
    /// # Errors
    /// It is not there, or is none: its counts are not what it has room for.
    pub fn open(path: PathBuf, checksum: u64) -> Result<Self> {
        let mut file = File::open(&path)?;
        let words = file.metadata()?.len() / IMAGE_BYTES;
        let mut counts = Vec::with_capacity(PARTS);
        read(&mut file, PARTS as u64, &mut counts)?;
        let all = counts.iter().try_fold(PARTS as u64, |all, count| all.checked_add(*count));
        if all != Some(words) {
            let message = format!("{} has not as many keys as it says", path.display());
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, message).into());
        }
        Ok(Self { path, counts, checksum })
    }

    /// The checksum of its bytes.
    pub fn checksum(&self) -> u64 {
        self.checksum
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many keys it has.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn part(&self, part: usize, images: &mut Vec<u64>) -> Result<()> {
        let before: u64 = self.counts[..part].iter().sum();
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start((PARTS as u64 + before) * IMAGE_BYTES))?;
        read(&mut file, self.counts[part], images)
    }
}

fn read(file: &mut File, count: u64, into: &mut Vec<u64>) -> Result<()> {
    // Counts are held against the length of the file when it is opened: this is no
    // more than there is.
    let length = count.checked_mul(IMAGE_BYTES).ok_or(std::io::ErrorKind::InvalidData);
    let length = length.map_err(std::io::Error::from)?;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(length).read_to_end(&mut bytes)?;
    let (words, _) = bytes.as_chunks::<8>();
    if words.len() as u64 != count {
        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
    }
    into.extend(words.iter().map(|word| u64::from_le_bytes(*word)));
    Ok(())
}

/// The images of a part, wherever they are.
fn collect(held: &[Keys], files: &[KeyFile], part: usize, images: &mut Vec<u64>) -> Result<()> {
    images.clear();
    for keys in held {
        images.extend_from_slice(&keys.parts[part]);
    }
    for file in files {
        file.part(part, images)?;
    }
    Ok(())
}

/// The images that stand more than once.
///
/// # Errors
/// A file of keys cannot be read.
pub fn repeats(held: &[Keys], files: &[KeyFile], threads: usize) -> Result<HashSet<u64>> {
    let threads = threads.clamp(1, PARTS);
    let of_thread = |thread: usize| {
        let mut images = Vec::new();
        let mut found = Vec::new();
        for part in (thread..PARTS).step_by(threads) {
            collect(held, files, part, &mut images)?;
            images.sort_unstable();
            found.extend(images.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]));
        }
        Ok::<_, DataFusionError>(found)
    };
    std::thread::scope(|scope| {
        let of_thread = &of_thread;
        let working: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || of_thread(thread))).collect();
        let mut all = HashSet::new();
        for thread in working {
            let found = thread.join().map_err(|_| {
                DataFusionError::Internal("a thread that sorts keys has stopped".into())
            })?;
            all.extend(found?);
        }
        Ok(all)
    })
}

fn part(image: u64) -> usize {
    usize::try_from(image >> (u64::BITS - PARTS.trailing_zeros())).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    fn keys(columns: &[ArrayRef]) -> Keys {
        let mut keys = Keys::default();
        keys.add(columns, &mut Vec::new()).expect("a hash");
        keys
    }

    fn image(columns: &[ArrayRef]) -> u64 {
        let mut found = Vec::new();
        images(columns, &mut found).expect("a hash");
        found[0]
    }

    #[test]
    fn repeats_are_found_across_what_is_held_and_what_is_in_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let ints = |values: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
        let held = [keys(&[ints((0..5000).collect())]), keys(&[ints(vec![7000, 4999])])];
        let file = keys(&[ints(vec![-1, 12, 9000])]).write(folder.path().join("k")).expect("k");
        let found = repeats(&held, &[file], 3).expect("repeats");
        let expected = [image(&[ints(vec![4999])]), image(&[ints(vec![12])])];
        assert_eq!(found, expected.into_iter().collect());
    }

    #[test]
    fn a_file_whose_counts_are_not_its_own_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
        let file = keys(&[ids]).write(folder.path().join("k")).expect("k");
        let (path, checksum) = (file.path().to_path_buf(), file.checksum());
        assert_eq!(KeyFile::open(path.clone(), checksum).expect("sound").count(), 1000);
        let sound = std::fs::read(&path).expect("bytes");
        // The highest bit of a count is 64 GiB and more.
        for place in [4, 5, 6, 7, 15] {
            let mut bytes = sound.clone();
            bytes[place] ^= 0x80;
            std::fs::write(&path, bytes).expect("written");
            assert!(KeyFile::open(path.clone(), checksum).is_err(), "{place}");
        }
        std::fs::write(&path, &sound[..100]).expect("written");
        assert!(KeyFile::open(path, checksum).is_err(), "cut short");
    }

    #[test]
    fn a_key_with_a_null_in_it_is_none() {
        let order: ArrayRef = Arc::new(StringArray::from(vec!["a", "a", "b", "b"]));
        let line: ArrayRef = Arc::new(StringArray::from(vec![None, None, Some("1"), Some("1")]));
        let found = repeats(&[keys(&[order, line])], &[], 2).expect("repeats");
        assert_eq!(found.len(), 1);
    }
}
