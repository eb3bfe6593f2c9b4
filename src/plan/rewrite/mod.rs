//! The text of a file with its header written anew. Pure text: what the query
//! reads and gives comes in as values.
//!
//! The query is never touched, and no word of the header is lost: what is not
//! understood becomes a note.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};

use super::header::{self, Column, Header, Part, Written, is_model};
use super::spec::Spanned;
use super::types::ColumnType;
use crate::problem::{Problem, Source};

#[cfg(test)]
mod tests;

/// What a file does, whatever its header says.
#[derive(Debug)]
pub struct Facts {
    /// The name its path gives it.
    pub name: String,
    /// The tables its query reads.
    pub reads: Vec<String>,
    /// The parameters it uses.
    pub params: Vec<String>,
    /// Its columns; none where they need no description, in a check.
    pub columns: Option<Schema>,
}

/// A file whose header says what its query does: the text as it is, where the
/// header says so already.
///
/// # Errors
/// The text would not be read as it is meant.
pub fn rewrite(source: &Arc<Source>, header: &Header, facts: &Facts) -> Result<String, Problem> {
    if !header.is_clear() {
        return Err(refused(source, &facts.name));
    }
    let old = Old { source, header, facts };
    let text = old.compose();
    let new = Source::new(source.path.clone(), text);
    let (read, _) = header::read(&new);
    if old.kept().is_empty() && says_the_same(header, &read) {
        return Ok(source.text.clone());
    }
    let again = Old { source: &new, header: &read, facts };
    let same_query = query(&new.text, &read) == query(&source.text, header);
    let same_grain = words(&read.grain) == words(&header.grain);
    if !same_query || !same_grain || again.compose() != new.text {
        return Err(refused(source, &facts.name));
    }
    Ok(new.text.clone())
}

/// A file that is better left alone.
pub fn refused(source: &Arc<Source>, name: &str) -> Problem {
    Problem::at(&source.whole(), format!("the header of `{name}` cannot be written anew safely"))
        .note("note", "what was written would not be read as it is meant; nothing was")
        .help(format!("write it by hand: begin the file with `-- {name}: what it says`"))
}

/// The text after a header, without the empty lines between the two.
fn query<'a>(text: &'a str, header: &Header) -> &'a str {
    let mut rest = body(text, header);
    while let Some((line, below)) = rest.split_once('\n')
        && line.trim().is_empty()
    {
        rest = below;
    }
    rest
}

/// Whole lines only: a header ends where the next line begins.
fn body<'a>(text: &'a str, header: &Header) -> &'a str {
    if header.range.end == 0 {
        return &text[header::beginning(text)..];
    }
    text[header.range.end..].split_once('\n').map_or("", |(_, below)| below)
}

/// How a file ends its lines. The query's lines decide, which stay.
fn line_end(text: &str, body: &str) -> &'static str {
    let first = |text: &str| text.find('\n').map(|end| text[..end].ends_with('\r'));
    if first(body).or_else(|| first(text)).unwrap_or(false) { "\r\n" } else { "\n" }
}

/// A header that says the same is left in its author's hand.
fn says_the_same(old: &Header, new: &Header) -> bool {
    let sorted = |list| {
        let mut words = words(list);
        words.sort_unstable();
        words
    };
    let columns = |header: &Header| {
        let columns = header.columns.iter();
        columns.map(|column| (column.name.value.clone(), column.kind)).collect::<Vec<_>>()
    };
    let name = |header: &Header| header.name.as_ref().map(|name| name.value.clone());
    sorted(&new.reads) == sorted(&old.reads)
        && sorted(&new.uses) == sorted(&old.uses)
        && sorted(&new.params) == sorted(&old.params)
        && columns(new) == columns(old)
        && name(new) == name(old)
}

fn words(list: &[Spanned<String>]) -> Vec<&str> {
    list.iter().map(|word| word.value.as_str()).collect()
}

/// What stands where nobody has written anything yet.
const TITLE: &str = "(say what it is)";
const MEANING: &str = "(say what it means)";

fn comment(text: &str) -> String {
    format!("-- {text}").trim_end().into()
}

