//! The automaton, played for every customer and every period: the dense way
//! that the SQL avoids.

use std::collections::BTreeMap;

use super::calendar::Period;
use super::cells::{Cents, Expected, count, expected, nothing, rate};
use super::facts::{Customer, Facts, mean};
use super::settings::ONE;

/// A customer's state at the end of every period since the first.
struct Life<'a> {
    customer: &'a Customer,
    /// Place of the first period, and the states from there on.
    begins: usize,
    states: Vec<&'static str>,
}

impl Life<'_> {
    /// The state at the end of a period; `none` before the first.
    fn at(&self, place: usize) -> &'static str {
        place.checked_sub(self.begins).map_or("none", |since| self.states[since])
    }

    fn before(&self, place: usize) -> &'static str {
        place.checked_sub(1).map_or("none", |place| self.at(place))
    }
}

/// The latest period with a purchase, up to one.
fn last_active(customer: &Customer, periods: &[Period], place: usize) -> usize {
    let bought = |place: &usize| customer.bought_in(&periods[*place]);
    (0..=place).rev().find(bought).expect("a purchase")
}

/// Complete periods without a purchase since then.
fn idle(customer: &Customer, periods: &[Period], place: usize) -> i64 {
    let last = last_active(customer, periods, place);
    count(periods[last + 1..=place].iter().filter(|period| period.is_complete).count())
}

/// The state before the VIP rule is asked.
fn state(facts: &Facts, customer: &Customer, periods: &[Period], place: usize) -> &'static str {
    let rules = &facts.settings.lifecycle;
    let end = periods[place].end;
    let purchase_days = customer.purchase_days().into_iter().filter(|day| *day <= end).count();
    // Who is known from before has bought on a day before these.
    let purchase_days = count(purchase_days) + customer.earlier();
    let idle = idle(customer, periods, place);
    let lost_after = rules.dormant_after_periods + rules.lost_after_periods;
    match purchase_days {
        1 if idle < rules.new_periods => "new",
        1 => "lost",
        _ if idle < rules.dormant_after_periods => "active",
        _ if idle < lost_after => "dormant",
        _ => "lost",
    }
}

/// Net revenue of the last `$vip_periods` up to a period.
fn rolling(facts: &Facts, customer: &Customer, periods: &[Period], place: usize) -> i64 {
    let width = usize::try_from(facts.settings.lifecycle.vip_periods).expect("a small number");
    let from = periods[(place + 1).saturating_sub(width)].start;
    let days = customer.days.range(from..=periods[place].end);
    days.map(|(_, day)| day.net).sum()
}

/// Millionths of cents from which an active customer is a VIP.
fn vip_bound(facts: &Facts, mut revenues: Vec<i64>) -> i128 {
    let rules = &facts.settings.lifecycle;
    let one = i128::from(ONE);
    if let Some(amount) = rules.vip_amount {
        return i128::from(amount.0) * one;
    }
    revenues.sort_unstable();
    let last = revenues.len() - 1;
    let target = count(last) * rules.vip_quantile;
    let low = usize::try_from(target / ONE).expect("a place");
    let part = i128::from(target % ONE);
    let next = revenues[(low + 1).min(last)];
    i128::from(revenues[low]) * (one - part) + i128::from(next) * part
}

fn lives<'a>(facts: &'a Facts, periods: &[Period]) -> Vec<Life<'a>> {
    let mut lives: Vec<Life> = Vec::new();
    for customer in &facts.customers {
        let begins = periods.iter().position(|period| period.holds(customer.first_day()));
        let begins = begins.expect("a period");
        let states = begins..periods.len();
        let states = states.map(|place| state(facts, customer, periods, place)).collect();
        lives.push(Life { customer, begins, states });
    }
    for place in 0..periods.len() {
        let revenue = |life: &Life| rolling(facts, life.customer, periods, place);
        let active = |life: &&Life| life.at(place) == "active";
        let revenues: Vec<i64> = lives.iter().filter(active).map(revenue).collect();
        if revenues.is_empty() {
            continue;
        }
        let bound = vip_bound(facts, revenues);
        for life in &mut lives {
            let is_vip = i128::from(revenue(life)) * i128::from(ONE) >= bound;
            if life.at(place) == "active" && is_vip {
                life.states[place - life.begins] = "vip";
            }
        }
    }
    lives
}

/// metrics.lifecycle_states.
pub fn states(facts: &Facts) -> Expected {
    let periods = facts.periods(facts.settings.lifecycle.grain);
    let lives = lives(facts, &periods);
    let now = periods.len().saturating_sub(1);
    let since = |life: &Life| {
        let same = (life.begins..=now).rev().take_while(|place| life.at(*place) == life.at(now));
        periods[same.last().expect("now")].start
    };
    expected!("metrics.lifecycle_states", &lives, |life| {
        customer_id: life.customer.id.clone(),
        state: life.at(now),
        state_before: life.before(now),
        since_date: since(life),
        last_active_period: periods[last_active(life.customer, &periods, now)].number,
        last_active_start: periods[last_active(life.customer, &periods, now)].start,
        idle_periods: idle(life.customer, &periods, now),
    })
}

/// Who of the customers is at risk: for their value.
pub fn at_risk(facts: &Facts) -> Vec<bool> {
    let periods = facts.periods(facts.settings.lifecycle.grain);
    let now = periods.len().saturating_sub(1);
    let lives = lives(facts, &periods);
    lives.iter().map(|life| matches!(life.at(now), "dormant" | "lost")).collect()
}

