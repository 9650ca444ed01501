//! The first reason of a chain that the other manifest does not have.

use super::Group;
use crate::manifest::needs::{Chains, Needs, Step};
use crate::manifest::{Entry, Manifest};
use std::collections::BTreeMap;

/// Puts entries that are in `manifest` and not in `other` together by what brings them in.
pub(super) fn by_cause<'m>(manifest: &'m Manifest, other: &Manifest, positions: &[usize]) -> Vec<Group<'m>> {
    if positions.is_empty() {
        return Vec::new();
    }
    let needs = Needs::of(&manifest.entries);
    let chains = needs.chains(None);
    let mut causes = Causes { chains: &chains, manifest, other, known: vec![None; manifest.entries.len()] };
    let mut groups: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    for position in positions {
        groups.entry(causes.of(*position)).or_default().push(*position);
    }
    let group = |(cause, positions): (Option<usize>, Vec<usize>)| {
        let entries: Vec<_> = positions.iter().map(|position| &manifest.entries[*position]).collect();
        let bytes = entries.iter().fold(0u64, |bytes, entry| bytes.saturating_add(entry.size()));
        let packed = entries.iter().filter_map(|entry| entry.packed).fold(0, u64::saturating_add);
        let packed = (manifest.packed.is_some() && other.packed.is_some()).then_some(packed);
        let cause = cause.and_then(|cause| chains.last_step(cause, &manifest.entries[cause])).map(|(step, _)| step);
        Group { cause, entries, bytes, packed }
    };
    let mut groups: Vec<Group> = groups.into_iter().map(group).collect();
    // Stable: groups of one size stay in the order of the entries that brought them in.
    groups.sort_by_key(|group| std::cmp::Reverse(group.bytes));
    groups
}

struct Causes<'c, 'm> {
    chains: &'c Chains<'c>,
    manifest: &'m Manifest,
    other: &'c Manifest,
    /// By entry: the entry that the first reason of its chain leads to which the other manifest lacks, if any.
    known: Vec<Option<Option<usize>>>,
}

impl<'m> Causes<'_, 'm> {
    fn last_step(&self, to: usize) -> Option<(Step<'m>, Option<usize>)> {
        self.chains.last_step(to, &self.manifest.entries[to])
    }

    /// Chains share their beginnings, so each entry is looked at once.
    fn of(&mut self, position: usize) -> Option<usize> {
        let mut chain = vec![position];
        while let Some(&here) = chain.last() {
            match self.last_step(here) {
                Some((_, Some(referrer))) if self.known[here].is_none() => chain.push(referrer),
                _ => break,
            }
        }
        let mut cause = None;
        while let Some(here) = chain.pop() {
            let found = self.known[here].unwrap_or_else(|| cause.or_else(|| self.is_new(here).then_some(here)));
            self.known[here] = Some(found);
            cause = found;
        }
        cause
    }

    /// Whether the other manifest lacks the reason that the chain comes here by.
    fn is_new(&self, position: usize) -> bool {
        let Some((step, _)) = self.last_step(position) else { return false };
        let Some(because) = step.because else { return false };
        let there = self.other.entry(&self.manifest.entries[position].path);
        let is_there = |entry: &Entry| {
            let mut reasons = entry.reasons.iter();
            reasons.any(|other| other.from == because.from && other.reason.is_like(&because.reason))
        };
        !there.is_some_and(is_there)
    }
}
