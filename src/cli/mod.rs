//! The command line: one file per command, and what they share.
//!
//! Arguments come in, text goes out: results on standard output, everything
//! about the work (progress, warnings, errors) on standard error. What a
//! command *does* stands in `plan`, `run` and `report`.

mod check;
mod conceal;
mod console;
mod fit;
mod gc;
mod generate;
mod init;
mod log;
mod plan;
mod progress;
mod project;
mod request;
mod retry;
mod run;
mod runs;
mod show;
mod signals;
mod standard;
mod unlock;
mod verify;
mod withdraw;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use tokio::runtime::Builder;

use crate::error::Result;
use crate::panics::{self, Panicked};
use console::Console;

/// Turns an order history into the tables a business runs its customers by.
#[derive(Debug, Parser)]
#[command(name = "tenure", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    /// Tell about the work on standard error as text or json
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t = LogFormat::Text,
        value_name = "FORMAT",
        hide_possible_values = true
    )]
    log: LogFormat,

    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0    published, or nothing to do
  1    failed while running; nothing was published, unless the message says so
  2    project, arguments or environment invalid; nothing ran
  3    an audit failed, or too many rows were set aside; nothing was published
  4    another run holds the target
  130  interrupted";

/// How the work is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Lines for people; a bar on a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build, audit and publish the tables of a pipeline.
    Run(run::Arguments),
    /// Go on with the last run that failed or died, as it was.
    Retry(retry::Arguments),
    /// Compile pipelines: SQL, types, headers, rules; no data is touched.
    Check(check::Arguments),
    /// Show what a run would do, and do nothing.
    Plan(plan::Arguments),
    /// Fit models of purchases and spend, and print what they found.
    Fit(fit::Arguments),
    /// Print a published table.
    Show(show::Arguments),
    /// Read what is published and compare it with its checksums.
    Verify(verify::Arguments),
    /// List what was published when, and what failed.
    Runs(runs::Arguments),
    /// Take back a day that should not have been published.
    Withdraw(withdraw::Arguments),
    /// Remove the files of runs that nobody needs any more.
    Gc(gc::Arguments),
    /// Show who holds the target, and take the lock from the dead.
    Unlock(unlock::Arguments),
    /// Write a project to start from.
    Init(init::Arguments),
    /// Make an order history with known truth.
    Generate(generate::Arguments),
}

/// Stack of every thread: what compiles a query walks its tree, and 2,000 operands are
/// a tree of that depth.
const STACK_BYTES: usize = 16 << 20;

/// How long an interrupted run's threads may take to notice.
const GRACE: Duration = Duration::from_millis(500);

/// Ends the process at once with an exit code; only `main.rs` may.
pub type Exit = fn(u8) -> std::convert::Infallible;

/// Runs the program: arguments in (the program's name first), exit code out.
///
/// The runtime is made here and not in `main.rs`, so that the one binary does
/// not compile all that the library's futures are made of a second time.
pub fn main(arguments: &[OsString], exit: Exit) -> ExitCode {
    panics::quiet();
    // The first thread has the stack that the system gives it.
    std::thread::scope(|scope| {
        let first = std::thread::Builder::new().name("tenure".into()).stack_size(STACK_BYTES);
        match first.spawn_scoped(scope, || run_in_runtime(arguments, exit)) {
            Ok(thread) => thread.join().unwrap_or_else(|thrown| {
                failed(&format!("the program has stopped: {}", Panicked::of(thrown.as_ref())))
            }),
            Err(error) => failed(&format!("cannot start the program's threads: {error}")),
        }
    })
}

fn run_in_runtime(arguments: &[OsString], exit: Exit) -> ExitCode {
    let built = Builder::new_multi_thread().enable_all().thread_stack_size(STACK_BYTES).build();
    let runtime = match built {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("cannot start the program's threads: {error}")),
    };
    let code = runtime.block_on(answer(arguments, exit));
    runtime.shutdown_timeout(GRACE);
    code
}

fn failed(why: &str) -> ExitCode {
    // Nobody can be told that standard error is closed.
    let _ = writeln!(std::io::stderr(), "error: {why}");
    ExitCode::FAILURE
}

async fn answer(arguments: &[OsString], exit: Exit) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(answer) => {
            // Where help cannot be printed, there is nobody to tell so.
            let _ = answer.print();
            return ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(2));
        }
    };
    let console = Console::open(cli.log);
    log::install(&console);
    let done = panics::caught(dispatch(cli.command, arguments, &console, exit)).await;
    match done.unwrap_or_else(|panicked| Err(panicked.into())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// What a run was asked to do, from the arguments its journal has.
fn given_to_run(arguments: &[String]) -> Option<run::Arguments> {
    let words = std::iter::once("tenure").chain(arguments.iter().map(String::as_str));
    match Cli::try_parse_from(words).ok()?.command {
        Command::Run(arguments) => Some(arguments),
        _ => None,
    }
}

async fn dispatch(
    command: Command,
    given: &[OsString],
    console: &Console,
    exit: Exit,
) -> Result<()> {
    match command {
        Command::Run(arguments) => {
            run::run(&arguments, given, console, &signals::listen(exit)).await
        }
        Command::Retry(arguments) => {
            retry::retry(&arguments, console, &signals::listen(exit)).await
        }
        Command::Check(arguments) => check::check(&arguments, console).await,
        Command::Plan(arguments) => plan::plan(&arguments, console).await,
        Command::Fit(arguments) => fit::fit(&arguments, console).await,
        Command::Show(arguments) => show::show(&arguments, console).await,
        Command::Verify(arguments) => verify::verify(&arguments, console).await,
        Command::Runs(arguments) => runs::runs(&arguments, console).await,
        Command::Withdraw(arguments) => {
            withdraw::withdraw(&arguments, given, console, &signals::listen(exit)).await
        }
        Command::Gc(arguments) => gc::gc(&arguments, console, &signals::listen(exit)).await,
        Command::Unlock(arguments) => unlock::unlock(&arguments, console).await,
        Command::Init(arguments) => init::init(&arguments, console),
        Command::Generate(arguments) => generate::generate(&arguments, console),
    }
}
