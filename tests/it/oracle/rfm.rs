//! Recency, frequency, revenue: scores, highs, segments.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::cells::{Cell, Cents, Expected, count, expected, nothing, rate};
use super::facts::{Customer, Facts, mean};
use super::history::Id;
use super::settings::Method;

/// Scope and scope value.
type Place = (&'static str, &'static str);

/// A customer as seen in one place.
struct Measured<'a> {
    id: &'a Id,
    recency: i64,
    frequency: i64,
    orders: i64,
    monetary: i64,
    scores: [i64; 3],
    high: [bool; 3],
}

/// A booking: its day, whether it is a purchase, its money.
type Booking = (NaiveDate, bool, i64);

/// What counts of a customer, by place.
fn bookings(facts: &Facts, customer: &Customer) -> BTreeMap<Place, Vec<Booking>> {
    let scope = facts.settings.rfm.scope;
    let places = |sale: usize| {
        let details = &customer.sales[sale].details;
        let value = match scope {
            "channel" => details.channel,
            "store" => details.store,
            _ => None,
        };
        [Some(("all", "all")), value.map(|value| (scope, value))].into_iter().flatten()
    };
    let mut bookings: BTreeMap<Place, Vec<Booking>> = BTreeMap::new();
    for (number, sale) in customer.sales.iter().enumerate() {
        for place in places(number) {
            bookings.entry(place).or_default().push((sale.day, true, sale.gross));
        }
    }
    for (day, sale, cents) in &customer.refunds {
        for place in places(*sale) {
            bookings.entry(place).or_default().push((*day, false, -cents));
        }
    }
    bookings
}

fn measured<'a>(facts: &Facts, id: &'a Id, bookings: &[Booking]) -> Measured<'a> {
    let rfm = &facts.settings.rfm;
    let in_window = |day: NaiveDate| rfm.window_days.is_none_or(|days| facts.age(day) < days);
    let purchases = || bookings.iter().filter(|(_, is_purchase, _)| *is_purchase);
    let days: BTreeSet<_> =
        purchases().map(|(day, _, _)| *day).filter(|day| in_window(*day)).collect();
    let orders = count(purchases().filter(|(day, _, _)| in_window(*day)).count());
    let counts_orders =
        rfm.frequency == "orders" || rfm.frequency == "auto" && rfm.method == Method::QuantileR;
    let booked = bookings.iter().filter(|(day, _, _)| in_window(*day));
    let net: i64 = booked.map(|(_, _, cents)| cents).sum();
    Measured {
        id,
        recency: purchases().map(|(day, _, _)| facts.age(*day)).min().expect("a purchase"),
        frequency: if counts_orders { orders } else { count(days.len()) },
        orders,
        monetary: if days.is_empty() { 0 } else { net },
        scores: [0; 3],
        high: [false; 3],
    }
}

/// Everyone in every place, scored.
fn places(facts: &Facts) -> BTreeMap<Place, Vec<Measured<'_>>> {
    let mut places: BTreeMap<Place, Vec<Measured>> = BTreeMap::new();
    for customer in &facts.customers {
        for (place, bookings) in bookings(facts, customer) {
            places.entry(place).or_default().push(measured(facts, &customer.id, &bookings));
        }
    }
    let rfm = &facts.settings.rfm;
    for people in places.values_mut() {
        let measures: [fn(&Measured) -> i64; 3] =
            [|person| -person.recency, |person| person.frequency, |person| person.monetary];
        for (letter, measure) in measures.into_iter().enumerate() {
            let values: Vec<i64> = people.iter().map(measure).collect();
            let scores = scores(rfm.method, letter, &values);
            let highs = highs(rfm.high, &scores);
            for ((person, score), high) in people.iter_mut().zip(scores).zip(highs) {
                person.scores[letter] = score;
                person.high[letter] = high;
            }
        }
    }
    places
}

