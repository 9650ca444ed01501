//! What an illumos package says beyond its members.

use super::{Account, DriverAction};
use crate::path::RootPath;

/// What has to wait until all packages are unpacked.
#[derive(Debug, Default)]
pub struct Records {
    /// User and group of each member, in their order.
    pub owners: Vec<(String, String)>,
    pub drivers: Vec<DriverAction>,
    pub accounts: Vec<Account>,
    /// Hard links, of which the target may be in another package.
    pub links: Vec<PendingLink>,
    pub mediated: Vec<MediatedLink>,
    /// Paths that this package takes over from others.
    pub overlaying: Vec<RootPath>,
    /// Paths that others may take over.
    pub overlaid: Vec<RootPath>,
    /// Directories whose mode and owner the package leaves as they are.
    pub loose_directories: Vec<RootPath>,
    pub database: Database,
}

/// A hard link whose target is not known yet.
#[derive(Debug, Clone)]
pub struct PendingLink {
    pub path: RootPath,
    /// What it may mean, the most likely first; never empty.
    pub targets: Vec<RootPath>,
}

/// One of several symlinks that compete for a path.
#[derive(Debug, Clone)]
pub struct MediatedLink {
    pub path: RootPath,
    pub target: Vec<u8>,
    /// What they compete about, such as `python`.
    pub mediator: String,
    /// Numbers and dots; may be empty.
    pub version: String,
    /// May be empty.
    pub implementation: String,
    /// `site`, `vendor` or empty.
    pub priority: String,
}

/// What the package system keeps about a package.
#[derive(Debug)]
pub enum Database {
    Svr4 {
        pkginfo: Vec<u8>,
        /// Path, and its line of the list of contents from there to the packages.
        contents: Vec<(Vec<u8>, String)>,
    },
    Ips {
        publisher: String,
        version: String,
        manifest: Vec<u8>,
    },
}

impl Default for Database {
    fn default() -> Database {
        Database::Svr4 { pkginfo: Vec::new(), contents: Vec::new() }
    }
}
