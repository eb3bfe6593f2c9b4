//! `tenure check`: compiles pipelines, touches no data; `--fix` writes headers
//! anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;

use super::console::{Console, counted};
use super::project::{self, Opened, Origin};
use crate::error::{Error, Result};
use crate::plan::{self, Purpose, Request};
use crate::problem::Problem;
use crate::run;

/// A header can depend on one that is being written: layers of models, each
/// pass mends one.
const PASSES_MAX: usize = 8;

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
    let compiles: Vec<_> =
        arguments.pipelines.iter().map(|path| tokio::spawn(compile(path.clone()))).collect();
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

async fn compile(path: PathBuf) -> Result<Opened> {
    let opened = project::open(&path)?;
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
    for path in pipelines {
        let base = project::open(path)?.base;
        if done.insert(base) {
            files.extend(fix_project(path).await?);
        }
    }
    for file in files {
        console.print(&format!("rewrote the header of {file}\n"))?;
    }
    Ok(())
}

async fn fix_project(pipeline: &Path) -> Result<BTreeSet<String>> {
    let mut files = BTreeSet::new();
    for _ in 0..PASSES_MAX {
        let opened = project::open(pipeline)?;
        // The binary's own models are sound, and there is no file to write.
        if opened.origin == Origin::Binary {
            break;
        }
        let fixed = plan::fix(&opened.project).await;
        if fixed.is_empty() {
            break;
        }
        for (name, text) in fixed {
            fs::write(opened.base.join(&name), text).map_err(|error| {
                Error::from(Problem::named(&name, "cannot rewrite this header").causes(&error))
            })?;
            files.insert(name);
        }
    }
    Ok(files)
}
