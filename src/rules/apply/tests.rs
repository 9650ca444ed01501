//! The engine on small images in memory.

use super::*;
use crate::rules::example::ExampleFacts;
use crate::rules::facts::ObjectFacts;
use crate::rules::pattern::{StringPattern, SymbolPattern};
use crate::rules::{Example, first_existing, load, nearest_existing};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

fn set(rules: &str) -> RuleSet {
    RuleSet::of_text(rules)
}

/// An image: the text of an `[[example]]` without `adds`.
fn image(text: &str) -> Example {
    let text = format!("summary='s'\nsystems=['linux']\nrule=[]\n[[example]]\nadds=[]\n{text}");
    let file = load::file("t", "t.toml", &text).unwrap_or_else(|problems| panic!("{problems:?}"));
    load::examples(&file).unwrap().remove(0)
}

fn path(text: &str) -> RootPath {
    RootPath::new(text).unwrap()
}

fn fire_all(set: &RuleSet, example: &Example) -> Vec<Firing> {
    let new: Vec<RootPath> = example.given.keys().cloned().collect();
    set.fire(&new, &mut RuleState::default(), &ExampleFacts { example, system: System::Linux })
}

fn check(rules: &str, example: &str, expected: &[Effect]) {
    let effects: Vec<Effect> = fire_all(&set(rules), &image(example)).into_iter().map(|f| f.effect).collect();
    assert_eq!(effects, expected, "{rules}");
}

fn need(text: &str) -> Effect {
    Effect::Need(Need { path: path(text), below: false })
}

#[test]
fn all_conditions_must_hold() {
    let rule = "[[rule]]\nwhen={object='/bin/*', soname='x.so*', needed='lib{a,b}.so', interpreter='/ld*', \
                imports='f.*', exists='/etc/x', arch='x86_64', hardware='qemu'}\nneeds=['/n']";
    let image = |object: &str, rest: &str| format!("given={{'/bin/a'='elf {object}'}}\n{rest}");
    let object = "soname=x.so.1 needed=liba.so,libb.so interpreter=/ld.so imports=foo";
    let rest = "exists=['/etc/x']\narch='x86_64'\nhardware=['none','qemu']";
    check(rule, &image(object, rest), &[need("/n")]);
    for part in object.split(' ') {
        check(rule, &image(&object.replace(part, ""), rest), &[]);
    }
    for part in rest.split('\n') {
        check(rule, &image(object, &rest.replace(part, "")), &[]);
    }
}

#[test]
fn each_binding_fires_once_and_names_where_it_came_from() {
    let rules = "[[rule]]\nwhen={needed='libc.so.6', file='/etc/n', reader='nsswitch', database='hosts'}\n\
                 libraries=['libnss_{source}.so.2']\noptional=true\npriority='recommended'";
    let example = image("given={'/a'='elf needed=libc.so.6', '/etc/n'='hosts: x x\\n'}".replace('\'', "\"").as_str());
    let firings = fire_all(&set(rules), &example);
    assert_eq!(firings.len(), 1);
    let firing = &firings[0];
    assert_eq!((&firing.rule.0[..], firing.line, firing.optional), ("t", 3, true));
    assert_eq!((&firing.from, &firing.object), (&Some(path("/etc/n")), &Some(path("/a"))));
    assert_eq!(firing.detail, "t:3 database=hosts inside_libc=no source=x");
    let soname = b"libnss_x.so.2".to_vec();
    assert_eq!(firing.effect, Effect::Library { soname, context: path("/a") });
}

#[test]
fn a_path_that_comes_again_fires_nothing() {
    let set = set("[[rule]]\nwhen={object='/a'}\nneeds=['/b']");
    let example = image("given={'/a'=''}");
    let facts = ExampleFacts { example: &example, system: System::Linux };
    let mut state = RuleState::default();
    assert_eq!(set.fire(&[path("/a"), path("/a")], &mut state, &facts).len(), 1);
    assert!(set.fire(&[path("/a")], &mut state, &facts).is_empty());
}

#[test]
fn globs_become_paths_and_directories_come_with_their_contents_only_on_request() {
    let given = "given={'/a'=''}\nexists=['/d/x', '/d/y', '/d/z/y']";
    let rule = |needs: &str| format!("[[rule]]\nwhen={{object='/a'}}\nneeds=['{needs}']");
    check(&rule("/d/?"), given, &[need("/d/x"), need("/d/y"), need("/d/z")]);
    check(&rule("/d/**/y"), given, &[need("/d/y"), need("/d/z/y")]);
    check(&rule("/d"), given, &[need("/d")]);
    check(&rule("/d/**"), given, &[Effect::Need(Need { path: path("/d"), below: true })]);
    check(&rule("/d/q*"), given, &[Effect::Unresolved { name: "/d/q*".to_owned() }]);
}

