//! Probability models as pipelines fit them, against two independent programs:
//! `expected/models` of each data set.

use std::sync::LazyLock;

use super::data;
use super::sheet::Sheet;
use super::warehouse::{Pipeline, Tables};

const TABLES: [&str; 4] = [
    "metrics.model_fit",
    "metrics.model_warnings",
    "metrics.model_backtest",
    "metrics.customer_predictions",
];

/// The calibration and hold-out of the literature: 39 weeks each.
const HELD_OUT: &str = "holdout_days=273";

fn cdnow() -> Option<Pipeline> {
    let orders = data("cdnow/cdnow_sample.parquet")?;
    Some(Pipeline::copy("cdnow", "CDNOW", &orders, |text| text))
}

/// The pipeline as it stands, and as of the end of its calibration.
static CDNOW: LazyLock<Option<[Tables; 2]>> = LazyLock::new(|| {
    let pipeline = cdnow()?;
    Some([
        pipeline.run("1998-06-30", &[], &TABLES),
        pipeline.run("1997-09-30", &["holdout_days=0"], &TABLES),
    ])
});

fn near(got: f64, want: f64, tolerance: f64, what: &str) {
    assert!((got - want).abs() <= tolerance, "{what}: {got} is not {want}");
}

/// Parameters to a relative 1e-4 and the log-likelihood to 1e-5: the surface is
/// flat.
fn fitted(fit: &Sheet, model: &str, parameters: &[(&str, f64)], log_likelihood: f64) {
    let fit = fit.with("model", model);
    for (name, want) in parameters {
        let row = fit.with("parameter", name);
        near(row.number("estimate"), *want, 1e-4 * want, &format!("{model} {name}"));
        near(row.number("log_likelihood"), log_likelihood, 1e-5, model);
        assert_eq!(row.cell("converged"), "true", "{model}");
    }
}

#[test]
fn fits_on_cdnow_are_those_that_are_printed() {
    let Some([run, _]) = &*CDNOW else { return };
    let fit = run.get("metrics.model_fit");
    let bg =
        [("r", 0.242_594_53), ("alpha", 4.413_602_29), ("a", 0.792_921_94), ("b", 2.425_906_46)];
    fitted(fit, "bg_nbd", &bg, -9_582.429_206_67);
    fitted(fit, "nbd", &[("r", 0.384_766_14), ("alpha", 12.072_022_69)], -9_763.657_614_67);
    let spend = [("p", 6.249_572_29), ("q", 3.744_224_58), ("v", 15.443_520_42)];
    fitted(fit, "gamma_gamma", &spend, -4_055.917_694_80);
    let error = |name| fit.with("model", "bg_nbd").with("parameter", name).number("standard_error");
    near(error("r"), 0.01256, 1e-5, "r");
    near(error("alpha"), 0.3782, 1e-4, "alpha");
    near(error("a"), 0.1857, 1e-4, "a");
    near(error("b"), 0.7054, 1e-4, "b");
    let customers = |model| fit.with("model", model).with("parameter", "r").number("customers");
    assert_eq!(customers("bg_nbd"), 2357.0);
    assert_eq!(fit.with("model", "gamma_gamma").with("parameter", "p").number("customers"), 946.0);
    assert_eq!(run.get("metrics.model_warnings").rows.len(), 0);
}

#[test]
fn other_models_on_cdnow_as_well() {
    let Some(pipeline) = cdnow() else { return };
    let run = |model: &str| {
        let params = [&format!("purchase_model={model}") as &str, HELD_OUT];
        pipeline.run("1998-06-30", &params, &["metrics.model_fit", "metrics.model_backtest"])
    };
    let mbg = run("mbg_nbd");
    let parameters =
        [("r", 0.524_843_17), ("alpha", 6.183_085_22), ("a", 0.891_359_43), ("b", 1.614_002_17)];
    fitted(mbg.get("metrics.model_fit"), "mbg_nbd", &parameters, -9_582.135_715_55);
    let pareto = run("pareto_nbd");
    let fit = pareto.get("metrics.model_fit");
    let parameters = [
        ("r", 0.553_276_98),
        ("alpha", 10.577_682_13),
        ("s", 0.606_240_02),
        ("beta", 11.668_736_39),
    ];
    fitted(fit, "pareto_nbd", &parameters, -9_594.976_178_94);
    let error = |name| fit.with("model", "pareto_nbd").with("parameter", name);
    near(error("beta").number("standard_error"), 6.21, 0.01, "beta");
    let weeks = pareto.get("metrics.model_backtest").with("basis", "week");
    let last = weeks.with("model", "pareto_nbd").with("key", "39");
    near(last.number("cumulative_expected"), 1665.5131, 1e-3, "Pareto/NBD in 39 weeks");
}

