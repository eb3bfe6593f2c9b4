//! `truth.json`: every parameter the history was made with, with its unit.
//! What became of each customer is in `truth.parquet`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::calendar::{self, Calendar};
use super::history::{self, Channel};
use super::options::{IdType, Options, Process, Spend};
use super::{GenerateError, Summary, tables};

/// In the order of the file.
#[derive(Serialize)]
struct Truth {
    /// What was asked for.
    options: Value,
    /// What was made.
    history: Value,
    /// Repeat purchases: rate over customers.
    purchase_rate: Value,
    dropout: Value,
    spend: Value,
    joining: Value,
    seasonality: Value,
    hours: Value,
    channels: Value,
    refunds: Value,
    discounts: Value,
    margin: Value,
    acquisition: Value,
    regions: Value,
}

/// Writes the truth beside the history.
pub(super) fn write(
    path: &Path,
    options: &Options,
    calendar: &Calendar,
    summary: &Summary,
) -> Result<(), GenerateError> {
    let failed = |source| GenerateError::Write { path: path.to_owned(), source };
    let truth = Truth::new(options, calendar, summary);
    let mut text = serde_json::to_string_pretty(&truth).map_err(|error| failed(error.into()))?;
    text.push('\n');
    fs::write(path, text).map_err(failed)
}

impl Truth {
    fn new(options: &Options, calendar: &Calendar, summary: &Summary) -> Self {
        Self {
            options: asked(options),
            history: made(calendar, summary),
            purchase_rate: purchase_rate(options),
            dropout: dropout(options),
            spend: spend(options.spend),
            joining: json!({
                "growth_per_month": calendar::JOINING_GROWTH_PER_MONTH,
                "share_of_the_season": calendar::JOINING_SEASONALITY,
            }),
            seasonality: seasonality(options),
            hours: json!({ "time_zone": "UTC", "shares": calendar::hour_shares() }),
            channels: channels(),
            refunds: refunds(options),
            discounts: json!({
                "share_of_first_orders": history::DISCOUNTED_FIRST,
                "share_of_later_orders": history::DISCOUNTED_LATER,
                "shares_of_the_list_price": history::DISCOUNTS,
            }),
            margin: json!({
                "share_of_amount": history::MARGIN,
                "cost_noise_share": history::COST_NOISE,
            }),
            acquisition: acquisition(),
            regions: json!({
                "shares": shares(history::REGIONS.map(|(region, share)| (region.name(), share))),
                "stores_a_region": history::STORE_NUMBERS.len(),
            }),
        }
    }
}

fn asked(options: &Options) -> Value {
    json!({
        "customers": options.customers,
        "months": options.months,
        "seed": options.seed,
        "start": options.start.to_string(),
        "process": options.process.to_string(),
        "seasonality": options.seasonality,
        "refund_rate": options.refund_rate,
        "id_type": match options.id_type {
            IdType::BigInt => "bigint",
            IdType::Text => "text",
        },
    })
}

fn made(calendar: &Calendar, summary: &Summary) -> Value {
    json!({
        "first_day": calendar.start.to_string(),
        "first_day_after": calendar.end.to_string(),
        "customers": summary.customers,
        "customers_alive_at_end": summary.customers_alive,
        "sales": summary.sales,
        "refunds": summary.refunds,
    })
}

fn purchase_rate(options: &Options) -> Value {
    let (r, alpha) = options.process.buying();
    json!({
        "of": "repeat purchases of a living customer; the first is on joining",
        "distribution": "gamma",
        "r": r,
        "alpha_weeks": alpha,
        "mean_per_week": r / alpha,
    })
}

fn dropout(options: &Options) -> Value {
    match options.process {
        Process::BgNbd { a, b, .. } => json!({
            "when": "after a repeat purchase, with a probability of the customer's own",
            "distribution": "beta",
            "a": a,
            "b": b,
            "mean_probability": a / (a + b),
        }),
        Process::ParetoNbd { s, beta, .. } => json!({
            "when": "after an exponential lifetime, at a rate of the customer's own",
            "distribution": "gamma",
            "s": s,
            "beta_weeks": beta,
            "mean_rate_per_week": s / beta,
        }),
    }
}

fn spend(spend: Spend) -> Value {
    json!({
        "of": "amount of a sale, after discount",
        "distribution": "gamma-gamma",
        "p": spend.p,
        "q": spend.q,
        "v": spend.v,
        "mean": spend.mean(),
        "currency": tables::CURRENCY,
    })
}

/// Factors on the speed of buying; all 1 where seasonality is off.
fn seasonality(options: &Options) -> Value {
    let (weekdays, months) = if options.seasonality {
        (calendar::weekday_factors(), calendar::month_factors())
    } else {
        ([1.0; 7], [1.0; 12])
    };
    json!({ "weekdays_from_monday": weekdays, "months_from_january": months })
}

/// A store order outside opening hours is placed on the web, so the orders'
/// shares follow from the favourites' and the hours.
fn channels() -> Value {
    let open: f64 = (0_u32..)
        .zip(calendar::hour_shares())
        .filter(|(hour, _)| history::OPEN_HOURS.contains(hour))
        .map(|(_, share)| share)
        .sum();
    let wished = |wanted| -> f64 {
        history::FAVOURITES.iter().filter(|(channel, _)| *channel == wanted).map(|c| c.1).sum()
    };
    let of_orders = |channel| match channel {
        Channel::Web => wished(Channel::Web) + wished(Channel::Store) * (1.0 - open),
        Channel::Store => wished(Channel::Store) * open,
        Channel::App | Channel::Marketplace => wished(channel),
    };
    json!({
        "shares_of_favourites": shares(history::FAVOURITES.map(|(c, share)| (c.name(), share))),
        "orders_to_the_favourite": history::LOYALTY,
        "shares_of_orders": shares(history::FAVOURITES.map(|(c, _)| (c.name(), of_orders(c)))),
    })
}

fn refunds(options: &Options) -> Value {
    let (shape, rate_per_day) = history::REFUND_DELAY_DAYS;
    let (least, most) = history::REFUND_PART;
    json!({
        "probability": options.refund_rate,
        "share_in_full": history::REFUND_IN_FULL,
        "part_otherwise": { "distribution": "uniform", "least": least, "most": most },
        "mean_share_of_amount": history::REFUND_IN_FULL
            + (1.0 - history::REFUND_IN_FULL) * (least + most) / 2.0,
        "delay_days": {
            "distribution": "1 + floor(gamma)",
            "shape": shape,
            "rate_per_day": rate_per_day,
        },
        "after_the_end": "not in the history",
    })
}

fn acquisition() -> Value {
    let ways = history::ACQUISITIONS;
    json!({
        "shares": shares(ways.map(|way| (way.channel, way.share))),
        "mean_costs": shares(ways.map(|way| (way.channel, way.mean_cost))),
        "cost_distribution": "gamma",
        "cost_shape": history::ACQUISITION_COST_SHAPE,
        "share_by_campaign": history::CAMPAIGN_SHARE,
        "currency": tables::CURRENCY,
    })
}

fn shares<const N: usize>(named: [(&'static str, f64); N]) -> BTreeMap<&'static str, f64> {
    named.into()
}
