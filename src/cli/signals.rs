//! What the system or the user asks of the process: to end.
//!
//! The first SIGINT, SIGTERM or SIGHUP asks the work to stop in good order; the
//! second ends the process at once, wherever it is, and leaves the lock to run
//! out. Only commands that hold the lock of a target listen: the others are
//! ended by the system, as any program is.

use super::Exit;
use crate::error::Error;
use crate::run::{Asker, Stop};

/// Listens from here on; `exit` ends the process.
pub fn listen(exit: Exit) -> Stop {
    let (asker, stop) = Stop::new();
    // On a thread of the runtime, so that work which keeps the main thread busy
    // does not keep a signal from being heard.
    if let Some(signals) = Signals::open() {
        tokio::spawn(pass_on(signals, asker, exit));
    }
    stop
}

async fn pass_on(mut signals: Signals, asker: Asker, exit: Exit) {
    signals.next().await;
    asker.ask();
    signals.next().await;
    exit(Error::Interrupted.exit_code());
}

#[cfg(unix)]
struct Signals([tokio::signal::unix::Signal; 3]);

#[cfg(unix)]
impl Signals {
    /// None where the system lets nobody listen: then it ends the process.
    fn open() -> Option<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let open = |kind| signal(kind).ok();
        Some(Self([
            open(SignalKind::interrupt())?,
            open(SignalKind::terminate())?,
            open(SignalKind::hangup())?,
        ]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn open() -> Option<Self> {
        Some(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
