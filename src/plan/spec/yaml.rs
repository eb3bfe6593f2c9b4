//! YAML text as a tree of values that know their place in the text.
//!
//! `serde_yaml` says what a value is; it stops at its first error and its
//! values carry no marks. So the same text is read once more as events, which
//! do, and the two trees, equal in shape, are walked together.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, Span};
use serde_yaml::Value;

use crate::plan::header;
use crate::problem::{At, Problem, Source};

/// A value and where it is written.
#[derive(Debug, Clone)]
pub struct Node {
    /// What stands there.
    pub kind: Kind,
    /// Where.
    pub at: At,
}

/// What a value is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Text, number, boolean or null, as YAML 1.2 types it.
    Scalar(Value),
    /// `[a, b]` or lines beginning with `-`.
    List(Vec<Node>),
    /// `key: value` in the order written.
    Map(Vec<Entry>),
}

/// One `key: value`.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key is written.
    pub at: At,
    /// Its value.
    pub node: Node,
}

/// Reads one YAML document.
///
/// # Errors
/// The text is not YAML, holds anchors (they cost the place in errors), or a
/// key is not text or is written twice.
pub fn read(source: &Arc<Source>) -> Result<Node, Problem> {
    // It is no part of the text, nor of its first key.
    let begin = header::beginning(&source.text);
    too_deep(source)?;
    let parsed = serde_yaml::from_str(&source.text[begin..]);
    let value: Value = parsed.map_err(|error| {
        let repeated = Marks::new(source).node().ok().and_then(|tree| repeated(&tree, source));
        repeated.unwrap_or_else(|| syntax(source, &error))
    })?;
    let mut marks = Marks::new(source);
    let tree = marks.node()?;
    join(value, tree, source)
}

/// Maps and lists within each other: a pipeline needs four. `serde_yaml` takes 128.
const DEPTH_MAX: usize = 64;

/// Refuses what is nested too deep to be walked. An error of syntax before that is told
/// later.
fn too_deep(source: &Arc<Source>) -> Result<(), Problem> {
    let mut marks = Marks::new(source);
    let mut depth = 0_usize;
    loop {
        let (event, range) = match marks.events.next() {
            Some(Ok((event, span))) => (event, marks.range(span)),
            // The scanner looks ahead, and has a limit of its own.
            Some(Err(error)) if error.info().contains("recursion limit") => {
                return Err(nested_at(&source.character(marks.byte(error.marker().index()))));
            }
            Some(Err(_)) | None => return Ok(()),
        };
        match event {
            Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
            Event::SequenceEnd | Event::MappingEnd => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(nested_at(&source.character(range.start)));
        }
    }
}

fn nested_at(at: &At) -> Problem {
    Problem::at(at, format!("maps and lists are nested more than {DEPTH_MAX} deep here"))
        .help("a pipeline needs four levels: look for brackets or indents")
}

/// A key that stands a second time in its map.
fn repeated(tree: &Mark, source: &Arc<Source>) -> Option<Problem> {
    match tree {
        Mark::Scalar(_) => None,
        Mark::List(_, items) => items.iter().find_map(|item| repeated(item, source)),
        Mark::Map(_, entries) => {
            let mut seen = BTreeSet::new();
            entries.iter().find_map(|(key, value)| {
                let key = source.at(key.clone());
                match seen.insert(key.text().to_owned()) {
                    true => repeated(value, source),
                    false => {
                        let message = format!("the key `{}` stands here a second time", key.text());
                        Some(Problem::at(&key, message).help("keep one of them"))
                    }
                }
            })
        }
    }
}

fn syntax(source: &Arc<Source>, error: &serde_yaml::Error) -> Problem {
    let at = error.location().map_or_else(
        || source.whole(),
        |location| {
            let start = source.offset(location.line(), location.column());
            source.character(start)
        },
    );
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text);
    let rest = source.text.get(at.range.start..).unwrap_or("");
    let is_tab = rest.trim_start_matches(' ').starts_with('\t');
    let help = is_tab.then(|| "indent with spaces: YAML takes no tabs".to_owned());
    Problem::at(&at, format!("not valid YAML: {text}")).maybe_help(help)
}

