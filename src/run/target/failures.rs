//! Folders of tables that cannot be brought up to date: one of them keeps no
//! other from it, and all are told together.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::storage::Location;

use super::error::Error;

/// Time that folders which fail may take, all together: each is tried again and
/// again, and a store that is half broken must not hold the lock for hours.
const FAILING_MAX: Duration = Duration::from_mins(3);

/// Folders, or Delta tables, that could not be brought up to date.
#[derive(Default)]
pub(super) struct Failures {
    failed: BTreeMap<String, Error>,
    time: Duration,
}

impl Failures {
    /// Takes note of how an attempt at `folder` has ended.
    ///
    /// # Errors
    /// What ends all attempts: the lock is lost.
    pub(super) fn note(
        &mut self,
        folder: &str,
        begun: Instant,
        done: Result<(), Error>,
    ) -> Result<(), Error> {
        match done {
            Ok(()) => Ok(()),
            Err(error @ Error::LeaseLost { .. }) => Err(error),
            Err(error) => {
                self.time += begun.elapsed();
                self.failed.entry(folder.to_owned()).or_insert(error);
                Ok(())
            }
        }
    }

    /// Whether those that fail have taken so long that no other is tried.
    pub(super) fn is_enough(&self) -> bool {
        self.time > FAILING_MAX
    }

    pub(super) fn has(&self, folder: &str) -> bool {
        self.failed.contains_key(folder)
    }

    pub(super) fn into_result(self, location: &Location) -> Result<(), Error> {
        if self.failed.is_empty() {
            return Ok(());
        }
        let all_tried = !self.is_enough();
        let failed = self.failed.into_iter().collect();
        Err(Error::Behind { url: location.url().to_owned(), failed, all_tried })
    }
}
