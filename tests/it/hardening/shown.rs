//! What reaches a terminal, a log and a full disk.

use std::process::{Command, Stdio};

use super::{ORDERS, small};
use crate::project::Project;

const RUN: [&str; 4] = ["run", "pipelines/p.yaml", "--as-of", "2024-06-30"];

/// An escape, a carriage return, a line break, a mark of direction, and a C1 control.
const NASTY: &str = "w\u{1b}[31mred\rX\n\u{202e}gnp\u{9b}2J";

/// What no terminal may get from data.
fn is_raw(text: &str) -> bool {
    text.chars().any(|letter| {
        letter.is_control() && letter != '\n' || ('\u{202a}'..='\u{202e}').contains(&letter)
    })
}

/// A project whose data, one after another, holds what a terminal acts upon.
fn nasty() -> Project {
    let project = small();
    std::fs::remove_file(project.path("orders/1.parquet")).expect("removed");
    let rows = format!("{ORDERS}4,9,2024-05-11T10:00:00,12.50,\"{NASTY}\"\n");
    let batch = crate::project::typed(&rows);
    crate::project::parquet(&project.path("orders/1.parquet"), &batch);
    project
}

#[test]
fn data_is_shown_written_out_and_programs_get_it_as_it_is() {
    let project = nasty();
    project.run("2024-06-30");
    let show = ["show", "pipelines/p.yaml", "facts.customers"];
    let table = project.tenure(&show);
    assert_eq!(table.code, 0, "{}", table.stderr);
    assert!(!is_raw(&table.stdout), "{:?}", table.stdout);
    let written = "w\\u{1b}[31mred\\rX\\n\\u{202e}gnp\\u{9b}2J";
    assert!(table.stdout.contains(written), "{}", table.stdout);
    let json = project.tenure(&[&show[..], &["--format", "json"]].concat());
    let rows: Vec<serde_json::Value> =
        json.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(rows.iter().any(|row| row["channel"] == NASTY), "{}", json.stdout);
    let csv = project.table("facts.customers");
    assert!(csv.contains(&format!("\"{NASTY}\"")), "{csv:?}");
}

#[test]
fn messages_quote_data_and_names_written_out() {
    let project = nasty();
    let model = std::fs::read_to_string(project.path("sql/facts/customers.sql")).expect("a model");
    let failing = model.replace("max(channel)", "max(cast(cast(channel as int) as varchar))");
    project.file("sql/facts/customers.sql", &failing);
    let outcome = project.tenure(&RUN);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    assert!(!is_raw(&outcome.stderr), "{:?}", outcome.stderr);

    let project = small();
    std::fs::write(project.path("orders/\u{1b}]0;x\u{7}\n\u{202e}.parquet"), "none")
        .expect("a file");
    let outcome = project.tenure(&RUN);
    assert_ne!(outcome.code, 0);
    assert!(!is_raw(&outcome.stderr), "{:?}", outcome.stderr);
    assert!(outcome.stderr.contains("\\u{1b}]0;x\\u{7}"), "{}", outcome.stderr);
    let outcome = project.tenure(&[&RUN[..], &["--log", "json"]].concat());
    for line in outcome.stderr.lines() {
        assert!(!is_raw(line), "{line:?}");
        serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    }

    let project = small();
    let yaml = std::fs::read_to_string(project.path("pipelines/p.yaml")).expect("a pipeline");
    project.file("pipelines/p.yaml", &yaml.replace("tables:", "\"ta\\e[31m\\u202Ebles\":"));
    let outcome = project.tenure(&["check", "pipelines/p.yaml"]);
    assert_eq!(outcome.code, 2);
    assert!(!is_raw(&outcome.stderr), "{:?}", outcome.stderr);
}

