//! Which blocks of a large file are worth storing: a block of zeros is a hole.
//!
//! Blocks have to be counted before the first one is written, so a large file is looked at twice. What decides is its
//! size and its bytes, never whether the file system of this machine stores it with holes: that only makes it faster.
//! The early-boot reader of illumos reads the boot block in the place of a hole, which is zero too.

use crate::manifest::Entry;
use crate::pack::{Contents, PackError};
use crate::root::{LEAST_SPARSE_SIZE, next_data};
use crate::ufs::BLOCK_SIZE;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Bytes read at a time.
const PIECE: usize = 1 << 20;
const BLOCK: u64 = BLOCK_SIZE as u64;
static ZEROS: [u8; BLOCK_SIZE as usize] = [0; BLOCK_SIZE as usize];

/// The blocks of a file that are not zero, as ranges in order.
///
/// # Errors
/// The file cannot be opened or read. That it changes afterwards is found when it is written.
pub(super) fn data_blocks(contents: &Contents<'_>, entry: &Entry) -> Result<Vec<Range<u32>>, PackError> {
    // Smaller files are not looked at twice: what their zeros take is little, and compresses to nothing.
    let file = if entry.size() < LEAST_SPARSE_SIZE { None } else { contents.plain_file(entry)? };
    match file {
        Some(file) => scan(&file, entry.size()).map_err(|source| PackError::Read { path: entry.path.clone(), source }),
        None => Ok(all_blocks(entry.size())),
    }
}

/// The blocks of content without holes.
pub(super) fn all_blocks(size: u64) -> Vec<Range<u32>> {
    let blocks = 0..n_blocks(size);
    vec![blocks]
}

/// Blocks that so many bytes begin. The limit on file sizes keeps them within 32 bits.
pub(super) fn n_blocks(size: u64) -> u32 {
    u32::try_from(size.div_ceil(BLOCK)).unwrap_or(u32::MAX)
}

pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(ZEROS.len()).all(|piece| piece == &ZEROS[..piece.len()])
}

fn scan(file: &File, size: u64) -> io::Result<Vec<Range<u32>>> {
    let mut found: Vec<Range<u32>> = Vec::new();
    let mut buffer = vec![0; PIECE];
    let mut at = 0;
    while let Some(start) = next_data(file, at)?.filter(|start| *start < size) {
        at = start - start % BLOCK;
        let wanted = usize::try_from(size - at).unwrap_or(PIECE).min(PIECE);
        let n = read_at(file, &mut buffer[..wanted], at)?;
        for (block, bytes) in (n_blocks(at)..).zip(buffer[..n].chunks(BLOCK_SIZE as usize)) {
            if is_zero(bytes) {
                continue;
            }
            match found.last_mut().filter(|last| last.end == block) {
                Some(last) => last.end += 1,
                None => found.push(block..block + 1),
            }
        }
        at += wanted as u64;
    }
    Ok(found)
}

/// Reads until the buffer is full or the file ends.
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut n_read = 0;
    while n_read < buffer.len() {
        match file.read_at(&mut buffer[n_read..], at + n_read as u64) {
            Ok(0) => break,
            Ok(n) => n_read += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(n_read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn only_the_bytes_decide_what_is_a_hole() {
        let sparse = tempfile::tempfile().unwrap();
        let size = 5 * PIECE as u64 + 100;
        sparse.set_len(size).unwrap();
        sparse.write_all_at(b"x", 3 * BLOCK + 5).unwrap();
        sparse.write_all_at(b"xy", 200 * BLOCK - 1).unwrap();
        sparse.write_all_at(b"x", size - 1).unwrap();
        let expected = [3..4, 199..201, 640..641];
        assert_eq!(scan(&sparse, size).unwrap(), expected);

        let mut bytes = vec![0; size as usize];
        read_at(&sparse, &mut bytes, 0).unwrap();
        let mut dense = tempfile::tempfile().unwrap();
        dense.write_all(&bytes).unwrap();
        assert_eq!(scan(&dense, size).unwrap(), expected);
        sparse.set_len(0).unwrap();
        sparse.set_len(size).unwrap();
        assert_eq!(scan(&sparse, size).unwrap(), []);
    }
}
