//! A container image: the layer that holds the files, the documents that describe it, and the layout they lie in.
//!
//! A layout is a tree of a few files, `oci-layout`, `index.json` and `blobs/sha256/…` (OCI image specification, "Image
//! Layout"), so it is made of entries like any other tree and written by the writers of tar and of directories. With
//! the `manifest.json` beside them it is also what `docker save` writes: `docker load`, `podman load` and `skopeo`
//! (`oci-archive:` and `docker-archive:`) take the tar as it is.
//!
//! What is surprising: a blob is called by its digest, which nobody knows before its last byte. So the layer grows in
//! a file of its own beside the result, and is copied from there.

mod config;
mod documents;

pub use config::ImageConfig;

use super::archive::Digested;
use super::{Contents, PackError, PackOptions, PackReport, dir, tar, write_packed};
use crate::manifest::{Content, Entry, Manifest};
use crate::output::{self, directory_of};
use crate::path::RootPath;
use documents::{Documents, LAYOUT, Platform, blob_name, layer_type};
use sha2::{Digest, Sha256};
use std::io::{BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tempfile::NamedTempFile;

/// The packed layer.
struct Layer {
    file: NamedTempFile,
    media_type: &'static str,
    /// Bytes of the blob.
    size: u64,
    /// Of the blob.
    sha256: [u8; 32],
    /// SHA-256 of the tar archive before compression.
    diff_id: [u8; 32],
}

/// Whether an image goes into a directory: where there is one, or where the slash at the end asks for one.
pub(super) fn is_directory(out: &Path) -> bool {
    out.is_dir() || out.as_os_str().as_bytes().ends_with(b"/")
}

/// Writes a layout into the directory `out`, which must not exist or be empty.
///
/// # Errors
/// As [`write_archive`](super::write_archive).
pub(super) fn write_layout(
    manifest: &Manifest,
    contents: &Contents<'_>,
    options: &PackOptions<'_>,
    out: &Path,
) -> Result<PackReport, PackError> {
    let failed = |source| PackError::Write { file: out.to_owned(), source };
    // Better to fail before the work than after it.
    output::begin_directory(out).map_err(failed)?;
    let platform = Platform::of(manifest)?;
    let (layer, mut report) = pack_layer(manifest, contents, options, directory_of(out), out)?;
    let layout = Layout::new(platform, contents, options, &layer);
    // Nobody cares whose files these are: what an ordinary user could not set is not worth a word.
    dir::write(&layout.entries, &layout.contents, options.epoch, out)?;
    report.image = Some(layout.sha256);
    report.packed = layout.entries.iter().map(Entry::size).sum();
    Ok(report)
}

/// Writes a layout as one tar archive, with the layer in `scratch` until then; `name` is for messages.
///
/// # Errors
/// As [`write_stream`](super::write_stream).
pub(super) fn write_tar(
    manifest: &Manifest,
    contents: &Contents<'_>,
    options: &PackOptions<'_>,
    out: &mut impl Write,
    scratch: &Path,
    name: &Path,
) -> Result<PackReport, PackError> {
    let platform = Platform::of(manifest)?;
    let (layer, mut report) = pack_layer(manifest, contents, options, scratch, name)?;
    let layout = Layout::new(platform, contents, options, &layer);
    let mut out = BufWriter::new(out);
    let written = tar::write(&layout.entries, &layout.contents, options.epoch, &mut out);
    let written = written.and_then(|n_bytes| out.flush().map(|()| n_bytes));
    let failed = |source| PackError::Write { file: name.to_owned(), source };
    report.image = Some(layout.sha256);
    report.packed = written.map_err(|error| PackError::from_io(error, failed))?;
    Ok(report)
}

/// Packs the files of the manifest into a new file in `scratch`.
fn pack_layer(
    manifest: &Manifest,
    contents: &Contents<'_>,
    options: &PackOptions<'_>,
    scratch: &Path,
    name: &Path,
) -> Result<(Layer, PackReport), PackError> {
    let failed = |source| PackError::Write { file: name.to_owned(), source };
    let media_type = layer_type(options.compression).ok_or(PackError::CompressedLayer(options.compression))?;
    let file = output::begin(&scratch.join(".minroot-layer")).map_err(failed)?;
    let mut digested = Digested { out: file.as_file(), digest: Some(Sha256::new()) };
    let (report, diff_id) = write_packed(manifest, contents, options, &mut digested, name)?;
    let sha256 = digested.digest.unwrap_or_default().finalize().into();
    let diff_id = diff_id.expect("layers are digested");
    Ok((Layer { file, media_type, size: report.packed, sha256, diff_id }, report))
}

/// An image as a tree of files.
struct Layout<'r> {
    /// Sorted by path.
    entries: Vec<Entry>,
    contents: Contents<'r>,
    /// Of the image's manifest.
    sha256: [u8; 32],
}

impl<'r> Layout<'r> {
    fn new(platform: Platform, contents: &Contents<'r>, options: &PackOptions<'_>, layer: &Layer) -> Layout<'r> {
        let nothing = ImageConfig::default();
        let image = options.image.unwrap_or(&nothing);
        let documents = Documents::new(platform, image, layer, options.epoch);
        let sha256 = Sha256::digest(&documents.manifest).into();
        let blob = path(&blob_name(&layer.sha256));
        let mut contents = contents.clone();
        contents.give(blob.clone(), layer.file.path().to_owned());
        let blobs =
            [documents.config, documents.manifest].map(|bytes| (blob_name(&Sha256::digest(&bytes).into()), bytes));
        let [index, docker, layout] =
            [("index.json", documents.index), ("manifest.json", documents.docker), ("oci-layout", LAYOUT.to_vec())]
                .map(|(name, bytes)| (name.to_owned(), bytes));
        let mut entries: Vec<Entry> =
            ["blobs", "blobs/sha256"].map(|name| entry(path(name), Content::Directory, 0o755)).into();
        entries.extend(blobs.into_iter().chain([index, docker, layout]).map(|(name, bytes)| {
            let (size, sha256) = (bytes.len() as u64, Sha256::digest(&bytes).into());
            entry(path(&name), Content::Generated { size, sha256, bytes: Some(bytes) }, 0o644)
        }));
        entries.push(entry(blob, Content::Generated { size: layer.size, sha256: layer.sha256, bytes: None }, 0o644));
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Layout { entries, contents, sha256 }
    }
}

fn path(name: &str) -> RootPath {
    name.split('/').fold(RootPath::root(), |path, component| path.join(component.as_bytes()))
}

/// An entry of a layout, which belongs to root and has no reason but the layout.
fn entry(path: RootPath, content: Content, mode: u32) -> Entry {
    Entry { path, content, mode, uid: 0, gid: 0, xattrs: Vec::new(), package: None, packed: None, reasons: Vec::new() }
}