#[test]
fn effects_without_paths_are_only_reported() {
    check(
        "[[rule]]\nmodules=['ext4']\ngenerate=['ld.so.cache']\nnever=['/usr/share/doc/**']\nreason='r'",
        "given={'/a'=''}",
        &[
            Effect::Module { name: "ext4".to_owned() },
            Effect::Generate { name: "ld.so.cache".to_owned() },
            Effect::Never { glob: "/usr/share/doc/**".to_owned(), reason: "r".to_owned() },
        ],
    );
}

#[test]
fn the_first_alternative_that_exists_is_the_one() {
    let rules = "[[rule]]\nwhen={object='/a'}\nfirst_of=[['/x', '/y'], ['/z*'], ['/w']]";
    let example = image("given={'/a'=''}\nexists=['/x', '/w']");
    let firings = fire_all(&set(rules), &example);
    let Effect::FirstOf { alternatives } = &firings[0].effect else { panic!("{firings:?}") };
    let chosen = first_existing(alternatives, &ExampleFacts { example: &example, system: System::Linux });
    assert_eq!(chosen.unwrap(), [Need { path: path("/w"), below: false }]);
    let unresolved = Effect::Unresolved { name: "/z*".to_owned() };
    check("[[rule]]\nfirst_of=[['/z*']]", "given={'/a'=''}", std::slice::from_ref(&unresolved));
    check("[[rule]]\nany_of=[['/z*']]", "given={'/a'=''}", &[unresolved]);
}

#[test]
fn rules_of_another_system_stay_quiet() {
    let set = set("[[rule]]\nneeds=['/a']");
    let example = image("given={'/a'=''}");
    let facts = ExampleFacts { example: &example, system: System::Illumos };
    assert!(set.fire(&[path("/a")], &mut RuleState::default(), &facts).is_empty());
}

#[test]
fn a_rule_that_never_fired_is_known_by_its_line() {
    let set = set("[[rule]]\nwhen={object='/a'}\nneeds=['/x']\n[[rule]]\nwhen={object='/typo'}\nneeds=['/x']");
    let example = image("given={'/a'=''}");
    let mut state = RuleState::default();
    set.fire(&[path("/a")], &mut state, &ExampleFacts { example: &example, system: System::Linux });
    let lines: Vec<usize> = state.unmatched(&set, System::Linux).iter().map(|(_, rule)| rule.line).collect();
    assert_eq!(lines, [6]);
    assert!(state.unmatched(&set, System::Illumos).is_empty());
}

#[test]
fn a_missing_path_has_a_nearest_neighbour() {
    let example = image("given={'/usr/share/zoneinfo/UTC'=''}\nexists=['/usr/share/misc/x']");
    let facts = ExampleFacts { example: &example, system: System::Linux };
    assert_eq!(nearest_existing(&path("/usr/share/zoneinfo/UTD"), &facts), Some(path("/usr/share/zoneinfo/UTC")));
    assert_eq!(nearest_existing(&path("/usr/share/nothing-like-it/x"), &facts), None);
}

/// Counts the questions that cost something.
struct Counting<'a> {
    facts: ExampleFacts<'a>,
    imports: AtomicUsize,
    reads: AtomicUsize,
}

impl Facts for Counting<'_> {
    fn object(&self, path: &RootPath) -> Option<ObjectFacts<'_>> {
        self.facts.object(path)
    }
    fn imports(&self, path: &RootPath, pattern: &SymbolPattern) -> bool {
        self.imports.fetch_add(1, Ordering::Relaxed);
        self.facts.imports(path, pattern)
    }
    fn strings(&self, path: &RootPath, patterns: &[&StringPattern]) -> Vec<Vec<Bindings>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.facts.strings(path, patterns)
    }
    fn read(&self, path: &RootPath) -> Option<Vec<u8>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.facts.read(path)
    }
    fn exists(&self, path: &RootPath) -> bool {
        self.facts.exists(path)
    }
    fn glob(&self, pattern: &str) -> Vec<RootPath> {
        self.facts.glob(pattern)
    }
    fn hardware(&self) -> &[String] {
        self.facts.hardware()
    }
    fn system(&self) -> System {
        self.facts.system()
    }
    fn arch(&self) -> &str {
        self.facts.arch()
    }
    fn environment(&self) -> &[u8] {
        self.facts.environment()
    }
}

