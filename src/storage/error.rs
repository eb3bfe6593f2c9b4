//! What can go wrong with a store, said so that a user knows the next move.
//!
//! [`Kind`] is what a caller branches on; [`Explained`] is what a user reads:
//! what, where, why and the next move. Causes pass the redactor on the way in,
//! so an error can be printed, logged and recorded as it is.

use std::error::Error as StdError;
use std::{fmt, io};

use super::codes;
use super::redact::Redactor;

/// What a caller may branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The bucket, container or folder does not exist.
    Missing,
    /// The credentials in use, or the file's permissions, do not allow it.
    Denied,
    /// There are no valid credentials.
    Unauthenticated,
    /// There are no credentials at all: none were set, and the machine has none.
    NoCredentials,
    /// The disk or quota is full.
    Full,
    /// The URL, an option or a variable is wrong; nothing was tried.
    Misconfigured,
    /// Everything else: the network, the server, the disk.
    Failed,
}

/// What was tried; names the verb in the message and the rights in the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Getting an object, or its size and version.
    Read,
    /// Putting an object, in one request or in parts, or taking a lock file.
    Write,
    /// Asking which objects or folders there are.
    List,
    /// Removing objects.
    Delete,
    /// Copying an object within the store, or linking a file on a disk.
    Copy,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Copy => "copy",
        })
    }
}

/// A message in the form all messages have: what, where, why, next move.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explained {
    /// The headline, in the user's nouns, without a full stop.
    pub what: String,
    /// Where: a URL or a path, never with secrets.
    pub place: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// The next move.
    pub help: Option<String>,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if !self.place.is_empty() {
            write!(f, "\n  --> {}", self.place)?;
        }
        for cause in &self.causes {
            write!(f, "\n   = cause: {cause}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n   = help: {help}")?;
        }
        Ok(())
    }
}

/// An error of a store: a [`Kind`] to branch on, an [`Explained`] to show.
#[derive(Debug, thiserror::Error)]
#[error("{explained}")]
pub struct Error {
    kind: Kind,
    explained: Box<Explained>,
}

impl Error {
    /// A wrong URL, option or variable.
    pub(crate) fn misconfigured(
        what: impl Into<String>,
        place: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        let explained = Explained {
            what: what.into(),
            place: place.into(),
            causes: Vec::new(),
            help: Some(help.into()),
        };
        Self { kind: Kind::Misconfigured, explained: Box::new(explained) }
    }

    /// Something that is not done, though the store would do it.
    pub(crate) fn refused(
        what: impl Into<String>,
        place: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { kind: Kind::Failed, ..Self::misconfigured(what, place, help) }
    }

    /// Explains what `source` means for `action` at `place`.
    pub(crate) fn explain(
        action: Action,
        place: String,
        source: &object_store::Error,
        redactor: &Redactor,
    ) -> Self {
        let meaning = codes::meaning(source);
        let kind = meaning.map_or_else(|| kind_of(source), |meaning| meaning.kind);
        let (what, help) = match meaning {
            Some(meaning) => (format!("cannot {action}: {}", meaning.what), Some(meaning.help)),
            None => (headline(kind, action, &place), help(kind, action, &place)),
        };
        let causes = causes(source).iter().map(|cause| redactor.clean(cause)).collect();
        let explained = Explained { what, causes, help: help.map(str::to_owned), place };
        Self { kind, explained: Box::new(explained) }
    }

    /// The same error with another headline, for a caller who knows more.
    #[must_use]
    pub fn saying(mut self, what: impl Into<String>) -> Self {
        self.explained.what = what.into();
        self
    }

    /// The same error with another next move.
    #[must_use]
    pub(crate) fn advising(mut self, help: impl Into<String>) -> Self {
        self.explained.help = Some(help.into());
        self
    }

    /// The same error as a mistake in what was set: nothing was tried.
    #[must_use]
    pub(crate) fn of_settings(self) -> Self {
        Self { kind: Kind::Misconfigured, ..self }
    }

    /// The sort of failure, to branch on.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message for people; it holds no secret.
    pub fn explained(&self) -> &Explained {
        &self.explained
    }
}

/// True when a 404 speaks of the bucket or container, not of the object.
pub(crate) fn names_missing_bucket(error: &object_store::Error) -> bool {
    let text = error.to_string();
    ["NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"]
        .iter()
        .any(|code| text.contains(code))
}

