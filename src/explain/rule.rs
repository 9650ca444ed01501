//! What one rule brought into a manifest: the second half of `minroot explain-rule`.

use super::size::{Drop, what_if};
use super::{Retained, text::without_it};
use crate::manifest::{Entry, Manifest};
use crate::path::RootPath;
use crate::text::{Style, count, written};
use std::fmt::Display;

/// The entries that are in because a rule says so, and what that comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought<'m> {
    /// With those for whom the rule wants them; in the order of the paths.
    pub entries: Vec<(&'m Entry, Vec<&'m RootPath>)>,
    /// What would go from the image without the rule: less than the entries where there are other reasons for them, and
    /// more where they need others.
    pub retained: Retained,
}

/// Finds what the rule with this id brought.
pub fn brought<'m>(manifest: &'m Manifest, rule: &str) -> Brought<'m> {
    let by_rule = |entry: &'m Entry| {
        let reasons: Vec<_> = entry.reasons.iter().filter(|because| because.reason.is_of_rule(rule)).collect();
        let for_whom = reasons.iter().filter_map(|because| because.from.as_ref()).collect();
        (!reasons.is_empty()).then_some((entry, for_whom))
    };
    let drop = Drop { rules: vec![rule.to_owned()], ..Drop::default() };
    // Nothing can be dropped of a rule that brought nothing.
    let gone = what_if(manifest, &drop).map(|answer| answer.gone).unwrap_or_default();
    Brought { entries: manifest.entries.iter().filter_map(by_rule).collect(), retained: Retained::of(gone.into_iter()) }
}

/// How many entries are listed.
const LISTED: usize = 20;

impl Brought<'_> {
    /// The listing of `minroot explain-rule`: the first entries, then how many more, then what they come to.
    pub fn text(&self, style: Style) -> impl Display + '_ {
        written(move |f| {
            if self.entries.is_empty() {
                return writeln!(f, "nothing of the manifest is in by it");
            }
            writeln!(f, "{}", style.remark(format_args!("in by it: {}", count(self.entries.len() as u64, "path"))))?;
            for (entry, for_whom) in self.entries.iter().take(LISTED) {
                match &for_whom[..] {
                    [] => writeln!(f, "  {}", entry.path)?,
                    [one] => writeln!(f, "  {}  for {one}", entry.path)?,
                    [first, others @ ..] => {
                        writeln!(f, "  {}  for {first} and {}", entry.path, count(others.len() as u64, "other"))?;
                    }
                }
            }
            if let Some(more) = self.entries.len().checked_sub(LISTED).filter(|more| *more > 0) {
                writeln!(f, "  and {}", count(more as u64, "further path"))?;
            }
            writeln!(f, "\n{}", without_it(&self.retained))
        })
    }
}
