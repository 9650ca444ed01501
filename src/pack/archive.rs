//! A manifest to one stream of bytes: the format, its digest and its compressor one behind the other.

use super::compress::{Encoder, Expected};
use super::contents::BUFFER;
use super::{Compression, Contents, Format, PackError, PackOptions, Warning, cpio, plan, tar, ufs};
use crate::manifest::Manifest;
use sha1::{Digest, Sha1};
use sha2::Sha256;
use std::io::{self, BufWriter, Write};

/// An archive with all that has to be known before its first byte.
pub(super) enum Archive<'m> {
    Cpio(&'m Manifest),
    Odc(&'m Manifest),
    Tar(&'m Manifest),
    Ufs(Box<ufs::Plan<'m>>),
}

/// What became of an archive.
pub(super) struct Written {
    /// Bytes before and after compression.
    pub unpacked: u64,
    pub packed: u64,
    /// Of the bytes before compression, when asked for.
    pub sha1: Option<[u8; 20]>,
    /// Of the bytes before compression, for the layer of a container.
    pub sha256: Option<[u8; 32]>,
}

impl<'m> Archive<'m> {
    /// Plans an archive, and tells what of the manifest it will not have.
    ///
    /// # Errors
    /// What the format cannot hold; for a UFS, also a large file that cannot be read.
    pub(super) fn plan(
        manifest: &'m Manifest,
        contents: &Contents<'_>,
        options: &PackOptions<'_>,
    ) -> Result<(Archive<'m>, Vec<Warning>), PackError> {
        let is_boot_archive = matches!(options.format, Format::Ufs | Format::Odc);
        if is_boot_archive && !matches!(options.compression, Compression::None | Compression::Gzip) {
            return Err(PackError::CompressedBootArchive(options.compression));
        }
        Ok(match options.format {
            Format::Cpio | Format::Dir => (Archive::Cpio(manifest), plan(manifest, options.format)?),
            Format::Odc => (Archive::Odc(manifest), plan(manifest, options.format)?),
            Format::Tar | Format::Oci => (Archive::Tar(manifest), plan(manifest, options.format)?),
            Format::Ufs => {
                let plan = ufs::Plan::new(manifest, contents, options.reserve, options.epoch)?;
                let warnings = plan.warnings().to_vec();
                (Archive::Ufs(Box::new(plan)), warnings)
            }
        })
    }

    /// How full the file system is, for a UFS.
    pub(super) fn usage(&self) -> Option<ufs::Usage> {
        match self {
            Archive::Ufs(plan) => Some(plan.usage()),
            Archive::Cpio(_) | Archive::Odc(_) | Archive::Tar(_) => None,
        }
    }

    /// Its size, where that is known.
    fn size(&self) -> Option<u64> {
        match self {
            Archive::Cpio(manifest) => Some(cpio::size(manifest)),
            Archive::Odc(manifest) => Some(cpio::odc::size(manifest)),
            Archive::Tar(_) => None,
            Archive::Ufs(plan) => Some(plan.usage().size),
        }
    }

    fn is_x86(&self) -> bool {
        matches!(self, Archive::Cpio(manifest) | Archive::Tar(manifest) if manifest.arch == "x86_64")
    }

    /// Writes the archive as it is; gives the number of bytes.
    ///
    /// # Errors
    /// As [`Archive::write_compressed`].
    pub(super) fn write(&self, contents: &Contents<'_>, epoch: u32, out: &mut impl Write) -> io::Result<u64> {
        match self {
            Archive::Cpio(manifest) => cpio::write(manifest, contents, epoch, out),
            Archive::Odc(manifest) => cpio::odc::write(manifest, contents, epoch, out),
            Archive::Tar(manifest) => tar::write(&manifest.entries, contents, epoch, out),
            Archive::Ufs(plan) => plan.write(contents, out),
        }
    }

    /// Writes the archive through its compressor.
    ///
    /// # Errors
    /// About reading they hold a [`PackError`], about writing they are those of `out`.
    pub(super) fn write_compressed(
        &self,
        contents: &Contents<'_>,
        options: &PackOptions<'_>,
        level: i32,
        out: &mut impl Write,
    ) -> io::Result<Written> {
        let expected = Expected { size: self.size(), x86: self.is_x86() };
        let counted = Counted { out: BufWriter::with_capacity(BUFFER, out), n_bytes: 0 };
        let encoder = Encoder::new(counted, options.compression, level, expected, rayon::current_num_threads())?;
        let sha1 = Digested { out: encoder, digest: options.sha1.then(Sha1::new) };
        let mut digested = Digested { out: sha1, digest: (options.format == Format::Oci).then(Sha256::new) };
        let unpacked = self.write(contents, options.epoch, &mut digested)?;
        let Digested { out: Digested { out: encoder, digest: sha1 }, digest: sha256 } = digested;
        let mut counted = encoder.finish()?;
        counted.out.flush()?;
        let sha1 = sha1.map(|digest| digest.finalize().into());
        let sha256 = sha256.map(|digest| digest.finalize().into());
        Ok(Written { unpacked, packed: counted.n_bytes, sha1, sha256 })
    }
}

/// Counts what passes.
pub(super) struct Counted<W> {
    pub out: W,
    pub n_bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.n_bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Digests what passes, when it is asked to.
pub(super) struct Digested<W, D> {
    pub out: W,
    pub digest: Option<D>,
}

impl<W: Write, D: Digest> Write for Digested<W, D> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        if let Some(digest) = &mut self.digest {
            digest.update(&bytes[..n]);
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
