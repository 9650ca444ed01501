//! Manifest and root to archive: one reading pass, no temporary copies, the same bytes every time.
//!
//! The order of members is the manifest's, the only time is the one the caller gives, and inode numbers are counted
//! anew, so nothing of this machine gets into an archive. An archive is written beside its final name and renamed when
//! it is whole. What is surprising: content that changed since it was traced is found *while* it is written, and ends
//! the run.

mod archive;
pub mod compress;
mod contents;
#[doc(hidden)]
pub mod cpio;
mod dir;
mod gzip;
mod measure;
pub mod oci;
mod plan;
mod tar;
pub mod ufs;

pub use compress::Compression;
pub use contents::{Change, CheckedReader, Contents};
pub use measure::measure;
pub use plan::{Warning, plan};

use crate::manifest::{Entry, Manifest};
use crate::output::{self, directory_of};
use crate::path::RootPath;
use archive::{Archive, Written};
use compress::LevelError;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// cpio newc, for an initramfs.
    #[default]
    Cpio,
    /// cpio in its old portable form, from which illumos can load its kernel modules; its root file system has to be
    /// another one, of ZFS or NFS.
    Odc,
    /// tar with pax records.
    Tar,
    /// A container image: one layer, which is tar, and what runs in it.
    Oci,
    /// The boot archive of illumos.
    Ufs,
    /// A directory of this machine.
    Dir,
}

/// How to write an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PackOptions<'c> {
    /// What is written.
    pub format: Format,
    /// How all of it is compressed; a directory cannot be, and a boot archive only with gzip.
    pub compression: Compression,
    /// [`Compression::default_level`] when absent.
    pub level: Option<i32>,
    /// The time of every member, in seconds since 1970: `SOURCE_DATE_EPOCH`. newc has 32 bits for it.
    pub epoch: u32,
    /// For [`Format::Ufs`]: what is free in the file system.
    pub reserve: ufs::Reserve,
    /// Digest the archive as it is before compression, as the illumos loader wants it beside the archive.
    pub sha1: bool,
    /// For [`Format::Oci`]: what runs in the image; nothing by itself when absent.
    pub image: Option<&'c oci::ImageConfig>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackReport {
    /// Entries of the manifest that are in it.
    pub n_entries: usize,
    /// Bytes before compression; for a directory, of all files.
    pub unpacked: u64,
    /// Bytes written.
    pub packed: u64,
    /// [`least_ram_mib`], for an initramfs and for the boot archive of illumos.
    pub least_ram_mib: Option<u64>,
    /// For [`Format::Ufs`].
    pub usage: Option<ufs::Usage>,
    /// Of the bytes before compression, when asked for.
    pub sha1: Option<[u8; 20]>,
    /// For [`Format::Oci`]: the SHA-256 of the image's manifest, by which registries know it.
    pub image: Option<[u8; 32]>,
    /// What the manifest says and the result does not have.
    pub warnings: Vec<Warning>,
}

