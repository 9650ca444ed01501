//! How a file system is cut into cylinders and groups, with the arithmetic of `newfs`
//! (`usr/src/cmd/fs.d/ufs/mkfs/mkfs.c` of illumos-gate).
//!
//! There is no disk, so the cylinder is a free choice: the largest that gives few groups loses the least, because every
//! group has a copy of the superblock and a block of maps. All numbers are fragments of 1 KiB where nothing else is
//! said.

use crate::ufs::{
    BACKUP_FRAGMENT, BLOCK_SIZE, FRAGMENT_SIZE, FRAGMENTS_PER_BLOCK, GroupMaps, INODES_FRAGMENT, INODES_PER_BLOCK,
    MAX_INODES_PER_GROUP, SECTORS_PER_FRAGMENT, Summary,
};

/// Cylinders of a group: the default of `newfs`.
const CYLINDERS_PER_GROUP: u32 = 16;
/// Cylinders of a multiple of so many sectors (`NSPB`) begin on a block border.
const CYLINDER_UNIT: u32 = BLOCK_SIZE / 512;
/// The largest image: it has to lie below 4 GiB, where the loader puts its modules.
pub(super) const MAX_FRAGMENTS: u32 = u32::MAX / FRAGMENT_SIZE / FRAGMENTS_PER_BLOCK * FRAGMENTS_PER_BLOCK;

/// Where everything that is no content lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Of the file system (`fs_size`).
    pub size: u32,
    /// Sectors of a cylinder (`fs_spc`, and with one head `fs_nsect`).
    pub sectors_per_cylinder: u32,
    pub cylinders_per_group: u32,
    pub inodes_per_group: u32,
    pub n_cylinders: u32,
    pub n_groups: u32,
}

impl Geometry {
    /// The file system with the fewest groups, and as small as can be, for so many blocks of content and so many
    /// inodes, the two unused ones among them. `None` when it would be larger than [`MAX_FRAGMENTS`].
    pub fn least(n_blocks: u64, n_inodes: u64) -> Option<Geometry> {
        // Maps of one block serve 49,000 fragments at least, so that far fewer groups than these are enough.
        (1..=MAX_FRAGMENTS / 8192).find_map(|n_groups| Geometry::with_groups(n_groups, n_blocks, n_inodes))
    }

    fn with_groups(n_groups: u32, n_blocks: u64, n_inodes: u64) -> Option<Geometry> {
        let per_group = n_inodes.div_ceil(n_groups.into()).checked_next_multiple_of(INODES_PER_BLOCK.into())?;
        let inodes_per_group = u32::try_from(per_group).ok().filter(|n| *n <= MAX_INODES_PER_GROUP)?;
        let content = n_blocks.checked_mul(FRAGMENTS_PER_BLOCK.into())?;
        let (metadata, further) = (data_fragment(inodes_per_group), data_fragment(inodes_per_group) - BACKUP_FRAGMENT);
        let summaries = summary_fragments(n_groups).next_multiple_of(FRAGMENTS_PER_BLOCK);
        let total = content.checked_add((metadata + further * (n_groups - 1) + summaries).into())?;
        let total = u32::try_from(total).ok().filter(|total| *total <= MAX_FRAGMENTS)?;

        let unit = CYLINDERS_PER_GROUP * CYLINDER_UNIT / SECTORS_PER_FRAGMENT;
        let group = total.div_ceil(n_groups).next_multiple_of(unit);
        // `mkfs` drops a last group that has no room for data; it gets some, which is free space then.
        let size = total.max(group * (n_groups - 1) + metadata + FRAGMENTS_PER_BLOCK);
        let sectors = group / CYLINDERS_PER_GROUP * SECTORS_PER_FRAGMENT;
        let geometry = Geometry::new(size, sectors, CYLINDERS_PER_GROUP, inodes_per_group)?;
        (geometry.n_groups == n_groups && size <= MAX_FRAGMENTS).then_some(geometry)
    }

    /// Groups of so many cylinders and inodes. `None` when the maps of a group do not fit into its block.
    fn new(size: u32, sectors_per_cylinder: u32, cylinders_per_group: u32, inodes_per_group: u32) -> Option<Geometry> {
        let maps = GroupMaps::new(cylinders_per_group, inodes_per_group, sectors_per_cylinder)?;
        if maps.group_size() > BLOCK_SIZE {
            return None;
        }
        let n_cylinders = (size * SECTORS_PER_FRAGMENT).div_ceil(sectors_per_cylinder);
        let n_groups = n_cylinders.div_ceil(cylinders_per_group);
        Some(Geometry { size, sectors_per_cylinder, cylinders_per_group, inodes_per_group, n_cylinders, n_groups })
    }

