//! `minroot why`: from a manifest alone, without the root.

use super::args::Why;
use super::{Outcome, report};
use crate::explain::{Options, explain};
use crate::manifest::{Manifest, json};
use crate::path::RootPath;
use anyhow::Context;
use std::mem::ManuallyDrop;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub fn run(options: &Why) -> anyhow::Result<Outcome> {
    // The program ends with the answer; to take a large manifest apart would take a tenth of its time.
    let manifest = ManuallyDrop::new(read_manifest(&options.manifest)?);
    let from = options.from.as_ref().map(|path| RootPath::new(path.as_bytes())).transpose();
    let from = from.context("--from takes an absolute path")?;
    let explanation = explain(&manifest, options.path.as_bytes(), &Options { all: options.all, from });
    report::answer(options.json.then(|| explanation.json()), |style| explanation.text(style).to_string())?;
    Ok(if explanation.is_included() { Outcome::Done } else { Outcome::No })
}

pub fn read_manifest(path: &Path) -> anyhow::Result<Manifest> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read the manifest `{}`", path.display()))?;
    json::read(&bytes).map_err(|error| {
        let hint = error.hint();
        let error = anyhow::Error::new(error).context(format!("cannot use the manifest `{}`", path.display()));
        report::with_hint(error, hint)
    })
}
