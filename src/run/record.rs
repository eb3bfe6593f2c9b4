//! What a run writes down about itself: in its journal when it begins, in the
//! manifest when it publishes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Job;
use super::target::{Day, Manifest, RunInfo, SourceInfo, SourceRead, Step};
use crate::plan::Plan;
use crate::plan::fingerprint::Recipes;
use crate::plan::params::ParamValue;

/// The first step of a run.
pub fn started(job: &Job<'_>) -> Step {
    Step::Started {
        pipeline: job.plan.pipeline.clone(),
        as_of: Day::from(job.plan.as_of),
        params: params(job.plan),
        version: crate::VERSION.into(),
        arguments: job.arguments.clone(),
        retry_of: job.earlier.and_then(|earlier| earlier.repeated(Day::from(job.plan.as_of))),
        texts: job.plan.files.clone(),
    }
}

/// What the manifest keeps of a run that publishes. A source it had no need
/// to read is as the run found it that read it last.
pub fn info(plan: &Plan, manifest: &Manifest, read: &[SourceRead]) -> RunInfo {
    let day = Day::from(plan.as_of);
    let before = |name: &str| {
        let entry = manifest.entry(&format!("quarantine.{name}"), day)?;
        manifest.runs.get(&entry.run_id)?.sources.get(name).cloned()
    };
    let names = plan.sources.iter().map(|source| source.kind.name);
    let sources = names.filter_map(|name| {
        let now = read.iter().find(|read| read.source == name).map(source_info);
        Some((name.to_string(), now.or_else(|| before(name))?))
    });
    RunInfo {
        pipeline: plan.pipeline.clone(),
        as_of: day,
        params: params(plan),
        sources: sources.collect(),
        tool_version: crate::VERSION.into(),
        texts: Some(plan.texts.clone()),
        recipes: None,
    }
}

/// What everything was by itself in a run, if that was recorded.
pub fn recipes(manifest: &Manifest, info: &RunInfo) -> Option<Recipes> {
    let recipes = manifest.recipes.get(info.recipes.as_ref()?)?;
    serde_json::from_value(recipes.clone()).ok()
}

fn source_info(read: &SourceRead) -> SourceInfo {
    SourceInfo {
        url: read.url.clone(),
        files: read.files.len() as u64,
        bytes: read.bytes,
        rows: read.read,
        fingerprint: read.fingerprint.clone(),
        table_version: read.table_version,
    }
}

/// The parameters of a run, as records keep them.
pub fn params(plan: &Plan) -> BTreeMap<String, Value> {
    let text = |value: &ParamValue| Value::from(value.to_string());
    plan.values.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}
