//! What the reading of a source makes known in the session: queries and tables by name.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::{MemTable, ViewTable};
use datafusion::error::Result;
use datafusion::prelude::SessionContext;

/// Registers a query as a table of the reading.
///
/// # Errors
/// None that is known.
pub fn register(context: &SessionContext, name: &str, frame: &DataFrame) -> Result<()> {
    register_as(context, "ingest", name, frame)
}

/// Registers a query as a table of a schema.
///
/// # Errors
/// None that is known.
pub fn register_as(
    context: &SessionContext,
    schema: &str,
    name: &str,
    frame: &DataFrame,
) -> Result<()> {
    let view = ViewTable::new(frame.logical_plan().clone(), None);
    replace(context, TableReference::partial(schema, name), Arc::new(view))
}

/// Registers a table of the reading.
///
/// # Errors
/// None that is known.
pub fn provide(context: &SessionContext, name: &str, table: Arc<dyn TableProvider>) -> Result<()> {
    replace(context, TableReference::partial("ingest", name), table)
}

/// Registers a table in the place of whatever has its name.
///
/// # Errors
/// None that is known.
pub fn replace(
    context: &SessionContext,
    name: TableReference,
    table: Arc<dyn TableProvider>,
) -> Result<()> {
    context.deregister_table(name.clone())?;
    context.register_table(name, table)?;
    Ok(())
}

/// Runs a query whose result is small and keeps it.
///
/// # Errors
/// It fails.
pub async fn collect(context: &SessionContext, name: &str, sql: &str) -> Result<()> {
    let frame = context.sql(sql).await?;
    let schema = nullable(&frame);
    let batches = frame.collect().await?;
    provide(context, name, Arc::new(MemTable::try_new(schema, vec![batches])?))
}

/// The columns of a query, which may all be null: batches need not keep what a plan
/// says of that.
pub fn nullable(frame: &DataFrame) -> SchemaRef {
    let fields = frame.schema().fields().iter();
    let fields = fields.map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The number that a query gave.
pub fn number(batches: &[RecordBatch]) -> u64 {
    let first = batches.iter().find(|batch| batch.num_rows() > 0);
    let value = first.and_then(|batch| {
        batch.column(0).as_primitive_opt::<Int64Type>().map(|column| column.value(0))
    });
    value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
}
