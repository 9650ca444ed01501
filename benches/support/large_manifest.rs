//! A manifest as large as that of a whole desktop system, made from nothing.

use minroot::manifest::{Because, Content, Entry, Manifest};
use minroot::path::RootPath;
use minroot::reason::{Evidence, Kind, Reason};
use minroot::recipe::System;

const DIRECTORIES: usize = 3_000;
const LINKS: usize = 4_000;
const FILES: usize = 33_000;

/// 40,000 entries and 114,000 reasons: a directory has one reason per entry in it, a file up to three.
///
/// File `i` needs `i / 2`, so that chains are as long as they are in practice, and popular libraries have thousands
/// of referrers.
pub fn large_manifest() -> Manifest {
    let mut entries = Vec::new();
    for i in 0..FILES {
        let digest = std::array::from_fn(|byte| (i >> (byte % 4 * 8)) as u8);
        let mut reasons = vec![needed(i / 2, i)];
        reasons.push(needed(i % 701, i));
        if i < 50 {
            reasons = vec![Because { from: None, reason: Reason::new(Evidence::Target, Kind::Target, "") }];
        }
        let content = Content::File { size: 1_000 + i as u64, sha256: digest, unpacked_from: None };
        entries.push(entry(file(i), content, 0o644, reasons));
    }
    for i in 0..LINKS {
        let name = format!("libsomething-{i:05}.so");
        let link = directory(i).join(name.as_bytes());
        let to = file(i + 100);
        let reason = Reason::new(Evidence::Proven, Kind::Symlink, "");
        entries[i + 100].reasons.push(Because { from: Some(link.clone()), reason });
        entries.push(entry(link, Content::Symlink { target: to.file_name().to_vec() }, 0o777, vec![needed(i, i)]));
    }
    let mut directories: Vec<_> =
        (0..DIRECTORIES - 3).map(|i| entry(directory(i), Content::Directory, 0o755, Vec::new())).collect();
    for name in ["/usr", "/usr/lib", "/usr/lib/x86_64-linux-gnu"] {
        directories.push(entry(RootPath::new(name).unwrap(), Content::Directory, 0o755, Vec::new()));
    }
    directories.sort_by(|a, b| a.path.cmp(&b.path));
    let children: Vec<RootPath> = entries.iter().chain(&directories).map(|entry| entry.path.clone()).collect();
    for child in children {
        let parent = child.parent().unwrap();
        if let Ok(i) = directories.binary_search_by(|directory| directory.path.cmp(&parent)) {
            let reason = Reason::new(Evidence::Proven, Kind::Directory, "");
            directories[i].reasons.push(Because { from: Some(child), reason });
        }
    }
    entries.extend(directories);
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    for entry in &mut entries {
        entry.reasons.sort();
        entry.reasons.dedup();
    }
    Manifest {
        targets: (0..50).map(file).collect(),
        rules_digest: [7; 32],
        ..Manifest::new(System::Linux, "x86_64", entries)
    }
}

fn directory(i: usize) -> RootPath {
    let i = i % (DIRECTORIES - 3);
    RootPath::new(format!("/usr/lib/x86_64-linux-gnu/directory-{i:04}")).unwrap()
}

fn file(i: usize) -> RootPath {
    directory(i * 7).join(format!("libsomething-{i:05}.so.1.2.3").as_bytes())
}

fn needed(by: usize, i: usize) -> Because {
    let reason = Reason::new(Evidence::Proven, Kind::Needed, format!("libsomething-{i:05}.so.1"));
    Because { from: Some(file(by)), reason }
}

fn entry(path: RootPath, content: Content, mode: u32, reasons: Vec<Because>) -> Entry {
    let package = Some("libsomething1".to_owned());
    Entry { path, content, mode, uid: 0, gid: 0, xattrs: Vec::new(), package, packed: None, reasons }
}