#[test]
fn the_back_test_on_cdnow_is_the_one_that_is_printed() {
    let (Some([run, _]), Some(file)) =
        (&*CDNOW, data("cdnow/expected/models/holdout_by_frequency.csv"))
    else {
        return;
    };
    let backtest = run.get("metrics.model_backtest").with("model", "bg_nbd");
    let weeks = backtest.with("basis", "week");
    assert_eq!(weeks.rows.len(), 39);
    let last = weeks.with("key", "39");
    near(last.number("cumulative_expected"), 1653.4086, 1e-3, "BG/NBD in 39 weeks");
    assert_eq!(last.number("cumulative_actual"), 1882.0);
    near(last.number("cumulative_error"), 1653.4086 / 1882.0 - 1.0, 1e-6, "error");
    let printed = Sheet::read(&file);
    for key in printed.texts("bin") {
        let (ours, theirs) =
            (backtest.with("basis", "frequency").with("key", key), printed.with("bin", key));
        let customers = theirs.number("customers");
        assert_eq!(ours.number("customers"), customers);
        near(ours.number("actual") / customers, theirs.number("actual_mean"), 1e-6, key);
        near(ours.number("expected") / customers, theirs.number("bgnbd_mean"), 2e-6, key);
    }
}

#[test]
fn predictions_on_cdnow_are_those_of_two_programs() {
    let (Some([_, run]), Some(file)) =
        (&*CDNOW, data("cdnow/expected/models/predictions_selected_customers.csv"))
    else {
        return;
    };
    let ours = run.get("metrics.customer_predictions");
    assert_eq!(ours.rows.len(), 2357);
    let alive: f64 = ours.numbers("p_alive").iter().sum();
    near(alive / 2357.0, 0.813_439_8, 1e-7, "mean of p_alive");
    let printed = Sheet::read(&file);
    for id in printed.texts("customer_id") {
        let (ours, theirs) = (ours.with("customer_id", id), printed.with("customer_id", id));
        near(ours.number("p_alive"), theirs.number("p_alive"), 1e-6, id);
        near(ours.number("expected_spend"), theirs.number("exp_avg_value"), 0.006, id);
        // Between what is printed for 13 weeks (91 days) and less: 90 days.
        let thirteen = theirs.number("exp_purchases_13w");
        near(ours.number("expected_purchases_90"), thirteen * 90.0 / 91.0, 0.004 * thirteen, id);
        let basis = if theirs.number("monetary_value") > 0.0 { "bg_nbd" } else { "prior mean" };
        assert_eq!(ours.cell("basis"), basis, "{id}");
        let value = ours.number("predicted_value");
        assert!(
            (ours.number("value_low")..=ours.number("value_high")).contains(&value)
                || ours.number("value_high") == 0.0,
            "{id}"
        );
    }
}

/// Hardly anybody drops out: the likelihood is the one that is printed or a
/// higher one, and predictions are made of NBD.
#[test]
fn online_retail_is_degenerate_and_says_so() {
    let Some(lines) = data("online_retail/online_retail_lines.parquet") else { return };
    let sales = |text: String| {
        let rule = "    reject:\n      cancellation: invoice_no like 'C%'\n";
        text.replacen("    reject:\n", rule, 1)
    };
    let pipeline = Pipeline::copy("online_retail", "ONLINE_RETAIL", &lines, sales);
    let run = |as_of, model: &str| {
        let params = [&format!("purchase_model={model}") as &str, "holdout_days=0"];
        pipeline.run(as_of, &params, &["metrics.model_fit", "metrics.model_warnings"])
    };
    for (as_of, model, printed, nbd) in [
        ("2011-06-30", "bg_nbd", -15_325.455_311_2, -15_325.455_311_2),
        ("2011-12-09", "bg_nbd", -37_645.537_648_15, -37_645.657_330_54),
        ("2011-12-09", "mbg_nbd", -37_645.657_330_54, -37_645.657_330_54),
        ("2011-12-09", "pareto_nbd", -37_645.657_330_54, -37_645.657_330_54),
    ] {
        let tables = run(as_of, model);
        let fit = tables.get("metrics.model_fit");
        let of = |model| fit.with("model", model).with("parameter", "r");
        let found = of(model).number("log_likelihood");
        assert!(found > printed - 1e-5, "{as_of} {model}: {found} < {printed}");
        near(of("nbd").number("log_likelihood"), nbd, 1e-5, "NBD");
        assert_eq!(of(model).cell("used"), "nbd");
        let warnings = tables.get("metrics.model_warnings").with("model", model);
        assert_eq!(warnings.cell("reason"), "degenerate_dropout", "{as_of} {model}");
        assert_eq!(warnings.cell("fallback"), "nbd");
    }
    let fit = run("2011-12-09", "bg_nbd");
    let fit = fit.get("metrics.model_fit").with("model", "gamma_gamma");
    near(fit.with("parameter", "p").number("log_likelihood"), -19_083.330_649_78, 1e-5, "spend");
}