    /// `fs_fpg`.
    pub fn group_size(&self) -> u32 {
        self.cylinders_per_group * self.sectors_per_cylinder / SECTORS_PER_FRAGMENT
    }

    /// The first fragment of a group.
    pub fn group_base(&self, group: u32) -> u32 {
        group * self.group_size()
    }

    /// Fragments that a group has; the last one may be short.
    pub fn fragments_in(&self, group: u32) -> u32 {
        self.group_size().min(self.size - self.group_base(group))
    }

    /// Cylinders that a group has.
    pub fn cylinders_in(&self, group: u32) -> u32 {
        self.cylinders_per_group.min(self.n_cylinders - group * self.cylinders_per_group)
    }

    /// `fs_dblkno`: from the start of a group to its data behind the inodes.
    pub fn data_fragment(&self) -> u32 {
        data_fragment(self.inodes_per_group)
    }

    /// `fs_cssize` in fragments: where group 0 has the summaries of all groups, at [`Geometry::data_fragment`].
    pub fn summary_fragments(&self) -> u32 {
        summary_fragments(self.n_groups)
    }

    /// `fs_dsize`.
    pub fn data_size(&self) -> u32 {
        let in_groups: u32 = (0..self.n_groups).map(|group| self.fragments_in(group) - self.data_fragment()).sum();
        in_groups + BACKUP_FRAGMENT * (self.n_groups - 1) - self.summary_fragments()
    }

    /// Where the maps of a group are in its block.
    pub fn maps(&self) -> GroupMaps {
        GroupMaps::new(self.cylinders_per_group, self.inodes_per_group, self.sectors_per_cylinder)
            .expect("a geometry is made with them")
    }

    /// `fs_cgsize`, in bytes.
    pub fn group_block_size(&self) -> u32 {
        self.maps().group_size().next_multiple_of(FRAGMENT_SIZE)
    }

    /// Inodes of all groups, the two unused ones among them.
    pub fn n_inodes(&self) -> u32 {
        self.n_groups * self.inodes_per_group
    }

    /// Blocks of content before the copy of the superblock: the boot block and the superblock have them in group 0.
    pub fn front_blocks(&self, group: u32) -> u32 {
        if group == 0 { 0 } else { BACKUP_FRAGMENT / FRAGMENTS_PER_BLOCK }
    }

    /// The first fragment of content behind the inodes, from the start of the image. The rest of a block that the
    /// summaries begin stays free.
    pub fn content_fragment(&self, group: u32) -> u32 {
        let summaries = if group == 0 { self.summary_fragments().next_multiple_of(FRAGMENTS_PER_BLOCK) } else { 0 };
        self.group_base(group) + self.data_fragment() + summaries
    }

    /// Blocks of content behind the inodes.
    pub fn content_blocks(&self, group: u32) -> u32 {
        let end = self.group_base(group) + self.fragments_in(group);
        (end - self.content_fragment(group)) / FRAGMENTS_PER_BLOCK
    }

    /// The first fragments of the blocks of content, in the order of the image.
    pub fn content(&self) -> impl Iterator<Item = u32> {
        (0..self.n_groups).flat_map(move |group| {
            let front = (0..self.front_blocks(group)).map(move |n| self.group_base(group) + n * FRAGMENTS_PER_BLOCK);
            let rest =
                (0..self.content_blocks(group)).map(move |n| self.content_fragment(group) + n * FRAGMENTS_PER_BLOCK);
            front.chain(rest)
        })
    }

    /// Bytes that the log takes when the root is mounted read-write (`lufs_enable` in
    /// `usr/src/uts/common/fs/ufs/lufs.c`): 1 MiB, or 1/1024 of the file system, or one and a half group blocks per
    /// group (`LDL_CGSIZEREQ`), and a block for its extents.
    pub fn log_size(&self) -> u64 {
        const LEAST: u64 = 1 << 20;
        let by_size = u64::from(self.size) * u64::from(FRAGMENT_SIZE) / 1024;
        let block = u64::from(self.group_block_size());
        let by_groups = u64::from(self.n_groups) * (block + block / 2);
        LEAST.max(by_size).max(by_groups).next_multiple_of(BLOCK_SIZE.into()) + u64::from(BLOCK_SIZE)
    }
}

fn data_fragment(inodes_per_group: u32) -> u32 {
    INODES_FRAGMENT + inodes_per_group / INODES_PER_BLOCK * FRAGMENTS_PER_BLOCK
}

