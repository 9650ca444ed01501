//! The records of one directory that are in use, `.` and `..` among them.
//!
//! As in the kernel, a mangled record hides the rest of its chunk of 512 bytes, and no more (`ufs_dirlook`).

use super::{Content, Image};
use crate::ufs::{DIRECTORY_CHUNK, DirectoryError, Inode, Record};
use std::io::{self, Read};

/// Iterates over a directory; see [`Image::records`].
pub struct Records<'s> {
    content: Content<'s>,
    size: u64,
    /// Bytes that a directory may have.
    limit: u64,
    n_chunks: u64,
    /// Chunks that were read, the last of them, and the byte of its next record.
    n_read: u64,
    chunk: [u8; DIRECTORY_CHUNK],
    at: usize,
}

/// A record that is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    pub inode: u32,
    pub name: Vec<u8>,
}

/// What is wrong with a directory.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    #[error("ic_lsize is {size}: not a multiple of 512, or more than the image has")]
    Size { size: u64 },
    #[error("{record}, in chunk {chunk}")]
    Record { chunk: u64, record: DirectoryError },
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
}

impl<'s> Records<'s> {
    pub(super) fn new(image: Image<'s>, number: u32, inode: &Inode) -> Records<'s> {
        Records {
            content: image.content(number, inode),
            size: inode.size,
            limit: image.length(),
            n_chunks: inode.size / DIRECTORY_CHUNK as u64,
            n_read: 0,
            chunk: [0; DIRECTORY_CHUNK],
            at: DIRECTORY_CHUNK,
        }
    }

    /// Reads the next chunk; `false` at the end.
    fn next_chunk(&mut self) -> Result<bool, RecordsError> {
        let has_size = self.size.is_multiple_of(DIRECTORY_CHUNK as u64) && self.size <= self.limit;
        if !has_size && self.n_read == 0 {
            (self.n_chunks, self.n_read) = (0, 1);
            return Err(RecordsError::Size { size: self.size });
        }
        if self.n_read >= self.n_chunks {
            return Ok(false);
        }
        self.n_read += 1;
        if let Err(error) = self.content.read_exact(&mut self.chunk) {
            self.n_read = self.n_chunks;
            return Err(RecordsError::Unreadable(error));
        }
        self.at = 0;
        Ok(true)
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Name, RecordsError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while self.at < DIRECTORY_CHUNK {
                match Record::read(&self.chunk, self.at) {
                    Ok(Record { inode, length, name }) => {
                        self.at += length;
                        if inode != 0 {
                            return Some(Ok(Name { inode, name: name.to_vec() }));
                        }
                    }
                    Err(record) => {
                        self.at = DIRECTORY_CHUNK;
                        return Some(Err(RecordsError::Record { chunk: self.n_read - 1, record }));
                    }
                }
            }
            match self.next_chunk() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
