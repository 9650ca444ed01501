//! Choices between alternatives: what was taken, and what the others would have cost.

use super::Because;
use crate::path::RootPath;
use serde::{Deserialize, Serialize};

/// Several alternatives of which one is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Choice {
    /// Who had the choice, and by which words; sorted.
    pub because: Vec<Because>,
    /// In the order they are written in. Exactly one is chosen.
    pub alternatives: Vec<Alternative>,
}

/// One of the alternatives that exist in the root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alternative {
    /// In the words of who has the choice: a soname, or the paths of a rule.
    pub name: String,
    /// The files it leads to, sorted; none when a process has the library already.
    pub paths: Vec<RootPath>,
    /// Whether it was taken, and if not, what spoke against it.
    pub verdict: Verdict,
}

/// What became of an alternative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is in.
    Chosen,
    /// The image would be larger by so many bytes, with the best of all other choices.
    More(u64),
    /// With it more of what is required would be missing or held back.
    Incomplete,
    /// There was too much to compare.
    NotCompared,
}

impl Choice {
    /// The alternative that is in.
    pub fn chosen(&self) -> Option<&Alternative> {
        self.alternatives.iter().find(|alternative| alternative.verdict == Verdict::Chosen)
    }

    /// The alternatives that are not in.
    pub fn others(&self) -> impl Iterator<Item = &Alternative> {
        self.alternatives.iter().filter(|alternative| alternative.verdict != Verdict::Chosen)
    }
}
