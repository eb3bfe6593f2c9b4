//! What a table is made from, as one short text: where it is the same, so is
//! the table, and need not be computed again. Pure: what is known of the
//! sources' files comes in as values.
//!
//! ```text
//! files ─► sources.x ─┬─► staging ─► facts ─► metrics ─► checks
//!                     └─► quarantine.x
//! ```
//!
//! A table has two fingerprints. That of its rows counts for whoever reads
//! it: query, parameters, version, and what it reads in turn. That of its
//! file has the header in it as well, whose comments stand in the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::compile::{Project, Request};
use super::header::Header;
use super::{Model, Plan, Role, SourcePlan};
use crate::problem::Source;

/// What is known of each source's files, by the source's name.
pub type Snapshots = BTreeMap<String, String>;

/// What tables, sources and checks are by themselves, by name.
pub type Recipes = BTreeMap<String, Recipe>;

/// What a table is by itself, without what it reads. Kept beside what is
/// published, so that `tenure plan` can say what has changed since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// Of the query or mapping, parameters being names.
    pub query: String,
    /// Of what the header puts into the file; empty where there is no file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub header: String,
    /// The parameters it uses. Without `as_of`: days share a recipe.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
}

/// The day is no change: what another day published is another table.
const DAY: &str = "as_of";

/// What decides which rows of a source are accepted. Every source gets all of
/// them: none changes often, and the one that is forgotten would go unnoticed.
const SOURCE_PARAMS: [&str; 4] = [DAY, "timezone", "history_start", "currency"];

/// Everything a plan computes and what each reads.
#[derive(Debug, Clone)]
pub struct Graph {
    /// Each after what it reads.
    nodes: Vec<Node>,
}

/// A source, a quarantine, a table or a check.
#[derive(Debug, Clone)]
pub struct Node {
    /// Such as `sources.orders` or `metrics.rfm_scores`.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// What it reads, by name.
    pub reads: Vec<String>,
    /// What it is by itself.
    pub recipe: Recipe,
    /// Of version and query, parameters being values.
    bound: String,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// The accepted rows of a source.
    Source,
    /// The rows of a source that are set aside; published.
    Quarantine,
    /// A table this run publishes.
    Published,
    /// A table on the way, whether or not other runs publish it.
    Step,
    /// A table this run has no need of; here only to see if it still stands.
    Beside,
    /// A query that must return nothing.
    Check,
}

/// The fingerprints of a graph over some state of the sources.
#[derive(Debug, Clone, Default)]
pub struct Fingerprints {
    rows: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
}

impl Fingerprints {
    /// That of a node's rows; for a check, of all it looks at.
    pub fn rows(&self, name: &str) -> Option<&str> {
        self.rows.get(name).map(String::as_str)
    }

    /// That of a table's file.
    pub fn file(&self, name: &str) -> Option<&str> {
        self.files.get(name).map(String::as_str)
    }
}

impl Graph {
    /// The graph of a plan, for a version of the program.
    pub fn of(plan: &Plan, version: &str) -> Self {
        let mut nodes = Vec::new();
        let sources = plan.sources_in_order();
        nodes.extend(sources.iter().map(|source| source_node(plan, source, version)));
        nodes.extend(sources.iter().map(|source| quarantine_node(source, version)));
        for table in &plan.tables {
            let kind = match table.role {
                Role::Published => NodeKind::Published,
                Role::Step => NodeKind::Step,
            };
            nodes.push(model_node(plan, &table.model, kind, version));
        }
        let beside = plan.beside.iter();
        nodes.extend(beside.map(|model| model_node(plan, model, NodeKind::Beside, version)));
        let checks = plan.checks.iter();
        nodes.extend(checks.map(|check| model_node(plan, check, NodeKind::Check, version)));
        Self { nodes }
    }

    /// Every node, each after what it reads.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of a name; none for a source the pipeline does not have.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// What everything is by itself.
    pub fn recipes(&self) -> Recipes {
        self.nodes.iter().map(|node| (node.name.clone(), node.recipe.clone())).collect()
    }

    /// The fingerprints, given the files of the sources. A source whose files
    /// are not known is like none that ever was.
    pub fn fingerprints(&self, snapshots: &Snapshots) -> Fingerprints {
        let mut found = Fingerprints::default();
        for node in &self.nodes {
            let mut parts = vec![node.bound.as_str()];
            if node.kind == NodeKind::Source {
                let name = node.name.trim_start_matches("sources.");
                parts.push(snapshots.get(name).map_or("unknown", String::as_str));
            }
            for read in &node.reads {
                parts.extend([read.as_str(), found.rows(read).unwrap_or("absent")]);
            }
            let rows = digest(parts);
            let file = digest([node.name.as_str(), &rows, &node.recipe.header]);
            found.rows.insert(node.name.clone(), rows);
            found.files.insert(node.name.clone(), file);
        }
        found
    }
}

