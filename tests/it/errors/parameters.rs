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
    assert_snapshot!(said(&outcome), @"");
}

#[test]
fn a_day_has_one_form() {
    let outcome = small().tenure(&["run", PIPELINE, "--as-of", "30.06.2024"]);
    assert_snapshot!(said(&outcome), @"");
}

#[test]
fn a_day_must_exist() {
    let outcome = small().tenure(&["run", PIPELINE, "--as-of", "2023-02-29"]);
    assert_snapshot!(said(&outcome), @"");
}

#[test]
fn a_misspelt_parameter_in_yaml_is_told_what_it_probably_means() {
    assert_snapshot!(check(&setting("  leest: 2\n")), @"");
}

#[test]
fn a_misspelt_parameter_on_the_command_line_is_told_too() {
    assert_snapshot!(run_with(&small(), &["--param", "leest=2"]), @"");
}

#[test]
fn a_parameter_in_yaml_has_its_type() {
    assert_snapshot!(check(&setting("  least: two\n")), @"");
}

#[test]
fn a_parameter_on_the_command_line_has_its_type() {
    assert_snapshot!(run_with(&small(), &["--param", "least=2.5"]), @"");
}

#[test]
fn a_parameter_in_yaml_stays_in_its_domain() {
    assert_snapshot!(check(&setting("  grade: bronze\n")), @"");
}

#[test]
fn a_parameter_on_the_command_line_stays_in_its_domain() {
    assert_snapshot!(run_with(&small(), &["--param", "grade=bronze"]), @"");
}

#[test]
fn a_parameter_on_the_command_line_has_a_name_and_a_value() {
    assert_snapshot!(run_with(&small(), &["--param", "least"]), @"");
}

#[test]
fn a_declared_default_is_among_the_allowed_values() {
    let project = small_but("sql/params.yaml", "default: gold", "default: golden");
    assert_snapshot!(check(&project), @"");
}

#[test]
fn a_parameter_has_a_type_there_is() {
    assert_snapshot!(check(&small_but("sql/params.yaml", "type: int", "type: integer")), @"");
}

#[test]
fn a_query_uses_only_declared_parameters() {
    let project = small_but("sql/metrics/spenders.sql", "orders >= $least", "orders >= $leest");
    assert_snapshot!(check(&project), @"");
}

#[test]
fn a_parameter_nobody_uses_is_no_parameter_of_a_pipeline() {
    let project = setting("  grade: silver\n");
    change(&project, "sql/metrics/spenders.sql", "$grade as grade", "'gold' as grade");
    change(&project, "sql/metrics/spenders.sql", "grade, least", "least");
    assert_snapshot!(check(&project), @"");
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
    assert_snapshot!(check(&project), @"");
}
