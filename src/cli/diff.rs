//! `minroot diff`: two manifests, without a root.

use super::args::Diff;
use super::why::read_manifest;
use super::{Outcome, report};
use crate::explain::diff::diff;
use crate::text::size;

pub fn run(options: &Diff) -> anyhow::Result<Outcome> {
    let (old, new) = (read_manifest(&options.old)?, read_manifest(&options.new)?);
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