/// Why an archive was not written. Nothing is left under its name then.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The format has no way to say what the manifest says.
    #[error("`{path}` does not fit into the archive: {reason}")]
    DoesNotFit {
        /// The entry.
        path: RootPath,
        /// In words, with the limit.
        reason: String,
    },
    /// newc has 32 bits for a size.
    #[error("`{path}` does not fit into a cpio archive: it has {size} bytes, the limit is 4 GiB - 1")]
    TooLarge {
        /// The entry.
        path: RootPath,
        /// Its bytes.
        size: u64,
    },
    /// A boot archive of illumos would be too large.
    #[error("the image would be larger than 4 GiB, below which a boot loader has to place it{}", of_that(largest))]
    ImageTooLarge {
        /// The largest file; absent when the reserve alone is too large.
        largest: Option<RootPath>,
    },
    /// UFS has 32 bits with a sign for a time.
    #[error("the time {epoch} does not fit into a UFS, which ends in January 2038")]
    TooLate {
        /// [`PackOptions::epoch`].
        epoch: u32,
    },
    /// Files of a directory are written as they are.
    #[error("a directory cannot be compressed with {0}")]
    CompressedDirectory(Compression),
    /// It unpacks gzip only.
    #[error("the loader of illumos cannot unpack {0}")]
    CompressedBootArchive(Compression),
    /// Layers are plain, gzip or zstd (OCI image specification, "Image Layer Filesystem Changeset").
    #[error("no layer of a container is compressed with {0}")]
    CompressedLayer(Compression),
    /// The image has to name a processor that container engines know.
    #[error("no container is for {}", if arch.is_empty() { "files alone: nothing in them tells a processor" } else { arch })]
    NoPlatform {
        /// [`Manifest::arch`].
        arch: String,
    },
    /// [`PackOptions::level`] is none of the compression's.
    #[error(transparent)]
    Level(#[from] LevelError),
    /// A large file of the recipe has to be given again.
    #[error("cannot pack `{path}`: the manifest does not hold its content, and no recipe gives it")]
    NotGiven {
        /// The entry.
        path: RootPath,
    },
    /// A file that was given cannot be opened.
    #[error("cannot read `{}`", file.display())]
    OpenGiven {
        /// On this machine.
        file: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The content of an entry cannot be read.
    #[error("cannot read `{path}` in the root")]
    Read {
        /// The entry.
        path: RootPath,
        /// What the operating system says.
        source: io::Error,
    },
    /// What the entry is unpacked from is damaged.
    #[error("cannot decompress `{path}` of the root")]
    Unpack {
        /// The entry.
        path: RootPath,
        /// What the operating system says.
        source: io::Error,
    },
    /// The root is no longer what was traced.
    #[error("`{path}` has changed since it was traced: {change}")]
    Changed {
        /// The entry.
        path: RootPath,
        /// What differs.
        change: Change,
    },
    /// The file system of the directory refuses an entry.
    #[error("cannot make `{path}` in the directory")]
    MakeEntry {
        /// The entry.
        path: RootPath,
        /// What the operating system says.
        source: io::Error,
    },
    /// The compressor that measures does not work.
    #[error("cannot measure what the files take in the archive")]
    Measure {
        /// What it says.
        source: io::Error,
    },
    /// The archive cannot be written.
    #[error("cannot write `{}`", file.display())]
    Write {
        /// On this machine.
        file: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

fn of_that(largest: &Option<RootPath>) -> String {
    largest.as_ref().map_or(String::new(), |path| format!("; the largest file is `{path}`"))
}

/// A name that is none of `cpio`, `odc`, `tar`, `oci`, `ufs`, `dir`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no format `{0}`: it is one of cpio, odc, tar, oci, ufs, dir")]
pub struct UnknownFormat(String);

/// Writes `manifest` to `out`: an archive, or with [`Format::Dir`] a directory; with [`Format::Oci`] a directory if `out`
/// is one, or ends in a slash.
///
/// An archive replaces a file of that name; a device or a pipe is written to as it is. A directory must be absent or
/// empty. The number of threads is that of rayon's global pool (`RAYON_NUM_THREADS`).
///
/// # Errors
/// [`PackError`]; `out` is then as it was before, unless it is a device or a pipe.
pub fn write_archive(
    manifest: &Manifest,
    contents: &Contents<'_>,
    options: &PackOptions<'_>,
    out: &Path,
) -> Result<PackReport, PackError> {
    match options.format {
        Format::Dir => return write_directory(manifest, contents, options, out),
        Format::Oci if oci::is_directory(out) => return oci::write_layout(manifest, contents, options, out),
        _ => {}
    }
    let failed = |source| PackError::Write { file: out.to_owned(), source };
    if output::is_no_file(out) {
        let mut device = File::options().write(true).open(out).map_err(failed)?;
        return write_stream(manifest, contents, options, &mut device, out);
    }
    let mut file = output::begin(out).map_err(failed)?;
    let report = match options.format {
        Format::Oci => oci::write_tar(manifest, contents, options, file.as_file_mut(), directory_of(out), out),
        _ => write_stream(manifest, contents, options, file.as_file_mut(), out),
    }?;
    output::finish(file, out).map_err(failed)?;
    Ok(report)
}

/// Writes an archive to a stream, such as the standard output; `name` is for messages.
///
/// # Errors
/// [`PackError`]; then part of the archive may have been written.
pub fn write_stream(
    manifest: &Manifest,
    contents: &Contents<'_>,
    options: &PackOptions<'_>,
    out: &mut impl Write,
    name: &Path,
) -> Result<PackReport, PackError> {
    match options.format {
        Format::Oci => oci::write_tar(manifest, contents, options, out, &std::env::temp_dir(), name),
        _ => write_packed(manifest, contents, options, out, name).map(|(report, _)| report),
    }
}

/// Writes one archive, as it is; gives the SHA-256 of the bytes before compression too, for a layer.
fn write_packed(
    manifest: &Manifest,
    contents: &Contents<'_>,
    options: &PackOptions<'_>,
    out: &mut impl Write,
    name: &Path,
) -> Result<(PackReport, Option<[u8; 32]>), PackError> {
    let level = options.compression.level(options.level)?;
    let (archive, warnings) = Archive::plan(manifest, contents, options)?;
    let usage = archive.usage();
    let written = archive
        .write_compressed(contents, options, level, out)
        .map_err(|error| PackError::from_io(error, |source| PackError::Write { file: name.to_owned(), source }))?;
    let least_ram_mib = match &archive {
        Archive::Cpio(_) => Some(least_ram_mib(manifest, written.packed, options.compression, level)),
        // The loader unpacks while it reads, and the kernel uses the image where it is.
        Archive::Ufs(_) => Some(least_ram_for(std::iter::empty(), written.unpacked, 0)),
        Archive::Odc(_) | Archive::Tar(_) => None,
    };
    let Written { unpacked, packed, sha1, sha256 } = written;
    let n_entries = manifest.entries.len();
    let report = PackReport { n_entries, unpacked, packed, least_ram_mib, usage, sha1, image: None, warnings };
    Ok((report, sha256))
}

/// The least memory, in MiB, of a machine that boots an initramfs of `packed` bytes with `rootfstype=ramfs`.
///
/// It is the archive, plus its content in whole pages, plus what the decompressor needs, plus 96 MiB for the kernel and
/// the first process. Measured on Debian 12 with a node.js image under QEMU, in steps of 8 MiB: 97.7 MB of content boot
/// with 200 MiB from a zstd archive of 26.7 MB, which leaves 81 MiB for kernel, window and process; 104.8 MB with 208
/// from 28.8 MB (81 MiB); the larger standard kernel with 280 from a plain archive (94 MiB). UEFI firmware keeps 48
/// MiB more for itself. Without `rootfstype=ramfs` the content may take half of the memory only, and unpacking stops
/// short without an error.
pub fn least_ram_mib(manifest: &Manifest, packed: u64, compression: Compression, level: i32) -> u64 {
    least_ram_for(manifest.entries.iter().map(Entry::size), packed, compression.decoder_memory(level))
}

/// [`least_ram_mib`] for files of these sizes, and a decompressor that needs so many bytes.
pub fn least_ram_for(sizes: impl Iterator<Item = u64>, packed: u64, decoder_memory: u64) -> u64 {
    const KERNEL: u64 = 96 << 20;
    const PAGE: u64 = 4096;
    let content: u64 = sizes.map(|size| size.next_multiple_of(PAGE)).sum();
    (packed + content + decoder_memory + KERNEL).div_ceil(1 << 20)
}

fn write_directory(
    manifest: &Manifest,
    contents: &Contents<'_>,
    options: &PackOptions<'_>,
    out: &Path,
) -> Result<PackReport, PackError> {
    if options.compression != Compression::None {
        return Err(PackError::CompressedDirectory(options.compression));
    }
    let mut warnings = plan(manifest, Format::Dir)?;
    warnings.extend(dir::write(&manifest.entries, contents, options.epoch, out)?);
    let n_bytes = manifest.total_bytes();
    Ok(PackReport {
        n_entries: manifest.entries.len(),
        unpacked: n_bytes,
        packed: n_bytes,
        least_ram_mib: None,
        usage: None,
        sha1: None,
        image: None,
        warnings,
    })
}

impl PackError {
    /// Takes out the error that a [`CheckedReader`] wrapped for [`io::Read`]; `otherwise` says what another one means.
    pub fn from_io(error: io::Error, otherwise: impl FnOnce(io::Error) -> PackError) -> PackError {
        error.downcast::<PackError>().unwrap_or_else(otherwise)
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            PackError::Changed { .. } => Some("trace the root again, then pack the new manifest"),
            PackError::NotGiven { .. } => Some("give the recipe that has the file as well"),
            PackError::TooLarge { .. } => Some("pack as tar, or put the file on a disk of its own"),
            PackError::ImageTooLarge { .. } => {
                Some("put large files on a disk of their own, or ask for less with `--free`")
            }
            PackError::CompressedBootArchive(_) => {
                Some("use `--compress gzip` or `--compress none` with `--format ufs` and `--format odc`")
            }
            PackError::CompressedLayer(_) => Some("use `--compress gzip`, `zstd` or `none` with `--format oci`"),
            PackError::NoPlatform { .. } => Some("add a program to what is traced"),
            PackError::CompressedDirectory(_) => Some("use `--compress none` with `--format dir`"),
            PackError::TooLate { .. } => {
                Some("set SOURCE_DATE_EPOCH to 2147483647 or less; without it every file is of 1970")
            }
            PackError::DoesNotFit { .. } => {
                Some("pack as tar, or leave it out with `exclude` in [trace] of the recipe")
            }
            PackError::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => None,
            PackError::Read { .. } => Some("give the root that was traced, or trace the root again"),
            PackError::Unpack { .. } => Some("unpack the package of this file again into the root"),
            // The text has what can be given.
            PackError::Level(_) => None,
            // What the operating system says has hints of its own.
            PackError::OpenGiven { .. }
            | PackError::MakeEntry { .. }
            | PackError::Measure { .. }
            | PackError::Write { .. } => None,
        }
    }
}

impl Format {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Format; 6] = [Format::Cpio, Format::Odc, Format::Tar, Format::Oci, Format::Ufs, Format::Dir];
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Format::Cpio => "cpio",
            Format::Odc => "odc",
            Format::Tar => "tar",
            Format::Oci => "oci",
            Format::Ufs => "ufs",
            Format::Dir => "dir",
        })
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Format, UnknownFormat> {
        Format::ALL.into_iter().find(|f| f.to_string() == text).ok_or_else(|| UnknownFormat(text.to_owned()))
    }
}

