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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn paths(directory: &Path) -> Vec<String> {
        let root = Root::open(directory).unwrap();
        root.walk(&RootPath::root()).into_iter().map(|entry| entry.unwrap().path.to_string()).collect()
    }

    #[test]
    fn entries_come_in_the_order_of_the_bytes_of_their_paths() {
        let scratch = tempfile::tempdir().unwrap();
        let path = |name: &str| scratch.path().join(name);
        std::fs::create_dir_all(path("a/b/c")).unwrap();
        std::fs::create_dir_all(path("a-b")).unwrap();
        std::fs::write(path("a/z"), "").unwrap();
        std::fs::write(path("a-b/y"), "").unwrap();
        std::os::unix::fs::symlink("/a", path("b")).unwrap();
        assert_eq!(paths(scratch.path()), ["/a", "/a-b", "/a-b/y", "/a/b", "/a/b/c", "/a/z", "/b"]);
    }

    #[test]
    fn a_directory_of_many_names_is_whole_and_in_order() {
        let scratch = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..5 * ENTRIES_AT_ONCE).map(|number| format!("/{number:04}")).collect();
        for name in &names {
            std::fs::write(scratch.path().join(&name[1..]), "").unwrap();
        }
        assert_eq!(paths(scratch.path()), names);
    }
}
