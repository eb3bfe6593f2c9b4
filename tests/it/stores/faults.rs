//! Every request of a run goes wrong in turn, in every way a network and a
//! store have of going wrong.
//!
//! Whatever happens: a run publishes a whole set or nothing, its exit code
//! says truly which, and a following run succeeds and leaves nothing behind.
//!
//! `FAULTS=all make test` tries every request; without it a sample is tried,
//! with the request that publishes among it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use super::proxy::{Fault, Proxy, Strike, When};
use super::trial::Trial;
use super::{is_thorough, server};

const FAULTS: [Fault; 16] = [
    Fault::Late,
    Fault::Fails(500, When::Before),
    Fault::Fails(503, When::Before),
    Fault::Fails(409, When::Before),
    Fault::Fails(429, When::Before),
    Fault::Fails(500, When::After),
    Fault::Fails(503, When::After),
    Fault::Breaks(When::Before),
    Fault::Breaks(When::After),
    Fault::Closes(When::Before),
    Fault::Closes(When::After),
    Fault::Silence(When::Before),
    Fault::Silence(When::After),
    Fault::Truncated,
    Fault::Stalls,
    Fault::Slow,
];

/// Points of each fault in a sample, besides the request that publishes.
const SAMPLE: usize = 2;

/// How long the client waits for an answer that never comes.
const PATIENCE: &str = "3 seconds";

/// Runs at once: most of the time of one is spent waiting.
const WORKERS: usize = 3;

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Published,
    Failed,
    /// The run was over before the request whose turn it was.
    Beyond,
}

#[test]
fn any_request_to_seaweedfs_may_go_wrong() {
    let Some(server) = server::seaweedfs() else { return };
    try_all(&Trial::new(server));
}

#[test]
fn any_request_to_azurite_may_go_wrong() {
    let Some(server) = server::azurite() else { return };
    try_all(&Trial::new(server));
}

#[test]
fn any_request_to_the_stand_in_for_gcs_may_go_wrong() {
    try_all(&Trial::new(server::gcs()));
}

#[test]
fn any_request_for_delta_tables_may_go_wrong() {
    let Some(server) = server::seaweedfs() else { return };
    try_all(&Trial::of_delta(server));
}

/// Tries them; what is not as it must be is reported together.
fn try_all(trial: &Trial) {
    let waiting = Mutex::new(points(trial).into_iter());
    let ends: Mutex<BTreeMap<String, BTreeMap<End, usize>>> = Mutex::default();
    let complaints = Mutex::new(Vec::new());
    let work = || {
        loop {
            let next = waiting.lock().expect("a lock").next();
            let Some((fault, at)) = next else { return };
            match case(trial, fault, at) {
                Ok(end) => {
                    let mut ends = ends.lock().expect("a lock");
                    *ends.entry(format!("{fault:?}")).or_default().entry(end).or_default() += 1;
                }
                Err(complaint) => complaints.lock().expect("a lock").push(complaint),
            }
        }
    };
    std::thread::scope(|scope| (0..WORKERS).for_each(|_| drop(scope.spawn(work))));
    let ends = ends.into_inner().expect("a lock");
    println!("{} requests in a run", trial.requests.len());
    ends.iter().for_each(|(fault, ends)| println!("{fault}: {ends:?}"));
    let complaints = complaints.into_inner().expect("a lock");
    assert!(complaints.is_empty(), "{} cases: {}", complaints.len(), complaints.join("\n"));
    let tried = |end: &End| *end != End::Beyond;
    let tried: usize = ends.values().flatten().filter(|(end, _)| tried(end)).map(|(_, n)| n).sum();
    println!("{tried} fault points");
    assert!(tried >= FAULTS.len() * SAMPLE, "only {tried} points");
}

/// The points that are tried.
fn points(trial: &Trial) -> Vec<(Fault, usize)> {
    let mut points = Vec::new();
    for (number, fault) in FAULTS.into_iter().enumerate() {
        let concerned: Vec<&String> =
            trial.requests.iter().filter(|request| fault.concerns(request)).collect();
        if is_thorough() {
            points.extend((0..concerned.len()).map(|at| (fault, at)));
            continue;
        }
        let publishes = concerned.iter().rposition(|request| {
            // Google's client encodes all but letters and digits.
            let manifest = ["/_tenure/current.json", "%2F%5Ftenure%2Fcurrent%2Ejson"];
            request.starts_with("PUT ") && manifest.iter().any(|end| request.ends_with(end))
        });
        let spread = (0..SAMPLE).map(|n| (number * SAMPLE + n) * 7919 % concerned.len());
        let chosen: BTreeSet<usize> = publishes.into_iter().chain(spread).collect();
        points.extend(chosen.into_iter().map(|at| (fault, at)));
    }
    points
}

/// A run in which one request goes wrong, and one after it in which none does;
/// the complaint says what is not as it must be.
fn case(trial: &Trial, fault: Fault, at: usize) -> Result<End, String> {
    let folder = format!("{fault:?}-{at}").replace(['(', ')', ' ', ','], "");
    trial.begin(&folder);
    let proxy = Proxy::start(trial.server.port, Strike::At(at, fault));
    let patience = [(trial.server.patience, PATIENCE)];
    let more = if fault.needs_patience() { &patience[..] } else { &[] };
    let said = trial.renew(&folder, proxy.port, more);
    let Some(struck) = proxy.struck() else { return Ok(End::Beyond) };
    let end = if said.code == 0 { End::Published } else { End::Failed };
    if end == End::Failed {
        println!("{fault:?} at {at}, {struck}: {}", said.text.trim().replace('\n', " "));
    }
    let judged = trial.judge(&folder, &said).and_then(|()| trial.recovers(&folder));
    judged.map(|()| end).map_err(|complaint| {
        format!("{fault:?} at {at}, {struck}: {complaint}; exit code {}\n{}", said.code, said.text)
    })
}
