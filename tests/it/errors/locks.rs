//! Two runs at once, and a run that is told to stop: exit codes 4 and 130.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use insta::{assert_snapshot, with_settings};

use super::said;
use crate::project::Project;

const RUN: [&str; 4] = ["run", "pipelines/p.yaml", "--as-of", "2025-12-31"];

/// A run that has read its source, and stands still with the lock in hand.
struct Halted(Child);

impl Halted {
    fn run(project: &Project) -> Self {
        let mut command = project.command(&RUN);
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("a line");
        let halted = Self(child);
        halted.signal("STOP");
        assert!(line.starts_with("sources.orders"), "{line}");
        // The rest of what it says goes where it cannot block it.
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        halted
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.0.id());
        let status = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
        assert!(status.success(), "{kill}");
    }

    /// Interrupts it and returns its exit code.
    fn interrupt(mut self) -> Option<i32> {
        self.signal("INT");
        self.signal("CONT");
        self.0.wait().expect("it ends").code()
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        // One that has ended cannot be killed, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn one_run_works_the_other_says_who_does() {
    let project = Project::new();
    project.pipeline("facts.*, metrics.*", "");
    let history = ["generate", ".", "--customers", "2000", "--months", "24", "--seed", "7"];
    assert_eq!(project.tenure(&history).code, 0);

    let first = Halted::run(&project);
    let second = project.tenure(&RUN);
    let filters = vec![
        (r"since \S+ \S+ UTC", "since [TIME] UTC"),
        (r"run \S+ on host \S+, process \d+", "run [RUN] on host [HOST], process [PID]"),
    ];
    with_settings!({filters => filters}, {
        assert_snapshot!(said(&second), @"
        error: another run is working on this target since [TIME] UTC
        --> [TMP]/out
         = cause: run [RUN] on host [HOST], process [PID]
         = help: wait for it, or end its process: the lock ends with it; `tenure unlock --force` lets it live and keeps it from publishing
        exit 4
        ");
    });
    assert_eq!(first.interrupt(), Some(130), "interrupted");
    assert_eq!(project.published(), [], "neither has published");

    // The lock ended with its process: the next run need not wait.
    let third = project.tenure(&RUN);
    assert_eq!(third.code, 0, "{}", third.stderr);
    assert_ne!(project.published(), []);
}

/// The lease is taken away, but not the lock of the operating system: what is in
/// the way is the process that lives on, not the run that is told so.
#[cfg(target_os = "linux")]
#[test]
fn a_run_whose_lease_was_taken_away_is_still_named() {
    let project = Project::new();
    project.pipeline("facts.*, metrics.*", "");
    let history = ["generate", ".", "--customers", "2000", "--months", "24", "--seed", "7"];
    assert_eq!(project.tenure(&history).code, 0);

    let first = Halted::run(&project);
    let forced = project.tenure(&["unlock", "pipelines/p.yaml", "--force"]);
    assert_eq!(forced.code, 0, "{}", forced.stderr);
    let second = project.tenure(&RUN);
    assert_eq!(second.code, 4, "{}", second.stderr);
    let process = format!("process {}\n", first.0.id());
    assert!(second.stderr.contains(&process), "{process}{}", second.stderr);
}