/// The scores of values where more is better: recency comes negated, and the
/// customers come in the order of their ids.
fn scores(method: Method, letter: usize, values: &[i64]) -> Vec<i64> {
    let values_of_rule = values.iter().map(|value| if letter == 0 { -value } else { *value });
    match method {
        Method::Rules => values_of_rule.map(|value| by_rules(letter, value)).collect(),
        Method::Ntile => by_rank(values),
        Method::Quantile | Method::QuantileR => {
            let raw: Vec<i64> = values_of_rule.collect();
            let one = if letter == 2 { 100 } else { 1 };
            let shift = if method == Method::QuantileR { one } else { 0 };
            let beyond = |value: i64| {
                let passed = |cut: &&i64| match method {
                    Method::Quantile => 5 * value > **cut,
                    _ => 5 * value >= **cut + 5 * shift,
                };
                count(cuts(&raw).iter().filter(passed).count())
            };
            let score = |count: i64| if letter == 0 { 5 - count } else { 1 + count };
            raw.iter().map(|value| score(beyond(*value))).collect()
        }
    }
}

/// Five times the 20, 40, 60 and 80 % quantiles (type 7).
fn cuts(values: &[i64]) -> Vec<i64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let last = sorted.len() - 1;
    let cut = |fifths: usize| {
        let (low, part) = (last * fifths / 5, count(last * fifths % 5));
        sorted[low] * (5 - part) + sorted[(low + 1).min(last)] * part
    };
    (1..=4).map(cut).collect()
}

/// Equal groups, the worst first; the first ones take what is left over.
fn by_rank(values: &[i64]) -> Vec<i64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by_key(|place| values[*place]);
    let mut scores = vec![0; values.len()];
    let (size, left) = (values.len() / 5, values.len() % 5);
    let mut people = order.into_iter();
    for group in 0..5 {
        for place in people.by_ref().take(size + usize::from(group < left)) {
            scores[place] = count(group + 1);
        }
    }
    scores
}

/// The shipped thresholds, from the worked example of metrics.md.
fn by_rules(letter: usize, value: i64) -> i64 {
    match letter {
        0 => 1 + count([50, 40, 35, 30].iter().filter(|days| value <= **days).count()),
        1 => 5,
        _ => 1 + count([1000, 1500, 2000, 2500].iter().filter(|low| value >= **low * 100).count()),
    }
}

/// Above the mean, or the median, of all; equal is low.
fn highs(rule: &str, scores: &[i64]) -> Vec<bool> {
    let mut sorted = scores.to_vec();
    sorted.sort_unstable();
    let (sum, people) = (sorted.iter().sum::<i64>(), count(sorted.len()));
    let middles = sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2];
    let is_high = |score: &i64| match rule {
        "mean" => score * people > sum,
        _ => score * 2 > middles,
    };
    scores.iter().map(is_high).collect()
}

/// The eight classes, with what to do.
const CLASSES: [([bool; 3], &str, &str, &str); 8] = [
    ([false, false, false], "general_win_back", "一般挽留", "mass campaigns only"),
    ([false, false, true], "important_win_back", "重要挽留", "win back: ask in person"),
    ([false, true, false], "general_keep", "一般保持", "remind at low cost"),
    ([false, true, true], "important_keep", "重要保持", "keep the rhythm"),
    ([true, false, false], "general_development", "一般发展", "bring to a second purchase"),
    ([true, false, true], "important_development", "重要发展", "raise frequency"),
    ([true, true, false], "general_value", "一般价值", "raise the basket"),
    ([true, true, true], "important_value", "重要价值", "serve first"),
];

fn class(high: [bool; 3]) -> (&'static str, &'static str) {
    let class = CLASSES.iter().find(|class| class.0 == high).expect("a class");
    (class.1, class.3)
}

/// The class of every customer, over all that they bought.
pub fn segments(facts: &Facts) -> BTreeMap<Id, &'static str> {
    let people = places(facts).remove(&("all", "all")).unwrap_or_default();
    people.into_iter().map(|person| (person.id.clone(), class(person.high).0)).collect()
}

