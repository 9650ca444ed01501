//! A read-only view of the source root, as if chrooted into it.
//!
//! Every path is walked component by component here, in user space, so that an absolute symlink is re-rooted,
//! `..` stops at the root, and each symlink on the way is reported: the image needs the links as much as the
//! file behind them. The kernel is only ever given paths whose directories are known to be free of symlinks, with
//! `O_NOFOLLOW`, so nothing outside the root can be read, whatever the links inside say.

mod find;
mod glob;
mod metadata;
mod sparse;
mod walk;

pub use glob::{alternatives, below, is_pattern};
pub use metadata::{METADATA_PATH, Metadata, Override};
pub use sparse::{LEAST_SIZE as LEAST_SPARSE_SIZE, SparseFile, next_data};

use crate::path::RootPath;
use foldhash::HashMap;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

/// How many symlinks one look-up may follow, those of its directories included: the kernel's own limit (`MAXSYMLINKS`,
/// path_resolution(7)).
const MAX_LINKS: usize = 40;

/// A source root, open for reading.
pub struct Root {
    fd: OwnedFd,
    host: PathBuf,
    metadata: Metadata,
    /// Directory path as asked for → where it really is. Failures are kept as well: they are asked for again and again.
    directories: RwLock<HashMap<RootPath, Result<Arc<Directory>, LookupError>>>,
    opened: Arc<AtomicU64>,
}

/// A directory of the root with the symlinks that led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// The path without any symlink.
    pub path: RootPath,
    /// The symlinks met on the way, in order.
    pub links: Vec<Link>,
    /// Directories that the way enters and leaves again by `..`: they have to exist as well.
    pub through: Vec<RootPath>,
}

/// A symlink met on the way to a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// Where the link is: no symlink before its last component.
    pub path: RootPath,
    /// What it holds, as on disk.
    pub target: Vec<u8>,
    /// The link stood for the file that was asked for, not for a directory on the way to it.
    pub last: bool,
}

/// What a look-up found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The path without any symlink; this is the identity of the file.
    pub path: RootPath,
    /// Every symlink on the way, those of parent directories included, in the order met.
    pub links: Vec<Link>,
    /// Directories that the way enters and leaves again by `..`: they have to exist as well.
    pub through: Vec<RootPath>,
    /// What is there.
    pub info: FileInfo,
}

/// What kind of file a path is, as `lstat` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symlink.
    Symlink,
    /// A character device.
    Char {
        /// Major number; a fetched root has that of its package.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Major number; a fetched root has that of its package.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// A socket, which cannot be put into an image: whoever listens makes it anew.
    Socket,
}

/// `lstat` facts, with what the metadata of a fetched root overrides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileInfo {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits with setuid, setgid and sticky (`0o7777`).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes; 0 for anything but a regular file.
    pub size: u64,
    /// Device and inode of the host: equal for two names of one file.
    pub inode: (u64, u64),
    /// How many names the file has.
    pub links: u64,
}

/// Why a path leads nowhere inside the root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// Nothing has this name.
    #[error("no such file or directory: `{0}`")]
    NotFound(RootPath),
    /// A symlink on the way, or at its end, leads nowhere.
    #[error("`{link}` is a symlink to `{}`, which does not exist", crate::path::escaped(.target))]
    Dangling {
        /// The symlink.
        link: RootPath,
        /// Its text.
        target: Vec<u8>,
    },
    /// The path goes on behind something that is no directory.
    #[error("`{0}` is not a directory")]
    NotADirectory(RootPath),
    /// Symlinks lead to each other, or there are more of them than a kernel follows; in the order met.
    #[error("too many levels of symbolic links: {}", chain(.0))]
    Loop(Vec<Link>),
    /// The operating system refuses.
    #[error("cannot read `{path}`: {error}")]
    Io {
        /// Where.
        path: RootPath,
        /// Its error number.
        error: Errno,
    },
}

impl LookupError {
    /// Whether the path plainly is not there, as opposed to something being wrong with it.
    pub fn is_absent(&self) -> bool {
        matches!(self, LookupError::NotFound(_) | LookupError::NotADirectory(_) | LookupError::Dangling { .. })
    }
}

fn chain(links: &[Link]) -> String {
    links.iter().map(|l| l.path.to_string()).collect::<Vec<_>>().join(" -> ")
}

