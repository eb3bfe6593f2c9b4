//! Takes a day back that should not have been published, such as one that was
//! mistyped and is the newest of all since.
//!
//! It is a publication like any other, only of no tables: one write of the
//! manifest after which nobody sees anything of that day. The files stay as
//! long as those of any superseded run do.

use std::collections::{BTreeMap, BTreeSet};

use super::stop::{self, Stop};
use super::target::{
    Claim, Clock, Day, Manifest, OtherTables, Request, RunId, RunInfo, Step, Target, View,
    is_quarantine,
};
use super::{explain, steps};
use crate::error::{Error, Result};
use crate::problem::Problem;

/// Days named in an error; more would bury it.
const DAYS_SHOWN_MAX: usize = 5;

/// What was taken back, or would be.
#[derive(Debug, Clone)]
pub struct Withdrawal {
    /// Full names of the tables; rows set aside go with them and are not named.
    pub tables: BTreeSet<String>,
    /// The newest day that `pipeline` has published besides; None if no other is.
    pub newest: Option<Day>,
    /// Why the folders of the tables still show the day; None if they do not.
    pub behind: Option<String>,
    /// The same, where they were behind before already.
    pub still_behind: Option<Problem>,
}

impl Withdrawal {
    /// What a withdrawal would take back now.
    ///
    /// # Errors
    /// Nothing of the pipeline is published for that day; the target cannot be
    /// read.
    pub async fn of(target: &Target, pipeline: &str, day: Day) -> Result<Self> {
        let manifest = target.manifest().await.map_err(explain)?.unwrap_or_else(Manifest::empty);
        let names = published(&manifest, pipeline, day);
        Self::new(&manifest, pipeline, day, &names, target.location().url())
    }

    fn new(
        manifest: &Manifest,
        pipeline: &str,
        day: Day,
        names: &BTreeSet<String>,
        url: &str,
    ) -> Result<Self> {
        if names.is_empty() {
            return Err(Error::Invalid(vec![nothing(manifest, pipeline, day, url)]));
        }
        let tables = names.iter().filter(|name| !is_quarantine(name)).cloned().collect();
        let newest = days(manifest, pipeline).into_iter().rfind(|other| *other != day);
        Ok(Self { tables, newest, behind: None, still_behind: None })
    }
}

/// Takes back all that `pipeline` has published for `day`; `arguments` are those
/// of the command, for the record.
///
/// # Errors
/// As [`Withdrawal::of`]; another run holds the target; the store's error. Then
/// the day is published as it was.
pub async fn withdraw(
    target: &Target,
    pipeline: &str,
    day: Day,
    arguments: Vec<String>,
    stop: &Stop,
) -> Result<Withdrawal> {
    // Without the lock first: where there is nothing to do, nothing is written.
    stop.unless_asked(Withdrawal::of(target, pipeline, day)).await?;
    let mut claim = stop::claim(target, &RunId::fresh(&Clock::system()), stop).await?;
    let url = target.location().url();
    let done = locked(&mut claim, pipeline, day, arguments, url, stop).await;
    let last = done.as_ref().err().map_or(Step::Finished, stop::last_step);
    if let Some(error) = stop::end(claim, last, stop).await {
        tracing::warn!(%error, "the journal lacks how the withdrawal ended; the manifest knows");
    }
    done
}

async fn locked(
    claim: &mut Claim,
    pipeline: &str,
    day: Day,
    arguments: Vec<String>,
    url: &str,
    stop: &Stop,
) -> Result<Withdrawal> {
    let started = Step::Started {
        pipeline: pipeline.into(),
        as_of: day,
        params: BTreeMap::new(),
        version: crate::VERSION.into(),
        arguments,
        retry_of: None,
        texts: BTreeMap::new(),
    };
    let noted = async { claim.journal().record(started).await.map_err(explain) };
    stop.unless_asked(noted).await?;
    let names = published(claim.manifest(), pipeline, day);
    let mut withdrawal = Withdrawal::new(claim.manifest(), pipeline, day, &names, url)?;
    let request = Request {
        info: RunInfo {
            pipeline: pipeline.into(),
            as_of: day,
            params: BTreeMap::new(),
            sources: BTreeMap::new(),
            tool_version: crate::VERSION.into(),
            texts: None,
            recipes: None,
        },
        tables: Vec::new(),
        others: OtherTables::Drop(names),
        checks: BTreeMap::new(),
        layouts: BTreeMap::new(),
        recipes: None,
    };
    let ready = async { claim.ready(&request).await.map_err(explain) };
    let ready = stop.unless_asked(ready).await?;
    let published = claim.publish(&request, ready).await.map_err(explain)?;
    match published.view {
        View::Current => {}
        View::Behind(error) => withdrawal.behind = Some(error.to_string()),
        View::StillBehind(error) => withdrawal.still_behind = Some(steps::still_behind(&error)),
    }
    Ok(withdrawal)
}

/// Full names of what `pipeline` has published for `day`, rows set aside among
/// them. What another pipeline has published there is not its own to take back.
fn published(manifest: &Manifest, pipeline: &str, day: Day) -> BTreeSet<String> {
    let names = manifest.on(day).filter(|(_, entry)| made_by(manifest, &entry.run_id) == pipeline);
    names.map(|(name, _)| name.to_owned()).collect()
}

fn days(manifest: &Manifest, pipeline: &str) -> BTreeSet<Day> {
    let entries = manifest.entries();
    let own = entries.filter(|(_, _, entry)| made_by(manifest, &entry.run_id) == pipeline);
    own.map(|(_, day, _)| day).collect()
}

fn made_by<'a>(manifest: &'a Manifest, run_id: &RunId) -> &'a str {
    manifest.runs.get(run_id).map_or("", |info| info.pipeline.as_str())
}

fn nothing(manifest: &Manifest, pipeline: &str, day: Day, url: &str) -> Problem {
    let message = format!("pipeline `{pipeline}` has published nothing as of {day}");
    let problem = Problem::named(url, message);
    let others: BTreeSet<&str> =
        manifest.on(day).map(|(_, entry)| made_by(manifest, &entry.run_id)).collect();
    let problem = match others.is_empty() {
        true => problem,
        false => {
            let others: Vec<_> = others.into_iter().map(|name| format!("`{name}`")).collect();
            problem.note("note", format!("that day was published by {}", others.join(", ")))
        }
    };
    let days = days(manifest, pipeline);
    if days.is_empty() {
        return problem.help("is this its target? `tenure runs PIPELINE` lists what ran here");
    }
    let newest: Vec<_> = days.iter().rev().take(DAYS_SHOWN_MAX).map(Day::to_string).collect();
    let more = if days.len() > newest.len() { " and before" } else { "" };
    problem.help(format!("its days are {}{more}", newest.join(", ")))
}
