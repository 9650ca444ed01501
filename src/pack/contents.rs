//! The bytes of an entry, checked against the manifest while they are read.
//!
//! A root can change between `trace` and `pack`. Nobody reads it twice to find out: the stream itself counts and
//! digests what passes through, and fails instead of ending when that is not what was traced.

use super::PackError;
use super::compress::{Compression, decoder};
use crate::manifest::{Content, Entry};
use crate::path::RootPath;
use crate::root::{LEAST_SPARSE_SIZE, Root, SparseFile};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::PathBuf;

/// Bytes read at a time.
pub(super) const BUFFER: usize = 1 << 20;

/// Zeros to digest in the place of those of a hole.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// Content that knows where it has holes.
pub(super) trait SparseRead: Read {
    /// Passes over bytes that are zero without being read, `limit` at most; gives their number, which may be 0 where
    /// there are such bytes.
    fn skip_hole(&mut self, _limit: u64) -> io::Result<u64> {
        Ok(0)
    }
}

impl SparseRead for SparseFile {
    fn skip_hole(&mut self, limit: u64) -> io::Result<u64> {
        SparseFile::skip_hole(self, limit)
    }
}

impl SparseRead for File {}
impl SparseRead for &[u8] {}
impl SparseRead for io::Cursor<Vec<u8>> {}
impl SparseRead for io::Empty {}
impl SparseRead for Box<dyn Read> {}

/// Where the content of entries comes from.
#[derive(Clone)]
pub struct Contents<'r> {
    root: &'r Root,
    given: BTreeMap<RootPath, PathBuf>,
}

/// The content of one entry; reading fails when it is not what the manifest says.
///
/// Its errors hold a [`PackError`], which [`PackError::from_io`] takes out again.
pub struct CheckedReader<'e> {
    entry: &'e Entry,
    bytes: Box<dyn SparseRead + 'e>,
    digest: Sha256,
    /// Absent for what has no content.
    sha256: Option<&'e [u8; 32]>,
    /// Bytes still to come.
    left: u64,
    unpacked_from: Option<&'e RootPath>,
}

/// How content differs from what was traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Change {
    /// It has more bytes than the manifest says.
    #[error("it is longer")]
    Longer,
    /// It has fewer bytes than the manifest says.
    #[error("it is shorter")]
    Shorter,
    /// It has as many bytes, and others.
    #[error("its digest differs")]
    Digest,
}

