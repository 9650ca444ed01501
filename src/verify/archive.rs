//! An initramfs, unpacked in one pass: this thread decompresses and makes names, another writes the data and digests them.
//!
//! What breaks off or cannot be decompressed is told in the words of `init/initramfs.c` and of the kernel's decompressors
//! (`lib/decompress_*.c`), which print behind `Initramfs unpacking failed: `.

use super::contents;
use super::members::{Finished, Job, Members};
use super::tree::Tree;
use super::{Component, Finding, Report, Severity, VerifyError};
use crate::iso::{Blob, BlobReader};
use crate::manifest::Manifest;
use crate::pack::Compression;
use crate::pack::compress::decoder;
use crate::pack::cpio::read::{self, Segment};
use crate::pack::cpio::{Problem, ReadError};
use crate::root::Root;
use crate::text::{count, size};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::mpsc::{Receiver, sync_channel};
use tempfile::TempDir;

/// How much the compressed parts of an archive may unpack to. A machine would need as much memory; more than this is
/// meant to fill the disk.
pub(super) const MAX_UNPACKED: u64 = 8 << 30;

/// Pieces of data that wait to be written: with [`super::members::CHUNK`], 4 MiB.
const QUEUE: usize = 16;

/// Bytes read from the image at a time.
const BUFFER: usize = 1 << 18;

/// Loaders place one archive behind the other at multiples of this.
const ALIGN: u64 = 4;

/// The archives that a boot loader hands to the kernel, in order.
pub(super) struct Archive {
    parts: Vec<Blob>,
}

/// What an archive became.
pub(super) struct Unpacked {
    /// Goes away with the value.
    pub directory: TempDir,
    pub tree: Tree,
    pub segments: Vec<Segment>,
}

impl Unpacked {
    /// The files as a root, after they were compared with the manifest.
    pub(super) fn open(&self, manifest: Option<&Manifest>, report: &mut Report) -> Result<Root, VerifyError> {
        if let Some(manifest) = manifest {
            contents::compare(&self.tree, manifest, contents::Owners::Recorded, report);
        }
        let path = self.directory.path();
        // Owners, modes and device nodes are not in the directory.
        let failed = |source| VerifyError::Read { path: path.to_owned(), source };
        Root::open_with(path, self.tree.metadata()).map_err(failed)
    }
}

impl Archive {
    pub(super) fn new(parts: Vec<Blob>) -> Archive {
        Archive { parts }
    }

    /// Bytes.
    pub(super) fn len(&self) -> u64 {
        self.parts.iter().map(|part| part.len().next_multiple_of(ALIGN)).sum()
    }

    /// Up to `length` bytes from `offset` on, as the kernel sees the parts: one behind the other. Empty where they cannot
    /// be read.
    pub(super) fn bytes_at(&self, offset: u64, length: u64) -> Vec<u8> {
        let mut start = 0;
        for part in &self.parts {
            let inside = offset - start;
            if inside < part.len() {
                let blob = part.slice(inside, length.min(part.len() - inside));
                return blob.and_then(|blob| blob.read().ok()).unwrap_or_default();
            }
            start += part.len().next_multiple_of(ALIGN);
            if offset < start {
                break;
            }
        }
        Vec::new()
    }

    /// The parts one behind the other.
    pub(super) fn reader(&self) -> impl io::BufRead + '_ {
        let mut whole: Box<dyn Read> = Box::new(io::empty());
        for part in &self.parts {
            let padding = part.len().next_multiple_of(ALIGN) - part.len();
            let reader = BlobReader::new(part);
            whole = Box::new(whole.chain(reader).chain(io::repeat(0).take(padding)));
        }
        BufReader::with_capacity(BUFFER, whole)
    }

    /// The first bytes of what is in an archive that is compressed as a whole, or not: `length`, or all.
    pub(super) fn head(&self, length: u64) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        self.decompressed()?.1.take(length).read_to_end(&mut head)?;
        Ok(head)
    }

    /// What is in an archive that is compressed as a whole, or not.
    pub(super) fn decompressed(&self) -> io::Result<(Compression, Box<dyn Read + '_>)> {
        let mut input = self.reader();
        let compression = Compression::detect(input.fill_buf()?).unwrap_or(Compression::None);
        Ok((compression, decoder(compression, input)?))
    }
}