/// Small manifests for the tests of the modules below.
#[cfg(test)]
pub(crate) mod testing {
    use super::Contents;
    use crate::manifest::{Because, Content, Entry, Manifest};
    use crate::path::RootPath;
    use crate::reason::{Evidence, Kind, Reason};
    use crate::recipe::System;
    use crate::root::Root;
    use sha2::{Digest, Sha256};
    use std::io;

    pub fn path(text: &str) -> RootPath {
        RootPath::new(text).unwrap()
    }

    pub fn entry(at: &str, content: Content) -> Entry {
        let reason = Because { from: None, reason: Reason::new(Evidence::Target, Kind::Target, "") };
        let mode = if content == Content::Directory { 0o755 } else { 0o644 };
        let (path, xattrs) = (path(at), Vec::new());
        Entry { path, content, mode, uid: 0, gid: 0, xattrs, package: None, packed: None, reasons: vec![reason] }
    }

    pub fn file(at: &str, bytes: &[u8]) -> Entry {
        let (size, sha256) = (bytes.len() as u64, Sha256::digest(bytes).into());
        entry(at, Content::Generated { size, sha256, bytes: Some(bytes.to_vec()) })
    }

    pub fn directory(at: &str) -> Entry {
        entry(at, Content::Directory)
    }

    pub fn hardlink(at: &str, to: &str) -> Entry {
        entry(at, Content::Hardlink { to: path(to) })
    }

