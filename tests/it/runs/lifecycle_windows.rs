//! Windows of the lifecycle that do not fit a shop are told.

use std::fmt::Write;

use chrono::{Days, NaiveDate};
use serde_json::Value;

use crate::project::Project;

const AS_OF: &str = "2025-12-31";

/// Orders of customers, each so many days before the day.
fn shop(customers: impl Iterator<Item = Vec<u64>>, more: &str) -> Project {
    let last: NaiveDate = AS_OF.parse().expect("a day");
    let mut rows = "order_id,customer_id,ordered_at,amount\n".to_string();
    for (customer, days) in customers.enumerate() {
        for day in days {
            let number = rows.lines().count();
            writeln!(rows, "{number},{customer},{},10.00", last - Days::new(day)).expect("text");
        }
    }
    let project = Project::new();
    project.orders("orders/o.parquet", &rows).pipeline("metrics.lifecycle_summary", more);
    project
}

/// What a run says about those who came back, as programs get it.
fn said(project: &Project, more: &[&str]) -> Option<Value> {
    let outcome = project.run_with(AS_OF, &[more, &["--log", "json"]].concat());
    let events = outcome.stderr.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let mut events = events.filter(|event: &Value| event["code"] == "lost_customers_return");
    events.next()
}

/// Who buys every half a year is lost after four idle months, each time.
fn twice_a_year() -> Project {
    shop((0..20).map(|customer| (0..6).map(|n| customer + n * 180).collect()), "")
}

#[test]
fn a_window_that_calls_lost_those_who_come_back_is_told() {
    let project = twice_a_year();
    let warning = said(&project, &[]).expect("a warning");
    let (lost, returned) = (warning["lost"].as_i64(), warning["returned"].as_i64());
    assert!(lost.is_some_and(|lost| lost >= 20), "{warning}");
    assert_eq!(lost, returned, "{warning}");
    assert_eq!(warning["lost_after_periods"], "3");
    let message = warning["message"].as_str().expect("words").to_string();
    assert!(message.contains("lost_after_periods 3"), "{message}");

    let words = project.run_with(AS_OF, &["--full-refresh"]).stderr;
    assert!(words.contains(&format!("warning: {message}\n")), "{words}");
    // The help of the message is right: with longer windows nobody is lost.
    let longer = ["--param", "lost_after_periods=8", "--param", "new_periods=8"];
    assert!(said(&project, &longer).is_none());
}

/// Half of them is not more than half; and who turned lost of late was not
/// observed for a year.
#[test]
fn windows_that_fit_are_not_told() {
    let gone = |customer: u64| vec![customer + 700, customer + 710];
    let back = |customer: u64| vec![customer + 700, customer + 710, customer + 450];
    let half = (0..10).map(move |one| if one % 2 == 0 { gone(one) } else { back(one) });
    assert!(said(&shop(half, ""), &[]).is_none());
    let most = (0..10).map(move |one| if one % 3 == 0 { gone(one) } else { back(one) });
    assert!(said(&shop(most, ""), &[]).is_some());
    let late = (0..10).map(|one| vec![one + 300, one + 310, one + 10]);
    assert!(said(&shop(late, ""), &[]).is_none());
}
