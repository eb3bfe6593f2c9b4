//! What a commit says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::error::Error;
use super::super::manifest;
use super::action::{Action, Add, CommitInfo, MetaData, Txn};
use super::log::State;
use super::schema::{self, DAY_COLUMN};
use super::{APP_ID, Showing, Stale, Wanted, epoch};

/// The files that are no longer wanted in days that are stale.
pub(super) fn gone<'a>(
    state: Option<&'a State>,
    wanted: &Wanted<'_>,
    stale: &Stale,
) -> Vec<&'a Add> {
    let files = state.into_iter().flat_map(|state| state.files.values());
    files.filter(|add| stale.is(day_of(add)) && !wanted.contains_key(&add.path)).collect()
}

/// The commit that leads from `state` to what is wanted, without what is gone;
/// None if it is so.
pub(super) fn actions(
    showing: &Showing<'_>,
    table: &str,
    state: Option<&State>,
    gone: &[&Add],
    made: &BTreeMap<String, Add>,
) -> Result<Option<Vec<Action>>, Error> {
    let files = state.map(|state| &state.files);
    let there = |path: &str| files.is_some_and(|files| files.contains_key(path));
    let added: Vec<&Add> = made.values().filter(|add| !there(&add.path)).collect();
    let before = state.map(|state| &state.meta_data);
    // A table that names no day any more keeps the schema it had.
    let schema = match showing.manifest.tables.contains_key(table) {
        true => Some(schema::schema(showing.manifest, table)?),
        false => None,
    };
    let schema = schema.filter(|schema| {
        let found = before.and_then(|before| serde_json::from_str(&before.schema_string).ok());
        found.as_ref() != Some(schema)
    });
    if added.is_empty() && gone.is_empty() && schema.is_none() {
        return Ok(None);
    }
    let days: BTreeSet<&str> =
        added.iter().copied().chain(gone.iter().copied()).filter_map(day_of).collect();
    let now = showing.now.timestamp_millis();
    let mut actions = vec![Action::info(&info(showing, state, &days))];
    if let Some(schema) = schema {
        let protocol = schema::protocol(&schema);
        let protocol = match state {
            Some(state) => schema::upgrade(&state.protocol, protocol),
            None => Some(protocol),
        };
        actions.extend(protocol.map(Action::protocol));
        let begun = || MetaData {
            id: uuid::Uuid::new_v4().to_string(),
            name: Some(table.to_owned()),
            partition_columns: vec![DAY_COLUMN.to_owned()],
            created_time: Some(now),
            ..MetaData::default()
        };
        let meta_data = before.cloned().unwrap_or_else(begun);
        let schema_string = schema.to_string();
        actions.push(Action::meta_data(MetaData { schema_string, ..meta_data }));
    }
    actions.push(Action::txn(Txn {
        app_id: APP_ID.into(),
        version: epoch(showing.manifest),
        last_updated: Some(now),
    }));
    actions.extend(gone.iter().map(|add| Action::remove(add.removed(now))));
    actions.extend(added.into_iter().cloned().map(Action::add));
    Ok(Some(actions))
}

fn day_of(add: &Add) -> Option<&str> {
    add.partition_values.get(DAY_COLUMN)?.as_deref()
}

fn info(showing: &Showing<'_>, state: Option<&State>, days: &BTreeSet<&str>) -> CommitInfo {
    let publication = showing.manifest.publication.as_ref();
    let run_id = publication.map(|publication| publication.run_id.to_string());
    let days: Vec<String> = days.iter().map(|day| format!("'{day}'")).collect();
    // Values are text here, also where they are JSON: readers expect it so.
    let mut parameters = json!({
        "mode": "Overwrite",
        "partitionBy": format!("[\"{DAY_COLUMN}\"]"),
    });
    if !days.is_empty() {
        parameters["predicate"] = Value::from(format!("{DAY_COLUMN} in ({})", days.join(", ")));
    }
    CommitInfo {
        timestamp: showing.now.timestamp_millis(),
        operation: "WRITE".into(),
        operation_parameters: parameters,
        read_version: state.map(|state| state.version),
        is_blind_append: false,
        engine_info: concat!("tenure/", env!("CARGO_PKG_VERSION")).into(),
        user_metadata: run_id.as_ref().map(|run_id| format!("run {run_id}")),
        run_id,
        commit_id: publication.map(|publication| publication.commit_id.clone()),
        txn_id: Some(manifest::fresh_id()),
    }
}
