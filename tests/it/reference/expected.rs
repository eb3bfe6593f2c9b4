//! The published files as our tables answer them: one function a file, with
//! the very columns of that file, so that no cell is left out.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;

use super::sheet::Sheet;
use super::warehouse::{Pipeline, Tables};

/// The tables of three runs: one as of the last day, and two that score as of
/// the day after it, as published, by rank and by quantile.
pub struct Published {
    /// All but the scores.
    pub plain: Tables,
    ntile: Tables,
    quantile: Tables,
}

impl Published {
    /// Runs a pipeline three times and reads what the published files ask for,
    /// and some tables more.
    pub fn read(pipeline: &Pipeline, [last, after]: [&str; 2], more: &[&str]) -> Self {
        let scored = |method: &str| {
            let method = format!("rfm_method={method}");
            pipeline.run(after, &[&method, "rfm_frequency=orders"], &RFM_TABLES)
        };
        Self {
            plain: pipeline.run(last, &[], &[&TABLES[..], more].concat()),
            ntile: scored("ntile"),
            quantile: scored("quantile"),
        }
    }

    /// A published file; its name begins with its number.
    pub fn answer(&self, file: &str) -> Sheet {
        let plain = &self.plain;
        match file.split('_').next().unwrap_or_default() {
            "01" => summary(plain),
            "02" => cohorts(plain),
            "03" => windows(plain),
            "04" => repurchase(plain),
            "04b" => orders_per_customer(plain),
            "05" => gaps(plain),
            "06" => fifths(&self.ntile, &self.quantile),
            "06b" => cells(&self.ntile),
            "07" => values(plain),
            "07b" => top_customers(plain),
            "08" => lifecycle(plain),
            _ => panic!("no published file {file}"),
        }
    }

    /// The fifths of a measure by quantile, in hundredths, as published count.
    pub fn cuts(&self, measure: &str) -> [i64; 4] {
        cuts(&self.quantile, measure)
    }
}

/// The four cuts of a measure, in hundredths.
pub fn cuts(tables: &Tables, measure: &str) -> [i64; 4] {
    let cuts = tables.get("metrics.rfm_cuts").with("snapshot", "now").with("measure", measure);
    CUTS.map(|cut| cuts.cents(cut))
}

const CUTS: [&str; 4] = ["cut_20", "cut_40", "cut_60", "cut_80"];

const TABLES: [&str; 10] = [
    "facts.orders",
    "facts.customers",
    "metrics.cohort_retention",
    "metrics.retention_windows",
    "metrics.repurchase_summary",
    "metrics.repurchase_steps",
    "metrics.repurchase_cycle",
    "metrics.lifecycle_summary",
    "metrics.customer_value",
    "metrics.value_concentration",
];

const RFM_TABLES: [&str; 3] = ["metrics.rfm_scores", "metrics.rfm_cells", "metrics.rfm_cuts"];

/// The windows the published tables have; ours has 3 days as well.
const WINDOWS: [&str; 8] = ["1", "7", "14", "30", "60", "90", "180", "365"];

/// 01: the size of the history.
fn summary(tables: &Tables) -> Sheet {
    let all = tables.get("metrics.repurchase_summary").with("span", "all");
    let orders = tables.get("facts.orders");
    let (count, customers) = (all.number("orders"), all.number("customers"));
    let revenue = all.number("revenue");
    let gross = orders.numbers("gross");
    let mut times = orders.texts("ordered_at");
    times.sort_unstable();
    Sheet::of(&[
        ("orders", &count),
        ("customers", &customers),
        ("customer_purchase_days", &purchase_days(tables)),
        ("revenue", &revenue),
        ("aov", &(revenue / count)),
        ("median_order_value", &quantile(&gross, 0.5)),
        ("zero_amount_orders", &gross.iter().filter(|gross| **gross == 0.0).count()),
        ("negative_amount_orders", &gross.iter().filter(|gross| **gross < 0.0).count()),
        ("first_order_ts", &times[0]),
        ("last_order_ts", &times[times.len() - 1]),
        ("orders_per_customer", &all.number("purchases_per_customer")),
        ("revenue_per_customer", &(revenue / customers)),
    ])
}

