//! Values of the environment in what is said of a failure: a place that a pipeline
//! writes as `${WAREHOUSE_URL}/tables` is told as it is written there, for whoever
//! reads a log need not know the value, and it may be more than a place.

use crate::plan::Variables;

/// A shorter value in a sentence may be a word of it.
const VALUE_LEN_MIN: usize = 6;

/// The variables that a pipeline names, with their values, the longest first.
#[derive(Debug, Clone, Default)]
pub struct Concealed {
    values: Vec<(String, String)>,
}

impl Concealed {
    /// The variables that the text of a pipeline names.
    #[cfg(test)]
    fn of(pipeline: &str, variables: &Variables) -> Self {
        let mut all = Self::default();
        all.add(pipeline, variables);
        all
    }

    /// Adds those of another pipeline.
    pub fn add(&mut self, pipeline: &str, variables: &Variables) {
        let named = pipeline.split("${").skip(1).map(|rest| {
            rest.split(|letter: char| letter != '_' && !letter.is_ascii_alphanumeric()).next()
        });
        let values = &mut self.values;
        for name in named.flatten() {
            let value = variables.get(name).map_or("", |value| value.trim_end_matches('/'));
            // A URL may be told without its scheme, and a path by its end.
            let behind = value.split_once(':').map_or(value, |(_, behind)| behind);
            let end = value.rsplit('/').next().filter(|end| is_no_word(end)).unwrap_or(value);
            for form in [value, behind.trim_start_matches('/'), end] {
                if !form.is_empty() && !values.iter().any(|(known, _)| known == form) {
                    values.push((form.to_owned(), format!("${{{name}}}")));
                }
            }
        }
        values.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    }

    /// A place: each value in it as the pipeline writes it.
    pub fn in_place(&self, place: &str) -> String {
        self.values
            .iter()
            .fold(place.to_owned(), |place, (value, name)| replace_whole(&place, value, name))
    }

    /// A sentence: each value in it that can be no word of a sentence.
    pub fn in_text(&self, text: &str) -> String {
        let values = self.values.iter().filter(|(value, _)| is_no_word(value));
        values.fold(text.to_owned(), |text, (value, name)| replace_whole(&text, value, name))
    }
}

/// Whether a value can be no word of a sentence.
fn is_no_word(value: &str) -> bool {
    let is_word = value.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    value.len() >= VALUE_LEN_MIN && !is_word
}

/// Replaces a value where it is not part of a longer word.
fn replace_whole(text: &str, value: &str, name: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(value) {
        let (before, after) = (&rest[..start], &rest[start + value.len()..]);
        let is_letter = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
        let is_part = is_letter(before.chars().next_back()) && is_letter(value.chars().next())
            || is_letter(after.chars().next()) && is_letter(value.chars().next_back());
        out.push_str(before);
        out.push_str(if is_part { value } else { name });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concealed(pairs: &[(&str, &str)], pipeline: &str) -> Concealed {
        let variables = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Concealed::of(pipeline, &variables.collect())
    }

    #[test]
    fn a_value_is_told_as_it_is_written() {
        let all = concealed(
            &[("LAKE", "s3://lake-7f3a/in/"), ("DIR", "orders"), ("HOME", "/home/x")],
            "url: ${LAKE}/orders\nother: ${DIR:-out}",
        );
        assert_eq!(all.in_place("s3://lake-7f3a/in/orders/1.csv"), "${LAKE}/${DIR}/1.csv");
        assert_eq!(all.in_text("cannot list s3://lake-7f3a/in: gone"), "cannot list ${LAKE}: gone");
        assert_eq!(all.in_text("write `gs://lake-7f3a/in`"), "write `gs://${LAKE}`");
        assert_eq!(all.in_text("source `orders` has none"), "source `orders` has none");
        assert_eq!(all.in_place("/home/x/reorders"), "/home/x/reorders");
    }

    #[test]
    fn the_longest_value_is_told_first() {
        let all = concealed(&[("A", "/data"), ("B", "/data/customers-2024")], "${A} ${B}");
        assert_eq!(all.in_place("/data/customers-2024/x"), "${B}/x");
        assert_eq!(all.in_place("/data/other"), "${A}/other");
    }
}
