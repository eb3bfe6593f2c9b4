//! Which value of which file stopped a source from being read. Runs only after
//! something went wrong: the ordinary way does not pay for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, TryCast};
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use super::classify::absent_reason;
use super::failure::cause;
use super::malformed;
use super::mapping::{Mapped, MappedColumn, Raw, map_bytes, spelt};
use super::source::Opened;
use super::times::{self, WallClock};
use crate::engine::files::FilesTable;
use crate::panics;
use crate::plan::SourcePlan;
use crate::plan::sources::{Need, SourceColumn};
use crate::plan::types::ColumnType;
use crate::problem::{At, Problem};

/// What `reject` cannot do, where somebody may hope that it does.
const NO_SHIELD: &str = "(`reject:` does not keep a conversion from failing)";

/// The first thing, file by file, that does not fit: the file itself, a value
/// of a column, or a value that a reason is about.
pub async fn find(
    context: &SessionContext,
    source: &SourcePlan,
    opened: &Opened,
    mapped: &Mapped,
) -> Option<Problem> {
    // On one thread: a file that is read in ranges has its lines counted from
    // the beginning of each.
    let config = context.copied_config().with_target_partitions(1);
    let context = SessionContext::new_with_config_rt(config, context.runtime_env());
    for (file, record) in opened.table.files.iter().zip(&opened.files) {
        let one = FilesTable { files: vec![file.clone()], rows: None, ..opened.table.clone() };
        let place = opened.location.shown(&record.path);
        let look = Look { context: &context, source, file: &one, place: &place };
        if let Some(error) = look.unreadable_file(mapped).await {
            return malformed::problem(source, opened, file, &place, &error).await;
        }
        for column in &mapped.columns {
            if let Some(problem) = look.column(column).await {
                return Some(problem);
            }
        }
        for ((reason, predicate), written) in mapped.reject.iter().zip(&source.reject) {
            if let Some(problem) = look.reason(reason, predicate, &written.at).await {
                return Some(problem);
            }
        }
    }
    None
}

/// One file of a source.
struct Look<'a> {
    context: &'a SessionContext,
    source: &'a SourcePlan,
    file: &'a FilesTable,
    place: &'a str,
}

