//! An image to its files: the superblock is judged as the kernel's mount judges it, then inodes and content are read.
//!
//! Nothing of an image is believed: pointers are compared with its length, sizes with what the format can hold, and what
//! is kept in memory is never more than a few blocks. What is surprising: mount checks very little. It does not notice
//! that an image is cut short, and finds groups by numbers that nobody has looked at; what it would not notice is for
//! [`check`](super::check).

mod content;
mod records;
mod walk;

pub use content::{Content, ContentError};
pub use records::{Name, Records, RecordsError};
pub use walk::{Entry, Walk, WalkError};

use super::{
    BLOCK_SIZE, Clean, FRAGMENT_SIZE, FRAGMENTS_PER_BLOCK, GROUP_FRAGMENT, INODE_SIZE, INODES_FRAGMENT,
    INODES_PER_BLOCK, Inode, MAGIC, POINTERS_PER_BLOCK, ROOT_INODE, SECTORS_PER_FRAGMENT, SUPERBLOCK_OFFSET,
    Superblock, file_type,
};
use std::io;

/// Bytes that are read at any place: a file, a part of one, memory.
pub trait ReadAt {
    /// Bytes.
    fn length(&self) -> u64;

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// Those of the host, and `UnexpectedEof` behind the end.
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl ReadAt for Vec<u8> {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).ok();
        let range = start.and_then(|start| Some(start..start.checked_add(buffer.len())?));
        let bytes = range.and_then(|range| self.get(range)).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

/// An image that can be mounted as root.
#[derive(Clone, Copy)]
pub struct Image<'s> {
    source: &'s dyn ReadAt,
    superblock: &'s Superblock,
}

/// Why the kernel does not mount an image as its root (`mountfs` in `ufs_vfsops.c`), in its words where it has any.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    #[error("the superblock cannot be read")]
    Superblock(#[source] io::Error),
    #[error("mount: not a UFS magic number (0x{0:x})")]
    Magic(u32),
    #[error("mount: unrecognized version of UFS on-disk format: {0}")]
    Version(u32),
    /// The kernel only says that it is an invalid argument, or finds nothing where it then looks.
    #[error("fs_{field} is {found}, not {expected}")]
    Field { field: &'static str, found: u32, expected: String },
    #[error("the summary area, fs_cssize {size} bytes at fs_csaddr {address}, is past the end of the image")]
    Summary { address: u32, size: u32 },
    #[error("inode 2, the root directory, is past the end of the image")]
    RootPastEnd,
    #[error("unexpected free inode 2, run fsck(1M)")]
    RootFree,
    #[error("inode 2 is no directory: its ic_smode is {mode:#o}")]
    RootMode { mode: u16 },
}

/// Reads the superblock of an image.
///
/// # Errors
/// The image ends before it, or its magic number is another one.
pub fn read_superblock(source: &dyn ReadAt) -> Result<Superblock, MountError> {
    let mut bytes = vec![0; Superblock::SIZE];
    source.read_exact_at(SUPERBLOCK_OFFSET, &mut bytes).map_err(MountError::Superblock)?;
    let superblock = Superblock::read(&bytes).expect("there are enough bytes");
    if superblock.magic != MAGIC {
        return Err(MountError::Magic(superblock.magic));
    }
    Ok(superblock)
}

impl<'s> Image<'s> {
    /// Looks at what mount looks at, and at what has to be right for anything to be found.
    ///
    /// # Errors
    /// The kernel would not mount the image, or not with the blocks of 8 KiB and fragments of 1 KiB that are read here.
    pub fn open(source: &'s dyn ReadAt, superblock: &'s Superblock) -> Result<Image<'s>, MountError> {
        if !matches!(superblock.version, 0 | 2) {
            return Err(MountError::Version(superblock.version));
        }
        check_layout(superblock)?;
        let image = Image { source, superblock };
        if !image.has(superblock.csaddr, superblock.cssize.div_ceil(FRAGMENT_SIZE)) {
            return Err(MountError::Summary { address: superblock.csaddr, size: superblock.cssize });
        }
        let root = image.inode(ROOT_INODE).map_err(|_| MountError::RootPastEnd)?;
        match root.mode & file_type::MASK {
            0 => Err(MountError::RootFree),
            _ if root.nlink <= 0 => Err(MountError::RootFree),
            file_type::DIRECTORY => Ok(image),
            _ => Err(MountError::RootMode { mode: root.mode }),
        }
    }

    pub fn superblock(&self) -> &'s Superblock {
        self.superblock
    }

    /// Bytes of the image, which may be fewer than the superblock promises.
    pub fn length(&self) -> u64 {
        self.source.length()
    }

    /// Fragments that are in the file system and in the image.
    pub fn n_fragments(&self) -> u32 {
        let whole = u32::try_from(self.length() / u64::from(FRAGMENT_SIZE)).unwrap_or(u32::MAX);
        whole.min(self.superblock.size)
    }

    /// Whether it can be remounted read-write; else `mount` says that its state is not okay (`remountfs`).
    pub fn is_okay(&self) -> bool {
        let clean = [Clean::Clean, Clean::Stable, Clean::Log].iter().any(|clean| *clean as u8 == self.superblock.clean);
        let has_log = self.superblock.clean != Clean::Log as u8 || self.superblock.logbno != 0;
        clean && has_log && self.superblock.state == self.superblock.okay_state()
    }

    /// One inode, whether it is in use or not.
    ///
    /// # Errors
    /// There is no such inode, it is past the end of the image, or the host's.
    pub fn inode(&self, number: u32) -> io::Result<Inode> {
        let n_inodes = u64::from(self.superblock.ncg) * u64::from(self.superblock.ipg);
        let place = (u64::from(number) < n_inodes).then(|| self.superblock.inode_offset(number)).flatten();
        let mut bytes = [0; INODE_SIZE as usize];
        self.source.read_exact_at(place.ok_or(io::ErrorKind::NotFound)?, &mut bytes)?;
        Ok(Inode::read(&bytes).expect("there are enough bytes"))
    }

    /// Every path, directories before what is in them.
    pub fn walk(&self) -> Walk<'s> {
        Walk::new(*self)
    }

    /// The names in a directory, `.` and `..` among them.
    pub fn records(&self, number: u32, directory: &Inode) -> Records<'s> {
        Records::new(*self, number, directory)
    }

    /// The bytes of a file, directory or symlink; holes are zeros.
    pub fn content(&self, number: u32, inode: &Inode) -> Content<'s> {
        Content::new(*self, number, inode)
    }

    /// Whether so many fragments from one on are in the file system and in the image.
    pub(super) fn has(&self, fragment: u32, count: u32) -> bool {
        fragment.checked_add(count).is_some_and(|end| end <= self.n_fragments())
    }

    /// Fills `buffer` with the bytes that are `skipped` bytes behind the start of a fragment.
    pub(super) fn read(&self, fragment: u32, skipped: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.source.read_exact_at(u64::from(fragment) * u64::from(FRAGMENT_SIZE) + skipped, buffer)
    }
}