#[test]
fn costly_questions_come_last_and_files_are_read_once() {
    let set = set("[[rule]]\nwhen={needed='libc', imports='f', file='/n', reader='nsswitch'}\nneeds=['/{source}']\n\
                   [[rule]]\nwhen={soname='s', imports='g', strings='x'}\nneeds=['{match}']");
    let example = image(
        "given={'/a'='elf needed=libc imports=f', '/b'='elf needed=libc imports=f', '/c'='elf needed=libm imports=f', \
         '/s'='elf soname=s imports=h', '/n'='a: b'}",
    );
    let facts = ExampleFacts { example: &example, system: System::Linux };
    let facts = Counting { facts, imports: AtomicUsize::new(0), reads: AtomicUsize::new(0) };
    let new: Vec<RootPath> = example.given.keys().cloned().collect();
    assert_eq!(set.fire(&new, &mut RuleState::default(), &facts).len(), 2);
    assert_eq!((facts.imports.into_inner(), facts.reads.into_inner()), (3, 1));
}

const CHAIN: &str = "[[rule]]\nwhen={object='/f*', included='/g1'}\nneeds=['/g2']\n\
    [[rule]]\nwhen={object='/g2'}\nneeds=['/f9', '/g3']\n\
    [[rule]]\nwhen={object='/f3', strings='^/g.$'}\nneeds=['{match}']\n\
    [[rule]]\nwhen={included='/g3'}\ngenerate=['index']\n\
    [[rule]]\nwhen={imports='f', included='/f9'}\nlibraries=['lib']\n\
    [[rule]]\nwhen={object='/g3', file='/f2', reader='nsswitch'}\nneeds=['/{source}']";

fn chain_image() -> Example {
    image(
        "given={'/f1'='elf imports=f', '/f2'='a: s1 s2', '/f3'='elf strings=/g1,/x', '/f4'='elf imports=g'}\n\
         exists=['/g1', '/g2', '/g3', '/f9', '/s1', '/s2']",
    )
}

/// The caller's loop, with `chunk` paths a call and the work list shuffled by `keys`.
fn fixed_point(keys: &[u8], chunk: usize) -> BTreeSet<Firing> {
    let set = set(CHAIN);
    let example = chain_image();
    let facts = ExampleFacts { example: &example, system: System::Linux };
    let mut state = RuleState::default();
    let mut waiting: Vec<RootPath> = example.given.keys().cloned().collect();
    let mut all = BTreeSet::new();
    while !waiting.is_empty() {
        waiting.sort_by_key(|path| keys[path.as_bytes().iter().map(|b| usize::from(*b)).sum::<usize>() % keys.len()]);
        let rest = waiting.split_off(chunk.min(waiting.len()));
        let firings = set.fire(&waiting, &mut state, &facts);
        waiting = rest;
        waiting.extend(firings.iter().filter_map(|firing| match &firing.effect {
            Effect::Need(need) => Some(need.path.clone()),
            _ => None,
        }));
        all.extend(firings);
    }
    all
}

#[test]
fn the_chain_of_the_order_test_reaches_its_end() {
    let effects: BTreeSet<Effect> = fixed_point(&[0], 1).into_iter().map(|firing| firing.effect).collect();
    for path in ["/g1", "/g2", "/g3", "/f9", "/s1", "/s2"] {
        assert!(effects.contains(&need(path)), "{path}");
    }
    assert!(effects.contains(&Effect::Generate { name: "index".to_owned() }));
    assert!(effects.contains(&Effect::Library { soname: b"lib".to_vec(), context: path("/f1") }));
}

proptest! {
    #[test]
    fn the_order_of_new_paths_does_not_change_the_outcome(keys in prop::collection::vec(any::<u8>(), 1..13), chunk in 1usize..5) {
        prop_assert_eq!(fixed_point(&keys, chunk), fixed_point(&[0], 100));
    }
}

