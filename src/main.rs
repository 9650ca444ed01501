//! The `minroot` command: see [`minroot::cli`].

use std::process::ExitCode;

/// A trace makes many small allocations on all threads and frees nearly none.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    minroot::cli::main(std::env::args_os())
}
