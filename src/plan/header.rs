//! The comment a model begins with: what it is, its grain, what it reads, its
//! parameters, and every column with type and meaning.
//!
//! ```sql
//! -- metrics.cohort_retention: how many of a cohort order again later?
//! --
//! -- grain   cohort_start, period_index
//! -- reads   facts.customer_periods
//! -- uses    sources.customers
//! -- params  cohort_grain
//! --
//! -- cohort_start   date    first day of the cohort's period
//! -- period_index   bigint  0 is the cohort's own period
//! --                        and comments may go on below
//! --
//! -- Free notes.
//! ```

use std::ops::Range;
use std::sync::Arc;

use super::spec::Spanned;
use super::types::ColumnType;
use crate::problem::{Problem, Source};

/// A header as understood.
#[derive(Debug, Clone, Default)]
pub struct Header {
    /// The name it gives itself.
    pub name: Option<Spanned<String>>,
    /// The sentence after the name.
    pub title: String,
    /// The columns that name a row; the table is sorted by them.
    pub grain: Vec<Spanned<String>>,
    /// Tables that must exist.
    pub reads: Vec<Spanned<String>>,
    /// Tables that may be absent.
    pub uses: Vec<Spanned<String>>,
    /// Parameters.
    pub params: Vec<Spanned<String>>,
    /// How a rule file can be checked.
    pub rule: Option<Spanned<String>>,
    /// Every column in order.
    pub columns: Vec<Column>,
    /// Free text after the columns.
    pub notes: String,
    /// The bytes from the first to the last line of the comment.
    pub range: Range<usize>,
    /// The bytes of the lines that declare, for `check --fix`.
    pub declarations: Range<usize>,
}

/// A column as its header describes it.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: Spanned<String>,
    /// Its type.
    pub kind: ColumnType,
    /// What it means.
    pub comment: String,
}

/// Reads the header of a file.
///
/// What could be read is returned beside the problems.
pub fn read(source: &Arc<Source>) -> (Header, Vec<Problem>) {
    let mut reader = Reader { source, header: Header::default(), problems: Vec::new() };
    let mut section = Section::Title;
    for line in comment_lines(&source.text) {
        section = reader.line(section, line);
    }
    (reader.header, reader.problems)
}

/// The parts of a header, separated by empty comment lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Title,
    Declarations,
    Columns,
    Notes,
}

/// A comment line: its text without `--`, and where that text is.
#[derive(Clone)]
struct Line<'a> {
    text: &'a str,
    range: Range<usize>,
}

fn comment_lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut offset = 0;
    text.split_inclusive('\n').map_while(move |full| {
        let start = offset;
        offset += full.len();
        let content = full.trim_end();
        let body = content.strip_prefix("--")?;
        let skip = 2 + usize::from(body.starts_with(' '));
        let body = body.strip_prefix(' ').unwrap_or(body);
        Some(Line { text: body, range: start + skip..start + content.len().max(skip) })
    })
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    header: Header,
    problems: Vec<Problem>,
}

const DECLARATIONS: [&str; 5] = ["grain", "reads", "uses", "params", "rule"];

