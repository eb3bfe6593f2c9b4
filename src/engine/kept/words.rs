//! A column of few short texts, told by their places in a list.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, PrimitiveArray, StringArray, StringViewArray, make_view,
};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, UInt8Type};
use arrow::error::ArrowError;

/// The few short texts of a column, in the order in which they were met.
#[derive(Debug, Clone, Default)]
pub struct Words {
    /// As arrow's views have them: the length, then up to twelve bytes.
    views: Vec<u128>,
}

/// More words are no few: looking for them would cost more than they take up.
const WORDS_MAX: usize = 16;

/// Longer texts lie beside their views.
const WORD_BYTES_MAX: u32 = 12;

impl Words {
    /// Adds those of a column of texts, if all are short and it stays at few.
    pub fn learn(&mut self, column: &ArrayRef) -> bool {
        match column.as_string_view_opt() {
            Some(texts) => self.learn_views(texts.views().iter().copied(), column),
            None => self.learn_views(views(column.as_string()), column),
        }
    }

    fn learn_views(&mut self, views: impl Iterator<Item = u128>, column: &ArrayRef) -> bool {
        let mut last = None;
        for (row, view) in views.enumerate() {
            if last == Some(view) || column.is_null(row) {
                continue;
            }
            last = Some(view);
            if !self.views.contains(&view) {
                if self.views.len() == WORDS_MAX || length(view) > WORD_BYTES_MAX {
                    return false;
                }
                self.views.push(view);
            }
        }
        true
    }

    /// Adds those of other columns, if it stays at few.
    pub fn add(&mut self, other: &Self) -> bool {
        for view in &other.views {
            if !self.views.contains(view) {
                if self.views.len() == usize::from(u8::MAX) {
                    return false;
                }
                self.views.push(*view);
            }
        }
        true
    }

    /// The place of each text of a column.
    pub fn places(&self, column: &ArrayRef) -> ArrayRef {
        let places = match column.as_string_view_opt() {
            Some(texts) => self.places_of(texts.views().iter().copied()),
            None => self.places_of(views(column.as_string())),
        };
        Arc::new(PrimitiveArray::<UInt8Type>::new(places.into(), column.nulls().cloned()))
    }

    fn places_of(&self, views: impl Iterator<Item = u128>) -> Vec<u8> {
        let find = |view: u128| {
            let found = self.views.iter().position(|word| *word == view);
            // Behind a null stands anything.
            u8::try_from(found.unwrap_or(0)).unwrap_or(0)
        };
        let mut last = None;
        let place = |view: u128| match last {
            Some((same, place)) if same == view => place,
            _ => {
                let place = find(view);
                last = Some((view, place));
                place
            }
        };
        views.map(place).collect()
    }

    /// The texts at these places, as a type of text has them.
    ///
    /// # Errors
    /// It is no type of text.
    pub fn texts(
        &self,
        places: &PrimitiveArray<UInt8Type>,
        kind: &DataType,
    ) -> Result<ArrayRef, ArrowError> {
        let views = ScalarBuffer::from(self.views.clone());
        let words = StringViewArray::try_new(views, Vec::new(), None)?;
        let is_one = words.len() == 1 && places.null_count() == 0;
        match kind {
            DataType::Utf8 if is_one => {
                Ok(Arc::new(StringArray::new_repeated(words.value(0), places.len())))
            }
            _ => take(&cast(&words, kind)?, places, None),
        }
    }
}

/// Texts as views: the length, then up to twelve bytes, or where there are more.
fn views(texts: &StringArray) -> impl Iterator<Item = u128> {
    (0..texts.len()).map(|row| make_view(texts.value(row).as_bytes(), 0, 0))
}

/// The length of a view's text.
fn length(view: u128) -> u32 {
    view as u32
}
