//! Acts. A plan becomes tables nobody sees, they are audited, and only then
//! does one write make all of them visible.
//!
//! ```text
//! look ─► claim ─► read sources ─► quarantine ─► stage tables ─► checks ─► publish ─► release
//!   └─► nothing to do
//! ```

mod audit;
mod build;
mod classify;
mod compute;
mod diagnose;
mod encode;
mod failure;
mod fitted;
mod grain;
mod history;
mod ingest;
mod known;
mod mapping;
mod pass;
mod pieces;
mod preview;
mod reading;
mod record;
pub mod report;
mod retry;
mod reuse;
mod schema;
mod source;
mod stage;
mod take_over;
pub mod target;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use futures::future::try_join_all;

use crate::error::{Error, Result};
use crate::plan::fingerprint::Graph;
use crate::plan::{Plan, PlannedTable, PublishPlan, Role, Variables, Writers};
use crate::problem::Problem;
use crate::storage;
use pieces::Renewal;
use reuse::Look;
use take_over::{Taken, take_over};
use target::{
    Claim, Clock, Day, LockTimes, OtherTables, Request, RunId, SourceListed, SourceRead,
    StagedTable, Step, Target, View,
};

pub use compute::{Computed, compute};
pub use failure::{engine_problem, explain, explained, table_problem};
pub use preview::{Preview, preview};
pub use report::{Event, Observer, Outcome, Report, TableReport};
pub use retry::Earlier;

/// A plan and what it needs of the world to be run.
pub struct Job<'a> {
    /// What to do.
    pub plan: &'a Plan,
    /// The project folder: paths are relative to it.
    pub base: &'a Path,
    /// The environment, from which stores take credentials.
    pub variables: &'a Variables,
    /// Whether everything is computed, whatever stands.
    pub refresh: bool,
    /// The arguments as given, for the record.
    pub arguments: Vec<String>,
    /// The run that this one repeats, if it does.
    pub earlier: Option<&'a Earlier>,
    /// Who watches.
    pub observer: &'a dyn Observer,
    /// What time it is.
    pub clock: Clock,
}

/// Runs a plan: publishes every table of it that does not stand, or nothing.
///
/// # Errors
/// Anything that goes wrong before the one write that publishes.
pub async fn execute(job: &Job<'_>) -> Result<Report> {
    let begun = Instant::now();
    let target = open_target(&job.plan.publish, job.base, job.variables)?;
    let graph = Graph::of(job.plan, crate::VERSION);
    if let Some(earlier) = job.earlier {
        earlier.check_sources(job).await?;
    }
    let run_id = RunId::fresh(&job.clock);
    let done = match unchanged(job, &target, &graph, &run_id).await {
        Some(done) => done,
        None => locked(job, &target, &graph, &run_id).await?,
    };
    Ok(Report {
        run_id,
        as_of: job.plan.as_of,
        url: target.location().url().to_string(),
        sources: done.sources,
        tables: done.tables,
        reused: done.reused,
        checks: done.checks,
        outcome: done.outcome,
        elapsed: begun.elapsed(),
    })
}

/// The place a pipeline publishes to. Makes no request.
///
/// # Errors
/// A URL or option nobody understands.
pub fn open_target(publish: &PublishPlan, base: &Path, variables: &Variables) -> Result<Target> {
    let mut options = publish.storage.clone();
    if publish.writers == Writers::Single {
        options.insert("single_writer".into(), "true".into());
    }
    let location = storage::open(&publish.url, base, variables, &options);
    let location = location.map_err(|error| Error::Invalid(vec![explained(error.explained())]))?;
    Ok(Target::new(location, Clock::system(), LockTimes::default()))
}

/// What a run has done before anybody could see it.
struct Done {
    sources: Vec<SourceRead>,
    tables: Vec<TableReport>,
    reused: Vec<String>,
    checks: usize,
    outcome: Outcome,
}

