//! Tells the life of one customer: who they are, when they buy, what, and
//! what they send back. A life depends on the options and on the customer's
//! number alone, so customers may be told in any order. Order numbers, which
//! depend on all customers, are given out later.

use super::calendar::{Calendar, SECONDS_A_DAY, SECONDS_A_WEEK, second_of_day};
use super::draw::Stream;
use super::options::{Options, Process, Spend};

/// Where orders are placed, and the share of customers who like it best. A
/// store order outside opening hours is placed on the web instead.
pub(super) const FAVOURITES: [(Channel, f64); 4] = [
    (Channel::Web, 0.40),
    (Channel::App, 0.25),
    (Channel::Store, 0.25),
    (Channel::Marketplace, 0.10),
];
/// Orders that go to the favourite; the others spread like the favourites.
pub(super) const LOYALTY: f64 = 0.8;
/// Hours (UTC) in which stores are open.
pub(super) const OPEN_HOURS: std::ops::Range<u32> = 8..20;

/// How customers were won: the share of each way and its mean cost a
/// customer. The overall mean, 7.0, is about half the margin of a first order.
pub(super) const ACQUISITIONS: [Acquisition; 5] = [
    Acquisition { channel: "organic", share: 0.35, mean_cost: 0.0 },
    Acquisition { channel: "paid_search", share: 0.25, mean_cost: 14.0 },
    Acquisition { channel: "social", share: 0.20, mean_cost: 11.0 },
    Acquisition { channel: "affiliate", share: 0.12, mean_cost: 8.0 },
    Acquisition { channel: "referral", share: 0.08, mean_cost: 4.5 },
];
/// Costs of one way differ from customer to customer: gamma with this shape.
pub(super) const ACQUISITION_COST_SHAPE: f64 = 4.0;
/// Customers won by a campaign, which their first order names.
pub(super) const CAMPAIGN_SHARE: f64 = 0.30;

pub(super) const REGIONS: [(Region, f64); 4] =
    [(Region::North, 0.30), (Region::West, 0.30), (Region::South, 0.25), (Region::East, 0.15)];
/// Every region has as many stores; a customer goes to one of them.
pub(super) const STORE_NUMBERS: [u8; 3] = [1, 2, 3];

/// Share of orders with a discount: of first orders, of later ones.
pub(super) const DISCOUNTED_FIRST: f64 = 0.40;
pub(super) const DISCOUNTED_LATER: f64 = 0.15;
/// Shares of the list price taken off, each as likely as the next.
pub(super) const DISCOUNTS: [f64; 4] = [0.05, 0.10, 0.15, 0.20];
/// Share of what is paid that remains after the cost of goods, on average.
pub(super) const MARGIN: f64 = 0.42;
/// The cost of an order is off its mean by up to this share, uniformly.
pub(super) const COST_NOISE: f64 = 0.05;

/// Refunds that return the whole amount; others return a uniform share.
pub(super) const REFUND_IN_FULL: f64 = 0.7;
pub(super) const REFUND_PART: (f64, f64) = (0.1, 0.9);
/// Days from sale to refund: 1 plus the whole days of a gamma of this shape
/// and rate, about ten on average.
pub(super) const REFUND_DELAY_DAYS: (f64, f64) = (2.0, 2.0 / 9.0);

/// A billion currency units: far above any draw a sane history makes, and
/// far enough below what decimal(18,2) holds for sums to fit as well.
const AMOUNT_CENTS_MAX: f64 = 1e11;

/// One line of the order history. Kept compact: there is one for every order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Seconds since the start of the history.
    pub(super) at_s: u32,
    /// Number of the customer, from 0.
    pub(super) customer: u32,
    /// What was paid; negative where it was paid back.
    pub(super) amount_cents: i64,
    /// What was taken off the list price; 0 for refunds.
    pub(super) discount_cents: i64,
    /// Cost of the goods; negative where they came back.
    pub(super) cost_cents: i64,
    pub(super) kind: Kind,
    pub(super) channel: Channel,
    /// Meaningful where the channel is a store.
    pub(super) store: Store,
    /// Whether the month's campaign brought the order.
    pub(super) campaign: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sale,
    Refund,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    Web,
    App,
    Store,
    Marketplace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Region {
    North,
    West,
    South,
    East,
}

