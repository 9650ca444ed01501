//! Patterns over the paths of a root: `*`, `?`, `[…]` and `{a,b}` within a component, `**` for any depth.

use super::{FileKind, Root};
use crate::path::RootPath;
use crate::wildcard;
use std::collections::BTreeSet;

/// The longest pattern that is looked at, in bytes: `PATH_MAX` of the kernel.
const LONGEST_PATTERN: usize = 4096;

/// How many patterns one may stand for: each pair of braces doubles them.
const MOST_ALTERNATIVES: usize = 1000;

/// How many paths may match a beginning of a pattern, and how many all of it. Directories are fewer, and so are files;
/// links to directories above multiply them with each component.
const MOST_BEGINNINGS: usize = 1 << 17;
const MOST_MATCHES: usize = 1 << 20;

impl Root {
    /// Every existing path that matches an absolute pattern, sorted. A path with symlinks in it is spelled as the
    /// pattern spells it. Symlinks that lead nowhere match too; a pattern that lacks a brace, or matches without end,
    /// matches nothing.
    pub fn glob(&self, pattern: &str) -> Vec<RootPath> {
        let mut matches: Vec<RootPath> =
            alternatives(pattern).iter().flat_map(|pattern| self.glob_one(pattern)).collect();
        matches.sort();
        matches.dedup();
        matches
    }

    fn glob_one(&self, pattern: &str) -> Vec<RootPath> {
        // What is left of a rule's pattern, its braces and bindings filled in, is a path more often than not.
        if !is_pattern(pattern)
            && let Ok(path) = RootPath::new(pattern)
        {
            return if self.lookup_nofollow(&path).is_ok() { vec![path] } else { Vec::new() };
        }
        let mut matches = vec![RootPath::root()];
        let mut components: Vec<&str> = pattern.split('/').filter(|c| !c.is_empty() && *c != ".").collect();
        components.dedup_by(|next, before| *next == "**" && *before == "**");
        let mut components = &components[..];
        while let Some((&component, rest)) = components.split_first() {
            components = rest;
            let most = if rest.is_empty() { MOST_MATCHES } else { MOST_BEGINNINGS };
            let before = matches.iter();
            matches = match component {
                ".." => before.map(|path| path.parent().unwrap_or_else(RootPath::root)).collect(),
                "**" => {
                    // What is below one of them may be below another as well.
                    let all: BTreeSet<RootPath> = before.flat_map(|path| self.with_directories_below(path)).collect();
                    all.into_iter().collect()
                }
                name if !is_pattern(name) => {
                    // The names up to the next wildcard are one path.
                    let n_names = rest.iter().take_while(|next| !is_pattern(next) && **next != "..").count();
                    let names = [&[name], &rest[..n_names]].concat().join("/");
                    components = &rest[n_names..];
                    before
                        .filter_map(|directory| below(directory, &names))
                        .filter(|path| self.lookup_nofollow(path).is_ok())
                        .collect()
                }
                wild => before.flat_map(|directory| self.matching(directory, wild)).take(most + 1).collect(),
            };
            if matches.len() > most {
                return Vec::new();
            }
        }
        matches
    }

    fn matching(&self, directory: &RootPath, pattern: &str) -> Vec<RootPath> {
        let names = self.directory(directory).ok().and_then(|found| self.read_dir(&found).ok()).unwrap_or_default();
        let hidden = pattern.starts_with('.');
        names
            .iter()
            .filter(|name| (hidden || !name.starts_with(b".")) && wildcard::matches(pattern.as_bytes(), name))
            .map(|name| directory.join(name))
            .collect()
    }

    /// The directory and all directories below it.
    fn with_directories_below(&self, directory: &RootPath) -> Vec<RootPath> {
        let inside = self.walk(directory).into_iter().filter_map(Result::ok);
        let directories = inside.filter(|found| found.info.kind == FileKind::Directory).map(|found| found.path);
        std::iter::once(directory.clone()).chain(directories).collect()
    }
}

/// A path of plain names below a directory; `None` with a NUL in it.
pub fn below(directory: &RootPath, names: &str) -> Option<RootPath> {
    RootPath::new([directory.as_bytes(), b"/", names.as_bytes()].concat()).ok()
}

