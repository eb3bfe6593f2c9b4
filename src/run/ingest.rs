//! Rows of a source become canonical rows: mapped, identities joined, the
//! unusable set aside with a reason. Nothing is dropped: every row read is
//! accepted or stands in the quarantine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::{MemTable, ViewTable};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{case, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use super::classify::Rule;
use super::mapping::{self, Mapped};
use super::pass::{KeyFiles, Pass, Rest};
use super::pieces::{Cache, Renewal};
use super::source::{self, Opened};
use super::target::SourceRead;
use super::{Job, classify, diagnose, history};
use crate::engine::collect::{Collected, Without};
use crate::engine::files::FilesTable;
use crate::engine::scratch::Scratch;
use crate::engine::spool::Spool;
use crate::error::{Error, Result};
use crate::plan::{Plan, SourcePlan};
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
}

/// Reads a source; registers `sources.<name>` and `quarantine.<name>` in the
/// session.
///
/// # Errors
/// A source that cannot be read, does not fit its mapping, or has more rows
/// set aside than it may.
pub async fn ingest(
    job: &Job<'_>,
    context: &SessionContext,
    scratch: &Arc<Scratch>,
    source: &SourcePlan,
) -> Result<Ingested> {
    let begun = Instant::now();
    let opened = source::open(source, job.base, job.variables).await?;
    let name = source.kind.name;
    context.register_object_store(opened.table.store.as_ref(), Arc::clone(opened.location.store()));
    let raw = context.read_table(Arc::new(opened.table.clone()));
    let raw = raw.map_err(|error| failed(name, &error))?;
    let timezone = job.plan.text("timezone").unwrap_or("UTC");
    let schema = Arc::clone(raw.schema().inner());
    let mapped = mapping::map(context, source, &schema, timezone).map_err(Error::Invalid)?;
    let cache = cache(job, context, source, &opened).await?;

    let reading = Reading { context, scratch, plan: job.plan, source, mapped: &mapped };
    let counted = match cache {
        Some(cache) => {
            let read = reading.read_pieces(&opened, cache).await;
            read.map(|(counts, renewal)| (counts, Some(renewal)))
        }
        None => reading.read(raw).await.map(|counts| (counts, None)),
    };
    let (counts, renewal) = match counted {
        Ok(counted) => counted,
        Err(error) => {
            let found = diagnose::find(context, source, &opened, &mapped).await;
            return Err(found.unwrap_or_else(|| failed(name, &error)).into());
        }
    };
    let is_kept = counts.is_kept;
    let read = tally(&opened, source, counts)?;
    within_limit(source, &read)?;
    let currency = mapped.columns.iter().find(|column| column.column.name == "currency");
    let has_currency = currency.is_some_and(|column| column.raw.is_some());
    Ok(Ingested { read, elapsed: begun.elapsed(), has_currency, is_kept, renewal })
}

/// The pieces of earlier runs. One file alone has none: when it changes, all
/// does.
async fn cache(
    job: &Job<'_>,
    context: &SessionContext,
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
    Ok(Some(cache.map_err(|error| super::explained(error.explained()))?))
}

/// Rows read and accepted, and rows set aside by reason.
pub struct Counts {
    /// Rows of the files.
    pub read: u64,
    /// Rows that count.
    pub accepted: u64,
    /// Rows that do not, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Whether `sources.<name>` is where it may stay.
    pub is_kept: bool,
}

/// A source that is being read.
pub struct Reading<'a> {
    /// The session.
    pub context: &'a SessionContext,
    /// Where rows go that are not held.
    pub scratch: &'a Arc<Scratch>,
    /// The run.
    pub plan: &'a Plan,
    /// The source.
    pub source: &'a SourcePlan,
    /// Its columns.
    pub mapped: &'a Mapped,
}

