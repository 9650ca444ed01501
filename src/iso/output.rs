//! Writing an image: pieces at fixed offsets, streamed into a file that gets its name when it is complete.

use super::Blob;
use crate::output;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How much is copied at a time.
const BUFFER: usize = 1 << 20;

/// A blob with its place in the image, in bytes.
#[derive(Debug, Clone)]
pub struct Piece {
    pub offset: u64,
    pub blob: Blob,
}

/// The numbers by which firmware and systems tell disks and partitions apart, derived from the content, so that equal
/// images have equal numbers and different ones differ.
#[derive(Debug, Clone, Copy)]
pub struct Identity([u8; 32]);

impl Identity {
    #[cfg(test)]
    pub fn for_test() -> Identity {
        Identity([7; 32])
    }

    pub fn fat_serial(&self) -> u32 {
        u32::from_le_bytes(self.bytes("fat serial"))
    }

    pub fn mbr_signature(&self) -> u32 {
        u32::from_le_bytes(self.bytes("mbr signature"))
    }

    pub fn disk_guid(&self) -> [u8; 16] {
        self.guid("disk")
    }

    pub fn partition_guid(&self) -> [u8; 16] {
        self.guid("partition")
    }

    /// A GUID in the byte order of a GPT, with the version (8, free form) and variant bits of RFC 9562.
    fn guid(&self, purpose: &str) -> [u8; 16] {
        let mut guid: [u8; 16] = self.bytes(purpose);
        guid[7] = guid[7] & 0x0f | 0x80;
        guid[8] = guid[8] & 0x3f | 0x80;
        guid
    }

    fn bytes<const N: usize>(&self, purpose: &str) -> [u8; N] {
        let digest = Sha256::new().chain_update(self.0).chain_update(purpose).finalize();
        std::array::from_fn(|i| digest[i])
    }
}

/// Writes an image of `size` bytes to `path`: first `pieces`, streamed; then what `late` makes of their identity. The
/// file appears under its name only when it is complete; what no piece covers is zero, and a hole on disk.
///
/// # Errors
/// The host's error; a source that became shorter meanwhile. Nothing is left behind then.
pub fn write_image(
    path: &Path,
    size: u64,
    pieces: &[Piece],
    late: impl FnOnce(&Identity) -> Vec<Piece>,
) -> io::Result<()> {
    let temporary = output::begin(path)?;
    let file = temporary.as_file();
    file.set_len(size)?;
    let mut digest = Sha256::new();
    for piece in pieces {
        copy(file, piece, &mut digest)?;
    }
    let identity = Identity(digest.finalize().into());
    for piece in late(&identity) {
        copy(file, &piece, &mut Sha256::new())?;
    }
    output::finish(temporary, path)
}

fn copy(file: &File, piece: &Piece, digest: &mut Sha256) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER.min(usize::try_from(piece.blob.len()).unwrap_or(BUFFER))];
    let zeros = vec![0; buffer.len()];
    let mut done = 0;
    digest.update(piece.offset.to_le_bytes());
    digest.update(piece.blob.len().to_le_bytes());
    while done < piece.blob.len() {
        let n = (piece.blob.len() - done).min(buffer.len() as u64);
        let chunk = &mut buffer[..n as usize];
        piece.blob.read_exact_at(done, chunk)?;
        digest.update(&*chunk);
        // A file that has just been made is zero everywhere, so a hole of the source stays one.
        if *chunk != zeros[..chunk.len()] {
            file.write_all_at(chunk, piece.offset + done)?;
        }
        done += n;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_image_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("source");
        std::fs::write(&source, [7; 5000]).unwrap();
        let blob = Blob::open(&source).unwrap();
        std::fs::write(&source, b"short").unwrap();
        let out = directory.path().join("out.iso");
        write_image(&out, 8192, &[Piece { offset: 0, blob }], |_| Vec::new()).unwrap_err();
        std::fs::remove_file(&source).unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn identity_follows_the_content() {
        let directory = tempfile::tempdir().unwrap();
        let mut serials = Vec::new();
        for content in [b"a", b"b", b"a"] {
            let pieces = [Piece { offset: 4, blob: Blob::from_bytes(*content) }];
            write_image(&directory.path().join("x"), 8, &pieces, |identity| {
                serials.push((identity.fat_serial(), identity.disk_guid()));
                assert_ne!(identity.disk_guid(), identity.partition_guid());
                Vec::new()
            })
            .unwrap();
        }
        assert_eq!(serials[0], serials[2]);
        assert_ne!(serials[0], serials[1]);
    }
}
