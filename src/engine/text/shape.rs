//! What the columns of JSON records are: the type that holds every value that a
//! column has in a whole file, as it is written.
//!
//! ```text
//! nothing ─► true, false ─────────────────────────┐
//!        ├─► whole numbers ─► exact decimals ─────┴─► text, as written
//!        ├─► objects, key by key
//!        └─► lists, item by item
//! ```
//!
//! A value and an object have no type in common.

use std::collections::HashMap;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, Fields as ArrowFields, Schema};

/// Keys of one object: more than this are names that are values themselves.
const KEYS_MAX: usize = 4_096;

/// Keys that are looked for one by one; more need an index.
const KEYS_SEARCHED_MAX: usize = 16;

/// What has been seen in a column.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shape {
    kind: Kind,
    /// The first line that made it so.
    line: u64,
}

/// The kinds of values.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Kind {
    /// Null, wherever it was.
    #[default]
    Null,
    /// True or false.
    Boolean,
    /// Numbers.
    Number(Digits),
    /// Texts, or values of which some are texts.
    Text,
    /// Objects.
    Object(Fields),
    /// Lists, and what their items are.
    List(Box<Shape>),
    /// Kinds that have no type in common.
    Clash(Clash),
    /// Whatever it is: nothing is made from it.
    Unread,
}

/// Two kinds that have no type in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clash {
    /// What was first, and the line.
    pub first: (&'static str, u64),
    /// What was another.
    pub other: (&'static str, u64),
}

impl Kind {
    fn noun(&self) -> &'static str {
        match self {
            Self::Null | Self::Clash(_) | Self::Unread => "null",
            Self::Boolean => "true or false",
            Self::Number(_) => "a number",
            Self::Text => "a text",
            Self::Object(_) => "an object",
            Self::List(_) => "a list",
        }
    }
}

impl Shape {
    /// Adds a value that is neither an object nor a list.
    pub fn add(&mut self, kind: Kind, line: u64) {
        self.merge(Self { kind, line });
    }

    /// Adds an object; its keys, where they matter.
    pub fn object(&mut self, line: u64) -> Option<&mut Fields> {
        if !matches!(self.kind, Kind::Object(_)) {
            self.merge(Self { kind: Kind::Object(Fields::default()), line });
        }
        match &mut self.kind {
            Kind::Object(fields) => Some(fields),
            _ => None,
        }
    }

    /// Adds a list; its items, where they matter.
    pub fn list(&mut self, line: u64) -> Option<&mut Self> {
        if !matches!(self.kind, Kind::List(_)) {
            self.merge(Self { kind: Kind::List(Box::default()), line });
        }
        match &mut self.kind {
            Kind::List(items) => Some(items),
            _ => None,
        }
    }

    /// Adds all that was seen elsewhere, further down in the file.
    pub fn merge(&mut self, other: Self) {
        use Kind::{Boolean, Clash as Clashing, List, Null, Number, Object, Text, Unread};
        match (&mut self.kind, other.kind) {
            (Clashing(_) | Unread, _) | (_, Null) | (Text, Text) | (Boolean, Boolean) => {}
            (Null, kind) => *self = Self { kind, line: other.line },
            (_, Unread) => self.kind = Unread,
            (kind, Clashing(clash)) => {
                // Lines further up tell it first.
                let first = (kind.noun(), self.line);
                let other = if clash.first.0 == first.0 { clash.other } else { clash.first };
                self.kind = Clashing(Clash { first, other });
            }
            (Number(digits), Number(more)) => digits.widen(more),
            (Object(fields), Object(more)) => fields.merge(more),
            (List(items), List(more)) => items.merge(*more),
            (Number(_) | Text | Boolean, Number(_) | Text | Boolean) => self.kind = Text,
            (kind, another) => {
                let first = (kind.noun(), self.line);
                self.kind = Clashing(Clash { first, other: (another.noun(), other.line) });
            }
        }
    }

    /// The type of the column; none where there is no such type.
    fn data_type(&self) -> Option<DataType> {
        Some(match &self.kind {
            Kind::Null => DataType::Null,
            Kind::Boolean => DataType::Boolean,
            Kind::Number(digits) => digits.data_type(),
            Kind::Text | Kind::Unread => DataType::Utf8,
            Kind::Object(fields) if fields.are_too_many => return None,
            Kind::Object(fields) => {
                let mut fields: Vec<Field> = fields.fields().collect();
                // In one order, whichever record was first.
                fields.sort_by(|a, b| a.name().cmp(b.name()));
                DataType::Struct(ArrowFields::from(fields))
            }
            Kind::List(items) => DataType::new_list(items.data_type()?, true),
            Kind::Clash(_) => return None,
        })
    }

    /// Tells of every clash below, with its path.
    fn clashes(&self, path: &mut Vec<String>, tell: &mut dyn FnMut(&[String], Clash)) {
        match &self.kind {
            Kind::Clash(clash) => tell(path, *clash),
            Kind::List(items) => items.clashes(path, tell),
            Kind::Object(fields) => {
                for (name, shape) in &fields.shapes {
                    path.push(name.to_string());
                    shape.clashes(path, tell);
                    path.pop();
                }
            }
            _ => {}
        }
    }
}

/// The keys of objects, in the order in which they were seen.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    shapes: Vec<(Box<str>, Shape)>,
    /// Where a key is, if there are many.
    places: HashMap<Box<str>, usize>,
    are_too_many: bool,
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.shapes == other.shapes && self.are_too_many == other.are_too_many
    }
}

