//! Histories at the edges, written down by hand. Some hold many customers,
//! each an edge of its own: customers do not touch each other's rows.

use chrono::NaiveDate;

use super::history::{Event, History, Ids, refund, sale};
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

/// As `edges`, with a month that the day cuts short, ids that are texts, and
/// another time zone.
pub fn edges_cut_short() -> History {
    let mut history = edges();
    history.settings.as_of = NaiveDate::from_ymd_opt(2024, 2, 28).expect("a day");
    history.settings.timezone = "America/New_York";
    history.ids = Ids::Texts;
    history
}
