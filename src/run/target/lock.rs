//! One run at a time: a lease with a heartbeat, and a fence for who lost it.
//!
//! **Invariant:** whoever takes the lease also rewrites the manifest
//! into the next epoch. Publishing is conditional on exactly the version that
//! write produced, so a run that lost its lease cannot publish, whenever it
//! wakes: its version is gone. The lease keeps two runs from wasting work; the
//! fence alone keeps what is published right.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use object_store::UpdateVersion;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;

use crate::storage::{Exclusive, ExclusiveGuard, Expect, Location, Settled, Versioned};

use super::clock::{Clock, RunId};
use super::error::Error;
use super::lease::{
    LEASE, Lease, LeaseState, LockState, LockTimes, busy, is_ours, locked, new_lease, os_lock,
    parse, read_lease, take_lease,
};
use super::manifest::{self, Fence, Manifest, Purpose};

/// Rounds of raising the fence: each failed one means somebody else wrote.
const FENCE_TRIES_MAX: u32 = 8;
/// How long a release waits for a heartbeat under way.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// The lock, while this run holds it. Dropped without [`Lock::release`] it is
/// what a crash leaves: the heartbeat stops and the lease runs out.
pub(super) struct Lock {
    location: Location,
    held: Arc<Held>,
    heartbeat: Option<JoinHandle<()>>,
    // Freed last; on a local disk the next run may start at once.
    _alone: Option<ExclusiveGuard>,
}

/// What the heartbeat task and the holder share.
struct Held {
    lease: Lease,
    last: Mutex<Beat>,
    lost: AtomicBool,
    stop: Notify,
}

struct Beat {
    version: UpdateVersion,
    number: u64,
}

/// The lock and what came with it.
pub(super) struct Taken {
    pub(super) lock: Lock,
    /// The manifest in its new epoch …
    pub(super) manifest: Manifest,
    /// … and its version, on which publishing is conditional.
    pub(super) version: UpdateVersion,
    /// The run before, if it died with the lock in hand.
    pub(super) dead: Option<RunId>,
}

impl Lock {
    /// Takes the lock for `run_id`, and the fence with it.
    ///
    /// # Errors
    /// [`Error::Locked`] while another run is alive.
    pub(super) async fn take(
        location: &Location,
        run_id: &RunId,
        clock: &Clock,
        times: LockTimes,
    ) -> Result<Taken, Error> {
        let lease = new_lease(run_id, clock, times);
        let os_lock = match os_lock(location).await? {
            Exclusive::Held(guard) => Some(guard),
            Exclusive::Unavailable => None,
            Exclusive::Busy => return Err(busy(location, lease).await),
        };
        let (version, dead) = take_lease(location, &lease, os_lock.is_some()).await?;
        let held = Arc::new(Held {
            last: Mutex::new(Beat { version, number: lease.beat }),
            lease,
            lost: AtomicBool::new(false),
            stop: Notify::new(),
        });
        let beating = keep_alive(location.clone(), Arc::clone(&held), times.heartbeat);
        let lock = Self {
            location: location.clone(),
            heartbeat: Some(tokio::spawn(beating)),
            held,
            _alone: os_lock,
        };
        match raise_fence(location, &lock.held.lease).await {
            Ok((manifest, version)) => Ok(Taken { lock, manifest, version, dead }),
            Err(error) => {
                lock.release().await;
                Err(error)
            }
        }
    }

    pub(super) fn lease(&self) -> &Lease {
        &self.held.lease
    }

    /// True once a heartbeat has found another holder. Cheap; see [`Lock::verify`].
    pub(super) fn is_lost(&self) -> bool {
        self.held.lost.load(Ordering::Acquire)
    }

    /// Asks the store whether the lease is still ours.
    ///
    /// # Errors
    /// [`Error::LeaseLost`], or the store's error.
    pub(super) async fn verify(&self) -> Result<(), Error> {
        let found = read_lease(&self.location).await?;
        match found {
            Some((lease, _)) if is_ours(&lease, &self.held.lease) => Ok(()),
            other => {
                self.held.lost.store(true, Ordering::Release);
                Err(self.lost_to(other.map(|(lease, _)| lease.run_id)))
            }
        }
    }

    pub(super) fn lost_to(&self, to: Option<RunId>) -> Error {
        let run_id = self.held.lease.run_id.clone();
        let to = to.filter(|to| *to != run_id);
        Error::LeaseLost { url: self.location.url().to_owned(), run_id, to }
    }

