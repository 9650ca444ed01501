//! What differs between two manifests, and why: the answer of `minroot diff`.
//!
//! An added entry is in for the first reason on its shortest chain that the old manifest does not have; a removed one
//! is out for the first that the new one does not have. Entries with the same such *cause* stand together, because one
//! new NEEDED can bring in dozens of files. Reasons alone make no difference: an entry that is in for others than before
//! is the same in the image.

mod cause;
mod change;
mod json;
mod packed;
mod text;

pub use change::{Change, Field};
pub use packed::PackedDifference;

use crate::manifest::needs::Step;
use crate::manifest::{Boot, Entry, Manifest, Missing};
use cause::by_cause;

/// The difference between two manifests. [`Difference::text`] and [`Difference::json`] show it.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference<'m> {
    /// Bytes of content.
    pub old_bytes: u64,
    /// Bytes of content in the new manifest.
    pub new_bytes: u64,
    /// The archives, where both were measured. Their sizes alone make no difference.
    pub packed: Option<PackedDifference<'m>>,
    /// What is only in the new manifest, the most bytes first.
    pub added: Vec<Group<'m>>,
    /// What is only in the old manifest, the most bytes first.
    pub removed: Vec<Group<'m>>,
    /// What is in both and differs, in the order of the paths.
    pub changed: Vec<Change<'m>>,
    /// How the images start, when that differs.
    pub boot: Option<(Option<&'m Boot>, Option<&'m Boot>)>,
    /// References that lead nowhere in the new manifest only.
    pub now_missing: Vec<&'m Missing>,
    /// References that led nowhere in the old manifest only.
    pub no_longer_missing: Vec<&'m Missing>,
}

/// Entries that came or went for one cause.
#[derive(Debug, Clone, PartialEq)]
pub struct Group<'m> {
    /// The reason that appeared or vanished, and the entry it led to; `None` when no chain of reasons leads there.
    pub cause: Option<Step<'m>>,
    /// In the order of their paths.
    pub entries: Vec<&'m Entry>,
    /// Of the entries; saturates at the largest `u64`.
    pub bytes: u64,
    /// Bytes of the archive that they take, where both archives were measured.
    pub packed: Option<u64>,
}

impl Difference<'_> {
    /// Whether the images would be the same; decides the exit code.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.changed.is_empty()
            && self.boot.is_none()
            && self.now_missing.is_empty()
            && self.no_longer_missing.is_empty()
    }
}

/// Compares two manifests.
pub fn diff<'m>(old: &'m Manifest, new: &'m Manifest) -> Difference<'m> {
    let mut added = Vec::new();
    let mut removed = Vec::new();
    let mut changed = Vec::new();
    // Both are sorted.
    let (mut from, mut to) = (0, 0);
    let is_measured = old.packed.is_some() && new.packed.is_some();
    loop {
        let (before, after) = (old.entries.get(from), new.entries.get(to));
        let order = match (before, after) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(before), Some(after)) => before.path.cmp(&after.path),
        };
        if order.is_lt() {
            removed.push(from);
        } else if order.is_gt() {
            added.push(to);
        } else if let (Some(before), Some(after)) = (before, after) {
            changed.extend(Change::between(before, after, is_measured));
        }
        from += usize::from(order.is_le());
        to += usize::from(order.is_ge());
    }
    let (added, removed) = (by_cause(new, old, &added), by_cause(old, new, &removed));
    Difference {
        old_bytes: old.total_bytes(),
        new_bytes: new.total_bytes(),
        packed: PackedDifference::between([old, new], [&added, &removed], &changed),
        added,
        removed,
        changed,
        boot: (old.boot != new.boot).then_some((old.boot.as_ref(), new.boot.as_ref())),
        now_missing: only_in(&new.missing, &old.missing),
        no_longer_missing: only_in(&old.missing, &new.missing),
    }
}

/// References are the same when the same entry asks for the same in the same way, wherever it was looked for.
fn only_in<'m>(these: &'m [Missing], others: &[Missing]) -> Vec<&'m Missing> {
    let key = |missing: &'_ Missing| (missing.from.clone(), missing.reason.clone(), missing.name.clone());
    let others: std::collections::BTreeSet<_> = others.iter().map(key).collect();
    these.iter().filter(|missing| !others.contains(&key(missing))).collect()
}

#[cfg(test)]
mod tests;
