//! The superblock (`struct fs` in `ufs_fs.h`): what the whole file system is like, and where its groups are.

use super::fields::on_disk;
use super::{FRAGMENTS_PER_BLOCK, INODE_SIZE, INODES_PER_BLOCK, STATE_OKAY, Summary};

on_disk! {
    /// The superblock, at byte 8192 and, as a copy, in every group.
    ///
    /// What the gate declares as a signed integer and never writes negative is unsigned here: a damaged, negative
    /// number is then a very large one, which the same check finds.
    pub struct Superblock: "superblock", 8192 bytes {
        /// Fragments from the start of a group to its copy of the superblock, group block, inodes, data.
        pub sblkno: u32 = 8,
        pub cblkno: u32 = 12,
        pub iblkno: u32 = 16,
        pub dblkno: u32 = 20,
        /// With [`Superblock::cgmask`] shifts groups over the platters of a disk of old; no effect at one head.
        pub cgoffset: u32 = 24,
        pub cgmask: u32 = 28,
        /// Seconds since 1970; the kernel sets its clock by it at boot.
        pub time: u32 = 32,
        /// Fragments of the file system, and of those the ones for data.
        pub size: u32 = 36,
        pub dsize: u32 = 40,
        /// Groups.
        pub ncg: u32 = 44,
        /// Bytes of a block and of a fragment, and fragments of a block.
        pub bsize: u32 = 48,
        pub fsize: u32 = 52,
        pub frag: u32 = 56,
        /// Per cent that only root may fill.
        pub minfree: u32 = 60,
        pub rotdelay: u32 = 64,
        /// Revolutions per second.
        pub rps: u32 = 68,
        pub bmask: u32 = 72,
        pub fmask: u32 = 76,
        pub bshift: u32 = 80,
        pub fshift: u32 = 84,
        /// Blocks in a row, and blocks of one file in a group: the kernel divides by both.
        pub maxcontig: u32 = 88,
        pub maxbpg: u32 = 92,
        pub fragshift: u32 = 96,
        pub fsbtodb: u32 = 100,
        /// Bytes of the superblock that are in use, in whole fragments.
        pub sbsize: u32 = 104,
        pub csmask: u32 = 108,
        pub csshift: u32 = 112,
        /// Pointers in an indirect block, inodes in a block, sectors in a fragment.
        pub nindir: u32 = 116,
        pub inopb: u32 = 120,
        pub nspf: u32 = 124,
        /// 0 saves time, 1 space.
        pub optim: u32 = 128,
        /// [`STATE_OKAY`] less [`Superblock::time`]. On SPARC this place holds another field.
        pub state: u32 = 132,
        /// 1 when the summary area is stale.
        pub si: u32 = 136,
        /// The fragment of the summary area, and its bytes: whole fragments, or the kernel overruns its copy.
        pub csaddr: u32 = 152,
        pub cssize: u32 = 156,
        /// Bytes of a group block that are in use, in whole fragments.
        pub cgsize: u32 = 160,
        /// Heads; sectors of a track and of a cylinder; cylinders; cylinders of a group.
        pub ntrak: u32 = 164,
        pub nsect: u32 = 168,
        pub spc: u32 = 172,
        pub ncyl: u32 = 176,
        pub cpg: u32 = 180,
        /// Inodes and fragments of a group.
        pub ipg: u32 = 184,
        pub fpg: u32 = 188,
        /// The sum over all groups.
        pub cstotal: Summary = 192,
        /// Modified since the last sync.
        pub fmod: u8 = 208,
        /// [`Clean`].
        pub clean: u8 = 209,
        pub ronly: u8 = 210,
        /// Bit 0: there is a file of 2 GiB or more.
        pub flags: u8 = 211,
        pub cgrotor: u32 = 724,
        /// Cylinders of a rotational cycle; 0 means that there are no rotational tables.
        pub cpc: u32 = 856,
        /// 0, or 2 for a geometry from an EFI label.
        pub version: u32 = 1320,
        /// The block of the log's extents; 0 without a log.
        pub logbno: u32 = 1324,
        /// Bits that start the kernel's reclaim thread.
        pub reclaim: u32 = 1328,
        pub npsect: u32 = 1336,
        pub qbmask: u64 = 1340,
        pub qfmask: u64 = 1348,
        /// 1: rotational tables of variable size; `u32::MAX` (-1): those of 4.2BSD.
        pub postblformat: u32 = 1356,
        pub nrpos: u32 = 1360,
        pub postbloff: u32 = 1364,
        pub rotbloff: u32 = 1368,
        pub magic: u32 = 1372,
    }
}

