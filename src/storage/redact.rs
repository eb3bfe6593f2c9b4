//! Keeps secrets out of whatever is shown, logged or recorded.
//!
//! Causes come from HTTP clients and may quote a request; this module knows
//! the secret values in use and the names of signed query parameters, and
//! blanks both. It does not decide what is a secret: `config` does.

use std::fmt;

const BLANK: &str = "[redacted]";

/// Query parameters whose value signs or authorises a request.
const SIGNED_PARAMETERS: [&str; 6] = [
    "sig=",
    "X-Amz-Signature=",
    "X-Amz-Credential=",
    "X-Amz-Security-Token=",
    "X-Goog-Signature=",
    "access_token=",
];

/// Shorter values are never blanked: they would match ordinary words.
const SECRET_LEN_MIN: usize = 6;

/// Replaces the secret values it was given, and signatures, in any text.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    secrets: Vec<String>,
}

impl Redactor {
    /// Remembers `secrets`, each also in its URL-encoded form.
    pub(crate) fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut known = Vec::new();
        for secret in secrets {
            if secret.len() < SECRET_LEN_MIN {
                continue;
            }
            let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            if encoded != secret {
                known.push(encoded);
            }
            known.push(secret);
        }
        // Longest first, so that a secret that contains another leaves no rest.
        known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        known.dedup();
        Self { secrets: known }
    }

    /// `text` with every known secret and every request signature blanked.
    pub(crate) fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret.as_str(), BLANK);
        }
        for parameter in SIGNED_PARAMETERS {
            text = blank_parameter(&text, parameter);
        }
        text
    }
}

/// The number of secrets only, never one of them.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} secrets)", self.secrets.len())
    }
}

fn blank_parameter(text: &str, parameter: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(parameter) {
        let (before, after) = rest.split_at(at + parameter.len());
        clean.push_str(before);
        clean.push_str(BLANK);
        let value_end = after
            .find(|c: char| c == '&' || c == '"' || c == ')' || c.is_whitespace())
            .unwrap_or(after.len());
        rest = &after[value_end..];
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_signatures_are_blanked_raw_and_encoded() {
        let redactor = Redactor::new(["ab/cd+ef==".to_owned()]);
        let text = "GET https://h/x?sig=AAA%3D&se=1 with ab/cd+ef== or ab%2Fcd%2Bef%3D%3D";
        assert_eq!(
            redactor.clean(text),
            "GET https://h/x?sig=[redacted]&se=1 with [redacted] or [redacted]"
        );
        assert_eq!(format!("{redactor:?}"), "Redactor(2 secrets)");
    }

    #[test]
    fn short_values_are_left_alone() {
        assert_eq!(Redactor::new(["a".to_owned()]).clean("a banana"), "a banana");
    }
}
