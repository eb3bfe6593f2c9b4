//! Writes what was told as Parquet: the orders like a warehouse's monthly
//! export, the customers, and the truth about each of them. It draws nothing.
//!
//! The bytes depend on the rows alone: fixed batches and row groups, and a
//! footer without version, time or Arrow's own schema.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::GenerateError;
use super::calendar::{Calendar, Month};
use super::history::{Channel, Customer, Kind, Region, Row, Store};
use super::options::{IdType, Options, Process};

/// Rows of a row group and of a batch: 2^17, near the usual 122,880, so that
/// engines find some groups to share out in a month of a large history.
const ROW_GROUP_ROWS: usize = 1 << 17;

/// The one currency of the history.
pub(super) const CURRENCY: &str = "EUR";

/// Campaigns by month of the year; the name ends in the year.
const CAMPAIGNS: [&str; 12] = [
    "winter-sale",
    "valentine",
    "spring-launch",
    "easter",
    "mothers-day",
    "summer-preview",
    "summer-sale",
    "back-to-school",
    "autumn-launch",
    "birthday",
    "black-friday",
    "christmas",
];

type Columns = Vec<(&'static str, ArrayRef, Nulls)>;

/// Whether a column may hold nulls.
#[derive(Clone, Copy, PartialEq)]
enum Nulls {
    Never,
    Allowed,
}

/// Writes the orders of one month, numbered from `first_order_id`.
pub(super) fn write_orders(
    path: &Path,
    options: &Options,
    calendar: &Calendar,
    month: &Month,
    first_order_id: i64,
    rows: &[Row],
) -> Result<(), GenerateError> {
    let campaign = format!(
        "{}-{}",
        CAMPAIGNS[chrono::Datelike::month0(&month.first) as usize],
        month.first.format("%Y")
    );
    write(path, rows, |offset, rows| {
        let order_ids = first_order_id + offset as i64..;
        let at = rows.iter().map(|row| calendar.micros(row.at_s));
        let store = |row: &Row| (row.channel == Channel::Store).then(|| row.store.name());
        Ok(vec![
            (
                "order_id",
                Arc::new(order_ids.take(rows.len()).collect::<Int64Array>()),
                Nulls::Never,
            ),
            (
                "customer_id",
                customer_ids(options, rows.iter().map(|row| row.customer)),
                Nulls::Never,
            ),
            ("ordered_at", Arc::new(TimestampMicrosecondArray::from_iter_values(at)), Nulls::Never),
            ("amount", money(rows.iter().map(|row| row.amount_cents))?, Nulls::Never),
            ("kind", text(rows.iter().map(|row| row.kind.name())), Nulls::Never),
            ("channel", text(rows.iter().map(|row| row.channel.name())), Nulls::Never),
            ("store", optional_text(rows.iter().map(store)), Nulls::Allowed),
            (
                "campaign",
                optional_text(rows.iter().map(|row| row.campaign.then_some(campaign.as_str()))),
                Nulls::Allowed,
            ),
            ("currency", text(rows.iter().map(|_| CURRENCY)), Nulls::Never),
            ("discount", money(rows.iter().map(|row| row.discount_cents))?, Nulls::Never),
            ("cost", money(rows.iter().map(|row| row.cost_cents))?, Nulls::Never),
        ])
    })
}

/// Writes what a shop knows about its customers besides their orders.
pub(super) fn write_customers(
    path: &Path,
    options: &Options,
    calendar: &Calendar,
    customers: &[Customer],
) -> Result<(), GenerateError> {
    write(path, customers, |offset, rows| {
        let days = rows.iter().map(|customer| calendar.epoch_day(customer.joined_s));
        let costs = rows.iter().map(|customer| customer.acquisition_cost_cents);
        Ok(vec![
            ("customer_id", customer_ids(options, numbers(offset, rows.len())), Nulls::Never),
            ("acquired_at", Arc::new(Date32Array::from_iter_values(days)), Nulls::Never),
            ("channel", text(rows.iter().map(|customer| customer.acquisition)), Nulls::Never),
            ("acquisition_cost", money(costs)?, Nulls::Never),
            ("region", text(rows.iter().map(|customer| customer.home.region.name())), Nulls::Never),
        ])
    })
}

/// Writes what no shop knows. Of the two dropout columns the one that the
/// other process would have is null.
pub(super) fn write_truth(
    path: &Path,
    options: &Options,
    calendar: &Calendar,
    customers: &[Customer],
) -> Result<(), GenerateError> {
    let by_purchase = matches!(options.process, Process::BgNbd { .. });
    write(path, customers, |offset, rows| {
        let floats = |value: fn(&Customer) -> f64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(rows.iter().map(value)))
        };
        let dropout = |applies: bool| -> ArrayRef {
            let values = rows.iter().map(|customer| applies.then_some(customer.dropout));
            Arc::new(values.collect::<Float64Array>())
        };
        let joined = rows.iter().map(|customer| calendar.micros(customer.joined_s));
        let dead = rows.iter().map(|customer| customer.dead_s.map(|at_s| calendar.micros(at_s)));
        Ok(vec![
            ("customer_id", customer_ids(options, numbers(offset, rows.len())), Nulls::Never),
            (
                "joined_at",
                Arc::new(TimestampMicrosecondArray::from_iter_values(joined)),
                Nulls::Never,
            ),
            ("purchase_rate_per_week", floats(|customer| customer.rate_per_week), Nulls::Never),
            ("dropout_probability", dropout(by_purchase), Nulls::Allowed),
            ("dropout_rate_per_week", dropout(!by_purchase), Nulls::Allowed),
            ("mean_spend", floats(|customer| customer.mean_spend), Nulls::Never),
            ("dead_at", Arc::new(dead.collect::<TimestampMicrosecondArray>()), Nulls::Allowed),
        ])
    })
}

