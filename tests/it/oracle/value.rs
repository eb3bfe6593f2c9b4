//! Money: who brings it, and what a customer was, is and could be worth.

use std::collections::BTreeMap;

use super::cells::{Cell, Cents, Expected, count, divided, expected, nothing, rate};
use super::facts::{Customer, Day, Facts};
use super::lifecycle;
use super::settings::ONE;

/// Days of a year.
const YEAR: i64 = 365;

/// metrics.value_concentration.
pub fn concentration(facts: &Facts) -> Expected {
    let mut nets: Vec<i64> = facts.customers.iter().map(Customer::net).collect();
    nets.sort_by_key(|net| -net);
    let (people, all) = (nets.len(), nets.iter().sum::<i64>());
    let first = |deciles: usize| (deciles * people).div_ceil(10);
    let rows = (1..=10).filter(|decile| first(*decile) > first(decile - 1)).map(|decile| {
        (count(decile), &nets[first(decile - 1)..first(decile)], &nets[..first(decile)])
    });
    expected!("metrics.value_concentration", rows, |(decile, inside, so_far)| {
        decile: decile,
        customers: count(inside.len()),
        revenue: Cents(inside.iter().sum()),
        revenue_share: rate(inside.iter().sum(), all),
        lowest_revenue: inside.last().copied().map(Cents),
        highest_revenue: inside.first().copied().map(Cents),
        cumulative_customers: count(so_far.len()),
        cumulative_customer_share: rate(count(so_far.len()), count(people)),
        cumulative_revenue: Cents(so_far.iter().sum()),
        cumulative_share: rate(so_far.iter().sum(), all),
    })
}

/// Revenue in cents and margin in millionths of cents, over so many heads.
#[derive(Clone, Copy, Default)]
struct Money {
    revenue: i128,
    margin: i128,
    heads: i128,
}

impl Money {
    /// Cents a head, rounded.
    fn mean_revenue(self) -> Cents {
        cents(divided(self.revenue, self.heads))
    }

    fn mean_margin(self) -> Cents {
        cents(divided(self.margin, self.heads * i128::from(ONE)))
    }

    /// In whole money, as doubles.
    fn per_head(self) -> (f64, f64) {
        let heads = self.heads as f64 * 100.0;
        (self.revenue as f64 / heads, self.margin as f64 / 1e6 / heads)
    }
}

fn cents(value: i128) -> Cents {
    Cents(i64::try_from(value).expect("a small number"))
}

/// Revenue and margin of the days that count.
fn earned(facts: &Facts, customer: &Customer, counts: impl Fn(chrono::NaiveDate) -> bool) -> Money {
    let mut money = Money { heads: 1, ..Money::default() };
    for (_, day) in customer.days.iter().filter(|(date, _)| counts(**date)) {
        money.revenue += i128::from(day.net);
        let costed = day.costed_net.unwrap_or(0);
        money.margin += i128::from(costed - day.cost.unwrap_or(0)) * i128::from(ONE);
        money.margin += i128::from(day.net - costed) * i128::from(facts.settings.value.margin_rate);
    }
    money
}

/// How likely another year is, and what it is worth.
struct Assumptions {
    history_days: i64,
    base: i64,
    retained: i64,
    measured: Option<f64>,
    rate: f64,
    basis: &'static str,
    annuity: f64,
    growing: f64,
}

fn million(value: i64) -> f64 {
    value as f64 / 1e6
}

fn assumptions(facts: &Facts) -> Assumptions {
    let value = &facts.settings.value;
    let bought = |customer: &Customer, ages: std::ops::Range<i64>| {
        customer.sales.iter().any(|sale| ages.contains(&facts.age(sale.day)))
    };
    let base: Vec<_> =
        facts.customers.iter().filter(|customer| bought(customer, YEAR..2 * YEAR)).collect();
    let retained = count(base.iter().filter(|customer| bought(customer, 0..YEAR)).count());
    let ages = facts.customers.iter().map(|customer| facts.age(customer.first_day()));
    let history_days = ages.max().unwrap_or(0);
    let is_long = history_days >= 2 * YEAR;
    let measured = (is_long && !base.is_empty()).then(|| retained as f64 / base.len() as f64);
    let (rate, basis) = match (value.retention_rate, measured) {
        (Some(given), _) => (million(given), "given"),
        (None, Some(measured)) => (measured, "measured"),
        (None, None) if is_long => {
            (million(value.retention_rate_default), "default: nobody bought in the year before")
        }
        (None, None) => {
            (million(value.retention_rate_default), "default: under two years of history")
        }
    };
    let (mut annuity, mut growing) = (0.0, 0.0);
    for year in 1..=i32::try_from(value.horizon_years).expect("a small number") {
        let weight = (rate / (1.0 + million(value.discount_rate))).powi(year);
        annuity += weight;
        growing += weight * (1.0 + million(value.revenue_growth)).powi(year - 1);
    }
    let base = count(base.len());
    Assumptions { history_days, base, retained, measured, rate, basis, annuity, growing }
}

