//! Acts. A plan becomes tables nobody sees, they are audited, and only then
//! does one write make all of them visible.
//!
//! ```text
//! look ─► claim ─► read sources ─► quarantine ─► stage tables ─► checks ─► publish ─► release
//!   └─► nothing to do
//! ```

mod agreed;
mod audit;
mod build;
mod canonical;
mod classify;
mod columns;
mod compute;
mod diagnose;
mod encode;
mod evidence;
mod expression;
mod failure;
mod fitted;
mod floats;
mod folders;
mod grain;
mod guess;
mod history;
mod identity;
mod ingest;
mod instants;
mod intact;
mod known;
mod lines;
mod malformed;
mod mapping;
mod pass;
mod pieces;
mod places;
mod preview;
mod reading;
mod record;
mod refunds;
pub mod report;
mod retry;
mod reuse;
mod room;
mod schema;
mod shares;
mod source;
mod stage;
mod steps;
mod stop;
mod table_formats;
mod tables;
mod take_over;
pub mod target;
mod text;
mod times;
mod turns;
mod withdrawal;

use std::path::Path;
use std::time::Instant;

use crate::error::{Error, Result};
use crate::panics;
use crate::plan::fingerprint::Graph;
use crate::plan::{Plan, PublishPlan, Role, Variables, Writers};
use crate::problem::Problem;
use crate::storage;
use reuse::Look;
use steps::Entered;
use take_over::{Taken, take_over};
use target::{Claim, Clock, Day, LockTimes, RunId, SourceRead, StagedTable, Step, Target};

