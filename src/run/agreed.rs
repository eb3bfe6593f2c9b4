//! What files of one source have in common: their columns, by name, in types
//! that hold the values of all.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, Schema, SchemaRef, TimeUnit};

use super::instants::is_text;
use super::schema::{FileSchema, IS_INT96};
use super::source::Found;
use crate::plan::sources::{Need, SourceColumn};
use crate::plan::types::ColumnType;
use crate::plan::{FileFormat, SourcePlan};
use crate::problem::Problem;
use crate::storage::Location;

/// One schema for all files: every column of any of them, in a type that holds
/// the values of all. A column that some files lack is null there, unless orders
/// cannot do without it.
///
/// # Errors
/// A column of which no type holds all values, or that is missing; naming both
/// files.
pub fn agree(
    plan: &SourcePlan,
    location: &Location,
    files: &[Found],
    schemas: &[FileSchema],
) -> Result<SchemaRef, Problem> {
    let all = All { plan, location, files, schemas };
    let (fields, told_by) = all.united()?;
    let fields: Result<Vec<Field>, Problem> =
        fields.into_iter().zip(told_by).map(|(field, by)| all.completed(field, by)).collect();
    // How a file has it is of no matter from here on.
    let fields = fields?.into_iter().map(|field| field.with_metadata(HashMap::new()));
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// The files of a source, and the columns of each.
struct All<'a> {
    plan: &'a SourcePlan,
    location: &'a Location,
    files: &'a [Found],
    schemas: &'a [FileSchema],
}

impl<'a> All<'a> {
    /// Every column of any file, and the file that had it first.
    fn united(&self) -> Result<(Vec<Field>, Vec<&'a Found>), Problem> {
        let mut fields: Vec<Field> = Vec::new();
        let mut told_by: Vec<&Found> = Vec::new();
        for (file, schema) in self.files.iter().zip(self.schemas) {
            for new in schema.schema.fields() {
                match fields.iter().position(|field| field.name() == new.name()) {
                    Some(place) => {
                        let both = self.both(&fields[place], new);
                        fields[place] = both.ok_or_else(|| {
                            let kinds = [Some(new.data_type()), Some(fields[place].data_type())];
                            self.disagree(new.name(), kinds, [file, told_by[place]])
                        })?;
                    }
                    None => {
                        self.spelt_alike(&fields, new, file, &schema.schema)?;
                        fields.push(new.as_ref().clone());
                        told_by.push(file);
                    }
                }
            }
        }
        Ok((fields, told_by))
    }

    /// A column that holds what two files have in it; none where there is no such
    /// type, and something is made from it.
    fn both(&self, field: &Field, new: &Field) -> Option<Field> {
        // Most columns of most files need no look at what they are for.
        let role = || Role::of(self.plan, new.name());
        // A float does not hold every id, and with a point none is written as it was.
        let is_alike = field.data_type() == new.data_type() || is_float(field) && is_float(new);
        let is_lost = |kind: &DataType| {
            (kind.is_floating() || kind.is_decimal()) && !is_alike && role().is_id
        };
        let common = match self.plan.format {
            FileFormat::Json => common_of_json,
            FileFormat::Csv(_) | FileFormat::Parquet | FileFormat::Delta(_) => common,
        };
        let kind = common(field.data_type(), new.data_type())
            .or_else(|| instants(field, new))
            .filter(|kind| !is_lost(kind));
        match kind {
            Some(kind) => {
                let both = Field::new(new.name(), kind, field.is_nullable() || new.is_nullable());
                let is_alike = field.metadata() == new.metadata();
                Some(if is_alike { both.with_metadata(field.metadata().clone()) } else { both })
            }
            None => (!role().is_read).then(|| field.clone().with_nullable(true)),
        }
    }

