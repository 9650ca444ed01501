//! What the engine answers: one value per effect, for the caller to act on.

use super::facts::Facts;
use crate::path::RootPath;
use crate::reason::{Consequence, Priority, RuleId};

/// One effect of one rule.
///
/// The order is that of the rule ids, then of the lines, so that sorted firings do not depend on the run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Firing {
    /// The id of the rule's file.
    pub rule: RuleId,
    /// Line of the `[[rule]]` header in the rule's file.
    pub line: usize,
    /// What refers: the configuration file that named it, which is in the root and may not be in the image, else the
    /// object; `None` for a rule about the image as a whole.
    pub from: Option<RootPath>,
    /// The object that made the rule fire.
    pub object: Option<RootPath>,
    /// What is to be done.
    pub effect: Effect,
    /// What is needed may be started; else it is only opened.
    pub starts: bool,
    /// How badly it is wanted.
    pub priority: Priority,
    /// What happens without it.
    pub consequence: Option<Consequence>,
    /// What is named may be absent without a word.
    pub optional: bool,
    /// For a reason's detail: the rule's id and line, then what matched, such as `linux/nsswitch:30 database=hosts
    /// source=wins`.
    pub detail: String,
}

/// What follows for the image when a rule fires.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "hidden; each variant says what its fields are")]
pub enum Effect {
    /// A path to keep. One that the rule spells out may not exist: that is for the caller to find, who looks it up.
    Need(Need),
    /// A library to be found as if `context` had called `dlopen` with this name.
    Library { soname: Vec<u8>, context: RootPath },
    /// A path that the image must have, made where the root has none.
    Make { path: RootPath, made: Made },
    /// A kernel module, by name; of an illumos kernel with its class: `fs/specfs`.
    Module { name: String },
    /// A file to be made, by the name of its generator.
    Generate { name: String },
    /// Of these lists the first that exists is used; see [`first_existing`]. Never empty.
    FirstOf { alternatives: Vec<Vec<Need>> },
    /// Any one of these lists is enough. Never empty.
    AnyOf { alternatives: Vec<Vec<Need>> },
    /// Paths that must stay out.
    Never { glob: String, reason: String },
    /// A glob that matches nothing in the root, or a name that can be no path: an error unless the rule is optional.
    Unresolved { name: String },
}

/// What is made where the root has nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Made {
    /// An empty directory.
    Directory,
    /// An empty file.
    File,
    /// A symlink.
    Link {
        /// The text of the link.
        target: Vec<u8>,
    },
}

impl Made {
    /// The word of examples.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Made::Directory => "directory",
            Made::File => "file",
            Made::Link { .. } => "link",
        }
    }
}

/// A path to keep.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Need {
    /// The path that is wanted.
    pub path: RootPath,
    /// Everything below the directory as well.
    pub below: bool,
}

/// The first alternative whose paths all exist.
pub fn first_existing<'a>(alternatives: &'a [Vec<Need>], facts: &dyn Facts) -> Option<&'a [Need]> {
    alternatives.iter().find(|needs| needs.iter().all(|need| facts.exists(&need.path))).map(Vec::as_slice)
}
