//! cpio in its newc form, the one the Linux kernel unpacks: entries to bytes here, bytes to members in [`read`].
//!
//! The format is in `Documentation/driver-api/early-userspace/buffer-format.rst` of the kernel. What is surprising:
//! the kernel takes the data of hard links from whichever of the names has any (GNU cpio gives them to the last).
//! We give them to the first, which is where the manifest has the content, so that no reader has to wait for it.
//!
//! [`odc`] is the older form that illumos reads.

mod error;
pub mod odc;
pub mod read;

pub use error::{Place, Problem, ReadError};

use super::contents::{BUFFER, Contents};
use crate::manifest::{Content, Manifest};
use crate::path::RootPath;
use std::collections::HashMap;
use std::io::{self, Write};

/// The name at which an archive ends.
pub(super) const TRAILER: &[u8] = b"TRAILER!!!";
/// Bytes of a header without the name.
const HEADER: u64 = 110;
/// Names and data are padded to this.
const ALIGN: u64 = 4;
/// The whole archive is padded to this, as GNU cpio does: four would do for the kernel, 512 lets archives be
/// concatenated at any loader's alignment and fills the sectors of a disk.
const RECORD: u64 = 512;

/// File type bits of `st_mode`, the same on every Unix that has newc archives (`stat.h`).
mod file_type {
    pub const FIFO: u32 = 0o010_000;
    pub const CHAR: u32 = 0o020_000;
    pub const DIRECTORY: u32 = 0o040_000;
    pub const BLOCK: u32 = 0o060_000;
    pub const FILE: u32 = 0o100_000;
    pub const SYMLINK: u32 = 0o120_000;
}

/// The fields of a header that are not always zero.
#[derive(Default)]
struct Header<'a> {
    inode: u32,
    mode: u32,
    uid: u32,
    gid: u32,
    n_links: u32,
    mtime: u32,
    size: u32,
    device: (u32, u32),
    name: &'a [u8],
}

/// Writes all entries, the trailer and the padding; gives the number of bytes.
///
/// Inodes are numbered from 1 in the order of the manifest, so that they do not depend on the disk it was traced on.
///
/// # Errors
/// Those of `out`, and what [`Contents::copy`] says about reading.
pub(super) fn write(manifest: &Manifest, contents: &Contents<'_>, epoch: u32, out: &mut impl Write) -> io::Result<u64> {
    let links = count_links(manifest);
    let mut writer = NewcWriter { out, position: 0 };
    let mut buffer = vec![0; BUFFER];
    for (index, entry) in manifest.entries.iter().enumerate() {
        writer.write_header(&header_of(manifest, index, &links, epoch))?;
        match &entry.content {
            Content::File { .. } | Content::Generated { .. } => contents.copy(entry, &mut writer, &mut buffer)?,
            Content::Symlink { target } => writer.write_all(target)?,
            _ => {}
        }
        writer.pad(ALIGN)?;
    }
    writer.finish()
}

/// How many bytes [`write`] will write.
pub(super) fn size(manifest: &Manifest) -> u64 {
    let member = |name: &[u8], data: u64| (HEADER + name.len() as u64 + 1).next_multiple_of(ALIGN) + data;
    let entries = manifest.entries.iter().map(|entry| {
        let data = match &entry.content {
            Content::Symlink { target } => target.len() as u64,
            _ => entry.size(),
        };
        member(name_of(&entry.path), data.next_multiple_of(ALIGN))
    });
    (entries.sum::<u64>() + member(TRAILER, 0)).next_multiple_of(RECORD)
}

/// How many further names each file has.
fn count_links(manifest: &Manifest) -> HashMap<&RootPath, u32> {
    let mut links = HashMap::new();
    for entry in &manifest.entries {
        if let Content::Hardlink { to } = &entry.content {
            *links.entry(to).or_default() += 1;
        }
    }
    links
}

fn header_of<'m>(manifest: &'m Manifest, index: usize, links: &HashMap<&RootPath, u32>, epoch: u32) -> Header<'m> {
    let entry = &manifest.entries[index];
    // The kernel sets owner and mode again at each name, so all names of a file carry those of the first.
    let inode_index = match &entry.content {
        Content::Hardlink { to } => manifest.entries.partition_point(|e| e.path < *to),
        _ => index,
    };
    let inode = &manifest.entries[inode_index];
    let (kind, size, device) = match &entry.content {
        Content::File { size, .. } | Content::Generated { size, .. } => (file_type::FILE, *size, (0, 0)),
        Content::Hardlink { .. } => (file_type::FILE, 0, (0, 0)),
        Content::Directory => (file_type::DIRECTORY, 0, (0, 0)),
        Content::Symlink { target } => (file_type::SYMLINK, target.len() as u64, (0, 0)),
        Content::Char { major, minor } => (file_type::CHAR, 0, (*major, *minor)),
        Content::Block { major, minor } => (file_type::BLOCK, 0, (*major, *minor)),
        Content::Fifo => (file_type::FIFO, 0, (0, 0)),
    };
    let n_links = match &entry.content {
        // What the kernel's own gen_init_cpio writes, whatever is inside.
        Content::Directory => 2,
        _ => 1 + links.get(&inode.path).copied().unwrap_or(0),
    };
    Header {
        inode: inode_index as u32 + 1,
        mode: kind | (inode.mode & 0o7777),
        uid: inode.uid,
        gid: inode.gid,
        n_links,
        mtime: epoch,
        size: size as u32, // plan() has refused what is larger
        device,
        name: name_of(&entry.path),
    }
}

