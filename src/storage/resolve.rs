//! From what a user wrote to a [`Location`]: schemes, relative paths, mistakes.
//!
//! Only here is it decided which store a URL means. How a store is configured
//! stands in `config`; nothing in this file touches the network.

use std::collections::BTreeMap;
use std::path::{Component, Path as FsPath, PathBuf};
use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::path::Path;
use url::Url;

use super::config::{self, Cloud};
use super::error::Error;
use super::local::LocalDisk;
use super::location::{Disk, Location, Writers};
use super::mistakes;
use super::redact::Redactor;

/// The variables a store may read. Passed in, so that tests need no process
/// environment and nothing is read behind the caller's back.
pub type Environment = BTreeMap<String, String>;

/// The `storage:` block of a pipeline: endpoint, region and the like, never secrets.
pub type Options = BTreeMap<String, String>;

/// Option of this crate: accept a store that ignores conditional writes.
const SINGLE_WRITER: &str = "single_writer";

/// Opens `url`, which may be a plain path relative to `base_dir`.
///
/// No request is made: a wrong bucket or credential shows at first use.
///
/// # Errors
/// [`super::Kind::Misconfigured`] for an unknown scheme, a URL that carries
/// credentials, an unknown or secret option, or incomplete credentials.
pub fn open(
    url: &str,
    base_dir: &FsPath,
    environment: &Environment,
    options: &Options,
) -> Result<Location, Error> {
    let mut options = options.clone();
    let writers = writers(options.remove(SINGLE_WRITER).as_deref(), url)?;
    let location = match scheme(url)? {
        None => open_path(url, base_dir, &options)?,
        Some(Scheme::File) => open_path(&file_path(url)?, base_dir, &options)?,
        Some(Scheme::Memory) => open_memory(url, &options)?,
        Some(Scheme::Cloud(cloud)) => open_cloud(cloud, url, environment, &options)?,
    };
    Ok(location.with_writers(writers))
}

/// Says what is wrong with a place as far as its text tells: no request is made
/// and no credentials are needed. Values of options are looked at by [`open`],
/// for they may come from an environment that is not here.
///
/// # Errors
/// [`super::Kind::Misconfigured`] for an unknown scheme, a URL that names no
/// bucket or carries credentials, an unknown or secret option.
pub fn check(url: &str, options: &Options) -> Result<(), Error> {
    let mut options = options.clone();
    options.remove(SINGLE_WRITER);
    match scheme(url)? {
        None => check_path(url, &options),
        Some(Scheme::File) => check_path(&file_path(url)?, &options),
        Some(Scheme::Memory) => config::refuse_all(&options, url),
        Some(Scheme::Cloud(cloud)) => {
            InBucket::parse(cloud, url)?;
            mistakes::check_options(cloud, url, &options)
        }
    }
}

/// The variables of this process, for callers at the rim.
pub fn process_environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

#[derive(Clone, Copy)]
enum Scheme {
    File,
    Memory,
    Cloud(Cloud),
}

/// The scheme of `url`, or None for a plain path.
fn scheme(url: &str) -> Result<Option<Scheme>, Error> {
    let Some((word, rest)) = url.split_once(':') else {
        return Ok(None);
    };
    let slashes = if rest.starts_with("//") { "//" } else { "" };
    let help = match (known(word), slashes) {
        (Some(Ok(scheme)), "//") => return Ok(Some(scheme)),
        (Some(Ok(scheme)), _) => return Err(without_slashes(scheme, word, rest)),
        (Some(Err(help)), _) => help,
        (None, "//") => "known are plain paths, file://, s3://, gs://, az:// and abfss://",
        // A name with a colon in it, or a drive.
        (None, _) => return Ok(None),
    };
    Err(Error::misconfigured(
        format!("no storage has the scheme `{word}:{slashes}`"),
        as_written(url, &format!("{word}://{}", rest.trim_start_matches('/'))),
        help,
    ))
}

/// What a scheme stands for, or what to write instead of it.
fn known(word: &str) -> Option<Result<Scheme, &'static str>> {
    Some(match word.to_ascii_lowercase().as_str() {
        "file" => Ok(Scheme::File),
        "memory" => Ok(Scheme::Memory),
        "s3" | "s3a" => Ok(Scheme::Cloud(Cloud::S3)),
        "gs" => Ok(Scheme::Cloud(Cloud::Gcs)),
        "az" | "abfs" | "abfss" => Ok(Scheme::Cloud(Cloud::Azure)),
        "s3n" => Err("did you mean `s3://`?"),
        "gcs" | "google" => Err("did you mean `gs://`?"),
        "azure" | "adl" | "wasb" | "wasbs" | "blob" => Err("did you mean `az://` or `abfss://`?"),
        "http" | "https" => Err(
            "name the bucket: `s3://bucket/…`, `az://container/…`; an own server goes into `storage: { endpoint: … }`",
        ),
        "hdfs" | "dbfs" => Err("copy to object storage or mount it and use the path"),
        _ => return None,
    })
}

