//! `minroot completions` and `minroot man`: what clap knows about the command line, for shells and for man(1).

use super::Outcome;
use super::args::Arguments;
use clap::CommandFactory;
use clap_complete::Shell;
use std::path::Path;

pub fn completions(shell: Shell) -> anyhow::Result<Outcome> {
    clap_complete::generate(shell, &mut Arguments::command(), "minroot", &mut std::io::stdout().lock());
    Ok(Outcome::Done)
}

/// All pages into a directory, or the first one to standard output.
pub fn man(directory: Option<&Path>) -> anyhow::Result<Outcome> {
    let command = Arguments::command();
    match directory {
        Some(directory) => clap_mangen::generate_to(command, directory)?,
        None => clap_mangen::Man::new(command).render(&mut std::io::stdout().lock())?,
    }
    Ok(Outcome::Done)
}
