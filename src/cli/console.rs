//! Where text goes: results to standard output, the rest to standard error,
//! never through a progress bar that is being drawn.

use std::io::{ErrorKind, IsTerminal, Write, stderr, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{SecondsFormat, Utc};
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde_json::{Value, json};

use super::LogFormat;
use super::conceal::Concealed;
use crate::error::{Error, Result};
use crate::plan::Variables;
use crate::problem::{Colour, Place, Problem};
use crate::visible::{visible_json, visible_lines};

/// The two streams of the process and how they are written.
#[derive(Debug, Clone)]
pub struct Console {
    format: LogFormat,
    colour: Colour,
    is_terminal: bool,
    bar: ProgressBar,
    /// What is not told of a failure.
    concealed: Arc<Mutex<Concealed>>,
}

/// How someone watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// At a terminal: lines and a bar.
    Terminal,
    /// Through a pipe or a file: lines.
    Pipe,
    /// A program: JSON.
    Program,
}

impl Console {
    /// Looks once at what the streams are.
    pub fn open(format: LogFormat) -> Self {
        let terminal = stderr().is_terminal() && format == LogFormat::Text;
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            format,
            colour: if terminal && !plain { Colour::Always } else { Colour::Never },
            is_terminal: terminal,
            // Drawn once something goes on that has steps: see `draw`.
            bar: ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden()),
            concealed: Arc::default(),
        }
    }

    /// Begins to draw the bar, where somebody watches.
    pub fn draw(&self) {
        if self.is_terminal {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Tells failures from here on without the values of a pipeline's variables.
    pub fn conceal(&self, pipeline: &str, variables: &Variables) {
        self.concealed.lock().unwrap_or_else(PoisonError::into_inner).add(pipeline, variables);
    }

    /// Who reads standard error.
    pub fn audience(&self) -> Audience {
        match self.format {
            LogFormat::Json => Audience::Program,
            LogFormat::Text if self.is_terminal => Audience::Terminal,
            LogFormat::Text => Audience::Pipe,
        }
    }

    /// The bar of this process; hidden where nobody would see it.
    pub fn bar(&self) -> &ProgressBar {
        &self.bar
    }

    /// Writes a result to standard output.
    ///
    /// # Errors
    /// The stream is full; a reader that has seen enough is no error.
    pub fn print(&self, text: &str) -> Result<()> {
        self.bar.suspend(|| written(write_out(&mut Output::open(), text)))
    }

    /// Writes what was done to standard output. It is done, whether somebody reads it
    /// or not: where it cannot be written, that is a warning.
    pub fn tell(&self, text: &str) {
        let mut out = Output::open();
        let told = self.bar.suspend(|| write_out(&mut out, text));
        let why = match told {
            Ok(()) if !out.is_closed() => return,
            Ok(()) => "it is closed".to_owned(),
            Err(error) => error.to_string(),
        };
        self.warning(&format!("standard output could not be written: {why}; all is done"));
    }

    /// Writes a line about the work to standard error.
    pub fn line(&self, text: &str) {
        self.raw_line(&visible_lines(text));
    }

    /// A line in which nothing comes from data as it is.
    fn raw_line(&self, text: &str) {
        // Nobody can be told that standard error is closed.
        self.bar.suspend(|| drop(writeln!(stderr().lock(), "{text}")));
    }

    /// Writes an event as one JSON object.
    pub fn event(&self, name: &str, fields: Value) {
        let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut object = json!({ "time": time, "event": name });
        if let (Value::Object(object), Value::Object(fields)) = (&mut object, fields) {
            object.extend(fields);
        }
        self.raw_line(&visible_json(&object.to_string()));
    }

    /// Says that something is odd, though the work goes on.
    pub fn warning(&self, text: &str) {
        let text = &self.concealed().in_text(text);
        match self.format {
            LogFormat::Json => self.event("warning", json!({ "message": text })),
            LogFormat::Text => self.line(&format!("warning: {text}")),
        }
    }

    /// Says why a command did not do what it was asked.
    pub fn error(&self, error: &Error) {
        self.bar.finish_and_clear();
        let last = match error {
            Error::Invalid(problems) => count(problems),
            Error::Interrupted => Some("interrupted; what was published before is whole".into()),
            _ => None,
        };
        let last = last.map(Problem::new);
        let concealed = self.concealed();
        for (index, problem) in error.problems().iter().chain(&last).enumerate() {
            if index > 0 && self.format == LogFormat::Text {
                self.line("");
            }
            self.problem(&told(problem, &concealed));
        }
    }

    fn concealed(&self) -> Concealed {
        self.concealed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn problem(&self, problem: &Problem) {
        match self.format {
            LogFormat::Json => self.event("error", fields(problem)),
            LogFormat::Text => self.raw_line(&problem.render(self.colour)),
        }
    }
}

/// A problem without the values of variables.
fn told(problem: &Problem, concealed: &Concealed) -> Problem {
    let text = |text: &String| concealed.in_text(text);
    Problem {
        message: text(&problem.message),
        place: match &problem.place {
            Some(Place::Named(name)) => Some(Place::Named(concealed.in_place(name))),
            other => other.clone(),
        },
        notes: problem.notes.iter().map(|(label, note)| (*label, text(note))).collect(),
        help: problem.help.as_ref().map(text),
    }
}

fn write_out(out: &mut Output, text: &str) -> std::io::Result<()> {
    out.write_all(visible_lines(text).as_bytes())?;
    out.flush()
}

/// Standard output. A reader that has seen enough, such as `head`, is no
/// failure: what is written after that goes nowhere.
#[derive(Debug, Clone)]
pub struct Output {
    is_closed: Arc<AtomicBool>,
}

impl Output {
    /// The stream of this process.
    pub fn open() -> Self {
        Self { is_closed: Arc::default() }
    }

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    fn unless_closed<T>(&self, outcome: std::io::Result<T>, sunk: T) -> std::io::Result<T> {
        match outcome {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.is_closed.store(true, Ordering::Relaxed);
                Ok(sunk)
            }
            other => other,
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.is_closed() {
            true => Ok(bytes.len()),
            false => self.unless_closed(stdout().write(bytes), bytes.len()),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self.is_closed() {
            true => Ok(()),
            false => self.unless_closed(stdout().flush(), ()),
        }
    }
}

/// What a failed write to standard output means.
///
/// # Errors
/// The problem to show.
pub fn written(outcome: std::io::Result<()>) -> Result<()> {
    outcome.map_err(|error| Problem::new("cannot write to standard output").causes(&error).into())
}

/// `3 problems in 2 files; nothing was run`, where it is files that are wrong.
fn count(problems: &[Problem]) -> Option<String> {
    let mut files: Vec<&str> = problems.iter().filter_map(file).collect();
    files.sort_unstable();
    files.dedup();
    let problems = counted(problems.len(), "problem");
    match files.len() {
        0 => None,
        files => Some(format!("{problems} in {}; nothing was run", counted(files, "file"))),
    }
}

/// `1 file`, `2 files`
pub fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn file(problem: &Problem) -> Option<&str> {
    match problem.place.as_ref()? {
        Place::Text(at) => Some(&at.source.path),
        Place::Named(_) => None,
    }
}

fn fields(problem: &Problem) -> Value {
    let place = match &problem.place {
        Some(Place::Text(at)) => json!({ "file": at.source.path, "line": at.line() }),
        Some(Place::Named(name)) => json!({ "name": name }),
        None => Value::Null,
    };
    let notes = problem.notes.iter().map(|(label, text)| json!({ "label": label, "text": text }));
    json!({
        "message": problem.message,
        "place": place,
        "notes": notes.collect::<Vec<_>>(),
        "help": problem.help,
    })
}
