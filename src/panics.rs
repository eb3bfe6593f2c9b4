//! A panic is a mistake of this program or of a library, found by a file it was not
//! prepared for. It becomes an error like any other: it names what was being done, and
//! nothing else is printed.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use futures::FutureExt;

use crate::problem::Problem;

/// Where the last panic was; it cannot be told from what is caught.
static LAST: Mutex<Option<String>> = Mutex::new(None);

/// Something stopped where it should not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panicked {
    what: String,
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Panicked {}

impl From<Panicked> for datafusion::error::DataFusionError {
    fn from(panicked: Panicked) -> Self {
        Self::External(Box::new(panicked))
    }
}

impl From<Panicked> for crate::error::Error {
    fn from(panicked: Panicked) -> Self {
        Problem::new("a part of the program has stopped; nothing was published")
            .note("cause", panicked.to_string())
            .help(
                "this is a fault of tenure, not of the pipeline: please report it with the command \
                 and, if you can, the files; a file that another program cannot read either is \
                 best written again",
            )
            .into()
    }
}

impl Panicked {
    /// A panic, from what was thrown.
    pub fn of(thrown: &(dyn Any + Send)) -> Self {
        let text = thrown.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| thrown.downcast_ref::<String>().cloned());
        let text = text.unwrap_or_else(|| "no reason given".into());
        let first = text.lines().next().unwrap_or_default();
        let place = LAST.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let place = place.map(|place| format!(" (at {place})")).unwrap_or_default();
        Self { what: format!("{first}{place}") }
    }
}

/// From here on a panic prints nothing by itself; where it was is remembered.
pub fn quiet() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|at| {
            let file = at.file();
            // From the name of the crate on: where it was compiled is nobody's business.
            let short = file.rsplit_once("/src/").map_or(file, |(folder, _)| {
                let start = folder.rfind('/').map_or(0, |slash| slash + 1);
                &file[start..]
            });
            format!("{short}:{}", at.line())
        });
        tracing::debug!(place, "panic");
        *LAST.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }));
}

/// What a future gives, or that it panicked.
///
/// # Errors
/// It panicked. What it worked on may be half done, and is not to be used again.
pub async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    AssertUnwindSafe(future).catch_unwind().await.map_err(|thrown| Panicked::of(thrown.as_ref()))
}

/// The same of a function.
///
/// # Errors
/// As [`caught`].
pub fn caught_now<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|thrown| Panicked::of(thrown.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        assert_eq!(caught_now(|| 1), Ok(1));
        let none: Vec<u8> = Vec::new();
        let thrown = caught_now(|| none[std::hint::black_box(3)]);
        let text = thrown.expect_err("it panics").to_string();
        assert!(text.contains("index out of bounds"), "{text}");
    }
}
