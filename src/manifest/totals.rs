//! Totals of a manifest: files and bytes, each file counted once, under the strongest evidence it has.
//!
//! Only regular files count. Directories, links and devices have no bytes of their own, and a hard link is a further
//! name of a file that is counted already, so the classes add up to the whole.

use super::{Entry, Manifest};
use crate::reason::Evidence;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Regular files of a manifest and their bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Regular files, generated ones included; a hard link is no file of its own.
    pub files: u64,
    /// Apparent size; saturates at the largest `u64`.
    pub bytes: u64,
    /// Every class is there, also one without files.
    pub by_evidence: BTreeMap<Evidence, Tally>,
}

/// Files that are counted together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Regular files, each inode once.
    pub files: u64,
    /// Apparent size of them all; saturates at the largest `u64`.
    pub bytes: u64,
    /// What they take in the compressed archive; 0 before that is measured.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub packed: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The strongest first.
pub(crate) const CLASSES: [Evidence; 6] =
    [Evidence::Target, Evidence::Proven, Evidence::Declared, Evidence::Rule, Evidence::Observed, Evidence::Suspected];

impl Totals {
    /// Counts the files of a manifest, each under its strongest evidence.
    pub fn of(manifest: &Manifest) -> Totals {
        let mut by_evidence: BTreeMap<_, _> = CLASSES.iter().map(|class| (*class, Tally::default())).collect();
        let mut whole = Tally::default();
        for entry in &manifest.entries {
            let Some(evidence) = strongest(entry) else { continue };
            for tally in [&mut whole, by_evidence.entry(evidence).or_default()] {
                tally.add(Tally::of(entry));
            }
        }
        Totals { files: whole.files, bytes: whole.bytes, by_evidence }
    }
}

impl Tally {
    /// One file; nothing for an entry that is no regular file.
    pub fn of(entry: &Entry) -> Tally {
        Tally { files: entry.is_file().into(), bytes: entry.size(), packed: entry.packed.unwrap_or_default() }
    }

    /// Adds up; bytes saturate at the largest `u64`.
    pub fn add(&mut self, other: Tally) {
        self.files += other.files;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.packed = self.packed.saturating_add(other.packed);
    }
}

/// The strongest evidence among an entry's reasons; `None` when it has no reason.
pub fn strongest(entry: &Entry) -> Option<Evidence> {
    entry.reasons.iter().map(|because| because.reason.evidence).min()
}
