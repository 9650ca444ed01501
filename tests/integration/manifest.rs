//! Manifests as files and lists, judged by the tools that people feed them to.

#[path = "../../benches/support/large_manifest.rs"]
pub mod large_manifest;

use crate::support::{output, scratch, tool};
use minroot::explain::diff::diff;
use minroot::explain::size::{By, tables};
use minroot::explain::{Options, explain};
use minroot::manifest::{Because, Content, Entry, Manifest, json, lists};
use minroot::path::RootPath;
use minroot::reason::{Evidence, Kind, Reason};
use minroot::recipe::System;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Names that broke other tools: a line break, Latin-1, an option, a comment, a leading blank.
const ODD_NAMES: [&[u8]; 6] = [b" lead", b"#x", b"-rf", b"a b\nc", b"caf\xe9", b"dir/inner"];

/// A directory with the odd names, and a manifest that lists all of them but `dir/left-out`.
fn odd_tree(directory: &Path) -> Manifest {
    fs::create_dir(directory.join("dir")).unwrap();
    fs::write(directory.join("dir/left-out"), "").unwrap();
    let mut entries: Vec<Entry> = Vec::new();
    for name in ODD_NAMES {
        fs::write(directory.join(OsStr::from_bytes(name)), "").unwrap();
        entries.push(entry(name, Content::File { size: 0, sha256: [0; 32], unpacked_from: None }));
    }
    entries.push(entry(b"dir", Content::Directory));
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Manifest::new(System::Linux, "x86_64", entries)
}

/// What `trace --format paths0` writes.
fn write_list(manifest: &Manifest, file: &Path) {
    lists::paths0(manifest.entries.iter().map(|entry| &entry.path), &mut fs::File::create(file).unwrap()).unwrap();
}

fn entry(name: &[u8], content: Content) -> Entry {
    let path = RootPath::new([b"/", name].concat()).unwrap();
    let reasons = vec![Because { from: None, reason: Reason::new(Evidence::Target, Kind::Target, "") }];
    Entry { path, content, mode: 0o644, uid: 0, gid: 0, xattrs: Vec::new(), package: None, packed: None, reasons }
}

/// The names as a tool that wrote an archive should list them, sorted.
fn expected() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = ODD_NAMES.iter().map(|name| name.to_vec()).collect();
    names.push(b"dir".to_vec());
    names.sort();
    names
}

/// The member names of a tar archive, read by the crate that reads packages.
fn tar_members(archive: &[u8]) -> Vec<Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    let members = archive.entries().unwrap().map(|member| without_dot(&member.unwrap().path_bytes()));
    let mut members: Vec<_> = members.collect();
    members.sort();
    members
}

fn without_dot(name: &[u8]) -> Vec<u8> {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    name.strip_suffix(b"/").unwrap_or(name).to_vec()
}

#[test]
fn gnu_tar_takes_the_list() {
    let Some(tar) = tool("tar") else { return };
    let (root, out) = (scratch(), scratch());
    let list = out.path().join("list");
    write_list(&odd_tree(root.path()), &list);
    let (root, list) = (root.path().as_os_str(), list.as_os_str());
    let arguments = ["-C", "", "--no-recursion", "--null", "-T", "", "-cf", "-"].map(OsStr::new);
    let mut arguments = arguments.to_vec();
    arguments[1] = root;
    arguments[5] = list;
    assert_eq!(tar_members(&crate::support::run(&tar, &arguments)), expected());
}

#[test]
fn cpio_takes_the_list() {
    let Some(cpio) = tool("cpio") else { return };
    let (root, out) = (scratch(), scratch());
    let (list, archive) = (out.path().join("list"), out.path().join("archive"));
    write_list(&odd_tree(root.path()), &list);
    let status = Command::new(&cpio)
        .args(["-0", "-o", "-H", "ustar", "--quiet"])
        .current_dir(root.path())
        .stdin(fs::File::open(&list).unwrap())
        .stdout(fs::File::create(&archive).unwrap())
        .stderr(Stdio::inherit())
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(tar_members(&fs::read(&archive).unwrap()), expected());
}

#[test]
fn bsdtar_takes_the_list() {
    let Some(bsdtar) = tool("bsdtar") else { return };
    let (root, out) = (scratch(), scratch());
    let list = out.path().join("list");
    write_list(&odd_tree(root.path()), &list);
    let mut arguments = ["-C", "", "-n", "--null", "-T", "", "--format=ustar", "-cf", "-"].map(OsStr::new).to_vec();
    arguments[1] = root.path().as_os_str();
    arguments[5] = list.as_os_str();
    let output = output(&bsdtar, &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(tar_members(&output.stdout), expected());
}

/// The figures are in `benches/manifest.rs`; this one only notices when something has become quadratic.
#[test]
fn forty_thousand_entries_are_no_burden() {
    let manifest = large_manifest::large_manifest();
    let begin = Instant::now();
    let mut text = Vec::new();
    json::write(&manifest, &mut text).unwrap();
    let again = json::read(&text).unwrap();
    for path in ["/usr/lib", "/usr/lib/libsomethink.so.1.2.3", "libsomething-32999.so.1.2.3"] {
        let explanation = explain(&again, path.as_bytes(), &Options::default());
        assert!(!explanation.text(minroot::text::Style::Plain).to_string().is_empty());
    }
    let shown: usize = tables(&again, &By::ALL, 20).iter().map(|table| table.rows.len()).sum();
    assert_eq!(shown, 1 + 20 + 2 + 20 + 20);
    assert!(diff(&again, &manifest).is_empty());
    let elapsed = begin.elapsed();
    assert!(again == manifest);
    assert!(elapsed < Duration::from_secs(60), "{elapsed:?}");
}