/// `s3:/b/x` is meant as a URL; as a path it would be a folder named `s3:`.
fn without_slashes(scheme: Scheme, word: &str, rest: &str) -> Error {
    let path = rest.trim_start_matches('/');
    let meant = match scheme {
        Scheme::File if rest.starts_with('/') => format!("{word}:///{path}"),
        Scheme::File => path.to_owned(),
        Scheme::Memory | Scheme::Cloud(_) => format!("{word}://{path}"),
    };
    let shown = without_secrets(&meant);
    let help = match scheme {
        Scheme::Cloud(cloud) if path.is_empty() => cloud.example().to_owned(),
        _ if shown == meant => {
            format!("write `{meant}`, or `./{word}:{rest}` for a folder of that name")
        }
        _ => format!("write `{shown}`"),
    };
    let place = as_written(&format!("{word}:{rest}"), &meant);
    Error::misconfigured(format!("`{word}:` is not followed by two slashes"), place, help)
}

/// `url` as it stands, or what may be shown of the URL it is `meant` to be.
fn as_written(url: &str, meant: &str) -> String {
    let shown = without_secrets(meant);
    if shown == meant { url.to_owned() } else { shown }
}

fn writers(single_writer: Option<&str>, url: &str) -> Result<Writers, Error> {
    match single_writer {
        None | Some("false") => Ok(Writers::Many),
        Some("true") => Ok(Writers::Single),
        Some(other) => Err(Error::misconfigured(
            format!("option `{SINGLE_WRITER}` is `{other}`"),
            without_secrets(url),
            "write `true` or `false`",
        )),
    }
}

fn check_path(path: &str, options: &Options) -> Result<(), Error> {
    config::refuse_all(options, path)?;
    if path == "~" || path.starts_with("~/") {
        return Err(Error::misconfigured(
            "`~` is not expanded in paths",
            path,
            format!("write `${{HOME}}{}`", &path[1..]),
        ));
    }
    if path.trim().is_empty() {
        return Err(Error::misconfigured("the path is empty", "", "name a folder or a URL"));
    }
    Ok(())
}

fn open_path(path: &str, base_dir: &FsPath, options: &Options) -> Result<Location, Error> {
    check_path(path, options)?;
    let absolute = std::path::absolute(base_dir.join(path))
        .map_err(|error| Error::misconfigured(error.to_string(), path, "write an absolute path"))?;
    let absolute = normalised(&absolute);
    let prefix = Path::from_absolute_path(&absolute)
        .map_err(|error| Error::misconfigured(error.to_string(), path, "use another path"))?;
    let disk = Arc::new(LocalDisk::new());
    let display = absolute.display().to_string();
    Ok(Location::new(disk, prefix, display).on_disk(Disk { root: absolute }))
}

/// Resolves `.` and `..` by text alone: the folder need not exist yet.
fn normalised(path: &FsPath) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

fn file_path(url: &str) -> Result<String, Error> {
    let wrong = || {
        Error::misconfigured(
            "a file URL names no file of this machine",
            url,
            "write three slashes, as in `file:///data/orders`, or a plain path",
        )
    };
    let path = Url::parse(url).map_err(|_| wrong())?.to_file_path().map_err(|()| wrong())?;
    path.into_os_string().into_string().map_err(|_| wrong())
}

fn open_memory(url: &str, options: &Options) -> Result<Location, Error> {
    config::refuse_all(options, url)?;
    let prefix = Path::parse(url.trim_start_matches("memory://").trim_matches('/'))
        .map_err(|error| Error::misconfigured(error.to_string(), url, "use another path"))?;
    Ok(Location::new(Arc::new(InMemory::new()), prefix, url.to_owned()))
}

/// A bucket and a prefix in it, as a URL names them.
struct InBucket {
    /// The URL, which holds no secret.
    shown: String,
    prefix: Path,
}

impl InBucket {
    fn parse(cloud: Cloud, url: &str) -> Result<Self, Error> {
        let shown = without_secrets(url);
        let parsed = Url::parse(url).map_err(|error| {
            let what = format!("this is not a URL: {error}");
            Error::misconfigured(what, shown.clone(), cloud.example())
        })?;
        // abfss://container@account.dfs.core.windows.net is a name, not a login.
        let names_container = cloud == Cloud::Azure && parsed.password().is_none();
        if parsed.query().is_some() || !(parsed.username().is_empty() || names_container) {
            return Err(Error::misconfigured(
                "credentials do not belong into a URL",
                shown,
                cloud.credentials_help(),
            ));
        }
        if parsed.host_str().is_none_or(str::is_empty) {
            return Err(Error::misconfigured("the URL names no bucket", shown, cloud.example()));
        }
        let prefix = Path::from_url_path(parsed.path()).map_err(|error| {
            Error::misconfigured(error.to_string(), shown.clone(), "use another path in the bucket")
        })?;
        Ok(Self { shown, prefix })
    }
}

