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
const HOST: [Use; 9] = [
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
        // The name of a startup line, which is none of those that are always brought.
        rule: "linux/terminfo",
        targets: &["/usr/bin/tput", "/usr/bin/env"],
        recipe: "[[startup]]\nrun = 'TERM=rxvt tput bold'\n",
        command: &["env", "TERM=rxvt", "tput", "bold"],
        prints: "\u{1b}[1m",
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
        rule: "linux/mime",
        targets: &["/usr/bin/gio"],
        recipe: "[[file]]\npath = '/srv/page.html'\ncontent = 'page'\n",
        command: &["gio", "info", "-a", "standard::content-type", "/srv/page.html"],
        prints: "text/html",
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
const PACKAGES: &str = r#"["file", "fontconfig", "fonts-dejavu-core", "alsa-utils", "libc-bin", "coreutils", "tzdata", "sed", "dash", "make", "nginx"]"#;
const FETCHED: [Use; 9] = [
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
        targets: &["/usr/bin/sed"],
        command: &["sed", "1e echo $((6 * 7))", "/etc/input"],
        prints: "42",
        ..PLAIN
    },
    Use {
        rule: "linux/shell",
        targets: &["/usr/bin/make"],
        recipe: "trace.take = ['suggested']\n[[file]]\npath = '/srv/makefile'\n\
                 content = \"all:\\n\\t@echo $$((6 * 7))\\n\"\n",
        command: &["make", "-f", "/srv/makefile"],
        prints: "42",
    },
    Use {
        rule: "linux/config-includes",
        targets: &["/usr/sbin/nginx"],
        recipe: "[[file]]\npath = '/etc/passwd'\ncontent = 'www-data:x:33:33::/:/bin/sh'\n\
                 [[file]]\npath = '/etc/group'\ncontent = 'www-data:x:33:'\n",
        command: &["nginx", "-t"],
        prints: "test is successful",
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

/// Programs in locales that localedef compiles by other character sets.
const LOCALES: [Use; 3] = [
    Use {
        rule: "linux/locale",
        targets: &["/usr/bin/locale", "/usr/bin/env"],
        recipe: "[[startup]]\nrun = 'LANG=de_DE.ISO-8859-1 locale'\n",
        command: &["env", "LC_ALL=de_DE.ISO-8859-1", "locale", "charmap"],
        prints: "ISO-8859-1\n",
    },
    Use {
        // The character has one byte, which is not UTF-8; in the C locale it is spelled.
        rule: "linux/gconv",
        targets: &["/usr/bin/printf", "/usr/bin/env"],
        recipe: "[[startup]]\nrun = 'LANG=de_DE@euro printf'\n",
        command: &["env", "LC_ALL=de_DE@euro", "printf", r"<\u20ac>"],
        prints: "<\u{fffd}>",
    },
    Use {
        rule: "linux/gconv",
        targets: &["/usr/bin/printf", "/usr/bin/env"],
        recipe: "[[startup]]\nrun = 'LC_ALL=ru_RU.KOI8-R printf'\n",
        command: &["env", "LC_ALL=ru_RU.KOI8-R", "printf", r"<\u0439>"],
        prints: "<\u{fffd}>",
    },
];

/// What is started for others.
const SERVICE_PACKAGES: &str =
    r#"["systemd", "udev", "dbus-daemon", "dconf-cli", "dconf-service", "dash", "coreutils"]"#;
const SERVICES: [Use; 5] = [
    Use {
        rule: "linux/systemd-units",
        targets: &["/usr/bin/systemd-analyze", "/usr/bin/dash"],
        recipe: "[[file]]\npath = '/etc/systemd/system/task.service'\ncontent = '''\n[Unit]\nDefaultDependencies=no\n\
                 Requires=other.service\n[Service]\nExecStart=/usr/bin/cat /etc/motd\n'''\n\
                 [[file]]\npath = '/etc/systemd/system/other.service'\ncontent = '''\n[Unit]\nDefaultDependencies=no\n\
                 [Service]\nExecStart=/usr/bin/cat\n'''\n",
        command: &["dash", "-c", "systemd-analyze verify task.service && echo can start"],
        prints: "can start",
    },
    Use {
        rule: "linux/systemd-generators",
        targets: &["/lib/systemd/systemd", "/usr/bin/systemd-analyze", "/usr/bin/dash"],
        recipe: "[[file]]\npath = '/etc/fstab'\ncontent = 'tmpfs /data tmpfs defaults 0 0'\n",
        command: &["dash", "-c", "systemd-analyze verify --man=no --generators=yes data.mount && echo can mount"],
        prints: "can mount",
    },
    Use {
        rule: "linux/systemd-directories",
        targets: &["/usr/bin/systemd-tmpfiles", "/usr/bin/ls", "/usr/bin/dash"],
        command: &["dash", "-c", "systemd-tmpfiles --create --prefix=/srv; ls -d /srv"],
        prints: "/srv\n",
        ..PLAIN
    },
    Use {
        rule: "linux/udev",
        targets: &["/usr/bin/udevadm"],
        recipe: "[[file]]\npath = '/etc/udev/rules.d/task.rules'\n\
                 content = 'KERNEL==\"null\", IMPORT{program}=\"/usr/bin/echo ANSWER=42\"'\n",
        command: &["udevadm", "test", "/sys/class/mem/null"],
        prints: "\nANSWER=42\n",
    },
    Use {
        rule: "linux/dbus",
        targets: &["/usr/bin/dbus-run-session", "/usr/bin/dbus-daemon", "/usr/bin/dconf", "/usr/bin/dash"],
        recipe: "[[file]]\npath = '/etc/passwd'\ncontent = 'root:x:0:0::/tmp:/bin/sh'\n",
        // The one who writes is a service, dconf-service.
        command: &["dbus-run-session", "dash", "-c", "dconf write /a 42; dconf read /a"],
        prints: "42\n",
    },
];

const JAVA_PACKAGES: &str = r#"["openjdk-17-jre-headless"]"#;
const JAVA: Use = Use {
    rule: "linux/java",
    targets: &["/usr/lib/jvm/java-17-openjdk-amd64/bin/keytool"],
    command: &[
        "/usr/lib/jvm/java-17-openjdk-amd64/bin/keytool",
        "-genkeypair",
        "-v",
        "-keyalg",
        "EC",
        "-dname",
        "CN=a",
        "-keystore",
        "/tmp/store",
        "-storepass",
        "secret",
    ],
    prints: "[Storing /tmp/store]",
    ..PLAIN
};

/// Some of the programs of benches/programs.rs, with their recipes.
const RECIPES: [Use; 3] = [
    Use {
        rule: "linux/node-modules",
        targets: &["benches/support/programs/node.toml"],
        command: &["/usr/bin/node", "/srv/task.js"],
        prints: "42.0.0 86f7e437",
        ..PLAIN
    },
    Use {
        rule: "linux/php",
        targets: &["benches/support/programs/php-cli.toml"],
        command: &["php8.2", "/srv/task.php"],
        prints: "42 1970 {\"a\":1}",
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