/// What a command writes on a terminal; none where `script` is not there.
fn on_terminal(project: &Project, arguments: &str) -> Option<String> {
    let command = format!("{} {arguments}", env!("CARGO_BIN_EXE_tenure"));
    let mut script = Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).current_dir(project.path(""));
    let output = script.env("TERM", "xterm").stdin(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn only_what_has_steps_draws_a_bar() {
    let project = small();
    let Some(run) = on_terminal(&project, &RUN.join(" ")) else {
        eprintln!("skipped: there is no `script` to make a terminal");
        return;
    };
    assert!(run.contains("published to"), "{run:?}");
    for arguments in [
        "check pipelines/p.yaml",
        "show pipelines/p.yaml facts.customers",
        "plan pipelines/p.yaml --as-of 2024-06-30",
        "runs pipelines/p.yaml",
        "gc pipelines/p.yaml",
        "check pipelines/q.yaml",
    ] {
        let said = on_terminal(&project, arguments).expect("a terminal");
        assert!(!said.contains("0/0"), "{arguments}: {said:?}");
    }
    let again = on_terminal(&project, &RUN.join(" ")).expect("a terminal");
    assert!(!again.contains("0/0"), "{again:?}");
}

#[test]
fn what_is_done_is_done_though_nobody_can_be_told() {
    let project = small();
    let full = |arguments: &[&str]| {
        let sink = std::fs::OpenOptions::new().write(true).open("/dev/full");
        let Ok(sink) = sink else { return None };
        let mut command = project.command(arguments);
        let output = command.stdout(sink).stderr(Stdio::piped()).output().expect("it starts");
        Some((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
    };
    let Some((code, said)) = full(&RUN) else {
        eprintln!("skipped: there is no /dev/full");
        return;
    };
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("warning: standard output could not be written"), "{said}");
    assert_eq!(project.rows("metrics.spenders", &["customer_id"]).len(), 2);
    for arguments in [
        &["gc", "pipelines/p.yaml"][..],
        &["unlock", "pipelines/p.yaml", "--force"],
        &["run", "pipelines/p.yaml", "--from", "2024-07-01", "--to", "2024-07-02"],
        &["withdraw", "pipelines/p.yaml", "--as-of", "2024-07-02"],
        &["init", "elsewhere"],
    ] {
        let (code, said) = full(arguments).expect("a full device");
        // Where nothing was to be done, there is only the answer, and it is lost.
        assert!(code == Some(0) || arguments[0] == "unlock", "{arguments:?} {code:?} {said}");
    }
    // Here the text is all there is.
    for arguments in [&["check", "pipelines/p.yaml"][..], &["runs", "pipelines/p.yaml"]] {
        let (code, said) = full(arguments).expect("a full device");
        assert_eq!(code, Some(1), "{arguments:?} {said}");
        assert!(said.contains("cannot write to standard output"), "{said}");
    }
}

#[test]
fn a_reader_that_has_gone_does_not_make_a_run_fail() {
    let project = small();
    let mut command = project.command(&RUN);
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(run.stdout.take());
    let output = run.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("warning: standard output could not be written"), "{said}");
}

#[test]
fn the_value_of_a_variable_is_not_told_with_a_failure() {
    let secret = "hunter2-Zebra9";
    for (value, url) in [
        (format!("missing/{secret}"), "${PLACE}/orders"),
        (format!("s3:/bucket/{secret}"), "${PLACE}"),
        (format!("ftp://host/{secret}"), "${PLACE}/x"),
        (secret.to_owned(), "missing/${PLACE}/orders-*.parquet"),
        (format!("/nowhere/{secret}/"), "${PLACE}orders"),
        (format!("file:///nowhere/{secret}"), "${PLACE}"),
    ] {
        for (from, to) in
            [("url: orders", format!("url: {url}")), ("url: out", format!("url: {url}"))]
        {
            let project = small();
            let yaml = std::fs::read_to_string(project.path("pipelines/p.yaml")).expect("text");
            project.file("pipelines/p.yaml", &yaml.replace(from, &to));
            for arguments in [&["check", "pipelines/p.yaml"][..], &RUN] {
                let mut command = project.command(arguments);
                let output = command.env("PLACE", &value).output().expect("it starts");
                let said = String::from_utf8_lossy(&output.stderr);
                let failed = output.status.code() != Some(0);
                assert!(!failed || !said.contains(secret), "{value} {url} {arguments:?}: {said}");
                assert!(
                    !failed || said.contains("${PLACE}"),
                    "{value} {url} {arguments:?}: {said}"
                );
            }
        }
    }
}

#[test]
fn nothing_is_published_to_the_root_of_a_disk() {
    let climbing = "../".repeat(40);
    for url in ["/", "///", "file:///", "/tmp/..", climbing.as_str()] {
        let project = small();
        let yaml = std::fs::read_to_string(project.path("pipelines/p.yaml")).expect("text");
        project.file("pipelines/p.yaml", &yaml.replace("url: out", &format!("url: {url}")));
        let outcome = project.tenure(&RUN);
        assert_eq!(outcome.code, 2, "{url}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("root of a disk"), "{url}: {}", outcome.stderr);
        assert!(!std::path::Path::new("/_tenure").exists());
    }
}
