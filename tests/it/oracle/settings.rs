//! The parameters of a run, as the oracle understands them and as a pipeline
//! writes them.

use std::fmt::Write;

use chrono::NaiveDate;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::calendar::{GRAINS, Grain};
use super::cells::{Cents, decimal};

/// Decimal parameters are held in millionths.
pub const ONE: i64 = 1_000_000;

/// How scores come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Rules,
    Quantile,
    QuantileR,
    Ntile,
}

/// Every parameter the tables of the oracle depend on.
#[derive(Clone, Debug)]
pub struct Settings {
    pub as_of: NaiveDate,
    pub timezone: &'static str,
    pub history_start: Option<NaiveDate>,
    pub cohort_grain: Grain,
    pub retention_windows: Vec<i64>,
    pub repurchase_windows: Vec<i64>,
    pub step_window_days: i64,
    pub rfm: Rfm,
    pub lifecycle: Lifecycle,
    pub value: Value,
}

/// Scores.
#[derive(Clone, Debug)]
pub struct Rfm {
    pub method: Method,
    pub frequency: &'static str,
    pub window_days: Option<i64>,
    pub high: &'static str,
    pub scope: &'static str,
}

/// The automaton.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    pub grain: Grain,
    pub new_periods: i64,
    pub dormant_after_periods: i64,
    pub lost_after_periods: i64,
    pub vip_amount: Option<Cents>,
    pub vip_quantile: i64,
    pub vip_periods: i64,
}

/// Customer value; shares in millionths.
#[derive(Clone, Debug)]
pub struct Value {
    pub margin_rate: i64,
    pub revenue_growth: i64,
    pub service_cost: i64,
    pub data_value: i64,
    pub retention_rate: Option<i64>,
    pub retention_rate_default: i64,
    pub discount_rate: i64,
    pub horizon_years: i64,
    /// Target and success rate.
    pub upsell: Option<(i64, i64)>,
}

impl Settings {
    /// What a run uses when nothing is said.
    pub fn standard(as_of: NaiveDate) -> Self {
        Self {
            as_of,
            timezone: "UTC",
            history_start: None,
            cohort_grain: Grain::Month,
            retention_windows: vec![1, 3, 7, 14, 30, 60, 90, 180, 365],
            repurchase_windows: vec![30, 60, 90, 180, 365],
            step_window_days: 180,
            rfm: Rfm {
                method: Method::Quantile,
                frequency: "auto",
                window_days: None,
                high: "mean",
                scope: "all",
            },
            lifecycle: Lifecycle {
                grain: Grain::Month,
                new_periods: 1,
                dormant_after_periods: 1,
                lost_after_periods: 3,
                vip_amount: None,
                vip_quantile: 950_000,
                vip_periods: 12,
            },
            value: Value {
                margin_rate: ONE,
                revenue_growth: 0,
                service_cost: 0,
                data_value: 0,
                retention_rate: None,
                retention_rate_default: 500_000,
                discount_rate: 100_000,
                horizon_years: 5,
                upsell: None,
            },
        }
    }

    /// The `params:` block of a pipeline.
    pub fn yaml(&self) -> String {
        let list = |items: &[i64]| format!("{items:?}");
        let million = |value: i64| decimal(value.into(), 6);
        let (rfm, lifecycle, value) = (&self.rfm, &self.lifecycle, &self.value);
        let mut text = String::from("params:\n");
        let mut set = |name: &str, value: String| {
            writeln!(text, "  {name}: {value}").expect("text");
        };
        set("timezone", self.timezone.into());
        set("history_start", or_null(self.history_start));
        set("cohort_grain", self.cohort_grain.name().into());
        set("retention_windows", list(&self.retention_windows));
        set("repurchase_windows", list(&self.repurchase_windows));
        set("step_window_days", self.step_window_days.to_string());
        set("rfm_method", rfm.method.name().into());
        set("rfm_frequency", rfm.frequency.into());
        set("rfm_window_days", or_null(rfm.window_days));
        set("rfm_high", rfm.high.into());
        set("rfm_scope", rfm.scope.into());
        set("lifecycle_grain", lifecycle.grain.name().into());
        set("new_periods", lifecycle.new_periods.to_string());
        set("dormant_after_periods", lifecycle.dormant_after_periods.to_string());
        set("lost_after_periods", lifecycle.lost_after_periods.to_string());
        set("vip_amount", or_null(lifecycle.vip_amount));
        set("vip_quantile", million(lifecycle.vip_quantile));
        set("vip_periods", lifecycle.vip_periods.to_string());
        set("margin_rate", million(value.margin_rate));
        set("revenue_growth", million(value.revenue_growth));
        set("service_cost", million(value.service_cost));
        set("data_value", million(value.data_value));
        set("retention_rate", or_null(value.retention_rate.map(million)));
        set("retention_rate_default", million(value.retention_rate_default));
        set("discount_rate", million(value.discount_rate));
        set("clv_horizon_years", value.horizon_years.to_string());
        set("upsell_target", or_null(value.upsell.map(|(target, _)| million(target))));
        set("upsell_success_rate", or_null(value.upsell.map(|(_, rate)| million(rate))));
        text
    }
}

