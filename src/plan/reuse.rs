//! What a run need not do again. Pure: what stands comes in as values.
//!
//! A published table whose fingerprint is the one it was published with
//! stands. What has to be built is found from its readers' side: tables that
//! do not stand, checks that have not passed over just these rows, and
//! whatever those read. A table that stands is read back rather than computed.
//! So is one that an earlier run has staged and could not publish: where it is
//! made from the same, the run that repeats it takes it over.

use std::collections::{BTreeMap, BTreeSet};

use super::fingerprint::{Fingerprints, Graph, Node, NodeKind};

/// What stands of one day.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// Published tables whose files are there, and what they were made from,
    /// where that was recorded.
    pub tables: BTreeMap<String, Option<String>>,
    /// Those of them that another pipeline has published, which are not this one's
    /// to take away.
    pub of_others: BTreeSet<String>,
    /// Checks that passed, and what they looked at.
    pub checks: BTreeMap<String, String>,
    /// Tables that an earlier run has staged whole, and what from.
    pub staged: BTreeMap<String, String>,
}

/// What a run has to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Work {
    /// Quarantines and tables to publish anew.
    pub publish: BTreeSet<String>,
    /// Those of them that are staged already.
    pub take_over: BTreeSet<String>,
    /// Everything to read or compute: sources, steps, and what is published.
    pub compute: BTreeSet<String>,
    /// Published tables that stay as they are.
    pub reuse: BTreeSet<String>,
    /// Published tables that stay and are read by what is computed.
    pub read_back: BTreeSet<String>,
    /// Checks to run.
    pub checks: BTreeSet<String>,
    /// Tables this run does not make, and that would contradict what it makes.
    pub stale: BTreeSet<String>,
}

impl Work {
    /// Whether everything stands.
    pub fn is_nothing(&self) -> bool {
        self.publish.is_empty() && self.checks.is_empty()
    }

    /// How many steps somebody who watches will see; what is set aside comes
    /// with its source.
    pub fn steps(&self) -> usize {
        let quarantines = self.compute.iter().filter(|name| name.starts_with("quarantine."));
        self.compute.len() - quarantines.count() + self.checks.len()
    }

    /// What a run has to do where `standing` stands; with `refresh`, all that
    /// it is asked for, whatever stands.
    pub fn of(graph: &Graph, now: &Fingerprints, standing: &Standing, refresh: bool) -> Self {
        let current = |name: &str| stands(name, now, standing);
        let reusable = |name: &str| !refresh && current(name);
        let published = graph.nodes().iter().filter(|node| is_published(node));
        let (reuse, publish): (Vec<&Node>, Vec<&Node>) =
            published.partition(|node| reusable(&node.name));
        let others = graph.nodes().iter().filter(|node| !is_published(node));
        let mut work = Self {
            publish: names(publish),
            reuse: names(reuse),
            stale: names(others.filter(|node| {
                standing.tables.contains_key(&node.name)
                    && !standing.of_others.contains(&node.name)
                    && !current(&node.name)
            })),
            ..Self::default()
        };
        let is_staged = |name: &&String| {
            let made_from = standing.staged.get(*name);
            made_from.is_some_and(|made_from| now.file(name) == Some(made_from))
        };
        work.take_over = work.publish.iter().filter(is_staged).cloned().collect();
        let checks = graph.nodes().iter().filter(|node| node.kind == NodeKind::Check);
        work.checks = names(checks.filter(|check| {
            let passed = standing.checks.get(&check.name).map(String::as_str);
            refresh
                || passed != now.rows(&check.name)
                || check.reads.iter().any(|read| work.publish.contains(read))
        }));
        work.close(graph, reusable);
        work
    }

    /// Adds all that is read on the way.
    fn close(&mut self, graph: &Graph, reusable: impl Fn(&str) -> bool) {
        let made = self.publish.difference(&self.take_over);
        let mut open: Vec<&str> = made.map(String::as_str).collect();
        let checks = self.checks.iter().filter_map(|name| graph.node(name));
        open.extend(checks.flat_map(|check| check.reads.iter().map(String::as_str)));
        let (mut compute, mut read_back) = (BTreeSet::new(), BTreeSet::new());
        while let Some(name) = open.pop() {
            let Some(node) = graph.node(name) else { continue };
            if reusable(name) {
                read_back.insert(name.to_string());
            } else if !self.take_over.contains(name) && compute.insert(name.to_string()) {
                open.extend(node.reads.iter().map(String::as_str));
            }
        }
        (self.compute, self.read_back) = (compute, read_back);
    }
}

fn is_published(node: &Node) -> bool {
    matches!(node.kind, NodeKind::Published | NodeKind::Quarantine)
}

fn stands(name: &str, now: &Fingerprints, standing: &Standing) -> bool {
    match standing.tables.get(name) {
        Some(Some(made_from)) => now.file(name) == Some(made_from.as_str()),
        _ => false,
    }
}

fn names<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> BTreeSet<String> {
    nodes.into_iter().map(|node| node.name.clone()).collect()
}