fn summary_fragments(n_groups: u32) -> u32 {
    (n_groups * Summary::SIZE as u32).div_ceil(FRAGMENT_SIZE)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What `newfs` makes of an image of so many MiB, with so many sectors per cylinder and bytes per inode: the
    /// order of the steps is that of `main` in `mkfs.c`.
    pub fn newfs(mib: u32, sectors: u32, bytes_per_inode: u32) -> Geometry {
        let size = mib << 10;
        let mut unit = CYLINDER_UNIT;
        let mut per_unit = sectors;
        while unit > 1 && per_unit.is_multiple_of(2) {
            (unit, per_unit) = (unit / 2, per_unit / 2);
        }
        let mut cylinders = CYLINDERS_PER_GROUP.next_multiple_of(unit);
        let guess = (sectors * 512 / 128).next_multiple_of(INODES_PER_BLOCK).min(MAX_INODES_PER_GROUP);
        let used = (32 + guess / 8) * 2 * 512;
        let mut geometry = loop {
            let inodes = ((cylinders * sectors * 512 - used) / bytes_per_inode).next_multiple_of(INODES_PER_BLOCK);
            match Geometry::new(size, sectors, cylinders, inodes).filter(|_| inodes <= MAX_INODES_PER_GROUP) {
                Some(geometry) => break geometry,
                None => cylinders -= unit,
            }
        };
        if geometry.fragments_in(geometry.n_groups - 1) < geometry.data_fragment() {
            geometry.n_groups -= 1;
            geometry.n_cylinders = geometry.n_groups * geometry.cylinders_per_group;
            geometry.size = geometry.n_cylinders * sectors / SECTORS_PER_FRAGMENT;
        }
        geometry
    }

    #[test]
    fn geometries_are_those_of_the_gates_mkfs() {
        // Image MiB, sectors per cylinder, then what mkfs built from illumos-gate makes of them.
        for (mib, sectors, group, inodes, n_groups, data, block, data_size) in [
            (64, 601, 4808, 320, 14, 72, 2048, 64_735),
            (64, 2048, 16_384, 960, 4, 152, 3072, 64_975),
            (40, 4096, 32_768, 1920, 2, 272, 5120, 40_431),
            (100, 613, 4904, 320, 21, 72, 2048, 101_207),
        ] {
            let made = newfs(mib, sectors, 16_384);
            let found = (made.group_size(), made.inodes_per_group, made.n_groups, made.data_fragment());
            assert_eq!((made.cylinders_per_group, found), (16, (group, inodes, n_groups, data)), "{mib} MiB");
            assert_eq!((made.group_block_size(), made.data_size()), (block, data_size), "{mib} MiB");
        }
    }

    #[test]
    fn the_least_file_system_has_room_for_exactly_what_is_asked() {
        for (n_blocks, n_inodes) in
            [(1, 4), (140, 260), (7000, 300), (7800, 300), (40_000, 60_000), (200, 300_000), (500_000, 900)]
        {
            let geometry = Geometry::least(n_blocks, n_inodes).unwrap();
            let room = geometry.content().count() as u64;
            assert!(room >= n_blocks && u64::from(geometry.n_inodes()) >= n_inodes, "{geometry:?}");
            // More only where the last group would be too small otherwise.
            let last = geometry.fragments_in(geometry.n_groups - 1);
            assert!(room == n_blocks || last == geometry.data_fragment() + FRAGMENTS_PER_BLOCK, "{geometry:?}");
            assert!(geometry.group_block_size() <= BLOCK_SIZE && geometry.size.is_multiple_of(FRAGMENTS_PER_BLOCK));
            assert!(
                geometry.n_groups * 16 >= geometry.n_cylinders && (geometry.n_groups - 1) * 16 < geometry.n_cylinders
            );
            let free = geometry.data_size() / FRAGMENTS_PER_BLOCK;
            assert_eq!(u64::from(free), room, "the rest of the block of summaries is no whole block");
        }
    }

    #[test]
    fn a_file_system_that_no_loader_can_place_is_refused() {
        assert!(Geometry::least(520_000, 300).is_some());
        assert_eq!(Geometry::least(525_000, 300), None);
        assert_eq!(Geometry::least(100, 1 << 40), None);
        assert_eq!(Geometry::least(u64::MAX, 4), None);
    }

    #[test]
    fn the_log_grows_with_the_file_system() {
        assert_eq!(Geometry::least(1000, 100).unwrap().log_size(), (1 << 20) + 8192);
        let large = Geometry::least(300_000, 100).unwrap();
        assert_eq!(large.log_size(), u64::from(large.size).next_multiple_of(8192) + 8192);
    }
}
