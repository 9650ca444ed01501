//! cpio in its old portable form, `odc` (POSIX.1-1988 *cpio* interchange format): fixed fields of octal digits, no padding.
//!
//! It is the one form of cpio that krtld, the linker of the illumos kernel, reads its modules from
//! (`usr/src/uts/common/krtld/bootrd_cpio.c`). What surprises: that reader looks a file up by its name alone and knows
//! neither symlinks nor hard links, so each name of a file has all its data; and nothing can mount such an archive, so
//! the root file system has to be another one, of ZFS or NFS.

use super::{Header, TRAILER, count_links, header_of};
use crate::manifest::{Content, Entry, Manifest};
use crate::pack::contents::{BUFFER, Contents};
use std::io::{self, Write};

/// Six octal digits: inode, owner, group, device.
pub const MAX_SHORT: u32 = 0o777_777;
/// Eleven octal digits: the size of a file, and its time.
pub const MAX_SIZE: u64 = 0o77_777_777_777;
/// A device number is one of the short fields; its lower 8 bits are the minor number, as in all systems of that time.
pub const MAX_DEVICE: (u32, u32) = (MAX_SHORT >> 8, 0xff);

/// Bytes of a header without the name.
const HEADER: u64 = 76;
/// The whole archive is padded to this, as cpio(1) does.
const RECORD: u64 = 512;

/// Writes all entries, the trailer and the padding; gives the number of bytes.
///
/// # Errors
/// Those of `out`, and what [`Contents::copy`] says about reading.
pub(crate) fn write(
    manifest: &Manifest,
    contents: &Contents<'_>,
    epoch: u32,
    mut out: &mut impl Write,
) -> io::Result<u64> {
    let links = count_links(manifest);
    let mut buffer = vec![0; BUFFER];
    for (index, entry) in manifest.entries.iter().enumerate() {
        write_header(out, &header_of(manifest, index, &links, epoch), data_size(manifest, entry))?;
        match &entry.content {
            Content::Symlink { target } => out.write_all(target)?,
            _ => {
                if let Some(file) = file_of(manifest, entry) {
                    contents.copy(file, &mut out, &mut buffer)?;
                }
            }
        }
    }
    write_header(out, &Header { n_links: 1, name: TRAILER, ..Header::default() }, 0)?;
    let (size, length) = (size(manifest), length(manifest));
    out.write_all(&[0; RECORD as usize][..(size - length) as usize])?;
    Ok(size)
}

/// How many bytes [`write`] will write.
pub(in crate::pack) fn size(manifest: &Manifest) -> u64 {
    length(manifest).next_multiple_of(RECORD)
}

fn length(manifest: &Manifest) -> u64 {
    let member = |name: &[u8], data: u64| HEADER + name.len() as u64 + 1 + data;
    let entries = manifest.entries.iter();
    let entries = entries.map(|entry| member(super::name_of(&entry.path), data_size(manifest, entry)));
    entries.sum::<u64>() + member(TRAILER, 0)
}

fn data_size(manifest: &Manifest, entry: &Entry) -> u64 {
    match &entry.content {
        Content::Symlink { target } => target.len() as u64,
        _ => file_of(manifest, entry).map_or(0, Entry::size),
    }
}

/// Where the content of an entry is: with itself, or with the name it is a hard link to.
fn file_of<'m>(manifest: &'m Manifest, entry: &'m Entry) -> Option<&'m Entry> {
    match &entry.content {
        Content::File { .. } | Content::Generated { .. } => Some(entry),
        Content::Hardlink { to } => manifest.entry(to),
        _ => None,
    }
}

/// The size is not that of the header, which is that of newc.
fn write_header(out: &mut impl Write, header: &Header<'_>, size: u64) -> io::Result<()> {
    let Header { inode, mode, uid, gid, n_links, mtime, name, .. } = header;
    let device = header.device.0 << 8 | header.device.1; // plan() has refused larger ones
    // The device of the file system is 0: inodes alone tell files apart.
    write!(out, "070707{:06o}{inode:06o}{mode:06o}{uid:06o}{gid:06o}{n_links:06o}{device:06o}", 0)?;
    write!(out, "{mtime:011o}{:06o}{size:011o}", name.len() + 1)?;
    out.write_all(name)?;
    out.write_all(&[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::testing::{archive, directory, entry, file, hardlink, manifest};

    fn odc(manifest: &Manifest) -> Vec<u8> {
        let bytes = archive(|contents, out| write(manifest, contents, 7, out));
        assert_eq!(bytes.len() as u64, size(manifest), "the size is known beforehand");
        bytes
    }

    #[test]
    fn a_file_is_header_name_and_data_without_padding() {
        let mut made = file("/ab", b"hello");
        (made.mode, made.uid, made.gid) = (0o4755, 1, 0o777_777);
        let bytes = odc(&manifest(vec![made]));
        let expected = "070707000000000001104755000001777777000001000000\
                        0000000000700000300000000005ab\0hello070707";
        assert_eq!(String::from_utf8_lossy(&bytes[..expected.len()]), expected);
        assert!(bytes.len() == 512 && bytes.ends_with(&[0; 64]));
    }

    #[test]
    fn every_name_of_a_file_has_its_data() {
        let device = entry("/d/tty", Content::Char { major: 1023, minor: 255 });
        let link = entry("/s", Content::Symlink { target: b"d".to_vec() });
        let entries = vec![file("/a", b"data"), hardlink("/b", "/a"), directory("/d"), device, link];
        let text = String::from_utf8_lossy(&odc(&manifest(entries))).into_owned();
        assert!(text.contains("00000000004a\0data070707") && text.contains("00000000004b\0data070707"), "{text}");
        // Both are inode 1 of two names.
        assert_eq!(text.matches("070707000000000001100644000000000000000002000000").count(), 2, "{text}");
        // One link, device 1023:255, the time, six bytes of name, no data.
        assert!(text.contains("0000017777770000000000700000600000000000d/tty\0"), "{text}");
    }
}
