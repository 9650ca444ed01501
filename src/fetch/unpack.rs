//! Writes packages to disk in two steps: content into a staging directory, then every file to its place.
//!
//! The first step decompresses and runs for all packages at once, since staged files have numbers for names and
//! nothing in a package decides where they go. The second follows the plan of [`super::tree`], one rename per file.

use super::deb::Deb;
use super::error::FetchError;
use super::member::{Content, Delivery, Format, Member, MemberKind, Origin, Package};
use super::tree::Place;
use crate::path::{RootPath, escaped};
use crate::root::{FileKind, METADATA_PATH, Metadata, Override};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, XattrFlags};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Unpacks a package's content into `stage`, a directory of its own that does not exist yet.
///
/// # Errors
/// [`FetchError`] of reading the package, refusing a member, or writing.
pub fn stage(file: &Path, sha256: String, stage: &Path) -> Result<Package, FetchError> {
    let deb = Deb::open(file)?;
    let files = deb.control()?;
    let name = files.control.package.clone();
    std::fs::create_dir(stage).map_err(|source| FetchError::Write { path: stage.to_owned(), source })?;
    let mut members: Vec<Member> = Vec::new();
    let mut regular: HashMap<RootPath, usize> = HashMap::new();
    let mut notes = Vec::new();
    deb.data(|tar_member, reader| {
        let staged = stage.join(members.len().to_string());
        let refused = |refusal| FetchError::Refused { package: name.clone(), member: tar_member.path.clone(), refusal };
        let member = Member::read(&tar_member, staged.clone(), |path| regular.get(path).copied()).map_err(refused)?;
        if let MemberKind::File(_) = member.kind {
            let (file, size) = write_content(&staged, reader, |_| (), |source| deb.damaged_data(source))?;
            if size != tar_member.size {
                return Err(deb.damaged_data(io::ErrorKind::UnexpectedEof.into()));
            }
            finish_content(&file, &member).map_err(|source| FetchError::Write { path: staged, source })?;
            for (attribute, value) in &tar_member.xattrs {
                if rustix::fs::fsetxattr(&file, attribute.as_slice(), value, XattrFlags::empty()).is_err() {
                    let attribute = escaped(attribute);
                    notes.push(format!("`{name}`: the attribute `{attribute}` of `{}` could not be kept", member.path));
                }
            }
            regular.insert(member.path.clone(), members.len());
        }
        members.push(member);
        Ok(())
    })?;
    let replaces = files.control.replaces.clone();
    let (version, architecture) = (files.control.version.clone(), files.control.architecture.clone());
    let format = Format::Debian(files);
    let delivery = Delivery { version, architecture, format, file: file.to_owned(), sha256, notes };
    Ok(Package { name, replaces, members, delivery: Some(delivery) })
}

/// Copies content to `path`, a new file that only this user can read, and shows every piece of it to `seen`.
///
/// Gives the file and how many bytes it has.
///
/// # Errors
/// [`FetchError::Write`], and what `damaged` makes of the reader's error.
pub fn write_content(
    path: &Path,
    reader: &mut (impl Read + ?Sized),
    mut seen: impl FnMut(&[u8]),
    damaged: impl Fn(io::Error) -> FetchError,
) -> Result<(File, u64), FetchError> {
    let failed = |source| FetchError::Write { path: path.to_owned(), source };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let mut buffer = [0; 1 << 16];
    let mut total = 0;
    loop {
        let n = match reader.read(&mut buffer) {
            Ok(0) => return Ok((file, total)),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(damaged(error)),
        };
        seen(&buffer[..n]);
        file.write_all(&buffer[..n]).map_err(failed)?;
        total += n as u64;
    }
}

/// Gives staged content the mode and the time of its member.
///
/// # Errors
/// The host's error.
pub fn finish_content(file: &File, member: &Member) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(disk_mode(member)))?;
    file.set_modified(time(member))
}

