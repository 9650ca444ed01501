//! B12 and its kin: libraries that code loads by name, with the real loader as the judge of where the names lead.

use super::fixture::{Fixture, has, materialize, reasons, run_in, trace_in};
use crate::support;
use minroot::manifest::{Manifest, Missing, Omission, Verdict};
use minroot::path::RootPath;
use minroot::reason::{Evidence, Kind, Priority};
use minroot::recipe::{Recipe, Take};
use minroot::resolve::glibc::Cache;
use minroot::root::Root;
use minroot::rules::RuleSet;
use minroot::trace::{Input, Trace};
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};
use std::fs;

const LIBRARY: &str = "int p(void) { return 0; }";

/// A program that succeeds when `dlopen` of this expression does.
fn opens(name: &str) -> String {
    format!("{HEAD}int main(int n, char **words) {{ char text[99]; (void)text; return !dlopen({name}, RTLD_NOW); }}")
}

pub const HEAD: &str = "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <stdio.h>\n";

/// A note with this JSON, as C.
pub fn note(json: &str) -> String {
    format!(
        "#define JSON {json:?}\nstatic const struct {{ unsigned name, text, type; char owner[4], json[sizeof(JSON)]; }} note \
         __attribute__((used, section(\".note.dlopen\"), aligned(4))) =\
         {{ 4, sizeof(JSON), 0x407c0c0a, \"FDO\", JSON }};\n"
    )
}

fn taking(what: &[Take]) -> Recipe {
    let mut recipe = Recipe::default();
    recipe.trace.take = what.to_vec();
    recipe
}

pub fn suspected(manifest: &Manifest) -> Vec<(String, String, String)> {
    let is_suspected = |o: &&Omission| (o.reason.evidence, o.reason.kind) == (Evidence::Suspected, Kind::Dlopen);
    let text = |path: &Option<RootPath>| path.as_ref().map_or(String::new(), ToString::to_string);
    let all = manifest.dropped.iter().filter(is_suspected);
    all.map(|o| (text(&o.from), o.reason.detail.to_string(), text(&o.to))).collect()
}

fn unknown(manifest: &Manifest) -> Vec<(String, &str)> {
    manifest.unknown.iter().map(|o| (o.from.as_ref().unwrap().to_string(), &o.why[..])).collect()
}

pub fn in_reduced_tree(fixture: &Fixture, manifest: &Manifest, program: &str) -> bool {
    let reduced = support::scratch();
    materialize(manifest, fixture.root(), reduced.path());
    run_in(reduced.path(), &[program], &[]).success
}

/// The program runs in the root; traced as it is it does not find what its strings name, which is `listed` as (name,
/// path); with that taken it runs.
fn check_suspected(fixture: &Fixture, program: &str, caller: &str, listed: &[(&str, &str)]) -> Manifest {
    assert!(fixture.run(&[program], &[]).success, "{program}");
    let (_, manifest) = fixture.trace(&[program]);
    let expected: Vec<_> = listed.iter().map(|(name, to)| (caller.into(), (*name).into(), (*to).into())).collect();
    assert_eq!(suspected(&manifest), expected);
    assert_eq!(unknown(&manifest), []);
    assert!(!in_reduced_tree(fixture, &manifest, program), "{program} needs what is only suspected");
    let (_, taken) = fixture.trace_with(&taking(&[Take::Suspected]), &[program], Cache::FromConfiguration);
    assert_eq!((suspected(&taken), unknown(&taken)), (vec![], vec![]));
    assert!(in_reduced_tree(fixture, &taken, program), "{program} with what was suspected");
    taken
}

#[test]
fn b12_a_literal_name_is_searched_where_its_caller_looks_and_only_suspected() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/app/l/libp.so.1", LIBRARY, &[]);
    let by_dlmopen = format!("{HEAD}int main(void) {{ return !dlmopen(LM_ID_NEWLM, \"libp.so.1\", RTLD_NOW); }}");
    let newer = ["-Wl,-rpath,$ORIGIN/l"];
    let older = ["-Wl,--disable-new-dtags,-rpath,$ORIGIN/l"];
    for (source, arguments) in [(opens("\"libp.so.1\""), newer), (by_dlmopen, newer), (opens("\"libp.so.1\""), older)] {
        fixture.program("/app/run", &source, &arguments);
        let taken = check_suspected(&fixture, "/app/run", "/app/run", &[("libp.so.1", "/app/l/libp.so.1")]);
        assert_eq!(reasons(&taken, "/app/l/libp.so.1"), [("/app/run".to_owned(), Kind::Dlopen)]);
    }
}

