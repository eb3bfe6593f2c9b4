//! Rows dealt into slots: the hash partition of their customer, and within it
//! a range of customers small enough to be sorted in a cache.
//!
//! The partitions are the planner's own (`RepartitionExec`): the planner takes
//! any two hash layouts of equal width for compatible, and another hash
//! function would silently lose rows in joins.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, new_null_array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{cast, filter, interleave};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use datafusion::common::hash_utils::create_hashes;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::repartition::REPARTITION_RANDOM_STATE;

/// Rows dealt at a time: their columns stay in the cache while they are.
const DEAL_ROWS: usize = 64 << 10;

/// Rows aimed at in a slot.
const SLOT_ROWS: usize = 48 << 10;

/// Slots of a partition at most: each costs a little in every dealt chunk.
const RANGES_MAX: usize = 1024;

/// Customers looked at for each range, so that the ranges come out even.
const SAMPLES: usize = 32;

/// The partition of each row among `partitions`, by its customer.
///
/// # Errors
/// A type that has no hash.
pub fn partitions(customers: &ArrayRef, partitions: usize, into: &mut Vec<u64>) -> Result<()> {
    into.clear();
    into.resize(customers.len(), 0);
    create_hashes([customers], REPARTITION_RANDOM_STATE.random_state(), into)?;
    let partitions = partitions.max(1) as u64;
    if partitions.is_power_of_two() {
        into.iter_mut().for_each(|hash| *hash &= partitions - 1);
    } else {
        into.iter_mut().for_each(|hash| *hash %= partitions);
    }
    Ok(())
}

/// Some rows; a column that is null in all of them is not there.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// The columns in the order of the schema.
    pub columns: Vec<Option<ArrayRef>>,
    /// How many rows.
    pub rows: usize,
}

impl Chunk {
    /// The rows of a batch.
    pub fn new(batch: &RecordBatch) -> Self {
        let held =
            |column: &ArrayRef| (column.null_count() < column.len()).then(|| Arc::clone(column));
        Self { columns: batch.columns().iter().map(held).collect(), rows: batch.num_rows() }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.columns.iter().flatten().map(|column| column.get_array_memory_size()).sum()
    }

    /// The rows that are chosen.
    ///
    /// # Errors
    /// None that is known.
    pub fn filter(&self, chosen: &BooleanArray) -> Result<Self> {
        let columns = self
            .columns
            .iter()
            .map(|column| column.as_ref().map(|column| Ok(filter(column, chosen)?)).transpose());
        Ok(Self { columns: columns.collect::<Result<_>>()?, rows: chosen.true_count() })
    }

    /// The rows as a batch.
    ///
    /// # Errors
    /// The columns are not those of the schema.
    pub fn batch(&self, schema: &SchemaRef) -> Result<RecordBatch> {
        let columns = self.columns.iter().zip(schema.fields()).map(|(column, field)| {
            column.clone().unwrap_or_else(|| new_null_array(field.data_type(), self.rows))
        });
        Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect())?)
    }
}

/// Rows in the order of their slots.
#[derive(Debug)]
pub struct Dealt {
    /// The rows.
    pub chunk: Chunk,
    /// Where each slot begins, and where the last one ends.
    pub starts: Vec<usize>,
}

/// Ranges of customers, the same in every partition.
#[derive(Debug)]
pub struct Ranges {
    /// What all customers that were looked at begin with, if they are text.
    prefix: Vec<u8>,
    /// The rank with which each range but the first begins.
    ranks: Vec<u64>,
    /// And the id, which tells where ids rank alike. Empty where they are numbers:
    /// their rank tells all.
    ids: Vec<Vec<u8>>,
}

impl Ranges {
    /// Even ranges for the customers of some chunks.
    ///
    /// # Errors
    /// A type that is no id.
    pub fn of(chunks: &[Chunk], customer: usize, partitions: usize) -> Result<Self> {
        let rows: usize = chunks.iter().map(|chunk| chunk.rows).sum();
        let wanted = (rows / SLOT_ROWS / partitions.max(1)).clamp(1, RANGES_MAX);
        if wanted == 1 {
            return Self::even(&[], wanted);
        }
        let step = Self::step(rows, wanted);
        let mut sampled = Vec::new();
        let mut next = step / 2;
        for chunk in chunks {
            let column = column(chunk, customer)?;
            let mut chosen = Vec::new();
            while next < chunk.rows {
                chosen.push((0, next));
                next += step;
            }
            next -= chunk.rows;
            if !chosen.is_empty() {
                sampled.push(interleave(&[column.as_ref()], &chosen)?);
            }
        }
        Self::even(&sampled, wanted)
    }

    /// Every how many rows one is looked at.
    pub fn step(rows: usize, ranges: usize) -> usize {
        (rows / (ranges * SAMPLES)).max(1)
    }

