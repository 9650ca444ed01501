//! Patterns over the paths of a root: `*`, `?`, `[…]` and `{a,b}` within a component, `**` for any depth.

use super::{FileKind, Root};
use crate::path::RootPath;
use globset::{GlobBuilder, GlobMatcher};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

impl Root {
    /// Every existing path that matches an absolute pattern, sorted. A path with symlinks in it is spelled as the
    /// pattern spells it. Symlinks that lead nowhere match too; a pattern that is no glob matches nothing.
    pub fn glob(&self, pattern: &str) -> Vec<RootPath> {
        let mut matches = vec![RootPath::root()];
        for component in pattern.split('/').filter(|c| !c.is_empty() && *c != ".") {
            matches = match component {
                "**" => matches.iter().flat_map(|directory| self.below(directory)).collect(),
                name if !is_pattern(name) => matches
                    .iter()
                    .map(|directory| directory.join(name.as_bytes()))
                    .filter(|path| self.lookup_nofollow(path).is_ok())
                    .collect(),
                wild => {
                    let Some(matcher) = matcher(wild) else { return Vec::new() };
                    matches.iter().flat_map(|directory| self.matching(directory, &matcher)).collect()
                }
            };
        }
        matches.sort();
        matches.dedup();
        matches
    }

    fn matching(&self, directory: &RootPath, matcher: &GlobMatcher) -> Vec<RootPath> {
        let names = self.directory(directory).ok().and_then(|found| self.read_dir(&found).ok()).unwrap_or_default();
        let hidden = matcher.glob().glob().starts_with('.');
        names
            .iter()
            .filter(|name| (hidden || !name.starts_with(b".")) && matcher.is_match(OsStr::from_bytes(name)))
            .map(|name| directory.join(name))
            .collect()
    }

    /// The directory and all directories below it.
    fn below(&self, directory: &RootPath) -> Vec<RootPath> {
        let inside = self.walk(directory).filter_map(Result::ok);
        let directories = inside.filter(|found| found.info.kind == FileKind::Directory).map(|found| found.path);
        std::iter::once(directory.clone()).chain(directories).collect()
    }
}

/// Whether a name means more than itself.
pub fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '[', '{'])
}

fn matcher(pattern: &str) -> Option<GlobMatcher> {
    GlobBuilder::new(pattern).literal_separator(true).build().ok().map(|glob| glob.compile_matcher())
}
