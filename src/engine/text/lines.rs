//! A text in blocks of whole lines, each of which can be read on its own.

use bytes::{Bytes, BytesMut};
use datafusion::error::Result;
use futures::stream::{BoxStream, try_unfold};
use futures::{StreamExt, TryStreamExt};
use memchr::{memchr_iter, memrchr};

use super::Fault;
use super::bytes::Chunks;

/// Bytes of a block, unless a line is longer.
const BLOCK_BYTES: usize = 1 << 20;

/// Some lines of a file.
#[derive(Debug, Clone)]
pub struct Block {
    /// The number of the first, from 1.
    pub line: u64,
    text: Bytes,
}

impl Block {
    /// Its text.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn text(&self) -> Result<&str, Fault> {
        std::str::from_utf8(&self.text).map_err(|error| {
            let before = &self.text[..error.valid_up_to()];
            Fault::NotUtf8 { line: self.line + line_ends(before) }
        })
    }

    /// Its bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.text
    }
}

fn line_ends(text: &[u8]) -> u64 {
    memchr_iter(b'\n', text).count() as u64
}

/// The blocks of a text.
pub fn blocks(text: Chunks) -> BoxStream<'static, Result<Block>> {
    let state = Lines { text, rest: BytesMut::new(), line: 1 };
    try_unfold(
        state,
        |mut lines| async move { Ok(lines.next().await?.map(|block| (block, lines))) },
    )
    .boxed()
}

struct Lines {
    text: Chunks,
    /// What has been read and is in no block yet.
    rest: BytesMut,
    line: u64,
}

impl Lines {
    async fn next(&mut self) -> Result<Option<Block>> {
        // Where a line is long, no byte of it is looked at twice.
        let mut end = None;
        while end.is_none() || self.rest.len() < BLOCK_BYTES {
            let Some(chunk) = self.text.try_next().await? else {
                end = (!self.rest.is_empty()).then_some(self.rest.len());
                break;
            };
            let found = memrchr(b'\n', &chunk).map(|place| self.rest.len() + place + 1);
            end = found.or(end);
            self.rest.extend_from_slice(&chunk);
        }
        let Some(end) = end else { return Ok(None) };
        let text = self.rest.split_to(end).freeze();
        let block = Block { line: self.line, text };
        self.line += line_ends(block.bytes());
        Ok(Some(block))
    }
}
