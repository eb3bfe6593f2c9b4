//! A table as text with a header, and the comparison of two: numbers as
//! numbers, to the last digit the published file prints.

use std::fmt::Display;
use std::path::Path;

use chrono::NaiveDate;

/// Published numbers have at most six places.
const HALF_OF_THE_LAST_DIGIT: f64 = 5.1e-7;

/// Differences shown; more would say nothing new.
const SHOWN: usize = 12;

/// A table as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// Names of the columns.
    pub header: Vec<String>,
    /// Cells by row.
    pub rows: Vec<Vec<String>>,
}

impl Sheet {
    /// Reads CSV.
    pub fn parse(text: &str) -> Self {
        let mut lines = text.lines().map(cells);
        let header = lines.next().expect("a header");
        Self { header, rows: lines.collect() }
    }

    /// Reads a CSV file.
    pub fn read(path: &Path) -> Self {
        Self::parse(&std::fs::read_to_string(path).expect("a published table"))
    }

    /// A table of one row.
    pub fn of(values: &[(&str, &dyn Display)]) -> Self {
        let header = values.iter().map(|(name, _)| (*name).to_string()).collect();
        let row = values.iter().map(|(_, value)| value.to_string()).collect();
        Self { header, rows: vec![row] }
    }

    /// Columns under new names: `(new, old)`.
    pub fn named(&self, columns: &[(&str, &str)]) -> Self {
        let places: Vec<usize> = columns.iter().map(|(_, old)| self.place(old)).collect();
        let row = |row: &Vec<String>| places.iter().map(|place| row[*place].clone()).collect();
        Self {
            header: columns.iter().map(|(new, _)| (*new).to_string()).collect(),
            rows: self.rows.iter().map(row).collect(),
        }
    }

    /// Columns under their own names.
    pub fn only(&self, columns: &[&str]) -> Self {
        let columns: Vec<(&str, &str)> = columns.iter().map(|name| (*name, *name)).collect();
        self.named(&columns)
    }

    /// The rows in which a column has a value.
    pub fn with(&self, column: &str, value: &str) -> Self {
        let place = self.place(column);
        let rows = self.rows.iter().filter(|row| row[place] == value).cloned().collect();
        Self { header: self.header.clone(), rows }
    }

    /// The cells of a column.
    pub fn texts(&self, column: &str) -> Vec<&str> {
        let place = self.place(column);
        self.rows.iter().map(|row| row[place].as_str()).collect()
    }

    /// The cells of a column that are not null, as numbers.
    pub fn numbers(&self, column: &str) -> Vec<f64> {
        let texts = self.texts(column).into_iter().filter(|text| !text.is_empty());
        texts.map(|text| text.parse().expect("a number")).collect()
    }

    /// The cells of a column as days; null is none.
    pub fn days(&self, column: &str) -> Vec<Option<NaiveDate>> {
        self.texts(column).into_iter().map(|text| text.parse().ok()).collect()
    }

    /// The sum of a column, in hundredths: exact for money and counts.
    pub fn cents(&self, column: &str) -> i64 {
        self.texts(column).into_iter().map(cents).sum()
    }

    /// The cell of the only row.
    pub fn cell(&self, column: &str) -> &str {
        assert_eq!(self.rows.len(), 1, "one row, to have one {column}");
        self.texts(column)[0]
    }

    /// The number in the only row.
    pub fn number(&self, column: &str) -> f64 {
        self.cell(column).parse().expect("a number")
    }

    /// Fails with every difference from what is published, both ways.
    pub fn must_equal(&self, published: &Self) {
        assert_eq!(self.header, published.header);
        assert_eq!(self.rows.len(), published.rows.len(), "rows, ours and published");
        let mut differences = Vec::new();
        for (ours, theirs) in self.rows.iter().zip(&published.rows) {
            for (index, (a, b)) in ours.iter().zip(theirs).enumerate() {
                if !alike(a, b) {
                    let key = theirs[..index.min(3)].join(" ");
                    let name = &self.header[index];
                    differences.push(format!("{key} {name}: ours {a}, published {b}"));
                }
            }
        }
        let count = differences.len();
        differences.truncate(SHOWN);
        assert_eq!(count, 0, "cells differ:\n{}", differences.join("\n"));
    }

    fn place(&self, column: &str) -> usize {
        let place = self.header.iter().position(|name| name == column);
        place.unwrap_or_else(|| panic!("no column {column} among {:?}", self.header))
    }
}

/// Money or a count in hundredths; null is nothing.
pub fn cents(text: &str) -> i64 {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let number = |text: &str| if text.is_empty() { 0 } else { text.parse().expect("digits") };
    sign * (number(whole) * 100 + number(&format!("{fraction:0<2}")))
}

/// Whether two cells say the same: numbers, times, lists of numbers, or text.
fn alike(a: &str, b: &str) -> bool {
    let list = |text: &str| {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        Some(inner.split(", ").map(str::to_string).collect::<Vec<_>>())
    };
    match (a.parse::<f64>(), b.parse::<f64>(), list(a), list(b)) {
        (Ok(a), Ok(b), ..) => (a - b).abs() <= HALF_OF_THE_LAST_DIGIT,
        (_, _, Some(a), Some(b)) => {
            a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| alike(a, b))
        }
        _ => a.replace('T', " ") == b.replace('T', " "),
    }
}

/// The cells of a line; quotes hold commas together.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut is_quoted = false;
    for character in line.chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => cells.push(String::new()),
            other => cells.last_mut().expect("a cell").push(other),
        }
    }
    cells
}
