//! What went wrong, said so that a person can act: what, where, why, and the
//! next move. One form for a misspelt key, a wrong query and a full disk.
//!
//! Not here: deciding what a failure means for the exit code (see `error`).

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::visible::{visible, visible_lines};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, in the user's nouns; lower case, no full stop.
    pub message: String,
    /// Where; absent only when the whole invocation is at fault.
    pub place: Option<Place>,
    /// Labelled reasons in reading order, such as `cause` or `found`.
    pub notes: Vec<(&'static str, String)>,
    /// The next move.
    pub help: Option<String>,
}

/// Where a problem is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a text the user wrote: shown with the offending part underlined.
    Text(At),
    /// Somewhere that has only a name, such as a URL or a path.
    Named(String),
}

/// A part of a text the user wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The text and the name to show for it.
    pub source: Arc<Source>,
    /// Bytes of the text.
    pub range: Range<usize>,
}

/// A text the user wrote, and the path under which they know it.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// Path relative to the project folder.
    pub path: String,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// A text under its name.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { path: path.into(), text: text.into() })
    }

    /// The byte offset of a 1-based line and a 1-based column in characters.
    /// Beyond the end it is the end: a place is for reading, never a failure.
    pub fn offset(&self, line: usize, column: usize) -> usize {
        let start: usize =
            self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let rest = self.text.get(start..).unwrap_or("");
        let within = rest.char_indices().nth(column.saturating_sub(1)).map(|(byte, _)| byte);
        start + within.unwrap_or(rest.len())
    }

    /// The place of a range of bytes. It becomes one of whole characters of the text:
    /// a place is for reading, never a failure.
    pub fn at(self: &Arc<Self>, range: Range<usize>) -> At {
        let start = self.text.floor_char_boundary(range.start);
        let end = self.text.ceil_char_boundary(range.end.max(range.start));
        At { source: Arc::clone(self), range: start..end }
    }

    /// The place of the character that begins at a byte; at the end, the end.
    pub fn character(self: &Arc<Self>, start: usize) -> At {
        self.at(start..(start + 1).min(self.text.len()))
    }

    /// The place of the file as a whole: its first line.
    pub fn whole(self: &Arc<Self>) -> At {
        let end = self.text.find('\n').unwrap_or(self.text.len());
        self.at(0..end)
    }
}

impl At {
    /// The text at this place.
    pub fn text(&self) -> &str {
        self.source.text.get(self.range.clone()).unwrap_or("")
    }

    /// The 1-based line the place begins on.
    pub fn line(&self) -> usize {
        let before = self.source.text.get(..self.range.start).unwrap_or("");
        before.matches('\n').count() + 1
    }

    /// The text to show, the number of its first line, and the place in it. Of a long
    /// text only the lines of the place: to render all of it for each of many problems
    /// takes minutes.
    fn excerpt(&self) -> (&str, usize, Range<usize>) {
        let text = self.source.text.as_str();
        let end = self.range.end.min(text.len());
        let start = self.range.start.min(end);
        if text.len() <= TEXT_BYTES_SHOWN {
            return (text, 1, start..end);
        }
        let first = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let last = text[end..].find('\n').map_or(text.len(), |length| end + length);
        // A line may be as long as a text.
        let first = first.max(text.floor_char_boundary(start.saturating_sub(LINE_BYTES_SHOWN)));
        let last = last.min(text.ceil_char_boundary((start + LINE_BYTES_SHOWN).min(text.len())));
        let line = self.line();
        (&text[first..last.max(first)], line, start - first..end.min(last).max(start) - first)
    }
}

/// Bytes of a text up to which all of it is shown to whoever picks the lines.
const TEXT_BYTES_SHOWN: usize = 256 << 10;

/// Bytes of a line shown before a place and from it on.
const LINE_BYTES_SHOWN: usize = 4 << 10;

impl Problem {
    /// A problem with no place yet.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: None, notes: Vec::new(), help: None }
    }

    /// A problem in a text.
    pub fn at(at: &At, message: impl Into<String>) -> Self {
        Self { place: Some(Place::Text(at.clone())), ..Self::new(message) }
    }

    /// A problem at a URL, a path, or another named thing.
    pub fn named(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: Some(Place::Named(place.into())), ..Self::new(message) }
    }

    /// Adds a labelled reason.
    #[must_use]
    pub fn note(mut self, label: &'static str, text: impl Into<String>) -> Self {
        self.notes.push((label, text.into()));
        self
    }

    /// Adds the causes of an error, outermost first, each on a line.
    #[must_use]
    pub fn causes(mut self, error: &dyn std::error::Error) -> Self {
        let mut next = Some(error);
        let mut last = String::new();
        while let Some(error) = next {
            let text = error.to_string();
            // Many errors repeat the text of their source in their own.
            if !last.contains(&text) {
                self.notes.push(("cause", text.clone()));
                last = text;
            }
            next = error.source();
        }
        self
    }

    /// Says the next move.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Says the next move, where there is one to say.
    #[must_use]
    pub fn maybe_help(mut self, text: Option<String>) -> Self {
        self.help = text.or(self.help);
        self
    }

    /// The problem as a person reads it on a terminal or in a log.
    pub fn render(&self, colour: Colour) -> String {
        let mut group = Group::with_title(Level::ERROR.primary_title(visible(&self.message)));
        match &self.place {
            Some(Place::Text(at)) => {
                let (text, line, span) = at.excerpt();
                group = group.element(
                    Snippet::source(text)
                        .line_start(line)
                        .path(visible(&at.source.path))
                        .annotation(AnnotationKind::Primary.span(span)),
                );
            }
            Some(Place::Named(name)) => group = group.element(Origin::path(visible(name))),
            None => {}
        }
        for (label, text) in &self.notes {
            group = group.element(Level::NOTE.with_name(*label).message(visible_lines(text)));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(visible(help)));
        }
        let renderer = match colour {
            Colour::Always => Renderer::styled(),
            Colour::Never => Renderer::plain(),
        };
        renderer.render(&[group])
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Colour::Never))
    }
}

/// Whether text goes to someone who sees colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// A terminal.
    Always,
    /// A file, a pipe, or `NO_COLOR`.
    Never,
}

/// Letters of a word up to which others are looked for that are like it.
const WORD_MAX: usize = 128;

/// `did you mean …?` for a misspelt word, or the list of what there is.
pub fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    // The distance takes time by both lengths, and nobody mistypes a name into that.
    let is_word = word.chars().nth(WORD_MAX).is_none();
    let near = known
        .iter()
        .filter(|candidate| is_word && candidate.chars().nth(WORD_MAX).is_none())
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().max(word.len()) / 4)
        .min_by_key(|(distance, _)| *distance);
    match near {
        Some((_, candidate)) => Some(format!("did you mean `{candidate}`?")),
        // A longer list would bury the message it is meant to help with.
        None if known.is_empty() || known.len() > 24 => None,
        None => Some(format!("known: {}", known.join(", "))),
    }
}
