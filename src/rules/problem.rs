//! What is wrong with a rule file: always a place a person can open, and where possible what to write instead.

use std::fmt;
use std::path::PathBuf;

/// One mistake in one rule file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct Problem {
    /// The file as the user knows it; `rules/…` for the rules inside the binary.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong, in words.
    pub message: String,
    /// What to type instead.
    pub hint: Option<String>,
}

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A directory or a file of rules cannot be read.
    #[error("cannot read the rules in `{}`", path.display())]
    Read {
        /// On this machine.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Sorted by place; never empty.
    #[error("cannot use the rules:{}", Lines(.0))]
    Wrong(Vec<Problem>),
}

impl RulesError {
    /// What to do about it, where neither a problem nor the operating system says it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            RulesError::Wrong(problems) if problems.iter().all(|problem| problem.hint.is_none()) => {
                Some("rules/README.md tells how rules are written; `minroot rules show ID` prints one")
            }
            RulesError::Wrong(_) | RulesError::Read { .. } => None,
        }
    }
}

struct Lines<'a>(&'a [Problem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.0 {
            write!(f, "\n{problem}")?;
            if let Some(hint) = &problem.hint {
                write!(f, "\nhint: {hint}")?;
            }
        }
        Ok(())
    }
}

/// A hint for a word that is none of `known`: the nearest of them, or all of them when none is near.
pub(super) fn instead_of(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// The candidate that `word` was most likely meant to be; `None` when nothing is close.
pub(super) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = |candidate: &str| word.len().max(candidate.len()).div_ceil(3);
    candidates
        .map(|candidate| (strsim::osa_distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= near(candidate))
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_must_be_near() {
        assert_eq!(nearest("need", ["needs", "needed"].into_iter()), Some("needs"));
        assert_eq!(nearest("colour", ["needs", "needed"].into_iter()), None);
    }
}