/// metrics.value_assumptions.
pub fn value_assumptions(facts: &Facts) -> Expected {
    let known = (!facts.customers.is_empty()).then(|| assumptions(facts));
    expected!("metrics.value_assumptions", known, |known| {
        scope: "all",
        history_days: known.history_days,
        customers: count(facts.customers.len()),
        base_customers: known.base,
        retained_customers: known.retained,
        measured_retention: known.measured.map(Cell::Double),
        retention_rate: Cell::Double(known.rate),
        retention_basis: known.basis,
        annuity_factor: Cell::Double(known.annuity),
        growing_annuity_factor: Cell::Double(known.growing),
    })
}

/// What the orders of some days after the first one brought, whenever their refunds
/// came.
fn returned(facts: &Facts, customer: &Customer, days: std::ops::RangeInclusive<i64>) -> Money {
    let mut money = Money { heads: 1, ..Money::default() };
    for sale in &customer.sales {
        if days.contains(&(sale.day - customer.first_day()).num_days()) {
            let margin_rate = i128::from(facts.settings.value.margin_rate);
            money.revenue += i128::from(sale.net());
            money.margin += match sale.cost {
                Some(cost) => i128::from(sale.net() - cost) * i128::from(ONE),
                None => i128::from(sale.net()) * margin_rate,
            };
        }
    }
    money
}

/// Customers of a channel from whom on it is compared with itself alone.
const CHANNEL_MIN: usize = 30;

/// The year after the first day, of everyone who was observed for it: a hundred
/// times what all of them brought, each at most the 95 % quantile.
struct Shop {
    all: Money,
    channels: BTreeMap<Option<&'static str>, Money>,
}

impl Shop {
    fn of(facts: &Facts) -> Self {
        let mut years: BTreeMap<_, Vec<Money>> = BTreeMap::new();
        for customer in facts.first_seen().filter(|one| facts.age(one.first_day()) >= YEAR) {
            let year = returned(facts, customer, 1..=YEAR);
            years.entry(acquisition_channel(customer)).or_default().push(year);
        }
        let everybody: Vec<Money> = years.values().flatten().copied().collect();
        let known = years.into_iter().filter(|(_, years)| years.len() >= CHANNEL_MIN);
        Self {
            all: capped(&everybody),
            channels: known.map(|(channel, years)| (channel, capped(&years))).collect(),
        }
    }

    fn year(&self, customer: &Customer) -> Money {
        self.channels.get(&acquisition_channel(customer)).copied().unwrap_or(self.all)
    }
}

fn acquisition_channel(customer: &Customer) -> Option<&'static str> {
    customer.profile.as_ref().and_then(|profile| profile.channel)
}

fn capped(years: &[Money]) -> Money {
    let sum = |of: fn(&Money) -> i128| {
        let mut values: Vec<i128> = years.iter().map(of).collect();
        values.sort_unstable();
        let Some(last) = values.len().checked_sub(1) else { return 0 };
        let (low, part) = (last * 95 / 100, i128::from(count(last * 95 % 100)));
        let cap = values[low] * (100 - part) + values[(low + 1).min(last)] * part;
        values.iter().map(|value| (value * 100).min(cap)).sum()
    };
    Money {
        revenue: sum(|money| money.revenue),
        margin: sum(|money| money.margin),
        heads: i128::from(count(years.len())),
    }
}

/// What a year of a customer brings, and how that is known.
fn yearly(facts: &Facts, customer: &Customer, shop: &Shop) -> (Money, &'static str) {
    let age = facts.age(customer.first_day());
    if age >= YEAR || customer.is_known_before {
        return (earned(facts, customer, |day| facts.age(day) < YEAR), "own");
    }
    let own = returned(facts, customer, 1..=YEAR);
    let year = shop.year(customer);
    // All over one denominator: days of the year, customers, and the hundred.
    let heads = i128::from(YEAR) * year.heads.max(1) * 100;
    let rest = i128::from(YEAR - age);
    let blended = Money {
        revenue: own.revenue * heads + rest * year.revenue,
        margin: own.margin * heads + rest * year.margin,
        heads,
    };
    (blended, "blended")
}

