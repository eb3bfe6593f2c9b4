//! Rows dealt into slots: the hash partition of their customer, and within it
//! a range of customers small enough to be sorted in a cache.

use std::iter::Enumerate;
use std::sync::{Arc, Mutex, PoisonError};
use std::vec;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::runtime::JoinSet;
use datafusion::error::{DataFusionError, Result};

use super::chunk::{Chunk, Tally};
use super::kept::Common;
use super::spread::{Ranges, partitions, to_u32};

/// Rows dealt at a time: their columns stay in the cache while they are.
const DEAL_ROWS: usize = 64 << 10;

/// Rows aimed at in a slot.
const SLOT_ROWS: usize = 48 << 10;

/// Slots of a partition at most: each costs a little in every dealt chunk.
const RANGES_MAX: usize = 1024;

/// All rows, dealt.
#[derive(Debug)]
pub struct Slots {
    /// Rows that were dealt together.
    pub dealt: Vec<Dealt>,
    /// Of each column, how all of it is written.
    pub forms: Vec<Common>,
    /// Ranges of customers, the same in every partition.
    pub ranges: usize,
}

/// Rows in the order of their slots.
#[derive(Debug)]
pub struct Dealt {
    /// The columns; none of those of which nothing is written.
    pub columns: Vec<Option<ArrayRef>>,
    /// How many rows.
    pub rows: usize,
    /// Where each slot begins, and where the last one ends.
    pub starts: Vec<usize>,
}

/// How rows are dealt.
struct Deal {
    customer: usize,
    partitions: usize,
    ranges: Ranges,
    forms: Vec<Common>,
}

/// Deals chunks into slots: partition by partition, and in each the ranges.
///
/// Done by tasks of the runtime, whose threads have collected the chunks: the memory
/// of those that are dealt is used again for what they become.
///
/// # Errors
/// A chunk does not have the columns of the schema.
pub async fn deal(
    chunks: Vec<Chunk>,
    schema: &SchemaRef,
    customer: usize,
    partitions: usize,
) -> Result<Slots> {
    let ranges = ranges(&chunks, customer, partitions)?;
    let forms = Tally::of(&chunks, schema).into_forms();
    let deal = Arc::new(Deal { customer, partitions, ranges, forms });
    let waiting = Arc::new(Mutex::new(groups(chunks).into_iter().enumerate()));
    let mut tasks = JoinSet::new();
    for _ in 0..partitions {
        tasks.spawn(work(Arc::clone(&deal), Arc::clone(&waiting)));
    }
    let mut all = Vec::new();
    while let Some(done) = tasks.join_next().await {
        all.extend(done.map_err(|error| DataFusionError::External(Box::new(error)))??);
    }
    all.sort_by_key(|(place, _)| *place);
    let dealt = all.into_iter().map(|(_, dealt)| dealt).collect();
    Ok(Slots { dealt, forms: deal.forms.clone(), ranges: deal.ranges.count() })
}

/// Groups of chunks that are not dealt yet, and their places.
type Waiting = Mutex<Enumerate<vec::IntoIter<Vec<Chunk>>>>;

async fn work(deal: Arc<Deal>, waiting: Arc<Waiting>) -> Result<Vec<(usize, Dealt)>> {
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let mut dealt = Vec::new();
    while let Some((place, group)) = next() {
        dealt.push((place, deal.group(&group)?));
        drop(group);
        tokio::task::yield_now().await;
    }
    Ok(dealt)
}

/// Even ranges for the customers of some chunks.
fn ranges(chunks: &[Chunk], customer: usize, partitions: usize) -> Result<Ranges> {
    let rows: usize = chunks.iter().map(Chunk::rows).sum();
    let wanted = (rows / SLOT_ROWS / partitions.max(1)).clamp(1, RANGES_MAX);
    if wanted == 1 {
        return Ranges::even(&[], wanted);
    }
    let step = Ranges::step(rows, wanted);
    let mut sampled = Vec::new();
    let mut next = step / 2;
    for chunk in chunks {
        let chosen = (next..chunk.rows()).step_by(step).map(|row| to_u32(row as u64));
        let chosen = UInt32Array::from_iter_values(chosen);
        next += chosen.len() * step;
        next -= chunk.rows();
        if !chosen.is_empty() {
            sampled.push(chunk.taken(customer, &chosen)?);
        }
    }
    Ranges::even(&sampled, wanted)
}

