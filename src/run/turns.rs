//! Tables in turn, each as soon as what it reads is there, a few at a time:
//! while the last rows of one are put in order and encoded, another computes.
//!
//! What a run makes does not depend on it, nor does the order in which it is
//! told.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{FuturesUnordered, StreamExt};

use super::build::{Builder, Built};
use super::reuse::Look;
use super::target::{Claim, StagedTable, Step};
use super::{Event, Job, TableReport, explain, note, working};
use crate::error::Result;
use crate::plan::{Model, PlannedTable};

/// Builds the tables and steps there is a reason to build, as many at the same
/// time as there is memory for, and stages what is to be published.
///
/// # Errors
/// A query, an audit of keys or the store fails.
pub async fn build_tables(
    job: &Job<'_>,
    claim: &Claim,
    builder: &Builder<'_>,
    look: &Look<'_>,
    staged: &mut Vec<StagedTable>,
) -> Result<Vec<TableReport>> {
    let mut turns = Turns::of(job, look);
    let mut told = Told { job, waiting: BTreeMap::new(), next: 0, tables: Vec::new() };
    let mut building = FuturesUnordered::new();
    loop {
        let at_once = builder.at_once(customers(staged));
        while building.len() < at_once
            && let Some((place, table)) = turns.next(at_once)
        {
            working(job, &table.model.name.to_string());
            building.push(async move { (place, builder.build(claim, table, &look.work).await) });
        }
        let Some((place, built)) = building.next().await else { return Ok(told.tables) };
        let Built { staged: done, report } = built?;
        claim.check().await.map_err(explain)?;
        turns.done(place);
        builder.forget(turns.readers(look)).await?;
        if let Some(done) = done {
            let done = look.fingerprinted(done);
            note(claim, Step::TableStaged(done.clone())).await?;
            staged.push(done);
        }
        told.done(place, report);
    }
}

/// How many customers there are, if a table of them is made.
pub fn customers(staged: &[StagedTable]) -> Option<u64> {
    let of_customers = staged.iter().filter(|staged| staged.grain == ["customer_id"]);
    of_customers.map(StagedTable::rows).max()
}

/// Which table may be begun. A place is one in the order of the plan.
struct Turns<'a> {
    job: &'a Job<'a>,
    work: Vec<&'a PlannedTable>,
    /// In the order of the plan.
    waiting: Vec<usize>,
    /// How many tables stand in the longest row behind each.
    rows: Vec<usize>,
    building: BTreeSet<usize>,
}

impl<'a> Turns<'a> {
    fn of(job: &'a Job<'a>, look: &Look<'_>) -> Self {
        let compute =
            |table: &&PlannedTable| look.work.compute.contains(&table.model.name.to_string());
        let work: Vec<&PlannedTable> = job.plan.tables.iter().filter(compute).collect();
        let (waiting, rows) = ((0..work.len()).collect(), rows_behind(&work));
        Self { job, waiting, rows, building: BTreeSet::new(), work }
    }

    /// A table that reads none of those that are not done. One at a time, the first
    /// in the order of the plan, which keeps least for later; of several, the one on
    /// which the longest row of others waits, so that no such row is left over at
    /// the end with nothing beside it.
    fn next(&mut self, at_once: usize) -> Option<(usize, &'a PlannedTable)> {
        let is_open = |place: &usize| {
            let mut open = self.waiting.iter().chain(&self.building);
            open.any(|other| reads(self.work[*place], self.work[*other]))
        };
        let mut free = (0..self.waiting.len()).filter(|at| !is_open(&self.waiting[*at]));
        let next = match at_once {
            1 => free.next(),
            _ => free.min_by_key(|at| Reverse(self.rows[self.waiting[*at]])),
        };
        let place = self.waiting.remove(next?);
        self.building.insert(place);
        Some((place, self.work[place]))
    }

    fn done(&mut self, place: usize) {
        self.building.remove(&place);
    }

    /// The models and checks that still read something.
    fn readers<'m>(&'m self, look: &'m Look<'_>) -> impl Iterator<Item = &'m Model> {
        let open = self.waiting.iter().chain(&self.building);
        let checks = self.job.plan.checks.iter();
        let checks = checks.filter(|check| look.work.checks.contains(&check.name.to_string()));
        open.map(|place| &self.work[*place].model).chain(checks)
    }
}

/// For each table, how many others stand in the longest row of which each reads
/// the one before. Tables come after those they read.
fn rows_behind(work: &[&PlannedTable]) -> Vec<usize> {
    let mut rows = vec![0; work.len()];
    for (place, table) in work.iter().enumerate().rev() {
        for (earlier, other) in work[..place].iter().enumerate() {
            if reads(table, other) {
                rows[earlier] = rows[earlier].max(rows[place] + 1);
            }
        }
    }
    rows
}

fn reads(table: &PlannedTable, other: &PlannedTable) -> bool {
    table.model.tables.iter().any(|read| read.value == other.model.name)
}

/// Tells of tables in the order of the plan, whichever is done first.
struct Told<'a> {
    job: &'a Job<'a>,
    waiting: BTreeMap<usize, Option<TableReport>>,
    next: usize,
    tables: Vec<TableReport>,
}

impl Told<'_> {
    fn done(&mut self, place: usize, report: Option<TableReport>) {
        self.waiting.insert(place, report);
        while let Some(report) = self.waiting.remove(&self.next) {
            self.next += 1;
            if let Some(report) = report {
                self.job.observer.event(&Event::Table(report.clone()));
                self.tables.push(report);
            }
        }
    }
}
