//! What a store or a disk refuses: the message, the next move and the exit
//! code. What stores only say far from here is said by a proxy in their words.

use std::process::Command;

use insta::internals::SettingsBindDropGuard;
use insta::{Settings, assert_snapshot};

use super::proxy::{Proxy, Refusal, Strike};
use super::server::{self, Server};
use super::{FIRST, Place, SECOND};
use crate::project::Project;

/// Runs a pipeline that publishes to a bucket; no secret may be said.
fn run_at(port: u16, changed: &[(&str, &str)]) -> String {
    let project = project("s3://warehouse/shop", "");
    let mut command = project.command(&["run", "pipelines/p.yaml", "--as-of", SECOND]);
    command.env("AWS_ENDPOINT", format!("http://127.0.0.1:{port}")).env("AWS_ALLOW_HTTP", "true");
    command.env("AWS_REGION", "us-east-1").env("AWS_ACCESS_KEY_ID", "testkey");
    command.env("AWS_SECRET_ACCESS_KEY", "testsecret").env("AWS_SESSION_TOKEN", "testtoken");
    command.envs(changed.iter().copied());
    said(&project, &mut command)
}

fn project(target: &str, more: &str) -> Project {
    let project = Project::new();
    project.orders("orders/1.parquet", ORDERS);
    let text = format!(
        "pipeline: p\nsources:\n  orders:\n    url: orders\ntables: [facts.customers]\n{more}\
         publish:\n  url: {target}\n"
    );
    project.file("pipelines/p.yaml", &text);
    project
}

fn said(project: &Project, command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    for secret in ["testkey", "testsecret", "testtoken", "wrongkey", "wrongsecret"] {
        assert!(!text.contains(secret), "a secret is said: {text}");
    }
    let folder = project.path("").display().to_string();
    let text = text.replace(folder.trim_end_matches('/'), "[TMP]");
    format!("{text}exit {}", output.status.code().unwrap_or(-1))
}

/// Ids, ports and durations differ from run to run.
fn filters() -> SettingsBindDropGuard {
    let mut settings = Settings::clone_current();
    settings.add_filter(r"\d{8}T\d{9}Z-[0-9a-f]{8}", "[RUN]");
    settings.add_filter(r"[0-9a-f]{32}", "[ID]");
    settings.add_filter(r"127\.0\.0\.1:\d+", "[HOST]");
    settings.add_filter(r"in [\d.]+(µs|ms|s)", "in [TIME]");
    settings.bind_to_scope()
}

/// A run that is refused everything.
fn refused(refusal: &'static Refusal) -> String {
    let proxy = Proxy::start(0, Strike::Refuse(refusal));
    run_at(proxy.port, &[])
}

#[test]
fn a_clock_that_is_off_is_named() {
    let _filters = filters();
    assert_snapshot!(refused(&Refusal {
        status: 403,
        code: "RequestTimeTooSkewed",
        message: "The difference between the request time and the current time is too large.",
    }), @"");
}

#[test]
fn expired_credentials_are_told_from_wrong_ones() {
    let _filters = filters();
    assert_snapshot!(refused(&Refusal {
        status: 400,
        code: "ExpiredToken",
        message: "The provided token has expired.",
    }), @"");
}

#[test]
fn a_bucket_of_another_region_is_told() {
    let _filters = filters();
    assert_snapshot!(refused(&Refusal {
        status: 400,
        code: "AuthorizationHeaderMalformed",
        message: "The authorization header is malformed; the region 'us-east-1' is wrong; \
            expecting 'eu-central-1'",
    }), @"");
}

#[test]
fn a_redirect_to_another_region_is_told() {
    let _filters = filters();
    assert_snapshot!(refused(&Refusal {
        status: 301,
        code: "PermanentRedirect",
        message: "The bucket must be addressed using another endpoint.",
    }), @"");
}

#[test]
fn a_right_that_lacks_is_named() {
    let _filters = filters();
    assert_snapshot!(refused(&Refusal {
        status: 403,
        code: "AccessDenied",
        message: "Access Denied",
    }), @"");
}

/// Without credentials the machine's own account is asked for, which few have.
#[test]
fn no_credentials_at_all_are_told() {
    let _filters = filters();
    let proxy = Proxy::start(
        0,
        Strike::Refuse(&Refusal { status: 404, code: "NotFound", message: "nothing here" }),
    );
    let project = project("s3://warehouse/shop", "");
    let mut command = project.command(&["run", "pipelines/p.yaml", "--as-of", SECOND]);
    command.env("AWS_METADATA_ENDPOINT", format!("http://127.0.0.1:{}", proxy.port));
    command.env("AWS_ALLOW_HTTP", "true").env("AWS_REGION", "us-east-1");
    assert_snapshot!(said(&project, &mut command), @"");
}