    /// That no file calls a column by another name that differs only in case:
    /// whoever means one would not have the values of the other.
    fn spelt_alike(
        &self,
        fields: &[Field],
        new: &Field,
        file: &Found,
        schema: &SchemaRef,
    ) -> Result<(), Problem> {
        let name = new.name();
        let other = fields.iter().find(|field| field.name().eq_ignore_ascii_case(name));
        let other = other.filter(|other| schema.field_with_name(other.name()).is_err());
        let Some(other) = other.filter(|_| Role::of(self.plan, name).is_read) else {
            return Ok(());
        };
        let source = self.plan.kind.name;
        let message = format!("files of source `{source}` spell column `{name}` in two ways");
        Err(Problem::named(self.location.shown(&file.relative), message)
            .note("elsewhere", format!("`{}`", other.name()))
            .help(ALIKE))
    }

    /// A column that some files may lack: null there, unless it is missed.
    fn completed(&self, field: Field, by: &Found) -> Result<Field, Problem> {
        let name = field.name();
        let without = || {
            let pairs = self.files.iter().zip(self.schemas);
            let lacking = pairs.filter(|(_, of)| of.schema.field_with_name(name).is_err());
            lacking.map(|(file, _)| file)
        };
        if without().next().is_none() {
            return Ok(field);
        }
        let role = Role::of(self.plan, name);
        // What some files have themselves and others in their paths, is read of
        // the former alone.
        let is_missed = |file: &Found| role.is_needed || role.is_read && file.has_in_path(name);
        match without().find(|file| is_missed(file)) {
            Some(file) => Err(self.disagree(name, [None, Some(field.data_type())], [file, by])),
            None => Ok(field.with_nullable(true)),
        }
    }

    /// That a column is of one kind in a file and of another, or not there, in
    /// another file.
    fn disagree(
        &self,
        name: &str,
        [here, there]: [Option<&DataType>; 2],
        [file, other]: [&Found; 2],
    ) -> Problem {
        let describe =
            |kind: Option<&DataType>| kind.map_or("absent".to_string(), ColumnType::describe);
        let source = self.plan.kind.name;
        let message = format!("files of source `{source}` disagree on column `{name}`");
        let elsewhere = self.location.shown(&other.relative);
        Problem::named(self.location.shown(&file.relative), message)
            .note("here", describe(here))
            .note("elsewhere", format!("{} (in {elsewhere})", describe(there)))
            .help(ALIKE)
    }
}

const ALIKE: &str = "write the files alike, or leave those of another kind out of `url`";

/// What a source's column is for.
struct Role {
    /// Something is made from it.
    is_read: bool,
    /// Without it no row counts, or nobody knows which do.
    is_needed: bool,
    /// It tells things apart.
    is_id: bool,
}

impl Role {
    fn of(plan: &SourcePlan, name: &str) -> Self {
        let made: Vec<&SourceColumn> = match plan.columns.as_slice() {
            // The files have our own names.
            [] => plan.kind.columns.iter().filter(|c| c.name.eq_ignore_ascii_case(name)).collect(),
            mappings => {
                let from = mappings.iter().filter(|m| stands_in(name, &m.expression));
                from.map(|mapping| mapping.column).collect()
            }
        };
        let is_judged = plan.reject.iter().any(|reject| stands_in(name, &reject.expression));
        Self {
            is_read: is_judged || !made.is_empty(),
            is_needed: is_judged || made.iter().any(|column| column.need == Need::Required),
            is_id: made.iter().any(|column| column.kind == ColumnType::Id),
        }
    }
}

/// Whether anything is made from a column of a source's files.
pub fn is_read(plan: &SourcePlan, name: &str) -> bool {
    Role::of(plan, name).is_read
}

/// Whether anything may be made from a value at some keys, the outermost first.
pub fn is_read_at(plan: &SourcePlan, keys: &[String]) -> bool {
    let Some((column, below)) = keys.split_first() else { return false };
    let mappings = plan.columns.iter().map(|mapping| &mapping.expression);
    let mut all = mappings.chain(plan.reject.iter().map(|reject| &reject.expression));
    is_read(plan, column)
        && (below.is_empty()
            || all.any(|expression| keys.iter().all(|key| stands_in(key, expression))))
}

/// Whether a column may stand in an expression: as a word of it.
fn stands_in(name: &str, expression: &str) -> bool {
    let (name, expression) = (name.to_lowercase(), expression.to_lowercase());
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    expression.match_indices(&name).any(|(start, found)| {
        let (before, behind) = (&expression[..start], &expression[start + found.len()..]);
        !before.ends_with(is_word) && !behind.starts_with(is_word)
    })
}

