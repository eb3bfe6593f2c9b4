//! What is true of orders and customers, one row after the other.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{NaiveDate, NaiveDateTime};

use super::calendar::{Grain, Period};
use super::cells::{Cents, Expected, count, divided, expected};
use super::history::{Details, History, Id, Profile, Row, local_day};
use super::settings::Settings;

/// Everything the metrics are made from.
pub struct Facts {
    pub settings: Settings,
    /// Those who ever bought, by id.
    pub customers: Vec<Customer>,
    /// Refunds of people who never bought.
    unattributed: Vec<Happened>,
    /// Whether the files tell who bought before the history starts.
    starts_within_files: bool,
}

/// Someone who ever bought.
pub struct Customer {
    pub id: Id,
    /// In the order in which they were bought; never empty.
    pub sales: Vec<Sale>,
    /// What happened by day: refunds on their own, but never before the first
    /// sale.
    pub days: BTreeMap<NaiveDate, Day>,
    /// All refunds: the day on which they are booked, the sale they belong to.
    pub refunds: Vec<(NaiveDate, usize, i64)>,
    pub profile: Option<Profile>,
    /// Whether they were a customer before the history begins.
    pub is_known_before: bool,
}

/// A sale and the refunds that belong to it.
pub struct Sale {
    pub id: Id,
    pub at: NaiveDateTime,
    pub day: NaiveDate,
    pub kind: &'static str,
    pub gross: i64,
    pub refunded: i64,
    pub cost: Option<i64>,
    pub details: Details,
}

/// A day of a customer.
#[derive(Default)]
pub struct Day {
    pub orders: i64,
    pub net: i64,
    /// Net of the sales whose cost is known and of their refunds.
    pub costed_net: Option<i64>,
    /// Their cost.
    pub cost: Option<i64>,
}

impl Day {
    fn add_costed(&mut self, net: i64, cost: i64) {
        self.costed_net = plus(self.costed_net, Some(net));
        self.cost = plus(self.cost, Some(cost));
    }
}

/// An accepted row.
struct Happened {
    id: Id,
    customer: Id,
    at: NaiveDateTime,
    day: NaiveDate,
    kind: &'static str,
    cents: i64,
    /// Of a refund, the sale that it names and that counts.
    sale: Option<Id>,
    details: Details,
}

impl Happened {
    fn is_refund(&self) -> bool {
        self.kind == "refund"
    }
}

/// Adds what may be unknown: unknown only if both are.
fn plus(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    }
}

impl Sale {
    /// What it brought in the end.
    pub fn net(&self) -> i64 {
        self.gross - self.refunded
    }
}

impl Customer {
    pub fn first_day(&self) -> NaiveDate {
        self.sales[0].day
    }

    pub fn last_day(&self) -> NaiveDate {
        self.sales.last().expect("a sale").day
    }

    /// Orders that came before those of the history, as far as they are numbered.
    pub fn earlier(&self) -> i64 {
        i64::from(self.is_known_before)
    }

    /// The days with a sale.
    pub fn purchase_days(&self) -> Vec<NaiveDate> {
        self.days.iter().filter(|(_, day)| day.orders > 0).map(|(date, _)| *date).collect()
    }

    /// What the customer brought in all.
    pub fn net(&self) -> i64 {
        self.days.values().map(|day| day.net).sum()
    }

    /// Whether there was a sale in a period.
    pub fn bought_in(&self, period: &Period) -> bool {
        self.sales.iter().any(|sale| period.holds(sale.day))
    }
}

