//! Alternatives to the ones that make the whole smallest, exactly.
//!
//! What an alternative costs is not a property of the alternative: it shares files with others and with what is in
//! anyway, it may lead to further choices, and a rule may want a file only where two others are both in. So nothing is
//! concluded from edges of a graph. What is asked, as often as it takes, is a *trial*: a whole trace in which some
//! choices are decided and the others are left open.
//!
//! A trial is a lower bound for all that decide more, because more decisions only bring more files: all that was seen
//! in the trial of `{a}` is in every image that has decided for `a`. That makes the trials the constraints of a mixed
//! integer linear program ([`program`]), whose optimum is tried in its turn. If its trial has nothing that smaller
//! trials have not foretold, no other decision can be cheaper. Else what is new becomes a constraint too, and the
//! program is solved again (Benders' decomposition, with traces for the subproblems). It begins with one trial for
//! each alternative, and mostly ends there: only files that need two alternatives at once take further rounds.
//!
//! The surprising thing: an alternative that is less can be wrong. An image where something required is missing or
//! held back counts as dearer than any that is whole, whatever its bytes.

mod program;

use program::Program;
use std::collections::{BTreeMap, BTreeSet};

/// The number of a choice to that of its alternative, which count from 0 in the order they are written in.
pub(super) type Decisions = BTreeMap<usize, usize>;

/// What one thing in an image adds to its cost. The order is that of preference, the best first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cost {
    /// Something required that is missing, or held back by a rule or the recipe.
    pub failures: u64,
    pub bytes: u64,
}

/// What a trial brought.
#[derive(Debug, Clone)]
pub(super) struct Outcome<T> {
    /// All that is not in the image with no choice decided, each with its cost.
    pub things: BTreeMap<T, Cost>,
    /// The choices that came up, decided or not, with how many alternatives they have; at least one each.
    pub choices: BTreeMap<usize, usize>,
}

/// One choice, decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settled {
    pub choice: usize,
    pub alternative: usize,
    /// For each alternative what the image adds up to with it, given the choices settled before and the best of what
    /// is left.
    pub costs: Vec<Cost>,
}

/// What came of all choices.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settlement {
    /// In an order in which each is a choice because of those before it.
    pub settled: Vec<Settled>,
    /// Whether all choices are; else there were too many to try.
    pub is_complete: bool,
}

/// Trials that are made before the rest is given up: some 150 independent choices between two.
const MOST_TRIALS: usize = 500;

