//! Columns by which dealt rows are compared, as they lie: the more steps a value
//! is above the least, the greater it is.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Int64Type, TimeUnit, TimestampMicrosecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::error::{DataFusionError, Result};

use super::spread::{ids, rank_of_int, text};

/// A column in all chunks.
#[derive(Debug)]
pub enum Compared {
    /// All values are alike.
    Alike,
    /// Numbers, or yes and no.
    Numbers(Vec<ArrayRef>),
    /// Texts.
    Texts(Vec<StringArray>),
}

impl Compared {
    /// A column, of whose chunks each has the same type; none where all values are
    /// alike.
    ///
    /// # Errors
    /// A value is null, or of a type by which rows are not compared.
    pub fn of(chunks: Option<&[ArrayRef]>) -> Result<Self> {
        let Some(chunks) = chunks else { return Ok(Self::Alike) };
        if chunks.iter().any(|chunk| chunk.null_count() > 0) {
            return Err(DataFusionError::Internal("accepted orders lack what they have".into()));
        }
        match chunks.first().map_or(&DataType::Boolean, |chunk| chunk.data_type()) {
            DataType::Utf8 | DataType::Utf8View => {
                let texts = chunks.iter().map(|chunk| Ok(text(&ids(chunk)?)?.clone()));
                Ok(Self::Texts(texts.collect::<Result<_>>()?))
            }
            DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64
            | DataType::Int64
            | DataType::Timestamp(TimeUnit::Microsecond, _)
            | DataType::Boolean => Ok(Self::Numbers(chunks.to_vec())),
            kind => Err(DataFusionError::Internal(format!("rows are not compared by a {kind}"))),
        }
    }

    /// Which of two rows, told by chunk and place, comes first.
    pub fn compare(&self, a: (usize, usize), b: (usize, usize)) -> Ordering {
        match self {
            Self::Alike => Ordering::Equal,
            Self::Numbers(chunks) => rank(&chunks[a.0], a.1).cmp(&rank(&chunks[b.0], b.1)),
            Self::Texts(chunks) => chunks[a.0].value(a.1).cmp(chunks[b.0].value(b.1)),
        }
    }

    /// Numbers in the order of the values in some rows of a chunk; of texts, what is
    /// to be settled.
    pub fn ranks<'a>(
        &'a self,
        chunk: usize,
        rows: Range<usize>,
        texts: &mut Ranks<'a>,
        into: &mut Vec<u64>,
    ) {
        match self {
            Self::Alike => into.extend(rows.map(|_| 0)),
            Self::Numbers(chunks) => ranks(&chunks[chunk], rows, into),
            Self::Texts(chunks) => into.extend(rows.map(|row| texts.of(chunks[chunk].value(row)))),
        }
    }
}

/// Does something with a column of numbers, and what makes one a rank.
macro_rules! by_rank {
    ($column:expr, $do:ident($($argument:expr),*), else $other:expr) => {
        match $column.data_type() {
            DataType::UInt8 => $do::<UInt8Type>($column, u64::from, $($argument),*),
            DataType::UInt16 => $do::<UInt16Type>($column, u64::from, $($argument),*),
            DataType::UInt32 => $do::<UInt32Type>($column, u64::from, $($argument),*),
            DataType::UInt64 => $do::<UInt64Type>($column, u64::from, $($argument),*),
            DataType::Int64 => $do::<Int64Type>($column, rank_of_int, $($argument),*),
            DataType::Timestamp(..) => {
                $do::<TimestampMicrosecondType>($column, rank_of_int, $($argument),*)
            }
            _ => $other,
        }
    };
}

fn rank(column: &ArrayRef, row: usize) -> u64 {
    by_rank!(column, rank_of(row), else u64::from(column.as_boolean().value(row)))
}

fn rank_of<Kind: ArrowPrimitiveType>(
    column: &ArrayRef,
    rank: impl Fn(Kind::Native) -> u64,
    row: usize,
) -> u64 {
    rank(column.as_primitive::<Kind>().value(row))
}

fn ranks(column: &ArrayRef, rows: Range<usize>, into: &mut Vec<u64>) {
    let answers = || column.as_boolean();
    by_rank!(
        column,
        ranks_of(rows, into),
        else into.extend(rows.map(|row| u64::from(answers().value(row))))
    );
}

fn ranks_of<Kind: ArrowPrimitiveType>(
    column: &ArrayRef,
    rank: impl Fn(Kind::Native) -> u64,
    rows: Range<usize>,
    into: &mut Vec<u64>,
) {
    let values = &column.as_primitive::<Kind>().values()[rows];
    into.extend(values.iter().map(|value| rank(*value)));
}

/// Ranks of texts: numbers in the order of meeting, settled once all are known.
#[derive(Default)]
pub struct Ranks<'a> {
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
    pub fn settle(self, numbers: &mut [u64]) {
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
