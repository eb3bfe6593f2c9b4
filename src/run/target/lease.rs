//! The lease object: who works here, and whether it still lives.
//!
//! **Invariant:** the object is only ever changed by compare and swap, so it
//! has one owner. Whether its owner is alive is judged by the store's time of
//! the last heartbeat against the store's time now, never by a client's clock.
//! On a local disk an OS lock says so at once.
//!
//! A released lease stays as an object that says so: stores cannot delete
//! conditionally, and an unconditional delete could hit a successor's lease.
//!
//! Keeping it alive and what depends on it stand in `lock`.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::UpdateVersion;
use serde::{Deserialize, Serialize};

use crate::storage::{Exclusive, Expect, Location, Settled, Versioned};

use super::clock::{Clock, RunId, instant};
use super::error::Error;
use super::manifest;

/// Where the lease is, relative to the target.
pub const LEASE: &str = "_tenure/lease.json";
/// The OS lock of a local target.
const OS_LOCK: &str = "_tenure/holder";
/// Where objects are written to learn the store's time.
const CLOCK: &str = "_tenure/clock";

/// Tries to get the OS lock, and the pause between them.
const OS_LOCK_TRIES_MAX: u32 = 5;
const OS_LOCK_PAUSE: Duration = Duration::from_millis(50);
/// How long a lock outlives its holder's last sign of life.
#[derive(Clone, Copy, Debug)]
pub struct LockTimes {
    /// Time after the last heartbeat when another run may take over; counted in whole
    /// seconds.
    pub ttl: Duration,
    /// Pause between two heartbeats; several should fit into `ttl`.
    pub heartbeat: Duration,
}

impl Default for LockTimes {
    /// A minute lets four heartbeats fail before anybody takes over.
    fn default() -> Self {
        Self { ttl: Duration::from_mins(1), heartbeat: Duration::from_secs(12) }
    }
}

/// The lease object: who works here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// Fresh for each holder.
    pub token: String,
    /// The run that holds the lock, or held it last.
    pub run_id: RunId,
    /// Name of the holder's machine; `unknown` if it has none.
    pub host: String,
    /// Process id of the holder on `host`.
    pub pid: u32,
    /// By the holder's clock; shown, never compared.
    #[serde(with = "instant")]
    pub since: DateTime<Utc>,
    /// Seconds after its last heartbeat when the holder counts as dead.
    pub ttl_seconds: u64,
    /// Grows with each heartbeat, so that no two writes are equal.
    pub beat: u64,
    /// Whether the lock is held; a holder that died never says that it is not.
    pub state: LeaseState,
}

impl Lease {
    /// Whether the lock of the target `url` ends with its holder's process: on a
    /// disk the operating system has it, and proves a process of this host dead.
    /// One of another host, which the disk is shared with, is left its time.
    pub(super) fn ends_with_its_process(&self, url: &str) -> bool {
        !url.contains("://") && self.host == host()
    }
}

/// What the lease object says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    /// Its holder took it and has not given it back, alive or dead.
    Held,
    /// It was given back: anybody may take it.
    Released,
    /// `unlock` took it away: anybody may take it, but on a disk the process it was
    /// taken from may live on, and with it the lock of the operating system.
    Broken,
}

/// What is known of the lock from outside.
#[derive(Clone, Debug)]
pub struct LockState {
    /// The lease as read from the target.
    pub lease: Lease,
    /// Whether its holder still works.
    pub life: Life,
}

/// Whether the holder lives, as far as the store tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// There is no holder: the lock was given back or taken away.
    Released,
    /// Its process holds the OS lock, or its last heartbeat is recent enough.
    Alive,
    /// No heartbeat within its time, or its process is gone.
    Dead,
}

pub(super) fn is_ours(found: &Lease, ours: &Lease) -> bool {
    found.token == ours.token && found.state == LeaseState::Held
}

/// Writes our lease where there is none, a released or a dead one; names the
/// run that died.
pub(super) async fn take_lease(
    location: &Location,
    lease: &Lease,
    os_locked: bool,
) -> Result<(UpdateVersion, Option<RunId>), Error> {
    let body = manifest::to_json(lease, location, LEASE)?;
    let (expect, dead) = match read_lease(location).await? {
        None => (Expect::Absent, None),
        Some((holder, found)) => match life(location, &holder, &found, os_locked).await? {
            Life::Alive => return Err(locked(location, holder)),
            Life::Released => (Expect::Version(found.version), None),
            Life::Dead => (Expect::Version(found.version), Some(holder.run_id)),
        },
    };
    match location.put_if(LEASE, &body, &expect).await? {
        Settled::Written(version) => Ok((version, dead)),
        Settled::Conflict(Some(found)) | Settled::Carried(found) => {
            Err(locked(location, parse(location, &found.content)?))
        }
        // Somebody removed the lease meanwhile; the next try will see nothing.
        Settled::Conflict(None) => Err(locked(location, lease.clone())),
    }
}

/// The OS lock; waits a moment, for commands that only look hold it, too.
pub(super) async fn os_lock(location: &Location) -> Result<Exclusive, Error> {
    for _ in 1..OS_LOCK_TRIES_MAX {
        match location.try_exclusive(OS_LOCK).await? {
            Exclusive::Busy => tokio::time::sleep(OS_LOCK_PAUSE).await,
            answer => return Ok(answer),
        }
    }
    Ok(location.try_exclusive(OS_LOCK).await?)
}

