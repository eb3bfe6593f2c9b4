//! From the columns a source has to the canonical ones: the expressions of a
//! pipeline, checked against the files and cast to the types the SQL expects.

use std::ops::ControlFlow;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::functions::core::expr_fn::nullif;
use datafusion::functions::string::expr_fn::rtrim;
use datafusion::logical_expr::{Expr, ExprSchemable, cast, col, lit, try_cast};
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{self, Ident, VisitMut, VisitorMut};

use super::diagnose::quoted;
use super::instants::{instant, is_text, local_day};
use super::{expression, floats, times};
use crate::plan::sources::{Need, SourceColumn};
use crate::plan::types::ColumnType;
use crate::plan::{FileFormat, SourcePlan, parse_expression};
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
    /// What is mapped to it, if anything is.
    pub raw: Option<Raw>,
    /// The type in which it is stored.
    pub stored: DataType,
}

/// What is mapped to a column.
#[derive(Debug, Clone)]
pub struct Raw {
    /// As the pipeline says it.
    pub written: Expr,
    /// The same, null where an empty text is no value; this is cast.
    pub read: Expr,
    /// Where the pipeline says it, if it does.
    pub at: Option<At>,
}

impl MappedColumn {
    /// Whether the value cannot be had although there is one: text in an
    /// amount, say.
    pub fn unreadable(&self) -> Option<Expr> {
        let read = &self.raw.as_ref()?.read;
        let kept = try_cast(read.clone(), self.stored.clone());
        Some(read.clone().is_not_null().and(kept.is_null()))
    }
}

