//! Who buys again, told in the ways that metrics.md keeps apart.

use std::collections::{BTreeMap, BTreeSet};

use super::calendar::Period;
use super::cells::{Cell, Cents, Expected, count, expected, nothing, rate};
use super::facts::{Customer, Facts};

/// What a period, or all of them, sold.
struct Sold {
    customers: i64,
    orders: i64,
    repeat_orders: i64,
    revenue: i64,
    repeat_revenue: i64,
}

fn sold(facts: &Facts, counts: &dyn Fn(chrono::NaiveDate) -> bool) -> Sold {
    let mut sold =
        Sold { customers: 0, orders: 0, repeat_orders: 0, revenue: 0, repeat_revenue: 0 };
    for customer in &facts.customers {
        let orders = customer.sales.iter().enumerate().filter(|(_, sale)| counts(sale.day));
        let before = sold.orders;
        for (place, sale) in orders {
            sold.orders += 1;
            sold.revenue += sale.net();
            // Of who is known from before no order is the first.
            if place > 0 || customer.is_known_before {
                sold.repeat_orders += 1;
                sold.repeat_revenue += sale.net();
            }
        }
        sold.customers += i64::from(sold.orders > before);
    }
    sold
}

/// metrics.repurchase_summary.
pub fn summary(facts: &Facts) -> Expected {
    let periods = facts.periods(facts.settings.cohort_grain);
    let mut rows: Vec<(&str, Period, Sold, i64, [Cell; 11])> = Vec::new();
    if let Some(first) = periods.first() {
        let all = sold(facts, &|_| true);
        let again = |customer: &&Customer| customer.sales.len() > 1 || customer.is_known_before;
        let repeat = facts.customers.iter().filter(again).count();
        let mut cells = std::array::from_fn(|_| nothing());
        cells[0] = Cell::from(count(repeat));
        cells[1] = rate(count(repeat), all.customers);
        let new = count(facts.first_seen().count());
        rows.push(("all", Period { is_complete: true, ..*first }, all, new, cells));
    }
    for (place, period) in periods.iter().enumerate() {
        let before = place.checked_sub(1).map(|place| &periods[place]);
        let sold = sold(facts, &|day| period.holds(day));
        let cells = about_period(facts, period, before, sold.customers);
        let new = count(facts.cohort(period).len());
        rows.push(("period", *period, sold, new, cells));
    }
    expected!("metrics.repurchase_summary", rows, |(span, period, sold, new, [
        repeat, repurchase, twice, twice_rate, returning, share, reordering, reordering_rate,
        previous, back, back_rate,
    ])| {
        span: span,
        period_start: period.start,
        is_complete: period.is_complete,
        customers: sold.customers,
        orders: sold.orders,
        purchases_per_customer: rate(sold.orders, sold.customers),
        new_customers: new,
        repeat_customers: repeat,
        customer_repurchase_rate: repurchase,
        in_period_repeat_customers: twice,
        in_period_repeat_rate: twice_rate,
        returning_customers: returning,
        returning_share: share,
        reordering_customers: reordering,
        returning_customer_rate: reordering_rate,
        previous_customers: previous,
        buy_back_customers: back,
        buy_back_rate: back_rate,
        repeat_orders: sold.repeat_orders,
        order_repurchase_rate: rate(sold.repeat_orders, sold.orders),
        revenue: Cents(sold.revenue),
        repeat_revenue: Cents(sold.repeat_revenue),
        repeat_revenue_share: rate(sold.repeat_revenue, sold.revenue),
    })
}

/// The rates that only a period has.
fn about_period(
    facts: &Facts,
    period: &Period,
    before: Option<&Period>,
    customers: i64,
) -> [Cell; 11] {
    let those = |test: &dyn Fn(&Customer) -> bool| {
        count(facts.customers.iter().filter(|customer| test(customer)).count())
    };
    let orders_in =
        |customer: &Customer| customer.sales.iter().filter(|sale| period.holds(sale.day)).count();
    let twice = those(&|customer| orders_in(customer) > 1);
    let is_old =
        |customer: &Customer| customer.is_known_before || customer.first_day() < period.start;
    let returning = those(&|customer| customer.bought_in(period) && is_old(customer));
    // Some order of the period is at least the second of the customer's life.
    let reordering = those(&|customer| {
        let sales = customer.sales.iter().enumerate();
        sales
            .filter(|(_, sale)| period.holds(sale.day))
            .any(|(place, _)| count(place + 1) + customer.earlier() >= 2)
    });
    let bought_before =
        |customer: &Customer| before.is_some_and(|before| customer.bought_in(before));
    let previous = those(&bought_before);
    let back = those(&|customer| bought_before(customer) && customer.bought_in(period));
    [
        nothing(),
        nothing(),
        Cell::from(twice),
        rate(twice, customers),
        Cell::from(returning),
        rate(returning, customers),
        Cell::from(reordering),
        rate(reordering, customers),
        Cell::from(previous),
        Cell::from(back),
        rate(back, previous),
    ]
}

