//! A tar archive, as tar(1) unpacks it: the file system of a zone, or what a compiler needs.
//!
//! What is surprising: an archive that is cut between two members looks whole to most readers. Its end is two blocks of
//! zeros, and without those it is told here.

use super::archive::{Archive, Form, MAX_UNPACKED, Unpacked, unpack_members};
use super::members::Members;
use super::{Component, Report, VerifyError};
use crate::pack::Compression;
use crate::pack::cpio::read::Member;
use crate::path::{RootPath, escaped};
use std::collections::HashMap;
use std::io::{self, BufReader, Read};
use tar::{Entry, EntryType};

/// Where a header says what it is (POSIX.1-2017 pax, "ustar Header Block").
pub(super) const MAGIC_AT: u64 = 257;
pub(super) const MAGIC: &[u8] = b"ustar";
const BLOCK: usize = 512;

const FILE: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const SYMLINK: u32 = 0o120_000;
const CHAR: u32 = 0o020_000;
const BLOCK_DEVICE: u32 = 0o060_000;
const FIFO: u32 = 0o010_000;

/// Whether an archive is tar, compressed or not.
pub(super) fn is_tar(archive: &Archive) -> bool {
    let head = archive.head(BLOCK as u64).unwrap_or_default();
    head.get(MAGIC_AT as usize..).is_some_and(|rest| rest.starts_with(MAGIC))
}

/// Unpacks into a fresh directory; `None`, with a finding, when the archive is damaged.
///
/// # Errors
/// What this machine refuses: no room, no permission.
pub(super) fn unpack(archive: &Archive, digests: bool, report: &mut Report) -> Result<Option<Unpacked>, VerifyError> {
    let form = Form { name: "tar", program: "tar", component: Component::Image };
    let read = |members: &mut Members<'_>| Reader::new(members).read(archive);
    Ok(unpack_members(archive, &form, digests, report, read)?.map(|(unpacked, ())| unpacked))
}

/// Members to a tree.
struct Reader<'m, 'd> {
    members: &'m mut Members<'d>,
    /// Numbers of the files so far, for hard links.
    inodes: HashMap<RootPath, u32>,
}

impl<'m, 'd> Reader<'m, 'd> {
    fn new(members: &'m mut Members<'d>) -> Reader<'m, 'd> {
        Reader { members, inodes: HashMap::new() }
    }

    /// Gives the compression and the number of members.
    fn read(&mut self, archive: &Archive) -> io::Result<(Compression, u64, ())> {
        let (compression, input) = archive.decompressed()?;
        let mut tail = Tail { input: BufReader::new(input.take(MAX_UNPACKED)), n_zeros: 0 };
        let mut n_members = 0;
        let mut entries = tar::Archive::new(&mut tail);
        for entry in entries.entries()? {
            self.add(entry?)?;
            n_members += 1;
        }
        // Only what is read to its end has its checksums compared.
        io::copy(&mut tail, &mut io::sink())?;
        if tail.n_zeros < 2 * BLOCK {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "Unexpected EOF in archive"));
        }
        Ok((compression, n_members, ()))
    }

    fn add(&mut self, mut entry: Entry<'_, impl Read>) -> io::Result<()> {
        let name = entry.path_bytes().into_owned();
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", escaped(&name)));
        let path = RootPath::new([b"/", &name[..]].concat()).map_err(|error| invalid(&error.to_string()))?;
        self.add_directories_above(&path)?;
        let header = entry.header();
        let (mode, uid, gid) = (header.mode()? & 0o7777, header.uid()?, header.gid()?);
        let kind = header.entry_type();
        // Other members may have anything in these fields.
        let device = match kind {
            EntryType::Char | EntryType::Block => (header.device_major()?, header.device_minor()?),
            _ => (None, None),
        };
        let link = entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
        let mut member = Member {
            name: path.relative().to_vec(),
            mode,
            uid: owner(&mut entry, "uid", uid).ok_or_else(|| invalid("bad owner"))?,
            gid: owner(&mut entry, "gid", gid).ok_or_else(|| invalid("bad group"))?,
            n_links: 2,
            ..Member::default()
        };
        member.mode |= match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::Link => FILE,
            EntryType::Directory => DIRECTORY,
            EntryType::Symlink => SYMLINK,
            EntryType::Char => CHAR,
            EntryType::Block => BLOCK_DEVICE,
            EntryType::Fifo => FIFO,
            other => return Err(invalid(&format!("a member of type {:?}", char::from(other.as_byte())))),
        };
        match kind {
            EntryType::Link => {
                let to = RootPath::new([b"/", &link[..]].concat()).ok();
                let inode = to.and_then(|to| self.inodes.get(&to).copied());
                member.inode = inode.ok_or_else(|| invalid("Cannot hard link: No such file or directory"))?;
                self.inodes.insert(path, member.inode);
            }
            EntryType::Regular | EntryType::Continuous => {
                member.size = u32::try_from(entry.size()).map_err(|_| invalid("files of 4 GiB are not read"))?;
                member.inode = u32::try_from(self.inodes.len() + 1).map_err(|_| invalid("too many files"))?;
                self.inodes.insert(path, member.inode);
            }
            EntryType::Symlink => member.link_target = link,
            EntryType::Char | EntryType::Block => {
                member.device = (device.0.unwrap_or_default(), device.1.unwrap_or_default());
            }
            _ => {}
        }
        self.members.add(&member, &mut entry)
    }

    /// tar(1) makes the directories that an archive leaves out.
    fn add_directories_above(&mut self, path: &RootPath) -> io::Result<()> {
        let Some(parent) = path.parent() else { return Ok(()) };
        if parent.is_root() || self.members.has(&parent) {
            return Ok(());
        }
        self.add_directories_above(&parent)?;
        let member = Member { name: parent.relative().to_vec(), mode: DIRECTORY | 0o755, ..Member::default() };
        self.members.add(&member, &mut io::empty())
    }
}

