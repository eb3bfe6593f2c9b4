//! The bytes of a text file: fetched, unpacked by what they are (not by the name
//! of the file), and without the byte order mark.

use std::io::{Cursor, Read};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::error::{DataFusionError, Result};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::{GetOptions, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// The text of a file, some of it at a time.
pub type Chunks = BoxStream<'static, Result<Bytes>>;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1 << 18;

/// Chunks on their way from a store to the thread that unpacks them, and back.
const CHUNKS_IN_FLIGHT: usize = 4;

/// The mark of UTF-8 with which some programs begin a file.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// How files that begin with some bytes are packed. gzip and zstd have marks that
/// no text begins with.
fn packed(lead: &[u8]) -> FileCompressionType {
    match lead {
        [0x1f, 0x8b, ..] => FileCompressionType::GZIP,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => FileCompressionType::ZSTD,
        _ => FileCompressionType::UNCOMPRESSED,
    }
}

/// Bytes that tell how a file is packed.
const LEAD_BYTES: usize = 4;

/// Reads a file.
///
/// # Errors
/// The store fails, or the file is packed badly or cut short.
pub async fn chunks(store: &Arc<dyn ObjectStore>, meta: &ObjectMeta) -> Result<Chunks> {
    let got = store.get_opts(&meta.location, GetOptions::default()).await?;
    let text = match got.payload {
        GetResultPayload::File(file, _) => local(file)?,
        GetResultPayload::Stream(stream) => remote(stream.map_err(Into::into).boxed()).await?,
    };
    without_mark(text).await
}

/// The beginning of a text, of no more than some bytes of the file.
///
/// # Errors
/// The store fails, or the file is packed badly.
pub async fn head(store: &Arc<dyn ObjectStore>, meta: &ObjectMeta, most: u64) -> Result<Bytes> {
    let range = 0..meta.size.min(most);
    let is_cut = range.end < meta.size;
    if range.is_empty() {
        return Ok(Bytes::new());
    }
    let bytes = store.get_range(&meta.location, range).await?;
    let how = packed(&bytes);
    let mut text = Vec::new();
    let read = how.convert_read(Cursor::new(bytes))?.take(most).read_to_end(&mut text);
    // What is packed ends in the middle where the rest is left out.
    if let Err(error) = read
        && (!is_cut || text.is_empty())
    {
        return Err(error.into());
    }
    let text = Bytes::from(text);
    Ok(if text.starts_with(MARK) { text.slice(MARK.len()..) } else { text })
}

/// A file of this machine.
fn local(mut file: std::fs::File) -> Result<Chunks> {
    let mut lead = Vec::new();
    file.by_ref().take(LEAD_BYTES as u64).read_to_end(&mut lead)?;
    let how = packed(&lead);
    let mut text = how.convert_read(Cursor::new(lead).chain(file))?;
    let chunks = std::iter::from_fn(move || chunk(&mut text).transpose());
    Ok(stream::iter(chunks.map(|chunk| chunk.map_err(Into::into))).boxed())
}

/// The next bytes of a text, if there are any.
fn chunk(text: &mut dyn Read) -> std::io::Result<Option<Bytes>> {
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    text.take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
    Ok((!chunk.is_empty()).then(|| chunk.into()))
}

/// A file of a store that sends it piece by piece.
async fn remote(mut sent: Chunks) -> Result<Chunks> {
    let mut lead = BytesMut::new();
    while lead.len() < LEAD_BYTES
        && let Some(chunk) = sent.try_next().await?
    {
        lead.extend_from_slice(&chunk);
    }
    let how = packed(&lead);
    let whole = stream::iter([Ok(lead.freeze())]).chain(sent).boxed();
    if !how.is_compressed() {
        return Ok(whole);
    }
    Ok(unpacked(whole, how))
}

/// What is packed, unpacked on a thread of its own by the same code as files of
/// this machine: the asynchronous decoder of zstd stops behind the first frame.
fn unpacked(packed: Chunks, how: FileCompressionType) -> Chunks {
    let (to_thread, from_store) = channel(CHUNKS_IN_FLIGHT);
    let (to_reader, from_thread) = channel(CHUNKS_IN_FLIGHT);
    let fetching = SpawnedTask::spawn(fetch(packed, to_thread));
    let unpacking = SpawnedTask::spawn_blocking(move || unpack(from_store, how, &to_reader));
    // The tasks end when the stream is dropped.
    let state = (from_thread, Some((fetching, unpacking)));
    stream::unfold(state, |(mut from_thread, mut tasks)| async move {
        if let Some(chunk) = from_thread.recv().await {
            return Some((chunk, (from_thread, tasks)));
        }
        // A task that has died must not look like the end of the file.
        let (fetching, unpacking) = tasks.take()?;
        let ended = futures::future::try_join(fetching.join(), unpacking.join()).await;
        let error = DataFusionError::External(Box::new(ended.err()?));
        Some((Err(error), (from_thread, tasks)))
    })
    .boxed()
}

async fn fetch(mut packed: Chunks, to_thread: Sender<Result<Bytes>>) {
    while let Some(chunk) = packed.next().await {
        // Nobody reads any more, or nobody can after an error.
        if to_thread.send(chunk).await.is_err() {
            break;
        }
    }
}

fn unpack(
    from_store: Receiver<Result<Bytes>>,
    how: FileCompressionType,
    to_reader: &Sender<Result<Bytes>>,
) {
    let sent = Sent { from_store, chunk: Bytes::new() };
    let mut text = match how.convert_read(sent) {
        Ok(text) => text,
        Err(error) => return drop(to_reader.blocking_send(Err(error))),
    };
    while let Some(chunk) = chunk(&mut text).map_err(unwrapped).transpose() {
        let is_last = chunk.is_err();
        if to_reader.blocking_send(chunk).is_err() || is_last {
            break;
        }
    }
}

/// An error of the store as it was before it went through `Read`.
fn unwrapped(error: std::io::Error) -> DataFusionError {
    match error.downcast::<DataFusionError>() {
        Ok(error) => error,
        Err(error) => error.into(),
    }
}

/// What a store sends, as something to read.
struct Sent {
    from_store: Receiver<Result<Bytes>>,
    chunk: Bytes,
}

impl Read for Sent {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.chunk.is_empty() {
            match self.from_store.blocking_recv() {
                Some(chunk) => self.chunk = chunk.map_err(std::io::Error::other)?,
                None => return Ok(0),
            }
        }
        let count = self.chunk.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.chunk.split_to(count));
        Ok(count)
    }
}

