//! cpio in its old portable form, from which illumos can load its kernel, as krtld reads it.
//!
//! What is surprising: that reader takes a file for what its own member holds. A further name of a file without data,
//! as some writers leave it, is an empty file to the kernel (`usr/src/uts/common/krtld/bootrd_cpio.c`).

use super::archive::{Archive, Form, MAX_UNPACKED, Unpacked, unpack_members};
use super::members::Members;
use super::{Component, Finding, Report, Severity, VerifyError};
use crate::fetch::svr4::cpio::{Header, Stream};
use crate::pack::Compression;
use crate::pack::cpio::read::Member;
use crate::path::escaped;
use std::collections::HashSet;
use std::io::{self, Read};

const MAGIC: &[u8] = b"070707";

/// The longest target of a symlink that is read.
const MAX_TARGET: u64 = 4096;

/// Whether an archive is of this form, compressed or not.
pub(super) fn is_odc(archive: &Archive) -> bool {
    archive.head(MAGIC.len() as u64).is_ok_and(|head| head == MAGIC)
}

/// Unpacks into a fresh directory; `None`, with a finding, when the archive is damaged.
///
/// # Errors
/// What this machine refuses: no room, no permission.
pub(super) fn unpack(archive: &Archive, digests: bool, report: &mut Report) -> Result<Option<Unpacked>, VerifyError> {
    let form = Form { name: "cpio (odc)", program: "cpio", component: Component::Kernel };
    let unpacked = unpack_members(archive, &form, digests, report, |members| read(archive, members))?;
    let Some((unpacked, empty_links)) = unpacked else { return Ok(None) };
    for name in empty_links {
        let message = format!("`{}` is empty to the kernel: its data are with another name", escaped(&name));
        let hint = "krtld knows no hard links; write the archive with `minroot pack --format odc`";
        report.find(Finding::new(Severity::Harmful, Component::Kernel, message).hint(hint));
    }
    Ok(Some(unpacked))
}

/// Gives the compression, the number of members, and the further names of files that come without data.
fn read(archive: &Archive, members: &mut Members<'_>) -> io::Result<(Compression, u64, Vec<Vec<u8>>)> {
    let (compression, input) = archive.decompressed()?;
    let mut input = input.take(MAX_UNPACKED);
    let (mut n_members, mut empty_links) = (0, Vec::new());
    let mut with_data = HashSet::new();
    Stream::new(&mut input).archive(
        |error| error,
        |header, data| {
            n_members += 1;
            let member = member(header, data)?;
            if member.is_file() && header.n_links > 1 {
                if header.size > 0 {
                    with_data.insert(header.inode);
                } else {
                    empty_links.push((header.inode, header.name.clone()));
                }
            }
            members.add(&member, data)
        },
    )?;
    // Only what is read to its end has its checksums compared.
    io::copy(&mut input, &mut io::sink())?;
    empty_links.retain(|(inode, _)| with_data.contains(inode));
    Ok((compression, n_members, empty_links.into_iter().map(|(_, name)| name).collect()))
}

fn member(header: &Header, data: &mut dyn Read) -> io::Result<Member> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", escaped(&header.name)));
    let mut member = Member {
        name: header.name.clone(),
        inode: header.inode,
        mode: header.mode,
        uid: header.uid,
        gid: header.gid,
        n_links: header.n_links,
        device: header.device,
        ..Member::default()
    };
    if member.is_symlink() {
        if !(1..=MAX_TARGET).contains(&header.size) {
            return Err(invalid(&format!("a symlink with a target of {} bytes", header.size)));
        }
        data.read_to_end(&mut member.link_target)?;
        if member.link_target.len() as u64 != header.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    } else {
        member.size = u32::try_from(header.size).map_err(|_| invalid("files of 4 GiB are not read"))?;
    }
    Ok(member)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iso::Blob;
    use crate::manifest::Content;
    use crate::pack::testing::{archive, directory, entry, file, hardlink, manifest};

    fn sample() -> Vec<u8> {
        let device = entry("/d/null", Content::Char { major: 13, minor: 2 });
        let link = entry("/s", Content::Symlink { target: b"d/x".to_vec() });
        let entries = vec![file("/a", b"12345"), hardlink("/b", "/a"), directory("/d"), device, link];
        archive(|contents, out| crate::pack::cpio::odc::write(&manifest(entries), contents, 0, out))
    }

    fn unpacked(bytes: &[u8]) -> (Option<Vec<String>>, Vec<String>) {
        let archive = Archive::new(vec![Blob::from_bytes(bytes)]);
        let mut report = Report::default();
        let unpacked = unpack(&archive, true, &mut report).unwrap();
        let lines = unpacked.map(|unpacked| {
            let nodes = unpacked.tree.iter();
            nodes.map(|(path, node)| format!("{path} {:?} {:o}", node.kind, node.mode)).collect()
        });
        (lines, report.findings.into_iter().map(|finding| finding.message).collect())
    }

    #[test]
    fn members_become_a_tree_in_which_names_share_their_file() {
        assert!(is_odc(&Archive::new(vec![Blob::from_bytes(sample())])));
        let (lines, findings) = unpacked(&sample());
        assert_eq!(findings, [""; 0]);
        let expected = [
            "/a File(0) 644",
            "/b File(0) 644",
            "/d Directory 755",
            "/d/null Char { major: 13, minor: 2 } 644",
            "/s Symlink([100, 47, 120]) 644",
        ];
        assert_eq!(lines.unwrap(), expected);
    }

    #[test]
    fn a_name_without_its_data_is_told() {
        let bytes = sample();
        let text = String::from_utf8(bytes).unwrap();
        let bad = text.replacen("00000000005b\x0012345", "00000000000b\0", 1);
        assert_ne!(bad, text);
        assert_eq!(unpacked(bad.as_bytes()).1, ["`b` is empty to the kernel: its data are with another name"]);
    }

    #[test]
    fn damage_is_noticed_and_no_byte_makes_it_panic() {
        let whole = sample();
        let end = whole.windows(10).position(|bytes| bytes == b"TRAILER!!!").unwrap() + 11;
        // Loaders see zeros up to the next multiple of 4.
        for length in 6..end - 4 {
            let (lines, findings) = unpacked(&whole[..length]);
            assert!(lines.is_none() && findings[0].starts_with("cpio: "), "{length}: {lines:?} {findings:?}");
        }
        for at in 0..end {
            let mut bad = whole.clone();
            bad[at] ^= 0x45;
            unpacked(&bad);
        }
    }
}
