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
//! It is exact as far as more decisions do only bring more. A library that a process has loaded already can make the
//! search for another unnecessary; where two alternatives together are less than one of them, they may be passed over.
//!
//! The surprising thing: an alternative that is less can be wrong. An image where something required is missing or
//! held back counts as dearer than any that is whole, whatever its bytes.

mod program;

use program::Program;
use std::collections::BTreeMap;

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
    let mut search = Search { trial, trials: BTreeMap::new(), program: None };
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
    trials: Trials<T>,
    /// Of the trials so far; made when it is asked for.
    program: Option<Program>,
}

type Trials<T> = BTreeMap<Decisions, Trial<T>>;

/// A trial that was made.
struct Trial<T> {
    outcome: Outcome<T>,
    /// The part of it that no trial of fewer decisions has.
    news: Outcome<T>,
}

impl<T: Ord + Clone, E, F: FnMut(&Decisions) -> Result<Outcome<T>, E>> Search<T, F> {
    fn settle(&mut self, settled: &mut Vec<Settled>) -> Result<(), Stop<E>> {
        let mut decisions = Decisions::new();
        self.explore()?;
        while let Some((choice, n_alternatives)) = self.next_choice(&decisions) {
            let costs = (0..n_alternatives).map(|alternative| self.least_cost(&with(&decisions, choice, alternative)));
            let costs = costs.collect::<Result<Vec<Cost>, _>>()?;
            let best = (0..n_alternatives).min_by_key(|alternative| costs[*alternative]);
            let alternative = best.expect("a choice has alternatives");
            decisions.insert(choice, alternative);
            settled.push(Settled { choice, alternative, costs });
        }
        Ok(())
    }

    /// What the best image costs that decides like this, as a trial has shown.
    fn least_cost(&mut self, decisions: &Decisions) -> Result<Cost, Stop<E>> {
        loop {
            let program = self.program.get_or_insert_with(|| Program::of(&self.trials));
            let chosen = program.solve(decisions).ok_or(Stop::GivenUp)?;
            let best = self.those_that_matter(&chosen);
            // Then the program knew of all there is in it.
            let is_known = self.trials.contains_key(&best);
            let Trial { outcome, news } = self.ask(&best)?;
            if is_known || news.is_empty() {
                return Ok(outcome.cost());
            }
            self.find_cause(best)?;
            self.explore()?;
        }
    }

    /// Tries each alternative of each choice by itself: with no more decided than it takes for the choice to come up.
    fn explore(&mut self) -> Result<(), Stop<E>> {
        self.ask(&Decisions::new())?;
        loop {
            let alternatives = self.trials.iter().flat_map(|(decisions, trial)| {
                let open = trial.news.choices.iter().filter(|(choice, _)| !decisions.contains_key(choice));
                open.flat_map(|(choice, n)| (0..*n).map(|alternative| with(decisions, *choice, alternative)))
            });
            let untried: Vec<Decisions> = alternatives.filter(|tried| !self.trials.contains_key(tried)).collect();
            if untried.is_empty() {
                return Ok(());
            }
            if self.trials.len() + untried.len() > MOST_TRIALS {
                return Err(Stop::GivenUp);
            }
            untried.iter().try_for_each(|decisions| self.ask(decisions).map(drop))?;
        }
    }

    /// Makes the trial that shows by how few of these decisions something unforeseen came about.
    fn find_cause(&mut self, mut decisions: Decisions) -> Result<(), Stop<E>> {
        let news = &self.trials[&decisions].news;
        let thing = news.things.keys().next().cloned();
        let choice = news.choices.keys().next().copied();
        for decided in decisions.clone().keys() {
            let mut fewer = decisions.clone();
            fewer.remove(decided);
            let Trial { outcome, .. } = self.ask(&fewer)?;
            let has_it = match (&thing, choice) {
                (Some(thing), _) => outcome.things.contains_key(thing),
                (None, choice) => choice.is_some_and(|choice| outcome.choices.contains_key(&choice)),
            };
            if has_it {
                decisions = fewer;
            }
        }
        Ok(())
    }

    fn ask(&mut self, decisions: &Decisions) -> Result<&Trial<T>, Stop<E>> {
        if !self.trials.contains_key(decisions) {
            if self.trials.len() >= MOST_TRIALS {
                return Err(Stop::GivenUp);
            }
            let outcome = (self.trial)(decisions).map_err(Stop::Failed)?;
            let mut news = outcome.clone();
            for (other, trial) in &mut self.trials {
                if is_part(other, decisions) {
                    news.forget(&trial.outcome);
                } else if is_part(decisions, other) {
                    trial.news.forget(&outcome);
                }
            }
            // Without news it says nothing that others do not.
            if !news.is_empty() {
                self.program = None;
            }
            self.trials.insert(decisions.clone(), Trial { outcome, news });
        }
        Ok(&self.trials[decisions])
    }

    /// The first choice that comes up with these decisions and is not decided by them, as far as trials have shown.
    fn next_choice(&self, decisions: &Decisions) -> Option<(usize, usize)> {
        let known = self.trials.iter().filter(|(fewer, _)| is_part(fewer, decisions));
        let choices = known.flat_map(|(_, trial)| &trial.outcome.choices);
        choices.filter(|(choice, _)| !decisions.contains_key(choice)).min().map(|(choice, n)| (*choice, *n))
    }

    /// The decisions among those that are about choices which come up.
    fn those_that_matter(&self, chosen: &Decisions) -> Decisions {
        let mut decisions = Decisions::new();
        while let Some((choice, _)) = self.next_choice(&decisions) {
            decisions.insert(choice, chosen.get(&choice).copied().unwrap_or_default());
        }
        decisions
    }
}

impl<T: Ord> Outcome<T> {
    fn cost(&self) -> Cost {
        self.things.values().fold(Cost::default(), |sum, cost| sum.plus(*cost))
    }

    fn forget(&mut self, foretold: &Outcome<T>) {
        self.things.retain(|thing, _| !foretold.things.contains_key(thing));
        self.choices.retain(|choice, _| !foretold.choices.contains_key(choice));
    }

    fn is_empty(&self) -> bool {
        self.things.is_empty() && self.choices.is_empty()
    }
}

fn with(decisions: &Decisions, choice: usize, alternative: usize) -> Decisions {
    decisions.clone().into_iter().chain([(choice, alternative)]).collect()
}

fn is_part(fewer: &Decisions, decisions: &Decisions) -> bool {
    fewer.len() <= decisions.len() && fewer.iter().all(|(choice, chosen)| decisions.get(choice) == Some(chosen))
}

impl Cost {
    fn plus(self, other: Cost) -> Cost {
        Cost { failures: self.failures.saturating_add(other.failures), bytes: self.bytes.saturating_add(other.bytes) }
    }
}

#[cfg(test)]
mod tests;