/// The text behind the byte order mark, if it begins with one.
async fn without_mark(mut text: Chunks) -> Result<Chunks> {
    let mut lead = Bytes::new();
    while lead.len() < MARK.len()
        && let Some(chunk) = text.try_next().await?
    {
        lead = match lead.is_empty() {
            true => chunk,
            false => [lead, chunk].concat().into(),
        };
    }
    if lead.starts_with(MARK) {
        lead = lead.slice(MARK.len()..);
    }
    Ok(stream::iter([Ok(lead)]).chain(text).boxed())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use object_store::memory::InMemory;

    use super::*;

    const TEXT: &str = "order_id,amount\n1,10\n2,20\n";

    /// The text of an object of a store that sends it piece by piece.
    async fn text(bytes: Vec<u8>) -> Result<String> {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let path = object_store::path::Path::from("o.csv");
        store.put(&path, bytes.into()).await?;
        let meta = store.head(&path).await?;
        let chunks: Vec<Bytes> = chunks(&store, &meta).await?.try_collect().await?;
        Ok(String::from_utf8_lossy(&chunks.concat()).into_owned())
    }

    /// Two frames, one behind the other, as `cat` and many writers make them.
    fn frames(how: FileCompressionType) -> Vec<u8> {
        let (first, second) = TEXT.split_at(TEXT.len() / 2);
        let frame = |text: &str| {
            if how == FileCompressionType::ZSTD {
                return zstd::encode_all(text.as_bytes(), 3).expect("whole");
            }
            let level = flate2::Compression::default();
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), level);
            writer.write_all(text.as_bytes()).expect("written");
            writer.finish().expect("whole")
        };
        [frame(first), frame(second)].concat()
    }

    #[tokio::test]
    async fn a_packed_file_is_read_to_its_end() {
        for how in [FileCompressionType::GZIP, FileCompressionType::ZSTD] {
            let whole = frames(how);
            assert_eq!(text(whole.clone()).await.expect("read"), TEXT);
            for missing in 1..8 {
                let cut = whole[..whole.len() - missing].to_vec();
                assert!(text(cut).await.is_err(), "{missing} bytes are missing");
            }
        }
    }

    #[tokio::test]
    async fn a_byte_order_mark_is_no_text() {
        assert_eq!(text(b"\xef\xbb\xbfa\n".to_vec()).await.expect("read"), "a\n");
        assert_eq!(text(b"\xef\xbb\xbf".to_vec()).await.expect("read"), "");
        assert_eq!(text(b"\xef\xbb".to_vec()).await.expect("read"), "\u{fffd}");
        assert_eq!(text(Vec::new()).await.expect("read"), "");
    }
}