impl Look<'_> {
    fn rows(&self) -> Option<DataFrame> {
        self.context.read_table(Arc::new(self.file.clone())).ok()
    }

    /// What keeps the file from being read, whatever is made of its values.
    async fn unreadable_file(&self, mapped: &Mapped) -> Option<DataFusionError> {
        let raw = mapped.columns.iter().filter_map(|column| column.raw.as_ref());
        let all = raw.map(|raw| &raw.written).chain(mapped.reject.iter().map(|(_, test)| test));
        let used: BTreeSet<&Column> = all.flat_map(Expr::column_refs).collect();
        if used.is_empty() {
            return None;
        }
        let columns: Vec<Expr> = used.into_iter().cloned().map(Expr::Column).collect();
        failure(self.rows()?.select(columns).ok()?).await
    }

    async fn column(&self, column: &MappedColumn) -> Option<Problem> {
        let Raw { written: raw, at, .. } = column.raw.as_ref()?;
        let bad = self.rows()?.filter(column.unreadable()?).ok()?;
        let bad = bad.select(vec![raw.clone().alias("value")]).ok()?;
        match first_value(bad).await {
            Ok(value) => Some(self.unreadable(column, raw, at.as_ref(), &value?)),
            // The pipeline's own expression fails on a value of this file.
            Err(error) => Some(self.failing(column, raw, at.as_ref(), &error).await),
        }
    }

    /// A value that is not of the type of its column.
    fn unreadable(
        &self,
        column: &MappedColumn,
        raw: &Expr,
        at: Option<&At>,
        value: &str,
    ) -> Problem {
        let SourceColumn { name, kind, .. } = column.column;
        let text = spelt(self.source, &column.column, raw);
        if self.type_of(raw).is_some_and(|kind| kind.is_binary()) {
            return self
                .wrong(column, value, noun(kind))
                .note("column", &text)
                .help(map_bytes(at, name, &text));
        }
        let (decides, noun_of_orders) = match name {
            "refund_of" => ("order_id", "a whole number, as `order_id` is"),
            _ => ("customer_id", "a whole number, as ids of customers are in `orders`"),
        };
        let is_of_orders =
            (name == "refund_of" || column.column.names_a_customer()) && column.stored.is_integer();
        if is_of_orders && self.is_text(raw) {
            return self.wrong(column, value, noun_of_orders).note("column", &text).help(format!(
                "if it is one, map `{decides}` of `orders` as a text, \
                 `cast(… as varchar)`; if not, `{name}: try_cast({text} as bigint)`"
            ));
        }
        if kind == ColumnType::Id {
            // Whole numbers are ids of 64 bits with a sign; texts are whatever they are.
            return self
                .wrong(column, value, "a whole number below 2^63")
                .note("column", &text)
                .help(format!("map `{name}: cast({text} as varchar)`: an id may be a text"));
        }
        // A day has no hour, and is the same day in every time zone.
        let meant = match kind {
            ColumnType::Timestamp if !value.contains(':') => ColumnType::Date,
            kind => kind,
        };
        let mapping = format!("`{name}: try_cast({text} as {meant})`");
        let how = match at {
            Some(_) => format!("map {mapping}"),
            None => format!("map the columns under `columns:`, this one as {mapping}"),
        };
        let otherwise = written_otherwise(name, &text, kind, value)
            .map(|mapping| format!("say how it is written, such as `{mapping}`; else "))
            .unwrap_or_default();
        let noun = match kind {
            ColumnType::Decimal(..) if value.parse::<f64>().is_ok() => {
                format!("a number that fits {kind}")
            }
            kind => noun(kind).to_owned(),
        };
        self.wrong(column, value, &noun).note("column", text).help(format!(
            "{otherwise}correct the file, or {how}: what cannot be read is null then, and {} {NO_SHIELD}",
            without(&column.column)
        ))
    }

    /// An expression of the pipeline that fails.
    async fn failing(
        &self,
        column: &MappedColumn,
        raw: &Expr,
        at: Option<&At>,
        error: &DataFusionError,
    ) -> Problem {
        let SourceColumn { name, kind, .. } = column.column;
        let mapped = at.map_or_else(|| raw.to_string(), |at| at.text().to_string());
        let without = without(&column.column);
        if let Some(bad) = self.bad_cast(raw).await {
            if let Some(clock) = bad.wall_clock() {
                let problem = self.wrong(column, &bad.value, &clock.noun).note("mapped", mapped);
                return problem.note("cause", clock.cause).help(clock.help);
            }
            return self
                .wrong(column, &bad.value, noun_of(&bad.wanted))
                .note("mapped", mapped)
                .help(format!(
                    "correct the file, or write `try_cast` for `cast` in the mapping: what cannot \
                     be read is null then, and {without} {NO_SHIELD}"
                ));
        }
        let message = format!("cannot read `{name}` of source `{}`", self.source.kind.name);
        let problem =
            Problem::named(self.place, message).note("mapped", mapped).note("cause", cause(error));
        if let Some((number, kind)) = self.numbers_read(raw) {
            return problem.help(times::of_numbers(at, name, &number, &kind));
        }
        // An id is no type of SQL.
        let kind = if kind == ColumnType::Id { ColumnType::Text } else { kind };
        problem.help(format!(
            "correct the file, or map `{name}` by an expression that is null where it cannot \
             read a value, such as `try_cast(… as {kind})`: {without} {NO_SHIELD}"
        ))
    }

    /// A predicate under `reject` that fails.
    async fn reason(&self, reason: &str, predicate: &Expr, at: &At) -> Option<Problem> {
        let test = vec![predicate.clone().alias("value")];
        let error = failure(self.rows()?.select(test).ok()?).await?;
        let name = self.source.kind.name;
        let message = format!("cannot tell whether `{reason}` sets a row of source `{name}` aside");
        let problem = Problem::named(self.place, message).note("reject", at.text());
        let problem = match self.bad_cast(predicate).await {
            Some(bad) => {
                if let Some(clock) = bad.wall_clock() {
                    let cause = format!("`{}` is not {}", bad.value, clock.noun);
                    return Some(problem.note("cause", cause).help(clock.help));
                }
                let cause = format!("`{}` is not {}", bad.value, noun_of(&bad.wanted));
                problem.note("cause", cause)
            }
            None => problem.note("cause", cause(&error)),
        };
        // Comparing a text with a number casts it, though nobody wrote that.
        let help = match at.text().to_lowercase().contains("cast(") {
            true => "write `try_cast` for `cast` in the predicate",
            false => {
                "say in the predicate what a text is meant to be, such as \
                 `try_cast(price as decimal(18,2)) <= 0`"
            }
        };
        Some(problem.help(format!("{help}: what cannot be read is null then, and earns no reason")))
    }

    fn wrong(&self, column: &MappedColumn, value: &str, noun: &str) -> Problem {
        let (name, source) = (column.column.name, self.source.kind.name);
        let message = format!("`{value}` in `{name}` of source `{source}` is not {noun}");
        Problem::named(self.place, message)
    }

    fn type_of(&self, expression: &Expr) -> Option<DataType> {
        expression.get_type(self.rows()?.schema()).ok()
    }

    fn is_text(&self, expression: &Expr) -> bool {
        self.type_of(expression).is_some_and(|kind| super::instants::is_text(&kind))
    }

    fn numbers_read(&self, expression: &Expr) -> Option<(String, DataType)> {
        times::numbers_read(expression, self.rows()?.schema())
    }

    /// The first value on which a cast of an expression fails.
    async fn bad_cast(&self, expression: &Expr) -> Option<BadCast> {
        for Cast { expr, field } in casts(expression) {
            let value = lenient(expr.as_ref().clone())?;
            let tried =
                Expr::TryCast(TryCast::new_from_field(Box::new(value.clone()), field.clone()));
            let is_bad = value.clone().is_not_null().and(tried.is_null());
            let bad = self.rows()?.filter(is_bad).ok()?;
            let bad = bad.select(vec![value.alias("value")]).ok()?;
            if let Ok(Some(value)) = first_value(bad).await {
                return Some(BadCast {
                    value,
                    expression: *expr,
                    wanted: field.data_type().clone(),
                });
            }
        }
        None
    }
}