/// A store of a region, numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Store {
    pub(super) region: Region,
    pub(super) number: u8,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Acquisition {
    pub(super) channel: &'static str,
    pub(super) share: f64,
    /// Currency units.
    pub(super) mean_cost: f64,
}

/// What a customer really is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Customer {
    /// Seconds since the start of the history.
    pub(super) joined_s: u32,
    /// Repeat purchases a week while alive.
    pub(super) rate_per_week: f64,
    /// BG/NBD: probability of dropping out after a repeat purchase;
    /// Pareto/NBD: rate of dropping out, per week.
    pub(super) dropout: f64,
    /// Mean of an order, in currency units.
    pub(super) mean_spend: f64,
    /// When the customer dropped out; None while alive at the end.
    pub(super) dead_s: Option<u32>,
    pub(super) acquisition: &'static str,
    pub(super) acquisition_cost_cents: i64,
    pub(super) home: Store,
    favourite: Channel,
}

/// Tells lives.
pub(super) struct Author<'a> {
    options: &'a Options,
    calendar: &'a Calendar,
}

impl<'a> Author<'a> {
    pub(super) fn new(options: &'a Options, calendar: &'a Calendar) -> Self {
        Self { options, calendar }
    }

    /// Customers are numbered from 0 up to this; the options' limit fits.
    pub(super) fn customers(&self) -> u32 {
        self.options.customers as u32
    }

    /// Appends the orders of a customer, sales first, then their refunds.
    pub(super) fn tell(&self, number: u32, rows: &mut Vec<Row>) -> Customer {
        // Separate streams for the part that the models describe and for the
        // rest: with other refunds the same customers still buy the same.
        let stream = |part| Stream::new(self.options.seed, u64::from(number) * 2 + part);
        let (mut nature, mut circumstance) = (stream(0), stream(1));

        let mut customer = self.customer(number, &mut nature, &mut circumstance);
        let (times, dead_s) = self.purchases(&customer, &mut nature);
        customer.dead_s = dead_s;
        let first = rows.len();
        for at_s in times {
            let amount_cents = self.amount_cents(&customer, &mut nature);
            let campaign_share = if rows.len() == first { CAMPAIGN_SHARE } else { 0.0 };
            let discounted = if rows.len() == first { DISCOUNTED_FIRST } else { DISCOUNTED_LATER };
            rows.push(Row {
                at_s,
                customer: number,
                amount_cents,
                discount_cents: discount_cents(amount_cents, discounted, &mut circumstance),
                cost_cents: cost_cents(amount_cents, &mut circumstance),
                kind: Kind::Sale,
                channel: channel(customer.favourite, at_s, &mut circumstance),
                store: customer.home,
                campaign: circumstance.chance(campaign_share),
            });
        }
        for sale in first..rows.len() {
            let refund = self.refund(rows[sale], &mut circumstance);
            rows.extend(refund);
        }
        customer
    }

    fn customer(&self, number: u32, nature: &mut Stream, circumstance: &mut Stream) -> Customer {
        let (r, alpha) = self.options.process.buying();
        let Spend { p, q, v } = self.options.spend;
        let acquisition = circumstance.choose_by_share(&ACQUISITIONS.map(|way| (way, way.share)));
        Customer {
            joined_s: self.joined_s(number, nature),
            rate_per_week: nature.gamma(r, alpha),
            dropout: match self.options.process {
                Process::BgNbd { a, b, .. } => nature.beta(a, b),
                Process::ParetoNbd { s, beta, .. } => nature.gamma(s, beta),
            },
            mean_spend: p / nature.gamma(q, v).max(f64::MIN_POSITIVE),
            dead_s: None,
            acquisition: acquisition.channel,
            acquisition_cost_cents: acquisition_cost_cents(acquisition, circumstance),
            home: Store {
                region: circumstance.choose_by_share(&REGIONS),
                number: circumstance.choose(&STORE_NUMBERS),
            },
            favourite: circumstance.choose_by_share(&FAVOURITES),
        }
    }

    /// Customers are numbered as they join: each gets an equal slice of the
    /// joining clock and a uniform place in it.
    fn joined_s(&self, number: u32, nature: &mut Stream) -> u32 {
        let share = (f64::from(number) + nature.uniform()) / self.options.customers as f64;
        let clock = &self.calendar.joining;
        clock.second(share * clock.end()).unwrap_or(self.calendar.end_s() - 1)
    }

