//! A second implementation of the core tables, as naive as possible: plain
//! loops over rows, written from the definitions and not from the SQL. What
//! the binary publishes must agree with it, cell by cell and in order.

mod calendar;
mod cells;
mod edges;
mod facts;
mod formulas;
mod history;
mod lifecycle;
mod repurchase;
mod retention;
mod rfm;
mod settings;
mod value;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use self::calendar::Grain;
use self::cells::Expected;
use self::facts::Facts;
use self::history::{History, histories};
use self::settings::Method;
use crate::project::Project;

/// Every table the oracle knows.
const TABLES: [fn(&Facts) -> Expected; 20] = [
    facts::orders,
    facts::customers,
    facts::customer_periods,
    facts::unattributed_refunds,
    retention::cohort_retention,
    retention::retention_windows,
    repurchase::summary,
    repurchase::windows,
    repurchase::steps,
    repurchase::cycle,
    repurchase::gap_histogram,
    rfm::rfm_scores,
    rfm::rfm_segments,
    lifecycle::states,
    lifecycle::transitions,
    lifecycle::summary,
    formulas::value_formulas,
    value::concentration,
    value::value_assumptions,
    value::customer_value,
];

/// Random histories a grain.
const CASES: u32 = 4;
/// Runs spent on making a failing history smaller.
const SHRINKS_MAX: u32 = 150;

/// Runs a history and compares every table.
fn check(history: &History) -> Result<(), TestCaseError> {
    let facts = Facts::of(history);
    let expected: Vec<Expected> = TABLES.iter().map(|table| table(&facts)).collect();
    let project = Project::new();
    let names: Vec<&str> = expected.iter().map(|table| table.name).collect();
    history.write(&project, &names);
    agree(&project, history, &expected)?;
    // Whether one thread or several, plans differ.
    let pipeline = project.path("pipelines/p.yaml");
    let text = std::fs::read_to_string(pipeline).expect("a pipeline");
    project.file("pipelines/p.yaml", &format!("{text}engine:\n  threads: 1\n"));
    agree(&project, history, &expected)
}

/// Builds everything and compares it.
fn agree(project: &Project, history: &History, expected: &[Expected]) -> Result<(), TestCaseError> {
    let as_of = history.settings.as_of;
    let day = as_of.to_string();
    let outcome = project.tenure(&["run", "pipelines/p.yaml", "--as-of", &day, "--full-refresh"]);
    if outcome.code != 0 {
        return Err(TestCaseError::fail(outcome.stderr));
    }
    expected
        .iter()
        .try_for_each(|table| table.compare(&cells::published(project, table.name, as_of)))
}

fn agrees(history: &History) {
    if let Err(error) = check(history) {
        panic!("{error}");
    }
}

/// Random histories, the same ones each time; a failing one is made smaller.
fn agrees_on_random_histories(grain: Grain, methods: &[Method]) {
    for (number, method) in (0_u8..).zip(methods) {
        let config = Config {
            cases: CASES / u32::try_from(methods.len()).expect("a small number"),
            max_shrink_iters: SHRINKS_MAX,
            failure_persistence: None,
            ..Config::default()
        };
        let seed = [number + 1; 32];
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut runner = TestRunner::new_with_rng(config, rng);
        if let Err(error) = runner.run(&histories(grain, *method), |history| check(&history)) {
            panic!("{error}");
        }
    }
}

#[test]
fn sql_and_oracle_agree_on_random_histories_by_day() {
    agrees_on_random_histories(Grain::Day, &[Method::Rules, Method::Quantile]);
}

#[test]
fn sql_and_oracle_agree_on_random_histories_by_week() {
    agrees_on_random_histories(Grain::Week, &[Method::QuantileR, Method::Ntile]);
}

#[test]
fn sql_and_oracle_agree_on_random_histories_by_month() {
    let methods = [Method::Quantile, Method::QuantileR, Method::Ntile, Method::Rules];
    agrees_on_random_histories(Grain::Month, &methods);
}

#[test]
fn sql_and_oracle_agree_on_random_histories_by_quarter() {
    agrees_on_random_histories(Grain::Quarter, &[Method::Ntile, Method::Rules]);
}

#[test]
fn sql_and_oracle_agree_on_random_histories_by_year() {
    agrees_on_random_histories(Grain::Year, &[Method::Quantile, Method::QuantileR]);
}

#[test]
fn an_empty_source_gives_empty_tables() {
    agrees(&edges::nobody());
}

#[test]
fn refunds_alone_make_no_customers() {
    agrees(&edges::only_refunds());
}

#[test]
fn a_single_order_is_a_history() {
    agrees(&edges::one_order());
}

#[test]
fn one_customer_can_have_all_the_orders() {
    agrees(&edges::all_in_one_customer());
}

#[test]
fn ties_early_refunds_and_leap_days_have_one_meaning() {
    agrees(&edges::edges());
}

#[test]
fn refunds_that_say_their_sale_come_off_it() {
    agrees(&edges::named_refunds());
}

#[test]
fn a_month_cut_short_is_flagged_and_nobody_is_lost_in_it() {
    agrees(&edges::edges_cut_short());
}
