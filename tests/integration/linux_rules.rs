//! What rules bring is used: a program does its task in a tree that holds nothing but what a trace kept, and does not do
//! it in the same tree without the files of the rule.

mod uses;

use crate::command::{fetched, minroot, output_of, repository, succeed, text};
use crate::support::{namespace, scratch, tool};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use uses::{
    FETCHED, GRAPHICS, GRAPHICS_PACKAGES, HOST, JAVA, JAVA_PACKAGES, LOCALES, PACKAGES, RECIPES, SERVICE_PACKAGES,
    SERVICES, Use,
};

/// Files that are input of the tasks.
fn add_input(tree: &Path) {
    for directory in ["tmp", "etc", "dev", "run", "proc", "sys"] {
        fs::create_dir_all(tree.join(directory)).unwrap();
    }
    // Enough of a device for those who close their standard files.
    fs::write(tree.join("dev/null"), "").unwrap();
    fs::write(tree.join("etc/input"), b"\xed\xc9\xd2\n").unwrap();
    let authority = "/usr/share/ca-certificates/mozilla/ISRG_Root_X1.crt";
    if Path::new(authority).exists() {
        fs::copy(authority, tree.join("etc/certificate")).unwrap();
    }
}

fn run(tree: &Path, command: &[&str]) -> Output {
    let unshare = tool("unshare").expect("looked for before");
    // What a kernel gives.
    let with_mounts = "mount --rbind /proc $0/proc && mount --rbind /sys $0/sys && exec chroot $0 \"$@\"";
    let mut unshare = Command::new(unshare);
    unshare.args(namespace()).args(["sh", "-c", with_mounts]).arg(tree).args(command);
    output_of(unshare.env("LC_ALL", "C").env("HOME", "/tmp"))
}

/// Packs the manifest into a directory and does the task there; gives what was printed.
fn does(case: &Use, root: &Path, manifest: &Path) -> String {
    let directory = scratch();
    let tree = directory.path().join("tree");
    succeed(minroot(["pack", "--format", "dir", "--root"]).arg(root).arg("-m").arg(manifest).arg("-o").arg(&tree));
    add_input(&tree);
    if case.rule == "linux/git" {
        run(&tree, &["git", "init", "-q", "/tmp/new"]);
    }
    let output = run(&tree, case.command);
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// The manifest without what only the rule brings, directly or by way of what it brings.
fn without(rule: &str, manifest: &Path) -> PathBuf {
    let mut value: Value = serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap();
    value.as_object_mut().unwrap().remove("totals");
    let entries = value["entries"].as_array_mut().unwrap();
    let mut gone = BTreeSet::new();
    loop {
        let is_gone = |reason: &Value| {
            let is_of_rule = reason["detail"].as_str().is_some_and(|detail| detail.starts_with(rule));
            is_of_rule || reason["from"].as_str().is_some_and(|from| gone.contains(from))
        };
        let goes = |entry: &&Value| {
            entry["type"] != "directory"
                && entry["reasons"].as_array().is_some_and(|reasons| reasons.iter().all(is_gone))
        };
        let paths: BTreeSet<String> =
            entries.iter().filter(goes).map(|entry| entry["path"].as_str().unwrap().to_owned()).collect();
        if paths == gone {
            break;
        }
        gone = paths;
    }
    assert!(!gone.is_empty(), "{rule} brings nothing");
    entries.retain(|entry| !gone.contains(entry["path"].as_str().unwrap_or_default()));
    let changed = manifest.with_extension("without.json");
    fs::write(&changed, value.to_string()).unwrap();
    changed
}

fn check(root: &Path, uses: &[Use]) {
    if tool("unshare").is_none() {
        return;
    }
    for case in uses {
        let directory = scratch();
        let (recipe, manifest) = (directory.path().join("r.toml"), directory.path().join("m.json"));
        fs::write(&recipe, format!("system = 'linux'\n{}", case.recipe)).unwrap();
        let mut trace = minroot(["trace", "--root"]);
        succeed(trace.arg(root).args(case.targets).arg(&recipe).arg("-o").arg(&manifest));
        let said = does(case, root, &manifest);
        assert!(said.contains(case.prints), "{}: {said}", case.rule);
        let said = does(case, root, &without(case.rule, &manifest));
        assert!(!said.contains(case.prints), "{}: works without it: {said}", case.rule);
    }
}

fn check_packages(packages: &str, uses: &[Use]) {
    let directory = scratch();
    let recipe = directory.path().join("packages.toml");
    fs::write(&recipe, format!("system = \"linux\"\n[source]\napt = {packages}\n")).unwrap();
    let Some(root) = fetched(&recipe) else { return };
    check(&root, uses);
}

#[test]
fn b38_programs_of_this_machine_do_their_task_with_what_the_rules_bring_and_not_without() {
    if tool("gio").is_some() {
        check(Path::new("/"), &HOST);
    }
}

#[test]
fn programs_of_packages_do_their_task_with_what_the_rules_bring_and_not_without() {
    check_packages(PACKAGES, &FETCHED);
}

#[test]
fn locales_of_other_character_sets_work_with_what_the_rules_bring_and_not_without() {
    let Some(localedef) = tool("localedef") else { return };
    let directory = scratch();
    let recipe = directory.path().join("packages.toml");
    fs::write(&recipe, "system = 'linux'\n[source]\napt = ['locales', 'libc-bin', 'coreutils']\n").unwrap();
    let Some(debian) = fetched(&recipe) else { return };
    // A root of our own, to put the locales into.
    let (manifest, root) = (directory.path().join("m.json"), directory.path().join("root"));
    let mut trace = minroot(["trace", "--root"]);
    trace.arg(&debian).args(["/usr/bin/locale", "/usr/bin/printf", "/usr/bin/env", "/usr/bin/iconv", "-o"]);
    succeed(trace.arg(&manifest));
    succeed(minroot(["pack", "--format", "dir", "--root"]).arg(&debian).arg("-m").arg(&manifest).arg("-o").arg(&root));
    let locales = root.join("usr/lib/locale");
    fs::create_dir_all(&locales).unwrap();
    for (name, source, charset) in [
        ("de_DE.iso88591", "de_DE", "ISO-8859-1"),
        ("de_DE@euro", "de_DE@euro", "ISO-8859-15"),
        ("ru_RU.koi8r", "ru_RU", "KOI8-R"),
    ] {
        let mut compile = Command::new(&localedef);
        compile.args(["--no-archive", "-i", source, "-f", charset]).arg(locales.join(name));
        succeed(compile.env("I18NPATH", debian.join("usr/share/i18n")));
    }
    check(&root, &LOCALES);
}

#[test]
fn pictures_are_drawn_with_what_the_rules_bring_and_not_without() {
    check_packages(GRAPHICS_PACKAGES, &GRAPHICS);
}

#[test]
fn services_are_started_with_what_the_rules_bring_and_not_without() {
    check_packages(SERVICE_PACKAGES, &SERVICES);
}

#[test]
fn java_runs_with_what_the_rules_bring_and_not_without() {
    check_packages(JAVA_PACKAGES, &[JAVA]);
}

#[test]
fn programs_of_recipes_do_their_task_with_what_the_rules_bring_and_not_without() {
    for case in &RECIPES {
        let Some(root) = fetched(&repository(case.targets[0])) else { return };
        check(&root, std::slice::from_ref(case));
    }
}
