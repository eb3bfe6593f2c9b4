//! Two runs at once, and runs that die: one works, what is published stays
//! whole, and nobody has to clean up.

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::{GENERATED_AS_OF, assert_same, generated, paths, pipeline_of_generated};
use crate::project::Project;

/// How long a run may take to reach a point, in looks of ten milliseconds.
const LOOKS_MAX: usize = 12_000;

/// Everything, so that a run has something to do whatever stands.
const RUN: [&str; 5] = ["run", "pipelines/p.yaml", "--as-of", GENERATED_AS_OF, "--full-refresh"];

/// A run that is under way.
struct Running(Child);

impl Running {
    fn start(project: &Project) -> Self {
        let mut command = project.command(&RUN);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("the binary starts"))
    }

    /// Waits until the run has reached a point; false if it ended before.
    fn until(&mut self, reached: impl Fn() -> bool) -> bool {
        for _ in 0..LOOKS_MAX {
            if reached() {
                return true;
            }
            if self.0.try_wait().expect("a status").is_some() {
                return false;
            }
            sleep(Duration::from_millis(10));
        }
        panic!("the run does not get there");
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.0.id());
        let status = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
        assert!(status.success(), "{kill}");
    }

    fn wait(&mut self) -> Option<i32> {
        self.0.wait().expect("a status").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn of_two_runs_at_once_one_works_and_the_other_says_who_does() {
    let project = generated();
    pipeline_of_generated(&project, "");
    let mut first = Running::start(&project);
    let is_staging = || !paths(&project, "out/_tenure/sets/*/*").is_empty();
    assert!(first.until(is_staging), "the first run ended too soon");
    // Stopped, it holds the lock as long as the test needs.
    first.signal("STOP");
    let second = project.tenure(&RUN);
    assert_eq!(second.code, 4, "{}", second.stderr);
    let set = &paths(&project, "out/_tenure/sets/*")[0];
    let holder = set.file_name().expect("a name").to_string_lossy().into_owned();
    let process = format!("process {}", first.0.id());
    for part in ["another run is working on this target since 2", &holder, &process] {
        assert!(second.stderr.contains(part), "{part} is missing in\n{}", second.stderr);
    }
    assert!(project.published().is_empty(), "nothing is published yet");
    first.signal("CONT");
    assert_eq!(first.wait(), Some(0), "the first run goes on undisturbed");
    assert!(!project.published().is_empty());
    let shown = project.tenure(&["runs", "pipelines/p.yaml"]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
}

#[test]
fn a_run_that_is_killed_leaves_the_last_set_whole_and_does_not_block_the_next() {
    let project = generated();
    pipeline_of_generated(&project, "");
    project.run(GENERATED_AS_OF);
    let expected = project.published();
    let shown = project.table("metrics.rfm_segments");
    let sets = || paths(&project, "out/_tenure/sets/*").len();
    for staged_tables in [0, 1, 8, 20] {
        let before = paths(&project, "out/_tenure/sets/*/*/*/*.parquet").len();
        // With its first step written: before that a run leaves no trace.
        let runs = || paths(&project, "out/_tenure/runs/*/000000.json").len();
        let runs_before = runs();
        let mut run = Running::start(&project);
        let reached = || {
            runs() > runs_before
                && paths(&project, "out/_tenure/sets/*/*/*/*.parquet").len()
                    >= before + staged_tables
        };
        assert!(run.until(reached), "the run ended before {staged_tables} tables");
        run.signal("KILL");
        run.wait();
        assert_same(&expected, &project.published(), "after a kill");
        assert_eq!(shown, project.table("metrics.rfm_segments"), "by the manifest");
    }
    let listed = project.tenure(&["runs", "pipelines/p.yaml"]);
    assert_eq!(listed.stdout.matches(" died ").count(), 4, "{}", listed.stdout);
    project.run_with(GENERATED_AS_OF, &["--full-refresh"]);
    assert_same(&expected, &project.published(), "the next run");
    assert!(sets() <= 2, "the sets of the dead are cleared away: {}", sets());
}

#[test]
fn a_run_that_is_interrupted_says_so_and_publishes_nothing() {
    let project = generated();
    pipeline_of_generated(&project, "");
    let mut run = Running::start(&project);
    let is_staging = || !paths(&project, "out/_tenure/sets/*/*").is_empty();
    assert!(run.until(is_staging), "the run ended too soon");
    run.signal("TERM");
    assert_eq!(run.wait(), Some(130));
    assert!(project.published().is_empty());
    project.run(GENERATED_AS_OF);
    assert!(!project.published().is_empty());
}
