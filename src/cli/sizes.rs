//! `--sizes-to`: the manifest of an archive with what each file takes in it.

use super::args::Compress;
use super::{progress, report};
use crate::manifest::{Manifest, json};
use crate::output;
use crate::pack::{Contents, PackError, PackOptions, PackReport, measure};
use anyhow::Context;
use std::path::Path;

/// Tells before the work that the manifest with sizes cannot be written.
pub fn check_sizes(compress: &Compress) -> anyhow::Result<()> {
    match &compress.sizes_to {
        Some(file) if !output::is_no_file(file) && file != Path::new("-") => {
            output::begin(file).map(drop).with_context(|| format!("cannot write `{}`", file.display()))
        }
        _ => Ok(()),
    }
}

/// Writes the manifest of an archive with what each file takes in it, where that is asked for.
pub fn write_sizes(
    manifest: &Manifest,
    contents: &Contents<'_>,
    pack: &PackOptions<'_>,
    packed: &PackReport,
    compress: &Compress,
) -> anyhow::Result<()> {
    let Some(file) = &compress.sizes_to else { return Ok(()) };
    let mut manifest = manifest.clone();
    let reading = progress::reading("measuring", contents.root());
    measure(&mut manifest, contents, pack, packed).map_err(report::hinted(PackError::hint))?;
    drop(reading);
    report::write_output(file, |out| json::write(&manifest, out))
        .with_context(|| format!("cannot write `{}`", file.display()))
}