/// Values of `fs_clean` (`ufs_fs.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clean {
    Active = 0,
    Clean = 1,
    Stable = 2,
    Bad = 0xff,
    Suspend = 0xfe,
    Log = 0xfd,
    Fix = 0xfc,
}

impl Superblock {
    /// The `fs_state` with which `fs_clean` is believed.
    pub fn okay_state(&self) -> u32 {
        STATE_OKAY.wrapping_sub(self.time)
    }

    /// The first fragment of a group (`cgbase`); `None` beyond 32 bits.
    pub fn group_base(&self, group: u32) -> Option<u32> {
        self.fpg.checked_mul(group)
    }

    /// The byte of the image where an inode is (`itod`, `itoo`); `None` when the superblock makes no sense.
    ///
    /// `cgoffset` does not enter: with one head the mask takes it away again.
    pub fn inode_offset(&self, inode: u32) -> Option<u64> {
        let group = inode.checked_div(self.ipg)?;
        let index = inode % self.ipg;
        let block = u64::from(index / INODES_PER_BLOCK) * u64::from(FRAGMENTS_PER_BLOCK);
        let fragment = u64::from(self.group_base(group)?) + u64::from(self.iblkno) + block;
        let in_block = u64::from(index % INODES_PER_BLOCK) * u64::from(INODE_SIZE);
        fragment.checked_mul(u64::from(self.fsize))?.checked_add(in_block)
    }

    /// Fragments of a group; the last one may be short. `None` when there is no such group.
    pub fn group_size(&self, group: u32) -> Option<u32> {
        let rest = self.size.checked_sub(self.group_base(group)?)?;
        (group < self.ncg && rest > 0).then_some(rest.min(self.fpg))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_superblock_comes_back() {
        let bytes: Vec<u8> = (0..Superblock::SIZE).map(|n| (n % 251) as u8).collect();
        let superblock = Superblock::read(&bytes).unwrap();
        let mut again = vec![0xff; Superblock::SIZE];
        superblock.write(&mut again);
        for field in Superblock::FIELDS {
            let place = field.offset..field.offset + field.size;
            assert_eq!(again[place.clone()], bytes[place], "{}", field.name);
        }
        assert_eq!(Superblock::read(&again).unwrap(), superblock);
        assert_eq!(again[1376..], [0; Superblock::SIZE - 1376], "what is no field is zero");
    }

    #[test]
    fn the_magic_is_where_32_and_64_bit_kernels_look_for_it() {
        let place = |name| Superblock::FIELDS.iter().find(|field| field.name == name).unwrap().offset;
        assert_eq!((place("magic"), place("state"), place("npsect")), (1372, 132, 1336));
    }

    #[test]
    fn an_inode_is_found_in_its_group_and_nonsense_is_no_place() {
        let superblock = Superblock { ipg: 960, fpg: 16_384, iblkno: 32, fsize: 1024, ..Superblock::default() };
        assert_eq!(superblock.inode_offset(2), Some(32 * 1024 + 256));
        // Group 1, inode 70 of it: the second block, slot 6.
        assert_eq!(superblock.inode_offset(1030), Some((16_384 + 32 + 8) * 1024 + 6 * 128));
        assert_eq!(Superblock::default().inode_offset(2), None);
        let huge = Superblock { ipg: 1, fpg: u32::MAX, ..superblock };
        assert_eq!(huge.inode_offset(9), None);
    }

    #[test]
    fn the_last_group_is_what_is_left() {
        let superblock = Superblock { size: 40_000, fpg: 16_384, ncg: 3, ..Superblock::default() };
        let sizes: Vec<_> = (0..4).map(|group| superblock.group_size(group)).collect();
        assert_eq!(sizes, [Some(16_384), Some(16_384), Some(7232), None]);
    }
}