/// A tree of places of the same shape as the tree of values.
enum Mark {
    Scalar(Range<usize>),
    List(Range<usize>, Vec<Mark>),
    Map(Range<usize>, Vec<(Range<usize>, Mark)>),
}

struct Marks<'a> {
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
    source: &'a Arc<Source>,
    /// Byte offset of every character, since events count characters.
    bytes: Vec<usize>,
}

impl<'a> Marks<'a> {
    fn new(source: &'a Arc<Source>) -> Self {
        let begin = header::beginning(&source.text);
        let text = &source.text[begin..];
        let bytes = text.char_indices().map(|(byte, _)| begin + byte).collect();
        Self { events: Parser::new_from_str(text), source, bytes }
    }

    fn byte(&self, character: usize) -> usize {
        self.bytes.get(character).copied().unwrap_or(self.source.text.len())
    }

    fn range(&self, span: Span) -> Range<usize> {
        self.byte(span.start.index())..self.byte(span.end.index())
    }

    fn next(&mut self) -> Result<(Event<'a>, Range<usize>), Problem> {
        loop {
            match self.events.next() {
                Some(Ok((Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _))) => {}
                Some(Ok((event, span))) => return Ok((event, self.range(span))),
                Some(Err(error)) => {
                    let start = self.byte(error.marker().index());
                    let at = self.source.character(start);
                    return Err(Problem::at(&at, format!("not valid YAML: {}", error.info())));
                }
                None => return Ok((Event::StreamEnd, 0..0)),
            }
        }
    }

    fn node(&mut self) -> Result<Mark, Problem> {
        let (event, range) = self.next()?;
        self.node_from(event, range)
    }

    fn node_from(&mut self, event: Event<'a>, range: Range<usize>) -> Result<Mark, Problem> {
        match event {
            Event::SequenceStart(..) => self.list(range),
            Event::MappingStart(..) => self.map(range),
            Event::Alias(_) => Err(Problem::at(
                &self.source.at(range),
                "YAML anchors and aliases are not supported",
            )
            .help("write the value out where it is used")),
            _ => Ok(Mark::Scalar(range)),
        }
    }

    fn list(&mut self, range: Range<usize>) -> Result<Mark, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(Mark::List(range, items)),
                (event, range) => items.push(self.node_from(event, range)?),
            }
        }
    }

    fn map(&mut self, range: Range<usize>) -> Result<Mark, Problem> {
        let mut entries = Vec::new();
        loop {
            match self.next()? {
                (Event::MappingEnd | Event::StreamEnd, _) => return Ok(Mark::Map(range, entries)),
                (_, key) => entries.push((key, self.node()?)),
            }
        }
    }
}

fn join(value: Value, mark: Mark, source: &Arc<Source>) -> Result<Node, Problem> {
    match (value, mark) {
        (Value::Sequence(values), Mark::List(range, marks)) => {
            let items = values.into_iter().zip(marks);
            let items: Result<_, _> =
                items.map(|(value, mark)| join(value, mark, source)).collect();
            Ok(Node { kind: Kind::List(items?), at: source.at(range) })
        }
        (Value::Mapping(values), Mark::Map(range, marks)) => {
            let mut entries = Vec::with_capacity(marks.len());
            for ((key, value), (key_range, mark)) in values.into_iter().zip(marks) {
                let at = source.at(key_range);
                let Value::String(key) = key else {
                    return Err(Problem::at(&at, "a key must be text").help("quote it"));
                };
                entries.push(Entry { key, at, node: join(value, mark, source)? });
            }
            Ok(Node { kind: Kind::Map(entries), at: source.at(range) })
        }
        (value, Mark::Scalar(range) | Mark::List(range, _) | Mark::Map(range, _)) => {
            Ok(Node { kind: Kind::Scalar(value), at: source.at(range) })
        }
    }
}
