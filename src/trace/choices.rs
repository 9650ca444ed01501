//! Choices: what is there if any one of several alternatives is, be they lists of a rule's `any_of` or the names in a
//! dlopen note.
//!
//! Only what exists counts as an alternative, and two that lead to the same files are one. Where that leaves a single
//! one there is no choice, and it is taken on the spot. All others wait for the end of the fixed point, when what is
//! in anyway is known; [`super::trials`] decides them.
//!
//! A choice is known by the files of its alternatives: whoever has the same ones gets the same answer, since two
//! answers could only be larger. A note's names lead to files only in a process, so they wait for theirs to be complete.
//!
//! What looks like a choice and is none: where a search would come to one place first (`first_of` of a rule, a command
//! on the `PATH`, an illumos driver's alias), the others would not be used; and of several kernel modules with one
//! alias all are loaded.

use super::Tracer;
use super::cheapest::Cost;
use crate::manifest::{Alternative, Because, Choice, Verdict};
use crate::objects::elf::Name;
use crate::path::{RootPath, escaped};
use crate::reason::{Evidence, Kind, Reason};
use crate::resolve::glibc::Request;
use crate::rules::{Facts, Firing, Need};
use foldhash::HashMap;
use std::collections::{BTreeMap, BTreeSet};

/// What each alternative begins with: paths without symlinks, in the order the alternatives are written in.
pub(super) type Alternatives = Vec<BTreeSet<Need>>;

/// The choices of a trace.
#[derive(Default)]
pub(super) struct Choices {
    /// Those that came up, in that order, and who is waiting for them or was served.
    wishes: Vec<(Alternatives, Vec<Wish>)>,
    numbers: HashMap<Alternatives, usize>,
    decided: HashMap<Alternatives, Decided>,
    /// Requests of several names that were not looked for yet.
    requests: Vec<Request>,
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    pub alternative: usize,
    /// Of each alternative; empty when they were not compared.
    pub costs: Vec<Cost>,
}

/// Who chooses, with the alternatives in its own words.
enum Wish {
    Rule(Box<Firing>, Vec<Vec<Need>>),
    /// Names, and the links and files they lead to.
    Request(Request, Vec<(Name, BTreeSet<RootPath>)>),
}

impl Choices {
    /// A trace in which this is decided.
    pub fn with(decided: HashMap<Alternatives, Decided>) -> Choices {
        Choices { decided, ..Choices::default() }
    }

    /// Looks for a library of several names when its processes are complete.
    pub fn wait(&mut self, request: Request) {
        self.requests.push(request);
    }

    /// All that came up, in that order, decided or not.
    pub fn all(&self) -> impl Iterator<Item = &Alternatives> {
        self.wishes.iter().map(|(alternatives, _)| alternatives)
    }

    /// Those that are not decided.
    pub fn open(&self) -> impl Iterator<Item = &Alternatives> {
        self.all().filter(|alternatives| !self.decided.contains_key(*alternatives))
    }

    pub fn decided(&self) -> &HashMap<Alternatives, Decided> {
        &self.decided
    }
}

