//! A source from its files to its canonical rows: opened, mapped, read, and
//! counted. Nothing is dropped: every row read is accepted or stands in the
//! quarantine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;

use super::columns::{ColumnsToKeep, KeptColumns};
use super::mapping;
use super::pieces::{Cache, Renewal};
use super::reading::{Counts, Reading};
use super::source::{self, Opened};
use super::target::SourceRead;
use super::{Event, Job, audit, classify, diagnose, folders, history};
use crate::engine::scratch::Scratch;
use crate::error::{Error, Result};
use crate::panics;
use crate::plan::{FileFormat, Plan, SourcePlan};
use crate::problem::Problem;

/// What became of a source.
pub struct Ingested {
    /// Counts and files, for the record.
    pub read: SourceRead,
    /// How long it took.
    pub elapsed: std::time::Duration,
    /// Whether its columns include a currency.
    pub has_currency: bool,
    /// Whether `sources.<name>` is where it may stay.
    pub is_kept: bool,
    /// Pieces for later runs, on their way.
    pub renewal: Option<Renewal>,
    /// What is odd about it.
    pub warnings: Vec<String>,
    /// The columns of its files, for later runs.
    pub columns: Option<ColumnsToKeep>,
}

/// Reads a source; registers `sources.<name>` and `quarantine.<name>` in the
/// session.
///
/// # Errors
/// A source that cannot be read or does not fit its mapping. How much of it may
/// be set aside is for [`over_limit`] to say.
pub async fn ingest(
    job: &Job<'_>,
    context: &SessionContext,
    scratch: &Arc<Scratch>,
    source: &SourcePlan,
) -> Result<Ingested> {
    let begun = Instant::now();
    let (opened, columns) = open(job, source).await?;
    let name = source.kind.name;
    if let Some(text) = folders::left_out(source, &opened.left_out) {
        job.observer.event(&Event::Warning(text));
    }
    context.register_object_store(opened.table.store.as_ref(), Arc::clone(opened.location.store()));
    let raw = context.read_table(Arc::new(opened.table.clone()));
    let raw = raw.map_err(|error| failed(name, &error))?;
    let timezone = job.plan.text("timezone").unwrap_or("UTC");
    let schema = Arc::clone(raw.schema().inner());
    let ids = ids_of_orders(job, context, source).await?;
    let mapped = mapping::map(context, source, &schema, timezone, ids.as_ref());
    let mapped = mapped.map_err(Error::Invalid)?;
    let cache = cache(job, context, scratch, source, &opened).await?;

    let reading = Reading { context, scratch, plan: job.plan, source, mapped: &mapped };
    let counted = async {
        Ok::<_, DataFusionError>(match cache {
            Some(cache) => {
                let (counts, renewal) = reading.read_pieces(&opened, cache).await?;
                (counts, Some(renewal))
            }
            None => (reading.read(raw).await?, None),
        })
    };
    // A broken file may stop its reader where nobody was prepared for it.
    let counted = panics::caught(counted).await.unwrap_or_else(|panicked| Err(panicked.into()));
    let (counts, renewal) = match counted {
        Ok(counted) => counted,
        Err(error) => {
            let found = diagnose::find(context, source, &opened, &mapped).await;
            return Err(found.unwrap_or_else(|| failed(name, &error)).into());
        }
    };
    let (is_kept, warnings) = (counts.is_kept, counts.warnings.clone());
    let read = tally(&opened, source, counts)?;
    let currency = mapped.columns.iter().find(|column| column.column.name == "currency");
    let has_currency = currency.is_some_and(|column| column.raw.is_some());
    let elapsed = begun.elapsed();
    Ok(Ingested { read, elapsed, has_currency, is_kept, renewal, warnings, columns })
}

