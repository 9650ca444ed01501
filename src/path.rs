//! Paths as the target system sees them, which are bytes and never leave the root.
//!
//! A host path is a [`std::path::Path`]; a [`RootPath`] is a different type, so that the two cannot be
//! mixed up: `/etc/passwd` of the image is never opened as `/etc/passwd` of the machine minroot runs on.

use crate::text::written;
use std::fmt;
use std::sync::Arc;

/// An absolute path inside the source root: bytes, no empty or `.` component, no `..`, no trailing slash.
///
/// The order is byte order, in which a directory comes before everything in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootPath(Arc<[u8]>);

/// Why some bytes are not a [`RootPath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It has no slash at its beginning.
    #[error("the path is not absolute")]
    NotAbsolute,
    /// Where `..` leads depends on symlinks, which a path alone does not know.
    #[error("the path has a `..` component")]
    DotDot,
    /// System calls end a path at its first NUL byte.
    #[error("the path has a NUL byte")]
    Nul,
}

impl RootPath {
    /// Reads an absolute path; repeated slashes, `.` components and a trailing slash are dropped.
    ///
    /// # Errors
    /// A relative path, a `..` component (only a walk that knows the symlinks can resolve it) or a NUL byte.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<RootPath, PathError> {
        let bytes = bytes.as_ref();
        if bytes.first() != Some(&b'/') {
            return Err(PathError::NotAbsolute);
        }
        if memchr::memchr(0, bytes).is_some() {
            return Err(PathError::Nul);
        }
        if is_clean(bytes) {
            return Ok(RootPath(bytes.into()));
        }
        let mut clean = Vec::with_capacity(bytes.len());
        for component in bytes.split(|&b| b == b'/') {
            match component {
                b"" | b"." => {}
                b".." => return Err(PathError::DotDot),
                name => {
                    clean.push(b'/');
                    clean.extend_from_slice(name);
                }
            }
        }
        if clean.is_empty() {
            clean.push(b'/');
        }
        Ok(RootPath(clean.into()))
    }

    /// The root directory itself, `/`.
    pub fn root() -> RootPath {
        RootPath(Arc::from(&b"/"[..]))
    }

    /// The path as the target's kernel takes it: a slash first, no NUL, not always UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is `/`.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// Appends one component, which must be a plain file name.
    ///
    /// # Panics
    /// When `name` is empty, `.`, `..` or has a slash: a bug of the caller, who has the name from a directory.
    pub fn join(&self, name: &[u8]) -> RootPath {
        assert!(
            !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/'),
            "internal error: {:?} is not a file name",
            String::from_utf8_lossy(name)
        );
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.len());
        if !self.is_root() {
            bytes.extend_from_slice(&self.0);
        }
        bytes.push(b'/');
        bytes.extend_from_slice(name);
        RootPath(bytes.into())
    }

    /// The directory the path is in; `None` for `/`.
    pub fn parent(&self) -> Option<RootPath> {
        if self.is_root() {
            return None;
        }
        match memchr::memrchr(b'/', &self.0) {
            Some(0) | None => Some(RootPath::root()),
            Some(slash) => Some(RootPath(self.0[..slash].into())),
        }
    }

    /// The last component; empty for `/`.
    pub fn file_name(&self) -> &[u8] {
        file_name(&self.0)
    }

    /// The components from the top, without slashes.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|c| !c.is_empty())
    }

    /// Whether the path is `directory` or lies below it.
    pub fn starts_with(&self, directory: &RootPath) -> bool {
        directory.is_root()
            || (self.0.starts_with(&directory.0) && matches!(self.0.get(directory.0.len()), None | Some(b'/')))
    }

    /// The path without its leading slash, as archives store it; empty for `/`.
    pub fn relative(&self) -> &[u8] {
        &self.0[1..]
    }
}

/// The path of the directory that a path in its plain form is in, without making a path of it; `/` for `/`.
pub(crate) fn parent_bytes(path: &[u8]) -> &[u8] {
    match memchr::memrchr(b'/', path) {
        Some(slash) if slash > 0 => &path[..slash],
        _ => b"/",
    }
}

