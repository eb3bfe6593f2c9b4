//! How a command can end badly. The variants are what a caller branches on,
//! and each has its exit code; everything else is text in a [`Problem`].

use crate::problem::{Place, Problem};

/// Why a command did not do what it was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The project, the arguments or the environment are invalid; nothing ran.
    Invalid(Vec<Problem>),
    /// It failed while running; nothing was published, unless a problem says so.
    Failed(Vec<Problem>),
    /// An audit failed; nothing was published.
    Audit(Vec<Problem>),
    /// Another run holds the target.
    Locked(Problem),
    /// The user or the system asked it to stop; nothing was published.
    Interrupted,
}

impl Error {
    /// The exit code of the process, as documented in the user guide.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Invalid(_) => 2,
            Self::Audit(_) => 3,
            Self::Locked(_) => 4,
            Self::Interrupted => 130,
        }
    }

    /// The same, its problems placed in a file where they name no place.
    #[must_use]
    pub fn in_file(mut self, path: &str) -> Self {
        if let Self::Failed(problems) | Self::Audit(problems) = &mut self {
            for problem in problems.iter_mut().filter(|problem| problem.place.is_none()) {
                problem.place = Some(Place::Named(path.into()));
            }
        }
        self
    }

    /// What to tell the user, in order.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid(problems) | Self::Failed(problems) | Self::Audit(problems) => problems,
            Self::Locked(problem) => std::slice::from_ref(problem),
            Self::Interrupted => &[],
        }
    }
}

/// A single problem met while running.
impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Failed(vec![problem])
    }
}

/// The result of anything a command does.
pub type Result<T, E = Error> = std::result::Result<T, E>;
