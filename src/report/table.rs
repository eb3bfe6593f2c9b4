//! Rows as text: a table for people, CSV and JSON lines for programs.

use std::borrow::Cow;
use std::io::Write;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::csv;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use arrow::json;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::{Cell, CellAlignment, Table, TableComponent, presets};

use super::units;
use crate::visible::visible;

/// Places of a number that is neither money nor a share.
const DECIMALS: usize = 4;

/// How cells look; nulls are empty, as in CSV.
const OPTIONS: FormatOptions<'static> = FormatOptions::new()
    .with_null("")
    .with_date_format(Some("%Y-%m-%d"))
    .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S"));

/// A table for people, growing row by row.
#[derive(Debug)]
pub struct TextTable {
    table: Table,
}

impl TextTable {
    /// A table with a head.
    pub fn new<S: AsRef<str>>(head: impl IntoIterator<Item = S>) -> Self {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_style(TableComponent::HeaderLines, '─');
        table.set_style(TableComponent::MiddleHeaderIntersections, '─');
        table.set_header(head.into_iter().map(|name| Cell::new(visible(name.as_ref()))));
        Self { table }
    }

    /// Adds a row.
    pub fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.table.add_row(cells.into_iter().map(|cell| Cell::new(visible(cell.as_ref()))));
    }

    /// Aligns a column to the right, as numbers are read.
    pub fn right(&mut self, index: usize) {
        if let Some(column) = self.table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }

    /// Adds the rows of a batch.
    ///
    /// # Errors
    /// A type nobody can print.
    pub fn batch(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns()).map(|(field, array)| {
            Ok((field.name().as_str(), array, ArrayFormatter::try_new(array, &OPTIONS)?))
        });
        let columns: Vec<_> = columns.collect::<Result<_, ArrowError>>()?;
        for row in 0..batch.num_rows() {
            let cell = |(name, array, formatter): &(&str, &_, ArrayFormatter<'_>)| {
                real(name, array, row).unwrap_or_else(|| formatter.value(row).to_string())
            };
            self.row(columns.iter().map(cell));
        }
        for (index, field) in schema.fields().iter().enumerate() {
            if field.data_type().is_numeric() {
                self.right(index);
            }
        }
        Ok(())
    }

    /// The table as lines.
    pub fn render(mut self) -> String {
        for column in self.table.column_iter_mut() {
            column.set_padding((0, 1));
        }
        let mut text = self.table.trim_fmt();
        text.push('\n');
        text
    }
}

/// A real number, short enough to be read: shares in percent.
fn real(name: &str, array: &dyn Array, row: usize) -> Option<String> {
    if array.data_type() != &DataType::Float64 || array.is_null(row) {
        return None;
    }
    let value = array.as_primitive::<Float64Type>().value(row);
    if name.ends_with("_rate") || name.ends_with("_share") {
        return Some(units::percent(value));
    }
    let text = format!("{value:.DECIMALS$}");
    Some(text.trim_end_matches('0').trim_end_matches('.').to_string())
}

/// A name as CSV has it.
fn quoted(name: &str) -> Cow<'_, str> {
    match name.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", name.replace('"', "\"\"")).into(),
        false => name.into(),
    }
}

/// Rows for programs, written as they come.
#[derive(Debug)]
pub struct Rows<W: Write> {
    out: Encoder<W>,
}

#[derive(Debug)]
enum Encoder<W: Write> {
    // Much larger than the other, so it stands elsewhere.
    Csv(Box<csv::Writer<W>>),
    Json(json::LineDelimitedWriter<W>),
}

impl<W: Write> Rows<W> {
    /// CSV with a head, even where there is no row.
    ///
    /// # Errors
    /// The head cannot be written.
    pub fn csv(mut out: W, head: &[String]) -> Result<Self, ArrowError> {
        let head: Vec<_> = head.iter().map(|name| quoted(name)).collect();
        writeln!(out, "{}", head.join(","))?;
        let writer = csv::WriterBuilder::new().with_header(false).build(out);
        Ok(Self { out: Encoder::Csv(Box::new(writer)) })
    }

    /// One JSON object a line; nulls are written.
    pub fn json(out: W) -> Self {
        let builder = json::WriterBuilder::new().with_explicit_nulls(true);
        Self { out: Encoder::Json(builder.build(out)) }
    }

    /// Adds the rows of a batch.
    ///
    /// # Errors
    /// A type nobody can print, or nobody reads any more.
    pub fn batch(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        match &mut self.out {
            Encoder::Csv(writer) => writer.write(batch),
            Encoder::Json(writer) => writer.write(batch),
        }
    }

    /// Completes what is written and gives the stream back.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub fn finish(self) -> Result<W, ArrowError> {
        match self.out {
            Encoder::Csv(writer) => Ok(writer.into_inner()),
            Encoder::Json(mut writer) => {
                writer.finish()?;
                Ok(writer.into_inner())
            }
        }
    }
}
