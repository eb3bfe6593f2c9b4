//! Statistics of a data file for its add action, from its Parquet footer.
//!
//! A bound that JSON cannot carry exactly is left out: readers skip files by
//! it. Decimals are numbers there, so those of more than fifteen digits go
//! without, and booleans have none in Delta.

use chrono::{DateTime, Duration, NaiveDate};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use object_store::ObjectMeta;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use serde_json::{Map, Number, Value, json};

use crate::storage::Location;

use super::super::error::Error;
use super::super::manifest::{Column, DataFile};

/// Largest absolute value of a decimal, unscaled, that fifteen digits hold.
const DECIMAL_MAX: u64 = 999_999_999_999_999;

/// The statistics of `file`, as the JSON text an add action has.
///
/// # Errors
/// The file is gone, or is no Parquet file.
pub(super) async fn of(
    location: &Location,
    file: &DataFile,
    columns: &[Column],
) -> Result<String, Error> {
    let meta = ObjectMeta {
        location: location.path(&file.path),
        last_modified: DateTime::UNIX_EPOCH,
        size: file.bytes,
        e_tag: None,
        version: None,
    };
    let footer = DFParquetMetadata::new(location.store().as_ref(), &meta).fetch_metadata().await;
    let footer = footer.map_err(|error| Error::DeltaLog {
        what: "a published file cannot be read for its statistics".into(),
        place: location.shown(&file.path),
        cause: error.strip_backtrace(),
        help: "run again; does anything else delete below `_tenure/`?".into(),
    })?;
    Ok(stats(&footer, file.rows, columns).to_string())
}

fn stats(footer: &ParquetMetaData, rows: u64, columns: &[Column]) -> Value {
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    for column in columns {
        let Some(found) = bounds(footer, column) else { continue };
        nulls.insert(column.name.clone(), found.nulls.into());
        if let Some((low, high)) = found.bounds {
            min.insert(column.name.clone(), low);
            max.insert(column.name.clone(), high);
        }
    }
    json!({ "numRecords": rows, "minValues": min, "maxValues": max, "nullCount": nulls })
}

struct Bounds {
    nulls: u64,
    bounds: Option<(Value, Value)>,
}

/// Over all row groups; None if one of them does not count its nulls.
fn bounds(footer: &ParquetMetaData, column: &Column) -> Option<Bounds> {
    let schema = footer.file_metadata().schema_descr();
    let leaf = schema.columns().iter().position(|leaf| leaf.name() == column.name)?;
    let mut nulls = 0;
    let mut low: Option<Bound> = None;
    let mut high: Option<Bound> = None;
    let mut is_bounded = true;
    for group in footer.row_groups() {
        let chunk = group.column(leaf).statistics()?;
        let missing = chunk.null_count_opt()?;
        nulls += missing;
        if missing == u64::try_from(group.num_rows()).ok()? {
            continue;
        }
        match Bound::both(chunk) {
            Some((min, max)) => {
                low = Some(low.map_or(min.clone(), |low| low.lesser(min.clone())));
                high = Some(high.map_or(max.clone(), |high| high.greater(max.clone())));
            }
            None => is_bounded = false,
        }
    }
    let shown = |bound: Option<Bound>| bound?.shown(&column.type_name);
    let both = shown(low).zip(shown(high));
    Some(Bounds { nulls, bounds: both.filter(|_| is_bounded) })
}

#[derive(Clone, Debug, PartialEq, PartialOrd)]
enum Bound {
    Whole(i64),
    Real(f64),
    Text(String),
}

impl Bound {
    fn both(statistics: &Statistics) -> Option<(Self, Self)> {
        Some(match statistics {
            Statistics::Int32(both) => {
                (Self::Whole(i64::from(*both.min_opt()?)), Self::Whole(i64::from(*both.max_opt()?)))
            }
            Statistics::Int64(both) => {
                (Self::Whole(*both.min_opt()?), Self::Whole(*both.max_opt()?))
            }
            Statistics::Double(both) => {
                (Self::Real(*both.min_opt()?), Self::Real(*both.max_opt()?))
            }
            Statistics::ByteArray(both) => {
                let text = |bytes: &[u8]| Some(Self::Text(str::from_utf8(bytes).ok()?.to_owned()));
                (text(both.min_opt()?.data())?, text(both.max_opt()?.data())?)
            }
            _ => return None,
        })
    }

    fn lesser(self, other: Self) -> Self {
        if other < self { other } else { self }
    }

    fn greater(self, other: Self) -> Self {
        if other > self { other } else { self }
    }

    fn shown(self, type_name: &str) -> Option<Value> {
        match (self, type_name) {
            (Self::Text(text), "text") => Some(text.into()),
            (Self::Real(number), "double") => Number::from_f64(number).map(Value::Number),
            (Self::Whole(number), "bigint") => Some(number.into()),
            (Self::Whole(days), "date") => {
                let date = NaiveDate::default().checked_add_signed(Duration::try_days(days)?)?;
                Some(date.to_string().into())
            }
            (Self::Whole(micros), "timestamp") => {
                let time = DateTime::from_timestamp_micros(micros)?;
                Some(time.format("%Y-%m-%dT%H:%M:%S%.6f").to_string().into())
            }
            (Self::Whole(unscaled), decimal) => {
                let scale = decimal.strip_prefix("decimal(")?.strip_suffix(')')?;
                let scale: i32 = scale.split_once(',')?.1.trim().parse().ok()?;
                if unscaled.unsigned_abs() > DECIMAL_MAX {
                    return None;
                }
                #[allow(clippy::cast_precision_loss, reason = "fifteen digits fit")]
                let number = unscaled as f64 / 10f64.powi(scale);
                Number::from_f64(number).map(Value::Number)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_exact_or_left_out() {
        let shown = |bound: Bound, type_name| bound.shown(type_name).map(|value| value.to_string());
        for (bound, type_name, expected) in [
            (Bound::Whole(123_456), "decimal(18,2)", Some("1234.56")),
            (Bound::Whole(-5), "decimal(18,2)", Some("-0.05")),
            (Bound::Whole(1_000_000_000_000_001), "decimal(18,2)", None),
            (Bound::Whole(20_454), "date", Some("\"2026-01-01\"")),
            (Bound::Whole(-1), "timestamp", Some("\"1969-12-31T23:59:59.999999\"")),
            (Bound::Whole(i64::MAX), "bigint", Some("9223372036854775807")),
            (Bound::Real(f64::INFINITY), "double", None),
            (Bound::Text("é".into()), "text", Some("\"é\"")),
            (Bound::Whole(1), "boolean", None),
        ] {
            assert_eq!(shown(bound, type_name).as_deref(), expected);
        }
    }
}
