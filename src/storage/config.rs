//! How a cloud store is configured: from the environment, then from options.
//!
//! The environment is read as the builders' own `from_env` would, but from the
//! map given, so that what a run uses is known and testable. Options stand in
//! project files, therefore secret ones are refused.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{ObjectStore, RetryConfig};

use super::copy::Copies;
use super::error::{Action, Error};
use super::mistakes::{check_endpoint, check_keys, check_options, check_profile};
use super::redact::Redactor;
use super::resolve::{Environment, Options};

/// Requests are tried this often before a run fails …
const RETRIES_MAX: usize = 5;
/// … but not for longer: a nightly job should fail while somebody can still act.
const RETRY_SECONDS_MAX: u64 = 90;

/// Variables other than the store's own prefix that its tools read too.
const SECRET_WORDS: [&str; 7] =
    ["SECRET", "TOKEN", "PASSWORD", "SAS", "ACCOUNT_KEY", "ACCESS_KEY", "CUSTOMER_KEY"];

/// The options most users want, for the message about an unknown one.
const S3_OPTIONS: &str =
    "endpoint, region, allow_http, virtual_hosted_style_request, timeout, single_writer, …";
const AZURE_OPTIONS: &str =
    "account_name, endpoint, use_emulator, allow_http, timeout, single_writer, …";
const GCS_OPTIONS: &str = "base_url, timeout, single_writer, …";

/// The clouds this crate can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cloud {
    S3,
    Gcs,
    Azure,
}

impl Cloud {
    pub(crate) fn example(self) -> &'static str {
        match self {
            Self::S3 => "write `s3://bucket/folder`",
            Self::Gcs => "write `gs://bucket/folder`",
            Self::Azure => {
                "write `az://container/folder` or `abfss://container@account.dfs.core.windows.net/folder`"
            }
        }
    }

    pub(crate) fn credentials_help(self) -> &'static str {
        match self {
            Self::S3 => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or use an instance role"
            }
            Self::Gcs => {
                "set GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT, or use the machine's account"
            }
            Self::Azure => {
                "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN or a client secret"
            }
        }
    }

    /// What a copy made by the store can do, as its client asks for it.
    pub(super) fn copies(self) -> Copies {
        match self {
            Self::Gcs => Copies::OntoNothing,
            Self::S3 | Self::Azure => Copies::Replace,
        }
    }

    pub(super) fn variable_prefix(self) -> &'static str {
        match self {
            Self::S3 => "AWS_",
            Self::Gcs => "GOOGLE_",
            Self::Azure => "AZURE_",
        }
    }

    pub(super) fn known_options(self) -> &'static str {
        match self {
            Self::S3 => S3_OPTIONS,
            Self::Gcs => GCS_OPTIONS,
            Self::Azure => AZURE_OPTIONS,
        }
    }
}

/// Builds the store of `url`.
///
/// # Errors
/// Misconfigured: an unknown, secret or ill-typed option or variable.
pub(crate) fn build(
    cloud: Cloud,
    url: &str,
    environment: &Environment,
    options: &Options,
    redactor: &Redactor,
) -> Result<Arc<dyn ObjectStore>, Error> {
    check_options(cloud, url, options)?;
    check_profile(cloud, url, environment)?;
    check_keys(cloud, url, environment)?;
    let settings = settings(cloud, environment, options);
    check_endpoint(cloud, url, &settings)?;
    let store: Result<Arc<dyn ObjectStore>, _> = match cloud {
        Cloud::S3 => fold(AmazonS3Builder::new(), settings, AmazonS3Builder::with_config)
            .with_url(url)
            .with_retry(retries())
            .build()
            .map(|store| Arc::new(store) as _),
        Cloud::Gcs => {
            fold(GoogleCloudStorageBuilder::new(), settings, GoogleCloudStorageBuilder::with_config)
                .with_url(url)
                .with_retry(retries())
                .build()
                .map(|store| Arc::new(store) as _)
        }
        Cloud::Azure => {
            fold(MicrosoftAzureBuilder::new(), settings, MicrosoftAzureBuilder::with_config)
                .with_url(url)
                .with_retry(retries())
                .build()
                .map(|store| Arc::new(store) as _)
        }
    };
    store.map_err(|error| {
        let (prefix, credentials) = (cloud.variable_prefix(), cloud.credentials_help());
        Error::explain(Action::Read, url.to_owned(), &error, redactor)
            .saying("cannot set up the storage client")
            .of_settings()
            .advising(format!(
                "check {prefix}… in the environment and the options under `storage:`; for \
                 credentials, {credentials}"
            ))
    })
}