#[test]
fn b12_the_name_that_is_asked_for_is_the_file_that_is_needed() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/app/l/libp.so.1", LIBRARY, &[]);
    fixture.link("libp.so.1", "/app/l/libp.so");
    let rpath = ["-Wl,-rpath,$ORIGIN/l"];
    fixture.program("/app/run", &opens("\"libp.so\""), &rpath);
    let both = [("libp.so", "/app/l/libp.so"), ("libp.so", "/app/l/libp.so.1")];
    check_suspected(&fixture, "/app/run", "/app/run", &both);

    // The library is in already, and its other name is not.
    fixture.program("/app/run", &opens("\"libp.so\""), &[&rpath[..], &["-LR/app/l", "-l:libp.so.1"]].concat());
    check_suspected(&fixture, "/app/run", "/app/run", &both[..1]);
}

#[test]
fn b12_a_caller_that_is_a_library_looks_where_its_own_runpath_says() {
    let Some(fixture) = Fixture::new() else { return };
    for directory in ["own", "program"] {
        fixture.library(&format!("/app/{directory}/libp.so.1"), LIBRARY, &[]);
    }
    let source = format!("{HEAD}int load(void) {{ return !dlopen(\"libp.so.1\", RTLD_NOW); }}");
    fixture.library("/app/l/libcaller.so", &source, &["-Wl,-rpath,$ORIGIN/../own"]);
    let main = "int load(void); int main(void) { return load(); }";
    fixture.program("/app/run", main, &["-LR/app/l", "-lcaller", "-Wl,-rpath,$ORIGIN/l:$ORIGIN/program"]);
    let expected = [("libp.so.1", "/app/own/libp.so.1")];
    let taken = check_suspected(&fixture, "/app/run", "/app/l/libcaller.so", &expected);
    assert!(!has(&taken, "/app/program/libp.so.1"));
}

#[test]
fn b12_a_caller_without_a_path_of_its_own_finds_another_library_in_each_program() {
    let Some(fixture) = Fixture::new() else { return };
    let source = format!("{HEAD}int load(void) {{ return !dlopen(\"libp.so.1\", RTLD_NOW); }}");
    fixture.library("/lib/libcaller.so", &source, &[]);
    let main = "int load(void); int main(void) { return load(); }";
    for name in ["a", "b"] {
        fixture.library(&format!("/app/{name}/libp.so.1"), LIBRARY, &[]);
        let rpath = format!("-Wl,--disable-new-dtags,-rpath,$ORIGIN/{name}");
        fixture.program(&format!("/app/run-{name}"), main, &["-LR/lib", "-lcaller", &rpath]);
    }
    let programs = ["/app/run-a", "/app/run-b"];
    let (_, manifest) = fixture.trace(&programs);
    let paths: Vec<String> = suspected(&manifest).into_iter().map(|(_, _, to)| to).collect();
    assert_eq!(paths, ["/app/a/libp.so.1", "/app/b/libp.so.1"]);
    let (_, taken) = fixture.trace_with(&taking(&[Take::Suspected]), &programs, Cache::FromConfiguration);
    assert!(programs.iter().all(|program| in_reduced_tree(&fixture, &taken, program)));
}

#[test]
fn b12_paths_are_suspected_where_they_lead_somewhere() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/opt/plugins/x.so", LIBRARY, &[]);
    fixture.library("/app/l/libq.so", LIBRARY, &[]);
    fixture.program("/app/run", &opens("\"/opt/plugins/x.so\""), &[]);
    let taken = check_suspected(&fixture, "/app/run", "/app/run", &[("/opt/plugins/x.so", "/opt/plugins/x.so")]);
    assert!(taken.dropped.is_empty(), "{:?}", taken.dropped);
    fixture.program("/app/run", &opens("\"$ORIGIN/l/libq.so\""), &[]);
    check_suspected(&fixture, "/app/run", "/app/run", &[("$ORIGIN/l/libq.so", "/app/l/libq.so")]);

    fixture.program("/app/run", &opens("\"/opt/plugins/gone.so\""), &[]);
    let (_, manifest) = fixture.trace(&["/app/run"]);
    assert_eq!(unknown(&manifest), [("/app/run".to_owned(), "it calls dlopen with a computed name")]);
    assert!(manifest.missing.is_empty());
}

