//! Sorts dealt rows by the life of their customers, slot by slot: narrow keys
//! are sorted, and the columns gathered once in their order.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};

use super::chunk::Chunk;
use super::compared::{Compared, Ranks};
use super::kept::{Common, Form};
use super::session::BATCH_ROWS;
use super::slots::{Slots, deal, gather};
use super::spread::to_u32;

/// The order of a customer's life: what staging and facts stream along.
pub const LIFE: [&str; 5] = ["customer_id", "ordered_at", "is_refund", "order_rank", "order_id"];

/// Rows that have been dealt and can be read in order.
#[derive(Debug)]
pub struct Lives {
    schema: SchemaRef,
    /// The columns of `LIFE`.
    customers: Compared,
    times: Compared,
    refunds: Compared,
    ranks: Compared,
    orders: Compared,
    /// Where the slots of each chunk begin.
    starts: Vec<Vec<usize>>,
    /// Each column's array of every chunk; none of which nothing is written.
    columns: Vec<Option<Vec<ArrayRef>>>,
    /// How each column is written.
    forms: Vec<Common>,
    ranges: usize,
    rows: usize,
}

/// Where the columns of `LIFE` are.
#[derive(Debug, Clone, Copy)]
pub struct LifeColumns {
    pub(super) customer: usize,
    pub(super) time: usize,
    pub(super) refund: usize,
    pub(super) rank: usize,
    pub(super) order: usize,
}

impl LifeColumns {
    /// Those of a schema.
    ///
    /// # Errors
    /// One of them is missing.
    pub fn of(schema: &SchemaRef) -> Result<Self> {
        let [customer, time, refund, rank, order] = LIFE.map(|name| schema.index_of(name));
        Ok(Self { customer: customer?, time: time?, refund: refund?, rank: rank?, order: order? })
    }
}

/// A row to be sorted: customer and time as one number, and where it is.
#[derive(Debug, Clone, Copy)]
struct Row {
    key: u64,
    chunk: u32,
    place: u32,
}