impl<'r> Contents<'r> {
    /// Where the content of all entries is that the recipe does not give itself.
    pub fn root(&self) -> &'r Root {
        self.root
    }

    /// Content comes from `root` and from the manifest itself.
    pub fn new(root: &'r Root) -> Contents<'r> {
        Contents { root, given: BTreeMap::new() }
    }

    /// Gives the generated entry at `path`, whose bytes are not in the manifest, from a file of this machine.
    pub fn give(&mut self, path: RootPath, file: PathBuf) {
        self.given.insert(path, file);
    }

    /// Opens the content of a file entry; anything without content reads as empty.
    ///
    /// # Errors
    /// The file cannot be opened, or nobody gave the bytes.
    pub fn open<'e>(&self, entry: &'e Entry) -> Result<CheckedReader<'e>, PackError> {
        let mut reader = CheckedReader {
            entry,
            bytes: Box::new(io::empty()),
            digest: Sha256::new(),
            sha256: None,
            left: entry.size(),
            unpacked_from: None,
        };
        match &entry.content {
            Content::File { sha256, unpacked_from, .. } => {
                reader.sha256 = Some(sha256);
                reader.unpacked_from = unpacked_from.as_ref();
                reader.bytes = match unpacked_from {
                    Some(from) => Box::new(self.open_packed(from)?),
                    None => of_file(self.open_in_root(&entry.path)?, entry),
                };
            }
            Content::Generated { sha256, bytes, .. } => {
                reader.sha256 = Some(sha256);
                reader.bytes = match bytes {
                    Some(bytes) => Box::new(&bytes[..]),
                    None => of_file(self.open_given(&entry.path)?, entry),
                };
            }
            _ => {}
        }
        Ok(reader)
    }

    /// The whole content of a file entry.
    ///
    /// # Errors
    /// As [`Contents::open`]; the file cannot be read, or has changed since it was traced.
    pub fn read(&self, entry: &Entry) -> Result<Vec<u8>, PackError> {
        let mut bytes = Vec::new();
        let read = self.open(entry)?.read_to_end(&mut bytes);
        read.map(|_| bytes)
            .map_err(|error| PackError::from_io(error, |source| PackError::Read { path: entry.path.clone(), source }))
    }

    /// Copies the content of an entry to `out` in pieces of the size of `buffer`.
    ///
    /// # Errors
    /// About reading they hold a [`PackError`], about writing they are those of `out`.
    pub(super) fn copy(&self, entry: &Entry, out: &mut impl Write, buffer: &mut [u8]) -> io::Result<()> {
        let mut reader = self.open(entry).map_err(io::Error::other)?;
        loop {
            match reader.read(buffer)? {
                0 => return Ok(()),
                n => out.write_all(&buffer[..n])?,
            }
        }
    }

    /// The file of this machine whose bytes are the content as they are, for looking ahead at some of them; `None` when
    /// there is no such file.
    ///
    /// # Errors
    /// As [`Contents::open`].
    pub(super) fn plain_file(&self, entry: &Entry) -> Result<Option<File>, PackError> {
        match &entry.content {
            Content::File { unpacked_from: None, .. } => self.open_in_root(&entry.path).map(Some),
            Content::Generated { bytes: None, .. } => self.open_given(&entry.path).map(Some),
            _ => Ok(None),
        }
    }

    fn open_given(&self, path: &RootPath) -> Result<File, PackError> {
        let file = self.given.get(path).ok_or_else(|| PackError::NotGiven { path: path.clone() })?;
        File::open(file).map_err(|source| PackError::OpenGiven { file: file.clone(), source })
    }

    fn open_in_root(&self, path: &RootPath) -> Result<File, PackError> {
        let failed = |source| PackError::Read { path: path.clone(), source };
        let found = self.root.lookup_nofollow(path).map_err(|error| failed(io::Error::other(error)))?;
        self.root.open_file(&found).map_err(failed)
    }

    /// The decompressed content of a file of the root, whatever its name says: the first bytes tell.
    fn open_packed(&self, path: &RootPath) -> Result<Box<dyn Read>, PackError> {
        let failed = |source| PackError::Unpack { path: path.clone(), source };
        let mut file = self.open_in_root(path)?;
        let mut magic = Vec::new();
        Read::by_ref(&mut file).take(6).read_to_end(&mut magic).map_err(failed)?;
        let compression = Compression::detect(&magic).unwrap_or(Compression::None);
        decoder(compression, BufReader::with_capacity(BUFFER, io::Cursor::new(magic).chain(file))).map_err(failed)
    }
}

/// A large file with its holes; a small one as it is.
fn of_file(file: File, entry: &Entry) -> Box<dyn SparseRead> {
    if entry.size() < LEAST_SPARSE_SIZE { Box::new(file) } else { Box::new(SparseFile::new(file)) }
}

impl SparseRead for CheckedReader<'_> {
    fn skip_hole(&mut self, limit: u64) -> io::Result<u64> {
        let n = self.bytes.skip_hole(limit).map_err(|error| self.read_error(error))?;
        self.left = self.left.checked_sub(n).ok_or_else(|| self.changed(Change::Longer))?;
        let mut left = n;
        while left > 0 {
            let piece = left.min(ZEROS.len() as u64);
            self.digest.update(&ZEROS[..piece as usize]);
            left -= piece;
        }
        Ok(n)
    }
}

impl Read for CheckedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let n = loop {
            match self.bytes.read(buffer) {
                Ok(n) => break n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.read_error(error)),
            }
        };
        if n == 0 {
            return self.check_end().map(|()| 0);
        }
        self.left = self.left.checked_sub(n as u64).ok_or_else(|| self.changed(Change::Longer))?;
        self.digest.update(&buffer[..n]);
        Ok(n)
    }
}

