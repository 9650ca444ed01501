//! What is made of an illumos root besides boot images: the file system of a zone, and what a compiler needs.

use crate::model_root::{generator::Year, shared};
use crate::support::{run, scratch, tool};
use minroot::manifest::{Content, Entry, Manifest, json};
use minroot::recipe::System;
use minroot::text::Style;
use minroot::verify::{Finding, Severity, Subject, Verdict, verify, verify_as};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

struct Product {
    directory: tempfile::TempDir,
    manifest: Manifest,
    file: PathBuf,
}

/// Traces a recipe and packs it, both by the command line.
fn product(year: Year, recipe: &str, file: &str, options: &[&str]) -> Product {
    let directory = scratch();
    let (manifest, out) = (directory.path().join("m.json"), directory.path().join(file));
    let recipe = crate::command::recipe(recipe);
    let minroot = Path::new(env!("CARGO_BIN_EXE_minroot"));
    let root = shared(year);
    let mut trace = Command::new(minroot);
    trace.arg("trace").arg("--root").arg(root).arg(&recipe).arg("-o").arg(&manifest);
    let traced = trace.output().unwrap();
    assert!(manifest.exists(), "{}", String::from_utf8_lossy(&traced.stderr));
    let mut arguments: Vec<&OsStr> = ["pack", "--format", "tar", "-m"].iter().map(OsStr::new).collect();
    arguments.extend([manifest.as_os_str(), "--root".as_ref(), root.as_os_str(), recipe.as_os_str()]);
    arguments.extend(options.iter().map(OsStr::new));
    arguments.extend(["-o".as_ref(), out.as_os_str()]);
    run(minroot, &arguments);
    let manifest = json::read(&std::fs::read(&manifest).unwrap()).unwrap();
    Product { directory, manifest, file: out }
}

impl Product {
    fn verdict(&self, manifest: &Manifest) -> Verdict {
        verify(&self.file, Some(manifest), &minroot::rules::RuleSet::load(&[]).unwrap()).unwrap()
    }

    fn has(&self, path: &str) -> bool {
        self.entry(path).is_some()
    }

    fn entry(&self, path: &str) -> Option<&Entry> {
        self.manifest.entries.iter().find(|entry| entry.path.as_bytes() == path.as_bytes())
    }
}

/// All findings but suggestions, and but libraries that are loaded on first use and that the tables do not have.
fn lines(verdict: &Verdict) -> Vec<String> {
    let is_lazy = |finding: &Finding| {
        finding.severity == Severity::Warning && finding.hint.as_deref().is_some_and(|hint| hint.contains(": lazy; "))
    };
    let findings =
        verdict.findings.iter().filter(|finding| finding.severity != Severity::Suggestion && !is_lazy(finding));
    findings.map(|f| format!("{} {}: {}", f.severity.letter(), f.component, f.message)).collect()
}

/// A line of `tar --list --verbose` as the manifest has it, without the time.
fn listed(entry: &Entry) -> String {
    let relative = |path: &minroot::path::RootPath| match path.is_root() {
        true => ".".to_owned(),
        false => String::from_utf8(path.relative().to_vec()).unwrap(),
    };
    let name = relative(&entry.path);
    let (kind, size, name) = match &entry.content {
        Content::Directory => ('d', "0".to_owned(), format!("{name}/")),
        Content::File { .. } | Content::Generated { .. } => ('-', entry.size().to_string(), name),
        Content::Symlink { target } => {
            ('l', "0".to_owned(), format!("{name} -> {}", String::from_utf8(target.clone()).unwrap()))
        }
        Content::Hardlink { to } => ('h', "0".to_owned(), format!("{name} link to {}", relative(to))),
        Content::Char { major, minor } => ('c', format!("{major},{minor}"), name),
        Content::Block { major, minor } => ('b', format!("{major},{minor}"), name),
        Content::Fifo => ('p', "0".to_owned(), name),
    };
    format!("{kind}{} {}/{} {size} {name}", permissions(entry.mode), entry.uid, entry.gid)
}

fn permissions(mode: u32) -> String {
    let special = |bit: u32, executable: bool, letter: char| match (mode & bit != 0, executable) {
        (true, true) => letter,
        (true, false) => letter.to_ascii_uppercase(),
        (false, true) => 'x',
        (false, false) => '-',
    };
    let bits = |shift: u32| (mode >> shift) & 7;
    let triple = |shift: u32, bit: u32, letter: char| {
        let bits = bits(shift);
        let flag = |value: u32, letter: char| if bits & value != 0 { letter } else { '-' };
        format!("{}{}{}", flag(4, 'r'), flag(2, 'w'), special(bit, bits & 1 != 0, letter))
    };
    triple(6, 0o4000, 's') + &triple(3, 0o2000, 's') + &triple(0, 0o1000, 't')
}

