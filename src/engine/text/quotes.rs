//! Follows the quotes of a CSV file, counts its records and its lines.
//!
//! The parser takes any text for CSV: a value whose quote is never closed ends
//! with the file, and text behind a closing quote belongs to the value. So lines
//! in which a quote is missing, or is written `\"`, become one record with those
//! that follow, and their orders are gone. This scan sees the same bytes and knows
//! what is no CSV. It looks only at quotes and line ends, so it costs little.

use memchr::{memchr, memchr3};

use super::Fault;

/// Follows the quotes of one file, from its beginning.
#[derive(Debug, Clone)]
pub struct Quotes {
    delimiter: u8,
    /// Whether a backslash in quotes takes the character behind it as it is.
    escapes: bool,
    state: State,
    /// The byte before the next.
    before: u8,
    /// The line of the next byte.
    line: u64,
    /// Records that have begun.
    records: u64,
    /// The line of the last opening quote.
    opened: u64,
    /// The line in which the last value of several lines begins.
    several: Option<u64>,
    /// The line of the first `\"` that is no escape.
    backslash: Option<u64>,
    /// A record whose line is wanted.
    wanted: Option<u64>,
    /// That line.
    found: Option<u64>,
}

/// Where the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between records.
    Between,
    /// In a record, outside of quotes.
    Plain,
    /// In quotes.
    Quoted,
    /// Behind a quote in quotes: it closes them, or is the first of two.
    Quote,
    /// Behind a backslash in quotes.
    Escaped,
}

impl Quotes {
    /// Begins before the header line.
    pub fn new(delimiter: u8, escapes: bool) -> Self {
        Self {
            delimiter,
            escapes,
            state: State::Between,
            before: b'\n',
            line: 1,
            records: 0,
            opened: 0,
            several: None,
            backslash: None,
            wanted: None,
            found: None,
        }
    }

    /// The same, to find the line of a record, which the header is the first of.
    pub fn seeking(self, record: u64) -> Self {
        Self { wanted: Some(record), ..self }
    }

    /// The line of the record that is sought, once it has begun.
    pub fn found(&self) -> Option<u64> {
        self.found
    }

    /// Records that have begun, with the header.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// They are no CSV.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let mut at = 0;
        while at < bytes.len() {
            at = match self.state {
                State::Between => self.between(bytes, at),
                State::Plain => self.plain(bytes, at)?,
                State::Quoted => self.quoted(bytes, at),
                State::Quote => self.behind_quote(bytes, at)?,
                State::Escaped => {
                    self.state = State::Quoted;
                    self.break_value(bytes, at);
                    at + 1
                }
            };
        }
        self.before = bytes.last().copied().unwrap_or(self.before);
        Ok(())
    }

    /// Ends with the file; tells how many records it has, with the header.
    ///
    /// # Errors
    /// The file ends in quotes.
    pub fn finish(&self) -> Result<u64, Fault> {
        let Self { opened, backslash, .. } = *self;
        match self.state {
            State::Quoted | State::Escaped => Err(Fault::NeverClosed { opened, backslash }),
            State::Between | State::Plain | State::Quote => Ok(self.records),
        }
    }

    fn between(&mut self, bytes: &[u8], at: usize) -> usize {
        if self.end_line(bytes, at) {
            return at + 1;
        }
        self.records += 1;
        if self.wanted == Some(self.records) {
            self.found = Some(self.line);
        }
        match bytes[at] {
            b'"' => self.open(at),
            _ => {
                self.state = State::Plain;
                at
            }
        }
    }

    fn plain(&mut self, bytes: &[u8], at: usize) -> Result<usize, Fault> {
        let Some(place) = memchr3(b'"', b'\n', b'\r', &bytes[at..]).map(|place| at + place) else {
            return Ok(bytes.len());
        };
        if self.end_line(bytes, place) {
            self.state = State::Between;
            return Ok(place + 1);
        }
        let before = self.byte_before(bytes, place);
        if before == self.delimiter {
            return Ok(self.open(place));
        }
        self.note_backslash(before);
        // As long as no value has swallowed a line, it is but a character.
        match self.several {
            Some(opened) => {
                let Self { line, backslash, .. } = *self;
                Err(Fault::Ambiguous { opened, line, backslash })
            }
            None => Ok(place + 1),
        }
    }

    fn quoted(&mut self, bytes: &[u8], at: usize) -> usize {
        let rest = &bytes[at..];
        let found = match self.escapes {
            true => memchr3(b'"', b'\\', b'\n', rest),
            false => memchr3(b'"', b'\n', b'\r', rest),
        };
        let found = match self.escapes {
            true => memchr(b'\r', &rest[..found.unwrap_or(rest.len())]).or(found),
            false => found,
        };
        let Some(place) = found.map(|place| at + place) else { return bytes.len() };
        match bytes[place] {
            b'"' => {
                let before = self.byte_before(bytes, place);
                self.note_backslash(before);
                self.state = State::Quote;
            }
            b'\\' => self.state = State::Escaped,
            _ => self.break_value(bytes, place),
        }
        place + 1
    }

    /// Counts a line that ends with a byte in quotes, if it does.
    fn break_value(&mut self, bytes: &[u8], at: usize) {
        if self.end_line(bytes, at) {
            self.several = Some(self.opened);
        }
    }

    fn behind_quote(&mut self, bytes: &[u8], at: usize) -> Result<usize, Fault> {
        self.state = match bytes[at] {
            b'"' => State::Quoted,
            byte if byte == self.delimiter => State::Plain,
            _ if self.end_line(bytes, at) => State::Between,
            _ => {
                let Self { opened, line, backslash, .. } = *self;
                return Err(Fault::AfterQuote { opened, line, backslash });
            }
        };
        Ok(at + 1)
    }

    fn open(&mut self, at: usize) -> usize {
        self.opened = self.line;
        self.state = State::Quoted;
        at + 1
    }

    /// Counts a line that ends with a byte, if it does; `\r\n` is one end.
    fn end_line(&mut self, bytes: &[u8], at: usize) -> bool {
        match bytes[at] {
            b'\n' => self.line += u64::from(self.byte_before(bytes, at) != b'\r'),
            b'\r' => self.line += 1,
            _ => return false,
        }
        true
    }

    fn byte_before(&self, bytes: &[u8], at: usize) -> u8 {
        at.checked_sub(1).map_or(self.before, |before| bytes[before])
    }

    fn note_backslash(&mut self, before: u8) {
        if before == b'\\' && !self.escapes {
            self.backslash.get_or_insert(self.line);
        }
    }
}
