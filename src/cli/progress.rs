//! A run as it goes on: lines and a bar for people, objects for programs.

use std::time::Duration;

use indicatif::ProgressStyle;
use serde_json::json;

use super::console::{Audience, Console, counted};
use crate::plan::{Role, TableFormat};
use crate::report::units;
use crate::run::target::{Merged, SourceRead, is_quarantine};
use crate::run::{Event, Evidence, Observer, Outcome, Report, TableReport};

/// How often the spinner turns: often enough to look alive.
const TICK: Duration = Duration::from_millis(120);

/// Someone who watches in the way this process is watched.
pub fn observer(console: &Console) -> Box<dyn Observer> {
    match console.audience() {
        Audience::Terminal => Box::new(Terminal(console.clone())),
        Audience::Pipe => Box::new(Lines(console.clone())),
        Audience::Program => Box::new(Objects(console.clone())),
    }
}

/// Says what a run has done.
pub fn finish(console: &Console, report: &Report) {
    console.bar().finish_and_clear();
    if console.audience() == Audience::Program {
        console.event("finished", finished(report));
        return;
    }
    console.tell(&format!("{}\n", summed_up(report)));
}

/// `5 tables as of 2026-11-20 published to s3://… in 0.8 s (13 checks passed, …)`
fn summed_up(report: &Report) -> String {
    let took = units::seconds(report.elapsed);
    let (as_of, url, run) = (report.as_of, &report.url, &report.run_id);
    let tables = |count: usize| counted(count, "table");
    let count = Count::of(report);
    let format = match report.format {
        TableFormat::Parquet => "plain Parquet",
        TableFormat::Delta => "Delta tables",
    };
    let checks = counted(report.checks, "check");
    let reused = tables(count.reused);
    if report.outcome == Outcome::NothingToDo {
        return format!("nothing to do: {reused} as of {as_of} stand in {url} ({took}, run {run})");
    }
    if count.taken + count.built == 0 {
        return match count.turned_over {
            0 => format!(
                "no table built: {reused} as of {as_of} stand in {url} ({checks} passed, {took}, \
                 run {run})"
            ),
            turned => format!(
                "{} in {url} turned over to {format}, all days, in {took} (none built, {checks} \
                 passed, run {run})",
                tables(turned)
            ),
        };
    }
    let taken = match (count.taken, count.built) {
        (0, _) => String::new(),
        (taken, 0) => format!("all {taken} staged before, "),
        (taken, built) => format!("{taken} staged before, {built} built, "),
    };
    let reused = match count.reused {
        0 => String::new(),
        reused => format!("{reused} reused, "),
    };
    let turned = match count.turned_over {
        0 => String::new(),
        turned => format!("{turned} turned over to {format}, "),
    };
    format!(
        "{} as of {as_of} published to {url} in {took} ({taken}{reused}{turned}{checks} passed, \
         run {run})",
        tables(count.taken + count.built),
    )
}

/// Tables by what became of them; what was set aside is told with its source.
struct Count {
    taken: usize,
    built: usize,
    reused: usize,
    turned_over: usize,
}

impl Count {
    fn of(report: &Report) -> Self {
        let is_table =
            |table: &&TableReport| table.role == Role::Published && !is_quarantine(&table.name);
        let tables = report.tables.iter().filter(is_table);
        let (taken, built): (Vec<_>, Vec<_>) = tables.partition(|table| table.staged_by.is_some());
        let named = |names: &[String]| names.iter().filter(|name| !is_quarantine(name)).count();
        Self {
            taken: taken.len(),
            built: built.len(),
            reused: named(&report.reused),
            turned_over: named(&report.turned_over),
        }
    }
}

fn finished(report: &Report) -> serde_json::Value {
    let count = Count::of(report);
    json!({
        "run_id": report.run_id,
        "as_of": report.as_of.to_string(),
        "url": report.url,
        "published": report.outcome == Outcome::Published,
        "tables": count.taken + count.built,
        "staged_before": count.taken,
        "reused": count.reused,
        "turned_over": count.turned_over,
        "checks": report.checks,
        "rows_read": report.sources.iter().map(|source| source.read).sum::<u64>(),
        "rows_accepted": report.sources.iter().map(|source| source.accepted).sum::<u64>(),
        "seconds": report.elapsed.as_secs_f64(),
    })
}

/// A bar with the current step, and lines above it.
struct Terminal(Console);

impl Observer for Terminal {
    fn event(&self, event: &Event) {
        let bar = self.0.bar();
        match event {
            // Where all stands there is nothing to draw.
            Event::Started { steps: 0, .. } => {}
            Event::Started { steps, .. } => {
                bar.reset();
                bar.set_length(*steps as u64);
                bar.set_style(style());
                self.0.draw();
                bar.enable_steady_tick(TICK);
            }
            // The bar counts steps as they begin: not every end is an event.
            Event::Working { name } => {
                bar.inc(1);
                bar.set_message(name.clone());
            }
            Event::Source(..)
            | Event::Table(_)
            | Event::Check { .. }
            | Event::Warning(_)
            | Event::Evidence(_)
            | Event::Published { .. } => {}
        }
        Lines(self.0.clone()).event(event);
    }
}

