//! The maps and the sums of the groups, against the inodes and the fragments that were met.

use super::{FRAGMENT, Inode, Recount};

const SUMMARY: [&str; 4] = ["directories", "free blocks", "free inodes", "free fragments"];

impl Recount<'_> {
    pub(super) fn groups(&mut self) {
        let mut total = [0; 4];
        for group in 0..self.n_groups() {
            let counted = self.group(group);
            for (field, (total, counted)) in total.iter_mut().zip(counted).enumerate() {
                *total += counted;
                let at = self.sb(152) as usize * FRAGMENT + group as usize * 16 + field * 4;
                self.expect(format!("summary of group {group}: {}", SUMMARY[field]), self.u32(at), counted);
            }
        }
        for (field, total) in total.into_iter().enumerate() {
            self.expect(format!("fs_cstotal: {}", SUMMARY[field]), self.sb(192 + field * 4), total);
        }
    }

    /// Directories, free blocks, free inodes and free fragments as counted.
    fn group(&mut self, group: u32) -> [u32; 4] {
        let name = format!("group {group}");
        let base = group as usize * self.per_group();
        let at = (base + 24) * FRAGMENT;
        let n_fragments = self.group_fragments(group);
        let (ipg, cpg, sectors) = (self.inodes_per_group() as usize, self.sb(180) as usize, self.sb(172) as usize);
        let last = group + 1 == self.n_groups();
        let n_cylinders = if last { self.sb(176) as usize - cpg * group as usize } else { cpg };
        let totals = 168;
        let positions = totals + 4 * cpg;
        let inode_map = positions + 16 * cpg;
        let free_map = inode_map + ipg.div_ceil(8);
        let end = free_map + self.per_group().div_ceil(8);
        for (field, offset, value) in [
            ("cg_link", 0, 0),
            ("cg_magic", 4, 0x0009_0255),
            ("cg_time", 8, self.sb(32) as usize),
            ("cg_cgx", 12, group as usize),
            ("cg_ndblk", 20, n_fragments),
            ("cg_btotoff", 84, totals),
            ("cg_boff", 88, positions),
            ("cg_iusedoff", 92, inode_map),
            ("cg_freeoff", 96, free_map),
            ("cg_nextfreeoff", 100, end),
        ] {
            self.expect(format!("{name}: {field}"), self.u32(at + offset) as usize, value);
        }
        self.expect(format!("{name}: cg_ncyl"), self.u16(at + 16) as usize, n_cylinders);
        self.expect(format!("{name}: cg_niblk"), self.u16(at + 18) as usize, ipg);
        for (field, offset, limit) in
            [("cg_rotor", 40, n_fragments), ("cg_frotor", 44, n_fragments), ("cg_irotor", 48, ipg)]
        {
            let rotor = self.u32(at + offset) as usize;
            self.require(rotor < limit, format!("{name}: {field} is {rotor}, beyond the group"));
        }

        let bit = |map: usize, n: usize| self.image[at + map + n / 8] >> (n % 8) & 1 == 1;
        let mut found = Vec::new();
        let [mut n_directories, mut free_blocks, mut free_inodes, mut free_fragments] = [0; 4];
        for slot in 0..ipg {
            let number = group * ipg as u32 + slot as u32;
            let inode = self.inodes.get(&number);
            let is_used = number < 2 || inode.is_some();
            n_directories += u32::from(inode.is_some_and(Inode::is_directory));
            free_inodes += u32::from(!is_used);
            if bit(inode_map, slot) != is_used {
                found.push(format!("{name}: inode map of {number}: used is {}, not {is_used}", !is_used));
            }
        }
        let mut runs = [0; 8];
        let mut by_cylinder = vec![0; cpg];
        let mut by_position = vec![0; cpg * 8];
        for block in (0..self.per_group()).step_by(8) {
            let free: Vec<_> = (block..block + 8).map(|n| n < n_fragments && self.owners[base + n].is_none()).collect();
            for (n, is_free) in free.iter().enumerate() {
                if bit(free_map, block + n) != *is_free {
                    let fragment = base + block + n;
                    found.push(format!("{name}: fragment map of {fragment}: free is {}, not {is_free}", !is_free));
                }
            }
            if free.iter().all(|is_free| *is_free) {
                free_blocks += 1;
                let sector = block * 2;
                by_cylinder[sector / sectors] += 1;
                by_position[sector / sectors * 8 + sector % sectors * 8 / sectors] += 1;
            } else {
                free_fragments += free.iter().filter(|is_free| **is_free).count() as u32;
                for run in free.split(|is_free| !is_free).filter(|run| !run.is_empty()) {
                    runs[run.len()] += 1;
                }
            }
        }
        self.problems.extend(found);
        for (length, counted) in runs.into_iter().enumerate() {
            self.expect(format!("{name}: cg_frsum[{length}]"), self.u32(at + 52 + 4 * length), counted);
        }
        for (cylinder, counted) in by_cylinder.into_iter().enumerate() {
            let said = self.u32(at + totals + 4 * cylinder);
            self.expect(format!("{name}: free blocks of cylinder {cylinder}"), said, counted);
        }
        for (place, counted) in by_position.into_iter().enumerate() {
            let said = self.u16(at + positions + 2 * place);
            self.expect(
                format!("{name}: free blocks of position {} of cylinder {}", place % 8, place / 8),
                said,
                counted,
            );
        }
        let counted = [n_directories, free_blocks, free_inodes, free_fragments];
        for (field, counted) in counted.into_iter().enumerate() {
            self.expect(format!("{name}: {}", SUMMARY[field]), self.u32(at + 24 + 4 * field), counted);
        }
        counted
    }
}
