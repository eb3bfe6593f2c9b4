//! Whether an expression of a pipeline can be computed for a row of the files.
//! Its columns have been found by then; this is about its types, and about what
//! only a model may use.

use arrow::datatypes::SchemaRef;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, Volatility};
use datafusion::prelude::SessionContext;

use super::diagnose::quoted;
use super::failure::cause;
use crate::plan::{FileFormat, SourcePlan};
use crate::problem::{At, Problem};

/// Checks an expression over the files of a source, written at a place.
///
/// # Errors
/// It takes more than one row or a parameter, or its types do not fit.
pub fn check(
    context: &SessionContext,
    source: &SourcePlan,
    schema: &SchemaRef,
    expression: &Expr,
    at: &At,
) -> Result<(), Problem> {
    if let Some(problem) = beyond_a_row(expression, at) {
        return Err(problem);
    }
    // Planned to the end, for only then are the types of arguments looked at.
    let planned = DFSchema::try_from(schema.as_ref().clone())
        .and_then(|schema| context.create_physical_expr(expression.clone(), &schema));
    planned.map(drop).map_err(|error| {
        Problem::at(at, format!("the expression does not plan: {}", without_candidates(&error)))
            .maybe_help(texts_used(source, schema, expression))
    })
}

/// What the planner says, without the signatures that it tried.
fn without_candidates(error: &datafusion::error::DataFusionError) -> String {
    let text = cause(error);
    let text = ["Error during planning: ", "Internal error: "]
        .iter()
        .fold(text, |text, noise| text.replace(noise, ""));
    text.split(", errors:").next().unwrap_or_default().trim_end_matches('.').to_string()
}

fn beyond_a_row(expression: &Expr, at: &At) -> Option<Problem> {
    let mut found = None;
    let _ = expression.apply(|part| {
        found = match part {
            Expr::AggregateFunction(call) => Some(many_rows(at, call.func.name())),
            Expr::WindowFunction(call) => Some(many_rows(at, call.fun.name())),
            Expr::ScalarFunction(call)
                if call.func.signature().volatility != Volatility::Immutable =>
            {
                Some(changing(at, call.name()))
            }
            Expr::Placeholder(placeholder) => Some(
                Problem::at(
                    at,
                    format!(
                        "parameters such as `{}` are for models, not for sources",
                        placeholder.id
                    ),
                )
                .help("write its value, or take this step in a model under `sql/staging`"),
            ),
            _ => None,
        };
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}

fn many_rows(at: &At, function: &str) -> Problem {
    Problem::at(at, format!("`{function}` takes many rows, and here is one row of a file"))
        .help("write an expression over the columns of one row; sums are for models")
}

fn changing(at: &At, function: &str) -> Problem {
    Problem::at(at, format!("`{function}` may not be used in a source"))
        .note("note", "the same files must give the same rows, on any day")
}

/// The help where columns of text are used as if they were something else.
fn texts_used(source: &SourcePlan, schema: &SchemaRef, expression: &Expr) -> Option<String> {
    let mut texts: Vec<String> = expression.column_refs().iter().map(|c| c.name.clone()).collect();
    texts.retain(|name| {
        schema.field_with_name(name).is_ok_and(|field| field.data_type().is_string())
    });
    texts.sort();
    let first = texts.first()?;
    let all = texts.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let why = match source.format {
        FileFormat::Csv(_) => ", as every column of a CSV file is",
        FileFormat::Parquet | FileFormat::Json | FileFormat::Delta(_) => "",
    };
    Some(format!(
        "{all}: text{why}; say what it is meant to be, such as `try_cast({} as decimal(18,2))`",
        quoted(first)
    ))
}
