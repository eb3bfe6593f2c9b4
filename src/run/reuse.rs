//! What a run need not do again, given what is there: the sources as their
//! stores list them, and the manifest. `plan` decides; here one looks.

use std::collections::{BTreeMap, BTreeSet};

use super::retry::Offer;
use super::source;
use super::target::{Day, Entry, Layout, Manifest, SourceFile, SourceListed, StagedTable, Target};
use super::{Job, explain, record};
use crate::error::Result;
use crate::plan::fingerprint::{Fingerprints, Graph, Node, NodeKind, Recipes, Snapshots};
use crate::plan::reuse::{Standing, Work};
use crate::plan::{Plan, TableFormat};

/// A plan, what is there, and what is therefore to be done.
#[derive(Debug)]
pub struct Look<'a> {
    /// What is computed from what.
    pub graph: &'a Graph,
    /// The files of the sources.
    pub snapshots: Snapshots,
    /// The fingerprints over them.
    pub now: Fingerprints,
    /// What stands.
    pub standing: Standing,
    /// What the run that is repeated has staged, by table.
    pub offers: BTreeMap<String, Offer>,
    /// Whether what stands counts for nothing.
    pub refresh: bool,
    /// What is to be done.
    pub work: Work,
    /// Published tables whose files were found to be what was written.
    pub intact: BTreeSet<String>,
}

impl<'a> Look<'a> {
    /// Compares the sources, as they are listed, with what `manifest` names.
    ///
    /// # Errors
    /// The target cannot be looked at.
    pub async fn at(
        job: &Job<'_>,
        graph: &'a Graph,
        target: &Target,
        manifest: &Manifest,
        listed: &[SourceListed],
    ) -> Result<Self> {
        let snapshot = |source: &SourceListed| {
            (source.source.clone(), source::fingerprint(&source.files, source.table_version))
        };
        let day = Day::from(job.plan.as_of);
        let gone = target.incomplete(manifest, day).await.map_err(explain)?;
        let mut standing = standing(manifest, &job.plan.pipeline, day, &gone);
        let offers = match job.earlier {
            Some(earlier) => earlier.offers(target, day).await?,
            None => BTreeMap::new(),
        };
        let made_from = |(name, offer): (&String, &Offer)| {
            Some((name.clone(), offer.table.fingerprint.clone()?))
        };
        standing.staged = offers.iter().filter_map(made_from).collect();
        let snapshots = listed.iter().map(snapshot).collect();
        Ok(Self { offers, ..Self::decide(graph, snapshots, standing, job.refresh) })
    }

    /// What is to be done, given all there is to know.
    pub fn decide(
        graph: &'a Graph,
        snapshots: Snapshots,
        standing: Standing,
        refresh: bool,
    ) -> Self {
        let now = graph.fingerprints(&snapshots);
        let work = Work::of(graph, &now, &standing, refresh);
        let (offers, intact) = (BTreeMap::new(), BTreeSet::new());
        Self { graph, snapshots, now, standing, offers, refresh, work, intact }
    }

    /// Takes note that a published table cannot be read, so that it is built again.
    pub fn does_not_stand(&mut self, table: &str) {
        self.standing.tables.remove(table);
        self.work = Work::of(self.graph, &self.now, &self.standing, self.refresh);
    }

    /// Takes note of the files a source was in fact read from; they may have
    /// changed since they were listed.
    pub fn read(&mut self, source: &str, files: &str) {
        let listed = self.snapshots.insert(source.into(), files.into());
        if listed.as_deref() != Some(files) {
            self.now = self.graph.fingerprints(&self.snapshots);
            self.work = Work::of(self.graph, &self.now, &self.standing, self.refresh);
        }
    }

    /// A table with what it was made from.
    pub fn fingerprinted(&self, staged: StagedTable) -> StagedTable {
        let fingerprint = self.now.file(&staged.table).map(str::to_string);
        StagedTable { fingerprint, ..staged }
    }

    /// Rows of published tables that are read on.
    pub fn rows_read_back(&self, manifest: &Manifest) -> u64 {
        let entries = self.work.read_back.iter().filter_map(|name| {
            let days = manifest.tables.get(name)?;
            days.values().map(|entry| entry.rows).max()
        });
        entries.sum()
    }

    /// How the published tables of the plan are to be laid out.
    pub fn layouts(&self, plan: &Plan) -> BTreeMap<String, Layout> {
        let layout = match plan.publish.format {
            TableFormat::Parquet => Layout::Hive,
            TableFormat::Delta => Layout::Delta,
        };
        let tables = self.work.publish.iter().chain(&self.work.reuse);
        tables.map(|table| (table.clone(), layout)).collect()
    }

