//! The pipeline file as YAML.

use insta::assert_snapshot;

use super::{change, check, said, small, small_but};

const PIPELINE: &str = "pipelines/p.yaml";

#[test]
fn a_pipeline_file_must_exist() {
    let outcome = small().tenure(&["check", "pipelines/q.yaml"]);
    assert_snapshot!(said(&outcome), @"
    error: there is no such pipeline file
    --> pipelines/q.yaml
     = help: did you mean `pipelines/p.yaml`?
    exit 2
    ");
}

#[test]
fn broken_yaml_is_shown_where_it_breaks() {
    assert_snapshot!(check(&small_but(PIPELINE, "url: orders", "url: [orders")), @"
    error: not valid YAML: did not find expected ',' or ']'
     --> pipelines/p.yaml:5:7
      |
    5 | tables: [facts.customers, metrics.spenders]
      |       ^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_tab_is_no_indentation() {
    assert_snapshot!(check(&small_but(PIPELINE, "    url: orders", "\turl: orders")), @"
    error: not valid YAML: found character that cannot start any token
     --> pipelines/p.yaml:4:1
      |
    4 |     url: orders
      | ^^^^
      |
      = help: indent with spaces: YAML takes no tabs

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_key_stands_once() {
    assert_snapshot!(check(&small_but(PIPELINE, "url: orders", "url: orders\n    url: other")), @"
    error: the key `url` stands here a second time
     --> pipelines/p.yaml:5:5
      |
    5 |     url: other
      |     ^^^
      |
      = help: keep one of them

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn anchors_are_not_supported() {
    let project = small_but(PIPELINE, "url: orders", "url: &here orders");
    change(&project, PIPELINE, "url: out", "url: *here");
    assert_snapshot!(check(&project), @"
    error: YAML anchors and aliases are not supported
     --> pipelines/p.yaml:7:8
      |
    7 |   url: *here
      |        ^^^^^
      |
      = help: write the value out where it is used

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_pipeline_is_a_map() {
    let project = small();
    project.file(PIPELINE, "- orders\n- customers\n");
    assert_snapshot!(check(&project), @"
    error: the pipeline must be a map of keys and values
     --> pipelines/p.yaml:1:1
      |
    1 | - orders
      | ^
      |
      = help: known keys: pipeline, params, sources, models, tables, publish, engine

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn an_empty_pipeline_is_not_one() {
    let project = small();
    project.file(PIPELINE, "");
    assert_snapshot!(check(&project), @"
    error: the pipeline must be a map of keys and values
     --> pipelines/p.yaml:1:1
      |
    1 |
      | ^
      |
      = help: known keys: pipeline, params, sources, models, tables, publish, engine

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}

#[test]
fn a_list_is_no_single_value() {
    assert_snapshot!(check(&small_but(PIPELINE, "url: orders", "url: [orders, more]")), @"
    error: expected a single value here
     --> pipelines/p.yaml:4:10
      |
    4 |     url: [orders, more]
      |          ^

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
}
