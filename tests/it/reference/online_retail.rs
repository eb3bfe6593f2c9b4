//! Online Retail counted as the published tables count: cancellations left
//! out, RFM as of the day after the last order, frequency in orders.

use std::sync::LazyLock;

use super::data;
use super::expected::{Published, cuts};
use super::sheet::Sheet;
use super::warehouse::{Pipeline, publishing};

/// Every test reads the same runs; none where the data is absent.
static PUBLISHED: LazyLock<Option<Published>> = LazyLock::new(|| {
    let lines = data("online_retail/online_retail_lines.parquet")?;
    let pipeline = Pipeline::copy("online_retail", "ONLINE_RETAIL", &lines, sales_only);
    let more = ["metrics.repurchase_windows", "metrics.rfm_cuts"];
    Some(Published::read(&pipeline, ["2011-12-09", "2011-12-10"], &more))
});

fn sales_only(text: String) -> String {
    let rule = "    reject:\n      cancellation: invoice_no like 'C%'\n";
    let text = text.replacen("    reject:\n", rule, 1);
    publishing(&text, &["metrics.rfm_cuts"])
}

as_published!("online_retail/expected/");

#[test]
fn the_usual_cleaning_leaves_what_many_have_printed() {
    let (Some(runs), Some(file)) =
        (&*PUBLISHED, data("online_retail/expected/published_reference.csv"))
    else {
        return;
    };
    let printed = Sheet::read(&file);
    let printed = |quantity| printed.with("quantity", quantity).number("value");
    let all = runs.plain.get("metrics.repurchase_summary").with("span", "all");
    assert_eq!(all.number("orders"), printed("clean invoices"));
    assert_eq!(all.number("customers"), printed("clean customers"));
    // Printed with tenths of a penny; one price in the data has them.
    let cents = (printed("clean revenue GBP") * 100.0).round();
    assert_eq!(all.cents("revenue") as f64, cents);
}

#[test]
fn the_reference_values_come_out() {
    let Some(runs) = &*PUBLISHED else { return };
    let all = runs.plain.get("metrics.repurchase_summary").with("span", "all");
    let cycle = runs.plain.get("metrics.repurchase_cycle");
    let six = |number: f64| format!("{number:.6}");
    assert_eq!(all.only(&["orders", "customers"]).rows, [["18532", "4338"]]);
    assert_eq!(all.cell("revenue"), "8911407.90");
    assert_eq!(six(all.number("customer_repurchase_rate")), "0.655832");
    assert_eq!(six(all.number("order_repurchase_rate")), "0.765918");
    assert_eq!(cycle.with("basis", "order").number("median_days"), 22.0);
    assert_eq!(cycle.with("basis", "day").number("median_days"), 28.0);

    let first = runs.plain.get("metrics.cohort_retention").with("cohort_start", "2010-12-01");
    assert_eq!(first.texts("active_customers")[..4], ["885", "324", "286", "340"]);
    assert!(first.texts("is_left_truncated").iter().all(|flag| *flag == "true"));
}

#[test]
fn repurchase_windows_add_up_to_the_published_rates() {
    let Some(runs) = &*PUBLISHED else { return };
    let windows = runs.plain.get("metrics.repurchase_windows");
    for (days, rate) in [("30", "0.19041"), ("90", "0.45490")] {
        let window = windows.with("window_days", days);
        let sum = |column| window.numbers(column).iter().sum::<f64>();
        let share = sum("repurchase_customers") / sum("eligible_customers");
        assert_eq!(format!("{share:.5}"), rate, "within {days} days");
    }
}

/// Our recency is `as_of` less the last purchase day; the published one is
/// taken on the day after the last order. Our frequency is purchase days.
#[test]
fn as_of_the_last_day_recency_is_one_day_less_than_published() {
    let Some(runs) = &*PUBLISHED else { return };
    assert_eq!(cuts(&runs.plain, "recency"), runs.cuts("recency").map(|cut| cut - 100));
    assert_eq!(runs.cuts("frequency"), [100, 200, 300, 600]);
    assert_eq!(cuts(&runs.plain, "frequency"), [100, 200, 300, 500]);
}