impl Root {
    /// Opens `host`, a directory of this machine, as a source root; reads its metadata file when there is one.
    ///
    /// # Errors
    /// When `host` is no directory or cannot be read, or its metadata file is damaged.
    pub fn open(host: &Path) -> std::io::Result<Root> {
        let mut root = Root::open_with(host, Metadata::default())?;
        let path = RootPath::new(METADATA_PATH).expect("a constant");
        if let Ok(found) = root.lookup(&path) {
            let bytes = root.read(&found)?;
            root.metadata = Metadata::parse(&bytes)?;
        }
        Ok(root)
    }

    /// Opens `host` with metadata that the caller knows, whatever a metadata file in it says.
    ///
    /// # Errors
    /// When `host` is no directory or cannot be read.
    pub fn open_with(host: &Path, metadata: Metadata) -> std::io::Result<Root> {
        let fd = rustix::fs::open(host, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Root { fd, host: host.to_owned(), metadata, directories: RwLock::default(), opened: Arc::default() })
    }

    /// The directory of this machine that was opened, for messages only.
    pub fn host(&self) -> &Path {
        &self.host
    }

    /// How many files have been opened so far: a measure of the work that goes on with this root.
    pub fn opened(&self) -> Arc<AtomicU64> {
        self.opened.clone()
    }

    /// Follows `path` to the end, as `stat` would inside a chroot.
    ///
    /// # Errors
    /// [`LookupError`]: nothing there, a loop, or the host's error.
    pub fn lookup(&self, path: &RootPath) -> Result<Found, LookupError> {
        let Some(parent) = path.parent() else { return self.found_root() };
        let directory = self.directory(&parent)?;
        self.lookup_in(&directory, path.file_name())
    }

    /// Whether an absolute path leads to anything.
    pub fn has(&self, path: &str) -> bool {
        RootPath::new(path).is_ok_and(|path| self.lookup(&path).is_ok())
    }

    /// Follows `name` inside a directory that [`Root::directory`] gave; the links of the directory are included. The
    /// name may come from a file: dots and slashes in it are followed as in any path.
    ///
    /// # Errors
    /// As [`Root::lookup`].
    pub fn lookup_in(&self, directory: &Directory, name: &[u8]) -> Result<Found, LookupError> {
        let mut walk = Following { links: directory.links.clone(), through: directory.through.clone() };
        let (path, info) = self.descend(directory.path.clone(), name, true, &mut walk)?;
        Ok(walk.found(path, info))
    }

    /// Follows a path as programs and runtime linkers spell it: with `..`, which stops at the root.
    ///
    /// # Errors
    /// As [`Root::lookup`]; a relative path is taken from the root.
    pub fn lookup_spelled(&self, spelled: &[u8]) -> Result<Found, LookupError> {
        // Without `..` its directories are remembered like those of any other path.
        if !wants_directory(spelled)
            && let Ok(path) = RootPath::new(spelled)
        {
            return self.lookup(&path);
        }
        let mut walk = Following::default();
        let (path, info) = self.descend(RootPath::root(), spelled, true, &mut walk)?;
        Ok(walk.found(path, info))
    }

    /// What is at `path` itself: the last component is not followed, the directories before it are.
    ///
    /// # Errors
    /// As [`Root::lookup`].
    pub fn lookup_nofollow(&self, path: &RootPath) -> Result<Found, LookupError> {
        let Some(parent) = path.parent() else { return self.found_root() };
        let directory = self.directory(&parent)?;
        let path = directory.path.join(path.file_name());
        let info = self.info(&path)?;
        Ok(Found { path, links: directory.links.clone(), through: directory.through.clone(), info })
    }

    /// Follows `path`, which must lead to a directory. Answers are remembered.
    ///
    /// # Errors
    /// As [`Root::lookup`], and when something else than a directory is there.
    pub fn directory(&self, path: &RootPath) -> Result<Arc<Directory>, LookupError> {
        if let Some(known) = self.directories.read().expect("no panic while held").get(path) {
            return known.clone();
        }
        let answer = self.lookup(path).and_then(|found| Directory::from_found(found).map(Arc::new));
        self.directories.write().expect("no panic while held").insert(path.clone(), answer.clone());
        answer
    }

    /// Opens a regular file that a look-up found. Never blocks and never touches a device.
    ///
    /// # Errors
    /// The host's error, or `InvalidInput` when it is not a regular file.
    pub fn open_file(&self, found: &Found) -> std::io::Result<File> {
        if found.info.kind != FileKind::File {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file"));
        }
        self.opened.fetch_add(1, Ordering::Relaxed);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        Ok(rustix::fs::openat(&self.fd, host_relative(&found.path), flags, Mode::empty())?.into())
    }

