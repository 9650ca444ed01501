//! The superblock and its copies.

use super::{FRAGMENT, Recount, SUPERBLOCK};

impl Recount<'_> {
    pub(super) fn superblock(&mut self) {
        let fixed: &[(&str, usize, u32)] = &[
            ("fs_link", 0, 0),
            ("fs_rolled", 4, 0),
            ("fs_sblkno", 8, 16),
            ("fs_cblkno", 12, 24),
            ("fs_iblkno", 16, 32),
            ("fs_cgmask", 28, u32::MAX),
            ("fs_bsize", 48, 8192),
            ("fs_fsize", 52, 1024),
            ("fs_frag", 56, 8),
            ("fs_minfree", 60, 0),
            ("fs_rotdelay", 64, 0),
            ("fs_bmask", 72, 0xffff_e000),
            ("fs_fmask", 76, 0xffff_fc00),
            ("fs_bshift", 80, 13),
            ("fs_fshift", 84, 10),
            ("fs_maxcontig", 88, 128),
            ("fs_maxbpg", 92, 2048),
            ("fs_fragshift", 96, 3),
            ("fs_fsbtodb", 100, 1),
            ("fs_sbsize", 104, 2048),
            ("fs_csmask", 108, 0xffff_fe00),
            ("fs_csshift", 112, 9),
            ("fs_nindir", 116, 2048),
            ("fs_inopb", 120, 64),
            ("fs_nspf", 124, 2),
            ("fs_optim", 128, 1),
            ("fs_si", 136, 0),
            ("fs_trackskew", 140, 0),
            ("fs_ntrak", 164, 1),
            ("fs_cgrotor", 724, 0),
            ("fs_cpc", 856, 0),
            ("fs_version", 1320, 0),
            ("fs_logbno", 1324, 0),
            ("fs_reclaim", 1328, 0),
            ("fs_qbmask", 1340, 0x1fff),
            ("fs_qbmask, upper half", 1344, 0),
            ("fs_qfmask", 1348, 0x3ff),
            ("fs_qfmask, upper half", 1352, 0),
            ("fs_postblformat", 1356, 1),
            ("fs_nrpos", 1360, 8),
            ("fs_postbloff", 1364, 0),
            ("fs_rotbloff", 1368, 0),
            ("fs_magic", 1372, 0x0001_1954),
        ];
        for &(name, offset, value) in fixed {
            self.expect(name, self.sb(offset), value);
        }
        let (ipg, fpg, ncg, size) = (self.sb(184), self.sb(188), self.sb(44), self.sb(36));
        let (cpg, sectors, ncyl) = (self.sb(180), self.sb(172), self.sb(176));
        self.expect("fs_state", self.sb(132), 0x7c26_9d38_u32.wrapping_sub(self.sb(32)));
        self.expect("fs_clean", self.image.get(SUPERBLOCK + 209).copied().unwrap_or(0), 1);
        self.expect("fs_fmod", self.image.get(SUPERBLOCK + 208).copied().unwrap_or(1), 0);
        self.expect("fs_ronly", self.image.get(SUPERBLOCK + 210).copied().unwrap_or(1), 0);
        self.require(ncg > 0, "fs_ncg is 0");
        self.require(ipg > 0 && ipg <= 21_888 && ipg % 64 == 0, format!("fs_ipg is {ipg}"));
        self.require(fpg > 0 && fpg % 8 == 0, format!("fs_fpg is {fpg}"));
        self.require(sectors > 0, "fs_spc is 0");
        self.expect("fs_size in bytes", u64::from(size) * 1024, self.image.len() as u64);
        if !self.problems.is_empty() {
            return;
        }
        self.expect("fs_dblkno", self.sb(20), 32 + ipg / 8);
        self.expect("fs_cgoffset", self.sb(24), sectors.div_ceil(2).next_multiple_of(8));
        self.expect("fs_nsect", self.sb(168), sectors);
        self.expect("fs_npsect", self.sb(1336), sectors);
        self.expect("fs_fpg", u64::from(fpg), u64::from(cpg) * u64::from(sectors) / 2);
        self.expect("fs_ncyl", u64::from(ncyl), (u64::from(size) * 2).div_ceil(u64::from(sectors)));
        self.expect("fs_ncg", u64::from(ncg), u64::from(ncyl).div_ceil(u64::from(cpg.max(1))));
        self.expect("fs_csaddr", self.sb(152), self.sb(20));
        self.expect("fs_cssize", u64::from(self.sb(156)), (u64::from(ncg) * 16).next_multiple_of(1024));
        let used =
            172 + 4 * u64::from(cpg) + 16 * u64::from(cpg) + u64::from(ipg.div_ceil(8)) + u64::from(fpg.div_ceil(8));
        self.expect("fs_cgsize", u64::from(self.sb(160)), used.next_multiple_of(1024));
        self.require(used <= 8192, format!("the maps of a group take {used} bytes"));
        if self.problems.is_empty() {
            let last = self.group_fragments(ncg - 1);
            self.require(last >= self.data(), format!("the last group has only {last} fragments"));
            let data: usize = (0..ncg)
                .map(|group| self.group_fragments(group).saturating_sub(self.data()) + if group > 0 { 16 } else { 0 })
                .sum();
            self.expect("fs_dsize", self.sb(40) as usize, data - self.sb(156) as usize / FRAGMENT);
        }
        let boot_block_is_zero = self.image[..SUPERBLOCK].iter().all(|byte| *byte == 0);
        self.require(boot_block_is_zero, "the boot block is not zero, so that holes read early are not");
    }

    pub(super) fn backups(&mut self) {
        let primary = &self.image[SUPERBLOCK..2 * SUPERBLOCK];
        let differ: Vec<_> = (0..self.n_groups())
            .filter(|group| {
                let at = (*group as usize * self.per_group() + 16) * FRAGMENT;
                self.image.get(at..at + SUPERBLOCK) != Some(primary)
            })
            .collect();
        for group in differ {
            self.problems.push(format!("the superblock of group {group} is not the first one"));
        }
    }
}
