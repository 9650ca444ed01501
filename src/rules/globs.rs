//! The globs of needs to the paths of the root. The imports of a thousand scripts are a hundred thousand globs that
//! differ in their last name only (`/usr/lib/python3.*/json.py`), so what the first component with a wildcard in it
//! stands for is asked once: the root stands still.

use super::facts::Facts;
use crate::path::RootPath;
use crate::root::{alternatives, below, is_pattern};
use crate::wildcard;
use foldhash::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// What globs and their beginnings came to.
#[derive(Debug, Default)]
pub(super) struct GlobCache {
    known: RwLock<HashMap<String, Arc<[RootPath]>>>,
}

impl GlobCache {
    /// [`Facts::glob`]. Where the glob has a rest without wildcards, a symlink that leads nowhere does not match.
    pub fn matching(&self, glob: &str, facts: &dyn Facts) -> Arc<[RootPath]> {
        self.remembered(glob, || {
            let mut found: Vec<RootPath> =
                alternatives(glob).iter().flat_map(|g| self.matching_one(g, facts)).collect();
            found.sort();
            found.dedup();
            found
        })
    }

    /// Of a glob without choices.
    fn matching_one(&self, glob: &str, facts: &dyn Facts) -> Vec<RootPath> {
        if let Some((directory, pattern)) = in_directory(glob) {
            let listing = format!("{directory}/*");
            let all = self.remembered(&listing, || facts.glob(&listing));
            let is_match = |path: &&RootPath| wildcard::matches(pattern.as_bytes(), path.file_name());
            return all.iter().filter(is_match).cloned().collect();
        }
        let Some((beginning, rest)) = cut(glob) else { return facts.glob(glob) };
        let directories = self.remembered(beginning, || facts.glob(beginning));
        if is_pattern(rest) {
            let texts = directories.iter().filter_map(|directory| std::str::from_utf8(directory.as_bytes()).ok());
            let globs = texts.map(|text| format!("{}/{rest}", globset::escape(text)));
            return globs.flat_map(|glob| self.matching_one(&glob, facts)).collect();
        }
        directories.iter().filter_map(|directory| below(directory, rest)).filter(|path| facts.exists(path)).collect()
    }

    fn remembered(&self, name: &str, find: impl FnOnce() -> Vec<RootPath>) -> Arc<[RootPath]> {
        // Nothing that panics can leave the map half changed.
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return known.clone();
        }
        let found: Arc<[RootPath]> = find().into();
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), found.clone());
        found
    }
}

/// A glob whose only wildcards are in its last component, and not for names with a dot first: the directory, and that
/// component.
fn in_directory(glob: &str) -> Option<(&str, &str)> {
    let (directory, pattern) = glob.rsplit_once('/')?;
    let is_plain = !is_pattern(directory) && is_pattern(pattern);
    (is_plain && pattern != "**" && !pattern.starts_with('.')).then_some((directory, pattern))
}

/// A glob up to the end of its first component with a wildcard, and the rest.
fn cut(glob: &str) -> Option<(&str, &str)> {
    let wild = glob.find(['*', '?', '['])?;
    let end = wild + glob[wild..].find('/')?;
    // `**` may stand for no directory at all.
    (!glob[..end].ends_with("**")).then_some((&glob[..end], &glob[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_cut_behind_their_first_wildcard() {
        assert_eq!(cut("/usr/lib/python3.*/a/b*.so"), Some(("/usr/lib/python3.*", "a/b*.so")));
        assert_eq!(cut("/usr/lib/a*"), None);
        assert_eq!(cut("/usr/lib/a"), None);
        assert_eq!(cut("/d/**/y"), None);
    }

    #[test]
    fn wildcards_in_the_last_component_are_looked_for_among_the_names_there() {
        assert_eq!(in_directory("/a/b.*so"), Some(("/a", "b.*so")));
        assert_eq!(in_directory("/a/*"), Some(("/a", "*")));
        assert_eq!(in_directory("/a*/b.so"), None);
        assert_eq!(in_directory("/a/b"), None);
        assert_eq!(in_directory("/a/**"), None);
        assert_eq!(in_directory("/a/.*"), None);
    }
}
