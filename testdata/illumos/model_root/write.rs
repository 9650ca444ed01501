//! Puts a planned tree on disk, as an ordinary user: what that user cannot set goes to the metadata that `minroot fetch`
//! writes too.

use super::error::ModelError;
use super::tables::Year;
use super::tree::{CONTENTS_PATH, Entry, Kind, Tree};
use minroot::path::RootPath;
use minroot::root::{FileKind, METADATA_PATH, Metadata, Override};
use rayon::prelude::*;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

/// User and group of what the metadata do not list: nearly everything is `root:bin`.
const OWNER: (u32, u32) = (0, 2);

/// Writes everything below `directory`, which must be empty or not exist.
///
/// # Errors
/// [`ModelError::NotEmpty`], [`ModelError::Write`].
pub fn write(tree: &Tree, year: Year, directory: &Path) -> Result<(), ModelError> {
    attempt(directory, fs::create_dir_all(directory))?;
    if attempt(directory, fs::read_dir(directory))?.next().is_some() {
        return Err(ModelError::NotEmpty(directory.to_owned()));
    }
    let metadata = metadata(tree).to_text();
    let own = [(CONTENTS_PATH, tree.contents.as_bytes()), (METADATA_PATH.trim_start_matches('/'), metadata.as_bytes())];
    let directories = directories(tree, own.map(|(path, _)| path));
    for path in &directories {
        let path = directory.join(path);
        attempt(&path, fs::create_dir(&path))?;
    }
    let time = &seconds(year);
    tree.entries.par_iter().try_for_each(|(path, entry)| {
        let path = directory.join(path);
        attempt(&path, write_entry(&path, entry, time))
    })?;
    for (path, bytes) in own {
        let path = directory.join(path);
        attempt(&path, write_file(&path, bytes, 0o644).and_then(|()| set_time(&path, time)))?;
    }
    // After the files they name, which another thread may have written last.
    tree.entries.par_iter().try_for_each(|(path, entry)| match &entry.kind {
        Kind::HardLink { to, .. } => {
            let path = directory.join(path);
            attempt(&path, fs::hard_link(directory.join(to), &path))
        }
        _ => Ok(()),
    })?;
    // Last and from the inside out: a directory that is written to gets a new time.
    for path in directories.iter().rev().map(|path| path.as_str()).chain([""]) {
        let mode = tree.entries.get(path).map_or(0o755, disk_mode);
        let path = directory.join(path);
        attempt(&path, fs::set_permissions(&path, Permissions::from_mode(mode)).and_then(|()| set_time(&path, time)))?;
    }
    Ok(())
}

fn attempt<T>(path: &Path, result: io::Result<T>) -> Result<T, ModelError> {
    result.map_err(|source| ModelError::Write { path: path.to_owned(), source })
}

/// Every directory, those only on the way to something too; parents first.
fn directories<'t>(tree: &'t Tree, own: [&'t str; 2]) -> BTreeSet<String> {
    let mut directories = BTreeSet::new();
    for (path, entry) in &tree.entries {
        if matches!(entry.kind, Kind::Directory) {
            directories.insert(path.clone());
        }
    }
    for path in tree.entries.keys().map(String::as_str).chain(own) {
        let mut rest = path;
        while let Some((parent, _)) = rest.rsplit_once('/') {
            if !directories.insert(parent.to_owned()) {
                break;
            }
            rest = parent;
        }
    }
    // A directory that a package names may have parents that none does.
    for path in directories.clone() {
        path.match_indices('/').for_each(|(slash, _)| _ = directories.insert(path[..slash].to_owned()));
    }
    directories
}

fn write_entry(path: &Path, entry: &Entry, time: &Timestamps) -> io::Result<()> {
    match &entry.kind {
        Kind::Directory | Kind::HardLink { .. } => Ok(()),
        Kind::File { bytes, .. } => {
            write_file(path, bytes, disk_mode(entry))?;
            set_time(path, time)
        }
        Kind::Link { target } => {
            symlink(target, path)?;
            set_time(path, time)
        }
    }
}

/// The mode is set on its own because the one given to open(2) is subject to the umask.
fn write_file(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.set_permissions(Permissions::from_mode(mode))
}

fn set_time(path: &Path, time: &Timestamps) -> io::Result<()> {
    Ok(rustix::fs::utimensat(CWD, path, time, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn seconds(year: Year) -> Timestamps {
    let time = Timespec { tv_sec: year.time(), tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

/// The mode on disk: no set-user-id bits, which would act for the user who made the root, and readable to that user.
fn disk_mode(entry: &Entry) -> u32 {
    let needed = if matches!(entry.kind, Kind::Directory) { 0o700 } else { 0o400 };
    (entry.mode & 0o777) | needed
}

fn metadata(tree: &Tree) -> Metadata {
    let mut metadata = Metadata::default();
    metadata.set_owner(OWNER.0, OWNER.1);
    for (path, entry) in &tree.entries {
        let (kind, source) = match &entry.kind {
            Kind::Directory => (FileKind::Directory, entry),
            Kind::File { .. } => (FileKind::File, entry),
            Kind::Link { .. } => (FileKind::Symlink, entry),
            Kind::HardLink { to, .. } => (FileKind::File, tree.entries.get(to).unwrap_or(entry)),
        };
        let told_by_disk = kind == FileKind::Symlink || source.mode == disk_mode(source);
        if told_by_disk && (source.uid, source.gid) == OWNER {
            continue;
        }
        let value = Override { kind, mode: source.mode, uid: source.uid, gid: source.gid };
        let path = RootPath::new(format!("/{path}")).expect("paths of the tables are clean");
        metadata.insert(path, value);
    }
    let owned = Override { kind: FileKind::File, mode: 0o644, uid: 0, gid: 3 };
    let path = RootPath::new(format!("/{CONTENTS_PATH}")).expect("a constant");
    metadata.insert(path, owned);
    metadata
}
