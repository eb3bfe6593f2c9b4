//! Rows of a CSV file: arrow's parser, beside the scan that knows what it passes
//! over.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Decoder;
use arrow::datatypes::SchemaRef;
use bytes::{Buf, Bytes};
use datafusion::error::Result;
use futures::stream::{BoxStream, try_unfold};
use futures::{StreamExt, TryStreamExt};

use super::Fault;
use super::bytes::Chunks;
use super::quotes::Quotes;
use crate::plan::CsvStyle;

/// Reads some columns of a file, by their places in it. Tells `counted` how many
/// records the file has, without its header, once it has been read to its end.
pub fn rows(
    text: Chunks,
    style: CsvStyle,
    columns: &SchemaRef,
    places: Vec<usize>,
    batch_rows: usize,
    counted: impl FnMut(u64) + Send + 'static,
) -> BoxStream<'static, Result<RecordBatch>> {
    let builder = ReaderBuilder::new(Arc::clone(columns))
        .with_header(true)
        .with_delimiter(style.delimiter.byte())
        .with_projection(places)
        .with_batch_size(batch_rows);
    let builder = match style.escape.byte() {
        Some(escape) => builder.with_escape(escape),
        None => builder,
    };
    let rows = Rows {
        text,
        chunk: Bytes::new(),
        quotes: Quotes::new(style.delimiter.byte(), style.escape.byte().is_some())
            .of_columns(columns.fields().len()),
        decoder: builder.build_decoder(),
        given: 0,
        has_ended: false,
        counted,
    };
    try_unfold(rows, |mut rows| async move {
        let batch = rows.next().await?;
        Ok(batch.map(|batch| (batch, rows)))
    })
    .boxed()
}

struct Rows<F> {
    text: Chunks,
    /// What the parser has not taken yet.
    chunk: Bytes,
    quotes: Quotes,
    decoder: Decoder,
    /// Rows that the parser gave.
    given: u64,
    has_ended: bool,
    counted: F,
}

impl<F: FnMut(u64)> Rows<F> {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if self.chunk.is_empty() && !self.has_ended {
                match self.text.try_next().await? {
                    Some(chunk) if chunk.is_empty() => continue,
                    Some(chunk) => {
                        // Before the parser, which knows no line of the file.
                        self.quotes.take(&chunk)?;
                        self.chunk = chunk;
                    }
                    None => {
                        self.quotes.finish()?;
                        self.has_ended = true;
                    }
                }
            }
            // No bytes at all are the end of the file.
            let taken = self.decoder.decode(&self.chunk)?;
            self.chunk.advance(taken);
            if self.chunk.is_empty() && !self.has_ended {
                continue;
            }
            match self.decoder.flush()? {
                Some(batch) => {
                    self.given += batch.num_rows() as u64;
                    return Ok(Some(batch));
                }
                None if self.has_ended => return self.end(),
                None => {}
            }
        }
    }

    /// That the parser has given every record.
    fn end(&mut self) -> Result<Option<RecordBatch>> {
        let counted = self.quotes.finish()?.saturating_sub(1);
        if counted != self.given {
            return Err(Fault::Uncounted { counted, given: self.given }.into());
        }
        (self.counted)(counted);
        Ok(None)
    }
}