fn check_listing(product: &Product) {
    let Some(tar) = tool("tar") else { return };
    let options = ["--list", "--verbose", "--numeric-owner", "--quoting-style=literal", "--full-time", "-f"];
    let mut arguments: Vec<&OsStr> = options.iter().map(OsStr::new).collect();
    arguments.push(product.file.as_os_str());
    let listing = String::from_utf8(run(&tar, &arguments)).unwrap();
    // Mode, owner, size, date, time, name.
    let without_time = |line: &str| {
        let mut words = line.split_whitespace();
        let front: Vec<&str> = words.by_ref().take(3).collect();
        let name: Vec<&str> = words.skip(2).collect();
        format!("{} {}", front.join(" "), name.join(" "))
    };
    let found: Vec<String> = listing.lines().map(without_time).collect();
    let expected: Vec<String> = product.manifest.entries.iter().map(listed).collect();
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn a_zone_has_what_it_boots_and_zlogin_asks_for_and_nothing_of_a_kernel() {
    for year in [Year::Y2015, Year::Y2025] {
        let zone = product(year, "illumos-zone", "zone.tar", &["--compress", "none"]);
        for path in ["/sbin/init", "/usr/bin/getent", "/etc/inittab", "/etc/passwd", "/dev", "/proc", "/tmp"] {
            assert!(zone.has(path), "{path}");
        }
        for path in ["/platform", "/kernel", "/boot", "/devices"] {
            assert!(!zone.has(path), "{path}");
        }
        let Some(Content::Generated { bytes: Some(inittab), .. }) = zone.entry("/etc/inittab").map(|e| &e.content)
        else {
            panic!("the inittab is made for the zone")
        };
        assert!(String::from_utf8_lossy(inittab).contains("\nsmf::sysinit:"), "init starts nothing");
        check_listing(&zone);
        let verdict = zone.verdict(&zone.manifest);
        assert_eq!(verdict.subject, Subject::Archive);
        assert_eq!(lines(&verdict), [""; 0], "{}", verdict.text(Style::Plain));
        assert!(verdict.starts());
    }
}

#[test]
fn a_compressed_zone_is_read_as_the_plain_one() {
    for compression in ["gzip", "zstd", "xz"] {
        let zone = product(Year::Y2025, "illumos-zone", "zone.tar.packed", &["--compress", compression]);
        assert_eq!(lines(&zone.verdict(&zone.manifest)), [""; 0], "{compression}");
        let whole = std::fs::read(&zone.file).unwrap();
        std::fs::write(&zone.file, &whole[..whole.len() / 2]).unwrap();
        let verdict = zone.verdict(&zone.manifest);
        // Of a block that is not whole zstd gives nothing, so that it is not even known to be tar.
        let words = if compression == "zstd" { "ZSTD-compressed data is truncated" } else { "P image: tar: " };
        assert!(!verdict.starts() && lines(&verdict)[0].contains(words), "{:?}", lines(&verdict));
    }
}

/// Packs the zone without some of its entries, and looks at it without the manifest that has them.
fn zone_without(paths: &[&str]) -> Verdict {
    let zone = product(Year::Y2025, "illumos-zone", "zone.tar", &["--compress", "none"]);
    let mut manifest = zone.manifest.clone();
    manifest.entries.retain(|entry| !paths.iter().any(|path| entry.path.as_bytes() == path.as_bytes()));
    let root = minroot::root::Root::open(shared(Year::Y2025)).unwrap();
    let options = minroot::pack::PackOptions {
        format: minroot::pack::Format::Tar,
        compression: minroot::pack::Compression::None,
        ..minroot::pack::PackOptions::default()
    };
    let out = zone.directory.path().join("less.tar");
    minroot::pack::write_archive(&manifest, &minroot::pack::Contents::new(&root), &options, &out).unwrap();
    // Without its C library nothing in the tree says which system it is for.
    verify_as(Some(System::Illumos), &out, None, &minroot::rules::RuleSet::load(&[]).unwrap()).unwrap()
}

#[test]
fn what_a_zone_lacks_is_told_in_the_words_of_who_fails() {
    for (path, expected) in [
        ("/sbin/init", "P kernel: the zone cannot boot: /sbin/init is not in the image"),
        ("/lib/libc.so.1", "ld.so.1: init: fatal: libc.so.1: open failed: No such file or directory"),
        ("/sbin/sh", "H program: No shell"),
        ("/usr/bin/getent", "zlogin: the user is unknown to the zone"),
    ] {
        let verdict = zone_without(&[path]);
        let found = lines(&verdict);
        assert!(found.iter().any(|line| line.contains(expected)), "{path}: {found:#?}");
    }
}

#[test]
fn another_file_than_the_manifest_says_is_told() {
    let mut zone = product(Year::Y2025, "illumos-zone", "zone.tar", &["--compress", "none"]);
    let entry = zone.manifest.entries.iter_mut().find(|entry| entry.path.as_bytes() == b"/usr/bin/getent").unwrap();
    let (mode, gid) = (entry.mode, entry.gid);
    (entry.mode, entry.gid) = (0o700, 77);
    let found = lines(&zone.verdict(&zone.manifest));
    assert_eq!(
        found,
        [
            format!("W manifest: `/usr/bin/getent` has mode {mode:04o}, the manifest says 0700"),
            format!("W manifest: `/usr/bin/getent` belongs to 0:{gid}, the manifest says 0:77"),
        ]
    );
}

#[test]
fn a_sysroot_has_headers_libraries_and_their_links_and_nothing_that_starts() {
    let sysroot = product(Year::Y2025, "illumos-sysroot", "sysroot.tar.gz", &["--compress", "gzip"]);
    for path in ["/usr/include/stdio.h", "/lib/libc.so.1", "/lib/amd64/libc.so.1", "/lib/amd64/libc.so"] {
        assert!(sysroot.has(path), "{path}");
    }
    for path in ["/sbin/init", "/usr/bin/ls", "/kernel", "/platform/i86pc/kernel/amd64/unix"] {
        assert!(!sysroot.has(path), "{path}");
    }
    check_listing(&sysroot);
    let verdict = sysroot.verdict(&sysroot.manifest);
    assert!(verdict.starts(), "{}", verdict.text(Style::Plain));
    assert!(verdict.count(Severity::Harmful) == 0, "{}", verdict.text(Style::Plain));
}
