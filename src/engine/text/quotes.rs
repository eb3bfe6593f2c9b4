//! Follows the quotes of a CSV file, counts its records and its lines.
//!
//! The parser takes any text for CSV: a value whose quote is never closed ends
//! with the file, and text behind a closing quote belongs to the value. So lines
//! in which a quote is missing, or is written `\"`, become one record with those
//! that follow, and their orders are gone. This scan sees the same bytes and knows
//! what is no CSV. It looks only at quotes and line ends, so it costs little.

use memchr::{memchr, memchr3};

use super::Fault;

/// Bytes of a record that are kept from one chunk to the next.
const HELD_BYTES: usize = 1 << 20;

/// Columns that are enough to tell a row from a line of a text.
const COLUMNS_MIN: usize = 4;

/// Bytes of a value that are looked at one by one.
const NEAR_BYTES: usize = 24;

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
    /// The line in which the record begins.
    record_line: u64,
    /// Where it begins in the bytes that are taken, if it does there.
    record_at: Option<usize>,
    /// What was taken of it before; none where that is too much.
    held: Option<Vec<u8>>,
    /// Fields of a record, where they are known.
    columns: usize,
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

/// What a field begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Empty,
    Number,
    Word,
    Other,
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
            record_line: 1,
            record_at: None,
            held: None,
            columns: 0,
            opened: 0,
            several: None,
            backslash: None,
            wanted: None,
            found: None,
        }
    }

    /// The same, of a file with so many columns.
    pub fn of_columns(self, columns: usize) -> Self {
        Self { columns, ..self }
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
        self.hold(bytes);
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
            State::Between => Ok(self.records),
            State::Plain | State::Quote => self.end_record(&[]).map(|()| self.records),
        }
    }

    fn between(&mut self, bytes: &[u8], at: usize) -> usize {
        if self.end_line(bytes, at) {
            return at + 1;
        }
        self.records += 1;
        self.record_line = self.line;
        self.record_at = Some(at);
        self.held = Some(Vec::new());
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
        // Where all values stand in quotes, the next byte opens one.
        let found = match bytes[at] {
            b'"' => Some(at),
            _ => memchr3(b'"', b'\n', b'\r', &bytes[at..]).map(|place| at + place),
        };
        let Some(place) = found else { return Ok(bytes.len()) };
        if bytes[place] != b'"' {
            self.end_record(&bytes[..place])?;
            self.end_line(bytes, place);
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

    fn quoted(&mut self, bytes: &[u8], mut at: usize) -> usize {
        loop {
            let Some(place) = self.end_of_quoted(bytes, at) else { return bytes.len() };
            match bytes[place] {
                b'"' => {
                    let before = self.byte_before(bytes, place);
                    self.note_backslash(before);
                    // One value in quotes behind the other, as many programs write.
                    match bytes.get(place + 1..place + 3) {
                        Some([delimiter, b'"']) if *delimiter == self.delimiter => {
                            self.opened = self.line;
                            at = place + 3;
                            continue;
                        }
                        _ => self.state = State::Quote,
                    }
                }
                b'\\' => self.state = State::Escaped,
                _ => self.break_value(bytes, place),
            }
            return place + 1;
        }
    }

    /// The next byte in quotes that means something.
    fn end_of_quoted(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let means = |byte: u8| match byte {
            b'"' | b'\n' | b'\r' => true,
            b'\\' => self.escapes,
            _ => false,
        };
        // Most values are short, and not worth a search.
        let near = bytes.len().min(at + NEAR_BYTES);
        if let Some(place) = bytes[at..near].iter().position(|byte| means(*byte)) {
            return Some(at + place);
        }
        let rest = &bytes[near..];
        let found = memchr3(b'"', b'\n', b'\r', rest);
        let found = match self.escapes {
            true => memchr(b'\\', &rest[..found.unwrap_or(rest.len())]).or(found),
            false => found,
        };
        found.map(|place| near + place)
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
            b'\n' | b'\r' => {
                self.end_record(&bytes[..at])?;
                self.end_line(bytes, at);
                State::Between
            }
            _ => {
                let Self { opened, line, backslash, .. } = *self;
                return Err(Fault::AfterQuote { opened, line, backslash });
            }
        };
        Ok(at + 1)
    }

    /// Keeps the beginning of a record that goes on in the next bytes.
    fn hold(&mut self, bytes: &[u8]) {
        let begun = &bytes[self.record_at.take().unwrap_or(0)..];
        match &mut self.held {
            Some(held) if held.len() + begun.len() <= HELD_BYTES => {
                held.extend_from_slice(begun);
            }
            _ => self.held = None,
        }
    }

    /// That a record, of which these bytes are the rest, has not swallowed others: a
    /// missing quote and one too many further down are a value like any other, but
    /// each of its lines is a row of its own.
    fn end_record(&self, bytes: &[u8]) -> Result<(), Fault> {
        let Some(held) = &self.held else { return Ok(()) };
        if self.line == self.record_line || self.columns < COLUMNS_MIN {
            return Ok(());
        }
        let rest = &bytes[self.record_at.unwrap_or(0)..];
        let record = [held.as_slice(), rest].concat();
        let lines = record.split(|byte| matches!(byte, b'\n' | b'\r'));
        let mut lines = lines.filter(|line| !line.is_empty()).map(|line| self.look(line));
        let Some(first) = lines.next().filter(|first| first.len() == self.columns) else {
            return Ok(());
        };
        let is_alike = |line: &Vec<Look>| {
            let mut pairs = first.iter().zip(line);
            line.len() == first.len()
                && pairs.all(|(a, b)| a == b || *a == Look::Empty || *b == Look::Empty)
        };
        match lines.all(|line| is_alike(&line)) {
            true => Err(Fault::HoldsRows {
                opened: self.several.unwrap_or(self.record_line),
                line: self.line,
            }),
            false => Ok(()),
        }
    }

    /// What the fields of a line look like, if there were no quotes.
    fn look(&self, line: &[u8]) -> Vec<Look> {
        let fields = line.split(|byte| *byte == self.delimiter);
        let look = |field: &[u8]| match field.strip_prefix(b"\"").unwrap_or(field).first() {
            None => Look::Empty,
            Some(b'0'..=b'9' | b'-' | b'+' | b'.') => Look::Number,
            Some(byte) if byte.is_ascii_alphabetic() || !byte.is_ascii() => Look::Word,
            Some(_) => Look::Other,
        };
        fields.map(look).collect()
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
