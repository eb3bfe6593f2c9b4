//! Merges sorted pieces. One of them is usually huge and the others are small:
//! whole stretches of a piece pass by as they are, found by leaps.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray, RecordBatch, new_null_array,
};
use arrow::datatypes::{DataType, Int64Type, SchemaRef, TimestampMicrosecondType};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use futures::stream::try_unfold;

use super::life::LifeColumns;
use super::session::BATCH_ROWS;
use super::slots::gather;
use super::spread::ids;

/// A stretch of this many rows passes by as it is; shorter ones are copied
/// together, so that batches do not become small.
const STRETCH_ROWS: usize = BATCH_ROWS / 4;

/// Pieces sorted by `LIFE` as one stream that is.
///
/// # Errors
/// The schema lacks a column of `LIFE`.
pub fn merge(
    schema: &SchemaRef,
    pieces: Vec<SendableRecordBatchStream>,
) -> Result<SendableRecordBatchStream> {
    let merge = Merge {
        schema: Arc::clone(schema),
        life: LifeColumns::of(schema)?,
        pieces: pieces.into_iter().map(|stream| Piece { stream, head: None }).collect(),
        order: Vec::new(),
        begun: false,
        copied: Copied::default(),
        ready: None,
    };
    let batches = try_unfold(merge, |mut merge| async move {
        Ok(merge.next().await?.map(|batch| (batch, merge)))
    });
    Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(schema), batches)))
}

struct Merge {
    schema: SchemaRef,
    life: LifeColumns,
    pieces: Vec<Piece>,
    /// Pieces that have rows left, by their next row.
    order: Vec<usize>,
    begun: bool,
    copied: Copied,
    /// A stretch that comes after what has been copied.
    ready: Option<RecordBatch>,
}

struct Piece {
    stream: SendableRecordBatchStream,
    head: Option<Head>,
}

/// The batch of a piece whose rows are next.
struct Head {
    batch: Arc<RecordBatch>,
    keys: Keys,
    row: usize,
}

/// Short stretches on their way into one batch.
#[derive(Default)]
struct Copied {
    batches: Vec<Arc<RecordBatch>>,
    from: Vec<(usize, usize)>,
}

impl Merge {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if let Some(ready) = self.ready.take() {
            return Ok(Some(ready));
        }
        if !self.begun {
            self.begun = true;
            for piece in 0..self.pieces.len() {
                self.refill(piece).await?;
                self.place(piece);
            }
        }
        while let Some(first) = self.order.first().copied() {
            let Some(stretch) = self.stretch(first) else { break };
            let ended = self.pass(first, &stretch);
            self.order.remove(0);
            if ended {
                self.refill(first).await?;
            }
            self.place(first);
            if self.ready.is_some() || self.copied.from.len() >= BATCH_ROWS {
                break;
            }
        }
        match self.copied.from.is_empty() {
            true => Ok(self.ready.take()),
            false => self.copied.batch(&self.schema).map(Some),
        }
    }

    /// Reads the next batch of a piece.
    async fn refill(&mut self, piece: usize) -> Result<()> {
        let piece = &mut self.pieces[piece];
        piece.head = None;
        while let Some(batch) = piece.stream.next().await {
            let batch = batch?;
            if batch.num_rows() > 0 {
                let keys = Keys::of(&batch, self.life)?;
                piece.head = Some(Head { batch: Arc::new(batch), keys, row: 0 });
                break;
            }
        }
        Ok(())
    }

    /// Puts a piece where its next row is due.
    fn place(&mut self, piece: usize) {
        let Some(head) = &self.pieces[piece].head else { return };
        let place = self.order.partition_point(|other| {
            self.pieces[*other].head.as_ref().is_some_and(|other_head| {
                let order = other_head.keys.compare(other_head.row, &head.keys, head.row);
                order.then(other.cmp(&piece)).is_lt()
            })
        });
        self.order.insert(place, piece);
    }

    /// The rows of a piece that come before all others.
    fn stretch(&self, first: usize) -> Option<Range<usize>> {
        let head = self.pieces[first].head.as_ref()?;
        let rows = head.batch.num_rows();
        let second = self
            .order
            .get(1)
            .and_then(|second| self.pieces[*second].head.as_ref().map(|head| (*second, head)));
        let Some((second, other)) = second else { return Some(head.row..rows) };
        let before = |row: usize| {
            let order = head.keys.compare(row, &other.keys, other.row);
            order.then(first.cmp(&second)).is_lt()
        };
        // The first row is. Leaps that double, then halves of the last one.
        let (mut known, mut leap) = (head.row, 1);
        while known + leap < rows && before(known + leap) {
            known += leap;
            leap *= 2;
        }
        let mut end = rows.min(known + leap);
        let mut begin = known + 1;
        while begin < end {
            let middle = begin.midpoint(end);
            match before(middle) {
                true => begin = middle + 1,
                false => end = middle,
            }
        }
        Some(head.row..begin)
    }

    /// Passes a stretch on; tells whether its batch is used up.
    fn pass(&mut self, piece: usize, stretch: &Range<usize>) -> bool {
        let Some(head) = &mut self.pieces[piece].head else { return true };
        head.row = stretch.end;
        if stretch.len() >= STRETCH_ROWS {
            self.ready = Some(head.batch.slice(stretch.start, stretch.len()));
        } else {
            self.copied.add(&head.batch, stretch.clone());
        }
        head.row >= head.batch.num_rows()
    }
}

