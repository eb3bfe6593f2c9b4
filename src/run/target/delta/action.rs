//! The actions of a Delta log, as far as tenure writes or obeys them.
//!
//! A commit is a file of JSON lines, each an object with one key. Only fields
//! that a table of tenure can have are known here; a table that needs others is
//! refused by its protocol (`schema::refusal`) before anything is written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Text by text, where a value may be null.
pub(super) type Texts = BTreeMap<String, Option<String>>;

/// A line of a commit: one of these is there, or an action nobody here needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Action {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) commit_info: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) protocol: Option<Protocol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) meta_data: Option<MetaData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) txn: Option<Txn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) add: Option<Add>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remove: Option<Remove>,
}

/// Who committed, and what; for people. Written, never read: others put there
/// what they like.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CommitInfo {
    /// Milliseconds since 1970.
    pub(super) timestamp: i64,
    pub(super) operation: String,
    pub(super) operation_parameters: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) read_version: Option<u64>,
    pub(super) is_blind_append: bool,
    pub(super) engine_info: String,
    /// What `history` of every reader shows: `run 2026…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_metadata: Option<String>,
    /// The run whose publication this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run_id: Option<String>,
    /// Id of that publication, as the manifest has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) commit_id: Option<String>,
    /// Fresh in every commit, so that content alone tells writes apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) txn_id: Option<String>,
}

/// What a reader and a writer must understand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Protocol {
    pub(super) min_reader_version: i32,
    pub(super) min_writer_version: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reader_features: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) writer_features: Option<Vec<String>>,
}

/// Name, schema and options of a table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MetaData {
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    pub(super) format: Format,
    /// JSON in JSON.
    pub(super) schema_string: String,
    pub(super) partition_columns: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_time: Option<i64>,
    pub(super) configuration: Texts,
}

/// Of the data files; always Parquet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Format {
    pub(super) provider: String,
    pub(super) options: Texts,
}

impl Default for Format {
    fn default() -> Self {
        Self { provider: "parquet".into(), options: Texts::new() }
    }
}

/// The last transaction of an application; ours counts manifests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Txn {
    pub(super) app_id: String,
    pub(super) version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_updated: Option<i64>,
}

/// A file that is part of the table from here on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Add {
    /// Relative to the table, percent-encoded.
    pub(super) path: String,
    pub(super) partition_values: Texts,
    pub(super) size: i64,
    pub(super) modification_time: i64,
    pub(super) data_change: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stats: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tags: Option<Texts>,
}

/// A file that is no part of the table from here on; older versions need it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Remove {
    pub(super) path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deletion_timestamp: Option<i64>,
    pub(super) data_change: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) extended_file_metadata: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) partition_values: Option<Texts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<i64>,
}

impl Add {
    /// The removal of this file at `now`, in milliseconds since 1970.
    pub(super) fn removed(&self, now: i64) -> Remove {
        Remove {
            path: self.path.clone(),
            deletion_timestamp: Some(now),
            data_change: true,
            extended_file_metadata: Some(true),
            partition_values: Some(self.partition_values.clone()),
            size: Some(self.size),
        }
    }
}

/// One action a constructor, so that a commit reads as a list.
impl Action {
    pub(super) fn info(info: &CommitInfo) -> Self {
        Self { commit_info: serde_json::to_value(info).ok(), ..Self::default() }
    }

    pub(super) fn protocol(protocol: Protocol) -> Self {
        Self { protocol: Some(protocol), ..Self::default() }
    }

    pub(super) fn meta_data(meta_data: MetaData) -> Self {
        Self { meta_data: Some(meta_data), ..Self::default() }
    }

    pub(super) fn txn(txn: Txn) -> Self {
        Self { txn: Some(txn), ..Self::default() }
    }

    pub(super) fn add(add: Add) -> Self {
        Self { add: Some(add), ..Self::default() }
    }

    pub(super) fn remove(remove: Remove) -> Self {
        Self { remove: Some(remove), ..Self::default() }
    }
}