/// Chunks that are dealt together.
fn groups(chunks: Vec<Chunk>) -> Vec<Vec<Chunk>> {
    let mut groups: Vec<Vec<Chunk>> = Vec::new();
    let mut rows = DEAL_ROWS;
    for chunk in chunks.into_iter().filter(|chunk| chunk.rows() > 0) {
        if rows >= DEAL_ROWS {
            groups.push(Vec::new());
            rows = 0;
        }
        rows += chunk.rows();
        if let Some(group) = groups.last_mut() {
            group.push(chunk);
        }
    }
    groups
}

impl Deal {
    fn group(&self, group: &[Chunk]) -> Result<Dealt> {
        let slots = group.iter().map(|chunk| self.slots(chunk)).collect::<Result<Vec<_>>>()?;
        let mut starts = vec![0_usize; self.partitions * self.ranges.count() + 1];
        for slot in slots.iter().flatten() {
            starts[*slot as usize + 1] += 1;
        }
        for slot in 1..starts.len() {
            starts[slot] += starts[slot - 1];
        }
        let mut next = starts.clone();
        let mut from = vec![(0, 0); starts.last().copied().unwrap_or(0)];
        for (chunk, of_rows) in slots.iter().enumerate() {
            for (row, slot) in of_rows.iter().enumerate() {
                from[next[*slot as usize]] = (chunk, row);
                next[*slot as usize] += 1;
            }
        }
        let columns = self.forms.iter().enumerate().map(|(column, form)| {
            let narrowed = group.iter().map(|chunk| form.narrowed(chunk.lying(column)));
            // In one form either all are written or none is.
            let narrowed: Option<Vec<ArrayRef>> = narrowed.collect::<Result<_, _>>()?;
            narrowed.map(|sources| gather(&sources, &from)).transpose()
        });
        Ok(Dealt { columns: columns.collect::<Result<_>>()?, rows: from.len(), starts })
    }

    /// The slot of each row.
    fn slots(&self, chunk: &Chunk) -> Result<Vec<u32>> {
        let customers = chunk.lying(self.customer).whole()?;
        if customers.null_count() > 0 {
            return Err(DataFusionError::Internal("accepted orders without a customer".into()));
        }
        let mut parts = Vec::new();
        partitions(&customers, self.partitions, &mut parts)?;
        let parts = parts.into_iter().map(to_u32);
        if self.ranges.count() == 1 {
            return Ok(parts.collect());
        }
        let count = to_u32(self.ranges.count() as u64);
        let of_each = self.ranges.of_each(&customers)?;
        Ok(parts.zip(of_each).map(|(part, range)| part * count + range).collect())
    }
}

/// The values at some places of several arrays.
///
/// # Errors
/// The arrays differ in type.
pub fn gather(sources: &[ArrayRef], from: &[(usize, usize)]) -> Result<ArrayRef> {
    let arrays: Vec<&dyn Array> = sources.iter().map(|source| source.as_ref()).collect();
    if sources.first().is_none_or(|source| *source.data_type() != DataType::Boolean) {
        return Ok(interleave(&arrays, from)?);
    }
    // Arrow has no fast way for bits.
    let bits: Vec<&BooleanArray> = arrays.iter().map(|array| array.as_boolean()).collect();
    let values = BooleanBuffer::collect_bool(from.len(), |place| {
        let (array, row) = from[place];
        bits[array].value(row)
    });
    let nulls = bits.iter().any(|array| array.null_count() > 0).then(|| {
        NullBuffer::new(BooleanBuffer::collect_bool(from.len(), |place| {
            let (array, row) = from[place];
            bits[array].is_valid(row)
        }))
    });
    Ok(Arc::new(BooleanArray::new(values, nulls)))
}
