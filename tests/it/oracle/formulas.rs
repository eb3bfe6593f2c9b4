//! The formulas of the textbook, scope by scope.

use std::collections::BTreeMap;

use chrono::Datelike;

use super::cells::{Cell, Cents, Expected, count, divided, expected, nothing, rate};
use super::facts::{Customer, Facts, Sale};
use super::rfm;
use super::settings::ONE;

/// Days of a year, and of the window.
const YEAR: i64 = 365;
/// Who came yesterday has been observed for a month, or rates would explode.
const LEAST_DAYS: i64 = 30;

/// Someone of a scope, and what they bought in it.
struct Member<'a> {
    customer: &'a Customer,
    sales: Vec<&'a Sale>,
}

/// The scopes a customer is in, each with the sales that count in it.
fn scopes<'a>(
    segment: &'static str,
    customer: &'a Customer,
) -> BTreeMap<(&'static str, String), Vec<&'a Sale>> {
    let mut scopes: BTreeMap<_, Vec<&Sale>> = BTreeMap::new();
    for sale in &customer.sales {
        let year = customer.first_day().year().to_string();
        let is_new = !customer.is_known_before;
        let keys = [
            Some(("all", "all".to_string())),
            sale.details.channel.map(|channel| ("channel", channel.to_string())),
            sale.details.store.map(|store| ("store", store.to_string())),
            is_new.then_some(("cohort_year", year)),
            Some(("segment", segment.to_string())),
        ];
        keys.into_iter().flatten().for_each(|key| scopes.entry(key).or_default().push(sale));
    }
    scopes
}

/// Millionths of cents.
fn margin(facts: &Facts, sale: &Sale) -> i128 {
    match sale.cost {
        Some(cost) => i128::from(sale.net() - cost) * i128::from(ONE),
        None => i128::from(sale.net()) * i128::from(facts.settings.value.margin_rate),
    }
}

/// Sums over the members of a scope.
struct Scope {
    customers: i64,
    buyers: i64,
    orders: i64,
    revenue: i64,
    margin: i128,
    all_revenue: i64,
    all_margin: i128,
    /// Tenure of everyone, and of the buyers within the window.
    days: i64,
    buyer_days: i64,
    cost: i64,
    with_cost: i64,
    before: i64,
    churned: i64,
}

impl Scope {
    fn of(facts: &Facts, history_days: i64, members: &[Member]) -> Self {
        let mut scope = Self {
            customers: count(members.len()),
            buyers: 0,
            orders: 0,
            revenue: 0,
            margin: 0,
            all_revenue: 0,
            all_margin: 0,
            days: 0,
            buyer_days: 0,
            cost: 0,
            with_cost: 0,
            before: 0,
            churned: 0,
        };
        for Member { customer, sales } in members {
            let tenure = match customer.is_known_before {
                true => history_days,
                false => facts.age(customer.first_day()),
            };
            let tenure = tenure.max(LEAST_DAYS);
            scope.days += tenure;
            let recent: Vec<_> = sales.iter().filter(|sale| facts.age(sale.day) < YEAR).collect();
            let earlier = |sale: &&Sale| (YEAR..2 * YEAR).contains(&facts.age(sale.day));
            let bought_before = sales.iter().copied().any(|sale| earlier(&sale));
            scope.before += i64::from(bought_before);
            scope.churned += i64::from(bought_before && recent.is_empty());
            if !recent.is_empty() {
                scope.buyers += 1;
                scope.buyer_days += tenure.min(YEAR);
            }
            scope.orders += count(recent.len());
            scope.revenue += recent.iter().map(|sale| sale.net()).sum::<i64>();
            scope.margin += recent.iter().map(|sale| margin(facts, sale)).sum::<i128>();
            scope.all_revenue += sales.iter().map(|sale| sale.net()).sum::<i64>();
            scope.all_margin += sales.iter().map(|sale| margin(facts, sale)).sum::<i128>();
            if let Some(cost) = customer.profile.as_ref().and_then(|profile| profile.cost) {
                scope.cost += cost.0;
                scope.with_cost += 1;
            }
        }
        scope
    }

    /// Money over so many of something, to the cent; none over nothing.
    fn over(money: i128, many: i64) -> Option<Cents> {
        let money = (many > 0).then(|| divided(money, many.into()))?;
        Some(Cents(i64::try_from(money).expect("a small number")))
    }

    fn mean_net(&self) -> Option<Cents> {
        Self::over(self.all_revenue.into(), self.customers)
    }

    /// Order value, orders a year and years of a life, but no less than what came.
    fn ltv(&self) -> Option<Cents> {
        let money = i128::from(self.revenue) * i128::from(self.days);
        Self::over(money, self.buyer_days * self.customers).max(self.mean_net())
    }

    fn ltv_by_churn(&self, churn: Option<f64>) -> Option<Cents> {
        if self.orders == 0 {
            return self.mean_net();
        }
        churn.filter(|churn| *churn > 0.0)?;
        let money = i128::from(self.revenue) * i128::from(YEAR * self.before);
        Self::over(money, self.buyer_days * self.churned).max(self.mean_net())
    }

    /// The same of money that is not rounded, over the cost of a customer.
    fn to_cost(&self, money: f64, all_money: f64) -> Option<f64> {
        let cost = (self.cost > 0).then(|| self.cost as f64 / self.with_cost as f64)?;
        let so_far = all_money / self.customers as f64;
        let life = match self.buyer_days {
            0 => so_far,
            days => money * self.days as f64 / (days as f64 * self.customers as f64),
        };
        Some(life.max(so_far) / cost)
    }
}

/// metrics.value_formulas.
pub fn value_formulas(facts: &Facts) -> Expected {
    let ages = facts.customers.iter().map(|customer| facts.age(customer.first_day()));
    let history_days = ages.max().unwrap_or(0);
    let segments = rfm::segments(facts);
    let mut members: BTreeMap<_, Vec<Member>> = BTreeMap::new();
    for customer in &facts.customers {
        for (key, sales) in scopes(segments[&customer.id], customer) {
            members.entry(key).or_default().push(Member { customer, sales });
        }
    }
    let rows = members.into_iter().map(|(key, members)| {
        let scope = Scope::of(facts, history_days, &members);
        let is_long = history_days >= 2 * YEAR && scope.before > 0;
        let churn = is_long.then(|| scope.churned as f64 / scope.before as f64);
        (key, scope, churn)
    });
    expected!("metrics.value_formulas", rows, |((name, value), scope, churn)| {
        scope: name,
        scope_value: value,
        customers: scope.customers,
        buyers: scope.buyers,
        orders: scope.orders,
        revenue: Cents(scope.revenue),
        margin: Scope::over(scope.margin, ONE),
        average_order_value: Scope::over(scope.revenue.into(), scope.orders),
        frequency: rate(scope.orders, scope.buyers),
        customer_value: Scope::over(scope.revenue.into(), scope.buyers),
        yearly_frequency: rate(scope.orders * YEAR, scope.buyer_days),
        lifespan_years: rate(scope.days, scope.customers * YEAR),
        mean_net: scope.mean_net(),
        ltv: scope.ltv(),
        yearly_churn: churn.map(Cell::Double),
        churn_lifespan_years: churn
            .filter(|churn| *churn > 0.0)
            .map_or_else(nothing, |churn| Cell::Double(1.0 / churn)),
        ltv_by_churn: scope.ltv_by_churn(churn),
        cac: Scope::over(scope.cost.into(), scope.with_cost),
        revenue_cac_ratio: scope
            .to_cost(scope.revenue as f64, scope.all_revenue as f64)
            .map(Cell::Double),
        ltv_cac_ratio: scope
            .to_cost(scope.margin as f64 / 1e6, scope.all_margin as f64 / 1e6)
            .map(Cell::Double),
    })
}
