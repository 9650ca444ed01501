//! Everything below a directory, in an order that does not depend on the file system.

use super::{FileKind, Found, LookupError, METADATA_PATH, Root};
use crate::path::RootPath;

/// Iterates over all entries below a directory, parents first, siblings by bytes; symlinks are not followed.
pub struct Walk<'r> {
    root: &'r Root,
    pending: Vec<RootPath>,
    failed: Option<LookupError>,
}

impl<'r> Walk<'r> {
    pub(super) fn new(root: &'r Root, directory: &RootPath) -> Walk<'r> {
        let mut walk = Walk { root, pending: Vec::new(), failed: None };
        walk.enter(directory);
        walk
    }

    fn enter(&mut self, directory: &RootPath) {
        let names = self.root.directory(directory).and_then(|d| {
            self.root.read_dir(&d).map(|names| (d.path.clone(), names)).map_err(|error| LookupError::Io {
                path: d.path.clone(),
                error: rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO),
            })
        });
        match names {
            Ok((path, names)) => self.pending.extend(names.iter().rev().map(|name| path.join(name))),
            Err(error) => self.failed = Some(error),
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Found, LookupError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        let path = self.pending.pop()?;
        if is_our_own(&path) {
            return self.next();
        }
        let found = self.root.lookup_nofollow(&path);
        if let Ok(found) = &found
            && found.info.kind == FileKind::Directory
        {
            self.enter(&found.path.clone());
        }
        Some(found)
    }
}

/// The directory of the metadata file that `minroot fetch` writes: no part of the system.
fn is_our_own(path: &RootPath) -> bool {
    METADATA_PATH.as_bytes().strip_prefix(path.as_bytes()) == Some(b"/metadata")
}
