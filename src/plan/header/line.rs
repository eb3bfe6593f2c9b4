//! A line of the comment that a header is.

use std::ops::Range;

use super::{beginning, is_model};
use crate::plan::types::ColumnType;

/// Words that begin a list or a rule.
pub const DECLARATIONS: [&str; 5] = ["grain", "reads", "uses", "params", "rule"];

/// A comment line: its text without `--`, where that text is, and where the
/// line begins.
pub struct Line<'a> {
    /// Without `--` and the blank behind it.
    pub text: &'a str,
    /// The bytes of that.
    pub range: Range<usize>,
    /// The byte at which the line begins.
    pub start: usize,
}

impl Line<'_> {
    /// Whether nothing stands in it.
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Its first word.
    pub fn keyword(&self) -> &str {
        self.text.split_whitespace().next().unwrap_or_default()
    }

    /// Whether it declares beyond doubt: prose may begin with the same words.
    pub fn declares(&self) -> bool {
        self.declares_as(self.keyword())
    }

    /// The same, were its first word another.
    fn declares_as(&self, keyword: &str) -> bool {
        let list = self.text.trim().strip_prefix(self.keyword()).unwrap_or_default().trim();
        let mut words = list.trim_end_matches(',').split(',').map(str::trim);
        match keyword {
            "grain" | "params" => words.all(is_name),
            "reads" | "uses" => words.all(|word| word == "none" || is_table(word)),
            "rule" => list.starts_with("ranges ") || list.starts_with("cells "),
            _ => false,
        }
    }

    /// The word it was meant to begin with, were it a list: `Grain:` is `grain`.
    pub fn meant(&self) -> String {
        self.keyword().trim_end_matches(':').to_lowercase()
    }

    /// Whether it would declare if that word were right.
    pub fn would_declare(&self) -> bool {
        self.declares_as(&self.meant())
    }

    /// Whether a line of the title's paragraph declares: where the paragraph that
    /// should declare says it too, this one is prose.
    pub fn declares_early(&self, below: &[Self]) -> bool {
        let rest = below.iter().skip_while(|line| !line.is_empty());
        let next = rest.skip_while(|line| line.is_empty());
        let mut lists = next.take_while(|line| line.is_list() || line.is_continued());
        self.declares() && !lists.any(|line| line.keyword() == self.keyword())
    }

    /// Whether it begins a list or a rule, or prose as if it did.
    pub fn is_list(&self) -> bool {
        DECLARATIONS.contains(&self.keyword())
    }

    /// A continued list is indented past the keyword.
    pub fn is_continued(&self) -> bool {
        self.text.starts_with("        ")
    }

    /// The byte of the text after its keyword.
    pub fn after(&self, keyword: &str) -> usize {
        self.text.len() - self.text.trim_start().len() + keyword.len()
    }

    /// Whether a type comes second in it.
    pub fn is_column(&self) -> bool {
        self.text.split_whitespace().nth(1).is_some_and(|kind| ColumnType::parse(kind).is_some())
    }

    /// Whether it begins with the name of a table.
    pub fn is_named(&self) -> bool {
        let name = self.text.split_once(':').map(|(name, _)| name.trim());
        name.is_some_and(is_model)
    }
}

/// The lines from the beginning of a text on that are comments.
pub fn comment_lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut offset = beginning(text);
    text[offset..].split_inclusive('\n').map_while(move |full| {
        let start = offset;
        offset += full.len();
        let content = full.trim_end();
        let body = content.strip_prefix("--")?;
        let skip = 2 + usize::from(body.starts_with(' '));
        let body = body.strip_prefix(' ').unwrap_or(body);
        Some(Line { text: body, range: start + skip..start + content.len().max(skip), start })
    })
}

fn is_name(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
}

/// Whether a word has the form of the name of a table.
pub fn is_table(word: &str) -> bool {
    word.split_once('.').is_some_and(|(schema, table)| is_name(schema) && is_name(table))
}
