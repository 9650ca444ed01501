//! An image of an illumos UFS to a list of what is wrong in it: everything that the image counts is counted again.
//!
//! Written from the format alone, by raw offsets, and sharing no code with the crate: a wrong offset in its structures
//! is not repeated here. Stricter than any kernel, which believes nearly all of these figures.

use std::collections::BTreeMap;

const SUPERBLOCK: usize = 8192;
const BLOCK: usize = 8192;
const FRAGMENT: usize = 1024;
const ROOT: u32 = 2;

/// What is wrong with the image, in words; nothing when it is sound.
pub fn problems(image: &[u8]) -> Vec<String> {
    let mut recount = Recount::new(image);
    recount.superblock();
    // Without sizes that agree the rest would be counted at wrong places.
    if recount.problems.is_empty() {
        recount.claim_metadata();
        recount.inodes();
        recount.directories();
        recount.links();
        recount.groups();
        recount.backups();
    }
    recount.problems
}

struct Recount<'i> {
    image: &'i [u8],
    problems: Vec<String>,
    /// By fragment: what holds it.
    owners: Vec<Option<String>>,
    /// By number: those with a mode.
    inodes: BTreeMap<u32, Inode>,
    /// By inode: entries that name it, `.` and `..` among them.
    seen: BTreeMap<u32, u32>,
}

struct Inode {
    mode: u16,
    n_links: i16,
    size: u64,
    /// Fragments of content in order, 0 for a hole of a block.
    content: Vec<u32>,
}

impl Inode {
    fn is_directory(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }
}

impl<'i> Recount<'i> {
    fn new(image: &'i [u8]) -> Recount<'i> {
        let owners = vec![None; image.len() / FRAGMENT];
        Recount { image, problems: Vec::new(), owners, inodes: BTreeMap::new(), seen: BTreeMap::new() }
    }

    fn u16(&self, at: usize) -> u16 {
        self.image.get(at..at + 2).map_or(0, |bytes| u16::from_le_bytes(bytes.try_into().unwrap()))
    }

    fn u32(&self, at: usize) -> u32 {
        self.image.get(at..at + 4).map_or(0, |bytes| u32::from_le_bytes(bytes.try_into().unwrap()))
    }

    /// A field of the superblock.
    fn sb(&self, offset: usize) -> u32 {
        self.u32(SUPERBLOCK + offset)
    }

    fn expect<T: PartialEq + std::fmt::Display>(&mut self, what: impl std::fmt::Display, said: T, counted: T) {
        if said != counted {
            self.problems.push(format!("{what} is {said}, not {counted}"));
        }
    }

    fn require(&mut self, holds: bool, what: impl Into<String>) {
        if !holds {
            self.problems.push(what.into());
        }
    }

    fn n_groups(&self) -> u32 {
        self.sb(44)
    }

    fn per_group(&self) -> usize {
        self.sb(188) as usize
    }

    fn inodes_per_group(&self) -> u32 {
        self.sb(184)
    }

    /// The first fragment of a group's data behind its inodes.
    fn data(&self) -> usize {
        self.sb(20) as usize
    }

    fn group_fragments(&self, group: u32) -> usize {
        let first = group as usize * self.per_group();
        self.per_group().min((self.sb(36) as usize).saturating_sub(first))
    }

    fn superblock(&mut self) {
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

    fn claim(&mut self, fragment: u32, n_fragments: usize, owner: &str) {
        for fragment in fragment as usize..fragment as usize + n_fragments {
            match self.owners.get_mut(fragment) {
                None => self.problems.push(format!("{owner}: fragment {fragment} is behind the end")),
                Some(Some(other)) => {
                    let told = format!("{owner}: fragment {fragment} belongs to {other} too");
                    self.problems.push(told);
                }
                Some(free) => *free = Some(owner.to_owned()),
            }
        }
    }

    fn claim_metadata(&mut self) {
        for group in 0..self.n_groups() {
            let base = group as usize * self.per_group();
            let first = if group == 0 { 0 } else { 16 };
            self.claim((base + first) as u32, self.data() - first, &format!("the metadata of group {group}"));
        }
        self.claim(self.sb(152), self.sb(156) as usize / FRAGMENT, "the summary area");
    }

    fn inodes(&mut self) {
        for number in 0..self.n_groups() * self.inodes_per_group() {
            let (group, slot) = (number / self.inodes_per_group(), (number % self.inodes_per_group()) as usize);
            let at = (group as usize * self.per_group() + 32) * FRAGMENT + slot * 128;
            if self.u16(at) != 0 {
                let inode = self.inode(number, at);
                self.inodes.insert(number, inode);
            } else {
                let rest = self.image.get(at..at + 108).is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0));
                self.require(rest, format!("inode {number} is free and not empty"));
            }
        }
    }

