//! Days, instants and run ids: what time is called in records and paths.
//!
//! Time is always passed in as a [`Clock`]; only `Clock::system` looks at the
//! machine. Leases do not use it at all: they go by the store's time.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

const DAY_FORMAT: &str = "%Y-%m-%d";
const RUN_TIME_FORMAT: &str = "%Y%m%dT%H%M%S%3fZ";
/// Length of `20261120T020000000Z`.
const RUN_TIME_LEN: usize = 19;

/// Where the time comes from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Self {
        Self::new(Utc::now)
    }

    /// Any other source of time.
    pub fn new(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The instant this clock shows, in UTC; a new one with each call.
    pub fn now(&self) -> DateTime<Utc> {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// A text that does not name a day or a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct Malformed {
    text: String,
    expected: &'static str,
}

/// The day a table is about, written `2026-11-20` in paths and records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(NaiveDate);

impl Day {
    /// The day as a calendar date, without a time zone.
    pub fn date(self) -> NaiveDate {
        self.0
    }
}

impl From<NaiveDate> for Day {
    fn from(date: NaiveDate) -> Self {
        Self(date)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format(DAY_FORMAT))
    }
}

impl FromStr for Day {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        NaiveDate::parse_from_str(text, DAY_FORMAT)
            .map(Self)
            .map_err(|_| Malformed { text: text.to_owned(), expected: "a day like 2026-11-20" })
    }
}

impl TryFrom<String> for Day {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

/// Names a run: UTC time to the millisecond, so that names sort by age, and a
/// random end, so that two runs of one instant differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

impl RunId {
    /// The id of a run that starts at `now`; `random` comes from the caller.
    pub fn new(now: DateTime<Utc>, random: u32) -> Self {
        Self(format!("{}-{random:08x}", now.format(RUN_TIME_FORMAT)))
    }

    /// A new id, at the clock's time and with a random end.
    pub fn fresh(clock: &Clock) -> Self {
        Self::new(clock.now(), uuid::Uuid::new_v4().as_fields().0)
    }

    /// The id as it stands in paths and records, such as
    /// `20261120T020000000Z-1a2b3c4d`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RunId {
    type Err = Malformed;

    /// Run ids become paths, so only the exact shape is accepted.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let shaped = text.split_once('-').is_some_and(|(time, random)| {
            time.len() == RUN_TIME_LEN
                && time.ends_with('Z')
                && time.bytes().all(|byte| byte.is_ascii_digit() || byte == b'T' || byte == b'Z')
                && random.len() == 8
                && random.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        if shaped {
            Ok(Self(text.to_owned()))
        } else {
            Err(Malformed {
                text: text.to_owned(),
                expected: "a run id like 20261120T020000000Z-1a2b3c4d",
            })
        }
    }
}

impl TryFrom<String> for RunId {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

/// Instants in records: RFC 3339, UTC, milliseconds.
pub(super) mod instant {
    use chrono::{DateTime, SecondsFormat, Utc};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(at: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<DateTime<Utc>, D::Error> {
        let text = String::deserialize(from)?;
        DateTime::parse_from_rfc3339(&text).map(|at| at.to_utc()).map_err(D::Error::custom)
    }
}

/// As [`instant`], for an instant that may be missing.
pub(super) mod maybe_instant {
    use chrono::{DateTime, Utc};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Instant(#[serde(with = "super::instant")] DateTime<Utc>);

    #[expect(clippy::ref_option, reason = "serde passes the field as it is")]
    pub(crate) fn serialize<S: Serializer>(
        at: &Option<DateTime<Utc>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        at.map(Instant).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<DateTime<Utc>>, D::Error> {
        Ok(Option::<Instant>::deserialize(from)?.map(|instant| instant.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_sort_by_time_and_parse_back() {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).expect("time").to_utc();
        let early = RunId::new(at("2026-11-20T02:00:00.009Z"), 0xffff_ffff);
        let late = RunId::new(at("2026-11-20T02:00:00.010Z"), 0);
        assert_eq!(early.as_str(), "20261120T020000009Z-ffffffff");
        assert!(early < late);
        assert_eq!(late.to_string().parse(), Ok(late));
        for wrong in ["", "../../etc", "20261120T020000009Z-ffff/..", "20261120-ffffffff"] {
            assert!(wrong.parse::<RunId>().is_err(), "{wrong}");
        }
    }
}
