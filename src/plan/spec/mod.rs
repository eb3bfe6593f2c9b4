//! A pipeline as written: YAML decoded into a [`Spec`], every value with its
//! place. Nothing is decided here beyond the shape; see `compile`.
//!
//! The only module that knows YAML.

mod fields;
mod yaml;

use std::sync::Arc;

use crate::plan::bounds::Bounds;
use crate::plan::params::{Param, ParamType, ParamValue, Params};
use crate::problem::{At, Problem, Source, suggest};
use fields::Fields;
use yaml::{Entry, Kind, Node};

/// A value and where it is written.
#[derive(Debug, Clone)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub at: At,
}

/// A pipeline file as written.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The file.
    pub source: Arc<Source>,
    /// The pipeline's name.
    pub pipeline: Spanned<String>,
    /// Parameters declared here, or values for those the project declares.
    pub params: Vec<ParamSpec>,
    /// Sources by name.
    pub sources: Vec<SourceSpec>,
    /// Models of purchases and spend.
    pub models: Option<ModelsSpec>,
    /// Tables to publish.
    pub tables: Vec<Spanned<String>>,
    /// Where to publish them.
    pub publish: Option<PublishSpec>,
    /// Limits of the query engine.
    pub engine: EngineSpec,
}

/// A parameter as written in a pipeline.
#[derive(Debug, Clone)]
pub struct ParamSpec {
    /// Its name.
    pub name: Spanned<String>,
    /// A declaration, or only a value for a parameter the project declares.
    pub body: ParamBody,
}

/// The two ways to write a parameter.
#[derive(Debug, Clone)]
pub enum ParamBody {
    /// `name: { type: …, default: … }`
    Declared(Param),
    /// `name: value`
    Value(Spanned<Raw>),
}

/// A value as written, before its type is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// `null` or nothing.
    Null,
    /// A scalar or a list, in the form [`ParamType::value`] reads.
    Text(String),
}

/// A source as written.
#[derive(Debug, Clone)]
pub struct SourceSpec {
    /// Its name, which is also its kind: `orders`, `customers` …
    pub name: Spanned<String>,
    /// File, folder or glob.
    pub url: Option<Spanned<String>>,
    /// `parquet`, `csv`, `json` or `delta`.
    pub format: Option<Spanned<String>>,
    /// What stands between fields of CSV.
    pub delimiter: Option<Spanned<String>>,
    /// Which version of a Delta table.
    pub version: Option<Spanned<u64>>,
    /// How a quote is written within quotes of CSV.
    pub escape: Option<Spanned<String>>,
    /// `orders` or `lines`.
    pub rows: Option<Spanned<String>>,
    /// Canonical name: source column or SQL expression.
    pub columns: Vec<(Spanned<String>, Spanned<String>)>,
    /// Reason: predicate.
    pub reject: Vec<(Spanned<String>, Spanned<String>)>,
    /// Largest share of rows that may be set aside, 0 to 1.
    pub reject_max: Option<Spanned<f64>>,
    /// Endpoint, region and the like; never secrets.
    pub storage: Vec<(Spanned<String>, Spanned<String>)>,
}

/// Models of purchases and spend, as written: each key is a parameter.
#[derive(Debug, Clone)]
pub struct ModelsSpec {
    /// The model of purchases.
    pub purchases: Option<Spanned<String>>,
    /// `day` or `week`.
    pub unit: Option<Spanned<String>>,
    /// How long it is tested, such as `13 weeks`.
    pub holdout: Option<Spanned<String>>,
    /// How far predictions of value reach, such as `365 days`.
    pub horizon: Option<Spanned<String>>,
    /// What money in a year is worth less than today, as a share.
    pub discount: Option<Spanned<String>>,
    /// The share of outcomes in the interval of a value.
    pub interval: Option<Spanned<String>>,
    /// `gate`: the largest error that is published.
    pub cumulative_error_max: Option<Spanned<String>>,
    /// `gate`: how much larger than the last one it may be.
    pub worse_than_last: Option<Spanned<String>>,
    /// Where the block stands.
    pub at: At,
}

