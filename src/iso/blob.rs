//! Bytes of known length that are in memory or in a file of the host, and are read piece by piece.
//!
//! An image of gigabytes is laid out and written from blobs without ever being in memory as a whole; a finished
//! image is itself a blob, and a file inside it a slice of that.

use super::ReadError;
use crate::ufs::read::ReadAt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// A range of bytes with its source. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Blob {
    source: Source,
    offset: u64,
    length: u64,
}

#[derive(Debug, Clone)]
enum Source {
    Memory(Arc<[u8]>),
    /// `name` is for messages only.
    File {
        file: Arc<File>,
        name: Arc<Path>,
    },
}

impl Blob {
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Blob {
        let bytes = bytes.into();
        Blob { offset: 0, length: bytes.len() as u64, source: Source::Memory(bytes) }
    }

    /// Opens a file of the host; its present size is the length of the blob.
    ///
    /// # Errors
    /// The host's error, or `InvalidInput` for anything but a regular file.
    pub fn open(path: &Path) -> io::Result<Blob> {
        Blob::from_file(File::open(path)?, path)
    }

    /// The whole content of an open file, named `name` in messages.
    ///
    /// # Errors
    /// As [`Blob::open`].
    pub fn from_file(file: File, name: &Path) -> io::Result<Blob> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let source = Source::File { file: Arc::new(file), name: name.into() };
        Ok(Blob { source, offset: 0, length: metadata.len() })
    }

    /// Bytes.
    pub fn len(&self) -> u64 {
        self.length
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// `length` bytes from `offset` on; `None` when the blob does not have them.
    pub fn slice(&self, offset: u64, length: u64) -> Option<Blob> {
        if offset.checked_add(length)? > self.length {
            return None;
        }
        Some(Blob { source: self.source.clone(), offset: self.offset + offset, length })
    }

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// The host's error, or `UnexpectedEof` when the blob ends before, or its file became shorter since it was opened.
    pub fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.length) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the data end too early"));
        }
        match &self.source {
            Source::Memory(bytes) => {
                // Within memory, so it fits `usize`.
                let start = (self.offset + offset) as usize;
                buffer.copy_from_slice(&bytes[start..start + buffer.len()]);
                Ok(())
            }
            Source::File { file, name } => file
                .read_exact_at(buffer, self.offset + offset)
                .map_err(|error| io::Error::new(error.kind(), format!("`{}`: {error}", name.display()))),
        }
    }

    /// The whole blob in memory: for small files and for files about to be parsed.
    ///
    /// # Errors
    /// As [`Blob::read_exact_at`].
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.length)
            .map_err(|_| io::Error::new(io::ErrorKind::OutOfMemory, "too large for memory"))?;
        let mut bytes = vec![0; length];
        self.read_exact_at(0, &mut bytes)?;
        Ok(bytes)
    }

    /// A fixed number of bytes that belong to `structure`, which an error names.
    pub(super) fn array<const N: usize>(&self, offset: u64, structure: &'static str) -> Result<[u8; N], ReadError> {
        let mut bytes = [0; N];
        self.read_exact_at(offset, &mut bytes).map_err(|source| ReadError::Io { structure, source })?;
        Ok(bytes)
    }

    /// `length` bytes that belong to `structure`. A length beyond the end of the blob allocates nothing.
    pub(super) fn vector(&self, offset: u64, length: u64, structure: &'static str) -> Result<Vec<u8>, ReadError> {
        let slice = self.slice(offset, length).ok_or_else(|| {
            let problem = format!("it has {length} bytes at {offset}, the image ends at {}", self.length);
            ReadError::damaged(structure, problem)
        })?;
        slice.read().map_err(|source| ReadError::Io { structure, source })
    }
}

impl ReadAt for Blob {
    fn length(&self) -> u64 {
        self.len()
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        Blob::read_exact_at(self, offset, buffer)
    }
}

/// Reads a blob from its beginning.
pub(crate) struct BlobReader<'a> {
    blob: &'a Blob,
    position: u64,
}

impl<'a> BlobReader<'a> {
    pub(crate) fn new(blob: &'a Blob) -> BlobReader<'a> {
        BlobReader { blob, position: 0 }
    }
}

impl Read for BlobReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.blob.len() - self.position;
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        self.blob.read_exact_at(self.position, &mut buffer[..room])?;
        self.position += room as u64;
        Ok(room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_stay_inside() {
        let blob = Blob::from_bytes(*b"0123456789");
        let middle = blob.slice(2, 5).unwrap();
        assert_eq!(middle.read().unwrap(), b"23456");
        assert_eq!(middle.slice(1, 2).unwrap().read().unwrap(), b"34");
        assert!(middle.slice(4, 2).is_none());
        assert!(middle.slice(u64::MAX, 2).is_none());
        assert!(middle.read_exact_at(4, &mut [0; 2]).is_err());
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error_with_its_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"12345678").unwrap();
        let blob = Blob::open(file.path()).unwrap();
        std::fs::write(file.path(), b"123").unwrap();
        let error = blob.read().unwrap_err().to_string();
        assert!(error.contains(&*file.path().to_string_lossy()), "{error}");
    }

    #[test]
    fn a_directory_is_no_blob() {
        assert!(Blob::open(Path::new("/")).is_err());
    }
}
