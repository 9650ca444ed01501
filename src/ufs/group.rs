//! The cylinder group block (`struct cg` in `ufs_fs.h`): a header and four maps behind it.
//!
//! The bit of a *used inode* is set, but so is the bit of a *free fragment*.

use super::fields::on_disk;
use super::{N_POSITIONS, SECTORS_PER_FRAGMENT, Summary};
use std::ops::Range;

on_disk! {
    /// The header of a group block.
    pub struct GroupHeader: "cylinder group header", 168 bytes {
        pub magic: u32 = 4,
        pub time: u32 = 8,
        /// The number of the group.
        pub cgx: u32 = 12,
        /// Cylinders, inodes, fragments of this group.
        pub ncyl: u16 = 16,
        pub niblk: u16 = 18,
        pub ndblk: u32 = 20,
        pub cs: Summary = 24,
        /// Where the last block, fragment and inode were found; relative to the group.
        pub rotor: u32 = 40,
        pub frotor: u32 = 44,
        pub irotor: u32 = 48,
        /// Free runs of exactly 1 to 7 fragments in blocks that are in use in part; entry 0 is not used.
        pub frsum: [u32; 8] = 52,
        /// Bytes from the start of the block to each map.
        pub btotoff: u32 = 84,
        pub boff: u32 = 88,
        pub iusedoff: u32 = 92,
        pub freeoff: u32 = 96,
        pub nextfreeoff: u32 = 100,
    }
}

/// Where the maps of a group block are, in bytes from its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMaps {
    /// `i32` per cylinder: blocks that are free.
    pub block_totals: Range<usize>,
    /// `i16` per cylinder and rotational position: blocks that are free.
    pub block_positions: Range<usize>,
    /// A bit per inode, lowest first, set when it is used.
    pub inodes: Range<usize>,
    /// A bit per fragment, lowest first, set when it is free.
    pub fragments: Range<usize>,
}

impl GroupMaps {
    /// The maps as `mkfs.c` (`initcg`) lays them out; their end is what its `CGSIZE` counts. `None` beyond `u32`.
    pub fn new(cylinders_per_group: u32, inodes_per_group: u32, sectors_per_cylinder: u32) -> Option<GroupMaps> {
        let block_totals = GroupHeader::SIZE as u32;
        let block_positions = block_totals.checked_add(cylinders_per_group.checked_mul(4)?)?;
        let inodes = block_positions.checked_add(cylinders_per_group.checked_mul(2 * N_POSITIONS)?)?;
        let fragments = inodes.checked_add(inodes_per_group.div_ceil(8))?;
        let n_fragments = cylinders_per_group.checked_mul(sectors_per_cylinder)? / SECTORS_PER_FRAGMENT;
        let end = fragments.checked_add(n_fragments.div_ceil(8))?;
        let range = |from: u32, to: u32| from as usize..to as usize;
        Some(GroupMaps {
            block_totals: range(block_totals, block_positions),
            block_positions: range(block_positions, inodes),
            inodes: range(inodes, fragments),
            fragments: range(fragments, end),
        })
    }

    /// Bytes of the group block that `mkfs` counts (`CGSIZE`): four more than are in use, as its structure ends in an
    /// array of one.
    pub fn group_size(&self) -> u32 {
        self.fragments.end as u32 + 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_group_header_comes_back() {
        let bytes: Vec<u8> = (1..=GroupHeader::SIZE as u8).collect();
        let header = GroupHeader::read(&bytes).unwrap();
        let mut again = vec![0xff; GroupHeader::SIZE];
        header.write(&mut again);
        assert_eq!(GroupHeader::read(&again).unwrap(), header);
        assert_eq!((again[4], again[100], again[104]), (5, 101, 0));
    }

    #[test]
    fn maps_follow_each_other_as_in_a_file_system_of_mkfs() {
        // 64 MiB with 601 sectors per cylinder: the gate's mkfs says `fs_cgsize` 2048.
        let maps = GroupMaps::new(16, 320, 601).unwrap();
        assert_eq!((maps.block_totals.clone(), maps.block_positions.clone()), (168..232, 232..488));
        assert_eq!((maps.inodes.clone(), maps.fragments.clone()), (488..528, 528..1129));
        assert_eq!(maps.group_size().next_multiple_of(1024), 2048);
        assert_eq!(GroupMaps::new(u32::MAX, 64, 16), None);
    }
}
