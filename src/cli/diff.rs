//! `minroot diff`: two manifests, without a root; or a manifest and an image.

use super::args::Diff;
use super::why::read_manifest;
use super::{Outcome, report};
use crate::explain::diff::diff;
use crate::manifest::Manifest;
use crate::rules::RuleSet;
use crate::text::size;
use crate::verify::read_back;
use std::io::Read;
use std::path::Path;

pub fn run(options: &Diff) -> anyhow::Result<Outcome> {
    let old = read_manifest(&options.old)?;
    let new = if is_manifest(&options.new) { read_manifest(&options.new)? } else { read_image(&options.new, &old)? };
    let difference = diff(&old, &new);
    report::answer(options.json.then(|| difference.json()), |style| difference.text(style).to_string())?;
    let Some(budget) = options.max_bytes else {
        return Ok(if difference.is_empty() { Outcome::Done } else { Outcome::No });
    };
    let Some(over) = difference.new_bytes.checked_sub(budget).filter(|over| *over > 0) else {
        return Ok(Outcome::Done);
    };
    report::note(&format!("`{}` is {} over the budget", options.new.display(), size(over)));
    Ok(Outcome::No)
}

/// Whether the file is JSON and not an image, none of which begins with a brace. What is not there is no image either.
fn is_manifest(path: &Path) -> bool {
    let mut first = [0; 1];
    match std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut first)) {
        Ok(()) => first == *b"{" || first[0].is_ascii_whitespace(),
        Err(_) => !path.is_dir(),
    }
}

/// What an image holds.
fn read_image(path: &Path, old: &Manifest) -> anyhow::Result<Manifest> {
    read_back(path, old, &RuleSet::load(&[])?)?.ok_or_else(|| {
        let error = anyhow::anyhow!("there is nothing in `{}` to compare with", path.display());
        report::with_hint(error, format!("`minroot verify {}` says what is wrong with it", path.display()))
    })
}