    /// As many even ranges, or somewhat fewer, by ids that were looked at.
    ///
    /// # Errors
    /// A type that is no id.
    pub fn even(sampled: &[ArrayRef], wanted: usize) -> Result<Self> {
        if wanted == 1 {
            return Ok(Self { prefix: Vec::new(), ranks: Vec::new(), ids: Vec::new() });
        }
        let sampled = sampled.iter().map(ids).collect::<Result<Vec<_>>>()?;
        let prefix = common_prefix(&sampled);
        let mut ranks = Vec::new();
        let mut all = Vec::new();
        for ids in &sampled {
            self::ranks(ids, &prefix, &mut ranks)?;
            let begin = |(row, rank): (usize, &u64)| (*rank, Vec::from(bytes(ids, row)));
            all.extend(ranks.iter().enumerate().map(begin));
        }
        all.sort_unstable();
        let mut places: Vec<usize> = (1..wanted).map(|n| n * all.len() / wanted).collect();
        places.dedup();
        let mut begins: Vec<(u64, Vec<u8>)> = Vec::with_capacity(places.len());
        for (place, begin) in all.into_iter().enumerate() {
            if places.binary_search(&place).is_ok() {
                begins.push(begin);
            }
        }
        begins.dedup();
        let (ranks, ids) = begins.into_iter().unzip();
        Ok(Self { prefix, ranks, ids })
    }

    /// The range of each id; that of nulls is the last.
    ///
    /// # Errors
    /// A type that is no id.
    pub fn of_each(&self, column: &ArrayRef) -> Result<Vec<u32>> {
        let ids = ids(column)?;
        let is_text = *ids.data_type() != DataType::Int64;
        let mut ranked = Vec::new();
        ranks(&ids, &self.prefix, &mut ranked)?;
        let range = |(row, rank): (usize, &u64)| {
            let range = self.ranks.partition_point(|begin| begin <= rank);
            if !is_text || range == 0 || self.ranks[range - 1] < *rank {
                return narrow(range as u64);
            }
            let alike = self.ranks.partition_point(|begin| begin < rank);
            let is_before = |begin: &Vec<u8>| begin.as_slice() <= bytes(&ids, row);
            narrow((alike + self.ids[alike..range].partition_point(is_before)) as u64)
        };
        let mut of_each: Vec<u32> = ranked.iter().enumerate().map(range).collect();
        if column.null_count() > 0 {
            let last = narrow(self.ranks.len() as u64);
            for (_, range) in of_each.iter_mut().enumerate().filter(|(row, _)| column.is_null(*row))
            {
                *range = last;
            }
        }
        Ok(of_each)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.ranks.len() + 1
    }
}

/// A number for each id that rises with it (though not strictly, if it is
/// text): what follows the prefix.
fn ranks(ids: &ArrayRef, prefix: &[u8], into: &mut Vec<u64>) -> Result<()> {
    into.clear();
    if let Some(ids) = ids.as_primitive_opt::<Int64Type>() {
        into.extend(ids.values().iter().map(|id| rank_of_int(*id)));
        return Ok(());
    }
    let ids = text(ids)?;
    into.extend((0..ids.len()).map(|row| rank_of_text(ids.value(row).as_bytes(), prefix)));
    Ok(())
}

/// The sign flipped, so that negative numbers come first.
pub fn rank_of_int(id: i64) -> u64 {
    id.cast_unsigned() ^ (1 << 63)
}

fn rank_of_text(id: &[u8], prefix: &[u8]) -> u64 {
    match id.strip_prefix(prefix) {
        Some(rest) => {
            let mut bytes = [0; 8];
            let length = rest.len().min(8);
            bytes[..length].copy_from_slice(&rest[..length]);
            u64::from_be_bytes(bytes)
        }
        None if id < prefix => 0,
        None => u64::MAX,
    }
}

/// The bytes of an id that is text; none of a number.
fn bytes(ids: &ArrayRef, row: usize) -> &[u8] {
    ids.as_string_opt::<i32>().map_or(&[], |ids| ids.value(row).as_bytes())
}

fn common_prefix(sampled: &[ArrayRef]) -> Vec<u8> {
    let texts = || {
        let arrays = sampled.iter().filter_map(|ids| ids.as_string_opt::<i32>());
        arrays.flat_map(|ids| (0..ids.len()).map(|row| ids.value(row).as_bytes()))
    };
    let Some(first) = texts().next() else { return Vec::new() };
    let same = |id: &[u8]| first.iter().zip(id).take_while(|(a, b)| a == b).count();
    let length = texts().map(same).min().unwrap_or(0);
    first[..length].to_vec()
}

/// A column that must have values.
///
/// # Errors
/// It has none.
pub fn column(chunk: &Chunk, index: usize) -> Result<&ArrayRef> {
    chunk.columns.get(index).and_then(Option::as_ref).filter(|c| c.null_count() == 0).ok_or_else(
        || DataFusionError::Internal(format!("column {index} of accepted orders has nulls")),
    )
}

