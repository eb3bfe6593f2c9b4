//! Building one table: bound, planned, computed, and put where it belongs:
//! published tables into the staging area, steps into the scratch folder,
//! what is read only once nowhere at all.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use datafusion::common::TableReference;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::ViewTable;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{LogicalPlan, SortExpr};
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::{
    ExecutionPlan, ExecutionPlanProperties, Partitioning, execute_stream,
};
use datafusion::prelude::SessionContext;

use super::evidence;
use super::fitted;
use super::ingest::Ingested;
use super::mapping::named;
use super::room;
use super::stage::{self, Cut, TableShape};
use super::target::{Claim, Day, StagedTable};
use super::{Job, TableReport, engine_problem, is_published, table_problem};
use crate::engine;
use crate::engine::scratch::Scratch;
use crate::engine::session;
use crate::error::Result;
use crate::plan::header::Column;
use crate::plan::reuse::Work;
use crate::plan::spec::Spanned;
use crate::plan::types::ColumnType;
use crate::plan::{Model, PlannedTable, Role, SourcePlan, typecheck};
use crate::problem::{Place, Problem, Source};

/// Batches computed ahead of their encoding.
const BATCHES_AHEAD: usize = 2;

/// Tables built at the same time: one computes while another is encoded. More
/// would only need more memory.
const AT_ONCE_MAX: usize = 2;

/// Where a job's tables are built: a fresh folder, and an engine that spills
/// into it.
///
/// # Errors
/// The folder or the engine cannot be had.
pub fn place(job: &Job<'_>) -> Result<(Arc<Scratch>, SessionContext)> {
    let engine = &job.plan.engine;
    let parent = engine.scratch.as_ref().map(|folder| job.base.join(folder));
    let scratch = Scratch::new(parent.as_deref()).map_err(|error| {
        let folder = parent.unwrap_or_else(std::env::temp_dir).display().to_string();
        let place = Some(Place::Named(folder));
        Problem { place, ..engine_problem(&error, "cannot use the scratch folder") }
            .help("name a folder that can be written, with room for a run (`engine.scratch`)")
    })?;
    let context = session::open(engine, scratch.spill())
        .map_err(|error| engine_problem(&error, "cannot start the engine"))?;
    Ok((Arc::new(scratch), context))
}

/// Builds the tables of one run.
pub struct Builder<'a> {
    /// The run.
    pub job: &'a Job<'a>,
    /// The session in which its tables are known.
    pub context: &'a SessionContext,
    /// Where steps go.
    pub scratch: &'a Arc<Scratch>,
}

/// What became of a table.
pub struct Built {
    /// What to publish, if it is to be.
    pub staged: Option<StagedTable>,
    /// What to tell; nothing of a table that is only a view.
    pub report: Option<TableReport>,
}