/// The fields from which everything else is found. The kernel takes other block sizes as well, which `newfs` does not
/// make for a boot archive.
fn check_layout(superblock: &Superblock) -> Result<(), MountError> {
    let constants = [
        ("bsize", superblock.bsize, BLOCK_SIZE),
        ("fsize", superblock.fsize, FRAGMENT_SIZE),
        ("frag", superblock.frag, FRAGMENTS_PER_BLOCK),
        ("bmask", superblock.bmask, !(BLOCK_SIZE - 1)),
        ("fmask", superblock.fmask, !(FRAGMENT_SIZE - 1)),
        ("bshift", superblock.bshift, BLOCK_SIZE.ilog2()),
        ("fshift", superblock.fshift, FRAGMENT_SIZE.ilog2()),
        ("fragshift", superblock.fragshift, FRAGMENTS_PER_BLOCK.ilog2()),
        ("fsbtodb", superblock.fsbtodb, SECTORS_PER_FRAGMENT.ilog2()),
        ("nspf", superblock.nspf, SECTORS_PER_FRAGMENT),
        ("nindir", superblock.nindir, POINTERS_PER_BLOCK),
        ("inopb", superblock.inopb, INODES_PER_BLOCK),
        ("cgmask", superblock.cgmask, u32::MAX),
        ("cblkno", superblock.cblkno, GROUP_FRAGMENT),
        ("iblkno", superblock.iblkno, INODES_FRAGMENT),
    ];
    for (field, found, expected) in constants {
        if found != expected {
            return Err(MountError::Field { field, found, expected: expected.to_string() });
        }
    }
    let ranges = [
        ("size", superblock.size, 1, i32::MAX as u32),
        ("ipg", superblock.ipg, INODES_PER_BLOCK, i16::MAX as u32),
        // As many bits as a block has.
        ("fpg", superblock.fpg, INODES_FRAGMENT + FRAGMENTS_PER_BLOCK, BLOCK_SIZE * 8),
        ("ncg", superblock.ncg, 1, superblock.size.div_ceil(superblock.fpg.max(1))),
    ];
    for (field, found, least, most) in ranges {
        if !(least..=most).contains(&found) {
            return Err(MountError::Field { field, found, expected: format!("between {least} and {most}") });
        }
    }
    if u64::from(superblock.ncg) * u64::from(superblock.ipg) > u64::from(u32::MAX) {
        let expected = "as few that the numbers of inodes have 32 bits".to_owned();
        return Err(MountError::Field { field: "ncg", found: superblock.ncg, expected });
    }
    // The kernel copies whole fragments into memory of so many bytes.
    let least = u64::from(superblock.ncg) * 16;
    if u64::from(superblock.cssize) < least || !superblock.cssize.is_multiple_of(FRAGMENT_SIZE) {
        let expected = format!("a multiple of {FRAGMENT_SIZE} from {least} on");
        return Err(MountError::Field { field: "cssize", found: superblock.cssize, expected });
    }
    Ok(())
}