impl Facts {
    /// Reads a history row by row.
    pub fn of(history: &History) -> Self {
        let settings = history.settings.clone();
        let mut lives: BTreeMap<Id, Vec<Happened>> = BTreeMap::new();
        let Earlier { mut days, buyers: mut known_before } = earlier(history);
        let starts_within_files = !days.is_empty();
        for happened in accepted(history) {
            days.push(happened.day);
            lives.entry(happened.customer.clone()).or_default().push(happened);
        }
        let first_file_day = days.into_iter().min();
        let mut profiles = BTreeMap::new();
        for (number, profile) in history.profiles.iter().flatten().enumerate() {
            let acquired = profile.as_ref().and_then(|profile| profile.acquired);
            if acquired.zip(first_file_day).is_some_and(|(acquired, first)| acquired < first) {
                known_before.insert(history.customer(number));
            }
            profiles.insert(history.customer(number), profile.clone());
        }
        let mut facts =
            Self { settings, customers: Vec::new(), unattributed: Vec::new(), starts_within_files };
        for (id, mut life) in lives {
            if life.iter().all(Happened::is_refund) {
                facts.unattributed.extend(life);
                continue;
            }
            // A refund at the instant of a sale comes after it.
            life.sort_by_key(|event| (event.at, event.is_refund(), event.id.clone()));
            // What is dated later is not known yet.
            let is_known =
                |profile: &Profile| profile.acquired.is_none_or(|day| day <= facts.settings.as_of);
            let profile = profiles.remove(&id).flatten().filter(is_known);
            let is_known_before = known_before.contains(&id);
            facts.customers.push(Customer { is_known_before, ..live(id, profile, life) });
        }
        facts.unattributed.sort_by_key(|refund| {
            (refund.id.clone(), refund.at, refund.customer.clone(), refund.cents)
        });
        facts
    }

    /// The periods from the first sale to the day.
    pub fn periods(&self, grain: Grain) -> Vec<Period> {
        let first = self.customers.iter().map(Customer::first_day).min();
        first.map_or_else(Vec::new, |first| grain.periods(first, self.settings.as_of))
    }

    /// Whole days from a day to the last one counted.
    pub fn age(&self, day: NaiveDate) -> i64 {
        (self.settings.as_of - day).num_days()
    }

    /// Whether a cohort may hold customers who are older than the data.
    pub fn is_left_truncated(&self, period: &Period, periods: &[Period]) -> bool {
        let is_known = |customer: &Customer| {
            customer.profile.as_ref().is_some_and(|profile| profile.acquired.is_some())
        };
        period.number == periods[0].number
            && !self.starts_within_files
            && self.cohort(period).iter().any(|customer| !is_known(customer))
    }

    /// The customers whose first order is in the history.
    pub fn first_seen(&self) -> impl Iterator<Item = &Customer> {
        self.customers.iter().filter(|customer| !customer.is_known_before)
    }

    /// The customers who bought first in a period.
    pub fn cohort(&self, period: &Period) -> Vec<&Customer> {
        self.first_seen().filter(|customer| period.holds(customer.first_day())).collect()
    }
}

/// The rows that count, with their day and kind, and refunds with the sale they name.
fn accepted(history: &History) -> Vec<Happened> {
    let settings = &history.settings;
    let mut aside: BTreeSet<Id> = BTreeSet::new();
    let mut named: Vec<(Happened, Id)> = Vec::new();
    let mut rows: Vec<Happened> = Vec::new();
    for row in told_apart(history.rows()) {
        let name = row.refund_of.clone().unwrap_or_else(|| row.order.clone());
        let day = local_day(row.event.at, settings.timezone);
        let (is_refund, order) = (row.event.is_refund(), row.order.clone());
        match happened(row, settings) {
            Some(refund) if refund.is_refund() => named.push((refund, name)),
            Some(sale) => rows.push(sale),
            // What comes after the day is as if it were not there.
            None if !is_refund && day <= settings.as_of => drop(aside.insert(order)),
            None => {}
        }
    }
    let sales: BTreeMap<Id, Id> =
        rows.iter().map(|sale| (sale.id.clone(), sale.customer.clone())).collect();
    for (refund, name) in named {
        match sales.get(&name) {
            Some(customer) => {
                rows.push(Happened { customer: customer.clone(), sale: Some(name), ..refund });
            }
            None if aside.contains(&name) => {}
            None => rows.push(refund),
        }
    }
    rows
}

