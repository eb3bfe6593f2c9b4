//! Text that comes from data, made safe to be looked at: a terminal acts upon control
//! characters, and marks of direction make a text read as another. Both are written
//! out, as `\u{1b}`. Formats for programs (CSV, JSON) keep data as it is.

use std::borrow::Cow;
use std::fmt::Write;

/// A text as one line without anything that cannot be seen.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, is_unseen, escape)
}

/// The same of a text that has lines and tabs of our own.
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |letter| is_unseen(letter) && !matches!(letter, '\n' | '\t'), escape)
}

/// JSON whose strings have nothing unseen in them, and the same values.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    escaped(json, is_unseen, |letter, out| {
        for unit in letter.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    })
}

/// Whether a terminal would act upon a letter, or show nothing.
fn is_unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            // Marks of direction.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            // Line and paragraph, the byte order mark, annotations and tags.
            | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
        )
}

fn escape(letter: char, out: &mut String) {
    match letter {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        other => drop(write!(out, "\\u{{{:x}}}", u32::from(other))),
    }
}

fn escaped(
    text: &str,
    is_other: impl Fn(char) -> bool,
    escape: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    if !text.contains(&is_other) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match is_other(letter) {
            true => escape(letter, &mut out),
            false => out.push(letter),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        assert_eq!(visible("plain ✓ text 👨‍👩‍👧"), "plain ✓ text 👨‍👩‍👧");
        assert_eq!(visible("\u{1b}[31mred\u{9b}0m\u{7f}"), "\\u{1b}[31mred\\u{9b}0m\\u{7f}");
        assert_eq!(visible("a\r\nb\tc"), "a\\r\\nb\\tc");
        assert_eq!(visible("abc\u{202e}fdp\u{2069}"), "abc\\u{202e}fdp\\u{2069}");
        assert_eq!(visible_lines("a\n\tb\r\u{8}"), "a\n\tb\\r\\u{8}");
    }

    #[test]
    fn json_keeps_its_values() {
        let value = serde_json::json!({ "a": "\u{1b}[0m \u{7f}\u{85}\u{202e}\u{e0001}\n ü" });
        let text = value.to_string();
        let shown = visible_json(&text);
        assert!(!shown.contains(is_unseen), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"), value);
    }
}
