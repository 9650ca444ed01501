//! Group blocks against what is in use: maps, and the counts that follow from them.

use super::inodes::Inodes;
use super::{Problems, stored_summary};
use crate::ufs::read::Image;
use crate::ufs::{
    BLOCK_SIZE, FRAGMENTS_PER_BLOCK, Field, GROUP_FRAGMENT, GROUP_MAGIC, GroupHeader, GroupMaps, N_POSITIONS,
    ROOT_INODE, SECTORS_PER_FRAGMENT, Summary, file_type,
};

/// Checks every group that is in the image; gives the sum of what was counted.
pub(super) fn check(image: Image<'_>, inodes: &Inodes, problems: &mut Problems) -> Summary {
    let sb = image.superblock();
    let mut total = Summary::default();
    // The superblock was found good.
    let Some(maps) = GroupMaps::new(sb.cpg, sb.ipg, sb.spc) else { return total };
    let mut block = vec![0; BLOCK_SIZE as usize];
    for group in 0..sb.ncg {
        let base = sb.group_base(group).unwrap_or(u32::MAX);
        let fragment = base.saturating_add(GROUP_FRAGMENT);
        if !image.has(fragment, FRAGMENTS_PER_BLOCK) || image.read(fragment, 0, &mut block).is_err() {
            problems.tell(|| format!("cylinder group {group}: its group block is past the end of the image"));
            break;
        }
        // What is cut away is told once, by the length of the image.
        let size = sb.group_size(group).unwrap_or_default().min(image.n_fragments() - base);
        let mut group = Group { image, inodes, number: group, base, size, maps: &maps, block: &block, problems };
        group.check_header();
        total.add(&group.check_maps());
    }
    total
}

/// Tells each of the four counts that differs.
pub(super) fn compare_summaries(what: &str, says: &Summary, counted: &Summary, problems: &mut Problems) {
    for (name, says, counted) in [
        ("directory count", says.n_directories, counted.n_directories),
        ("free block count", says.n_free_blocks, counted.n_free_blocks),
        ("free inode count", says.n_free_inodes, counted.n_free_inodes),
        ("free fragment count", says.n_free_fragments, counted.n_free_fragments),
    ] {
        problems.compare(format_args!("{what}: {name}"), says, counted);
    }
}

struct Group<'g, 's> {
    image: Image<'s>,
    inodes: &'g Inodes,
    number: u32,
    /// Its first fragment, and how many it has in the image.
    base: u32,
    size: u32,
    maps: &'g GroupMaps,
    block: &'g [u8],
    problems: &'g mut Problems,
}

impl Group<'_, '_> {
    fn header(&self) -> GroupHeader {
        GroupHeader::read(self.block).expect("a block is longer")
    }

    fn check_header(&mut self) {
        let (sb, header, number) = (self.image.superblock(), self.header(), self.number);
        let is_last = number + 1 == sb.ncg;
        let cylinders = if is_last { sb.ncyl.wrapping_sub(sb.cpg.wrapping_mul(number)) } else { sb.cpg };
        for (field, says, expected) in [
            ("cg_magic", header.magic, GROUP_MAGIC),
            ("cg_cgx", header.cgx, number),
            ("cg_ncyl", header.ncyl.into(), cylinders),
            ("cg_niblk", header.niblk.into(), sb.ipg),
            ("cg_ndblk", header.ndblk, sb.group_size(number).unwrap_or_default()),
            ("cg_btotoff", header.btotoff, self.maps.block_totals.start as u32),
            ("cg_boff", header.boff, self.maps.block_positions.start as u32),
            ("cg_iusedoff", header.iusedoff, self.maps.inodes.start as u32),
            ("cg_freeoff", header.freeoff, self.maps.fragments.start as u32),
            ("cg_nextfreeoff", header.nextfreeoff, self.maps.fragments.end as u32),
        ] {
            self.problems.compare(format_args!("cylinder group {number}: {field}"), says, expected);
        }
        for (field, found, limit) in [
            ("cg_rotor", header.rotor, header.ndblk),
            ("cg_frotor", header.frotor, header.ndblk),
            ("cg_irotor", header.irotor, sb.ipg),
        ] {
            if found >= limit {
                self.problems.tell(|| format!("cylinder group {number}: {field} is {found}, not below {limit}"));
            }
        }
    }

    /// Compares maps and counts with the inodes; gives what was counted.
    fn check_maps(&mut self) -> Summary {
        let header = self.header();
        let what = format!("cylinder group {}", self.number);
        let mut counted = self.count_inodes();
        let free = self.count_fragments(&mut counted);
        compare_summaries(&what, &header.cs, &counted, self.problems);
        match stored_summary(self.image, self.number) {
            Some(stored) => {
                compare_summaries(&format!("summary area, {what}"), &stored, &counted, self.problems);
            }
            None => self.problems.tell(|| format!("{what}: its place in the summary area is past the end")),
        }
        for (length, (says, counted)) in header.frsum.into_iter().zip(free.runs).enumerate() {
            self.problems.compare(format_args!("{what}: cg_frsum[{length}]"), says, counted);
        }
        let totals = self.block[self.maps.block_totals.clone()].chunks(4).zip(free.totals);
        for (cylinder, (bytes, counted)) in totals.enumerate() {
            let field = format_args!("{what}: the free block count of cylinder {cylinder}");
            self.problems.compare(field, u32::get(bytes), counted);
        }
        let positions = self.block[self.maps.block_positions.clone()].chunks(2).zip(free.positions);
        for (index, (bytes, counted)) in positions.enumerate() {
            let (cylinder, position) = (index / N_POSITIONS as usize, index % N_POSITIONS as usize);
            let field = format_args!("{what}: the free block count of cylinder {cylinder}, position {position}");
            self.problems.compare(field, u32::from(u16::get(bytes)), counted);
        }
        counted
    }

