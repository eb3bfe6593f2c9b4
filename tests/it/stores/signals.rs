//! Runs that are asked to stop: whenever that is, the lock is free again at
//! once, the next run starts and publishes, and the exit code is true.
//!
//! `SIGNALS=400 make test` asks more often than the tests of every day do.

use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::proxy::{Fault, Proxy, Strike, When};
use super::server::{self, Server};
use super::trial::Trial;
use super::{FIRST, Place, SECOND, Working};
use crate::project::{Project, halted_at, run_id};

/// Signals unless the environment says how many.
const SIGNALS: usize = 40;
/// Cases at once: some of each is spent waiting.
const WORKERS: usize = 2;
/// A run that is asked to stop has ended after this; a lock that was not given
/// back ends after a minute.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
const LOOK_PAUSE: Duration = Duration::from_millis(5);

fn signals() -> usize {
    std::env::var("SIGNALS").ok().and_then(|text| text.parse().ok()).unwrap_or(SIGNALS)
}

/// Spread over a run by a fixed seed, from before its first step to behind its
/// last.
fn delay(length: Duration, number: usize, of: usize) -> Duration {
    let share = (number * 7919 % of) as f64 / of as f64;
    length.mul_f64(share * 1.2)
}

/// Waits for a run to end: its exit code, none where the signal found it before
/// it listened.
fn ended(run: &mut Working, context: &str) -> Option<i32> {
    let begun = Instant::now();
    while begun.elapsed() < ENDS_WITHIN {
        if run.has_ended() {
            return run.wait();
        }
        sleep(LOOK_PAUSE);
    }
    panic!("{context}: it does not end");
}

#[test]
fn runs_that_are_terminated_on_seaweedfs_give_their_lock_back() {
    let Some(server) = server::seaweedfs() else { return };
    let mut trial = Trial::new(server);
    terminate_at_any_time(&trial, signals());
    second_signal_ends_at_once(&mut trial);
}

/// Some of them: it takes the same way.
#[test]
fn runs_that_are_terminated_on_the_stand_in_for_gcs_give_their_lock_back() {
    let trial = Trial::new(server::gcs());
    terminate_at_any_time(&trial, signals() / 4);
    waiting_for_a_store(&trial);
}

/// Each case is judged, and the run after it.
fn terminate_at_any_time(trial: &Trial, signals: usize) {
    trial.begin("measured");
    let begun = Instant::now();
    let said = trial.renew("measured", trial.server.port, &[]);
    assert_eq!(said.code, 0, "{}", said.text);
    let length = begun.elapsed();
    let waiting = Mutex::new(0..signals);
    let codes = Mutex::new(Vec::new());
    let complaints = Mutex::new(Vec::new());
    let work = || {
        loop {
            let next = waiting.lock().expect("a lock").next();
            let Some(number) = next else { return };
            match terminate(trial, number, delay(length, number, signals)) {
                Ok(code) => codes.lock().expect("a lock").push(code),
                Err(complaint) => complaints.lock().expect("a lock").push(complaint),
            }
        }
    };
    std::thread::scope(|scope| (0..WORKERS).for_each(|_| drop(scope.spawn(work))));
    let complaints = complaints.into_inner().expect("a lock");
    assert!(complaints.is_empty(), "{} cases: {}", complaints.len(), complaints.join("\n"));
    let codes = codes.into_inner().expect("a lock");
    let interrupted = codes.iter().filter(|code| **code == Some(130)).count();
    println!("{interrupted} of {signals} runs of {length:?} were interrupted");
    assert!(interrupted * 2 > signals, "only {interrupted} were interrupted: {codes:?}");
}

/// A run that is asked to stop after a while, and the next one, which starts at
/// once.
fn terminate(trial: &Trial, number: usize, after: Duration) -> Result<Option<i32>, String> {
    let folder = format!("terminated-{number}");
    let context = format!("terminated after {after:?}");
    trial.begin(&folder);
    let mut run = Working(trial.renewing(&folder, trial.server.port));
    sleep(after);
    run.signal_if_alive("TERM");
    let code = ended(&mut run, &context);
    judged(trial, &folder, code).map_err(|complaint| format!("{context}: {complaint}"))?;
    Ok(code)
}

