//! The places of a plan, as far as their text tells: whether somebody understands
//! them, and whether what is published would be read as orders.

use super::{explained, source};
use crate::error::{Error, Result};
use crate::plan::{self, Plan, PublishPlan, Role, SourcePlan};
use crate::problem::Problem;
use crate::storage;

/// Says what is wrong with the places of a plan, as far as their text tells:
/// makes no request and needs no credentials.
///
/// # Errors
/// Every scheme, bucket or option nobody understands.
pub fn check_places(plan: &Plan) -> Result<()> {
    let sources = plan.sources.iter().filter(|source| is_told(&source.url));
    let mut problems: Vec<Problem> =
        sources.filter_map(|source| source::check(source).err()).collect();
    let PublishPlan { url, storage: options, .. } = &plan.publish;
    if is_told(url)
        && let Err(error) = storage::check(url, options)
    {
        problems.push(explained(error.explained()));
    }
    problems.extend(plan.sources.iter().filter_map(|source| reads_what_is_published(plan, source)));
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
}

/// Whether the text of a place tells which store it is in. Where it begins with
/// a variable that a check does not have, it does not.
fn is_told(url: &str) -> bool {
    !url.split(':').next().unwrap_or(url).contains(plan::UNSET)
}

/// A source that the tables of the pipeline would lie among.
fn reads_what_is_published(plan: &Plan, source: &SourcePlan) -> Option<Problem> {
    if [&source.url, &plan.publish.url].iter().any(|url| url.contains(plan::UNSET)) {
        return None;
    }
    let (read, published) = (plain(&source.url), plain(&plan.publish.url));
    let is_glob = read.contains(['*', '?', '[']);
    let within = |inner: &str, outer: &str| {
        let rest = inner.strip_prefix(outer)?;
        (rest.is_empty() || outer.is_empty() || rest.starts_with('/'))
            .then(|| rest.trim_start_matches('/').to_owned())
    };
    let mingles = match (within(&published, &read), within(&read, &published)) {
        // A folder is read with all the folders in it.
        (Some(_), _) => !is_glob,
        (None, Some(below)) => {
            let first = below.split('/').next().unwrap_or_default();
            let published = plan.tables.iter().filter(|table| table.role == Role::Published);
            first == "_tenure" || published.into_iter().any(|table| table.model.name.table == first)
        }
        (None, None) => false,
    };
    mingles.then(|| {
        let message =
            format!("source `{}` would read the tables that are published", source.kind.name);
        Problem::at(&source.at, message)
            .note("source", source.url.clone())
            .note("target", plan.publish.url.clone())
            .help("publish to a folder of its own, beside the source")
    })
}

/// A URL or path without what does not tell places apart.
fn plain(url: &str) -> String {
    let url = url.strip_prefix("file://").unwrap_or(url);
    let parts = url.split('/').enumerate().filter(|(place, part)| {
        // The empty parts of `s3://` and of an absolute path are a part of it.
        *part != "." && (!part.is_empty() || *place < 2)
    });
    parts.map(|(_, part)| part).collect::<Vec<_>>().join("/")
}
