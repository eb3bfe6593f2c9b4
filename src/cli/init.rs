//! `tenure init`: a project one can edit, with the standard models in it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;

use super::console::{Console, counted};
use super::standard;
use crate::error::{Error, Result};
use crate::problem::Problem;

/// Where to write.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder of the new project
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Write into a folder that is not empty; files in it stay as they are
    #[arg(long)]
    force: bool,
}

/// Runs the command.
///
/// # Errors
/// A folder that is not empty, or that cannot be written.
pub fn init(arguments: &Arguments, console: &Console) -> Result<()> {
    let folder = &arguments.folder;
    if !arguments.force && !is_empty(folder)? {
        let problem = Problem::named(shown(folder), "this folder is not empty");
        let help = "name another, or add --force: files that are there stay as they are";
        return Err(Error::Invalid(vec![problem.help(help)]));
    }
    let files = files();
    let mut kept = 0;
    for (name, text) in &files {
        match write_new(&folder.join(name), text)? {
            Written::New => {}
            Written::Kept => kept += 1,
        }
    }
    let place = shown(folder);
    let written = counted(files.len() - kept, "file");
    let kept = match kept {
        0 => String::new(),
        kept => format!("; {} kept as they were", counted(kept, "file")),
    };
    console.tell(&format!("{written} written to {place}{kept}\nnext: read {place}/README.md\n"));
    Ok(())
}

/// Everything a project begins with.
fn files() -> Vec<(String, &'static str)> {
    let mut files = standard::files();
    files.extend([
        ("pipelines/quickstart.yaml".into(), standard::QUICKSTART),
        ("README.md".into(), include_str!("init/README.md")),
        ("Makefile".into(), include_str!("init/Makefile")),
        (".gitignore".into(), "/target\n"),
    ]);
    files
}

fn is_empty(folder: &Path) -> Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => {
            let problem = Problem::named(shown(folder), "cannot use this folder");
            Err(Error::Invalid(vec![problem.causes(&error)]))
        }
    }
}

enum Written {
    New,
    Kept,
}

fn write_new(path: &Path, text: &str) -> Result<Written> {
    let failed = |error: &std::io::Error| {
        Error::from(Problem::named(shown(path), "cannot write this file").causes(error))
    };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| failed(&error))?;
    }
    match fs::File::create_new(path) {
        Ok(mut file) => {
            std::io::Write::write_all(&mut file, text.as_bytes())
                .map_err(|error| failed(&error))?;
            Ok(Written::New)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Written::Kept),
        Err(error) => Err(failed(&error)),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
