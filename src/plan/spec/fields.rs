//! Taking the known keys out of a YAML map, and saying what is wrong with the
//! others.

use serde_yaml::Value;

use super::yaml::{Entry, Kind, Node};
use super::{Raw, Spanned};
use crate::problem::{At, Problem, suggest};

/// The keys of one map that have not been taken yet.
pub struct Fields {
    entries: Vec<Entry>,
    what: String,
    at: At,
}

impl Fields {
    /// Opens a map and reports the keys nobody knows and those written twice.
    pub fn open(
        node: &Node,
        what: &str,
        known: &[&str],
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            problems.push(
                Problem::at(&node.at, format!("{what} must be a map of keys and values"))
                    .help(format!("known keys: {}", known.join(", "))),
            );
            return None;
        };
        for entry in entries {
            if !known.contains(&entry.key.as_str()) {
                let message = format!("unknown key `{}` in {what}", entry.key);
                let help = suggest(&entry.key, known.iter().copied()).unwrap_or_default();
                let keys = format!("known keys: {}", known.join(", "));
                let help = if help.starts_with("did") { format!("{help} {keys}") } else { keys };
                problems.push(Problem::at(&entry.at, message).help(help));
            }
        }
        Some(Self { entries: entries.clone(), what: what.into(), at: node.at.clone() })
    }

    /// Takes a key out.
    pub fn take(&mut self, key: &str) -> Option<Entry> {
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(index))
    }

    /// A scalar as text; numbers and booleans as they are written.
    pub fn text(&mut self, key: &str, problems: &mut Vec<Problem>) -> Option<Spanned<String>> {
        self.read(key, single, problems)
    }

    fn read(
        &mut self,
        key: &str,
        how: impl Fn(&Node, &mut Vec<Problem>) -> Option<Raw>,
        problems: &mut Vec<Problem>,
    ) -> Option<Spanned<String>> {
        let entry = self.take(key)?;
        match how(&entry.node, problems)? {
            Raw::Text(value) => Some(Spanned { value, at: entry.node.at }),
            Raw::Null => {
                problems.push(Problem::at(&entry.at, format!("`{key}` has no value")));
                None
            }
        }
    }

    /// A text that must be there.
    pub fn required_text(
        &mut self,
        key: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<Spanned<String>> {
        self.required(key, single, problems)
    }

    /// The same, or a list of scalars, as `[int]`.
    pub fn required_text_or_list(
        &mut self,
        key: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<Spanned<String>> {
        self.required(key, raw, problems)
    }

    fn required(
        &mut self,
        key: &str,
        how: impl Fn(&Node, &mut Vec<Problem>) -> Option<Raw>,
        problems: &mut Vec<Problem>,
    ) -> Option<Spanned<String>> {
        if self.entries.iter().any(|entry| entry.key == key) {
            return self.read(key, how, problems);
        }
        let message = format!("{} has no `{key}`", self.what);
        problems.push(Problem::at(&first_line(&self.at), message).help(format!("add `{key}: …`")));
        None
    }

    /// The entries of a map.
    pub fn entries(&mut self, key: &str, problems: &mut Vec<Problem>) -> Vec<Entry> {
        let Some(entry) = self.take(key) else { return Vec::new() };
        match entry.node.kind {
            Kind::Map(entries) => entries,
            Kind::Scalar(Value::Null) => Vec::new(),
            _ => {
                problems.push(Problem::at(&entry.node.at, format!("`{key}` must be a map")));
                Vec::new()
            }
        }
    }

    /// A map of texts.
    pub fn pairs(
        &mut self,
        key: &str,
        problems: &mut Vec<Problem>,
    ) -> Vec<(Spanned<String>, Spanned<String>)> {
        let mut pairs = Vec::new();
        for entry in self.entries(key, problems) {
            let name = Spanned { value: entry.key, at: entry.at.clone() };
            match single(&entry.node, problems) {
                Some(Raw::Text(value)) => pairs.push((name, Spanned { value, at: entry.node.at })),
                Some(Raw::Null) => {
                    problems.push(Problem::at(&entry.at, format!("`{}` has no value", name.value)));
                }
                None => {}
            }
        }
        pairs
    }

    /// The items of a list.
    pub fn items(&mut self, key: &str, problems: &mut Vec<Problem>) -> Vec<Node> {
        let Some(entry) = self.take(key) else { return Vec::new() };
        match entry.node.kind {
            Kind::List(items) => items,
            _ => {
                problems.push(Problem::at(&entry.node.at, format!("`{key}` must be a list")));
                Vec::new()
            }
        }
    }

    /// A list of texts.
    pub fn texts(&mut self, key: &str, problems: &mut Vec<Problem>) -> Vec<Spanned<String>> {
        let mut texts = Vec::new();
        for node in self.items(key, problems) {
            match raw(&node, problems) {
                Some(Raw::Text(value)) => texts.push(Spanned { value, at: node.at }),
                Some(Raw::Null) => problems.push(Problem::at(&node.at, "an empty item")),
                None => {}
            }
        }
        texts
    }

    /// A whole number, `least` or more.
    pub fn count(
        &mut self,
        key: &str,
        least: u64,
        problems: &mut Vec<Problem>,
    ) -> Option<Spanned<u64>> {
        self.parsed(key, &format!("a whole number, {least} or more"), problems, |text| {
            text.parse().ok().filter(|count| *count >= least)
        })
    }

    /// A number from 0 to 1.
    pub fn share(&mut self, key: &str, problems: &mut Vec<Problem>) -> Option<Spanned<f64>> {
        self.parsed(key, "a number from 0 to 1", problems, |text| {
            text.parse().ok().filter(|share| (0.0..=1.0).contains(share))
        })
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, key: &str, problems: &mut Vec<Problem>) -> Option<Spanned<bool>> {
        self.parsed(key, "true or false", problems, |text| text.parse().ok())
    }

    fn parsed<T>(
        &mut self,
        key: &str,
        expected: &str,
        problems: &mut Vec<Problem>,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Spanned<T>> {
        let text = self.text(key, problems)?;
        match parse(&text.value) {
            Some(value) => Some(Spanned { value, at: text.at }),
            None => {
                let message = format!("`{key}` must be {expected}, not `{}`", text.value);
                problems.push(Problem::at(&text.at, message));
                None
            }
        }
    }
}

/// A scalar as text.
fn single(node: &Node, problems: &mut Vec<Problem>) -> Option<Raw> {
    match node.kind {
        Kind::List(_) => {
            problems.push(Problem::at(&first_line(&node.at), "expected a single value here"));
            None
        }
        _ => raw(node, problems),
    }
}

/// A scalar, or a list of scalars, as text.
pub fn raw(node: &Node, problems: &mut Vec<Problem>) -> Option<Raw> {
    match &node.kind {
        Kind::Scalar(Value::Null) => Some(Raw::Null),
        Kind::Scalar(Value::String(text)) => Some(Raw::Text(text.clone())),
        // Numbers and booleans as they are written, so that 0.10 stays 0.10.
        Kind::Scalar(Value::Number(_) | Value::Bool(_)) => Some(Raw::Text(node.at.text().into())),
        Kind::List(items) => {
            let mut texts = Vec::with_capacity(items.len());
            for item in items {
                match raw(item, problems)? {
                    Raw::Text(text) => texts.push(text),
                    Raw::Null => {
                        problems.push(Problem::at(&item.at, "an empty item"));
                        return None;
                    }
                }
            }
            Some(Raw::Text(format!("[{}]", texts.join(", "))))
        }
        Kind::Scalar(_) | Kind::Map(_) => {
            problems.push(Problem::at(&first_line(&node.at), "expected a single value here"));
            None
        }
    }
}

/// The first line of a block: enough to point at it.
fn first_line(at: &At) -> At {
    let length = at.text().find('\n').unwrap_or(at.text().len());
    at.source.at(at.range.start..at.range.start + length)
}