/// Gives every place of the plan its file below `root`, an existing empty directory, and writes the metadata.
///
/// # Errors
/// [`FetchError::Write`] with the path.
pub fn materialize(packages: &[Package], places: &[Place<'_>], root: &Path) -> Result<(), FetchError> {
    let mut written: HashMap<Origin, PathBuf> = HashMap::new();
    for place in places {
        let path = on_host(root, &place.path);
        write_place(packages, place, &path, &mut written).map_err(|source| FetchError::Write { path, source })?;
    }
    for place in
        places.iter().filter(|place| place.member.is_some_and(|m| m.path.as_bytes() == METADATA_PATH.as_bytes()))
    {
        let path = on_host(root, &place.path);
        write_metadata(places, &path).map_err(|source| FetchError::Write { path, source })?;
    }
    // Last and from the inside out: a directory that is written to gets a new time, one without `w` takes no files.
    for place in places.iter().rev().filter(|place| is_directory(place)) {
        let path = on_host(root, &place.path);
        finish_directory(place, &path).map_err(|source| FetchError::Write { path, source })?;
    }
    Ok(())
}

/// `path` is free of symlinks and everything above it is written: the plan says so, and nobody else is in the directory.
fn write_place(
    packages: &[Package],
    place: &Place<'_>,
    path: &Path,
    written: &mut HashMap<Origin, PathBuf>,
) -> io::Result<()> {
    let (Some(member), Some(origin)) = (place.member, place.origin) else { return make_directory(place, path) };
    match &member.kind {
        MemberKind::Directory => make_directory(place, path),
        MemberKind::Symlink(target) => {
            std::os::unix::fs::symlink(OsStr::from_bytes(target), path)?;
            let times = Timestamps { last_access: seconds(member), last_modification: seconds(member) };
            Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
        }
        MemberKind::File(_) => write_file(packages, origin, path, written),
        MemberKind::HardLink(target) => write_file(packages, Origin { member: *target, ..origin }, path, written),
        MemberKind::HardLinkAcross(target) => write_file(packages, *target, path, written),
        // In the metadata: an ordinary user cannot make devices, and nobody wants a fifo that blocks a reader.
        MemberKind::Special(_) => Ok(()),
    }
}

/// Moves a staged file to the first path that wants it; later ones become hard links to that.
fn write_file(
    packages: &[Package],
    origin: Origin,
    path: &Path,
    written: &mut HashMap<Origin, PathBuf>,
) -> io::Result<()> {
    if let Some(first) = written.get(&origin) {
        return std::fs::hard_link(first, path);
    }
    match packages[origin.package].content(origin.member) {
        Some(Content::Staged(staged)) => std::fs::rename(staged, path)?,
        Some(Content::Bytes(bytes)) => {
            let member = &packages[origin.package].members[origin.member];
            std::fs::write(path, bytes)?;
            finish_content(&OpenOptions::new().write(true).open(path)?, member)?;
        }
        None => unreachable!("internal error: a file without content"),
    }
    written.insert(origin, path.to_owned());
    Ok(())
}

fn make_directory(place: &Place<'_>, path: &Path) -> io::Result<()> {
    if place.path.is_root() { Ok(()) } else { std::fs::create_dir(path) }
}

fn finish_directory(place: &Place<'_>, path: &Path) -> io::Result<()> {
    let (mode, modified) = match place.member {
        Some(member) => (disk_mode(member), time(member)),
        None => (0o755, SystemTime::UNIX_EPOCH),
    };
    let directory = File::open(path)?;
    directory.set_permissions(Permissions::from_mode(mode))?;
    directory.set_modified(modified)
}

fn is_directory(place: &Place<'_>) -> bool {
    place.member.is_none_or(|member| matches!(member.kind, MemberKind::Directory))
}

/// Records what the disk does not say. Owners are recorded whoever runs this, root included: one root for all users.
fn write_metadata(places: &[Place<'_>], path: &Path) -> io::Result<()> {
    let mut metadata = Metadata::default();
    metadata.set_owner(0, 0);
    places.iter().for_each(|place| note_metadata(&mut metadata, place));
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(metadata.to_text().as_bytes())?;
    file.set_modified(SystemTime::UNIX_EPOCH)
}

fn note_metadata(metadata: &mut Metadata, place: &Place<'_>) {
    let Some(member) = place.member else { return };
    let kind = match member.kind {
        MemberKind::Directory => FileKind::Directory,
        MemberKind::Symlink(_) => FileKind::Symlink,
        MemberKind::File(_) | MemberKind::HardLink(_) | MemberKind::HardLinkAcross(_) => FileKind::File,
        MemberKind::Special(kind) => kind,
    };
    let mode = if kind == FileKind::Symlink { 0o777 } else { member.mode };
    let told_by_disk = !matches!(member.kind, MemberKind::Special(_))
        && (member.uid, member.gid) == (0, 0)
        && (kind == FileKind::Symlink || mode == disk_mode(member));
    if !told_by_disk {
        metadata.insert(place.path.clone(), Override { kind, mode, uid: member.uid, gid: member.gid });
    }
}

/// The mode on disk. A setuid program of the package's would run as the user who fetched it, so those bits
/// are only recorded; and what that user cannot read cannot be traced or packed.
fn disk_mode(member: &Member) -> u32 {
    let needed = if matches!(member.kind, MemberKind::Directory) { 0o700 } else { 0o400 };
    (member.mode & 0o777) | needed
}

fn time(member: &Member) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(member.mtime)).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn seconds(member: &Member) -> Timespec {
    Timespec { tv_sec: i64::try_from(member.mtime).unwrap_or(0), tv_nsec: 0 }
}

fn on_host(root: &Path, path: &RootPath) -> PathBuf {
    root.join(OsStr::from_bytes(path.relative()))
}
