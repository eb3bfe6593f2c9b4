//! A project in a temporary folder: files in, tables out.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::csv::ReaderBuilder;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use serde_json::Value;
use tempfile::TempDir;

/// A project that publishes into its own folder.
pub struct Project {
    dir: TempDir,
}

/// Starts a command that says what it does as JSON, and kills it hard as soon
/// as it has said `event` so many times. Tells what it said until then.
pub fn killed_at(command: Command, event: &str, times: usize) -> Vec<Value> {
    let mut halted = halted_at(command, event, times);
    // SIGKILL: nothing of it gets a chance to clean up.
    halted.process.kill().expect("it runs");
    halted.process.wait().expect("a status");
    halted.events
}

/// Starts a command as [`killed_at`] does, and stops it there for a while.
pub fn halted_at(mut command: Command, event: &str, times: usize) -> Halted {
    command.args(["--log", "json"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = command.spawn().expect("the binary starts");
    let mut said = BufReader::new(process.stderr.take().expect("a pipe"));
    let mut events = Vec::new();
    let mut left = times;
    let mut line = String::new();
    while left > 0 && said.read_line(&mut line).expect("a line") > 0 {
        let value: Value = serde_json::from_str(&line).expect("JSON");
        left -= usize::from(value["event"] == event);
        events.push(value);
        line.clear();
    }
    assert_eq!(left, 0, "it ended before: {events:?}");
    signal(&process, "STOP");
    Halted { process, said, events }
}

/// A command that has been stopped while it worked.
pub struct Halted {
    process: Child,
    said: BufReader<ChildStderr>,
    /// What it has said so far.
    pub events: Vec<Value>,
}

impl Halted {
    /// Sends it a signal, which it meets when it goes on.
    pub fn signal(&self, name: &str) {
        signal(&self.process, name);
    }

    /// Ends it where it is.
    pub fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("a status");
    }

    /// Lets it go on to its end. Its exit code, and what it says from here on.
    pub fn go_on(mut self) -> (Option<i32>, String) {
        signal(&self.process, "CONT");
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).expect("text");
        (self.process.wait().expect("a status").code(), rest)
    }
}

/// Sends a signal to a process.
pub fn signal(process: &Child, name: &str) {
    let kill = format!("kill -{name} {}", process.id());
    let status = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
    assert!(status.success(), "{kill}");
}

/// The run that said these events.
pub fn run_id(events: &[Value]) -> String {
    let started = events.iter().rfind(|event| event["event"] == "started").expect("a start");
    started["run_id"].as_str().expect("an id").to_string()
}

/// What the binary said.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code.
    pub code: i32,
    /// Results.
    pub stdout: String,
    /// Progress and errors.
    pub stderr: String,
}

