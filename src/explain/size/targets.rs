//! Which target each file is in for: of one only, or of several.
//!
//! A target that is needed by another target stays when that one goes, so the chains from a target end at the next
//! one. Seen so, what only one target leads to is exactly what it retains, and one pass finds it for all targets.

use super::{Label, Row, files};
use crate::manifest::Manifest;
use crate::manifest::needs::Needs;
use crate::manifest::totals::Tally;
use rayon::prelude::*;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Nobody,
    /// The position of the target.
    One(usize),
    Several,
}

/// A row for each target, one for what several need, and one for what none leads to.
pub(super) fn rows<'m>(manifest: &'m Manifest, needs: &Needs) -> Vec<Row<'m>> {
    let owners = owners(manifest, needs);
    let mut sums = vec![Tally::default(); manifest.entries.len()];
    let (mut shared, mut unreached) = (Tally::default(), Tally::default());
    for (position, entry) in files(manifest) {
        let sum = match owners[position] {
            Owner::One(target) => &mut sums[target],
            Owner::Several => &mut shared,
            Owner::Nobody => &mut unreached,
        };
        sum.add(Tally::of(entry));
    }
    let of_targets = needs.targets().map(|target| {
        let label = Label::Path(manifest.entries[target].path.clone());
        Row { label, sum: sums[target], whole: None }
    });
    let others = [(Label::Shared, shared), (Label::Unreached, unreached)].into_iter().filter(|(_, sum)| sum.files > 0);
    of_targets.chain(others.map(|(label, sum)| Row { label, sum, whole: None })).collect()
}

/// Adds to rows of targets the sum of all that the target leads to. That is a walk for each, so it is done for the
/// rows that are shown.
pub(super) fn add_shared(manifest: &Manifest, needs: &Needs, rows: &mut [Row]) {
    rows.par_iter_mut().for_each(|row| {
        let Label::Path(path) = &row.label else { return };
        let Some(target) = needs.position(path) else { return };
        let mut reached = vec![false; manifest.entries.len()];
        reached[target] = true;
        let (mut stack, mut whole) = (vec![target], Tally::default());
        while let Some(here) = stack.pop() {
            whole.add(Tally::of(&manifest.entries[here]));
            for edge in needs.edges(here) {
                if !std::mem::replace(&mut reached[edge.to], true) {
                    stack.push(edge.to);
                }
            }
        }
        row.whole = Some(whole);
    });
}

/// Each entry changes hands at most twice, so the pass ends after two visits of every edge.
fn owners(manifest: &Manifest, needs: &Needs) -> Vec<Owner> {
    let mut owners = vec![Owner::Nobody; manifest.entries.len()];
    let mut is_target = vec![false; manifest.entries.len()];
    let mut stack: Vec<usize> = needs.targets().collect();
    for target in &stack {
        owners[*target] = Owner::One(*target);
        is_target[*target] = true;
    }
    while let Some(here) = stack.pop() {
        for edge in needs.edges(here).filter(|edge| !is_target[edge.to]) {
            let owner = match owners[edge.to] {
                Owner::Nobody => owners[here],
                same if same == owners[here] => continue,
                Owner::Several => continue,
                Owner::One(_) => Owner::Several,
            };
            owners[edge.to] = owner;
            stack.push(edge.to);
        }
    }
    owners
}
