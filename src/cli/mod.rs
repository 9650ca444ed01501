//! The only code that reads the command line and the environment, and the only one that writes to the terminal.
//!
//! Data goes to standard output and everything else to standard error, so that every command can be piped.

mod args;
mod boot;
mod build;
mod diff;
mod fetch;
mod graph;
mod images;
mod progress;
mod report;
mod rules;
mod sbom;
mod setting;
mod shell;
mod size;
mod sizes;
mod trace;
mod tree;
mod verify;
mod why;

use args::{Arguments, Command};
use clap::Parser;
use std::ffi::OsString;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done, or the answer is yes.
    Done,
    /// The answer is no: a required reference is missing, an image would not start, a path is not in.
    No,
}

/// The exit code for bad usage and unreadable input: it could not be told.
const COULD_NOT_TELL: u8 = 2;

/// Runs one command line, the program's name included.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are answers; clap prints them to standard output by itself.
            let usage = error.use_stderr();
            return match error.print() {
                Ok(()) if !usage => ExitCode::SUCCESS,
                _ => ExitCode::from(COULD_NOT_TELL),
            };
        }
    };
    if arguments.quiet {
        report::be_quiet();
    }
    work_on_this_thread_too();
    match run(arguments) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::from(1),
        Err(error) if report::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            report::error(&error);
            ExitCode::from(COULD_NOT_TELL)
        }
    }
}

/// Makes this thread one of those that share the work, instead of waiting for them: short commands end before as many
/// others have started. There has to be another one for work that comes up while this thread waits, so nothing changes
/// on a single processor, or where the user sets the number of threads.
fn work_on_this_thread_too() {
    let is_set = std::env::var_os("RAYON_NUM_THREADS").is_some();
    let has_company = std::thread::available_parallelism().is_ok_and(|count| count.get() > 1);
    if has_company && !is_set {
        // It fails where the threads are there already, which then do the work.
        let _ = rayon::ThreadPoolBuilder::new().use_current_thread().build_global();
    }
}

fn run(arguments: Arguments) -> anyhow::Result<Outcome> {
    match arguments.command {
        Command::Fetch(options) => fetch::run(&options),
        Command::Trace(options) => trace::run(&options),
        Command::Why(options) => why::run(&options),
        Command::Size(options) => size::run(&options),
        Command::Diff(options) => diff::run(&options),
        Command::Tree(options) => tree::run(&options),
        Command::Graph(options) => graph::run(&options),
        Command::Pack(options) => images::pack(&options),
        Command::Iso(options) => images::iso(&options),
        Command::Pxe(options) => images::pxe(&options),
        Command::Sbom(options) => sbom::run(&options),
        Command::Verify(options) => verify::run(&options),
        Command::Boot(options) => boot::run(&options),
        Command::Build(options) => build::run(&options),
        Command::Rules(options) => rules::run(&options),
        Command::ExplainRule(options) => rules::explain(&options),
        Command::Completions { shell } => shell::completions(shell),
        Command::Man { directory } => shell::man(directory.as_deref()),
    }
}