impl Copied {
    fn add(&mut self, batch: &Arc<RecordBatch>, rows: Range<usize>) {
        let known = self.batches.iter().rposition(|known| Arc::ptr_eq(known, batch));
        let place = known.unwrap_or_else(|| {
            self.batches.push(Arc::clone(batch));
            self.batches.len() - 1
        });
        self.from.extend(rows.map(|row| (place, row)));
    }

    fn batch(&mut self, schema: &SchemaRef) -> Result<RecordBatch> {
        let Self { batches, from } = std::mem::take(self);
        let columns = schema.fields().iter().enumerate().map(|(index, field)| {
            let sources: Vec<ArrayRef> =
                batches.iter().map(|batch| Arc::clone(batch.column(index))).collect();
            match sources.iter().all(|source| source.null_count() == source.len()) {
                true => Ok(new_null_array(field.data_type(), from.len())),
                false => gather(&sources, &from),
            }
        });
        Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_>>()?)?)
    }
}

/// The columns of `LIFE`, as they are compared.
#[derive(Debug)]
struct Keys {
    customers: ArrayRef,
    times: PrimitiveArray<TimestampMicrosecondType>,
    refunds: BooleanArray,
    ranks: PrimitiveArray<Int64Type>,
    orders: ArrayRef,
}

impl Keys {
    /// Those of some rows.
    ///
    /// # Errors
    /// A column has nulls, or is of a type that it never has.
    fn of(batch: &RecordBatch, columns: LifeColumns) -> Result<Self> {
        Ok(Self {
            customers: ids(column(batch, columns.customer)?)?,
            times: times(column(batch, columns.time)?)?.clone(),
            refunds: column(batch, columns.refund)?.as_boolean().clone(),
            ranks: ranks(column(batch, columns.rank)?)?.clone(),
            orders: ids(column(batch, columns.order)?)?,
        })
    }

    /// Which of two rows comes first.
    fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        compare_ids(&self.customers, row, &other.customers, other_row)
            .then_with(|| self.times.value(row).cmp(&other.times.value(other_row)))
            .then_with(|| self.compare_at_once(row, other, other_row))
    }

    /// Orders of one customer at one time.
    fn compare_at_once(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        let refund = self.refunds.value(row).cmp(&other.refunds.value(other_row));
        refund
            .then_with(|| self.ranks.value(row).cmp(&other.ranks.value(other_row)))
            .then_with(|| compare_ids(&self.orders, row, &other.orders, other_row))
    }
}

fn compare_ids(a: &ArrayRef, a_row: usize, b: &ArrayRef, b_row: usize) -> Ordering {
    match (a.as_primitive_opt::<Int64Type>(), b.as_primitive_opt::<Int64Type>()) {
        (Some(a), Some(b)) => a.value(a_row).cmp(&b.value(b_row)),
        _ => a.as_string::<i32>().value(a_row).cmp(b.as_string::<i32>().value(b_row)),
    }
}

/// A column that must have values.
fn column(batch: &RecordBatch, index: usize) -> Result<&ArrayRef> {
    let column = batch.column(index);
    match column.null_count() {
        0 => Ok(column),
        _ => Err(DataFusionError::Internal(format!("column {index} of accepted orders has nulls"))),
    }
}

fn ranks(column: &ArrayRef) -> Result<&PrimitiveArray<Int64Type>> {
    column.as_primitive_opt::<Int64Type>().ok_or_else(|| {
        let kind: &DataType = column.data_type();
        DataFusionError::Internal(format!("order_rank is {kind}, not a whole number"))
    })
}

fn times(column: &ArrayRef) -> Result<&PrimitiveArray<TimestampMicrosecondType>> {
    column.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| {
        let kind: &DataType = column.data_type();
        DataFusionError::Internal(format!("ordered_at is {kind}, not a time in microseconds"))
    })
}