    /// Times of all purchases, the first on joining, and the time of
    /// dropping out if the history saw it.
    fn purchases(&self, customer: &Customer, nature: &mut Stream) -> (Vec<u32>, Option<u32>) {
        let clock = &self.calendar.buying;
        let mut times = vec![customer.joined_s];
        let (chance_to_stop, stop_s) = match self.options.process {
            Process::BgNbd { .. } => (customer.dropout, None),
            Process::ParetoNbd { .. } => (0.0, self.death_s(customer, nature)),
        };
        let mut reading = clock.at(customer.joined_s);
        loop {
            reading += nature.exponential() / customer.rate_per_week;
            let next =
                clock.second(reading).filter(|at_s| stop_s.is_none_or(|stop_s| *at_s < stop_s));
            let Some(at_s) = next else { return (times, stop_s) };
            // A clock read and set again may lose a second.
            let at_s = at_s.max(customer.joined_s);
            times.push(at_s);
            if nature.chance(chance_to_stop) {
                return (times, Some(at_s));
            }
        }
    }

    /// End of an exponential lifetime, if it lies in the history.
    fn death_s(&self, customer: &Customer, nature: &mut Stream) -> Option<u32> {
        let lifetime_s = nature.exponential() / customer.dropout * SECONDS_A_WEEK;
        let death_s = f64::from(customer.joined_s) + lifetime_s;
        (death_s < f64::from(self.calendar.end_s())).then_some(death_s as u32)
    }

    fn amount_cents(&self, customer: &Customer, nature: &mut Stream) -> i64 {
        let p = self.options.spend.p;
        let amount = nature.gamma(p, p / customer.mean_spend);
        (amount * 100.0).round().clamp(1.0, AMOUNT_CENTS_MAX) as i64
    }

    /// The refund of a sale, if it is sent back before the history ends.
    fn refund(&self, sale: Row, circumstance: &mut Stream) -> Option<Row> {
        if !circumstance.chance(self.options.refund_rate) {
            return None;
        }
        let in_full = circumstance.chance(REFUND_IN_FULL);
        let (least, most) = REFUND_PART;
        let part = least + (most - least) * circumstance.uniform();
        let share = if in_full { 1.0 } else { part };
        let (shape, rate) = REFUND_DELAY_DAYS;
        let days = 1 + circumstance.gamma(shape, rate) as u32;
        let day = (sale.at_s / SECONDS_A_DAY).saturating_add(days);
        let time = second_of_day(circumstance.uniform());
        (day < self.calendar.end_s() / SECONDS_A_DAY).then(|| Row {
            at_s: day * SECONDS_A_DAY + time,
            amount_cents: -share_of(sale.amount_cents, share).clamp(1, sale.amount_cents),
            discount_cents: 0,
            cost_cents: -share_of(sale.cost_cents, share),
            kind: Kind::Refund,
            campaign: false,
            ..sale
        })
    }
}

fn acquisition_cost_cents(acquisition: Acquisition, circumstance: &mut Stream) -> i64 {
    let scatter = circumstance.gamma(ACQUISITION_COST_SHAPE, ACQUISITION_COST_SHAPE);
    (acquisition.mean_cost * scatter * 100.0).round() as i64
}

/// Discount from the list price, given what was paid after it.
fn discount_cents(amount_cents: i64, discounted: f64, circumstance: &mut Stream) -> i64 {
    let discount = circumstance.choose(&DISCOUNTS);
    if circumstance.chance(discounted) {
        share_of(amount_cents, discount / (1.0 - discount))
    } else {
        0
    }
}

/// Cost of goods of what was paid, so that the mean margin on it is known.
fn cost_cents(amount_cents: i64, circumstance: &mut Stream) -> i64 {
    let noise = 1.0 + COST_NOISE * (2.0 * circumstance.uniform() - 1.0);
    share_of(amount_cents, (1.0 - MARGIN) * noise)
}

fn channel(favourite: Channel, at_s: u32, circumstance: &mut Stream) -> Channel {
    let other = circumstance.choose_by_share(&FAVOURITES);
    let wish = if circumstance.chance(LOYALTY) { favourite } else { other };
    let hour = at_s % SECONDS_A_DAY / 3600;
    if wish == Channel::Store && !OPEN_HOURS.contains(&hour) { Channel::Web } else { wish }
}

fn share_of(cents: i64, share: f64) -> i64 {
    (cents as f64 * share).round() as i64
}
