//! That somebody has asked the work to stop, and what work does about it.
//!
//! Whoever holds the lock of a target gives it back before it ends, so that the
//! next run starts at once. So the lock is taken and given back in whole steps;
//! the work between them is dropped wherever it is.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::explain;
use super::target::{Claim, RunId, Step, Target};
use crate::error::{Error, Result};

/// How long a store that is slow may take for each of the last things to be
/// said to it: that the lock is taken or given back, that the run has ended.
/// After that the lock runs out by itself.
const LAST_WORDS: Duration = Duration::from_secs(8);

/// Whether somebody has asked to stop. Asking once is enough.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// Who can ask to stop.
#[derive(Debug)]
pub struct Asker(watch::Sender<bool>);

impl Asker {
    /// Asks to stop.
    pub fn ask(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// One that is asked by its asker.
    pub fn new() -> (Asker, Self) {
        let (asker, stop) = watch::channel(false);
        (Asker(asker), Self(stop))
    }

    /// Whether it was asked.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is asked.
    pub async fn asked(&self) {
        // Without an asker nobody ever asks.
        if self.0.clone().wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Work that is dropped when somebody asks to stop.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; what the work says.
    pub async fn unless_asked<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.asked() => Err(Error::Interrupted),
            done = work => done,
        }
    }
}

/// Takes the lock of a target and repairs what a dead run left.
///
/// # Errors
/// Another run holds it; the store's error; [`Error::Interrupted`], the lock
/// being free again.
pub async fn claim(target: &Target, run_id: &RunId, stop: &Stop) -> Result<Claim> {
    let mut claim = take(target, run_id, stop).await?;
    let repaired = stop.unless_asked(async {
        claim.repair().await;
        Ok(())
    });
    let repaired = repaired.await;
    match repaired {
        Ok(()) => Ok(claim),
        Err(error) => {
            release(claim, stop).await;
            Err(error)
        }
    }
}

/// A request to take the lock that is given up may still arrive; so it is waited
/// for, and what it has taken is given back.
async fn take(target: &Target, run_id: &RunId, stop: &Stop) -> Result<Claim> {
    stop.unless_asked(async { Ok(()) }).await?;
    let mut taking = pin!(target.take(run_id.clone()));
    let taken = tokio::select! {
        taken = &mut taking => return taken.map_err(explain),
        () = stop.asked() => timeout(LAST_WORDS, taking).await,
    };
    match taken {
        Ok(Ok(claim)) => release(claim, stop).await,
        Ok(Err(_)) => {}
        // One answer does not come; the lease may be written all the same.
        Err(_) => drop(timeout(LAST_WORDS, target.give_up(run_id)).await),
    }
    Err(Error::Interrupted)
}

/// Notes how the holder of a lock has ended, and gives the lock back. Tells why
/// that cannot be noted, if it cannot: what has happened has happened.
pub async fn end(claim: Claim, last: Step, stop: &Stop) -> Option<String> {
    let noted = last_words(claim.journal().close(last), stop).await;
    release(claim, stop).await;
    match noted {
        Some(Err(error)) => Some(error.to_string()),
        Some(Ok(())) | None => None,
    }
}

/// Gives the lock back.
pub async fn release(claim: Claim, stop: &Stop) {
    last_words(claim.release(), stop).await;
}

/// Says something to a store, which has as long as it needs unless somebody
/// waits for the end.
pub async fn last_words<T>(words: impl Future<Output = T>, stop: &Stop) -> Option<T> {
    let mut words = pin!(words);
    tokio::select! {
        said = &mut words => Some(said),
        () = stop.asked() => timeout(LAST_WORDS, words).await.ok(),
    }
}

/// How a run that ends with `error` is noted.
pub fn last_step(error: &Error) -> Step {
    match error {
        Error::Interrupted => Step::Interrupted,
        error => {
            let repeats = matches!(error, Error::Audit(_));
            Step::Failed { error: super::headline(error), repeats }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_goes_on_until_somebody_asks() {
        let (asker, stop) = Stop::new();
        assert_eq!(stop.unless_asked(async { Ok(7) }).await.expect("not asked"), 7);
        let endless = std::future::pending::<Result<()>>();
        let asked = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            asker.ask()
        };
        let (stopped, ()) = tokio::join!(stop.unless_asked(endless), asked);
        assert!(matches!(stopped, Err(Error::Interrupted)) && stop.is_asked());
        // Work that is ready is not begun any more.
        assert!(stop.unless_asked(async { Ok(7) }).await.is_err());
    }

    #[tokio::test]
    async fn without_an_asker_work_goes_on() {
        let (asker, stop) = Stop::new();
        drop(asker);
        assert_eq!(stop.unless_asked(async { Ok(7) }).await.expect("not asked"), 7);
    }
}
