//! The `minroot` command: see [`minroot::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    minroot::cli::main(std::env::args_os())
}