fn open_cloud(
    cloud: Cloud,
    url: &str,
    environment: &Environment,
    options: &Options,
) -> Result<Location, Error> {
    let InBucket { shown, prefix } = InBucket::parse(cloud, url)?;
    let redactor = Redactor::new(config::secrets(environment));
    let store = config::build(cloud, url, environment, options, &redactor)?;
    let location = Location::new(store, prefix, shown.trim_end_matches('/').to_owned());
    Ok(location.with_redactor(redactor).with_copies(cloud.copies()))
}

/// `url` without login, password and query: those may be secrets.
pub(super) fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(a, p)| (a, Some(p)));
    let azure = matches!(scheme, "az" | "abfs" | "abfss");
    let authority = match authority.rsplit_once('@') {
        Some((login, _)) if azure && !login.contains(':') => authority,
        Some((_, host)) => host,
        None => authority,
    };
    match path {
        Some(path) => format!("{scheme}://{authority}/{path}"),
        None => format!("{scheme}://{authority}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(url: &str) -> Result<Location, Error> {
        let environment = Environment::from([
            ("AWS_ACCESS_KEY_ID".to_owned(), "testkey".to_owned()),
            ("AWS_SECRET_ACCESS_KEY".to_owned(), "testsecret".to_owned()),
            ("AZURE_STORAGE_ACCOUNT_NAME".to_owned(), "account".to_owned()),
            ("AZURE_STORAGE_ACCOUNT_KEY".to_owned(), "c2VjcmV0a2V5".to_owned()),
        ]);
        open(url, FsPath::new("/project"), &environment, &Options::new())
    }

    #[test]
    fn urls_and_paths_become_locations() {
        let cases = [
            ("out/warehouse", "/project/out/warehouse", "project/out/warehouse"),
            ("../other/./x", "/other/x", "other/x"),
            ("/data/with space", "/data/with space", "data/with space"),
            ("file:///data/with%20space", "/data/with space", "data/with space"),
            ("s3://lake/customers/", "s3://lake/customers", "customers"),
            ("s3://lake", "s3://lake", ""),
            ("gs://lake/a/b", "gs://lake/a/b", "a/b"),
            ("az://lake/a", "az://lake/a", "a"),
            (
                "abfss://lake@account.dfs.core.windows.net/a",
                "abfss://lake@account.dfs.core.windows.net/a",
                "a",
            ),
            ("memory://x/y", "memory://x/y", "x/y"),
            ("data/a:b", "/project/data/a:b", "project/data/a:b"),
            ("./s3:b/x", "/project/s3:b/x", "project/s3:b/x"),
            ("2024:05", "/project/2024:05", "project/2024:05"),
        ];
        for (url, display, prefix) in cases {
            let location = opened(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!((location.url(), location.prefix().as_ref()), (display, prefix), "{url}");
        }
    }

    #[test]
    fn wrong_urls_say_the_next_move() {
        let cases = [
            ("gcs://b", "did you mean `gs://`?"),
            ("ftp://b", "known are plain paths"),
            ("https://b.s3.amazonaws.com/x", "name the bucket"),
            ("~/data", "write `${HOME}/data`"),
            ("s3:///x", "s3://bucket/folder"),
            ("s3://", "s3://bucket/folder"),
            ("s3:", "s3://bucket/folder"),
            ("s3:/b/x", "write `s3://b/x`, or `./s3:/b/x` for a folder of that name"),
            ("s3:b/x", "write `s3://b/x`, or `./s3:b/x` for a folder of that name"),
            ("S3A:b", "write `S3A://b`"),
            ("abfss:/c@account/x", "write `abfss://c@account/x`"),
            ("file:/data/x", "write `file:///data/x`"),
            ("file:x", "write `x`"),
            ("https:/b", "name the bucket"),
            ("adl:b/x", "did you mean `az://`"),
            ("", "name a folder"),
        ];
        for (url, help) in cases {
            let error = opened(url).expect_err(url).to_string();
            assert!(error.contains(help), "{url}: {error}");
            // No credentials are needed to say so.
            let checked = check(url, &Options::new()).expect_err(url).to_string();
            assert_eq!(checked, error, "{url}");
        }
    }

    #[test]
    fn credentials_in_a_url_are_refused_and_not_repeated() {
        for url in
            ["s3://key:hushhush@bucket/x", "az://c/x?sv=1&sig=hushhush", "abfss://c:hushhush@a/x"]
        {
            let error = opened(url).expect_err(url).to_string();
            assert!(error.contains("credentials do not belong into a URL"), "{error}");
            assert!(!error.contains("hushhush"), "{error}");
        }
        for url in [
            "s3:/key:hushhush@bucket/x",
            "az:c/x?sig=hushhush",
            "https:/key:hushhush@host/x",
            "ftp://key:hushhush@host/x",
        ] {
            let error = opened(url).expect_err(url).to_string();
            assert!(!error.contains("hushhush"), "{error}");
        }
    }

    #[test]
    fn a_location_shows_no_secret() {
        let location = opened("s3://lake/x").expect("opens");
        assert!(!format!("{location:?} {location}").contains("testsecret"));
    }
}
