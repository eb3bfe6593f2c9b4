//! Reading a header, line by line.

use std::sync::Arc;

use super::line::{DECLARATIONS, Line, comment_lines};
use super::{Column, Header, Part, Written};
use crate::plan::spec::Spanned;
use crate::plan::types::ColumnType;
use crate::problem::{Problem, Source, suggest};

/// Reads the header of a file.
///
/// What could be read is returned beside the problems.
pub fn read(source: &Arc<Source>) -> (Header, Vec<Problem>) {
    let mut reader =
        Reader { source, header: Header::default(), problems: Vec::new(), list: "grain" };
    let mut section = Section::Title;
    let lines: Vec<Line<'_>> = comment_lines(&source.text).collect();
    for (number, line) in lines.iter().enumerate() {
        section = reader.line(section, line, &lines[number + 1..]);
    }
    reader.cut_off();
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

struct Reader<'a> {
    source: &'a Arc<Source>,
    header: Header,
    problems: Vec<Problem>,
    /// The list that goes on where a line begins with no keyword.
    list: &'static str,
}

impl Reader<'_> {
    fn line(&mut self, section: Section, line: &Line<'_>, below: &[Line<'_>]) -> Section {
        self.header.range.end = line.range.end;
        let empty = line.is_empty();
        match section {
            Section::Title if empty && self.header.lines.is_empty() => Section::Title,
            Section::Title if empty => Section::Declarations,
            Section::Title if line.declares_early(below) => self.declaration(line),
            Section::Title => self.title(line),
            Section::Declarations if empty && !self.declared() => Section::Declarations,
            Section::Declarations if empty => Section::Columns,
            Section::Declarations if self.is_declaration(line) => self.declaration(line),
            // Something else stands before the title, such as a licence.
            Section::Declarations if self.header.name.is_none() && line.is_named() => {
                self.title(line)
            }
            Section::Declarations if self.stands_among_lists(line, below) => self.unknown(line),
            Section::Declarations if self.comes_before_lists(line, below) => {
                self.take(Part::Note, line);
                Section::Declarations
            }
            // A check may have notes straight after its title.
            Section::Declarations => self.column(line),
            Section::Columns if empty => {
                self.note(line);
                if self.header.columns.is_empty() { Section::Columns } else { Section::Notes }
            }
            // Lists may stand in several paragraphs.
            Section::Columns
                if self.header.columns.is_empty() && line.declares() && !line.is_column() =>
            {
                self.declaration(line)
            }
            Section::Columns => self.column(line),
            Section::Notes => self.note(line),
        }
    }

    fn take(&mut self, part: Part, line: &Line<'_>) {
        self.header.lines.push(Written { part, range: line.start..line.range.end });
    }

    fn declared(&self) -> bool {
        self.header.lines.iter().any(|line| line.part == Part::Declaration)
    }

    fn title(&mut self, line: &Line<'_>) -> Section {
        self.take(Part::Title, line);
        if self.header.name.is_some() {
            self.header.title = format!("{} {}", self.header.title, line.text.trim());
            return Section::Title;
        }
        let Some((name, title)) = line.text.split_once(':') else {
            let at = self.source.at(line.range.clone());
            let message = "a model begins with `-- schema.name: what it says`";
            self.problems.push(Problem::at(&at, message));
            return Section::Title;
        };
        let range = line.range.start..line.range.start + name.len();
        self.header.name = Some(Spanned { value: name.trim().into(), at: self.source.at(range) });
        self.header.title = title.trim().into();
        Section::Title
    }

    fn is_declaration(&self, line: &Line<'_>) -> bool {
        line.is_list() || (line.is_continued() && self.declared())
    }

    /// Whether it should be a list as those beside it are. Prose has a paragraph of
    /// its own; a check, which describes no columns, has it wherever it likes.
    fn stands_among_lists(&self, line: &Line<'_>, below: &[Line<'_>]) -> bool {
        let mut beside = below.iter().take_while(|line| !line.is_empty());
        let is_beside = self.declared() || line.would_declare() || beside.any(Line::would_declare);
        let is_near = || {
            let help = suggest(&line.meant(), DECLARATIONS);
            line.would_declare() || help.is_some_and(|help| help.starts_with("did"))
        };
        is_beside && !line.is_column() && (!self.is_of_check() || is_near())
    }

    /// Whether lists are still to come, further below.
    fn comes_before_lists(&self, line: &Line<'_>, below: &[Line<'_>]) -> bool {
        let is_further = match self.declared() {
            true => below.iter().take_while(|line| !line.is_empty()).any(Line::declares),
            false => below.iter().any(Line::declares),
        };
        !line.is_column() && is_further
    }

    fn is_of_check(&self) -> bool {
        self.header.name.as_ref().is_some_and(|name| name.value.starts_with("checks."))
    }

    fn unknown(&mut self, line: &Line<'_>) -> Section {
        let word = line.keyword();
        let start = line.range.start + line.after("");
        let at = self.source.at(start..start + word.len());
        let meant = line.meant();
        let help = match suggest(&meant, DECLARATIONS) {
            _ if DECLARATIONS.contains(&meant.as_str()) => format!("write `{meant}`"),
            Some(help) if help.starts_with("did") => help,
            _ => format!("known: {}; notes stand below the columns", DECLARATIONS.join(", ")),
        };
        self.problems.push(Problem::at(&at, format!("a header declares no `{word}`")).help(help));
        self.take(Part::Unknown, line);
        Section::Declarations
    }

    /// Whether a line declares what the header, which describes no columns yet, does
    /// not: comments of the query may begin with the same words.
    fn lacks(&self, line: &Line<'_>) -> bool {
        let header = &self.header;
        let has_list = |list: &[Spanned<String>]| !list.is_empty();
        let is_missing = match line.keyword() {
            "grain" => !has_list(&header.grain),
            "reads" => !has_list(&header.reads),
            "uses" => !has_list(&header.uses),
            "params" => !has_list(&header.params),
            _ => header.rule.is_none(),
        };
        let is_column = line.is_column() && !self.is_of_check() && self.declared();
        header.columns.is_empty() && (line.declares() && is_missing || is_column)
    }

    /// What looks like more of the header behind an empty line, with which it ends.
    fn cut_off(&mut self) {
        let text = &self.source.text;
        let mut start = self.header.range.end;
        for full in text[start..].split_inclusive('\n') {
            let line = full.trim_end();
            let body = line.strip_prefix("--").map(|body| body.strip_prefix(' ').unwrap_or(body));
            let skip = line.len() - body.map_or(0, str::len);
            let range = start + skip..start + line.len();
            match body {
                None if line.is_empty() => {}
                None => return,
                Some(body) => {
                    let line = Line { text: body, range, start };
                    if self.header.name.is_some() && self.lacks(&line) {
                        let message = "the header ends at the empty line above this one";
                        let problem = Problem::at(&self.source.at(line.range.clone()), message);
                        self.problems.push(problem.help("write `--` in that line"));
                        self.take(Part::Unknown, &line);
                        return;
                    }
                }
            }
            start += full.len();
        }
    }

    fn declaration(&mut self, line: &Line<'_>) -> Section {
        let known = DECLARATIONS.iter().find(|keyword| **keyword == line.keyword());
        if let Some(keyword) = known {
            self.list = keyword;
        }
        if self.list == "rule" {
            return self.rule(line, known.is_some());
        }
        self.take(Part::Declaration, line);
        let words = self.words(line, known.map_or(0, |keyword| line.after(keyword)));
        let header = &mut self.header;
        let list = match self.list {
            "reads" => &mut header.reads,
            "uses" => &mut header.uses,
            "params" => &mut header.params,
            _ => &mut header.grain,
        };
        list.extend(words.into_iter().filter(|word| word.value != "none"));
        Section::Declarations
    }

    fn rule(&mut self, line: &Line<'_>, begins: bool) -> Section {
        let text = line.text[if begins { line.after("rule") } else { 0 }..].trim();
        let at = self.source.at(line.range.end - text.len()..line.range.end);
        match &mut self.header.rule {
            Some(_) if begins => {
                self.problems.push(Problem::at(&at, "a table has one rule"));
                self.take(Part::Unread, line);
                return Section::Declarations;
            }
            Some(rule) => rule.value = format!("{} {text}", rule.value),
            None => self.header.rule = Some(Spanned { value: text.into(), at }),
        }
        self.take(Part::Declaration, line);
        Section::Declarations
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

    fn column(&mut self, line: &Line<'_>) -> Section {
        if line.text.starts_with("    ") {
            return self.continuation(line);
        }
        let mut words = line.text.split_whitespace();
        let (Some(name), Some(kind)) = (words.next(), words.next()) else {
            return self.note(line);
        };
        let Some(kind_of) = ColumnType::parse(kind) else {
            if self.header.columns.is_empty() && !name.contains('_') {
                return self.note(line);
            }
            let start = line.range.start + line.text.find(kind).unwrap_or(0);
            let at = self.source.at(start..start + kind.len());
            let help = "types: id, text, bigint, double, boolean, date, timestamp, decimal(p,s)";
            self.problems.push(Problem::at(&at, format!("no column type `{kind}`")).help(help));
            self.take(Part::Unread, line);
            return Section::Columns;
        };
        let start = line.after("") + line.range.start;
        let at = self.source.at(start..start + name.len());
        let comment = words.collect::<Vec<_>>().join(" ");
        let name = Spanned { value: name.into(), at };
        self.take(Part::Column(self.header.columns.len()), line);
        self.header.columns.push(Column { name, kind: kind_of, comment });
        Section::Columns
    }

    /// An indented line goes on with what the line above began.
    fn continuation(&mut self, line: &Line<'_>) -> Section {
        match (self.header.lines.last().map(|above| above.part), self.header.columns.last_mut()) {
            (Some(Part::Column(number)), Some(column)) => {
                column.comment = format!("{} {}", column.comment, line.text.trim());
                self.take(Part::Column(number), line);
                Section::Columns
            }
            (Some(Part::Unread), _) => {
                self.take(Part::Unread, line);
                Section::Columns
            }
            _ => self.note(line),
        }
    }

    fn note(&mut self, line: &Line<'_>) -> Section {
        self.take(Part::Note, line);
        Section::Notes
    }
}
