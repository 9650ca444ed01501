//! By how much the archive grew, and what of it grew, where both archives were measured.

use super::{Change, Group};
use crate::manifest::{Manifest, Packed};

/// Two archives; the parts of the growth add up to it.
///
/// A file that is the same in both images can take another share of the archive: with another compression, and because
/// what each file takes is an estimate.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedDifference<'m> {
    /// The archive of the old manifest.
    pub old: &'m Packed,
    /// The archive of the new one.
    pub new: &'m Packed,
    /// Bytes of the new archive that are of added files.
    pub added: i128,
    /// Bytes of the old archive that were of removed files, as a negative number.
    pub removed: i128,
    /// By how many bytes the changed files grew.
    pub changed: i128,
    /// By how many bytes the files grew that are the same in both images.
    pub unchanged: i128,
    /// By how many bytes the archive grew besides the content of files.
    pub overhead: i128,
}

impl<'m> PackedDifference<'m> {
    /// `None` when one of the archives was not measured.
    pub(super) fn between(
        [old, new]: [&'m Manifest; 2],
        [added, removed]: [&[Group]; 2],
        changed: &[Change],
    ) -> Option<PackedDifference<'m>> {
        let sum = |groups: &[Group]| groups.iter().filter_map(|group| group.packed).map(i128::from).sum::<i128>();
        let of_files = |manifest: &Manifest| {
            manifest.entries.iter().filter_map(|entry| entry.packed).map(i128::from).sum::<i128>()
        };
        let (added, removed) = (sum(added), -sum(removed));
        let changed = changed.iter().filter_map(|change| change.packed_growth).sum();
        let unchanged = of_files(new) - of_files(old) - added - removed - changed;
        let (old, new) = (old.packed.as_ref()?, new.packed.as_ref()?);
        let overhead = i128::from(new.overhead) - i128::from(old.overhead);
        Some(PackedDifference { old, new, added, removed, changed, unchanged, overhead })
    }

    /// By how many bytes the archive grew; negative when it shrank.
    pub fn growth(&self) -> i128 {
        i128::from(self.new.bytes) - i128::from(self.old.bytes)
    }

    /// The parts, with their names.
    pub fn parts(&self) -> [(&'static str, i128); 5] {
        [
            ("added", self.added),
            ("removed", self.removed),
            ("changed", self.changed),
            ("unchanged", self.unchanged),
            ("overhead", self.overhead),
        ]
    }
}
