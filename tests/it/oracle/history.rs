//! Order histories: random ones, and the files they become.

use std::fmt;

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::calendar::Grain;
use super::cells::Cents;
use super::settings::{Method, Settings, settings};
use crate::project::Project;

/// An id, in the order in which the binary sorts it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Id {
    Number(i64),
    Text(String),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// What customers and orders are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    Numbers,
    Texts,
}

/// Customers, what they did, and what is asked about it.
#[derive(Clone, Debug)]
pub struct History {
    pub settings: Settings,
    pub ids: Ids,
    /// What each customer did, in no order.
    pub customers: Vec<Vec<Event>>,
    /// What is known of the customers besides; none: there is no such source.
    pub profiles: Option<Vec<Option<Profile>>>,
}

/// Something a customer did. The fields are those of a row.
#[derive(Clone, Debug)]
pub struct Event {
    pub at: NaiveDateTime,
    pub kind: Option<&'static str>,
    pub amount: Option<Cents>,
    pub says: Says,
    pub details: Details,
}

/// What an event says of another: of the customer of a number, its event of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Says {
    #[default]
    Nothing,
    /// It carries the number of that event, if it is a refund and that one is none.
    Number(usize, usize),
    /// Its `refund_of` is the number of that event.
    Name(usize, usize),
}

impl Event {
    /// Whether money goes back.
    pub fn is_refund(&self) -> bool {
        match (self.kind, self.amount) {
            (Some("refund"), _) => true,
            (Some("redemption"), _) => false,
            (_, amount) => amount.is_some_and(|amount| amount.0 < 0),
        }
    }

    /// Whether a row of the other would be the same as one of this.
    pub fn holds(&self, other: &Self) -> bool {
        self.at == other.at
            && self.kind == other.kind
            && self.amount.map(|amount| amount.0) == other.amount.map(|amount| amount.0)
            && self.details == other.details
    }
}

/// What need not be known of an order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    pub channel: Option<&'static str>,
    pub store: Option<&'static str>,
    pub campaign: Option<&'static str>,
    pub discount: Option<Cents>,
    pub cost: Option<Cents>,
}

/// A row of the customers source.
#[derive(Clone, Debug)]
pub struct Profile {
    pub acquired: Option<NaiveDate>,
    pub channel: Option<&'static str>,
    pub cost: Option<Cents>,
}

/// A row of the orders source.
#[derive(Clone, Debug)]
pub struct Row {
    pub order: Id,
    pub customer: Id,
    pub refund_of: Option<Id>,
    pub event: Event,
}