/// 02: the cohort triangle.
pub fn cohorts(tables: &Tables) -> Sheet {
    tables.get("metrics.cohort_retention").named(&[
        ("cohort_month", "cohort_start"),
        ("cohort_size", "cohort_customers"),
        ("month_index", "period_index"),
        ("active_customers", "active_customers"),
        ("retention", "retention_rate"),
        ("orders", "orders"),
        ("revenue", "revenue"),
        ("cum_revenue_per_customer", "cumulative_revenue_per_customer"),
    ])
}

/// 03: N-day retention, of those observed and of all.
fn windows(tables: &Tables) -> Sheet {
    let windows = tables.get("metrics.retention_windows");
    let returns = days_to_the_second_purchase(tables);
    let customers = tables.get("facts.customers").rows.len();
    let rows = WINDOWS.iter().map(|days| {
        let window = windows.with("window_days", days);
        let method = |name| window.with("method", name);
        let within = method("within");
        let length: i64 = days.parse().expect("days");
        let of_all = returns.iter().filter(|gap| **gap <= length).count();
        Sheet::of(&[
            ("n_days", days),
            ("customers", &customers),
            ("eligible", &within.cell("eligible_customers")),
            ("returned_within_n_eligible", &within.cell("retained_customers")),
            ("within_n_rate_eligible", &within.cell("retention_rate")),
            ("returned_within_n_all", &of_all),
            ("within_n_rate_all", &(of_all as f64 / customers as f64)),
            ("returned_exactly_on_day_n_eligible", &method("exact").cell("retained_customers")),
            ("returned_on_or_after_n_eligible", &method("after").cell("retained_customers")),
            ("rolling_rate_eligible", &method("after").cell("retention_rate")),
        ])
    });
    stacked(rows)
}

/// 04: the rates that are all called repurchase rate.
fn repurchase(tables: &Tables) -> Sheet {
    let all = tables.get("metrics.repurchase_summary").with("span", "all");
    let days = tables.get("facts.customers").numbers("purchase_days");
    let by_day = days.iter().filter(|days| **days >= 2.0).count();
    let purchase_days = purchase_days(tables);
    Sheet::of(&[
        ("customers", &all.cell("customers")),
        ("repeat_customers_by_order", &all.cell("repeat_customers")),
        ("customer_repurchase_rate_by_order", &all.cell("customer_repurchase_rate")),
        ("repeat_customers_by_day", &by_day),
        ("customer_repurchase_rate_by_day", &(by_day as f64 / days.len() as f64)),
        ("orders", &all.cell("orders")),
        ("repeat_orders", &all.cell("repeat_orders")),
        ("order_repeat_rate", &all.cell("order_repurchase_rate")),
        ("purchase_days", &purchase_days),
        ("repeat_purchase_days", &(purchase_days - days.len() as f64)),
        ("repeat_revenue", &all.cell("repeat_revenue")),
        ("repeat_revenue_share", &all.cell("repeat_revenue_share")),
    ])
}

/// 04b: customers by orders. Who reached order n and not n + 1 has n.
fn orders_per_customer(tables: &Tables) -> Sheet {
    let reached = tables.get("metrics.repurchase_steps").numbers("customers");
    let rows = reached.iter().enumerate().filter_map(|(index, customers)| {
        let left = customers - reached.get(index + 1).unwrap_or(&0.0);
        (left > 0.0).then(|| Sheet::of(&[("n_orders", &(index + 1)), ("customers", &left)]))
    });
    stacked(rows)
}

