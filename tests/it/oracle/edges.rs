//! Histories at the edges, written down by hand. Some hold many customers,
//! each an edge of its own: customers do not touch each other's rows.

use chrono::NaiveDate;

use super::history::{Event, History, Ids, Says, refund, refund_that, sale};
use super::settings::Settings;

fn history(as_of: &str, customers: Vec<Vec<Event>>) -> History {
    let as_of: NaiveDate = as_of.parse().expect("a day");
    let settings = Settings::standard(as_of);
    History { settings, ids: Ids::Numbers, customers, profiles: None }
}

/// A source that has its columns and no row.
pub fn nobody() -> History {
    history("2024-02-29", Vec::new())
}

/// Money went back to people who never bought, and nothing else happened.
pub fn only_refunds() -> History {
    let customers = vec![
        vec![refund("2024-01-05 10:00", 500)],
        vec![refund("2024-01-05 10:00", 500), refund("2024-02-01 10:00", 1)],
    ];
    history("2024-02-29", customers)
}

/// A single order, on the very day.
pub fn one_order() -> History {
    history("2024-02-29", vec![vec![sale("2024-02-29 23:59", 1_999)]])
}

/// One customer has done everything that was ever done.
pub fn all_in_one_customer() -> History {
    let days = (1..=28).flat_map(|day| {
        let at = format!("2024-{:02}-{day:02} 12:00", day % 12 + 1);
        [sale(&at, 1_000 + day), sale(&at, 500), refund(&at, day * 10)]
    });
    history("2024-12-31", vec![days.collect()])
}

/// Customers, each of which is an edge.
pub fn edges() -> History {
    let customers = vec![
        // Three sales and two refunds at one instant.
        vec![
            sale("2024-01-31 12:00", 1_000),
            refund("2024-01-31 12:00", 100),
            sale("2024-01-31 12:00", 2_000),
            refund("2024-01-31 12:00", 200),
            sale("2024-01-31 12:00", 3_000),
        ],
        // A refund before the first sale, in a month of its own.
        vec![refund("2023-11-30 08:00", 700), sale("2024-01-15 08:00", 900)],
        // The same on one day, and more money back than was paid.
        vec![refund("2024-01-15 07:00", 5_000), sale("2024-01-15 08:00", 900)],
        // Only refunds; and refunds of someone who buys after the day.
        vec![refund("2024-02-01 00:00", 300)],
        vec![refund("2024-02-01 00:00", 300), sale("2024-03-01 00:00", 300)],
        // From leap day to the day before, a year later, and over it.
        vec![sale("2020-02-29 12:00", 100), sale("2021-02-28 12:00", 100)],
        vec![sale("2023-02-28 23:59", 100), sale("2024-02-28 00:00", 100)],
        vec![sale("2023-02-28 23:59", 100), sale("2024-02-29 00:00", 100)],
        // The last instant of a day, and the first of the next.
        vec![sale("2023-12-31 23:59", 100), sale("2024-01-01 00:00", 100)],
        // An order on the day, one of no money, and a refund on the day.
        vec![sale("2024-02-29 00:00", 0)],
        vec![sale("2024-02-29 23:59", 100), refund("2024-02-29 23:59", 100)],
        // Everything was given back.
        vec![sale("2023-06-01 10:00", 5_000), refund("2023-06-02 10:00", 5_000)],
        // Long gone, and back.
        vec![sale("2020-03-01 10:00", 800), sale("2024-02-01 10:00", 800)],
    ];
    history("2024-02-29", customers)
}

/// Refunds that say of which sale they are, in every way.
pub fn named_refunds() -> History {
    let number = Says::Number;
    let name = Says::Name;
    let customers = vec![
        // Of an older sale, in parts, by number and by name; and one that says nothing.
        vec![
            sale("2023-11-05 10:00", 10_000),
            sale("2023-12-05 10:00", 5_000),
            refund_that(number(0, 0), "2023-12-20 10:00", 1_000),
            refund_that(number(0, 0), "2024-01-20 10:00", 2_000),
            refund_that(name(0, 0), "2024-02-20 10:00", 4_000),
            refund("2024-02-21 10:00", 500),
        ],
        // Of somebody else's sale; and of one that comes later.
        vec![
            refund_that(name(0, 1), "2024-01-01 10:00", 100),
            refund_that(name(1, 2), "2023-10-01 10:00", 200),
            sale("2023-12-31 23:59", 3_000),
        ],
        // Somebody who never bought, by number and by name.
        vec![
            refund_that(number(1, 2), "2024-01-02 10:00", 300),
            refund_that(name(1, 2), "2024-01-03 10:00", 400),
        ],
        // Of a sale after the day; of a refund; of itself.
        vec![
            sale("2024-01-01 10:00", 7_000),
            sale("2024-03-01 10:00", 8_000),
            refund_that(number(3, 1), "2024-02-01 10:00", 600),
            refund_that(name(3, 2), "2024-02-02 10:00", 700),
            refund_that(name(3, 4), "2024-02-03 10:00", 800),
        ],
        // Of a sale before the history starts: set aside with it.
        vec![
            sale("2023-09-01 10:00", 9_000),
            sale("2024-01-05 10:00", 1_000),
            refund_that(number(4, 0), "2024-01-06 10:00", 9_000),
            refund_that(name(4, 0), "2024-01-07 10:00", 50),
        ],
        // Copies, and two of one time that differ.
        vec![
            sale("2024-01-05 10:00", 1_000),
            refund_that(number(5, 0), "2024-01-06 10:00", 10),
            refund_that(number(5, 0), "2024-01-06 10:00", 10),
            refund_that(number(5, 0), "2024-01-07 10:00", 10),
            refund_that(number(5, 0), "2024-01-08 10:00", 20),
            refund_that(number(5, 0), "2024-01-08 10:00", 30),
        ],
    ];
    let mut history = history("2024-02-29", customers);
    history.settings.history_start = NaiveDate::from_ymd_opt(2023, 10, 1);
    history
}

/// As `edges`, with a month that the day cuts short, ids that are texts, and
/// another time zone.
pub fn edges_cut_short() -> History {
    let mut history = edges();
    history.settings.as_of = NaiveDate::from_ymd_opt(2024, 2, 28).expect("a day");
    history.settings.timezone = "America/New_York";
    history.ids = Ids::Texts;
    history
}
