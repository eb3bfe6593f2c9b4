//! The days of the history, and how fast time runs on them.
//!
//! Seasons enter by a change of time: every process runs at its constant rate
//! on a [`Clock`] that goes faster in December and slower at night. Nothing
//! is thinned, so a customer's long-run rate stays what was drawn. Who buys
//! is not known here.

use chrono::{Datelike, Months, NaiveDate};

pub(super) const SECONDS_A_DAY: u32 = 86_400;
pub(super) const SECONDS_A_WEEK: f64 = 604_800.0;
const DAYS_A_MONTH: f64 = 365.25 / 12.0;

/// More customers join each month than in the month before, by this share.
pub(super) const JOINING_GROWTH_PER_MONTH: f64 = 0.02;
/// Joining follows the season of buying half as strongly.
pub(super) const JOINING_SEASONALITY: f64 = 0.5;

/// Speed of buying on Monday to Sunday; the mean is 1.
const WEEKDAYS: [f64; 7] = [0.92, 0.90, 0.93, 0.98, 1.12, 1.18, 0.97];
/// Speed of buying in January to December, before it is scaled to a mean of 1
/// over the days of the year: a Christmas peak and a quiet summer.
const MONTHS: [f64; 12] = [0.86, 0.84, 0.93, 0.95, 0.98, 0.96, 0.90, 0.91, 0.98, 1.04, 1.27, 1.38];
/// Days of the months in an average year of the Julian calendar, which the
/// Gregorian follows from 1901 to 2099.
const MONTH_DAYS: [f64; 12] =
    [31.0, 28.25, 31.0, 30.0, 31.0, 30.0, 31.0, 31.0, 30.0, 31.0, 30.0, 31.0];
/// How purchases spread over the hours of a day (UTC), in percent, seasons or
/// not: a quiet night, a peak after work.
const HOURS: [f64; 24] = [
    0.8, 0.5, 0.2, 0.1, 0.1, 0.3, 0.8, 1.8, 3.2, 4.6, 5.6, 6.0, //
    6.4, 6.0, 5.6, 5.6, 6.0, 6.8, 7.6, 8.2, 8.6, 7.8, 5.0, 2.4,
];

/// The history from its first day to the day after its last.
pub(super) struct Calendar {
    pub(super) start: NaiveDate,
    /// First day after the history.
    pub(super) end: NaiveDate,
    /// Calendar months touched by the history, in order.
    pub(super) months: Vec<Month>,
    /// Runs one week a week in the long run.
    pub(super) buying: Clock,
    /// Runs from 0 to its end while all customers join.
    pub(super) joining: Clock,
}

/// A calendar month, of which the history may hold a part only.
pub(super) struct Month {
    /// First day of the month that is in the history.
    pub(super) first: NaiveDate,
    /// Seconds from the start of the history.
    start_s: u32,
}

impl Calendar {
    /// None where the days leave what a date can be.
    pub(super) fn new(start: NaiveDate, months: u32, seasonality: bool) -> Option<Self> {
        let end = start.checked_add_months(Months::new(months))?;
        let season = |day: NaiveDate| if seasonality { season(day) } else { 1.0 };
        let days = || start.iter_days().take_while(|day| *day < end);
        let joining = |(number, day)| {
            let months = number as f64 / DAYS_A_MONTH;
            let growth = libm::exp(months * libm::log(1.0 + JOINING_GROWTH_PER_MONTH));
            growth * (1.0 + JOINING_SEASONALITY * (season(day) - 1.0))
        };
        Some(Self {
            start,
            end,
            months: calendar_months(start, end),
            buying: Clock::new(days().map(season)),
            joining: Clock::new(days().enumerate().map(joining)),
        })
    }

    /// Length of the history in seconds.
    pub(super) fn end_s(&self) -> u32 {
        self.buying.days() * SECONDS_A_DAY
    }

    /// The month in which a second lies, as an index into `months`.
    pub(super) fn month_index(&self, at_s: u32) -> usize {
        self.months.partition_point(|month| month.start_s <= at_s).saturating_sub(1)
    }

