//! What a run would do, and why: everything is looked at, nothing is taken,
//! read or written. For `tenure plan` and `--dry-run`.

use std::collections::{BTreeMap, BTreeSet};

use super::reuse::{self, Look};
use super::target::{Day, Entry, Manifest, RunId, SourceListed, Step, Target};
use super::{Event, Job, check_places, open_target};
use super::{record, source};
use crate::error::Result;
use crate::plan::fingerprint::{Graph, Snapshots};
use crate::plan::reuse::Work;
use crate::plan::why::{Made, Reasons};

/// What a run would do.
#[derive(Debug)]
pub struct Preview {
    /// What it has to do.
    pub work: Work,
    /// Why a table is built, by its name.
    pub reasons: BTreeMap<String, String>,
    /// The run that made what stands, by table.
    pub runs: BTreeMap<String, RunId>,
    /// Files of each source, where it can be looked at.
    pub files: BTreeMap<String, usize>,
    /// What is published and would not be any more.
    pub dropped: BTreeSet<String>,
}

/// Looks at sources and target and says what a run would do. What cannot be
/// looked at counts as changed: a plan can be made before anything is there.
///
/// # Errors
/// A target nobody understands.
pub async fn preview(job: &Job<'_>) -> Result<Preview> {
    check_places(job.plan)?;
    let target = open_target(&job.plan.publish, job.base, job.variables)?;
    let manifest = manifest(job, &target).await;
    let day = Day::from(job.plan.as_of);
    let gone = target.incomplete(&manifest, day).await.unwrap_or_default();
    let files = listed(job).await;
    let snapshot = |(name, listed): (&String, &SourceListed)| {
        (name.clone(), source::fingerprint(&listed.files, listed.table_version))
    };
    let snapshots: Snapshots = files.iter().map(snapshot).collect();
    let graph = Graph::of(job.plan, crate::VERSION);
    let standing = reuse::standing(&manifest, &job.plan.pipeline, day, &gone);
    let look = Look::decide(&graph, snapshots, standing, job.refresh);
    let news = news(job, &target, &manifest, &files).await;
    let made = manifest
        .on(day)
        .map(|(name, entry)| (name.to_string(), made(&manifest, entry, gone.contains(name))));
    let reasons = Reasons {
        graph: &graph,
        work: &look.work,
        snapshots: &look.snapshots,
        news: &news,
        made: &made.collect(),
        version: crate::VERSION,
        refresh: job.refresh,
    };
    Ok(Preview {
        reasons: reasons.all(),
        runs: manifest.on(day).map(|(name, e)| (name.into(), e.run_id.clone())).collect(),
        files: files.into_iter().map(|(name, listed)| (name, listed.files.len())).collect(),
        dropped: match look.work.is_nothing() {
            true => BTreeSet::new(),
            false => look.contradictory(job.plan, &manifest),
        },
        work: look.work,
    })
}

async fn manifest(job: &Job<'_>, target: &Target) -> Manifest {
    match target.manifest().await {
        Ok(manifest) => manifest.unwrap_or_else(Manifest::empty),
        Err(error) => {
            job.observer.event(&Event::Warning(format!("what is published is not known: {error}")));
            Manifest::empty()
        }
    }
}

/// The files of every source that can be listed.
async fn listed(job: &Job<'_>) -> BTreeMap<String, SourceListed> {
    let mut files = BTreeMap::new();
    for source in &job.plan.sources {
        let name = source.kind.name;
        match source::list(source, job.base, job.variables).await {
            Ok(listed) => drop(files.insert(name.to_string(), listed.record(name))),
            Err(error) => {
                let text = super::headline(&error);
                job.observer.event(&Event::Warning(format!("a run would fail: {text}")));
            }
        }
    }
    files
}

/// What is different about the files of each source since its quarantine was
/// published: the journal of that run has their names.
async fn news(
    job: &Job<'_>,
    target: &Target,
    manifest: &Manifest,
    now: &BTreeMap<String, SourceListed>,
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for source in &job.plan.sources {
        let name = source.kind.name;
        let entry = manifest.entry(&format!("quarantine.{name}"), Day::from(job.plan.as_of));
        let (Some(entry), Some(now)) = (entry, now.get(name)) else { continue };
        let steps = target.steps(&entry.run_id).await.unwrap_or_default();
        let then = steps.into_iter().find_map(|record| match record.step {
            Step::SourceRead(read) if read.source == name => Some(read),
            _ => None,
        });
        let news = then.and_then(|then| {
            let version = now.table_version.filter(|_| now.table_version != then.table_version);
            // A version may have the files of the one before it.
            let other = || version.map(|version| format!("version {version} of its table"));
            reuse::news(&then.files, &now.files).or_else(other)
        });
        found.extend(news.map(|news| (name.to_string(), news)));
    }
    found
}

fn made(manifest: &Manifest, entry: &Entry, is_gone: bool) -> Made {
    let info = manifest.runs.get(&entry.run_id);
    let recipes = info.and_then(|info| record::recipes(manifest, info));
    let sources = info.into_iter().flat_map(|info| &info.sources);
    Made {
        version: info.map(|info| info.tool_version.clone()).unwrap_or_default(),
        is_recorded: entry.fingerprint.is_some() && recipes.is_some(),
        is_gone,
        recipes: recipes.unwrap_or_default(),
        sources: sources.map(|(name, read)| (name.clone(), read.fingerprint.clone())).collect(),
    }
}
