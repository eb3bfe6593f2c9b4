//! What can be wrong with how a cloud store is configured, told before any
//! request is made: the clients find it out late, and in their own words.

use std::str::FromStr;

use object_store::aws::AmazonS3ConfigKey;
use object_store::azure::AzureConfigKey;
use object_store::gcp::GoogleConfigKey;
use url::Url;

use super::config::{Cloud, is_secret};
use super::error::Error;
use super::resolve::{Environment, Options, without_secrets};

/// Variables by which the client finds credentials of S3 that are not the machine's.
const CREDENTIALS: [&str; 4] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// Refuses options nobody knows, and secrets.
///
/// # Errors
/// Misconfigured, naming the first of them.
pub(crate) fn check_options(cloud: Cloud, url: &str, options: &Options) -> Result<(), Error> {
    for key in options.keys() {
        if is_secret(key) || key.to_ascii_lowercase().contains("access_key_id") {
            return Err(Error::misconfigured(
                format!("storage option `{key}` is a secret, and project files hold none"),
                url,
                cloud.credentials_help(),
            ));
        }
        let lower = key.to_ascii_lowercase();
        let known = match cloud {
            Cloud::S3 => AmazonS3ConfigKey::from_str(&lower).is_ok(),
            Cloud::Gcs => GoogleConfigKey::from_str(&lower).is_ok(),
            Cloud::Azure => AzureConfigKey::from_str(&lower).is_ok(),
        };
        if !known {
            return Err(Error::misconfigured(
                format!("unknown storage option `{key}`"),
                url,
                format!("known options: {}", cloud.known_options()),
            ));
        }
    }
    Ok(())
}

/// Profiles are the AWS tools' own; the client reads none. To go on without
/// would be to work as somebody else: as the machine's role, say.
pub(super) fn check_profile(
    cloud: Cloud,
    url: &str,
    environment: &Environment,
) -> Result<(), Error> {
    let given = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let Some(profile) = given("AWS_PROFILE").filter(|_| cloud == Cloud::S3) else { return Ok(()) };
    if CREDENTIALS.iter().any(|name| given(name).is_some()) {
        return Ok(());
    }
    let export = format!("aws configure export-credentials --profile {profile} --format env");
    Err(Error::misconfigured(
        format!("AWS_PROFILE is `{profile}`, and profiles are not read"),
        url,
        format!(
            "pass its credentials: `eval \"$({export})\"`; or unset it to use the machine's role"
        ),
    ))
}

/// Half of a pair of keys is a mistake: the client refuses it in its own words.
pub(super) fn check_keys(cloud: Cloud, url: &str, environment: &Environment) -> Result<(), Error> {
    let given = |name: &str| environment.get(name).is_some_and(|value| !value.is_empty());
    let (id, secret) = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
    let (there, missing) = match (given(id), given(secret)) {
        (true, false) if cloud == Cloud::S3 => (id, secret),
        (false, true) if cloud == Cloud::S3 => (secret, id),
        _ => return Ok(()),
    };
    Err(Error::misconfigured(
        format!("{there} is set, and {missing} is not"),
        url,
        format!("set {missing} too, or unset {there} to use a web identity or the machine's role"),
    ))
}

/// The names of an endpoint in settings: what is named first comes first.
fn endpoint_names(cloud: Cloud) -> &'static [&'static [&'static str]] {
    match cloud {
        Cloud::S3 => &[
            &["aws_endpoint_url_s3"],
            &["aws_endpoint_url", "aws_endpoint", "endpoint_url", "endpoint"],
        ],
        Cloud::Gcs => &[&["google_base_url", "base_url"]],
        Cloud::Azure => &[&["azure_storage_endpoint", "azure_endpoint", "endpoint"]],
    }
}

