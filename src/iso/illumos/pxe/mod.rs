//! Kernel, boot archive and the loader of an illumos root to a directory that a TFTP server gives to machines that start
//! from the network.
//!
//! ```text
//! boot/pxeboot | boot/grub/pxegrub | …/core.0     what the network card of a BIOS starts
//! boot/loader64.efi                               what UEFI firmware starts                (loader)
//! boot/                                           the loader's scripts and configuration, or a menu
//! platform/i86pc/kernel/…/unix, …/boot_archive    as on an ISO
//! README.txt                                      how to serve all this
//! ```
//!
//! What surprises: the loader fetches everything behind its first program by NFS, unless the DHCP option *root-path* is
//! a `tftp://` address (illumos-gate usr/src/boot/libsa/net.c, where NFS is the default scheme); and by TFTP it cannot
//! list `/boot/conf.d`, so its configuration is in `/boot/loader.conf`.

mod loader;
mod readme;

pub use loader::{PxeFiles, PxeLoader};

use super::{IllumosImage, StartError};
use crate::iso::parts::{IsoReport, path, text};
use crate::iso::{Blob, BlobReader};
use crate::output;
use crate::path::RootPath;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Why a tree cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PxeError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot write `{}`", .path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl PxeError {
    /// What to do about it, where the operating system does not say it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            PxeError::Start(error) => Some(error.hint()),
            PxeError::Write { .. } => None,
        }
    }
}

const README: &str = "/README.txt";

/// A file of the tree, with all its names.
type TreeFile = (Vec<RootPath>, Blob);

/// Writes the tree with its `loader` to `directory`, which has to be absent or empty. Everybody may read it, as a TFTP
/// server demands, whatever the umask.
///
/// # Errors
/// [`PxeError`]. Nothing is left behind.
pub fn write_pxe_tree(image: &IllumosImage, loader: &PxeLoader, directory: &Path) -> Result<IsoReport, PxeError> {
    let files = files(image, loader)?;
    let failed = |source| PxeError::Write { path: directory.to_owned(), source };
    let scratch = output::begin_directory(directory).map_err(failed)?;
    write_files(&files, image.epoch, scratch.path()).map_err(failed)?;
    output::finish_directory(scratch, directory).map_err(failed)?;
    let total = files.iter().map(|(_, blob)| blob.len()).sum();
    Ok(image.report(total, loader.size()))
}

fn files(image: &IllumosImage, loader: &PxeLoader) -> Result<Vec<TreeFile>, StartError> {
    let start = image.start()?;
    let mut files = image.platform(&start.archives);
    let mut add = |name: RootPath, blob: Blob| files.push((vec![name], blob));
    for (name, bytes) in loader.files() {
        add(name, Blob::from_bytes(bytes));
    }
    let (name, config) = match loader {
        PxeLoader::Loader(_) => start.loader_conf()?,
        PxeLoader::Grub2 { directory, .. } => start.grub_cfg(&image.label, directory),
        PxeLoader::GrubLegacy { .. } => start.menu_lst(&image.label),
    };
    add(name, config);
    add(path(README), text(readme::text(loader, &start, image)));
    Ok(files)
}

fn write_files(files: &[TreeFile], epoch: u64, top: &Path) -> io::Result<()> {
    let host = |path: &RootPath| top.join(OsStr::from_bytes(path.relative()));
    let mut directories = BTreeSet::from([RootPath::root()]);
    for name in files.iter().flat_map(|(names, _)| names) {
        let above = std::iter::successors(name.parent(), RootPath::parent);
        directories.extend(above);
    }
    for directory in directories.iter().filter(|directory| !directory.is_root()) {
        fs::create_dir(host(directory))?;
    }
    for (names, blob) in files {
        let (first, others) = names.split_first().expect("internal error: a file has a name");
        let mut file = File::create_new(host(first))?;
        io::copy(&mut BlobReader::new(blob), &mut file)?;
        set_mode_and_time(&file, 0o644, epoch)?;
        for other in others {
            fs::hard_link(host(first), host(other))?;
        }
    }
    // Last and from the inside out: a directory that is written to gets a new time.
    for directory in directories.iter().rev() {
        set_mode_and_time(&File::open(host(directory))?, 0o755, epoch)?;
    }
    Ok(())
}

fn set_mode_and_time(file: &File, mode: u32, epoch: u64) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode))?;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(epoch);
    file.set_times(FileTimes::new().set_accessed(time).set_modified(time))
}