/// A run in which everything stands; none where there is something to do, or
/// something that keeps one from knowing. It needs no lock, for it changes
/// nothing: what it says was so at the moment it read the manifest.
async fn unchanged(job: &Job<'_>, target: &Target, graph: &Graph, run_id: &RunId) -> Option<Done> {
    if job.refresh {
        return None;
    }
    let manifest = target.manifest().await.ok()??;
    manifest.on(Day::from(job.plan.as_of)).next()?;
    let listed = source::list_all(job).await.ok()?;
    let look = Look::at(job, graph, target, &manifest, &listed).await.ok()?;
    // Folders that a dead run left behind are repaired under the lock.
    let is_nothing = look.work.is_nothing() && look.is_laid_out(job.plan, &manifest);
    if !is_nothing || !target.shows(&manifest).await.ok()? {
        return None;
    }
    started(job, target, run_id, &look);
    let journal = target.journal(run_id);
    let noted = async {
        journal.record(record::started(job)).await?;
        journal.close(Step::Finished).await
    };
    if let Err(error) = noted.await {
        job.observer.event(&Event::Warning(error.to_string()));
    }
    Some(nothing(&look))
}

fn nothing(look: &Look<'_>) -> Done {
    Done {
        sources: Vec::new(),
        tables: Vec::new(),
        reused: look.work.reuse.iter().cloned().collect(),
        checks: 0,
        outcome: Outcome::NothingToDo,
    }
}

/// A run with the lock in hand.
async fn locked(job: &Job<'_>, target: &Target, graph: &Graph, run_id: &RunId) -> Result<Done> {
    let mut claim = target.claim(run_id.clone()).await.map_err(explain)?;
    let worked = work(job, target, graph, &mut claim).await;
    let last = match &worked {
        Ok(_) => Step::Finished,
        Err(error) => Step::Failed { error: headline(error) },
    };
    // What is published is published, and what failed has failed: neither
    // changes because the record of it cannot be written.
    if let Err(error) = claim.journal().close(last).await {
        job.observer.event(&Event::Warning(error.to_string()));
    }
    claim.release().await;
    let done = worked?;
    if done.outcome == Outcome::Published {
        let url = target.location().url().to_string();
        job.observer.event(&Event::Published { run_id: run_id.clone(), url });
    }
    Ok(done)
}

async fn work(job: &Job<'_>, target: &Target, graph: &Graph, claim: &mut Claim) -> Result<Done> {
    note(claim, record::started(job)).await?;
    let listed = list(job, claim).await?;
    let mut look = Look::at(job, graph, target, claim.manifest(), &listed).await?;
    started(job, target, claim.run_id(), &look);
    if look.work.is_nothing() && look.is_laid_out(job.plan, claim.manifest()) {
        return Ok(nothing(&look));
    }
    let plan = job.plan;
    claim.admit(&look.layouts(plan)).await.map_err(explain)?;
    let (scratch, context) = build::place(job)?;
    let builder = build::Builder { job, context: &context, scratch: &scratch };
    let Taken { mut staged, mut tables, read: known } =
        take_over(job, claim, &builder, &look).await?;
    let Entered { read: sources, renewals } =
        read(job, claim, &builder, &mut look, &mut staged).await?;
    reuse_published(claim, &builder, &look, plan).await?;
    tables.extend(build_tables(job, claim, &builder, &look, &mut staged).await?);
    audit(job, claim, &builder, &look).await?;
    publish(job, claim, &[known, sources.clone()].concat(), &look, staged).await?;
    for renewal in renewals {
        // Pieces save time, and are made again where there are none.
        if let Err(error) = renewal.finish().await {
            let text = format!("the pieces of the order history could not be kept: {error}");
            job.observer.event(&Event::Warning(text));
        }
    }
    Ok(Done {
        sources,
        tables,
        reused: look.work.reuse.iter().cloned().collect(),
        checks: look.work.checks.len(),
        outcome: Outcome::Published,
    })
}

/// Lists the sources and notes what there is: a retry must find the same.
async fn list(job: &Job<'_>, claim: &Claim) -> Result<Vec<SourceListed>> {
    let listed = source::list_all(job).await?;
    if let Some(earlier) = job.earlier {
        earlier.is_from(&listed)?;
    }
    let notes = listed.iter().map(|source| note(claim, Step::SourceListed(source.clone())));
    try_join_all(notes).await?;
    Ok(listed)
}

