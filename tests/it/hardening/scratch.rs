//! A temporary folder that others may write to.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::time::{Duration, Instant};

use super::small;

/// A run must be over long before a pipe that nobody writes to would be.
const SECONDS_MAX: u64 = 60;

#[test]
fn what_others_put_into_the_temporary_folder_neither_halts_a_run_nor_is_followed() {
    let project = small();
    let folder = |name: &str| {
        let folder = project.path("shared").join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    };
    let pipe = folder("tenure-pipe").join("owner");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    std::fs::set_permissions(folder("tenure-pipe"), PermissionsExt::from_mode(0o700)).expect("set");
    let mine = folder("mine");
    std::fs::write(mine.join("owner"), "").expect("a file");
    symlink(&mine, project.path("shared/tenure-link")).expect("a link");
    let dead = folder("tenure-dead");
    std::fs::write(dead.join("owner"), "").expect("a file");
    std::fs::set_permissions(&dead, PermissionsExt::from_mode(0o700)).expect("set");

    let mut command = project.command(&["run", "pipelines/p.yaml", "--as-of", "2024-06-30"]);
    command.env("TMPDIR", project.path("shared"));
    let mut run = command.spawn().expect("the binary starts");
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = run.try_wait().expect("a status") {
            break status;
        }
        if begun.elapsed() > Duration::from_secs(SECONDS_MAX) {
            run.kill().expect("it runs");
            panic!("the run waits for a pipe");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success());
    assert!(pipe.exists() && mine.join("owner").exists());
    assert!(!dead.exists(), "what a dead run left is removed");
}

#[test]
fn nobody_else_can_look_into_a_scratch_folder() {
    let project = small();
    std::fs::create_dir_all(project.path("tmp")).expect("a folder");
    let mut command = project.command(&["run", "pipelines/p.yaml", "--as-of", "2024-06-30"]);
    command.env("TMPDIR", project.path("tmp"));
    let _halted = Killed(crate::project::halted_at(command, "working", 1));
    let folders: Vec<_> = std::fs::read_dir(project.path("tmp"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").metadata().expect("there").permissions().mode())
        .collect();
    assert!(!folders.is_empty());
    assert!(folders.iter().all(|mode| mode & 0o077 == 0), "{folders:?}");
}

/// Ends the run whatever the test says.
struct Killed(crate::project::Halted);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill();
    }
}