#[test]
fn b12_a_literal_name_that_leads_nowhere_tells_every_place() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.program("/app/run", &opens("\"libgone.so.1\""), &["-Wl,-rpath,/app/l"]);
    for recipe in [Recipe::default(), taking(&[Take::Suspected])] {
        let (_, manifest) = fixture.trace_with(&recipe, &["/app/run"], Cache::FromConfiguration);
        let [missing] = &manifest.missing[..] else { panic!("{:?}", manifest.missing) };
        assert_eq!((&missing.name[..], missing.priority), ("libgone.so.1", Priority::Suggested));
        assert_eq!(missing.probes[0].path, "/app/l/libgone.so.1");
        assert_eq!(unknown(&manifest), []);
    }
}

#[test]
fn b12_a_computed_name_is_unknown_unless_a_rule_speaks_for_the_object() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/app/l/libp.so.1", LIBRARY, &[]);
    let name = "(sprintf(text, \"lib%s.so.%d\", \"p\", n), text)";
    fixture.program("/app/run", &opens(name), &["-Wl,-rpath,$ORIGIN/l"]);
    assert!(fixture.run(&["/app/run"], &[]).success);
    let (_, manifest) = fixture.trace(&["/app/run"]);
    assert_eq!(unknown(&manifest), [("/app/run".to_owned(), "it calls dlopen with a computed name")]);

    let rules = support::scratch();
    let rule = "summary = 's'\nmechanism = 'dlopen'\nsystems = ['linux']\nwhy = 'w'\nevidence = ['e']\n\
                [[rule]]\nwhen = { object = '/app/run' }\nlibraries = ['libp.so.1']\n";
    fs::write(rules.path().join("plugin.toml"), rule).unwrap();
    let manifest = trace_by_rules(&fixture, rules.path());
    assert_eq!(unknown(&manifest), []);
    assert!(in_reduced_tree(&fixture, &manifest, "/app/run"));
}

fn trace_by_rules(fixture: &Fixture, directory: &std::path::Path) -> Manifest {
    let root = Root::open(fixture.root()).unwrap();
    let rules = RuleSet::load(&[directory.to_owned()]).unwrap();
    let mut recipe = Recipe::default();
    recipe.trace.targets.push("/app/run".to_owned());
    let cache = Cache::FromConfiguration;
    let input = Input { root: &root, rules: &rules, recipe: &recipe, rule_directories: &[], cache };
    minroot::trace::trace(input).unwrap().manifest(&root, &rules).unwrap()
}

#[test]
fn what_only_lists_changes_nothing_of_what_is_kept() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/app/l/libp.so.1", LIBRARY, &[]);
    fixture.program("/app/run", &opens("\"libp.so.1\""), &["-Wl,-rpath,$ORIGIN/l"]);
    for take in [&[][..], &[Take::Suspected]] {
        let mut recipe = taking(take);
        let (trace, _) = fixture.trace_with(&recipe, &["/app/run"], Cache::FromConfiguration);
        let (root, rules) = (Root::open(fixture.root()).unwrap(), RuleSet::load(&[]).unwrap());
        recipe.trace.targets.push("/app/run".to_owned());
        let cache = Cache::FromConfiguration;
        let input = Input { root: &root, rules: &rules, recipe: &recipe, rule_directories: &[], cache };
        assert_eq!(minroot::trace::trace_kept(input).unwrap().kept(), trace.kept());
    }
}

/// `liba` is required, `libb` recommended, `libs` suggested.
const THREE: &str = r#"[{"soname":["liba.so"],"feature":"a","description":"All of it","priority":"required"},
    {"soname":["libb.so"]},{"soname":["libs.so"],"feature":"s","priority":"suggested"}]"#;

