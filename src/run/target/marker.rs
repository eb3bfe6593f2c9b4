//! `_tenure/view.json`: which publication the folders of the tables show, and
//! what each of them shows.

use std::collections::BTreeMap;

use object_store::UpdateVersion;
use serde::{Deserialize, Serialize};

use crate::storage::{Expect, Location, Settled};

use super::clock::RunId;
use super::error::Error;
use super::manifest::{self, fresh_id};
use super::view::Layout;

/// Says which publication the folders show.
pub const MARKER: &str = "_tenure/view.json";

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Marker {
    /// The publication that all folders show, or did before they were changed.
    pub(super) commit_id: String,
    /// Fresh for every write, so that a doubtful one can be told from others.
    #[serde(default)]
    pub(super) write_id: String,
    /// `cohort_retention/as_of=2026-11-20` → what it shows.
    pub(super) shown: BTreeMap<String, Shown>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shown {
    /// Of whom it is; None while it is being changed, and may be anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) run_id: Option<RunId>,
    pub(super) files: usize,
    #[serde(default, skip_serializing_if = "is_hive")]
    pub(super) layout: Layout,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_hive(layout: &Layout) -> bool {
    *layout == Layout::Hive
}

impl Marker {
    /// What is to be known while the folders become what `shown` says.
    pub(super) fn changing(&self, shown: &BTreeMap<String, Shown>) -> Self {
        let mut changing = self.clone();
        changing.write_id = fresh_id();
        for (folder, to) in shown.iter().filter(|(folder, to)| self.shown.get(*folder) != Some(to))
        {
            changing.shown.entry(folder.clone()).or_insert_with(|| to.clone()).run_id = None;
        }
        changing
    }

    /// Whether nothing was shown in a folder, as far as that is known.
    pub(super) fn is_new(&self, folder: &str) -> bool {
        !self.commit_id.is_empty() && !self.shown.contains_key(folder)
    }

    /// Whether files of a Delta table may be in a folder.
    pub(super) fn may_be_delta(&self, folder: &str) -> bool {
        self.commit_id.is_empty() || self.is_delta(folder)
    }

    pub(super) fn is_delta(&self, folder: &str) -> bool {
        self.shown.get(folder).is_some_and(|shown| shown.layout == Layout::Delta)
    }
}

/// The marker, and what must hold to replace it. One that cannot be read counts
/// as none: then every folder is checked.
pub(super) async fn read_marker(location: &Location) -> Result<(Marker, Expect), Error> {
    let Some(found) = location.get_versioned(MARKER).await? else {
        return Ok((Marker::default(), Expect::Absent));
    };
    let marker = serde_json::from_slice(&found.content).unwrap_or_default();
    Ok((marker, Expect::Version(found.version)))
}

/// Writes the marker and returns its version; None if another stands there.
pub(super) async fn put_marker(
    location: &Location,
    marker: &Marker,
    expect: &Expect,
) -> Result<Option<UpdateVersion>, Error> {
    let body = manifest::to_json(marker, location, MARKER)?;
    Ok(match location.put_if(MARKER, &body, expect).await? {
        Settled::Written(version) => Some(version),
        Settled::Carried(_) | Settled::Conflict(_) => None,
    })
}