/// Rows without copies of refunds, and without refunds of one number and one time that
/// differ. Those that are set aside anyway tell nothing apart from those that count.
fn told_apart(rows: Vec<Row>) -> Vec<Row> {
    let alike = |a: &Row, b: &Row| a.order == b.order && a.event.at == b.event.at;
    let equal = |a: &Row, b: &Row| {
        a.customer == b.customer && a.refund_of == b.refund_of && a.event.holds(&b.event)
    };
    let is_known = |row: &Row| row.event.is_refund() && row.event.amount.is_some();
    let mut kept: Vec<Row> = Vec::new();
    for row in &rows {
        let others = || rows.iter().filter(|other| is_known(other) && alike(row, other));
        let is_copy = kept.iter().any(|other| is_known(other) && alike(row, other));
        if !is_known(row) || others().all(|other| equal(row, other)) && !is_copy {
            kept.push(row.clone());
        }
    }
    kept
}

/// What a row says, if it counts.
fn happened(row: Row, settings: &Settings) -> Option<Happened> {
    let event = row.event;
    let day = local_day(event.at, settings.timezone);
    let amount = event.amount.map(|amount| amount.0);
    let (kind, cents) = match (event.kind, amount) {
        (Some("redemption"), _) => ("redemption", 0),
        (_, None) => return None,
        (Some("refund"), Some(amount)) => ("refund", amount.abs()),
        (_, Some(amount)) if amount < 0 => ("refund", -amount),
        (_, Some(amount)) => ("sale", amount),
    };
    let is_in_time =
        day <= settings.as_of && settings.history_start.is_none_or(|start| day >= start);
    is_in_time.then_some(Happened {
        id: row.order,
        customer: row.customer,
        at: event.at,
        day,
        kind,
        cents,
        sale: None,
        details: event.details,
    })
}

/// What the rows tell that the history leaves out.
struct Earlier {
    /// The days of all rows that came before it.
    days: Vec<NaiveDate>,
    /// Those who bought in them.
    buyers: BTreeSet<Id>,
}

fn earlier(history: &History) -> Earlier {
    let settings = &history.settings;
    let mut earlier = Earlier { days: Vec::new(), buyers: BTreeSet::new() };
    for row in history.rows() {
        let day = local_day(row.event.at, settings.timezone);
        let is_redemption = row.event.kind == Some("redemption");
        let is_known = is_redemption || row.event.amount.is_some();
        let is_before = settings.history_start.is_some_and(|start| day < start);
        if !is_before || !is_known || day > settings.as_of {
            continue;
        }
        earlier.days.push(day);
        let is_negative = row.event.amount.is_some_and(|amount| amount.0 < 0);
        if is_redemption || row.event.kind != Some("refund") && !is_negative {
            earlier.buyers.insert(row.customer);
        }
    }
    earlier
}

/// One life, event by event.
fn live(id: Id, profile: Option<Profile>, life: Vec<Happened>) -> Customer {
    let mut customer = Customer {
        id,
        sales: Vec::new(),
        days: BTreeMap::new(),
        refunds: Vec::new(),
        profile,
        is_known_before: false,
    };
    let first_day = life.iter().filter(|event| !event.is_refund()).map(|event| event.day).min();
    let first_day = first_day.expect("a sale");
    // Refunds before the first sale wait for it, and those that name one for all.
    let (mut early, mut named) = (Vec::new(), Vec::new());
    for event in life {
        let cost = event.details.cost.map(|cost| cost.0);
        let booked = customer.days.entry(event.day.max(first_day)).or_default();
        if event.is_refund() {
            booked.net -= event.cents;
            let refund = (event.day.max(first_day), event.cents, cost);
            match event.sale {
                Some(sale) => named.push((sale, refund)),
                None => early.push(refund),
            }
        } else {
            booked.net += event.cents;
            booked.orders += 1;
            cost.into_iter().for_each(|cost| booked.add_costed(event.cents, cost));
            customer.sales.push(Sale {
                id: event.id,
                at: event.at,
                day: event.day,
                kind: event.kind,
                gross: event.cents,
                refunded: 0,
                cost,
                details: event.details,
            });
        }
        let Some(place) = customer.sales.len().checked_sub(1) else { continue };
        early.drain(..).for_each(|refund| take_off(&mut customer, place, refund));
    }
    for (sale, refund) in named {
        let place = customer.sales.iter().position(|other| other.id == sale);
        take_off(&mut customer, place.expect("a sale of this customer"), refund);
    }
    customer
}

