//! Why a table is built again: what is different from when it was published,
//! in the words of whoever changed it. Pure, and only for people: whether a
//! table is built, its fingerprint decides.

use std::collections::BTreeMap;

use super::fingerprint::{Graph, Node, NodeKind, Recipe, Recipes, Snapshots};
use super::reuse::Work;

/// What is known of the run that published a table.
#[derive(Debug, Clone)]
pub struct Made {
    /// The version it ran.
    pub version: String,
    /// Whether it recorded what the table is made from.
    pub is_recorded: bool,
    /// Whether the table's files are gone.
    pub is_gone: bool,
    /// What everything was by itself.
    pub recipes: Recipes,
    /// The files of its sources.
    pub sources: Snapshots,
}

/// A reason, and whether rows may differ by it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reason {
    text: String,
    touches_rows: bool,
}

/// Finds reasons for everything that is published anew.
#[derive(Debug)]
pub struct Reasons<'a> {
    /// The plan's graph.
    pub graph: &'a Graph,
    /// What has to be done.
    pub work: &'a Work,
    /// The files of the sources as they are.
    pub snapshots: &'a Snapshots,
    /// What is different about a source's files, where it is known.
    pub news: &'a BTreeMap<String, String>,
    /// The runs that published what stands, by table.
    pub made: &'a BTreeMap<String, Made>,
    /// The version that is running.
    pub version: &'a str,
    /// Whether what stands counts for nothing.
    pub refresh: bool,
}

impl Reasons<'_> {
    /// The reason of every table that is built or stale, by name.
    pub fn all(&self) -> BTreeMap<String, String> {
        let mut found: BTreeMap<String, Reason> = BTreeMap::new();
        for node in self.graph.nodes() {
            if self.work.publish.contains(&node.name) || self.work.stale.contains(&node.name) {
                found.insert(node.name.clone(), self.one(node, &found));
            }
        }
        found.into_iter().map(|(name, reason)| (name, reason.text)).collect()
    }

    fn one(&self, node: &Node, found: &BTreeMap<String, Reason>) -> Reason {
        let reason = |text: &str, touches_rows| Reason { text: text.into(), touches_rows };
        let Some(made) = self.made.get(&node.name) else {
            return reason("never published for this day", false);
        };
        if self.refresh && self.work.publish.contains(&node.name) {
            return reason("everything is built anew", false);
        }
        if made.is_gone {
            return reason("its published file is gone", false);
        }
        if !made.is_recorded {
            return reason("published without a record of what it was made from", true);
        }
        if made.version != self.version {
            return reason(&other_version(&made.version, self.version), true);
        }
        if let Some(text) = self.change(node, node, made, found) {
            return reason(&text, true);
        }
        let recorded = made.recipes.get(&node.name);
        match recorded.is_some_and(|recipe| recipe.header != node.recipe.header) {
            true => reason("its header changed", false),
            false => reason("what it is made from changed", true),
        }
    }

    /// What changed about the rows of `node`, on which `table` depends, since
    /// `table` was made.
    fn change(
        &self,
        node: &Node,
        table: &Node,
        made: &Made,
        found: &BTreeMap<String, Reason>,
    ) -> Option<String> {
        let own = own_change(node, table, made.recipes.get(&node.name)?);
        if own.is_some() {
            return own;
        }
        if node.kind == NodeKind::Source {
            let name = node.name.trim_start_matches("sources.");
            if self.snapshots.get(name) != made.sources.get(name) {
                let news = self.news.get(name).map_or("its files changed", String::as_str);
                return Some(format!("source {name}: {news}"));
            }
        }
        // Nodes were visited in order, so the reasons of published tables that
        // this one reads are known. What is set aside changes with its source,
        // which says more.
        let reads = || node.reads.iter().filter_map(|read| self.graph.node(read));
        let is_anew = |read: &&Node| {
            read.kind != NodeKind::Quarantine
                && found.get(&read.name).is_some_and(|reason| reason.touches_rows)
        };
        match reads().find(is_anew) {
            Some(read) => Some(format!("{} is built anew", read.name)),
            None => reads().find_map(|read| self.change(read, table, made, found)),
        }
    }
}

/// What changed about a node by itself.
fn own_change(node: &Node, table: &Node, then: &Recipe) -> Option<String> {
    let now = &node.recipe;
    if now.query != then.query {
        return Some(match node.kind {
            NodeKind::Source => {
                format!(
                    "the description of source {} changed",
                    node.name.trim_start_matches("sources.")
                )
            }
            _ if node.name == table.name => "its SQL changed".into(),
            _ => format!("the SQL of {} changed", node.name),
        });
    }
    now.params.iter().find_map(|(name, value)| {
        let before = then.params.get(name).filter(|before| *before != value)?;
        Some(format!("parameter {name} is {value}, was {before}"))
    })
}

fn other_version(then: &str, now: &str) -> String {
    let release = |version: &str| version.split('+').next().unwrap_or(version).to_string();
    match release(then) == release(now) {
        true => format!("published by another build of version {}", release(then)),
        false => format!("published by version {}", release(then)),
    }
}
