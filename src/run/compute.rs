//! Tables for someone to look at: computed like those of a run, and gone when
//! they have been seen. No lock is taken and nothing is published.

use arrow::array::RecordBatch;

use super::build::{self, Builder};
use super::target::Manifest;
use super::{Event, Job, check_places, ingest, is_published, table_problem, working};
use crate::error::{Error, Result};
use crate::plan::{TableName, typecheck};

/// A table that was computed.
pub struct Computed {
    /// Its full name.
    pub name: String,
    /// Its rows.
    pub rows: Vec<RecordBatch>,
}

/// Computes the tables that a plan would publish.
///
/// # Errors
/// A source cannot be read, or a query fails.
pub async fn compute(job: &Job<'_>) -> Result<Vec<Computed>> {
    let plan = job.plan;
    check_places(plan)?;
    let (scratch, context) = build::place(job)?;
    let builder = Builder { job, context: &context, scratch: &scratch };
    for source in plan.sources_in_order() {
        let name = TableName { schema: "sources".into(), table: source.kind.name.into() };
        // Identities apply to every other source.
        if source.kind.name == "customer_ids" || uses(job, &name) > 0 {
            working(job, source.kind.name);
            let ingested = ingest::ingest(job, &context, &scratch, source).await?;
            if let Some(problem) = ingest::over_limit(&context, plan, source, &ingested.read).await
            {
                return Err(Error::Audit(vec![problem]));
            }
            builder.keep_source(source, &ingested).await?;
            job.observer.event(&Event::Source(ingested.read, ingested.elapsed));
        }
    }
    builder.absent_sources(&Manifest::empty()).await?;
    let mut computed = Vec::new();
    for table in &plan.tables {
        let name = table.model.name.to_string();
        working(job, &name);
        let step = builder.step(&table.model, uses(job, &table.model.name)).await;
        step.map_err(|error| error.in_file(&table.model.source.path))?;
        if is_published(table.role) {
            let failed = |error| table_problem(&name, &error);
            let frame = context.table(typecheck::reference(&table.model.name)).await;
            let rows = frame.map_err(failed)?.collect().await.map_err(failed)?;
            computed.push(Computed { name, rows });
        }
    }
    Ok(computed)
}

/// How often the models of the plan read a table.
fn uses(job: &Job<'_>, name: &TableName) -> usize {
    job.plan.tables.iter().map(|table| table.model.uses(name)).sum()
}
