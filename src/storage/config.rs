//! How a cloud store is configured: from the environment, then from options.
//!
//! The environment is read as the builders' own `from_env` would, but from the
//! map given, so that what a run uses is known and testable. Options stand in
//! project files, therefore secret ones are refused.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ObjectStore, RetryConfig};

use super::error::{Action, Error};
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

    fn variable_prefix(self) -> &'static str {
        match self {
            Self::S3 => "AWS_",
            Self::Gcs => "GOOGLE_",
            Self::Azure => "AZURE_",
        }
    }

    fn known_options(self) -> &'static str {
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
    let settings = settings(cloud, environment, options);
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
        Error::explain(Action::Read, url.to_owned(), &error, redactor)
            .saying("cannot set up the storage client")
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

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_uppercase();
    // The path of a token file is no secret, what stands in it is.
    let names_file = key.ends_with("_FILE");
    !names_file
        && (SECRET_WORDS.iter().any(|word| key.contains(word))
            || key == "MASTER_KEY"
            || key.ends_with("SERVICE_ACCOUNT_KEY"))
}

/// Environment first, options after: what the project says is closer.
fn settings(cloud: Cloud, environment: &Environment, options: &Options) -> Vec<(String, String)> {
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

fn check_options(cloud: Cloud, url: &str, options: &Options) -> Result<(), Error> {
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

fn retries() -> RetryConfig {
    RetryConfig {
        max_retries: RETRIES_MAX,
        retry_timeout: Duration::from_secs(RETRY_SECONDS_MAX),
        ..RetryConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
