//! A target as anybody sees it who reads the manifest and not the program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tenure::storage::{self, Environment, Location, Options, hex};
use tokio::runtime::{Builder, Runtime};

/// Tries to put something into a store that is starting, a second apart.
const READY_TRIES: usize = 30;

/// Table and day → the checksums of its files, in the order of their parts.
pub type Sums = BTreeMap<String, Vec<String>>;

/// A place in a store, read without the program.
pub struct Outside {
    runtime: Runtime,
    location: Location,
}

/// What a manifest names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The files of every table and day.
    pub sums: Sums,
    /// Their paths.
    pub paths: BTreeSet<String>,
    /// The runs that made the tables of each day.
    pub runs: BTreeMap<String, BTreeSet<String>>,
}

impl Outside {
    /// The place `url`; paths start at `base`.
    pub fn new(url: &str, base: &Path, environment: &[(&'static str, String)]) -> Self {
        let environment: Environment =
            environment.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
        let location = storage::open(url, base, &environment, &Options::new()).expect("a place");
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { runtime, location }
    }

    /// A server that listens may not be ready to take anything yet.
    pub fn wait_until_ready(&self) {
        for _ in 0..READY_TRIES {
            let taken = self.location.put("ready", "?".into());
            if self.runtime.block_on(taken).is_ok() {
                return;
            }
            sleep(Duration::from_secs(1));
        }
        panic!("the store takes nothing");
    }

    /// The content of an object, if it is there.
    pub fn get(&self, path: &str) -> Option<Vec<u8>> {
        let content = self.runtime.block_on(self.location.get(path)).expect("the store answers");
        content.map(|content| content.to_vec())
    }

    /// Puts an object.
    pub fn put(&self, path: &str, content: Vec<u8>) {
        self.runtime.block_on(self.location.put(path, content.into())).expect("the store takes it");
    }

    /// Deletes an object.
    pub fn delete(&self, path: &str) {
        self.runtime.block_on(self.location.delete(path)).expect("the store deletes it");
    }

    /// The paths of all objects below a folder.
    pub fn list(&self, folder: &str) -> Vec<String> {
        let listed = self.runtime.block_on(self.location.list(folder)).expect("the store lists");
        listed.into_iter().map(|(path, _)| path).collect()
    }

    /// Copies every object of a folder to another.
    pub fn copy_all(&self, from: &str, to: &str) {
        let paths = self.list(from);
        let copies = paths.iter().map(|path| {
            let target = format!("{to}{}", path.strip_prefix(from).expect("below"));
            async move { self.location.copy(path, &target).await }
        });
        let copied = self.runtime.block_on(futures::future::try_join_all(copies));
        copied.expect("the store copies");
    }

    /// A record of the target in a folder, if it is there; always whole.
    pub fn record(&self, folder: &str, name: &str) -> Option<Value> {
        let text = self.get(&joined(folder, &format!("_tenure/{name}")))?;
        Some(serde_json::from_slice(&text).expect("a record is always whole"))
    }

    /// What is published in a folder.
    pub fn named(&self, folder: &str) -> Named {
        let manifest = self.record(folder, "current.json");
        manifest.map(|manifest| named(&manifest)).unwrap_or_default()
    }

    /// What is published in a folder; every file is there and is what the
    /// manifest says, or the complaint says which is not.
    pub fn whole(&self, folder: &str) -> Result<Named, String> {
        let manifest = self.record(folder, "current.json").unwrap_or_default();
        for file in entries(&manifest).flat_map(|(_, entry)| files(entry)) {
            let path = file["path"].as_str().expect("a path");
            let content = self.get(&joined(folder, path)).ok_or_else(|| format!("no {path}"))?;
            if Some(content.len() as u64) != file["bytes"].as_u64()
                || file["sha256"] != sum(&content)
            {
                return Err(format!("{path} is not as it was written"));
            }
        }
        Ok(named(&manifest))
    }

    /// What other engines see in the folders of the tables: the plain files, or
    /// those of the newest version of a Delta table.
    pub fn shown(&self, folder: &str) -> Sums {
        let listed = self.of_tables(folder);
        let deltas = self.deltas(folder);
        let mut sums = Sums::new();
        for relative in listed.iter().filter(|path| !path.contains("/_delta_log/")) {
            let (day, _) = relative.rsplit_once('/').expect("a folder");
            let (table, _) = relative.split_once('/').expect("a folder");
            if deltas.get(table).is_none_or(|delta| delta.files.contains(relative)) {
                let content = self.get(&joined(folder, relative)).expect("listed, so there");
                sums.entry(day.to_string()).or_default().push(sum(&content));
            }
        }
        sums
    }

    /// The Delta tables in a folder, replayed commit by commit from the first.
    pub fn deltas(&self, folder: &str) -> BTreeMap<String, Delta> {
        let mut deltas: BTreeMap<String, Delta> = BTreeMap::new();
        for path in self.of_tables(folder) {
            let Some((table, log)) = path.split_once("/_delta_log/") else { continue };
            let Some(version) = log.strip_suffix(".json") else { continue };
            let delta = deltas.entry(table.to_string()).or_default();
            delta.version = version.parse().expect("a version");
            let text = self.get(&joined(folder, &path)).expect("listed, so there");
            for action in String::from_utf8_lossy(&text).lines() {
                let action: Value = serde_json::from_str(action).expect("a commit is whole");
                let file = |kind: &str| Some(format!("{table}/{}", action[kind]["path"].as_str()?));
                delta.files.extend(file("add"));
                file("remove").map(|file| delta.files.remove(&file));
            }
        }
        deltas
    }

    /// The versions of Delta tables that the manifest of a folder names.
    pub fn named_versions(&self, folder: &str) -> BTreeMap<String, u64> {
        let manifest = self.record(folder, "current.json").unwrap_or_default();
        let named = manifest["delta"].as_object().into_iter().flatten();
        named
            .map(|(table, version)| (shown_as(table), version.as_u64().expect("a number")))
            .collect()
    }

    /// The files below a folder that are not the program's own, in their order.
    fn of_tables(&self, folder: &str) -> Vec<String> {
        let relative = |path: String| path[folder.len()..].trim_start_matches('/').to_string();
        let listed = self.list(folder).into_iter().map(relative);
        listed.filter(|path| !path.starts_with("_tenure/")).collect()
    }
}

/// A Delta table as its log has it.
#[derive(Debug, Default)]
pub struct Delta {
    /// The newest version.
    pub version: u64,
    /// The files of that version, by their paths.
    files: BTreeSet<String>,
}

impl Named {
    /// The same under the names of the tables' folders.
    pub fn shown(&self) -> Sums {
        self.sums.iter().map(|(name, sums)| (shown_as(name), sums.clone())).collect()
    }
}

/// A table, or one on a day, as its folder is called.
fn shown_as(name: &str) -> String {
    match name.split_once('.') {
        Some(("quarantine", rest)) => format!("quarantine_{rest}"),
        Some((_, rest)) => rest.to_string(),
        None => name.to_string(),
    }
}

fn named(manifest: &Value) -> Named {
    let mut named = Named::default();
    for (name, entry) in entries(manifest) {
        let text = |file: &Value, key: &str| file[key].as_str().expect("a text").to_string();
        let day = name.rsplit('/').next().unwrap_or_default().to_string();
        named.runs.entry(day).or_default().insert(text(entry, "run_id"));
        named.paths.extend(files(entry).iter().map(|file| text(file, "path")));
        let sums = files(entry).iter().map(|file| text(file, "sha256")).collect();
        named.sums.insert(name, sums);
    }
    named
}

/// Each table on each day, as `metrics.rfm_scores/as_of=2025-12-31`.
fn entries(manifest: &Value) -> impl Iterator<Item = (String, &Value)> {
    let tables = manifest["tables"].as_object().into_iter().flatten();
    tables.flat_map(|(table, days)| {
        let days = days.as_object().into_iter().flatten();
        days.map(move |(day, entry)| (format!("{table}/as_of={day}"), entry))
    })
}

fn files(entry: &Value) -> &[Value] {
    entry["files"].as_array().map_or(&[], Vec::as_slice)
}

fn joined(folder: &str, path: &str) -> String {
    format!("{folder}/{path}").trim_start_matches('/').to_string()
}

fn sum(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}