fn judged(trial: &Trial, folder: &str, code: Option<i32>) -> Result<(), String> {
    let found = trial.outside.whole(folder)?;
    let published = found.sums == trial.new.sums;
    let lease = trial.outside.record(folder, "lease.json").unwrap_or_default();
    let noted = trial.other(folder, &["runs", "pipelines/p.yaml", "--limit", "1"]).text;
    let require = |holds: bool, otherwise: &str| match holds {
        true => Ok(()),
        false => Err(format!("{otherwise}; exit code {code:?}, lock {}\n{noted}", lease["state"])),
    };
    require(published || found.sums == trial.old.sums, "half a set is published")?;
    // None: the signal came before the process had begun to listen.
    require(matches!(code, Some(0 | 130) | None), "an exit code for something else")?;
    require(published == (code == Some(0)), "the exit code is not the truth")?;
    require(lease["state"] == "released", "the lock was left")?;
    require(!noted.contains(" died "), "it is noted as one that died")?;
    // Any run that holds the lock ends the next one with exit code 4.
    let begun = Instant::now();
    trial.recovers(folder)?;
    require(begun.elapsed() < ENDS_WITHIN, "the next run waited")
}

/// A run whose store does not answer stops all the same, and what it holds it
/// gives back over the requests that are answered.
fn waiting_for_a_store(trial: &Trial) {
    let publishes = trial
        .requests
        .iter()
        .rposition(|request| request.starts_with("PUT ") && request.ends_with("current%2Ejson"));
    let publishes = publishes.expect("a run that publishes");
    for at in [publishes / 5, publishes / 2, publishes - 3] {
        let folder = format!("waiting-{at}");
        trial.begin(&folder);
        let proxy = Proxy::start(trial.server.port, Strike::At(at, Fault::Silence(When::After)));
        let mut run = Working(trial.renewing(&folder, proxy.port));
        let begun = Instant::now();
        while proxy.struck().is_none() && begun.elapsed() < ENDS_WITHIN {
            sleep(LOOK_PAUSE);
        }
        let context = format!("silence at request {at}, {}", proxy.struck().unwrap_or_default());
        run.signal_if_alive("HUP");
        let code = ended(&mut run, &context);
        judged(trial, &folder, code).unwrap_or_else(|complaint| panic!("{context}: {complaint}"));
        assert_eq!(code, Some(130), "{context}");
    }
}

/// The store stands still with the run's lock in it: the first signal waits for
/// it a while, the second does not.
fn second_signal_ends_at_once(trial: &mut Trial) {
    let folder = "twice";
    trial.begin(folder);
    let mut run = Working(trial.renewing(folder, trial.server.port));
    let begun = Instant::now();
    while trial.outside.record(folder, "lease.json").is_none_or(|lease| lease["state"] != "held") {
        assert!(begun.elapsed() < ENDS_WITHIN && !run.has_ended(), "it never holds the lock");
        sleep(LOOK_PAUSE);
    }
    trial.server.signal("STOP");
    run.signal("TERM");
    sleep(Duration::from_millis(500));
    assert!(!run.has_ended(), "it gives its lock back, and nobody answers");
    let asked = Instant::now();
    run.signal("TERM");
    let code = ended(&mut run, "the second signal");
    trial.server.signal("CONT");
    assert_eq!(code, Some(130));
    assert!(asked.elapsed() < Duration::from_secs(2), "it took {:?}", asked.elapsed());
    // Now the lock has to run out, or to be taken away.
    let next = trial.renew(folder, trial.server.port, &[]);
    assert_eq!(next.code, 4, "{}", next.text);
    let freed = trial.other(folder, &["unlock", "pipelines/p.yaml", "--force"]);
    assert_eq!(freed.code, 0, "{}", freed.text);
    trial.recovers(folder).expect("the next run publishes");
}

impl Server {
    /// Sends a signal to its process.
    fn signal(&self, name: &str) {
        let process = self.process().expect("a process of its own");
        super::signal(process, name);
    }
}

/// On a disk, by each of the signals.
#[test]
fn runs_that_are_terminated_on_a_disk_are_noted() {
    let project = small_project();
    let begun = Instant::now();
    project.run_with(SECOND, &["--full-refresh"]);
    let length = begun.elapsed();
    let expected = project.published();
    let cases = signals() / 4;
    let (mut interrupted, mut noted) = (0, 0);
    for number in 0..cases {
        let after = delay(length, number, cases);
        let mut run = Working(start(&project, &["--as-of", SECOND, "--full-refresh"]));
        sleep(after);
        let signal = ["TERM", "INT", "HUP"][number % 3];
        run.signal_if_alive(signal);
        let context = format!("{signal} after {after:?}");
        let code = ended(&mut run, &context);
        assert!(matches!(code, Some(0 | 130) | None), "{context}: {code:?}");
        let runs = project.tenure(&["runs", "pipelines/p.yaml", "--limit", "1"]).stdout;
        assert!(!runs.contains(" died "), "{context}: {runs}");
        interrupted += usize::from(code == Some(130));
        // Before it has the lock there is nothing to note.
        noted += usize::from(runs.contains(" interrupted "));
        assert!(project.published() == expected, "{context}: what is published is whole");
        project.run_with(SECOND, &["--full-refresh"]);
    }
    println!("{interrupted} of {cases} were interrupted, {noted} with the lock in hand");
    assert!(interrupted * 2 > cases && noted > 0, "only {interrupted} and {noted}");
}

