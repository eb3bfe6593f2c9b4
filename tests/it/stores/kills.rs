//! Runs killed again and again while a reader follows the manifest: whatever
//! it names is whole, and the next run cleans up.
//!
//! `KILLS=200 make test` kills more often than the tests of every day do.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::outside::{Named, Outside};
use super::proxy::{Fault, Proxy, Strike, When};
use super::trial::{Said, Trial};
use super::{Place, SECOND, Working, ready, server};

/// Kills unless the environment says how many.
const KILLS: usize = 12;

/// Looks for the step at which a run is killed, five milliseconds apart.
const LOOKS_MAX: usize = 12_000;
const LOOK_PAUSE: Duration = Duration::from_millis(5);

fn kills() -> usize {
    std::env::var("KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS)
}

#[test]
fn kills_at_any_time_leave_a_whole_set_on_disk() {
    kill_at_any_time(&Place::new(None), kills());
}

#[test]
fn kills_at_any_time_leave_a_whole_set_in_seaweedfs() {
    let Some(server) = server::seaweedfs() else { return };
    kill_at_any_time(&ready(server), kills());
}

#[test]
fn kills_at_any_time_leave_a_whole_set_in_the_stand_in_for_gcs() {
    kill_at_any_time(&ready(server::gcs()), kills());
}

/// Spread over a run, from its first moment to behind its end.
fn kill_at_any_time(place: &Place, kills: usize) {
    watched(place, |length| {
        for kill in 0..kills {
            let share = (kill * 7919 % 1000) as f64 / 900.0;
            let mut run = place.start(SECOND);
            sleep(length.mul_f64(share));
            die(place, &mut run, &format!("kill {kill} at {share} of a run"));
        }
        kills
    });
}

/// As soon as a run has noted a step, and as soon as it has published: the
/// moments at which something has just been finished.
#[test]
fn kills_at_every_step_leave_a_whole_set() {
    let place = Place::new(None);
    watched(&place, |_| {
        let outside = place.outside();
        let mut steps = 0;
        loop {
            let before = outside.list("_tenure/runs").len();
            let mut run = place.start(SECOND);
            let reached =
                wait_for(&mut run, || outside.list("_tenure/runs").len() > before + steps);
            die(&place, &mut run, &format!("killed at step {steps}"));
            if !reached {
                break;
            }
            steps += 1;
        }
        assert!(steps > 8, "only {steps} steps");
        steps
    });
}

/// Kills runs while a reader looks on; then the next run publishes as ever and
/// nothing is left of the dead.
fn watched(place: &Place, kill: impl FnOnce(Duration) -> usize) {
    place.publishes(SECOND, &["--full-refresh"]);
    let begun = Instant::now();
    place.publishes(SECOND, &["--full-refresh"]);
    let length = begun.elapsed();
    let expected = place.published(SECOND);
    let stop = AtomicBool::new(false);
    let looks = AtomicUsize::new(0);
    let kills = std::thread::scope(|scope| {
        scope.spawn(|| {
            let outside = place.outside();
            while !stop.load(Ordering::Relaxed) {
                look(&outside, "a reader");
                looks.fetch_add(1, Ordering::Relaxed);
            }
        });
        // Also where a kill goes wrong the reader has to stop.
        let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| kill(length)));
        stop.store(true, Ordering::Relaxed);
        killed
    });
    let kills = kills.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    place.publishes(SECOND, &["--full-refresh"]);
    assert!(place.published(SECOND) == expected, "the next run publishes as ever");
    let removed = place.tenure(&["gc", "pipelines/p.yaml", "--keep-runs", "0"]);
    assert_eq!(removed.code, 0, "{}", removed.stderr);
    let outside = place.outside();
    let named = outside.whole("").expect("whole");
    let left = outside.list("_tenure/sets");
    assert_eq!(left, Vec::from_iter(named.paths), "what dead runs staged is gone");
    println!("{kills} kills, {} looks", looks.load(Ordering::Relaxed));
    assert!(looks.load(Ordering::Relaxed) > 0);
}

/// Kills a run, if it has not ended, and frees what it held.
fn die(place: &Place, run: &mut Working, context: &str) {
    run.signal_if_alive("KILL");
    run.wait();
    look(&place.outside(), context);
    if place.server.is_some() {
        // On a disk the lock has ended with the process.
        let freed = place.tenure(&["unlock", "pipelines/p.yaml", "--force"]);
        assert_eq!(freed.code, 0, "{context}: {}", freed.stderr);
    }
}

/// What the manifest names is there, is what it should be, and is of one run a
/// day: a full run makes every table. Where the manifest has changed meanwhile,
/// files may be gone.
fn look(outside: &Outside, who: &str) {
    let before = outside.named("");
    let complaint = match outside.whole("") {
        Ok(Named { runs, .. }) if runs.values().all(|runs| runs.len() == 1) => return,
        Ok(Named { runs, .. }) => format!("tables of several runs: {runs:?}"),
        Err(complaint) => complaint,
    };
    assert!(outside.named("") != before, "{who} met half a set: {complaint}");
}

/// Waits for something to have happened; false where the run ended before.
fn wait_for(run: &mut Working, has_happened: impl Fn() -> bool) -> bool {
    for _ in 0..LOOKS_MAX {
        if has_happened() {
            return true;
        }
        if run.has_ended() {
            return has_happened();
        }
        sleep(LOOK_PAUSE);
    }
    panic!("the run neither gets there nor ends");
}

/// Killed while it waits for an answer: a request that the store has just done
/// is the last thing the run has done.
#[test]
fn kills_at_any_request_leave_a_whole_set() {
    let Some(server) = server::seaweedfs() else { return };
    let trial = Trial::new(server);
    let requests = trial.requests.len();
    let points = kills().min(requests);
    let mut killed = 0;
    for at in (0..points).map(|point| point * requests / points) {
        let folder = format!("killed-{at}");
        trial.begin(&folder);
        let proxy = Proxy::start(trial.server.port, Strike::At(at, Fault::Silence(When::After)));
        let mut run = Working(trial.renewing(&folder, proxy.port));
        if !wait_for(&mut run, || proxy.struck().is_some()) {
            continue;
        }
        run.signal_if_alive("KILL");
        run.wait();
        let struck = proxy.struck().unwrap_or_default();
        let context = format!("killed at request {at}, {struck}");
        let freed = trial.other(&folder, &["unlock", "pipelines/p.yaml", "--force"]);
        assert_eq!(freed.code, 0, "{context}: {}", freed.text);
        // Dead runs have no exit code: what is published may be old or new.
        let found = trial.outside.whole(&folder).expect(&context);
        let code = i32::from(found.sums != trial.new.sums);
        let said = Said { code, text: String::new() };
        // Killed before it took the lock or behind its end, it has none to break.
        let judged = trial.judge_freed(&folder, &said, &["broken", "released"]);
        let judged = judged.and_then(|()| trial.recovers(&folder));
        judged.unwrap_or_else(|complaint| panic!("{context}: {complaint}"));
        killed += 1;
    }
    println!("{killed} kills at one of {requests} requests each");
    assert!(killed + 1 >= points, "only {killed}");
}