fn source_node(plan: &Plan, source: &SourcePlan, version: &str) -> Node {
    let name = source.kind.name;
    let described = [format!("{:?} {:?} {:?}", source.format, source.rows, source.reject_max)];
    let columns = source.columns.iter().map(|m| format!("{}: {}", m.column.name, m.expression));
    let reject = source.reject.iter().map(|r| format!("{}: {}", r.reason, r.expression));
    // Ids of customers are of the type that orders give them.
    let orders = plan.sources.iter().find(|other| other.kind.name == "orders");
    let orders = orders.filter(|_| name != "orders").into_iter().flat_map(|orders| {
        let id = orders.columns.iter().find(|mapping| mapping.column.name == "customer_id");
        [format!("{:?} {:?}", orders.format, id.map(|mapping| &mapping.expression))]
    });
    let storage = source.storage.iter().map(|(key, value)| format!("{key}: {value}"));
    // Marks between the lists: a mapping is no rejection of the same text.
    let mark = |text: &str| std::iter::once(text.to_string());
    let parts: Vec<String> = mark(&source.url)
        .chain(described)
        .chain(columns)
        .chain(mark("reject"))
        .chain(reject)
        .chain(mark("storage"))
        .chain(storage)
        .chain(orders)
        .collect();
    let query = digest(parts.iter().map(String::as_str));
    let values = SOURCE_PARAMS.map(|name| format!("{name}: {:?}", plan.values.get(name)));
    let bound = [version, &query].into_iter().chain(values.iter().map(String::as_str));
    // Identities are made one before anything counts.
    let has_ids = plan.sources.iter().any(|other| other.kind.name == "customer_ids");
    let joins = has_ids && name != "customer_ids" && source.kind.column("customer_id").is_some();
    Node {
        name: format!("sources.{name}"),
        kind: NodeKind::Source,
        reads: if joins { vec!["sources.customer_ids".into()] } else { Vec::new() },
        bound: digest(bound),
        recipe: Recipe { params: shown(plan, SOURCE_PARAMS), header: String::new(), query },
    }
}

fn quarantine_node(source: &SourcePlan, version: &str) -> Node {
    let bound = digest([version, "quarantine"]);
    Node {
        name: format!("quarantine.{}", source.kind.name),
        kind: NodeKind::Quarantine,
        reads: vec![format!("sources.{}", source.kind.name)],
        recipe: Recipe { query: bound.clone(), header: String::new(), params: BTreeMap::new() },
        bound,
    }
}

fn model_node(plan: &Plan, model: &Model, kind: NodeKind, version: &str) -> Node {
    let mut reads: Vec<String> = model.tables.iter().map(|table| table.value.to_string()).collect();
    reads.sort_unstable();
    // The parser's own text: comments and layout are gone.
    let query = model.statement.to_string();
    let bound = match model.placeholders.is_empty() {
        true => query.clone(),
        false => model.bind(&plan.params, &plan.values).to_string(),
    };
    let used = model.placeholders.iter().map(|placeholder| placeholder.value.as_str());
    Node {
        name: model.name.to_string(),
        kind,
        reads,
        bound: digest([version, &bound]),
        recipe: Recipe {
            query: digest([query.as_str()]),
            header: if kind == NodeKind::Check { String::new() } else { header(&model.header) },
            params: shown(plan, used),
        },
    }
}

/// What of a header ends up in the file, or in its order.
fn header(header: &Header) -> String {
    let columns = header.columns.iter().flat_map(|column| {
        [column.name.value.clone(), column.kind.to_string(), column.comment.clone()]
    });
    let grain = header.grain.iter().map(|word| word.value.clone());
    let parts: Vec<String> = columns.chain(["grain".to_string()]).chain(grain).collect();
    digest(parts.iter().map(String::as_str))
}

/// Parameters and their values, for people.
fn shown<'a>(plan: &Plan, names: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, String> {
    let value = |name: &str| plan.values.get(name).map_or("null".into(), ToString::to_string);
    let names = names.into_iter().filter(|name| *name != DAY);
    names.map(|name| (name.to_string(), value(name))).collect()
}

/// A fingerprint of everything a check of the project looks at.
pub fn texts(pipeline: &Arc<Source>, project: &Project, request: &Request) -> String {
    let mut parts = vec![crate::VERSION, &pipeline.text];
    for source in project.params.iter().chain(&project.models) {
        parts.extend([source.path.as_str(), &source.text]);
    }
    parts.extend(request.as_of.as_deref());
    for (name, value) in &request.params {
        parts.extend([name.as_str(), value]);
    }
    digest(parts)
}

/// A fingerprint of each text that `plan` was made from, by path. Models that
/// the program makes of the pipeline are no texts of their own.
pub fn files(pipeline: &Arc<Source>, project: &Project, plan: &Plan) -> BTreeMap<String, String> {
    let models = plan.tables.iter().map(|table| &table.model);
    let models = models.chain(&plan.checks).chain(&plan.beside).map(|model| &model.source);
    let models = models.filter(|source| project.models.contains(source));
    let texts = std::iter::once(pipeline).chain(&project.params).chain(models);
    texts.map(|source| (source.path.clone(), of_text(source))).collect()
}

/// The fingerprint of one text as it stands.
pub fn of_text(source: &Source) -> String {
    digest([source.text.as_str()])
}

/// Half a SHA-256 over parts, each behind its length, in hexadecimal digits.
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