/// Decides all choices so that the cost of the whole is the least. Of equals, the alternative that is written first
/// wins, in the order of the choices.
///
/// `trial` must give the same things for the same decisions. Decisions about choices that do not come up have no
/// effect. A trial of no decisions has no things.
///
/// # Errors
/// The first of `trial`.
pub(super) fn settle<T: Ord + Clone, E>(
    trial: impl FnMut(&Decisions) -> Result<Outcome<T>, E>,
) -> Result<Settlement, E> {
    let mut search = Search { trial, trials: BTreeMap::new() };
    let mut settled = Vec::new();
    match search.settle(&mut settled) {
        Ok(()) => Ok(Settlement { settled, is_complete: true }),
        Err(Stop::GivenUp) => Ok(Settlement { settled, is_complete: false }),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// Why a search ends early.
enum Stop<E> {
    /// Too many trials, or the solver's arithmetic has failed.
    GivenUp,
    Failed(E),
}

struct Search<T, F> {
    trial: F,
    trials: BTreeMap<Decisions, Outcome<T>>,
}

impl<T: Ord + Clone, E, F: FnMut(&Decisions) -> Result<Outcome<T>, E>> Search<T, F> {
    fn settle(&mut self, settled: &mut Vec<Settled>) -> Result<(), Stop<E>> {
        let mut decisions = Decisions::new();
        self.explore()?;
        while let Some((choice, n_alternatives)) = self.next_choice(&decisions) {
            let with = |alternative| [(choice, alternative)].into_iter().chain(decisions.clone()).collect();
            let costs = (0..n_alternatives).map(|alternative| self.least_cost(&with(alternative)));
            let costs = costs.collect::<Result<Vec<Cost>, _>>()?;
            let best = (0..n_alternatives).min_by_key(|alternative| costs[*alternative]);
            let alternative = best.expect("a choice has alternatives");
            decisions.insert(choice, alternative);
            settled.push(Settled { choice, alternative, costs });
        }
        Ok(())
    }

    /// The first choice that comes up with these decisions and is not decided by them.
    fn next_choice(&self, decisions: &Decisions) -> Option<(usize, usize)> {
        self.choices(decisions).into_iter().find(|(choice, _)| !decisions.contains_key(choice))
    }

    /// What the best image costs that decides like this, as a trial has shown.
    fn least_cost(&mut self, decisions: &Decisions) -> Result<Cost, Stop<E>> {
        loop {
            self.explore()?;
            let chosen = Program::of(&self.trials, decisions).solve().ok_or(Stop::GivenUp)?;
            let best = self.those_that_matter(&chosen);
            let is_foretold = self.trials.contains_key(&best);
            let things = &self.ask(&best)?.things;
            let cost = things.values().fold(Cost::default(), |sum, cost| sum.plus(*cost));
            if is_foretold || news(&self.trials, &best).is_none() {
                return Ok(cost);
            }
            self.find_cause(best)?;
        }
    }

    /// Tries each alternative of each choice by itself: with no more decided than it takes for the choice to come up.
    fn explore(&mut self) -> Result<(), Stop<E>> {
        loop {
            let mut untried = BTreeSet::new();
            for decisions in self.trials.keys() {
                let new = news(&self.trials, decisions).map(|news| news.choices).unwrap_or_default();
                for (choice, n_alternatives) in new.into_iter().filter(|(choice, _)| !decisions.contains_key(choice)) {
                    untried.extend((0..n_alternatives).map(|alternative| {
                        let mut decisions = decisions.clone();
                        decisions.insert(choice, alternative);
                        decisions
                    }));
                }
            }
            untried.insert(Decisions::new());
            untried.retain(|decisions| !self.trials.contains_key(decisions));
            if untried.is_empty() {
                return Ok(());
            }
            untried.iter().try_for_each(|decisions| self.ask(decisions).map(drop))?;
        }
    }

    /// Makes the trial that shows by how few of these decisions something unforeseen came about.
    fn find_cause(&mut self, mut decisions: Decisions) -> Result<(), Stop<E>> {
        let Some(news) = news(&self.trials, &decisions) else { return Ok(()) };
        let (thing, choice) = (news.things.first_key_value(), news.choices.keys().next());
        let (thing, choice) = (thing.map(|(thing, _)| (*thing).clone()), choice.copied());
        for decided in decisions.clone().keys() {
            let mut fewer = decisions.clone();
            fewer.remove(decided);
            let outcome = self.ask(&fewer)?;
            let has_it = match (&thing, choice) {
                (Some(thing), _) => outcome.things.contains_key(thing),
                (None, Some(choice)) => outcome.choices.contains_key(&choice),
                (None, None) => false,
            };
            if has_it {
                decisions = fewer;
            }
        }
        Ok(())
    }

    fn ask(&mut self, decisions: &Decisions) -> Result<&Outcome<T>, Stop<E>> {
        if !self.trials.contains_key(decisions) {
            if self.trials.len() >= MOST_TRIALS {
                return Err(Stop::GivenUp);
            }
            let outcome = (self.trial)(decisions).map_err(Stop::Failed)?;
            self.trials.insert(decisions.clone(), outcome);
        }
        Ok(&self.trials[decisions])
    }

    /// The decisions among those that are about choices which come up.
    fn those_that_matter(&self, chosen: &Decisions) -> Decisions {
        let mut decisions = Decisions::new();
        while let Some((choice, _)) = self.next_choice(&decisions) {
            decisions.insert(choice, chosen.get(&choice).copied().unwrap_or_default());
        }
        decisions
    }

    /// The choices that come up, as far as trials have shown.
    fn choices(&self, decisions: &Decisions) -> BTreeMap<usize, usize> {
        let known = self.trials.iter().filter(|(fewer, _)| is_part(fewer, decisions));
        known.flat_map(|(_, outcome)| outcome.choices.clone()).collect()
    }
}

/// What a trial has that no trial of fewer decisions has.
struct News<'t, T> {
    things: BTreeMap<&'t T, Cost>,
    choices: BTreeMap<usize, usize>,
}

/// `None` when there is nothing new.
fn news<'t, T: Ord>(trials: &'t BTreeMap<Decisions, Outcome<T>>, decisions: &Decisions) -> Option<News<'t, T>> {
    let outcome = trials.get(decisions)?;
    let fewer = |other: &&Decisions| *other != decisions && is_part(other, decisions);
    let foretold: Vec<_> = trials.keys().filter(fewer).map(|fewer| &trials[fewer]).collect();
    let things = outcome.things.iter().filter(|(thing, _)| foretold.iter().all(|o| !o.things.contains_key(thing)));
    let choices = outcome.choices.iter().filter(|(choice, _)| foretold.iter().all(|o| !o.choices.contains_key(choice)));
    let things: BTreeMap<_, _> = things.map(|(thing, cost)| (thing, *cost)).collect();
    let choices: BTreeMap<_, _> = choices.map(|(choice, n)| (*choice, *n)).collect();
    (!things.is_empty() || !choices.is_empty()).then_some(News { things, choices })
}

fn is_part(fewer: &Decisions, decisions: &Decisions) -> bool {
    fewer.len() <= decisions.len() && fewer.iter().all(|(choice, chosen)| decisions.get(choice) == Some(chosen))
}

impl Cost {
    pub(super) fn plus(self, other: Cost) -> Cost {
        Cost { failures: self.failures.saturating_add(other.failures), bytes: self.bytes.saturating_add(other.bytes) }
    }
}

#[cfg(test)]
mod tests;