impl Project {
    /// An empty project: it uses the models the binary carries.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir_all(dir.path().join("pipelines")).expect("a folder");
        Self { dir }
    }

    /// A project with a copy of the standard models, to be edited.
    pub fn with_models() -> Self {
        let project = Self::new();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("sql"), &project.path("sql"));
        project
    }

    /// A path below the project.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// Writes a file.
    pub fn file(&self, relative: &str, text: &str) -> &Self {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
        self
    }

    /// Writes `pipelines/p.yaml`: orders from `orders/`, the given tables, and
    /// whatever more a test needs (whole blocks of YAML).
    pub fn pipeline(&self, tables: &str, more: &str) -> &Self {
        self.file(
            "pipelines/p.yaml",
            &format!(
                "pipeline: p\nsources:\n  orders:\n    url: orders\ntables: [{tables}]\n\
                 publish:\n  url: out\n{more}"
            ),
        )
    }

    /// Writes orders as Parquet. `rows` is CSV with a header; the columns
    /// `order_id`, `customer_id` are bigint where all digits, `ordered_at` a
    /// timestamp, `amount`, `discount` and `cost` decimals, the rest text.
    pub fn orders(&self, file: &str, rows: &str) -> &Self {
        let text: String = rows.trim().lines().map(|line| format!("{}\n", line.trim())).collect();
        parquet(&self.path(file), &typed(&text));
        self
    }

    /// Runs the binary in the project folder.
    pub fn tenure(&self, arguments: &[&str]) -> Outcome {
        let output = self.command(arguments).output().expect("the binary starts");
        Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: self.filtered(&String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// The binary, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
        command.args(arguments).current_dir(self.dir.path()).env("NO_COLOR", "1");
        command
    }

    /// `tenure run pipelines/p.yaml --as-of DAY`, which must succeed.
    pub fn run(&self, as_of: &str) -> Outcome {
        self.run_with(as_of, &[])
    }

    /// The same with more arguments.
    pub fn run_with(&self, as_of: &str, more: &[&str]) -> Outcome {
        let outcome = self.tenure(&[&["run", "pipelines/p.yaml", "--as-of", as_of], more].concat());
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        outcome
    }

    /// A published table as CSV with a header.
    pub fn table(&self, name: &str) -> String {
        let outcome = self.tenure(&["show", "pipelines/p.yaml", name, "--format", "csv"]);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        outcome.stdout
    }

    /// Some columns of a published table, a row a line, separated by blanks.
    pub fn rows(&self, name: &str, columns: &[&str]) -> Vec<String> {
        let text = self.table(name);
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
        let places: Vec<usize> = columns
            .iter()
            .map(|column| {
                let place = header.iter().position(|known| known == column);
                place.unwrap_or_else(|| panic!("{name} has no column {column}: {header:?}"))
            })
            .collect();
        lines
            .map(|line| {
                let cells: Vec<&str> = line.split(',').collect();
                let cells = places.iter().map(|place| match cells[*place] {
                    "" => "null",
                    cell => cell,
                });
                cells.collect::<Vec<_>>().join(" ")
            })
            .collect()
    }

    /// Every published data file and its bytes, by path.
    pub fn published(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        let pattern = self.path("out/*/as_of=*/*.parquet");
        for path in glob::glob(&pattern.to_string_lossy()).expect("a pattern") {
            let path = path.expect("a path");
            let name = path.strip_prefix(self.path("out")).expect("below").display().to_string();
            files.push((name, std::fs::read(&path).expect("a file")));
        }
        files.sort();
        files
    }

    /// What differs from run to run, made the same.
    fn filtered(&self, text: &str) -> String {
        let folder = self.dir.path().canonicalize().expect("a folder");
        text.replace(&*folder.to_string_lossy(), "[TMP]")
            .replace(&*self.dir.path().to_string_lossy(), "[TMP]")
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).expect("a copy")),
        }
    }
}

/// CSV text as a batch with the types an order history has.
pub fn typed(text: &str) -> RecordBatch {
    let header = text.lines().next().expect("a header");
    let names: Vec<&str> = header.split(',').collect();
    let fields: Vec<Field> =
        names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let reader = ReaderBuilder::new(Arc::clone(&schema)).with_header(true);
    let reader = reader.build(std::io::Cursor::new(text)).expect("csv");
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.expect("csv")).collect();
    let batch = concat_batches(&schema, &batches).expect("one batch");
    let columns: Vec<ArrayRef> = names
        .iter()
        .zip(batch.columns())
        .map(|(name, column)| cast(column, &type_of(name, column)).expect("a value of its type"))
        .collect();
    let fields: Vec<Field> = names
        .iter()
        .zip(&columns)
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch")
}

/// The same under names of the file's own: `kinds` are the columns whose types they have.
pub fn typed_as(text: &str, kinds: &[&str]) -> RecordBatch {
    let (head, rows) = text.split_once('\n').expect("a header");
    let batch = typed(&format!("{}\n{rows}\n", kinds.join(",")));
    let schema = batch.schema();
    let fields = head.split(',').zip(schema.fields());
    let fields = fields.map(|(name, field)| field.as_ref().clone().with_name(name));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(schema, batch.columns().to_vec()).expect("a batch")
}

fn type_of(name: &str, column: &ArrayRef) -> DataType {
    use arrow::array::{Array, AsArray};
    let text = column.as_string::<i32>();
    let digits = |value: &str| !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    match name {
        "order_id" | "customer_id" | "source_id" | "refund_of" => {
            let all = (0..text.len()).all(|row| text.is_null(row) || digits(text.value(row)));
            if all { DataType::Int64 } else { DataType::Utf8 }
        }
        "ordered_at" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "acquired_at" => DataType::Date32,
        "amount" | "discount" | "cost" | "acquisition_cost" => DataType::Decimal128(18, 2),
        _ => DataType::Utf8,
    }
}

/// Writes a batch as a Parquet file.
pub fn parquet(path: &Path, batch: &RecordBatch) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    let file = std::fs::File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(batch).expect("rows");
    writer.close().expect("a footer");
}
