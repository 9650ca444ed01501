//! Everything below a directory, in an order that does not depend on the file system or on the threads.
//!
//! The work is one `stat` for each entry, so the directories of one depth are read at once, on all threads.

use super::{FileKind, Found, LookupError, METADATA_PATH, Root};
use crate::path::RootPath;
use rayon::prelude::*;

/// Below this many entries of a directory another thread is not worth its start.
const ENTRIES_AT_ONCE: usize = 64;

type Listing = Vec<Result<Found, LookupError>>;

/// All entries below a directory in byte order of their paths, symlinks not followed; what cannot be read comes last.
pub(super) fn below(root: &Root, directory: &RootPath) -> Listing {
    let mut all = Vec::new();
    let mut depth = vec![directory.clone()];
    while !depth.is_empty() {
        let listings: Vec<Listing> = depth.par_iter().map(|directory| list(root, directory)).collect();
        let start = all.len();
        all.extend(listings.into_iter().flatten());
        let found = all[start..].iter().flatten();
        depth = found.filter(|found| found.info.kind == FileKind::Directory).map(|found| found.path.clone()).collect();
    }
    all.par_sort_by(|a, b| match (a, b) {
        (Ok(a), Ok(b)) => a.path.cmp(&b.path),
        (a, b) => a.is_err().cmp(&b.is_err()),
    });
    all
}

fn list(root: &Root, directory: &RootPath) -> Listing {
    let names = root.directory(directory).and_then(|directory| {
        let names = root.read_dir(&directory).map_err(|error| LookupError::Io {
            path: directory.path.clone(),
            error: rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO),
        })?;
        Ok((directory.path.clone(), names))
    });
    match names {
        Ok((directory, names)) => {
            let paths = names.par_iter().with_min_len(ENTRIES_AT_ONCE).map(|name| directory.join(name));
            paths.filter(|path| !is_our_own(path)).map(|path| root.lookup_nofollow(&path)).collect()
        }
        Err(error) => vec![Err(error)],
    }
}

/// The directory of the metadata file that `minroot fetch` writes: no part of the system.
fn is_our_own(path: &RootPath) -> bool {
    METADATA_PATH.as_bytes().strip_prefix(path.as_bytes()) == Some(b"/metadata")
}
