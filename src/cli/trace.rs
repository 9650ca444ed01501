//! `minroot trace`: a manifest, or one of its shorter forms.

use super::args::{ManifestFormat, Trace};
use super::setting::Setting;
use super::{Outcome, report};
use crate::manifest::{Manifest, json, lists, tree};
use crate::resolve::glibc::Cache;
use crate::trace::{self, Input};
use anyhow::Context;

pub fn run(options: &Trace) -> anyhow::Result<Outcome> {
    let setting = Setting::new(&options.inputs)?;
    let traced = trace(&setting)?;
    let output = &options.output;
    let incomplete = if matches!(options.format, ManifestFormat::Paths | ManifestFormat::Paths0) {
        // The paths alone need no look into the files, which is most of the work.
        let kept = traced.kept();
        report::write_output(output, |out| match options.format {
            ManifestFormat::Paths0 => lists::paths0(&kept, out),
            _ => lists::paths(&kept, out),
        })
        .with_context(|| format!("cannot write `{}`", output.display()))?;
        report::missing(traced.missing.iter())
    } else {
        let manifest = manifest(&setting, &traced)?;
        report::write_output(output, |out| match options.format {
            ManifestFormat::Tree => tree::write(&manifest, report::style(&std::io::stdout()), out),
            _ => json::write(&manifest, out),
        })
        .with_context(|| format!("cannot write `{}`", output.display()))?;
        report::missing(manifest.missing.iter())
    };
    Ok(if incomplete { Outcome::No } else { Outcome::Done })
}

/// Traces what the recipes and flags ask for, and tells the notes.
pub fn trace(setting: &Setting) -> anyhow::Result<trace::Trace> {
    let input = Input {
        root: &setting.root,
        rules: &setting.rules,
        recipe: &setting.recipe,
        rule_directories: &setting.rule_directories,
        cache: Cache::FromConfiguration,
    };
    let traced = trace::trace(input).map_err(|error| {
        let hint = error.hint();
        report::with_optional_hint(error.into(), hint)
    })?;
    traced.notes.iter().for_each(|note| report::note(note));
    Ok(traced)
}

pub fn manifest(setting: &Setting, traced: &trace::Trace) -> anyhow::Result<Manifest> {
    Ok(traced.manifest(&setting.root, &setting.rules)?)
}
