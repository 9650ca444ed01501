//! `minroot why`: from a manifest alone, without the root.

use super::args::Why;
use super::{Outcome, report};
use crate::explain::{Explanation, Options, explain, explain_from};
use crate::manifest::Manifest;
use crate::manifest::json::{self, Outline};
use crate::path::RootPath;
use anyhow::Context;
use std::mem::ManuallyDrop;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub fn run(options: &Why) -> anyhow::Result<Outcome> {
    let from = options.from.as_ref().map(|path| RootPath::new(path.as_bytes())).transpose();
    let from = from
        .context("--from takes an absolute path")
        .map_err(|error| report::with_hint(error, "name a file of the image, as in `--from /usr/bin/node`"))?;
    let (asked, how) = (options.path.as_bytes(), Options { all: options.all, from });
    // The program ends with the answer; to take a large manifest apart would cost time for nothing.
    let json = ManuallyDrop::new(read_bytes(&options.manifest)?);
    let outline = ManuallyDrop::new(Outline::of(&json));
    if let Some(Ok(explanation)) = outline.as_ref().map(|outline| explain_from(outline, asked, &how)) {
        return tell(options, &explanation);
    }
    let manifest = understand(&options.manifest, &json)?;
    tell(options, &explain(&manifest, asked, &how))
}

fn tell(options: &Why, explanation: &Explanation) -> anyhow::Result<Outcome> {
    report::answer(options.json.then(|| explanation.json()), |style| explanation.text(style).to_string())?;
    Ok(if explanation.is_included() { Outcome::Done } else { Outcome::No })
}

pub fn read_manifest(path: &Path) -> anyhow::Result<Manifest> {
    understand(path, &read_bytes(path)?)
}

fn read_bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read the manifest `{}`", path.display()))
}

fn understand(path: &Path, json: &[u8]) -> anyhow::Result<Manifest> {
    json::read(json).map_err(|error| {
        let hint = error.hint();
        let error = anyhow::Error::new(error).context(format!("cannot use the manifest `{}`", path.display()));
        report::with_hint(error, hint)
    })
}