    /// A time in microseconds since 1970, as Parquet has it.
    pub(super) fn micros(&self, at_s: u32) -> i64 {
        self.epoch_s(at_s) * 1_000_000
    }

    /// A time as the number of its day since 1970.
    pub(super) fn epoch_day(&self, at_s: u32) -> i32 {
        (self.epoch_s(at_s).div_euclid(i64::from(SECONDS_A_DAY))) as i32
    }

    fn epoch_s(&self, at_s: u32) -> i64 {
        self.start.and_time(chrono::NaiveTime::MIN).and_utc().timestamp() + i64::from(at_s)
    }
}

fn calendar_months(start: NaiveDate, end: NaiveDate) -> Vec<Month> {
    start
        .iter_days()
        .take_while(|day| *day < end)
        .filter(|day| *day == start || day.day() == 1)
        .map(|first| Month { first, start_s: (first - start).num_days() as u32 * SECONDS_A_DAY })
        .collect()
}

/// Speed of buying on a day.
fn season(day: NaiveDate) -> f64 {
    WEEKDAYS[day.weekday().num_days_from_monday() as usize] * month_factors()[day.month0() as usize]
}

/// Speed of buying on Monday to Sunday.
pub(super) fn weekday_factors() -> [f64; 7] {
    WEEKDAYS
}

/// Speed of buying in January to December; over the days of a year the mean
/// is 1. Weekdays and months meet evenly, so the mean of the product is 1 too.
pub(super) fn month_factors() -> [f64; 12] {
    let days: f64 = MONTH_DAYS.iter().sum();
    let weight: f64 = MONTHS.iter().zip(MONTH_DAYS).map(|(factor, days)| factor * days).sum();
    MONTHS.map(|factor| factor * days / weight)
}

/// Share of a day's purchases in each hour.
pub(super) fn hour_shares() -> [f64; 24] {
    HOURS.map(|percent| percent / 100.0)
}

/// The second of a day by which the given share of its purchases is made.
pub(super) fn second_of_day(share: f64) -> u32 {
    let mut left = share * 100.0;
    for (hour, percent) in (0_u32..).zip(HOURS) {
        if left < percent {
            return hour * 3600 + (left / percent * 3600.0) as u32;
        }
        left -= percent;
    }
    SECONDS_A_DAY - 1
}

/// Share of a day's purchases made by a second of the day.
fn share_of_day(second: u32) -> f64 {
    let hour = (second / 3600) as usize;
    let before: f64 = HOURS[..hour].iter().sum();
    (before + HOURS[hour] * f64::from(second % 3600) / 3600.0) / 100.0
}

/// A clock that runs at a speed of its own on every day of the history.
pub(super) struct Clock {
    /// Reading at the begin of each day and at the end of the last, in weeks.
    readings: Vec<f64>,
}

impl Clock {
    fn new(speeds: impl Iterator<Item = f64>) -> Self {
        let mut readings = vec![0.0];
        let mut reading = 0.0;
        for speed in speeds {
            reading += speed / 7.0;
            readings.push(reading);
        }
        Self { readings }
    }

    fn days(&self) -> u32 {
        self.readings.len() as u32 - 1
    }

    /// Reading when the history ends, in weeks.
    pub(super) fn end(&self) -> f64 {
        self.readings[self.readings.len() - 1]
    }

    /// Reading at a second of the history, in weeks.
    pub(super) fn at(&self, at_s: u32) -> f64 {
        let day = ((at_s / SECONDS_A_DAY) as usize).min(self.readings.len() - 2);
        let weeks = self.readings[day + 1] - self.readings[day];
        self.readings[day] + weeks * share_of_day(at_s % SECONDS_A_DAY)
    }

    /// The second at which the clock reads so many weeks; None once the
    /// history is over.
    pub(super) fn second(&self, reading: f64) -> Option<u32> {
        if reading >= self.end() {
            return None;
        }
        let day = self.readings.partition_point(|begin| *begin <= reading).saturating_sub(1);
        let weeks = self.readings[day + 1] - self.readings[day];
        let share = (reading - self.readings[day]) / weeks;
        Some(day as u32 * SECONDS_A_DAY + second_of_day(share))
    }
}
