//! Names from `firmware=` in, the files the kernel would open out.
//!
//! Firmware is data for a device. Some of it happens to be ELF; it is never looked into. A name may be a pattern
//! (`ath11k/WCN6855/hw2.1/*`), which only tools like this one read: the kernel asks for exact names later.

use super::{Compression, ModuleName};
use crate::path::RootPath;
use crate::root::{FileKind, Found, Root};
use crate::wildcard;
use std::collections::BTreeMap;

/// The suffixes the kernel tries, in its order (drivers/base/firmware_loader/main.c, `_request_firmware`).
const SUFFIXES: [&str; 3] = ["", ".zst", ".xz"];

/// A firmware file that a selected module may ask for.
#[derive(Debug, Clone)]
pub struct FirmwareFile {
    /// As the kernel opens it; links on the way are in [`Found::links`] and belong into the image as links.
    pub path: RootPath,
    pub found: Found,
    pub compression: Compression,
    /// Who names it, and the name or pattern used; sorted.
    pub named_by: Vec<(ModuleName, String)>,
}

/// Where the kernel looks for firmware, in its order (drivers/base/firmware_loader/main.c, `fw_path`).
pub fn firmware_directories(version: &str) -> [String; 4] {
    [
        format!("/lib/firmware/updates/{version}"),
        "/lib/firmware/updates".to_owned(),
        format!("/lib/firmware/{version}"),
        "/lib/firmware".to_owned(),
    ]
}

/// What became of one name: files by the path the kernel opens, or every place tried with what was there.
pub(super) struct FirmwareLookup {
    pub found: Vec<(RootPath, Found)>,
    pub probes: Vec<(String, String)>,
}

/// Looks for the file that the kernel would take, or for a pattern all files it stands for.
pub(super) fn find_firmware(root: &Root, version: &str, name: &str) -> FirmwareLookup {
    let mut lookup = FirmwareLookup { found: Vec::new(), probes: Vec::new() };
    let is_pattern = wildcard::has_wildcard(name.as_bytes());
    // By name below the directory: the first directory that has it wins.
    let mut matched: BTreeMap<Vec<u8>, (RootPath, Found)> = BTreeMap::new();
    for suffix in SUFFIXES {
        for directory in firmware_directories(version) {
            let text = format!("{directory}/{name}{suffix}");
            let path = match RootPath::new(&text) {
                Ok(path) => path,
                Err(error) => {
                    lookup.probes.push((text, error.to_string()));
                    continue;
                }
            };
            if is_pattern {
                let base = RootPath::new(&directory).expect("an absolute path");
                for (path, found) in expand(root, &base, &path) {
                    let below = path.as_bytes()[base.as_bytes().len()..].to_vec();
                    matched.entry(below).or_insert((path, found));
                }
                lookup.probes.push((text, "nothing matches".to_owned()));
                continue;
            }
            match root.lookup(&path) {
                Ok(found) if found.info.kind == FileKind::File => {
                    lookup.found.push((path, found));
                    return lookup;
                }
                Ok(_) => lookup.probes.push((text, "not a regular file".to_owned())),
                Err(error) => lookup.probes.push((text, error.to_string())),
            }
        }
    }
    lookup.found = matched.into_values().collect();
    lookup
}

/// The regular files that `pattern`, a path below `base`, stands for; a wildcard does not match a slash here.
fn expand(root: &Root, base: &RootPath, pattern: &RootPath) -> Vec<(RootPath, Found)> {
    let mut paths = vec![base.clone()];
    for component in pattern.components().skip(base.components().count()) {
        if !wildcard::has_wildcard(component) {
            paths = paths.iter().map(|path| path.join(component)).collect();
            continue;
        }
        paths = paths.iter().flat_map(|path| matching_names(root, path, component)).collect();
    }
    let files = paths.into_iter().filter_map(|path| root.lookup(&path).ok().map(|found| (path, found)));
    files.filter(|(_, found)| found.info.kind == FileKind::File).collect()
}

