//! The FAT file system that UEFI firmware boots from, written in one go and read back.
//!
//! [`FatImage`] lays a known list of files out: every chain is contiguous, clusters begin on CD sectors, nothing is
//! free, so the size follows from the content. The type is not chosen: FAT12, FAT16 and FAT32 differ in the number of
//! clusters and in nothing else that a reader may look at (Microsoft, *FAT32 File System Specification* 1.03, "FAT Type
//! Determination"), so the writer chooses the cluster size. UEFI firmware reads all three on removable media (UEFI
//! specification 2.10, section 13.3.1).

mod geometry;
mod names;
mod read;
mod write;

pub use geometry::FatKind;
pub use read::{FatEntry, FatVolume};
pub use write::{FatError, FatFile, FatImage};

/// Bytes of a sector in the volumes written here, and of a directory entry in all volumes.
const SECTOR: u64 = 512;
const ENTRY: usize = 32;

/// Attributes of directory entries.
const ATTR_VOLUME: u8 = 0x08;
const ATTR_DIRECTORY: u8 = 0x10;
const ATTR_ARCHIVE: u8 = 0x20;
const ATTR_LONG_NAME: u8 = 0x0f;
