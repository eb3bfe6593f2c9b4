//! What the tables of a run say against themselves. When they are built, the
//! run asks them a few questions, and warns of what it finds: in words for
//! people, with the numbers for programs. It goes on all the same; what must stop
//! a run is a check.
//!
//! A question is a query over small tables and words for its rows. To add one,
//! write it into a file of this folder and list it in [`QUESTIONS`].

mod lifecycle;
mod predictions;

use arrow::array::RecordBatch;
use arrow::json::LineDelimitedWriter;
use datafusion::common::TableReference;
use datafusion::error::{DataFusionError, Result as Found};
use serde_json::{Map, Value};

use super::build::Builder;
use super::reuse::Look;
use super::target::Manifest;
use super::{Event, Job};
use crate::plan::params::Values;

/// Something that a reader of the published tables should know.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// What it is, for programs: it stays the same when the words change.
    pub code: &'static str,
    /// In words.
    pub message: String,
    /// The numbers and names behind it.
    pub fields: Map<String, Value>,
}

/// A row that a query found: its columns by name, nulls left out.
type Row = Map<String, Value>;

/// What is asked when tables are built.
struct Question {
    /// What the query reads. It is asked where all of them are there, and this run
    /// has built one of them or more.
    tables: &'static [&'static str],
    /// The query, its rows in an order. Money and other decimals as doubles.
    sql: &'static str,
    /// What its rows mean, given the parameters of the run; mostly nothing.
    tell: fn(&[Row], &Values) -> Vec<Evidence>,
}

/// Everything that is asked, in the order in which it is told.
const QUESTIONS: [&Question; 3] =
    [&predictions::STAND_INS, &predictions::HOLDOUT, &lifecycle::RETURNED];

/// The tables that questions read: they are kept until all have been asked.
pub fn tables() -> impl Iterator<Item = TableReference> {
    let names = QUESTIONS.iter().flat_map(|question| question.tables);
    names.map(|name| TableReference::from(*name))
}

/// Asks the tables of a run, and warns of what they say.
pub async fn tell(job: &Job<'_>, builder: &Builder<'_>, look: &Look<'_>, manifest: &Manifest) {
    for question in QUESTIONS {
        if !is_there(question, builder, look, manifest).await {
            continue;
        }
        match rows(builder, question.sql).await {
            Ok(rows) => {
                for evidence in (question.tell)(&rows, &job.plan.values) {
                    job.observer.event(&Event::Evidence(evidence));
                }
            }
            // A project may have changed its tables: that is no reason to stop.
            Err(error) => {
                let tables = question.tables.join(", ");
                let reason = error.strip_backtrace();
                let text =
                    format!("{tables} could not be asked what speaks against them: {reason}");
                job.observer.event(&Event::Warning(text));
            }
        }
    }
}

/// Whether a question is about something that this run has built, and can be
/// answered.
async fn is_there(
    question: &Question,
    builder: &Builder<'_>,
    look: &Look<'_>,
    manifest: &Manifest,
) -> bool {
    if !question.tables.iter().any(|name| look.work.compute.contains(*name)) {
        return false;
    }
    for name in question.tables {
        let is_known = builder.context.table_exist(TableReference::from(*name)).unwrap_or(false);
        if is_known {
            continue;
        }
        // It stands as it was published, and nothing else has read it.
        let is_reused = look.work.reuse.contains(*name);
        if !is_reused || builder.reuse(manifest, name).await.is_err() {
            return false;
        }
    }
    true
}

async fn rows(builder: &Builder<'_>, sql: &str) -> Found<Vec<Row>> {
    let batches = builder.context.sql(sql).await?.collect().await?;
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write_batches(&batches)?;
    writer.finish()?;
    let text = writer.into_inner();
    let rows = serde_json::Deserializer::from_slice(&text).into_iter::<Row>();
    rows.collect::<Result<_, _>>().map_err(|error| DataFusionError::External(Box::new(error)))
}

/// A text of a row; empty where it is null.
fn text<'a>(row: &'a Row, column: &str) -> &'a str {
    row.get(column).and_then(Value::as_str).unwrap_or_default()
}

/// A number of a row, if it is not null.
fn number(row: &Row, column: &str) -> Option<f64> {
    row.get(column).and_then(Value::as_f64)
}