/// Opens a source, with what earlier runs know of the columns of its files.
async fn open(job: &Job<'_>, source: &SourcePlan) -> Result<(Opened, Option<ColumnsToKeep>)> {
    if source.format != FileFormat::Json {
        let kept = KeptColumns::default();
        return Ok((source::open(source, job.base, job.variables, &kept).await?, None));
    }
    let target = super::open_target(&job.plan.publish, job.base, job.variables)?;
    let target = target.location();
    let kept = KeptColumns::open(target, source, job.refresh).await;
    let kept = kept.map_err(|error| super::explained(error.explained()))?;
    let opened = source::open(source, job.base, job.variables, &kept).await?;
    let columns = kept.renewed(target, source, &opened);
    Ok((opened, columns))
}

/// The type that ids of customers have in orders, for the other sources: a number
/// compared with a text would make `007` and `7` one customer, where the texts are
/// the orders'.
async fn ids_of_orders(
    job: &Job<'_>,
    context: &SessionContext,
    source: &SourcePlan,
) -> Result<Option<DataType>> {
    let orders = job.plan.sources.iter().find(|other| other.kind.name == "orders");
    let Some(orders) = orders.filter(|_| source.kind.name != "orders") else { return Ok(None) };
    if let Ok(read) = context.table("sources.orders").await
        && let Ok(id) = read.schema().field_with_unqualified_name("customer_id")
    {
        let is_number = id.data_type().is_integer();
        return Ok(Some(if is_number { DataType::Int64 } else { DataType::Utf8 }));
    }
    let (opened, _) = open(job, orders).await?;
    let timezone = job.plan.text("timezone").unwrap_or("UTC");
    let raw = context.read_table(Arc::new(opened.table.clone()));
    let raw = raw.map_err(|error| failed(orders.kind.name, &error))?;
    let schema = raw.schema().inner();
    let mapped = mapping::map(context, orders, schema, timezone, None).map_err(Error::Invalid)?;
    let mut columns = mapped.columns.into_iter();
    Ok(columns.find(|column| column.column.name == "customer_id").map(|column| column.stored))
}

/// The pieces of earlier runs. One file alone has none: when it changes, all
/// does.
async fn cache(
    job: &Job<'_>,
    context: &SessionContext,
    scratch: &Scratch,
    source: &SourcePlan,
    opened: &Opened,
) -> Result<Option<Cache>> {
    if !classify::is_orders(source) || opened.files.len() < 2 {
        return Ok(None);
    }
    let timezone = job.plan.text("timezone").unwrap_or("UTC");
    let scheme = history::scheme(context, source, opened, timezone).await;
    let scheme = scheme.map_err(|error| failed(source.kind.name, &error))?;
    let target = super::open_target(&job.plan.publish, job.base, job.variables)?;
    let cache = Cache::open(target.location(), scheme, job.refresh).await;
    let cache = cache.map_err(|error| super::explained(error.explained()))?;
    let (cache, damages) = cache.intact(&opened.files, scratch).await;
    for damage in damages {
        job.observer.event(&Event::Warning(damage));
    }
    Ok(Some(cache))
}

/// Accepted and rejected must be what was read, counted another way.
fn tally(opened: &Opened, source: &SourcePlan, counts: Counts) -> Result<SourceRead> {
    let name = source.kind.name;
    // What the files say of themselves, where they do.
    let read = opened.rows.unwrap_or(counts.read);
    let rejected: u64 = counts.rejected.values().sum();
    if counts.accepted + rejected != read {
        let problem =
            Problem::named(source.url.clone(), format!("source `{name}` does not add up"))
                .note("read", read.to_string())
                .note("accepted", counts.accepted.to_string())
                .note("rejected", rejected.to_string())
                .help("did its files change while they were read? run again");
        return Err(problem.into());
    }
    Ok(SourceRead {
        source: name.into(),
        url: opened.location.url().into(),
        bytes: opened.bytes(),
        read,
        accepted: counts.accepted,
        rejected: counts.rejected,
        merged: counts.merged,
        fingerprint: opened.fingerprint.clone(),
        files: opened.files.clone(),
        table_version: opened.version,
    })
}

