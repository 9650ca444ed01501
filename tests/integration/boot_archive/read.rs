//! `verify` reads boot archives back: each file, owner, device and link is what the manifest says.

use super::add_holes;
use crate::command::{minroot, output_of, recipe, succeed, text};
use crate::model_root::{generator::Year, shared};
use crate::pack_ufs::{Tree, plain};
use crate::support::scratch;
use minroot::rules::RuleSet;
use minroot::verify::{Component, Finding, Subject, verify};
use std::fs;

/// What is wrong with the files of an image of a tree, which has no kernel to start.
fn differences(packed: &Tree, expected: &Tree) -> Vec<String> {
    let directory = scratch();
    let image = directory.path().join("boot_archive");
    packed.pack(plain(), &image);
    let verdict = verify(&image, Some(&expected.manifest()), &RuleSet::load(&[]).unwrap()).unwrap();
    assert_eq!(verdict.subject, Subject::Archive);
    let is_about_files = |finding: &&Finding| {
        matches!(finding.component, Component::Manifest | Component::Image) || finding.path.is_some()
    };
    verdict.findings.iter().filter(is_about_files).map(|finding| finding.message.clone()).collect()
}

#[test]
fn a_mixed_tree_comes_back_as_it_was() {
    let mut tree = Tree::mixed();
    tree.add_owners();
    assert_eq!(differences(&tree, &tree), [""; 0]);
    // What is compared can differ.
    let mut other = Tree::mixed();
    other.add_file("/setuid", b"for another!");
    other.own("/dev/null", 0o600, 0, 0);
    let told = differences(&tree, &other);
    for words in
        ["`/setuid` has 11 bytes", "`/setuid` has mode 4755", "`/dev/null` belongs to 3:65536", "`/empty` has mode"]
    {
        assert!(told.iter().any(|line| line.starts_with(words)), "{words}: {told:#?}");
    }
}

#[test]
fn forty_thousand_files_and_a_sparse_one_come_back_as_they_were() {
    let mut tree = Tree::many();
    add_holes(&mut tree);
    assert_eq!(differences(&tree, &tree), [""; 0]);
}

#[test]
fn the_command_says_whether_a_boot_archive_would_start_and_what_is_missing_when_not() {
    for year in [Year::Y2015, Year::Y2025] {
        let root = shared(year);
        let directory = scratch();
        let (manifest, archive) = (directory.path().join("m.json"), directory.path().join("boot_archive"));
        let recipe = recipe("illumos-base");
        let mut trace = minroot(["trace", "--root"]);
        succeed(trace.arg(root).arg(&recipe).arg("-o").arg(&manifest));
        succeed(minroot(["pack", "--root"]).arg(root).arg("-m").arg(&manifest).arg("-o").arg(&archive));
        let verdict = output_of(minroot(["verify"]).arg(&archive).arg("-m").arg(&manifest));
        assert!(verdict.status.success(), "{}", text(&verdict.stdout));
        assert!(text(&verdict.stdout).contains("root file system"), "{}", text(&verdict.stdout));

        // The same without /sbin/init.
        let mut without: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
        without.as_object_mut().unwrap().remove("totals");
        without["entries"].as_array_mut().unwrap().retain(|entry| entry["path"] != "/sbin/init");
        fs::write(&manifest, without.to_string()).unwrap();
        succeed(minroot(["pack", "--root"]).arg(root).arg("-m").arg(&manifest).arg("-o").arg(&archive));
        let verdict = output_of(minroot(["verify"]).arg(&archive));
        assert!(!verdict.status.success());
        assert!(text(&verdict.stdout).contains("/sbin/init"), "{}", text(&verdict.stdout));
        let empty = directory.path().join("empty");
        Tree::new().pack(plain(), &empty);
        let verdict = output_of(minroot(["verify"]).arg(&empty));
        let words = "krtld: could neither locate nor resolve symbols for: /platform/i86pc/kernel/amd64/unix";
        assert!(!verdict.status.success() && text(&verdict.stdout).contains(words), "{}", text(&verdict.stdout));
    }
}