    /// Whether the tables that stand are laid out as the plan says.
    pub fn is_laid_out(&self, plan: &Plan, manifest: &Manifest) -> bool {
        let mut layouts = self.layouts(plan).into_iter();
        layouts.all(|(table, layout)| manifest.layout(&table) == layout)
    }

    /// The tables of any day that publishing lays out in another way.
    pub fn turned_over(&self, plan: &Plan, manifest: &Manifest) -> Vec<String> {
        let layouts = self.layouts(plan).into_iter();
        let other = layouts.filter(|(table, layout)| {
            manifest.tables.contains_key(table) && manifest.layout(table) != *layout
        });
        other.map(|(table, _)| table).collect()
    }

    /// The published tables of the day that must not stay beside what this
    /// run makes: those it leaves out, and those nobody lists any more, where
    /// they are made from something else.
    pub fn contradictory(&self, plan: &Plan, manifest: &Manifest) -> BTreeSet<String> {
        let unlisted = manifest.on(Day::from(plan.as_of)).filter(|(name, entry)| {
            self.graph.node(name).is_none() && self.is_outdated(plan, manifest, entry)
        });
        let unlisted = unlisted.map(|(name, _)| name.to_string());
        self.work.stale.iter().cloned().chain(unlisted).collect()
    }

    /// Whether a table of this pipeline that the plan does not know was made
    /// from other files, beside other queries, with other parameters, or by another
    /// version. What it was made from in particular is not known any more.
    fn is_outdated(&self, plan: &Plan, manifest: &Manifest, entry: &Entry) -> bool {
        let Some(info) = manifest.runs.get(&entry.run_id) else { return false };
        if info.pipeline != plan.pipeline {
            return false;
        }
        let read = info.sources.iter().map(|(name, read)| (name, &read.fingerprint));
        info.tool_version != crate::VERSION
            || info.params != record::params(plan)
            || !read.eq(self.snapshots.iter())
            || record::recipes(manifest, info).is_some_and(|then| self.is_rewritten(&then))
    }

    /// Whether a query is another than it was.
    fn is_rewritten(&self, then: &Recipes) -> bool {
        // What fits a model is no query of the project.
        let is_query =
            |node: &&Node| node.kind != NodeKind::Check && !node.name.starts_with("models.");
        let is_other =
            |node: &Node| then.get(&node.name).is_some_and(|then| then.query != node.recipe.query);
        self.graph.nodes().iter().filter(is_query).any(is_other)
    }
}

/// What a manifest says stands on a day, for a pipeline.
pub fn standing(
    manifest: &Manifest,
    pipeline: &str,
    day: Day,
    gone: &BTreeSet<String>,
) -> Standing {
    let is_of_others = |entry: &Entry| {
        manifest.runs.get(&entry.run_id).is_some_and(|info| info.pipeline != pipeline)
    };
    let of_others = manifest.on(day).filter(|(_, entry)| is_of_others(entry));
    let there = manifest.on(day).filter(|(name, _)| !gone.contains(*name));
    let passed = manifest.checks.iter();
    Standing {
        tables: there.map(|(name, entry)| (name.into(), entry.fingerprint.clone())).collect(),
        of_others: of_others.map(|(name, _)| name.into()).collect(),
        checks: passed
            .filter_map(|(name, days)| Some((name.clone(), days.get(&day)?.clone())))
            .collect(),
        staged: BTreeMap::new(),
    }
}

/// `1 new file, 2 files changed`, or nothing where the files are the same.
pub fn news(then: &[SourceFile], now: &[SourceFile]) -> Option<String> {
    let by_path = |files: &[SourceFile]| -> BTreeMap<String, SourceFile> {
        files.iter().map(|file| (file.path.clone(), file.clone())).collect()
    };
    let (then, now) = (by_path(then), by_path(now));
    let new = now.keys().filter(|path| !then.contains_key(*path)).count();
    let gone = then.keys().filter(|path| !now.contains_key(*path)).count();
    let other = |(path, file): &(&String, &SourceFile)| then.get(*path).is_some_and(|o| o != *file);
    let changed = now.iter().filter(other).count();
    let files = |count: usize| if count == 1 { "file" } else { "files" };
    let told: Vec<String> = [
        (new, format!("{new} new {}", files(new))),
        (changed, format!("{changed} {} changed", files(changed))),
        (gone, format!("{gone} {} gone", files(gone))),
    ]
    .into_iter()
    .filter_map(|(count, text)| (count > 0).then_some(text))
    .collect();
    (!told.is_empty()).then(|| told.join(", "))
}
