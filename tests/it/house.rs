//! The rules of the house that a machine can keep: which module may name
//! what, paths that are names, documents that speak of files there are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::project::Project;

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files of the repository by a glob: path from its root, and text.
fn files(pattern: &str) -> Vec<(String, String)> {
    let full = root().join(pattern);
    let paths = glob::glob(&full.to_string_lossy()).expect("a pattern");
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root()).expect("below").display().to_string();
        (name, std::fs::read_to_string(&path).expect("text"))
    };
    let files: Vec<_> = paths.map(|path| read(path.expect("a path"))).collect();
    assert!(!files.is_empty(), "no file matches {pattern}");
    files
}

/// The lines of a Rust file that are code, without its unit tests.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
    let lines = text.lines().enumerate();
    lines.map(|(number, line)| (number + 1, line.split("//").next().unwrap_or("")))
}

/// Where code under some folder names what it may not.
fn names(pattern: &str, except: &[&str], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in files(pattern) {
        let is_test = name.contains("/tests/") || name.ends_with("/tests.rs");
        if is_test || except.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        for (number, line) in code(&text) {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{name}:{number}: {}", line.trim()));
            }
        }
    }
    found
}

const NONE: [String; 0] = [];

#[test]
fn plan_touches_no_storage_clock_or_environment() {
    let storage = ["object_store", "crate::storage", "crate::run", "crate::engine", "crate::cli"];
    assert_eq!(names("src/plan/**/*.rs", &[], &storage), NONE);
    let world = ["std::fs", "std::env", "std::io", "std::net", "std::process", "env::var", "tokio"];
    assert_eq!(names("src/plan/**/*.rs", &[], &world), NONE);
    let clock = ["std::time", "Instant", "SystemTime", "Utc::now", "Local::now", "chrono::Utc"];
    assert_eq!(names("src/plan/**/*.rs", &[], &clock), NONE);
    let chance = ["rand", "uuid", "HashMap", "HashSet"];
    assert_eq!(names("src/plan/**/*.rs", &[], &chance), NONE);
}

#[test]
fn only_storage_names_a_cloud() {
    let clouds = [
        "object_store::aws",
        "object_store::azure",
        "object_store::gcp",
        "AmazonS3",
        "MicrosoftAzure",
        "GoogleCloudStorage",
    ];
    assert_eq!(names("src/**/*.rs", &["src/storage/"], &clouds), NONE);
}

#[test]
fn only_the_spec_names_yaml() {
    let yaml = ["serde_yaml", "saphyr"];
    assert_eq!(names("src/**/*.rs", &["src/plan/spec"], &yaml), NONE);
}

#[test]
fn only_main_exits() {
    let exits = ["process::exit", "process::abort", "ExitCode::exit_process"];
    assert_eq!(names("src/**/*.rs", &["src/main.rs"], &exits), NONE);
}

/// Bad input is an error with a place, never a panic.
#[test]
fn nothing_panics_outside_tests() {
    let panics = [".unwrap()", ".expect(", "panic!(", "unreachable!(", "todo!(", "dbg!("];
    assert_eq!(names("src/**/*.rs", &[], &panics), NONE);
}

#[test]
fn every_file_says_what_it_is_for() {
    for pattern in ["src/**/*.rs", "tests/**/*.rs"] {
        for (name, text) in files(pattern) {
            assert!(text.starts_with("//! "), "{name} opens with no `//!`");
        }
    }
    for (name, text) in files("pipelines/*.yaml") {
        let mut lines = text.lines();
        assert!(lines.next().is_some_and(|line| line.starts_with("# ")), "{name} says nothing");
        let run = format!("#   tenure run {name} --as-of ");
        assert!(lines.next().is_some_and(|line| line.starts_with(&run)), "{name}: how is it run?");
    }
}

#[test]
fn the_path_of_a_model_is_its_name() {
    for (path, text) in files("sql/*/*.sql") {
        let name = path.trim_start_matches("sql/").trim_end_matches(".sql").replace('/', ".");
        let first = text.lines().next().unwrap_or("");
        assert!(first.starts_with(&format!("-- {name}: ")), "{path} begins with {first}");
    }
    // No model stands elsewhere, where nothing would read it.
    assert_eq!(files("sql/*/*.sql").len(), files("sql/**/*.sql").len());
}