#[test]
fn wrong_credentials_are_told_by_a_real_store() {
    let _filters = filters();
    let Some(server) = server::seaweedfs() else { return };
    let place = super::ready(server);
    let port = place.server.as_ref().map_or(0, |server: &Server| server.port);
    let wrong_secret = run_at(port, &[("AWS_SECRET_ACCESS_KEY", "wrongsecret")]);
    assert_snapshot!(wrong_secret, @"");
    let wrong_key = run_at(port, &[("AWS_ACCESS_KEY_ID", "wrongkey")]);
    assert_snapshot!(wrong_key, @"");
}

#[test]
fn a_missing_bucket_is_told_by_a_real_store() {
    let _filters = filters();
    let Some(server) = server::moto() else { return };
    let project = project("s3://nowhere/shop", "");
    let mut command = project.command(&["run", "pipelines/p.yaml", "--as-of", SECOND]);
    command.envs(server.environment.iter().cloned());
    assert_snapshot!(said(&project, &mut command), @"");
}

/// A small file system of its own around a command, in `full/`; None where
/// this system does not let us make one.
fn in_small_file_system(project: &Project, size: &str, script: &str) -> Option<Command> {
    std::fs::create_dir_all(project.path("full")).expect("a folder");
    let mount = format!("mount -t tmpfs -o size={size} none full && ");
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", script]).current_dir(project.path(""));
        command.env("NO_COLOR", "1").env("TENURE", env!("CARGO_BIN_EXE_tenure"));
        command
    };
    let made = unshare(&format!("{mount} true")).output();
    if !made.is_ok_and(|made| made.status.success()) {
        eprintln!("skipped: no file system can be mounted here");
        return None;
    }
    Some(unshare(&format!("{mount} {script}")))
}

#[test]
fn a_full_disk_is_told_and_leaves_what_was_published() {
    let _filters = filters();
    let place = Place::new(None);
    let pipeline = std::fs::read_to_string(place.project.path("pipelines/p.yaml")).expect("a file");
    place.project.file("pipelines/p.yaml", &pipeline.replace("WAREHOUSE_URL:-out", "X:-full"));
    let run = "\"$TENURE\" run pipelines/p.yaml --as-of";
    let script = format!(
        "{run} {FIRST} 2>&- && head -c 100M /dev/zero > full/filler 2>&-; {run} {SECOND} 2>said; \
         code=$?; rm full/filler; grep -v '^ *[a-z]*\\.[a-z_]* ' said >&2; \
         \"$TENURE\" show pipelines/p.yaml rfm_segments --as-of {FIRST} > /dev/null || exit 99; \
         {run} {SECOND} 2>&- || exit 98; exit $code"
    );
    let Some(mut command) = in_small_file_system(&place.project, "8m", &script) else { return };
    assert_snapshot!(said(&place.project, &mut command), @"");
}

#[test]
fn a_full_scratch_folder_is_told() {
    let _filters = filters();
    let place = Place::new(None);
    let pipeline = std::fs::read_to_string(place.project.path("pipelines/p.yaml")).expect("a file");
    place.project.file("pipelines/p.yaml", &format!("{pipeline}engine:\n  scratch: full\n"));
    let script = format!("\"$TENURE\" run pipelines/p.yaml --as-of {FIRST}");
    let Some(mut command) = in_small_file_system(&place.project, "64k", &script) else { return };
    assert_snapshot!(said(&place.project, &mut command), @"");
}

/// Also root may not write everywhere: not on a file system that is read-only.
#[test]
fn a_target_that_may_not_be_written_is_told() {
    let _filters = filters();
    let project = project("full/warehouse", "");
    let script = format!(
        "mount -o remount,ro none full && \"$TENURE\" run pipelines/p.yaml --as-of {FIRST}"
    );
    let Some(mut command) = in_small_file_system(&project, "1m", &script) else { return };
    assert_snapshot!(said(&project, &mut command), @"");
}

const ORDERS: &str = "
    order_id,customer_id,ordered_at,amount
    1,1,2025-01-03T10:00:00,10.00
    2,2,2025-02-03T10:00:00,12.50
";