/// 05: the gaps between purchases. The last two columns are no table of ours;
/// they come from the gaps in `facts.orders`.
fn gaps(tables: &Tables) -> Sheet {
    let cycle = tables.get("metrics.repurchase_cycle");
    let [by_order, by_day] = means_of_gaps(tables);
    let exact = quantile(&exact_gaps(tables), 0.5).to_string();
    let bases = [("by_order", "order", by_order, exact), ("by_day", "day", by_day, String::new())];
    stacked(bases.iter().map(|(name, basis, means, exact)| {
        let cycle = cycle.with("basis", basis);
        Sheet::of(&[
            ("basis", name),
            ("gaps", &cycle.cell("gaps")),
            ("mean_days", &cycle.cell("mean_days")),
            ("p25", &cycle.cell("p25_days")),
            ("median_days", &cycle.cell("median_days")),
            ("p75", &cycle.cell("p75_days")),
            ("p90", &cycle.cell("p90_days")),
            ("max_days", &cycle.cell("max_days")),
            ("median_of_customer_mean", &quantile(means, 0.5)),
            ("median_exact_days", exact),
        ])
    }))
}

/// 06: the fifths, cut by rank and by quantile.
fn fifths(ntile: &Tables, quantile: &Tables) -> Sheet {
    let measures = [
        ("frequency", "f_score", "frequency"),
        ("monetary", "m_score", "monetary"),
        ("recency", "r_score", "recency_days"),
    ];
    let rows = measures.iter().flat_map(|(dim, score, value)| {
        let cuts = quantile.get("metrics.rfm_cuts").with("snapshot", "now").with("measure", dim);
        let cuts = CUTS.map(|cut| cuts.cell(cut).to_string());
        let cut_points = format!("[{}]", cuts.join(", "));
        let row = move |fifth: usize| {
            let fifth = fifth.to_string();
            let ranked = ntile.get("metrics.rfm_scores").with(score, &fifth);
            let cut = quantile.get("metrics.rfm_scores").with(score, &fifth);
            let values = ranked.numbers(value);
            Sheet::of(&[
                ("dim", dim),
                ("score", &fifth),
                ("customers_ntile", &values.len()),
                ("min_value", &values.iter().copied().fold(f64::INFINITY, f64::min)),
                ("max_value", &values.iter().copied().fold(0.0, f64::max)),
                ("customers_cut", &cut.rows.len()),
                ("cut_points", &cut_points),
            ])
        };
        (1..=5).map(row)
    });
    stacked(rows)
}

/// 06b: the cells of three ranks. Published means have four places.
fn cells(ntile: &Tables) -> Sheet {
    let mut cells = ntile.get("metrics.rfm_cells").named(&[
        ("r", "r_score"),
        ("f", "f_score"),
        ("m", "m_score"),
        ("customers", "customers"),
        ("avg_recency", "mean_recency_days"),
        ("avg_frequency", "mean_frequency"),
        ("revenue", "revenue"),
    ]);
    for cell in cells.rows.iter_mut().flat_map(|row| &mut row[4..6]) {
        let mean: f64 = cell.parse().expect("a mean");
        *cell = ((mean * 1e4).round() / 1e4).to_string();
    }
    cells
}

/// 07: what customers have brought. Without costs or service costs and at a
/// margin of 1, our historical value is their revenue.
fn values(tables: &Tables) -> Sheet {
    let mut values = tables.get("metrics.customer_value").numbers("historical_value");
    values.sort_unstable_by(f64::total_cmp);
    let count = values.len();
    let total: f64 = values.iter().sum();
    let mean = total / count as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let hundredth = count.div_ceil(100);
    let top: f64 = values.iter().rev().take(hundredth).sum();
    let concentration = tables.get("metrics.value_concentration");
    let share = |decile| concentration.with("decile", decile).number("cumulative_share");
    Sheet::of(&[
        ("customers", &count),
        ("total", &((total * 100.0).round() / 100.0)),
        ("mean", &mean),
        ("median", &quantile(&values, 0.5)),
        ("p90", &quantile(&values, 0.9)),
        ("p99", &quantile(&values, 0.99)),
        ("max", &values[count - 1]),
        ("min", &values[0]),
        ("sd", &(squares / (count as f64 - 1.0)).sqrt()),
        ("top_1pct_share", &(top / total)),
        ("top_10pct_share", &share("1")),
        ("top_20pct_share", &share("2")),
    ])
}

