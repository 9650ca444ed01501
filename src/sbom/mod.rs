//! A software bill of materials: the packages and files of a manifest, and what depends on what.
//!
//! What is surprising: the dependencies are not those that packages declare. A package depends on another here because
//! some file of it needs some file of the other, so that what is listed is what the image really uses.

mod cyclonedx;
mod model;
mod spdx;

pub use model::Sbom;

use crate::pack::PackError;
use std::io;

/// Why there is no bill of materials.
#[derive(Debug, thiserror::Error)]
pub enum SbomError {
    #[error("cannot read what the root says of its packages")]
    Packages(#[source] io::Error),
    #[error("cannot digest the files of the manifest")]
    Content(#[from] PackError),
    #[error("SPDX wants the SHA-1 of every file, and a manifest has SHA-256 only")]
    NoSha1,
}

impl SbomError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            SbomError::NoSha1 => Some("give the root of the manifest with `--root`, or use `--format cyclonedx`"),
            SbomError::Content(error) => error.hint(),
            SbomError::Packages(_) => None,
        }
    }
}
