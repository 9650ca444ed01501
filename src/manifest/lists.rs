//! A manifest as a bare list of paths: to read, or to feed to an archiver.
//!
//! The list to feed is *relative*, because that is what the tools want that run inside a directory:
//!
//! ```text
//! (cd DIR && cpio -0 -o -H newc --reproducible) < LIST
//! tar -C DIR --no-recursion --null -T LIST -cf OUT.tar
//! rsync -a -0 --files-from=LIST DIR/ HOST:/DIR/
//! ```
//!
//! An absolute path would name a file of the host to all three. `tar` needs `--no-recursion`, or a directory in the
//! list brings in everything below it. DIR is what `minroot pack --format dir` writes; the source root itself will
//! do when the manifest has no `generated` and no unpacked entries, and otherwise the tool reports those as absent.

use crate::path::RootPath;
use std::io::{self, Write};

/// One absolute path per line, escaped as the display of a [`RootPath`] is.
///
/// # Errors
/// Only those of `out`.
pub fn paths<'p>(paths: impl IntoIterator<Item = &'p RootPath>, out: &mut dyn Write) -> io::Result<()> {
    for path in paths {
        writeln!(out, "{path}")?;
    }
    out.flush()
}

/// Relative paths as raw bytes, each ended by a NUL byte; the root itself is `.`.
///
/// # Errors
/// Only those of `out`.
pub fn paths0<'p>(paths: impl IntoIterator<Item = &'p RootPath>, out: &mut dyn Write) -> io::Result<()> {
    for path in paths {
        let (prefix, path) = relative(path);
        out.write_all(prefix)?;
        out.write_all(path)?;
        out.write_all(b"\0")?;
    }
    out.flush()
}

/// The relative path in two parts. `./` goes before a name that a tool would take for something else: `-` begins an
/// option for tar, `#` and `;` a comment for rsync, also between NUL bytes.
fn relative(path: &RootPath) -> (&'static [u8], &[u8]) {
    match path.relative() {
        b"" => (b"", b"."),
        name @ [b'-' | b'#' | b';', ..] => (b"./", name),
        name => (b"", name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::needs::tests::manifest_of;

    #[test]
    fn lists_keep_odd_names_apart() {
        let manifest = manifest_of(&[("/", &[]), ("/#x", &[]), ("/-rf", &[]), ("/a b\nc", &[])]);
        let (mut lines, mut raw) = (Vec::new(), Vec::new());
        paths(manifest.entries.iter().map(|e| &e.path), &mut lines).unwrap();
        paths0(manifest.entries.iter().map(|e| &e.path), &mut raw).unwrap();
        assert_eq!(lines, b"/\n/#x\n/-rf\n/a b\\x0ac\n");
        assert_eq!(raw, b".\0./#x\0./-rf\0a b\nc\0");
    }
}
