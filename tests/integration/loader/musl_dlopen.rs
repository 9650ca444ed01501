//! Libraries that code loads by name under musl: notes and strings, with the real loader as the judge of where they lead.

use super::dlopen::{HEAD, in_reduced_tree, note, suspected};
use super::fixture::{Fixture, has};
use super::musl::alpine;
use minroot::manifest::Verdict;
use minroot::path::RootPath;
use std::fs;

const LIBRARY: &str = "int p(void) { return 0; }";

/// A program that tries these libraries in turn, and does without a note on them or with one.
fn tries(names: &[&str], note: &str) -> String {
    let calls: Vec<String> = names.iter().map(|name| format!("!dlopen(\"{name}\", 2)")).collect();
    format!("{HEAD}{note}int main(void) {{ return {}; }}", calls.join(" && "))
}

fn kept<const N: usize>(fixture: &Fixture, names: [&str; N]) -> [bool; N] {
    let (_, manifest) = fixture.trace(&["/init"]);
    assert!(in_reduced_tree(fixture, &manifest, "/init"), "with the real loader");
    names.map(|name| has(&manifest, &format!("/lib/{name}")))
}

#[test]
fn of_alternatives_of_a_note_the_one_with_which_the_image_is_smallest_is_kept() {
    let Some(fixture) = alpine() else { return };
    const NAMES: [&str; 4] = ["libp.so.4", "libp.so.3", "libp.so.2", "libp.so.1"];
    let any_of = note(&format!("[{{\"soname\":{NAMES:?},\"priority\":\"required\"}}]"));
    let source = tries(&NAMES, &any_of);
    fixture.program("/init", &source, &[]);
    let padding = |bytes: usize| format!("{LIBRARY} char padding[{bytes}] = {{1}};");
    fixture.library("/lib/liblarge.so", &padding(90_000), &[]);
    fixture.library("/lib/libgone.so", LIBRARY, &[]);
    // The first brings a large library, the second is large itself, and the last lacks what it needs.
    fixture.library("/lib/libp.so.4", &padding(1), &["-LR/lib", "-llarge"]);
    fixture.library("/lib/libp.so.3", &padding(40_000), &[]);
    fixture.library("/lib/libp.so.2", &padding(20_000), &[]);
    fixture.library("/lib/libp.so.1", &padding(1), &["-LR/lib", "-lgone"]);
    fs::remove_file(fixture.host("/lib/libgone.so")).unwrap();

    assert_eq!(kept(&fixture, NAMES), [false, false, true, false]);
    let (_, manifest) = fixture.trace(&["/init"]);
    let [choice] = &manifest.choices[..] else { panic!("{:?}", manifest.choices) };
    let verdicts: Vec<Verdict> = choice.alternatives.iter().map(|alternative| alternative.verdict).collect();
    let [Verdict::More(_), Verdict::More(_), Verdict::Chosen, Verdict::Incomplete] = verdicts[..] else {
        panic!("{verdicts:?}")
    };
    assert_eq!(choice.because[0].from, Some(RootPath::new("/init").unwrap()));

    // What the process has anyway costs nothing.
    fixture.program("/init", &source, &["-LR/lib", "-l:libp.so.3"]);
    assert_eq!(kept(&fixture, NAMES), [false, true, false, false]);
}

#[test]
fn a_string_leads_where_musl_looks_and_glibc_does_not() {
    let Some(fixture) = alpine() else { return };
    fixture.library("/usr/local/lib/libq.so.1", LIBRARY, &[]);
    fixture.program("/init", &tries(&["libq.so.1"], ""), &[]);
    assert!(fixture.run(&["/init"], &[]).success);
    let (_, manifest) = fixture.trace(&["/init"]);
    let expected = ["/init", "libq.so.1", "/usr/local/lib/libq.so.1"].map(str::to_owned);
    assert_eq!(suspected(&manifest), [expected.into()]);
    assert!(!in_reduced_tree(&fixture, &manifest, "/init"));
}