impl CheckedReader<'_> {
    fn check_end(&self) -> io::Result<()> {
        if self.left > 0 {
            return Err(self.changed(Change::Shorter));
        }
        let digest = self.digest.clone().finalize();
        match self.sha256 {
            Some(expected) if digest.as_slice() != expected => Err(self.changed(Change::Digest)),
            _ => Ok(()),
        }
    }

    fn changed(&self, change: Change) -> io::Error {
        io::Error::other(PackError::Changed { path: self.entry.path.clone(), change })
    }

    fn read_error(&self, source: io::Error) -> io::Error {
        io::Error::other(match self.unpacked_from {
            Some(from) => PackError::Unpack { path: from.clone(), source },
            None => PackError::Read { path: self.entry.path.clone(), source },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::testing::{entry, file, path};
    use std::fs;

    /// An entry for a file of the root that held `bytes` when it was traced.
    fn traced(at: &str, bytes: &[u8], unpacked_from: Option<&str>) -> Entry {
        let (size, sha256) = (bytes.len() as u64, Sha256::digest(bytes).into());
        entry(at, Content::File { size, sha256, unpacked_from: unpacked_from.map(path) })
    }

    #[test]
    fn a_file_that_changed_since_it_was_traced_is_found() {
        let host = tempfile::tempdir().unwrap();
        let root = Root::open(host.path()).unwrap();
        let contents = Contents::new(&root);
        let traced = traced("/f", b"hello", None);
        for (now, expected) in
            [(&b"hell"[..], Change::Shorter), (b"hello!", Change::Longer), (b"hallo", Change::Digest)]
        {
            fs::write(host.path().join("f"), now).unwrap();
            let error = contents.read(&traced).unwrap_err();
            assert!(matches!(&error, PackError::Changed { change, .. } if *change == expected), "{error}");
            assert!(error.hint().is_some());
        }
        fs::write(host.path().join("f"), "hello").unwrap();
        assert_eq!(contents.read(&traced).unwrap(), b"hello");
        fs::remove_file(host.path().join("f")).unwrap();
        assert!(matches!(contents.read(&traced), Err(PackError::Read { .. })));
    }

    #[test]
    fn compressed_modules_are_unpacked_whatever_their_name_says() {
        let host = tempfile::tempdir().unwrap();
        let root = Root::open(host.path()).unwrap();
        let contents = Contents::new(&root);
        let module = crate::pack::compress::tests::sample(300_000);
        for compression in Compression::ALL {
            let level = compression.default_level();
            let packed = crate::pack::compress::tests::compressed(&module, compression, level, 2);
            fs::write(host.path().join("x.ko.xz"), &packed).unwrap();
            assert!(contents.read(&traced("/x.ko", &module, Some("/x.ko.xz"))).unwrap() == module, "{compression}");
            if compression != Compression::None {
                fs::write(host.path().join("x.ko.xz"), &packed[..packed.len() - 9]).unwrap();
                let error = contents.read(&traced("/x.ko", &module, Some("/x.ko.xz"))).unwrap_err();
                assert_eq!(error.to_string(), "cannot decompress `/x.ko.xz` of the root", "{compression}");
            }
        }
    }

    #[test]
    fn large_files_of_a_recipe_are_given_by_the_caller() {
        let host = tempfile::tempdir().unwrap();
        let root = Root::open(host.path()).unwrap();
        let mut contents = Contents::new(&root);
        let mut large = file("/srv/data", b"many bytes");
        if let Content::Generated { bytes, .. } = &mut large.content {
            *bytes = None;
        }
        assert!(matches!(contents.read(&large), Err(PackError::NotGiven { .. })));
        let given = host.path().join("somewhere");
        fs::write(&given, "many bytes").unwrap();
        contents.give(path("/srv/data"), given);
        assert_eq!(contents.read(&large).unwrap(), b"many bytes");
    }
}