impl History {
    /// The rows in the order of the file: customers mixed, time mixed.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for (customer, events) in self.customers.iter().enumerate() {
            for (number, event) in events.iter().enumerate() {
                let refund_of = match event.says {
                    Says::Name(..) => self.target(event.says).map(|(a, b)| self.order(a, b)),
                    _ => None,
                };
                let carried = match event.says {
                    Says::Number(..) if event.is_refund() => self.target(event.says),
                    _ => None,
                };
                let is_sale = |(a, b): &(usize, usize)| !self.customers[*a][*b].is_refund();
                let (a, b) = carried.filter(is_sale).unwrap_or((customer, number));
                rows.push(Row {
                    order: self.order(a, b),
                    customer: self.customer(customer),
                    refund_of,
                    event: event.clone(),
                });
            }
        }
        rows.sort_by_key(|row| row.order.clone());
        rows
    }

    /// The number of an event. Numbers follow neither time nor customers, and none
    /// stands for two.
    fn order(&self, customer: usize, number: usize) -> Id {
        self.id((customer * 1_000 + number + 1) * 7_919 % 1_000_003, "o")
    }

    /// The event that another one speaks of, if there is such a one.
    fn target(&self, says: Says) -> Option<(usize, usize)> {
        let (Says::Number(customer, number) | Says::Name(customer, number)) = says else {
            return None;
        };
        let customer = customer % self.customers.len();
        let events = self.customers[customer].len();
        (events > 0).then(|| (customer, number % events))
    }

    /// The id of the customer of a number.
    pub fn customer(&self, number: usize) -> Id {
        self.id((number + 1) * 37 % 1_009, ["c", "C", "é", "客户 "][number % 4])
    }

    fn id(&self, number: usize, prefix: &str) -> Id {
        match self.ids {
            Ids::Numbers => Id::Number(i64::try_from(number).expect("a small number")),
            Ids::Texts => Id::Text(format!("{prefix}{number}")),
        }
    }

    /// Writes the sources and a pipeline that publishes `tables`.
    pub fn write(&self, project: &Project, tables: &[&str]) {
        let mut text = String::from(
            "order_id,customer_id,ordered_at,amount,kind,channel,store,campaign,discount,cost,\
             refund_of\n",
        );
        for row in self.rows() {
            let Details { channel, store, campaign, discount, cost } = row.event.details;
            let words = [row.event.kind, channel, store, campaign].map(Option::unwrap_or_default);
            text += &format!(
                "{},{},{:?},{},{},{},{},{}\n",
                row.order,
                row.customer,
                row.event.at,
                blank(row.event.amount),
                words.join(","),
                blank(discount),
                blank(cost),
                blank(row.refund_of),
            );
        }
        project.orders("orders/all.parquet", &text);
        let mut sources = String::from("sources:\n  orders:\n    url: orders\n");
        if let Some(profiles) = &self.profiles {
            sources += "  customers:\n    url: customers.parquet\n";
            self.write_profiles(project, profiles);
        }
        let tables: String = tables.iter().map(|table| format!("  - {table}\n")).collect();
        let params = self.settings.yaml();
        let pipeline =
            format!("pipeline: p\n{params}{sources}tables:\n{tables}publish:\n  url: out\n");
        project.file("pipelines/p.yaml", &pipeline);
    }

    fn write_profiles(&self, project: &Project, profiles: &[Option<Profile>]) {
        let mut text = String::from("customer_id,acquired_at,channel,acquisition_cost\n");
        for (number, profile) in profiles.iter().enumerate() {
            let Some(profile) = profile else { continue };
            let (acquired, cost) = (blank(profile.acquired), blank(profile.cost));
            let channel = profile.channel.unwrap_or_default();
            text += &format!("{},{acquired},{channel},{cost}\n", self.customer(number));
        }
        project.orders("customers.parquet", &text);
    }
}

fn blank<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// When random histories begin: before 1970, where division could round the
/// wrong way; before the leap day of a century; before a common leap day.
const BEGINNINGS: [(i32, u32, u32); 3] = [(1969, 11, 15), (1999, 12, 20), (2023, 12, 20)];

/// Random histories around a cohort grain and a method of RFM.
pub fn histories(grain: Grain, method: Method) -> impl Strategy<Value = History> {
    let span = match grain {
        Grain::Day => 50,
        Grain::Week => 300,
        Grain::Month => 800,
        Grain::Quarter => 1_100,
        Grain::Year => 1_700,
    };
    let begin = select(BEGINNINGS.to_vec());
    let day = move |((year, month, day), days)| {
        let first = NaiveDate::from_ymd_opt(year, month, day).expect("a day");
        (first, first + Days::new(days))
    };
    // Some orders come after the day, which must not matter.
    (begin, span * 6 / 10..span * 11 / 10).prop_map(day).prop_flat_map(move |(first, as_of)| {
        let events = vec(event(first, span, as_of), 0..8);
        let begins_later = select(vec![None, None, None, Some(first + Days::new(span / 5))]);
        let known = option::of(vec(option::weighted(0.7, profile(first)), 60));
        let ids = select(vec![Ids::Numbers, Ids::Texts]);
        (settings(grain, method), vec(events, 0..60), begins_later, known, ids).prop_map(
            move |(settings, customers, history_start, profiles, ids)| History {
                settings: Settings { as_of, history_start, ..settings },
                ids,
                customers,
                profiles,
            },
        )
    })
}

