//! Random roots with random rules, each traced once with its choices and once for every way to decide them.

use crate::manifest::{Choice, Verdict};
use crate::path::RootPath;
use crate::reason::Priority;
use crate::recipe::Recipe;
use crate::resolve::glibc::Cache;
use crate::root::Root;
use crate::rules::RuleSet;
use crate::trace::{Input, Trace, trace};
use proptest::prelude::*;
use std::fs::{self, File};
use tempfile::TempDir;

const N_FILES: usize = 12;

/// Rules over `/0` to `/11`, of which `/0` is the target.
#[derive(Debug, Clone)]
struct World {
    sizes: Vec<u64>,
    /// A file brings another; one that does not exist is number [`N_FILES`].
    needs: Vec<(usize, usize)>,
    /// A file brings another once a third is in the image, too.
    included: Vec<(usize, usize, usize)>,
    /// A file has the choice between lists.
    choices: Vec<(usize, Vec<Vec<usize>>)>,
    forbidden: usize,
    /// Files that are names of one inode.
    linked: (usize, usize),
}

impl World {
    fn root(&self) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        let at = |number: usize| directory.path().join(number.to_string());
        for (number, size) in self.sizes.iter().enumerate() {
            // Holes: only the sizes count.
            File::create(at(number)).unwrap().set_len(*size).unwrap();
        }
        let (one, other) = self.linked;
        if one != other {
            fs::remove_file(at(other)).unwrap();
            fs::hard_link(at(one), at(other)).unwrap();
        }
        directory
    }

    /// The rules, with a word for each choice.
    fn rules(&self, choice: impl Fn(usize, &[Vec<usize>]) -> String) -> RuleSet {
        let needs = self.needs.iter().map(|(from, to)| rule(&format!("object='/{from}'"), &format!("needs=['/{to}']")));
        let included = self.included.iter().map(|(from, with, to)| {
            rule(&format!("object='/{from}', included='/{with}'"), &format!("needs=['/{to}']"))
        });
        let choices = self.choices.iter().enumerate();
        let choices = choices.map(|(number, (from, lists))| rule(&format!("object='/{from}'"), &choice(number, lists)));
        let never = format!("[[rule]]\nnever=['/{}']\nreason='r'\n", self.forbidden);
        RuleSet::of_text(&needs.chain(included).chain(choices).chain([never]).collect::<String>())
    }

    fn least_by_brute_force(&self, root: &Root) -> (usize, u64) {
        let counts: Vec<usize> = self.choices.iter().map(|(_, lists)| lists.len()).collect();
        let ways = (0..counts.iter().product()).map(|mut way: usize| {
            let digit = |count: &usize| {
                let digit = way % count;
                way /= count;
                digit
            };
            let taken: Vec<usize> = counts.iter().map(digit).collect();
            let rules = self.rules(|number, lists| format!("needs={}", list(&lists[taken[number]])));
            cost(root, &run(root, &rules))
        });
        ways.min().unwrap()
    }
}

fn rule(when: &str, effect: &str) -> String {
    format!("[[rule]]\nwhen={{{when}}}\n{effect}\n")
}

fn list(files: &[usize]) -> String {
    let paths: Vec<String> = files.iter().map(|file| format!("'/{file}'")).collect();
    format!("[{}]", paths.join(", "))
}

fn any_of(lists: &[Vec<usize>]) -> String {
    let lists: Vec<String> = lists.iter().map(|files| list(files)).collect();
    format!("any_of=[{}]", lists.join(", "))
}

fn run(root: &Root, rules: &RuleSet) -> Trace {
    let mut recipe = Recipe::default();
    recipe.trace.targets.push("/0".to_owned());
    trace(Input { root, rules, recipe: &recipe, rule_directories: &[], cache: Cache::FromConfiguration }).unwrap()
}

/// Failures and bytes of an image, from its manifest's parts.
fn cost(root: &Root, trace: &Trace) -> (usize, u64) {
    let missing = trace.missing.iter().filter(|missing| missing.priority == Priority::Required);
    let missing =
        missing.map(|missing| (missing.from.clone(), missing.name.clone())).collect::<std::collections::BTreeSet<_>>();
    let held_back = trace.forbidden.keys().filter(|path| trace.graph.contains(path)).count();
    let mut inodes = std::collections::BTreeMap::new();
    for path in trace.kept() {
        let info = root.lookup_nofollow(&path).unwrap().info;
        inodes.insert(info.inode, info.size);
    }
    (missing.len() + held_back, inodes.values().sum())
}

