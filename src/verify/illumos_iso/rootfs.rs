//! The boot archive as the kernel gets it: what it is when it is decompressed, and its digest.
//!
//! The loaders decompress gzip on the way, the first member only (libsa's `gzipfs.c`), and hand over anything else
//! as it is. krtld then tries the file systems that it can read by itself (`usr/src/uts/common/krtld/bootrd.c`), and the
//! kernel mounts the archive as ufs on `/ramdisk:a`, unless the property `fstype` says otherwise.

use crate::iso::{Blob, BlobReader};
use flate2::bufread::GzDecoder;
use sha1::{Digest, Sha1};
use std::io::{self, Read};

/// Bytes read at a time.
const BUFFER: usize = 1 << 18;

/// `FS_MAGIC` and where it is: in the superblock at byte 8192 (usr/src/uts/common/sys/fs/ufs_fs.h).
const UFS_MAGIC: [u8; 4] = 0x0001_1954_u32.to_le_bytes();
const UFS_MAGIC_AT: usize = 8192 + 1372;
/// ISO 9660's name in its first descriptor.
const HSFS_MAGIC_AT: usize = 16 * 2048 + 1;

/// How much of the beginning tells what an archive is.
const HEAD: usize = HSFS_MAGIC_AT + 5;

/// What the kernel finds in its ramdisk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ufs,
    /// ISO 9660.
    Hsfs,
    /// cpio in the old portable format, which krtld reads and the kernel cannot mount.
    Odc,
    /// Something that only another system reads.
    Unknown,
}

/// An archive that was read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RootArchive {
    pub kind: Kind,
    pub is_compressed: bool,
    /// Of what the kernel gets.
    pub sha1: [u8; 20],
    /// Bytes of what the kernel gets.
    pub length: u64,
    /// Bytes of the file behind its first gzip member, which no loader reads.
    pub left_over: u64,
}

/// Reads an archive once.
///
/// # Errors
/// Damaged gzip data; the host's errors.
pub(super) fn read(archive: &Blob) -> io::Result<RootArchive> {
    let mut magic = [0; 2];
    let is_compressed = archive.read_exact_at(0, &mut magic).is_ok() && magic == [0x1f, 0x8b];
    let file = io::BufReader::with_capacity(BUFFER, BlobReader::new(archive));
    if !is_compressed {
        let (kind, sha1, length) = digest(file)?;
        return Ok(RootArchive { kind, is_compressed, sha1, length, left_over: 0 });
    }
    // `bufread` stops right behind the member.
    let mut decoder = GzDecoder::new(file);
    let (kind, sha1, length) = digest(&mut decoder)?;
    let mut rest = decoder.into_inner();
    let mut left_over = Vec::new();
    Read::by_ref(&mut rest).take(BUFFER as u64).read_to_end(&mut left_over)?;
    let left_over = left_over.iter().filter(|&&byte| byte != 0).count() as u64;
    Ok(RootArchive { kind, is_compressed, sha1, length, left_over })
}

fn digest(mut input: impl Read) -> io::Result<(Kind, [u8; 20], u64)> {
    let mut digest = Sha1::new();
    let mut head = Vec::new();
    let mut buffer = vec![0; BUFFER];
    let mut length = 0;
    loop {
        let n = match input.read(&mut buffer) {
            Ok(0) => return Ok((kind(&head), digest.finalize().into(), length)),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        digest.update(&buffer[..n]);
        head.extend_from_slice(&buffer[..n.min(HEAD - head.len())]);
        length += n as u64;
    }
}

fn kind(head: &[u8]) -> Kind {
    let has = |at: usize, magic: &[u8]| head.get(at..at + magic.len()) == Some(magic);
    if has(UFS_MAGIC_AT, &UFS_MAGIC) {
        Kind::Ufs
    } else if has(HSFS_MAGIC_AT, b"CD001") {
        Kind::Hsfs
    } else if has(0, b"070707") {
        Kind::Odc
    } else {
        Kind::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn archive(at: usize, magic: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 40_000];
        bytes[at..at + magic.len()].copy_from_slice(magic);
        bytes
    }

    #[test]
    fn an_archive_is_known_by_what_is_in_it_compressed_or_not() {
        for (bytes, expected) in [
            (archive(UFS_MAGIC_AT, &UFS_MAGIC), Kind::Ufs),
            (archive(HSFS_MAGIC_AT, b"CD001"), Kind::Hsfs),
            (b"070707".to_vec(), Kind::Odc),
            (b"070701".to_vec(), Kind::Unknown),
            (Vec::new(), Kind::Unknown),
        ] {
            let plain = read(&Blob::from_bytes(&bytes[..])).unwrap();
            let packed = read(&Blob::from_bytes(gzip(&bytes))).unwrap();
            assert_eq!((plain.kind, plain.length), (expected, bytes.len() as u64));
            assert_eq!(plain.sha1, <[u8; 20]>::from(Sha1::digest(&bytes)));
            assert_eq!(RootArchive { is_compressed: true, ..plain }, packed);
        }
    }

    #[test]
    fn loaders_read_the_first_member_only() {
        let both = [gzip(b"first"), gzip(b"second")].concat();
        let found = read(&Blob::from_bytes(both)).unwrap();
        assert_eq!(found.length, 5);
        assert!(found.left_over > 0);
        let padded = [gzip(b"first"), vec![0; 2000]].concat();
        assert_eq!(read(&Blob::from_bytes(padded)).unwrap().left_over, 0);
    }

    #[test]
    fn cut_compressed_data_is_an_error() {
        let whole = gzip(&archive(UFS_MAGIC_AT, &UFS_MAGIC));
        for length in 2..whole.len() {
            assert!(read(&Blob::from_bytes(&whole[..length])).is_err(), "{length}");
        }
    }
}
