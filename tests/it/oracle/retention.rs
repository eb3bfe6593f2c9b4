//! Who comes back: cohorts by period, and windows of days.

use std::collections::BTreeSet;

use super::cells::{Cents, Expected, count, decimal, divided, expected, rate};
use super::facts::{Customer, Facts, Sale};

/// metrics.cohort_retention.
pub fn cohort_retention(facts: &Facts) -> Expected {
    let periods = facts.periods(facts.settings.cohort_grain);
    let mut rows = Vec::new();
    for (first, cohort_period) in periods.iter().enumerate() {
        let cohort = facts.cohort(cohort_period);
        if cohort.is_empty() {
            continue;
        }
        let is_left_truncated = facts.is_left_truncated(cohort_period, &periods);
        let mut cumulative = 0;
        for (index, period) in periods[first..].iter().enumerate() {
            let days: Vec<_> = cohort
                .iter()
                .flat_map(|customer| &customer.days)
                .filter(|(date, _)| period.holds(**date))
                .map(|(_, day)| day)
                .collect();
            let active = cohort.iter().filter(|customer| customer.bought_in(period)).count();
            let revenue: i64 = days.iter().map(|day| day.net).sum();
            let sales = cohort.iter().flat_map(|customer| &customer.sales);
            let sales = sales.filter(|sale| period.holds(sale.day));
            let order_revenue: i64 = sales.map(Sale::net).sum();
            cumulative += revenue;
            let per_customer = divided(i128::from(cumulative) * 10_000, count(cohort.len()).into());
            rows.push((
                (cohort_period.start, index, period),
                (cohort.len(), active, days.iter().map(|day| day.orders).sum::<i64>()),
                (revenue, order_revenue, cumulative, per_customer, is_left_truncated),
            ));
        }
    }
    expected!("metrics.cohort_retention", rows, |(
        (cohort_start, index, period),
        (customers, active, orders),
        (revenue, order_revenue, cumulative, per_customer, is_left_truncated),
    )| {
        cohort_start: cohort_start,
        period_index: count(index),
        period_start: period.start,
        cohort_customers: count(customers),
        active_customers: count(active),
        retention_rate: rate(count(active), count(customers)),
        orders: orders,
        revenue: Cents(revenue),
        order_revenue: Cents(order_revenue),
        cumulative_revenue: Cents(cumulative),
        cumulative_revenue_per_customer: decimal(per_customer, 6),
        is_complete: period.is_complete,
        is_left_truncated: is_left_truncated,
    })
}

/// The days after the first on which a customer bought again.
fn returns(customer: &Customer) -> Vec<i64> {
    let first = customer.first_day();
    let days = customer.purchase_days().into_iter().skip(1);
    days.map(|day| (day - first).num_days()).collect()
}

/// metrics.retention_windows.
pub fn retention_windows(facts: &Facts) -> Expected {
    let windows: BTreeSet<i64> = facts.settings.retention_windows.iter().copied().collect();
    let windows: Vec<i64> = windows.into_iter().collect();
    let mut rows = Vec::new();
    for (place, days) in windows.iter().copied().enumerate() {
        let mut look = |method, needed: i64, came_back: &dyn Fn(i64) -> bool| {
            let observed = |customer: &&Customer| facts.age(customer.first_day()) >= needed;
            let eligible: Vec<_> = facts.first_seen().filter(observed).collect();
            let retained = eligible
                .iter()
                .filter(|customer| returns(customer).into_iter().any(came_back))
                .count();
            rows.push((days, method, count(eligible.len()), count(retained)));
        };
        look("after", days, &|day| day >= days);
        if let Some(next) = windows.get(place + 1) {
            look("bracket", next - 1, &|day| day >= days && day < *next);
        }
        look("exact", days, &|day| day == days);
        look("within", days, &|day| day >= 1 && day <= days);
    }
    expected!("metrics.retention_windows", rows, |(days, method, eligible, retained)| {
        window_days: days,
        method: method,
        eligible_customers: eligible,
        retained_customers: retained,
        retention_rate: rate(retained, eligible),
    })
}
