//! Does this store keep its word about conditional writes?
//!
//! Some servers accept `If-None-Match` and ignore it; on them neither lock nor
//! publishing would be safe. So before a run works on a target, four small
//! writes find out. A local disk needs none: its decorator is our own.
//!
//! **Invariant:** no run works on a store whose conditions were not seen to
//! hold, unless the user accepted it with `single_writer: true`.

use bytes::Bytes;

use crate::storage::{Expect, Location, Settled, Writers};

use super::error::Error;
use super::manifest::fresh_id;

/// Where probes are written; removed right after.
pub(super) const PROBES: &str = "_tenure/probe";

/// Checks that creating and updating are conditional at `location`.
///
/// # Errors
/// [`Error::NoConditionalWrites`], or the store's own error: the first write
/// of a run is also how an unwritable target shows.
pub(super) async fn check(location: &Location) -> Result<(), Error> {
    if location.writers() == Writers::Single || location.folder().is_some() {
        return Ok(());
    }
    let relative = format!("{PROBES}/{}", fresh_id());
    let verdict = conditions_hold(location, &relative).await;
    // A probe left behind is swept up by gc; it must not hide the verdict.
    if let Err(error) = location.delete(&relative).await {
        tracing::debug!(%error, "a probe could not be removed");
    }
    match verdict? {
        Verdict::Hold => Ok(()),
        Verdict::Ignored => Err(Error::NoConditionalWrites { url: location.url().to_owned() }),
    }
}

enum Verdict {
    Hold,
    Ignored,
}

async fn conditions_hold(location: &Location, relative: &str) -> Result<Verdict, Error> {
    let Settled::Written(first) = location.put_if(relative, &body(), &Expect::Absent).await? else {
        return Ok(Verdict::Ignored);
    };
    let again = location.put_if(relative, &body(), &Expect::Absent).await?;
    if matches!(again, Settled::Written(_)) {
        return Ok(Verdict::Ignored);
    }
    let expect_first = Expect::Version(first);
    let updated = location.put_if(relative, &body(), &expect_first).await?;
    if !matches!(updated, Settled::Written(_)) {
        return Ok(Verdict::Ignored);
    }
    let stale = location.put_if(relative, &body(), &expect_first).await?;
    Ok(if matches!(stale, Settled::Written(_)) { Verdict::Ignored } else { Verdict::Hold })
}

fn body() -> Bytes {
    Bytes::from(format!("{{\"probe\": \"{}\"}}\n", fresh_id()))
}
