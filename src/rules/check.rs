//! The rule set as a whole: what no single file can know, and whether each file does what its examples say.
//!
//! Loading already refuses unknown keys, wrong types and duplicate ids. What is found here is poor style or a false
//! claim, so rules with such problems can still be used; `minroot rules check` and the tests tell.

use super::apply::RuleState;
use super::example;
use super::load;
use super::pattern::{Template, as_path, path_glob};
use super::problem::Problem;
use super::{Mechanism, Rule, RuleFile, RuleSet};
use std::collections::BTreeSet;

impl RuleSet {
    /// Everything that is wrong with the set, sorted by place; empty when all is well.
    pub fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = Vec::new();
        for file in &self.files {
            problems.extend(documentation(file));
            problems.extend(repetitions(file));
            problems.extend(broad_claims(file));
            problems.extend(examples(file));
        }
        problems.extend(self.conflicts());
        problems.sort();
        problems
    }

    /// Paths that one rule needs and another forbids on the same system.
    fn conflicts(&self) -> Vec<Problem> {
        let all = || self.numbers.iter().enumerate().map(|(number, _)| self.rule(number));
        let mut problems = Vec::new();
        for (forbidding, rule) in all() {
            for never in &rule.effects.never {
                let Ok(glob) = path_glob(&never.text) else { continue };
                let glob = glob.compile_matcher();
                for (needing, other) in all().filter(|(needing, _)| meet(forbidding, needing)) {
                    for need in other.effects.paths() {
                        let path = need.without_below().unwrap_or_else(|| need.clone()).fixed_path();
                        if let Some(path) = path.filter(|path| glob.is_match(as_path(path.as_bytes()))) {
                            let place = format!("{}:{}", needing.file, need.line);
                            let message = format!("`{}` forbids `{path}`, which {place} needs", never.text);
                            problems.push(at(forbidding, never, message));
                        }
                    }
                }
            }
        }
        problems
    }
}

fn meet(one: &RuleFile, other: &RuleFile) -> bool {
    one.systems.iter().any(|system| other.systems.contains(system))
}

fn at(file: &RuleFile, template: &Template, message: String) -> Problem {
    Problem { file: file.file.clone(), line: template.line, column: template.column, message, hint: None }
}

fn at_line(file: &RuleFile, line: usize, message: impl Into<String>, hint: Option<&str>) -> Problem {
    Problem { file: file.file.clone(), line, column: 1, message: message.into(), hint: hint.map(str::to_owned) }
}

fn documentation(file: &RuleFile) -> Vec<Problem> {
    let missing = [
        ("mechanism", file.mechanism.is_none(), "one of dlopen, exec, open, config, service, driver"),
        ("why", file.why.trim().is_empty(), "say how the dependency stays hidden from the object file"),
        ("evidence", file.evidence.is_empty(), "name a source file, manual page or trace that others can check"),
    ];
    let missing = missing.iter().filter(|(_, missing, _)| *missing);
    missing.map(|(key, _, hint)| at_line(file, 1, format!("`{key}` is missing"), Some(hint))).collect()
}

/// Objects that no rule was written for, in the directories of programs and libraries.
const STRANGERS: [&str; 8] = [
    "/usr/bin/some-program",
    "/usr/sbin/some-program",
    "/usr/lib/some-program",
    "/usr/lib/libsome-library.so.1",
    "/usr/lib64/libsome-library.so.1",
    "/usr/lib/x86_64-linux-gnu/libsome-library.so.1",
    "/usr/lib/amd64/libsome-library.so.1",
    "/lib/libsome-library.so.1",
];

/// Rules about `dlopen` whose glob matches objects that nobody looked at. Such a rule speaks for them whatever its other
/// conditions are (see `claims`), so their computed names would no longer be listed as unknown.
fn broad_claims(file: &RuleFile) -> Vec<Problem> {
    if file.mechanism != Some(Mechanism::Dlopen) {
        return Vec::new();
    }
    let stranger = |rule: &Rule| {
        let object = path_glob(rule.when.object.as_deref()?).ok()?.compile_matcher();
        STRANGERS.into_iter().find(|path| object.is_match(path))
    };
    let broad = file.rules.iter().filter_map(|rule| Some((rule, stranger(rule)?)));
    let problem = |(rule, stranger): (&Rule, &str)| {
        let message =
            format!("the glob of `object` matches any object, such as `{stranger}`: none would be listed as unknown");
        at_line(file, rule.line, message, Some("name the objects that load, or find them by what they need or import"))
    };
    broad.map(problem).collect()
}

