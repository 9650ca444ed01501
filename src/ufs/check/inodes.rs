//! What inodes hold: every fragment has one owner at most.

use super::{Bits, Problems, summary_fragments};
use crate::ufs::read::Image;
use crate::ufs::{
    BACKUP_FRAGMENT, BLOCK_SIZE, FRAGMENT_SIZE, FRAGMENTS_PER_BLOCK, Field, Inode, LARGE_FILE, MAX_FILE_SIZE, N_DIRECT,
    POINTERS_PER_BLOCK, ROOT_INODE, SECTORS_PER_FRAGMENT, file_type,
};
use std::collections::BTreeMap;
use std::fmt::Display;

/// Types that have no name: access control lists and directories of extended attributes (`IFSHAD`, `IFATTRDIR`).
pub(super) const SHADOW: u16 = 0o130_000;
pub(super) const ATTRIBUTES: u16 = 0o160_000;

/// All inodes that are in use, and all fragments.
pub(super) struct Inodes {
    pub used: BTreeMap<u32, Used>,
    pub fragments: Bits,
}

/// What is kept of an inode.
pub(super) struct Used {
    /// Of its mode.
    pub kind: u16,
    pub nlink: i16,
}

impl Inodes {
    /// Reads the inodes of all groups that are in the image.
    pub(super) fn read(image: Image<'_>, problems: &mut Problems) -> Inodes {
        let sb = image.superblock();
        let mut reader = Reader { image, problems, fragments: Bits::new(image.n_fragments()), companions: Vec::new() };
        for group in 0..sb.ncg {
            reader.claim_metadata(group);
        }
        let mut used = BTreeMap::new();
        let mut has_large_file = false;
        for number in 0..sb.ncg * sb.ipg {
            let Ok(inode) = image.inode(number) else {
                reader.problems.tell(|| format!("inode {number} and all behind it are past the end of the image"));
                break;
            };
            if number < ROOT_INODE || inode.mode == 0 {
                reader.check_free(number, &inode);
                continue;
            }
            used.insert(number, Used { kind: inode.mode & file_type::MASK, nlink: inode.nlink });
            reader.check(number, &inode);
            has_large_file |= inode.size >= LARGE_FILE && inode.mode & file_type::MASK == file_type::FILE;
        }
        reader.check_companions(&used);
        reader.check_flags(has_large_file);
        Inodes { used, fragments: reader.fragments }
    }
}

struct Reader<'r, 's> {
    image: Image<'s>,
    problems: &'r mut Problems,
    fragments: Bits,
    companions: Vec<Companion>,
}

/// An inode that another one refers to.
struct Companion {
    of: u32,
    field: &'static str,
    kind: u16,
    number: u32,
}

impl Reader<'_, '_> {
    fn claim_metadata(&mut self, group: u32) {
        let sb = self.image.superblock();
        let Some(base) = sb.group_base(group) else { return };
        // In front of the first group there is the boot block; in front of others, data.
        let start = if group == 0 { 0 } else { base + BACKUP_FRAGMENT };
        let summary = if group == 0 { summary_fragments(self.image) } else { 0..0 };
        for fragment in (start..base + sb.dblkno).chain(summary) {
            if fragment < self.image.n_fragments() {
                self.fragments.set(fragment);
            }
        }
    }

    /// The kernel zeroes an inode that it frees, but for the generation.
    fn check_free(&mut self, number: u32, inode: &Inode) {
        if (Inode { generation: 0, ..inode.clone() }) != Inode::default() {
            self.problems.tell(|| format!("inode {number} is free, its ic_smode is {:#o}, but not zero", inode.mode));
        }
    }

    fn check(&mut self, number: u32, inode: &Inode) {
        self.check_attributes(number, inode);
        if inode.size > MAX_FILE_SIZE {
            self.problems.tell(|| format!("inode {number}: ic_lsize is {}, more than any file has", inode.size));
            return;
        }
        let kind = inode.mode & file_type::MASK;
        match kind {
            file_type::FILE | file_type::DIRECTORY | file_type::SYMLINK | SHADOW | ATTRIBUTES => {
                let held = self.claim_content(number, inode, kind == file_type::FILE);
                let what = format_args!("inode {number}: ic_blocks");
                self.problems.compare(what, u64::from(inode.blocks), held * u64::from(SECTORS_PER_FRAGMENT));
            }
            file_type::FIFO | file_type::SOCKET | file_type::CHAR | file_type::BLOCK => {
                let is_device = matches!(kind, file_type::CHAR | file_type::BLOCK);
                let pointers = inode.db.iter().chain(&inode.ib).enumerate();
                let n_pointers = pointers.filter(|(n, pointer)| **pointer != 0 && !(is_device && *n == 1)).count();
                let (size, blocks) = (inode.size, inode.blocks);
                if n_pointers > 0 || size > 0 || blocks > 0 {
                    self.problems.tell(|| {
                        format!(
                            "inode {number}: a device, fifo or socket with ic_lsize {size}, ic_blocks {blocks} and \
                            {n_pointers} pointers in ic_db and ic_ib"
                        )
                    });
                }
            }
            _ => self.problems.tell(|| format!("inode {number}: ic_smode is {:#o}, which is no type", inode.mode)),
        }
    }

