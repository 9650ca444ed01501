//! Turns a tar stream into members with whole names: GNU long names and pax records folded into what they describe.
//!
//! The tar crate reads the blocks. Its own folding is not used because it takes a long name of any length into
//! memory, and a few kilobytes of xz hold a name of gigabytes.

use std::io::{self, Read};
use tar::{Archive, EntryType};

/// The longest name or pax record set that is read; paths end at 4096 bytes (`PATH_MAX`), pax adds attributes.
const EXTENSION_LIMIT: u64 = 1 << 20;

/// One member's header, with its long names filled in.
#[derive(Debug)]
pub struct TarMember {
    /// As stored: usually `./usr/bin/x`.
    pub path: Vec<u8>,
    /// Target of a symlink or hard link.
    pub link: Vec<u8>,
    pub kind: EntryType,
    /// Permission bits (`0o7777`).
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: u64,
    /// How many bytes the reader must give; a truncated archive gives fewer.
    pub size: u64,
    pub device: (u32, u32),
    /// From `SCHILY.xattr.NAME` records.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Calls `visit` with every member in order and a reader of its content.
///
/// # Errors
/// What `visit` gives, and `InvalidData` or the reader's own error for a damaged archive, through `damaged`.
pub fn for_each_member<R: Read, E>(
    reader: R,
    damaged: impl Fn(io::Error) -> E,
    mut visit: impl FnMut(TarMember, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    let mut archive = Archive::new(reader);
    let mut extension = Extension::default();
    for entry in archive.entries().map_err(&damaged)?.raw(true) {
        let mut entry = entry.map_err(&damaged)?;
        if extension.absorb(&mut entry).map_err(&damaged)? {
            continue;
        }
        let member = std::mem::take(&mut extension).describe(entry.header()).map_err(&damaged)?;
        visit(member, &mut entry)?;
    }
    if extension.pending {
        return Err(damaged(invalid("a long name at the end describes nothing")));
    }
    // The compressor's checksum comes after the last block.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(damaged)?;
    Ok(())
}

/// What headers of their own say about the member that follows them.
#[derive(Default)]
struct Extension {
    pending: bool,
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    uid: Option<u32>,
    gid: Option<u32>,
    mtime: Option<u64>,
    size: Option<u64>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Extension {
    /// Reads an entry that describes another; false when it is a member itself.
    fn absorb<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> io::Result<bool> {
        match entry.header().entry_type() {
            EntryType::GNULongName => self.path = Some(until_nul(read_small(entry)?)),
            EntryType::GNULongLink => self.link = Some(until_nul(read_small(entry)?)),
            EntryType::XHeader => self.records(&read_small(entry)?)?,
            // Global records hold comments such as a git commit.
            EntryType::XGlobalHeader => return Ok(true),
            _ => return Ok(false),
        }
        self.pending = true;
        Ok(true)
    }

    /// Reads `LENGTH KEY=VALUE\n` records (POSIX.1-2017, pax, "pax Extended Header"); a value may hold any byte.
    fn records(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let bad = || invalid("a pax record is malformed");
        while !bytes.is_empty() {
            let space = memchr::memchr(b' ', bytes).ok_or_else(bad)?;
            let length: usize = number(&bytes[..space]).ok_or_else(bad)?;
            let record = bytes.get(space + 1..length).ok_or_else(bad)?;
            let (record, newline) = record.split_at_checked(record.len().wrapping_sub(1)).ok_or_else(bad)?;
            let equals = memchr::memchr(b'=', record).filter(|_| newline == b"\n").ok_or_else(bad)?;
            self.record(&record[..equals], &record[equals + 1..]).ok_or_else(bad)?;
            bytes = &bytes[length..];
        }
        Ok(())
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"uid" => self.uid = Some(number(value)?),
            b"gid" => self.gid = Some(number(value)?),
            b"size" => self.size = Some(number(value)?),
            b"mtime" => self.mtime = Some(number(value.split(|&b| b == b'.').next()?)?),
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Some(())
    }

    fn describe(self, header: &tar::Header) -> io::Result<TarMember> {
        let small = |value: u64, field: &str| {
            u32::try_from(value).map_err(|_| invalid(&format!("the {field} {value} is out of range")))
        };
        if self.size.is_some_and(|size| header.entry_size().ok() != Some(size)) {
            // The blocks were skipped by the header's size; what follows would be read from the wrong place.
            return Err(invalid("a pax record and its header disagree about the size"));
        }
        // Other members may leave these fields blank.
        let device = match header.entry_type() {
            EntryType::Char | EntryType::Block => {
                (header.device_major()?.unwrap_or(0), header.device_minor()?.unwrap_or(0))
            }
            _ => (0, 0),
        };
        let path = self.path.unwrap_or_else(|| header.path_bytes().into_owned());
        // Before POSIX there was no type for directories, only a slash at the end of the name.
        let kind = match header.entry_type() {
            EntryType::Regular if path.last() == Some(&b'/') => EntryType::Directory,
            kind => kind,
        };
        Ok(TarMember {
            path,
            link: self.link.unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned()),
            kind,
            mode: header.mode()? & 0o7777,
            uid: self.uid.map_or_else(|| small(header.uid()?, "owner"), Ok)?,
            gid: self.gid.map_or_else(|| small(header.gid()?, "group"), Ok)?,
            mtime: self.mtime.map_or_else(|| header.mtime(), Ok)?,
            size: header.entry_size()?,
            device,
            xattrs: self.xattrs,
        })
    }
}

fn read_small<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Vec<u8>> {
    let size = entry.header().entry_size()?;
    if size > EXTENSION_LIMIT {
        return Err(invalid("a long name has more than 1 MiB"));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    if bytes.len() as u64 != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = memchr::memchr(0, &bytes) {
        bytes.truncate(end);
    }
    bytes
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

pub(super) fn invalid(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: EntryType, name: &[u8], size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(7);
        header.set_cksum();
        header
    }

    fn archive(parts: &[(EntryType, &[u8], &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (kind, name, content) in parts {
            bytes.extend_from_slice(header(*kind, name, content.len() as u64).as_bytes());
            bytes.extend_from_slice(content);
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
        bytes.extend_from_slice(&[0; 1024]);
        bytes
    }

    fn members(bytes: &[u8]) -> io::Result<Vec<(TarMember, Vec<u8>)>> {
        let mut all = Vec::new();
        for_each_member(
            bytes,
            |error| error,
            |member, reader| {
                let mut content = Vec::new();
                reader.read_to_end(&mut content)?;
                all.push((member, content));
                Ok(())
            },
        )?;
        Ok(all)
    }

    #[test]
    fn long_names_belong_to_the_member_that_follows() {
        let long = vec![b'n'; 300];
        let bytes = archive(&[
            (EntryType::GNULongName, b"././@LongLink", &[&long[..], b"\0"].concat()),
            (EntryType::Regular, b"short", b"one"),
            (EntryType::Regular, b"plain", b"two"),
        ]);
        let found = members(&bytes).unwrap();
        assert_eq!((found[0].0.path.as_slice(), found[0].1.as_slice()), (&long[..], &b"one"[..]));
        assert_eq!((found[1].0.path.as_slice(), found[1].1.as_slice()), (&b"plain"[..], &b"two"[..]));
    }

    #[test]
    fn pax_values_may_hold_newlines_and_bytes_that_are_not_utf8() {
        let record = |key: &str, value: &[u8]| {
            let rest = key.len() + value.len() + 3;
            let length = (rest + 1..).find(|n| n - n.to_string().len() == rest).unwrap();
            [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
        };
        let records =
            [record("path", b"caf\xe9\nx"), record("SCHILY.xattr.user.a", b"1\n2\0"), record("uid", b"70000")].concat();
        let bytes = archive(&[(EntryType::XHeader, b"pax", &records), (EntryType::Regular, b"x", b"")]);
        let (member, _) = members(&bytes).unwrap().remove(0);
        assert_eq!(member.path, b"caf\xe9\nx");
        assert_eq!(member.xattrs, [(b"user.a".to_vec(), b"1\n2\0".to_vec())]);
        assert_eq!((member.uid, member.mtime), (70000, 7));
    }

    #[test]
    fn damaged_archives_are_errors() {
        let good = archive(&[(EntryType::Regular, b"file", &[b'x'; 2000])]);
        assert!(members(&good[..600]).is_err());
        assert!(members(&good[..100]).is_err());
        let mut flipped = good.clone();
        flipped[3] ^= 1;
        assert!(members(&flipped).is_err());
        for records in [&b"x"[..], b"9", b"5 a=b\n", b"99 a=b\n", b"0 a=b\n", b"3 \n", b"6 a=bc", b"13 uid=many!\n"] {
            let bytes = archive(&[(EntryType::XHeader, b"pax", records), (EntryType::Regular, b"x", b"")]);
            assert!(members(&bytes).is_err(), "{records:?}");
        }
        assert!(members(&archive(&[(EntryType::GNULongName, b"l", b"name\0")])).is_err());
        let bomb = header(EntryType::GNULongName, b"l", 1 << 33);
        assert!(members(bomb.as_bytes()).is_err());
    }
}