fn kind_of(error: &object_store::Error) -> Kind {
    if let Some(io) = io_error(error) {
        match io.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => return Kind::Full,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                return Kind::Denied;
            }
            io::ErrorKind::NotFound => return Kind::Missing,
            _ => {}
        }
    }
    match error {
        object_store::Error::NotFound { .. } => Kind::Missing,
        object_store::Error::PermissionDenied { .. } => Kind::Denied,
        object_store::Error::Unauthenticated { .. } => Kind::Unauthenticated,
        object_store::Error::UnknownConfigurationKey { .. } => Kind::Misconfigured,
        _ if names_missing_bucket(error) => Kind::Missing,
        _ => Kind::Failed,
    }
}

fn headline(kind: Kind, action: Action, place: &str) -> String {
    match kind {
        Kind::Full => format!("cannot {action}: no space left"),
        Kind::Denied => format!("cannot {action}: permission denied"),
        Kind::Unauthenticated => format!("cannot {action}: the credentials are not accepted"),
        Kind::NoCredentials => format!("cannot {action}: no credentials were found"),
        Kind::Missing if action == Action::Write && is_local(place) => {
            "cannot write: the folder is gone".to_owned()
        }
        Kind::Missing if action == Action::Write => {
            "cannot write: the bucket or container does not exist".to_owned()
        }
        Kind::Missing => format!("cannot {action}: it does not exist"),
        Kind::Misconfigured | Kind::Failed => format!("cannot {action}"),
    }
}

fn is_local(place: &str) -> bool {
    !place.contains("://")
}

fn help(kind: Kind, action: Action, place: &str) -> Option<&'static str> {
    Some(match (kind, is_local(place)) {
        (Kind::Full, true) => {
            "free space on this disk, or publish somewhere else; what was published before is whole"
        }
        (Kind::Full, false) => "raise the quota; what was published before is whole",
        (Kind::Denied, true) => {
            "check owner and permissions of this path: the user running this needs to read and write it"
        }
        (Kind::Denied, false) => match action {
            Action::Read | Action::List => {
                "the credentials in use need to list and get on this prefix"
            }
            _ => "the credentials in use need to list, get, put and delete on this prefix",
        },
        (Kind::Unauthenticated | Kind::NoCredentials, _) => {
            "set or renew the credentials in the environment (AWS_…, AZURE_…, GOOGLE_…)"
        }
        (Kind::Missing, true) => "check the path: relative paths start at the project folder",
        (Kind::Missing, false) => {
            "check the name, the region and the endpoint; buckets are never created here"
        }
        (Kind::Misconfigured, _) => return None,
        (Kind::Failed, true) => "see the cause; what was published before is whole",
        (Kind::Failed, false) => {
            "check the endpoint, the region and the network; it was retried already, and running again is safe"
        }
    })
}

/// The chain of causes, each once: wrappers often repeat what they wrap.
fn causes(error: &object_store::Error) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        // Servers answer in several lines of XML; a cause is one line here.
        let text = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        let repeated = causes.last().is_some_and(|outer| outer.ends_with(&text));
        if !repeated {
            causes.push(text);
        }
        next = error.source();
    }
    causes
}

fn io_error(error: &object_store::Error) -> Option<&io::Error> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(source: io::Error) -> object_store::Error {
        object_store::Error::Generic { store: "LocalDisk", source: Box::new(source) }
    }

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let full = generic(io::Error::new(io::ErrorKind::StorageFull, "No space left on device"));
        let error = Error::explain(Action::Write, "/data/w".into(), &full, &Redactor::default());
        assert_eq!(error.kind(), Kind::Full);
        assert_eq!(
            error.to_string(),
            "cannot write: no space left\n  --> /data/w\n   = cause: Generic LocalDisk error: No space left on device\n   \
             = help: free space on this disk, or publish somewhere else; what was published before is whole"
        );
    }

    #[test]
    fn causes_carry_no_secret() {
        let redactor = Redactor::new(["TOPSECRET".to_owned()]);
        let source = generic(io::Error::other("token TOPSECRET refused"));
        let error = Error::explain(Action::Read, "s3://b".into(), &source, &redactor);
        assert!(!error.to_string().contains("TOPSECRET"));
        assert!(!format!("{error:?}").contains("TOPSECRET"));
    }
}