impl Builder<'_> {
    /// How many tables may be built at the same time, of so many customers if that
    /// is known: more than one only where there is memory for it, for those at work
    /// share it.
    pub fn at_once(&self, customers: Option<u64>) -> usize {
        let engine = &self.job.plan.engine;
        match room::is_for_two(engine, customers, self.context, self.scratch) {
            true => self.context.state().config().target_partitions().min(AT_ONCE_MAX),
            false => 1,
        }
    }

    /// Decides where tables are kept from now on, which are made from so many rows
    /// more.
    pub fn make_room(&self, of: &str, rows: u64) {
        room::make(&self.job.plan.engine, of, rows, self.context, self.scratch);
    }

    /// Builds one table.
    ///
    /// # Errors
    /// The query, an audit or the store fails.
    pub async fn build(&self, claim: &Claim, table: &PlannedTable, work: &Work) -> Result<Built> {
        let built = self.built(claim, table, work).await;
        built.map_err(|error| error.in_file(&table.model.source.path))
    }

    async fn built(&self, claim: &Claim, table: &PlannedTable, work: &Work) -> Result<Built> {
        let begun = Instant::now();
        let model = &table.model;
        let uses = self.uses(model, work);
        if !is_published(table.role) {
            self.step(model, uses).await?;
            return Ok(Built { staged: None, report: None });
        }
        let name = typecheck::reference(&model.name);
        let failed = |error| table_problem(&model.name.to_string(), &error);
        let frame = self.frame(model).await?;
        let shape = shape(model, &frame);
        let by_customer = match uses {
            0 => None,
            _ => by_customer(&frame).await.map_err(failed)?,
        };
        let staged = if let Some(physical) = by_customer {
            // Published in the order of its grain, read on in the customers'.
            self.scratch.keep(self.context, name.clone(), physical).await.map_err(failed)?;
            let kept = self.context.table(name).await.map_err(failed)?;
            self.stage(claim, &shape, kept).await?
        } else {
            let staged = self.stage(claim, &shape, frame).await?;
            self.read_back(&shape.schema, &shape.name, &staged.files, name).await?;
            staged
        };
        let report = self.report(&shape.name, &staged, begun, Role::Published);
        Ok(Built { staged: Some(staged), report: Some(report) })
    }

    /// Makes a table known that nobody will see, and is read so often.
    ///
    /// # Errors
    /// The query or the disk fails.
    pub async fn step(&self, model: &Model, uses: usize) -> Result<()> {
        let frame = self.frame(model).await?;
        let name = typecheck::reference(&model.name);
        let failed = |error| table_problem(&model.name.to_string(), &error);
        // The size of a small table tells the planner how to join with it.
        let again = uses < 2 || row_wise(frame.logical_plan());
        if again && is_large(model) {
            return self.view(name, &frame);
        }
        let physical = planned(frame).await.map_err(failed)?;
        self.scratch.keep(self.context, name, physical).await.map_err(failed)
    }

    /// The query of a table: its own, or that of a model of `clv`.
    async fn frame(&self, model: &Model) -> Result<DataFrame> {
        let plan = self.job.plan;
        let fitted = fitted::query(self.context, model, &plan.values).await;
        match fitted.map_err(|error| table_problem(&model.name.to_string(), &error))? {
            Some(frame) => Ok(frame),
            None => {
                let logical = typecheck::plan(self.context, model, &plan.params, &plan.values);
                Ok(DataFrame::new(self.context.state(), logical.await?))
            }
        }
    }

    /// Keeps the accepted rows of a source for the models that read them.
    ///
    /// # Errors
    /// They cannot be computed or kept.
    pub async fn keep_source(&self, source: &SourcePlan, ingested: &Ingested) -> Result<()> {
        let failed = |error| super::ingest::failed(source.kind.name, &error);
        self.make_room(source.kind.name, ingested.read.accepted);
        if !ingested.is_kept {
            self.keep_rows(source).await.map_err(failed)?;
        }
        match source.kind.name {
            "orders" if ingested.has_currency => self.one_currency(source).await,
            _ => Ok(()),
        }
    }

    async fn keep_rows(&self, source: &SourcePlan) -> datafusion::error::Result<()> {
        let name = TableReference::partial("sources", source.kind.name);
        let frame = self.context.table(name.clone()).await?;
        let physical = frame.create_physical_plan().await?;
        self.scratch.keep(self.context, name, physical).await
    }

    /// Amounts of several currencies add up to nothing.
    async fn one_currency(&self, source: &SourcePlan) -> Result<()> {
        if self.job.plan.text("currency").is_some() {
            return Ok(());
        }
        let failed = |error| super::ingest::failed("orders", &error);
        let sql = "select distinct currency from sources.orders where currency is not null \
                   order by currency limit 5";
        let found = self.context.sql(sql).await.map_err(failed)?.collect().await.map_err(failed)?;
        if super::ingest::rows(&found) < 2 {
            return Ok(());
        }
        let problem = Problem::at(&source.at, "orders come in several currencies")
            .note("found", super::audit::as_table(&found).unwrap_or_default())
            .help(
                "say which one counts (`currency: EUR` under `params:`; the others are set \
                   aside), or convert them in the mapping of `amount`",
            );
        Err(problem.into())
    }

    /// Stages the rows of a source that were set aside.
    ///
    /// # Errors
    /// They cannot be computed or written.
    pub async fn quarantine(&self, claim: &Claim, source: &SourcePlan) -> Result<StagedTable> {
        let name = TableReference::partial("quarantine", source.kind.name);
        let frame = self.context.table(name.clone()).await;
        let frame = frame.map_err(|error| super::ingest::failed(source.kind.name, &error))?;
        let columns = quarantine_columns(source);
        let grain = vec!["reason".to_string(), "row_number".to_string()];
        let full_name = format!("quarantine.{}", source.kind.name);
        let shape = TableShape::new(&full_name, &columns, grain, frame.schema().as_arrow());
        let staged = self.stage(claim, &shape, frame).await?;
        self.read_back(&shape.schema, &shape.name, &staged.files, name).await?;
        Ok(staged)
    }

    /// Sorts a table by its grain and writes it where nobody sees it yet.
    async fn stage(
        &self,
        claim: &Claim,
        shape: &TableShape,
        frame: DataFrame,
    ) -> Result<StagedTable> {
        let failed = |error| table_problem(&shape.name, &error);
        let keys: Vec<&str> = shape.grain.iter().map(String::as_str).collect();
        let sorted = frame.sort(ascending(&keys)).map_err(failed)?;
        let physical = planned(sorted).await.map_err(failed)?;
        let stream = execute_stream(Arc::clone(&physical), self.context.task_ctx());
        // Rows are computed while those before them are encoded.
        let stream = spawn_buffered(stream.map_err(failed)?, BATCHES_AHEAD);
        let day = Day::from(self.job.plan.as_of);
        let threads = self.context.state().config().target_partitions();
        let publish = &self.job.plan.publish;
        let cut = Cut { file_rows: publish.file_rows, encodings: publish.encodings, threads };
        let files = stage::write(stream, shape, claim, day, cut).await?;
        engine::trace(&shape.name, physical.as_ref());
        let staged = StagedTable {
            table: shape.name.clone(),
            day,
            files,
            schema: shape.columns.clone(),
            grain: shape.grain.clone(),
            fingerprint: None,
        };
        Ok(staged)
    }

    /// Frees what was kept for readers that have all been: with a hundred
    /// million orders, everything at once is more than a disk has to spare.
    /// `waiting` are the models still to be computed.
    ///
    /// # Errors
    /// The disk fails.
    pub async fn forget<'m>(&self, waiting: impl Iterator<Item = &'m Model>) -> Result<()> {
        let failed = |error| engine_problem(&error, "cannot free what has been read");
        let mut needed: BTreeSet<String> = BTreeSet::new();
        let mut open: Vec<TableReference> = evidence::tables().collect();
        for model in waiting {
            open.extend(model.tables.iter().map(|table| typecheck::reference(&table.value)));
        }
        while let Some(name) = open.pop() {
            if needed.insert(name.to_string())
                && let Ok(table) = self.context.table_provider(name).await
                && let Some(view) = table.get_logical_plan()
            {
                open.extend(scanned(&view).map_err(failed)?);
            }
        }
        self.scratch.forget(self.context, |name| !needed.contains(name)).map_err(failed)?;
        Ok(())
    }

    fn view(&self, name: TableReference, frame: &DataFrame) -> Result<()> {
        let view = ViewTable::new(frame.logical_plan().clone(), None);
        self.register(name, Arc::new(view))
            .map_err(|error| engine_problem(&error, "cannot register a view"))?;
        Ok(())
    }

    /// How often the models and checks that this run computes read a table.
    fn uses(&self, model: &Model, work: &Work) -> usize {
        let tables = self.job.plan.tables.iter().map(|table| (&table.model, &work.compute));
        let checks = self.job.plan.checks.iter().map(|check| (check, &work.checks));
        let computed = tables.chain(checks).filter(|(m, all)| all.contains(&m.name.to_string()));
        computed.map(|(reader, _)| reader.uses(&model.name)).sum()
    }

    fn report(&self, name: &str, staged: &StagedTable, begun: Instant, role: Role) -> TableReport {
        TableReport {
            name: name.into(),
            rows: staged.rows(),
            bytes: staged.bytes(),
            elapsed: begun.elapsed(),
            staged_by: None,
            role,
        }
    }
}