/// The type of times that one file has as instants, and another in Parquet's oldest kind,
/// which are instants as well.
fn instants(a: &Field, b: &Field) -> Option<DataType> {
    let is_int96 = |field: &Field| field.metadata().contains_key(IS_INT96);
    let is_zoned = |field: &Field| matches!(field.data_type(), DataType::Timestamp(_, Some(_)));
    let are_instants = is_int96(a) && is_zoned(b) || is_zoned(a) && is_int96(b);
    are_instants.then(|| DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
}

fn is_float(field: &Field) -> bool {
    field.data_type().is_floating()
}

/// The type that holds the values of both.
fn common(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Float32, Float64, Int64, Null, Timestamp, Utf8};
    match (a, b) {
        (a, b) if a == b => Some(a.clone()),
        (a, b) if is_text(a) && is_text(b) => Some(Utf8),
        (a, b) if a.is_integer() && b.is_integer() => Some(Int64),
        (Timestamp(_, None), Timestamp(_, None)) => Some(Timestamp(TimeUnit::Microsecond, None)),
        // Instants both, whatever clock each file shows them by.
        (Timestamp(_, Some(_)), Timestamp(_, Some(_))) => {
            Some(Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
        }
        (Null, other) | (other, Null) => Some(other.clone()),
        (a, b) if is_number(a) && is_number(b) => match (digits(a), digits(b)) {
            (Some(a), Some(b)) => decimal(a, b),
            // A float tells cents apart, and not what rounds to them.
            (Some((_, scale)), None) | (None, Some((_, scale))) => {
                (scale <= CENTS).then_some(Float64)
            }
            (None, None) => Some(Float64),
        },
        (Float32 | Float64, Float32 | Float64) => Some(Float64),
        _ => None,
    }
}

/// The same of JSON, whose values are read as they are written whatever the type
/// of the column is: beside texts, numbers are texts.
fn common_of_json(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Boolean, List, Struct, Utf8};
    let is_value = |kind: &DataType| is_text(kind) || is_number(kind) || *kind == Boolean;
    match (a, b) {
        (Struct(a), Struct(b)) => {
            let mut fields: BTreeMap<&str, Option<DataType>> = BTreeMap::new();
            for field in a.iter().chain(b) {
                let kind = Some(field.data_type().clone());
                fields
                    .entry(field.name().as_str())
                    .and_modify(|known| {
                        *known = known.as_ref().and_then(|a| common_of_json(a, field.data_type()));
                    })
                    .or_insert(kind);
            }
            let fields = fields.into_iter();
            let fields = fields.filter_map(|(name, kind)| Some(Field::new(name, kind?, true)));
            Some(Struct(fields.collect()))
        }
        (List(a), List(b)) => {
            Some(DataType::new_list(common_of_json(a.data_type(), b.data_type())?, true))
        }
        (a, b) if is_value(a) && is_value(b) => Some(common(a, b).unwrap_or(Utf8)),
        (a, b) => common(a, b),
    }
}

fn is_number(kind: &DataType) -> bool {
    kind.is_integer() || kind.is_floating() || digits(kind).is_some()
}

/// The digits of exact numbers before and after the point.
fn digits(kind: &DataType) -> Option<(u8, u8)> {
    match kind {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale) => {
            let scale = u8::try_from(*scale).ok()?;
            Some((precision.checked_sub(scale)?, scale))
        }
        kind if kind.is_integer() => Some((DIGITS_OF_INTEGERS, 0)),
        _ => None,
    }
}

fn decimal(a: (u8, u8), b: (u8, u8)) -> Option<DataType> {
    let (whole, scale) = (a.0.max(b.0), a.1.max(b.1));
    let precision = whole + scale;
    (precision <= DECIMAL128_MAX_PRECISION)
        .then(|| i8::try_from(scale).ok().map(|scale| DataType::Decimal128(precision, scale)))?
}

/// Digits of cents behind the point.
const CENTS: u8 = 2;

/// Of the largest whole number with 64 bits.
const DIGITS_OF_INTEGERS: u8 = 20;