/// A file as it is, and what it does.
struct Old<'a> {
    source: &'a Arc<Source>,
    header: &'a Header,
    facts: &'a Facts,
}

impl Old<'_> {
    fn compose(&self) -> String {
        let text = &self.source.text;
        let body = body(text, self.header);
        let mut paragraphs = vec![self.title(), self.declarations()];
        if let Some(columns) = &self.facts.columns {
            paragraphs.push(self.columns(columns));
        }
        paragraphs.extend([self.kept(), self.notes()]);
        paragraphs.retain(|lines| !lines.is_empty());
        let mut lines = paragraphs.join(&comment(""));
        if !body.lines().next().unwrap_or_default().trim().is_empty() {
            lines.push(String::new());
        }
        let end = line_end(text, body);
        let header: String = lines.iter().map(|line| format!("{line}{end}")).collect();
        format!("{}{header}{body}", &text[..header::beginning(text)])
    }

    /// The lines of some part, in order, as they are written.
    fn lines(&self, is_wanted: impl Fn(&Written) -> bool) -> Vec<String> {
        let lines = self.header.lines.iter().filter(|line| is_wanted(line));
        lines.map(|line| self.source.text[line.range.clone()].into()).collect()
    }

    /// Where the line with the name begins, if it is the name of a model.
    fn name(&self) -> Option<(usize, &str)> {
        let name = self.header.name.as_ref().filter(|name| is_model(&name.value))?;
        let mut lines = self.header.lines.iter();
        let line = lines.find(|line| line.range.contains(&name.at.range.start))?;
        Some((line.range.start, &name.value))
    }

    /// Name and title. Words without a name are the title.
    fn title(&self) -> Vec<String> {
        let name = &self.facts.name;
        let written = self.name();
        let start = written.map_or(0, |(start, _)| start);
        let mut lines =
            self.lines(|line| line.part == Part::Title && line.range.start >= start).into_iter();
        let first = match (lines.next(), written) {
            (Some(first), Some((_, word))) if word == name => first,
            (Some(first), Some(_)) => {
                let title = first.split_once(':').map_or("", |(_, title)| title);
                comment(&format!("{name}:{title}"))
            }
            (Some(first), None) => comment(&format!("{name}: {}", uncommented(&first).trim())),
            (None, _) => comment(&format!("{name}: {TITLE}")),
        };
        std::iter::once(first).chain(lines).collect()
    }

    fn declarations(&self) -> Vec<String> {
        let (header, facts) = (self.header, self.facts);
        let mut lines = Vec::new();
        if !header.grain.is_empty() {
            lines.push(list("grain", &words(&header.grain)));
        }
        let optional = words(&header.uses);
        let names = facts.reads.iter().map(String::as_str);
        let (uses, reads): (Vec<&str>, Vec<&str>) = names.partition(|name| optional.contains(name));
        lines.push(list("reads", &in_order(&reads, &words(&header.reads))));
        if !uses.is_empty() {
            lines.push(list("uses", &uses));
        }
        let used: Vec<&str> = facts.params.iter().map(String::as_str).collect();
        lines.push(list("params", &in_order(&used, &words(&header.params))));
        lines.extend(header.rule.iter().map(|rule| comment(&format!("rule    {}", rule.value))));
        lines
    }

    fn columns(&self, planned: &Schema) -> Vec<String> {
        let fields = planned.fields().iter();
        let rows: Vec<(String, String, Vec<String>)> = fields
            .map(|field| {
                let written = self.column(field.name());
                let kind = match written {
                    Some((_, column)) if says_its_type(column, field) => column.kind.to_string(),
                    _ => planned_type(field),
                };
                let meaning = written
                    .map_or_else(|| vec![MEANING.into()], |(number, _)| self.meaning(number));
                (field.name().clone(), kind, meaning)
            })
            .collect();
        let width = |text: &String| text.chars().count();
        let names = rows.iter().map(|row| width(&row.0)).max().unwrap_or(0);
        let kinds = rows.iter().map(|row| width(&row.1)).max().unwrap_or(0);
        let mut lines = Vec::new();
        for (name, kind, meaning) in &rows {
            let mut label = format!("{name:<names$}  {kind:<kinds$}");
            for line in meaning {
                lines.push(comment(&format!("{label}  {line}")));
                label = " ".repeat(names + kinds + 2);
            }
        }
        lines
    }

    /// A column of the header by its name, and its number.
    fn column(&self, name: &str) -> Option<(usize, &Column)> {
        self.header.columns.iter().enumerate().find(|(_, column)| column.name.value == name)
    }

    /// What is written of a column, line by line.
    fn meaning(&self, number: usize) -> Vec<String> {
        let lines = self.lines(|line| line.part == Part::Column(number));
        let mut texts = lines.iter().map(|line| uncommented(line).split_whitespace());
        // Name and type stand before it.
        let first = texts.next().map(|words| words.skip(2).collect::<Vec<_>>().join(" "));
        let first = first.unwrap_or_default();
        let more = lines.iter().skip(1).map(|line| uncommented(line).trim().to_string());
        std::iter::once(first).chain(more).collect()
    }

    /// Lines that no other paragraph of the new header holds.
    fn kept(&self) -> Vec<String> {
        let start = self.name().map_or(0, |(start, _)| start);
        self.lines(|line| match line.part {
            Part::Title => line.range.start < start,
            Part::Declaration => self.has_prose(line),
            Part::Column(number) => self.facts.columns.is_some() && self.is_gone(number),
            Part::Unread | Part::Unknown => self.facts.columns.is_some(),
            Part::Note => false,
        })
    }

    /// Free text. A check's may look like columns.
    fn notes(&self) -> Vec<String> {
        let is_check = self.facts.columns.is_none();
        let lines = self.lines(|line| match line.part {
            Part::Note => true,
            Part::Column(_) | Part::Unread | Part::Unknown => is_check,
            Part::Title | Part::Declaration => false,
        });
        let is_empty = |line: &String| uncommented(line).trim().is_empty();
        let from = lines.iter().position(|line| !is_empty(line)).unwrap_or(lines.len());
        let to = lines.iter().rposition(|line| !is_empty(line)).map_or(from, |last| last + 1);
        lines[from..to].to_vec()
    }

    /// Whether a list says more than names.
    fn has_prose(&self, line: &Written) -> bool {
        let header = self.header;
        let mut words = header.reads.iter().chain(&header.uses).chain(&header.params);
        words.any(|word| {
            line.range.contains(&word.at.range.start) && word.value.contains(char::is_whitespace)
        })
    }

    /// Whether the query has no column for a description that somebody wrote.
    fn is_gone(&self, number: usize) -> bool {
        let column = &self.header.columns[number];
        let is_given = self.facts.columns.as_ref().is_some_and(|planned| {
            planned.column_with_name(&column.name.value).is_some()
                && self.column(&column.name.value).is_some_and(|(first, _)| first == number)
        });
        !is_given && !column.comment.is_empty() && column.comment != MEANING
    }
}