/// Customers by the step they took in a period.
type Steps = BTreeMap<(&'static str, &'static str), i64>;

fn steps(lives: &[Life], place: usize) -> Steps {
    let mut steps = Steps::new();
    for life in lives.iter().filter(|life| life.begins <= place) {
        *steps.entry((life.before(place), life.at(place))).or_default() += 1;
    }
    steps
}

/// metrics.lifecycle_transitions.
pub fn transitions(facts: &Facts) -> Expected {
    let periods = facts.periods(facts.settings.lifecycle.grain);
    let lives = lives(facts, &periods);
    let mut rows = Vec::new();
    for (place, period) in periods.iter().enumerate() {
        rows.extend(steps(&lives, place).into_iter().map(|step| (period, step)));
    }
    expected!("metrics.lifecycle_transitions", rows, |(period, ((from, to), customers))| {
        period: period.number,
        from_state: from,
        to_state: to,
        period_start: period.start,
        is_complete: period.is_complete,
        customers: customers,
    })
}

/// metrics.lifecycle_summary.
pub fn summary(facts: &Facts) -> Expected {
    let periods = facts.periods(facts.settings.lifecycle.grain);
    let lives = lives(facts, &periods);
    let rows = periods.iter().enumerate().map(|(place, period)| {
        let before = place.checked_sub(1).map(|place| &periods[place]);
        let returned = returned(facts, &lives, &periods, place);
        let existing = (existing_value(facts, period), returned);
        (period, steps(&lives, place), existing, view(facts, period, before))
    });
    let gone = |state: &str| matches!(state, "dormant" | "lost");
    let here = |state: &str| matches!(state, "active" | "vip");
    expected!("metrics.lifecycle_summary", rows, |(
        period,
        steps,
        (existing, returned),
        view,
    )| {
        period: period.number,
        period_start: period.start,
        is_complete: period.is_complete,
        prospects: nothing(),
        customers: sum(&steps, |_, _| true),
        new: sum(&steps, |_, to| to == "new"),
        active: sum(&steps, |_, to| to == "active"),
        vip: sum(&steps, |_, to| to == "vip"),
        dormant: sum(&steps, |_, to| to == "dormant"),
        lost: sum(&steps, |_, to| to == "lost"),
        reactivated: sum(&steps, |from, to| gone(from) && here(to)),
        active_turned_vip: sum(&steps, |from, to| from == "active" && to == "vip"),
        active_turned_dormant: sum(&steps, |from, to| from == "active" && to == "dormant"),
        vip_turned_dormant: sum(&steps, |from, to| from == "vip" && to == "dormant"),
        turned_lost: turned_lost(&steps),
        lost_returned: returned,
        existing_average_order_value: existing,
        buyers: view.buyers,
        first_buyers: view.first,
        retained: view.retained,
        resurrected: view.buyers - view.first - view.retained,
        lapsed: view.before - view.retained,
        churn_rate: period
            .is_complete
            .then(|| rate(turned_lost(&steps), sum(&steps, |from, _| !matches!(from, "none" | "lost")))),
        win_back_rate: rate(
            sum(&steps, |from, to| gone(from) && here(to)),
            sum(&steps, |from, _| gone(from)),
        ),
        conversion_rate: nothing(),
    })
}

fn sum(steps: &Steps, counts: impl Fn(&str, &str) -> bool) -> i64 {
    steps.iter().filter(|((from, to), _)| counts(from, to)).map(|(_, customers)| customers).sum()
}

fn turned_lost(steps: &Steps) -> i64 {
    sum(steps, |from, to| !matches!(from, "none" | "lost") && to == "lost")
}

/// Of those who turned lost at the end of a period, those who bought again in one
/// that begins within a year of it; none until the year is over.
fn returned(facts: &Facts, lives: &[Life], periods: &[Period], place: usize) -> Option<i64> {
    let end = periods[place].end;
    if facts.age(end) < 365 {
        return None;
    }
    let turned = |life: &&Life| {
        life.begins < place && life.before(place) != "lost" && life.at(place) == "lost"
    };
    let came_back = |life: &&Life| {
        let later = &periods[place + 1..];
        let next = later.iter().find(|period| life.customer.bought_in(period));
        next.is_some_and(|period| (period.start - end).num_days() <= 365)
    };
    Some(count(lives.iter().filter(turned).filter(came_back).count()))
}

/// Net per order of those who bought before the period.
fn existing_value(facts: &Facts, period: &Period) -> Option<Cents> {
    let is_old =
        |customer: &&Customer| customer.is_known_before || customer.first_day() < period.start;
    let existing = facts.customers.iter().filter(is_old);
    let sales: Vec<i64> = existing
        .flat_map(|customer| &customer.sales)
        .filter(|sale| period.holds(sale.day))
        .map(super::facts::Sale::net)
        .collect();
    mean(sales.iter().sum(), sales.len())
}

/// Who bought, and in the period before.
struct View {
    buyers: i64,
    first: i64,
    retained: i64,
    before: i64,
}

fn view(facts: &Facts, period: &Period, before: Option<&Period>) -> View {
    let those = |counts: &dyn Fn(&Customer) -> bool| {
        count(facts.customers.iter().filter(|customer| counts(customer)).count())
    };
    let earlier = |customer: &Customer| before.is_some_and(|before| customer.bought_in(before));
    View {
        buyers: those(&|customer| customer.bought_in(period)),
        first: count(facts.cohort(period).len()),
        retained: those(&|customer| earlier(customer) && customer.bought_in(period)),
        before: those(&earlier),
    }
}
