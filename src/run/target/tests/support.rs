//! The fixture: places to publish to, small tables, and what must always hold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use object_store::memory::InMemory;
use object_store::path::Path;
use sha2::{Digest, Sha256};

use crate::run::target::*;
use crate::storage::{Environment, Location, Options, hex, open};

pub(super) const TABLE: &str = "metrics.cohort_retention";
pub(super) const OTHER: &str = "metrics.rfm_scores";

/// A place and what keeps it alive.
pub(super) struct Place {
    pub(super) location: Location,
    _dir: Option<tempfile::TempDir>,
}

pub(super) fn memory() -> Place {
    let location = Location::new(
        Arc::new(InMemory::new()),
        Path::from("lake/out"),
        "memory://lake/out".into(),
    );
    Place { location, _dir: None }
}

pub(super) fn disk() -> Place {
    // In memory where the system has such a folder: every write is synced, and
    // it is not the disk's speed that is tested.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
    let location = open("out", dir.path(), &Environment::new(), &Options::new()).expect("opens");
    Place { location, _dir: Some(dir) }
}

pub(super) fn both() -> [Place; 2] {
    [memory(), disk()]
}

/// Leases of a minute, so that nothing runs out during a test.
pub(super) fn target(location: &Location) -> Target {
    Target::new(location.clone(), Clock::system(), LockTimes::default())
}

/// Leases that are over at once: a holder that died long ago.
pub(super) fn expiring(location: &Location) -> Target {
    let times = LockTimes { ttl: Duration::ZERO, heartbeat: Duration::from_mins(10) };
    Target::new(location.clone(), Clock::system(), times)
}

pub(super) fn day(text: &str) -> Day {
    text.parse().expect("a day")
}

/// Ids a millisecond apart, so that order is certain however fast a test is.
pub(super) fn fresh() -> RunId {
    static TICKS: AtomicI64 = AtomicI64::new(1_790_000_000_000);
    let tick = TICKS.fetch_add(1, Ordering::SeqCst);
    RunId::new(chrono::DateTime::from_timestamp_millis(tick).expect("a time"), 0)
}

pub(super) async fn claim(location: &Location) -> Claim {
    target(location).claim(fresh()).await.expect("the lock is free")
}

/// Stages `parts` as the files of `table`.
pub(super) async fn stage(
    claim: &Claim,
    table: &str,
    day: Day,
    parts: &[&str],
) -> Result<StagedTable, Error> {
    let mut files = Vec::new();
    for (part, content) in (0u32..).zip(parts) {
        let mut upload = claim.upload(table, day, part);
        upload.write(content.as_bytes()).await.expect("buffered");
        files.push(upload.finish(1).await?);
    }
    let schema = vec![Column {
        name: "cohort".into(),
        type_name: "date".into(),
        comment: "first month".into(),
    }];
    Ok(StagedTable {
        table: table.into(),
        day,
        files,
        schema,
        grain: vec!["cohort".into()],
        fingerprint: None,
    })
}

pub(super) fn request(day: Day, tables: Vec<StagedTable>) -> Request {
    let info = RunInfo {
        pipeline: "nightly".into(),
        as_of: day,
        params: BTreeMap::new(),
        sources: BTreeMap::new(),
        tool_version: "0.1.0".into(),
        texts: None,
        recipes: None,
    };
    let others = OtherTables::Carry;
    let (checks, layouts) = (BTreeMap::new(), BTreeMap::new());
    Request { info, tables, others, checks, layouts, recipes: None }
}

/// A whole run: lock, stage both tables, publish, release.
pub(super) async fn run(
    location: &Location,
    date: &str,
    parts: &[&str],
) -> Result<Published, Error> {
    let mut claim = target(location).claim(fresh()).await?;
    let published = work(&mut claim, day(date), parts).await;
    let step = match &published {
        Ok(_) => Step::Finished,
        Err(error) => Step::Failed { error: error.to_string(), repeats: false },
    };
    let closed = claim.journal().close(step).await;
    claim.release().await;
    let published = published?;
    drop(closed);
    Ok(published)
}

async fn work(claim: &mut Claim, day: Day, parts: &[&str]) -> Result<Published, Error> {
    let started = Step::Started {
        pipeline: "nightly".into(),
        as_of: day,
        params: BTreeMap::new(),
        version: "0.1.0".into(),
        arguments: Vec::new(),
        retry_of: None,
        texts: BTreeMap::new(),
    };
    claim.journal().record(started).await?;
    let tables =
        vec![stage(claim, TABLE, day, parts).await?, stage(claim, OTHER, day, parts).await?];
    publish(claim, &request(day, tables)).await
}

/// Looks and publishes, as a run does.
pub(super) async fn publish(claim: &mut Claim, request: &Request) -> Result<Published, Error> {
    let ready = claim.ready(request).await?;
    claim.publish(request, ready).await
}

pub(super) async fn text(location: &Location, path: &str) -> Option<String> {
    let content = location.get(path).await.expect("readable")?;
    Some(String::from_utf8(content.to_vec()).expect("text"))
}

/// The Hive files, path → content.
pub(super) async fn hive(location: &Location) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for (path, _) in location.list("").await.expect("lists") {
        if !path.starts_with("_tenure") {
            let content = text(location, &path).await.expect("there");
            files.insert(path, content);
        }
    }
    files
}

/// What must hold at any time: the manifest reads, names only whole files,
/// and shows both tables of one run on every day.
pub(super) async fn assert_whole(location: &Location) {
    let Some(manifest) = target(location).manifest().await.expect("the manifest reads") else {
        return;
    };
    for file in manifest.named_files() {
        let content = location.get(&file.path).await.expect("readable").expect("named, so there");
        let sha256 = hex(&Sha256::digest(&content));
        assert_eq!(
            (content.len() as u64, sha256),
            (file.bytes, file.sha256.clone()),
            "{}",
            file.path
        );
    }
    let days = manifest.tables.get(TABLE).into_iter().flatten();
    for (day, entry) in days {
        let other = manifest.entry(OTHER, *day).map(|other| &other.run_id);
        assert_eq!(other, Some(&entry.run_id), "a mixed set on {day}");
    }
}
