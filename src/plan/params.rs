//! Parameters: typed values that stand in for `$name` in the SQL.
//!
//! A placeholder becomes a typed literal in the parsed statement, before
//! planning: time zones and casts want literals there, constants fold, and no
//! text is ever pasted into SQL.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use arrow::array::timezone::Tz;
use chrono::NaiveDate;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, Value, ValueWithSpan,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::bounds::Bounds;

/// The type of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParamType {
    /// Any text.
    Text,
    /// A whole number.
    Int,
    /// An exact decimal with up to six places.
    Decimal,
    /// A day, `YYYY-MM-DD`.
    Date,
    /// `true` or `false`.
    Boolean,
    /// `[int]`, `[text]` …
    List(Box<ParamType>),
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ParamValue {
    /// Not set, where the default says so.
    Null,
    /// A text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// Digits as written, checked to be a decimal.
    Decimal(String),
    /// A day.
    Date(NaiveDate),
    /// A truth value.
    Boolean(bool),
    /// Values of one type.
    List(Vec<ParamValue>),
}

/// A declared parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Its type.
    pub kind: ParamType,
    /// Its value when nobody gives one; none means that a run must.
    pub default: Option<ParamValue>,
    /// Whether it may be left without a value: where the project's default is none.
    pub is_nullable: bool,
    /// The values it may take; empty means any of its type.
    pub one_of: Vec<ParamValue>,
    /// What a number may be.
    pub bounds: Bounds,
    /// Whether its text names a time zone.
    pub is_zone: bool,
    /// What it means.
    pub doc: Option<String>,
}

impl Param {
    /// Reads a value as the parameter takes it; `null` where it may be left without.
    ///
    /// # Errors
    /// The reason, to follow the name of the parameter.
    pub fn accept(&self, text: &str) -> Result<ParamValue, String> {
        if text == "null" && self.is_nullable {
            return Ok(ParamValue::Null);
        }
        let value = self.kind.value(text)?;
        self.check(&value)?;
        Ok(value)
    }

    /// Null, if it may be left without a value: where it is so by default. Models
    /// are made for that, or not.
    ///
    /// # Errors
    /// The reason, to follow the name of the parameter.
    pub fn accept_null(&self) -> Result<ParamValue, String> {
        match &self.default {
            _ if self.is_nullable => Ok(ParamValue::Null),
            Some(default) => Err(format!("null is no value it takes; its default is {default}")),
            None => Err("null is no value it takes".into()),
        }
    }

    /// Whether it takes a value of its type; one that is not set is no value.
    ///
    /// # Errors
    /// The reason, to follow the name of the parameter.
    pub fn check(&self, value: &ParamValue) -> Result<(), String> {
        if *value != ParamValue::Null && !self.one_of.is_empty() && !self.one_of.contains(value) {
            let allowed: Vec<String> = self.one_of.iter().map(ToString::to_string).collect();
            return Err(format!("`{value}` is not one of {}", allowed.join(", ")));
        }
        match value {
            ParamValue::Text(name) if self.is_zone && Tz::from_str(name).is_err() => {
                Err(format!("`{name}` is no time zone such as Europe/Berlin or +02:00"))
            }
            _ => self.bounds.hold(value),
        }
    }
}

/// Parameters by name.
pub type Params = BTreeMap<String, Param>;
/// The values of one run by name.
pub type Values = BTreeMap<String, ParamValue>;

/// Decimal parameters are `decimal(20,6)` whatever their digits, so that the
/// type of a formula does not depend on the value of a parameter.
const DECIMAL: (u64, i64) = (20, 6);