/// Whether `holder` lives. The OS lock, once ours, proves that no process of
/// this host holds the lease; holders on other hosts are left to their time.
async fn life(
    location: &Location,
    holder: &Lease,
    found: &Versioned,
    os_locked: bool,
) -> Result<Life, Error> {
    if holder.state != LeaseState::Held {
        return Ok(Life::Released);
    }
    if os_locked && holder.host == host() {
        return Ok(Life::Dead);
    }
    let age = store_now(location).await? - found.meta.last_modified;
    let ttl =
        chrono::TimeDelta::seconds(i64::try_from(holder.ttl_seconds).unwrap_or(i64::MAX / 1000));
    Ok(if age > ttl { Life::Dead } else { Life::Alive })
}

/// The store's own time: what it says of an object just written.
async fn store_now(location: &Location) -> Result<DateTime<Utc>, Error> {
    let relative = format!("{CLOCK}/{}", manifest::fresh_id());
    location.put(&relative, Bytes::from_static(b"{}\n")).await?;
    let meta = location.head(&relative).await;
    location.delete(&relative).await?;
    match meta? {
        Some(meta) => Ok(meta.last_modified),
        None => Err(Error::Unreadable {
            place: location.shown(&relative),
            cause: "it was written and is gone".to_owned(),
        }),
    }
}

/// The lock as seen by a command that only looks.
///
/// # Errors
/// When the store refuses or fails.
pub(super) async fn look(location: &Location) -> Result<Option<LockState>, Error> {
    let Some((lease, found)) = read_lease(location).await? else {
        return Ok(None);
    };
    if lease.state != LeaseState::Held {
        return Ok(Some(LockState { lease, life: Life::Released }));
    }
    let life = match location.try_exclusive(OS_LOCK).await? {
        Exclusive::Busy => Life::Alive,
        Exclusive::Held(_guard) => life(location, &lease, &found, true).await?,
        Exclusive::Unavailable => life(location, &lease, &found, false).await?,
    };
    Ok(Some(LockState { lease, life }))
}

/// The run that seems to be at work, for display: a reader may not have the
/// right to write, so here, and only here, a client's clock is good enough.
///
/// # Errors
/// When the store refuses or fails.
pub(super) async fn working(
    location: &Location,
    now: DateTime<Utc>,
) -> Result<Option<RunId>, Error> {
    let Some((lease, found)) = read_lease(location).await? else {
        return Ok(None);
    };
    if lease.state != LeaseState::Held {
        return Ok(None);
    }
    let age = (now - found.meta.last_modified).num_seconds();
    let in_time = u64::try_from(age).unwrap_or(0) <= lease.ttl_seconds;
    // Without the right to lock a local file, time decides there, too.
    let works = match location.try_exclusive(OS_LOCK).await {
        Ok(Exclusive::Busy) => true,
        Ok(Exclusive::Held(_guard)) => lease.host != host() && in_time,
        Ok(Exclusive::Unavailable) | Err(_) => in_time,
    };
    Ok(works.then_some(lease.run_id))
}

/// Who has the OS lock, as an error. It is taken before the lease is written,
/// so for a moment the lease may still be what the run before has given back.
pub(super) async fn busy(location: &Location, ours: Lease) -> Error {
    let mut last = None;
    for _ in 0..OS_LOCK_TRIES_MAX {
        match read_lease(location).await {
            Ok(Some((holder, _))) if holder.state == LeaseState::Held => {
                return locked(location, holder);
            }
            Ok(found) => {
                last = found.map(|(lease, _)| lease);
                tokio::time::sleep(OS_LOCK_PAUSE).await;
            }
            Err(error) => return error,
        }
    }
    match last {
        // That its lease is gone ends neither it nor its OS lock.
        Some(last) if last.state == LeaseState::Broken && is_process_here(&last) => {
            locked(location, last)
        }
        // A command that only looks has it, and writes no lease.
        _ => locked(location, ours),
    }
}

/// Whether the process of a lease is still there, where the system shows its
/// processes as folders.
fn is_process_here(lease: &Lease) -> bool {
    let process = Path::new("/proc").join(lease.pid.to_string());
    lease.host == host() && process.exists()
}

pub(super) fn locked(location: &Location, holder: Lease) -> Error {
    Error::Locked { url: location.url().to_owned(), holder: Box::new(holder) }
}

pub(super) fn new_lease(run_id: &RunId, clock: &Clock, times: LockTimes) -> Lease {
    Lease {
        token: manifest::fresh_id(),
        run_id: run_id.clone(),
        host: host(),
        pid: std::process::id(),
        since: clock.now(),
        ttl_seconds: times.ttl.as_secs(),
        beat: 0,
        state: LeaseState::Held,
    }
}

pub(super) async fn read_lease(location: &Location) -> Result<Option<(Lease, Versioned)>, Error> {
    let Some(found) = location.get_versioned(LEASE).await? else {
        return Ok(None);
    };
    Ok(Some((parse(location, &found.content)?, found)))
}

pub(super) fn parse(location: &Location, content: &[u8]) -> Result<Lease, Error> {
    manifest::from_json(content, &location.shown(LEASE))
}

/// The name of this machine, for people and to know our own dead processes.
fn host() -> String {
    ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok())
        .map(|name| name.trim().to_owned())
        .or_else(|| std::env::var("HOSTNAME").or_else(|_| std::env::var("COMPUTERNAME")).ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}