/// That more rows of a source are set aside than may be: how many, why, and
/// which, for instance. Rows of days the run is not about do not count, so that an
/// earlier day comes out as it did on that day.
pub async fn over_limit(
    context: &SessionContext,
    plan: &Plan,
    source: &SourcePlan,
    read: &SourceRead,
) -> Option<Problem> {
    let limit = source.reject_max?;
    // Without those of other days the share can only be smaller.
    if share(read.rejected.values().sum(), read.accepted) <= limit {
        return None;
    }
    let days = classify::days_of_the_run(source, plan);
    let counted = reasons_within(context, source, days.as_deref()).await;
    let reasons = counted.unwrap_or_else(|| read.rejected.clone());
    let rejected: u64 = reasons.values().sum();
    let rows = read.accepted + rejected;
    let share = share(rejected, read.accepted);
    if share <= limit {
        return None;
    }
    let message =
        format!("too many rows of source `{}` are set aside; nothing was published", read.source);
    let problem = Problem::at(&source.at, message)
        .note("found", format!("{rejected} of {rows} rows ({:.2} %)", share * 100.0))
        .note("limit", format!("reject_max: {limit}"))
        .note("reasons", told(&reasons))
        .help(CORRECT);
    let sql = classify::examples(source, reasons.keys(), days.as_deref(), audit::SHOWN_ROWS);
    Some(match found(context, &sql).await.as_deref().and_then(audit::as_table) {
        Some(table) => problem.note("rows", table),
        None => problem,
    })
}

/// The share of rows that are set aside.
#[expect(clippy::cast_precision_loss, reason = "a share to two digits")]
fn share(rejected: u64, accepted: u64) -> f64 {
    match rejected {
        0 => 0.0,
        rejected => rejected as f64 / (accepted + rejected) as f64,
    }
}

/// How many rows of the days that count are set aside for each reason.
async fn reasons_within(
    context: &SessionContext,
    source: &SourcePlan,
    days: Option<&str>,
) -> Option<BTreeMap<String, u64>> {
    let sql = classify::reasons(source, days?);
    let mut counted = BTreeMap::new();
    for batch in found(context, &sql).await? {
        let reasons = cast(batch.column(0), &DataType::Utf8).ok()?;
        let rows = batch.column(1).as_primitive::<Int64Type>();
        let pairs = reasons.as_string::<i32>().iter().zip(rows.values());
        counted.extend(pairs.filter_map(|(reason, rows)| {
            Some((reason?.to_string(), u64::try_from(*rows).unwrap_or_default()))
        }));
    }
    Some(counted)
}

async fn found(context: &SessionContext, sql: &str) -> Option<Vec<RecordBatch>> {
    context.sql(sql).await.ok()?.collect().await.ok()
}

/// That nothing of a source counts, which is seldom meant: what is made from it
/// has no rows, and every check of no rows holds.
pub fn nothing_counts(source: &SourcePlan, read: &SourceRead) -> Option<String> {
    if read.accepted > 0 {
        return None;
    }
    let SourcePlan { kind, url, .. } = source;
    let source = kind.name;
    let empty = "what is made from it is empty";
    Some(match (read.read, read.files.len()) {
        (0, files) => {
            let files = if files == 1 { "1 file".into() } else { format!("{files} files") };
            format!("source `{source}`: 0 rows read from {files}, {empty}; is `{url}` complete?")
        }
        (rows, _) => format!(
            "source `{source}`: {rows} rows read, 0 accepted ({}), {empty}; `tenure show PIPELINE \
             quarantine.{source}` has the rows: are the mapping and the day right?",
            told(&read.rejected)
        ),
    })
}

/// The next move where too much is set aside.
pub const CORRECT: &str = "correct the files or the mapping, or raise `reject_max`";

/// `after_as_of 1, no_customer 2`
fn told(reasons: &BTreeMap<String, u64>) -> String {
    let reasons = reasons.iter().map(|(reason, rows)| format!("{reason} {rows}"));
    reasons.collect::<Vec<_>>().join(", ")
}

/// An error of the engine while a source was read.
pub fn failed(source: &str, error: &DataFusionError) -> Problem {
    super::engine_problem(error, &format!("cannot read source `{source}`"))
}

/// The number of rows of batches.
pub fn rows(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}