/// Takes a refund off a sale: its day, its money and its cost.
fn take_off(
    customer: &mut Customer,
    place: usize,
    (day, cents, cost): (NaiveDate, i64, Option<i64>),
) {
    let sale = &mut customer.sales[place];
    sale.refunded += cents;
    // A refund goes the way of its sale; without a cost it takes back no goods.
    if let Some(known) = &mut sale.cost {
        *known += cost.unwrap_or(0);
        let booked = customer.days.entry(day).or_default();
        booked.add_costed(-cents, cost.unwrap_or(0));
    }
    customer.refunds.push((day, place, cents));
}

/// facts.orders.
pub fn orders(facts: &Facts) -> Expected {
    let mut rows = Vec::new();
    for customer in &facts.customers {
        for place in 0..customer.sales.len() {
            rows.push((customer, place));
        }
    }
    rows.sort_by_key(|(customer, place)| &customer.sales[*place].id);
    expected!("facts.orders", rows, |(customer, place)| {
        order_id: customer.sales[place].id.clone(),
        customer_id: customer.id.clone(),
        ordered_at: customer.sales[place].at,
        order_date: customer.sales[place].day,
        order_number: count(place + 1) + customer.earlier(),
        previous_order_id: before(customer, place).map(|sale| sale.id.clone()),
        previous_order_date: before(customer, place).map(|sale| sale.day),
        days_since_previous: before(customer, place)
            .map(|sale| (customer.sales[place].day - sale.day).num_days()),
        purchase_day_number: day_number(customer, place) + customer.earlier(),
        next_order_date: customer.sales.get(place + 1).map(|sale| sale.day),
        first_order_date: customer.first_day(),
        is_known_before: customer.is_known_before,
        kind: customer.sales[place].kind,
        gross: Cents(customer.sales[place].gross),
        refunded: Cents(customer.sales[place].refunded),
        net: Cents(customer.sales[place].net()),
        cost: customer.sales[place].cost.map(Cents),
        discount: customer.sales[place].details.discount,
        channel: customer.sales[place].details.channel,
        store: customer.sales[place].details.store,
        campaign: customer.sales[place].details.campaign,
    })
}

fn before(customer: &Customer, place: usize) -> Option<&Sale> {
    customer.sales.get(place.checked_sub(1)?)
}

fn day_number(customer: &Customer, place: usize) -> i64 {
    let mut days: Vec<_> = customer.sales[..=place].iter().map(|sale| sale.day).collect();
    days.dedup();
    count(days.len())
}

