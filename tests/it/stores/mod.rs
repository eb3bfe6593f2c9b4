//! One suite over every kind of place that can be published to: a disk, and
//! object stores over HTTP that run on this machine.

mod answer;
mod crowd;
mod delta;
mod delta_sources;
mod faults;
mod gcs;
mod kills;
mod outside;
mod proxy;
mod readers;
mod refusals;
mod server;
mod signals;
mod trial;
mod verify;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use bytes::Bytes;
use tenure::storage::{self, Location};

use crate::project::{Outcome, Project, killed_at, run_id, signal};
use outside::Outside;
use server::Server;

/// The first and the second day that are published.
const FIRST: &str = "2025-12-30";
const SECOND: &str = "2025-12-31";

/// What a run publishes: a table of each kind.
const TABLES: &str = "facts.orders, facts.customers, metrics.cohort_retention, \
    metrics.rfm_segments, metrics.customer_value";

/// Looks at a run until it has got somewhere, fifty milliseconds apart.
const LOOKS_MAX: usize = 2400;

/// Whether everything is tried, which takes an hour, and not a sample.
fn is_thorough() -> bool {
    std::env::var("FAULTS").is_ok_and(|faults| faults == "all")
}

/// A project that publishes somewhere.
struct Place {
    project: Project,
    server: Option<Server>,
}

impl Place {
    fn new(server: Option<Server>) -> Self {
        let project = Project::new();
        let made = ["generate", "data", "--customers", "4000", "--months", "24", "--seed", "7"];
        assert_eq!(project.tenure(&made).code, 0);
        let text = format!(
            "pipeline: p\nsources:\n  orders:\n    url: data/orders\ntables: [{TABLES}]\n\
             publish:\n  url: ${{WAREHOUSE_URL:-out}}\n  keep_runs: 2\n"
        );
        project.file("pipelines/p.yaml", &text);
        Self { project, server }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.project.command(arguments);
        if let Some(server) = &self.server {
            command.env("WAREHOUSE_URL", &server.url).envs(server.environment.iter().cloned());
        }
        command
    }

