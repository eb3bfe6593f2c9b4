//! Checksums of files that outlive a run: taken from the bytes while they are
//! written, compared before the files are read by a later run.
//!
//! XXH64 is computed faster than any disk reads, and two files that differ have the
//! same once in 2^64. It protects against decay, not against somebody who wants to
//! deceive.

use std::fs::File;
use std::hash::Hasher as _;
use std::io::{Read, Result, Write};
use std::path::Path;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::async_writer::AsyncFileWriter;
use parquet::errors::Result as ParquetResult;
use tokio::io::AsyncWriteExt;
use twox_hash::XxHash64;

/// Any would do; it must stay the same.
const SEED: u64 = 0;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// The checksum of a file on the disk.
///
/// # Errors
/// The disk fails.
pub fn of_file(path: &Path) -> Result<u64> {
    let mut file = File::open(path)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut checksum = Checksum::default();
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(checksum.value()),
            read => checksum.add(&chunk[..read]),
        }
    }
}

/// The checksum of bytes in memory.
pub fn of_bytes(bytes: &[u8]) -> u64 {
    XxHash64::oneshot(SEED, bytes)
}

/// A checksum that grows with what is added.
#[derive(Debug)]
pub struct Checksum(XxHash64);

impl Default for Checksum {
    fn default() -> Self {
        Self(XxHash64::with_seed(SEED))
    }
}

impl Checksum {
    /// Adds the bytes that come next.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// The checksum of all that was added.
    pub fn value(&self) -> u64 {
        self.0.finish()
    }
}

/// Writes, and takes the checksum of what it writes.
#[derive(Debug)]
pub struct Summed<W> {
    inner: W,
    checksum: Checksum,
}

impl<W> Summed<W> {
    /// Nothing is written yet.
    pub fn new(inner: W) -> Self {
        Self { inner, checksum: Checksum::default() }
    }

    /// The checksum of what was written.
    pub fn checksum(&self) -> u64 {
        self.checksum.value()
    }
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let written = self.inner.write(bytes)?;
        self.checksum.add(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> Result<()> {
        self.inner.flush()
    }
}

impl AsyncFileWriter for Summed<tokio::fs::File> {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, ParquetResult<()>> {
        async move {
            self.checksum.add(&bytes);
            Ok(self.inner.write_all(&bytes).await?)
        }
        .boxed()
    }

    fn complete(&mut self) -> BoxFuture<'_, ParquetResult<()>> {
        async move { Ok(self.inner.flush().await?) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_has_the_checksum_of_what_is_read_and_no_flip_passes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        let bytes: Vec<u8> =
            (0..CHUNK_BYTES + 77).map(|n| u8::try_from(n % 251).expect("a byte")).collect();
        let mut file = Summed::new(File::create(&path).expect("a file"));
        for part in bytes.chunks(4099) {
            file.write_all(part).expect("written");
        }
        let checksum = file.checksum();
        assert_eq!(of_file(&path).expect("read"), checksum);
        assert_eq!(of_bytes(&bytes), checksum);
        for place in [0, 8_000, bytes.len() - 1] {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << (place % 8);
            assert_ne!(of_bytes(&flipped), checksum, "{place}");
        }
    }
}
