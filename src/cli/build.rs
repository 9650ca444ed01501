//! `minroot build`: everything from packages to an ISO, or a tree for the network, that has been read back.

use super::args::Build;
use super::images::Medium;
use super::setting::Setting;
use super::{Outcome, boot, images, report, trace, verify};
use crate::boot::is_available;
use crate::manifest::json;
use anyhow::Context;

pub fn run(options: &Build) -> anyhow::Result<Outcome> {
    let medium = if options.pxe { Medium::NetworkTree } else { Medium::Iso };
    medium.check(&options.output, &options.compress)?;
    let setting = Setting::new(&options.inputs)?;
    let traced = trace::trace(&setting)?;
    let manifest = trace::manifest(&setting, &traced)?;
    images::tell_traced(&manifest);
    if let Some(path) = &options.manifest {
        report::write_output(path, |out| json::write(&manifest, out))
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    let what = medium.word();
    if report::missing(manifest.missing.iter()) {
        report::note(&format!("no {what} is written, because what is missing is required"));
        return Ok(Outcome::No);
    }
    if trace::is_doubtful(&setting, &traced) {
        report::note(&format!("no {what} is written, because of --strict"));
        return Ok(Outcome::No);
    }
    let packed = medium.write(&manifest, &setting.root, &setting.recipe, &options.compress, &options.output)?;
    if !verify::check(&options.output, Some(&manifest), &setting.rules)? {
        return Ok(Outcome::No);
    }
    let least = u32::try_from(packed.least_ram_mib.unwrap_or_default())?;
    report::step("done", format_args!("{}: needs {least} MiB of memory", options.output.display()));
    if options.boot {
        return boot::start(&options.output, &setting.recipe, &options.machine, least, false);
    }
    if let (false, Err(error)) = (options.pxe, is_available()) {
        report::note(&format!("{error}; {}", error.hint().unwrap_or_default()));
    }
    Ok(Outcome::Done)
}