    pub fn manifest(entries: Vec<Entry>) -> Manifest {
        Manifest::new(System::Linux, "x86_64", entries)
    }

    /// What `write` writes when the root is empty.
    pub fn archive(write: impl FnOnce(&Contents<'_>, &mut Vec<u8>) -> io::Result<u64>) -> Vec<u8> {
        let empty = tempfile::tempdir().unwrap();
        let root = Root::open(empty.path()).unwrap();
        let mut bytes = Vec::new();
        let length = write(&Contents::new(&root), &mut bytes).unwrap();
        assert_eq!(length, bytes.len() as u64);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{directory, entry, file, manifest};
    use super::*;
    use crate::root::Root;

    #[test]
    fn names_of_formats_and_compressions_are_read_back() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        for compression in Compression::ALL {
            assert_eq!(compression.to_string().parse(), Ok(compression));
        }
        assert_eq!(
            "zip".parse::<Format>().unwrap_err().to_string(),
            "there is no format `zip`: it is one of cpio, odc, tar, oci, ufs, dir"
        );
        assert!("ZSTD".parse::<Compression>().is_err());
    }

    #[test]
    fn a_level_that_does_not_exist_is_refused_before_anything_is_written() {
        let scratch = tempfile::tempdir().unwrap();
        let root = Root::open(scratch.path()).unwrap();
        let options = PackOptions { compression: Compression::Gzip, level: Some(19), ..PackOptions::default() };
        let mut out = Vec::new();
        let error =
            write_stream(&manifest(vec![]), &Contents::new(&root), &options, &mut out, Path::new("x")).unwrap_err();
        assert_eq!(error.to_string(), "gzip has no level 19: it takes 1 to 9");
        assert!(out.is_empty());
    }

    #[test]
    fn b83_ram_estimate_is_above_what_was_measured_but_not_by_much() {
        let tree = |size| {
            manifest(vec![entry("/x", crate::manifest::Content::File { size, sha256: [0; 32], unpacked_from: None })])
        };
        // See the documentation of `least_ram_mib`: content, archive, measured MiB.
        let measured = [
            (97_687_095, 26_707_938, Compression::Zstd, 19, 200),
            (104_797_870, 28_768_888, Compression::Zstd, 19, 208),
            (97_687_095, 97_699_328, Compression::None, 0, 280),
        ];
        for (content, packed, compression, level, least) in measured {
            let estimate = least_ram_mib(&tree(content), packed, compression, level);
            assert!((least..least + 32).contains(&estimate), "{estimate} MiB for {least}");
        }
    }

    #[test]
    fn a_compressed_directory_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let root = Root::open(scratch.path()).unwrap();
        let options = PackOptions { format: Format::Dir, ..PackOptions::default() };
        let out = scratch.path().join("out");
        let made = manifest(vec![directory("/a"), file("/a/b", b"x")]);
        let error = write_archive(&made, &Contents::new(&root), &options, &out).unwrap_err();
        assert!(matches!(error, PackError::CompressedDirectory(Compression::Zstd)) && error.hint().is_some());
        assert!(!out.exists());
    }
}