impl Tracer<'_> {
    /// Takes what a rule's `any_of` needs, at once where there is no choice.
    pub(super) fn need_any_of(&mut self, from: Option<&RootPath>, written: &[Vec<Need>], firing: &Firing) {
        let facts = self.known();
        let exists = |need: &Need| facts.exists(&need.path) || facts.items.contains_key(&need.path);
        let existing = written.iter().filter(|needs| needs.iter().all(exists));
        let root = self.input.root;
        let real = |need: &Need| {
            let path = root.lookup(&need.path).map_or_else(|_| need.path.clone(), |found| found.path);
            Need { path, below: need.below }
        };
        let existing = existing.map(|needs| (needs.iter().map(real).collect(), needs.clone()));
        let (alternatives, written_here) = distinct(existing);
        match written_here.first() {
            Some(_) if alternatives.len() > 1 => {
                self.offer(alternatives, Wish::Rule(Box::new(firing.clone()), written_here));
            }
            Some(only) => only.iter().for_each(|need| self.need_by_rule(from, need, firing)),
            None => self.no_list_exists(from, written, firing),
        }
    }

    /// Looks where the names of waiting requests lead; whether there were any.
    pub(super) fn look_for_requests(&mut self) -> bool {
        let requests = std::mem::take(&mut self.choices.requests);
        for request in &requests {
            let single = |name: &Name| Request { names: vec![name.clone()], ..request.clone() };
            let singles: Vec<Request> = request.names.iter().map(single).collect();
            let mut places: BTreeMap<&Request, Vec<Vec<RootPath>>> = BTreeMap::new();
            for (single, paths) in self.places_of(&singles) {
                places.entry(single).or_default().push(paths);
            }
            let existing = singles.iter().filter_map(|single| {
                let places = places.get(single)?;
                let files = places.iter().filter_map(|paths| paths.last());
                let files = files.map(|path| Need { path: path.clone(), below: false }).collect();
                Some((files, (single.names[0].clone(), places.concat().into_iter().collect())))
            });
            let (alternatives, names) = distinct(existing);
            match alternatives.len() {
                0 | 1 => self.ask_weakly(request.clone()),
                _ => self.offer(alternatives, Wish::Request(request.clone(), names)),
            }
        }
        !requests.is_empty()
    }

    /// Decides choices, and serves all who wait for them.
    pub(super) fn decide(&mut self, decided: HashMap<Alternatives, Decided>) {
        let waiting = std::mem::take(&mut self.choices.wishes);
        for (alternatives, wishes) in &waiting {
            let Some(Decided { alternative, .. }) = decided.get(alternatives) else { continue };
            wishes.iter().for_each(|wish| self.serve(wish, *alternative));
        }
        self.choices.wishes = waiting;
        self.choices.decided.extend(decided);
    }

    fn offer(&mut self, alternatives: Alternatives, wish: Wish) {
        if let Some(alternative) = self.choices.decided.get(&alternatives).map(|decided| decided.alternative) {
            self.serve(&wish, alternative);
        }
        let Choices { wishes, numbers, .. } = &mut self.choices;
        let number = *numbers.entry(alternatives.clone()).or_insert(wishes.len());
        match wishes.get_mut(number) {
            Some((_, wishes)) => wishes.push(wish),
            None => wishes.push((alternatives, vec![wish])),
        }
    }

    fn serve(&mut self, wish: &Wish, alternative: usize) {
        match wish {
            Wish::Rule(firing, written) => {
                let from = self.referrer(firing);
                written[alternative].iter().for_each(|need| self.need_by_rule(from.as_ref(), need, firing));
            }
            Wish::Request(request, names) => {
                // In a process without it the others are still good.
                let chosen = &names[alternative].0;
                let rest = request.names.iter().filter(|name| *name != chosen);
                let names = [chosen].into_iter().chain(rest).cloned().collect();
                self.ask_weakly(Request { names, ..request.clone() });
            }
        }
    }

    /// What was decided, for the manifest.
    pub(super) fn choices_made(&self) -> Vec<Choice> {
        let made = self.choices.wishes.iter().filter_map(|(alternatives, wishes)| {
            let decided = self.choices.decided.get(alternatives)?;
            let because = wishes.iter().map(|wish| self.because(wish)).collect::<BTreeSet<_>>();
            let described = alternatives.iter().enumerate().map(|(number, needs)| {
                let files = needs.iter().map(|need| need.path.clone());
                let paths: BTreeSet<RootPath> = files.chain(wishes[0].paths(number)).collect();
                let (name, verdict) = (wishes[0].name(number), decided.verdict(number));
                Alternative { name, paths: paths.into_iter().collect(), verdict }
            });
            Some(Choice { because: because.into_iter().collect(), alternatives: described.collect() })
        });
        let mut made: Vec<Choice> = made.collect();
        made.sort();
        made
    }

    fn because(&self, wish: &Wish) -> Because {
        match wish {
            Wish::Rule(firing, _) => Because {
                from: self.referrer(firing),
                reason: Reason::new(Evidence::Rule, Kind::Rule, firing.detail.clone()),
            },
            Wish::Request(request, _) => {
                Because { from: Some(self.object_path(request.caller)), reason: request.reason.clone() }
            }
        }
    }
}

impl Wish {
    /// What the one who chooses calls an alternative.
    fn name(&self, alternative: usize) -> String {
        match self {
            Wish::Rule(_, written) => {
                let name = |need: &Need| format!("{}{}", need.path, if need.below { "/**" } else { "" });
                written[alternative].iter().map(name).collect::<Vec<_>>().join(" and ")
            }
            Wish::Request(_, names) => escaped(&names[alternative].0).to_string(),
        }
    }

    /// What it calls the files, where these are links.
    fn paths(&self, alternative: usize) -> Vec<RootPath> {
        match self {
            Wish::Rule(_, written) => written[alternative].iter().map(|need| need.path.clone()).collect(),
            Wish::Request(_, names) => names[alternative].1.iter().cloned().collect(),
        }
    }
}

impl Decided {
    fn verdict(&self, alternative: usize) -> Verdict {
        if alternative == self.alternative {
            return Verdict::Chosen;
        }
        match (self.costs.get(alternative), self.costs.get(self.alternative)) {
            (Some(cost), Some(chosen)) if cost.failures > chosen.failures => Verdict::Incomplete,
            (Some(cost), Some(chosen)) => Verdict::More(cost.bytes.saturating_sub(chosen.bytes)),
            _ => Verdict::NotCompared,
        }
    }
}

/// Leaves out alternatives that lead to the same files as one before them.
fn distinct<W>(alternatives: impl Iterator<Item = (BTreeSet<Need>, W)>) -> (Alternatives, Vec<W>) {
    let mut distinct = (Alternatives::new(), Vec::new());
    for (files, words) in alternatives {
        if !distinct.0.contains(&files) {
            distinct.0.push(files);
            distinct.1.push(words);
        }
    }
    distinct
}