/// Writes rows in slices of a row group; `columns` is told where a slice
/// begins. Without rows the file still has its schema.
fn write<T>(
    path: &Path,
    rows: &[T],
    columns: impl Fn(usize, &[T]) -> Result<Columns, ArrowError>,
) -> Result<(), GenerateError> {
    let batch = |offset, rows: &[T]| {
        let columns = columns(offset, rows)?.into_iter();
        RecordBatch::try_from_iter_with_nullable(
            columns.map(|(name, array, nulls)| (name, array, nulls == Nulls::Allowed)),
        )
    };
    let write_to = |file| -> Result<(), ParquetError> {
        let schema = batch(0, &[])?.schema();
        let mut writer = ArrowWriter::try_new_with_options(file, schema, writer_options()?)?;
        for (slice, rows) in rows.chunks(ROW_GROUP_ROWS).enumerate() {
            writer.write(&batch(slice * ROW_GROUP_ROWS, rows)?)?;
        }
        writer.close().map(drop)
    };
    let file = File::create(path)
        .map_err(|source| GenerateError::Write { path: path.to_owned(), source })?;
    write_to(file).map_err(|source| GenerateError::Parquet { path: path.to_owned(), source })
}

fn writer_options() -> Result<ArrowWriterOptions, ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_created_by("tenure generate".to_owned())
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        // Rising and all different: a dictionary would only cost.
        .set_column_dictionary_enabled("order_id".into(), false)
        .set_column_encoding("order_id".into(), Encoding::DELTA_BINARY_PACKED)
        .set_column_dictionary_enabled("ordered_at".into(), false)
        .set_column_encoding("ordered_at".into(), Encoding::DELTA_BINARY_PACKED)
        .build();
    Ok(ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true))
}

/// Numbers of a slice of customers, who are never more than 32 bits hold.
fn numbers(offset: usize, count: usize) -> impl Iterator<Item = u32> {
    (offset..offset + count).map(|number| number as u32)
}

/// Customers are numbered from 0 inside and called from 1 outside.
fn customer_ids(options: &Options, numbers: impl Iterator<Item = u32>) -> ArrayRef {
    match options.id_type {
        IdType::BigInt => Arc::new(Int64Array::from_iter_values(numbers.map(|n| i64::from(n) + 1))),
        IdType::Text => text(numbers.map(|n| format!("C-{:08}", n + 1))),
    }
}

fn money(cents: impl Iterator<Item = i64>) -> Result<ArrayRef, ArrowError> {
    let array = Decimal128Array::from_iter_values(cents.map(i128::from));
    Ok(Arc::new(array.with_precision_and_scale(18, 2)?))
}

fn text(values: impl Iterator<Item = impl AsRef<str>>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn optional_text(values: impl Iterator<Item = Option<impl AsRef<str>>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sale => "sale",
            Self::Refund => "refund",
        }
    }
}

impl Channel {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::App => "app",
            Self::Store => "store",
            Self::Marketplace => "marketplace",
        }
    }
}

impl Region {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::North => "north",
            Self::West => "west",
            Self::South => "south",
            Self::East => "east",
        }
    }
}

impl Store {
    fn name(self) -> String {
        format!("{}-{}", self.region.name(), self.number)
    }
}
