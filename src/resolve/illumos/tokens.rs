//! Dynamic string tokens of ld.so.1(1): `$ORIGIN`, `$ISALIST`, `$PLATFORM`, `$OSNAME`, `$OSREL`, `$MACHINE`.
//!
//! Unlike glibc's they are known by their first letters, so that `$PLATFORMS` is `i86pcS`, and have no braces.
//! `$ISALIST` stands for several names at once, so that one directory becomes a list. `$CAPABILITY` and its older
//! spelling `$HWCAP` stand for every object in a directory and are left to the caller.

/// What isalist(5) lists on a 64-bit machine, best first.
const ISALIST: [&[u8]; 8] =
    [b"amd64", b"pentium_pro+mmx", b"pentium_pro", b"pentium+mmx", b"pentium", b"i486", b"i386", b"i86"];

/// The values of uname(2) and sysinfo(2) on a PC; `$OSREL` has been the same since 2005.
const CONSTANTS: [(&[u8], &[u8]); 4] =
    [(b"PLATFORM", b"i86pc"), (b"OSNAME", b"SunOS"), (b"OSREL", b"5.11"), (b"MACHINE", b"i86pc")];

/// The paths that one path with tokens stands for, in the order they are tried. `origin` is the directory of the object
/// whose path it is.
pub fn expand(path: &[u8], origin: &[u8]) -> Vec<Vec<u8>> {
    let mut expanded = vec![Vec::with_capacity(path.len())];
    let mut rest = path;
    let mut has_isalist = false;
    while let Some(dollar) = memchr::memchr(b'$', rest) {
        let (before, token) = (&rest[..dollar], &rest[dollar + 1..]);
        expanded.iter_mut().for_each(|path| path.extend_from_slice(before));
        let constant = CONSTANTS.iter().find(|(name, _)| token.starts_with(name));
        if let Some((name, value)) = constant {
            expanded.iter_mut().for_each(|path| path.extend_from_slice(value));
            rest = &token[name.len()..];
        } else if token.starts_with(b"ORIGIN") {
            expanded.iter_mut().for_each(|path| path.extend_from_slice(origin));
            rest = &token[b"ORIGIN".len()..];
        } else if token.starts_with(b"ISALIST") && !has_isalist {
            has_isalist = true;
            expanded = ISALIST.iter().map(|isa| [&expanded[0][..], isa].concat()).collect();
            rest = &token[b"ISALIST".len()..];
        } else {
            expanded.iter_mut().for_each(|path| path.push(b'$'));
            rest = token;
        }
    }
    expanded.iter_mut().for_each(|path| path.extend_from_slice(rest));
    expanded
}

/// The directory whose objects all are meant, when a path ends in `$CAPABILITY` or `$HWCAP`.
pub fn capability_directory(path: &[u8]) -> Option<&[u8]> {
    path.strip_suffix(b"/$CAPABILITY").or_else(|| path.strip_suffix(b"/$HWCAP"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: &[&str]) {
        let expanded = expand(path.as_bytes(), b"/opt/app/bin");
        let expanded: Vec<_> = expanded.iter().map(|path| String::from_utf8_lossy(path)).collect();
        assert_eq!(expanded, expected, "{path}");
    }

    #[test]
    fn every_token_has_its_value() {
        check("/usr/lib", &["/usr/lib"]);
        check("$ORIGIN/../lib", &["/opt/app/bin/../lib"]);
        check("/platform/$PLATFORM/lib", &["/platform/i86pc/lib"]);
        check("/opt/$OSNAME-$OSREL/$MACHINE", &["/opt/SunOS-5.11/i86pc"]);
    }

    #[test]
    fn isalist_stands_for_a_list_once() {
        let expanded = expand(b"/usr/lib/$ISALIST/x", b"/");
        assert_eq!(expanded.len(), 8);
        assert_eq!((&expanded[0][..], &expanded[7][..]), (&b"/usr/lib/amd64/x"[..], &b"/usr/lib/i86/x"[..]));
        assert_eq!(expand(b"/$ISALIST/$ISALIST", b"/")[1], b"/pentium_pro+mmx/$ISALIST");
    }

    #[test]
    fn an_unknown_token_stays_and_a_longer_word_is_a_token_with_a_tail() {
        check("/a/$HOME/${ORIGIN}", &["/a/$HOME/${ORIGIN}"]);
        check("$ORIGINAL", &["/opt/app/binAL"]);
        assert_eq!(capability_directory(b"/usr/lib/libc/$HWCAP"), Some(&b"/usr/lib/libc"[..]));
    }
}