/// The sources of a run, once read.
struct Entered {
    read: Vec<SourceRead>,
    /// What becomes of their pieces once the run is published.
    renewals: Vec<Renewal>,
}

/// Reads the sources that something depends on, and stages what is set aside.
async fn read(
    job: &Job<'_>,
    claim: &Claim,
    builder: &build::Builder<'_>,
    look: &mut Look<'_>,
    staged: &mut Vec<StagedTable>,
) -> Result<Entered> {
    let plan = job.plan;
    let mut read: Vec<SourceRead> = Vec::new();
    let mut renewals = Vec::new();
    // Asked anew each time: a source that has changed since it was listed can
    // make others necessary.
    while let Some(source) = plan.sources_in_order().into_iter().find(|source| {
        let name = source.kind.name;
        look.work.compute.contains(&format!("sources.{name}"))
            && !read.iter().any(|read| read.source == name)
    }) {
        let name = source.kind.name;
        working(job, name);
        let ingested = ingest::ingest(job, builder.context, builder.scratch, source).await?;
        note(claim, Step::SourceRead(ingested.read.clone())).await?;
        if job.earlier.is_some() && look.snapshots.get(name) != Some(&ingested.read.fingerprint) {
            let message = format!("source `{name}` has changed while it was read");
            return Err(Problem::named(&source.url, message).help("run again").into());
        }
        look.read(name, &ingested.read.fingerprint);
        builder.keep_source(source, &ingested).await?;
        let quarantine = format!("quarantine.{name}");
        if look.work.publish.contains(&quarantine) && !look.work.take_over.contains(&quarantine) {
            let done = fingerprinted(look, builder.quarantine(claim, source).await?);
            note(claim, Step::TableStaged(done.clone())).await?;
            staged.push(done);
        }
        job.observer.event(&Event::Source(ingested.read.clone(), ingested.elapsed));
        read.push(ingested.read);
        renewals.extend(ingested.renewal);
    }
    Ok(Entered { read, renewals })
}

/// Makes known what stands and is read on, and what is not there at all.
async fn reuse_published(
    claim: &Claim,
    builder: &build::Builder<'_>,
    look: &Look<'_>,
    plan: &Plan,
) -> Result<()> {
    builder.absent_sources(claim.manifest()).await?;
    builder.last_backtest(claim.manifest()).await?;
    for name in &look.work.read_back {
        builder.reuse(claim.manifest(), name).await?;
    }
    let day = Day::from(plan.as_of);
    let reused = look.work.reuse.iter().filter_map(|table| {
        let from = claim.manifest().entry(table, day)?.run_id.clone();
        Some(note(claim, Step::TableReused { table: table.clone(), day, from }))
    });
    try_join_all(reused).await.map(drop)
}

async fn build_tables(
    job: &Job<'_>,
    claim: &Claim,
    builder: &build::Builder<'_>,
    look: &Look<'_>,
    staged: &mut Vec<StagedTable>,
) -> Result<Vec<TableReport>> {
    let mut tables = Vec::new();
    let compute = |table: &&PlannedTable| look.work.compute.contains(&table.model.name.to_string());
    let work: Vec<&PlannedTable> = job.plan.tables.iter().filter(compute).collect();
    let checks = job.plan.checks.iter();
    let checks: Vec<_> =
        checks.filter(|check| look.work.checks.contains(&check.name.to_string())).collect();
    for (place, table) in work.iter().enumerate() {
        let name = table.model.name.to_string();
        working(job, &name);
        let built = builder.build(claim, table, &look.work).await?;
        let waiting = work[place + 1..].iter().map(|table| &table.model);
        builder.forget(waiting.chain(checks.iter().copied())).await?;
        if let Some(done) = built.staged {
            let done = fingerprinted(look, done);
            note(claim, Step::TableStaged(done.clone())).await?;
            staged.push(done);
        }
        if let Some(report) = built.report {
            job.observer.event(&Event::Table(report.clone()));
            tables.push(report);
        }
    }
    Ok(tables)
}