impl Lives {
    /// Deals rows into partitions.
    ///
    /// # Errors
    /// A column of `LIFE` is missing or has nulls.
    pub async fn new(chunks: Vec<Chunk>, schema: &SchemaRef, partitions: usize) -> Result<Self> {
        let life = LifeColumns::of(schema)?;
        let Slots { dealt, forms, ranges } =
            deal(chunks, schema, life.customer, partitions).await?;
        let rows = dealt.iter().map(|dealt| dealt.rows).sum();
        let mut columns: Vec<Option<Vec<ArrayRef>>> = vec![Some(Vec::new()); forms.len()];
        let mut starts = Vec::with_capacity(dealt.len());
        for dealt in dealt {
            starts.push(dealt.starts);
            for (chunks, column) in columns.iter_mut().zip(dealt.columns) {
                match (&mut *chunks, column) {
                    (Some(chunks), Some(column)) => chunks.push(column),
                    _ => *chunks = None,
                }
            }
        }
        let compared = |column: usize| match forms[column].form() {
            Form::Nothing if rows > 0 => {
                let name = schema.field(column).name();
                Err(DataFusionError::Internal(format!("accepted orders lack `{name}`")))
            }
            _ => Compared::of(columns[column].as_deref()),
        };
        Ok(Self {
            schema: Arc::clone(schema),
            customers: compared(life.customer)?,
            times: compared(life.time)?,
            refunds: compared(life.refund)?,
            ranks: compared(life.rank)?,
            orders: compared(life.order)?,
            starts,
            columns,
            forms,
            ranges,
            rows,
        })
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows of a partition, in order.
    pub fn partition(
        self: Arc<Self>,
        partition: usize,
    ) -> impl Iterator<Item = Result<RecordBatch>> + Send + use<> {
        let slots = partition * self.ranges..(partition + 1) * self.ranges;
        slots.flat_map(move |slot| {
            let sorted = self.sorted(slot);
            let lives = Arc::clone(&self);
            (0..sorted.len())
                .step_by(BATCH_ROWS)
                .map(move |begin| lives.batch(&sorted[begin..sorted.len().min(begin + BATCH_ROWS)]))
        })
    }

    fn batch(&self, rows: &[Row]) -> Result<RecordBatch> {
        let from: Vec<(usize, usize)> = rows.iter().map(Row::at).collect();
        let columns = self.columns.iter().enumerate().map(|(column, sources)| {
            let gathered = sources.as_ref().map(|sources| gather(sources, &from)).transpose()?;
            let kind = self.schema.field(column).data_type();
            Ok::<_, DataFusionError>(self.forms[column].widened(
                gathered.as_ref(),
                kind,
                from.len(),
            )?)
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    /// The rows of a slot, in order.
    fn sorted(&self, slot: usize) -> Vec<Row> {
        let ranges: Vec<Range<usize>> =
            self.starts.iter().map(|starts| starts[slot]..starts[slot + 1]).collect();
        let mut rows = self.rows_of(&ranges);
        rows.sort_unstable_by(|a, b| a.key.cmp(&b.key).then_with(|| self.tie(a, b)));
        rows
    }

    fn rows_of(&self, ranges: &[Range<usize>]) -> Vec<Row> {
        let count = ranges.iter().map(Range::len).sum();
        let mut rows = Vec::with_capacity(count);
        let mut customers = Vec::with_capacity(count);
        let mut times = Vec::with_capacity(count);
        let mut texts = Ranks::default();
        for (chunk, range) in ranges.iter().enumerate().filter(|(_, range)| !range.is_empty()) {
            let row =
                |place| Row { key: 0, chunk: to_u32(chunk as u64), place: to_u32(place as u64) };
            rows.extend(range.clone().map(row));
            self.customers.ranks(chunk, range.clone(), &mut texts, &mut customers);
            // Times are no texts.
            self.times.ranks(chunk, range.clone(), &mut Ranks::default(), &mut times);
        }
        texts.settle(&mut customers);
        pack(&mut rows, &mut customers, &mut times);
        rows
    }

    /// Orders of one customer at one time.
    fn tie(&self, a: &Row, b: &Row) -> Ordering {
        let (a, b) = (a.at(), b.at());
        let refund = self.refunds.compare(a, b).then_with(|| self.ranks.compare(a, b));
        refund.then_with(|| self.orders.compare(a, b))
    }
}

impl Row {
    /// Its chunk, and its place there.
    fn at(&self) -> (usize, usize) {
        (self.chunk as usize, self.place as usize)
    }
}

/// Gives rows their keys. Customers and times of a slot span little, so that
/// their differences to the least share a number; where they span more, their
/// ranks do, for there are not as many.
fn pack(rows: &mut [Row], customers: &mut [u64], times: &mut [u64]) {
    let mut bits = [from_least(customers), from_least(times)];
    if bits[0] + bits[1] > u64::BITS {
        rank(customers);
        bits[0] = from_least(customers);
    }
    if bits[0] + bits[1] > u64::BITS {
        rank(times);
        bits[1] = from_least(times);
    }
    for ((row, customer), time) in rows.iter_mut().zip(customers).zip(times) {
        row.key = customer.checked_shl(bits[1]).unwrap_or(0) | *time;
    }
}

/// Numbers become their distance to the least; tells the bits of the greatest.
fn from_least(numbers: &mut [u64]) -> u32 {
    let least = numbers.iter().copied().min().unwrap_or(0);
    let greatest = numbers.iter().copied().max().unwrap_or(0);
    numbers.iter_mut().for_each(|number| *number -= least);
    u64::BITS - (greatest - least).leading_zeros()
}

/// Numbers become their places among the different ones.
fn rank(numbers: &mut [u64]) {
    let mut different = numbers.to_vec();
    different.sort_unstable();
    different.dedup();
    for number in numbers {
        *number = different.partition_point(|other| other < number) as u64;
    }
}
