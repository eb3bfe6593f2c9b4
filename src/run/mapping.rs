//! From the columns a source has to the canonical ones: the expressions of a
//! pipeline, checked against the files and cast to the types the SQL expects.

use std::ops::ControlFlow;

use arrow::datatypes::{DataType, Schema, SchemaRef, TimeUnit};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::functions::datetime::expr_fn::to_local_time;
use datafusion::functions::unicode::expr_fn::character_length;
use datafusion::logical_expr::{Expr, ExprSchemable, cast, col, lit, try_cast, when};
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{self, Ident, VisitMut, VisitorMut};

use super::expression;
use crate::plan::sources::{Need, SourceColumn};
use crate::plan::types::ColumnType;
use crate::plan::{SourcePlan, parse_expression};
use crate::problem::{At, Problem, suggest};

/// The canonical columns of a source as expressions over its files.
#[derive(Debug, Clone)]
pub struct Mapped {
    /// One expression a canonical column, named like it.
    pub columns: Vec<MappedColumn>,
    /// Reason and predicate, in the order in which they apply.
    pub reject: Vec<(String, Expr)>,
}

/// A canonical column.
#[derive(Debug, Clone)]
pub struct MappedColumn {
    /// Which.
    pub column: SourceColumn,
    /// Its value in the canonical type.
    pub value: Expr,
    /// The value before it is cast, and where the pipeline says so; none where
    /// nothing is mapped.
    pub raw: Option<(Expr, Option<At>)>,
    /// The type in which it is stored.
    pub stored: DataType,
}

impl MappedColumn {
    /// Whether the value cannot be had although there is one: text in an
    /// amount, say.
    pub fn unreadable(&self) -> Option<Expr> {
        let (raw, _) = self.raw.as_ref()?;
        let kept = try_cast(raw.clone(), self.stored.clone());
        Some(raw.clone().is_not_null().and(kept.is_null()))
    }
}

/// Maps a source.
///
/// # Errors
/// Every expression that does not fit the files.
pub fn map(
    context: &SessionContext,
    plan: &SourcePlan,
    schema: &SchemaRef,
    timezone: &str,
) -> Result<Mapped, Vec<Problem>> {
    let mapper = Mapper { context, plan, schema, timezone };
    let mut problems = Vec::new();
    let mut columns = Vec::new();
    for column in plan.kind.columns.iter().filter(|column| column.need != Need::Derived) {
        match mapper.column(column) {
            Ok(mapped) => columns.push(mapped),
            Err(problem) => problems.push(problem),
        }
    }
    let mut reject = Vec::new();
    for rejection in &plan.reject {
        match mapper.predicate(&rejection.expression, &rejection.at) {
            Ok(predicate) => reject.push((rejection.reason.clone(), predicate)),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        columns.extend(mapper.order_date(&columns));
        Ok(Mapped { columns, reject })
    } else {
        Err(problems)
    }
}

struct Mapper<'a> {
    context: &'a SessionContext,
    plan: &'a SourcePlan,
    schema: &'a SchemaRef,
    timezone: &'a str,
}

