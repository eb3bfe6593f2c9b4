//! The places of a plan, as far as their text tells: whether somebody understands
//! them, and whether what is published would be read as orders.

use glob::Pattern;

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
    if is_told(url) && plain(url) == "/" {
        problems.push(is_root(url));
    }
    problems.extend(plan.sources.iter().filter_map(|source| reads_what_is_published(plan, source)));
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
}

/// That tables would be published beside the folders of the system.
pub fn is_root(url: &str) -> Problem {
    Problem::named(url, "tables cannot be published to the root of a disk")
        .note("note", "their folders would stand, and be removed, beside those of the system")
        .help("name a folder: `publish: { url: … }`; is a variable in it empty?")
}

/// Whether the text of a place tells which store it is in. Where it begins with
/// a variable that a check does not have, it does not.
fn is_told(url: &str) -> bool {
    !url.split(':').next().unwrap_or(url).contains(plan::UNSET)
}

/// A source that would read what the pipeline publishes, as far as both are written
/// from one place: a relative path says nothing of an absolute one.
fn reads_what_is_published(plan: &Plan, source: &SourcePlan) -> Option<Problem> {
    let PublishPlan { url: target, storage, .. } = &plan.publish;
    let is_unknown = [&source.url, target].iter().any(|url| url.contains(plan::UNSET));
    if is_unknown || source.storage != *storage {
        return None;
    }
    let tables = plan.tables.iter().filter(|table| table.role == Role::Published);
    let folders = tables.map(|table| format!("{}/as_of=2000-01-01", table.model.name.table));
    let folders = folders.chain(["_tenure/sets/0".to_owned()]);
    let mut files = folders.map(|folder| plain(&format!("{target}/{folder}/part-00000.parquet")));
    files.any(|file| reads(source, &file)).then(|| {
        let message =
            format!("source `{}` would read the tables that are published", source.kind.name);
        Problem::at(&source.at, message)
            .note("source", source.url.clone())
            .note("target", target.clone())
            .help("publish to a folder of its own, beside the source")
    })
}

/// Whether a source has a file of this path, if it is there.
fn reads(source: &SourcePlan, file: &str) -> bool {
    let (root, rest) = source::split(&source.url);
    let root = plain(root);
    let inner = match root.as_str() {
        "" => (!file.starts_with('/') && !file.contains("://")).then_some(file),
        "/" => file.strip_prefix('/'),
        root => file.strip_prefix(root).and_then(|inner| inner.strip_prefix('/')),
    };
    let Some(inner) = inner else { return false };
    let rest = plain(rest);
    match source::has_glob(&rest) {
        true => Pattern::new(&rest).is_ok_and(|pattern| pattern.matches_with(inner, source::GLOB)),
        false => {
            let below = match rest.as_str() {
                "" => Some(inner),
                rest => inner.strip_prefix(rest).and_then(|below| below.strip_prefix('/')),
            };
            below.is_some_and(|below| source::is_data(below, source.format))
        }
    }
}

/// A URL or path without what does not tell places apart.
fn plain(url: &str) -> String {
    let url = url.strip_prefix("file://").unwrap_or(url);
    let (scheme, path) = match url.split_once("://") {
        Some(("s3a", path)) => ("s3://", path),
        Some((scheme, path)) => (&url[..scheme.len() + 3], path),
        None if url.starts_with('/') => ("/", url),
        None => ("", url),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match (part, parts.last()) {
            ("..", Some(before)) if *before != ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    format!("{scheme}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_itself_however_it_is_written() {
        for (written, place) in [
            ("./orders/", "orders"),
            ("orders//2024", "orders/2024"),
            ("data/../out", "out"),
            ("../data", "../data"),
            ("/data/orders/../out/", "/data/out"),
            ("file:///data/out", "/data/out"),
            ("s3a://bucket/out/", "s3://bucket/out"),
            ("s3://bucket", "s3://bucket"),
            (".", ""),
            ("/", "/"),
        ] {
            assert_eq!(plain(written), place, "{written}");
        }
    }
}
