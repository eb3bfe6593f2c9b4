//! The steps of a run, in their order: list, read, build, audit, publish. Each
//! is noted in the journal when it is done.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use futures::future::try_join_all;

use super::build::Builder;
use super::columns::ColumnsToKeep;
use super::pieces::Renewal;
use super::reuse::Look;
use super::target::{
    Claim, Day, OtherTables, Request, SourceListed, SourceRead, StagedTable, Step, Target, View,
    is_quarantine,
};
use super::{
    Event, Job, Stop, audit, explain, ingest, intact, note, record, shares, source, working,
};
use crate::error::{Error, Result};
use crate::plan::{Plan, SourcePlan};
use crate::problem::Problem;

/// Lists the sources and notes what there is: a retry must find the same.
///
/// # Errors
/// A source that is not there, or is not what the repeated run found.
pub async fn list(job: &Job<'_>, claim: &Claim) -> Result<Vec<SourceListed>> {
    let listed = source::list_all(job).await?;
    if let Some(earlier) = job.earlier {
        earlier.is_from(&listed)?;
    }
    let notes = listed.iter().map(|source| note(claim, Step::SourceListed(source.clone())));
    try_join_all(notes).await?;
    Ok(listed)
}

/// The sources of a run, once read.
pub struct Entered {
    /// What was read of each.
    pub read: Vec<SourceRead>,
    /// What becomes of their pieces once the run is published.
    pub renewals: Vec<Renewal>,
    /// The columns of their files, to be kept for later runs.
    pub columns: Vec<ColumnsToKeep>,
}

/// Reads the sources that something depends on, and stages what is set aside.
///
/// # Errors
/// A source cannot be read, sets too much aside, or changes meanwhile.
pub async fn read(
    job: &Job<'_>,
    claim: &Claim,
    builder: &Builder<'_>,
    look: &mut Look<'_>,
    staged: &mut Vec<StagedTable>,
) -> Result<Entered> {
    let plan = job.plan;
    let mut read: Vec<SourceRead> = Vec::new();
    let (mut renewals, mut columns) = (Vec::new(), Vec::new());
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
        if let Some(problem) =
            ingest::over_limit(builder.context, plan, source, &ingested.read).await
        {
            return Err(too_much_aside(claim, builder, source, problem).await);
        }
        note(claim, Step::SourceRead(ingested.read.clone())).await?;
        if job.earlier.is_some() && look.snapshots.get(name) != Some(&ingested.read.fingerprint) {
            let message = format!("source `{name}` has changed while it was read");
            return Err(Problem::named(&source.url, message).help("run again").into());
        }
        look.read(name, &ingested.read.fingerprint);
        builder.keep_source(source, &ingested).await?;
        let quarantine = format!("quarantine.{name}");
        if look.work.publish.contains(&quarantine) && !look.work.take_over.contains(&quarantine) {
            let done = look.fingerprinted(builder.quarantine(claim, source).await?);
            note(claim, Step::TableStaged(done.clone())).await?;
            staged.push(done);
        }
        job.observer.event(&Event::Source(ingested.read.clone(), ingested.elapsed));
        let share = shares::warning(builder.context, source, &ingested.read).await;
        let odd = ingest::nothing_counts(source, &ingested.read).into_iter().chain(share);
        for text in ingested.warnings.into_iter().chain(odd) {
            job.observer.event(&Event::Warning(text));
        }
        read.push(ingested.read);
        renewals.extend(ingested.renewal);
        columns.extend(ingested.columns);
    }
    Ok(Entered { read, renewals, columns })
}

/// The end of a run that sets too much aside. The rows are staged for somebody
/// to look at; their count is not noted, so that no retry takes them over.
async fn too_much_aside(
    claim: &Claim,
    builder: &Builder<'_>,
    source: &SourcePlan,
    problem: Problem,
) -> Error {
    let staged = match builder.quarantine(claim, source).await {
        Ok(staged) => note(claim, Step::TableStaged(staged)).await.is_ok(),
        Err(_) => false,
    };
    // Where they cannot be staged, the run has failed all the same.
    Error::Audit(vec![match staged {
        true => problem.help(format!(
            "{}; `tenure show PIPELINE quarantine.{} --run {}` has all of them",
            ingest::CORRECT,
            source.kind.name,
            claim.run_id()
        )),
        false => problem,
    }])
}

/// Makes known what stands and is read on, and what is not there at all.
///
/// # Errors
/// A published file is not there, or not as it was published.
pub async fn reuse_published(
    job: &Job<'_>,
    target: &Target,
    claim: &Claim,
    builder: &Builder<'_>,
    look: &Look<'_>,
) -> Result<()> {
    builder.absent_sources(claim.manifest()).await?;
    builder.last_backtest(target, claim.manifest()).await?;
    let day = Day::from(job.plan.as_of);
    for name in &look.work.read_back {
        // Most were looked at before it was decided to read them.
        if !look.intact.contains(name)
            && let Some(entry) = claim.manifest().entry(name, day)
            && let Some(damage) = intact::damage(target, name, day, &entry.files).await?
        {
            return Err(intact::damaged(name, &damage).into());
        }
        builder.reuse(claim.manifest(), name).await?;
    }
    let reused = look.work.reuse.iter().filter_map(|table| {
        let from = claim.manifest().entry(table, day)?.run_id.clone();
        Some(note(claim, Step::TableReused { table: table.clone(), day, from }))
    });
    try_join_all(reused).await.map(drop)
}

