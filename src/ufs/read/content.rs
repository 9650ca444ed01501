//! The bytes of an inode: its twelve blocks, then those that one, two or three levels of indirect blocks lead to.

use super::Image;
use crate::ufs::{BLOCK_SIZE, FRAGMENT_SIZE, Field, Inode, MAX_FILE_SIZE, N_DIRECT, N_INDIRECT, POINTERS_PER_BLOCK};
use std::io::{self, Read};

/// Reads a file from its beginning.
pub struct Content<'s> {
    image: Image<'s>,
    number: u32,
    size: u64,
    db: [u32; N_DIRECT as usize],
    ib: [u32; N_INDIRECT],
    position: u64,
    /// The indirect block of each depth that was used last: files are read forwards.
    cached: [Option<IndirectBlock>; N_INDIRECT],
}

struct IndirectBlock {
    fragment: u32,
    bytes: Vec<u8>,
}

/// Why content cannot be read; the `io::Error` of reading holds it.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    #[error("inode {inode}: ic_lsize is {size}, more than any file has")]
    Size { inode: u32, size: u64 },
    #[error("inode {inode}: {pointer} is fragment {fragment}, past the end of the file system")]
    Pointer { inode: u32, pointer: String, fragment: u32 },
}

impl<'s> Content<'s> {
    pub(super) fn new(image: Image<'s>, number: u32, inode: &Inode) -> Content<'s> {
        let (db, ib) = (inode.db, inode.ib);
        Content { image, number, size: inode.size, db, ib, position: 0, cached: Default::default() }
    }

    /// The same, read from a byte in the middle.
    #[cfg(test)]
    pub fn at(self, position: u64) -> Content<'s> {
        Content { position, ..self }
    }

    /// The fragment where a block of the file begins, 0 for a hole.
    fn fragment(&mut self, block: u64) -> io::Result<u32> {
        let (fragment, pointer) = match usize::try_from(block) {
            Ok(index) if index < self.db.len() => (self.db[index], format!("ic_db[{index}]")),
            _ => self.indirect_fragment(block)?,
        };
        let length = (self.size - block * u64::from(BLOCK_SIZE)).min(u64::from(BLOCK_SIZE)) as u32;
        if fragment != 0 && !self.image.has(fragment, length.div_ceil(FRAGMENT_SIZE)) {
            return Err(self.past_end(fragment, pointer));
        }
        Ok(fragment)
    }

    /// A fragment with the name of the pointer to it.
    fn indirect_fragment(&mut self, block: u64) -> io::Result<(u32, String)> {
        let (level, mut rest) = self.level(block)?;
        let (mut fragment, mut pointer) = (self.ib[level], format!("ic_ib[{level}]"));
        for depth in (0..=level).rev() {
            if fragment == 0 {
                break;
            }
            let span = u64::from(POINTERS_PER_BLOCK).pow(depth as u32);
            let slot = (rest / span) as usize;
            rest %= span;
            let next = u32::get(&self.indirect(depth, fragment, pointer)?[slot * 4..]);
            pointer = format!("slot {slot} of the indirect block at {fragment}");
            fragment = next;
        }
        Ok((fragment, pointer))
    }

    /// Which of the indirect pointers leads to a block, and the number of the block below it.
    fn level(&self, block: u64) -> io::Result<(usize, u64)> {
        let mut rest = block - u64::from(N_DIRECT);
        for level in 0..N_INDIRECT {
            let span = u64::from(POINTERS_PER_BLOCK).pow(level as u32 + 1);
            if rest < span {
                return Ok((level, rest));
            }
            rest -= span;
        }
        Err(self.too_large())
    }

    fn indirect(&mut self, depth: usize, fragment: u32, pointer: String) -> io::Result<&[u8]> {
        let is_cached = self.cached[depth].as_ref().is_some_and(|block| block.fragment == fragment);
        if !is_cached {
            if !self.image.has(fragment, BLOCK_SIZE / FRAGMENT_SIZE) {
                return Err(self.past_end(fragment, pointer));
            }
            let mut bytes = vec![0; BLOCK_SIZE as usize];
            self.image.read(fragment, 0, &mut bytes)?;
            self.cached[depth] = Some(IndirectBlock { fragment, bytes });
        }
        Ok(&self.cached[depth].as_ref().expect("read above").bytes)
    }

    fn past_end(&self, fragment: u32, pointer: String) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, ContentError::Pointer { inode: self.number, pointer, fragment })
    }

    fn too_large(&self) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, ContentError::Size { inode: self.number, size: self.size })
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.size > MAX_FILE_SIZE {
            return Err(self.too_large());
        }
        let block_size = u64::from(BLOCK_SIZE);
        let (block, inside) = (self.position / block_size, self.position % block_size);
        let left = self.size.saturating_sub(self.position).min(block_size - inside);
        let length = buffer.len().min(left as usize);
        let buffer = &mut buffer[..length];
        if length > 0 {
            match self.fragment(block)? {
                0 => buffer.fill(0),
                fragment => self.image.read(fragment, inside, buffer)?,
            }
        }
        self.position += length as u64;
        Ok(length)
    }
}
