//! Owners, modes and device nodes that an ordinary user could not give the files of a fetched root.
//!
//! `minroot fetch` unpacks packages without privileges, so the file `/usr/bin/passwd` belongs to the user on disk. What
//! the package says about it is written to [`METADATA_PATH`] inside the root, one line per path whose
//! metadata differ from what is on disk:
//!
//! ```text
//! minroot-metadata 1
//! o 0 0
//! f 4755 0 0 /usr/bin/passwd
//! d 1777 0 0 /tmp
//! l 777 0 0 /bin
//! c 666 0 0 1 3 /dev/null
//! b 660 0 6 7 0 /dev/loop0
//! p 600 0 0 /run/initctl
//! ```
//!
//! Fields are separated by one space; the path comes last and is escaped (`\\`, `\n`, `\xNN`) where a byte is a
//! control character, a backslash or not ASCII. `c`, `b` and `p` lines make entries that are not on disk at all. The
//! `o` line, without a path, gives the owner and group of everything that has no line of its own.

use super::{FileInfo, FileKind};
use crate::path::RootPath;
use std::collections::BTreeMap;
use std::io;

/// Where the metadata are kept inside a fetched root.
pub const METADATA_PATH: &str = "/var/lib/minroot/metadata";

const HEADER: &str = "minroot-metadata 1";

/// What a line overrides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Override {
    /// Only devices and fifos take effect; for anything else the disk knows best.
    pub kind: FileKind,
    /// Permission bits with setuid, setgid and sticky (`0o7777`).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// The overrides of one root, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// User and group of what has no override.
    owner: Option<(u32, u32)>,
    overrides: BTreeMap<RootPath, Override>,
}

impl Metadata {
    /// Says what the path is; an earlier word about it is forgotten.
    pub fn insert(&mut self, path: RootPath, value: Override) {
        self.overrides.insert(path, value);
    }

    /// Sets the user and group of everything that has no override.
    pub fn set_owner(&mut self, uid: u32, gid: u32) {
        self.owner = Some((uid, gid));
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// `InvalidData` naming the line.
    pub fn parse(bytes: &[u8]) -> io::Result<Metadata> {
        let damaged =
            |n: usize| io::Error::new(io::ErrorKind::InvalidData, format!("{METADATA_PATH} line {n} is damaged"));
        let text = std::str::from_utf8(bytes).map_err(|_| damaged(1))?;
        let mut lines = text.lines().enumerate();
        if lines.next().map(|(_, line)| line) != Some(HEADER) {
            return Err(damaged(1));
        }
        let mut metadata = Metadata::default();
        for (index, line) in lines {
            if let Some(owner) = line.strip_prefix("o ") {
                metadata.owner = Some(parse_owner(owner).ok_or_else(|| damaged(index + 1))?);
                continue;
            }
            let (path, value) = parse_line(line).ok_or_else(|| damaged(index + 1))?;
            metadata.insert(path, value);
        }
        Ok(metadata)
    }

    /// The text form, sorted by path.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\n");
        if let Some((uid, gid)) = self.owner {
            text.push_str(&format!("o {uid} {gid}\n"));
        }
        for (path, value) in &self.overrides {
            let (letter, device) = match value.kind {
                FileKind::File | FileKind::Socket => ('f', String::new()),
                FileKind::Directory => ('d', String::new()),
                FileKind::Symlink => ('l', String::new()),
                FileKind::Char { major, minor } => ('c', format!("{major} {minor} ")),
                FileKind::Block { major, minor } => ('b', format!("{major} {minor} ")),
                FileKind::Fifo => ('p', String::new()),
            };
            let Override { mode, uid, gid, .. } = value;
            text.push_str(&format!("{letter} {mode:o} {uid} {gid} {device}{}\n", path.as_bytes().escape_ascii()));
        }
        text
    }

    pub(super) fn apply(&self, path: &RootPath, info: &mut FileInfo) {
        if let Some(value) = self.overrides.get(path) {
            (info.mode, info.uid, info.gid) = (value.mode, value.uid, value.gid);
        } else if let Some(owner) = self.owner {
            (info.uid, info.gid) = owner;
        }
    }

    /// An entry that exists only here.
    pub(super) fn extra(&self, path: &RootPath) -> Option<FileInfo> {
        let value = self.overrides.get(path).filter(|v| is_special(v.kind))?;
        let Override { kind, mode, uid, gid } = *value;
        Some(FileInfo { kind, mode, uid, gid, size: 0, inode: (0, 0), links: 1 })
    }

    /// Names in `directory` that exist only here.
    pub(super) fn extra_names(&self, directory: &RootPath) -> Vec<Vec<u8>> {
        let inside = self.overrides.range(directory.clone()..).take_while(|(path, _)| path.starts_with(directory));
        inside
            .filter(|(path, value)| is_special(value.kind) && path.parent().as_ref() == Some(directory))
            .map(|(path, _)| path.file_name().to_vec())
            .collect()
    }
}

fn is_special(kind: FileKind) -> bool {
    matches!(kind, FileKind::Char { .. } | FileKind::Block { .. } | FileKind::Fifo)
}

fn parse_owner(text: &str) -> Option<(u32, u32)> {
    let (uid, gid) = text.split_once(' ')?;
    Some((uid.parse().ok()?, gid.parse().ok()?))
}

fn parse_line(line: &str) -> Option<(RootPath, Override)> {
    let (kind, rest) = line.split_once(' ')?;
    let (mode, rest) = rest.split_once(' ')?;
    let (uid, rest) = rest.split_once(' ')?;
    let (gid, mut rest) = rest.split_once(' ')?;
    let mut number = || {
        let (number, tail) = rest.split_once(' ')?;
        rest = tail;
        number.parse::<u32>().ok()
    };
    let kind = match kind {
        "f" => FileKind::File,
        "d" => FileKind::Directory,
        "l" => FileKind::Symlink,
        "c" => FileKind::Char { major: number()?, minor: number()? },
        "b" => FileKind::Block { major: number()?, minor: number()? },
        "p" => FileKind::Fifo,
        _ => return None,
    };
    let path = RootPath::new(unescape(rest)?).ok()?;
    let mode = u32::from_str_radix(mode, 8).ok().filter(|m| *m <= 0o7777)?;
    Some((path, Override { kind, mode, uid: uid.parse().ok()?, gid: gid.parse().ok()? }))
}

/// Undoes [`slice::escape_ascii`].
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'x' => {
                    let digits = [rest.next()?, rest.next()?];
                    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
                }
                quoted => quoted,
            },
            plain => plain,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_with_odd_names() {
        let mut metadata = Metadata::default();
        metadata.set_owner(0, 3);
        let plain = |kind| Override { kind, mode: 0o644, uid: 0, gid: 5 };
        for (name, kind) in [
            (&b"/caf\xe9 with space\nand \\ 'quote'"[..], FileKind::File),
            (b"/dev/null", FileKind::Char { major: 1, minor: 3 }),
            (b"/dev/loop0", FileKind::Block { major: 7, minor: 0 }),
            (b"/pipe", FileKind::Fifo),
        ] {
            metadata.insert(RootPath::new(name).unwrap(), plain(kind));
        }
        let text = metadata.to_text();
        assert!(text.is_ascii());
        assert_eq!(Metadata::parse(text.as_bytes()).unwrap(), metadata);
    }

    #[test]
    fn damage_is_reported_with_its_line() {
        let error = Metadata::parse(b"minroot-metadata 1\nf 644 0 0 /a\nf 99999 0 0 /b\n").unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
        assert!(Metadata::parse(b"something else\n").is_err());
    }
}
