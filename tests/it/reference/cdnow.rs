//! CDNOW: 2,357 people who first bought music in early 1997. Nothing was ever
//! given back, so net is gross and the pipeline counts as published.

use std::sync::LazyLock;

use super::data;
use super::expected::Published;
use super::warehouse::{Pipeline, publishing};

/// Every test reads the same runs; none where the data is absent.
static PUBLISHED: LazyLock<Option<Published>> = LazyLock::new(|| {
    let orders = data("cdnow/cdnow_sample.parquet")?;
    let with_cuts = |text: String| publishing(&text, &["metrics.rfm_cuts"]);
    let pipeline = Pipeline::copy("cdnow", "CDNOW", &orders, with_cuts);
    let more = ["metrics.repurchase_windows", "facts.unattributed_refunds", "quarantine.orders"];
    Some(Published::read(&pipeline, ["1998-06-30", "1998-07-01"], &more))
});

as_published!("cdnow/expected/sample_");

#[test]
fn the_reference_values_come_out() {
    let Some(runs) = &*PUBLISHED else { return };
    let all = runs.plain.get("metrics.repurchase_summary").with("span", "all");
    let cycle = runs.plain.get("metrics.repurchase_cycle");
    let six = |number: f64| format!("{number:.6}");
    assert_eq!(all.only(&["orders", "customers"]).rows, [["6919", "2357"]]);
    assert_eq!(six(all.number("customer_repurchase_rate")), "0.488757");
    assert_eq!(six(all.number("order_repurchase_rate")), "0.659344");
    assert_eq!(cycle.with("basis", "order").number("median_days"), 30.0);
    assert_eq!(cycle.with("basis", "day").number("median_days"), 34.0);

    let windows = runs.plain.get("metrics.retention_windows").with("method", "within");
    let within = |days| windows.with("window_days", days).number("retention_rate");
    assert_eq!(format!("{:.5} {:.5}", within("30"), within("90")), "0.17395 0.29147");
}

#[test]
fn repurchase_windows_add_up_to_the_published_rates() {
    let Some(runs) = &*PUBLISHED else { return };
    let windows = runs.plain.get("metrics.repurchase_windows");
    for (days, rate) in [("30", "0.17395"), ("90", "0.29147")] {
        let window = windows.with("window_days", days);
        let sum = |column| window.numbers(column).iter().sum::<f64>();
        let share = sum("repurchase_customers") / sum("eligible_customers");
        assert_eq!(format!("{share:.5}"), rate, "within {days} days");
    }
}

#[test]
fn nothing_is_set_aside_and_nothing_given_back() {
    let Some(runs) = &*PUBLISHED else { return };
    assert_eq!(runs.plain.get("quarantine.orders").rows.len(), 0);
    assert_eq!(runs.plain.get("facts.unattributed_refunds").rows.len(), 0);
    let customers = runs.plain.get("facts.customers");
    assert_eq!(customers.cents("gross"), 24_409_194);
    assert_eq!(customers.cents("net"), customers.cents("gross"));
    // Eight orders of nothing are orders: their amount is known to be 0.
    let free = runs.plain.get("facts.orders").numbers("gross");
    assert_eq!(free.iter().filter(|gross| **gross == 0.0).count(), 8);
}
