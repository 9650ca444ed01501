//! `minroot size`: from a manifest alone, without the root.

use super::args::Size;
use super::why::read_manifest;
use super::{Outcome, report};
use crate::explain::size::{By, Drop, tables, what_if};
use std::os::unix::ffi::OsStrExt;

pub fn run(options: &Size) -> anyhow::Result<Outcome> {
    let manifest = read_manifest(&options.manifest)?;
    let drop = Drop {
        paths: options.drop.iter().map(|path| path.as_bytes().to_vec()).collect(),
        rules: options.drop_rule.clone(),
        packages: options.drop_package.clone(),
    };
    if drop == Drop::default() {
        let by = if options.by.is_empty() { &By::ALL[..] } else { &options.by };
        let tables = tables(&manifest, by, options.top);
        let json = || tables.iter().map(|table| table.json()).collect::<Vec<_>>();
        let texts = |style| tables.iter().map(|table| table.text(style).to_string()).collect::<Vec<_>>();
        report::answer(options.json.then(json), |style| texts(style).join("\n"))?;
        return Ok(Outcome::Done);
    }
    let answer = what_if(&manifest, &drop).map_err(|error| {
        let hint = error.hint();
        report::with_hint(error.into(), hint)
    })?;
    report::answer(options.json.then(|| answer.json()), |style| answer.text(style, options.top).to_string())?;
    Ok(if answer.broken.iter().any(|broken| broken.is_required()) { Outcome::No } else { Outcome::Done })
}