/// facts.customers.
pub fn customers(facts: &Facts) -> Expected {
    expected!("facts.customers", &facts.customers, |customer| {
        customer_id: customer.id.clone(),
        first_order_id: customer.sales[0].id.clone(),
        first_order_at: customer.sales[0].at,
        first_order_date: customer.first_day(),
        second_purchase_date: customer.purchase_days().get(1).copied(),
        last_order_at: customer.sales[customer.sales.len() - 1].at,
        last_order_date: customer.last_day(),
        orders: count(customer.sales.len()),
        purchase_days: count(customer.purchase_days().len()),
        gross: Cents(customer.sales.iter().map(|sale| sale.gross).sum()),
        refunds: Cents(customer.refunds.iter().map(|(_, _, cents)| cents).sum()),
        net: Cents(customer.net()),
        cost: customer.sales.iter().map(|sale| sale.cost).fold(None, plus).map(Cents),
        average_order_value: mean(customer.net(), customer.sales.len()),
        is_known_before: customer.is_known_before,
        tenure_days: facts.age(customer.first_day()),
        recency_days: facts.age(customer.last_day()),
        first_channel: customer.sales[0].details.channel,
        favourite_channel: favourite_channel(customer),
        first_store: customer.sales[0].details.store,
        first_campaign: customer.sales[0].details.campaign,
        is_first_order_discounted: customer.sales[0].details.discount.map(|cents| cents.0 > 0),
        acquisition_channel: customer.profile.as_ref().and_then(|profile| profile.channel),
        acquired_date: customer.profile.as_ref().and_then(|profile| profile.acquired),
        acquisition_cost: customer.profile.as_ref().and_then(|profile| profile.cost),
    })
}

/// Money by head, to the cent; null over nobody.
pub fn mean(cents: i64, over: usize) -> Option<Cents> {
    let over = i128::from(count(over));
    let cents = (over > 0).then(|| divided(cents.into(), over))?;
    Some(Cents(i64::try_from(cents).expect("a small number")))
}

/// The channel of most orders; of equals, the one used last.
fn favourite_channel(customer: &Customer) -> Option<&'static str> {
    let channels = || customer.sales.iter().filter_map(|sale| sale.details.channel);
    let votes = |channel| channels().filter(|other| *other == channel).count();
    let most = channels().map(votes).max()?;
    channels().rfind(|channel| votes(channel) == most)
}

/// facts.customer_periods.
pub fn customer_periods(facts: &Facts) -> Expected {
    let grain = facts.settings.cohort_grain;
    let periods = facts.periods(grain);
    let mut rows = Vec::new();
    for customer in &facts.customers {
        for period in &periods {
            let days = || customer.days.iter().filter(|(date, _)| period.holds(**date));
            if days().next().is_some() {
                rows.push((customer, period, days().map(|(_, day)| day).collect::<Vec<_>>()));
            }
        }
    }
    let active = |customer: &Customer| {
        periods.iter().filter(|period| customer.bought_in(period)).collect::<Vec<_>>()
    };
    expected!("facts.customer_periods", rows, |(customer, period, days)| {
        customer_id: customer.id.clone(),
        period: period.number,
        period_start: period.start,
        cohort_period: (!customer.is_known_before).then(|| grain.number(customer.first_day())),
        cohort_start: (!customer.is_known_before).then(|| grain.start(customer.first_day())),
        period_index: (!customer.is_known_before)
            .then(|| period.number - grain.number(customer.first_day())),
        is_active: customer.bought_in(period),
        orders: days.iter().map(|day| day.orders).sum::<i64>(),
        purchase_days: count(days.iter().filter(|day| day.orders > 0).count()),
        revenue: Cents(days.iter().map(|day| day.net).sum()),
        previous_active_period: active(customer)
            .iter()
            .map(|other| other.number)
            .filter(|number| *number < period.number)
            .max(),
        next_active_period: active(customer)
            .iter()
            .map(|other| other.number)
            .find(|number| *number > period.number),
        is_complete: period.is_complete,
    })
}

/// facts.unattributed_refunds.
pub fn unattributed_refunds(facts: &Facts) -> Expected {
    let refunds = &facts.unattributed;
    let rows: Vec<_> = refunds.iter().enumerate().collect();
    let number =
        |place: usize| refunds[..=place].iter().filter(|r| r.id == refunds[place].id).count();
    expected!("facts.unattributed_refunds", rows, |(place, refund)| {
        order_id: refund.id.clone(),
        refund_number: count(number(place)),
        customer_id: refund.customer.clone(),
        ordered_at: refund.at,
        order_date: refund.day,
        refunded: Cents(refund.cents),
    })
}
