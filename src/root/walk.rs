//! Everything below a directory, in an order that does not depend on the file system.
//!
//! Level by level, each on all threads: what costs time is one `lstat` for every name.

use super::{Directory, FileKind, Found, LookupError, METADATA_PATH, Root};
use crate::path::RootPath;
use rayon::prelude::*;

/// How many names of one directory a thread takes at a time.
const NAMES: usize = 32;

type Entry = Result<Found, LookupError>;

/// All entries below `top`, parents first, siblings by bytes; symlinks are not followed. A directory that cannot be read
/// is there itself, and behind it the error.
pub(super) fn entries_below(root: &Root, top: &RootPath) -> Vec<Entry> {
    let top = match root.directory(top) {
        Ok(top) => top.path.clone(),
        Err(error) => return vec![Err(error)],
    };
    let mut entries: Vec<(RootPath, Entry)> = Vec::new();
    let mut level = vec![top];
    while !level.is_empty() {
        let below: Vec<(RootPath, Entry)> = level.into_par_iter().flat_map(|path| entries_in(root, path)).collect();
        level = below.iter().filter_map(|(_, entry)| directory(entry)).collect();
        entries.extend(below);
    }
    // Stable: a directory came before the error of its reading, which has the same path.
    entries.par_sort_by(|(a, _), (b, _)| a.components().cmp(b.components()));
    entries.into_iter().map(|(_, entry)| entry).collect()
}

fn directory(entry: &Entry) -> Option<RootPath> {
    entry.as_ref().ok().filter(|found| found.info.kind == FileKind::Directory).map(|found| found.path.clone())
}

/// The entries of one directory, whose path has no symlink in it.
fn entries_in(root: &Root, path: RootPath) -> Vec<(RootPath, Entry)> {
    let directory = Directory { path, links: Vec::new(), through: Vec::new() };
    let names = match root.read_dir(&directory) {
        Ok(names) => names,
        Err(error) => {
            let error = rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO);
            let path = directory.path;
            return vec![(path.clone(), Err(LookupError::Io { path, error }))];
        }
    };
    let paths = names.par_iter().with_min_len(NAMES).map(|name| directory.path.join(name));
    let entry = |path: RootPath| (path.clone(), root.lstat(path));
    paths.filter(|path| !is_our_own(path)).map(entry).collect()
}

impl Root {
    /// What is at a path whose directories have no symlinks.
    fn lstat(&self, path: RootPath) -> Entry {
        let info = self.info(&path)?;
        Ok(Found { path, links: Vec::new(), through: Vec::new(), info })
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
        root.walk(&RootPath::root()).map(|entry| entry.unwrap().path.to_string()).collect()
    }

    #[test]
    fn parents_come_first_and_what_is_below_them_before_their_next_sibling() {
        let scratch = tempfile::tempdir().unwrap();
        let path = |name: &str| scratch.path().join(name);
        std::fs::create_dir_all(path("a/b/c")).unwrap();
        std::fs::create_dir_all(path("a-b")).unwrap();
        std::fs::write(path("a/z"), "").unwrap();
        std::fs::write(path("a-b/y"), "").unwrap();
        std::os::unix::fs::symlink("/a", path("b")).unwrap();
        assert_eq!(paths(scratch.path()), ["/a", "/a/b", "/a/b/c", "/a/z", "/a-b", "/a-b/y", "/b"]);
    }

    #[test]
    fn a_directory_of_many_names_is_whole_and_in_order() {
        let scratch = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..10 * NAMES).map(|number| format!("/{number:04}")).collect();
        for name in &names {
            std::fs::write(scratch.path().join(&name[1..]), "").unwrap();
        }
        assert_eq!(paths(scratch.path()), names);
    }
}