    fn inode(&mut self, number: u32, at: usize) -> Inode {
        let name = format!("inode {number}");
        let (mode, n_links) = (self.u16(at), self.u16(at + 2) as i16);
        let size = u64::from(self.u32(at + 8)) | u64::from(self.u32(at + 12)) << 32;
        let mut inode = Inode { mode, n_links, size, content: Vec::new() };
        for (short, long, field) in [(4, 116, "ic_suid"), (6, 120, "ic_sgid")] {
            let expected = u16::try_from(self.u32(at + long)).unwrap_or(u16::MAX);
            self.expect(format!("{name}: {field}"), self.u16(at + short), expected);
        }
        for time in [16, 24, 32] {
            self.require(self.u32(at + time + 4) < 1_000_000, format!("{name}: microseconds of the time at {time}"));
        }
        for (offset, field) in [(100, "ic_flags"), (112, "ic_shadow"), (124, "ic_oeftflag")] {
            self.expect(format!("{name}: {field}"), self.u32(at + offset), 0);
        }
        let mut held = 0;
        match mode & 0o170_000 {
            0o010_000 | 0o020_000 | 0o060_000 => {
                self.expect(format!("{name}: size of a device or fifo"), size, 0);
                let is_fifo = mode & 0o170_000 == 0o010_000;
                for place in (0..15).filter(|place| is_fifo || *place != 1) {
                    self.expect(format!("{name}: pointer {place}"), self.u32(at + 40 + 4 * place), 0);
                }
            }
            0o040_000 | 0o100_000 | 0o120_000 => held = self.blocks(&name, at, &mut inode),
            kind => self.problems.push(format!("{name}: no such type: {kind:o}")),
        }
        self.expect(format!("{name}: ic_blocks"), self.u32(at + 104) as usize, 2 * held);
        inode
    }

    /// Claims the content and the indirect blocks; gives the number of fragments.
    fn blocks(&mut self, name: &str, at: usize, inode: &mut Inode) -> usize {
        let n_blocks = inode.size.div_ceil(BLOCK as u64);
        // A few bytes may claim to be a terabyte of holes, so that only directories and links keep what they found.
        let keeps = inode.mode & 0o170_000 != 0o100_000;
        if keeps && n_blocks > (self.image.len() / BLOCK) as u64 {
            self.problems.push(format!("{name}: {} bytes are more than the image has", inode.size));
            return 0;
        }
        let mut held = 0;
        for block in 0..12 {
            let fragment = self.u32(at + 40 + 4 * block as usize);
            if block >= n_blocks {
                self.expect(format!("{name}: pointer {block} behind the end"), fragment, 0);
                continue;
            }
            let has_end = n_blocks <= 12 && block == n_blocks - 1;
            let rest = (inode.size - block * BLOCK as u64).div_ceil(FRAGMENT as u64) as usize;
            let n_fragments = if has_end { rest } else { 8 };
            held += self.content(name, fragment, n_fragments, keeps.then_some(&mut inode.content));
        }
        let mut first = 12;
        for level in 1..=3 {
            let pointer = self.u32(at + 88 + 4 * (level as usize - 1));
            held += self.indirect(name, pointer, level, first, n_blocks, keeps.then_some(&mut inode.content));
            first += 2048_u64.pow(level);
        }
        held
    }

    fn content(&mut self, name: &str, fragment: u32, n_fragments: usize, content: Option<&mut Vec<u32>>) -> usize {
        if let Some(content) = content {
            content.push(fragment);
        }
        if fragment == 0 {
            return 0;
        }
        let fits = fragment as usize % 8 + n_fragments <= 8;
        self.require(fits, format!("{name}: {n_fragments} fragments at {fragment} cross a block"));
        self.claim(fragment, n_fragments, name);
        n_fragments
    }

    fn indirect(
        &mut self,
        name: &str,
        pointer: u32,
        level: u32,
        first: u64,
        n_blocks: u64,
        mut content: Option<&mut Vec<u32>>,
    ) -> usize {
        if pointer == 0 {
            // A hole, which in a directory or a link is told where it is read.
            return 0;
        }
        if first >= n_blocks {
            self.problems.push(format!("{name}: indirect block {pointer} behind the end"));
            return 0;
        }
        let n_before = self.problems.len();
        let mut held = self.content(name, pointer, 8, None);
        if self.problems.len() > n_before {
            return held;
        }
        let covered = 2048_u64.pow(level - 1);
        for slot in 0..2048 {
            let below = self.u32(pointer as usize * FRAGMENT + 4 * slot as usize);
            let logical = first + slot * covered;
            if logical >= n_blocks {
                self.expect(format!("{name}: slot {slot} of indirect block {pointer}"), below, 0);
            } else if level == 1 {
                held += self.content(name, below, 8, content.as_deref_mut());
            } else {
                held += self.indirect(name, below, level - 1, logical, n_blocks, content.as_deref_mut());
            }
        }
        held
    }

