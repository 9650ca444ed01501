//! Reading a large file that may have holes: they are zeros that nobody has to fetch.
//!
//! The kernel fills its page cache with the zeros of a hole that is read. A file of many gigabytes with little in it
//! would push everything else out of memory, and what reading it costs is mostly that.

use rustix::fs::SeekFrom;
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// Smaller files are read as they are: asking for their holes is not worth the calls.
pub const LEAST_SIZE: u64 = 16 << 20;

/// A file that is read from its beginning to its end.
pub struct SparseFile {
    file: File,
    position: u64,
    /// What the position is in.
    run: Run,
    /// Where the run ends.
    end: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    Hole,
    Data,
}

impl SparseFile {
    /// Reads from the beginning of the file, wherever its position is.
    pub fn new(file: File) -> SparseFile {
        SparseFile { file, position: 0, run: Run::Data, end: 0 }
    }

    /// Passes over what is left of the hole at the position, `limit` bytes at most; gives their number, 0 where there is
    /// data.
    ///
    /// # Errors
    /// The file system cannot tell.
    pub fn skip_hole(&mut self, limit: u64) -> io::Result<u64> {
        self.find_run()?;
        if self.run == Run::Data {
            return Ok(0);
        }
        let n = limit.min(self.end - self.position);
        self.position += n;
        Ok(n)
    }

    fn find_run(&mut self) -> io::Result<()> {
        if self.position < self.end {
            return Ok(());
        }
        let start = match next_data(&self.file, self.position)? {
            Some(start) => start,
            // The last hole ends with the file.
            None => self.file.metadata()?.len(),
        };
        (self.run, self.end) = match start > self.position {
            true => (Run::Hole, start),
            false => (Run::Data, next_hole(&self.file, self.position)?),
        };
        Ok(())
    }
}

impl Read for SparseFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.find_run()?;
        let length = usize::try_from(self.end - self.position).unwrap_or(usize::MAX).min(buffer.len());
        let n = match self.run {
            Run::Hole => {
                buffer[..length].fill(0);
                length
            }
            Run::Data => self.file.read_at(&mut buffer[..length], self.position)?,
        };
        self.position += n as u64;
        Ok(n)
    }
}

/// Where the file system has data next, from `at` on; `at` where it does not tell, `None` when there is none.
///
/// # Errors
/// lseek(2) fails.
pub fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(start) => Ok(Some(start)),
        Err(Errno::NXIO) => Ok(None),
        Err(Errno::INVAL | Errno::NOTSUP) => Ok(Some(at)),
        Err(error) => Err(error.into()),
    }
}

/// Where the data at `at` end; never where the file system does not tell, and at the end of the file, where nothing is
/// read.
fn next_hole(file: &File, at: u64) -> io::Result<u64> {
    match rustix::fs::seek(file, SeekFrom::Hole(at)) {
        Ok(end) => Ok(end),
        Err(Errno::NXIO | Errno::INVAL | Errno::NOTSUP) => Ok(u64::MAX),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// A file of `size` bytes with `pieces`, and its content.
    fn sparse(size: u64, pieces: &[(u64, &[u8])]) -> (SparseFile, Vec<u8>) {
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        let mut content = vec![0; size as usize];
        for (at, bytes) in pieces {
            file.write_all_at(bytes, *at).unwrap();
            content[*at as usize..][..bytes.len()].copy_from_slice(bytes);
        }
        (SparseFile::new(file), content)
    }

    #[test]
    fn holes_read_as_the_zeros_that_they_are() {
        for pieces in [
            &[][..],
            &[(0, &b"front"[..]), (2_000_000, b"middle"), (2_999_997, b"end")],
            &[(1_000_000, b"between holes")],
        ] {
            let (mut file, content) = sparse(3_000_000, pieces);
            let mut read = Vec::new();
            file.read_to_end(&mut read).unwrap();
            assert!(read == content, "{pieces:?}");
        }
    }

    #[test]
    fn a_hole_is_passed_over_and_data_are_not() {
        let (mut file, content) = sparse(3_000_000, &[(2_000_000, b"data")]);
        let mut n_skipped = file.skip_hole(1000).unwrap();
        assert!(n_skipped == 1000 || n_skipped == 0, "file systems without holes have none to pass over");
        n_skipped += file.skip_hole(u64::MAX).unwrap();
        assert!(n_skipped <= 2_000_000);
        assert_eq!((n_skipped > 0).then(|| file.skip_hole(1000).unwrap()), (n_skipped > 0).then_some(0));
        let mut rest = Vec::new();
        file.read_to_end(&mut rest).unwrap();
        assert!(rest == content[n_skipped as usize..]);
    }

    #[test]
    fn what_is_written_behind_the_end_is_read_too() {
        let (mut file, _) = sparse(0, &[]);
        assert_eq!(file.read(&mut [0; 8]).unwrap(), 0);
        file.file.write_all(b"more").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(file.read(&mut buffer).unwrap(), 4);
        assert_eq!(&buffer[..4], b"more");
    }
}