    /// Gives the lock back. What cannot be said to the store now, the lease's
    /// end will say; so there is nothing for a caller to handle.
    pub(super) async fn release(mut self) {
        self.held.stop.notify_one();
        if let Some(mut heartbeat) = self.heartbeat.take()
            && tokio::time::timeout(STOP_WAIT, &mut heartbeat).await.is_err()
        {
            heartbeat.abort();
        }
        if let Err(error) = self.held.write_next(&self.location, LeaseState::Released).await {
            tracing::warn!(%error, "the lock could not be given back; it ends by itself");
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(heartbeat) = &self.heartbeat {
            heartbeat.abort();
        }
    }
}

impl Held {
    /// Writes the lease once more; marks it lost if it is another's.
    async fn write_next(&self, location: &Location, state: LeaseState) -> Result<(), Error> {
        let mut last = self.last.lock().await;
        loop {
            let lease = Lease { beat: last.number + 1, state, ..self.lease.clone() };
            let body = manifest::to_json(&lease, location, LEASE)?;
            match location.put_if(LEASE, &body, &Expect::Version(last.version.clone())).await? {
                Settled::Written(version) => {
                    *last = Beat { version, number: lease.beat };
                    return Ok(());
                }
                // An earlier heartbeat of ours landed after it was given up.
                Settled::Conflict(Some(found)) | Settled::Carried(found)
                    if self.is_ours(&found) =>
                {
                    let number = parse(location, &found.content)?.beat;
                    *last = Beat { version: found.version, number };
                }
                Settled::Conflict(_) | Settled::Carried(_) => {
                    self.lost.store(true, Ordering::Release);
                    return Ok(());
                }
            }
        }
    }

    fn is_ours(&self, found: &Versioned) -> bool {
        serde_json::from_slice::<Lease>(&found.content)
            .is_ok_and(|lease| is_ours(&lease, &self.lease))
    }
}

/// The heartbeat: runs until stopped, aborted or lost.
async fn keep_alive(location: Location, held: Arc<Held>, every: Duration) {
    loop {
        tokio::select! {
            () = held.stop.notified() => return,
            () = tokio::time::sleep(every) => {}
        }
        // A missed beat is no loss: the next one may come in time, and if none
        // does, the fence stops this run where it matters.
        if let Err(error) = held.write_next(&location, LeaseState::Held).await {
            tracing::warn!(%error, "heartbeat failed");
        }
        if held.lost.load(Ordering::Acquire) {
            tracing::warn!(run_id = %held.lease.run_id, "the lock was taken over");
            return;
        }
    }
}

/// Moves the manifest to the next epoch, whatever it holds now.
async fn raise_fence(
    location: &Location,
    lease: &Lease,
) -> Result<(Manifest, UpdateVersion), Error> {
    for _ in 0..FENCE_TRIES_MAX {
        let (current, expect) = match manifest::read_versioned(location).await? {
            Some((manifest, version)) => (manifest, Expect::Version(version)),
            None => (Manifest::empty(), Expect::Absent),
        };
        let fence = Fence { token: lease.token.clone(), run_id: lease.run_id.clone() };
        let next = current.fenced(fence);
        // A conflict means that a run which lost its lease has just published,
        // as it may until now. Read again, so that nothing of it is lost.
        if let Settled::Written(version) =
            manifest::write(location, &next, &expect, Purpose::Fence).await?
        {
            return Ok((next, version));
        }
    }
    Err(Error::LeaseLost { url: location.url().to_owned(), run_id: lease.run_id.clone(), to: None })
}

/// Says that `run_id` does not hold the lock, if the lease says that it does.
/// The run must be over: it has no heartbeat.
///
/// # Errors
/// When the store refuses or fails.
pub(super) async fn give_up(location: &Location, run_id: &RunId) -> Result<(), Error> {
    let Some((lease, found)) = read_lease(location).await? else { return Ok(()) };
    if lease.run_id != *run_id || lease.state != LeaseState::Held {
        return Ok(());
    }
    let released = Lease { beat: lease.beat + 1, state: LeaseState::Released, ..lease };
    let body = manifest::to_json(&released, location, LEASE)?;
    // A conflict: somebody has taken it over, so it is no longer ours to give.
    location.put_if(LEASE, &body, &Expect::Version(found.version)).await.map(drop)?;
    Ok(())
}

/// Removes the lock of `state`'s holder, and raises the fence so that it cannot
/// publish any more even if it lives.
///
/// # Errors
/// [`Error::Locked`] if another run has taken the lock meanwhile.
pub(super) async fn break_lease(location: &Location, state: &LockState) -> Result<(), Error> {
    let Some((lease, found)) = read_lease(location).await? else {
        return Ok(());
    };
    if lease.token != state.lease.token {
        return Err(locked(location, lease));
    }
    let broken = Lease { beat: lease.beat + 1, state: LeaseState::Broken, ..lease };
    let body = manifest::to_json(&broken, location, LEASE)?;
    match location.put_if(LEASE, &body, &Expect::Version(found.version)).await? {
        Settled::Written(_) => {}
        _ => return Err(locked(location, broken)),
    }
    let by = Lease { token: manifest::fresh_id(), ..broken };
    raise_fence(location, &by).await.map(drop)
}
