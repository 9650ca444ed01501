//! What a machine does without a file, for files that no rule names: a module that cannot be loaded takes along all
//! that need it, up to one of which a rule knows what happens without it.

use super::Tracer;
use crate::manifest::Missing;
use crate::path::RootPath;
use crate::reason::{Consequence, Kind, Priority, Reason};
use crate::rules::Firing;
use foldhash::{HashSet, HashSetExt};
use std::collections::VecDeque;

impl Tracer<'_> {
    /// Notes what a rule says of a path that it brought in.
    pub(super) fn note_consequence(&mut self, path: &RootPath, firing: &Firing) {
        let Some(new) = &firing.consequence else { return };
        let known = self.consequences.entry(path.clone()).or_insert_with(|| new.clone());
        if new < known {
            known.clone_from(new);
        }
    }

    /// Gives missing references the consequence of what cannot be loaded without them.
    pub(super) fn spread_consequences(&mut self) {
        let missing = std::mem::take(&mut self.missing).into_iter();
        self.missing = missing.map(|missing| self.with_consequence(missing)).collect();
    }

    fn with_consequence(&self, missing: Missing) -> Missing {
        let unknown = missing.consequence.is_none() && missing.priority == Priority::Required;
        let from = missing.from.clone().filter(|_| unknown && is_for_loading(&missing.reason));
        match from.and_then(|from| self.consequence_without(&from)) {
            Some(consequence) => Missing { consequence: Some(consequence), ..missing },
            None => missing,
        }
    }

    /// The worst that happens when `path` cannot be loaded; among equals that of the nearest path.
    fn consequence_without(&self, path: &RootPath) -> Option<Consequence> {
        let mut worst: Option<(&Consequence, RootPath)> = None;
        let mut seen = HashSet::new();
        let mut waiting = VecDeque::from([path.clone()]);
        while let Some(path) = waiting.pop_front() {
            if !seen.insert(path.clone()) {
                continue;
            }
            let known = self.consequences.get(&path);
            if let Some(known) = known.filter(|known| worst.as_ref().is_none_or(|(w, _)| known.severity < w.severity)) {
                worst = Some((known, path.clone()));
            }
            let reasons = self.graph.reasons(&path).into_iter();
            waiting.extend(reasons.filter(|(_, reason)| is_for_loading(reason)).filter_map(|(from, _)| from));
        }
        let (Consequence { severity, words }, path) = worst?;
        let words = format!("{words} ({path} cannot be loaded without it)").into();
        Some(Consequence { severity: *severity, words })
    }
}

/// Whether who refers like this cannot be loaded without what it refers to. A filtee is first looked for when one of its
/// symbols is.
fn is_for_loading(reason: &Reason) -> bool {
    matches!(reason.kind, Kind::Needed | Kind::Interpreter | Kind::Script | Kind::Module | Kind::Symlink)
}
