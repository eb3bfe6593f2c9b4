//! A column of few short texts, told by their places in a list.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, PrimitiveArray, StringViewArray};
use arrow::buffer::ScalarBuffer;
use arrow::compute::take;
use arrow::datatypes::UInt8Type;
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
    /// Adds those of a column, if all are short and it stays at few.
    pub fn learn(&mut self, texts: &StringViewArray) -> bool {
        let mut last = None;
        for (row, view) in texts.views().iter().enumerate() {
            if last == Some(*view) || texts.is_null(row) {
                continue;
            }
            last = Some(*view);
            if !self.views.contains(view) {
                if self.views.len() == WORDS_MAX || length(*view) > WORD_BYTES_MAX {
                    return false;
                }
                self.views.push(*view);
            }
        }
        true
    }

    /// Adds those of other columns, if it stays at few.
    pub fn add(&mut self, other: &Self) -> bool {
        for view in &other.views {
            if !self.views.contains(view) {
                self.views.push(*view);
            }
        }
        self.views.len() <= usize::from(u8::MAX)
    }

    /// The place of each text.
    pub fn places(&self, texts: &StringViewArray) -> ArrayRef {
        let find = |view: &u128| {
            let found = self.views.iter().position(|word| word == view);
            // Behind a null stands anything.
            u8::try_from(found.unwrap_or(0)).unwrap_or(0)
        };
        let mut last = None;
        let place = |view: &u128| match last {
            Some((same, place)) if same == *view => place,
            _ => {
                let place = find(view);
                last = Some((*view, place));
                place
            }
        };
        let places: Vec<u8> = texts.views().iter().map(place).collect();
        Arc::new(PrimitiveArray::<UInt8Type>::new(places.into(), texts.nulls().cloned()))
    }

    /// The texts at these places.
    pub fn texts(&self, places: &PrimitiveArray<UInt8Type>) -> Result<ArrayRef, ArrowError> {
        let views = ScalarBuffer::from(self.views.clone());
        take(&StringViewArray::try_new(views, Vec::new(), None)?, places, None)
    }
}

/// The length of a view's text.
fn length(view: u128) -> u32 {
    view as u32
}
