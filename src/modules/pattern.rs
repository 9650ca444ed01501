//! Matching of module aliases and firmware names: fnmatch(3) without flags, as kmod uses it.
//!
//! The patterns are `*`, `?`, `[...]` and `\x`; `*` runs over slashes and leading dots too. What surprises is that `-`
//! and `_` are one character to modprobe, on both sides, except inside brackets (kmod shared/util.c,
//! `alias_normalize`).

/// Whether the alias pattern of a module matches a modalias such as `pci:v00008086d0000100Esv…`.
pub fn alias_matches(pattern: &str, modalias: &str) -> bool {
    matches(pattern.as_bytes(), modalias.as_bytes(), dash_is_underscore)
}

/// Whether a shell pattern matches one component of a path.
pub(super) fn component_matches(pattern: &[u8], name: &[u8]) -> bool {
    matches(pattern, name, |byte| byte)
}

/// Whether a path component has to be matched instead of compared.
pub(super) fn has_wildcard(component: &[u8]) -> bool {
    component.iter().any(|b| matches!(b, b'*' | b'?' | b'['))
}

fn dash_is_underscore(byte: u8) -> u8 {
    if byte == b'-' { b'_' } else { byte }
}

/// Backtracks to the last `*` only, so the work is at most pattern length times text length.
fn matches(pattern: &[u8], text: &[u8], fold: fn(u8) -> u8) -> bool {
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
            assert_eq!(alias_matches(pattern, text), expected, "{pattern} on {text}");
        };
        check("pci:v00001AF4d*sv*sd*bc*sc*i*", "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00", true);
        check("pci:v00001AF4d*sv*sd*bc*sc*i*", "pci:v00008086d00001000sv00001AF4sd00000001bc02sc00i00", false);
        check("virtio:d00000001v*", "virtio:d00000001v00001AF4", true);
        check("acpi*:LNRO0005:*", "acpi:LNRO0005:", true);
        check("usb:v0525pA4A[0-3]d*", "usb:v0525pA4A2d01", true);
        check("usb:v0525pA4A[0-3]d*", "usb:v0525pA4A4d01", false);
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
    }

    #[test]
    fn dash_and_underscore_are_one_character_outside_brackets() {
        assert!(alias_matches("crypto-crc32c", "crypto_crc32c"));
        assert!(alias_matches("platform:a_b-*", "platform:a-b_c"));
        assert!(alias_matches("x[0-9]", "x5"));
        assert!(!alias_matches("x[0-9]", "x_"));
    }

    #[test]
    fn many_stars_do_not_explode() {
        let pattern = "a*".repeat(200) + "b";
        assert!(!alias_matches(&pattern, &"a".repeat(5000)));
    }
}