/// Where results go, as written.
#[derive(Debug, Clone)]
pub struct PublishSpec {
    /// The target folder or bucket prefix.
    pub url: Option<Spanned<String>>,
    /// `parquet` or `delta`.
    pub format: Option<Spanned<String>>,
    /// `v1` or `v2`.
    pub encodings: Option<Spanned<String>>,
    /// Rows of a file at most; at least 1.
    pub file_rows: Option<Spanned<u64>>,
    /// Superseded sets to keep.
    pub keep_runs: Option<Spanned<u64>>,
    /// Accept a store without conditional writes, with one writer at a time.
    pub single_writer: Option<Spanned<bool>>,
    /// Endpoint, region and the like; never secrets.
    pub storage: Vec<(Spanned<String>, Spanned<String>)>,
    /// Where the block stands.
    pub at: At,
}

/// Limits of the engine, as written.
#[derive(Debug, Clone, Default)]
pub struct EngineSpec {
    /// Such as `8GiB`.
    pub memory: Option<Spanned<String>>,
    /// A number, or `auto`.
    pub threads: Option<Spanned<String>>,
    /// Folder for spilled data.
    pub scratch: Option<Spanned<String>>,
}

/// Reads a pipeline. What could be read is returned beside all the problems,
/// so that the rest of the project can be checked in the same go.
pub fn read(source: &Arc<Source>) -> (Option<Spec>, Vec<Problem>) {
    let mut problems = Vec::new();
    let node = match yaml::read(source) {
        Ok(node) => node,
        Err(problem) => return (None, vec![problem]),
    };
    let known = ["pipeline", "params", "sources", "models", "tables", "publish", "engine"];
    let Some(mut fields) = Fields::open(&node, "the pipeline", &known, &mut problems) else {
        return (None, problems);
    };
    let pipeline = fields.required_text("pipeline", &mut problems);
    let params = fields.entries("params", &mut problems);
    let params = params.iter().filter_map(|entry| param(entry, &mut problems)).collect();
    let sources = fields.entries("sources", &mut problems);
    let sources = sources.iter().filter_map(|entry| source_spec(entry, &mut problems)).collect();
    let models = fields.take("models").and_then(|entry| models(&entry, &mut problems));
    let tables = fields.texts("tables", &mut problems);
    let publish = fields.take("publish").and_then(|entry| publish(&entry, &mut problems));
    let engine = fields.take("engine").map(|entry| engine(&entry, &mut problems));
    let spec = pipeline.map(|pipeline| Spec {
        source: Arc::clone(source),
        pipeline,
        params,
        sources,
        models,
        tables,
        publish,
        engine: engine.unwrap_or_default(),
    });
    (spec, problems)
}

/// Reads `sql/params.yaml`: the parameters every pipeline of a project shares.
pub fn read_params(source: &Arc<Source>) -> (Option<Params>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut params = Params::new();
    match yaml::read(source) {
        Err(problem) => return (None, vec![problem]),
        Ok(Node { kind: Kind::Map(entries), .. }) => {
            for entry in &entries {
                if let Some(param) = declaration(&entry.key, &entry.node, &mut problems) {
                    params.insert(entry.key.clone(), param);
                }
            }
        }
        Ok(node) => {
            let problem = Problem::at(&node.at, "expected `name: { type: … }` entries");
            return (None, vec![problem]);
        }
    }
    (Some(params), problems)
}

fn param(entry: &Entry, problems: &mut Vec<Problem>) -> Option<ParamSpec> {
    let name = Spanned { value: entry.key.clone(), at: entry.at.clone() };
    let body = match &entry.node.kind {
        Kind::Map(_) => ParamBody::Declared(declaration(&entry.key, &entry.node, problems)?),
        _ => ParamBody::Value(Spanned {
            value: fields::raw(&entry.node, problems)?,
            at: entry.node.at.clone(),
        }),
    };
    Some(ParamSpec { name, body })
}

fn declaration(name: &str, node: &Node, problems: &mut Vec<Problem>) -> Option<Param> {
    let what = format!("parameter `{name}`");
    let known: Vec<&str> =
        ["type", "default", "one_of"].into_iter().chain(Bounds::keys()).chain(["doc"]).collect();
    let mut fields = Fields::open(node, &what, &known, problems)?;
    let written = fields.required_text_or_list("type", problems)?;
    let Some(kind) = ParamType::parse(&written.value) else {
        let known = ["text", "int", "decimal", "date", "boolean"].into_iter();
        let lists = ["[text]", "[int]", "[decimal]", "[date]", "[boolean]"];
        let known = known.chain(lists);
        problems.push(
            Problem::at(&written.at, format!("no parameter type `{}`", written.value))
                .maybe_help(suggest(&written.value, known)),
        );
        return None;
    };
    let default = fields.take("default");
    let one_of = fields.items("one_of", problems);
    let one_of: Vec<_> = one_of.iter().filter_map(|node| value(&kind, node, problems)).collect();
    let mut bounds = Bounds::default();
    for key in Bounds::keys() {
        if let Some(end) = fields.text(key, problems)
            && let Err(reason) = bounds.add(key, &end.value, &kind)
        {
            problems.push(Problem::at(&end.at, reason));
        }
    }
    let doc = fields.text("doc", problems).map(|doc| doc.value);
    let mut param =
        Param { kind, default: None, is_nullable: false, one_of, bounds, is_zone: false, doc };
    if let Some(default) = default {
        param.default = value(&param.kind, &default.node, problems);
        param.is_nullable = param.default == Some(ParamValue::Null);
        if let Some(value) = &param.default
            && let Err(reason) = param.check(value)
        {
            let message = format!("the default of parameter `{name}`: {reason}");
            problems.push(Problem::at(&default.node.at, message));
        }
    }
    Some(param)
}

