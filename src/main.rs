//! The process boundary: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    tenure::cli::main(&arguments, |code| std::process::exit(i32::from(code)))
}