/// The last component of a path in its plain form; empty for `/`.
pub(crate) fn file_name(path: &[u8]) -> &[u8] {
    memchr::memrchr(b'/', path).map_or(path, |slash| &path[slash + 1..])
}

/// Whether an absolute path is spelled in its only way already. Manifests have hundreds of thousands of paths, nearly
/// all of them clean, so only the bytes after each slash are looked at.
fn is_clean(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'/', bytes).all(|slash| {
        !matches!(&bytes[slash + 1..], [] | [b'/', ..] | b"." | [b'.', b'/', ..] | b".." | [b'.', b'.', b'/', ..])
    })
}

/// Text for people: bytes that are not UTF-8 and control characters are escaped as `\xNN`, a backslash as `\\`.
impl fmt::Display for RootPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_escaped(f, &self.0)
    }
}

impl fmt::Debug for RootPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

/// Bytes shown to people, escaped as the display of a [`RootPath`] is.
pub fn escaped(bytes: &[u8]) -> impl fmt::Display + '_ {
    written(move |f| write_escaped(f, bytes))
}

fn write_escaped(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    // Nearly all paths are plain, and a trace shows a few thousand of them.
    let is_plain = bytes.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\');
    if is_plain && let Ok(text) = std::str::from_utf8(bytes) {
        return f.write_str(text);
    }
    let as_numbers = |f: &mut fmt::Formatter<'_>, bytes: &[u8]| bytes.iter().try_for_each(|b| write!(f, "\\x{b:02x}"));
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(at) = rest.find(|c: char| c == '\\' || c.is_control()) {
            let (plain, special) = rest.split_at(at);
            f.write_str(plain)?;
            let character;
            (character, rest) = special.split_at(special.chars().next().map_or(0, char::len_utf8));
            match character {
                "\\" => f.write_str("\\\\")?,
                control => as_numbers(f, control.as_bytes())?,
            }
        }
        f.write_str(rest)?;
        as_numbers(f, chunk.invalid())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_variants_become_one_path() {
        for text in ["/usr/lib/x", "//usr//lib/./x", "/usr/lib/x/"] {
            assert_eq!(RootPath::new(text).unwrap().as_bytes(), b"/usr/lib/x");
        }
        for text in ["/", "//", "/."] {
            assert!(RootPath::new(text).unwrap().is_root());
        }
    }

    #[test]
    fn what_could_leave_the_root_is_refused() {
        assert_eq!(RootPath::new("usr"), Err(PathError::NotAbsolute));
        assert_eq!(RootPath::new("/usr/../etc"), Err(PathError::DotDot));
        assert_eq!(RootPath::new("/a\0b"), Err(PathError::Nul));
    }

    #[test]
    fn parents_end_at_the_root() {
        let path = RootPath::new("/a/b").unwrap();
        let parent = path.parent().unwrap();
        assert_eq!(parent.as_bytes(), b"/a");
        assert!(parent.parent().unwrap().is_root());
        assert_eq!(RootPath::root().parent(), None);
        assert_eq!(path.file_name(), b"b");
        assert!(path.starts_with(&parent));
        assert!(!RootPath::new("/ab").unwrap().starts_with(&parent));
    }

    #[test]
    fn a_directory_sorts_before_its_contents() {
        let mut paths: Vec<_> = ["/a/b", "/a-b", "/a", "/a/b/c"].iter().map(|p| RootPath::new(p).unwrap()).collect();
        paths.sort();
        let position = |p: &str| paths.iter().position(|x| x.as_bytes() == p.as_bytes()).unwrap();
        assert!(position("/a") < position("/a/b") && position("/a/b") < position("/a/b/c"));
    }

    #[test]
    fn display_escapes_what_a_terminal_cannot_show() {
        assert_eq!(RootPath::new(b"/caf\xe9\n\\").unwrap().to_string(), "/caf\\xe9\\x0a\\\\");
    }
}
