//! A tree of files to an ISO 9660 volume with Rock Ridge names and an El Torito boot catalog (ECMA-119, 4th edition).
//!
//! Contents are *extents*, and files refer to a range of one: two files may share an extent, and a file may lie in the
//! middle of one. Directories may be nested deeper than the eight levels of ECMA-119; they are not moved to another
//! place, as Rock Ridge readers (Linux, illumos, xorriso, libarchive) take them as they are.

mod descriptor;
mod layout;
mod tree;

pub use layout::IsoLayout;

use super::eltorito::{self, Platform};
use super::output::Piece;
use super::{Blob, CD_SECTOR, TOO_LARGE};
use crate::path::RootPath;
use std::collections::BTreeMap;

/// A volume to be written: what is in it, and nothing yet about where.
#[derive(Debug)]
pub struct Volume {
    label: String,
    epoch: u64,
    entries: BTreeMap<RootPath, Entry>,
    extents: Vec<Extent>,
    boot_images: Vec<BootImage>,
    tail: u64,
}

/// Permissions and owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits with setuid, setgid and sticky (`0o7777`).
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// What an entry of the volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Directory,
    File(Range),
    Symlink { target: Vec<u8> },
    Char { major: u32, minor: u32 },
    Block { major: u32, minor: u32 },
    Fifo,
}

/// Names an extent of one [`Volume`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtentId(usize);

/// A part of an extent, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub extent: ExtentId,
    /// A multiple of [`CD_SECTOR`].
    pub offset: u64,
    pub size: u64,
}

/// Why a tree cannot become an ISO 9660 volume.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum IsoError {
    #[error("`{0}` is no volume label: it takes 1 to 32 characters of ASCII")]
    BadLabel(String),
    #[error("`{0}` is in the volume twice")]
    Duplicate(RootPath),
    #[error("`{0}` is not a directory, but something is inside it")]
    NotADirectory(RootPath),
    #[error("the name of `{0}` has more than 255 bytes")]
    NameTooLong(RootPath),
    #[error("the target of the symlink `{0}` has more than 4095 bytes")]
    TargetTooLong(RootPath),
    #[error("a boot program of {0} bytes has no room for a boot info table, which ends at byte 64")]
    BootProgramTooShort(u64),
    #[error("more than 65535 directories do not fit a path table")]
    TooManyDirectories,
    #[error("the volume would be larger than 8 TiB")]
    TooLarge,
}

impl IsoError {
    /// What to do about it, where it is in the user's hands.
    pub fn hint(&self) -> Option<&'static str> {
        (*self == IsoError::TooLarge).then_some(TOO_LARGE)
    }
}

#[derive(Debug)]
struct Entry {
    attributes: Attributes,
    node: Node,
}

/// Contiguous sectors.
#[derive(Debug)]
struct Extent {
    size: u64,
    content: ExtentContent,
}

#[derive(Debug)]
enum ExtentContent {
    /// What no piece covers is zero.
    Pieces(Vec<Piece>),
    /// A boot program that is told where it lies.
    WithInfoTable(Vec<u8>),
}

#[derive(Debug)]
struct BootImage {
    extent: ExtentId,
    platform: Platform,
    load_blocks: u16,
}

const DEFAULT_DIRECTORY: Entry =
    Entry { attributes: Attributes { mode: 0o755, uid: 0, gid: 0 }, node: Node::Directory };

impl Volume {
    /// An empty volume all of whose dates are `epoch`.
    ///
    /// # Errors
    /// A label that ISO 9660 cannot store.
    pub fn new(label: &str, epoch: u64) -> Result<Volume, IsoError> {
        if !(1..=32).contains(&label.len()) || !label.bytes().all(|b| matches!(b, b' '..=b'~')) {
            return Err(IsoError::BadLabel(label.to_owned()));
        }
        Ok(Volume {
            label: label.to_owned(),
            epoch,
            entries: BTreeMap::from([(RootPath::root(), DEFAULT_DIRECTORY)]),
            extents: Vec::new(),
            boot_images: Vec::new(),
            tail: 0,
        })
    }

    /// Adds content that is not in a file yet. Extents lie in the volume in the order in which they are added.
    pub fn add_extent(&mut self, blob: Blob) -> ExtentId {
        let size = blob.len();
        self.add_extent_of_pieces(size, vec![Piece { offset: 0, blob }])
    }

    /// Adds `size` bytes of which `pieces` are given; the others are zero, or written later by someone else.
    pub fn add_extent_of_pieces(&mut self, size: u64, pieces: Vec<Piece>) -> ExtentId {
        self.push_extent(Extent { size, content: ExtentContent::Pieces(pieces) })
    }

