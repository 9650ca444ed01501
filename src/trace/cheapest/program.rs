//! What trials have shown, as a mixed integer linear program.
//!
//! With a binary *x* for each alternative:
//!
//! - a choice takes one alternative at most: Σ *x* ≤ 1 over its alternatives;
//! - a trial of decisions *S* holds, *z* = 1, when all of them are taken: *z* ≥ Σ *x* − |*S*| + 1;
//! - a choice that first came up in that trial is decided: Σ *x* ≥ *z* over its alternatives;
//! - what is new in that trial is in: *y* ≥ *z*. Things that the same trials brought are one *y*, with their costs added.
//!
//! Minimized is first Σ failures · *y*, then with that held Σ bytes · *y*: one sum of both would need a weight above
//! all bytes, and lose the single byte in the precision of floating point. The *y* and *z* need not be declared
//! integers, because the constraints make them so once the *x* are.

use super::{Cost, Decisions, Trial, Trials};
use microlp::{ComparisonOp, OptimizationDirection, Problem, Solution, SolveOptions, Variable};
use std::collections::BTreeMap;

/// A sum of variables, each with its factor.
type Sum = Vec<(usize, f64)>;

type Constraint = (Sum, ComparisonOp, f64);

#[derive(Default)]
pub(super) struct Program {
    /// Of each variable whether it is a whole number. All are between 0 and 1.
    is_whole: Vec<bool>,
    /// The *x*, by choice and alternative.
    taken: BTreeMap<(usize, usize), usize>,
    constraints: Vec<Constraint>,
    /// What is in together, with its *y*.
    costs: Vec<(Cost, usize)>,
}

impl Program {
    pub fn of<T: Ord>(trials: &Trials<T>) -> Program {
        let mut program = Program::default();
        let choices: BTreeMap<_, _> = trials.values().flat_map(|trial| &trial.outcome.choices).collect();
        for (choice, n_alternatives) in choices {
            program.add_choice(*choice, *n_alternatives);
        }
        let mut brought: BTreeMap<&T, (Cost, Vec<usize>)> = BTreeMap::new();
        let mut trials_with_news = Vec::new();
        for (decisions, Trial { news, .. }) in trials.iter().filter(|(_, trial)| !trial.news.is_empty()) {
            let holds = program.add_trial(decisions);
            for choice in news.choices.keys() {
                program.at_least(program.alternatives(*choice), holds);
            }
            for (thing, cost) in &news.things {
                brought.entry(thing).or_insert((*cost, Vec::new())).1.push(trials_with_news.len());
            }
            trials_with_news.push(holds);
        }
        program.add_things(brought.into_values(), &trials_with_news);
        program
    }

    /// The alternatives to take where these are decided already; `None` when the solver finds none, which is a failure
    /// of its arithmetic.
    pub fn solve(&self, decided: &Decisions) -> Option<Decisions> {
        let decided = decided.iter().map(|(choice, taken)| self.taken[&(*choice, *taken)]);
        let mut further: Vec<Constraint> = decided.map(|taken| (vec![(taken, 1.0)], ComparisonOp::Ge, 1.0)).collect();
        let failures = self.sum(|cost| cost.failures);
        if !failures.is_empty() {
            let (_, solution) = self.minimize(&failures, &further)?;
            // Whole numbers: a half is far from both.
            further.push((failures, ComparisonOp::Le, solution.objective().round() + 0.5));
        }
        let (variables, solution) = self.minimize(&self.sum(|cost| cost.bytes), &further)?;
        let taken = self.taken.iter().filter(|(_, taken)| solution.var_value(variables[**taken]) > 0.5);
        Some(taken.map(|(alternative, _)| *alternative).collect())
    }

    fn add_choice(&mut self, choice: usize, n_alternatives: usize) {
        for alternative in 0..n_alternatives {
            let taken = self.variable(true);
            self.taken.insert((choice, alternative), taken);
        }
        self.constraints.push((self.alternatives(choice), ComparisonOp::Le, 1.0));
    }

    /// Whether what these decisions bring is in; `None` when it always is.
    fn add_trial(&mut self, decisions: &Decisions) -> Option<usize> {
        let all: Vec<usize> = decisions.iter().map(|(choice, taken)| self.taken[&(*choice, *taken)]).collect();
        if all.len() < 2 {
            return all.first().copied();
        }
        let holds = self.variable(false);
        let rest = all.iter().map(|taken| (*taken, -1.0));
        let sum = [(holds, 1.0)].into_iter().chain(rest).collect();
        self.constraints.push((sum, ComparisonOp::Ge, 1.0 - all.len() as f64));
        Some(holds)
    }

    /// Adds things, each with its cost and the trials that bring it.
    fn add_things(&mut self, things: impl Iterator<Item = (Cost, Vec<usize>)>, holds: &[Option<usize>]) {
        let mut together: BTreeMap<Vec<usize>, Cost> = BTreeMap::new();
        for (cost, trials) in things {
            let sum = together.entry(trials).or_default();
            *sum = sum.plus(cost);
        }
        for (trials, cost) in together {
            let is_in = self.variable(false);
            trials.into_iter().for_each(|trial| self.at_least(vec![(is_in, 1.0)], holds[trial]));
            self.costs.push((cost, is_in));
        }
    }

    fn alternatives(&self, choice: usize) -> Sum {
        self.taken.range((choice, 0)..=(choice, usize::MAX)).map(|(_, taken)| (*taken, 1.0)).collect()
    }

    fn variable(&mut self, is_whole: bool) -> usize {
        self.is_whole.push(is_whole);
        self.is_whole.len() - 1
    }

    /// Demands that a sum is no less than a variable, or than 1.
    fn at_least(&mut self, mut sum: Sum, other: Option<usize>) {
        sum.extend(other.map(|other| (other, -1.0)));
        self.constraints.push((sum, ComparisonOp::Ge, if other.is_some() { 0.0 } else { 1.0 }));
    }

    fn sum(&self, of: fn(&Cost) -> u64) -> Sum {
        self.costs.iter().filter(|(cost, _)| of(cost) > 0).map(|(cost, is_in)| (*is_in, of(cost) as f64)).collect()
    }

    fn minimize(&self, sum: &Sum, further: &[Constraint]) -> Option<(Vec<Variable>, Solution)> {
        let mut factors = vec![0.0; self.is_whole.len()];
        sum.iter().for_each(|(variable, factor)| factors[*variable] += factor);
        let mut problem = Problem::new(OptimizationDirection::Minimize);
        let add = |(is_whole, factor): (&bool, f64)| match is_whole {
            true => problem.add_binary_var(factor),
            false => problem.add_var(factor, (0.0, 1.0)),
        };
        let variables: Vec<Variable> = self.is_whole.iter().zip(factors).map(add).collect();
        for (sum, comparison, bound) in self.constraints.iter().chain(further) {
            let sum: Vec<_> = sum.iter().map(|(variable, factor)| (variables[*variable], *factor)).collect();
            problem.add_constraint(&sum[..], *comparison, *bound);
        }
        let mut options = SolveOptions::default();
        // The default takes what is within a billionth for equal: a byte of a gigabyte.
        options.tolerances.prune_epsilon = 0.0;
        let solution = problem.solve_with(options).ok()?.into_solution().ok()?;
        Some((variables, solution))
    }
}
