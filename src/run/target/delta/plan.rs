//! Before anything is published: may a table be had in its format, and which
//! version will it be?

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};

use crate::storage::Location;

use super::super::error::Error;
use super::super::manifest::Manifest;
use super::super::view::{self, Layout, folder};
use super::log::{self, State};
use super::{APP_ID, Planned, REQUESTS_IN_FLIGHT_MAX, epoch, run_of, schema};

/// Says early, before anything is computed, if a table cannot be laid out as it
/// is to be: only those that are new or turned over need a look.
///
/// # Errors
/// [`Error::Delta`] for a table that must not be written; the store's error.
pub(in super::super) async fn admit(
    location: &Location,
    base: &Manifest,
    layouts: &BTreeMap<String, Layout>,
) -> Result<(), Error> {
    let is_new = |table: &String, layout: Layout| {
        base.layout(table) != layout || !base.tables.contains_key(table)
    };
    let looks = layouts.iter().filter(|(table, layout)| is_new(table, **layout)).map(
        |(table, layout)| async move {
            match layout {
                Layout::Hive => {
                    refuse_history(location, table).await?;
                    match base.layout(table) {
                        Layout::Delta => refuse_foreign(location, table).await,
                        Layout::Hive => Ok(()),
                    }
                }
                Layout::Delta => look(location, base, table).await.map(drop),
            }
        },
    );
    let looks: Vec<_> = looks.collect();
    // In order: of several errors, the same is told each time.
    futures::stream::iter(looks).buffered(REQUESTS_IN_FLIGHT_MAX).try_collect::<Vec<()>>().await?;
    Ok(())
}

/// Finds the version each Delta table of `next` that changes will have, and
/// enters it.
///
/// # Errors
/// As [`admit`], and for columns that do not fit from day to day.
pub(in super::super) async fn plan(
    location: &Location,
    base: &Manifest,
    next: &mut Manifest,
) -> Result<Planned, Error> {
    let changed = |table: &&String| {
        base.layout(table) != next.layout(table)
            || base.tables.get(*table) != next.tables.get(*table)
    };
    let mut looks = Vec::new();
    for table in next.delta.keys().filter(changed) {
        schema::schema(next, table)?;
        looks.push(look(location, base, table));
    }
    let planned: BTreeMap<String, Option<State>> =
        futures::stream::iter(looks).buffered(REQUESTS_IN_FLIGHT_MAX).try_collect().await?;
    for (table, state) in &planned {
        let version = state.as_ref().map_or(0, |state| state.version + 1);
        next.delta.insert(table.clone(), version);
    }
    Ok(Planned(planned))
}

/// A table as it is, if tenure may write it.
async fn look(
    location: &Location,
    manifest: &Manifest,
    table: &str,
) -> Result<(String, Option<State>), Error> {
    let state = log::read(location, &folder(table)).await?;
    if let Some(state) = &state {
        check(location, table, state)?;
        refuse_unknown(location, manifest, table, state)?;
    }
    Ok((table.to_owned(), state))
}

pub(super) fn check(location: &Location, table: &str, state: &State) -> Result<(), Error> {
    let place = location.shown(&folder(table));
    if !state.txns.contains_key(APP_ID) {
        return Err(Error::Delta {
            what: format!("`{table}` would be published over a Delta table of somebody else"),
            place,
            cause: "tenure has never committed to its log".into(),
            help: "move it away, or publish to another target".into(),
        });
    }
    match schema::refusal(&state.protocol, &state.meta_data) {
        Some(unfit) => Err(Error::Delta {
            what: unfit.what,
            place,
            cause: unfit.cause,
            help: unfit.help.into(),
        }),
        None => Ok(()),
    }
}

/// Epochs only grow. A table that has seen a later one than its manifest was
/// made with another, and would take every commit for one of a run that lost
/// its lock.
fn refuse_unknown(
    location: &Location,
    manifest: &Manifest,
    table: &str,
    state: &State,
) -> Result<(), Error> {
    match state.txns.get(APP_ID) {
        Some(txn) if txn.version > epoch(manifest) => Err(Error::Delta {
            what: format!("the Delta table of `{table}` is of another target than its manifest"),
            place: location.shown(&folder(table)),
            cause: format!("it has seen epoch {}, and this is {}", txn.version, manifest.epoch),
            help: "was `_tenure/` deleted or restored? Publish to another target, or delete the folder of this table".into(),
        }),
        _ => Ok(()),
    }
}

/// Hive folders in the place of a Delta table would end its history, and who
/// reads the files beside its log would find rows twice.
async fn refuse_history(location: &Location, table: &str) -> Result<(), Error> {
    let folder = folder(table);
    if log::list(location, &folder).await?.is_empty() {
        return Ok(());
    }
    Err(Error::Delta {
        what: format!("`{table}` is a Delta table here, and the pipeline says `format: parquet`"),
        place: location.shown(&folder),
        cause: "plain Parquet in its place would end its history".into(),
        help: "publish to another target, keep `format: delta`, or delete this table's folder if its history may go".into(),
    })
}

/// What others have written into a Delta table stays when its log is gone, and
/// who reads its folders would find those rows beside ours.
async fn refuse_foreign(location: &Location, table: &str) -> Result<(), Error> {
    let folder = folder(table);
    let files = location.list(&folder).await?.into_iter().map(|(path, _)| path);
    let is_ours = |path: &String| run_of(path).is_some() || view::part_of(path).is_some();
    let foreign: Vec<_> = files.filter(|p| p.ends_with(".parquet") && !is_ours(p)).collect();
    let Some(first) = foreign.first() else { return Ok(()) };
    Err(Error::Delta {
        what: format!("`{table}` was a Delta table that others have written to as well"),
        place: location.shown(first),
        cause: format!("files of theirs, which plain readers would count twice: {}", foreign.len()),
        help: format!(
            "remove them from `{folder}/`; what tenure has published is kept under `_tenure/`"
        ),
    })
}