/// Everything about one customer's value.
struct Valued<'a> {
    customer: &'a Customer,
    all: Money,
    margin_rate: f64,
    margin_basis: &'static str,
    acquisition: i64,
    historical: Cents,
    yearly: Money,
    basis: &'static str,
    current: f64,
    potential: f64,
}

fn valued<'a>(
    facts: &Facts,
    customer: &'a Customer,
    known: &Assumptions,
    shop: &Shop,
) -> Valued<'a> {
    let value = &facts.settings.value;
    let all = earned(facts, customer, |_| true);
    let with_cost = customer.days.values().filter(|day| day.cost.is_some()).count();
    let is_at_rate = |day: &&Day| day.cost.is_none() || day.costed_net != Some(day.net);
    let margin_basis = match (with_cost, customer.days.values().filter(is_at_rate).count()) {
        (0, _) => "rate",
        (_, 0) => "cost",
        _ => "cost and rate",
    };
    let margin_rate = match all.revenue > 0 {
        true => all.margin as f64 / 1e6 / all.revenue as f64,
        false => million(value.margin_rate),
    };
    let acquisition = customer.profile.as_ref().and_then(|profile| profile.cost);
    let acquisition = acquisition.unwrap_or_default().0;
    let (yearly, basis) = yearly(facts, customer, shop);
    let (revenue, margin) = yearly.per_head();
    let extra = million(value.data_value) - million(value.service_cost);
    let is_here = facts.age(customer.last_day()) < YEAR;
    let upsell = value.upsell.filter(|_| is_here).map_or(0.0, |(target, success)| {
        (million(target) - revenue).max(0.0) * margin_rate * million(success) * known.annuity
    });
    Valued {
        customer,
        all,
        margin_rate,
        margin_basis,
        acquisition,
        historical: cents(divided(all.margin, i128::from(ONE)) - i128::from(acquisition)),
        yearly,
        basis,
        current: margin * known.growing + extra * known.annuity,
        potential: upsell,
    }
}

/// Rounded to cents, as it is published.
fn rounded(money: f64) -> i64 {
    (money * 100.0).round() as i64
}

/// At or above the median of all, and above 0.
fn highs(values: &[i64]) -> Vec<bool> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let middles = |sorted: &[i64]| sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2];
    values.iter().map(|value| *value > 0 && value * 2 >= middles(&sorted)).collect()
}

fn tier(current: bool, potential: bool, risk: bool) -> &'static str {
    match (current, potential, risk) {
        (true, _, true) => "watch",
        (true, true, false) => "high",
        (false, true, _) => "growing",
        (true, false, false) => "watch",
        (false, false, _) => "low",
    }
}

/// metrics.customer_value.
pub fn customer_value(facts: &Facts) -> Expected {
    let known = assumptions(facts);
    let shop = Shop::of(facts);
    let all: Vec<_> =
        facts.customers.iter().map(|customer| valued(facts, customer, &known, &shop)).collect();
    let currents: Vec<i64> = all.iter().map(|one| rounded(one.current)).collect();
    let potentials: Vec<i64> = all.iter().map(|one| rounded(one.potential)).collect();
    let highs = highs(&currents).into_iter().zip(highs(&potentials));
    let judged = all.iter().zip(highs).zip(lifecycle::at_risk(facts));
    expected!("metrics.customer_value", judged, |((one, (current, potential)), risk)| {
        customer_id: one.customer.id.clone(),
        historical_revenue: cents(one.all.revenue),
        margin_rate: Cell::Double(one.margin_rate),
        margin_basis: one.margin_basis,
        service_cost: Cents(0),
        acquisition_cost: Cents(one.acquisition),
        historical_value: one.historical,
        yearly_revenue: one.yearly.mean_revenue(),
        yearly_margin: one.yearly.mean_margin(),
        basis: one.basis,
        retention_rate: Cell::Double(known.rate),
        retention_basis: known.basis,
        current_value: Cell::About(one.current),
        upsell_value: Cell::About(one.potential),
        referral_value: Cents(0),
        potential_value: Cell::About(one.potential),
        clv: Cell::About(one.historical.0 as f64 / 100.0 + one.current + one.potential),
        predicted_value: nothing(),
        current_high: current,
        potential_high: potential,
        risk_high: risk,
        clv_tier: tier(current, potential, risk),
    })
}
