//! Many runs at once on one target: one works, the others say who does.

use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use super::{LOOKS_MAX, Place, SECOND, Working, is_thorough, ready, server};

/// A little longer than a lease lasts without a sign of life.
const LEASE: Duration = Duration::from_secs(62);

/// Two and eight at once, with the winner held while the others come; then
/// eight that race to the end.
pub fn one_works(place: &Place) {
    for runs in [2, 8] {
        one_of(place, runs);
    }
    race(place, 8);
}

/// One publishes, the others name it and stop with exit code 4.
fn one_of(place: &Place, runs: usize) {
    let mut crowd = start(place, runs);
    let winner = winner(place, &mut crowd);
    let winner = crowd.remove(winner);
    winner.signal("STOP");
    let named = format!("process {}\n", winner.0.id());
    for loser in crowd {
        let (code, said) = outcome(loser);
        assert_eq!(code, Some(4), "{said}");
        assert!(said.contains(&named), "who holds the target: {said}");
    }
    winner.signal("CONT");
    let (code, said) = outcome(winner);
    assert_eq!(code, Some(0), "{said}");
    nothing_lost_or_doubled(place);
}

/// Whoever is late enough finds the lock free again and publishes as well;
/// nobody fails otherwise.
fn race(place: &Place, runs: usize) {
    let codes: Vec<Option<i32>> =
        start(place, runs).into_iter().map(|run| outcome(run).0).collect();
    assert!(codes.contains(&Some(0)), "{codes:?}");
    assert!(codes.iter().all(|code| matches!(code, Some(0 | 4))), "{codes:?}");
    nothing_lost_or_doubled(place);
}

/// Overtaken by a run that has just waited; a minute of waiting is not for
/// every day, and the tests of every day take the lock away instead.
#[test]
fn who_sleeps_past_its_lease_cannot_publish() {
    if !is_thorough() {
        return;
    }
    let Some(server) = server::seaweedfs() else { return };
    let place = ready(server);
    place.publishes(SECOND, &[]);
    let mut sleeper = place.working(SECOND);
    sleeper.signal("STOP");
    sleep(LEASE);
    place.publishes(SECOND, &["--param", "discount_rate=0.3"]);
    let newest = place.published(SECOND);
    sleeper.signal("CONT");
    assert_eq!(sleeper.wait(), Some(1), "who lost the lock fails");
    assert!(place.published(SECOND) == newest, "and has published nothing");
    nothing_lost_or_doubled(&place);
}

fn nothing_lost_or_doubled(place: &Place) {
    let removed = place.tenure(&["gc", "pipelines/p.yaml", "--keep-runs", "0"]);
    assert_eq!(removed.code, 0, "{}", removed.stderr);
    let outside = place.outside();
    let named = outside.whole("").expect("whole");
    assert_eq!(outside.list("_tenure/sets"), Vec::from_iter(named.paths.clone()));
    assert_eq!(outside.shown(""), named.shown(), "the Hive folders show the same");
}

fn start(place: &Place, runs: usize) -> Vec<Working> {
    let arguments = ["run", "pipelines/p.yaml", "--as-of", SECOND, "--full-refresh"];
    let start = |_| {
        let mut command = place.command(&arguments);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        Working(command.spawn().expect("the binary starts"))
    };
    (0..runs).map(start).collect()
}

/// Which of them holds the lock.
fn winner(place: &Place, crowd: &mut [Working]) -> usize {
    let outside = place.outside();
    for _ in 0..LOOKS_MAX {
        let lease = outside.record("", "lease.json").unwrap_or_default();
        let is_holder = |run: &Working| lease["pid"] == run.0.id();
        if lease["state"] == "held"
            && let Some(winner) = crowd.iter().position(is_holder)
        {
            return winner;
        }
        assert!(!crowd.iter_mut().all(Working::has_ended), "all ended before one was seen");
        sleep(Duration::from_millis(5));
    }
    panic!("nobody takes the lock");
}

fn outcome(mut run: Working) -> (Option<i32>, String) {
    let mut said = String::new();
    let mut pipe = run.0.stderr.take().expect("a pipe");
    std::io::Read::read_to_string(&mut pipe, &mut said).expect("text");
    (run.wait(), said)
}