impl Reading<'_> {
    /// Registers what is accepted and what is set aside, and counts both. The
    /// files are read once; all that follows works on what they gave.
    async fn read(&self, raw: DataFrame) -> Result<Counts, DataFusionError> {
        let (pass, rules) = self.pass(raw, false).await?;
        let passed = pass.run().await?;
        provide(self.context, "aside", Arc::new(passed.aside.table(self.context).await))?;
        self.view("rejected", &classify::rejected(self.source, &rules)).await?;
        let (accepted, is_kept) = match passed.rest {
            Rest::Collected(collected) => {
                (self.orders(collected, passed.accepted, None).await?, true)
            }
            Rest::Spooled(spool, keys) => self.rows(&spool, &keys, passed.accepted).await?,
        };
        Ok(Counts { read: passed.rows, accepted, rejected: self.rejected().await?, is_kept })
    }

    /// The pass over some files and the rules by which rows are set aside. With
    /// `whatever_day`, the pass leaves out those that depend on the day.
    pub async fn pass(
        &self,
        raw: DataFrame,
        whatever_day: bool,
    ) -> Result<(Pass<'_>, Vec<Rule>), DataFusionError> {
        let (context, source) = (self.context, self.source);
        let canonical = canonical(raw, self.mapped)?;
        register(context, "mapped", &canonical)?;
        let identified = identities(context, source, &canonical).await?;
        register(context, "identified", &identified)?;
        let rules = classify::rules(source, self.plan, identified.schema().as_arrow());
        let of_day = if whatever_day { classify::day_rules(self.plan).len() } else { 0 };
        let applied = &rules[..rules.len() - of_day];
        let rows = context.sql(&classify::pass(source, applied)).await?;
        Ok((Pass::new(context, self.scratch, source, rows).await?, rules))
    }

    /// Rows that are orders go into the clustered order. Those whose keys stand
    /// twice are looked at on their own, and come back as far as they count. If
    /// there are none, and the rows lie in order already (`as_they_are`), they
    /// are read from there.
    pub async fn orders(
        &self,
        mut collected: Collected,
        mut accepted: u64,
        as_they_are: Option<FilesTable>,
    ) -> Result<u64, DataFusionError> {
        let images = collected.repeats().await?;
        let suspicious = !images.is_empty();
        if suspicious {
            let spool = self.suspects(collected.schema());
            let mut writer = spool.writer();
            collected
                .take_out(images, async |batch: RecordBatch| {
                    accepted -= batch.num_rows() as u64;
                    writer.write(&batch).await
                })
                .await?;
            writer.close().await?;
            self.judge(&spool).await?;
            let settled = classify::with_refund(&classify::accepted(self.source, "suspects"));
            let mut settled = self.context.sql(&settled).await?.execute_stream().await?;
            while let Some(batch) = settled.next().await {
                let batch = batch?;
                accepted += batch.num_rows() as u64;
                collected.put_back(&batch)?;
            }
        }
        let table = match as_they_are {
            Some(table) if !suspicious => table,
            _ => {
                let plan: Arc<dyn ExecutionPlan> = Arc::new(collected.cluster().await?.plan());
                self.scratch.write(self.context, &plan, "sources/orders").await?
            }
        };
        provide(self.context, "clustered", Arc::new(table))?;
        self.finish(suspicious, false).await?;
        Ok(accepted)
    }

    /// Other rows lie in the scratch folder, and may stay there if none of them
    /// has to go.
    async fn rows(
        &self,
        spool: &Arc<Spool>,
        keys: &KeyFiles,
        mut accepted: u64,
    ) -> Result<(u64, bool), DataFusionError> {
        let context = self.context;
        let table = Arc::new(spool.table(context).await);
        provide(context, "rows", Arc::clone(&table) as _)?;
        let images = keys.repeats(context.state().config().target_partitions())?;
        let suspicious = !images.is_empty();
        let mut lines = context.table("ingest.rows").await?;
        if suspicious {
            let suspects = self.suspects(lines.schema().inner());
            let mut writer = suspects.writer();
            let without =
                Without::new(lines.schema().as_arrow(), &classify::key(self.source), images)?;
            let mut stream = lines.clone().execute_stream().await?;
            while let Some(batch) = stream.next().await {
                let found = without.these(&batch?)?;
                accepted -= found.num_rows() as u64;
                writer.write(&found).await?;
            }
            writer.close().await?;
            self.judge(&suspects).await?;
            let settled = context.sql(&classify::accepted(self.source, "suspects")).await?;
            accepted += settled.count().await? as u64;
            lines = context.sql(&classify::accepted(self.source, "rows")).await?;
        }
        register(context, "lines", &lines)?;
        let mut torn = 0;
        if classify::is_lines(self.source) {
            collect(context, "torn", classify::TORN).await?;
            torn = number(&context.sql(classify::TORN_LINES).await?.collect().await?);
        }
        self.finish(suspicious, torn > 0).await?;
        let is_kept = !suspicious && self.source.kind.name != "orders";
        if is_kept {
            replace(context, TableReference::partial("sources", self.source.kind.name), table)?;
        }
        Ok((accepted - torn, is_kept))
    }

    /// A table for rows whose key may stand twice.
    fn suspects(&self, schema: &SchemaRef) -> Arc<Spool> {
        let folder = format!("ingest/{}/suspects", self.source.kind.name);
        Arc::new(Spool::new(self.scratch, &folder, Arc::clone(schema)))
    }

    /// Which suspects are copies of one row, and which contradict each other.
    async fn judge(&self, suspects: &Spool) -> Result<(), DataFusionError> {
        let context = self.context;
        let table = suspects.table(context).await;
        provide(context, "suspects", Arc::new(table))?;
        collect(context, "repeated", &classify::repeated(self.source)).await?;
        collect(context, "verdicts", &classify::verdicts(self.source)).await
    }

    /// Registers the tables that others read.
    async fn finish(&self, suspicious: bool, torn: bool) -> Result<(), DataFusionError> {
        let (context, source) = (self.context, self.source);
        self.view("set_aside", &classify::set_aside(source, suspicious, torn)).await?;
        let quarantine = context.sql(&classify::quarantine(source)).await?;
        register_as(context, "quarantine", source.kind.name, &quarantine)?;
        let rows = context.sql(&classify::canonical(source, self.mapped)).await?;
        register_as(context, "sources", source.kind.name, &rows)
    }

    /// Registers a query.
    ///
    /// # Errors
    /// It does not plan.
    pub async fn view(&self, name: &str, sql: &str) -> Result<(), DataFusionError> {
        let frame = self.context.sql(sql).await?;
        register(self.context, name, &frame)
    }

    /// Rows set aside, by reason.
    ///
    /// # Errors
    /// They cannot be counted.
    pub async fn rejected(&self) -> Result<BTreeMap<String, u64>, DataFusionError> {
        let mut rejected = BTreeMap::new();
        for batch in self.context.sql(classify::COUNTS).await?.collect().await? {
            let text = arrow::compute::cast(batch.column(0), &DataType::Utf8)?;
            let (reasons, rows) = (text.as_string::<i32>(), batch.column(1));
            let rows = rows.as_primitive::<Int64Type>();
            for index in 0..batch.num_rows() {
                let rows = u64::try_from(rows.value(index)).unwrap_or(0);
                rejected.insert(reasons.value(index).to_string(), rows);
            }
        }
        Ok(rejected)
    }
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
    replace(context, TableReference::partial(schema, name), Arc::new(view))
}

/// Registers a table of this module.
pub fn provide(
    context: &SessionContext,
    name: &str,
    table: Arc<dyn TableProvider>,
) -> Result<(), DataFusionError> {
    replace(context, TableReference::partial("ingest", name), table)
}

fn replace(
    context: &SessionContext,
    name: TableReference,
    table: Arc<dyn TableProvider>,
) -> Result<(), DataFusionError> {
    context.deregister_table(name.clone())?;
    context.register_table(name, table)?;
    Ok(())
}

/// Runs a query whose result is small and keeps it.
async fn collect(context: &SessionContext, name: &str, sql: &str) -> Result<(), DataFusionError> {
    let frame = context.sql(sql).await?;
    let schema = Arc::clone(frame.schema().inner());
    let batches = frame.collect().await?;
    provide(context, name, Arc::new(MemTable::try_new(schema, vec![batches])?))
}

/// The number that a query gave.
fn number(batches: &[RecordBatch]) -> u64 {
    let first = batches.iter().find(|batch| batch.num_rows() > 0);
    let value = first.and_then(|batch| {
        batch.column(0).as_primitive_opt::<Int64Type>().map(|column| column.value(0))
    });
    value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
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
