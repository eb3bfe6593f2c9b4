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
    command.env("AWS_SECRET_ACCESS_KEY", "testsecret").env_remove("AWS_SESSION_TOKEN");
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
    // What comes before it is progress, with its times.
    let error = text.find("error:").map_or("", |at| &text[at..]);
    let error = error.replace(folder.trim_end_matches('/'), "[TMP]");
    format!("{error}exit {}", output.status.code().unwrap_or(-1))
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
    run_at(proxy.port, &[("AWS_SESSION_TOKEN", "testtoken")])
}

#[test]
fn a_clock_that_is_off_is_named() {
    let _filters = filters();
    assert_snapshot!(refused(&Refusal {
        status: 403,
        code: "RequestTimeTooSkewed",
        message: "The difference between the request time and the current time is too large.",
    }), @r#"
    error: cannot write: the clock of this machine is wrong
    --> s3://warehouse/shop/_tenure/probe/[ID]
     = cause: The operation lacked the necessary privileges to complete for path shop/_tenure/probe/[ID]: Error performing PUT http://[HOST]/warehouse/shop/_tenure/probe/[ID] in [TIME] - Server returned non-2xx status code: 403 Forbidden: <?xml version="1.0" encoding="UTF-8"?> <Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the current time is too large.</Message></Error>
     = help: set it, by NTP for example; stores refuse requests that are more than 15 minutes off
    exit 1
    "#);
}

#[test]
fn expired_credentials_are_told_from_wrong_ones() {
    let _filters = filters();
    assert_snapshot!(refused(&Refusal {
        status: 400,
        code: "ExpiredToken",
        message: "The provided token has expired.",
    }), @r#"
    error: cannot write: the credentials have expired
    --> s3://warehouse/shop/_tenure/probe/[ID]
     = cause: Generic S3 error: Error performing PUT http://[HOST]/warehouse/shop/_tenure/probe/[ID] in [TIME] - Server returned non-2xx status code: 400 Bad Request: <?xml version="1.0" encoding="UTF-8"?> <Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>
     = help: log in again, or renew the token in the environment (AWS_SESSION_TOKEN, AZURE_STORAGE_SAS_TOKEN, …)
    exit 1
    "#);
}

#[test]
fn a_bucket_name_that_cannot_be_is_for_the_pipeline_to_correct() {
    let _filters = filters();
    assert_snapshot!(refused(&Refusal {
        status: 400,
        code: "InvalidBucketName",
        message: "The specified bucket is not valid.",
    }), @r#"
    error: cannot write: the store takes no bucket of such a name
    --> s3://warehouse/shop/_tenure/probe/[ID]
     = cause: Generic S3 error: Error performing PUT http://[HOST]/warehouse/shop/_tenure/probe/[ID] in [TIME] - Server returned non-2xx status code: 400 Bad Request: <?xml version="1.0" encoding="UTF-8"?> <Error><Code>InvalidBucketName</Code><Message>The specified bucket is not valid.</Message></Error>
     = help: correct the URL: names of buckets have 3 to 63 lower-case letters, digits, dots and hyphens
    exit 2
    "#);
}

#[test]
fn a_bucket_of_another_region_is_told() {
    let _filters = filters();
    assert_snapshot!(refused(&Refusal {
        status: 400,
        code: "AuthorizationHeaderMalformed",
        message: "The authorization header is malformed; the region 'us-east-1' is wrong; \
            expecting 'eu-central-1'",
    }), @r#"
    error: cannot write: the bucket is in another region
    --> s3://warehouse/shop/_tenure/probe/[ID]
     = cause: Generic S3 error: Error performing PUT http://[HOST]/warehouse/shop/_tenure/probe/[ID] in [TIME] - Server returned non-2xx status code: 400 Bad Request: <?xml version="1.0" encoding="UTF-8"?> <Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-central-1'</Message></Error>
     = help: set AWS_REGION, or `region` under `storage:`, to the region of the bucket
    exit 1
    "#);
}

#[test]
fn a_redirect_to_another_region_is_told() {
    let _filters = filters();
    assert_snapshot!(refused(&Refusal {
        status: 301,
        code: "PermanentRedirect",
        message: "The bucket must be addressed using another endpoint.",
    }), @r#"
    error: cannot write: the bucket is in another region
    --> s3://warehouse/shop/_tenure/probe/[ID]
     = cause: Generic S3 error: Error performing PUT http://[HOST]/warehouse/shop/_tenure/probe/[ID] in [TIME] - Received redirect without LOCATION, this normally indicates an incorrectly configured region
     = help: set AWS_REGION, or `region` under `storage:`, to the region of the bucket
    exit 1
    "#);
}

#[test]
fn a_right_that_lacks_is_named() {
    let _filters = filters();
    assert_snapshot!(refused(&Refusal {
        status: 403,
        code: "AccessDenied",
        message: "Access Denied",
    }), @r#"
    error: cannot write: permission denied
    --> s3://warehouse/shop/_tenure/probe/[ID]
     = cause: The operation lacked the necessary privileges to complete for path shop/_tenure/probe/[ID]: Error performing PUT http://[HOST]/warehouse/shop/_tenure/probe/[ID] in [TIME] - Server returned non-2xx status code: 403 Forbidden: <?xml version="1.0" encoding="UTF-8"?> <Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>
     = help: the credentials in use need to list, get, put and delete on this prefix
    exit 1
    "#);
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
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    command.env("AWS_METADATA_ENDPOINT", format!("http://127.0.0.1:{}", proxy.port));
    command.env("AWS_ALLOW_HTTP", "true").env("AWS_REGION", "us-east-1");
    assert_snapshot!(said(&project, &mut command), @r#"
    error: cannot write: no credentials were found
    --> s3://warehouse/shop/_tenure/probe/[ID]
     = cause: Generic S3 error: Error performing PUT http://[HOST]/latest/api/token in [TIME] - Server returned non-2xx status code: 404 Not Found: <?xml version="1.0" encoding="UTF-8"?> <Error><Code>NotFound</Code><Message>nothing here</Message></Error>
     = help: set them in the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AZURE_…, GOOGLE_…); this machine has no account of its own to use instead
    exit 2
    "#);
}

#[test]
fn half_a_pair_of_keys_is_told() {
    let project = project("s3://warehouse/shop", "");
    let mut command = project.command(&["run", "pipelines/p.yaml", "--as-of", SECOND]);
    command.env("AWS_ACCESS_KEY_ID", "testkey").env_remove("AWS_SECRET_ACCESS_KEY");
    assert_snapshot!(said(&project, &mut command), @"
    error: AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not
    --> s3://warehouse/shop
     = help: set AWS_SECRET_ACCESS_KEY too, or unset AWS_ACCESS_KEY_ID to use a web identity or the machine's role
    exit 2
    ");
}

#[test]
fn an_endpoint_without_tls_has_to_be_allowed() {
    let _filters = filters();
    assert_snapshot!(run_at(1, &[("AWS_ALLOW_HTTP", "false")]), @r#"
    error: the endpoint http://[HOST] has no TLS, which is not allowed
    --> s3://warehouse/shop
     = help: set AWS_ALLOW_HTTP=true, or `allow_http: "true"` under `storage:`, if nobody can listen on the way; else write https://
    exit 2
    "#);
}

#[test]
fn an_endpoint_is_a_url() {
    assert_snapshot!(run_at(1, &[("AWS_ENDPOINT", "127.0.0.1:9000")]), @"
    error: the endpoint is not a URL
    --> s3://warehouse/shop
     = help: write it with its scheme, such as `https://host:9000`
    exit 2
    ");
}

/// A token for Azure stands in every URL, and in what the client says of it.
#[test]
fn a_token_in_the_url_is_never_said() {
    let _filters = filters();
    let proxy = Proxy::start(
        0,
        Strike::Refuse(&Refusal {
            status: 403,
            code: "AuthenticationFailed",
            message: "Signature not valid in the specified time frame",
        }),
    );
    let project = project("az://warehouse/shop", "");
    let mut command = project.command(&["run", "pipelines/p.yaml", "--as-of", SECOND]);
    command.env("AZURE_STORAGE_USE_EMULATOR", "true");
    command.env("AZURITE_BLOB_STORAGE_URL", format!("http://127.0.0.1:{}", proxy.port));
    command.env("AZURE_STORAGE_SAS_TOKEN", "sv=2024-01-01&sp=rwdl&sig=testsecret%3D");
    assert_snapshot!(said(&project, &mut command), @r#"
    error: cannot write: the credentials have expired
    --> az://warehouse/shop/_tenure/probe/[ID]
     = cause: The operation lacked the necessary privileges to complete for path shop/_tenure/probe/[ID]: Error performing PUT REDACTED in [TIME] - Server returned non-2xx status code: 403 Forbidden: <?xml version="1.0" encoding="UTF-8"?> <Error><Code>AuthenticationFailed</Code><Message>Signature not valid in the specified time frame</Message></Error>
     = help: log in again, or renew the token in the environment (AWS_SESSION_TOKEN, AZURE_STORAGE_SAS_TOKEN, …)
    exit 1
    "#);
    let debug = said(&project, command.env("TENURE_LOG", "debug"));
    assert!(debug.contains("trying again"), "{debug}");
}

#[test]
fn wrong_credentials_are_told_by_a_real_store() {
    let _filters = filters();
    let Some(server) = server::seaweedfs() else { return };
    let place = super::ready(server);
    let port = place.server.as_ref().map_or(0, |server: &Server| server.port);
    let wrong_secret = run_at(port, &[("AWS_SECRET_ACCESS_KEY", "wrongsecret")]);
    assert!(wrong_secret.contains("<Code>SignatureDoesNotMatch</Code>"), "{wrong_secret}");
    let wrong_key = run_at(port, &[("AWS_ACCESS_KEY_ID", "wrongkey")]);
    assert!(wrong_key.contains("<Code>InvalidAccessKeyId</Code>"), "{wrong_key}");
    assert_snapshot!(without_cause(&wrong_secret), @r"
    error: cannot write: the credentials are not accepted
    --> s3://warehouse/shop/_tenure/probe/[ID]
     = help: check the credentials in the environment (AWS_…, AZURE_…, GOOGLE_…): are they whole, and for this store?
    exit 1
    ");
    assert_eq!(
        without_cause(&wrong_key).lines().next(),
        without_cause(&wrong_secret).lines().next()
    );
}

#[test]
fn a_missing_bucket_is_told_by_a_real_store() {
    let _filters = filters();
    let Some(server) = server::moto() else { return };
    let project = project("s3://nowhere/shop", "");
    let mut command = project.command(&["run", "pipelines/p.yaml", "--as-of", SECOND]);
    command.envs(server.environment.iter().cloned());
    assert_snapshot!(without_cause(&said(&project, &mut command)), @r"
    error: cannot write: the bucket or container does not exist
    --> s3://nowhere/shop/_tenure/probe/[ID]
     = help: check the name, the region and the endpoint; buckets are never created here
    exit 1
    ");
}

/// Real stores number their answers.
fn without_cause(said: &str) -> String {
    let lines = said.lines().filter(|line| !line.trim_start().starts_with("= cause"));
    lines.collect::<Vec<_>>().join("\n")
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

/// A history too large for a small disk, and a pipeline that publishes there.
fn large(target: &str, more: &str) -> Place {
    let place = Place::new(None);
    let path = place.project.path("pipelines/p.yaml");
    let pipeline = std::fs::read_to_string(path).expect("a file");
    let pipeline = pipeline.replace("${WAREHOUSE_URL:-out}", target);
    place.project.file("pipelines/p.yaml", &format!("{pipeline}{more}"));
    place
}

#[test]
fn a_disk_that_fills_up_is_told() {
    let _filters = filters();
    let place = large("full", "");
    let script = format!("\"$TENURE\" run pipelines/p.yaml --as-of {FIRST}");
    let Some(mut command) = in_small_file_system(&place.project, "300k", &script) else { return };
    assert_snapshot!(said(&place.project, &mut command), @r"
    error: cannot write: no space left
    --> [TMP]/full/_tenure/sets/[RUN]/facts.orders/as_of=2025-12-30/part-00000.parquet
     = cause: Generic LocalDisk error: No space left on device (os error 28)
     = help: free space on this disk, or publish somewhere else; what was published before is whole
    exit 1
    ");
}

#[test]
fn room_that_is_short_is_for_what_is_published() {
    let place = large("full", "");
    let run = "\"$TENURE\" run pipelines/p.yaml --as-of";
    let script =
        format!("{run} {FIRST} ; code=$?; find full/_tenure -path '*cache*' -type f; exit $code");
    let Some(mut command) = in_small_file_system(&place.project, "700k", &script) else { return };
    let output = command.output().expect("it starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let left = String::from_utf8_lossy(&output.stdout);
    assert!(!left.contains("full/_tenure/cache"), "{left}");
    let warning =
        "warning: the pieces of the order history could not be kept: cannot write: no space";
    assert!(told.contains(warning), "{told}");
}

/// What was published before is still read, and with room again a run works.
#[test]
fn a_disk_without_any_room_leaves_what_was_published() {
    let _filters = filters();
    let place = large("full", "");
    let run = "\"$TENURE\" run pipelines/p.yaml --as-of";
    let script = format!(
        "{run} {FIRST} 2>/dev/null || exit 97; head -c 100M /dev/zero > full/filler 2>/dev/null; \
         {run} {SECOND}; code=$?; rm full/filler; \
         \"$TENURE\" show pipelines/p.yaml rfm_segments --as-of {FIRST} > /dev/null || exit 98; \
         {run} {SECOND} 2>/dev/null || exit 99; exit $code"
    );
    let Some(mut command) = in_small_file_system(&place.project, "8m", &script) else { return };
    assert_snapshot!(said(&place.project, &mut command), @r"
    error: cannot write: no space left
    --> [TMP]/full/_tenure/lease.json
     = cause: Generic LocalDisk error: No space left on device (os error 28)
     = help: free space on this disk, or publish somewhere else; what was published before is whole
    exit 1
    ");
}

#[test]
fn a_full_scratch_folder_is_told() {
    let _filters = filters();
    let place = large("out", "engine:\n  scratch: full\n");
    let script = format!("\"$TENURE\" run pipelines/p.yaml --as-of {FIRST}");
    let Some(mut command) = in_small_file_system(&place.project, "64k", &script) else { return };
    assert_snapshot!(said(&place.project, &mut command), @r"
    error: cannot read source `orders`: the scratch folder is full
     |
     = cause: No space left on device (os error 28)
     = help: free space there, or name a folder with more (`engine.scratch`): a run keeps some 250 bytes an order
    exit 1
    ");
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
    assert_snapshot!(said(&project, &mut command), @r"
    error: cannot write: permission denied
    --> [TMP]/full/warehouse/_tenure/holder
     = cause: Generic LocalDisk error: Read-only file system (os error 30)
     = help: check owner and permissions of this path: the user running this needs to read and write it
    exit 1
    ");
}

const ORDERS: &str = "
    order_id,customer_id,ordered_at,amount
    1,1,2025-01-03T10:00:00,10.00
    2,2,2025-02-03T10:00:00,12.50
";
