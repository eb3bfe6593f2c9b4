//! Parameters: misspelt, of the wrong type, out of their domain, missing.

use insta::assert_snapshot;

use super::{change, check, run_with, said, small, small_but};
use crate::project::Project;

const PIPELINE: &str = "pipelines/p.yaml";

/// The small project whose pipeline sets a parameter.
fn setting(params: &str) -> Project {
    small_but(PIPELINE, "pipeline: p\n", &format!("pipeline: p\nparams:\n{params}"))
}

#[test]
fn a_run_must_say_its_day() {
    let outcome = small().tenure(&["run", PIPELINE]);
    assert_snapshot!(said(&outcome), @"
    error: parameter `as_of` has no value
     --> pipelines/p.yaml:1:1
      |
    1 | pipeline: p
      | ^^^^^^^^^^^
      |
      = note: it has no default on purpose: a run must say which day it is about
      = help: pass --as-of YYYY-MM-DD

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_day_has_one_form() {
    let outcome = small().tenure(&["run", PIPELINE, "--as-of", "30.06.2024"]);
    assert_snapshot!(said(&outcome), @"
    error: --as-of: `30.06.2024` is not a day of the form YYYY-MM-DD
    exit 2
    ");
}

#[test]
fn a_day_must_exist() {
    let outcome = small().tenure(&["run", PIPELINE, "--as-of", "2023-02-29"]);
    assert_snapshot!(said(&outcome), @"
    error: --as-of: `2023-02-29` is not a day of the form YYYY-MM-DD
    exit 2
    ");
}

#[test]
fn a_misspelt_parameter_in_yaml_is_told_what_it_probably_means() {
    assert_snapshot!(check(&setting("  leest: 2\n")), @"
    error: no parameter `leest` is declared in this project
     --> pipelines/p.yaml:3:3
      |
    3 |   leest: 2
      |   ^^^^^
      |
      = help: did you mean `least`?

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_misspelt_parameter_on_the_command_line_is_told_too() {
    assert_snapshot!(run_with(&small(), &["--param", "leest=2"]), @"
    error: no parameter `leest` in this project
     |
     = help: did you mean `least`?
    exit 2
    ");
}

#[test]
fn a_parameter_in_yaml_has_its_type() {
    assert_snapshot!(check(&setting("  least: two\n")), @"
    error: parameter `least`: `two` is not a whole number
     --> pipelines/p.yaml:3:10
      |
    3 |   least: two
      |          ^^^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_parameter_on_the_command_line_has_its_type() {
    assert_snapshot!(run_with(&small(), &["--param", "least=2.5"]), @"
    error: --param least: `2.5` is not a whole number
    exit 2
    ");
}

#[test]
fn a_parameter_in_yaml_stays_in_its_domain() {
    assert_snapshot!(check(&setting("  grade: bronze\n")), @"
    error: parameter `grade`: `bronze` is not one of gold, silver
     --> pipelines/p.yaml:3:10
      |
    3 |   grade: bronze
      |          ^^^^^^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_parameter_on_the_command_line_stays_in_its_domain() {
    assert_snapshot!(run_with(&small(), &["--param", "grade=bronze"]), @"
    error: --param grade: `bronze` is not one of gold, silver
    exit 2
    ");
}

#[test]
fn a_parameter_on_the_command_line_has_a_name_and_a_value() {
    assert_snapshot!(run_with(&small(), &["--param", "least"]), @"
    error: invalid value 'least' for '--param <NAME=VALUE>': write it as name=value

    For more information, try '--help'.
    exit 2
    ");
}

#[test]
fn a_declared_default_is_among_the_allowed_values() {
    let project = small_but("sql/params.yaml", "default: gold", "default: golden");
    assert_snapshot!(check(&project), @"
    error: the default of parameter `grade`: `golden` is not one of gold, silver
     --> sql/params.yaml:3:31
      |
    3 | grade: { type: text, default: golden, one_of: [gold, silver] }
      |                               ^^^^^^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_parameter_has_a_type_there_is() {
    assert_snapshot!(check(&small_but("sql/params.yaml", "type: int", "type: integer")), @"
    error: no parameter type `integer`
     --> sql/params.yaml:2:16
      |
    2 | least: { type: integer, default: 1, doc: orders from which somebody is listed }
      |                ^^^^^^^
      |
      = help: known: text, int, decimal, date, boolean, [text], [int], [decimal], [date], [boolean]

    error: no parameter `least` is declared
      --> sql/metrics/spenders.sql:18:17
       |
    18 | where orders >= $least
       |                 ^^^^^^
       |
       = help: declare it in `sql/params.yaml`

    error: 2 problems in 2 files; nothing was run
    exit 2
    ");
}

#[test]
fn a_query_uses_only_declared_parameters() {
    let project = small_but("sql/metrics/spenders.sql", "orders >= $least", "orders >= $leest");
    assert_snapshot!(check(&project), @"
    error: no parameter `leest` is declared
      --> sql/metrics/spenders.sql:18:17
       |
    18 | where orders >= $leest
       |                 ^^^^^^
       |
       = help: did you mean `least`?

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_parameter_nobody_uses_is_no_parameter_of_a_pipeline() {
    let project = setting("  grade: silver\n");
    change(&project, "sql/metrics/spenders.sql", "$grade as grade", "'gold' as grade");
    change(&project, "sql/metrics/spenders.sql", "grade, least", "least");
    assert_snapshot!(check(&project), @"
    error: no model uses parameter `grade`
     --> pipelines/p.yaml:3:3
      |
    3 |   grade: silver
      |   ^^^^^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

/// The standard project, whose domains and types users meet first.
#[test]
fn standard_parameters_say_what_they_may_be() {
    let project = Project::new();
    project.pipeline(
        "metrics.cohort_retention",
        "params:\n  cohort_grain: fortnight\n  retention_windows: [1, seven]\n  \
         discount_rate: ten percent\n  lost_after_period: 3\n",
    );
    assert_snapshot!(check(&project), @"
    error: no parameter `lost_after_period` is declared in this project
      --> pipelines/p.yaml:12:3
       |
    12 |   lost_after_period: 3
       |   ^^^^^^^^^^^^^^^^^
       |
       = help: did you mean `lost_after_periods`?

    error: parameter `cohort_grain`: `fortnight` is not one of day, week, month, quarter, year
     --> pipelines/p.yaml:9:17
      |
    9 |   cohort_grain: fortnight
      |                 ^^^^^^^^^

    error: parameter `retention_windows`: `seven` is not a whole number
      --> pipelines/p.yaml:10:22
       |
    10 |   retention_windows: [1, seven]
       |                      ^

    error: parameter `discount_rate`: `ten percent` is not a decimal number such as 0.25
      --> pipelines/p.yaml:11:18
       |
    11 |   discount_rate: ten percent
       |                  ^^^^^^^^^^^

    error: 4 problems in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_number_keeps_within_its_bounds() {
    let bounded = "type: int, default: 1, at_least: 1, below: 10";
    let project = || small_but("sql/params.yaml", "type: int, default: 1", bounded);
    let set = project();
    change(&set, PIPELINE, "pipeline: p\n", "pipeline: p\nparams:\n  least: 0\n");
    assert_snapshot!(check(&set), @"
    error: parameter `least`: must be at least 1 and below 10, not `0`
     --> pipelines/p.yaml:3:10
      |
    3 |   least: 0
      |          ^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
    assert_snapshot!(run_with(&project(), &["--param", "least=10"]), @"
    error: --param least: must be at least 1 and below 10, not `10`
    exit 2
    ");
}

#[test]
fn a_default_keeps_within_its_bounds_and_bounds_are_for_numbers() {
    let project =
        small_but("sql/params.yaml", "type: int, default: 1", "type: int, above: 1, default: 1");
    change(&project, "sql/params.yaml", "default: gold", "at_most: 3, default: gold");
    assert_snapshot!(check(&project), @"
    error: the default of parameter `least`: must be above 1, not `1`
     --> sql/params.yaml:2:40
      |
    2 | least: { type: int, above: 1, default: 1, doc: orders from which somebody is listed }
      |                                        ^

    error: `at_most` is for numbers, not for `text`
     --> sql/params.yaml:3:31
      |
    3 | grade: { type: text, at_most: 3, default: gold, one_of: [gold, silver] }
      |                               ^

    error: 2 problems in 1 file; nothing was run
    exit 2
    ");
}

/// A percentage typed for a share, a negative window: published, it would look
/// like a result.
#[test]
fn standard_parameters_are_refused_where_they_cannot_be_meant() {
    let project = Project::new();
    project.pipeline("metrics.cohort_retention", "");
    for wrong in [
        "retention_rate=80",
        "margin_rate=30",
        "discount_rate=-1",
        "discount_rate=10",
        "revenue_growth=-1",
        "upsell_success_rate=7",
        "vip_quantile=95",
        "vip_periods=0",
        "new_periods=0",
        "dormant_after_periods=-1",
        "lost_after_periods=0",
        "rfm_window_days=-3",
        "compare_days=-400",
        "step_window_days=-1",
        "repurchase_windows=[30,-5]",
        "retention_windows=0",
        "clv_horizon_years=-2",
    ] {
        let said = run_with(&project, &["--param", wrong]);
        let name = wrong.split('=').next().expect("a name");
        assert!(said.starts_with(&format!("error: --param {name}: must be ")), "{said}");
        assert!(said.ends_with("exit 2"), "{said}");
    }
}

#[test]
fn a_day_is_said_once() {
    assert_snapshot!(run_with(&small(), &["--param", "as_of=2024-06-29"]), @"
    error: --as-of 2024-06-30 and --param as_of=2024-06-29 are two days
     |
     = help: say the day once, with --as-of
    exit 2
    ");
}

#[test]
fn a_time_zone_is_known_before_anything_is_read() {
    let project = Project::new();
    project.pipeline("facts.orders", "params:\n  timezone: Europe/Berln\n");
    assert_snapshot!(check(&project), @"
    error: parameter `timezone`: `Europe/Berln` is no time zone such as Europe/Berlin or +02:00
     --> pipelines/p.yaml:9:13
      |
    9 |   timezone: Europe/Berln
      |             ^^^^^^^^^^^^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

/// A pipeline that declares a parameter of the project again inherits what it
/// leaves out, and its default is held to that.
#[test]
fn a_default_keeps_within_the_bounds_of_the_project() {
    let project = Project::new();
    project.pipeline(
        "metrics.value_formulas",
        "params:\n  margin_rate: { type: decimal, default: 80 }\n  \
         timezone: { type: text, default: Europe/Berln }\n",
    );
    assert_snapshot!(check(&project), @"
    error: the default of parameter `margin_rate`: must be at least -1 and at most 1, not `80`
     --> pipelines/p.yaml:9:3
      |
    9 |   margin_rate: { type: decimal, default: 80 }
      |   ^^^^^^^^^^^

    error: the default of parameter `timezone`: `Europe/Berln` is no time zone such as Europe/Berlin or +02:00
      --> pipelines/p.yaml:10:3
       |
    10 |   timezone: { type: text, default: Europe/Berln }
       |   ^^^^^^^^

    error: 2 problems in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_parameter_is_null_only_where_it_may_be_left_out() {
    let project = Project::new();
    project.pipeline("facts.customers", "params:\n  cohort_grain:\n  revenue_growth: null\n");
    assert_snapshot!(check(&project), @"
    error: parameter `cohort_grain`: null is no value it takes; its default is month
     --> pipelines/p.yaml:9:15
      |
    9 |   cohort_grain:
      |               ^

    error: parameter `revenue_growth`: null is no value it takes; its default is 0
      --> pipelines/p.yaml:10:19
       |
    10 |   revenue_growth: null
       |                   ^^^^

    error: 2 problems in 1 file; nothing was run
    exit 2
    ");
    let declared = "params:\n  cohort_grain: { type: text, default: null }\n";
    project.pipeline("facts.customers", declared);
    assert_snapshot!(check(&project), @"
    error: the default of parameter `cohort_grain`: null is no value it takes; its default is month
     --> pipelines/p.yaml:9:3
      |
    9 |   cohort_grain: { type: text, default: null }
      |   ^^^^^^^^^^^^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_run_may_leave_a_parameter_out_that_its_pipeline_sets() {
    let project = Project::new();
    project.orders("orders/o.parquet", super::ORDERS);
    project.pipeline("facts.customers", "params:\n  history_start: 2024-02-01\n");
    project.run("2024-06-30");
    assert_eq!(project.rows("quarantine.orders", &["reason"]), ["before_history"]);
    project.run_with("2024-06-30", &["--param", "history_start=null"]);
    assert!(project.rows("quarantine.orders", &["reason"]).is_empty());
}

#[test]
fn parameters_that_cannot_be_read_are_told_alone() {
    let project = small_but("sql/params.yaml", ":", ": :");
    assert_snapshot!(check(&project), @"
    error: not valid YAML: mapping values are not allowed in this context
     --> sql/params.yaml:1:8
      |
    1 | as_of: : { type: date }
      |        ^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_parameter_that_a_pipeline_declares_again_may_still_be_left_out() {
    let project = Project::new();
    project.orders("orders/o.parquet", super::ORDERS);
    let declared = "params:\n  currency: { type: text, default: EUR }\n";
    project.pipeline("facts.customers", declared);
    project.run_with("2024-06-30", &["--param", "currency=null"]);
    assert_eq!(project.rows("facts.customers", &["customer_id"]), ["7", "8"]);
}
