//! The globs of needs to the paths of the root. The imports of a thousand scripts are a hundred thousand globs that
//! differ in their last name only (`/usr/lib/python3.*/json.py`), so what the first component with a wildcard in it
//! stands for is asked once: the root stands still.

use super::facts::Facts;
use crate::path::RootPath;
use crate::root::{alternatives, is_pattern};
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
        if let Some((directory, start, end)) = one_star(glob) {
            let listing = format!("{directory}/*");
            let all = self.remembered(&listing, || facts.glob(&listing));
            return all.iter().filter(|path| is_between(path.file_name(), start, end)).cloned().collect();
        }
        let Some((beginning, rest)) = cut(glob) else { return facts.glob(glob) };
        let directories = self.remembered(beginning, || facts.glob(beginning));
        if is_pattern(rest) {
            let texts = directories.iter().filter_map(|directory| std::str::from_utf8(directory.as_bytes()).ok());
            let globs = texts.map(|text| format!("{}/{rest}", globset::escape(text)));
            return globs.flat_map(|glob| self.matching_one(&glob, facts)).collect();
        }
        let below = |directory: &RootPath| RootPath::new([directory.as_bytes(), b"/", rest.as_bytes()].concat()).ok();
        directories.iter().filter_map(below).filter(|path| facts.exists(path)).collect()
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

/// A glob with one `*`, after the first character of its last component: the directory, and what the names in it begin
/// and end with.
fn one_star(glob: &str) -> Option<(&str, &str, &str)> {
    let (start, end) = glob.split_once('*')?;
    let (directory, start) = start.rsplit_once('/')?;
    let is_plain = !is_pattern(directory) && !is_pattern(start) && !is_pattern(end) && !end.contains('/');
    (is_plain && !start.is_empty() && !start.starts_with('.')).then_some((directory, start, end))
}

fn is_between(name: &[u8], start: &str, end: &str) -> bool {
    name.len() >= start.len() + end.len() && name.starts_with(start.as_bytes()) && name.ends_with(end.as_bytes())
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
    fn names_with_one_star_need_no_pattern() {
        assert_eq!(one_star("/a/b.*so"), Some(("/a", "b.", "so")));
        assert_eq!(one_star("/a/*so"), None);
        assert_eq!(one_star("/a*/b.so"), None);
        assert_eq!(one_star("/a/**b"), None);
        assert!(is_between(b"ab", "a", "b") && !is_between(b"a", "a", "a"));
    }
}
