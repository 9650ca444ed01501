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
        let mut matches: Vec<RootPath> =
            alternatives(pattern).iter().flat_map(|pattern| self.glob_one(pattern)).collect();
        matches.sort();
        matches.dedup();
        matches
    }

    fn glob_one(&self, pattern: &str) -> Vec<RootPath> {
        let mut matches = vec![RootPath::root()];
        for component in pattern.split('/').filter(|c| !c.is_empty() && *c != ".") {
            matches = match component {
                ".." => matches.iter().map(|path| path.parent().unwrap_or_else(RootPath::root)).collect(),
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
        let inside = self.walk(directory).into_iter().filter_map(Result::ok);
        let directories = inside.filter(|found| found.info.kind == FileKind::Directory).map(|found| found.path);
        std::iter::once(directory.clone()).chain(directories).collect()
    }
}

/// Whether a name means more than itself.
pub fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '[', '{'])
}

/// The patterns that `{a,b}` stands for, which may have slashes in them.
pub fn alternatives(pattern: &str) -> Vec<String> {
    let Some(open) = pattern.find('{') else { return vec![pattern.to_owned()] };
    let mut depth = 0;
    let mut cuts = vec![open];
    for (at, character) in pattern.char_indices().skip_while(|(at, _)| *at < open) {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => cuts.push(at),
            _ => {}
        }
        if depth == 0 {
            cuts.push(at);
            let tail = &pattern[at + 1..];
            let choices = cuts.windows(2).map(|cut| &pattern[cut[0] + 1..cut[1]]);
            return choices.flat_map(|choice| alternatives(&format!("{}{choice}{tail}", &pattern[..open]))).collect();
        }
    }
    // A brace without its partner is an ordinary character to nobody: no file can match.
    Vec::new()
}

fn matcher(pattern: &str) -> Option<GlobMatcher> {
    GlobBuilder::new(pattern).literal_separator(true).build().ok().map(|glob| glob.compile_matcher())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_may_hold_slashes_and_braces() {
        assert_eq!(alternatives("/{usr/,}lib{,64}/x"), ["/usr/lib/x", "/usr/lib64/x", "/lib/x", "/lib64/x"]);
        assert_eq!(alternatives("/a{b,c{d,e}}"), ["/ab", "/acd", "/ace"]);
        assert!(alternatives("/a{b").is_empty());
    }

    #[test]
    fn patterns_match_by_component_and_by_depth() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a/x.so", "a/b/y.so", "a/.hidden.so"] {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let root = Root::open(directory.path()).unwrap();
        let glob = |pattern: &str| root.glob(pattern).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(glob("/a/*.so"), ["/a/x.so"]);
        assert_eq!(glob("/a/**/*.so"), ["/a/b/y.so", "/a/x.so"]);
        assert_eq!(glob("/*/{x,z}.so"), ["/a/x.so"]);
        assert!(glob("/nothing/*").is_empty());
    }
}
