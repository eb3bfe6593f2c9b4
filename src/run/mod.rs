//! Acts. A plan becomes tables nobody sees, they are audited, and only then
//! does one write make all of them visible.
//!
//! ```text
//! claim ─► read sources ─► quarantine ─► stage tables ─► checks ─► publish ─► release
//! ```

mod audit;
mod build;
mod classify;
mod diagnose;
mod failure;
mod grain;
mod history;
mod ingest;
mod mapping;
mod pass;
mod pieces;
mod reading;
pub mod report;
mod schema;
mod source;
mod stage;
pub mod target;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::engine::scratch::Scratch;
use crate::engine::session;
use crate::error::{Error, Result};
use crate::plan::{Plan, PublishPlan, Role, Variables, Writers};
use crate::problem::Problem;
use crate::storage;
use target::{
    Claim, Clock, Day, LockTimes, OtherTables, Request, RunId, RunInfo, SourceInfo, SourceRead,
    StagedTable, Step, Target, View,
};

pub use failure::{engine_problem, explain, explained, table_problem};
pub use report::{Event, Observer, Report, TableReport};

/// A plan and what it needs of the world to be run.
pub struct Job<'a> {
    /// What to do.
    pub plan: &'a Plan,
    /// The project folder: paths are relative to it.
    pub base: &'a Path,
    /// The environment, from which stores take credentials.
    pub variables: &'a Variables,
    /// Whether everything is computed afresh, whatever earlier runs left.
    pub refresh: bool,
    /// The arguments as given, for the record.
    pub arguments: Vec<String>,
    /// Who watches.
    pub observer: &'a dyn Observer,
    /// What time it is.
    pub clock: Clock,
}

/// Runs a plan: publishes every table of it, or nothing.
///
/// # Errors
/// Anything that goes wrong before the one write that publishes.
pub async fn execute(job: &Job<'_>) -> Result<Report> {
    let begun = Instant::now();
    let target = open_target(&job.plan.publish, job.base, job.variables)?;
    let run_id = RunId::fresh(&job.clock);
    let mut claim = target.claim(run_id.clone()).await.map_err(explain)?;
    job.observer.event(&Event::Started {
        run_id,
        as_of: job.plan.as_of,
        url: target.location().url().into(),
        steps: job.plan.sources.len() + job.plan.tables.len() + job.plan.checks.len(),
    });
    let worked = work(job, &mut claim).await;
    let last = match &worked {
        Ok(_) => Step::Finished,
        Err(error) => Step::Failed { error: headline(error) },
    };
    // What is published is published, and what failed has failed: neither
    // changes because the record of it cannot be written.
    if let Err(error) = claim.journal().close(last).await {
        job.observer.event(&Event::Warning(error.to_string()));
    }
    let run_id = claim.run_id().clone();
    claim.release().await;
    let done = worked?;
    let url = target.location().url().to_string();
    job.observer.event(&Event::Published { run_id: run_id.clone(), url: url.clone() });
    Ok(Report {
        run_id,
        as_of: job.plan.as_of,
        url,
        sources: done.sources,
        tables: done.tables,
        checks: job.plan.checks.len(),
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
}

async fn work(job: &Job<'_>, claim: &mut Claim) -> Result<Done> {
    let plan = job.plan;
    record(claim, started(job)).await?;
    let scratch_parent = plan.engine.scratch.as_ref().map(|folder| job.base.join(folder));
    let scratch = Scratch::new(scratch_parent.as_deref())
        .map_err(|error| engine_problem(&error, "cannot use the scratch folder"))?;
    let scratch = Arc::new(scratch);
    let context = session::open(&plan.engine, scratch.spill())
        .map_err(|error| engine_problem(&error, "cannot start the engine"))?;
    let builder = build::Builder { job, context: &context, scratch: &scratch };

    let mut sources = Vec::new();
    let mut staged = Vec::new();
    let mut renewals = Vec::new();
    for source in plan.sources_in_order() {
        working(job, source.kind.name);
        let ingested = ingest::ingest(job, &context, &scratch, source).await?;
        record(claim, Step::SourceRead(ingested.read.clone())).await?;
        builder.keep_source(source, &ingested).await?;
        staged.push(builder.quarantine(claim, source).await?);
        job.observer.event(&Event::Source(ingested.read.clone(), ingested.elapsed));
        sources.push(ingested.read);
        renewals.extend(ingested.renewal);
    }
    builder.absent_sources().await?;
    let mut tables = Vec::new();
    for table in &plan.tables {
        working(job, &table.model.name.to_string());
        let built = builder.build(claim, table).await?;
        if let Some(done) = built.staged {
            record(claim, Step::TableStaged(done.clone())).await?;
            staged.push(done);
        }
        if let Some(report) = built.report {
            job.observer.event(&Event::Table(report.clone()));
            tables.push(report);
        }
    }
    audit(job, claim, &builder).await?;
    publish(job, claim, &sources, staged).await?;
    for renewal in renewals {
        // Pieces save time, and are made again where there are none.
        if let Err(error) = renewal.finish().await {
            let text = format!("the pieces of the order history could not be kept: {error}");
            job.observer.event(&Event::Warning(text));
        }
    }
    Ok(Done { sources, tables })
}

/// Runs every check; all that fail are reported together.
async fn audit(job: &Job<'_>, claim: &Claim, builder: &build::Builder<'_>) -> Result<()> {
    let plan = job.plan;
    let mut problems = Vec::new();
    let mut failures = Vec::new();
    for check in &plan.checks {
        working(job, &check.name.to_string());
        match audit::check(builder.context, check, &plan.params, &plan.values).await? {
            None => job.observer.event(&Event::Check { name: check.name.to_string() }),
            Some(problem) => {
                failures.push(check.name.to_string());
                problems.push(problem);
            }
        }
    }
    let checks = plan.checks.len() as u64;
    record(claim, Step::Audited { checks, failures }).await?;
    if problems.is_empty() { Ok(()) } else { Err(Error::Audit(problems)) }
}

async fn publish(
    job: &Job<'_>,
    claim: &mut Claim,
    sources: &[SourceRead],
    tables: Vec<StagedTable>,
) -> Result<()> {
    let info = RunInfo {
        pipeline: job.plan.pipeline.clone(),
        as_of: Day::from(job.plan.as_of),
        params: params(job.plan),
        sources: sources.iter().map(|read| (read.source.clone(), source_info(read))).collect(),
        tool_version: env!("CARGO_PKG_VERSION").into(),
    };
    let request = Request { info, tables, others: OtherTables::Carry };
    let published = claim.publish(&request).await.map_err(explain)?;
    let warn = |text: String| job.observer.event(&Event::Warning(text));
    if let View::Behind(error) = &published.view {
        warn(format!("published, but the Hive folders are behind until the next run: {error}"));
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

fn source_info(read: &SourceRead) -> SourceInfo {
    SourceInfo {
        url: read.url.clone(),
        files: read.files.len() as u64,
        bytes: read.bytes,
        rows: read.read,
        fingerprint: read.fingerprint.clone(),
    }
}

fn params(plan: &Plan) -> BTreeMap<String, serde_json::Value> {
    let text = |value: &crate::plan::params::ParamValue| serde_json::Value::from(value.to_string());
    plan.values.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn started(job: &Job<'_>) -> Step {
    Step::Started {
        pipeline: job.plan.pipeline.clone(),
        as_of: Day::from(job.plan.as_of),
        params: params(job.plan),
        version: env!("CARGO_PKG_VERSION").into(),
        arguments: job.arguments.clone(),
        retry_of: None,
    }
}

async fn record(claim: &Claim, step: Step) -> Result<()> {
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
