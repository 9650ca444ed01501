//! `minroot trace`: a manifest, or one of its shorter forms.

use super::args::{ManifestFormat, Trace};
use super::setting::Setting;
use super::{Outcome, progress, report};
use crate::manifest::tree::{self, View};
use crate::manifest::{Manifest, json, lists};
use crate::resolve::glibc::Cache;
use crate::trace::{self, Input};
use anyhow::Context;

pub fn run(options: &Trace) -> anyhow::Result<Outcome> {
    let setting = Setting::new(&options.inputs)?;
    let only_paths = matches!(options.format, ManifestFormat::Paths | ManifestFormat::Paths0);
    let traced = if only_paths && !setting.strict { trace_kept(&setting)? } else { trace(&setting)? };
    let output = &options.output;
    let incomplete = if only_paths {
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
            ManifestFormat::Tree => {
                let style = report::style(&std::io::stdout());
                tree::write(&manifest, View { style, ..View::default() }, out)
            }
            _ => json::write(&manifest, out),
        })
        .with_context(|| format!("cannot write `{}`", output.display()))?;
        report::missing(manifest.missing.iter())
    };
    let doubtful = is_doubtful(&setting, &traced);
    Ok(if incomplete || doubtful { Outcome::No } else { Outcome::Done })
}

/// With `--strict`, tells what cannot be known and is not accepted; whether there is anything.
pub fn is_doubtful(setting: &Setting, traced: &trace::Trace) -> bool {
    if !setting.strict {
        return false;
    }
    let accept = &setting.recipe.accept;
    let doubts = traced.doubts(accept);
    report::doubts(&doubts, accept);
    !doubts.is_empty()
}

/// Traces what the recipes and flags ask for, and tells the notes.
pub fn trace(setting: &Setting) -> anyhow::Result<trace::Trace> {
    run_trace(setting, trace::trace)
}

/// [`trace`] for those who only want to know what is kept.
fn trace_kept(setting: &Setting) -> anyhow::Result<trace::Trace> {
    run_trace(setting, trace::trace_kept)
}

fn run_trace(
    setting: &Setting,
    trace: impl FnOnce(Input<'_>) -> Result<trace::Trace, trace::TraceError>,
) -> anyhow::Result<trace::Trace> {
    let reading = progress::reading("tracing", &setting.root);
    let traced = trace(Input {
        root: &setting.root,
        rules: &setting.rules,
        recipe: &setting.recipe,
        rule_directories: &setting.rule_directories,
        cache: Cache::FromConfiguration,
    });
    drop(reading);
    let traced = traced.map_err(report::hinted(trace::TraceError::hint))?;
    traced.notes.iter().for_each(|note| report::note(note));
    Ok(traced)
}

pub fn manifest(setting: &Setting, traced: &trace::Trace) -> anyhow::Result<Manifest> {
    let _reading = progress::reading("digests", &setting.root);
    traced.manifest(&setting.root, &setting.rules).map_err(report::hinted(trace::SnapshotError::hint))
}