/// Prints a figure: `cargo test --release --lib rules -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn a_thousand_objects_against_fifty_rules() {
    let rules: String = (0..50)
        .map(|n| match n % 5 {
            0 => format!("[[rule]]\nwhen={{object='/usr/lib/*/x{n}/*.so*'}}\nneeds=['/n']\n"),
            1 => format!("[[rule]]\nwhen={{soname='lib{n}.so.*'}}\nneeds=['/n']\n"),
            2 => format!("[[rule]]\nwhen={{needed='libc.so.6', imports='f{n}'}}\nneeds=['/n']\n"),
            3 => format!("[[rule]]\nwhen={{imports='g{n}.*'}}\nneeds=['/n']\n"),
            _ => format!("[[rule]]\nwhen={{object='/usr/bin/{n}', interpreter='/lib/ld*'}}\nneeds=['/n']\n"),
        })
        .collect();
    let set = set(&rules);
    struct Many(Vec<String>);
    impl Facts for Many {
        fn object(&self, _: &RootPath) -> Option<ObjectFacts<'_>> {
            let needed = ["libc.so.6", "libm.so.6", "libdl.so.2", "libz.so.1", "libstdc++.so.6"];
            Some(ObjectFacts {
                soname: Some(b"libx.so.1"),
                needed: needed.iter().map(|name| name.as_bytes()).collect(),
                interpreter: Some(b"/lib64/ld-linux-x86-64.so.2"),
            })
        }
        fn imports(&self, _: &RootPath, pattern: &SymbolPattern) -> bool {
            pattern.index == 7
        }
        fn strings(&self, _: &RootPath, patterns: &[&StringPattern]) -> Vec<Vec<Bindings>> {
            vec![Vec::new(); patterns.len()]
        }
        fn read(&self, _: &RootPath) -> Option<Vec<u8>> {
            None
        }
        fn exists(&self, _: &RootPath) -> bool {
            true
        }
        fn glob(&self, _: &str) -> Vec<RootPath> {
            Vec::new()
        }
        fn hardware(&self) -> &[String] {
            &self.0
        }
        fn system(&self) -> System {
            System::Linux
        }
        fn arch(&self) -> &str {
            "x86_64"
        }
        fn environment(&self) -> &[u8] {
            &[]
        }
    }
    let new: Vec<RootPath> = (0..1000).map(|n| path(&format!("/usr/lib/x86_64-linux-gnu/lib{n}.so.1"))).collect();
    let mut times: Vec<std::time::Duration> = (0..20)
        .map(|_| {
            let start = std::time::Instant::now();
            assert_eq!(set.fire(&new, &mut RuleState::default(), &Many(Vec::new())).len(), 1000);
            start.elapsed()
        })
        .collect();
    times.sort();
    eprintln!("1000 objects, 50 rules, 1000 firings: median {:?}, least {:?}", times[10], times[0]);
    let start = std::time::Instant::now();
    RuleSet::load(&[]).unwrap();
    eprintln!("reading the rules of the binary: {:?}", start.elapsed());
}

#[test]
fn what_the_image_must_have_is_asked_for_with_the_names_of_the_object() {
    let make = |text: &str, made| Effect::Make { path: path(text), made };
    check(
        "[[rule]]\nwhen={object='/drv/ip'}\ndirectories=['/tmp']\nfiles=['/etc/mnttab']\n\
         links.'/dev/{object_name}'='..{object_directory}/{object_name}@0'",
        "given={'/drv/ip'=''}",
        &[
            make("/dev/ip", Made::Link { target: b"../drv/ip@0".to_vec() }),
            make("/etc/mnttab", Made::File),
            make("/tmp", Made::Directory),
        ],
    );
}

#[test]
fn a_program_without_a_slash_is_looked_for_where_init_looks() {
    let rules = "[[rule]]\nwhen={object='/a'}\nprograms=['sh', '/opt/x']";
    let alternative = |text: &str| vec![Need { path: path(text), below: false }];
    let alternatives = ["/sbin/sh", "/usr/sbin/sh", "/usr/bin/sh"].map(alternative).to_vec();
    check(rules, "given={'/a'=''}", &[need("/opt/x"), Effect::FirstOf { alternatives }]);
}

#[test]
fn a_consequence_decides_the_priority_and_goes_with_the_firing() {
    use crate::reason::{Priority, Severity};
    for (word, severity, priority) in [
        ("panic", Severity::Panic, Priority::Required),
        ("hang", Severity::Hang, Priority::Required),
        ("warning", Severity::Warning, Priority::Recommended),
        ("loss", Severity::Loss, Priority::Suggested),
    ] {
        let rules = format!("[[rule]]\nneeds=['/a']\nconsequence={{severity='{word}', words='w'}}");
        let firing = fire_all(&set(&rules), &image("given={}")).remove(0);
        assert_eq!(firing.priority, priority);
        let consequence = firing.consequence.unwrap();
        assert_eq!((consequence.severity, consequence.to_string()), (severity, format!("{word}: w")));
    }
}

#[test]
fn an_interpreter_is_that_of_a_script_too() {
    let rules = "[[rule]]\nwhen={interpreter='/sbin/*'}\nneeds=['/n']";
    check(rules, "given={'/a'='#!/sbin/sh -x'}", &[need("/n")]);
    check(rules, "given={'/a'='/sbin/sh'}", &[]);
}
