//! `minroot verify`: what a finished image would say when it starts.

use super::args::Verify;
use super::why::read_manifest;
use super::{Outcome, report};
use crate::manifest::Manifest;
use crate::rules::RuleSet;
use crate::verify::{Verdict, verify, verify_as};
use std::io::Write;
use std::path::Path;

pub fn run(options: &Verify) -> anyhow::Result<Outcome> {
    let manifest = options.manifest.as_deref().map(read_manifest).transpose()?;
    let verdict = verify_as(options.system.map(Into::into), &options.image, manifest.as_ref(), &RuleSet::load(&[])?)?;
    report::answer(options.json.then(|| verdict.json()), |style| verdict.text(style).to_string())?;
    Ok(if verdict.starts() { Outcome::Done } else { Outcome::No })
}

/// Verifies as part of a longer command: only what is wrong is told. Whether the image would start.
pub fn check(image: &Path, manifest: Option<&Manifest>, rules: &RuleSet) -> anyhow::Result<bool> {
    let verdict: Verdict = verify(image, manifest, rules)?;
    if verdict.starts() {
        report::step("verify", format_args!("{} checks passed", verdict.checks.len()));
    } else {
        write!(std::io::stderr(), "{}", verdict.text(report::style(&std::io::stderr())))?;
    }
    Ok(verdict.starts())
}
