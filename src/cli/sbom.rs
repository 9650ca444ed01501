//! `minroot sbom`: the packages and files of an image for those who ask what is in it.

use super::args::{Sbom, SbomFormat};
use super::images::contents;
use super::why::read_manifest;
use super::{Outcome, report, setting};
use crate::recipe::Recipe;
use crate::sbom::{self, SbomError};
use crate::text::count;
use anyhow::Context;
use serde::Serialize;
use std::io::{self, Write};

pub fn run(options: &Sbom) -> anyhow::Result<Outcome> {
    let manifest = read_manifest(&options.manifest)?;
    let root = options.root.as_deref().map(setting::open_root).transpose()?;
    let recipe = Recipe::load(&options.recipes)?;
    let contents = root.as_ref().map(|root| contents(root, &recipe));
    let name = options.manifest.file_stem().unwrap_or_default().to_string_lossy();
    let read = root.as_ref().zip(contents.as_ref());
    let sbom = sbom::Sbom::new(&manifest, read, &name, setting::epoch()?).map_err(report::hinted(SbomError::hint))?;
    let written = match options.format {
        SbomFormat::Spdx => {
            let document = sbom.spdx().map_err(report::hinted(SbomError::hint))?;
            report::write_output(&options.output, |out| write(&document, out))
        }
        SbomFormat::Cyclonedx => report::write_output(&options.output, |out| write(&sbom.cyclonedx(), out)),
    };
    written.with_context(|| format!("cannot write `{}`", options.output.display()))?;
    let (packages, files) = (sbom.packages.len() as u64, sbom.files.len() as u64);
    report::step("sbom", format_args!("{}, {}", count(packages, "package"), count(files, "file")));
    Ok(Outcome::Done)
}

fn write(document: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, document)?;
    writeln!(out)
}
