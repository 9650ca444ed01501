use super::*;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::BTreeSet;

/// A small world to choose in: things that need others, and choices that things lead to.
#[derive(Debug, Clone)]
struct World {
    costs: Vec<Cost>,
    /// Whoever is in brings this.
    needs: Vec<(usize, usize)>,
    /// Two that are both in bring a third, as a rule does that asks for a file and for another to be included.
    pairs: Vec<(usize, usize, usize)>,
    /// What leads to the choice, and the things its alternatives begin with.
    choices: Vec<(usize, Vec<Vec<usize>>)>,
}

impl World {
    /// Everything that is in when only thing 0 is asked for.
    fn image(&self, decisions: &Decisions) -> BTreeSet<usize> {
        let mut image = BTreeSet::from([0]);
        loop {
            let before = image.len();
            let needed = self.needs.iter().filter(|(from, _)| image.contains(from)).map(|(_, to)| *to);
            let by_two = self.pairs.iter().filter(|(a, b, _)| image.contains(a) && image.contains(b)).map(|p| p.2);
            let chosen = decisions.iter().filter(|(choice, _)| image.contains(&self.choices[**choice].0));
            let chosen = chosen.flat_map(|(choice, taken)| self.choices[*choice].1[*taken].clone());
            let new: Vec<usize> = needed.chain(by_two).chain(chosen).collect();
            image.extend(new);
            if image.len() == before {
                return image;
            }
        }
    }

    fn open(&self, image: &BTreeSet<usize>) -> BTreeMap<usize, usize> {
        let choices = self.choices.iter().enumerate();
        choices
            .filter(|(_, (from, _))| image.contains(from))
            .map(|(number, (_, lists))| (number, lists.len()))
            .collect()
    }

    fn outcome(&self, decisions: &Decisions) -> Outcome<usize> {
        let (image, base) = (self.image(decisions), self.image(&Decisions::new()));
        let things = image.difference(&base).map(|thing| (*thing, self.costs[*thing])).collect();
        Outcome { things, choices: self.open(&image) }
    }

    /// The least cost by trying everything.
    fn brute_force(&self, decisions: &Decisions) -> Cost {
        let Outcome { things, choices } = self.outcome(decisions);
        match choices.iter().find(|(choice, _)| !decisions.contains_key(choice)) {
            None => Outcome { things, choices }.cost(),
            Some((choice, n)) => (0..*n).map(|taken| self.brute_force(&with(decisions, *choice, taken))).min().unwrap(),
        }
    }

    fn settle(&self) -> Settlement {
        settle(|decisions| Ok::<_, ()>(self.outcome(decisions))).unwrap()
    }
}

const N_THINGS: usize = 14;

fn world() -> impl Strategy<Value = World> {
    // Sizes that differ by single bytes, small ones and such of many gigabytes, so that ties and precision both count.
    let bytes = prop_oneof![0..4u64, 1_000..1_004u64, (1 << 36)..(1 << 36) + 3u64];
    let cost =
        (prop_oneof![9 => Just(0), 1 => Just(1u64)], bytes).prop_map(|(failures, bytes)| Cost { failures, bytes });
    let thing = || 0..N_THINGS;
    let alternatives = prop::collection::vec(prop::collection::vec(thing(), 1..3), 2..4);
    (
        prop::collection::vec(cost, N_THINGS),
        prop::collection::vec((thing(), thing()), 0..12),
        prop::collection::vec((thing(), thing(), thing()), 0..6),
        prop::collection::vec((prop_oneof![Just(0), thing()], alternatives), 1..5),
    )
        .prop_map(|(costs, needs, pairs, choices)| World { costs, needs, pairs, choices })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn what_is_chosen_is_what_trying_everything_finds(world in world()) {
        let settlement = world.settle();
        prop_assert!(settlement.is_complete);
        let mut decisions = Decisions::new();
        for Settled { choice, alternative, costs } in settlement.settled {
            let image = world.image(&decisions);
            let open = world.open(&image).into_iter().find(|(choice, _)| !decisions.contains_key(choice));
            prop_assert_eq!(open, Some((choice, costs.len())), "the order is that of the numbers");
            let expected: Vec<Cost> = (0..costs.len()).map(|taken| world.brute_force(&with(&decisions, choice, taken))).collect();
            let first = expected.iter().position(|cost| Some(cost) == expected.iter().min());
            prop_assert_eq!((&costs, Some(alternative)), (&expected, first));
            decisions.insert(choice, alternative);
        }
        prop_assert!(world.open(&world.image(&decisions)).keys().all(|choice| decisions.contains_key(choice)));
    }
}

