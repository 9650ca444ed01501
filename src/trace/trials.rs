//! Trials of alternatives: whole traces in which some choices are decided, compared with the trace without.
//!
//! Bytes are those of file content, each inode once, as the totals of a manifest have them. Files that are made when
//! all others are known (`ld.so.cache`, the plan of `/init`, module indexes) describe the outcome and do not count.

use super::cheapest::{Cost, Decisions, Outcome, Settled, settle};
use super::choices::{Alternatives, Choices, Decided};
use super::snapshot::{kept, unpacked_size};
use super::{Item, TraceError, Tracer, Wanted};
use crate::path::RootPath;
use crate::reason::Priority;
use crate::root::FileKind;
use foldhash::{HashMap, HashSet};
use std::cell::OnceCell;
use std::collections::BTreeMap;

impl<'a> Tracer<'a> {
    /// Decides what is left open at the end of the fixed point, and goes on to the end of what follows from it.
    pub(super) fn settle_choices(&mut self, wanted: &mut Wanted) -> Result<(), TraceError> {
        while self.choices.open().next().is_some() {
            let decided = self.cheapest_alternatives()?;
            self.decide(decided);
            self.reach_fixed_point(wanted)?;
        }
        Ok(())
    }

    /// Answers for the open choices, and for those that come up with the answers.
    fn cheapest_alternatives(&mut self) -> Result<HashMap<Alternatives, Decided>, TraceError> {
        let mut choices = Numbered::default();
        let base = Base::of(self);
        let settlement = settle(|decisions| self.outcome(decisions, &base, &mut choices))?;
        let mut decided: HashMap<Alternatives, Decided> = HashMap::default();
        for Settled { choice, alternative, costs } in settlement.settled {
            decided.insert(choices.list[choice].clone(), Decided { alternative, costs });
        }
        if !settlement.is_complete {
            let note = "there are too many alternatives to compare: of some the first that exists is taken";
            self.notes.push(note.to_owned());
            for open in self.choices.open() {
                decided.entry(open.clone()).or_insert(Decided { alternative: 0, costs: Vec::new() });
            }
        }
        Ok(decided)
    }

    /// What an image has with these decisions in addition.
    fn outcome(
        &self,
        decisions: &Decisions,
        base: &Base<'_, 'a>,
        choices: &mut Numbered,
    ) -> Result<Outcome<Thing>, TraceError> {
        if decisions.is_empty() {
            return Ok(Outcome { things: BTreeMap::new(), choices: choices.number(self.choices.open()) });
        }
        let mut decided = self.choices.decided().clone();
        decided.extend(decisions.iter().map(|(choice, alternative)| {
            (choices.list[*choice].clone(), Decided { alternative: *alternative, costs: Vec::new() })
        }));
        let trial = self.trial(decided)?;
        let came_up = trial.choices.all().filter(|choice| !self.choices.decided().contains_key(*choice));
        Ok(Outcome { things: base.added(&trial), choices: choices.number(came_up) })
    }

    /// The same trace from the beginning, with this decided.
    fn trial(&self, decided: HashMap<Alternatives, Decided>) -> Result<Tracer<'a>, TraceError> {
        let store = self.glibc.store().anew();
        let (mut trial, mut wanted) = Tracer::begin(self.input, store, Choices::with(decided))?;
        trial.reach_fixed_point(&mut wanted)?;
        Ok(trial)
    }

    /// Required references that lead nowhere, and paths that are held back.
    fn failures(&self) -> HashSet<Thing> {
        let missing = self.missing.iter().filter(|missing| missing.priority == Priority::Required);
        let missing = missing.map(|missing| Thing::Missing(missing.from.clone(), missing.name.clone()));
        let forbidden = self.forbidden.keys().filter(|path| self.graph.contains(path));
        missing.chain(forbidden.map(|path| Thing::Forbidden(path.clone()))).collect()
    }
}

/// What a trial can have and the trace before it not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Thing {
    File(RootPath),
    /// A file that has several names.
    Inode(u64, u64),
    Missing(Option<RootPath>, String),
    Forbidden(RootPath),
}

/// Choices by number, in the order they came up in.
#[derive(Default)]
struct Numbered {
    list: Vec<Alternatives>,
    numbers: HashMap<Alternatives, usize>,
}

impl Numbered {
    /// The numbers of some choices, with how many alternatives they have.
    fn number<'c>(&mut self, choices: impl Iterator<Item = &'c Alternatives>) -> BTreeMap<usize, usize> {
        let numbers = choices.map(|choice| {
            let number = *self.numbers.entry(choice.clone()).or_insert(self.list.len());
            if number == self.list.len() {
                self.list.push(choice.clone());
            }
            (number, choice.len())
        });
        numbers.collect()
    }
}

/// The trace without any decision.
struct Base<'t, 'a> {
    tracer: &'t Tracer<'a>,
    kept: HashSet<RootPath>,
    failures: HashSet<Thing>,
    /// Of its files that have several names; asked for when a trial has such a file.
    inodes: OnceCell<HashSet<(u64, u64)>>,
}

impl<'t, 'a> Base<'t, 'a> {
    fn of(tracer: &'t Tracer<'a>) -> Base<'t, 'a> {
        let kept = kept(&tracer.graph, &tracer.forbidden).into_iter().collect();
        let failures = tracer.failures();
        Base { tracer, kept, failures, inodes: OnceCell::new() }
    }

    /// What a trial has in addition.
    fn added(&self, trial: &Tracer<'a>) -> BTreeMap<Thing, Cost> {
        let files = kept(&trial.graph, &trial.forbidden).into_iter().filter(|path| !self.kept.contains(path));
        let files = files.filter_map(|path| {
            let (thing, bytes) = self.file(trial, path)?;
            Some((thing, Cost { failures: 0, bytes }))
        });
        let failures = trial.failures().into_iter().filter(|failure| !self.failures.contains(failure));
        files.chain(failures.map(|failure| (failure, Cost { failures: 1, bytes: 0 }))).collect()
    }

    /// A file with its size in bytes; `None` for what has no content that counts.
    fn file(&self, trial: &Tracer<'a>, path: RootPath) -> Option<(Thing, u64)> {
        let root = self.tracer.input.root;
        match trial.items.get(&path) {
            Some(Item::Generated(file)) => return Some((Thing::File(path), file.bytes.len() as u64)),
            Some(Item::Unpacked(found)) => {
                let bytes = unpacked_size(root, found).unwrap_or(found.info.size);
                return Some((Thing::File(path), bytes));
            }
            Some(Item::Directory | Item::Link { .. }) => return None,
            None => {}
        }
        let info = root.lookup_nofollow(&path).ok()?.info;
        match info.kind {
            FileKind::File if info.links < 2 => Some((Thing::File(path), info.size)),
            FileKind::File if self.inodes().contains(&info.inode) => None,
            FileKind::File => Some((Thing::Inode(info.inode.0, info.inode.1), info.size)),
            _ => None,
        }
    }

    fn inodes(&self) -> &HashSet<(u64, u64)> {
        self.inodes.get_or_init(|| {
            let root = self.tracer.input.root;
            let files = self.kept.iter().filter_map(|path| root.lookup_nofollow(path).ok());
            files.filter(|found| found.info.links > 1).map(|found| found.info.inode).collect()
        })
    }
}

#[cfg(test)]
mod tests;