/// A cast that fails.
struct BadCast {
    /// On what.
    value: String,
    /// What is cast.
    expression: Expr,
    /// The type it was to have.
    wanted: DataType,
}

impl BadCast {
    fn wall_clock(&self) -> Option<WallClock> {
        WallClock::of(&self.value, &self.expression, &self.wanted)
    }
}

/// The error that the rows of a query end in, if they do.
async fn failure(rows: DataFrame) -> Option<DataFusionError> {
    let read = panics::caught(first_failure(rows)).await;
    read.unwrap_or_else(|panicked| Some(panicked.into()))
}

async fn first_failure(rows: DataFrame) -> Option<DataFusionError> {
    match rows.execute_stream().await {
        Ok(mut rows) => {
            while let Some(batch) = rows.next().await {
                if let Err(error) = batch {
                    return Some(error);
                }
            }
            None
        }
        Err(error) => Some(error),
    }
}

/// The first value of a query of one column, as text.
async fn first_value(rows: DataFrame) -> Result<Option<String>, DataFusionError> {
    let batches = rows.limit(0, Some(1))?.collect().await?;
    let Some(batch) = batches.iter().find(|batch| batch.num_rows() > 0) else { return Ok(None) };
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(batch.column(0), &options)?;
    Ok(Some(formatter.value(0).to_string()))
}

/// The casts of an expression, each with what stands in it.
fn casts(expression: &Expr) -> Vec<Cast> {
    let mut casts = Vec::new();
    // The walk itself cannot fail.
    let _ = expression.apply(|node| {
        if let Expr::Cast(cast) = node {
            casts.push(cast.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    casts
}

/// The expression with casts that give null instead of failing.
fn lenient(expression: Expr) -> Option<Expr> {
    let try_casts = expression.transform(|node| {
        Ok(match node {
            Expr::Cast(Cast { expr, field }) => {
                Transformed::yes(Expr::TryCast(TryCast::new_from_field(expr, field)))
            }
            other => Transformed::no(other),
        })
    });
    Some(try_casts.ok()?.data)
}

/// What becomes of a row without a value in a column.
fn without(column: &SourceColumn) -> String {
    match column.need {
        Need::Required => format!("the row is set aside as `{}`", absent_reason(column.name)),
        Need::Optional | Need::Derived => "the row counts without it".into(),
    }
}

/// A mapping that reads days of another form than the usual one, of which a value
/// that cannot be read is a day that does not exist.
fn written_otherwise(name: &str, text: &str, kind: ColumnType, value: &str) -> Option<String> {
    let is_usual = value.as_bytes().get(4) == Some(&b'-');
    let is_short = is_usual && value.len() == "2026-11-20 14:05".len() && value.contains(':');
    if is_short && kind == ColumnType::Timestamp {
        let between = if value.contains('T') { 'T' } else { ' ' };
        return Some(format!("{name}: to_timestamp({text}, '%Y-%m-%d{between}%H:%M')"));
    }
    if is_usual || !matches!(kind, ColumnType::Timestamp | ColumnType::Date) {
        return None;
    }
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    Some(match value.len() {
        8 if is_number => format!("{name}: to_date({text}, '%Y%m%d')"),
        SECONDS_DIGITS if is_number => format!("{name}: to_timestamp(cast({text} as bigint))"),
        MILLIS_DIGITS if is_number => {
            format!("{name}: to_timestamp_millis(cast({text} as bigint))")
        }
        _ if value.contains(':') => format!("{name}: to_timestamp({text}, '%d/%m/%Y %H:%M')"),
        _ => format!("{name}: to_date({text}, '%d/%m/%Y')"),
    })
}

/// Digits of a time in seconds since 1970, from 2001 to 2286.
const SECONDS_DIGITS: usize = 10;

/// The same in milliseconds.
const MILLIS_DIGITS: usize = 13;

/// A column as an expression has to spell it.
pub(super) fn quoted(name: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match name.chars().all(is_word) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        true => name.to_string(),
        false => format!("\"{name}\""),
    }
}

fn noun(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Decimal(..) | ColumnType::Double => "a number",
        ColumnType::Bigint => "a whole number",
        ColumnType::Date => "a day",
        ColumnType::Timestamp => "a time",
        ColumnType::Boolean => "true or false",
        ColumnType::Id | ColumnType::Text => "text",
    }
}

fn noun_of(wanted: &DataType) -> &'static str {
    match wanted {
        kind if kind.is_integer() => "a whole number",
        kind if kind.is_numeric() => "a number",
        DataType::Date32 | DataType::Date64 => "a day",
        kind if kind.is_temporal() => "a time",
        DataType::Boolean => "true or false",
        _ => "what its cast asks for",
    }
}
