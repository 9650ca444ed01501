//! Directory entries (`struct direct` in `ufs_fsdir.h`): records that fill chunks of 512 bytes to the last byte.
//!
//! The length of a name has 16 bits: 4.4BSD has a type in the first 8 of them, which illumos reads as a longer name.

use super::fields::Field;
use super::{DIRECTORY_CHUNK, MAX_NAME};

/// Bytes before the name.
const HEADER: usize = 8;

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'d> {
    /// 0 when the record is unused.
    pub inode: u32,
    /// Bytes from this record to the next.
    pub length: usize,
    pub name: &'d [u8],
}

/// What the kernel calls a mangled entry (`dirmangled` in `ufs_dir.c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    #[error("the directory entry at byte {at} is cut off")]
    CutOff { at: usize },
    #[error(
        "d_reclen of the directory entry at byte {at} is {length}: not a multiple of 4, too small or past its chunk"
    )]
    Length { at: usize, length: usize },
    #[error("d_namlen of the directory entry at byte {at} is {length}: more than its record or the limit of 255")]
    NameLength { at: usize, length: usize },
    #[error("d_name of the directory entry at byte {at} does not end where d_namlen says")]
    Name { at: usize },
}

/// The least bytes of a record with a name of so many bytes (`DIRSIZ`): a NUL and padding to four belong to it.
pub const fn record_length(name_length: usize) -> usize {
    HEADER + ((name_length + 4) & !3)
}

impl<'d> Record<'d> {
    /// Reads the record at byte `at` of a directory, with the kernel's checks.
    ///
    /// # Errors
    /// [`DirectoryError`]; a record that was read has a length above 0, so that a walk ends.
    pub fn read(directory: &'d [u8], at: usize) -> Result<Record<'d>, DirectoryError> {
        let header = at.checked_add(HEADER).and_then(|end| directory.get(at..end));
        let header = header.ok_or(DirectoryError::CutOff { at })?;
        let inode = u32::get(header);
        let length = usize::from(u16::get(&header[4..]));
        let name_length = usize::from(u16::get(&header[6..]));
        let left_in_chunk = DIRECTORY_CHUNK - at % DIRECTORY_CHUNK;
        if !length.is_multiple_of(4) || length < HEADER || length > left_in_chunk {
            return Err(DirectoryError::Length { at, length });
        }
        let record = directory.get(at..at + length).ok_or(DirectoryError::CutOff { at })?;
        if inode == 0 {
            return Ok(Record { inode, length, name: &[] });
        }
        if name_length > MAX_NAME || record_length(name_length) > length {
            return Err(DirectoryError::NameLength { at, length: name_length });
        }
        let (name, rest) = record[HEADER..].split_at(name_length);
        if name.contains(&0) || rest[0] != 0 {
            return Err(DirectoryError::Name { at });
        }
        Ok(Record { inode, length, name })
    }

    /// Writes the record to the start of `bytes`, the rest of its length with zeros.
    ///
    /// # Panics
    /// `bytes` is shorter than the record, or the record than its name needs.
    pub fn write(&self, bytes: &mut [u8]) {
        assert!(record_length(self.name.len()) <= self.length, "internal error: a record is too short for its name");
        let bytes = &mut bytes[..self.length];
        bytes.fill(0);
        self.inode.put(bytes);
        (self.length as u16).put(&mut bytes[4..]);
        (self.name.len() as u16).put(&mut bytes[6..]);
        bytes[HEADER..HEADER + self.name.len()].copy_from_slice(self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(inode: u32, length: usize, name: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xff; length];
        Record { inode, length, name }.write(&mut bytes);
        bytes
    }

    #[test]
    fn a_record_has_a_sixteen_bit_name_length_and_a_nul() {
        assert_eq!(written(5, 12, b"ab"), b"\x05\0\0\0\x0c\0\x02\0ab\0\0");
        assert_eq!([0, 1, 3, 4, 255].map(record_length), [12, 12, 12, 16, 264]);
        let name = [b'x'; 255];
        let bytes = written(9, 264, &name);
        assert_eq!(Record::read(&bytes, 0), Ok(Record { inode: 9, length: 264, name: &name }));
    }

    #[test]
    fn mangled_records_are_refused_with_the_field() {
        let good = written(5, 512, b"name");
        let changed = |at: usize, to: u8| {
            let mut bytes = good.clone();
            bytes[at] = to;
            Record::read(&bytes, 0).map(|record| record.name.to_vec()).unwrap_err()
        };
        assert!(matches!(changed(4, 3), DirectoryError::Length { length: 515, .. }));
        assert!(matches!(changed(5, 0), DirectoryError::Length { length: 0, .. }));
        assert!(matches!(changed(5, 4), DirectoryError::Length { length: 1024, .. }));
        assert!(matches!(changed(7, 1), DirectoryError::NameLength { length: 260, .. }));
        assert!(matches!(changed(9, 0), DirectoryError::Name { at: 0 }));
        assert!(matches!(changed(12, b'x'), DirectoryError::Name { at: 0 }));
        assert_eq!(Record::read(&good[..511], 0), Err(DirectoryError::CutOff { at: 0 }));
        assert_eq!(Record::read(&good, 508), Err(DirectoryError::CutOff { at: 508 }));
        assert_eq!(Record::read(&good, usize::MAX), Err(DirectoryError::CutOff { at: usize::MAX }));
    }

    #[test]
    fn an_unused_record_is_skipped_whatever_its_name_says() {
        let mut bytes = written(0, 512, b"");
        bytes[6] = 0xff;
        bytes[7] = 0xff;
        assert_eq!(Record::read(&bytes, 0), Ok(Record { inode: 0, length: 512, name: &[] }));
    }
}
