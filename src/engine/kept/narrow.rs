//! Columns in as few bytes as what they hold needs: money of 16 bytes a value
//! is a handful of cents, a state one of five words.
//!
//! What a run keeps is written once and read a few times. Fewer bytes cost one
//! pass over a column that lies in the cache, and save the copies and the disk.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use super::widths::{Span, Width, above, from_above, moved, nulls, repeated};
use super::words::Words;

/// How the values of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Not at all: they are all null.
    Nothing,
    /// Numbers, dates, instants, money or yes and no: as the steps above the least.
    /// All alike, they are not written.
    Above(Span),
    /// Texts, each one of few words: as the word's place.
    Words,
    /// As they are.
    Plain,
}

impl Form {
    /// The narrowest for a column; words it has are added to those known.
    pub fn of(column: &ArrayRef, words: &mut Words) -> Self {
        if column.null_count() == column.len() {
            return Self::Nothing;
        }
        match column.data_type() {
            DataType::Utf8View | DataType::Utf8 => match words.learn(column) {
                true => Self::Words,
                false => Self::Plain,
            },
            _ => Span::of(column).map_or(Self::Plain, Self::Above),
        }
    }

    /// One that can hold what either holds.
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Above(span), Self::Above(other)) => Self::Above(span.or(other)),
            (Self::Nothing, Self::Above(span)) | (Self::Above(span), Self::Nothing) => {
                Self::Above(Span { is_full: false, ..span })
            }
            (Self::Nothing, same) | (same, Self::Nothing) => same,
            (Self::Words, Self::Words) => Self::Words,
            _ => Self::Plain,
        }
    }

    /// A column in this form; nothing if there is nothing to write.
    pub fn narrowed(self, column: &ArrayRef, words: &Words) -> Option<ArrayRef> {
        match self {
            Self::Nothing => None,
            Self::Above(span) => {
                (span.width(column.data_type()) != Width::Zero).then(|| above(column, &span))
            }
            Self::Words => Some(words.places(column)),
            Self::Plain => Some(Arc::clone(column)),
        }
    }

    /// A column that lies in another form, in this one, which holds what that holds;
    /// `None` where it must be widened first.
    pub fn rebased(
        self,
        was: Self,
        stored: Option<&ArrayRef>,
        kind: &DataType,
    ) -> Option<Option<ArrayRef>> {
        match (self, was) {
            (Self::Nothing, _) => Some(None),
            (Self::Plain, Self::Plain) => Some(stored.cloned()),
            (Self::Above(span), Self::Above(from)) => match (span.width(kind), from.width(kind)) {
                (Width::Zero, _) => Some(None),
                (Width::Own, Width::Own) => Some(stored.cloned()),
                (Width::Own, _) | (_, Width::Zero | Width::Own) => None,
                _ => Some(Some(moved(stored?, &from, &span, kind))),
            },
            _ => None,
        }
    }

    /// Bytes of a value of a type, where all have as many.
    pub fn value_bytes(self, kind: &DataType) -> Option<usize> {
        match self {
            Self::Nothing => Some(0),
            Self::Above(span) => Some(span.width(kind).bytes(kind)),
            Self::Words => Some(1),
            Self::Plain => kind.primitive_width(),
        }
    }

    /// The column of a type that was narrowed.
    ///
    /// # Errors
    /// It was not written in this form.
    pub fn widened(
        self,
        stored: Option<&ArrayRef>,
        kind: &DataType,
        words: &Words,
        rows: usize,
    ) -> Result<ArrayRef, ArrowError> {
        let lacks = || ArrowError::IpcError("a kept column was not written".into());
        match self {
            Self::Nothing => Ok(nulls(kind, rows)),
            Self::Above(span) => match span.width(kind) {
                Width::Zero => Ok(repeated(span.least, kind, rows)),
                _ => Ok(from_above(stored.ok_or_else(lacks)?, &span, kind)),
            },
            Self::Words => words.texts(stored.ok_or_else(lacks)?.as_primitive(), kind),
            Self::Plain => stored.cloned().ok_or_else(lacks),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
        StringArray, StringViewArray, TimestampMicrosecondArray,
    };
    use arrow::datatypes::TimeUnit;

    use super::*;

    /// What is left of a column, and that it comes back as it was.
    fn stored(column: ArrayRef) -> Option<DataType> {
        let mut words = Words::default();
        let form = Form::of(&column, &mut words);
        let whole_table = form.or(Form::of(&column.slice(1, column.len() - 1), &mut words));
        for form in [form, whole_table] {
            let stored = form.narrowed(&column, &words);
            let back = form.widened(stored.as_ref(), column.data_type(), &words, column.len());
            assert_eq!(&back.expect("written in this form"), &column, "{form:?}");
            for wider in [whole_table, wider(form, 200), wider(form, 70_000), wider(form, 1 << 33)]
            {
                let rebased = wider.rebased(form, stored.as_ref(), column.data_type());
                if let Some(rebased) = rebased {
                    assert_eq!(rebased, wider.narrowed(&column, &words), "{form:?}, {wider:?}");
                }
            }
        }
        form.narrowed(&column, &words).map(|stored| stored.data_type().clone())
    }

    /// A form that holds as much less, too.
    fn wider(form: Form, by: i64) -> Form {
        match form {
            Form::Above(span) => {
                let least = span.least.saturating_sub(by);
                form.or(Form::Above(Span { least, most: least, step: 0, is_full: true }))
            }
            other => other,
        }
    }

    fn numbers(values: &[Option<i64>]) -> ArrayRef {
        Arc::new(Int64Array::from(values.to_vec()))
    }

    fn money(values: &[Option<i128>]) -> ArrayRef {
        let values = Decimal128Array::from(values.to_vec());
        Arc::new(values.with_precision_and_scale(38, 2).expect("a decimal"))
    }

    #[test]
    fn numbers_take_as_many_bytes_as_they_differ() {
        assert_eq!(stored(numbers(&[Some(7), Some(7)])), None);
        assert_eq!(stored(numbers(&[None, None])), None);
        assert_eq!(stored(numbers(&[Some(7), None])), Some(DataType::UInt8));
        assert_eq!(stored(numbers(&[Some(1 << 40), Some((1 << 40) + 255)])), Some(DataType::UInt8));
        assert_eq!(stored(numbers(&[Some(-200), Some(200)])), Some(DataType::UInt16));
        assert_eq!(stored(numbers(&[Some(-40_000), Some(40_000)])), Some(DataType::UInt32));
        assert_eq!(stored(numbers(&[Some(i64::MIN), Some(i64::MAX)])), Some(DataType::Int64));
        assert_eq!(stored(numbers(&[Some(0), None, Some(1 << 32)])), Some(DataType::Int64));
        let dates = Date32Array::from(vec![Some(i32::MIN), None, Some(i32::MAX)]);
        assert_eq!(stored(Arc::new(dates)), Some(DataType::Date32));
        let small = Int32Array::from(vec![i32::MIN, i32::MIN + 300]);
        assert_eq!(stored(Arc::new(small)), Some(DataType::UInt16));
    }

    #[test]
    fn instants_take_as_many_bytes_as_days_or_seconds_they_differ() {
        let instants = |values: &[Option<i64>]| -> Option<DataType> {
            let values = TimestampMicrosecondArray::from(values.to_vec());
            stored(Arc::new(values.with_timezone("UTC")))
        };
        let second = 1_000_000;
        let day = 86_400 * second;
        let zone = 5_400 * second;
        assert_eq!(instants(&[Some(7), Some(7)]), None);
        assert_eq!(instants(&[Some(zone), Some(zone + 255 * day)]), Some(DataType::UInt8));
        assert_eq!(instants(&[Some(-700 * day), None, Some(0)]), Some(DataType::UInt16));
        assert_eq!(instants(&[Some(0), Some(day), Some(day + second)]), Some(DataType::UInt32));
        assert_eq!(instants(&[Some(1_000), Some(2_000)]), Some(DataType::UInt8));
        assert_eq!(
            instants(&[Some(0), Some(day), Some(1)]),
            Some(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
        );
    }

    #[test]
    fn money_takes_as_many_bytes_as_it_differs() {
        assert_eq!(stored(money(&[Some(-5), Some(-5)])), None);
        assert_eq!(stored(money(&[Some(-5), None, Some(250)])), Some(DataType::UInt8));
        assert_eq!(stored(money(&[Some(0), Some(1 << 31)])), Some(DataType::UInt32));
        let ends = [Some(i128::from(i64::MIN)), None, Some(i128::from(i64::MAX))];
        assert_eq!(stored(money(&ends)), Some(DataType::UInt64));
        let more = Some(i128::from(i64::MAX) + 1);
        assert_eq!(stored(money(&[Some(0), more])), Some(DataType::Decimal128(38, 2)));
    }

    #[test]
    fn few_words_are_told_by_their_place() {
        few_words(|texts| Arc::new(StringViewArray::from(texts)));
        few_words(|texts| Arc::new(StringArray::from(texts)));
    }

    fn few_words(text: impl Fn(Vec<Option<&str>>) -> ArrayRef) {
        let plain = text(vec![None]).data_type().clone();
        assert_eq!(
            stored(text(vec![Some("new"), None, Some(""), Some("new")])),
            Some(DataType::UInt8)
        );
        assert_eq!(stored(text(vec![Some("exactly 12 b"), None])), Some(DataType::UInt8));
        assert_eq!(stored(text(vec![Some("new"), Some("thirteen byte")])), Some(plain.clone()));
        let many: Vec<String> = (0..100).map(|n| format!("word {n}")).collect();
        let many = many.iter().map(|word| Some(word.as_str())).collect();
        assert_eq!(stored(text(many)), Some(plain));
    }

    #[test]
    fn yes_and_no_take_nothing_where_they_are_alike() {
        let answers = |values: Vec<Option<bool>>| stored(Arc::new(BooleanArray::from(values)));
        assert_eq!(answers(vec![Some(false), Some(false)]), None);
        assert_eq!(answers(vec![Some(true), Some(true)]), None);
        assert_eq!(answers(vec![Some(true), None, Some(true)]), Some(DataType::Boolean));
        assert_eq!(answers(vec![Some(true), Some(false), Some(false)]), Some(DataType::Boolean));
    }

    #[test]
    fn what_is_no_number_stays() {
        let rates = Float64Array::from(vec![0.5, 0.5]);
        assert_eq!(stored(Arc::new(rates)), Some(DataType::Float64));
    }

    #[test]
    fn a_form_of_several_batches_holds_them_all() {
        let span = |least, most, step, is_full| Form::Above(Span { least, most, step, is_full });
        let few = span(5, 9, 2, true);
        assert_eq!(few.or(span(-1, 7, 4, false)), span(-1, 9, 2, false));
        assert_eq!(few.or(span(6, 6, 0, true)), span(5, 9, 1, true));
        assert_eq!(span(5, 5, 0, true).or(span(12, 12, 0, true)), span(5, 12, 7, true));
        assert_eq!(few.or(Form::Nothing), span(5, 9, 2, false));
        assert_eq!(Form::Nothing.or(Form::Words), Form::Words);
        assert_eq!(few.or(Form::Plain), Form::Plain);
        assert_eq!(Form::Nothing.or(Form::Nothing), Form::Nothing);
    }
}
