//! Rows of a source become canonical rows: mapped, identities joined, the
//! unusable set aside with a reason. Nothing is dropped: every row read is
//! accepted or stands in the quarantine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::TableReference;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::{MemTable, ViewTable};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{case, lit};
use datafusion::prelude::SessionContext;

use super::mapping::{self, Mapped};
use super::source::{self, Opened};
use super::target::SourceRead;
use super::{classify, diagnose};
use crate::error::{Error, Result};
use crate::plan::{Plan, Rows, SourcePlan, Variables};
use crate::problem::Problem;

/// What became of a source.
#[derive(Debug)]
pub struct Ingested {
    /// Counts and files, for the record.
    pub read: SourceRead,
    /// How long it took.
    pub elapsed: std::time::Duration,
}

/// Reads every source of a plan; registers `sources.<name>` and
/// `quarantine.<name>` in the session.
///
/// # Errors
/// A source that cannot be read, does not fit its mapping, or has more rows
/// set aside than it may.
pub async fn ingest(
    context: &SessionContext,
    plan: &Plan,
    source: &SourcePlan,
    base: &Path,
    variables: &Variables,
) -> Result<Ingested> {
    let begun = Instant::now();
    let opened = source::open(source, base, variables).await?;
    let name = source.kind.name;
    context.register_object_store(opened.table.store.as_ref(), Arc::clone(opened.location.store()));
    let raw = context.read_table(Arc::new(opened.table.clone()));
    let raw = raw.map_err(|error| failed(name, &error))?;
    let timezone = plan.text("timezone").unwrap_or("UTC");
    let schema = Arc::clone(raw.schema().inner());
    let mapped = mapping::map(context, source, &schema, timezone).map_err(Error::Invalid)?;

    let counted = read_rows(context, plan, source, &raw, &mapped).await;
    let rejected = match counted {
        Ok(rejected) => rejected,
        Err(error) => {
            let found = diagnose::find(context, source, &opened, &mapped).await;
            return Err(found.unwrap_or_else(|| failed(name, &error)).into());
        }
    };
    let read = tally(&opened, source, &raw, rejected).await?;
    within_limit(source, &read)?;
    Ok(Ingested { read, elapsed: begun.elapsed() })
}

/// Registers what is accepted and what is set aside, and counts both.
async fn read_rows(
    context: &SessionContext,
    plan: &Plan,
    source: &SourcePlan,
    raw: &DataFrame,
    mapped: &Mapped,
) -> Result<Counts, DataFusionError> {
    let canonical = canonical(raw.clone(), mapped)?;
    register(context, "mapped", &canonical)?;
    let identified = identities(context, source, &canonical).await?;
    register(context, "identified", &identified)?;
    let classified = context.sql(&classify::reasons(source, plan)).await?;
    register(context, "classified", &classified)?;
    // Keys that stand twice are few; they are looked at on their own.
    collect(context, "repeated", &classify::repeated(source)).await?;
    collect(context, "verdicts", &classify::verdicts(source)).await?;
    let accepted = context.sql(&classify::accepted(source)).await?;
    register(context, "lines", &accepted)?;
    if source.kind.name == "orders" && source.rows == Rows::Lines {
        collect(context, "torn", classify::TORN).await?;
    } else {
        context.deregister_table(scratch("torn"))?;
        context.register_table(scratch("torn"), empty_like(&accepted)?)?;
    }
    let quarantine = context.sql(&classify::quarantine(source)).await?;
    register_as(context, "quarantine", source.kind.name, &quarantine)?;
    let orders = context.sql(&classify::canonical(source, mapped)).await?;
    register_as(context, "sources", source.kind.name, &orders)?;
    counts(context, source).await
}

/// Rows accepted, and rows set aside by reason.
struct Counts {
    accepted: u64,
    rejected: BTreeMap<String, u64>,
}

fn canonical(raw: DataFrame, mapped: &Mapped) -> Result<DataFrame, DataFusionError> {
    let mut columns: Vec<_> = mapped
        .columns
        .iter()
        .map(|column| column.value.clone().alias(column.column.name))
        .collect();
    let reason = mapped.reject.iter().rev().try_fold(
        lit(datafusion::common::ScalarValue::Utf8(None)),
        |rest, (reason, predicate)| {
            case(lit(true)).when(predicate.clone().is_true(), lit(reason.as_str())).otherwise(rest)
        },
    )?;
    columns.push(reason.alias("reject"));
    raw.select(columns)
}

