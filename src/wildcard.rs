//! Shell patterns over bytes: `*`, `?`, `[...]` and `\x`, as fnmatch(3) has them without flags.
//!
//! For one component of a path [`matches`] is enough. A [`PathGlob`] is for whole paths, where `*` stays inside a
//! directory and `**` does not. Nothing is compiled: a run starts with some hundred patterns, asks a few thousand
//! names, and ends.

/// Whether a pattern matches one component of a path, or any text where `*` may run over slashes.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    matches_folded(pattern, text, |byte| byte)
}

/// Whether a path component has to be matched instead of compared.
pub fn has_wildcard(component: &[u8]) -> bool {
    component.iter().any(|b| matches!(b, b'*' | b'?' | b'['))
}

/// A pattern over paths, without braces: see [`crate::root::alternatives`].
#[derive(Debug)]
pub struct PathGlob {
    /// What the text begins and ends with, as far as no wildcard is there: nearly every answer is no by these.
    start: Box<[u8]>,
    end: Box<[u8]>,
    components: Vec<Box<[u8]>>,
}

impl PathGlob {
    pub fn new(pattern: &[u8]) -> PathGlob {
        let is_special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[' | b'\\');
        let start = pattern.iter().position(is_special).unwrap_or(pattern.len());
        // A `]` may be the end of a wildcard.
        let end = pattern.iter().rposition(|byte| is_special(byte) || *byte == b']').map_or(0, |at| at + 1);
        // What a backslash quotes stands for itself, but not where it is.
        let end = end + usize::from(pattern[..end].ends_with(b"\\"));
        let components = pattern.split(|&byte| byte == b'/').map(Box::from).collect();
        PathGlob { start: pattern[..start].into(), end: pattern.get(end..).unwrap_or_default().into(), components }
    }

    pub fn matches(&self, path: &[u8]) -> bool {
        path.starts_with(&self.start) && path.ends_with(&self.end) && {
            let path: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
            matches_components(&self.components, &path)
        }
    }
}

/// `**` is any number of components, at the end of the pattern at least one.
fn matches_components(pattern: &[Box<[u8]>], path: &[&[u8]]) -> bool {
    match pattern {
        [] => path.is_empty(),
        [first, rest @ ..] if **first == *b"**" => {
            let least = usize::from(rest.is_empty());
            (least..=path.len()).any(|skipped| matches_components(rest, &path[skipped..]))
        }
        [first, rest @ ..] => match path {
            [name, below @ ..] => matches(first, name) && matches_components(rest, below),
            [] => false,
        },
    }
}

/// [`matches`], where bytes that fold to the same one are one character. Backtracks to the last `*` only, so the work is at
/// most pattern length times text length.
pub fn matches_folded(pattern: &[u8], text: &[u8], fold: fn(u8) -> u8) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut last_star = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            last_star = Some((p, t));
            continue;
        }
        let step = match (pattern.get(p), text.get(t)) {
            (None, None) => return true,
            (Some(_), Some(&byte)) => match_one(&pattern[p..], byte, fold),
            _ => None,
        };
        match (step, last_star) {
            (Some(length), _) => (p, t) = (p + length, t + 1),
            (None, Some((after_star, start))) if start < text.len() => {
                last_star = Some((after_star, start + 1));
                (p, t) = (after_star, start + 1);
            }
            (None, _) => return false,
        }
    }
}

/// Matches one byte with the element that `pattern` begins with; gives the element's length.
fn match_one(pattern: &[u8], byte: u8, fold: fn(u8) -> u8) -> Option<usize> {
    let same = |a: u8, b: u8| fold(a) == fold(b);
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', rest @ ..] => match bracket(rest, byte, fold) {
            Some((matched, length)) => matched.then_some(1 + length),
            // Without a closing bracket the `[` stands for itself.
            None => (byte == b'[').then_some(1),
        },
        [b'\\', quoted, ..] => same(*quoted, byte).then_some(2),
        [plain, ..] => same(*plain, byte).then_some(1),
        [] => None,
    }
}

/// The bracket expression after its `[`: whether it matches, and its length with the `]`; `None` when it never ends.
fn bracket(expression: &[u8], byte: u8, fold: fn(u8) -> u8) -> Option<(bool, usize)> {
    let negated = matches!(expression.first(), Some(b'!' | b'^'));
    let mut at = usize::from(negated);
    let first = at;
    let mut matched = false;
    loop {
        let low = *expression.get(at)?;
        if low == b']' && at > first {
            return Some((matched != negated, at + 1));
        }
        match expression.get(at + 1..at + 3) {
            Some([b'-', high]) if *high != b']' => {
                matched |= (low..=*high).contains(&byte);
                at += 3;
            }
            _ => {
                matched |= low == byte || fold(low) == fold(byte);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_fnmatch_does() {
        let check = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} on {text}");
        };
        check("a[!b]c", "adc", true);
        check("a[!b]c", "abc", false);
        check("a[]b]c", "a]c", true);
        check("a[b", "a[b", true);
        check("a\\*", "a*", true);
        check("a\\*", "ab", false);
        check("*", "", true);
        check("a*b*c", "a/x/b.y.c", true);
        check("", "", true);
        check("", "a", false);
        check("a?", "a", false);
        check("x[0-9]", "x5", true);
        check("x[0-9]", "x_", false);
    }

    #[test]
    fn many_stars_do_not_explode() {
        let pattern = "a*".repeat(200) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(5000).as_bytes()));
    }

    #[test]
    fn path_globs_match_as_the_globset_crate_has_it() {
        let patterns = [
            "",
            "/",
            "a",
            "*",
            "**",
            "/**",
            "/a",
            "/a/*",
            "/a/**",
            "/a/**/*.so",
            "/**/b",
            "/**/b*",
            "/*/b",
            "/a/b?c",
            "/a/[!b]*",
            "/a/[]x]b",
            "/a/b[0-9]",
            "/a/b.*.so",
            "/a**b",
            "/a/**/b/**",
            "lib*.so.*",
            "/a/\\*",
            "/a/x\\]",
            "/a/*]",
            "/a/b\\c",
        ];
        let paths = [
            "",
            "/",
            "a",
            "/a",
            "/b",
            "/a/b",
            "/a/b/c",
            "/a/x/b",
            "/a/x/b/c",
            "/a/x/y/b.so",
            "/a/b.so",
            "/a/b.1.so",
            "/a/b.so.1",
            "/a/b1",
            "/a/bxc",
            "/a/]b",
            "/a/xb",
            "/axb",
            "/a/.x",
            "/a/*",
            "/a/x]",
            "/a/bc",
            "lib.so.1",
            "libx.so.2",
            "/lib/libx.so.2",
            "/a/\u{fc}",
            "/a/b\n",
        ];
        for pattern in patterns {
            let glob = globset::GlobBuilder::new(pattern).literal_separator(true).build().unwrap().compile_matcher();
            let own = PathGlob::new(pattern.as_bytes());
            for path in paths {
                assert_eq!(own.matches(path.as_bytes()), glob.is_match(path), "{pattern} on {path:?}");
            }
        }
    }
}
