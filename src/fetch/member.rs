//! A package as it lies unpacked in the staging directory: what its members are, before any of them has its place.

use super::archive::TarMember;
use super::deb::ControlFiles;
use super::error::{FetchError, Refusal};
use super::illumos::Records;
use crate::path::RootPath;
use crate::root::FileKind;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use tar::EntryType;

/// Linux's limits (`PATH_MAX`, `NAME_MAX`), for which no package has a reason.
const PATH_LIMIT: usize = 4096;
const NAME_LIMIT: usize = 255;

/// What takes part in filling a root: a package, or the files that minroot itself adds.
#[derive(Debug)]
pub struct Package {
    pub name: String,
    /// Packages whose files this one may take over.
    pub replaces: Vec<String>,
    pub members: Vec<Member>,
    /// `None` for minroot's own files.
    pub delivery: Option<Delivery>,
}

/// Where a package came from, and what it says.
#[derive(Debug)]
pub struct Delivery {
    pub version: String,
    pub architecture: String,
    pub format: Format,
    /// The package file, or the directory that holds the package.
    pub file: PathBuf,
    /// SHA-256 in lower-case hexadecimal: of the package file; of the pkgmap or the manifest for a package that is
    /// not a file of its own.
    pub sha256: String,
    /// What could not be kept.
    pub notes: Vec<String>,
}

/// What a package says in the words of its own system.
#[derive(Debug)]
pub enum Format {
    Debian(ControlFiles),
    Illumos(Box<Records>),
}

/// One member of a package.
#[derive(Debug)]
pub struct Member {
    /// Where the package wants it; symlinks on the way are not yet followed.
    pub path: RootPath,
    pub kind: MemberKind,
    /// Permission bits (`0o7777`).
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: u64,
}

#[derive(Debug)]
pub enum MemberKind {
    Directory,
    Symlink(Vec<u8>),
    File(Content),
    /// Index of the member that has the content.
    HardLink(usize),
    /// The member of another package that has the content; never a link itself.
    HardLinkAcross(Origin),
    /// Devices and fifos.
    Special(FileKind),
}

#[derive(Debug)]
pub enum Content {
    Staged(PathBuf),
    Bytes(Vec<u8>),
}

/// A member of a package: indices into the packages, and into that package's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    pub package: usize,
    pub member: usize,
}

impl Package {
    /// What a package of Debian's says; `None` for another one.
    pub fn debian(&self) -> Option<&ControlFiles> {
        match &self.delivery.as_ref()?.format {
            Format::Debian(files) => Some(files),
            Format::Illumos(_) => None,
        }
    }

    /// What a file or hard link among the members holds.
    pub fn content(&self, member: usize) -> Option<&Content> {
        match &self.members[member].kind {
            MemberKind::File(content) => Some(content),
            MemberKind::HardLink(target) => match &self.members[*target].kind {
                MemberKind::File(content) => Some(content),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Whether two members, given as packages and indices, are the same thing, so that either will do.
///
/// # Errors
/// When staged content cannot be read.
pub fn same(first: (&Package, usize), second: (&Package, usize)) -> Result<bool, FetchError> {
    let [a, b] = [first, second].map(|(package, member)| &package.members[member]);
    if (a.mode, a.uid, a.gid) != (b.mode, b.uid, b.gid) {
        return Ok(false);
    }
    match (first.0.content(first.1), second.0.content(second.1)) {
        (Some(Content::Staged(a)), Some(Content::Staged(b))) => {
            let read = |path: &Path, source| FetchError::Read { path: path.to_owned(), source };
            let open = |path: &Path| File::open(path).map_err(|source| read(path, source));
            same_bytes(&mut open(a)?, &mut open(b)?).map_err(|source| read(a, source))
        }
        (None, None) => Ok(match (&a.kind, &b.kind) {
            (MemberKind::Symlink(a), MemberKind::Symlink(b)) => a == b,
            (MemberKind::Special(a), MemberKind::Special(b)) => a == b,
            _ => false,
        }),
        // No package brings a file that minroot generates.
        _ => Ok(false),
    }
}

fn same_bytes(a: &mut File, b: &mut File) -> std::io::Result<bool> {
    if a.metadata()?.len() != b.metadata()?.len() {
        return Ok(false);
    }
    let mut chunks = [Vec::new(), Vec::new()];
    loop {
        for (file, chunk) in [&mut *a, &mut *b].into_iter().zip(&mut chunks) {
            chunk.clear();
            file.take(1 << 16).read_to_end(chunk)?;
        }
        if chunks[0] != chunks[1] || chunks[0].is_empty() {
            return Ok(chunks[0] == chunks[1]);
        }
    }
}

impl Member {
    /// A file that no package brought, owned by root.
    pub fn generated(path: RootPath, content: impl Into<Vec<u8>>) -> Member {
        let kind = MemberKind::File(Content::Bytes(content.into()));
        Member { path, kind, mode: 0o644, uid: 0, gid: 0, mtime: 0 }
    }

    /// A link that no package brought.
    pub fn symlink(path: RootPath, target: impl Into<Vec<u8>>) -> Member {
        Member { path, kind: MemberKind::Symlink(target.into()), mode: 0o777, uid: 0, gid: 0, mtime: 0 }
    }

    /// Checks a member of `data.tar`; a regular file's content is to be found at `staged`.
    ///
    /// `earlier` finds a regular file among the members before this one.
    ///
    /// # Errors
    /// Everything that no well-made package does.
    pub fn read(
        member: &TarMember,
        staged: PathBuf,
        earlier: impl Fn(&RootPath) -> Option<usize>,
    ) -> Result<Member, Refusal> {
        let path = inside(&member.path)?;
        let (major, minor) = member.device;
        let kind = match member.kind {
            EntryType::Regular | EntryType::Continuous => MemberKind::File(Content::Staged(staged)),
            EntryType::Directory => MemberKind::Directory,
            EntryType::Symlink if member.link.is_empty() => return Err(Refusal::EmptyLink),
            EntryType::Symlink => MemberKind::Symlink(member.link.clone()),
            EntryType::Link => {
                let target = inside(&member.link)?;
                MemberKind::HardLink(earlier(&target).ok_or_else(|| Refusal::HardLink(member.link.clone()))?)
            }
            EntryType::Char => MemberKind::Special(FileKind::Char { major, minor }),
            EntryType::Block => MemberKind::Special(FileKind::Block { major, minor }),
            EntryType::Fifo => MemberKind::Special(FileKind::Fifo),
            other => return Err(Refusal::Type(char::from(other.as_byte()))),
        };
        if path.is_root() && !matches!(kind, MemberKind::Directory) {
            return Err(Refusal::Shape);
        }
        Ok(Member { path, kind, mode: member.mode, uid: member.uid, gid: member.gid, mtime: member.mtime })
    }
}

/// `./usr/bin/x`, `usr/bin/x` and `/usr/bin/x` are one path.
///
/// # Errors
/// A path that climbs, or that no system would take.
pub fn inside(name: &[u8]) -> Result<RootPath, Refusal> {
    let path = RootPath::new([b"/", name].concat())?;
    if path.as_bytes().len() > PATH_LIMIT || path.components().any(|component| component.len() > NAME_LIMIT) {
        return Err(Refusal::TooLong);
    }
    Ok(path)
}
