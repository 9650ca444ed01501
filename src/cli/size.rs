//! `minroot size`: from a manifest alone, without the root.

use super::args::Size;
use super::why::read_manifest;
use super::{Outcome, report};
use crate::explain::size::{By, Drop, tables, what_if};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;

pub fn run(options: &Size) -> anyhow::Result<Outcome> {
    let manifest = read_manifest(&options.manifest)?;
    let style = report::style(&std::io::stdout());
    let mut out = std::io::stdout().lock();
    let drop = Drop {
        paths: options.drop.iter().map(|path| path.as_bytes().to_vec()).collect(),
        rules: options.drop_rule.clone(),
        packages: options.drop_package.clone(),
    };
    if drop == Drop::default() {
        let by = if options.by.is_empty() { &By::ALL[..] } else { &options.by };
        let tables = tables(&manifest, by, options.top);
        if options.json {
            serde_json::to_writer_pretty(&mut out, &tables.iter().map(|table| table.json()).collect::<Vec<_>>())?;
            writeln!(out)?;
        } else {
            let texts: Vec<String> = tables.iter().map(|table| table.text(style).to_string()).collect();
            write!(out, "{}", texts.join("\n"))?;
        }
        return Ok(Outcome::Done);
    }
    let answer = what_if(&manifest, &drop).map_err(|error| {
        let hint = error.hint();
        report::with_optional_hint(error.into(), hint)
    })?;
    if options.json {
        serde_json::to_writer_pretty(&mut out, &answer.json())?;
        writeln!(out)?;
    } else {
        write!(out, "{}", answer.text(style, options.top))?;
    }
    Ok(if answer.broken.iter().any(|broken| broken.is_required()) { Outcome::No } else { Outcome::Done })
}