fn or_null<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "null".into(), |value| value.to_string())
}

impl Method {
    /// As the parameter is written.
    fn name(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Quantile => "quantile",
            Self::QuantileR => "quantile_r",
            Self::Ntile => "ntile",
        }
    }
}

/// Random parameters around a cohort grain and a method; the day comes with
/// the history.
pub fn settings(grain: Grain, method: Method) -> impl Strategy<Value = Settings> {
    let windows =
        || subsequence(vec![1, 2, 3, 7, 14, 30, 60, 90, 180, 365, 400], 1..=5).prop_shuffle();
    let zone = select(vec!["UTC", "UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]);
    (zone, windows(), windows(), 0..200_i64, rfm(method), lifecycle(grain), value()).prop_map(
        move |(timezone, retention, repurchase, step_window_days, rfm, lifecycle, value)| {
            Settings {
                timezone,
                cohort_grain: grain,
                retention_windows: retention,
                repurchase_windows: repurchase,
                step_window_days,
                rfm,
                lifecycle,
                value,
                ..Settings::standard(NaiveDate::default())
            }
        },
    )
}

fn rfm(method: Method) -> impl Strategy<Value = Rfm> {
    let window = prop::option::of(select(vec![1, 2, 30, 90, 365]));
    let frequency = select(vec!["auto", "auto", "purchase_days", "orders"]);
    let scope = select(vec!["all", "channel", "store"]);
    (window, frequency, select(vec!["mean", "median"]), scope).prop_map(
        move |(window_days, frequency, high, scope)| Rfm {
            method,
            frequency,
            window_days,
            high,
            scope,
        },
    )
}

/// A grain of its own, not much finer than that of the cohorts. No limit is 0:
/// the linter refuses rules that can never fire.
fn lifecycle(cohort_grain: Grain) -> impl Strategy<Value = Lifecycle> {
    let place = GRAINS.iter().position(|grain| *grain == cohort_grain).expect("a grain");
    let grain = select(GRAINS[place.saturating_sub(1)..].to_vec());
    let vip_amount = prop::option::of(select(vec![Cents(0), Cents(1000), Cents(250_000)]));
    let quantile = select(vec![0, 500_000, 800_000, 950_000, ONE]);
    (grain, 1..4_i64, 1..4_i64, 1..5_i64, vip_amount, quantile, 1..14_i64).prop_map(
        |(grain, new_periods, dormant, lost, vip_amount, vip_quantile, vip_periods)| Lifecycle {
            grain,
            new_periods,
            dormant_after_periods: dormant,
            lost_after_periods: lost,
            vip_amount,
            vip_quantile,
            vip_periods,
        },
    )
}

fn value() -> impl Strategy<Value = Value> {
    let share = || select(vec![0, 1, 333_333, 500_000, 800_000, ONE]);
    let money = || select(vec![0, 144 * ONE, 12_345_678]);
    let target = select(vec![0, 3_600 * ONE, 1_000 * ONE]);
    (
        (share(), share(), money(), money()),
        (prop::option::of(share()), share(), share(), 0..8_i64),
        prop::option::of((target, share())),
    )
        .prop_map(|((margin_rate, revenue_growth, service_cost, data_value), keep, upsell)| {
            let (retention_rate, retention_rate_default, discount_rate, horizon_years) = keep;
            Value {
                margin_rate,
                revenue_growth,
                service_cost,
                data_value,
                retention_rate,
                retention_rate_default,
                discount_rate,
                horizon_years,
                upsell,
            }
        })
}