    /// Walks from the root; every directory is met once.
    fn directories(&mut self) {
        if !self.inodes.get(&ROOT).is_some_and(Inode::is_directory) {
            self.problems.push("inode 2 is no directory".to_owned());
            return;
        }
        let mut queue = vec![(ROOT, ROOT)];
        let mut met = std::collections::BTreeSet::from([ROOT]);
        while let Some((number, parent)) = queue.pop() {
            let entries = self.entries(number);
            let start: Vec<_> = entries.iter().take(2).map(|(inode, name)| (*inode, name.as_slice())).collect();
            let starts = start == [(number, &b"."[..]), (parent, &b".."[..])];
            self.require(starts, format!("directory {number} does not start with `.` and `..` ({parent})"));
            let mut names = std::collections::BTreeSet::new();
            for (at, (inode, name)) in entries.into_iter().enumerate() {
                *self.seen.entry(inode).or_default() += 1;
                let shown = String::from_utf8_lossy(&name).into_owned();
                self.require(!name.contains(&b'/'), format!("directory {number}: slash in `{shown}`"));
                self.require(names.insert(name), format!("directory {number}: `{shown}` twice"));
                match self.inodes.get(&inode).map(Inode::is_directory) {
                    None => self.problems.push(format!("directory {number}: `{shown}` is the free inode {inode}")),
                    Some(true) if at >= 2 => {
                        let is_new = met.insert(inode);
                        self.require(is_new, format!("directory {inode} has two places"));
                        if is_new {
                            queue.push((inode, number));
                        }
                    }
                    Some(_) => {}
                }
            }
        }
    }

    fn entries(&mut self, number: u32) -> Vec<(u32, Vec<u8>)> {
        let inode = &self.inodes[&number];
        let (size, blocks) = (inode.size as usize, inode.content.clone());
        self.require(size > 0 && size % 512 == 0, format!("directory {number}: size {size}"));
        let mut entries = Vec::new();
        for chunk in 0..size / 512 {
            let Some(&fragment) = blocks.get(chunk / 16) else { break };
            let start = fragment as usize * FRAGMENT + chunk % 16 * 512;
            self.require(fragment != 0, format!("directory {number}: hole"));
            let mut at = start;
            while at < start + 512 {
                let (inode, length, n) = (self.u32(at), self.u16(at + 4) as usize, self.u16(at + 6) as usize);
                let need = 8 + ((n + 4) & !3);
                let unused = inode == 0 && length >= 8;
                let fits = length % 4 == 0 && at + length <= start + 512 && (unused || length >= need);
                if !fits || n > 255 || (inode != 0 && n == 0) {
                    self.problems
                        .push(format!("directory {number}: mangled entry at byte {}", at - start + chunk * 512));
                    break;
                }
                if inode != 0 {
                    let name = self.image.get(at + 8..at + 8 + n).unwrap_or_default().to_vec();
                    let ends = self.image.get(at + 8 + n) == Some(&0) && !name.contains(&0);
                    self.require(ends, format!("directory {number}: zero byte of a name at a wrong place"));
                    entries.push((inode, name));
                }
                at += length;
            }
        }
        entries
    }

    fn links(&mut self) {
        for (number, inode) in std::mem::take(&mut self.inodes) {
            let seen = self.seen.get(&number).copied().unwrap_or(0);
            self.require(seen > 0, format!("inode {number} has no name"));
            self.expect(format!("inode {number}: ic_nlink"), i64::from(inode.n_links), i64::from(seen));
            if inode.mode & 0o170_000 == 0o120_000 {
                self.link(number, &inode);
            }
            self.inodes.insert(number, inode);
        }
    }

    /// The early reader of the kernel takes a target from one sector, up to its zero byte.
    fn link(&mut self, number: u32, inode: &Inode) {
        let at = inode.content.first().map_or(0, |fragment| *fragment as usize * FRAGMENT);
        let size = inode.size as usize;
        let end = at + size.next_multiple_of(FRAGMENT);
        let target = self.image.get(at..at + size).unwrap_or_default();
        let is_sound = at > 0 && size > 0 && !target.contains(&0);
        let is_padded = self.image.get(at + size..end).is_some_and(|rest| rest.iter().all(|byte| *byte == 0));
        self.require(is_sound, format!("inode {number}: target of a link"));
        self.require(is_padded, format!("inode {number}: target of a link without zeros behind it"));
    }

    fn groups(&mut self) {
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

    fn backups(&mut self) {
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

const SUMMARY: [&str; 4] = ["directories", "free blocks", "free inodes", "free fragments"];