/// metrics.rfm_scores.
pub fn rfm_scores(facts: &Facts) -> Expected {
    let mut rows = Vec::new();
    for (place, people) in places(facts) {
        rows.extend(people.into_iter().map(|person| (place, person)));
    }
    expected!("metrics.rfm_scores", rows, |((scope, scope_value), person)| {
        scope: scope,
        scope_value: scope_value,
        customer_id: person.id.clone(),
        recency_days: person.recency,
        frequency: person.frequency,
        monetary: Cents(person.monetary),
        r_score: person.scores[0],
        f_score: person.scores[1],
        m_score: person.scores[2],
        r_high: person.high[0],
        f_high: person.high[1],
        m_high: person.high[2],
        segment: class(person.high).0,
        action: Cell::Begins(class(person.high).1),
    })
}

/// metrics.rfm_segments.
pub fn rfm_segments(facts: &Facts) -> Expected {
    let places = places(facts);
    let mut rows = Vec::new();
    for (place, people) in &places {
        let mut classes: Vec<_> = CLASSES
            .iter()
            .map(|(high, key, name_zh, _)| {
                let inside: Vec<_> = people.iter().filter(|person| person.high == *high).collect();
                let revenue: i64 = inside.iter().map(|person| person.monetary).sum();
                (*key, *name_zh, inside, revenue)
            })
            .collect();
        let revenue = people.iter().map(|person| person.monetary).sum::<i64>();
        classes.sort_by_key(|(key, _, _, revenue)| (-revenue, *key));
        let mut ranked: Vec<_> = classes.into_iter().zip(1_i64..).collect();
        ranked.sort_by_key(|((key, ..), _)| *key);
        let totals = (people.len(), revenue);
        rows.extend(ranked.into_iter().map(|(class, rank)| (*place, class, rank, totals)));
    }
    let all = |people: &[&Measured], measure: fn(&Measured) -> i64| -> Vec<i64> {
        let mut values: Vec<i64> = people.iter().map(|person| measure(person)).collect();
        values.sort_unstable();
        values
    };
    expected!("metrics.rfm_segments", rows, |(
        (scope, scope_value),
        (key, name_zh, people, revenue),
        rank,
        (everybody, all_revenue),
    )| {
        scope: scope,
        scope_value: scope_value,
        segment: key,
        name_zh: name_zh,
        customers: count(people.len()),
        customer_share: rate(count(people.len()), count(everybody)),
        revenue: Cents(revenue),
        revenue_share: rate(revenue, all_revenue),
        mean_recency_days: mean_of(&all(&people, |person| person.recency)),
        median_recency_days: median_of(&all(&people, |person| person.recency)),
        mean_frequency: mean_of(&all(&people, |person| person.frequency)),
        median_frequency: median_of(&all(&people, |person| person.frequency)),
        mean_monetary: mean(revenue, people.len()),
        median_monetary: median_money(&all(&people, |person| person.monetary)),
        average_order_value: mean(revenue, orders_of(&people)),
        rank: rank,
    })
}

fn orders_of(people: &[&Measured]) -> usize {
    let orders: i64 = people.iter().map(|person| person.orders).sum();
    usize::try_from(orders).expect("no debts")
}

fn mean_of(values: &[i64]) -> Cell {
    rate(values.iter().sum(), count(values.len()))
}

/// Twice the median of sorted values.
fn middles(sorted: &[i64]) -> Option<i64> {
    let last = sorted.len().checked_sub(1)?;
    Some(sorted[last / 2] + sorted[sorted.len() / 2])
}

fn median_of(sorted: &[i64]) -> Cell {
    middles(sorted).map_or_else(nothing, |middles| rate(middles, 2))
}

fn median_money(sorted: &[i64]) -> Option<Cents> {
    middles(sorted).and_then(|middles| mean(middles, 2))
}
