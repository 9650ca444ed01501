//! A plain directory: entries to files of this machine.
//!
//! The tree grows in a temporary directory beside its final name and is renamed when it is whole. Owners, devices and
//! most attributes need privileges; an ordinary user gets the tree without them, and a [`Warning`] for each kind.
//! Nothing is ever written through a symlink: `plan` has checked that the parents of all entries are directories.

use super::contents::{BUFFER, Contents};
use super::{PackError, Warning};
use crate::manifest::{Content, Entry};
use crate::output;
use crate::path::RootPath;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

/// Writes the tree to `out`, which must not exist or be an empty directory.
///
/// # Errors
/// The content does not match, or this machine refuses to make an entry; then there is no `out`.
pub(super) fn write(
    entries: &[Entry],
    contents: &Contents<'_>,
    epoch: u32,
    out: &Path,
) -> Result<Vec<Warning>, PackError> {
    let failed = |source| PackError::Write { file: out.to_owned(), source };
    let scratch = output::begin_directory(out).map_err(failed)?;
    let mut tree = Tree {
        top: scratch.path().to_owned(),
        epoch,
        privileged: rustix::process::geteuid().is_root(),
        n_foreign: 0,
        warnings: Vec::new(),
        buffer: vec![0; BUFFER],
    };
    for entry in entries {
        tree.make(entry, contents).map_err(|error| tree.error(entry, error))?;
    }
    // Modes and times of directories come last: the first may forbid to write, and writing changes the second.
    for entry in entries.iter().rev().filter(|e| e.content == Content::Directory) {
        tree.set_mode_and_time(entry).map_err(|error| tree.error(entry, error))?;
    }
    if !entries.first().is_some_and(|first| first.path.is_root()) {
        // A temporary directory is closed to everybody else.
        fs::set_permissions(&tree.top, Permissions::from_mode(0o755)).map_err(failed)?;
    }
    output::finish_directory(scratch, out).map_err(failed)?;
    let Tree { n_foreign, mut warnings, .. } = tree;
    if n_foreign > 0 {
        warnings.push(Warning::OwnersNotSet { n_entries: n_foreign });
    }
    Ok(warnings)
}

struct Tree {
    top: PathBuf,
    epoch: u32,
    privileged: bool,
    /// Entries that should have an owner we cannot give them.
    n_foreign: usize,
    warnings: Vec<Warning>,
    buffer: Vec<u8>,
}

impl Tree {
    fn host(&self, path: &RootPath) -> PathBuf {
        self.top.join(OsStr::from_bytes(path.relative()))
    }

    fn error(&self, entry: &Entry, error: io::Error) -> PackError {
        PackError::from_io(error, |source| PackError::MakeEntry { path: entry.path.clone(), source })
    }

    fn make(&mut self, entry: &Entry, contents: &Contents<'_>) -> io::Result<()> {
        let host = self.host(&entry.path);
        match &entry.content {
            Content::Directory if entry.path.is_root() => {}
            Content::Directory => fs::create_dir(&host)?,
            Content::File { .. } | Content::Generated { .. } => {
                let mut file = File::create_new(&host)?;
                contents.copy(entry, &mut file, &mut self.buffer)?;
            }
            Content::Symlink { target } => symlink(OsStr::from_bytes(target), &host)?,
            Content::Hardlink { to } => return fs::hard_link(self.host(to), &host),
            Content::Char { .. } | Content::Block { .. } if !self.privileged => {
                self.warnings.push(Warning::DeviceLeftOut { path: entry.path.clone() });
                return Ok(());
            }
            Content::Char { major, minor } => make_node(&host, FileType::CharacterDevice, *major, *minor)?,
            Content::Block { major, minor } => make_node(&host, FileType::BlockDevice, *major, *minor)?,
            Content::Fifo => make_node(&host, FileType::Fifo, 0, 0)?,
        }
        self.set_owner(entry, &host)?;
        self.set_xattrs(entry, &host);
        match entry.content {
            Content::Directory => Ok(()),
            _ => self.set_mode_and_time(entry),
        }
    }

    fn set_owner(&mut self, entry: &Entry, host: &Path) -> io::Result<()> {
        if self.privileged {
            return lchown(host, Some(entry.uid), Some(entry.gid));
        }
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        if (entry.uid, entry.gid) != (uid, gid) {
            self.n_foreign += 1;
        }
        Ok(())
    }

    fn set_xattrs(&mut self, entry: &Entry, host: &Path) {
        for (name, value) in &entry.xattrs {
            if let Err(error) = rustix::fs::lsetxattr(host, OsStr::from_bytes(name), value, XattrFlags::empty()) {
                let (path, name) = (entry.path.clone(), name.clone());
                self.warnings.push(Warning::XattrNotSet { path, name, error: error.to_string() });
            }
        }
    }

    /// After the owner: changing that clears setuid.
    fn set_mode_and_time(&self, entry: &Entry) -> io::Result<()> {
        let host = self.host(&entry.path);
        if !matches!(entry.content, Content::Symlink { .. }) {
            fs::set_permissions(&host, Permissions::from_mode(entry.mode & 0o7777))?;
        }
        let time = Timespec { tv_sec: i64::from(self.epoch), tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        Ok(rustix::fs::utimensat(CWD, &host, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

fn make_node(host: &Path, kind: FileType, major: u32, minor: u32) -> io::Result<()> {
    let device = rustix::fs::makedev(major, minor);
    Ok(rustix::fs::mknodat(CWD, host, kind, Mode::RUSR | Mode::WUSR, device)?)
}
