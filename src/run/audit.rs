//! Checks: queries that return counter-examples. No rows, no complaint.

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::dataframe::DataFrame;
use datafusion::prelude::SessionContext;

use super::ingest::rows;
use crate::error::Result;
use crate::plan::params::{Params, Values};
use crate::plan::{Model, typecheck};
use crate::problem::Problem;

/// Counter-examples shown; more would bury the message.
pub const SHOWN_ROWS: usize = 5;

/// Runs one check.
///
/// # Errors
/// The query fails. What it finds is no error but the result.
pub async fn check(
    context: &SessionContext,
    model: &Model,
    params: &Params,
    values: &Values,
) -> Result<Option<Problem>> {
    let plan = typecheck::plan(context, model, params, values).await?;
    let found = DataFrame::new(context.state(), plan).collect().await;
    let found = found.map_err(|error| {
        super::table_problem(&model.name.to_string(), &error).in_file(&model.source.path)
    })?;
    let count = rows(&found);
    if count == 0 {
        return Ok(None);
    }
    let problem = Problem::at(
        &model.source.whole(),
        format!("check `{}` found {count} counter-examples; nothing was published", model.name),
    )
    .note("check", model.header.title.clone())
    .help(
        "the rows contradict what the check says: correct the query that makes them, or the \
         check; `tenure show PIPELINE TABLE --run RUN` shows what this run had made",
    );
    Ok(Some(match as_table(&found) {
        Some(table) => problem.note("found", table),
        None => problem,
    }))
}

/// The first rows of batches as aligned text.
pub fn as_table(batches: &[RecordBatch]) -> Option<String> {
    let schema = batches.first()?.schema();
    let mut lines: Vec<Vec<String>> =
        vec![schema.fields().iter().map(|field| field.name().clone()).collect()];
    let options = FormatOptions::default().with_null("null");
    for batch in batches {
        let columns: Result<Vec<_>, _> =
            batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options)).collect();
        let columns = columns.ok()?;
        for row in 0..batch.num_rows() {
            if lines.len() > SHOWN_ROWS {
                break;
            }
            lines.push(columns.iter().map(|column| column.value(row).to_string()).collect());
        }
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..lines[0].len()).filter_map(width).collect();
    let text = lines.iter().map(|line| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
    });
    Some(format!("\n{}", text.collect::<Vec<_>>().join("\n")))
}
