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

/// Those that are heard; none of one that the process was started to ignore, as
/// `nohup` has it ignore SIGHUP.
#[cfg(unix)]
struct Signals([Option<tokio::signal::unix::Signal>; 3]);

#[cfg(unix)]
impl Signals {
    /// None where the system lets nobody listen: then it ends the process.
    fn open() -> Option<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let ignored = ignored();
        let open = |kind: SignalKind| match is_among(ignored, kind.as_raw_value()) {
            true => Some(None),
            false => signal(kind).ok().map(Some),
        };
        Some(Self([
            open(SignalKind::interrupt())?,
            open(SignalKind::terminate())?,
            open(SignalKind::hangup())?,
        ]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            () = heard(interrupt) => {}
            () = heard(terminate) => {}
            () = heard(hangup) => {}
        }
    }
}

#[cfg(unix)]
async fn heard(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// The signals that the process ignores, a bit each, as Linux tells them; none
/// where it is not told.
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(unix)]
fn is_among(signals: u64, number: i32) -> bool {
    u32::try_from(number - 1).is_ok_and(|bit| signals.checked_shr(bit).unwrap_or(0) & 1 == 1)
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
