//! Tables as rows of cells: what the oracle expects, what the binary published,
//! and the first place where they differ.

use std::fmt;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{NaiveDate, NaiveDateTime};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::test_runner::TestCaseError;

use super::history::Id;
use crate::project::Project;

/// How null is written.
pub const NULL: &str = "null";

/// What a cell must be.
#[derive(Clone, Debug)]
pub enum Cell {
    /// These very characters.
    Text(String),
    /// A double, to twelve digits: ratios of whole numbers agree exactly, sums
    /// of powers differ in the last bits.
    Double(f64),
    /// These characters, and what an analyst may put behind them.
    Begins(&'static str),
    /// Money that was computed in doubles: one cent may fall either way.
    About(f64),
}

/// Whole cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cents(pub i64);

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&decimal(i128::from(self.0), 2))
    }
}

/// A whole number of the smallest unit as a decimal with `places`.
pub fn decimal(units: i128, places: usize) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", units.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    format!("{sign}{whole}.{fraction}")
}

/// The quotient, rounded to the nearest, halves away from zero.
pub fn divided(numerator: i128, denominator: i128) -> i128 {
    let twice = 2 * numerator.abs() + denominator;
    numerator.signum() * (twice / (2 * denominator))
}

/// A number of things.
pub fn count(items: usize) -> i64 {
    i64::try_from(items).expect("a small number")
}

/// Null, for a column that has no meaning in a row.
pub fn nothing() -> Cell {
    Cell::from(NULL)
}

/// `part / whole`, null where there is no whole.
pub fn rate(part: i64, whole: i64) -> Cell {
    match whole {
        0 => nothing(),
        _ => Cell::Double(part as f64 / whole as f64),
    }
}

macro_rules! shown {
    ($($kind:ty),*) => { $(
        impl From<$kind> for Cell {
            fn from(value: $kind) -> Self {
                Self::Text(value.to_string())
            }
        }
    )* };
}
shown!(&str, String, bool, i64, Cents, NaiveDate, Id);

impl From<NaiveDateTime> for Cell {
    fn from(value: NaiveDateTime) -> Self {
        Self::Text(format!("{value:?}"))
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(nothing, Into::into)
    }
}

impl Cell {
    fn holds(&self, published: &str) -> bool {
        let near = |expected: f64, bound: f64| {
            published.parse::<f64>().is_ok_and(|value| (value - expected).abs() <= bound)
        };
        match self {
            Self::Text(text) => text == published,
            Self::Begins(text) => published.starts_with(text),
            Self::Double(value) => near(*value, 1e-12 * value.abs().max(1e-3)),
            Self::About(value) => near(*value, 0.010_001),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Begins(text) => write!(f, "{text} …"),
            Self::Double(value) => write!(f, "{value:?}"),
            Self::About(value) => write!(f, "about {value:.2}"),
        }
    }
}

/// A table as the oracle expects it, in published order.
#[derive(Debug)]
pub struct Expected {
    /// Its full name.
    pub name: &'static str,
    /// The columns that are compared.
    pub columns: Vec<&'static str>,
    /// Its rows.
    pub rows: Vec<Vec<Cell>>,
}

/// `expected!("metrics.x", rows, |row| { column: value, … })`: a table whose
/// columns stand beside the values they hold.
macro_rules! expected {
    ($name:expr, $rows:expr, |$row:pat_param| { $($column:ident: $value:expr),+ $(,)? }) => {
        $crate::oracle::cells::Expected {
            name: $name,
            columns: vec![$(stringify!($column)),+],
            rows: $rows
                .into_iter()
                .map(|$row| vec![$($crate::oracle::cells::Cell::from($value)),+])
                .collect(),
        }
    };
}
pub(super) use expected;

/// A published table: its columns and its rows.
pub struct Published {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// Reads the Hive folder of a table, as any other engine would.
pub fn published(project: &Project, name: &str, as_of: NaiveDate) -> Published {
    let short = name.rsplit('.').next().expect("a name");
    let pattern = project.path(&format!("out/{short}/as_of={as_of}/*.parquet"));
    let mut table = Published { columns: Vec::new(), rows: Vec::new() };
    for path in glob::glob(&pattern.to_string_lossy()).expect("a pattern") {
        let file = std::fs::File::open(path.expect("a path")).expect("a file");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
        table.columns = reader.schema().fields().iter().map(|field| field.name().clone()).collect();
        let options = FormatOptions::default().with_null(NULL);
        for batch in reader.build().expect("a reader") {
            let batch = batch.expect("rows");
            let cells: Vec<_> = batch
                .columns()
                .iter()
                .map(|column| ArrayFormatter::try_new(column, &options).expect("a formatter"))
                .collect();
            let row = |row| cells.iter().map(|cell| cell.value(row).to_string()).collect();
            table.rows.extend((0..batch.num_rows()).map(row));
        }
    }
    table
}

impl Expected {
    /// Compares with what was published, in order, row by row.
    pub fn compare(&self, published: &Published) -> Result<(), TestCaseError> {
        let fail = |text: String| Err(TestCaseError::fail(format!("{}: {text}", self.name)));
        let place = |column: &&str| published.columns.iter().position(|known| known == column);
        let places: Vec<usize> = match self.columns.iter().map(place).collect() {
            Some(places) => places,
            None => return fail(format!("has columns {:?}", published.columns)),
        };
        for (number, (row, found)) in self.rows.iter().zip(&published.rows).enumerate() {
            let cells = row.iter().zip(&places).zip(&self.columns);
            if let Some(((cell, place), column)) =
                cells.into_iter().find(|((cell, place), _)| !cell.holds(&found[**place]))
            {
                let (row, found) = (shown(row), picked(found, &places));
                return fail(format!(
                    "row {number}, `{column}` must be {cell}\n columns   {}\n expected  {row}\n \
                     published {found} ({place})",
                    self.columns.join(" | "),
                ));
            }
        }
        if self.rows.len() != published.rows.len() {
            let extra = match self.rows.get(published.rows.len()) {
                Some(row) => format!("first missing: {}", shown(row)),
                None => format!("first surplus: {}", published.rows[self.rows.len()].join(" | ")),
            };
            return fail(format!(
                "{} rows, not {}; {extra}",
                published.rows.len(),
                self.rows.len()
            ));
        }
        Ok(())
    }
}

fn shown(row: &[Cell]) -> String {
    row.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
}

fn picked(row: &[String], places: &[usize]) -> String {
    places.iter().map(|place| row[*place].as_str()).collect::<Vec<_>>().join(" | ")
}