fn uncommented(line: &str) -> &str {
    line.strip_prefix("--").unwrap_or(line)
}

fn list(keyword: &str, words: &[&str]) -> String {
    let words = if words.is_empty() { "none".into() } else { words.join(", ") };
    comment(&format!("{keyword:<7} {words}"))
}

/// What is found, in the order in which it was written before.
fn in_order<'a>(found: &[&'a str], written: &[&'a str]) -> Vec<&'a str> {
    let mut ordered: Vec<&str> = Vec::new();
    let known = written.iter().filter(|word| found.contains(word));
    for word in known.chain(found) {
        if !ordered.contains(word) {
            ordered.push(word);
        }
    }
    ordered
}

/// Whether a header has the type of a column right.
fn says_its_type(column: &Column, planned: &Field) -> bool {
    let is_id = planned.metadata().contains_key(ID);
    column.kind.accepts(planned.data_type()) && (!is_id || column.kind == ColumnType::Id)
}

/// Marks a column that has the type of an id, in the metadata of its field.
pub const ID: &str = "id";

/// What a header calls the type of a column that it does not describe yet.
pub fn planned_type(planned: &Field) -> String {
    if planned.metadata().contains_key(ID) {
        return ColumnType::Id.to_string();
    }
    ColumnType::describe(planned.data_type())
}