    /// The whole content of a regular file that a look-up found.
    ///
    /// # Errors
    /// As [`Root::open_file`].
    pub fn read(&self, found: &Found) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open_file(found)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// What a symlink that was looked up without following it holds.
    ///
    /// # Errors
    /// The host's error, or when it is no symlink.
    pub fn read_link(&self, found: &Found) -> std::io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.fd, host_relative(&found.path), Vec::new())?.into_bytes())
    }

    /// Follows `path` and reads the file there; `Ok(None)` when there is none.
    ///
    /// # Errors
    /// Anything but absence: a loop, no permission, a directory in its place.
    pub fn read_optional(&self, path: &RootPath) -> std::io::Result<Option<Vec<u8>>> {
        match self.lookup(path) {
            Ok(found) => self.read(&found).map(Some),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(std::io::Error::other(error)),
        }
    }

    /// The names in a directory, sorted by bytes, without `.` and `..`.
    ///
    /// # Errors
    /// The host's error.
    pub fn read_dir(&self, directory: &Directory) -> std::io::Result<Vec<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, host_relative(&directory.path), flags, Mode::empty())?;
        let mut names = Vec::new();
        for entry in Dir::new(fd)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        names.extend(self.metadata.extra_names(&directory.path));
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Everything below `directory` in byte order of the paths, symlinks not followed; read on all threads. What cannot
    /// be read comes last.
    pub fn walk(&self, directory: &RootPath) -> Vec<Result<Found, LookupError>> {
        walk::below(self, directory)
    }

    /// Extended attributes of a file that a look-up found, sorted by name: capabilities, ACLs, `user.*`.
    ///
    /// # Errors
    /// The host's error, other than "this file system has none".
    pub fn xattrs(&self, found: &Found) -> std::io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let path = self.host.join(host_relative(&found.path));
        let mut names = vec![0; 4096];
        let length = loop {
            match rustix::fs::llistxattr(&path, &mut names) {
                Ok(length) => break length,
                Err(Errno::RANGE) if names.len() < 1 << 20 => names = vec![0; names.len() * 4],
                Err(Errno::NOTSUP | Errno::PERM) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            }
        };
        let mut attributes = Vec::new();
        for name in names[..length].split(|&b| b == 0).filter(|n| !n.is_empty()) {
            let mut value = vec![0; 65536];
            match rustix::fs::lgetxattr(&path, OsStr::from_bytes(name), &mut value) {
                Ok(length) => attributes.push((name.to_vec(), value[..length].to_vec())),
                Err(Errno::NODATA | Errno::PERM | Errno::NOTSUP) => {}
                Err(error) => return Err(error.into()),
            }
        }
        attributes.sort();
        Ok(attributes)
    }

    fn found_root(&self) -> Result<Found, LookupError> {
        let info = self.info(&RootPath::root())?;
        Ok(Following::default().found(RootPath::root(), info))
    }

    /// `path` has no symlink before its last component, which is followed.
    fn follow(&self, path: RootPath, last: bool, walk: &mut Following) -> Result<(RootPath, FileInfo), LookupError> {
        let info = self.info(&path)?;
        if info.kind != FileKind::Symlink {
            return Ok((path, info));
        }
        let target = rustix::fs::readlinkat(&self.fd, host_relative(&path), Vec::new())
            .map_err(|error| LookupError::Io { path: path.clone(), error })?
            .into_bytes();
        walk.links.push(Link { path: path.clone(), target: target.clone(), last });
        if walk.links.len() > MAX_LINKS {
            return Err(LookupError::Loop(cycle(&walk.links)));
        }
        let here = match target.first() {
            None => return Err(LookupError::Dangling { link: path, target }),
            Some(b'/') => RootPath::root(),
            Some(_) => path.parent().expect("a symlink is in a directory"),
        };
        self.descend(here, &target, last, walk).map_err(|error| match error {
            LookupError::NotFound(_) => LookupError::Dangling { link: path, target },
            other => other,
        })
    }

    /// From `here`, which has no symlink in it, along the components of `spelled`.
    fn descend(
        &self,
        mut here: RootPath,
        spelled: &[u8],
        last: bool,
        walk: &mut Following,
    ) -> Result<(RootPath, FileInfo), LookupError> {
        let mut info = None;
        let mut components = spelled.split(|&b| b == b'/').filter(|c| !matches!(*c, b"" | b".")).peekable();
        while let Some(component) = components.next() {
            if component == b".." {
                let parent = here.parent().unwrap_or_else(RootPath::root);
                let left = std::mem::replace(&mut here, parent);
                if !left.is_root() {
                    walk.through.push(left);
                }
                info = None;
            } else if components.peek().is_some() {
                here = self.enter(here.join(component), walk)?;
            } else {
                let (path, found) = self.follow(here.join(component), last, walk)?;
                (here, info) = (path, Some(found));
            }
        }
        let info = match info {
            Some(info) => info,
            None => self.info(&here)?,
        };
        if info.kind != FileKind::Directory && wants_directory(spelled) {
            return Err(LookupError::NotADirectory(here));
        }
        Ok((here, info))
    }

    /// Follows `path`, a directory on the way that has no symlink before its last component. Where that leads is
    /// remembered: the links of `/etc/ssl/certs`, for one, all begin with the same directories.
    fn enter(&self, path: RootPath, walk: &mut Following) -> Result<RootPath, LookupError> {
        if let Some(Ok(known)) = self.directories.read().expect("no panic while held").get(&path) {
            walk.links.extend_from_slice(&known.links);
            walk.through.extend_from_slice(&known.through);
            if walk.links.len() > MAX_LINKS {
                walk.links.truncate(MAX_LINKS + 1);
                return Err(LookupError::Loop(cycle(&walk.links)));
            }
            return Ok(known.path.clone());
        }
        let (n_links, n_through) = (walk.links.len(), walk.through.len());
        let (here, info) = self.follow(path.clone(), false, walk)?;
        if info.kind != FileKind::Directory {
            return Err(LookupError::NotADirectory(here));
        }
        let (links, through) = (walk.links[n_links..].to_vec(), walk.through[n_through..].to_vec());
        let directory = Directory { path: here.clone(), links, through };
        self.directories.write().expect("no panic while held").insert(path, Ok(Arc::new(directory)));
        Ok(here)
    }

    /// `lstat` of a path whose directories have no symlinks.
    fn info(&self, path: &RootPath) -> Result<FileInfo, LookupError> {
        let stat = match rustix::fs::statat(&self.fd, host_relative(path), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => {
                return self.metadata.extra(path).ok_or_else(|| LookupError::NotFound(path.clone()));
            }
            Err(Errno::NOTDIR) => {
                return Err(LookupError::NotADirectory(path.parent().unwrap_or_else(RootPath::root)));
            }
            Err(error) => return Err(LookupError::Io { path: path.clone(), error }),
        };
        let mut info = FileInfo::from_stat(&stat);
        self.metadata.apply(path, &mut info);
        Ok(info)
    }
}

