//! From a reference and its referrer to a path, with every place tried on the way.
//!
//! One file per runtime linker, its search order at the head. What they share is here: the words for a place that was
//! tried ([`Probe`]), and the objects of the root, each read once ([`store`]).

pub mod cpu;
pub mod glibc;
pub mod illumos;
pub mod krtld;
pub mod lazy;
pub mod ldconfig;
pub mod musl;
pub mod store;

use crate::path::RootPath;
use std::fmt;

/// One place that was tried, why there, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The place, spelled as the runtime linker spells it.
    pub path: String,
    pub step: Step,
    pub outcome: Outcome,
}

/// Why a place was tried. The paths are those of the objects whose entry it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    AlreadyLoaded,
    Rpath(RootPath),
    Runpath(RootPath),
    /// A directory of the library path that the user asks for, `LD_LIBRARY_PATH`.
    LibraryPath,
    /// A directory of `ld.so.conf`, which the loader knows through `ld.so.cache`.
    Cache,
    DefaultDirectory,
    /// A directory of musl's path file.
    PathFile(RootPath),
    /// The name has a slash and is used as it is.
    Path,
    /// A directory where the illumos kernel looks for its modules.
    ModulePath,
}

/// What was at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Found,
    Absent,
    /// Another class or machine: the search goes on.
    Skipped(&'static str),
    /// The loader gives up here, with these words.
    Fatal(String),
    /// The place cannot be known: it depends on the working directory or on a token without a value.
    Unusable(&'static str),
}

/// No message of a runtime linker, but what a shell says when SIGBUS has killed it: it maps a file without looking at
/// its length, and the first access to a page behind the end is that signal (mmap(2)).
pub const KILLED: &str = "Bus error";

/// And what it says of SIGSEGV: it followed an address of a table that reads as zeros.
pub const LOST: &str = "Segmentation fault";

/// Whether the words are those of a shell on a program that was killed.
pub fn is_death(words: &str) -> bool {
    matches!(words, KILLED | LOST)
}

/// The directory of a path as a runtime linker spells it, for `$ORIGIN`.
fn directory_of(path: &[u8]) -> &[u8] {
    match memchr::memrchr(b'/', path) {
        Some(0) | None => b"/",
        Some(slash) => &path[..slash],
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::AlreadyLoaded => f.write_str("already loaded"),
            Step::Rpath(object) => write!(f, "rpath of {object}"),
            Step::Runpath(object) => write!(f, "runpath of {object}"),
            Step::LibraryPath => f.write_str("library path"),
            Step::Cache => f.write_str("ld.so.conf"),
            Step::DefaultDirectory => f.write_str("default directory"),
            Step::PathFile(file) => write!(f, "{file}"),
            Step::Path => f.write_str("path"),
            Step::ModulePath => f.write_str("module path"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Found => f.write_str("found"),
            Outcome::Absent => f.write_str("no such file"),
            Outcome::Skipped(why) | Outcome::Unusable(why) => f.write_str(why),
            Outcome::Fatal(words) => f.write_str(words),
        }
    }
}
