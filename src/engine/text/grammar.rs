//! JSON as the standard has it (RFC 8259), read in place: what the values of a
//! record are, and where it is no JSON. Numbers are seen as they are written.

use memchr::memchr2;

use super::shape::{Digits, Fields, Kind, Shape};

/// Objects and lists in each other, at most.
const DEPTH_MAX: u8 = 127;

/// Where a text is no JSON, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrong {
    /// The byte.
    pub at: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Notes the values of a record, which is one object, in `fields`.
///
/// # Errors
/// The text is something else.
pub fn record(text: &str, line: u64, fields: &mut Fields) -> Result<(), Wrong> {
    let mut parser = Parser { text, bytes: text.as_bytes(), at: 0, depth: 0, line };
    parser.skip_blanks();
    if parser.peek() != Some(b'{') {
        return Err(parser.wrong("no object begins"));
    }
    parser.object(Some(fields))?;
    parser.skip_blanks();
    match parser.peek() {
        None => Ok(()),
        Some(_) => Err(parser.wrong("something follows the object")),
    }
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: u8,
    line: u64,
}

type Parsed<T> = Result<T, Wrong>;

impl<'a> Parser<'a> {
    fn wrong(&self, why: &'static str) -> Wrong {
        Wrong { at: self.at, why }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Goes past a byte, if it is the next one.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn value(&mut self, shape: Option<&mut Shape>) -> Parsed<()> {
        let line = self.line;
        let kind = match self.peek() {
            Some(b'{') => return self.object(shape.and_then(|shape| shape.object(line))),
            Some(b'[') => return self.list(shape.and_then(|shape| shape.list(line))),
            Some(b'"') => {
                self.string()?;
                Kind::Text
            }
            Some(b'-' | b'0'..=b'9') => {
                let number = self.number()?;
                match shape.is_some() {
                    true => Kind::Number(Digits::of(number)),
                    false => Kind::Null,
                }
            }
            Some(b't') => self.word("true", Kind::Boolean)?,
            Some(b'f') => self.word("false", Kind::Boolean)?,
            Some(b'n') => self.word("null", Kind::Null)?,
            _ => return Err(self.wrong("no value begins")),
        };
        if let Some(shape) = shape {
            shape.add(kind, line);
        }
        Ok(())
    }

    fn word(&mut self, word: &'static str, kind: Kind) -> Parsed<Kind> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.wrong("no value begins"));
        }
        self.at += word.len();
        Ok(kind)
    }

    fn deeper(&mut self) -> Parsed<()> {
        if self.depth == DEPTH_MAX {
            return Err(self.wrong("too many objects and lists stand in each other"));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    fn object(&mut self, mut fields: Option<&mut Fields>) -> Parsed<()> {
        self.deeper()?;
        self.skip_blanks();
        if !self.take(b'}') {
            let mut place = 0;
            loop {
                if self.peek() != Some(b'"') {
                    return Err(self.wrong("no key begins"));
                }
                let shape = match fields.as_deref_mut() {
                    Some(fields) => {
                        let from = self.at;
                        let (key, has_escapes) = self.string()?;
                        let unescaped = has_escapes.then(|| self.unescaped(from)).transpose()?;
                        let key = unescaped.as_deref().unwrap_or(key);
                        place += 1;
                        fields.shape(key, place - 1)
                    }
                    None => {
                        self.string()?;
                        None
                    }
                };
                self.skip_blanks();
                if !self.take(b':') {
                    return Err(self.wrong("a colon is missing"));
                }
                self.skip_blanks();
                self.value(shape)?;
                self.skip_blanks();
                if self.take(b'}') {
                    break;
                }
                if !self.take(b',') {
                    return Err(self.wrong("a comma or `}` is missing"));
                }
                self.skip_blanks();
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn list(&mut self, mut items: Option<&mut Shape>) -> Parsed<()> {
        self.deeper()?;
        self.skip_blanks();
        if !self.take(b']') {
            loop {
                self.value(items.as_deref_mut())?;
                self.skip_blanks();
                if self.take(b']') {
                    break;
                }
                if !self.take(b',') {
                    return Err(self.wrong("a comma or `]` is missing"));
                }
                self.skip_blanks();
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// A text as it is written, without its quotes; and whether it has escapes.
    fn string(&mut self) -> Parsed<(&'a str, bool)> {
        let begin = self.at + 1;
        self.at = begin;
        let mut has_escapes = false;
        loop {
            let rest = &self.bytes[self.at..];
            let end = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
            let is_control = |byte: &u8| *byte < b' ';
            // All at once: there is hardly ever one.
            if rest[..end].iter().fold(false, |found, byte| found | is_control(byte)) {
                self.at += rest[..end].iter().position(is_control).unwrap_or(0);
                return Err(self.wrong("a control character stands in a text"));
            }
            self.at += end;
            match self.peek() {
                Some(b'"') => {
                    let text = &self.text[begin..self.at];
                    self.at += 1;
                    return Ok((text, has_escapes));
                }
                Some(_) => {
                    has_escapes = true;
                    self.escape()?;
                }
                None => return Err(self.wrong("a text does not end")),
            }
        }
    }

    /// Goes past an escape.
    fn escape(&mut self) -> Parsed<()> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => match self.unit(self.at) {
                // Half of a character beyond 16 bits needs the other.
                Some(0xd800..=0xdbff) => match self.unit(self.at + 6) {
                    Some(0xdc00..=0xdfff) => self.at += 12,
                    _ => return Err(self.wrong("half a character is missing")),
                },
                Some(0xdc00..=0xdfff) => return Err(self.wrong("half a character is missing")),
                Some(_) => self.at += 6,
                None => return Err(self.wrong("an escape is not one of JSON")),
            },
            _ => return Err(self.wrong("an escape is not one of JSON")),
        }
        Ok(())
    }

    /// The value of `\u0000` at a place.
    fn unit(&self, at: usize) -> Option<u32> {
        let digits = self.text.get(at..at + 6)?.strip_prefix("\\u")?;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
    }

    /// The text that was just read from a place on, with its escapes as what they
    /// mean.
    fn unescaped(&self, from: usize) -> Parsed<String> {
        serde_json::from_str(&self.text[from..self.at])
            .map_err(|_| Wrong { at: from, why: "a key is not one of JSON" })
    }

    fn number(&mut self) -> Parsed<&'a str> {
        let from = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(&self.text[from..self.at])
    }

    fn digits(&mut self) -> Parsed<()> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == from { Err(self.wrong("a digit is missing")) } else { Ok(()) }
    }
}