/// The plan of a query, if its rows lie by customer, so that what reads it can stream.
async fn by_customer(
    frame: &DataFrame,
) -> datafusion::error::Result<Option<Arc<dyn ExecutionPlan>>> {
    let physical = planned(frame.clone()).await?;
    let is_by_customer = matches!(physical.output_partitioning(), Partitioning::Hash(..));
    Ok(is_by_customer.then_some(physical))
}

/// The plan of a query, made beside whatever else is being built.
async fn planned(frame: DataFrame) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
    let planned = SpawnedTask::spawn(async move { frame.create_physical_plan().await });
    let planned = planned.join().await;
    planned.unwrap_or_else(|error| Err(DataFusionError::External(error.into())))
}

/// Whether a query only picks and computes columns of rows that lie somewhere:
/// cheaper done again by each reader than written and read once more.
fn row_wise(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {
            plan.inputs().into_iter().all(row_wise)
        }
        LogicalPlan::TableScan(scan) => match scan.source.get_logical_plan() {
            Some(view) => row_wise(&view),
            None => true,
        },
        _ => false,
    }
}

/// The tables that a query reads.
fn scanned(plan: &LogicalPlan) -> datafusion::error::Result<Vec<TableReference>> {
    let mut found = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            found.push(scan.table_name.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Whether a table has a row for each of many things: customers or orders.
fn is_large(model: &Model) -> bool {
    let mut grain = model.header.grain.iter();
    grain.any(|word| word.value == "customer_id" || word.value == "order_id")
}

fn ascending(names: &[&str]) -> Vec<SortExpr> {
    names.iter().map(|name| named(name).sort(true, false)).collect()
}

fn shape(model: &Model, frame: &DataFrame) -> TableShape {
    let grain = model.header.grain.iter().map(|word| word.value.clone()).collect();
    let name = model.name.to_string();
    TableShape::new(&name, &model.header.columns, grain, frame.schema().as_arrow())
}

/// The columns of a quarantine as a header would describe them.
fn quarantine_columns(source: &SourcePlan) -> Vec<Column> {
    let at = Source::new("quarantine", "").whole();
    let column = |name: &str, kind: ColumnType, comment: &str| Column {
        name: Spanned { value: name.into(), at: at.clone() },
        kind,
        comment: comment.into(),
    };
    source.kind.aside().into_iter().map(|(name, kind, doc)| column(name, kind, doc)).collect()
}
