//! Sorts dealt rows by the life of their customers, slot by slot: narrow keys
//! are sorted, and the columns gathered once in their order.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray, RecordBatch, new_null_array,
};
use arrow::datatypes::{DataType, Int64Type, SchemaRef, TimestampMicrosecondType};
use datafusion::error::{DataFusionError, Result};

use super::session::BATCH_ROWS;
use super::spread::{Chunk, column, deal, filled, gather, ids, rank_of_int, text};

/// The order of a customer's life: what staging and facts stream along.
pub const LIFE: [&str; 4] = ["customer_id", "ordered_at", "is_refund", "order_id"];

/// Rows that have been dealt and can be read in order.
#[derive(Debug)]
pub struct Lives {
    schema: SchemaRef,
    /// The keys of each chunk.
    keys: Vec<Keys>,
    /// Where the slots of each chunk begin.
    starts: Vec<Vec<usize>>,
    /// Each column's array of every chunk; none of a column without values.
    columns: Vec<Option<Vec<ArrayRef>>>,
    ranges: usize,
    rows: usize,
}

/// Where the columns of `LIFE` are.
#[derive(Debug, Clone, Copy)]
pub struct LifeColumns {
    customer: usize,
    time: usize,
    refund: usize,
    order: usize,
}

impl LifeColumns {
    /// Those of a schema.
    ///
    /// # Errors
    /// One of them is missing.
    pub fn of(schema: &SchemaRef) -> Result<Self> {
        let [customer, time, refund, order] = LIFE.map(|name| schema.index_of(name));
        Ok(Self { customer: customer?, time: time?, refund: refund?, order: order? })
    }
}

/// The columns of `LIFE`, as they are compared.
#[derive(Debug)]
pub struct Keys {
    customers: ArrayRef,
    times: PrimitiveArray<TimestampMicrosecondType>,
    refunds: BooleanArray,
    orders: ArrayRef,
}

impl Keys {
    /// Those of some rows.
    ///
    /// # Errors
    /// A column has nulls, or is of a type that it never has.
    pub fn of(chunk: &Chunk, columns: LifeColumns) -> Result<Self> {
        Ok(Self {
            customers: ids(column(chunk, columns.customer)?)?,
            times: times(column(chunk, columns.time)?)?.clone(),
            refunds: column(chunk, columns.refund)?.as_boolean().clone(),
            orders: ids(column(chunk, columns.order)?)?,
        })
    }

    /// Which of two rows comes first.
    pub fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        compare_ids(&self.customers, row, &other.customers, other_row)
            .then_with(|| self.times.value(row).cmp(&other.times.value(other_row)))
            .then_with(|| self.compare_at_once(row, other, other_row))
    }

    /// Orders of one customer at one time.
    fn compare_at_once(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        let refund = self.refunds.value(row).cmp(&other.refunds.value(other_row));
        refund.then_with(|| compare_ids(&self.orders, row, &other.orders, other_row))
    }
}

