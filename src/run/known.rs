//! Making known what a run reads but does not compute: sources that a pipeline
//! does not have, tables that stand, and what was published for earlier days.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::ViewTable;
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{col, lit};
use object_store::ObjectStoreExt;

use super::build::Builder;
use super::target::{Column, DataFile, Day, Entry, Manifest, StagedTable, Target};
use super::{Event, engine_problem, intact};
use crate::engine::files::{FilesTable, TableFile};
use crate::engine::nothing;
use crate::error::Result;
use crate::plan::FileFormat;
use crate::plan::fitted::{LAST_BACKTEST, SCHEMA};
use crate::plan::sources::SOURCES;
use crate::plan::types::{ColumnType, IdType};
use crate::problem::Problem;

impl Builder<'_> {
    /// Makes the sources a pipeline does not have known as empty tables, so
    /// that what depends on them is null. Ids are what the orders' are: a join
    /// of bigint with text would cast every row.
    ///
    /// # Errors
    /// The orders are not known.
    pub async fn absent_sources(&self, manifest: &Manifest) -> Result<()> {
        let failed = |error| engine_problem(&error, "cannot register the absent sources");
        let is_read = self.context.table_exist("sources.orders").map_err(failed)?;
        let id = match is_read {
            true => {
                let orders = self.context.table("sources.orders").await.map_err(failed)?;
                let schema = orders.schema();
                let customer = schema.field_with_unqualified_name("customer_id").map_err(failed)?;
                match customer.data_type() {
                    DataType::Int64 => IdType::Bigint,
                    _ => IdType::Text,
                }
            }
            false => self.published_id(manifest),
        };
        let plan = self.job.plan;
        for kind in SOURCES {
            if !plan.sources.iter().any(|source| source.kind.name == kind.name) {
                let plan = nothing(&kind.schema(id)).map_err(failed)?;
                let table = Arc::new(ViewTable::new(plan, None));
                self.register(TableReference::partial("sources", kind.name), table)
                    .map_err(failed)?;
            }
        }
        Ok(())
    }

    /// What the ids of orders are, that nothing of this run reads: their
    /// quarantine stands, and it has the same columns.
    fn published_id(&self, manifest: &Manifest) -> IdType {
        let entry = manifest.entry("quarantine.orders", Day::from(self.job.plan.as_of));
        let columns = entry.map(|entry| manifest.schema_of(entry)).unwrap_or_default();
        let customer = columns.iter().find(|column| column.name == "customer_id");
        match customer.is_some_and(|column| column.type_name == "bigint") {
            true => IdType::Bigint,
            false => IdType::Text,
        }
    }

    /// Makes a table that stands known under its name: whoever reads it reads
    /// what is published.
    ///
    /// # Errors
    /// It is not there as the manifest says.
    pub async fn reuse(&self, manifest: &Manifest, table: &str) -> Result<()> {
        let entry = manifest.entry(table, Day::from(self.job.plan.as_of));
        let entry = entry.ok_or_else(|| unreadable(table))?;
        let schema = published_schema(manifest, entry, table)?;
        self.read_back(&schema, table, &entry.files, TableReference::from(table)).await
    }

    /// Makes a table known that is staged already.
    ///
    /// # Errors
    /// It is not there as its journal says.
    pub async fn known(&self, table: &StagedTable) -> Result<()> {
        let schema = schema(&table.schema, &table.grain, &table.table)?;
        self.read_back(&schema, &table.table, &table.files, TableReference::from(&table.table))
            .await
    }

    /// Makes the back-test known that was last published for an earlier day,
    /// or that there is none.
    ///
    /// # Errors
    /// It is not there as the manifest says.
    pub async fn last_backtest(&self, target: &Target, manifest: &Manifest) -> Result<()> {
        let today = Day::from(self.job.plan.as_of);
        let name = TableReference::partial(SCHEMA, LAST_BACKTEST);
        let days = manifest.tables.get(BACKTEST);
        let mut last = days.and_then(|days| days.range(..today).next_back());
        if let Some((day, entry)) = last
            && let Some(damage) = intact::damage(target, BACKTEST, *day, &entry.files).await?
        {
            // That day was published, and this one can be without it.
            self.job.observer.event(&Event::Warning(format!(
                "`{BACKTEST}` as of {day} is damaged, so models are compared with none before: \
                 {damage}"
            )));
            last = None;
        }
        let Some((_, entry)) = last else {
            let table = Arc::new(EmptyTable::new(last_backtest_schema()));
            let registered = self.register(name, table);
            return Ok(registered.map_err(|error| engine_problem(&error, "cannot register"))?);
        };
        let schema = published_schema(manifest, entry, BACKTEST)?;
        self.read_back(&schema, BACKTEST, &entry.files, name.clone()).await?;
        match schema.column_with_name(IS_USED) {
            Some(_) => Ok(()),
            None => self.used_before(name).await,
        }
    }

    /// A back-test of a release that did not say which model was used: nbd only
    /// where there was no other.
    async fn used_before(&self, name: TableReference) -> Result<()> {
        let failed = |error| engine_problem(&error, "cannot read the last back-test");
        let frame = self.context.table(name.clone()).await.map_err(failed)?;
        let is_other = || col("model").not_eq(lit("nbd"));
        let others = frame.clone().filter(is_other()).map_err(failed)?;
        let is_alone = others.count().await.map_err(failed)? == 0;
        let is_used = is_other().or(lit(is_alone)).alias(IS_USED);
        let columns = [col("model"), is_used, col("basis"), col("key"), col("cumulative_error")];
        let frame = frame.select(columns).map_err(failed)?;
        let table = frame.into_view();
        Ok(self.register(name, table).map_err(failed)?)
    }

    /// From now on, whoever reads the table reads these files of the target.
    pub(super) async fn read_back(
        &self,
        schema: &SchemaRef,
        table: &str,
        files: &[DataFile],
        name: TableReference,
    ) -> Result<()> {
        let failed = |error: &dyn std::error::Error| {
            Problem::new(format!("`{table}` cannot be read back")).causes(error)
        };
        let target = super::open_target(&self.job.plan.publish, self.job.base, self.job.variables)?;
        let location = target.location();
        let store = ObjectStoreUrl::parse("target://set").map_err(|error| failed(&error))?;
        self.context.register_object_store(store.as_ref(), Arc::clone(location.store()));
        let mut found = Vec::new();
        for file in files {
            let meta = location.store().head(&location.path(&file.path)).await;
            let meta = meta.map_err(|error| failed(&error))?;
            found.push(TableFile::named(meta));
        }
        let table = FilesTable {
            store,
            files: found,
            schema: Arc::clone(schema),
            partition_columns: Vec::new(),
            format: FileFormat::Parquet,
            layout: None,
            rows: usize::try_from(files.iter().map(|file| file.rows).sum::<u64>()).ok(),
        };
        self.register(name, Arc::new(table)).map_err(|error| failed(&error))?;
        Ok(())
    }

    pub(super) fn register(
        &self,
        name: TableReference,
        table: Arc<dyn TableProvider>,
    ) -> datafusion::error::Result<()> {
        self.context.deregister_table(name.clone())?;
        self.context.register_table(name, table)?;
        Ok(())
    }
}

/// What a model is judged by.
const BACKTEST: &str = "metrics.model_backtest";

/// Its column that says which model predictions were made of.
const IS_USED: &str = "is_used";

/// What checks read of it.
fn last_backtest_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        text("model"),
        Field::new(IS_USED, DataType::Boolean, true),
        text("basis"),
        Field::new("key", DataType::Int64, true),
        Field::new("cumulative_error", DataType::Float64, true),
    ]))
}

/// The columns of a published table.
fn published_schema(manifest: &Manifest, entry: &Entry, table: &str) -> Result<SchemaRef> {
    schema(manifest.schema_of(entry), &entry.grain, table)
}

fn schema(columns: &[Column], grain: &[String], table: &str) -> Result<SchemaRef> {
    let fields = columns.iter().map(|column| {
        let kind = ColumnType::parse(&column.type_name).ok_or_else(|| unreadable(table))?;
        let is_key = grain.contains(&column.name);
        Ok(Field::new(&column.name, kind.arrow(IdType::Text), !is_key))
    });
    let fields: Vec<Field> = fields.collect::<std::result::Result<_, Problem>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

fn unreadable(table: &str) -> Problem {
    Problem::new(format!("`{table}` stands in no form that can be read"))
}
