//! Inodes, and the fragments that their content and their indirect blocks hold.

use super::{BLOCK, FRAGMENT, Inode, Recount};

impl Recount<'_> {
    pub(super) fn inodes(&mut self) {
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
}