/// An owner or group, which has a pax record where it does not fit into the header.
fn owner(entry: &mut Entry<'_, impl Read>, keyword: &str, header: u64) -> Option<u32> {
    let records = entry.pax_extensions().ok()?;
    let record = records.into_iter().flatten().flatten().find(|record| record.key() == Ok(keyword));
    match record {
        Some(record) => record.value().ok()?.parse().ok(),
        None => u32::try_from(header).ok(),
    }
}

/// Counts the zeros that its input ends with.
struct Tail<R> {
    input: R,
    n_zeros: usize,
}

impl<R: Read> Read for Tail<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buffer)?;
        let zeros = buffer[..n].iter().rev().take_while(|&&byte| byte == 0).count();
        self.n_zeros = if zeros == n { self.n_zeros.saturating_add(n) } else { zeros };
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iso::Blob;
    use tar::{Builder, Header};

    fn header(kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o640);
        header.set_uid(3);
        header.set_gid(4);
        header.set_size(size);
        header.set_device_major(13).unwrap();
        header.set_device_minor(2).unwrap();
        header
    }

    fn sample() -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        builder.append_data(&mut header(EntryType::Regular, 5), "a/b/file", &b"12345"[..]).unwrap();
        builder.append_link(&mut header(EntryType::Link, 0), "again", "a/b/file").unwrap();
        builder.append_link(&mut header(EntryType::Symlink, 0), "link", "a/b").unwrap();
        builder.append_data(&mut header(EntryType::Char, 0), "null", io::empty()).unwrap();
        builder.append_data(&mut header(EntryType::Directory, 0), "a/", io::empty()).unwrap();
        builder.into_inner().unwrap()
    }

    fn unpacked(bytes: &[u8]) -> (Option<Vec<String>>, Vec<String>) {
        let archive = Archive::new(vec![Blob::from_bytes(bytes)]);
        let mut report = Report::default();
        let unpacked = unpack(&archive, true, &mut report).unwrap();
        let lines = unpacked.map(|unpacked| {
            let nodes = unpacked.tree.iter();
            nodes
                .map(|(path, node)| format!("{path} {:?} {:o} {}:{}", node.kind, node.mode, node.uid, node.gid))
                .collect()
        });
        (lines, report.findings.into_iter().map(|finding| finding.message).collect())
    }

    #[test]
    fn members_become_a_tree_with_owners_devices_and_hard_links() {
        let (lines, findings) = unpacked(&sample());
        assert_eq!(findings, [""; 0]);
        assert_eq!(
            lines.unwrap(),
            [
                "/a Directory 640 3:4",
                "/a/b Directory 755 0:0",
                "/a/b/file File(0) 640 3:4",
                "/again File(0) 640 3:4",
                "/link Symlink([97, 47, 98]) 640 3:4",
                "/null Char { major: 13, minor: 2 } 640 3:4",
            ]
        );
    }

    #[test]
    fn a_cut_archive_is_noticed_wherever_it_is_cut() {
        let whole = sample();
        for length in (0..whole.len() - 1024).step_by(256) {
            let (lines, findings) = unpacked(&whole[..length]);
            assert!(lines.is_none() && findings.len() == 1, "{length}: {lines:?}");
        }
    }

    #[test]
    fn no_changed_byte_makes_it_panic() {
        let whole = sample();
        for at in (0..whole.len()).step_by(11) {
            let mut bad = whole.clone();
            bad[at] ^= 0x41;
            unpacked(&bad);
        }
    }

    #[test]
    fn names_never_lead_out_of_the_directory() {
        let mut bytes = sample();
        bytes[..8].copy_from_slice(b"../../xx");
        let mut header = Header::from_byte_slice(&bytes[..512]).clone();
        header.set_cksum();
        bytes[..512].copy_from_slice(header.as_bytes());
        let (lines, findings) = unpacked(&bytes);
        assert!(lines.is_none() && findings[0].starts_with("tar: ../../xx"), "{lines:?} {findings:?}");
    }
}