impl Reader<'_> {
    fn line(&mut self, section: Section, line: Line<'_>) -> Section {
        self.header.range.end = line.range.end;
        let empty = line.text.trim().is_empty();
        match section {
            Section::Title if empty => Section::Declarations,
            Section::Title => {
                self.title(&line);
                Section::Title
            }
            Section::Declarations if empty && self.header.grain.is_empty() && !self.declared() => {
                Section::Declarations
            }
            Section::Declarations if empty => Section::Columns,
            Section::Declarations if self.is_declaration(&line) => {
                self.declaration(&line);
                Section::Declarations
            }
            // A check may have notes straight after its title.
            Section::Declarations => self.line(Section::Columns, line),
            Section::Columns if empty && self.header.columns.is_empty() => Section::Columns,
            Section::Columns if empty => Section::Notes,
            Section::Columns => self.column(line),
            Section::Notes => {
                self.note(&line);
                Section::Notes
            }
        }
    }

    fn declared(&self) -> bool {
        !self.header.reads.is_empty() || !self.header.params.is_empty()
    }

    fn title(&mut self, line: &Line<'_>) {
        if self.header.name.is_some() {
            self.header.title = format!("{} {}", self.header.title, line.text.trim());
            return;
        }
        let Some((name, title)) = line.text.split_once(':') else {
            let at = self.source.at(line.range.clone());
            let message = "a model begins with `-- schema.name: what it says`";
            self.problems.push(Problem::at(&at, message));
            return;
        };
        let range = line.range.start..line.range.start + name.len();
        self.header.name = Some(Spanned { value: name.trim().into(), at: self.source.at(range) });
        self.header.title = title.trim().into();
    }

    fn is_declaration(&self, line: &Line<'_>) -> bool {
        // A continued list is indented past the keyword.
        line.text.starts_with("        ")
            || line.text.split_whitespace().next().is_some_and(|word| DECLARATIONS.contains(&word))
    }

    fn declaration(&mut self, line: &Line<'_>) {
        let declarations = &mut self.header.declarations;
        if declarations.start == declarations.end {
            declarations.start = line.range.start;
        }
        declarations.end = line.range.end;
        let keyword = line.text.split_whitespace().next().unwrap_or_default();
        let known = DECLARATIONS.contains(&keyword);
        let rest = if known { keyword.len() } else { 0 };
        if keyword == "rule" {
            let text = line.text[rest..].trim();
            let start = line.range.end - text.len();
            let at = self.source.at(start..line.range.end);
            self.header.rule = Some(Spanned { value: text.into(), at });
            return;
        }
        let words = self.words(line, rest);
        let header = &mut self.header;
        let list = match keyword {
            "grain" => &mut header.grain,
            "uses" => &mut header.uses,
            "params" => &mut header.params,
            "reads" => &mut header.reads,
            // A continuation belongs to the last list that has begun.
            _ if !header.params.is_empty() => &mut header.params,
            _ if !header.uses.is_empty() => &mut header.uses,
            _ if !header.reads.is_empty() => &mut header.reads,
            _ => &mut header.grain,
        };
        list.extend(words.into_iter().filter(|word| word.value != "none"));
    }

    /// The comma-separated words of a line from a byte on.
    fn words(&self, line: &Line<'_>, from: usize) -> Vec<Spanned<String>> {
        let mut words = Vec::new();
        let mut offset = from;
        for part in line.text[from..].split(',') {
            let word = part.trim();
            if !word.is_empty() {
                let start = line.range.start + offset + (part.len() - part.trim_start().len());
                let at = self.source.at(start..start + word.len());
                words.push(Spanned { value: word.into(), at });
            }
            offset += part.len() + 1;
        }
        words
    }

    fn column(&mut self, line: Line<'_>) -> Section {
        if line.text.starts_with("    ") {
            if let Some(last) = self.header.columns.last_mut() {
                last.comment = format!("{} {}", last.comment, line.text.trim());
            }
            return Section::Columns;
        }
        let mut words = line.text.split_whitespace();
        let (Some(name), Some(kind)) = (words.next(), words.next()) else {
            self.note(&line);
            return Section::Notes;
        };
        let Some(kind_of) = ColumnType::parse(kind) else {
            if self.header.columns.is_empty() && !name.contains('_') {
                self.note(&line);
                return Section::Notes;
            }
            let start = line.range.start + line.text.find(kind).unwrap_or(0);
            let at = self.source.at(start..start + kind.len());
            let help = "types: id, text, bigint, double, boolean, date, timestamp, decimal(p,s)";
            self.problems.push(Problem::at(&at, format!("no column type `{kind}`")).help(help));
            return Section::Columns;
        };
        let at = self.source.at(line.range.start..line.range.start + name.len());
        let comment = words.collect::<Vec<_>>().join(" ");
        let name = Spanned { value: name.into(), at };
        self.header.columns.push(Column { name, kind: kind_of, comment });
        Section::Columns
    }

    fn note(&mut self, line: &Line<'_>) {
        if !self.header.notes.is_empty() {
            self.header.notes.push('\n');
        }
        self.header.notes.push_str(line.text.trim_end());
    }
}
