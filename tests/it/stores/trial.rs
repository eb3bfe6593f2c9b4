//! A small project on a real store, and what must hold whatever goes wrong:
//! the same start for each case, and one judge of how it ended.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use super::outside::{Named, Outside};
use super::proxy::{Proxy, Strike};
use super::server::Server;
use super::{FIRST, SECOND};
use crate::project::Project;

/// What is published before each case.
const SEED: &str = "seed";

/// A store, a small project, and what a run makes of it.
pub struct Trial {
    project: Project,
    pub server: Server,
    /// The whole bucket.
    pub outside: Outside,
    /// What stands before a case, and what a run that succeeds makes of it.
    pub old: Named,
    pub new: Named,
    /// The requests of such a run, in their order.
    pub requests: Vec<String>,
}

/// What a command said, and its exit code.
pub struct Said {
    pub code: i32,
    pub text: String,
}

impl Trial {
    /// Two days of which the second will be replaced, from one file more: a run
    /// reads pieces of the history and a new file, and removes a set.
    pub fn new(server: Server) -> Self {
        Self::with(server, "")
    }

    /// The same over Delta tables.
    pub fn of_delta(server: Server) -> Self {
        Self::with(server, "  format: delta\n")
    }

    fn with(server: Server, more: &str) -> Self {
        let project = Project::new();
        project.orders("orders/1.parquet", ORDERS).orders("orders/2.parquet", MORE_ORDERS);
        project.file("pipelines/p.yaml", &format!("{PIPELINE}{more}"));
        let outside = Outside::new(&server.bucket, &project.path(""), &server.within);
        outside.wait_until_ready();
        for name in ["orders/1.parquet", "orders/2.parquet"] {
            outside.put(name, std::fs::read(project.path(name)).expect("a file"));
        }
        let (old, new) = Default::default();
        let mut trial = Self { project, server, outside, old, new, requests: Vec::new() };
        for day in [FIRST, SECOND] {
            let mut command = trial.run_of(SEED, "orders/1.parquet", day, trial.server.port);
            let said = spoken(&mut command);
            assert_eq!(said.code, 0, "{}", said.text);
        }
        trial.old = trial.outside.whole(SEED).expect("whole");
        trial.begin("unharmed");
        let proxy = Proxy::start(trial.server.port, Strike::Never);
        let said = trial.renew("unharmed", proxy.port, &[]);
        assert_eq!(said.code, 0, "{}", said.text);
        trial.new = trial.outside.whole("unharmed").expect("whole");
        trial.requests = proxy.requests();
        assert_ne!(trial.old.sums, trial.new.sums, "a day is replaced");
        trial
    }

    /// A folder in which everything is as it was before any case.
    pub fn begin(&self, folder: &str) {
        self.outside.copy_all(SEED, folder);
    }

    /// A run that replaces the second day, through some port.
    pub fn renew(&self, folder: &str, port: u16, more: &[(&str, &str)]) -> Said {
        spoken(self.run_of(folder, "orders/*.parquet", SECOND, port).envs(more.iter().copied()))
    }

    /// The same, under way.
    pub fn renewing(&self, folder: &str, port: u16) -> Child {
        let mut command = self.run_of(folder, "orders/*.parquet", SECOND, port);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("the binary starts")
    }

    fn run_of(&self, folder: &str, orders: &str, day: &str, port: u16) -> Command {
        let mut command = self.command(folder, port, &["run", "pipelines/p.yaml", "--as-of", day]);
        command.env("ORDERS_URL", format!("{}/{orders}", self.server.bucket));
        command
    }

    /// Another command about the target in a folder.
    pub fn other(&self, folder: &str, arguments: &[&str]) -> Said {
        spoken(&mut self.command(folder, self.server.port, arguments))
    }

    /// A command that reads the orders, too.
    pub fn other_with_orders(&self, folder: &str, arguments: &[&str]) -> Said {
        let mut command = self.command(folder, self.server.port, arguments);
        spoken(command.env("ORDERS_URL", format!("{}/orders/*.parquet", self.server.bucket)))
    }

