//! A manifest that has been read, as a whole or no further than a question asks.

use super::needs::Needed;
use super::{Entry, Manifest};
use std::convert::Infallible;

/// Where the answer to a question about a few entries is read from.
pub trait Source: Sync {
    /// All of an entry, or enough to say who needs whom.
    type Sketch: Needed;
    /// Why an entry cannot be read.
    type Error;

    /// Everything besides the entries.
    fn lists(&self) -> &Manifest;

    /// One for each entry, sorted by path.
    fn sketches(&self) -> &[Self::Sketch];

    /// The entry at this position of [`sketches`](Source::sketches).
    ///
    /// # Errors
    /// It was not read before, and cannot be.
    fn entry_at(&self, position: usize) -> Result<&Entry, Self::Error>;

    /// The position of the entry at a path.
    fn position(&self, path: &[u8]) -> Option<usize> {
        self.sketches().binary_search_by(|sketch| sketch.path().cmp(path)).ok()
    }
}

impl Source for Manifest {
    type Sketch = Entry;
    type Error = Infallible;

    fn lists(&self) -> &Manifest {
        self
    }

    fn sketches(&self) -> &[Entry] {
        &self.entries
    }

    fn entry_at(&self, position: usize) -> Result<&Entry, Infallible> {
        Ok(&self.entries[position])
    }
}
