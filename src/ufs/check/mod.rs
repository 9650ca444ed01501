//! What an image says twice, compared: counts with maps, maps with what inodes hold, links with names.
//!
//! The kernel finds out only when it allocates or frees something: "freeing free block" panics on a root file system
//! (`ufs_fault.c`), a count that is too high makes it search in vain. `fsck` would find most of this, but a ramdisk is
//! never given to it.

mod groups;
mod inodes;
mod names;
mod superblock;

use super::read::Image;
use super::{FRAGMENT_SIZE, Summary};
use inodes::Inodes;

/// What is wrong, in words that name the field.
#[derive(Debug, Default)]
pub struct Problems {
    /// The first [`Problems::LIMIT`].
    pub told: Vec<String>,
    /// How many more there are.
    pub n_more: u64,
}

/// Reads the whole image but the content of files, and says what does not add up.
///
/// Memory is proportional to the number of inodes in use, and a bit for each fragment.
pub fn check(image: Image<'_>) -> Problems {
    let mut problems = Problems::default();
    if superblock::check(image, &mut problems) {
        let inodes = Inodes::read(image, &mut problems);
        names::check(image, &inodes, &mut problems);
        let total = groups::check(image, &inodes, &mut problems);
        groups::compare_summaries("fs_cstotal", &image.superblock().cstotal, &total, &mut problems);
    }
    problems
}

impl Problems {
    /// How many are told; a damaged image can have one for each of its fragments.
    pub const LIMIT: usize = 100;

    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    fn tell(&mut self, problem: impl FnOnce() -> String) {
        if self.told.len() < Problems::LIMIT {
            self.told.push(problem());
        } else {
            self.n_more += 1;
        }
    }

    /// Tells a field that does not have the value that follows from others.
    fn compare<T: PartialEq + std::fmt::Display>(&mut self, what: impl std::fmt::Display, says: T, counted: T) {
        if says != counted {
            self.tell(|| format!("{what} says {says}, not {counted}"));
        }
    }
}

/// A bit for each of many things.
struct Bits(Vec<u64>);

impl Bits {
    fn new(count: u32) -> Bits {
        Bits(vec![0; (count as usize).div_ceil(64)])
    }

    fn has(&self, index: u32) -> bool {
        self.0[index as usize / 64] >> (index % 64) & 1 == 1
    }

    /// Sets a bit; whether it was clear.
    fn set(&mut self, index: u32) -> bool {
        let was_clear = !self.has(index);
        self.0[index as usize / 64] |= 1 << (index % 64);
        was_clear
    }
}

/// The counts of a group are kept a second time in the summary area.
fn stored_summary(image: Image<'_>, group: u32) -> Option<Summary> {
    let mut bytes = [0; Summary::SIZE];
    let at = u64::from(group) * Summary::SIZE as u64;
    image.read(image.superblock().csaddr, at, &mut bytes).ok()?;
    Some(Summary::read(&bytes).expect("there are enough bytes"))
}

/// The fragments of the summary area.
fn summary_fragments(image: Image<'_>) -> std::ops::Range<u32> {
    let superblock = image.superblock();
    superblock.csaddr..superblock.csaddr + superblock.cssize / FRAGMENT_SIZE
}
