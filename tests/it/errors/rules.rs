//! Rule files: every value and every cell is covered once, before any order is
//! read.

use insta::assert_snapshot;

use super::{change, check};
use crate::project::Project;

/// The standard models with one rule changed.
fn standard_but(file: &str, from: &str, to: &str) -> Project {
    let project = Project::with_models();
    project.pipeline("metrics.rfm_scores, metrics.lifecycle_states", "");
    change(&project, file, from, to);
    project
}

const SCORES: &str = "sql/rules/rfm_scores.sql";
const SEGMENTS: &str = "sql/rules/rfm_segments.sql";

#[test]
fn a_gap_between_thresholds_is_named() {
    let project = standard_but(SCORES, "('recency', 4, 31, 36)", "('recency', 4, 31, 35)");
    assert_snapshot!(check(&project), @"
    error: `rules.rfm_scores`: for recency, no rule covers values from 35 to below 36
     --> sql/rules/rfm_scores.sql:1:1
      |
    1 | -- rules.rfm_scores: which recency, frequency and revenue earn which score?
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn thresholds_that_overlap_are_named() {
    let project = standard_but(SCORES, "('monetary', 2, 1000, 1500)", "('monetary', 2, 900, 1500)");
    assert_snapshot!(check(&project), @"
    error: `rules.rfm_scores`: for monetary, two rules cover values from 900 to below 1000
     --> sql/rules/rfm_scores.sql:1:1
      |
    1 | -- rules.rfm_scores: which recency, frequency and revenue earn which score?
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_rule_that_can_never_fire_is_named() {
    let project =
        standard_but(SCORES, "('monetary', 4, 2000, 2500)", "('monetary', 4, 2500, 2000)");
    assert_snapshot!(check(&project), @"
    error: `rules.rfm_scores`: for monetary, the rule from 2500 to below 2000 can never fire
     --> sql/rules/rfm_scores.sql:1:1
      |
    1 | -- rules.rfm_scores: which recency, frequency and revenue earn which score?
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: `rules.rfm_scores`: for monetary, no rule covers values from 2000 to below 2500
     --> sql/rules/rfm_scores.sql:1:1
      |
    1 | -- rules.rfm_scores: which recency, frequency and revenue earn which score?
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: 2 problems in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_class_without_a_rule_and_one_with_two_are_named() {
    let project = standard_but(
        SEGMENTS,
        "                true, true, true,",
        "                true, true, false,",
    );
    assert_snapshot!(check(&project), @"
    error: `rules.rfm_segments`: 2 rules cover r_high = true, f_high = true, m_high = false
     --> sql/rules/rfm_segments.sql:1:1
      |
    1 | -- rules.rfm_segments: what the eight RFM classes are called, and what to do.
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: `rules.rfm_segments`: no rule covers r_high = true, f_high = true, m_high = true
     --> sql/rules/rfm_segments.sql:1:1
      |
    1 | -- rules.rfm_segments: what the eight RFM classes are called, and what to do.
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: 2 problems in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_rule_that_says_nothing_about_its_cover_is_asked_to() {
    let project = standard_but(
        SCORES,
        "ranges measure in (recency, frequency, monetary): at_least",
        "range of measure from at_least",
    );
    assert_snapshot!(check(&project), @"
    error: this does not say what the rules cover
     --> sql/rules/rfm_scores.sql:6:12
      |
    6 | -- rule    range of measure from at_least <= value < below;
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write `ranges key: low <= value < high`, or `cells a in (1..5), b in (x, y)`; after a `;` also `c in (x, y)` and `c names d, e`

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

/// The windows of the lifecycle are parameters, and the rules are checked with
/// the values of the run.
#[test]
fn a_parameter_that_leaves_no_room_for_a_state_is_named() {
    let project = Project::with_models();
    project.pipeline("metrics.lifecycle_states", "params:\n  lost_after_periods: -1\n");
    assert_snapshot!(check(&project), @"
    error: parameter `lost_after_periods`: must be at least 1 and at most 36525, not `-1`
     --> pipelines/p.yaml:9:23
      |
    9 |   lost_after_periods: -1
      |                       ^^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_state_that_no_query_asks_for_is_named() {
    let rules = "sql/rules/lifecycle.sql";
    let project = standard_but(rules, "'repeat', 'dormant'", "'repeat', 'dormnat'");
    assert_snapshot!(check(&project), @"
    error: `rules.lifecycle`: state `dormnat` is none of new, active, dormant, lost
     --> sql/rules/lifecycle.sql:1:1
      |
    1 | -- rules.lifecycle: which state does a customer have after how many idle periods?
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_key_that_nothing_asks_for_and_one_that_is_missing_are_named() {
    let project =
        standard_but(SCORES, "('frequency', 5, null, null)", "('freqency', 5, null, null)");
    assert_snapshot!(check(&project), @"
    error: `rules.rfm_scores`: measure `freqency` is none of recency, frequency, monetary
     --> sql/rules/rfm_scores.sql:1:1
      |
    1 | -- rules.rfm_scores: which recency, frequency and revenue earn which score?
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: `rules.rfm_scores`: for frequency, no rule covers any value
     --> sql/rules/rfm_scores.sql:1:1
      |
    1 | -- rules.rfm_scores: which recency, frequency and revenue earn which score?
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: 2 problems in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_segment_with_two_names_is_named() {
    let project = standard_but(
        SEGMENTS,
        "'important_keep', 'important keep', '重要保持'",
        "'important_value', 'important keep', '重要价值'",
    );
    assert_snapshot!(check(&project), @"
    error: `rules.rfm_segments`: segment `important_value` stands with name_en `important keep` and `important value`
     --> sql/rules/rfm_segments.sql:1:1
      |
    1 | -- rules.rfm_segments: what the eight RFM classes are called, and what to do.
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: `rules.rfm_segments`: segment `important_value` stands with action_en `keep the rhythm: a satisfaction call before the habit breaks` and `serve first: best people, early access, no discount needed`
     --> sql/rules/rfm_segments.sql:1:1
      |
    1 | -- rules.rfm_segments: what the eight RFM classes are called, and what to do.
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: `rules.rfm_segments`: segment `important_value` stands with action_zh `优先服务：专人维护，新品优先，无需打折` and `保持节奏：满意度回访，主动联系`
     --> sql/rules/rfm_segments.sql:1:1
      |
    1 | -- rules.rfm_segments: what the eight RFM classes are called, and what to do.
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: 3 problems in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn what_holds_of_rules_is_read_whatever_its_form() {
    let rules = "sql/rules/lifecycle.sql";
    let project =
        standard_but(rules, "(new, active, dormant, lost)", "('new', active, dormant, lost);");
    assert!(check(&project).contains("all sound"), "{}", check(&project));
    let project = standard_but(rules, "state in (new, active, dormant, lost)", "state in ()");
    assert!(check(&project).contains("this does not say what the rules cover"));
}