/// Refuses any option: a disk and memory have none.
///
/// # Errors
/// Misconfigured, naming the first option.
pub(crate) fn refuse_all(options: &Options, place: &str) -> Result<(), Error> {
    match options.keys().next() {
        None => Ok(()),
        Some(key) => Err(Error::misconfigured(
            format!("storage option `{key}` means nothing here"),
            place,
            "remove it: a folder has no options",
        )),
    }
}

/// The values in `environment` that must never be shown.
pub(crate) fn secrets(environment: &Environment) -> impl Iterator<Item = String> + '_ {
    environment
        .iter()
        .filter(|(key, _)| is_secret(key) || key.as_str() == "AWS_ACCESS_KEY_ID")
        .map(|(_, value)| value.clone())
}

pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_uppercase();
    // The path of a token file is no secret, what stands in it is.
    let names_file = key.ends_with("_FILE");
    !names_file
        && (SECRET_WORDS.iter().any(|word| key.contains(word))
            || key == "MASTER_KEY"
            || key.ends_with("SERVICE_ACCOUNT_KEY"))
}

/// Environment first, options after: what the project says is closer.
pub(super) fn settings(
    cloud: Cloud,
    environment: &Environment,
    options: &Options,
) -> Vec<(String, String)> {
    let from_environment = environment
        .iter()
        .filter(|(key, _)| key.starts_with(cloud.variable_prefix()))
        .map(|(key, value)| (key.to_ascii_lowercase(), value.clone()));
    let service_account = environment
        .get("SERVICE_ACCOUNT")
        .filter(|_| cloud == Cloud::Gcs)
        .map(|path| ("google_service_account".to_owned(), path.clone()));
    let identity = environment
        .get("IDENTITY_ENDPOINT")
        .filter(|_| cloud == Cloud::Azure)
        .map(|endpoint| ("azure_msi_endpoint".to_owned(), endpoint.clone()));
    let from_options = options.iter().map(|(key, value)| (key.to_ascii_lowercase(), value.clone()));
    service_account
        .into_iter()
        .chain(identity)
        .chain(from_environment)
        .chain(from_options)
        .collect()
}

fn fold<B, K: FromStr>(
    builder: B,
    settings: Vec<(String, String)>,
    with_config: impl Fn(B, K, String) -> B,
) -> B {
    // Variables of other tools share the prefix (AWS_PAGER): not ours, no error.
    settings.into_iter().fold(builder, |builder, (key, value)| match K::from_str(&key) {
        Ok(key) => with_config(builder, key, value),
        Err(_) => builder,
    })
}