fn bytes(bytes: &[u64]) -> Vec<Cost> {
    bytes.iter().map(|bytes| Cost { failures: 0, bytes: *bytes }).collect()
}

#[test]
fn what_two_choices_share_counts_once() {
    // Each alone would take its own thing of 60; together they are cheaper with the shared one of 100.
    let world = World {
        costs: bytes(&[0, 60, 100, 60]),
        needs: vec![],
        pairs: vec![],
        choices: vec![(0, vec![vec![1], vec![2]]), (0, vec![vec![3], vec![2]])],
    };
    let settled = world.settle().settled;
    assert_eq!(settled.iter().map(|s| s.alternative).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(settled[0].costs, bytes(&[120, 100]));
}

#[test]
fn equals_are_decided_by_the_order_they_are_written_in() {
    let choices = vec![(0, vec![vec![1], vec![2]]), (0, vec![vec![2], vec![1]])];
    let world = World { costs: bytes(&[0, 7, 7]), needs: vec![], pairs: vec![], choices };
    assert_eq!(world.settle().settled.iter().map(|s| s.alternative).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn things_that_need_each_other_are_not_in_without_a_reason() {
    let world = World {
        costs: bytes(&[0, 5, 5, 9]),
        needs: vec![(1, 2), (2, 1)],
        pairs: vec![],
        choices: vec![(0, vec![vec![1], vec![3]]), (1, vec![vec![2], vec![3]])],
    };
    let settled = world.settle().settled;
    assert_eq!((settled.len(), settled[0].alternative, &settled[0].costs), (1, 1, &bytes(&[10, 9])));
}

#[test]
fn what_is_whole_is_better_than_what_is_small() {
    let mut world = World {
        costs: bytes(&[0, 1, 1 << 40]),
        needs: vec![],
        pairs: vec![],
        choices: vec![(0, vec![vec![1], vec![2]])],
    };
    world.costs[1].failures = 1;
    assert_eq!(world.settle().settled[0].alternative, 1);
    world.costs[2].failures = 1;
    assert_eq!(world.settle().settled[0].alternative, 0, "where all fail, the smallest is taken");
}

#[test]
fn independent_choices_take_few_trials() {
    let world = World {
        costs: bytes(&(0..=40).collect::<Vec<_>>()),
        needs: vec![],
        pairs: vec![],
        choices: (0..20).map(|choice| (0, vec![vec![2 * choice + 2], vec![2 * choice + 1]])).collect(),
    };
    let n_trials = Cell::new(0);
    let settlement = settle(|decisions| {
        n_trials.set(n_trials.get() + 1);
        Ok::<_, ()>(world.outcome(decisions))
    });
    assert!(settlement.unwrap().settled.iter().all(|s| s.alternative == 1));
    assert_eq!(n_trials.get(), 1 + 40 + 21, "none, each alternative, the best, and the best without each");
}

#[test]
fn too_many_choices_are_given_up() {
    let things = 2 * MOST_TRIALS + 1;
    let world = World {
        costs: bytes(&vec![1; things]),
        needs: vec![],
        pairs: vec![],
        choices: (0..MOST_TRIALS).map(|choice| (0, vec![vec![2 * choice + 2], vec![2 * choice + 1]])).collect(),
    };
    assert_eq!(world.settle(), Settlement { settled: vec![], is_complete: false });
    let error = settle(|_| Err::<Outcome<usize>, _>("no trial"));
    assert_eq!(error, Err("no trial"));
}
