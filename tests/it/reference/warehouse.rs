//! A pipeline of this repository, run over the shared data into a temporary
//! folder, and the tables it publishes.

use std::collections::BTreeMap;
use std::path::Path;

use super::sheet::Sheet;
use crate::project::Project;

/// Published tables by name.
#[derive(Debug, Default)]
pub struct Tables(BTreeMap<String, Sheet>);

impl Tables {
    /// One of them.
    pub fn get(&self, name: &str) -> &Sheet {
        self.0.get(name).unwrap_or_else(|| panic!("{name} was not read"))
    }
}

/// A pipeline in a project of its own, reading the shared data.
pub struct Pipeline {
    project: Project,
    file: String,
    variable: &'static str,
    data: String,
}

impl Pipeline {
    /// A copy of `pipelines/<name>.yaml`, as it is but for `edit`; its source
    /// is named by the environment variable it leaves open.
    pub fn copy(
        name: &str,
        variable: &'static str,
        data: &Path,
        edit: impl Fn(String) -> String,
    ) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = format!("pipelines/{name}.yaml");
        let text = std::fs::read_to_string(root.join(&file)).expect("a pipeline");
        let project = Project::new();
        project.file(&file, &edit(text));
        Self { project, file, variable, data: data.display().to_string() }
    }

    /// Runs it for one day and reads some of what it publishes.
    pub fn run(&self, as_of: &str, params: &[&str], tables: &[&str]) -> Tables {
        let published: Vec<&str> =
            tables.iter().copied().filter(|name| !name.starts_with("quarantine")).collect();
        let select = published.join(",");
        let mut arguments = vec!["run", &self.file, "--as-of", as_of, "--select", &select];
        for param in params {
            arguments.extend(["--param", param]);
        }
        self.tenure(&arguments);
        let read = tables.iter().map(|name| ((*name).to_string(), self.table(name, as_of)));
        Tables(read.collect())
    }

    fn table(&self, name: &str, as_of: &str) -> Sheet {
        let show = ["show", &self.file, name, "--as-of", as_of, "--format", "csv"];
        Sheet::parse(&self.tenure(&show))
    }

    /// Runs the binary and returns what it prints.
    fn tenure(&self, arguments: &[&str]) -> String {
        let mut command = self.project.command(arguments);
        let output = command.env(self.variable, &self.data).output().expect("the binary starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}\n{errors}");
        String::from_utf8(output.stdout).expect("text")
    }
}

/// Lists more tables in a pipeline's `tables:`.
pub fn publishing(text: &str, tables: &[&str]) -> String {
    let lines: String = tables.iter().map(|name| format!("  - {name}\n")).collect();
    let edited = text.replacen("\ntables:\n", &format!("\ntables:\n{lines}"), 1);
    assert_ne!(edited, text, "the pipeline has a list of tables");
    edited
}