    /// Adds a boot program in which bytes 8 to 63 are overwritten with its place
    /// ([`patch_info_table`](super::eltorito::patch_info_table)).
    ///
    /// # Errors
    /// A program without room for that.
    pub fn add_extent_with_info_table(&mut self, program: Vec<u8>) -> Result<ExtentId, IsoError> {
        let size = program.len() as u64;
        if size < eltorito::INFO_TABLE_END as u64 {
            return Err(IsoError::BootProgramTooShort(size));
        }
        Ok(self.push_extent(Extent { size, content: ExtentContent::WithInfoTable(program) }))
    }

    /// Adds a file with content of its own.
    ///
    /// # Errors
    /// As [`Volume::add`].
    pub fn add_file(&mut self, path: &RootPath, attributes: Attributes, blob: Blob) -> Result<ExtentId, IsoError> {
        let size = blob.len();
        let extent = self.add_extent(blob);
        self.add(path, attributes, Node::File(Range { extent, offset: 0, size }))?;
        Ok(extent)
    }

    /// Adds an entry. Directories above it that are missing are made; adding such a directory later gives it its
    /// attributes.
    ///
    /// # Errors
    /// A path that is there already or lies below a file, a name or a target that is too long.
    pub fn add(&mut self, path: &RootPath, attributes: Attributes, node: Node) -> Result<(), IsoError> {
        if path.file_name().len() > 255 {
            return Err(IsoError::NameTooLong(path.clone()));
        }
        if let Node::Symlink { target } = &node
            && target.len() > 4095
        {
            return Err(IsoError::TargetTooLong(path.clone()));
        }
        if let Node::File(range) = &node {
            let end = range.offset.saturating_add(range.size);
            let inside = self.extents.get(range.extent.0).is_some_and(|extent| end <= extent.size);
            assert!(inside && range.offset.is_multiple_of(CD_SECTOR), "internal error: {range:?} of `{path}`");
        }
        self.make_directories_above(path)?;
        match self.entries.get(path) {
            Some(Entry { node: Node::Directory, .. }) if node == Node::Directory => {}
            Some(_) => return Err(IsoError::Duplicate(path.clone())),
            None => {}
        }
        self.entries.insert(path.clone(), Entry { attributes, node });
        Ok(())
    }

    /// Makes an extent bootable. The first image added is the one that a BIOS starts. `load_blocks` is in units of 512
    /// bytes.
    pub fn add_boot_image(&mut self, extent: ExtentId, platform: Platform, load_blocks: u16) {
        self.boot_images.push(BootImage { extent, platform, load_blocks });
    }

    /// Leaves at least `bytes` after the last extent, for what belongs at the end of a disk.
    pub fn reserve_tail(&mut self, bytes: u64) {
        self.tail = bytes;
    }

    fn push_extent(&mut self, extent: Extent) -> ExtentId {
        self.extents.push(extent);
        ExtentId(self.extents.len() - 1)
    }

    fn make_directories_above(&mut self, path: &RootPath) -> Result<(), IsoError> {
        let Some(parent) = path.parent() else { return Ok(()) };
        match self.entries.get(&parent) {
            Some(Entry { node: Node::Directory, .. }) => Ok(()),
            Some(_) => Err(IsoError::NotADirectory(parent)),
            None => self.add(&parent, DEFAULT_DIRECTORY.attributes, Node::Directory),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Attributes = Attributes { mode: 0o644, uid: 0, gid: 0 };

    fn path(text: &str) -> RootPath {
        RootPath::new(text).unwrap()
    }

    #[test]
    fn contradictions_are_refused() {
        let mut volume = Volume::new("LABEL", 0).unwrap();
        volume.add_file(&path("/a"), PLAIN, Blob::from_bytes(*b"x")).unwrap();
        let mut refused = |at: &str, node| volume.add(&path(at), PLAIN, node).unwrap_err();
        assert_eq!(refused("/a", Node::Fifo), IsoError::Duplicate(path("/a")));
        assert_eq!(refused("/a", Node::Directory), IsoError::Duplicate(path("/a")));
        assert_eq!(refused("/a/b", Node::Fifo), IsoError::NotADirectory(path("/a")));
        let long = format!("/{}", "n".repeat(256));
        assert_eq!(refused(&long, Node::Fifo), IsoError::NameTooLong(path(&long)));
        assert_eq!(refused("/l", Node::Symlink { target: vec![b'x'; 4096] }), IsoError::TargetTooLong(path("/l")));
        for label in ["", "caf\u{e9}", "123456789012345678901234567890123"] {
            assert_eq!(Volume::new(label, 0).unwrap_err(), IsoError::BadLabel(label.into()));
        }
    }

    #[test]
    fn a_directory_may_be_added_after_what_is_in_it() {
        let mut volume = Volume::new("LABEL", 0).unwrap();
        volume.add(&path("/d/e/f"), PLAIN, Node::Fifo).unwrap();
        let private = Attributes { mode: 0o700, uid: 1, gid: 2 };
        volume.add(&path("/d"), private, Node::Directory).unwrap();
        assert_eq!(volume.entries[&path("/d")].attributes, private);
        assert_eq!(volume.entries[&path("/d/e")].attributes, DEFAULT_DIRECTORY.attributes);
    }
}