    fn count_inodes(&mut self) -> Summary {
        let mut counted = Summary::default();
        let (mut marked, mut unmarked) = (Wrong::default(), Wrong::default());
        let per_group = self.image.superblock().ipg;
        let first = self.number * per_group;
        for index in 0..per_group {
            let used = self.inodes.used.get(&(first + index));
            let in_use = used.is_some() || first + index < ROOT_INODE;
            counted.n_directories += u32::from(used.is_some_and(|used| used.kind == file_type::DIRECTORY));
            counted.n_free_inodes += u32::from(!in_use);
            match (self.bit(self.maps.inodes.start, index), in_use) {
                (true, false) => marked.add(first + index),
                (false, true) => unmarked.add(first + index),
                _ => {}
            }
        }
        self.tell_wrong("inode map", "inode", &marked, "used, but are not");
        self.tell_wrong("inode map", "inode", &unmarked, "free, but are in use");
        counted
    }

    /// Compares the map with the fragments in use, and counts whole blocks and runs.
    fn count_fragments(&mut self, counted: &mut Summary) -> Free {
        let sb = self.image.superblock();
        let map = self.maps.fragments.start;
        let mut free = Free::new(sb.cpg);
        let (mut marked, mut unmarked, mut outside) = (Wrong::default(), Wrong::default(), Wrong::default());
        for block in (0..self.size).step_by(FRAGMENTS_PER_BLOCK as usize) {
            let end = self.size.min(block + FRAGMENTS_PER_BLOCK);
            let (mut run, mut n_free, mut runs) = (0, 0, Vec::new());
            for index in block..end {
                let fragment = self.base + index;
                let is_free = !self.inodes.fragments.has(fragment);
                match (self.bit(map, index), is_free) {
                    (true, false) => marked.add(fragment),
                    (false, true) => unmarked.add(fragment),
                    _ => {}
                }
                if is_free {
                    (run, n_free) = (run + 1, n_free + 1);
                } else {
                    runs.push(std::mem::take(&mut run));
                }
            }
            runs.push(run);
            if n_free == FRAGMENTS_PER_BLOCK {
                counted.n_free_blocks += 1;
                free.add_block(block, sb.spc);
            } else {
                counted.n_free_fragments += n_free;
                free.add_runs(&runs);
            }
        }
        for index in sb.group_size(self.number).unwrap_or_default()..self.maps.fragments.len() as u32 * 8 {
            if self.bit(map, index) {
                outside.add(self.base.saturating_add(index));
            }
        }
        self.tell_wrong("fragment map", "fragment", &marked, "free, but are in use");
        self.tell_wrong("fragment map", "fragment", &unmarked, "in use, but are free");
        self.tell_wrong("fragment map", "fragment", &outside, "free, but are past the end of the group");
        free
    }

    fn bit(&self, map: usize, index: u32) -> bool {
        self.block[map + index as usize / 8] >> (index % 8) & 1 == 1
    }

    fn tell_wrong(&mut self, map: &str, thing: &str, wrong: &Wrong, how: &str) {
        if let Some(first) = wrong.first {
            let (number, things) = (self.number, crate::text::count(wrong.count, thing));
            self.problems.tell(|| {
                format!("cylinder group {number}: its {map} says of {things} that they are {how} (from {first} on)")
            });
        }
    }
}

/// Bits that are wrong in the same way.
#[derive(Default)]
struct Wrong {
    first: Option<u32>,
    count: u64,
}

impl Wrong {
    fn add(&mut self, index: u32) {
        self.first.get_or_insert(index);
        self.count += 1;
    }
}

/// Where free blocks are, and runs of free fragments in others.
struct Free {
    totals: Vec<u32>,
    positions: Vec<u32>,
    runs: [u32; FRAGMENTS_PER_BLOCK as usize],
}

impl Free {
    fn new(cylinders: u32) -> Free {
        let cylinders = cylinders as usize;
        let positions = vec![0; cylinders * N_POSITIONS as usize];
        Free { totals: vec![0; cylinders], positions, runs: [0; FRAGMENTS_PER_BLOCK as usize] }
    }

    fn add_runs(&mut self, lengths: &[usize]) {
        for length in lengths.iter().filter(|length| **length > 0) {
            self.runs[*length] += 1;
        }
    }

    /// `fragment` is relative to the group.
    fn add_block(&mut self, fragment: u32, sectors_per_cylinder: u32) {
        let sector = fragment * SECTORS_PER_FRAGMENT;
        let (cylinder, rest) = (sector / sectors_per_cylinder, sector % sectors_per_cylinder);
        let position = u64::from(rest) * u64::from(N_POSITIONS) / u64::from(sectors_per_cylinder);
        self.totals[cylinder as usize] += 1;
        self.positions[cylinder as usize * N_POSITIONS as usize + position as usize] += 1;
    }
}
