//! The superblock of a new file system: the values of `main` in `mkfs.c` for a disk with one head and no log.

use super::geometry::Geometry;
use crate::ufs::{
    BACKUP_FRAGMENT, BLOCK_SIZE, Clean, FRAGMENT_SIZE, FRAGMENTS_PER_BLOCK, GROUP_FRAGMENT, INODES_FRAGMENT,
    INODES_PER_BLOCK, MAGIC, N_POSITIONS, POINTERS_PER_BLOCK, SECTOR_SIZE, SECTORS_PER_FRAGMENT, Summary, Superblock,
};

/// 1 MiB in a row, which is what the kernel's `maxphys` allows.
const MAX_CONTIGUOUS: u32 = 128;
/// What mkfs writes for `lofi`, whose disks turn 7200 times a minute.
const REVOLUTIONS_PER_SECOND: u32 = 120;
/// `fs_flags`: there is a file of 2 GiB or more (`FSLARGEFILES`).
const LARGE_FILES: u8 = 1;
/// `fs_optim`: save space, not time (`FS_OPTSPACE`).
const SPACE: u32 = 1;
/// Bytes of `struct fs`, in whole fragments.
const USED_SIZE: u32 = 2048;

pub(super) fn superblock(geometry: &Geometry, total: Summary, has_large_files: bool, time: u32) -> Superblock {
    let sectors = geometry.sectors_per_cylinder;
    let mut superblock = Superblock {
        sblkno: BACKUP_FRAGMENT,
        cblkno: GROUP_FRAGMENT,
        iblkno: INODES_FRAGMENT,
        dblkno: geometry.data_fragment(),
        cgoffset: sectors.div_ceil(SECTORS_PER_FRAGMENT).next_multiple_of(FRAGMENTS_PER_BLOCK),
        cgmask: u32::MAX,
        time,
        size: geometry.size,
        dsize: geometry.data_size(),
        ncg: geometry.n_groups,
        bsize: BLOCK_SIZE,
        fsize: FRAGMENT_SIZE,
        frag: FRAGMENTS_PER_BLOCK,
        rps: REVOLUTIONS_PER_SECOND,
        bmask: !(BLOCK_SIZE - 1),
        fmask: !(FRAGMENT_SIZE - 1),
        bshift: BLOCK_SIZE.ilog2(),
        fshift: FRAGMENT_SIZE.ilog2(),
        maxcontig: MAX_CONTIGUOUS,
        maxbpg: POINTERS_PER_BLOCK,
        fragshift: FRAGMENTS_PER_BLOCK.ilog2(),
        fsbtodb: SECTORS_PER_FRAGMENT.ilog2(),
        sbsize: USED_SIZE,
        csmask: !(BLOCK_SIZE / Summary::SIZE as u32 - 1),
        csshift: (BLOCK_SIZE / Summary::SIZE as u32).ilog2(),
        nindir: POINTERS_PER_BLOCK,
        inopb: INODES_PER_BLOCK,
        nspf: FRAGMENT_SIZE / SECTOR_SIZE,
        optim: SPACE,
        csaddr: geometry.data_fragment(),
        cssize: geometry.summary_fragments() * FRAGMENT_SIZE,
        cgsize: geometry.group_block_size(),
        ntrak: 1,
        nsect: sectors,
        spc: sectors,
        ncyl: geometry.n_cylinders,
        cpg: geometry.cylinders_per_group,
        ipg: geometry.inodes_per_group,
        fpg: geometry.group_size(),
        cstotal: total,
        clean: Clean::Clean as u8,
        flags: if has_large_files { LARGE_FILES } else { 0 },
        npsect: sectors,
        qbmask: u64::from(BLOCK_SIZE - 1),
        qfmask: u64::from(FRAGMENT_SIZE - 1),
        postblformat: 1,
        nrpos: N_POSITIONS,
        magic: MAGIC,
        ..Superblock::default()
    };
    superblock.state = superblock.okay_state();
    superblock
}

#[cfg(test)]
mod tests {
    use super::super::geometry::tests::newfs;
    use super::*;

    #[test]
    fn a_superblock_agrees_with_the_file_system_of_mkfs() {
        let geometry = newfs(64, 601, 16_384);
        let made = superblock(&geometry, Summary::default(), true, 1_700_000_000);
        assert_eq!(made.state.wrapping_add(made.time), crate::ufs::STATE_OKAY);
        assert_eq!((made.bmask, made.fmask, made.csmask, made.csshift), (0xffff_e000, 0xffff_fc00, 0xffff_fe00, 9));
        assert_eq!((made.bshift, made.fshift, made.fragshift, made.fsbtodb), (13, 10, 3, 1));
        assert_eq!((made.cgoffset, made.cssize, made.csaddr, made.ncyl), (304, 1024, 72, 219));
        assert_eq!((made.clean, made.flags, made.version, made.logbno, made.reclaim, made.cpc), (1, 1, 0, 0, 0, 0));
        assert_eq!(superblock(&geometry, Summary::default(), false, 0).flags, 0);
    }
}