/// Whether a path can only lead to a directory: it ends in a slash or a dot (path_resolution(7), "Final entry").
fn wants_directory(spelled: &[u8]) -> bool {
    spelled.ends_with(b"/") || spelled.ends_with(b"/.")
}

/// State of one look-up: the way so far.
#[derive(Default)]
struct Following {
    links: Vec<Link>,
    through: Vec<RootPath>,
}

impl Following {
    fn found(self, path: RootPath, info: FileInfo) -> Found {
        Found { path, links: self.links, through: self.through, info }
    }
}

impl Directory {
    /// Something found, as a place to look further in.
    ///
    /// # Errors
    /// When it is no directory.
    pub fn from_found(found: Found) -> Result<Directory, LookupError> {
        let Found { path, links, through, info } = found;
        if info.kind != FileKind::Directory {
            return Err(LookupError::NotADirectory(path));
        }
        let links = links.into_iter().map(|link| Link { last: false, ..link }).collect();
        Ok(Directory { path, links, through })
    }
}

/// The part of a chain that repeats, closed by its first link; the whole chain when nothing repeats.
fn cycle(links: &[Link]) -> Vec<Link> {
    let last = links.last().expect("a loop has links");
    match links[..links.len() - 1].iter().rposition(|l| l == last) {
        Some(start) => links[start..].to_vec(),
        None => links.to_vec(),
    }
}

impl FileInfo {
    fn from_stat(stat: &Stat) -> FileInfo {
        let device = || (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Symlink,
            FileType::CharacterDevice => {
                let (major, minor) = device();
                FileKind::Char { major, minor }
            }
            FileType::BlockDevice => {
                let (major, minor) = device();
                FileKind::Block { major, minor }
            }
            FileType::Fifo => FileKind::Fifo,
            FileType::Socket => FileKind::Socket,
            _ => FileKind::File,
        };
        FileInfo {
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: if kind == FileKind::File { stat.st_size as u64 } else { 0 },
            inode: (stat.st_dev, stat.st_ino),
            links: stat.st_nlink,
        }
    }
}

/// The path relative to the root's file descriptor; `.` for the root itself.
fn host_relative(path: &RootPath) -> &OsStr {
    match path.relative() {
        b"" => OsStr::new("."),
        relative => OsStr::from_bytes(relative),
    }
}

#[cfg(test)]
mod tests;