/// The same name twice in one list.
fn repetitions(file: &RuleFile) -> Vec<Problem> {
    let mut problems = Vec::new();
    for rule in &file.rules {
        let effects = &rule.effects;
        let lists = [&effects.needs, &effects.libraries, &effects.modules, &effects.generate, &effects.never];
        for list in lists.into_iter().chain([&effects.directories, &effects.files, &effects.programs]) {
            let mut seen = BTreeSet::new();
            for template in list.iter().filter(|template| !seen.insert(&template.text)) {
                problems.push(at(file, template, format!("`{}` is listed twice", template.text)));
            }
        }
    }
    problems
}

/// Runs the file's examples with its own rules only, so that no other rule can hide a mistake. Of a file inside the
/// binary everything is checked first, which no other run does.
fn examples(file: &RuleFile) -> Vec<Problem> {
    let examples = match load::examples(file) {
        Ok(examples) => examples,
        Err(problems) => return problems,
    };
    let alone = RuleSet::new(vec![file.clone()]).expect("a part of a set that was put together");
    let mut problems = Vec::new();
    let mut fired = BTreeSet::new();
    for example in &examples {
        for system in &file.systems {
            let mut state = RuleState::default();
            let added = example::run(&alone, example, *system, &mut state);
            fired.extend((0..file.rules.len()).filter(|&number| state.has_fired(number)));
            problems.extend(example.adds.difference(&added).map(|name| {
                at_line(file, example.line, format!("the example should add `{name}`, and does not"), None)
            }));
            problems.extend(added.difference(&example.adds).map(|name| {
                at_line(file, example.line, format!("the example adds `{name}`, which it does not list"), None)
            }));
        }
    }
    let silent = |(number, _): &(usize, &Rule)| !fired.contains(number);
    problems.extend(file.rules.iter().enumerate().filter(silent).map(|(_, rule)| {
        at_line(file, rule.line, "no example makes this rule fire", Some("add an [[example]] for it"))
    }));
    let quiet = examples.iter().filter(|example| example.adds.is_empty()).count();
    if quiet == 0 || quiet == examples.len() {
        let message = "the examples must show the rule firing and staying quiet";
        problems.push(at_line(file, 1, message, Some("add an [[example]] that looks close, with adds = []")));
    }
    problems.sort();
    problems.dedup();
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENTED: &str = "summary='s'\nmechanism='open'\nsystems=['linux']\nwhy='w'\nevidence=['e']\n";

    fn file(id: &str, text: &str) -> RuleFile {
        load::file(id, &format!("{id}.toml"), text).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    fn check(rules: &str, expected: &[&str]) {
        let set = RuleSet::new(vec![file("t", &format!("{DOCUMENTED}{rules}"))]).unwrap();
        let found: Vec<String> = set.check().iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{rules}");
    }

    #[test]
    fn the_rules_of_this_project_do_what_their_examples_say() {
        let set = RuleSet::load(&[]).unwrap();
        for file in set.files() {
            let wrong = documentation(file).into_iter().chain(repetitions(file)).chain(examples(file));
            let wrong: Vec<String> = wrong.map(|problem| problem.to_string()).collect();
            assert!(wrong.is_empty(), "rule {}:\n{}", file.id, wrong.join("\n"));
        }
        assert_eq!(set.check(), []);
    }

    #[test]
    fn an_example_that_is_wrong_is_told_with_both_sides() {
        check(
            "[[rule]]\nwhen={object='/a'}\nneeds=['/b']\n\
             [[example]]\ngiven={'/a'=''}\nadds=['/c']\n[[example]]\ngiven={'/x'=''}\nadds=[]\n",
            &[
                "t.toml:9:1: the example adds `/b`, which it does not list",
                "t.toml:9:1: the example should add `/c`, and does not",
            ],
        );
    }

    #[test]
    fn a_rule_that_no_example_fires_is_told() {
        check(
            "[[rule]]\nwhen={object='/a'}\nneeds=['/b']\n[[rule]]\nwhen={object='/d'}\nneeds=['/b']\n\
             [[example]]\ngiven={'/a'=''}\nadds=['/b']\n[[example]]\ngiven={'/x'=''}\nadds=[]\n",
            &["t.toml:9:1: no example makes this rule fire"],
        );
    }

    #[test]
    fn examples_must_show_both_sides() {
        check(
            "[[rule]]\nwhen={object='/a'}\nneeds=['/b']\n[[example]]\ngiven={'/a'=''}\nadds=['/b']\n",
            &["t.toml:1:1: the examples must show the rule firing and staying quiet"],
        );
    }

    #[test]
    fn a_rule_about_dlopen_that_speaks_for_whole_directories_is_told() {
        let broad = |mechanism: &str, glob: &str| {
            let text = format!(
                "summary='s'\nmechanism='{mechanism}'\nsystems=['linux']\nwhy='w'\nevidence=['e']\n\
                 [[rule]]\nwhen={{object='{glob}', imports='dlopen'}}\nlibraries=['libx.so']\n"
            );
            broad_claims(&file("t", &text)).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        for glob in ["/usr/{bin,sbin,lib}/**", "/**", "/usr/bin/*", "/usr/lib/*-linux-gnu/lib*.so*"] {
            assert!(
                broad("dlopen", glob)[0].starts_with("t.toml:6:1: the glob of `object` matches any object"),
                "{glob}"
            );
            assert_eq!(broad("open", glob), [""; 0], "{glob}");
        }
        for glob in ["/usr/bin/iconv", "/usr/lib/*-linux-gnu/security/pam_*.so", "/etc/pam.d/*", "/usr/lib/libGL*.so.*"]
        {
            assert_eq!(broad("dlopen", glob), [""; 0], "{glob}");
        }
    }

    #[test]
    fn what_is_not_explained_is_told() {
        let set = RuleSet::new(vec![file(
            "t",
            "summary='s'\nsystems=['linux']\n[[rule]]\nwhen={object='/a'}\nneeds=['/b', '/b']\n\
             [[example]]\ngiven={'/a'=''}\nadds=['/b']\n[[example]]\ngiven={'/x'=''}\nadds=[]\n",
        )])
        .unwrap();
        let found: Vec<String> = set.check().iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "t.toml:1:1: `evidence` is missing",
                "t.toml:1:1: `mechanism` is missing",
                "t.toml:1:1: `why` is missing",
                "t.toml:5:14: `/b` is listed twice",
            ]
        );
    }

    #[test]
    fn what_one_rule_needs_and_another_forbids_is_a_conflict() {
        let needing = format!(
            "{DOCUMENTED}[[rule]]\nwhen={{object='/a'}}\nneeds=['/usr/share/x/**']\n\
             [[example]]\ngiven={{'/a'=''}}\nadds=['/usr/share/x/**']\n[[example]]\ngiven={{'/x'=''}}\nadds=[]\n"
        );
        let forbidding = format!(
            "{DOCUMENTED}[[rule]]\nwhen={{object='/a'}}\nnever=['/usr/share/*']\nreason='r'\n\
             [[example]]\ngiven={{'/a'=''}}\nadds=['never /usr/share/*']\n[[example]]\ngiven={{'/x'=''}}\nadds=[]\n"
        );
        let set = RuleSet::new(vec![file("n", &needing), file("f", &forbidding)]).unwrap();
        let found: Vec<String> = set.check().iter().map(ToString::to_string).collect();
        assert_eq!(found, ["f.toml:8:8: `/usr/share/*` forbids `/usr/share/x`, which n.toml:8 needs"]);
        let elsewhere = needing.replace("'linux'", "'illumos'");
        let set = RuleSet::new(vec![file("n", &elsewhere), file("f", &forbidding)]).unwrap();
        assert_eq!(set.check(), []);
    }
}
