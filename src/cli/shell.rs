//! `minroot completions` and `minroot man`: what clap knows about the command line, for shells and for man(1).

use super::Outcome;
use super::args::Arguments;
use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::Write;
use std::path::Path;

pub fn completions(shell: Shell) -> anyhow::Result<Outcome> {
    // Not to standard output at once: clap_complete panics when that is a pipe somebody has closed.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "minroot", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(Outcome::Done)
}

/// All pages into a directory, which is made if it is not there; or the first one to standard output.
pub fn man(directory: Option<&Path>) -> anyhow::Result<Outcome> {
    let command = Arguments::command();
    match directory {
        Some(directory) => std::fs::create_dir_all(directory)
            .and_then(|()| clap_mangen::generate_to(command, directory))
            .with_context(|| format!("cannot write the manual pages into `{}`", directory.display()))?,
        None => clap_mangen::Man::new(command).render(&mut std::io::stdout().lock())?,
    }
    Ok(Outcome::Done)
}
