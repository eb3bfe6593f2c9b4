//! Where a row belongs: the hash partition of its customer, and ranges of ids.
//!
//! The partitions are the planner's own (`RepartitionExec`): the planner takes
//! any two hash layouts of equal width for compatible, and another hash
//! function would silently lose rows in joins.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::hash_utils::create_hashes;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::repartition::REPARTITION_RANDOM_STATE;

/// Ids looked at for each range, so that the ranges come out even.
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

/// Ranges of ids.
#[derive(Debug)]
pub struct Ranges {
    /// What all ids that were looked at begin with, if they are text.
    prefix: Vec<u8>,
    /// The rank with which each range but the first begins.
    ranks: Vec<u64>,
    /// And the id, which tells where ids rank alike. Empty where they are numbers:
    /// their rank tells all.
    ids: Vec<Vec<u8>>,
}

impl Ranges {
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
                return to_u32(range as u64);
            }
            let alike = self.ranks.partition_point(|begin| begin < rank);
            let is_before = |begin: &Vec<u8>| begin.as_slice() <= bytes(&ids, row);
            to_u32((alike + self.ids[alike..range].partition_point(is_before)) as u64)
        };
        let mut of_each: Vec<u32> = ranked.iter().enumerate().map(range).collect();
        if column.null_count() > 0 {
            let last = to_u32(self.ranks.len() as u64);
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

/// A number that is known to be small.
pub fn to_u32(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