/// One person under several ids becomes one customer, before anything counts.
async fn identities(
    context: &SessionContext,
    source: &SourcePlan,
    mapped: &DataFrame,
) -> Result<DataFrame, DataFusionError> {
    let map = TableReference::partial("sources", "customer_ids");
    let has_customer = source.kind.column("customer_id").is_some();
    if !has_customer || source.kind.name == "customer_ids" || !context.table_exist(map)? {
        return Ok(mapped.clone());
    }
    context.sql(&classify::identified(source)).await
}

fn scratch(name: &str) -> TableReference {
    TableReference::partial("ingest", name)
}

fn register(
    context: &SessionContext,
    name: &str,
    frame: &DataFrame,
) -> Result<(), DataFusionError> {
    register_as(context, "ingest", name, frame)
}

fn register_as(
    context: &SessionContext,
    schema: &str,
    name: &str,
    frame: &DataFrame,
) -> Result<(), DataFusionError> {
    let view = ViewTable::new(frame.logical_plan().clone(), None);
    let reference = TableReference::partial(schema, name);
    context.deregister_table(reference.clone())?;
    context.register_table(reference, Arc::new(view))?;
    Ok(())
}

/// Runs a query whose result is small and keeps it.
async fn collect(context: &SessionContext, name: &str, sql: &str) -> Result<(), DataFusionError> {
    let frame = context.sql(sql).await?;
    let schema = Arc::clone(frame.schema().inner());
    let batches = frame.collect().await?;
    context.deregister_table(scratch(name))?;
    context.register_table(scratch(name), Arc::new(MemTable::try_new(schema, vec![batches])?))?;
    Ok(())
}

fn empty_like(frame: &DataFrame) -> Result<Arc<MemTable>, DataFusionError> {
    let schema = Arc::clone(frame.schema().inner());
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![]])?))
}

async fn counts(context: &SessionContext, source: &SourcePlan) -> Result<Counts, DataFusionError> {
    let mut counts = Counts { accepted: 0, rejected: BTreeMap::new() };
    for batch in context.sql(&classify::counts(source)).await?.collect().await? {
        let text = arrow::compute::cast(batch.column(0), &DataType::Utf8)?;
        let (reasons, rows) = (text.as_string::<i32>(), batch.column(1));
        let rows = rows.as_primitive::<Int64Type>();
        for index in 0..batch.num_rows() {
            let rows = u64::try_from(rows.value(index)).unwrap_or(0);
            match reasons.is_null(index) {
                true => counts.accepted += rows,
                false => drop(counts.rejected.insert(reasons.value(index).into(), rows)),
            }
        }
    }
    Ok(counts)
}

/// Accepted and rejected must be what was read, counted another way.
async fn tally(
    opened: &Opened,
    source: &SourcePlan,
    raw: &DataFrame,
    counts: Counts,
) -> Result<SourceRead> {
    let name = source.kind.name;
    let read = match opened.rows {
        Some(rows) => rows,
        None => raw.clone().count().await.map_err(|error| failed(name, &error))? as u64,
    };
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
        fingerprint: opened.fingerprint.clone(),
        files: opened.files.clone(),
    })
}

fn within_limit(source: &SourcePlan, read: &SourceRead) -> Result<()> {
    let Some(limit) = source.reject_max else { return Ok(()) };
    let rejected: u64 = read.rejected.values().sum();
    #[expect(clippy::cast_precision_loss, reason = "a share to two digits")]
    let share = if read.read == 0 { 0.0 } else { rejected as f64 / read.read as f64 };
    if share <= limit {
        return Ok(());
    }
    let reasons = read.rejected.iter().map(|(reason, rows)| format!("{reason} {rows}"));
    let message =
        format!("too many rows of source `{}` are set aside; nothing was published", read.source);
    Err(Error::Audit(vec![
        Problem::at(&source.at, message)
            .note("found", format!("{rejected} of {} rows ({:.2} %)", read.read, share * 100.0))
            .note("reasons", reasons.collect::<Vec<_>>().join(", "))
            .note("limit", format!("reject_max: {limit}"))
            .help("look at the reasons, then correct the source, its mapping, or the limit"),
    ]))
}

/// An error of the engine while a source was read.
pub fn failed(source: &str, error: &DataFusionError) -> Problem {
    super::engine_problem(error, &format!("cannot read source `{source}`"))
}

/// The number of rows of batches.
pub fn rows(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}
