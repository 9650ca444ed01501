//! The globs of needs to the paths of the root. The imports of a thousand scripts are a hundred thousand globs that
//! differ in their last name only (`/usr/lib/python3.*/json.py`), so what the first component with a wildcard in it
//! stands for is asked once: the root stands still.

use super::facts::Facts;
use crate::path::RootPath;
use crate::root::{alternatives, is_pattern};
use foldhash::HashMap;
use std::cell::RefCell;

/// What the beginnings of globs came to.
#[derive(Debug, Default)]
pub(super) struct GlobCache {
    beginnings: RefCell<HashMap<String, Vec<RootPath>>>,
}

impl GlobCache {
    /// [`Facts::glob`]. Where the glob has a rest without wildcards, a symlink that leads nowhere does not match.
    pub fn matching(&self, glob: &str, facts: &dyn Facts) -> Vec<RootPath> {
        let mut found: Vec<RootPath> =
            alternatives(glob).iter().flat_map(|glob| self.matching_one(glob, facts)).collect();
        found.sort();
        found.dedup();
        found
    }

    /// Of a glob without choices.
    fn matching_one(&self, glob: &str, facts: &dyn Facts) -> Vec<RootPath> {
        let Some((beginning, rest)) = cut(glob) else { return facts.glob(glob) };
        let mut beginnings = self.beginnings.borrow_mut();
        if !beginnings.contains_key(beginning) {
            beginnings.insert(beginning.to_owned(), facts.glob(beginning));
        }
        let directories = beginnings[beginning].iter();
        if is_pattern(rest) {
            let texts = directories.filter_map(|directory| std::str::from_utf8(directory.as_bytes()).ok());
            return texts.flat_map(|text| facts.glob(&format!("{}/{rest}", globset::escape(text)))).collect();
        }
        let below = |directory: &RootPath| RootPath::new([directory.as_bytes(), b"/", rest.as_bytes()].concat()).ok();
        directories.filter_map(below).filter(|path| facts.exists(path)).collect()
    }
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
}