/// Maps a source, whose ids are to be of a type, where that is known.
///
/// # Errors
/// Every expression that does not fit the files.
pub fn map(
    context: &SessionContext,
    plan: &SourcePlan,
    schema: &SchemaRef,
    timezone: &str,
    ids: Option<&DataType>,
) -> Result<Mapped, Vec<Problem>> {
    let mut mapper = Mapper { context, plan, schema, timezone, ids, orders: None };
    let mut problems = Vec::new();
    let mut columns = Vec::new();
    for column in plan.kind.columns.iter().filter(|column| column.need != Need::Derived) {
        match mapper.column(column) {
            Ok(mapped) => {
                if column.name == "order_id" {
                    mapper.orders = Some(mapped.stored.clone());
                }
                columns.push(mapped);
            }
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
    /// The type of ids of customers, where other sources decide it.
    ids: Option<&'a DataType>,
    /// The type of ids of orders, once it is known.
    orders: Option<DataType>,
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
                return Err(self.not_there(&Ident::new(column.name), &self.plan.at));
            }
            None => {
                let ids = self.ids_of(column).cloned();
                let stored = ids.unwrap_or_else(|| stored(column.kind, &DataType::Null));
                let value = lit(ScalarValue::try_from(&stored).unwrap_or(ScalarValue::Null));
                return Ok(MappedColumn { column: *column, value, raw: None, stored });
            }
        };
        let raw = self.without_zeros(column, raw);
        let raw_type = self.type_of(&raw);
        let ids = self.ids_of(column);
        let stored = ids.cloned().unwrap_or_else(|| stored(column.kind, &raw_type));
        let ids_are_numbers = ids.is_some_and(DataType::is_integer);
        // An empty text is no value, as in CSV, where the two cannot be told apart.
        let read = match (column.kind, self.plan.format) {
            _ if !is_text(&raw_type) => raw.clone(),
            (ColumnType::Id, _) if ids_are_numbers => present(&raw),
            (ColumnType::Id | ColumnType::Text, _) | (_, FileFormat::Csv(_)) => raw.clone(),
            _ => present(&raw),
        };
        self.castable(column, &raw, &raw_type, at)?;
        let value = match column.kind {
            ColumnType::Timestamp => instant(&read, &raw_type, self.timezone),
            ColumnType::Date if column.name == "acquired_at" => {
                local_day(&read, &raw_type, self.timezone)
            }
            // CSV cannot tell an empty text from none, so nothing may hang on it.
            ColumnType::Id
                if column.need == Need::Optional && is_text(&raw_type) && !ids_are_numbers =>
            {
                nullif(cast(raw.clone(), stored.clone()), lit(""))
            }
            ColumnType::Text if raw_type.is_floating() => floats::as_text(&raw, &raw_type),
            ColumnType::Text => nullif(cast(raw.clone(), stored.clone()), lit("")),
            _ if raw_type == stored => read.clone(),
            _ => cast(read.clone(), stored.clone()),
        };
        let raw = Some(Raw { written: raw, read, at: at.cloned() });
        Ok(MappedColumn { column: *column, value, raw, stored })
    }

    /// A text or an id of what are numbers in JSON, some of them with a point: 12 and
    /// 12.0 are one store.
    fn without_zeros(&self, column: &SourceColumn, raw: Expr) -> Expr {
        let is_text = matches!(column.kind, ColumnType::Id | ColumnType::Text);
        let is_json = self.plan.format == FileFormat::Json;
        let ids_are_numbers = self.ids_of(column).is_some_and(DataType::is_integer);
        // Who casts a number says how it is written.
        let is_cast = matches!(raw, Expr::Cast(_) | Expr::TryCast(_));
        match self.type_of(&raw) {
            DataType::Decimal128(_, 1..) if is_text && is_json && !is_cast && !ids_are_numbers => {
                let digits = rtrim(vec![cast(raw, DataType::Utf8), lit("0")]);
                rtrim(vec![digits, lit(".")])
            }
            _ => raw,
        }
    }

    /// The day of `ordered_at`, which is a column of its own.
    fn order_date(&self, columns: &[MappedColumn]) -> Option<MappedColumn> {
        let at = columns.iter().find(|column| column.column.name == "ordered_at")?;
        let value = match &at.raw {
            Some(raw) => local_day(&raw.read, &self.type_of(&raw.written), self.timezone),
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

    /// The type that a column must have because those of orders have it.
    fn ids_of(&self, column: &SourceColumn) -> Option<&DataType> {
        if column.name == "refund_of" {
            return self.orders.as_ref();
        }
        self.ids.filter(|_| column.names_a_customer())
    }

    fn type_of(&self, expression: &Expr) -> DataType {
        let schema = DFSchema::try_from(Schema::clone(self.schema));
        schema.and_then(|schema| expression.get_type(&schema)).unwrap_or(DataType::Null)
    }

    /// Types that would lose something without a word, or that are no texts.
    fn castable(
        &self,
        column: &SourceColumn,
        raw: &Expr,
        raw_type: &DataType,
        at: Option<&At>,
    ) -> Result<(), Problem> {
        use ColumnType::{Date, Decimal, Id, Text, Timestamp};
        let name = column.name;
        let text = spelt(self.plan, column, raw);
        let ids_are_numbers = self.ids_of(column).is_some_and(DataType::is_integer);
        let help = match (column.kind, raw_type) {
            (Id, DataType::Float32 | DataType::Float64) => {
                let mapping = map_as(at, &format!("{name}: cast({text} as bigint)"));
                format!("{mapping}; ids past 2^53 are not exact any more, and have to be texts")
            }
            (Id | Text, DataType::FixedSizeBinary(_)) => map_bytes(at, name, &text),
            (Id, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
                if ids_are_numbers =>
            {
                map_bytes(at, name, &text)
            }
            (Id, DataType::Decimal128(_, 1..) | DataType::Boolean) if ids_are_numbers => {
                are_numbers(column)
            }
            (Id, kind) if ids_are_numbers && kind.is_temporal() => are_numbers(column),
            (Timestamp | Date, kind) if kind.is_numeric() => {
                times::of_numbers(at, name, &text, kind)
            }
            (Decimal(..), kind) if kind.is_temporal() || *kind == DataType::Boolean => {
                "an amount is a number".to_string()
            }
            (_, kind) if kind.is_nested() => "map one value out of it".to_string(),
            _ => return Ok(()),
        };
        let message = format!(
            "`{name}` of source `{}` is {}, not {}",
            self.plan.kind.name,
            ColumnType::describe(raw_type),
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
            return Err(self.not_there(&unknown, at));
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
        Ok(floats::written_out(planned, |part| self.type_of(part)))
    }

    fn not_there(&self, name: &Ident, at: &At) -> Problem {
        let known: Vec<&str> =
            self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let near = suggest(&name.value, known.iter().copied());
        let near = near.filter(|help| help.starts_with("did"));
        let message = format!("source `{}` has no column `{}`", self.plan.kind.name, name.value);
        Problem::at(at, message)
            .note("note", format!("its files have {}", known.join(", ")))
            .maybe_help(near.or_else(|| text_in_double_quotes(name)))
    }
}

/// What helps where a text was probably meant, as other languages write it.
fn text_in_double_quotes(name: &Ident) -> Option<String> {
    let text = name.value.replace('\'', "''");
    let is_quoted = name.quote_style == Some('"');
    is_quoted
        .then(|| format!("a text stands in single quotes, `'{text}'`; double ones name a column"))
}

/// How a pipeline would write what it maps to a column.
pub fn spelt(plan: &SourcePlan, column: &SourceColumn, raw: &Expr) -> String {
    let written = plan.columns.iter().find(|mapping| mapping.column.name == column.name);
    match (raw, written) {
        (Expr::Column(column), _) => quoted(&column.name),
        (_, Some(mapping)) => mapping.expression.clone(),
        (other, None) => other.to_string(),
    }
}

/// The next move where a mapping helps. A pipeline that maps one column maps all.
pub fn map_as(at: Option<&At>, mapping: &str) -> String {
    match at {
        Some(_) => format!("map it as `{mapping}`"),
        None => format!("map the columns under `columns:`, this one as `{mapping}`"),
    }
}

/// The same where a text is meant and bytes stand there: ids such as UUIDs.
pub fn map_bytes(at: Option<&At>, name: &str, text: &str) -> String {
    let mapping = map_as(at, &format!("{name}: encode({text}, 'hex')"));
    format!("{mapping}: its bytes as hexadecimal digits")
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
    unknown: Option<Ident>,
}

impl VisitorMut for Names<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        if let ast::Expr::Identifier(ident) = expr {
            match find(self.schema, &ident.value) {
                Some(name) => *ident = Ident::with_quote('"', name),
                None => self.unknown = self.unknown.take().or(Some(ident.clone())),
            }
        }
        ControlFlow::Continue(())
    }
}

/// That ids which decide the type of a column are whole numbers.
fn are_numbers(column: &SourceColumn) -> String {
    match column.name {
        "refund_of" => "`order_id` of `orders` is a whole number".into(),
        _ => "ids of customers are whole numbers in `orders`".into(),
    }
}

/// A text, if there is any.
fn present(text: &Expr) -> Expr {
    nullif(cast(text.clone(), DataType::Utf8), lit(""))
}

/// The type in which a canonical column is stored, given the source's.
fn stored(kind: ColumnType, raw: &DataType) -> DataType {
    use crate::plan::types::IdType;
    match kind {
        ColumnType::Id if raw.is_integer() => DataType::Int64,
        other => other.arrow(IdType::Text),
    }
}

/// A canonical column by name.
pub fn named(name: &str) -> Expr {
    col(Column::from_name(name))
}