fn matching_names(root: &Root, path: &RootPath, component: &[u8]) -> Vec<RootPath> {
    let Ok(directory) = root.directory(path) else { return Vec::new() };
    let names = root.read_dir(&directory).unwrap_or_default();
    names.iter().filter(|name| wildcard::matches(component, name)).map(|name| path.join(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with these files; an entry with ` -> ` is a symlink.
    fn root(entries: &[&str]) -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        for entry in entries {
            let (path, target) = entry.split_once(" -> ").map_or((*entry, None), |(p, t)| (p, Some(t)));
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            match target {
                Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
                None => std::fs::write(path, b"\x7fELF").unwrap(),
            }
        }
        let root = Root::open(directory.path()).unwrap();
        (directory, root)
    }

    fn check(entries: &[&str], name: &str, expected: &[&str]) {
        let (_directory, root) = root(entries);
        let found = find_firmware(&root, "6.1", name).found;
        assert_eq!(found.iter().map(|(path, _)| path.to_string()).collect::<Vec<_>>(), expected, "{name}");
    }

    #[test]
    fn directories_and_suffixes_are_tried_in_the_order_of_the_kernel() {
        let all = [
            "lib/firmware/a.bin",
            "lib/firmware/6.1/a.bin",
            "lib/firmware/updates/a.bin",
            "lib/firmware/updates/6.1/a.bin",
        ];
        check(&all, "a.bin", &["/lib/firmware/updates/6.1/a.bin"]);
        check(&all[..3], "a.bin", &["/lib/firmware/updates/a.bin"]);
        check(&all[..2], "a.bin", &["/lib/firmware/6.1/a.bin"]);
        check(&["lib/firmware/a.bin", "lib/firmware/updates/a.bin.zst"], "a.bin", &["/lib/firmware/a.bin"]);
        check(&["lib/firmware/a.bin.xz", "lib/firmware/a.bin.zst"], "a.bin", &["/lib/firmware/a.bin.zst"]);
    }

    #[test]
    fn b69_patterns_match_compressed_files_too() {
        let files =
            ["lib/firmware/ath11k/W/hw2.1/amss.bin.zst", "lib/firmware/ath11k/W/hw2.1/m3.bin", "lib/firmware/x"];
        check(
            &files,
            "ath11k/W/hw2.1/*",
            &["/lib/firmware/ath11k/W/hw2.1/amss.bin.zst", "/lib/firmware/ath11k/W/hw2.1/m3.bin"],
        );
        check(
            &files,
            "ath11k/*/hw2.?/*.bin",
            &["/lib/firmware/ath11k/W/hw2.1/amss.bin.zst", "/lib/firmware/ath11k/W/hw2.1/m3.bin"],
        );
        check(&files, "ath*", &[]);
    }

    #[test]
    fn b71_a_chain_of_links_is_reported_link_by_link() {
        let (_directory, root) = root(&[
            "lib/firmware/regulatory.db -> /etc/alternatives/regulatory.db",
            "etc/alternatives/regulatory.db -> /lib/firmware/real/regulatory.db-debian",
            "lib/firmware/real -> parts",
            "lib/firmware/parts/regulatory.db-debian",
        ]);
        let (path, found) = find_firmware(&root, "6.1", "regulatory.db").found.pop().unwrap();
        assert_eq!(path.to_string(), "/lib/firmware/regulatory.db");
        assert_eq!(found.path.to_string(), "/lib/firmware/parts/regulatory.db-debian");
        let links: Vec<String> = found.links.iter().map(|link| link.path.to_string()).collect();
        assert_eq!(links, ["/lib/firmware/regulatory.db", "/etc/alternatives/regulatory.db", "/lib/firmware/real"]);
    }

    #[test]
    fn a_missing_name_lists_every_place() {
        let (_directory, root) = root(&[]);
        let lookup = find_firmware(&root, "6.1", "a.bin");
        assert!(lookup.found.is_empty());
        assert_eq!(lookup.probes.len(), 12);
        assert_eq!(lookup.probes[0].0, "/lib/firmware/updates/6.1/a.bin");
    }

    #[test]
    fn names_that_climb_find_nothing() {
        check(&["lib/secret"], "../secret", &[]);
    }
}