impl Mapper<'_> {
    fn column(&self, column: &SourceColumn) -> Result<MappedColumn, Problem> {
        let written = self.plan.columns.iter().find(|mapping| mapping.column.name == column.name);
        let (raw, at) = match written {
            Some(mapping) => {
                (self.expression(&mapping.expression, &mapping.at)?, Some(&mapping.at))
            }
            // Without a mapping the files have the canonical names.
            None if self.plan.columns.is_empty() && find(self.schema, column.name).is_some() => {
                let name = find(self.schema, column.name).unwrap_or(column.name);
                (Expr::Column(Column::from_name(name)), None)
            }
            None if self.plan.columns.is_empty() && column.need == Need::Required => {
                return Err(self.not_there(column.name, &self.plan.at, column));
            }
            None => {
                let stored = stored(column.kind, &DataType::Null);
                let value = lit(ScalarValue::try_from(&stored).unwrap_or(ScalarValue::Null));
                return Ok(MappedColumn { column: *column, value, raw: None, stored });
            }
        };
        let raw_type = self.type_of(&raw);
        let stored = stored(column.kind, &raw_type);
        self.castable(column, &raw_type, at)?;
        let value = match column.kind {
            ColumnType::Timestamp => instant(&raw, &raw_type),
            ColumnType::Date if column.name == "acquired_at" => {
                local_day(&raw, &raw_type, self.timezone)
            }
            _ if raw_type == stored => raw.clone(),
            _ => cast(raw.clone(), stored.clone()),
        };
        Ok(MappedColumn { column: *column, value, raw: Some((raw, at.cloned())), stored })
    }

    /// The day of `ordered_at`, which is a column of its own.
    fn order_date(&self, columns: &[MappedColumn]) -> Option<MappedColumn> {
        let at = columns.iter().find(|column| column.column.name == "ordered_at")?;
        let value = match &at.raw {
            Some((raw, _)) => local_day(raw, &self.type_of(raw), self.timezone),
            None => cast(at.value.clone(), DataType::Date32),
        };
        let column = SourceColumn {
            name: "order_date",
            kind: ColumnType::Date,
            need: Need::Derived,
            doc: "the day of ordered_at in $timezone",
        };
        Some(MappedColumn { column, value, raw: None, stored: DataType::Date32 })
    }

    fn type_of(&self, expression: &Expr) -> DataType {
        let schema = DFSchema::try_from(Schema::clone(self.schema));
        schema.and_then(|schema| expression.get_type(&schema)).unwrap_or(DataType::Null)
    }

    /// Types that would lose something without a word.
    fn castable(
        &self,
        column: &SourceColumn,
        raw: &DataType,
        at: Option<&At>,
    ) -> Result<(), Problem> {
        let source = at.map_or("the column", At::text);
        let help = match (column.kind, raw) {
            (ColumnType::Id, DataType::Float32 | DataType::Float64) => {
                format!("map it as `{}: cast({source} as bigint)`", column.name)
            }
            (ColumnType::Timestamp, kind) if kind.is_numeric() => {
                format!("map it as `{}: to_timestamp({source})`, in seconds", column.name)
            }
            (ColumnType::Decimal(..), kind) if kind.is_temporal() || *kind == DataType::Boolean => {
                "an amount is a number".to_string()
            }
            (_, kind) if kind.is_nested() => "map one value out of it".to_string(),
            _ => return Ok(()),
        };
        let message = format!(
            "`{}` of source `{}` is {}, not {}",
            column.name,
            self.plan.kind.name,
            ColumnType::describe(raw),
            column.kind
        );
        Err(Problem::at(at.unwrap_or(&self.plan.at), message).help(help))
    }

    fn predicate(&self, text: &str, at: &At) -> Result<Expr, Problem> {
        let predicate = self.expression(text, at)?;
        match self.type_of(&predicate) {
            DataType::Boolean | DataType::Null => Ok(predicate),
            other => {
                let other = ColumnType::describe(&other);
                Err(Problem::at(at, format!("a predicate is true or false, this is {other}")))
            }
        }
    }

    fn expression(&self, text: &str, at: &At) -> Result<Expr, Problem> {
        if let Some(name) = find(self.schema, text) {
            return Ok(Expr::Column(Column::from_name(name)));
        }
        let mut parsed = parse_expression(text)
            .map_err(|error| Problem::at(at, format!("not a column and not SQL: {error}")))?;
        let mut names = Names { schema: self.schema, unknown: None };
        let _ = VisitMut::visit(&mut parsed, &mut names);
        if let Some(unknown) = names.unknown {
            let column = self.plan.kind.columns.first().copied();
            return Err(match column {
                Some(column) => self.not_there(&unknown, at, &column),
                None => Problem::at(at, format!("no column `{unknown}`")),
            });
        }
        let planned = DFSchema::try_from(Schema::clone(self.schema)).and_then(|schema| {
            self.context.state().create_logical_expr(&parsed.to_string(), &schema)
        });
        let planned = planned.map_err(|error| {
            let text = error.strip_backtrace();
            let text = text.trim_start_matches("Error during planning: ").to_string();
            Problem::at(at, format!("the expression does not plan: {text}"))
        })?;
        expression::check(self.context, self.plan, self.schema, &planned, at)?;
        Ok(planned)
    }

    fn not_there(&self, name: &str, at: &At, _column: &SourceColumn) -> Problem {
        let known: Vec<&str> =
            self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let message = format!("source `{}` has no column `{name}`", self.plan.kind.name);
        Problem::at(at, message)
            .note("note", format!("its files have {}", known.join(", ")))
            .maybe_help(suggest(name, known.iter().copied()).filter(|help| help.starts_with("did")))
    }
}

