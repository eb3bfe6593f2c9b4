//! Makes a synthetic order history whose truth is known: for demonstrations,
//! for benchmarks, and for tests that ask whether a fitted model finds the
//! parameters the data were made with.
//!
//! It is not a model of any real shop and reads no data. Nor is it fitted to
//! anything at run time: every number stands in this folder and again in
//! `truth.json`, beside the history.
//!
//! ```text
//! DIR/orders/orders-YYYY-MM.parquet   one file a calendar month
//! DIR/customers.parquet               one row a customer
//! DIR/truth.json                      every parameter of the population
//! DIR/truth.parquet                   what each customer really was
//! ```
//!
//! Same options, same bytes, on any machine. So the draws have their own
//! sampler (`draw`), a customer's life depends on the seed and the customer's
//! number alone, and nothing here asks the clock.

mod calendar;
mod draw;
mod history;
mod options;
mod tables;
#[cfg(test)]
mod tests;
mod truth;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

pub use self::options::{IdType, Options, Process, Spend, UnknownChoice};

use self::calendar::{Calendar, Month};
use self::history::{Author, Customer, Kind, Row};

/// Rows a history may have. A row takes 40 bytes while the history is made,
/// up to twice that while the list of a month grows, so this is 20 to 40 GB.
const ROWS_MAX: usize = 500_000_000;

/// Writes the history that `options` describe into the folder `dir`.
///
/// The whole history is held in memory, because order numbers follow time
/// across all customers; it is sorted, written and let go month by month.
///
/// # Errors
/// Options that cannot be met, leftovers of another history in `dir`, or a
/// file that cannot be written; files that were written before it stay.
pub fn generate(options: &Options, dir: &Path) -> Result<Summary, GenerateError> {
    let calendar = options.calendar()?;
    let orders_dir = dir.join("orders");
    prepare(&orders_dir, &calendar.months)?;

    let (months, customers) = live(options, &calendar)?;
    let summary = Summary::of(&calendar, &months, &customers);
    write_orders(&orders_dir, options, &calendar, months)?;
    tables::write_customers(&dir.join("customers.parquet"), options, &calendar, &customers)?;
    tables::write_truth(&dir.join("truth.parquet"), options, &calendar, &customers)?;
    truth::write(&dir.join("truth.json"), options, &calendar, &summary)?;
    Ok(summary)
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Customers who joined, whether or not they have dropped out since.
    pub customers: u64,
    /// Customers who have not dropped out when the history ends.
    pub customers_alive: u64,
    /// Rows in the order files that are sales.
    pub sales: u64,
    /// Rows in the order files that give back a sale, in full or in part.
    pub refunds: u64,
    /// First day of the history.
    pub start: NaiveDate,
    /// First day after the history.
    pub end: NaiveDate,
    /// Files of orders, one a calendar month.
    pub order_files: usize,
}

impl Summary {
    fn of(calendar: &Calendar, months: &[Vec<Row>], customers: &[Customer]) -> Self {
        let rows = || months.iter().flatten();
        let refunds = rows().filter(|row| row.kind == Kind::Refund).count();
        Self {
            customers: customers.len() as u64,
            customers_alive: customers.iter().filter(|c| c.dead_s.is_none()).count() as u64,
            sales: (rows().count() - refunds) as u64,
            refunds: refunds as u64,
            start: calendar.start,
            end: calendar.end,
            order_files: months.len(),
        }
    }
}

/// Why no history was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// Some options cannot be met; nothing was written.
    #[error("cannot generate an order history: {}", problems.join("; "))]
    InvalidOptions {
        /// One sentence for each option: what it is and what it must be.
        problems: Vec<String>,
    },
    /// The folder of orders holds what this history does not write.
    #[error(
        "{} is not part of this history and would be read together with it; \
         remove it or generate into another folder",
        path.display()
    )]
    Leftover {
        /// The first such file or folder, by name.
        path: PathBuf,
    },
    /// The options ask for more than fits into memory; no rows were written.
    #[error(
        "the history grows beyond {rows_max} rows, which is more than is kept in memory; \
         ask for fewer customers or months"
    )]
    TooManyRows {
        /// Rows a history may have.
        rows_max: usize,
    },
    /// A folder cannot be made or listed, or a file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A file was opened, and its rows could not be encoded or written.
    #[error("cannot write {} as Parquet", path.display())]
    Parquet {
        /// The file, which is not whole.
        path: PathBuf,
        /// What the Parquet writer says.
        source: parquet::errors::ParquetError,
    },
}

/// Lives of all customers, told in order of their number and sorted into the
/// calendar's months.
fn live(
    options: &Options,
    calendar: &Calendar,
) -> Result<(Vec<Vec<Row>>, Vec<Customer>), GenerateError> {
    let author = Author::new(options, calendar);
    let mut months = vec![Vec::new(); calendar.months.len()];
    let mut customers = Vec::new();
    let mut life = Vec::new();
    let mut rows = 0;
    for number in 0..author.customers() {
        life.clear();
        customers.push(author.tell(number, &mut life));
        rows += life.len();
        if rows > ROWS_MAX {
            return Err(GenerateError::TooManyRows { rows_max: ROWS_MAX });
        }
        for row in life.drain(..) {
            months[calendar.month_index(row.at_s)].push(row);
        }
    }
    Ok((months, customers))
}

/// Hands out order numbers by time, then customer, and writes month by month.
fn write_orders(
    dir: &Path,
    options: &Options,
    calendar: &Calendar,
    months: Vec<Vec<Row>>,
) -> Result<(), GenerateError> {
    let mut next_order_id = 1;
    for (month, mut rows) in calendar.months.iter().zip(months) {
        // Stable: of a customer's rows in the same second the sale that was
        // told first stays first.
        rows.sort_by_key(|row| (row.at_s, row.customer));
        let path = dir.join(file_name(month));
        tables::write_orders(&path, options, calendar, month, next_order_id, &rows)?;
        next_order_id += rows.len() as i64;
    }
    Ok(())
}

/// Makes the folder, and refuses one that holds files of another history: a
/// reader of `orders/*.parquet` would take both for one.
fn prepare(orders_dir: &Path, months: &[Month]) -> Result<(), GenerateError> {
    let failed = |source| GenerateError::Write { path: orders_dir.to_owned(), source };
    fs::create_dir_all(orders_dir).map_err(failed)?;
    let ours: BTreeSet<String> = months.iter().map(file_name).collect();
    let mut leftovers = BTreeSet::new();
    for entry in fs::read_dir(orders_dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().to_str().is_some_and(|name| ours.contains(name)) {
            leftovers.insert(entry.path());
        }
    }
    match leftovers.pop_first() {
        Some(path) => Err(GenerateError::Leftover { path }),
        None => Ok(()),
    }
}

fn file_name(month: &Month) -> String {
    format!("orders-{}.parquet", month.first.format("%Y-%m"))
}