/// As `nohup` starts a process, which is to outlive its terminal.
#[test]
fn a_signal_that_is_to_be_ignored_is_ignored() {
    let place = Place::new(None);
    let arguments = "run pipelines/p.yaml --as-of 2025-12-31 --log json";
    let mut command = std::process::Command::new("sh");
    let exec = format!("trap '' HUP; exec {} {arguments}", env!("CARGO_BIN_EXE_tenure"));
    command.args(["-c", &exec]).current_dir(place.project.path(""));
    let halted = halted_at(command, "started", 1);
    halted.signal("HUP");
    let (code, said) = halted.go_on();
    assert_eq!(code, Some(0), "{said}");
}

/// Of a range of days those before are published; the rest, and what the day
/// had staged, is for `retry`, which can be interrupted in its turn.
#[test]
fn a_range_that_is_interrupted_is_gone_on_with() {
    let place = Place::new(None);
    let range = ["run", "pipelines/p.yaml", "--from", FIRST, "--to", SECOND, "--full-refresh"];
    let first = interrupted(&place, &range, ("table", first_of_second_day(&place, &range)));
    let again = interrupted(&place, &["retry", "pipelines/p.yaml"], ("started", 1));
    assert_ne!(first, again);
    let retried = place.tenure(&["retry", "pipelines/p.yaml"]);
    assert_eq!(retried.code, 0, "{}", retried.stderr);
    assert!(retried.stderr.contains(&format!("staged by run {first}")), "{}", retried.stderr);
    let runs = place.tenure(&["runs", "pipelines/p.yaml"]).stdout;
    assert_eq!(runs.matches(" interrupted ").count(), 2, "{runs}");
    place.shows_what_is_named();
}

/// How many tables a range of two days has told when the first that is
/// published of the second day is among them.
fn first_of_second_day(place: &Place, range: &[&str]) -> usize {
    let whole = place.tenure(&[range, &["--log", "json"]].concat());
    assert_eq!(whole.code, 0, "{}", whole.stderr);
    let events =
        whole.stderr.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let (mut days, mut tables) = (0, 0);
    for event in events {
        days += usize::from(event["event"] == "started");
        tables += usize::from(event["event"] == "table");
        if days == 2 && event["event"] == "table" && event["role"] == "published" {
            return tables;
        }
    }
    panic!("no table of the second day: {}", whole.stderr);
}

/// Interrupts a command as soon as it has said an event so many times; the run
/// it was at.
fn interrupted(place: &Place, arguments: &[&str], (event, times): (&str, usize)) -> String {
    let halted = halted_at(place.command(arguments), event, times);
    let run = run_id(&halted.events);
    halted.signal("TERM");
    let (code, said) = halted.go_on();
    assert_eq!(code, Some(130), "{said}");
    let last: Value = serde_json::from_str(said.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["message"], "interrupted; what was published before is whole", "{said}");
    let shown = place.tenure(&["show", "pipelines/p.yaml", "no_table", "--run", &run]).stderr;
    assert!(shown.contains("it was interrupted "), "{shown}");
    run
}

/// Two tables over a few orders, on a disk.
fn small_project() -> Project {
    let project = Project::new();
    project.orders("orders/1.parquet", ORDERS);
    project.pipeline("facts.customers, metrics.repurchase_steps", "");
    project.run(SECOND);
    project
}

fn start(project: &Project, more: &[&str]) -> Child {
    let mut command = project.command(&[&["run", "pipelines/p.yaml"], more].concat());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the binary starts")
}

const ORDERS: &str = "
    order_id,customer_id,ordered_at,amount
    1,1,2025-01-03T10:00:00,10.00
    2,1,2025-03-03T10:00:00,11.00
    3,2,2025-02-03T10:00:00,12.50
    4,3,2025-12-30T08:00:00,20.00
    5,2,2025-12-31T09:00:00,31.00
";