/// A table with what it was made from.
fn fingerprinted(look: &Look<'_>, staged: StagedTable) -> StagedTable {
    let fingerprint = look.now.file(&staged.table).map(str::to_string);
    StagedTable { fingerprint, ..staged }
}

/// Runs the checks there is a reason to run; all that fail are reported
/// together.
async fn audit(
    job: &Job<'_>,
    claim: &Claim,
    builder: &build::Builder<'_>,
    look: &Look<'_>,
) -> Result<()> {
    let plan = job.plan;
    let mut problems = Vec::new();
    let mut failures = Vec::new();
    for check in &plan.checks {
        let name = check.name.to_string();
        if !look.work.checks.contains(&name) {
            continue;
        }
        working(job, &name);
        match audit::check(builder.context, check, &plan.params, &plan.values).await? {
            None => job.observer.event(&Event::Check { name }),
            Some(problem) => {
                failures.push(name);
                problems.push(problem);
            }
        }
    }
    let checks = look.work.checks.len() as u64;
    note(claim, Step::Audited { checks, failures }).await?;
    if problems.is_empty() { Ok(()) } else { Err(Error::Audit(problems)) }
}

async fn publish(
    job: &Job<'_>,
    claim: &mut Claim,
    sources: &[SourceRead],
    look: &Look<'_>,
    tables: Vec<StagedTable>,
) -> Result<()> {
    let warn = |text: String| job.observer.event(&Event::Warning(text));
    let request = Request {
        info: record::info(job.plan, claim.manifest(), sources),
        tables,
        others: others(job, claim, look),
        checks: passed(job.plan, look),
        layouts: look.layouts(job.plan),
        recipes: serde_json::to_value(look.graph.recipes()).ok(),
    };
    let published = claim.publish(&request).await.map_err(explain)?;
    if let View::Behind(error) = &published.view {
        warn(format!(
            "published, but the folders of the tables are behind until the next run: {error}"
        ));
    }
    // Old sets cost space, not truth: what cannot be removed now is next time.
    let collected = async {
        let garbage = claim
            .garbage(usize::try_from(job.plan.publish.keep_runs).unwrap_or(usize::MAX))
            .await?;
        claim.collect(&garbage).await
    };
    if let Err(error) = collected.await {
        warn(format!("old sets could not be removed: {error}"));
    }
    Ok(())
}

/// What becomes of the day's tables that this run did not make. A reader must
/// not meet two states of the orders in one set.
fn others(job: &Job<'_>, claim: &Claim, look: &Look<'_>) -> OtherTables {
    let dropped = look.contradictory(job.plan, claim.manifest());
    if dropped.is_empty() {
        return OtherTables::Carry;
    }
    let names = dropped.iter().cloned().collect::<Vec<_>>().join(", ");
    job.observer.event(&Event::Warning(format!(
        "not published as of {} any more, for they contradict what this run made: {names}; \
         a run without --select makes all tables of the pipeline",
        job.plan.as_of
    )));
    OtherTables::Drop(dropped)
}

/// The checks that hold when a run publishes, and what they looked at.
fn passed(plan: &Plan, look: &Look<'_>) -> BTreeMap<String, String> {
    let names = plan.checks.iter().map(|check| check.name.to_string());
    names.filter_map(|name| Some((name.clone(), look.now.rows(&name)?.to_string()))).collect()
}

fn started(job: &Job<'_>, target: &Target, run_id: &RunId, look: &Look<'_>) {
    job.observer.event(&Event::Started {
        run_id: run_id.clone(),
        as_of: job.plan.as_of,
        url: target.location().url().into(),
        steps: look.work.steps(),
    });
}

async fn note(claim: &Claim, step: Step) -> Result<()> {
    claim.journal().record(step).await.map_err(explain)
}

fn working(job: &Job<'_>, name: &str) {
    job.observer.event(&Event::Working { name: name.into() });
}

fn headline(error: &Error) -> String {
    let messages = error.problems().iter().map(|problem: &Problem| problem.message.as_str());
    messages.collect::<Vec<_>>().join("; ")
}

/// Whether readers will see a table.
fn is_published(role: Role) -> bool {
    role == Role::Published
}
