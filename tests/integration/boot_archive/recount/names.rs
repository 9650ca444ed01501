//! Directories, the links that their entries are, and the targets of symlinks.

use super::{FRAGMENT, Inode, ROOT, Recount};
use std::collections::BTreeSet;

impl Recount<'_> {
    /// Walks from the root; every directory is met once.
    pub(super) fn directories(&mut self) {
        if !self.inodes.get(&ROOT).is_some_and(Inode::is_directory) {
            self.problems.push("inode 2 is no directory".to_owned());
            return;
        }
        let mut queue = vec![(ROOT, ROOT)];
        let mut met = BTreeSet::from([ROOT]);
        while let Some((number, parent)) = queue.pop() {
            let entries = self.entries(number);
            let start: Vec<_> = entries.iter().take(2).map(|(inode, name)| (*inode, name.as_slice())).collect();
            let starts = start == [(number, &b"."[..]), (parent, &b".."[..])];
            self.require(starts, format!("directory {number} does not start with `.` and `..` ({parent})"));
            let mut names = BTreeSet::new();
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

    pub(super) fn links(&mut self) {
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
}
