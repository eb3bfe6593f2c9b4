//! The process boundary: arguments in, exit code out.

use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Builder;

/// How long an interrupted run's threads may take to notice.
const GRACE: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the program's threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(tenure::cli::main(std::env::args_os().collect()));
    runtime.shutdown_timeout(GRACE);
    code
}