fn compare_ids(a: &ArrayRef, a_row: usize, b: &ArrayRef, b_row: usize) -> Ordering {
    match (a.as_primitive_opt::<Int64Type>(), b.as_primitive_opt::<Int64Type>()) {
        (Some(a), Some(b)) => a.value(a_row).cmp(&b.value(b_row)),
        _ => a.as_string::<i32>().value(a_row).cmp(b.as_string::<i32>().value(b_row)),
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
    pub fn new(chunks: Vec<Chunk>, schema: &SchemaRef, partitions: usize) -> Result<Self> {
        let life = LifeColumns::of(schema)?;
        let (dealt, ranges) = deal(chunks, schema, life.customer, partitions)?;
        let keys = dealt.iter().map(|dealt| Keys::of(&dealt.chunk, life));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let mut columns = Vec::with_capacity(schema.fields().len());
        for (index, field) in schema.fields().iter().enumerate() {
            let sources: Vec<_> =
                dealt.iter().map(|dealt| dealt.chunk.columns[index].clone()).collect();
            let rows = dealt.iter().map(|dealt| dealt.chunk.rows);
            columns.push(filled(&sources, rows, field.data_type()));
        }
        Ok(Self {
            schema: Arc::clone(schema),
            rows: dealt.iter().map(|dealt| dealt.chunk.rows).sum(),
            keys,
            starts: dealt.into_iter().map(|dealt| dealt.starts).collect(),
            columns,
            ranges: ranges.count(),
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
            let (sorted, failed) = match self.sorted(slot) {
                Ok(sorted) => (sorted, None),
                Err(error) => (Vec::new(), Some(Err(error))),
            };
            let lives = Arc::clone(&self);
            let batches = (0..sorted.len()).step_by(BATCH_ROWS).map(move |begin| {
                lives.batch(&sorted[begin..sorted.len().min(begin + BATCH_ROWS)])
            });
            failed.into_iter().chain(batches)
        })
    }

    fn batch(&self, rows: &[Row]) -> Result<RecordBatch> {
        let from: Vec<(usize, usize)> =
            rows.iter().map(|row| (row.chunk as usize, row.place as usize)).collect();
        let columns =
            self.columns.iter().zip(self.schema.fields()).map(|(sources, field)| match sources {
                Some(sources) => gather(sources, &from),
                None => Ok(new_null_array(field.data_type(), rows.len())),
            });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    /// The rows of a slot, in order.
    fn sorted(&self, slot: usize) -> Result<Vec<Row>> {
        let ranges: Vec<Range<usize>> =
            self.starts.iter().map(|starts| starts[slot]..starts[slot + 1]).collect();
        let mut rows = self.rows_of(&ranges)?;
        rows.sort_unstable_by(|a, b| a.key.cmp(&b.key).then_with(|| self.tie(a, b)));
        Ok(rows)
    }

    fn rows_of(&self, ranges: &[Range<usize>]) -> Result<Vec<Row>> {
        let count = ranges.iter().map(Range::len).sum();
        let mut rows = Vec::with_capacity(count);
        let mut customers = Vec::with_capacity(count);
        let mut times = Vec::with_capacity(count);
        let mut ranks = Ranks::default();
        for (chunk, (keys, range)) in self.keys.iter().zip(ranges).enumerate() {
            let row = |place| Row { key: 0, chunk: narrow(chunk), place: narrow(place) };
            rows.extend(range.clone().map(row));
            times.extend(keys.times.values()[range.clone()].iter().map(|time| rank_of_int(*time)));
            if let Some(ids) = keys.customers.as_primitive_opt::<Int64Type>() {
                customers.extend(ids.values()[range.clone()].iter().map(|id| rank_of_int(*id)));
            } else {
                let ids = text(&keys.customers)?;
                customers.extend(range.clone().map(|place| ranks.of(ids.value(place))));
            }
        }
        ranks.settle(&mut customers);
        pack(&mut rows, &mut customers, &mut times);
        Ok(rows)
    }

    fn tie(&self, a: &Row, b: &Row) -> Ordering {
        let (of_a, of_b) = (&self.keys[a.chunk as usize], &self.keys[b.chunk as usize]);
        of_a.compare_at_once(a.place as usize, of_b, b.place as usize)
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

/// Ranks of texts: numbers in the order of meeting, settled once all are known.
#[derive(Default)]
struct Ranks<'a> {
    met: HashMap<&'a str, u64>,
    last: Option<(&'a str, u64)>,
}

impl<'a> Ranks<'a> {
    fn of(&mut self, value: &'a str) -> u64 {
        if let Some((last, number)) = self.last
            && last == value
        {
            return number;
        }
        let next = self.met.len() as u64;
        let number = *self.met.entry(value).or_insert(next);
        self.last = Some((value, number));
        number
    }

    /// Numbers in the order of meeting become numbers in the order of texts.
    fn settle(self, numbers: &mut [u64]) {
        if self.met.is_empty() {
            return;
        }
        let mut texts: Vec<(&str, u64)> = self.met.into_iter().collect();
        texts.sort_unstable();
        let mut settled = vec![0; texts.len()];
        for (rank, (_, number)) in (0..).zip(&texts) {
            settled[usize::try_from(*number).unwrap_or(0)] = rank;
        }
        for number in numbers {
            *number = settled[usize::try_from(*number).unwrap_or(0)];
        }
    }
}

fn times(column: &ArrayRef) -> Result<&PrimitiveArray<TimestampMicrosecondType>> {
    column.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| {
        let kind: &DataType = column.data_type();
        DataFusionError::Internal(format!("ordered_at is {kind}, not a time in microseconds"))
    })
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