fn world() -> impl Strategy<Value = World> {
    let file = || 0..N_FILES;
    let some_target = || prop_oneof![9 => 1..N_FILES, 1 => Just(N_FILES)];
    let lists = || prop::collection::vec(prop::collection::vec(1..N_FILES, 1..3), 2..4);
    (
        prop::collection::vec(prop_oneof![0..3u64, 1000..1003u64], N_FILES),
        prop::collection::vec((file(), some_target()), 0..9),
        prop::collection::vec((file(), file(), some_target()), 0..5),
        (lists(), prop::collection::vec((file(), lists()), 0..3)),
        (1..N_FILES, (1..N_FILES, 1..N_FILES)),
    )
        .prop_map(|(sizes, needs, included, (first, choices), (forbidden, linked))| World {
            sizes,
            needs,
            included,
            choices: [(0, first)].into_iter().chain(choices).collect(),
            forbidden,
            linked,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_other_way_to_decide_gives_a_smaller_image(world in world()) {
        let directory = world.root();
        let root = Root::open(directory.path()).unwrap();
        let trace = run(&root, &world.rules(|_, lists| any_of(lists)));
        prop_assert_eq!(cost(&root, &trace), world.least_by_brute_force(&root));
    }
}

/// A root of files with sizes, and its trace from `/0` with these rules.
fn traced(sizes: &[u64], rules: &str) -> Trace {
    let directory = tempfile::tempdir().unwrap();
    for (number, size) in sizes.iter().enumerate() {
        File::create(directory.path().join(number.to_string())).unwrap().set_len(*size).unwrap();
    }
    std::os::unix::fs::symlink("1", directory.path().join("link")).unwrap();
    run(&Root::open(directory.path()).unwrap(), &RuleSet::of_text(rules))
}

fn verdicts(choice: &Choice) -> Vec<(&str, Verdict)> {
    choice.alternatives.iter().map(|alternative| (&alternative.name[..], alternative.verdict)).collect()
}

#[test]
fn what_was_chosen_is_recorded_with_what_the_others_would_have_cost() {
    // /2 is the smallest by itself, and brings /5.
    let rules = "[[rule]]\nwhen={object='/0'}\nany_of=[['/1'], ['/2'], ['/3', '/4']]\n\
                 [[rule]]\nwhen={object='/2'}\nneeds=['/5']";
    let trace = traced(&[9, 100, 10, 50, 20, 1000], rules);
    let [choice] = &trace.choices[..] else { panic!("{:?}", trace.choices) };
    let expected = [("/1", Verdict::More(30)), ("/2", Verdict::More(940)), ("/3 and /4", Verdict::Chosen)];
    assert_eq!(verdicts(choice), expected);
    assert_eq!(choice.because[0].from, Some(RootPath::new("/0").unwrap()));
    assert_eq!(&*choice.because[0].reason.detail, "t:3");
    assert_eq!(trace.kept(), ["/0", "/3", "/4"].map(|path| RootPath::new(path).unwrap()));
}

#[test]
fn an_alternative_that_lacks_something_is_passed_over_unless_all_do() {
    let lacks = |files: &str| {
        format!(
            "[[rule]]\nwhen={{object='/0'}}\nany_of=[['/1'], ['/2']]\n\
             [[rule]]\nwhen={{object='/{files}'}}\nneeds=['/nowhere']"
        )
    };
    let trace = traced(&[9, 100, 10], &lacks("2"));
    assert_eq!(verdicts(&trace.choices[0]), [("/1", Verdict::Chosen), ("/2", Verdict::Incomplete)]);
    let trace = traced(&[9, 100, 10], &lacks("{1,2}"));
    assert_eq!(verdicts(&trace.choices[0]), [("/1", Verdict::More(90)), ("/2", Verdict::Chosen)]);
    let held_back = "[[rule]]\nwhen={object='/0'}\nany_of=[['/1'], ['/2']]\n[[rule]]\nnever=['/2']\nreason='r'";
    let trace = traced(&[9, 100, 10], held_back);
    assert_eq!(verdicts(&trace.choices[0]), [("/1", Verdict::Chosen), ("/2", Verdict::Incomplete)]);
}

#[test]
fn what_leads_to_one_file_or_does_not_exist_is_no_choice() {
    for lists in ["['/1'], ['/nowhere']", "['/1'], ['/link']", "['/nowhere', '/2'], ['/link']"] {
        let trace = traced(&[9, 100, 10], &format!("[[rule]]\nwhen={{object='/0'}}\nany_of=[{lists}]"));
        assert_eq!((trace.choices.len(), trace.missing.len()), (0, 0), "{lists}");
        assert!(trace.graph.contains(&RootPath::new("/1").unwrap()), "{lists}");
    }
    let trace = traced(&[9], "[[rule]]\nwhen={object='/0'}\nany_of=[['/x'], ['/y', '/z']]");
    assert_eq!(trace.missing.first().unwrap().name, "/x or /y or /z");
}

#[test]
fn who_has_the_same_alternatives_gets_the_same_answer() {
    let rules = "[[rule]]\nwhen={object='/{0,3}'}\nany_of=[['/1'], ['/2']]\n[[rule]]\nwhen={object='/0'}\nneeds=['/3']";
    let trace = traced(&[9, 100, 10, 0], rules);
    assert_eq!((trace.choices.len(), trace.choices[0].because.len()), (1, 2));
    assert!(trace.graph.contains(&RootPath::new("/2").unwrap()));
    assert_eq!(trace.graph.reasons(&RootPath::new("/2").unwrap()).len(), 2);
}
