//! Commands and flags, and what success looks like.

use insta::assert_snapshot;

use super::{said, small};
use crate::project::Project;

const PIPELINE: &str = "pipelines/p.yaml";

#[test]
fn a_misspelt_command_is_told_what_it_probably_means() {
    assert_snapshot!(said(&small().tenure(&["rnu", PIPELINE])), @"
    error: unrecognized subcommand 'rnu'

      tip: a similar subcommand exists: 'runs'

    Usage: tenure [OPTIONS] <COMMAND>

    For more information, try '--help'.
    exit 2
    ");
}

#[test]
fn a_misspelt_flag_is_told_what_it_probably_means() {
    let outcome = small().tenure(&["run", PIPELINE, "--as_of", "2024-06-30"]);
    assert_snapshot!(said(&outcome), @"
    error: unexpected argument '--as_of' found

      tip: a similar argument exists: '--as-of'

    Usage: tenure run --as-of <DATE> <PIPELINE>

    For more information, try '--help'.
    exit 2
    ");
}

#[test]
fn a_command_needs_its_pipeline() {
    assert_snapshot!(said(&small().tenure(&["check"])), @"
    error: the following required arguments were not provided:
      <PIPELINE>...

    Usage: tenure check <PIPELINE>...

    For more information, try '--help'.
    exit 2
    ");
}

#[test]
fn a_range_has_two_ends_in_order() {
    let range = ["run", PIPELINE, "--from", "2024-06-30", "--to", "2024-06-01"];
    assert_snapshot!(said(&small().tenure(&range)), @"
    error: --from 2024-06-30 is later than --to 2024-06-01
    exit 2
    ");
}

#[test]
fn a_sound_project_is_said_to_be_sound() {
    let outcome = small().tenure(&["check", PIPELINE]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    let (said, seconds) = outcome.stdout.split_once('(').expect("a time");
    assert_snapshot!(said, @"1 pipeline, 4 models: all sound");
    assert!(seconds.ends_with(" s)\n"), "{seconds}");
}

/// A pipe, a cron mail and a program each get what they can read.
#[test]
fn problems_are_json_for_a_program() {
    let project = small();
    project.file(PIPELINE, "pipeline: p\nsources: { orders: { url: orders } }\ntabels: []\n");
    let outcome = project.tenure(&["check", PIPELINE, "--log", "json"]);
    assert_eq!(outcome.code, 2);
    let lines = outcome.stderr.lines().map(|line| {
        let mut event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        event["time"] = "[TIME]".into();
        event.to_string()
    });
    assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
    {"event":"error","help":"did you mean `tables`? known keys: pipeline, params, sources, models, tables, publish, engine","message":"unknown key `tabels` in the pipeline","notes":[],"place":{"file":"pipelines/p.yaml","line":3},"time":"[TIME]"}
    {"event":"error","help":"add `publish: { url: … }`","message":"the pipeline does not say where to publish","notes":[],"place":{"file":"pipelines/p.yaml","line":1},"time":"[TIME]"}
    {"event":"error","help":null,"message":"2 problems in 1 file; nothing was run","notes":[],"place":null,"time":"[TIME]"}
    "#);
}

#[test]
fn a_fit_of_a_pipeline_without_models_is_told_what_to_say() {
    let project = Project::new();
    project.pipeline("metrics.rfm_scores", "");
    assert_snapshot!(said(&project.tenure(&["fit", PIPELINE, "--as-of", "2024-06-30"])), @"
    error: there is nothing to fit: the pipeline has no `models:`
     --> pipelines/p.yaml:1:11
      |
    1 | pipeline: p
      |           ^
      |
      = help: say which model, here by `--model auto`, or for every run by `models: { purchases: auto }` in the pipeline

    error: 1 problem in 1 file; nothing was run
    exit 2
    ");
    // One that is none is told as such, and that is all.
    let arguments = ["fit", PIPELINE, "--as-of", "2024-06-30", "--model", "bgnbd"];
    let outcome = project.tenure(&arguments);
    assert_eq!(outcome.code, 2);
    assert_eq!(outcome.stderr.matches("error: ").count(), 1, "{}", outcome.stderr);
}

#[test]
fn help_names_every_command_and_exit_code() {
    let outcome = Project::new().tenure(&["--help"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    for word in
        ["run", "retry", "check", "plan", "show", "runs", "init", "generate", "130  interrupted"]
    {
        assert!(outcome.stdout.contains(word), "{word}");
    }
}

#[test]
fn a_folder_with_files_in_it_is_not_made_a_project() {
    let project = small();
    assert_snapshot!(said(&project.tenure(&["init", "."])), @"
    error: this folder is not empty
    --> .
     = help: name another, or add --force: files that are there stay as they are
    exit 2
    ");
}

/// Whoever begins with a project has its files, and not those of the program.
#[test]
fn a_new_project_speaks_of_no_file_that_it_does_not_have() {
    let project = Project::new();
    assert_eq!(project.tenure(&["init", "shop"]).code, 0);
    let pattern = project.path("shop/**/*");
    let paths = glob::glob(&pattern.to_string_lossy()).expect("a pattern");
    for path in paths.map(|path| path.expect("a path")).filter(|path| path.is_file()) {
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(!text.contains("docs/"), "{}", path.display());
    }
}