#[test]
fn every_pipeline_compiles() {
    let pipelines: Vec<String> =
        files("pipelines/*.yaml").into_iter().map(|(name, _)| name).collect();
    let mut arguments = vec!["check"];
    arguments.extend(pipelines.iter().map(String::as_str));
    let output = Project::new().command(&arguments).current_dir(root()).output().expect("starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(&format!("{} pipelines", pipelines.len())), "{said}");
}

#[test]
fn every_pipeline_has_the_name_of_its_file() {
    for (path, text) in files("pipelines/*.yaml") {
        let name = path.trim_start_matches("pipelines/").trim_end_matches(".yaml");
        assert!(text.lines().any(|line| line == format!("pipeline: {name}")), "{path}");
    }
}

/// Documents: the ones that speak of files of the project.
fn documents() -> Vec<(String, String)> {
    let mut documents = files("*.md");
    documents.extend(files("docs/*.md"));
    documents.extend(files("sql/*.md"));
    documents
}

#[test]
fn documents_name_only_files_there_are() {
    for (document, text) in documents() {
        let folder = root().join(&document);
        let folder = folder.parent().expect("a folder");
        for link in between(&text, "](", ")") {
            let file = link.split('#').next().unwrap_or("");
            if !file.is_empty() && !file.contains("://") {
                assert!(folder.join(file).exists(), "{document} links to {file}");
            }
        }
        for word in inline_code(&text).iter().chain(&tree(&text)) {
            let is_ours = ["src/", "sql/", "docs/", "tests/", "pipelines/", "benches/", ".ci/"]
                .iter()
                .any(|prefix| word.starts_with(prefix));
            // What a reader is to write in a project of their own.
            let is_example = ["pipelines/shop.yaml", "sql/metrics/orders_by_weekday.sql"];
            if is_ours && !word.contains(['*', '<', ' ']) && !is_example.contains(&word.as_str()) {
                assert!(root().join(word).exists(), "{document} speaks of {word}");
            }
        }
    }
}

#[test]
fn documents_name_only_tables_there_are() {
    let models: BTreeSet<String> = files("sql/*/*.sql")
        .into_iter()
        .map(|(path, _)| path.trim_start_matches("sql/").trim_end_matches(".sql").replace('/', "."))
        .collect();
    for (document, text) in documents() {
        for word in inline_code(&text) {
            let schema = ["staging.", "facts.", "metrics.", "rules.", "checks."];
            let is_table = schema.iter().any(|schema| word.starts_with(schema));
            let is_name = word.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '.'));
            if is_table && is_name && word != "metrics.orders_by_weekday" {
                assert!(models.contains(&word), "{document} speaks of {word}");
            }
        }
    }
}

#[test]
fn documents_name_only_parameters_there_are() {
    let (_, params) = files("sql/params.yaml").remove(0);
    let known: BTreeSet<&str> = params
        .lines()
        .filter(|line| !line.starts_with([' ', '#']))
        .map(|l| l.trim_end_matches(':'))
        .collect();
    for (document, text) in documents() {
        for word in inline_code(&text) {
            let name = word.strip_prefix('$').filter(|name| !name.starts_with(['{', '$']));
            if let Some(name) =
                name.filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
            {
                assert!(known.contains(name), "{document} speaks of ${name}");
            }
        }
    }
}

#[test]
fn documents_name_only_commands_and_make_targets_there_are() {
    let help = Project::new().tenure(&["--help"]).stdout;
    let (_, makefile) = files("Makefile").remove(0);
    for (document, text) in documents() {
        let commands = words_after(&text, "tenure ");
        for command in commands.iter().filter(|word| word.chars().all(|c| c.is_ascii_lowercase())) {
            let known = help.lines().any(|line| line.trim().starts_with(&format!("{command} ")));
            assert!(known, "{document} speaks of `tenure {command}`");
        }
        for target in words_after(&text, "make ") {
            let known = makefile.lines().any(|line| line.starts_with(&format!("{target}:")));
            assert!(known, "{document} speaks of `make {target}`");
        }
    }
}

/// Texts between two marks, within a line.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Vec<&'a str> {
    let parts = text.lines().flat_map(|line| line.split(open).skip(1));
    parts.filter_map(|part| part.split_once(close).map(|(inner, _)| inner)).collect()
}

/// What stands between single backticks.
fn inline_code(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with("```"));
    let odd = lines.flat_map(|line| line.split('`').skip(1).step_by(2));
    odd.map(str::to_string).collect()
}

/// The first words of the lines of code blocks: a tree of files, say.
fn tree(text: &str) -> Vec<String> {
    blocks(text).filter_map(|line| line.split_whitespace().next()).map(str::to_string).collect()
}

/// The lines inside code blocks.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split("```").skip(1).step_by(2);
    parts.flat_map(|block| block.lines().skip(1))
}

/// The words that follow a word at the start of inline code or of a line in a
/// code block.
fn words_after(text: &str, word: &str) -> Vec<String> {
    let inline = inline_code(text);
    let starts = inline.iter().map(String::as_str).chain(blocks(text));
    let rests = starts.filter_map(|start| start.strip_prefix(word));
    let words = rests.filter_map(|rest| rest.split_whitespace().next());
    words.filter(|word| !word.starts_with('-')).map(str::to_string).collect()
}
