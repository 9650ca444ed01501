//! UFS as illumos has it on i86pc: the structures of the disk, each as a type that is read and written.
//!
//! Facts shared by the writer (`pack::ufs`) and the reader: offsets, units, constants. [`read`] makes files of an image
//! again, [`check`] says what in it does not add up. What is
//! surprising: block numbers on the disk count *fragments* of 1 KiB, not blocks of 8 KiB, and nearly everything that
//! 4.4BSD calls UFS1 differs in just the fields that decide whether illumos mounts it (`fs_state`, `fs_version`, the
//! length of names, device numbers, short symlinks).
//!
//! Sources are files of illumos-gate: `usr/src/uts/common/sys/fs/ufs_fs.h`, `ufs_inode.h` and `ufs_fsdir.h` for the
//! structures, `usr/src/cmd/fs.d/ufs/mkfs/mkfs.c` for what a new file system holds.

pub mod check;
mod directory;
mod fields;
mod group;
mod inode;
pub mod read;
mod superblock;

pub use directory::{DirectoryError, Record, record_length};
pub use fields::{Field, FieldPlace, Truncated};
pub use group::{GroupHeader, GroupMaps};
pub use inode::{Inode, decode_device, encode_device, file_type};
pub use superblock::{Clean, Superblock};

use fields::on_disk;

/// Bytes of a block (`newfs` default, and the largest that illumos mounts: `MAXBSIZE`).
pub const BLOCK_SIZE: u32 = 8192;
/// Bytes of a fragment, the unit of every block number.
pub const FRAGMENT_SIZE: u32 = 1024;
/// Fragments of a block (`fs_frag`).
pub const FRAGMENTS_PER_BLOCK: u32 = BLOCK_SIZE / FRAGMENT_SIZE;
/// Bytes of a sector (`DEV_BSIZE`), the unit of [`Inode::blocks`] and of the geometry.
pub const SECTOR_SIZE: u32 = 512;
/// Sectors of a fragment (`fs_nspf`).
pub const SECTORS_PER_FRAGMENT: u32 = FRAGMENT_SIZE / SECTOR_SIZE;
/// Where the superblock is, in bytes (`SBOFF`); what is before it is the boot block.
pub const SUPERBLOCK_OFFSET: u64 = 8192;
/// Where the copy of the superblock, the group block and the inodes of a group begin, in fragments from its start.
pub const BACKUP_FRAGMENT: u32 = 16;
pub const GROUP_FRAGMENT: u32 = 24;
pub const INODES_FRAGMENT: u32 = 32;

/// `fs_magic` (`FS_MAGIC`); `0x00decade` would be a multi-terabyte file system.
pub const MAGIC: u32 = 0x0001_1954;
/// `cg_magic` (`CG_MAGIC`).
pub const GROUP_MAGIC: u32 = 0x0009_0255;
/// What `fs_state` and `fs_time` add up to in a file system that may be mounted read-write (`FSOKAY`).
pub const STATE_OKAY: u32 = 0x7c26_9d38;

/// Bytes of an inode on the disk, and how many are in a block (`fs_inopb`).
pub const INODE_SIZE: u32 = 128;
pub const INODES_PER_BLOCK: u32 = BLOCK_SIZE / INODE_SIZE;
/// The most inodes of a group: `MAXIPG` in `mkfs.c`.
pub const MAX_INODES_PER_GROUP: u32 = 21_888;
/// The inode of the root directory (`UFSROOTINO`); 0 and 1 are never used.
pub const ROOT_INODE: u32 = 2;
/// The inode that `mkfs` gives to `lost+found` (`LOSTFOUNDINO`).
pub const LOST_FOUND_INODE: u32 = 3;
/// Block pointers in an inode (`NDADDR`), and levels of indirect blocks (`NIADDR`).
pub const N_DIRECT: u32 = 12;
pub const N_INDIRECT: usize = 3;
/// Pointers in an indirect block (`fs_nindir`).
pub const POINTERS_PER_BLOCK: u32 = BLOCK_SIZE / 4;
/// The largest file (`UFS_MAXOFFSET_T`).
pub const MAX_FILE_SIZE: u64 = (1 << 40) - 1;
/// Files from this size on set bit 0 of `fs_flags` (`FSLARGEFILES`).
pub const LARGE_FILE: u64 = 1 << 31;
/// The most names of an inode (`MAXLINK`).
pub const MAX_LINKS: u32 = 32_767;

/// Directory entries do not cross a border of so many bytes (`DIRBLKSIZ`).
pub const DIRECTORY_CHUNK: usize = 512;
/// The longest name (`MAXNAMLEN`).
pub const MAX_NAME: usize = 255;
/// Rotational positions (`fs_nrpos`); only their counts in the group block are left of them.
pub const N_POSITIONS: u32 = 8;

on_disk! {
    /// Counts of a group, and their sum over all groups (`struct csum`).
    #[derive(Copy, Eq, Hash)]
    pub struct Summary: "summary", 16 bytes {
        /// Directories whose inode is in the group.
        pub n_directories: u32 = 0,
        /// Blocks that are wholly free.
        pub n_free_blocks: u32 = 4,
        pub n_free_inodes: u32 = 8,
        /// Free fragments of blocks that are in use in part.
        pub n_free_fragments: u32 = 12,
    }
}

impl Summary {
    /// Adds the counts of a group to a total; wraps like the kernel's integers.
    pub fn add(&mut self, other: &Summary) {
        self.n_directories = self.n_directories.wrapping_add(other.n_directories);
        self.n_free_blocks = self.n_free_blocks.wrapping_add(other.n_free_blocks);
        self.n_free_inodes = self.n_free_inodes.wrapping_add(other.n_free_inodes);
        self.n_free_fragments = self.n_free_fragments.wrapping_add(other.n_free_fragments);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_four_numbers_in_the_order_of_the_gate() {
        let summary = Summary { n_directories: 1, n_free_blocks: 2, n_free_inodes: 3, n_free_fragments: 4 };
        let mut bytes = [0; 16];
        summary.write(&mut bytes);
        assert_eq!(bytes, [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0]);
        assert_eq!(Summary::read(&bytes), Ok(summary));
        let error = Summary::read(&bytes[..15]).unwrap_err();
        assert_eq!(error.to_string(), "the summary is cut off: 15 of 16 bytes");
    }
}