/// 07b: the 25 customers who brought most.
fn top_customers(tables: &Tables) -> Sheet {
    let mut top = tables.get("facts.customers").named(&[
        ("customer_id", "customer_id"),
        ("orders", "orders"),
        ("first_ts", "first_order_at"),
        ("last_ts", "last_order_at"),
        ("revenue", "net"),
    ]);
    // The published order: revenue, then id; a stable sort keeps our ids'.
    top.rows.sort_by_key(|row| std::cmp::Reverse(super::sheet::cents(&row[4])));
    top.rows.truncate(25);
    top
}

/// 08: who came, stayed, came back and went, by month.
pub fn lifecycle(tables: &Tables) -> Sheet {
    tables.get("metrics.lifecycle_summary").named(&[
        ("month", "period_start"),
        ("active", "buyers"),
        ("new", "first_buyers"),
        ("retained", "retained"),
        ("resurrected", "resurrected"),
        ("churned", "lapsed"),
    ])
}

fn purchase_days(tables: &Tables) -> f64 {
    tables.get("facts.customers").numbers("purchase_days").iter().sum()
}

fn days_to_the_second_purchase(tables: &Tables) -> Vec<i64> {
    let customers = tables.get("facts.customers");
    let pairs = customers.days("first_order_date").into_iter();
    let pairs = pairs.zip(customers.days("second_purchase_date"));
    pairs.filter_map(|(first, second)| Some((second? - first?).num_days())).collect()
}

/// Each customer's mean gap, between orders and between purchase days.
fn means_of_gaps(tables: &Tables) -> [Vec<f64>; 2] {
    let orders = tables.get("facts.orders");
    let pairs = orders.texts("customer_id").into_iter().zip(orders.texts("days_since_previous"));
    let mut gaps: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (customer, days) in pairs.filter(|(_, days)| !days.is_empty()) {
        gaps.entry(customer).or_default().push(days.parse().expect("days"));
    }
    let mean = |gaps: &[f64]| gaps.iter().sum::<f64>() / gaps.len() as f64;
    let by_day = gaps.values().filter_map(|gaps| {
        let gaps: Vec<f64> = gaps.iter().copied().filter(|gap| *gap > 0.0).collect();
        (!gaps.is_empty()).then(|| mean(&gaps))
    });
    [gaps.values().map(|gaps| mean(gaps)).collect(), by_day.collect()]
}

/// Gaps between orders in days and parts of days.
fn exact_gaps(tables: &Tables) -> Vec<f64> {
    let orders = tables.get("facts.orders");
    let columns = ["customer_id", "order_number", "ordered_at"].map(|name| orders.texts(name));
    let mut rows: Vec<(&str, u64, NaiveDateTime)> = (0..orders.rows.len())
        .map(|row| {
            let number = columns[1][row].parse().expect("a number");
            (columns[0][row], number, columns[2][row].parse().expect("a time"))
        })
        .collect();
    rows.sort_unstable();
    let pairs = rows.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    pairs.map(|pair| (pair[1].2 - pair[0].2).num_seconds() as f64 / 86_400.0).collect()
}

/// Linear interpolation between the two nearest values (type 7).
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    let position = (values.len() as f64 - 1.0) * share;
    let (below, rest) = (position.floor() as usize, position.fract());
    let above = (below + 1).min(values.len() - 1);
    values[below] + (values[above] - values[below]) * rest
}

fn stacked(sheets: impl Iterator<Item = Sheet>) -> Sheet {
    let mut sheets = sheets;
    let mut all = sheets.next().expect("a row");
    all.rows.extend(sheets.flat_map(|sheet| sheet.rows));
    all
}
