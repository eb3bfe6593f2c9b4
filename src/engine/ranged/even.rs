//! Ranges as batches of one size: whoever puts batches together passes such on as
//! they are.

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use datafusion::error::Result;
use futures::stream::{BoxStream, try_unfold};
use futures::{Stream, TryStreamExt};

use crate::engine::session::BATCH_ROWS;

/// Cuts rows into batches; only where two stretches meet some are copied.
pub fn even(
    stretches: BoxStream<'static, Result<RecordBatch>>,
) -> impl Stream<Item = Result<RecordBatch>> + Send {
    let even = Even { stretches, ready: VecDeque::new(), rest: None };
    try_unfold(even, |mut even| async move { Ok(even.next().await?.map(|batch| (batch, even))) })
}

struct Even {
    stretches: BoxStream<'static, Result<RecordBatch>>,
    /// Batches of full size.
    ready: VecDeque<RecordBatch>,
    /// Rows that do not fill one.
    rest: Option<RecordBatch>,
}

impl Even {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while self.ready.is_empty()
            && let Some(stretch) = self.stretches.try_next().await?
        {
            self.cut(&stretch)?;
        }
        Ok(self.ready.pop_front().or_else(|| self.rest.take()))
    }

    fn cut(&mut self, stretch: &RecordBatch) -> Result<()> {
        let rows = stretch.num_rows();
        let mut start = 0;
        if let Some(rest) = self.rest.take() {
            start = rows.min(BATCH_ROWS - rest.num_rows());
            let both = [rest, stretch.slice(0, start)];
            self.add(concat_batches(&stretch.schema(), &both)?);
        }
        while start < rows {
            let length = BATCH_ROWS.min(rows - start);
            self.add(stretch.slice(start, length));
            start += length;
        }
        Ok(())
    }

    fn add(&mut self, batch: RecordBatch) {
        match batch.num_rows() {
            BATCH_ROWS => self.ready.push_back(batch),
            _ => self.rest = Some(batch),
        }
    }
}
