//! What a trace could not know, against what the recipe accepts: the question of `--strict`.

use super::Trace;
use crate::manifest::Omission;
use crate::reason::{Evidence, Kind};
use crate::recipe::Accept;

/// A reference that cannot be known, and is outside of the recipe's baseline.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Doubt {
    /// Who refers: a path, or `startup`; a key of `[accept]`.
    pub key: String,
    /// The text of the reference, or why there is none; a value of `[accept]`.
    pub what: String,
    /// Why it cannot be known.
    pub why: String,
}

impl Trace {
    /// What is unknown, and the libraries that are only suspected, as far as the recipe does not accept them; sorted.
    /// Other suspected files are paths among strings and commands of scripts, which need not be asked for at all.
    pub fn doubts(&self, accept: &Accept) -> Vec<Doubt> {
        let is_suspected = |omission: &&Omission| {
            (omission.reason.evidence, omission.reason.kind) == (Evidence::Suspected, Kind::Dlopen)
        };
        let all = self.unknown.iter().chain(self.dropped.iter().filter(is_suspected)).map(doubt);
        let mut doubts: Vec<Doubt> = all.filter(|doubt| !accept.covers(&doubt.key, &doubt.what)).collect();
        doubts.sort();
        // A library and the links to it are one reference.
        doubts.dedup();
        doubts
    }
}

fn doubt(omission: &Omission) -> Doubt {
    let what = if omission.reason.detail.is_empty() { &omission.why } else { &*omission.reason.detail };
    Doubt { key: Accept::key(omission.from.as_ref()), what: what.to_owned(), why: omission.why.clone() }
}