fn style() -> ProgressStyle {
    // The template is a constant, so the fallback is never seen.
    ProgressStyle::with_template("{spinner} {bar:24} {pos}/{len} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸ ")
}

/// A line for everything a reader of a log wants to find in it.
struct Lines(Console);

impl Observer for Lines {
    fn event(&self, event: &Event) {
        match event {
            Event::Source(read, elapsed) => self.0.line(&source(read, *elapsed)),
            Event::Table(report) if report.role == Role::Published => self.0.line(&table(report)),
            Event::Warning(text) => self.0.warning(text),
            Event::Evidence(evidence) => self.0.warning(&evidence.message),
            // Steps and checks that pass are no news; a plan lists them.
            Event::Table(_)
            | Event::Started { .. }
            | Event::Working { .. }
            | Event::Check { .. }
            | Event::Published { .. } => {}
        }
    }
}

/// `metrics.cohort_retention   1 326 rows   41 KiB   0.8 s`
fn table(report: &TableReport) -> String {
    let took = match &report.staged_by {
        Some(run) => format!("staged by run {run}"),
        None => units::seconds(report.elapsed),
    };
    columns(&report.name, report.rows, report.bytes, &took)
}

fn columns(name: &str, rows: u64, bytes: u64, took: &str) -> String {
    let (rows, bytes) = (units::grouped(rows), units::bytes(bytes));
    format!("{name:<40} {rows:>13} rows {bytes:>11} {took:>8}")
}

/// `1 id`, `2 000 ids`
fn grouped(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", units::grouped(number))
}

fn source(read: &SourceRead, elapsed: Duration) -> String {
    let name = format!("sources.{}", read.source);
    let line = columns(&name, read.read, read.bytes, &units::seconds(elapsed));
    let mut line = match read.table_version {
        Some(version) => format!("{line}  version {version}"),
        None => line,
    };
    if let Some(merged) = read.merged.filter(|merged| merged.ids > 0) {
        let Merged { ids, customers, .. } = merged;
        let (ids, customers) = (grouped(ids, "id"), grouped(customers, "customer"));
        line += &format!("\n  {ids} merged into {customers}");
    }
    let aside: Vec<String> = read
        .rejected
        .iter()
        .filter(|(_, rows)| **rows > 0)
        .map(|(reason, rows)| format!("{reason} {}", units::grouped(*rows)))
        .collect();
    if aside.is_empty() {
        return line;
    }
    let total = units::grouped(read.rejected.values().sum());
    format!("{line}\n  {total} set aside in quarantine.{}: {}", read.source, aside.join(", "))
}

/// Every event as a JSON object.
struct Objects(Console);

impl Observer for Objects {
    fn event(&self, event: &Event) {
        let (name, fields) = match event {
            Event::Started { run_id, as_of, url, steps } => {
                let as_of = as_of.to_string();
                ("started", json!({ "run_id": run_id, "as_of": as_of, "url": url, "steps": steps }))
            }
            Event::Working { name } => ("working", json!({ "name": name })),
            Event::Source(read, elapsed) => ("source", source_fields(read, *elapsed)),
            Event::Table(report) => ("table", table_fields(report)),
            Event::Check { name } => ("check", json!({ "name": name })),
            Event::Warning(text) => ("warning", json!({ "message": text })),
            Event::Evidence(evidence) => ("warning", evidence_fields(evidence)),
            Event::Published { run_id, url } => {
                ("published", json!({ "run_id": run_id, "url": url }))
            }
        };
        self.0.event(name, fields);
    }
}

fn source_fields(read: &SourceRead, elapsed: Duration) -> serde_json::Value {
    json!({
        "source": read.source,
        "url": read.url,
        "files": read.files.len(),
        "table_version": read.table_version,
        "bytes": read.bytes,
        "read": read.read,
        "accepted": read.accepted,
        "rejected": read.rejected,
        "merged": read.merged,
        "seconds": elapsed.as_secs_f64(),
    })
}

fn evidence_fields(evidence: &Evidence) -> serde_json::Value {
    let mut fields = evidence.fields.clone();
    fields.insert("code".into(), evidence.code.into());
    fields.insert("message".into(), evidence.message.as_str().into());
    fields.into()
}

fn table_fields(report: &TableReport) -> serde_json::Value {
    json!({
        "table": report.name,
        "role": match report.role {
            Role::Published => "published",
            Role::Step => "step",
        },
        "rows": report.rows,
        "bytes": report.bytes,
        "staged_by": report.staged_by,
        "seconds": report.elapsed.as_secs_f64(),
    })
}