/// metrics.repurchase_windows.
pub fn windows(facts: &Facts) -> Expected {
    let windows: BTreeSet<i64> = facts.settings.repurchase_windows.iter().copied().collect();
    let periods = facts.periods(facts.settings.cohort_grain);
    let mut rows = Vec::new();
    for period in &periods {
        let cohort = facts.cohort(period);
        if cohort.is_empty() {
            continue;
        }
        let is_left_truncated = facts.is_left_truncated(period, &periods);
        for days in windows.iter().copied() {
            let eligible: Vec<_> =
                cohort.iter().filter(|customer| facts.age(customer.first_day()) >= days).collect();
            let again = |customer: &&&&Customer| {
                let second = customer.purchase_days().get(1).copied();
                second.is_some_and(|day| (day - customer.first_day()).num_days() <= days)
            };
            let again = eligible.iter().filter(again).count();
            let sizes = (count(cohort.len()), count(eligible.len()), count(again));
            rows.push((period.start, days, sizes, is_left_truncated));
        }
    }
    expected!("metrics.repurchase_windows", rows, |(
        start,
        days,
        (customers, eligible, again),
        is_left_truncated,
    )| {
        cohort_start: start,
        window_days: days,
        cohort_customers: customers,
        eligible_customers: eligible,
        repurchase_customers: again,
        repurchase_rate: rate(again, eligible),
        is_complete: eligible == customers,
        is_left_truncated: is_left_truncated,
    })
}

/// metrics.repurchase_steps.
pub fn steps(facts: &Facts) -> Expected {
    let window = facts.settings.step_window_days;
    let longest = facts.first_seen().map(|customer| customer.sales.len()).max();
    let mut rows = Vec::new();
    for place in 0..longest.unwrap_or(0) {
        let reached: Vec<_> =
            facts.first_seen().filter(|customer| customer.sales.len() > place).collect();
        let eligible: Vec<_> = reached
            .iter()
            .filter(|customer| facts.age(customer.sales[place].day) >= window)
            .collect();
        let mut gaps: Vec<i64> = eligible
            .iter()
            .filter_map(|customer| {
                let next = customer.sales.get(place + 1)?;
                Some((next.day - customer.sales[place].day).num_days())
            })
            .filter(|gap| *gap <= window)
            .collect();
        gaps.sort_unstable();
        let sizes = (count(reached.len()), count(eligible.len()), count(gaps.len()));
        rows.push((count(place + 1), sizes, quantile(&gaps, 50)));
    }
    expected!("metrics.repurchase_steps", rows, |(
        number,
        (reached, eligible, converted),
        median,
    )| {
        order_number: number,
        customers: reached,
        eligible_customers: eligible,
        converted_customers: converted,
        conversion_rate: rate(converted, eligible),
        median_days_to_next: median,
    })
}

/// Type 7 of sorted values; null of none.
fn quantile(sorted: &[i64], percent: usize) -> Cell {
    let Some(last) = sorted.len().checked_sub(1) else { return nothing() };
    let (low, part) = (last * percent / 100, count(last * percent % 100));
    let next = sorted[(low + 1).min(last)];
    let hundredfold = sorted[low] * 100 + (next - sorted[low]) * part;
    Cell::Double(hundredfold as f64 / 100.0)
}

/// Days between purchases, sorted, by basis.
fn gaps(facts: &Facts) -> BTreeMap<&'static str, Vec<i64>> {
    let between = |days: Vec<chrono::NaiveDate>| {
        let pairs = days.windows(2).map(|pair| (pair[1] - pair[0]).num_days());
        pairs.collect::<Vec<_>>()
    };
    let mut gaps = BTreeMap::from([("day", Vec::new()), ("order", Vec::new())]);
    for customer in &facts.customers {
        let orders = customer.sales.iter().map(|sale| sale.day).collect();
        gaps.get_mut("order").expect("a basis").extend(between(orders));
        gaps.get_mut("day").expect("a basis").extend(between(customer.purchase_days()));
    }
    gaps.values_mut().for_each(|gaps| gaps.sort_unstable());
    gaps
}

/// metrics.repurchase_cycle.
pub fn cycle(facts: &Facts) -> Expected {
    expected!("metrics.repurchase_cycle", gaps(facts), |(basis, gaps)| {
        basis: basis,
        gaps: count(gaps.len()),
        mean_days: rate(gaps.iter().sum(), count(gaps.len())),
        p25_days: quantile(&gaps, 25),
        median_days: quantile(&gaps, 50),
        p75_days: quantile(&gaps, 75),
        p90_days: quantile(&gaps, 90),
        max_days: gaps.last().copied(),
    })
}

/// metrics.repurchase_gap_histogram.
pub fn gap_histogram(facts: &Facts) -> Expected {
    let mut rows = Vec::new();
    for (basis, gaps) in gaps(facts) {
        let lengths: BTreeSet<i64> = gaps.iter().copied().collect();
        for days in lengths {
            let equal = gaps.iter().filter(|gap| **gap == days).count();
            let up_to = gaps.iter().filter(|gap| **gap <= days).count();
            rows.push((basis, days, count(equal), count(up_to), count(gaps.len())));
        }
    }
    expected!("metrics.repurchase_gap_histogram", rows, |(basis, days, equal, up_to, all)| {
        basis: basis,
        gap_days: days,
        gaps: equal,
        share: rate(equal, all),
        cumulative_share: rate(up_to, all),
    })
}