/// Refuses an endpoint that the client would refuse at its first request, or
/// could not make a request of.
pub(super) fn check_endpoint(
    cloud: Cloud,
    url: &str,
    settings: &[(String, String)],
) -> Result<(), Error> {
    // Of equal names the last counts, as in the builders.
    let last = |names: &[&str]| {
        let mut given = settings.iter().rev().filter(|(key, _)| names.contains(&key.as_str()));
        given.next().map(|(_, value)| value.as_str())
    };
    let is_on = |names: &[&str]| {
        let value = last(names).unwrap_or_default().to_ascii_lowercase();
        ["1", "true", "on", "yes", "y"].contains(&value.as_str())
    };
    // The emulator has an endpoint of its own, without TLS.
    let emulated = cloud == Cloud::Azure && is_on(&["azure_storage_use_emulator", "use_emulator"]);
    let given = endpoint_names(cloud).iter().find_map(|names| last(names));
    let Some(endpoint) = given.filter(|_| !emulated) else { return Ok(()) };
    let scheme = Url::parse(endpoint).ok().filter(Url::has_host);
    let prefix = cloud.variable_prefix();
    match scheme.as_ref().map(Url::scheme) {
        Some("https") => Ok(()),
        // Google's client allows what its emulators need.
        Some("http") if cloud == Cloud::Gcs => Ok(()),
        Some("http") if is_on(&["aws_allow_http", "azure_allow_http", "allow_http"]) => Ok(()),
        Some("http") => Err(Error::misconfigured(
            format!("the endpoint {} has no TLS, which is not allowed", without_secrets(endpoint)),
            url,
            format!(
                "set {prefix}ALLOW_HTTP=true, or `allow_http: \"true\"` under `storage:`, if nobody \
                 can listen on the way; else write https://"
            ),
        )),
        // Not repeated: what is no URL may hold anything.
        _ => Err(Error::misconfigured(
            "the endpoint is not a URL",
            url,
            "write it with its scheme, such as `https://host:9000`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::ObjectStore;

    use super::super::config::{build, settings};
    use super::super::error::Kind;
    use super::super::redact::Redactor;
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn build_with(options: &[(&str, &str)]) -> Result<Arc<dyn ObjectStore>, Error> {
        let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        build(Cloud::S3, "s3://bucket/x", &Environment::new(), &options, &Redactor::default())
    }

    #[test]
    fn options_are_checked_before_use() {
        assert!(build_with(&[("endpoint", "http://127.0.0.1:1"), ("allow_http", "true")]).is_ok());
        let unknown = build_with(&[("endpiont", "x")]).expect_err("unknown").to_string();
        assert!(
            unknown.contains("unknown storage option `endpiont`")
                && unknown.contains("endpoint, region")
        );
        let secret =
            build_with(&[("secret_access_key", "hushhush")]).expect_err("secret").to_string();
        assert!(secret.contains("is a secret") && !secret.contains("hushhush"));
    }

    #[test]
    fn secret_options_are_refused_in_every_cloud() {
        for (cloud, url, key) in [
            (Cloud::S3, "s3://b/x", "aws_session_token"),
            (Cloud::Gcs, "gs://b/x", "google_service_account_key"),
            (Cloud::Azure, "az://b/x", "azure_storage_account_key"),
            (Cloud::Azure, "az://b/x", "azure_storage_sas_token"),
            (Cloud::Azure, "az://b/x", "azure_client_secret"),
        ] {
            let options = Options::from([(key.to_owned(), "hushhush".to_owned())]);
            let built = build(cloud, url, &Environment::new(), &options, &Redactor::default());
            let error = built.expect_err(key).to_string();
            assert!(error.contains("is a secret") && !error.contains("hushhush"), "{error}");
        }
    }

    #[test]
    fn a_profile_is_not_passed_over_in_silence() {
        let with = |more: &[(&str, &str)]| {
            let variables = [&[("AWS_PROFILE", "night")], more].concat();
            let environment = environment(&variables);
            build(Cloud::S3, "s3://b/x", &environment, &Options::new(), &Redactor::default())
        };
        let error = with(&[]).expect_err("a profile").to_string();
        assert!(error.contains("export-credentials --profile night"), "{error}");
        let keys = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "hushhush")];
        assert!(with(&keys).is_ok());
    }

    #[test]
    fn half_a_pair_of_keys_is_told_from_a_failing_network() {
        for (given, missing) in [
            ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
            ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
        ] {
            let environment = environment(&[(given, "hushhush"), (missing, "")]);
            let none = Options::new();
            let built = build(Cloud::S3, "s3://b/x", &environment, &none, &Redactor::default());
            let error = built.expect_err(given);
            assert_eq!(error.kind(), Kind::Misconfigured);
            let text = error.to_string();
            assert!(text.contains(&format!("{given} is set, and {missing} is not")), "{text}");
            assert!(!text.contains("hushhush"), "{text}");
            // Another cloud does not care.
            let account = [("AZURE_STORAGE_ACCOUNT_NAME", "a"), (given, "hushhush")];
            let environment = self::environment(&account);
            let built = build(Cloud::Azure, "az://b/x", &environment, &none, &Redactor::default());
            assert!(built.is_ok(), "{given}");
        }
    }

    #[test]
    fn an_endpoint_has_a_scheme_and_is_allowed() {
        type Given = &'static [(&'static str, &'static str)];
        let cases: [(Given, Option<&str>); 9] = [
            (&[("endpoint", "https://host:9000")], None),
            (&[("endpoint", "http://host"), ("allow_http", "TRUE")], None),
            (&[("endpoint_url", "http://host"), ("aws_allow_http", "1")], None),
            (&[("endpoint", "http://host")], Some("the endpoint http://host has no TLS")),
            (&[("endpoint", "HTTP://k:hushhush@host")], Some("HTTP://host has no TLS")),
            (&[("endpoint", "http://host"), ("allow_http", "no")], Some("AWS_ALLOW_HTTP=true")),
            (&[("endpoint", "127.0.0.1:9000")], Some("the endpoint is not a URL")),
            (&[("endpoint", "localhost:9000")], Some("the endpoint is not a URL")),
            (&[("endpoint", "")], Some("the endpoint is not a URL")),
        ];
        for (options, refusal) in cases {
            match (build_with(options), refusal) {
                (Ok(_), None) => {}
                (Err(error), Some(refusal)) => {
                    let text = error.to_string();
                    assert!(text.contains(refusal), "{options:?}: {text}");
                    assert!(!text.contains("hushhush"), "{text}");
                }
                (built, _) => panic!("{options:?}: {built:?}"),
            }
        }
        // The one for S3 alone comes before the one for all of AWS.
        let both = [("AWS_ENDPOINT_URL", "http://other"), ("AWS_ENDPOINT_URL_S3", "https://host")];
        let settings = settings(Cloud::S3, &environment(&both), &Options::new());
        assert!(check_endpoint(Cloud::S3, "s3://b", &settings).is_ok());
    }
}