fn fixture_with_three() -> Option<Fixture> {
    let fixture = Fixture::new()?;
    for name in ["a", "b", "s"] {
        fixture.library(&format!("/app/l/lib{name}.so"), LIBRARY, &[]);
    }
    // The names of the code are computed: the note alone tells them.
    let load = |name| format!("(sprintf(text, \"lib%c.so\", '{name}'), text)");
    let source = opens(&format!("{}, 1) && dlopen({}, 1) && dlopen({}", load('a'), load('b'), load('b')));
    fixture.program("/app/run", &format!("{}{source}", note(THREE)), &["-Wl,-rpath,$ORIGIN/l"]);
    Some(fixture)
}

#[test]
fn a_note_brings_what_it_requires_and_recommends_and_lists_what_it_suggests() {
    let Some(fixture) = fixture_with_three() else { return };
    assert!(fixture.run(&["/app/run"], &[]).success);
    let (trace, manifest) = fixture.trace(&["/app/run"]);
    assert!(trace.notes.is_empty() && unknown(&manifest).is_empty(), "{:?}", trace.notes);
    let kept = ["a", "b", "s"].map(|name| has(&manifest, &format!("/app/l/lib{name}.so")));
    assert_eq!(kept, [true, true, false]);
    let entry = manifest.entry(&RootPath::new("/app/l/liba.so").unwrap()).unwrap();
    let reason = &entry.reasons[0].reason;
    assert_eq!((reason.evidence, reason.kind), (Evidence::Declared, Kind::Dlopen));
    assert_eq!(&*reason.detail, "liba.so (required for a: All of it)");
    let [left_out] = &manifest.dropped[..] else { panic!("{:?}", manifest.dropped) };
    assert_eq!(left_out.to.as_ref().unwrap().to_string(), "/app/l/libs.so");
    assert_eq!(&*left_out.reason.detail, "libs.so (suggested for s)");
    assert!(in_reduced_tree(&fixture, &manifest, "/app/run"));

    let (_, all) = fixture.trace_with(&taking(&[Take::Suggested]), &["/app/run"], Cache::FromConfiguration);
    assert!(has(&all, "/app/l/libs.so") && all.dropped.is_empty());
}

/// Turns program headers of a type into ones that nobody looks at, and forgets where the sections are if asked.
fn hide(fixture: &Fixture, path: &str, kind: elf::ProgramType, sections: bool) {
    let bytes = fs::read(fixture.host(path)).unwrap();
    let header = elf::FileHeader64::<object::Endianness>::parse(&bytes[..]).unwrap();
    let endian = header.endian().unwrap();
    let segments = header.program_headers(endian, &bytes[..]).unwrap();
    let start = header.e_phoff(endian) as usize;
    for (index, segment) in segments.iter().enumerate() {
        if segment.p_type(endian) == kind {
            fixture.patch(path, &[(start + index * 56, &[0; 4])]);
        }
    }
    if sections {
        fixture.patch(path, &[(0x28, &[0; 8]), (0x3c, &[0; 4])]);
    }
}

#[test]
fn a_note_is_found_by_its_segment_or_by_its_section() {
    let Some(fixture) = fixture_with_three() else { return };
    let has_note = |fixture: &Fixture| has(&fixture.trace(&["/app/run"]).1, "/app/l/liba.so");
    fixture.copy("/app/run", "/app/whole");
    hide(&fixture, "/app/run", elf::PT_NULL, true);
    assert!(has_note(&fixture), "without sections");
    fixture.copy("/app/whole", "/app/run");
    hide(&fixture, "/app/run", elf::PT_NOTE, false);
    assert!(fixture.run(&["/app/run"], &[]).success && has_note(&fixture), "without segments");
    hide(&fixture, "/app/run", elf::PT_NOTE, true);
    assert!(!has_note(&fixture), "without either");
}