/// Ids as they are compared: bigint, or text of one kind.
///
/// # Errors
/// A type that cannot be cast to text.
pub fn ids(column: &ArrayRef) -> Result<ArrayRef> {
    match column.data_type() {
        DataType::Int64 | DataType::Utf8 => Ok(Arc::clone(column)),
        _ => Ok(cast(column, &DataType::Utf8)?),
    }
}

/// Ids that are text.
///
/// # Errors
/// They are not.
pub fn text(ids: &ArrayRef) -> Result<&StringArray> {
    ids.as_string_opt::<i32>().ok_or_else(|| {
        DataFusionError::Internal(format!("{} is not the type of an id", ids.data_type()))
    })
}

/// Deals chunks into slots: partition by partition, and in each the ranges.
///
/// # Errors
/// A chunk does not have the columns of the schema.
pub fn deal(
    chunks: Vec<Chunk>,
    schema: &SchemaRef,
    customer: usize,
    partitions: usize,
) -> Result<(Vec<Dealt>, Ranges)> {
    let ranges = Ranges::of(&chunks, customer, partitions)?;
    let groups = groups(chunks);
    let count = groups.len();
    let waiting = Mutex::new(groups.into_iter().enumerate());
    let work = || {
        let mut dealt = Vec::new();
        loop {
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((place, group)) = next else { return Ok::<_, DataFusionError>(dealt) };
            dealt.push((place, deal_group(&group, schema, customer, partitions, &ranges)?));
        }
    };
    let mut all = std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..partitions.min(count)).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::with_capacity(count);
        for thread in threads {
            let dealt = thread.join().map_err(|_| {
                DataFusionError::Internal("a thread that deals rows has stopped".into())
            })?;
            all.extend(dealt?);
        }
        Ok::<_, DataFusionError>(all)
    })?;
    all.sort_by_key(|(place, _)| *place);
    Ok((all.into_iter().map(|(_, dealt)| dealt).collect(), ranges))
}

/// Chunks that are dealt together.
fn groups(chunks: Vec<Chunk>) -> Vec<Vec<Chunk>> {
    let mut groups: Vec<Vec<Chunk>> = Vec::new();
    let mut rows = DEAL_ROWS;
    for chunk in chunks.into_iter().filter(|chunk| chunk.rows > 0) {
        if rows >= DEAL_ROWS {
            groups.push(Vec::new());
            rows = 0;
        }
        rows += chunk.rows;
        if let Some(group) = groups.last_mut() {
            group.push(chunk);
        }
    }
    groups
}

fn deal_group(
    group: &[Chunk],
    schema: &SchemaRef,
    customer: usize,
    partitions: usize,
    ranges: &Ranges,
) -> Result<Dealt> {
    let mut slots: Vec<Vec<u32>> = Vec::with_capacity(group.len());
    let mut starts = vec![0_usize; partitions * ranges.count() + 1];
    let mut parts = Vec::new();
    for chunk in group {
        let customers = column(chunk, customer)?;
        self::partitions(customers, partitions, &mut parts)?;
        let mut of_rows = Vec::with_capacity(chunk.rows);
        if ranges.count() == 1 {
            of_rows.extend(parts.iter().map(|part| narrow(*part)));
        } else {
            let count = narrow(ranges.count() as u64);
            let of_each = ranges.of_each(customers)?;
            of_rows.extend(
                parts.iter().zip(of_each).map(|(part, range)| narrow(*part) * count + range),
            );
        }
        for slot in &of_rows {
            starts[*slot as usize + 1] += 1;
        }
        slots.push(of_rows);
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
    let mut columns = Vec::with_capacity(schema.fields().len());
    for (index, field) in schema.fields().iter().enumerate() {
        let sources: Vec<_> = group.iter().map(|chunk| chunk.columns[index].clone()).collect();
        let filled = filled(&sources, group.iter().map(|chunk| chunk.rows), field.data_type());
        columns.push(filled.map(|sources| gather(&sources, &from)).transpose()?);
    }
    Ok(Dealt { chunk: Chunk { columns, rows: from.len() }, starts })
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The same column of several chunks, with nulls where a chunk has none; none
/// where no chunk has it.
pub fn filled(
    sources: &[Option<ArrayRef>],
    rows: impl Iterator<Item = usize>,
    kind: &DataType,
) -> Option<Vec<ArrayRef>> {
    sources.iter().any(Option::is_some).then(|| {
        let sources = sources.iter().zip(rows);
        let fill = |(source, rows): (&Option<ArrayRef>, usize)| {
            source.clone().unwrap_or_else(|| new_null_array(kind, rows))
        };
        sources.map(fill).collect()
    })
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
