//! What rules bring is used: a program does its task in a tree that holds nothing but what a trace kept, and does not do
//! it in the same tree without the files of the rule.

use crate::command::{fetched, minroot, output_of, repository, succeed, text};
use crate::support::{namespace, scratch, tool};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A task that needs a rule.
struct Use {
    rule: &'static str,
    targets: &'static [&'static str],
    /// What else is wanted, as a recipe.
    recipe: &'static str,
    command: &'static [&'static str],
    /// What is printed when it works, and not when it does not.
    prints: &'static str,
}

/// Programs of the machine that the tests run on, which is a Debian.
const HOST: [Use; 7] = [
    Use {
        rule: "linux/accounts",
        targets: &["/usr/bin/getent"],
        // The user root is known to systemd as well.
        command: &["getent", "passwd", "daemon"],
        prints: "daemon:x:1:1:",
        ..PLAIN
    },
    Use {
        rule: "linux/gconv",
        targets: &["/usr/bin/iconv"],
        command: &["iconv", "-f", "KOI8-R", "-t", "UTF-8", "/etc/input"],
        prints: "\u{41c}\u{438}\u{440}",
        ..PLAIN
    },
    Use {
        rule: "linux/terminfo",
        targets: &["/usr/bin/tput"],
        command: &["tput", "-T", "linux", "bold"],
        prints: "\u{1b}[1m",
        ..PLAIN
    },
    Use {
        rule: "linux/openssl",
        targets: &["/usr/bin/openssl"],
        command: &["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", "/tmp/key", "-subj", "/CN=x"],
        prints: "-----BEGIN CERTIFICATE-----",
        ..PLAIN
    },
    Use {
        rule: "linux/ca-certificates",
        targets: &["/usr/bin/openssl"],
        command: &["openssl", "verify", "/etc/certificate"],
        prints: "/etc/certificate: OK",
        ..PLAIN
    },
    Use {
        rule: "linux/git",
        targets: &["/usr/bin/git", "/usr/bin/cat"],
        command: &["cat", "/tmp/new/.git/info/exclude"],
        prints: "git ls-files --others",
        ..PLAIN
    },
    Use {
        rule: "linux/pam",
        targets: &["/usr/bin/su", "/usr/bin/echo"],
        command: &["su", "-s", "/usr/bin/echo", "root", "--", "let", "in"],
        prints: "let in",
        ..PLAIN
    },
];

/// What programs of the table have in common.
const PLAIN: Use = Use { rule: "", targets: &[], recipe: "", command: &[], prints: "" };

/// Programs of packages.
const PACKAGES: &str =
    r#"["file", "fontconfig", "fonts-dejavu-core", "alsa-utils", "libc-bin", "coreutils", "tzdata", "procps", "dash"]"#;
const FETCHED: [Use; 7] = [
    Use {
        rule: "linux/locale",
        targets: &["/usr/bin/locale", "/usr/bin/env"],
        recipe: "[[startup]]\nrun = 'LC_ALL=C.UTF-8 locale'\n",
        command: &["env", "LC_ALL=C.UTF-8", "locale", "charmap"],
        prints: "UTF-8",
    },
    Use {
        rule: "linux/gettext",
        targets: &["/usr/bin/ls", "/usr/bin/env"],
        recipe: "trace.take = ['suggested']\n[[startup]]\nrun = 'LC_ALL=C.UTF-8 LANGUAGE=de ls /'\n",
        command: &["env", "LC_ALL=C.UTF-8", "LANGUAGE=de", "ls", "/gone"],
        prints: "Zugriff auf '/gone'",
    },
    Use {
        rule: "linux/timezone",
        targets: &["/usr/bin/date", "/usr/bin/env"],
        recipe: "[[startup]]\nrun = 'TZ=Asia/Tokyo date'\n",
        command: &["env", "TZ=Asia/Tokyo", "date", "-d", "@0", "+%H:%M"],
        prints: "09:00",
    },
    Use {
        rule: "linux/shell",
        targets: &["/usr/bin/watch", "/usr/bin/timeout"],
        command: &["timeout", "1", "watch", "-t", "echo $((6 * 7))"],
        prints: "42",
        ..PLAIN
    },
    Use {
        rule: "linux/magic",
        targets: &["/usr/bin/file"],
        command: &["file", "/usr/bin/file"],
        prints: "ELF 64-bit",
        ..PLAIN
    },
    Use {
        rule: "linux/fontconfig",
        targets: &["/usr/bin/fc-list"],
        command: &["fc-list", ":", "family"],
        prints: "DejaVu Sans",
        ..PLAIN
    },
    Use {
        rule: "linux/alsa",
        targets: &["/usr/bin/aplay"],
        command: &["aplay", "-L"],
        prints: "Discard all samples",
        ..PLAIN
    },
];

/// Two of the programs of benches/programs.rs, with their recipes.
const RECIPES: [Use; 2] = [
    Use {
        rule: "linux/node-modules",
        targets: &["benches/support/programs/node.toml"],
        // Debian's directories of modules are found from the place of the program, which it cannot ask for without /proc.
        command: &["/usr/bin/node", "/srv/task.js"],
        prints: "42.0.0 86f7e437",
        ..PLAIN
    },
    Use {
        rule: "linux/vim",
        targets: &["benches/support/programs/vim.toml"],
        command: &["vim.basic", "-es", "-c", "filetype on | edit /srv/task.c | set filetype? | quit"],
        prints: "filetype=c",
        ..PLAIN
    },
];

/// Files that are input of the tasks.
fn add_input(tree: &Path) {
    for directory in ["tmp", "etc", "dev"] {
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
    output_of(Command::new(unshare).args(namespace()).arg("chroot").arg(tree).args(command).env("LC_ALL", "C"))
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

#[test]
fn b38_programs_of_this_machine_do_their_task_with_what_the_rules_bring_and_not_without() {
    check(Path::new("/"), &HOST);
}

#[test]
fn programs_of_packages_do_their_task_with_what_the_rules_bring_and_not_without() {
    let directory = scratch();
    let recipe = directory.path().join("packages.toml");
    fs::write(&recipe, format!("system = \"linux\"\n[source]\napt = {PACKAGES}\n")).unwrap();
    let Some(root) = fetched(&recipe) else { return };
    check(&root, &FETCHED);
}

#[test]
fn programs_of_recipes_do_their_task_with_what_the_rules_bring_and_not_without() {
    for case in &RECIPES {
        let Some(root) = fetched(&repository(case.targets[0])) else { return };
        check(&root, std::slice::from_ref(case));
    }
}
