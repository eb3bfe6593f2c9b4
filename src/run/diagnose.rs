//! Which value of which file stopped a source from being read. Runs only after
//! something went wrong: the ordinary way does not pay for it.

use std::sync::Arc;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::logical_expr::Expr;
use datafusion::prelude::SessionContext;

use super::mapping::{Mapped, MappedColumn};
use super::source::Opened;
use crate::engine::files::FilesTable;
use crate::plan::SourcePlan;
use crate::plan::types::ColumnType;
use crate::problem::Problem;

/// The first value, file by file and column by column, that does not fit.
pub async fn find(
    context: &SessionContext,
    source: &SourcePlan,
    opened: &Opened,
    mapped: &Mapped,
) -> Option<Problem> {
    for (file, record) in opened.table.files.iter().zip(&opened.files) {
        let one = FilesTable { files: vec![file.clone()], rows: None, ..opened.table.clone() };
        let place = opened.location.shown(&record.path);
        for column in &mapped.columns {
            if let Some(problem) = look(context, source, &one, &place, column).await {
                return Some(problem);
            }
        }
    }
    None
}

async fn look(
    context: &SessionContext,
    source: &SourcePlan,
    file: &FilesTable,
    place: &str,
    column: &MappedColumn,
) -> Option<Problem> {
    let (raw, _) = column.raw.as_ref()?;
    let frame = context.read_table(Arc::new(file.clone())).ok()?;
    let bad = frame.filter(column.unreadable()?).ok()?;
    let bad = bad.select(vec![raw.clone().alias("value")]).ok()?.limit(0, Some(1)).ok()?;
    match bad.collect().await {
        Ok(batches) => {
            let batch = batches.iter().find(|batch| batch.num_rows() > 0)?;
            let options = FormatOptions::default();
            let value =
                ArrayFormatter::try_new(batch.column(0), &options).ok()?.value(0).to_string();
            Some(unreadable(source, place, column, &value))
        }
        // The pipeline's own expression fails on a value of this file.
        Err(error) => {
            let message =
                format!("cannot read `{}` of source `{}`", column.column.name, source.kind.name);
            Some(
                Problem::named(place, message)
                    .note("cause", error.find_root().strip_backtrace())
                    .maybe_help(
                        column_text(raw)
                            .map(|text| format!("it is mapped as `{text}`; does every value fit?")),
                    ),
            )
        }
    }
}

fn unreadable(source: &SourcePlan, place: &str, column: &MappedColumn, value: &str) -> Problem {
    let name = column.column.name;
    let message = format!(
        "`{value}` in `{name}` of source `{}` is not {}",
        source.kind.name,
        noun(column.column.kind)
    );
    let mapped = column.raw.as_ref().and_then(|(raw, _)| column_text(raw));
    let problem = Problem::named(place, message);
    let problem = match mapped {
        Some(text) => problem.note("column", text),
        None => problem,
    };
    problem.help(format!(
        "correct the file, map `{name}` by an expression that can read it, or set such rows aside under `reject:`"
    ))
}

fn column_text(raw: &Expr) -> Option<String> {
    match raw {
        Expr::Column(column) => Some(column.name.clone()),
        other => Some(other.to_string()),
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