impl ParamType {
    /// Reads a type as written in YAML, such as `[int]`.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "text" => Self::Text,
            "int" => Self::Int,
            "decimal" => Self::Decimal,
            "date" => Self::Date,
            "boolean" => Self::Boolean,
            _ => {
                let inner = text.strip_prefix('[')?.strip_suffix(']')?;
                Self::List(Box::new(Self::parse(inner).filter(|inner| {
                    // A list of lists has no use in a query.
                    !matches!(inner, Self::List(_))
                })?))
            }
        })
    }

    /// Reads a value as written on the command line or in YAML; lists are
    /// comma separated.
    ///
    /// # Errors
    /// The reason, to follow `because`.
    pub fn value(&self, text: &str) -> Result<ParamValue, String> {
        let text = text.trim();
        match self {
            Self::Text => Ok(ParamValue::Text(text.into())),
            Self::Int => match text.parse() {
                Ok(number) => Ok(ParamValue::Int(number)),
                Err(_) => Err(format!("`{text}` is not a whole number")),
            },
            Self::Decimal => decimal(text),
            Self::Date => match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
                Ok(date) if text.len() == 10 => Ok(ParamValue::Date(date)),
                _ => Err(format!("`{text}` is not a day of the form YYYY-MM-DD")),
            },
            Self::Boolean => match text {
                "true" => Ok(ParamValue::Boolean(true)),
                "false" => Ok(ParamValue::Boolean(false)),
                _ => Err(format!("`{text}` is neither true nor false")),
            },
            Self::List(inner) => {
                let text = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
                let items = text.split(',').filter(|item| !item.trim().is_empty());
                let items: Result<Vec<_>, _> = items.map(|item| inner.value(item)).collect();
                match items? {
                    items if items.is_empty() => Err("the list is empty".into()),
                    items => Ok(ParamValue::List(items)),
                }
            }
        }
    }

    /// A value of the type, for planning where none is given.
    pub fn sample(&self) -> ParamValue {
        match self {
            Self::Text => ParamValue::Text("sample".into()),
            Self::Int => ParamValue::Int(1),
            Self::Decimal => ParamValue::Decimal("1".into()),
            Self::Date => ParamValue::Date(NaiveDate::default()),
            Self::Boolean => ParamValue::Boolean(true),
            Self::List(inner) => ParamValue::List(vec![inner.sample()]),
        }
    }

    /// The typed literal that takes the place of a placeholder.
    pub fn literal(&self, value: &ParamValue) -> Expr {
        match value {
            ParamValue::Null => cast(plain(Value::Null), self.sql_type()),
            ParamValue::Text(text) => plain(Value::SingleQuotedString(text.clone())),
            ParamValue::Int(number) => {
                cast(plain(Value::Number(number.to_string(), false)), DataType::BigInt(None))
            }
            ParamValue::Decimal(digits) => {
                cast(plain(Value::SingleQuotedString(digits.clone())), self.sql_type())
            }
            ParamValue::Date(date) => {
                cast(plain(Value::SingleQuotedString(date.to_string())), DataType::Date)
            }
            ParamValue::Boolean(truth) => plain(Value::Boolean(*truth)),
            ParamValue::List(items) => {
                let inner = if let Self::List(inner) = self { inner } else { self };
                let elem = items.iter().map(|item| inner.literal(item)).collect();
                Expr::Array(datafusion::sql::sqlparser::ast::Array { elem, named: false })
            }
        }
    }

    fn sql_type(&self) -> DataType {
        match self {
            Self::Text => DataType::Varchar(None),
            Self::Int => DataType::BigInt(None),
            Self::Decimal => {
                DataType::Decimal(ExactNumberInfo::PrecisionAndScale(DECIMAL.0, DECIMAL.1))
            }
            Self::Date => DataType::Date,
            Self::Boolean => DataType::Boolean,
            Self::List(inner) => inner.sql_type(),
        }
    }
}

fn decimal(text: &str) -> Result<ParamValue, String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return Err(format!("`{text}` is not a decimal number such as 0.25"));
    }
    if whole.len() > 14 || fraction.len() > 6 {
        return Err(format!("`{text}` has more than 14 digits before or 6 after the point"));
    }
    Ok(ParamValue::Decimal(text.into()))
}

fn plain(value: Value) -> Expr {
    Expr::Value(ValueWithSpan { value, span: Span::empty() })
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

impl fmt::Display for ParamType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Int => f.write_str("int"),
            Self::Decimal => f.write_str("decimal"),
            Self::Date => f.write_str("date"),
            Self::Boolean => f.write_str("boolean"),
            Self::List(inner) => write!(f, "[{inner}]"),
        }
    }
}

impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Text(text) | Self::Decimal(text) => f.write_str(text),
            Self::Int(number) => write!(f, "{number}"),
            Self::Date(date) => write!(f, "{date}"),
            Self::Boolean(truth) => write!(f, "{truth}"),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
        }
    }
}
