//! From the path of a pipeline to the texts of its project. This is where
//! project files are read; `plan` gets only their text.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::console::Console;
use super::standard;
use crate::error::{Error, Result};
use crate::plan::fingerprint::of_text;
use crate::plan::{self, Plan, Project, Request, Variables};
use crate::problem::{Problem, Source, suggest};
use crate::run;
use crate::run::target::Target;
use crate::storage::process_environment;

/// A pipeline, the project around it, and the environment of the process.
#[derive(Debug)]
pub struct Opened {
    /// The project folder; paths are relative to it.
    pub base: PathBuf,
    /// The pipeline's text.
    pub pipeline: Arc<Source>,
    /// The models and shared parameters.
    pub project: Project,
    /// Whose models they are.
    pub origin: Origin,
    /// What the process was given.
    pub variables: Variables,
}

/// Where the models of a project come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The project's own `sql/` folder.
    Folder,
    /// The binary, because the project has no `sql/` folder.
    Binary,
}

/// Reads a pipeline and its project.
///
/// # Errors
/// A file that is missing or cannot be read.
pub fn open(path: &Path, console: &Console) -> Result<Opened> {
    let absolute = std::path::absolute(path)
        .map_err(|error| invalid(Problem::named(shown(path), "not a path").causes(&error)))?;
    let base = base(&absolute);
    let pipeline = read_pipeline(path, &absolute, &base)?;
    let variables = process_environment();
    console.conceal(&pipeline.text, &variables);
    let (project, origin) = read_project(&base)?;
    Ok(Opened { base, pipeline, project, origin, variables })
}

impl Opened {
    /// Understands the pipeline.
    ///
    /// # Errors
    /// Every problem of the project.
    pub async fn compile(&self, request: &Request) -> Result<Plan> {
        plan::compile(&self.pipeline, &self.project, request, &self.variables)
            .await
            .map_err(Error::Invalid)
    }

    /// Fingerprints of texts that this build found sound before, for it has
    /// published from them. What cannot be looked at is not known.
    pub async fn sound(&self) -> BTreeSet<String> {
        let Ok(target) = self.target() else { return BTreeSet::new() };
        let Ok(Some(manifest)) = target.manifest().await else { return BTreeSet::new() };
        let runs = manifest.runs.into_values();
        let ours = runs.filter(|info| info.tool_version == crate::VERSION);
        ours.filter_map(|info| info.texts).collect()
    }

    /// The pipeline's name.
    ///
    /// # Errors
    /// A pipeline that has none.
    pub fn name(&self) -> Result<String> {
        plan::name(&self.pipeline).map_err(Error::Invalid)
    }

    /// A fingerprint of each text of the project, by path.
    pub fn texts(&self) -> BTreeMap<String, String> {
        let project = self.project.models.iter().chain(&self.project.params);
        let texts = project.chain([&self.pipeline]);
        texts.map(|source| (source.path.clone(), of_text(source))).collect()
    }

    /// How many superseded runs keep their files.
    ///
    /// # Errors
    /// A pipeline that does not say where it publishes.
    pub fn keep_runs(&self) -> Result<u64> {
        let publish = plan::publishing(&self.pipeline, &self.variables).map_err(Error::Invalid)?;
        Ok(publish.keep_runs)
    }

    /// The place the pipeline publishes to, whatever state its models are in:
    /// what is published can be looked at while an analyst edits them.
    ///
    /// # Errors
    /// A pipeline that does not say where it publishes.
    pub fn target(&self) -> Result<Target> {
        let publish = plan::publishing(&self.pipeline, &self.variables).map_err(Error::Invalid)?;
        run::open_target(&publish, &self.base, &self.variables)
    }
}

/// The folder that holds `pipelines/`, else the one the file is in.
fn base(pipeline: &Path) -> PathBuf {
    let folders = pipeline.ancestors().skip(1);
    let holder = folders
        .into_iter()
        .find(|folder| folder.file_name().is_some_and(|name| name == "pipelines"))
        .and_then(Path::parent);
    holder.or(pipeline.parent()).unwrap_or(pipeline).to_path_buf()
}

fn read_pipeline(given: &Path, absolute: &Path, base: &Path) -> Result<Arc<Source>> {
    let relative = relative(absolute, base);
    match fs::read_to_string(absolute) {
        Ok(text) => Ok(Source::new(relative, text)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let problem = Problem::named(shown(given), "there is no such pipeline file");
            Err(invalid(problem.maybe_help(near(given))))
        }
        Err(error) => Err(unreadable(&relative, &error)),
    }
}

/// The pipeline that was probably meant.
fn near(given: &Path) -> Option<String> {
    let folder = given.parent().filter(|folder| !folder.as_os_str().is_empty());
    let entries = fs::read_dir(folder.unwrap_or(Path::new("."))).ok()?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(shown(&given.with_file_name(entry.ok()?.file_name()))))
        .filter(|name| name.ends_with(".yaml") || name.ends_with(".yml"))
        .collect();
    names.sort_unstable();
    suggest(&shown(given), names.iter().map(String::as_str))
}

/// The project's own models, or the binary's where it has none.
fn read_project(base: &Path) -> Result<(Project, Origin)> {
    let folder = base.join("sql");
    if !folder.is_dir() {
        return Ok((standard::project(), Origin::Binary));
    }
    let mut paths = Vec::new();
    walk(&folder, &mut paths).map_err(|error| unreadable("sql", &error))?;
    paths.sort_unstable();
    let mut project = Project { models: Vec::new(), params: None };
    for path in paths {
        let name = relative(&path, base);
        let read = || fs::read_to_string(&path).map_err(|error| unreadable(&name, &error));
        if name == "sql/params.yaml" {
            project.params = Some(Source::new(name.clone(), read()?));
        } else if name.ends_with(".sql") {
            project.models.push(Source::new(name.clone(), read()?));
        }
    }
    Ok((project, Origin::Folder))
}

/// The files below a folder; names that begin with a dot are editors' own.
fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        match fs::metadata(entry.path())?.is_dir() {
            true => walk(&entry.path(), paths)?,
            false => paths.push(entry.path()),
        }
    }
    Ok(())
}

/// The name of a project file, with `/` on every system.
fn relative(path: &Path, base: &Path) -> String {
    let inside = path.strip_prefix(base).unwrap_or(path);
    let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn unreadable(name: &str, error: &std::io::Error) -> Error {
    invalid(Problem::named(name, "cannot read this file of the project").causes(error))
}

fn invalid(problem: Problem) -> Error {
    Error::Invalid(vec![problem])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_folder_holds_the_pipelines() {
        for (pipeline, folder) in [
            ("/shop/pipelines/nightly.yaml", "/shop"),
            ("/shop/pipelines/team/nightly.yaml", "/shop"),
            ("/shop/nightly.yaml", "/shop"),
            ("/pipelines/nightly.yaml", "/"),
        ] {
            assert_eq!(base(Path::new(pipeline)), Path::new(folder), "{pipeline}");
        }
    }

    #[test]
    fn the_binary_carries_the_models_of_this_project() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (project, origin) = read_project(root).expect("reads");
        assert_eq!(origin, Origin::Folder);
        assert_eq!(project.models, standard::project().models);
        assert_eq!(project.params, standard::project().params);
    }
}
