//! Rows of a source become canonical rows: mapped, identities joined, the
//! unusable set aside with a reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::{MemTable, ViewTable};
use datafusion::error::Result;
use datafusion::logical_expr::{case, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use super::canonical;
use super::classify::{self, Rule};
use super::mapping::Mapped;
use super::pass::{KeyFiles, Pass, Rest};
use super::room;
use crate::engine::collect::{Collected, Without};
use crate::engine::files::FilesTable;
use crate::engine::scratch::Scratch;
use crate::engine::spool::Spool;
use crate::plan::{Plan, SourcePlan};

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
    ///
    /// # Errors
    /// The files, the mapping or the disk fail.
    pub async fn read(&self, raw: DataFrame) -> Result<Counts> {
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
    pub async fn pass(&self, raw: DataFrame, whatever_day: bool) -> Result<(Pass<'_>, Vec<Rule>)> {
        let (context, source) = (self.context, self.source);
        let mapped = mapped(raw, self.mapped)?;
        register(context, "mapped", &mapped)?;
        let identified = identities(context, source, &mapped).await?;
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
    ) -> Result<u64> {
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
        match as_they_are {
            Some(table) if !suspicious => provide(self.context, "clustered", Arc::new(table))?,
            _ => {
                let of = self.source.kind.name;
                room::make(&self.plan.engine, of, accepted, self.context, self.scratch);
                let plan: Arc<dyn ExecutionPlan> = Arc::new(collected.cluster().await?.plan());
                let name = TableReference::partial("ingest", "clustered");
                self.scratch.keep(self.context, name, plan).await?;
            }
        }
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
    ) -> Result<(u64, bool)> {
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
            collect(context, "torn", &classify::torn(suspicious)).await?;
            torn = number(&context.sql(classify::TORN_LINES).await?.collect().await?);
        }
        self.finish(suspicious, torn > 0).await?;
        let is_kept = !suspicious && !self.merges()? && self.source.kind.name != "orders";
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
    async fn judge(&self, suspects: &Spool) -> Result<()> {
        let context = self.context;
        let table = suspects.table(context).await;
        provide(context, "suspects", Arc::new(table))?;
        collect(context, "repeated", &classify::repeated(self.source)).await?;
        collect(context, "verdicts", &classify::verdicts(self.source)).await
    }

    /// Registers the tables that others read.
    async fn finish(&self, suspicious: bool, torn: bool) -> Result<()> {
        let (context, source) = (self.context, self.source);
        self.view("set_aside", &classify::set_aside(source, suspicious, torn)).await?;
        let quarantine = context.sql(&classify::quarantine(source)).await?;
        register_as(context, "quarantine", source.kind.name, &quarantine)?;
        let rows = canonical::query(source, self.mapped, self.merges()?, self.plan.as_of);
        let rows = context.sql(&rows).await?;
        register_as(context, "sources", source.kind.name, &rows)
    }

    /// Whether rows of several customers may become one.
    fn merges(&self) -> Result<bool> {
        Ok(self.source.kind.name == "customers" && self.context.table_exist(identity_map())?)
    }

    /// Registers a query.
    ///
    /// # Errors
    /// It does not plan.
    pub async fn view(&self, name: &str, sql: &str) -> Result<()> {
        let frame = self.context.sql(sql).await?;
        register(self.context, name, &frame)
    }

    /// Rows set aside, by reason.
    ///
    /// # Errors
    /// They cannot be counted.
    pub async fn rejected(&self) -> Result<BTreeMap<String, u64>> {
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

fn mapped(raw: DataFrame, mapped: &Mapped) -> Result<DataFrame> {
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

/// Which ids are one person.
fn identity_map() -> TableReference {
    TableReference::partial("sources", "customer_ids")
}

/// One person under several ids becomes one customer, before anything counts.
/// Customers themselves are merged later, so that each row is judged by itself.
async fn identities(
    context: &SessionContext,
    source: &SourcePlan,
    mapped: &DataFrame,
) -> Result<DataFrame> {
    let has_customer = source.kind.column("customer_id").is_some();
    let is_whom = matches!(source.kind.name, "customer_ids" | "customers");
    if !has_customer || is_whom || !context.table_exist(identity_map())? {
        return Ok(mapped.clone());
    }
    context.sql(&classify::identified(source)).await
}

fn register(context: &SessionContext, name: &str, frame: &DataFrame) -> Result<()> {
    register_as(context, "ingest", name, frame)
}

fn register_as(
    context: &SessionContext,
    schema: &str,
    name: &str,
    frame: &DataFrame,
) -> Result<()> {
    let view = ViewTable::new(frame.logical_plan().clone(), None);
    replace(context, TableReference::partial(schema, name), Arc::new(view))
}

/// Registers a table of this module.
pub fn provide(context: &SessionContext, name: &str, table: Arc<dyn TableProvider>) -> Result<()> {
    replace(context, TableReference::partial("ingest", name), table)
}

fn replace(
    context: &SessionContext,
    name: TableReference,
    table: Arc<dyn TableProvider>,
) -> Result<()> {
    context.deregister_table(name.clone())?;
    context.register_table(name, table)?;
    Ok(())
}

/// Runs a query whose result is small and keeps it.
async fn collect(context: &SessionContext, name: &str, sql: &str) -> Result<()> {
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
