//! An image of an illumos UFS to a list of what is wrong in it: everything that the image counts is counted again.
//!
//! Written from the format alone, by raw offsets, and sharing no code with the crate: a wrong offset in its structures
//! is not repeated here. Stricter than any kernel, which believes nearly all of these figures.

mod groups;
mod inodes;
mod names;
mod superblock;

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
}