/// An event on any day, or on one where mistakes like to happen; at one of a
/// few times, so that some fall on the same instant.
fn event(first: NaiveDate, span: u64, as_of: NaiveDate) -> impl Strategy<Value = Event> {
    let mut days = vec![first, as_of, as_of + Days::new(1)];
    let around = first.iter_days().take(usize::try_from(span).expect("a small number"));
    let ends = ["02-28", "02-29", "03-01", "12-31", "01-01"];
    days.extend(around.filter(|day| ends.contains(&&*day.format("%m-%d").to_string())));
    let day = prop_oneof![
        3 => (0..span).prop_map(move |day| first + Days::new(day)),
        1 => select(days),
    ];
    let time = select(vec![0, 1, 43_200, 82_800, 86_399]);
    (day, time, money(), says(), details()).prop_map(
        |(day, second, (kind, amount), says, details)| Event {
            at: day.and_hms_opt(second / 3600, second / 60 % 60, second % 60).expect("a time"),
            kind,
            amount,
            says,
            details,
        },
    )
}

/// Most say nothing; others speak of their own customer as of anybody.
fn says() -> impl Strategy<Value = Says> {
    let other = || (0..60_usize, 0..8_usize);
    prop_oneof![
        4 => Just(Says::Nothing),
        1 => other().prop_map(|(customer, number)| Says::Number(customer, number)),
        1 => other().prop_map(|(customer, number)| Says::Name(customer, number)),
    ]
}

/// Amounts that repeat, and their kinds, said or not.
fn money() -> impl Strategy<Value = (Option<&'static str>, Option<Cents>)> {
    let amount = || {
        prop_oneof![
            select(vec![0, 1, 999, 1_000, 1_005, 99_999, 100_000, 150_000, 200_000, 250_000]),
            0..300_000_i64,
        ]
    };
    let signed = move || (amount(), any::<bool>()).prop_map(|(a, back)| if back { -a } else { a });
    prop_oneof![
        6 => amount().prop_map(|a| (Some("sale"), Some(Cents(a)))),
        3 => signed().prop_map(|a| (None, Some(Cents(a)))),
        2 => signed().prop_map(|a| (Some("refund"), Some(Cents(a)))),
        1 => option::of(signed()).prop_map(|a| (Some("redemption"), a.map(Cents))),
    ]
}

fn details() -> impl Strategy<Value = Details> {
    let discount = option::of(select(vec![Cents(0), Cents(250)]));
    let cost = option::weighted(0.3, (-50_000..100_000_i64).prop_map(Cents));
    (
        select(vec![None, Some("web"), Some("shop"), Some("app")]),
        select(vec![None, Some("north"), Some("south")]),
        select(vec![None, Some("spring")]),
        discount,
        cost,
    )
        .prop_map(|(channel, store, campaign, discount, cost)| Details {
            channel,
            store,
            campaign,
            discount,
            cost,
        })
}

fn profile(first: NaiveDate) -> impl Strategy<Value = Profile> {
    let acquired = option::weighted(0.8, (0..40_u64).prop_map(move |days| first - Days::new(days)));
    let channel = select(vec![None, Some("web"), Some("ad")]);
    let cost = option::of((0..20_000_i64).prop_map(Cents));
    (acquired, channel, cost).prop_map(|(acquired, channel, cost)| Profile {
        acquired,
        channel,
        cost,
    })
}

/// An event written down by hand: `sale("2024-02-29 10:00", 1_000)`.
pub fn sale(at: &str, cents: i64) -> Event {
    event_of(at, Some("sale"), cents)
}

/// A refund written down by hand, its amount as a positive number.
pub fn refund(at: &str, cents: i64) -> Event {
    event_of(at, Some("refund"), -cents)
}

/// A refund that says something of an event.
pub fn refund_that(says: Says, at: &str, cents: i64) -> Event {
    Event { says, ..refund(at, cents) }
}

fn event_of(at: &str, kind: Option<&'static str>, cents: i64) -> Event {
    let at = NaiveDateTime::parse_from_str(&format!("{at}:00"), "%Y-%m-%d %H:%M:%S");
    Event {
        at: at.expect("a time"),
        kind,
        amount: Some(Cents(cents)),
        says: Says::Nothing,
        details: Details::default(),
    }
}

/// The local day of an instant.
pub fn local_day(at: NaiveDateTime, timezone: &str) -> NaiveDate {
    let zone: arrow::array::timezone::Tz = timezone.parse().expect("a time zone");
    DateTime::<chrono::Utc>::from_naive_utc_and_offset(at, chrono::Utc)
        .with_timezone(&zone)
        .date_naive()
}
