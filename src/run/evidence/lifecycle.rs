//! What is said about the lifecycle: that those it calls lost come back.

use serde_json::{Map, Value, json};

use super::{Evidence, Question, Row, number};
use crate::plan::params::{ParamValue, Values};

/// How many of those who turned lost bought again within a year.
pub const RETURNED: Question = Question {
    tables: &["metrics.lifecycle_summary"],
    sql: "
        select
            cast(sum(turned_lost) as bigint) as lost,
            cast(sum(lost_returned) as bigint) as returned
        from metrics.lifecycle_summary
        where lost_returned is not null
    ",
    tell: returned,
};

/// The windows that decide who is lost.
const WINDOWS: [&str; 3] = ["new_periods", "dormant_after_periods", "lost_after_periods"];

fn returned(rows: &[Row], values: &Values) -> Vec<Evidence> {
    rows.iter().filter_map(|row| came_back(row, values)).collect()
}

/// That more than half of them did.
fn came_back(row: &Row, values: &Values) -> Option<Evidence> {
    let (lost, returned) = (number(row, "lost")?, number(row, "returned")?);
    if returned * 2.0 <= lost {
        return None;
    }
    let set = WINDOWS.map(|name| format!("{name} {}", shown(values.get(name))));
    let message = format!(
        "of {lost:.0} customers whom the lifecycle called lost a year ago or longer, {returned:.0} \
         bought again within a year: its windows are too short for this shop ({}); give longer \
         ones under `params:` (metrics.repurchase_cycle says how long customers wait)",
        set.join(", ")
    );
    let windows = WINDOWS.map(|name| (name.to_string(), json!(shown(values.get(name)))));
    let fields: Map<String, Value> = row.clone().into_iter().chain(windows).collect();
    Some(Evidence { code: "lost_customers_return", message, fields })
}

fn shown(value: Option<&ParamValue>) -> String {
    value.map_or_else(|| "null".into(), ToString::to_string)
}