impl Fields {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// The values of a key, which is expected at a place; none where they do not
    /// matter.
    pub fn shape(&mut self, key: &str, expected: usize) -> Option<&mut Shape> {
        let place = match self.shapes.get(expected) {
            Some((known, _)) if **known == *key => expected,
            _ => self.place(key)?,
        };
        let shape = &mut self.shapes[place].1;
        (shape.kind != Kind::Unread).then_some(shape)
    }

    /// Keys whose values nothing is made from.
    pub fn ignore(&mut self, is_read: impl Fn(&str) -> bool) {
        for (name, shape) in &mut self.shapes {
            if !is_read(name) {
                shape.kind = Kind::Unread;
            }
        }
    }

    /// Where a key is, or now will be.
    fn place(&mut self, key: &str) -> Option<usize> {
        let known = match self.shapes.len() <= KEYS_SEARCHED_MAX {
            true => self.shapes.iter().position(|(known, _)| **known == *key),
            false => self.places.get(key).copied(),
        };
        if known.is_some() || self.shapes.len() == KEYS_MAX {
            self.are_too_many |= known.is_none();
            return known;
        }
        let place = self.shapes.len();
        self.shapes.push((key.into(), Shape::default()));
        if self.shapes.len() > KEYS_SEARCHED_MAX {
            let indexed = self.places.len();
            let names = self.shapes[indexed..].iter().map(|(name, _)| name.clone());
            self.places.extend(names.zip(indexed..));
        }
        Some(place)
    }

    fn merge(&mut self, other: Self) {
        self.are_too_many |= other.are_too_many;
        for (expected, (key, more)) in other.shapes.into_iter().enumerate() {
            if let Some(shape) = self.shape(&key, expected) {
                shape.merge(more);
            }
        }
    }

    fn fields(&self) -> impl Iterator<Item = Field> {
        self.shapes
            .iter()
            .filter_map(|(name, shape)| Some(Field::new(&**name, shape.data_type()?, true)))
    }
}

/// The columns of a file.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    /// By their names.
    pub fields: Fields,
    /// Records of the file.
    pub records: u64,
}

impl Columns {
    /// Adds the columns of lines further down.
    pub fn merge(&mut self, other: Self) {
        self.records += other.records;
        self.fields.merge(other.fields);
    }

    /// Names and types, without columns that have none.
    pub fn schema(&self) -> Schema {
        Schema::new(self.fields.fields().collect::<Vec<_>>())
    }

    /// Whether there are more keys than can be columns.
    pub fn are_too_many(&self) -> bool {
        self.fields.are_too_many
    }

    /// Every place (keys, outermost first) whose values have no type in common.
    pub fn clashes(&self) -> Vec<(Vec<String>, Clash)> {
        let mut found = Vec::new();
        for (name, shape) in &self.fields.shapes {
            let mut path = vec![name.to_string()];
            shape.clashes(&mut path, &mut |path, clash| found.push((path.to_vec(), clash)));
        }
        found
    }
}

/// How many digits numbers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digits {
    /// Before the point.
    whole: u32,
    /// Behind it.
    scale: u32,
    /// Whether all are whole numbers of 64 bits, written as such.
    are_bigint: bool,
}

/// Digits of a number of 64 bits whatever they are.
const BIGINT_DIGITS: usize = 18;

/// More digits than any type has.
const MANY: u32 = 1_000;

impl Digits {
    /// Those of a number of JSON.
    pub fn of(number: &str) -> Self {
        let digits = number.strip_prefix('-').unwrap_or(number);
        let is_whole = digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_whole && (digits.len() <= BIGINT_DIGITS || number.parse::<i64>().is_ok()) {
            let whole = u32::try_from(digits.len()).unwrap_or(MANY);
            return Self { whole, scale: 0, are_bigint: true };
        }
        let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
        let (whole, behind) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let behind = behind.trim_end_matches('0');
        let whole = whole.trim_start_matches('0');
        if whole.is_empty() && behind.is_empty() {
            return Self { whole: 1, scale: 0, are_bigint: false };
        }
        // What does not fit 64 bits is many in any case.
        let exponent: i64 = exponent.parse().unwrap_or(i64::from(MANY));
        let count = |text: &str, more: i64| {
            let count = i64::try_from(text.len()).unwrap_or(i64::from(MANY)).saturating_add(more);
            u32::try_from(count.clamp(0, i64::from(MANY))).unwrap_or(MANY)
        };
        let (whole, scale) = (count(whole, exponent), count(behind, exponent.saturating_neg()));
        Self { whole: whole.max(1), scale, are_bigint: false }
    }

    fn widen(&mut self, other: Self) {
        self.whole = self.whole.max(other.whole);
        self.scale = self.scale.max(other.scale);
        self.are_bigint &= other.are_bigint;
    }

    /// The type that holds such numbers exactly. There are few of them, so that the
    /// type of a column seldom changes from one day's file to the next.
    fn data_type(self) -> DataType {
        let precision = self.whole + self.scale;
        match (self.whole, self.scale) {
            _ if self.are_bigint => DataType::Int64,
            (..=16, ..=2) => DataType::Decimal128(18, 2),
            (..=18, ..=6) => DataType::Decimal128(24, 6),
            (..=18, ..=18) => DataType::Decimal128(36, 18),
            (_, scale) if precision <= u32::from(DECIMAL128_MAX_PRECISION) => {
                let scale = i8::try_from(scale).unwrap_or_default();
                DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale)
            }
            // As they are written, for the mapping to say what they are.
            _ => DataType::Utf8,
        }
    }
}