/// Whether a name means more than itself.
pub fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '[', '{'])
}

/// The patterns that `{a,b}` stands for, which may have slashes in them. None where a brace lacks its partner, for no file
/// can match that, and where there are more than anybody would write.
pub fn alternatives(pattern: &str) -> Vec<String> {
    if pattern.len() > LONGEST_PATTERN {
        return Vec::new();
    }
    if !pattern.contains('{') {
        return vec![pattern.to_owned()];
    }
    let mut found = Vec::new();
    // The next one is the last.
    let mut waiting = vec![pattern.to_owned()];
    while let Some(pattern) = waiting.pop() {
        match first_choice(&pattern) {
            None => found.push(pattern),
            Some(cuts) => {
                let [open, .., close] = cuts[..] else { return Vec::new() };
                let (head, tail) = (&pattern[..open], &pattern[close + 1..]);
                let choices = cuts.windows(2).rev().map(|cut| &pattern[cut[0] + 1..cut[1]]);
                waiting.extend(choices.map(|choice| format!("{head}{choice}{tail}")));
            }
        }
        if found.len() + waiting.len() > MOST_ALTERNATIVES {
            return Vec::new();
        }
    }
    found
}

/// Where the first brace of a pattern opens, its commas are and it closes; nothing of that for one that does not close, and
/// `None` without any. What is in brackets or behind a backslash stands for itself.
fn first_choice(pattern: &str) -> Option<Vec<usize>> {
    let bytes = pattern.as_bytes();
    let (mut at, mut depth, mut cuts) = (0, 0, Vec::new());
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'[' => at += bracket_length(&bytes[at + 1..]),
            b'{' => {
                depth += 1;
                if depth == 1 {
                    cuts.push(at);
                }
            }
            b'}' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    cuts.push(at);
                    return Some(cuts);
                }
            }
            b',' if depth == 1 => cuts.push(at),
            _ => {}
        }
        at += 1;
    }
    (depth > 0).then(Vec::new)
}

/// How far it is from behind a `[` to the end of its `]`; 0 when there is none. One that comes first is a member.
fn bracket_length(rest: &[u8]) -> usize {
    let negation = usize::from(matches!(rest.first(), Some(b'!' | b'^')));
    let members = rest.get(negation + 1..).unwrap_or_default();
    memchr::memchr(b']', members).map_or(0, |end| negation + 1 + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_may_hold_slashes_and_braces() {
        assert_eq!(alternatives("/{usr/,}lib{,64}/x"), ["/usr/lib/x", "/usr/lib64/x", "/lib/x", "/lib64/x"]);
        assert_eq!(alternatives("/a{b,c{d,e}}"), ["/ab", "/acd", "/ace"]);
        assert!(alternatives("/a{b").is_empty());
        assert_eq!(alternatives("/[{]{a,b}[},][]{]/["), ["/[{]a[},][]{]/[", "/[{]b[},][]{]/["]);
    }

    #[test]
    fn patterns_without_end_are_given_up() {
        assert!(alternatives(&"{a,b}".repeat(40)).is_empty());
        assert!(alternatives(&"{".repeat(100_000)).is_empty());
        let deep = ["{".repeat(1000), "a".to_owned(), "}".repeat(1000)].concat();
        assert_eq!(alternatives(&deep), ["a"]);
        let directory = tempfile::tempdir().unwrap();
        for link in 0..400 {
            std::os::unix::fs::symlink(".", directory.path().join(format!("{link:03}"))).unwrap();
        }
        let root = Root::open(directory.path()).unwrap();
        assert_eq!(root.glob("/*/?00").len(), 1600);
        assert!(root.glob(&"/*".repeat(30)).is_empty());
        assert_eq!(root.glob(&"/**".repeat(1000)), [RootPath::root()]);
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
        assert_eq!(glob("/*/b/y.so"), ["/a/b/y.so"]);
        assert_eq!(glob("/a/b/../x.[st]o"), ["/a/x.so"]);
        assert_eq!(glob("/a/./b/y.so"), ["/a/b/y.so"]);
        assert!(glob("/nothing/*").is_empty());
        assert!(glob("/a/x.so/*").is_empty() && glob("/a/x.so/y").is_empty());
    }
}
