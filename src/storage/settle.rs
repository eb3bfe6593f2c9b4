//! A conditional write with a definite end.
//!
//! A store may act and then fail to say so; a client may retry and be told that
//! its own object is in the way. So no answer but "written" is believed: the key
//! is read back and compared with what was sent. What is sent must be unique (a
//! fresh id in it), so that "the same bytes" means "our write".
//!
//! | answer | read back | meaning |
//! |---|---|---|
//! | any doubtful one | ours | written |
//! | any doubtful one | what we expected to replace, or still nothing | not written: try again |
//! | `AlreadyExists`, `Precondition`, doubtful | something else | conflict |
//! | refused (permission, credentials, bucket) | – | error |
//!
//! A request may still be on its way when a try is given up. That is why a try
//! is repeated until an answer is definite, and why the condition stays on it.

use std::time::Duration;

use bytes::Bytes;
use object_store::{Error as StoreError, PutMode, PutOptions, UpdateVersion};

use super::error::{Action, Error};
use super::location::{Location, Versioned, Writers};

/// Tries of one write, each with the client's own retries inside.
const TRIES_MAX: u32 = 5;
/// Pause after the first doubtful try; doubles with each further one.
const PAUSE_MS: u64 = if cfg!(test) { 1 } else { 50 };

/// What must hold for the write to happen.
#[derive(Clone, Debug)]
pub enum Expect {
    /// Nothing stands at the key.
    Absent,
    /// The object is the one that was read as this version.
    Version(UpdateVersion),
}

/// How a conditional write ended.
#[derive(Clone, Debug)]
pub enum Settled {
    /// What we sent stands there, as this version.
    Written(UpdateVersion),
    /// Ours was written, and a later writer has carried it on in this object.
    Carried(Versioned),
    /// Something else stands there (or nothing, where a version was expected).
    Conflict(Option<Versioned>),
}

enum Try {
    Done(Settled),
    Again(StoreError),
}

/// Writes `body` at `relative` if `expect` holds, and finds out whether it did.
///
/// `is_ours` tells whether content read back contains our write. It is more
/// than equality where a later writer carries our write on.
///
/// # Errors
/// When the store refuses, or gives no definite answer after all tries: then
/// the write may or may not have happened.
pub(crate) async fn put_if(
    location: &Location,
    relative: &str,
    body: &Bytes,
    expect: &Expect,
    is_ours: impl Fn(&[u8]) -> bool + Sync,
) -> Result<Settled, Error> {
    if location.writers() == Writers::Single {
        return put_alone(location, relative, body, expect).await;
    }
    let mut pause = Duration::from_millis(PAUSE_MS);
    let mut last = None;
    for _ in 0..TRIES_MAX {
        match put_once(location, relative, body, expect, &is_ours).await? {
            Try::Done(settled) => return Ok(settled),
            Try::Again(error) => last = Some(error),
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    Err(match last {
        Some(error) => location.explain(Action::Write, relative, &error),
        None => Error::misconfigured("no try was made", relative, "raise the number of tries"),
    })
}

async fn put_once(
    location: &Location,
    relative: &str,
    body: &Bytes,
    expect: &Expect,
    is_ours: &(impl Fn(&[u8]) -> bool + Sync),
) -> Result<Try, Error> {
    let mode = match expect {
        Expect::Absent => PutMode::Create,
        Expect::Version(version) => PutMode::Update(version.clone()),
    };
    let options = PutOptions { mode, ..PutOptions::default() };
    let path = location.path(relative);
    let answer = location.store().put_opts(&path, body.clone().into(), options).await;
    let error = match answer {
        Ok(result) => {
            return Ok(Try::Done(Settled::Written(location.version_of(body, result.into()))));
        }
        Err(error) => error,
    };
    if refuses(&error, expect) {
        return Err(location.explain(Action::Write, relative, &error));
    }
    // In doubt, the key itself is the only witness. If it cannot be read
    // either, the try is repeated: its condition keeps that safe.
    let Ok(found) = location.get_versioned(relative).await else {
        return Ok(Try::Again(error));
    };
    Ok(match (found, expect) {
        (Some(found), _) if found.content == *body => Try::Done(Settled::Written(found.version)),
        (Some(found), _) if is_ours(&found.content) => Try::Done(Settled::Carried(found)),
        (None, Expect::Absent) => Try::Again(error),
        (Some(found), Expect::Version(version)) if found.version == *version => Try::Again(error),
        (found, _) => Try::Done(Settled::Conflict(found)),
    })
}

/// True for answers that mean: not written, and trying again is no use.
fn refuses(error: &StoreError, expect: &Expect) -> bool {
    match error {
        StoreError::PermissionDenied { .. }
        | StoreError::Unauthenticated { .. }
        | StoreError::NotImplemented { .. }
        | StoreError::NotSupported { .. }
        | StoreError::InvalidPath { .. }
        | StoreError::UnknownConfigurationKey { .. } => true,
        // Creating needs a bucket; updating also needs the object.
        StoreError::NotFound { .. } => matches!(expect, Expect::Absent),
        _ => false,
    }
}

/// The accepted way on a store without conditional writes: look, then write.
/// Two writers would not see each other, which is what the user has accepted.
async fn put_alone(
    location: &Location,
    relative: &str,
    body: &Bytes,
    expect: &Expect,
) -> Result<Settled, Error> {
    let found = location.get_versioned(relative).await?;
    let holds = match (&found, expect) {
        (None, Expect::Absent) => true,
        (Some(found), Expect::Version(version)) => found.version == *version,
        _ => false,
    };
    if !holds {
        return Ok(Settled::Conflict(found));
    }
    location.put(relative, body.clone()).await?;
    match location.get_versioned(relative).await? {
        Some(found) if found.content == *body => Ok(Settled::Written(found.version)),
        other => Ok(Settled::Conflict(other)),
    }
}
