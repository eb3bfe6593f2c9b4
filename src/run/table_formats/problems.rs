//! What can be wrong with a Delta table, in the user's terms.

use delta_kernel::KernelError;
use object_store::ObjectMeta;

use super::recognise::{DELTA_LOG, Format, around, tables};
use super::refuse::{above_as_written, below_as_written};
use crate::plan::SourcePlan;
use crate::problem::Problem;
use crate::storage::{Action, Location};

/// Folders named in a message.
const SHOWN_MAX: usize = 5;

/// That `format: delta` names a folder that is no Delta table.
pub async fn no_table(
    plan: &SourcePlan,
    location: &Location,
    listed: &[(String, ObjectMeta)],
) -> Problem {
    let written = plan.url.trim_end_matches('/');
    let message = format!("source `{}` is no Delta table", plan.kind.name);
    let problem = Problem::named(plan.url.clone(), message);
    if let Some((up, sign)) = around(location.store(), location.prefix()).await
        && sign.format == Format::Delta
    {
        let root = above_as_written(written, location, up);
        return problem.note("note", format!("it is a folder of the Delta table `{root}`")).help(
            format!("say `url: {root}`; rows of other partitions are set aside by `reject:`"),
        );
    }
    let below = tables(listed.iter().map(|(path, _)| path.as_str()));
    let mut below = below.iter().filter(|(_, sign)| sign.format == Format::Delta);
    if let Some((first, _)) = below.next() {
        let first = below_as_written(written, first);
        let others = below.take(SHOWN_MAX).map(|(root, _)| below_as_written(written, root));
        let others: Vec<String> = others.map(|root| format!(", `{root}`")).collect();
        return problem
            .note("note", format!("there are tables below it: `{first}`{}", others.concat()))
            .help(format!("say `url: {first}`: a source reads one table"));
    }
    let found = match listed.first() {
        None => format!("nothing is there ({})", location.url()),
        Some((name, _)) => {
            format!("it has no `{DELTA_LOG}` folder; {} files listed, first `{name}`", listed.len())
        }
    };
    problem.note("note", found).help("is the path right? Loose files are `format: parquet`")
}

/// That a table has the version that is asked for, as far as the names in its log tell.
///
/// # Errors
/// It does not.
pub fn has_version(
    plan: &SourcePlan,
    location: &Location,
    listed: &[(String, ObjectMeta)],
    wanted: Option<u64>,
) -> Result<(), Problem> {
    let Some(wanted) = wanted else { return Ok(()) };
    let log = format!("{DELTA_LOG}/");
    let version = |name: &str| {
        let name = name.strip_prefix(&log)?;
        let (digits, rest) = name.split_once('.')?;
        let is_commit = matches!(rest, "json") || rest.starts_with("checkpoint.");
        is_commit.then(|| digits.parse::<u64>().ok()).flatten()
    };
    let newest = listed.iter().filter_map(|(name, _)| version(name)).max();
    match newest {
        Some(newest) if wanted > newest => {
            let message =
                format!("the Delta table of source `{}` has no version {wanted}", plan.kind.name);
            Err(Problem::named(location.url(), message)
                .note("note", format!("its newest is {newest}"))
                .help(format!("say `version: {newest}`, or leave `version` out for the newest")))
        }
        _ => Ok(()),
    }
}

/// That the log of a table cannot be read.
pub fn log(plan: &SourcePlan, location: &Location, error: &KernelError) -> Problem {
    let source = plan.kind.name;
    let place = location.url();
    match error {
        KernelError::Unsupported(what) => {
            let message = format!("the Delta table of source `{source}` cannot be read by tenure");
            Problem::named(place, message)
                .note("cause", what.trim_start_matches("Unsupported: "))
                .help(
                    "write a copy without it: drop the feature from the table (`alter table … drop \
                     feature …`), or write its rows to Parquet files with the engine that made it \
                     and name those",
                )
        }
        KernelError::ObjectStore(error) => {
            let error = location.explain(Action::Read, DELTA_LOG, error);
            let mut problem = crate::run::explained(error.explained());
            let what = std::mem::replace(
                &mut problem.message,
                format!("the log of the Delta table of source `{source}` cannot be read"),
            );
            problem.notes.insert(0, ("cause", what));
            problem
        }
        error => {
            let message = format!("the log of the Delta table of source `{source}` cannot be read");
            let text = error.to_string();
            let mut problem = Problem::named(place, message).note(
                "cause",
                text.lines().next().unwrap_or_default().replace(super::kernel::TABLE, ""),
            );
            if let crate::plan::FileFormat::Delta(Some(version)) = plan.format {
                problem = problem.note("note", format!("version {version} is asked for"));
            }
            problem.help(
                "old versions lose their log in time: does another engine read this version? A \
                 newer one is read by another `version:`, or by none",
            )
        }
    }
}

/// That a file which counts is not there.
pub fn gone(
    plan: &SourcePlan,
    location: &Location,
    relative: &str,
    version: u64,
    wanted: Option<u64>,
) -> Problem {
    let message = format!("a file of the Delta table of source `{}` is not there", plan.kind.name);
    let help = match wanted {
        Some(_) => "`vacuum` removes the files of old versions: name a newer `version:`, or none",
        None => {
            "restore the file, or the table to what is there (Spark: `fsck repair table`), or run \
             again if the table is being written"
        }
    };
    Problem::named(location.shown(relative), message)
        .note("note", format!("it counts at version {version}"))
        .help(help)
}

/// That a file which counts is outside of the folder of the table.
pub fn elsewhere(plan: &SourcePlan, location: &Location, path: &str) -> Problem {
    let message =
        format!("the Delta table of source `{}` has files outside of its folder", plan.kind.name);
    Problem::named(location.url(), message).note("found", path).help(
        "it is a shallow clone of another table: name that table, or make a copy that has its own \
         files (a deep clone)",
    )
}

/// That the deletion vector of a file cannot be used.
pub fn vector(file: String, cause: &str) -> Problem {
    Problem::named(file, "which rows are deleted from the file cannot be read")
        .note("cause", cause.replace(super::kernel::TABLE, ""))
        .help(
            "have the engine that wrote the table write its files anew (`optimize`, or `reorg table \
             … apply (purge)`)",
        )
}
