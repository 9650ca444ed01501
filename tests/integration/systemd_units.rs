//! Units of systemd: what a trace makes of instances, drop-ins, aliases and masks is what `systemd-analyze verify` of the
//! machine makes of them, which names each unit with the first program that it lacks.

use crate::command::{minroot, output_of, text};
use crate::support::{scratch, tool};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

const UNITS: &str = "etc/systemd/system";

/// A root of unit files; a text that begins with `->` is the target of a link.
fn root_of(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = scratch();
    for (name, text) in files {
        let path = root.path().join(UNITS).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text.strip_prefix("->") {
            Some(target) => symlink(target, path).unwrap(),
            None => fs::write(path, text).unwrap(),
        }
    }
    root
}

/// A service that starts this.
fn service(program: &str) -> String {
    format!("[Unit]\nDefaultDependencies=no\n[Service]\nExecStart={program}\n")
}

/// What is missing of what the target wants, and the files that are kept.
fn traced(root: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let output = output_of(minroot(["trace", "--root"]).arg(root).args(["/etc/systemd/system/all.target", "-o", "-"]));
    let manifest: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    let of = |list: &str, key: &str| {
        let all = manifest[list].as_array().unwrap().iter();
        all.map(|item| item[key].as_str().unwrap().to_owned()).collect()
    };
    (of("missing", "name"), of("entries", "path"))
}

/// The programs that systemd finds these units to lack.
fn lacking(systemd_analyze: &Path, root: &Path, units: &[&str]) -> BTreeSet<String> {
    let mut verify = Command::new(systemd_analyze);
    let output =
        output_of(verify.arg("verify").arg(format!("--root={}", root.display())).args(units).env("LC_ALL", "C"));
    let lines = text(&output.stderr);
    // %y is the path of the machine there.
    let program = |line: &str| {
        Some(line.split_once("Command ")?.1.split_once(" is not executable")?.0.replace(root.to_str()?, ""))
    };
    let found: BTreeSet<String> = lines.lines().filter_map(program).collect();
    assert!(!found.is_empty(), "{lines}");
    found
}

/// Compares the two for units that the target wants. Every unit has one program, and none of them is there.
fn compare(files: &[(&str, &str)], units: &[&str]) -> BTreeSet<String> {
    let Some(systemd_analyze) = tool("systemd-analyze") else { return BTreeSet::new() };
    let all = format!("[Unit]\nWants={}\n", units.join(" "));
    let root = root_of(&[files, &[("all.target", &all)]].concat());
    let (missing, kept) = traced(root.path());
    assert_eq!(missing, lacking(&systemd_analyze, root.path(), units));
    kept
}

#[test]
fn instances_have_the_programs_that_systemd_finds() {
    let (by_instance, named) = (service("/gone/%i"), service("/gone/named"));
    compare(
        &[
            ("run@.service", &by_instance),
            ("run@own.service", &service("/gone/own")),
            ("all.target.wants/run@linked.service", "->../run@.service"),
            ("other@.service", "->run@.service"),
            ("plain.service", "->named.service"),
            ("named.service", &named),
        ],
        &["run@one.service", "run@own.service", "run@linked.service", "other@two.service", "plain.service"],
    );
}

#[test]
fn each_specifier_is_what_systemd_takes_it_for() {
    let letters = "nNiIpPjJfyYCELStTVhuUgG";
    let mut files = Vec::new();
    for letter in letters.chars() {
        files.push((format!("{letter}-b@.service"), service(&format!("/gone/{letter}/%{letter}"))));
        files.push((format!("{letter}-b.service"), service(&format!("/gone/{letter}/%{letter}.%%"))));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (&name[..], &text[..])).collect();
    let units: Vec<String> =
        letters.chars().flat_map(|letter| [format!("{letter}-b@x-y.service"), format!("{letter}-b.service")]).collect();
    compare(&files, &units.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn drop_ins_put_programs_in_the_place_of_others_where_systemd_reads_them() {
    let instead = |program: &str| format!("[Service]\nExecStart=\nExecStart=/gone/{program}/%N\n");
    let names =
        ["a-b@i.service", "a-b@.service", "a-b.service", "a-@i.service", "a-@.service", "a-.service", "service"];
    for name in names {
        let drop_in = (format!("{name}.d/x.conf"), instead("instead"));
        let (unit, plain) = (service("/gone/%p"), service("/gone/plain"));
        compare(
            &[("a-b@.service", &unit), ("c.service", &plain), (&drop_in.0, &drop_in.1)],
            &["a-b@i.service", "a-b@j.service", "c.service"],
        );
    }
    let (unit, ten, twenty) = (service("/gone/%p"), instead("ten"), instead("twenty"));
    let kept = compare(
        &[
            ("a.service", &unit),
            ("service.d/20.conf", &twenty),
            ("a.service.d/10.conf", &ten),
            ("b.service.d/30.conf", &ten),
        ],
        &["a.service"],
    );
    let drop_ins: Vec<&String> = kept.iter().filter(|path| path.ends_with(".conf")).collect();
    assert_eq!(drop_ins, ["/etc/systemd/system/a.service.d/10.conf", "/etc/systemd/system/service.d/20.conf"]);
}

#[test]
fn what_is_masked_stays_so_without_a_device_in_the_root() {
    let (unit, hidden) = (service("/gone/%p"), service("/gone/hidden"));
    let kept = compare(
        &[
            ("a.service", &unit),
            ("b.service", "->/dev/null"),
            ("../../../usr/lib/systemd/system/b.service", &hidden),
            ("c@.service", "->/dev/null"),
        ],
        &["a.service", "b.service", "c@x.service"],
    );
    let services: Vec<&String> = kept.iter().filter(|path| path.ends_with(".service")).collect();
    assert_eq!(
        services,
        ["/etc/systemd/system/a.service", "/etc/systemd/system/b.service", "/etc/systemd/system/c@.service"]
    );
}
