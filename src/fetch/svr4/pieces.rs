//! The files of one SVR4 package as they lie in the staging directory, found by their names in the package.
//!
//! Names are only compared: a file is staged under a number, so nothing in a package decides where it goes.

use crate::fetch::error::FetchError;
use crate::fetch::unpack::write_content;
use foldhash::{HashMap, HashMapExt};
use std::io::{self, Read};
use std::path::PathBuf;

/// What a package keeps about itself is small; `pkgmap` of the largest has a few megabytes.
const SMALL: u64 = 64 << 20;

/// The files of one package.
pub struct Pieces {
    /// Where files are staged; the number of each is added.
    prefix: PathBuf,
    files: HashMap<Vec<u8>, Piece>,
    count: usize,
}

/// One staged file.
pub struct Piece {
    pub path: PathBuf,
    pub size: u64,
    pub sum: u16,
}

impl Pieces {
    /// No pieces yet; they will be `PREFIX-0`, `PREFIX-1`, ...
    pub fn new(prefix: PathBuf) -> Pieces {
        Pieces { prefix, files: HashMap::new(), count: 0 }
    }

    /// Stages a file. Of several with one name the first stays: parts of a package repeat what describes it.
    ///
    /// # Errors
    /// [`FetchError::Write`], and what `damaged` makes of the reader's error.
    pub fn add(
        &mut self,
        name: &[u8],
        reader: &mut (impl Read + ?Sized),
        damaged: impl Fn(io::Error) -> FetchError,
    ) -> Result<(), FetchError> {
        let name = name.strip_prefix(b"./").unwrap_or(name);
        if self.files.contains_key(name) {
            return Ok(());
        }
        let mut path = self.prefix.clone().into_os_string();
        path.push(format!("-{}", self.count));
        self.count += 1;
        let path = PathBuf::from(path);
        let mut sum = Sum::default();
        let (_, size) = write_content(&path, reader, |bytes| sum.update(bytes), damaged)?;
        self.files.insert(name.to_vec(), Piece { path, size, sum: sum.value() });
        Ok(())
    }

    /// Takes a file away, for its place in the root.
    pub fn take(&mut self, name: &[u8]) -> Option<Piece> {
        self.files.remove(name)
    }

    /// Whether a name is there that begins so.
    pub fn any_below(&self, prefix: &[u8]) -> Option<&[u8]> {
        self.files.keys().map(Vec::as_slice).filter(|name| name.starts_with(prefix)).min()
    }

    /// The names, sorted.
    pub fn names(&self) -> Vec<&[u8]> {
        let mut names: Vec<_> = self.files.keys().map(Vec::as_slice).collect();
        names.sort_unstable();
        names
    }

    /// The content of a file that describes the package; `None` when there is none.
    ///
    /// # Errors
    /// [`FetchError::Read`], also for one that is too large for what it is.
    pub fn read(&self, name: &[u8]) -> Result<Option<Vec<u8>>, FetchError> {
        let Some(piece) = self.files.get(name) else { return Ok(None) };
        let failed = |source| FetchError::Read { path: piece.path.clone(), source };
        if piece.size > SMALL {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "it has more than 64 MiB")));
        }
        std::fs::read(&piece.path).map(Some).map_err(failed)
    }
}

/// The checksum of System V's sum(1): all bytes added, carries added to the lower 16 bits.
#[derive(Default)]
struct Sum(u32);

impl Sum {
    fn update(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, byte| sum.wrapping_add(u32::from(*byte)));
    }

    fn value(&self) -> u16 {
        let once = (self.0 & 0xffff) + (self.0 >> 16);
        ((once & 0xffff) + (once >> 16)) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_sum_s() {
        let value = |bytes: &[u8]| {
            let mut sum = Sum::default();
            sum.update(bytes);
            sum.value()
        };
        // `sum -s` of coreutils, which is the System V algorithm.
        assert_eq!(value(b""), 0);
        assert_eq!(value(b"hello\n"), 542);
        assert_eq!(value(&[0xff; 1000]), 58_395);
    }
}
