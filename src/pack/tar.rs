//! tar with pax records where the plain header is too small: entries to bytes.
//!
//! Everything about a member that fits goes into its ustar header, so that most archives hold no records at all. What
//! is surprising: names are bytes, and a pax record is UTF-8 unless the record `hdrcharset=BINARY` comes before it
//! (POSIX.1-2017 pax, "pax Header Block"). Extended attributes are `SCHILY.xattr.` records, which GNU tar, bsdtar,
//! star and container runtimes read.

use super::contents::{BUFFER, Contents};
use crate::manifest::{Content, Entry};
use crate::path::RootPath;
use std::io::{self, Write};
use tar::{EntryType, Header};

const BLOCK: usize = 512;
/// Bytes of the name and the link name in a ustar header.
const NAME: usize = 100;
/// Eleven octal digits.
const MAX_SIZE: u64 = 0o77_777_777_777;
/// Seven octal digits.
const MAX_ID: u32 = 0o7_777_777;

/// Writes all entries and the two empty blocks at the end; gives the number of bytes.
///
/// # Errors
/// Those of `out`, and what [`Contents::copy`] says about reading.
pub(super) fn write(entries: &[Entry], contents: &Contents<'_>, epoch: u32, out: &mut impl Write) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER];
    let mut position = 0;
    for entry in entries {
        let name = name_of(entry);
        let link = link_of(entry);
        let records = records_of(entry, &name, &link);
        if !records.is_empty() {
            let mut header = new_header(epoch, 0o644, EntryType::XHeader, records.len() as u64);
            set_bytes(&mut header.as_ustar_mut().expect("it is ustar").name, b"PaxHeaders");
            position += write_block(out, &mut header)?;
            out.write_all(&records)?;
            position += records.len() as u64 + pad(out, records.len() as u64)?;
        }
        position += write_block(out, &mut header_of(entry, &name, &link, epoch)?)?;
        contents.copy(entry, out, &mut buffer)?;
        position += entry.size() + pad(out, entry.size())?;
    }
    out.write_all(&[0; 2 * BLOCK])?;
    Ok(position + 2 * BLOCK as u64)
}

fn header_of(entry: &Entry, name: &[u8], link: &[u8], epoch: u32) -> io::Result<Header> {
    let kind = match &entry.content {
        Content::File { .. } | Content::Generated { .. } => EntryType::Regular,
        Content::Directory => EntryType::Directory,
        Content::Symlink { .. } => EntryType::Symlink,
        Content::Hardlink { .. } => EntryType::Link,
        Content::Char { .. } => EntryType::Char,
        Content::Block { .. } => EntryType::Block,
        Content::Fifo => EntryType::Fifo,
    };
    let mut header = new_header(epoch, entry.mode, kind, entry.size());
    header.set_uid(u64::from(entry.uid));
    header.set_gid(u64::from(entry.gid));
    if let Content::Char { major, minor } | Content::Block { major, minor } = entry.content {
        header.set_device_major(major)?;
        header.set_device_minor(minor)?;
    }
    let ustar = header.as_ustar_mut().expect("it is ustar");
    set_bytes(&mut ustar.name, name);
    set_bytes(&mut ustar.linkname, link);
    Ok(header)
}

fn new_header(epoch: u32, mode: u32, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(u64::from(epoch));
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header
}

/// A directory's name ends in a slash; the root directory is `./`.
fn name_of(entry: &Entry) -> Vec<u8> {
    let mut name = relative(&entry.path).to_vec();
    if entry.content == Content::Directory {
        name.push(b'/');
    }
    name
}

fn link_of(entry: &Entry) -> Vec<u8> {
    match &entry.content {
        Content::Symlink { target } => target.clone(),
        Content::Hardlink { to } => relative(to).to_vec(),
        _ => Vec::new(),
    }
}

fn relative(path: &RootPath) -> &[u8] {
    if path.is_root() { b"." } else { path.relative() }
}

/// Copies what fits; what does not is in a pax record.
fn set_bytes(field: &mut [u8], bytes: &[u8]) {
    let n = bytes.len().min(field.len());
    field[..n].copy_from_slice(&bytes[..n]);
}

/// The pax records that `entry` needs, in a fixed order.
fn records_of(entry: &Entry, name: &[u8], link: &[u8]) -> Vec<u8> {
    let mut records = Vec::new();
    let long: Vec<_> = [("path", name), ("linkpath", link)].into_iter().filter(|(_, b)| b.len() > NAME).collect();
    if long.iter().any(|(_, bytes)| std::str::from_utf8(bytes).is_err()) {
        push_record(&mut records, b"hdrcharset", b"BINARY");
    }
    for (keyword, bytes) in long {
        push_record(&mut records, keyword.as_bytes(), bytes);
    }
    if entry.size() > MAX_SIZE {
        push_record(&mut records, b"size", entry.size().to_string().as_bytes());
    }
    for (keyword, id) in [("uid", entry.uid), ("gid", entry.gid)] {
        if id > MAX_ID {
            push_record(&mut records, keyword.as_bytes(), id.to_string().as_bytes());
        }
    }
    for (name, value) in &entry.xattrs {
        push_record(&mut records, &[b"SCHILY.xattr.", &quoted(name)[..]].concat(), value);
    }
    records
}

/// A keyword ends at `=`: GNU tar writes it as `%3D` in the name of an attribute.
fn quoted(name: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(name.len());
    for &byte in name {
        match byte {
            b'=' => quoted.extend_from_slice(b"%3D"),
            b'%' => quoted.extend_from_slice(b"%25"),
            plain => quoted.push(plain),
        }
    }
    quoted
}

/// Appends `LENGTH KEYWORD=VALUE\n`, where LENGTH counts its own digits too.
fn push_record(records: &mut Vec<u8>, keyword: &[u8], value: &[u8]) {
    let rest = keyword.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(keyword);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

fn write_block(out: &mut impl Write, header: &mut Header) -> io::Result<u64> {
    header.set_cksum();
    out.write_all(header.as_bytes())?;
    Ok(BLOCK as u64)
}

fn pad(out: &mut impl Write, size: u64) -> io::Result<u64> {
    let n = size.next_multiple_of(BLOCK as u64) - size;
    out.write_all(&[0; BLOCK][..n as usize])?;
    Ok(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_the_digits_of_its_own_length() {
        // 9 + 1 digit is 10, which has two digits: 11.
        for (value, expected) in [(3, 9), (4, 11), (5, 12), (90, 97), (91, 98), (92, 99), (93, 101)] {
            let mut records = Vec::new();
            push_record(&mut records, b"abc", &vec![b'v'; value - 1]);
            assert_eq!(records.len(), expected, "{value}");
            assert!(records.starts_with(format!("{expected} abc=").as_bytes()), "{value}");
        }
    }
}