    fn command(&self, folder: &str, port: u16, arguments: &[&str]) -> Command {
        let mut command = self.project.command(arguments);
        command.env("WAREHOUSE_URL", format!("{}/{folder}", self.server.bucket));
        command.env("ORDERS_URL", "orders").envs(self.server.through(port));
        command
    }

    /// What must hold after a run, however it ended: a whole set is published
    /// or none, and the exit code says which.
    pub fn judge(&self, folder: &str, said: &Said) -> Result<(), String> {
        self.judge_freed(folder, said, &["released"])
    }

    /// The same of a run whose lock ends in one of these states.
    pub fn judge_freed(&self, folder: &str, said: &Said, states: &[&str]) -> Result<(), String> {
        let found = self.outside.whole(folder)?;
        let published = found.sums == self.new.sums;
        let lease = self.outside.record(folder, "lease.json").unwrap_or_default();
        let is_secret = |name: &str| name.contains("SECRET") || name.ends_with("ACCOUNT_KEY");
        let mut secrets = self.server.within.iter().filter(|(name, _)| is_secret(name));
        require(published || found.sums == self.old.sums, "half a set is published")?;
        require(published == (said.code == 0), "the exit code is not the truth")?;
        require(said.code == 0 || said.code == 1, "an exit code for something else")?;
        let state = lease["state"].as_str().unwrap_or_default();
        require(states.contains(&state), "the lock was left")?;
        require(secrets.all(|(_, value)| !said.text.contains(value)), "a secret was said")
    }

    /// What must hold after the next run: it publishes, and nothing is left of
    /// what went wrong before.
    pub fn recovers(&self, folder: &str) -> Result<(), String> {
        let next = self.renew(folder, self.server.port, &[]);
        require(next.code == 0, &format!("the next run failed: {}", next.text))?;
        let found = self.outside.whole(folder)?;
        require(found.sums == self.new.sums, "the next run did not publish")?;
        require(self.outside.shown(folder) == found.shown(), "the folders do not show the set")?;
        let newest = self.outside.deltas(folder).into_iter();
        let newest = newest.map(|(table, delta)| (table, delta.version)).collect();
        require(
            self.outside.named_versions(folder) == newest,
            "the manifest names other versions than there are",
        )?;
        if self.sets(folder) != found.paths {
            // Published, but what was old then could not be removed.
            let gc = self.other(folder, &["gc", "pipelines/p.yaml", "--keep-runs", "0"]);
            require(gc.code == 0, &format!("what is left cannot be removed: {}", gc.text))?;
        }
        require(self.sets(folder) == found.paths, "files were left behind")
    }

    /// The files below `_tenure/sets/`, as the manifest would name them.
    fn sets(&self, folder: &str) -> BTreeSet<String> {
        let listed = self.outside.list(&format!("{folder}/_tenure/sets"));
        listed.into_iter().map(|path| path[folder.len() + 1..].to_string()).collect()
    }
}

fn spoken(command: &mut Command) -> Said {
    let output = command.output().expect("the binary starts");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    Said { code: output.status.code().unwrap_or(-1), text }
}

fn require(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_string()) }
}

const PIPELINE: &str = "\
pipeline: p
sources:
  orders:
    url: ${ORDERS_URL}
tables: [facts.customers, metrics.repurchase_steps]
publish:
  url: ${WAREHOUSE_URL}
  keep_runs: 0
";

const ORDERS: &str = "
    order_id,customer_id,ordered_at,amount
    1,1,2025-01-03T10:00:00,10.00
    2,1,2025-03-03T10:00:00,11.00
    3,2,2025-02-03T10:00:00,12.50
";

const MORE_ORDERS: &str = "
    order_id,customer_id,ordered_at,amount
    4,3,2025-12-31T08:00:00,20.00
    5,2,2025-12-31T09:00:00,31.00
";
