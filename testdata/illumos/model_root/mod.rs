//! Makes a model of an illumos root from the tables beside this directory: every file, directory and link of the
//! chosen packages, with ELF objects whose dynamic sections say what the tables say.
//!
//! ```text
//! tables ─► selection ─► tree ◄── objects, modules ◄── elf
//!                         ▲ ├─► contents (var/sadm/install/contents)
//!                         │ └─► write (files, links, times, metadata)
//!                       files ◄── databases, configuration, services, boot
//! ```
//!
//! Nothing in such a root can run: objects have no code and no symbols, and most data files say only what they are. The
//! same options give the same bytes.

#![allow(dead_code, reason = "the command and the tests each use a part")]

mod accounts;
mod boot;
mod configuration;
mod contents;
mod databases;
pub mod elf;
mod error;
mod files;
mod modules;
mod objects;
mod pe;
mod selection;
mod services;
pub mod tables;
mod tree;
mod write;

pub use error::ModelError;
pub use tables::Year;

use std::fs;
use std::path::{Path, PathBuf};

/// What to make.
#[derive(Debug, Clone)]
pub struct Options {
    pub year: Year,
    /// IPS or Tribblix names; all packages of the year when empty.
    pub packages: Vec<String>,
}

/// What was made, counted in paths; directories only on the way to something and files of the generator's own
/// are not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Packages asked for, whether or not they deliver anything.
    pub packages: usize,
    pub directories: usize,
    pub files: usize,
    pub links: usize,
    pub hard_links: usize,
    /// Executables and libraries, among the files.
    pub objects: usize,
    /// Kernel modules, among the files.
    pub modules: usize,
}

/// Makes the root in `directory`, which must be empty or not exist.
///
/// # Errors
/// [`ModelError`]: an unknown package, a damaged table, or a host path that cannot be written.
pub fn generate(options: &Options, directory: &Path) -> Result<Summary, ModelError> {
    let tables = tables::Tables::load(options.year)?;
    let chosen = selection::select(&tables, &options.packages)?;
    let tree = tree::Tree::plan(&tables, &chosen)?;
    write::write(&tree, options.year, directory)?;
    Ok(tree.summary(chosen.len()))
}

/// Makes the root below `parent` unless the same one is there from an earlier run: writing 30,000 files takes longer than
/// planning them. Gives its path; nobody may change what is there.
///
/// # Errors
/// As [`generate`].
pub fn generate_once(options: &Options, parent: &Path) -> Result<PathBuf, ModelError> {
    let tables = tables::Tables::load(options.year)?;
    let tree = tree::Tree::plan(&tables, &selection::select(&tables, &options.packages)?)?;
    let root = parent.join(format!("model-root-{}", tree.digest(options.year)));
    if root.exists() {
        return Ok(root);
    }
    // Half a root never has the final name.
    let failed = |source| ModelError::Write { path: root.clone(), source };
    let unfinished = tempfile::tempdir_in(parent).map_err(failed)?;
    write::write(&tree, options.year, unfinished.path())?;
    match fs::rename(unfinished.path(), &root) {
        Err(_) if root.exists() => Ok(root), // another process was faster
        renamed => renamed.map(|()| root.clone()).map_err(failed),
    }
}

/// A number that depends on the text alone (FNV-1a): it spreads variants over names, the same on every machine.
fn spread(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)) >> 7
}
