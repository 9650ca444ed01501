//! `minroot tree`: from a manifest alone, without the root.

use super::args::Tree;
use super::why::read_manifest;
use super::{Outcome, report};
use crate::explain::{Answer, Options, explain};
use crate::manifest::tree::{self, View};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub fn run(options: &Tree) -> anyhow::Result<Outcome> {
    let manifest = read_manifest(&options.manifest)?;
    let explanation = options.path.as_ref().map(|path| explain(&manifest, path.as_bytes(), &Options::default()));
    let top = match explanation.as_ref().map(|explanation| &explanation.answer) {
        None => None,
        Some(Answer::Included(included)) => Some(included.entry),
        // Why it is not in is the answer then.
        Some(_) => {
            report::answer(None::<()>, |style| explanation.iter().map(|why| why.text(style).to_string()).collect())?;
            return Ok(Outcome::No);
        }
    };
    let style = report::style(&std::io::stdout());
    let view = View { style, top, depth: options.depth, inverted: options.invert };
    report::write_output(Path::new("-"), |out| tree::write(&manifest, view, out))?;
    Ok(Outcome::Done)
}