/// Runs the checks there is a reason to run; all that fail are reported
/// together.
///
/// # Errors
/// Those that fail.
pub async fn audit(
    job: &Job<'_>,
    claim: &Claim,
    builder: &Builder<'_>,
    look: &Look<'_>,
    at_once: usize,
) -> Result<()> {
    let plan = job.plan;
    let mut problems = Vec::new();
    let mut failures = Vec::new();
    let due = plan.checks.iter().filter(|check| look.work.checks.contains(&check.name.to_string()));
    let checks = due.map(|check| async move {
        let name = check.name.to_string();
        working(job, &name);
        (name, audit::check(builder.context, check, &plan.params, &plan.values).await)
    });
    let checks: Vec<_> = checks.collect();
    let mut checks = futures::stream::iter(checks).buffered(at_once);
    while let Some((name, found)) = checks.next().await {
        match found? {
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

/// Publishes what was staged, and removes old sets.
///
/// # Errors
/// The store refuses, or the lock was lost: nothing was published. That the
/// folders of the tables have been behind for longer is told in the result.
pub async fn publish(
    job: &Job<'_>,
    claim: &mut Claim,
    sources: &[SourceRead],
    look: &Look<'_>,
    tables: Vec<StagedTable>,
    stop: &Stop,
) -> Result<Option<Problem>> {
    let warn = |text: String| job.observer.event(&Event::Warning(text));
    let replaced = replaced(job.plan, claim, &tables);
    let request = Request {
        info: record::info(job.plan, claim.manifest(), sources),
        tables,
        others: others(job, claim, look),
        checks: passed(job.plan, look),
        layouts: look.layouts(job.plan),
        recipes: serde_json::to_value(look.graph.recipes()).ok(),
    };
    let ready = async { claim.ready(&request).await.map_err(explain) };
    let ready = stop.unless_asked(ready).await?;
    // From here on it is brought to its end: a request to publish cannot be
    // called back, and the exit code is to be true.
    let published = claim.publish(&request, ready).await.map_err(explain)?;
    replaced.map(warn);
    let behind = match &published.view {
        View::Current => None,
        View::Behind(error) => {
            warn(format!(
                "published, but the folders of the tables are behind until the next run: {error}"
            ));
            None
        }
        View::StillBehind(error) => Some(still_behind(error)),
    };
    // Somebody waits for the end.
    if stop.is_asked() {
        return Ok(behind);
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
    Ok(behind)
}

/// What was a warning once is an error when it comes again: somebody has to look.
pub fn still_behind(error: &super::target::Error) -> Problem {
    let mut problem = super::explained(&error.explained());
    problem.message = format!("published, but, as before this run, {}", problem.message);
    problem
}

/// That tables take the place of those of another pipeline, which may mean
/// something else by them.
fn replaced(plan: &Plan, claim: &Claim, tables: &[StagedTable]) -> Option<String> {
    let manifest = claim.manifest();
    // By name: tables are staged in the order in which they happen to be done.
    let mut replaced: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let made = tables.iter().filter(|staged| !is_quarantine(&staged.table));
    for staged in made {
        let entry = manifest.entry(&staged.table, staged.day);
        if let Some(info) = entry.and_then(|entry| manifest.runs.get(&entry.run_id))
            && info.pipeline != plan.pipeline
        {
            replaced.entry(&info.pipeline).or_default().insert(&staged.table);
        }
    }
    let all = replaced.iter().map(|(other, tables)| {
        let tables: Vec<&str> = tables.iter().copied().collect();
        format!("{} of `{other}`", tables.join(", "))
    });
    (!replaced.is_empty()).then(|| {
        format!(
            "tables of another pipeline were replaced as of {}: {}; leave each table to one \
             pipeline, or give each pipeline a target of its own",
            plan.as_of,
            all.collect::<Vec<_>>().join("; ")
        )
    })
}

/// What becomes of the day's tables that this run did not make. A reader must
/// not meet two states of the orders in one set.
fn others(job: &Job<'_>, claim: &Claim, look: &Look<'_>) -> OtherTables {
    let dropped = look.contradictory(job.plan, claim.manifest());
    if dropped.is_empty() {
        return OtherTables::Carry;
    }
    let is_made = |name: &&String| look.graph.node(name).is_some();
    let (made, unmade): (Vec<_>, Vec<_>) = dropped.iter().partition(is_made);
    let day = job.plan.as_of;
    let warn = |names: &[&String], why: &str| {
        let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
        if !names.is_empty() {
            let names = names.join(", ");
            let text = format!("not published as of {day} any more, for {why}: {names}");
            job.observer.event(&Event::Warning(text));
        }
    };
    warn(
        &made,
        "they contradict what this run made (a run without --select makes all tables of the \
         pipeline)",
    );
    warn(
        &unmade,
        "the pipeline makes them no longer, and what they were made from may have changed",
    );
    OtherTables::Drop(dropped)
}

/// The checks that hold when a run publishes, and what they looked at.
fn passed(plan: &Plan, look: &Look<'_>) -> BTreeMap<String, String> {
    let names = plan.checks.iter().map(|check| check.name.to_string());
    names.filter_map(|name| Some((name.clone(), look.now.rows(&name)?.to_string()))).collect()
}
