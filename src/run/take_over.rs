//! What a retry need not make again: tables that the run it repeats had
//! staged whole, and that are made from the same.

use super::build::Builder;
use super::reuse::Look;
use super::target::{Claim, SourceRead, StagedTable, Step};
use super::{Event, Job, TableReport, explain, note};
use crate::error::Result;

/// What a run has from the one it repeats.
#[derive(Default)]
pub struct Taken {
    /// Tables to publish.
    pub staged: Vec<StagedTable>,
    /// The same, to be told.
    pub tables: Vec<TableReport>,
    /// Sources of which nothing has to be read again.
    pub read: Vec<SourceRead>,
}

/// Takes over what the run that is repeated had staged. Its files are copied,
/// so that this run's set stands by itself.
///
/// # Errors
/// The store fails, or a file is gone.
pub async fn take_over(
    job: &Job<'_>,
    claim: &Claim,
    builder: &Builder<'_>,
    look: &Look<'_>,
) -> Result<Taken> {
    let mut taken = Taken::default();
    let Some(earlier) = job.earlier else { return Ok(taken) };
    for source in job.plan.sources_in_order() {
        let name = source.kind.name;
        let is_read = look.work.compute.contains(&format!("sources.{name}"));
        let has_aside = look.work.take_over.contains(&format!("quarantine.{name}"));
        if let Some(read) = earlier.read_of(name).filter(|_| has_aside && !is_read) {
            note(claim, Step::SourceRead(read.clone())).await?;
            taken.read.push(read.clone());
        }
    }
    let order = look.graph.nodes().iter().map(|node| &node.name);
    for offer in order.filter(|name| look.work.take_over.contains(*name)).map(|n| &look.offers[n]) {
        let table = claim.adopt(&offer.table).await.map_err(explain)?;
        note(claim, Step::TableStaged(table.clone())).await?;
        builder.known(&table).await?;
        let report = TableReport::taken_over(&table, &offer.by);
        job.observer.event(&Event::Table(report.clone()));
        taken.tables.push(report);
        taken.staged.push(table);
    }
    Ok(taken)
}
