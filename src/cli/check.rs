//! `tenure check`: compiles pipelines, touches no data; `--fix` writes headers
//! anew.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;

use super::console::{Console, counted};
use super::project::{self, Opened, Origin};
use crate::error::{Error, Result};
use crate::plan::{self, Purpose, Request};
use crate::problem::Problem;
use crate::run;

/// What to check.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Pipeline files
    #[arg(value_name = "PIPELINE", required = true)]
    pipelines: Vec<PathBuf>,

    /// Rewrite headers that do not say what their query does
    #[arg(long)]
    fix: bool,
}

/// Runs the command.
///
/// # Errors
/// Every problem of every pipeline, each once.
pub async fn check(arguments: &Arguments, console: &Console) -> Result<()> {
    let begun = Instant::now();
    if arguments.fix {
        fix(&arguments.pipelines, console).await?;
    }
    let mut problems: Vec<Problem> = Vec::new();
    let mut models = BTreeSet::new();
    // All cores: each pipeline type-checks the whole project.
    let compiles: Vec<_> = arguments
        .pipelines
        .iter()
        .map(|path| tokio::spawn(compile(path.clone(), console.clone())))
        .collect();
    for compiled in compiles {
        let compiled = compiled
            .await
            .map_err(|error| Error::from(Problem::new("the check broke off").causes(&error)))?;
        match compiled {
            Ok(opened) => models.extend(names(&opened)),
            // Pipelines share models, and so the problems of these.
            Err(error) => {
                for problem in error.problems() {
                    if !problems.contains(problem) {
                        problems.push(problem.clone());
                    }
                }
            }
        }
    }
    if !problems.is_empty() {
        return Err(Error::Invalid(problems));
    }
    console.print(&format!(
        "{}, {}: all sound ({:.2} s)\n",
        counted(arguments.pipelines.len(), "pipeline"),
        counted(models.len(), "model"),
        begun.elapsed().as_secs_f64(),
    ))
}

async fn compile(path: PathBuf, console: Console) -> Result<Opened> {
    let opened = project::open(&path, &console)?;
    let request = Request { purpose: Purpose::Check, ..Request::default() };
    let plan = opened.compile(&request).await?;
    run::check_places(&plan)?;
    Ok(opened)
}

fn names(opened: &Opened) -> Vec<(PathBuf, String)> {
    let models = opened.project.models.iter();
    models.map(|model| (opened.base.clone(), model.path.clone())).collect()
}

/// Rewrites the headers of every project the pipelines belong to.
async fn fix(pipelines: &[PathBuf], console: &Console) -> Result<()> {
    let mut done = BTreeSet::new();
    let mut files = BTreeSet::new();
    let mut problems = Vec::new();
    for path in pipelines {
        let opened = project::open(path, console)?;
        // The binary's own models are sound, and there is no file to write.
        if opened.origin == Origin::Binary || !done.insert(opened.base.clone()) {
            continue;
        }
        let (texts, found) = plan::fix(&opened.project).await;
        problems.extend(found);
        for (name, text) in texts {
            let was = opened.project.models.iter().find(|source| source.path == name);
            let was = was.map_or("", |source| source.text.as_str());
            replace(&opened.base.join(&name), was, &text).map_err(|error| {
                Error::from(Problem::named(&name, "cannot rewrite this header").causes(&error))
            })?;
            files.insert(name);
        }
    }
    for file in files {
        console.tell(&format!("rewrote the header of {file}\n"));
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
}

/// A file is whole at every moment: a disk that is full must not cost a query.
fn replace(path: &Path, was: &str, text: &str) -> io::Result<()> {
    // Where the path is a link, the file it leads to.
    let path = fs::canonicalize(path)?;
    // What may not be written may not be replaced either.
    let permissions = fs::OpenOptions::new().write(true).open(&path)?.metadata()?.permissions();
    let folder = path.parent().unwrap_or(&path);
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.as_file().set_permissions(permissions)?;
    new.as_file().sync_all()?;
    if fs::read_to_string(&path)? != was {
        return Err(io::Error::other("somebody has changed it meanwhile; run this again"));
    }
    new.persist(&path)?;
    Ok(())
}