/// Unpacks into a fresh directory; `None`, with a finding, when the kernel could not unpack the whole archive.
///
/// # Errors
/// What this machine refuses: no room, no permission.
pub(super) fn unpack(archive: &Archive, digests: bool, report: &mut Report) -> Result<Option<Unpacked>, VerifyError> {
    let read = |members: &mut Members<'_>| {
        read::read(archive.reader(), MAX_UNPACKED, |member, data| members.add(member, data))
    };
    let (directory, Finished { tree, skipped }, outcome) = fill(Tree::before_archive(), digests, read)?;
    let segments = match outcome {
        Ok(segments) => segments,
        Err(ReadError { problem: Problem::Visit(source), .. }) => {
            return Err(VerifyError::Unpack { directory: std::env::temp_dir(), source });
        }
        Err(error) => {
            report.find(unpacking_failed(archive, &error));
            return Ok(None);
        }
    };
    for segment in &segments {
        let seen = format!(
            "{} in {} of {}",
            count(segment.n_members, "member"),
            size(segment.stored),
            match segment.compression {
                Compression::None => "plain cpio".to_owned(),
                compression => format!("{compression}, unpacked {}", size(segment.unpacked)),
            }
        );
        report.saw(Component::Kernel, format_args!("archive at {}", segment.offset), seen);
    }
    skipped.into_iter().for_each(|finding| report.find(finding));
    Ok(Some(Unpacked { directory, tree, segments }))
}