fn value(kind: &ParamType, node: &Node, problems: &mut Vec<Problem>) -> Option<ParamValue> {
    match fields::raw(node, problems)? {
        Raw::Null => Some(ParamValue::Null),
        Raw::Text(text) => match kind.value(&text) {
            Ok(value) => Some(value),
            Err(reason) => {
                problems.push(Problem::at(&node.at, reason));
                None
            }
        },
    }
}

fn source_spec(entry: &Entry, problems: &mut Vec<Problem>) -> Option<SourceSpec> {
    let known = [
        "url",
        "format",
        "delimiter",
        "version",
        "escape",
        "rows",
        "columns",
        "reject",
        "reject_max",
        "storage",
    ];
    let what = format!("source `{}`", entry.key);
    let mut fields = Fields::open(&entry.node, &what, &known, problems)?;
    Some(SourceSpec {
        name: Spanned { value: entry.key.clone(), at: entry.at.clone() },
        url: fields.required_text("url", problems),
        format: fields.text("format", problems),
        delimiter: fields.text("delimiter", problems),
        version: fields.count("version", 0, problems),
        escape: fields.text("escape", problems),
        rows: fields.text("rows", problems),
        columns: fields.pairs("columns", problems),
        reject: fields.pairs("reject", problems),
        reject_max: fields.share("reject_max", problems),
        storage: fields.pairs("storage", problems),
    })
}

fn models(entry: &Entry, problems: &mut Vec<Problem>) -> Option<ModelsSpec> {
    let known = ["purchases", "unit", "holdout", "horizon", "discount", "interval", "gate"];
    let mut fields = Fields::open(&entry.node, "`models`", &known, problems)?;
    let known = ["cumulative_error_max", "worse_than_last"];
    let mut gate =
        fields.take("gate").and_then(|entry| Fields::open(&entry.node, "`gate`", &known, problems));
    let mut gate = |key: &str, problems: &mut Vec<Problem>| gate.as_mut()?.text(key, problems);
    Some(ModelsSpec {
        purchases: fields.required_text("purchases", problems),
        unit: fields.text("unit", problems),
        holdout: fields.text("holdout", problems),
        horizon: fields.text("horizon", problems),
        discount: fields.text("discount", problems),
        interval: fields.text("interval", problems),
        cumulative_error_max: gate("cumulative_error_max", problems),
        worse_than_last: gate("worse_than_last", problems),
        at: entry.at.clone(),
    })
}

fn publish(entry: &Entry, problems: &mut Vec<Problem>) -> Option<PublishSpec> {
    let known =
        ["url", "format", "encodings", "file_rows", "keep_runs", "single_writer", "storage"];
    let mut fields = Fields::open(&entry.node, "`publish`", &known, problems)?;
    Some(PublishSpec {
        url: fields.required_text("url", problems),
        format: fields.text("format", problems),
        encodings: fields.text("encodings", problems),
        file_rows: fields.count("file_rows", 1, problems),
        keep_runs: fields.count("keep_runs", 0, problems),
        single_writer: fields.boolean("single_writer", problems),
        storage: fields.pairs("storage", problems),
        at: entry.at.clone(),
    })
}

fn engine(entry: &Entry, problems: &mut Vec<Problem>) -> EngineSpec {
    let known = ["memory", "threads", "scratch"];
    let Some(mut fields) = Fields::open(&entry.node, "`engine`", &known, problems) else {
        return EngineSpec::default();
    };
    EngineSpec {
        memory: fields.text("memory", problems),
        threads: fields.text("threads", problems),
        scratch: fields.text("scratch", problems),
    }
}
