//! The standard models, shipped inside the binary: what a project without a
//! `sql/` folder uses, and what `tenure init` writes.

use include_dir::{Dir, DirEntry, include_dir};

use crate::plan::Project;
use crate::problem::Source;

static SQL: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/sql");

/// The pipeline a new project begins with.
pub const QUICKSTART: &str = include_str!("../../pipelines/quickstart.yaml");

/// Every file of `sql/`, by path relative to the project folder, sorted.
pub fn files() -> Vec<(String, &'static str)> {
    let mut files = Vec::new();
    collect(&SQL, &mut files);
    files.sort_unstable();
    files
}

/// The standard models as a project.
pub fn project() -> Project {
    let mut project = Project { models: Vec::new(), params: None };
    for (path, text) in files() {
        if path == "sql/params.yaml" {
            project.params = Some(Source::new(path, text));
        } else if path.ends_with(".sql") {
            project.models.push(Source::new(path, text));
        }
    }
    project
}

fn collect(folder: &'static Dir<'static>, files: &mut Vec<(String, &'static str)>) {
    for entry in folder.entries() {
        match entry {
            DirEntry::Dir(inner) => collect(inner, files),
            DirEntry::File(file) => {
                if let (Some(path), Some(text)) = (file.path().to_str(), file.contents_utf8()) {
                    files.push((format!("sql/{}", path.replace('\\', "/")), text));
                }
            }
        }
    }
}