/// Makes a fresh directory in which `start` is there already and to which `read` adds members; gives what `read` gave.
///
/// # Errors
/// What this machine refuses.
pub(super) fn fill<T>(
    start: Tree,
    digests: bool,
    read: impl FnOnce(&mut Members<'_>) -> T,
) -> Result<(TempDir, Finished, T), VerifyError> {
    let temporary = std::env::temp_dir();
    let failed = |source| VerifyError::Unpack { directory: temporary.clone(), source };
    let directory = tempfile::Builder::new().prefix("minroot-verify-").tempdir().map_err(failed)?;
    let (sender, receiver) = sync_channel(QUEUE);
    let mut members = Members::new(directory.path(), sender, start);
    let (outcome, mut finished, written) = std::thread::scope(|scope| {
        let writer = scope.spawn(move || write(&receiver, digests));
        let outcome = read(&mut members);
        // The writer ends when its queue does.
        let finished = members.finish();
        (outcome, finished, writer.join().expect("the writer does not panic"))
    });
    // A full disk is noticed by the writer; the reader only notices that nobody takes its data any more.
    for (content, sha256) in written.map_err(failed)? {
        finished.tree.contents[content].sha256 = Some(sha256);
    }
    Ok((directory, finished, outcome))
}

/// How an archive of members is called where it is spoken of.
pub(super) struct Form {
    pub name: &'static str,
    /// The program that says what is wrong with one.
    pub program: &'static str,
    /// Who reads it.
    pub component: Component,
}

/// Unpacks an archive of members into a fresh directory; `None`, with a finding, when it is damaged. `read` gives the
/// compression, the number of members, and what its caller wants to know besides.
///
/// # Errors
/// What this machine refuses: no room, no permission.
pub(super) fn unpack_members<T>(
    archive: &Archive,
    form: &Form,
    digests: bool,
    report: &mut Report,
    read: impl FnOnce(&mut Members<'_>) -> io::Result<(Compression, u64, T)>,
) -> Result<Option<(Unpacked, T)>, VerifyError> {
    let Form { name, program, component } = form;
    let (directory, Finished { tree, skipped }, outcome) = fill(Tree::default(), digests, read)?;
    let (compression, n_members, more) = match outcome {
        Ok(done) => done,
        Err(error) => {
            let message = format!("{program}: {error}");
            let finding = Finding::new(Severity::PreventsStart, Component::Image, message);
            report.find(finding.hint("the archive is cut short or damaged; write it again"));
            return Ok(None);
        }
    };
    let packed = match compression {
        Compression::None => format!("plain {name}"),
        compression => format!("{name} in {compression}"),
    };
    let seen = format_args!("{} in {} of {packed}", count(n_members, "member"), size(archive.len()));
    report.saw(*component, "archive", seen);
    skipped.into_iter().for_each(|finding| report.find(finding));
    Ok(Some((Unpacked { directory, tree, segments: Vec::new() }, more)))
}

/// Writes what the reader sends; gives the digest of each content that was written.
fn write(jobs: &Receiver<Job>, digests: bool) -> io::Result<Vec<(usize, [u8; 32])>> {
    let mut finished = Vec::new();
    let mut current: Option<(usize, File, Sha256)> = None;
    for job in jobs {
        match job {
            Job::Begin { content, file } => {
                // A further name of a file may bring the data anew.
                file.set_len(0)?;
                current = Some((content, file, Sha256::new()));
            }
            Job::Data(bytes) => {
                if let Some((_, file, digest)) = &mut current {
                    file.write_all(&bytes)?;
                    if digests {
                        digest.update(&bytes);
                    }
                }
            }
            Job::End => {
                if let Some((content, _, digest)) = current.take()
                    && digests
                {
                    finished.push((content, digest.finalize().into()));
                }
            }
        }
    }
    Ok(finished)
}

fn unpacking_failed(archive: &Archive, error: &ReadError) -> Finding {
    let start = error.place.segment.unwrap_or(error.place.offset);
    let first = archive.bytes_at(start, ZSTD_HEADER);
    let window = zstd_window(&first).filter(|window| *window > ZSTD_WINDOW_MAX);
    let (message, hint) = match (kernel_words(&first, &error.problem), window) {
        (Some(words), Some(window)) => {
            let hint = format!("it asks for a window of {}, the kernel takes 128 MiB", size(window));
            (format!("Initramfs unpacking failed: {words}"), hint)
        }
        (Some(words), None) => (format!("Initramfs unpacking failed: {words}"), format!("{error}: {}", error.problem)),
        (None, _) => (format!("Initramfs unpacking failed: {}", error.problem), error.to_string()),
    };
    let hint = match error.problem {
        Problem::OldFormat => hint + "; as a boot archive of illumos it is checked with `--system illumos`",
        _ => hint,
    };
    Finding::new(Severity::PreventsStart, Component::Kernel, message).hint(hint)
}

/// What the kernel prints; `None` where it says nothing and merely stops, or where the problem's text is its words.
/// `first` are the first bytes of the segment.
fn kernel_words(first: &[u8], problem: &Problem) -> Option<&'static str> {
    Some(match problem {
        Problem::Magic => "no cpio magic",
        Problem::OldFormat => "incorrect cpio method used: use -H newc option",
        Problem::Padding => "broken padding",
        Problem::XzCheck(_) => "Input was encoded with settings that are not supported by this XZ decoder",
        Problem::Decompress(_) | Problem::Truncated("compressed data") => match Compression::detect(first)? {
            // What it says of a window that is too large as well: the library gives no other error.
            Compression::Zstd if zstd_window(first).is_some_and(|window| window > ZSTD_WINDOW_MAX) => {
                "ZSTD-compressed data is probably corrupt"
            }
            Compression::Zstd if matches!(problem, Problem::Truncated(_)) => "ZSTD-compressed data is truncated",
            Compression::Zstd => "ZSTD-compressed data is corrupt",
            Compression::Xz => "XZ-compressed data is corrupt",
            Compression::Gzip => "uncompression error",
            Compression::None => return None,
        },
        _ => return None,
    })
}

/// `ZSTD_WINDOWSIZE_MAX` of the kernel's `lib/decompress_unzstd.c`.
const ZSTD_WINDOW_MAX: u64 = 128 << 20;

/// The longest header of a zstd frame.
pub(super) const ZSTD_HEADER: u64 = 18;

/// The window that a zstd frame asks for, in bytes (RFC 8878 section 3.1.1.1); `None` for another format.
pub(super) fn zstd_window(frame: &[u8]) -> Option<u64> {
    let descriptor = *frame.strip_prefix(&[0x28, 0xb5, 0x2f, 0xfd])?.first()?;
    let single_segment = descriptor & 0x20 != 0;
    if !single_segment {
        let window = *frame.get(5)?;
        let base = 1u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // The window is the content, whose size follows behind the dictionary's number.
    let at = 5 + [0, 1, 2, 4][usize::from(descriptor & 3)];
    let (length, added) = [(1, 0), (2, 256), (4, 0), (8, 0)][usize::from(descriptor >> 6)];
    let field = frame.get(at..at + length)?;
    let value = field.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    value.checked_add(added)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_of_a_zstd_frame_is_that_of_its_encoder() {
        let frame = |window_log, pledged: Option<u64>| {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
            encoder.window_log(window_log).unwrap();
            encoder.include_contentsize(pledged.is_some()).unwrap();
            encoder.set_pledged_src_size(pledged).unwrap();
            encoder.write_all(&[7; 100_000]).unwrap();
            encoder.finish().unwrap()
        };
        assert_eq!(zstd_window(&frame(28, None)), Some(256 << 20));
        assert_eq!(zstd_window(&frame(12, None)), Some(4096));
        // Content that fits into the window is a single segment.
        assert_eq!(zstd_window(&frame(20, Some(100_000))), Some(100_000));
        assert_eq!(zstd_window(b"\x1f\x8b"), None);
        assert_eq!(zstd_window(b"\x28\xb5\x2f\xfd\xe0\0"), None);
    }

    #[test]
    fn parts_follow_each_other_as_loaders_place_them() {
        let archive = Archive::new(vec![Blob::from_bytes(*b"abcde"), Blob::from_bytes(*b"xyz")]);
        let mut bytes = Vec::new();
        archive.reader().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"abcde\0\0\0xyz\0");
        assert_eq!(archive.len(), 12);
        for offset in 0..12 {
            let expected = &bytes[offset..];
            let found = archive.bytes_at(offset as u64, 2);
            assert!(expected.starts_with(&found), "{offset}");
            assert_eq!(found.is_empty(), bytes[offset] == 0, "{offset}");
        }
        assert!(archive.bytes_at(99, 2).is_empty());
    }
}