/// The column of a name: as written, else the only one that differs in case.
fn find<'a>(schema: &'a SchemaRef, name: &str) -> Option<&'a str> {
    let names = || schema.fields().iter().map(|field| field.name().as_str());
    names().find(|known| *known == name).or_else(|| {
        let mut alike = names().filter(|known| known.eq_ignore_ascii_case(name));
        alike.next().filter(|_| alike.next().is_none())
    })
}

/// Quotes the columns of an expression as the files spell them.
struct Names<'a> {
    schema: &'a SchemaRef,
    unknown: Option<String>,
}

impl VisitorMut for Names<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        if let ast::Expr::Identifier(ident) = expr {
            match find(self.schema, &ident.value) {
                Some(name) => *ident = Ident::with_quote('"', name),
                None => self.unknown = self.unknown.take().or(Some(ident.value.clone())),
            }
        }
        ControlFlow::Continue(())
    }
}

/// The type in which a canonical column is stored, given the source's.
fn stored(kind: ColumnType, raw: &DataType) -> DataType {
    use crate::plan::types::IdType;
    match kind {
        ColumnType::Id if raw.is_integer() => DataType::Int64,
        other => other.arrow(IdType::Text),
    }
}

/// The characters of `2026-11-20`.
const DAY_LENGTH: i32 = 10;

/// Whether values are texts, each written out or one of a few.
fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, kind) => kind.is_string(),
        kind => kind.is_string(),
    }
}

/// A point in time, UTC.
fn instant(raw: &Expr, kind: &DataType) -> Expr {
    let stored = DataType::Timestamp(TimeUnit::Microsecond, None);
    match kind {
        // Through a zone: without one, the wall clock would be kept.
        DataType::Timestamp(_, Some(_)) => {
            let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
            cast(cast(raw.clone(), utc), stored)
        }
        kind if *kind == stored => raw.clone(),
        _ => cast(raw.clone(), stored),
    }
}

/// The day of a point in time, in the pipeline's time zone. What is a day already
/// stays it, wherever the clock stands.
fn local_day(raw: &Expr, kind: &DataType, timezone: &str) -> Expr {
    let at = instant(raw, kind);
    let local = match timezone {
        "UTC" => cast(at, DataType::Date32),
        _ => {
            let zoned = |zone| DataType::Timestamp(TimeUnit::Microsecond, Some(zone));
            let here = cast(cast(at, zoned("UTC".into())), zoned(timezone.into()));
            cast(to_local_time(vec![here]), DataType::Date32)
        }
    };
    match kind {
        DataType::Date32 => raw.clone(),
        DataType::Timestamp(..) => local,
        // A text may be a day too, of which no hour is known.
        kind if is_text(kind) => {
            let text = cast(raw.clone(), DataType::Utf8);
            let is_day = character_length(text.clone()).lt_eq(lit(DAY_LENGTH));
            when(is_day, cast(text, DataType::Date32)).otherwise(local.clone()).unwrap_or(local)
        }
        _ => cast(raw.clone(), DataType::Date32),
    }
}

/// A canonical column by name.
pub fn named(name: &str) -> Expr {
    col(Column::from_name(name))
}
