//! Telling by the names of files that a folder is a table of a format of its own.

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::future::join_all;
use object_store::ObjectStore;
use object_store::path::Path;

/// A format whose tables are folders with a log beside the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Delta Lake: `_delta_log/`.
    Delta,
    /// Apache Iceberg: `metadata/*.metadata.json`.
    Iceberg,
    /// Apache Hudi: `.hoodie/`.
    Hudi,
}

/// What a file says of the folder it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// The format.
    pub format: Format,
    /// The file, relative to the folder of the table.
    pub file: String,
}

/// The folder of Delta's log.
pub const DELTA_LOG: &str = "_delta_log";
const HUDI_LOG: &str = ".hoodie";
const ICEBERG_LOG: &str = "metadata";

/// The tables that some files are of, by folder, given their paths.
pub fn tables<'a>(paths: impl Iterator<Item = &'a str>) -> BTreeMap<String, Sign> {
    let mut found: BTreeMap<String, Sign> = BTreeMap::new();
    for path in paths {
        let Some((root, sign)) = sign(path) else { continue };
        match found.get_mut(root) {
            // A table of both kinds can be read as the first; of the second, the newest
            // metadata is what to name.
            Some(known) if is_better(&sign, known) => *known = sign,
            Some(_) => {}
            None => drop(found.insert(root.into(), sign)),
        }
    }
    // Formats keep tables of their own within a table.
    let roots: Vec<String> = found.keys().cloned().collect();
    found.retain(|root, _| !roots.iter().any(|other| other != root && is_below(root, other)));
    found
}

/// Whether a path is below a folder; every path is below the empty one.
pub fn is_below(path: &str, root: &str) -> bool {
    root.is_empty() || path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'))
}

/// The table that a file belongs to as part of its log.
fn sign(path: &str) -> Option<(&str, Sign)> {
    let of = |start: usize, format| {
        let (root, file) = (path[..start].trim_end_matches('/'), path[start..].to_string());
        Some((root, Sign { format, file }))
    };
    let mut start = 0;
    for part in path.split('/') {
        let end = start + part.len();
        let is_folder = end < path.len();
        match part {
            DELTA_LOG if is_folder => return of(start, Format::Delta),
            HUDI_LOG if is_folder => return of(start, Format::Hudi),
            ICEBERG_LOG if is_folder && is_iceberg(&path[end + 1..]) => {
                return of(start, Format::Iceberg);
            }
            _ => {}
        }
        start = end + 1;
    }
    None
}

/// `00002-….metadata.json` or `v2.metadata.json`, packed or not.
fn is_iceberg(name: &str) -> bool {
    let is_metadata = name.ends_with(".metadata.json")
        || name.ends_with(".gz.metadata.json")
        || name.ends_with(".metadata.json.gz");
    let numbered = name.strip_prefix('v').unwrap_or(name);
    is_metadata && !name.contains('/') && numbered.starts_with(|c: char| c.is_ascii_digit())
}

/// Whether a sign says more of a table than another.
fn is_better(sign: &Sign, known: &Sign) -> bool {
    match (sign.format, known.format) {
        (Format::Delta, other) => other != Format::Delta,
        (Format::Iceberg, Format::Iceberg) => order(&sign.file) > order(&known.file),
        _ => false,
    }
}

/// Which of two metadata files is the newer: by the number it begins with.
fn order(file: &str) -> (u64, &str) {
    let name = file.rsplit('/').next().unwrap_or(file).trim_start_matches('v');
    let digits = name.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    (digits.parse().unwrap_or(0), name)
}

/// The table that a folder of a store is in: the folder itself, or one so many names above
/// it. What may not be looked at there is taken for nothing.
pub async fn around(store: &dyn ObjectStore, folder: &Path) -> Option<(usize, Sign)> {
    let names = folder.parts().count();
    let places = (0..=names).map(|up| async move {
        let above = Path::from_iter(folder.parts().take(names - up));
        (up, at(store, &above).await)
    });
    let found = join_all(places).await;
    found.into_iter().find_map(|(up, sign)| Some((up, sign?)))
}

/// What the log of a folder says, if it has one.
async fn at(store: &dyn ObjectStore, folder: &Path) -> Option<Sign> {
    let logs = [DELTA_LOG, HUDI_LOG, ICEBERG_LOG].map(|log| first_sign(store, folder, log));
    join_all(logs).await.into_iter().flatten().next()
}

/// The file of a log that says most; no more is listed than it takes.
async fn first_sign(store: &dyn ObjectStore, folder: &Path, log: &str) -> Option<Sign> {
    let prefix = folder.clone().join(log);
    let names = folder.parts().count();
    let mut listed = store.list(Some(&prefix));
    let mut newest: Option<Sign> = None;
    while let Some(Ok(meta)) = listed.next().await {
        let parts: Vec<_> = meta.location.parts().skip(names).collect();
        let path = parts.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("/");
        let Some(("", sign)) = sign(&path) else { continue };
        if sign.format != Format::Iceberg {
            return Some(sign);
        }
        if newest.as_ref().is_none_or(|known| is_better(&sign, known)) {
            newest = Some(sign);
        }
    }
    newest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(paths: &[&str]) -> Vec<(String, Format, String)> {
        let found = tables(paths.iter().copied()).into_iter();
        found.map(|(root, sign)| (root, sign.format, sign.file)).collect()
    }

    #[test]
    fn logs_tell_tables() {
        let delta = "_delta_log/00000000000000000000.json";
        for (path, root, format, file) in [
            (delta, "", Format::Delta, delta),
            (
                "a/b/_delta_log/_last_checkpoint",
                "a/b",
                Format::Delta,
                "_delta_log/_last_checkpoint",
            ),
            ("t/metadata/v3.metadata.json", "t", Format::Iceberg, "metadata/v3.metadata.json"),
            (".hoodie/hoodie.properties", "", Format::Hudi, ".hoodie/hoodie.properties"),
        ] {
            assert_eq!(told(&[path]), [(root.to_string(), format, file.to_string())], "{path}");
        }
        for path in [
            "orders.parquet",
            "_delta_log",
            "my_delta_log/0.json",
            "metadata/orders.parquet",
            "metadata/about.metadata.json",
            "metadata/v1/x.metadata.json",
            "hoodie/x",
        ] {
            assert_eq!(told(&[path]), [], "{path}");
        }
    }

    #[test]
    fn the_newest_metadata_is_named() {
        let files = ["metadata/v9.metadata.json", "metadata/v10.metadata.json"];
        assert_eq!(told(&files)[0].2, "metadata/v10.metadata.json");
        let both = ["_delta_log/0.json", "metadata/v9.metadata.json", "_delta_log/1.json"];
        assert_eq!(told(&both)[0].1, Format::Delta);
    }

    #[test]
    fn what_is_below() {
        assert!(is_below("a/x.parquet", "a") && is_below("x", "") && !is_below("ab/x", "a"));
    }
}