#[test]
fn of_alternatives_the_first_that_is_there_is_enough() {
    let Some(fixture) = Fixture::new() else { return };
    let any_of = r#"[{"soname":["libp.so.3","libp.so.2","libp.so.1"],"priority":"required"}]"#;
    fixture.program("/app/run", &format!("{}{}", note(any_of), opens("0")), &["-Wl,-rpath,$ORIGIN/l"]);
    let (_, manifest) = fixture.trace(&["/app/run"]);
    let [missing] = &manifest.missing[..] else { panic!("{:?}", manifest.missing) };
    assert_eq!((&missing.name[..], missing.priority), ("libp.so.3 or libp.so.2 or libp.so.1", Priority::Required));
    let tried: Vec<&str> = missing.probes.iter().map(|probe| &probe.path[..]).collect();
    assert!(["3", "2", "1"].iter().all(|n| tried.contains(&&format!("/app/l/libp.so.{n}")[..])), "{tried:?}");

    for version in ["1", "2"] {
        fixture.library(&format!("/app/l/libp.so.{version}"), LIBRARY, &[]);
    }
    let (_, manifest) = fixture.trace(&["/app/run"]);
    let kept = ["1", "2"].map(|version| has(&manifest, &format!("/app/l/libp.so.{version}")));
    assert_eq!((kept, manifest.missing.len()), ([false, true], 0));
}

#[test]
fn of_alternatives_the_one_with_which_the_image_is_smallest_is_kept() {
    let Some(fixture) = Fixture::new() else { return };
    let any_of = r#"[{"soname":["libp.so.4","libp.so.3","libp.so.2","libp.so.1"]}]"#;
    let tries = "!dlopen(\"libp.so.4\", 2) && !dlopen(\"libp.so.3\", 2) && !dlopen(\"libp.so.2\", 2) && !dlopen(\"libp.so.1\", 2)";
    let main = format!("{HEAD}int main(void) {{ return {tries}; }}");
    fixture.program("/app/run", &format!("{}{main}", note(any_of)), &["-Wl,-rpath,$ORIGIN/l"]);
    let padding = |bytes: usize| format!("{LIBRARY} char padding[{bytes}] = {{1}};");
    // The first brings a large library, the second is large itself, and the last lacks what it needs.
    fixture.library("/app/l/liblarge.so", &padding(90_000), &[]);
    fixture.library("/app/l/libgone.so", LIBRARY, &[]);
    let with = |library: &str| ["-LR/app/l".to_owned(), format!("-l{library}"), "-Wl,-rpath,$ORIGIN".to_owned()];
    let build = |version: u32, bytes: usize, arguments: &[String]| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        fixture.library(&format!("/app/l/libp.so.{version}"), &padding(bytes), &arguments);
    };
    build(4, 1, &with("large"));
    build(3, 40_000, &[]);
    build(2, 20_000, &[]);
    build(1, 1, &with("gone"));
    fs::remove_file(fixture.host("/app/l/libgone.so")).unwrap();

    let (_, manifest) = fixture.trace(&["/app/run"]);
    let kept = [4, 3, 2, 1].map(|version| has(&manifest, &format!("/app/l/libp.so.{version}")));
    assert_eq!((kept, has(&manifest, "/app/l/liblarge.so")), ([false, false, true, false], false));
    assert!(in_reduced_tree(&fixture, &manifest, "/app/run"));
    let [choice] = &manifest.choices[..] else { panic!("{:?}", manifest.choices) };
    let size = |name: &str| fs::metadata(fixture.host(&format!("/app/l/{name}"))).unwrap().len();
    let more = |bytes: u64| Verdict::More(bytes - size("libp.so.2"));
    let verdicts: Vec<Verdict> = choice.alternatives.iter().map(|alternative| alternative.verdict).collect();
    let first = more(size("libp.so.4") + size("liblarge.so"));
    assert_eq!(verdicts, [first, more(size("libp.so.3")), Verdict::Chosen, Verdict::Incomplete]);
    assert_eq!(choice.because[0].from, Some(RootPath::new("/app/run").unwrap()));

    // What the process has anyway costs nothing.
    fixture.program(
        "/app/run",
        &format!("{}{main}", note(any_of)),
        &["-LR/app/l", "-l:libp.so.3", "-Wl,-rpath,$ORIGIN/l"],
    );
    let (_, manifest) = fixture.trace(&["/app/run"]);
    let kept = [4, 3, 2, 1].map(|version| has(&manifest, &format!("/app/l/libp.so.{version}")));
    assert_eq!(kept, [false, true, false, false]);
    assert!(in_reduced_tree(&fixture, &manifest, "/app/run"));
}

