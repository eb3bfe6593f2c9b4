//! The types a column can have, as headers and sources write them.
//!
//! They are logical: `text` is Utf8 or Utf8View as the engine likes, `id` is
//! bigint or text as the source maps it.

use std::fmt;

use arrow::datatypes::{DataType, TimeUnit};

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// An identifier: bigint or text, decided when the source is opened.
    Id,
    /// Unicode text.
    Text,
    /// 64-bit signed integer.
    Bigint,
    /// 64-bit floating point.
    Double,
    /// True or false.
    Boolean,
    /// Calendar day.
    Date,
    /// Microseconds, UTC, without a zone.
    Timestamp,
    /// Exact decimal: precision and scale.
    Decimal(u8, i8),
}

/// Money: up to 10^16 units, with cents.
pub const MONEY: ColumnType = ColumnType::Decimal(18, 2);

impl ColumnType {
    /// Reads a type as written in a header, such as `decimal(18,2)`.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "id" => Self::Id,
            "text" => Self::Text,
            "bigint" => Self::Bigint,
            "double" => Self::Double,
            "boolean" => Self::Boolean,
            "date" => Self::Date,
            "timestamp" => Self::Timestamp,
            _ => {
                let inner = text.strip_prefix("decimal(")?.strip_suffix(')')?;
                let (precision, scale) = inner.split_once(',')?;
                Self::Decimal(precision.trim().parse().ok()?, scale.trim().parse().ok()?)
            }
        })
    }

    /// Whether a planned column has this type.
    pub fn accepts(self, planned: &DataType) -> bool {
        match self {
            Self::Id => Self::Text.accepts(planned) || *planned == DataType::Int64,
            Self::Text => {
                matches!(planned, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8)
            }
            Self::Timestamp => matches!(planned, DataType::Timestamp(_, None)),
            other => *planned == other.arrow(IdType::Text),
        }
    }

    /// The Arrow type in which such a column is stored and published.
    pub fn arrow(self, id: IdType) -> DataType {
        match self {
            Self::Id => match id {
                IdType::Bigint => DataType::Int64,
                IdType::Text => DataType::Utf8,
            },
            Self::Text => DataType::Utf8,
            Self::Bigint => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Decimal(precision, scale) => DataType::Decimal128(precision, scale),
        }
    }

    /// The name of a planned type, as a header would write it.
    pub fn describe(planned: &DataType) -> String {
        match planned {
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "text".into(),
            DataType::Int64 => "bigint".into(),
            DataType::Float64 => "double".into(),
            DataType::Boolean => "boolean".into(),
            DataType::Date32 => "date".into(),
            DataType::Timestamp(_, None) => "timestamp".into(),
            DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id => f.write_str("id"),
            other => f.write_str(&Self::describe(&other.arrow(IdType::Text))),
        }
    }
}

/// What the ids of a project are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdType {
    /// 64-bit integers.
    Bigint,
    /// Text.
    Text,
}
