//! Rows of a source become canonical rows: mapped, identities joined, the
//! unusable set aside with a reason.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::common::TableReference;
use datafusion::dataframe::DataFrame;
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::{case, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use super::canonical;
use super::classify::{self, Rule};
use super::identity::Identities;
use super::lines::{self, Lines};
use super::mapping::Mapped;
use super::pass::{KeyFiles, Pass, Rest};
use super::refunds::{Money, PutBack, SALES_ASIDE};
use super::room;
use super::tables::{collect, nullable, provide, register, register_as, replace};
use super::target::Merged;
use crate::engine::collect::Collected;
use crate::engine::files::FilesTable;
use crate::engine::scratch::Scratch;
use crate::engine::spool::Spool;
use crate::engine::without::Without;
use crate::plan::sources::SourceColumn;
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
    /// Of the identity map, what it merges.
    pub merged: Option<Merged>,
    /// What is odd.
    pub warnings: Vec<String>,
}

impl Counts {
    /// Counts of orders.
    pub fn of_orders(read: u64, accepted: u64, rejected: BTreeMap<String, u64>) -> Self {
        Self { read, accepted, rejected, is_kept: true, merged: None, warnings: Vec::new() }
    }
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
        let mut counts = Counts::of_orders(passed.rows, passed.accepted, BTreeMap::new());
        match passed.rest {
            Rest::Collected(collected) => {
                counts.accepted = self.orders(*collected, passed.accepted, None, &rules).await?;
            }
            Rest::Spooled(spool, keys) => {
                self.rows(&spool, &keys, passed.has_gaps, &mut counts).await?;
            }
        }
        counts.rejected = self.rejected().await?;
        Ok(counts)
    }

    /// The types of the columns, as they are mapped.
    pub fn types(&self) -> SchemaRef {
        let columns = self.mapped.columns.iter();
        let fields =
            columns.map(|column| Field::new(column.column.name, column.stored.clone(), true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// The pass over some files and the rules by which rows are set aside. With
    /// `whatever_day`, the pass leaves out those that depend on the day.
    pub async fn pass(&self, raw: DataFrame, whatever_day: bool) -> Result<(Pass<'_>, Vec<Rule>)> {
        let (context, source) = (self.context, self.source);
        let mapped = mapped(raw, self.mapped)?;
        register(context, "mapped", &mapped)?;
        let identified = identities(context, source, &mapped).await?;
        register(context, "identified", &identified)?;
        let types = self.types();
        let mut rules = classify::rules(source, self.plan, &types);
        if classify::is_lines(source) {
            (rules, _) = lines::by_line(rules);
        }
        let of_day = if whatever_day { classify::day_rules(self.plan).len() } else { 0 };
        let applied = &rules[..rules.len() - of_day];
        let rows = context.sql(&classify::pass(source, applied, &types)).await?;
        let pass = Pass::new(context, self.scratch, source, rows, self.common()).await?;
        Ok((pass, rules))
    }

    /// Rows that are orders go into the clustered order. Those whose keys stand
    /// twice, and refunds and the sales they name, are looked at on their own, and come
    /// back as far as they count. If there are none, and the rows lie in order already
    /// (`as_they_are`), they are read from there.
    pub async fn orders(
        &self,
        mut collected: Collected,
        mut accepted: u64,
        as_they_are: Option<FilesTable>,
        rules: &[Rule],
    ) -> Result<u64> {
        let nameless = self.nameless(rules).await?;
        let images = self.suspected(&mut collected, true).await?;
        let suspicious = nameless > 0 || !images.is_empty();
        let mut aside = Vec::new();
        if suspicious {
            accepted -= self.take_out(&mut collected, images).await?;
            if nameless > 0 {
                self.add_nameless(collected.schema()).await?;
            }
            self.judge().await?;
            let settled = classify::accepted(self.source, "keyed");
            let settled = classify::with_following(&settled, &self.types());
            self.spool("settled", &settled).await?;
            self.view(SALES_ASIDE, &self.sales_aside()).await?;
            let PutBack { rows, left } = self.put_back(&mut collected, Money::Raw, true).await?;
            accepted += rows;
            if left > 0 {
                aside.push(self.left_out());
            }
        }
        match as_they_are {
            Some(table) if !suspicious => provide(self.context, "clustered", Arc::new(table))?,
            _ => self.cluster(collected, accepted).await?,
        }
        self.finish(suspicious, &aside).await?;
        Ok(accepted)
    }

    /// Keeps orders by customer.
    ///
    /// # Errors
    /// The disk fails.
    pub async fn cluster(&self, collected: Collected, accepted: u64) -> Result<()> {
        let of = self.source.kind.name;
        room::make(&self.plan.engine, of, accepted, self.context, self.scratch);
        let plan: Arc<dyn ExecutionPlan> = Arc::new(collected.cluster().await?.plan());
        let name = TableReference::partial("ingest", "clustered");
        self.scratch.keep(self.context, name, plan).await
    }

    /// Makes `ingest.suspects` of the rows whose keys have such images; tells how many.
    ///
    /// # Errors
    /// The disk fails.
    pub async fn take_out(&self, collected: &mut Collected, images: HashSet<u64>) -> Result<u64> {
        let spool = self.suspects(collected.schema());
        let mut writer = spool.writer();
        let mut rows = 0;
        collected
            .take_out(images, async |batch: RecordBatch| {
                rows += batch.num_rows() as u64;
                writer.write(&batch).await
            })
            .await?;
        writer.close().await?;
        provide(self.context, "suspects", Arc::new(spool.table(self.context).await))?;
        Ok(rows)
    }

    /// Other rows lie in the scratch folder, and may stay there if none of them
    /// has to go.
    async fn rows(
        &self,
        spool: &Arc<Spool>,
        keys: &KeyFiles,
        has_gaps: bool,
        counts: &mut Counts,
    ) -> Result<()> {
        let mut accepted = counts.accepted;
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
            provide(context, "suspects", Arc::new(suspects.table(context).await))?;
            self.judge().await?;
            let settled = context.sql(&classify::accepted(self.source, "keyed")).await?;
            accepted += settled.count().await? as u64;
            self.view("keyed_rows", &classify::keyed(self.source, "rows")).await?;
            lines = context.sql(&classify::accepted(self.source, "keyed_rows")).await?;
        }
        if classify::is_lines(self.source) {
            let lines = Lines { rows: lines, has_gaps, suspicious, count: accepted };
            counts.accepted = self.lines(lines).await?;
            return Ok(());
        }
        counts.accepted = accepted;
        register(context, "lines", &lines)?;
        self.finish(suspicious, &[]).await?;
        let name = self.source.kind.name;
        counts.is_kept = !suspicious && !self.merges()?;
        if name == "customer_ids" {
            let Identities { merged, followed, warnings } = self.identities().await?;
            (counts.merged, counts.warnings) = (Some(merged), warnings);
            if let Some(followed) = followed {
                register_as(context, "sources", name, &context.sql(followed).await?)?;
                counts.is_kept = false;
            }
        }
        if counts.is_kept {
            replace(context, TableReference::partial("sources", name), table)?;
        }
        Ok(())
    }

    /// The session as it joins rows of which there may be many: by sorting, which spills,
    /// where a hash table of one side would have to fit into memory.
    pub fn joining(&self) -> SessionContext {
        let mut config = self.context.copied_config();
        config.options_mut().optimizer.prefer_hash_join = false;
        let state = SessionStateBuilder::new_from_existing(self.context.state());
        SessionContext::new_with_state(state.with_config(config).build())
    }

    /// Keeps the result of a query in the scratch folder.
    ///
    /// # Errors
    /// The query or the disk fails.
    pub async fn spool(&self, name: &str, sql: &str) -> Result<()> {
        let frame = self.joining().sql(sql).await?;
        let schema = nullable(&frame);
        let folder = format!("ingest/{}/{name}", self.source.kind.name);
        let spool = Arc::new(Spool::new(self.scratch, &folder, schema));
        let mut writer = spool.writer();
        let mut rows = frame.execute_stream().await?;
        while let Some(batch) = rows.next().await {
            writer.write(&batch?).await?;
        }
        writer.close().await?;
        provide(self.context, name, Arc::new(spool.table(self.context).await))
    }

    /// A table for rows whose key may stand twice.
    fn suspects(&self, schema: &SchemaRef) -> Arc<Spool> {
        let folder = format!("ingest/{}/suspects", self.source.kind.name);
        Arc::new(Spool::new(self.scratch, &folder, Arc::clone(schema)))
    }

    /// Which suspects are copies of one row, and which contradict each other.
    async fn judge(&self) -> Result<()> {
        let context = self.context;
        self.view("keyed", &classify::keyed(self.source, "suspects")).await?;
        collect(context, "repeated", &classify::repeated(self.source)).await?;
        collect(context, "verdicts", &classify::verdicts(self.source)).await
    }

    /// Registers the tables that others read; `aside` are more rows that do not count,
    /// with reasons.
    ///
    /// # Errors
    /// They cannot be planned.
    pub async fn finish(&self, suspicious: bool, aside: &[String]) -> Result<()> {
        let (context, source) = (self.context, self.source);
        self.view("set_aside", &classify::set_aside(source, suspicious, aside)).await?;
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
    let has_customer = source.kind.columns.iter().any(SourceColumn::names_a_customer);
    let is_whom = matches!(source.kind.name, "customer_ids" | "customers");
    if !has_customer || is_whom || !context.table_exist(identity_map())? {
        return Ok(mapped.clone());
    }
    context.sql(&classify::identified(source)).await
}