pub use compute::{Computed, compute};
pub use evidence::Evidence;
pub use failure::{engine_problem, explain, explained, table_problem};
pub use places::check_places;
pub use preview::{Preview, preview};
pub use report::{Event, Observer, Outcome, Report, TableReport};
pub use retry::Earlier;
pub use stop::{Asker, Stop, claim, release};
pub use withdrawal::{Withdrawal, withdraw};

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
/// Asked to stop it gives its lock back and ends; once it has begun to publish it
/// brings that to its end.
///
/// # Errors
/// Anything that goes wrong before the one write that publishes.
pub async fn execute(job: &Job<'_>, stop: &Stop) -> Result<Report> {
    let begun = Instant::now();
    check_places(job.plan)?;
    let target = open_target(&job.plan.publish, job.base, job.variables)?;
    let graph = Graph::of(job.plan, crate::VERSION);
    let run_id = RunId::fresh(&job.clock);
    let done = stop.unless_asked(async {
        if let Some(earlier) = job.earlier {
            earlier.check_sources(job).await?;
        }
        Ok(unchanged(job, &target, &graph, &run_id).await)
    });
    let done = match done.await? {
        Some(done) => {
            let noted = async {
                let journal = target.journal(&run_id);
                journal.record(record::started(job)).await?;
                journal.close(Step::Finished).await
            };
            if let Some(Err(error)) = stop::last_words(noted, stop).await {
                job.observer.event(&Event::Warning(error.to_string()));
            }
            done
        }
        None => locked(job, &target, &graph, &run_id, stop).await?,
    };
    Ok(Report {
        run_id,
        as_of: job.plan.as_of,
        url: target.location().url().to_string(),
        sources: done.sources,
        tables: done.tables,
        reused: done.reused,
        turned_over: done.turned_over,
        format: job.plan.publish.format,
        checks: done.checks,
        outcome: done.outcome,
        behind: done.behind,
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
    if location.folder().is_some_and(|folder| folder.parent().is_none()) {
        return Err(Error::Invalid(vec![places::is_root(location.url())]));
    }
    Ok(Target::new(location, Clock::system(), LockTimes::default()))
}

/// What a run has done before anybody could see it.
struct Done {
    sources: Vec<SourceRead>,
    tables: Vec<TableReport>,
    reused: Vec<String>,
    turned_over: Vec<String>,
    checks: usize,
    outcome: Outcome,
    /// That the folders of the tables were behind when it began, and still are.
    behind: Option<Problem>,
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
    Some(nothing(&look))
}

fn nothing(look: &Look<'_>) -> Done {
    Done {
        sources: Vec::new(),
        tables: Vec::new(),
        reused: look.work.reuse.iter().cloned().collect(),
        turned_over: Vec::new(),
        checks: 0,
        outcome: Outcome::NothingToDo,
        behind: None,
    }
}

/// A run with the lock in hand.
async fn locked(
    job: &Job<'_>,
    target: &Target,
    graph: &Graph,
    run_id: &RunId,
    stop: &Stop,
) -> Result<Done> {
    let mut claim = stop::claim(target, run_id, stop).await?;
    let worked = panics::caught(work(job, target, graph, &mut claim, stop)).await;
    let worked = worked.unwrap_or_else(|panicked| Err(panicked.into()));
    let last = worked.as_ref().err().map_or(Step::Finished, stop::last_step);
    // What is published is published, and what failed has failed: neither
    // changes because the record of it cannot be written.
    if let Some(error) = stop::end(claim, last, stop).await {
        job.observer.event(&Event::Warning(error));
    }
    let done = worked?;
    if done.outcome == Outcome::Published {
        let url = target.location().url().to_string();
        job.observer.event(&Event::Published { run_id: run_id.clone(), url });
    }
    Ok(done)
}

async fn work(
    job: &Job<'_>,
    target: &Target,
    graph: &Graph,
    claim: &mut Claim,
    stop: &Stop,
) -> Result<Done> {
    let look = stop.unless_asked(async {
        note(claim, record::started(job)).await?;
        let listed = steps::list(job, claim).await?;
        let mut look = Look::at(job, graph, target, claim.manifest(), &listed).await?;
        intact::leave_out_damaged(job, target, claim.manifest(), &mut look).await?;
        Ok(look)
    });
    let mut look = look.await?;
    started(job, target, claim.run_id(), &look);
    if look.work.is_nothing() && look.is_laid_out(job.plan, claim.manifest()) {
        let behind = claim.behind().map(|error| explained(&error.explained()));
        return Ok(Done { behind, ..nothing(&look) });
    }
    if let Some(text) = not_come_yet(job) {
        job.observer.event(&Event::Warning(text));
    }
    let plan = job.plan;
    let admitted = async { claim.admit(&look.layouts(plan)).await.map_err(explain) };
    stop.unless_asked(admitted).await?;
    let (scratch, context) = build::place(job)?;
    let builder = build::Builder { job, context: &context, scratch: &scratch };
    let made = make(job, target, claim, &builder, &mut look);
    let Made { known, entered, staged, tables } = stop.unless_asked(made).await?;
    let Entered { read: sources, renewals, columns } = entered;
    let turned_over = look.turned_over(plan, claim.manifest());
    let behind =
        steps::publish(job, claim, &[known, sources.clone()].concat(), &look, staged, stop).await?;
    for renewal in renewals {
        // Pieces save time, and are made again where there are none.
        if stop.is_asked() {
            break;
        }
        if let Err(error) = renewal.finish().await {
            let text = format!("the pieces of the order history could not be kept: {error}");
            job.observer.event(&Event::Warning(text));
        }
    }
    for columns in columns {
        if stop.is_asked() {
            break;
        }
        if let Err(error) = columns.keep().await {
            let text = format!("the columns of the source's files could not be kept: {error}");
            job.observer.event(&Event::Warning(text));
        }
    }
    Ok(Done {
        sources,
        tables,
        reused: look.work.reuse.iter().cloned().collect(),
        turned_over,
        checks: look.work.checks.len(),
        outcome: Outcome::Published,
        behind,
    })
}

/// What a run has made before it publishes.
struct Made {
    /// Sources of which nothing had to be read again.
    known: Vec<SourceRead>,
    entered: Entered,
    staged: Vec<StagedTable>,
    tables: Vec<TableReport>,
}

/// Reads the sources, builds the tables where nobody sees them, and audits them.
async fn make(
    job: &Job<'_>,
    target: &Target,
    claim: &Claim,
    builder: &build::Builder<'_>,
    look: &mut Look<'_>,
) -> Result<Made> {
    let Taken { mut staged, mut tables, read: known } =
        take_over(job, claim, builder, look).await?;
    let entered = steps::read(job, claim, builder, look, &mut staged).await?;
    steps::reuse_published(job, target, claim, builder, look).await?;
    let taken_over = known.iter().map(|source| source.accepted);
    let stand = taken_over.chain(staged.iter().map(StagedTable::rows)).sum::<u64>();
    builder.make_room("what stands", stand + look.rows_read_back(claim.manifest()));
    tables.extend(turns::build_tables(job, claim, builder, look, &mut staged).await?);
    evidence::tell(job, builder, look, claim.manifest()).await;
    let at_once = builder.at_once(turns::customers(&staged));
    steps::audit(job, claim, builder, look, at_once).await?;
    Ok(Made { known, entered, staged, tables })
}

/// That the day of a run is not over anywhere on earth, nor begun: mistyped, it
/// would be the newest day from now on, whatever later runs publish.
fn not_come_yet(job: &Job<'_>) -> Option<String> {
    let day = job.plan.as_of;
    let tomorrow = job.clock.now().date_naive().succ_opt()?;
    (day > tomorrow).then(|| {
        format!(
            "{day} has not come yet; it will be the newest day here until `tenure withdraw \
             PIPELINE --as-of {day}` takes it back"
        )
    })
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
