//! Calendar periods, by looking at the calendar.

use chrono::{Datelike, Days, Months, NaiveDate};

/// A kind of calendar period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

/// All of them.
pub const GRAINS: [Grain; 5] = [Grain::Day, Grain::Week, Grain::Month, Grain::Quarter, Grain::Year];

impl Grain {
    /// As the parameter is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }

    /// The first day of the period a day lies in.
    pub fn start(self, day: NaiveDate) -> NaiveDate {
        let first = |month| NaiveDate::from_ymd_opt(day.year(), month, 1).expect("a first");
        match self {
            Self::Day => day,
            Self::Week => day - Days::new(day.weekday().num_days_from_monday().into()),
            Self::Month => first(day.month()),
            Self::Quarter => first((day.month() - 1) / 3 * 3 + 1),
            Self::Year => first(1),
        }
    }

    /// The first day of the next period.
    fn next(self, start: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => start + Days::new(1),
            Self::Week => start + Days::new(7),
            Self::Month => start + Months::new(1),
            Self::Quarter => start + Months::new(3),
            Self::Year => start + Months::new(12),
        }
    }

    /// The running number that the tables document.
    pub fn number(self, day: NaiveDate) -> i64 {
        let start = self.start(day);
        let days_since = |year, month, day| {
            (start - NaiveDate::from_ymd_opt(year, month, day).expect("a day")).num_days()
        };
        let (year, month) = (i64::from(start.year()), i64::from(start.month()));
        match self {
            Self::Day => days_since(1970, 1, 1),
            Self::Week => days_since(1969, 12, 29) / 7,
            Self::Month => year * 12 + month - 1,
            Self::Quarter => year * 4 + (month - 1) / 3,
            Self::Year => year,
        }
    }

    /// Every period from that of `first` to that of `as_of`.
    pub fn periods(self, first: NaiveDate, as_of: NaiveDate) -> Vec<Period> {
        let mut periods = Vec::new();
        let mut start = self.start(first);
        while start <= as_of {
            let next = self.next(start);
            let end = next - Days::new(1);
            periods.push(Period {
                number: self.number(start),
                start,
                end,
                is_complete: end <= as_of,
            });
            start = next;
        }
        periods
    }
}

/// A period of a calendar.
#[derive(Clone, Copy, Debug)]
pub struct Period {
    pub number: i64,
    pub start: NaiveDate,
    /// Its last day.
    pub end: NaiveDate,
    /// Whether `$as_of` lets it finish.
    pub is_complete: bool,
}

impl Period {
    /// Whether a day lies in it.
    pub fn holds(&self, day: NaiveDate) -> bool {
        self.start <= day && day <= self.end
    }
}
