//! Running a case, and comparing how it ended.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::{ParquetReadOptions, SessionContext};

use super::AS_OF;
use super::outcome::{Outcome, Outcomes, Published};

/// An input of the field and how its run may end.
pub struct Case {
    /// Its name.
    pub name: String,
    /// Where it lies; it is copied before it is run.
    pub folder: PathBuf,
    /// Its pipeline.
    pub pipeline: &'static str,
    /// How it may end.
    pub outcomes: Outcomes,
}

/// A run that has ended.
struct Ended {
    folder: tempfile::TempDir,
    pipeline: &'static str,
    code: i32,
    said: String,
}

/// Runs cases, some at a time. What was wrong, by name.
pub fn in_turn(cases: &[Case], at_once: usize) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = case.check() {
                        let failure = format!("{}: {why}", case.name);
                        failures.lock().expect("no thread panics").push(failure);
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("no thread panics");
    failures.sort();
    failures
}

impl Case {
    fn check(&self) -> Result<(), String> {
        let ended = self.run();
        if ended.said.contains("panicked") || ![0, 1, 2, 3].contains(&ended.code) {
            return Err(format!("exit {}: {}", ended.code, ended.said));
        }
        let mut wrong = Vec::new();
        for outcome in &self.outcomes.any {
            match outcome.holds(&ended) {
                Ok(()) => return Ok(()),
                Err(why) => wrong.push(why),
            }
        }
        Err(format!("{}\n  it said (exit {}): {}", wrong.join("; nor "), ended.code, ended.said))
    }

    fn run(&self) -> Ended {
        let folder = tempfile::tempdir().expect("a temporary folder");
        copy(&self.folder, folder.path());
        let day = self.outcomes.as_of.as_deref().unwrap_or(AS_OF);
        let mut command = tenure(folder.path());
        command.args(["run", self.pipeline, "--as-of", day]).args(&self.outcomes.arguments);
        let output = command.output().expect("the binary starts");
        Ended {
            folder,
            pipeline: self.pipeline,
            code: output.status.code().unwrap_or(-1),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Outcome {
    fn holds(&self, ended: &Ended) -> Result<(), String> {
        match self {
            Self::Stops { stops, never } => {
                if ended.code == 0 {
                    return Err("it must stop".into());
                }
                ended.says(stops, never)
            }
            Self::Publishes(published) => {
                if ended.code != 0 {
                    return Err("it must publish".into());
                }
                ended.says(&published.says, &published.never)?;
                ended.has_published(published)
            }
        }
    }
}

impl Ended {
    fn says(&self, words: &[String], never: &[String]) -> Result<(), String> {
        if let Some(word) = words.iter().find(|word| !self.said.contains(*word)) {
            return Err(format!("it must say `{word}`"));
        }
        match never.iter().find(|word| self.said.contains(*word)) {
            Some(word) => Err(format!("it must not say `{word}`")),
            None => Ok(()),
        }
    }

    fn has_published(&self, published: &Published) -> Result<(), String> {
        if let Some(expected) = &published.set_aside {
            let found = self.set_aside();
            if found != *expected {
                return Err(format!("set aside {found:?}, not {expected:?}"));
            }
        }
        let orders = published.orders.iter().map(|rows| (ORDERS, rows));
        let queries = published.queries.iter().map(|query| (query.sql.as_str(), &query.gives));
        for (query, expected) in orders.chain(queries) {
            let found = self.query(query)?;
            if found != *expected {
                return Err(format!("`{query}` gives {found:?}, not {expected:?}"));
            }
        }
        Ok(())
    }

    /// Rows set aside by reason.
    fn set_aside(&self) -> BTreeMap<String, u64> {
        let show = ["show", self.pipeline, "quarantine.orders", "--format", "csv"];
        let output = tenure(self.folder.path()).args(show).output().expect("the binary starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut counts = BTreeMap::new();
        for line in text.lines().skip(1) {
            let reason = line.split(',').next().unwrap_or_default();
            *counts.entry(reason.to_string()).or_default() += 1;
        }
        counts
    }

    /// The rows of a query over what is published, as any other engine reads it.
    fn query(&self, sql: &str) -> Result<Vec<String>, String> {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let rows = async {
            let context = SessionContext::new();
            for table in self.tables() {
                let name = table.file_name().expect("a name").to_string_lossy().into_owned();
                let path = table.display().to_string();
                context.register_parquet(name, path, ParquetReadOptions::default()).await?;
            }
            context.sql(sql).await?.collect().await
        };
        let batches = runtime.block_on(rows).map_err(|error| format!("`{sql}`: {error}"))?;
        let options = FormatOptions::default().with_null("null");
        let mut rows = Vec::new();
        for batch in batches {
            let columns = batch.columns().iter();
            let columns: Vec<_> = columns
                .map(|column| ArrayFormatter::try_new(column, &options).expect("a formatter"))
                .collect();
            for row in 0..batch.num_rows() {
                let cells = columns.iter().map(|column| column.value(row).to_string());
                rows.push(cells.collect::<Vec<_>>().join(" "));
            }
        }
        Ok(rows)
    }

    /// The folders of published tables.
    fn tables(&self) -> Vec<PathBuf> {
        let published = ["out", "warehouse"].map(|name| self.folder.path().join(name));
        let entries = published.iter().filter_map(|folder| std::fs::read_dir(folder).ok());
        let paths = entries.flatten().map(|entry| entry.expect("an entry").path());
        paths
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                path.is_dir() && !name.starts_with('_')
            })
            .collect()
    }
}

const ORDERS: &str = "select order_id, net from orders order by order_id";

fn tenure(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    command.current_dir(folder).env("NO_COLOR", "1");
    command
}

/// Copies a folder as it is: links stay links, and names need not be UTF-8.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("a type");
        if kind.is_symlink() {
            let link = std::fs::read_link(&path).expect("a link");
            std::os::unix::fs::symlink(link, target).expect("a link");
        } else if kind.is_dir() {
            std::fs::create_dir(&target).expect("a folder");
            copy(&path, &target);
        } else {
            std::fs::write(target, std::fs::read(path).expect("a file")).expect("a copy");
        }
    }
}
