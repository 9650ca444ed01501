//! Absolute paths among the strings of an object: files that it may open, as far as nobody computes their names.
//!
//! Such a string proves nothing: it may be a message, a default that configuration overrides, or dead code. So what is
//! found here is suspected, and kept only where a rule or the user says so.

use memchr::{memchr, memmem};
use std::collections::BTreeSet;

/// The longest path that is looked for, in bytes.
const LONGEST: usize = 512;

/// Collects the paths of one object from its bytes, given in pieces.
#[derive(Debug, Default)]
pub struct PathStrings {
    found: BTreeSet<Vec<u8>>,
    /// The end of the pieces so far, where a string may have begun.
    tail: Vec<u8>,
}

impl PathStrings {
    /// Takes the next piece.
    pub fn add(&mut self, piece: &[u8]) {
        if !self.tail.is_empty() {
            // A string that crosses the border lies within these bytes.
            let mut border = std::mem::take(&mut self.tail);
            border.extend_from_slice(&piece[..piece.len().min(LONGEST + 1)]);
            self.search(&border);
        }
        self.search(piece);
        self.tail = piece[piece.len().saturating_sub(LONGEST + 1)..].to_vec();
    }

    /// The paths, sorted.
    pub fn finish(self) -> BTreeSet<Vec<u8>> {
        self.found
    }

    fn search(&mut self, bytes: &[u8]) {
        for nul in memmem::find_iter(bytes, b"\0/") {
            let text = &bytes[nul + 1..];
            let text = &text[..text.len().min(LONGEST)];
            if let Some(end) = memchr(0, text)
                && is_path(&text[..end])
            {
                self.found.insert(text[..end].to_vec());
            }
        }
    }
}

/// Whether a string can be the path of a file below a directory: no blanks, no patterns, nothing to fill in.
fn is_path(text: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._+-@:,~".contains(b);
    text.len() > 3 && text[1..].contains(&b'/') && !text.starts_with(b"//") && text.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(pieces: &[&[u8]]) -> Vec<String> {
        let mut strings = PathStrings::default();
        pieces.iter().for_each(|piece| strings.add(piece));
        strings.finish().iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect()
    }

    #[test]
    fn whole_strings_that_look_like_paths_are_found() {
        let bytes = b"\0/usr/share/x/a.js\0see /etc/motd\0/etc\0/tmp/%s\0/etc/hosts\0//x/y\0/unterminated/x";
        assert_eq!(paths(&[bytes]), ["/etc/hosts", "/usr/share/x/a.js"]);
    }

    #[test]
    fn a_path_across_a_border_is_found_once() {
        let bytes = b"junk\0/usr/share/x/a.js\0more";
        for cut in 0..bytes.len() {
            assert_eq!(paths(&[&bytes[..cut], &bytes[cut..]]), ["/usr/share/x/a.js"], "{cut}");
        }
    }
}