fn retries() -> RetryConfig {
    RetryConfig {
        max_retries: RETRIES_MAX,
        retry_timeout: Duration::from_secs(RETRY_SECONDS_MAX),
        ..RetryConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::Kind;
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    /// What a builder has taken from these variables under a name.
    fn taken(cloud: Cloud, variables: &[(&str, &str)], name: &str) -> Option<String> {
        let settings = settings(cloud, &environment(variables), &Options::new());
        match cloud {
            Cloud::S3 => fold(AmazonS3Builder::new(), settings, AmazonS3Builder::with_config)
                .get_config_value(&name.parse().expect("a key")),
            Cloud::Gcs => fold(
                GoogleCloudStorageBuilder::new(),
                settings,
                GoogleCloudStorageBuilder::with_config,
            )
            .get_config_value(&name.parse().expect("a key")),
            Cloud::Azure => {
                fold(MicrosoftAzureBuilder::new(), settings, MicrosoftAzureBuilder::with_config)
                    .get_config_value(&name.parse().expect("a key"))
            }
        }
    }

    #[test]
    fn the_environment_is_read_as_the_clouds_own_tools_do() {
        let cases = [
            (Cloud::S3, "AWS_DEFAULT_REGION", "aws_region"),
            (Cloud::S3, "AWS_SESSION_TOKEN", "aws_session_token"),
            (Cloud::S3, "AWS_ENDPOINT_URL", "aws_endpoint"),
            (Cloud::S3, "AWS_WEB_IDENTITY_TOKEN_FILE", "aws_web_identity_token_file"),
            (Cloud::S3, "AWS_ROLE_ARN", "aws_role_arn"),
            (
                Cloud::S3,
                "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                "aws_container_credentials_relative_uri",
            ),
            (Cloud::Gcs, "GOOGLE_APPLICATION_CREDENTIALS", "google_application_credentials"),
            (Cloud::Gcs, "GOOGLE_SERVICE_ACCOUNT", "google_service_account"),
            (Cloud::Gcs, "SERVICE_ACCOUNT", "google_service_account"),
            (Cloud::Azure, "AZURE_STORAGE_ACCOUNT_NAME", "azure_storage_account_name"),
            (Cloud::Azure, "AZURE_STORAGE_SAS_TOKEN", "azure_storage_sas_token"),
            (Cloud::Azure, "AZURE_CLIENT_ID", "azure_client_id"),
            (Cloud::Azure, "AZURE_FEDERATED_TOKEN_FILE", "azure_federated_token_file"),
            (Cloud::Azure, "IDENTITY_ENDPOINT", "azure_msi_endpoint"),
        ];
        for (cloud, variable, name) in cases {
            let found = taken(cloud, &[(variable, "given")], name);
            assert_eq!(found.as_deref(), Some("given"), "{variable}");
        }
    }

    #[test]
    fn the_machines_own_role_needs_no_variable() {
        for (cloud, url) in [(Cloud::S3, "s3://lake/x"), (Cloud::Gcs, "gs://lake/x")] {
            let none = (Environment::new(), Options::new());
            let store = build(cloud, url, &none.0, &none.1, &Redactor::default());
            assert!(store.expect(url).to_string().contains("lake"), "{url}");
        }
    }

    /// A service account as Google hands it out, without a request.
    #[test]
    fn a_service_account_of_google_is_read_and_never_shown() {
        let account = r#"{"disable_oauth": true, "client_email": "", "private_key": "hushhush",
            "private_key_id": "1", "gcs_base_url": "http://127.0.0.1:1"}"#;
        let environment = environment(&[("GOOGLE_SERVICE_ACCOUNT_KEY", account)]);
        let redactor = Redactor::new(secrets(&environment));
        let store = build(Cloud::Gcs, "gs://lake/x", &environment, &Options::new(), &redactor);
        assert!(!format!("{}", store.expect("a store")).contains("hushhush"));
        let broken = self::environment(&[("GOOGLE_SERVICE_ACCOUNT_KEY", "hushhush, not JSON")]);
        let redactor = Redactor::new(secrets(&broken));
        let error = build(Cloud::Gcs, "gs://lake/x", &broken, &Options::new(), &redactor);
        assert!(!error.expect_err("broken").to_string().contains("hushhush"));
    }

    #[test]
    fn what_a_client_refuses_to_be_set_up_with_is_no_failing_network() {
        let none = (Environment::new(), Options::new());
        let built = build(Cloud::Azure, "az://b/x", &none.0, &none.1, &Redactor::default());
        let error = built.expect_err("no account");
        assert_eq!(error.kind(), Kind::Misconfigured);
        let text = error.to_string();
        assert!(text.contains("AZURE_STORAGE_ACCOUNT_NAME") && !text.contains("network"), "{text}");
    }

    #[test]
    fn secrets_are_known_by_their_variables() {
        for key in [
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AZURE_STORAGE_SAS_TOKEN",
            "AZURE_STORAGE_ACCOUNT_KEY",
            "GOOGLE_SERVICE_ACCOUNT_KEY",
        ] {
            assert!(is_secret(key), "{key}");
        }
        for key in ["AWS_REGION", "AWS_WEB_IDENTITY_TOKEN_FILE", "AZURE_STORAGE_ACCOUNT_NAME"] {
            assert!(!is_secret(key), "{key}");
        }
    }
}