    fn check_attributes(&mut self, number: u32, inode: &Inode) {
        for (name, short, long) in [("uid", inode.suid, inode.uid), ("gid", inode.sgid, inode.gid)] {
            if u32::from(short) != long.min(u16::MAX.into()) {
                self.problems.tell(|| format!("inode {number}: ic_s{name} says {short}, ic_{name} {long}"));
            }
        }
        if inode.flags & !7 != 0 {
            self.problems.tell(|| format!("inode {number}: ic_flags is {:#x}, unknown bits", inode.flags));
        }
        for (field, kind, other) in [("ic_shadow", SHADOW, inode.shadow), ("ic_oeftflag", ATTRIBUTES, inode.oeftflag)] {
            if other != 0 {
                self.companions.push(Companion { of: number, field, kind, number: other });
            }
        }
        for (name, time) in [("ic_atime", inode.atime), ("ic_mtime", inode.mtime), ("ic_ctime", inode.ctime)] {
            if time[1] >= 1_000_000 {
                self.problems.tell(|| format!("inode {number}: {name} has {} microseconds", time[1]));
            }
        }
    }

    fn check_companions(&mut self, used: &BTreeMap<u32, Used>) {
        for Companion { of, field, kind, number } in std::mem::take(&mut self.companions) {
            if used.get(&number).is_none_or(|used| used.kind != kind) {
                self.problems.tell(|| format!("inode {of}: {field} is {number}, an inode of another type"));
            }
        }
    }

    fn check_flags(&mut self, has_large_file: bool) {
        let flags = self.image.superblock().flags;
        if has_large_file && flags & 1 == 0 {
            self.problems.tell(|| "fs_flags has no bit 0, but there is a file of 2 GiB or more".to_owned());
        } else if flags & !1 != 0 {
            self.problems.tell(|| format!("fs_flags is {flags}: only bit 0 means anything"));
        }
    }

    /// Claims what the pointers lead to; gives the number of fragments.
    fn claim_content(&mut self, number: u32, inode: &Inode, may_have_holes: bool) -> u64 {
        let block_size = u64::from(BLOCK_SIZE);
        let n_blocks = inode.size.div_ceil(block_size);
        let mut claim = Claim { inode: number, may_have_holes, held: 0 };
        for (index, pointer) in inode.db.iter().enumerate() {
            let rest = inode.size.saturating_sub(index as u64 * block_size);
            let length = if n_blocks > u64::from(N_DIRECT) { block_size } else { rest.min(block_size) };
            let count = length.div_ceil(u64::from(FRAGMENT_SIZE)) as u32;
            self.claim_block(&mut claim, &format_args!("ic_db[{index}]"), *pointer, count);
        }
        let mut first = u64::from(N_DIRECT);
        for (level, pointer) in inode.ib.iter().enumerate() {
            let span = u64::from(POINTERS_PER_BLOCK).pow(level as u32 + 1);
            let below = n_blocks.saturating_sub(first).min(span);
            self.claim_tree(&mut claim, &format_args!("ic_ib[{level}]"), *pointer, level + 1, below);
            first += span;
        }
        claim.held
    }

    /// A block of data or pointers, of which `count` fragments are needed; whether it is there and only this file's.
    fn claim_block(&mut self, claim: &mut Claim, what: &dyn Display, pointer: u32, count: u32) -> bool {
        let number = claim.inode;
        match (pointer, count) {
            (0, 0) => return false,
            (0, _) => {
                if !claim.may_have_holes {
                    self.problems.tell(|| format!("inode {number}: {what} is a hole, where only files may have one"));
                }
                return false;
            }
            (_, 0) => {
                self.problems.tell(|| format!("inode {number}: {what} is fragment {pointer}, behind its ic_lsize"));
                return false;
            }
            _ => {}
        }
        claim.held += u64::from(count);
        let place = || format!("inode {number}: {what} is fragment {pointer}");
        if !self.image.has(pointer, count) {
            self.problems.tell(|| format!("{}, past the end of the file system", place()));
            return false;
        }
        if pointer % FRAGMENTS_PER_BLOCK + count > FRAGMENTS_PER_BLOCK {
            self.problems.tell(|| format!("{}, from which {count} fragments reach into the next block", place()));
        }
        let n_taken = (pointer..pointer + count).filter(|fragment| !self.fragments.set(*fragment)).count();
        if n_taken > 0 {
            self.problems.tell(|| format!("{}, which is in use for something else", place()));
        }
        n_taken == 0
    }

    /// An indirect block of some levels and the `blocks` blocks that it leads to; level 0 is data.
    fn claim_tree(&mut self, claim: &mut Claim, what: &dyn Display, pointer: u32, level: usize, blocks: u64) {
        let count = if blocks > 0 { FRAGMENTS_PER_BLOCK } else { 0 };
        // What belongs to another, or to this file a second time, is not followed: so each is read once.
        if !self.claim_block(claim, what, pointer, count) || level == 0 {
            return;
        }
        let mut bytes = vec![0; BLOCK_SIZE as usize];
        if self.image.read(pointer, 0, &mut bytes).is_err() {
            self.problems.tell(|| format!("inode {}: {what}, fragment {pointer}, cannot be read", claim.inode));
            return;
        }
        let span = u64::from(POINTERS_PER_BLOCK).pow(level as u32 - 1);
        for (slot, next) in (0..).zip(bytes.chunks_exact(4)) {
            let below = blocks.saturating_sub(slot * span).min(span);
            let what = format_args!("slot {slot} of the indirect block at {pointer}");
            self.claim_tree(claim, &what, u32::get(next), level - 1, below);
        }
    }
}

/// What one inode was given so far.
struct Claim {
    inode: u32,
    may_have_holes: bool,
    /// Fragments.
    held: u64,
}