/// Names are relative; the root directory itself is `.`, with which the kernel sets the mode of `/`.
fn name_of(path: &RootPath) -> &[u8] {
    if path.is_root() { b"." } else { path.relative() }
}

struct NewcWriter<'w, W: Write> {
    out: &'w mut W,
    position: u64,
}

impl<W: Write> NewcWriter<'_, W> {
    fn write_header(&mut self, header: &Header<'_>) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(HEADER as usize + header.name.len() + 4);
        bytes.extend_from_slice(b"070701");
        let name_size = header.name.len() as u32 + 1; // plan() limits names to 4095 bytes
        let fields = [
            header.inode,
            header.mode,
            header.uid,
            header.gid,
            header.n_links,
            header.mtime,
            header.size,
            0, // device of the file system, major and minor
            0,
            header.device.0,
            header.device.1,
            name_size,
            0, // checksum, for 070702 only
        ];
        for field in fields {
            write!(bytes, "{field:08x}")?;
        }
        bytes.extend_from_slice(header.name);
        bytes.push(0);
        self.write_all(&bytes)?;
        self.pad(ALIGN)
    }

    fn pad(&mut self, alignment: u64) -> io::Result<()> {
        let n = self.position.next_multiple_of(alignment) - self.position;
        self.write_all(&[0; RECORD as usize][..n as usize])
    }

    fn finish(mut self) -> io::Result<u64> {
        self.write_header(&Header { n_links: 1, name: TRAILER, ..Header::default() })?;
        self.pad(RECORD)?;
        Ok(self.position)
    }
}

impl<W: Write> Write for NewcWriter<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.position += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::testing::{archive, directory, entry, file, hardlink, manifest};

    fn cpio(manifest: &Manifest) -> Vec<u8> {
        let bytes = archive(|contents, out| write(manifest, contents, 7, out));
        assert_eq!(bytes.len() as u64, size(manifest), "the size is known beforehand");
        bytes
    }

    #[test]
    fn a_file_is_header_name_and_data_each_padded_to_four() {
        let mut made = file("/ab", b"hello");
        (made.mode, made.uid, made.gid) = (0o4755, 1, 0xfffe);
        let bytes = cpio(&manifest(vec![made]));
        let expected = "070701\
            00000001000089ed000000010000fffe0000000100000007000000050000000000000000000000000000000000000003\
            00000000ab\0\0\0\0hello\0\0\0";
        // 110 bytes and the name with its NUL are padded to 116, the data to 8; the trailer follows.
        assert_eq!(String::from_utf8_lossy(&bytes[..expected.len()]), expected);
        assert!(bytes[expected.len()..].starts_with(b"070701"));
        assert!(bytes.len().is_multiple_of(512) && bytes.ends_with(&[0; 64]));
    }

    #[test]
    fn names_of_one_file_share_inode_owner_and_count_and_the_first_has_the_data() {
        let mut first = file("/a", b"data");
        first.mode = 0o640;
        let bytes = cpio(&manifest(vec![first, file("/b", b""), hardlink("/c", "/a"), hardlink("/d", "/a")]));
        let members = read::list(&bytes[..], 0).unwrap();
        let facts: Vec<_> = members.iter().map(|m| (m.inode, m.n_links, m.size, m.mode)).collect();
        let (one, other) = (0o100_640, 0o100_644);
        assert_eq!(facts, [(1, 3, 4, one), (2, 1, 0, other), (1, 3, 0, one), (1, 3, 0, one)]);
    }

    #[test]
    fn the_root_directory_is_a_dot_and_special_files_keep_their_numbers() {
        let device = entry("/dev/tty", Content::Char { major: 5, minor: 0x1_0002 });
        let bytes = cpio(&manifest(vec![directory("/"), directory("/dev"), device, entry("/dev/x", Content::Fifo)]));
        let members = read::list(&bytes[..], 0).unwrap();
        assert_eq!((&members[0].name[..], members[0].n_links), (&b"."[..], 2));
        assert_eq!((members[2].mode, members[2].device), (0o020_644, (5, 0x1_0002)));
        assert_eq!(members[3].mode, 0o010_644);
    }
}