    fn tenure(&self, arguments: &[&str]) -> Outcome {
        let output = self.command(arguments).output().expect("the binary starts");
        Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The target as anybody sees it who reads it without the program.
    fn outside(&self) -> Outside {
        let base = self.project.path("");
        match &self.server {
            Some(server) => Outside::new(&server.url, &base, &server.within),
            None => Outside::new("out", &base, &[]),
        }
    }

    fn run(&self, as_of: &str, more: &[&str]) -> Outcome {
        self.tenure(&[&["run", "pipelines/p.yaml", "--as-of", as_of], more].concat())
    }

    fn publishes(&self, as_of: &str, more: &[&str]) {
        let outcome = self.run(as_of, more);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    }

    /// The folders of the tables show what the manifest names, and `verify` says
    /// so, too.
    fn shows_what_is_named(&self) {
        let outside = self.outside();
        let named = outside.whole("").expect("whole");
        assert_eq!(outside.shown(""), named.shown(), "the folders show the same");
        let verified = self.tenure(&["verify", "pipelines/p.yaml"]);
        assert_eq!(verified.code, 0, "{}", verified.stderr);
    }

    /// All that is published of a day, as text.
    fn published(&self, as_of: &str) -> Vec<String> {
        let tables = TABLES.split(", ").map(str::trim);
        let shown = tables.map(|table| {
            let show = ["show", "pipelines/p.yaml", table, "--as-of", as_of, "--format", "csv"];
            let outcome = self.tenure(&show);
            assert_eq!(outcome.code, 0, "{table}: {}", outcome.stderr);
            outcome.stdout
        });
        shown.collect()
    }

    /// Where it publishes, as others are told it.
    fn url(&self) -> String {
        match &self.server {
            Some(server) => server.url.clone(),
            None => self.project.path("out").display().to_string(),
        }
    }

    fn location(&self) -> Location {
        let environment = self.server.as_ref().map(Server::told).unwrap_or_default();
        let open = storage::open(&self.url(), Path::new("/"), &environment, &BTreeMap::new());
        open.expect("a place")
    }

    /// An object that must be there.
    fn bytes(&self, relative: &str) -> Bytes {
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        let found = runtime.block_on(self.location().get(relative));
        found.expect("an answer").expect("an object")
    }

    /// The files of a day that every other engine reads, as they are stored:
    /// their names and bytes.
    fn stored(&self, as_of: &str) -> Vec<(String, Bytes)> {
        let location = self.location();
        let day = format!("/as_of={as_of}/");
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        runtime.block_on(async {
            let listed = location.list("").await.expect("a listing");
            let mut names: Vec<String> = listed.into_iter().map(|(name, _)| name).collect();
            names.retain(|name| name.contains(&day) && !name.starts_with("_tenure"));
            names.sort();
            let mut files = Vec::new();
            for name in names {
                let bytes = location.get(&name).await.expect("an answer").expect("a file");
                files.push((name, bytes));
            }
            files
        })
    }

    /// A run under way that makes everything.
    fn start(&self, as_of: &str) -> Working {
        let mut command =
            self.command(&["run", "pipelines/p.yaml", "--as-of", as_of, "--full-refresh"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Working(command.spawn().expect("the binary starts"))
    }

    /// The same, once it has the lock.
    fn working(&self, as_of: &str) -> Working {
        let mut working = self.start(as_of);
        for _ in 0..LOOKS_MAX {
            let held = self.tenure(&["unlock", "pipelines/p.yaml", "--dry-run"]);
            if held.stdout.contains(&format!("process {},", working.0.id())) {
                return working;
            }
            let ended = working.0.try_wait().expect("a status");
            assert!(ended.is_none(), "the run ended before it was seen: {ended:?}");
            sleep(Duration::from_millis(50));
        }
        panic!("the run never held the lock");
    }
}

/// A run under way.
struct Working(Child);

impl Working {
    fn signal(&self, name: &str) {
        signal(&self.0, name);
    }

    fn signal_if_alive(&mut self, name: &str) {
        if !self.has_ended() {
            self.signal(name);
        }
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("a status").is_some()
    }

    fn wait(&mut self) -> Option<i32> {
        self.0.wait().expect("a status").code()
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Publish, add a day, replace one, crash, retry, two at once, a paused holder, unlock,
/// collect, read back.
fn conforms(place: &Place) {
    let local = Place::new(None);
    local.publishes(FIRST, &[]);
    let expected = local.published(FIRST);

    place.publishes(FIRST, &[]);
    assert!(place.published(FIRST) == expected, "what is read back is what was published");
    place.publishes(SECOND, &[]);
    assert!(place.published(FIRST) == expected, "another day leaves the first alone");
    let second = place.published(SECOND);
    let again = place.run(SECOND, &[]);
    assert!(again.stdout.contains("nothing to do") || again.stderr.contains("nothing to do"));
    place.shows_what_is_named();
    place.publishes(SECOND, &["--param", "discount_rate=0.2"]);
    assert!(place.published(SECOND) != second, "a day is replaced");
    assert!(place.published(FIRST) == expected, "and the other is not");
    place.shows_what_is_named();
    place.publishes(SECOND, &[]);
    assert!(place.published(SECOND) == second);
    place.shows_what_is_named();

    // Taken back, and published again.
    let withdrawn = place.tenure(&["withdraw", "pipelines/p.yaml", "--as-of", SECOND]);
    assert_eq!((withdrawn.code, withdrawn.stderr.as_str()), (0, ""));
    let days: Vec<String> = place.outside().named("").runs.into_keys().collect();
    assert_eq!(days, [format!("as_of={FIRST}")]);
    place.shows_what_is_named();
    place.publishes(SECOND, &[]);
    assert!(place.published(SECOND) == second);
    place.shows_what_is_named();

    // Killed at any time, the last published set stands.
    for delay in [0, 300, 900, 1800] {
        let mut killed = place.working(SECOND);
        sleep(Duration::from_millis(delay));
        killed.signal("KILL");
        killed.wait();
        assert!(place.published(SECOND) == second, "killed after {delay} ms");
        let outcome = place.tenure(&["unlock", "pipelines/p.yaml", "--force"]);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    }

    goes_on(place, &second);
    goes_on_with_a_range(place, &expected, &second);

    // One at a time.
    let mut first = place.working(SECOND);
    first.signal("STOP");
    let other = place.run(SECOND, &["--full-refresh"]);
    assert_eq!(other.code, 4, "{}", other.stderr);
    let alive = place.tenure(&["unlock", "pipelines/p.yaml"]);
    assert_eq!(alive.code, 4, "the living keep their lock: {}", alive.stdout);
    // A holder that was paused past its lock cannot publish, whenever it wakes.
    let forced = place.tenure(&["unlock", "pipelines/p.yaml", "--force"]);
    if place.server.is_some() {
        assert_eq!(forced.code, 0, "{}", forced.stderr);
        place.publishes(SECOND, &["--param", "discount_rate=0.3"]);
        let newest = place.published(SECOND);
        first.signal("CONT");
        assert_eq!(first.wait(), Some(1), "who lost the lock fails");
        assert!(place.published(SECOND) == newest, "and has published nothing");
    } else {
        // On a disk the paused process still has the file locked.
        first.signal("CONT");
        first.wait();
    }

    place.publishes(SECOND, &["--full-refresh"]);
    let listed = place.tenure(&["gc", "pipelines/p.yaml", "--keep-runs", "0", "--dry-run"]);
    assert!(listed.stdout.contains("would be removed"), "{}{}", listed.stdout, listed.stderr);
    let removed = place.tenure(&["gc", "pipelines/p.yaml", "--keep-runs", "0"]);
    assert!(removed.stdout.contains(", removed"), "{}{}", removed.stdout, removed.stderr);
    let nothing = place.tenure(&["gc", "pipelines/p.yaml", "--keep-runs", "0"]);
    assert_eq!(nothing.stdout, "nothing to remove\n");
    crowd::one_works(place);
    assert!(place.published(SECOND) == second && place.published(FIRST) == expected);
    assert_eq!(
        place.tenure(&["unlock", "pipelines/p.yaml"]).stdout.split(' ').next(),
        Some("nobody")
    );
}

/// Killed with some tables staged, a run is gone on with, and what is stored is
/// the same to the byte as what a run stores that nobody disturbs.
fn goes_on(place: &Place, second: &[String]) {
    place.publishes(SECOND, &["--full-refresh"]);
    let expected = place.stored(SECOND);
    assert!(expected.len() > 5, "{} files", expected.len());
    let all = ["run", "pipelines/p.yaml", "--as-of", SECOND, "--full-refresh"];
    let killed = run_id(&killed_at(place.command(&all), "table", 2));
    if place.server.is_some() {
        let early = place.tenure(&["retry", "pipelines/p.yaml"]);
        assert_eq!(early.code, 4, "its lock has not run out: {}", early.stderr);
    }
    place.tenure(&["unlock", "pipelines/p.yaml", "--force"]);
    let retried = place.tenure(&["retry", "pipelines/p.yaml"]);
    assert_eq!(retried.code, 0, "{}", retried.stderr);
    let reused = retried.stderr.matches(&format!("staged by run {killed}")).count();
    assert!(reused >= 2, "{}", retried.stderr);
    assert!(place.published(SECOND) == second, "what is read back is the same");
    let stored = place.stored(SECOND);
    assert!(stored == expected, "what is stored is the same to the byte");
    let again = place.tenure(&["retry", "pipelines/p.yaml"]);
    assert_eq!(again.code, 2, "nothing is left to do: {}", again.stdout);
    let listed = place.tenure(&["runs", "pipelines/p.yaml"]);
    assert!(listed.stdout.contains(&format!("retry of {killed}")), "{}", listed.stdout);
}

/// A range of days that was killed behind its first is gone on with, too.
fn goes_on_with_a_range(place: &Place, first: &[String], second: &[String]) {
    let range = ["run", "pipelines/p.yaml", "--from", FIRST, "--to", SECOND, "--full-refresh"];
    let killed = run_id(&killed_at(place.command(&range), "started", 2));
    place.tenure(&["unlock", "pipelines/p.yaml", "--force"]);
    let retried = place.tenure(&["retry", "pipelines/p.yaml"]);
    assert_eq!(retried.code, 0, "{}", retried.stderr);
    assert!(place.published(FIRST) == first && place.published(SECOND) == second);
    let listed = place.tenure(&["runs", "pipelines/p.yaml"]);
    assert!(listed.stdout.contains(&format!("retry of {killed}")), "{}", listed.stdout);
}

/// A server that listens may not be ready to take anything yet.
fn ready(server: Server) -> Place {
    let place = Place::new(Some(server));
    for _ in 0..30 {
        if place.run(FIRST, &["--select", "metrics.cohort_retention"]).code == 0 {
            return place;
        }
        sleep(Duration::from_secs(1));
    }
    let outcome = place.run(FIRST, &[]);
    panic!("the server takes nothing: {}", outcome.stderr);
}

#[test]
fn a_disk_conforms() {
    conforms(&Place::new(None));
}

#[test]
fn seaweedfs_conforms() {
    let Some(server) = server::seaweedfs() else { return };
    conforms(&ready(server));
}

#[test]
fn moto_conforms() {
    let Some(server) = server::moto() else { return };
    conforms(&ready(server));
}

#[test]
fn azurite_conforms() {
    let Some(server) = server::azurite() else { return };
    conforms(&ready(server));
}

#[test]
fn the_stand_in_for_gcs_conforms() {
    conforms(&ready(server::gcs()));
}

/// It takes a condition and overwrites all the same.
#[test]
fn a_store_that_ignores_conditions_is_refused() {
    let Some(server) = server::s3rver() else { return };
    let place = Place::new(Some(server));
    let outcome = place.run(FIRST, &[]);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("single_writer"), "{}", outcome.stderr);
}