#[test]
fn a_note_that_is_not_understood_is_told_and_harms_nothing() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/app/l/libp.so.1", LIBRARY, &[]);
    for (json, problem) in [("[{\"soname\":", "EOF while parsing"), ("[{}]", "missing field `soname`")] {
        let source = format!("{}{}", note(json), opens("\"libp.so.1\""));
        fixture.program("/app/run", &source, &["-Wl,-rpath,$ORIGIN/l"]);
        let (trace, manifest) = fixture.trace(&["/app/run"]);
        let [told] = &trace.notes[..] else { panic!("{:?}", trace.notes) };
        let start = format!("/app/run: its dlopen note is not understood: {problem}");
        assert!(told.starts_with(&start), "{told}");
        assert!(told.ends_with(unknown(&manifest)[0].1));
        assert_eq!(suspected(&manifest).len(), 1, "the string counts as ever");
    }
}

/// What the trace says is missing: name and priority.
fn missing(manifest: &Manifest) -> Vec<(&str, Priority)> {
    manifest.missing.iter().map(|Missing { name, priority, .. }| (&name[..], *priority)).collect()
}

#[test]
fn b33_what_a_recommended_library_requires_is_recommended() {
    let Some(fixture) = Fixture::new() else { return };
    let wants = |name: &str, priority: &str| note(&format!(r#"[{{"soname":["{name}"],"priority":"{priority}"}}]"#));
    let library = format!("{}{LIBRARY}", wants("libgone.so", "required"));
    fixture.library("/app/l/liba.so", &library, &["-Wl,-rpath,$ORIGIN"]);
    // Needed by the one that is required: dlopen fails without it.
    fixture.library("/app/l/libneeded.so", LIBRARY, &[]);
    fixture.library("/app/l/libb.so", LIBRARY, &["-LR/app/l", "-lneeded", "-Wl,-rpath,$ORIGIN"]);
    fs::remove_file(fixture.host("/app/l/libneeded.so")).unwrap();
    let program = |name: &str, priority: &str, arguments: &[&str]| {
        let source = format!("{}{}", wants(name, priority), opens("0"));
        fixture.program("/app/run", &source, &[&["-Wl,-rpath,$ORIGIN/l"], arguments].concat());
        fixture.trace(&["/app/run"]).1
    };
    let links = ["-LR/app/l", "-la"];
    for (priority, arguments, expected) in [
        ("required", &[][..], Priority::Required),
        ("recommended", &[], Priority::Recommended),
        // There is another way to it, and that one is required.
        ("recommended", &links, Priority::Required),
    ] {
        assert_eq!(missing(&program("liba.so", priority, arguments)), [("libgone.so", expected)], "{priority}");
    }
    assert_eq!(missing(&program("liba.so", "suggested", &[])), []);
    assert_eq!(missing(&program("libb.so", "recommended", &[])), [("libneeded.so", Priority::Recommended)]);
    assert_eq!(missing(&program("libb.so", "required", &[])), [("libneeded.so", Priority::Required)]);
}

#[test]
fn what_is_not_known_is_doubted_until_the_recipe_accepts_it() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/app/l/libp.so.1", LIBRARY, &[]);
    fixture.link("libp.so.1", "/app/l/libp.so");
    fixture.program("/app/run", &opens("\"libp.so\""), &["-Wl,-rpath,$ORIGIN/l"]);
    fixture.program("/app/computed", &opens("words[1]"), &[]);
    let targets = ["/app/run", "/app/computed"];
    let doubts = |accept: &str, trace: &Trace| {
        let recipe: Recipe = toml::from_str(&format!("[accept]\n{accept}")).unwrap();
        let doubts = trace.doubts(&recipe.accept).into_iter().map(|doubt| (doubt.key, doubt.what));
        doubts.collect::<Vec<(String, String)>>()
    };
    let (trace, _) = trace_in(fixture.root(), &Recipe::default(), &targets, Cache::FromConfiguration);
    let all = doubts("", &trace);
    let expected = [("/app/computed", "dlopen"), ("/app/run", "libp.so")].map(|(k, w)| (k.to_owned(), w.to_owned()));
    assert_eq!(all, expected);
    assert_eq!(doubts("'/app/run' = ['libp.so', 'libother.so']", &trace), expected[..1]);
    let lines = Recipe::default().accept.lines(all.iter().map(|(key, what)| (&key[..], &what[..]))).join("\n");
    assert_eq!(doubts(&lines, &trace), []);
}
