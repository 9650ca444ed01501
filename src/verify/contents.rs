//! What an image holds against what its manifest says, entry by entry.

use super::tree::{Node, NodeKind, Tree};
use super::{Component, Finding, Report, Severity, held};
use crate::manifest::json::type_name;
use crate::manifest::{Content, Entry, Manifest};
use crate::path::{RootPath, escaped};
use crate::text::count;

/// Early microcode lies in an archive of its own, which no manifest knows (Documentation/x86/microcode.rst).
const MICROCODE: &str = "/kernel/x86/microcode";

/// Whether owners and device nodes are those of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owners {
    /// An archive has them.
    Recorded,
    /// A directory that an ordinary user has unpacked belongs to that user, and lacks device nodes.
    AsUnpacked,
}

/// Compares everything.
pub(super) fn compare(tree: &Tree, manifest: &Manifest, owners: Owners, report: &mut Report) {
    let mut n_foreign = 0;
    for entry in &manifest.entries {
        match tree.get(&entry.path) {
            Some(node) => {
                let owner = compare_entry(tree, entry, node, report);
                if !owner && owners == Owners::AsUnpacked {
                    n_foreign += 1;
                } else if !owner {
                    let message = format!(
                        "`{}` belongs to {}:{}, the manifest says {}:{}",
                        entry.path, node.uid, node.gid, entry.uid, entry.gid
                    );
                    report.find(Finding::new(Severity::Warning, Component::Manifest, message).at(&entry.path));
                }
            }
            None => {
                let is_device = matches!(entry.content, Content::Char { .. } | Content::Block { .. });
                let severity =
                    if is_device && owners == Owners::AsUnpacked { Severity::Warning } else { Severity::Harmful };
                let message = format!("`{}` is in the manifest and not in the image", entry.path);
                report.find(Finding::new(severity, Component::Manifest, message).at(&entry.path));
            }
        }
    }
    if n_foreign > 0 {
        let message = format!(
            "{} another owner than the manifest says: only root can give files away",
            if n_foreign == 1 { "1 entry has".to_owned() } else { format!("{} have", count(n_foreign, "entry")) }
        );
        report.find(Finding::new(Severity::Suggestion, Component::Manifest, message));
    }
    for (path, _) in tree.iter().filter(|(path, node)| !node.built_in && !is_microcode(path)) {
        if manifest.entry(path).is_none() && !path.is_root() {
            let message = format!("`{path}` is in the image and not in the manifest");
            report.find(Finding::new(Severity::Warning, Component::Manifest, message).at(path));
        }
    }
    report.held = report.wants_held.then(|| held::entries(tree, manifest, owners));
    report.saw(
        Component::Manifest,
        "manifest",
        format_args!("{}, {} in the image", count(manifest.entries.len() as u64, "entry"), tree.len()),
    );
}

/// Compares all but the owner, and says whether that is right.
fn compare_entry(tree: &Tree, entry: &Entry, node: &Node, report: &mut Report) -> bool {
    let path = &entry.path;
    let mut differs = |severity, message: String| {
        report.find(Finding::new(severity, Component::Manifest, message).at(path));
    };
    if let Some(problem) = compare_content(tree, entry, node) {
        differs(Severity::Harmful, format!("`{path}` {problem}"));
    }
    // The mode of a symlink means nothing, and further names have that of the first.
    let has_mode = !matches!(entry.content, Content::Symlink { .. } | Content::Hardlink { .. });
    if has_mode && node.mode != entry.mode {
        let message = format!("`{path}` has mode {:04o}, the manifest says {:04o}", node.mode, entry.mode);
        differs(Severity::Warning, message);
    }
    matches!(entry.content, Content::Hardlink { .. }) || (node.uid, node.gid) == (entry.uid, entry.gid)
}

fn compare_content(tree: &Tree, entry: &Entry, node: &Node) -> Option<String> {
    match (&entry.content, &node.kind) {
        (Content::File { size, sha256, .. } | Content::Generated { size, sha256, .. }, NodeKind::File(content)) => {
            let found = tree.contents[*content];
            if found.size != *size {
                return Some(format!("has {} bytes, the manifest says {size}", found.size));
            }
            let differs = found.sha256.is_some_and(|found| found != *sha256);
            differs.then(|| "has another content than the manifest says: its SHA-256 differs".to_owned())
        }
        (Content::Hardlink { to }, NodeKind::File(content)) => {
            let first = tree.get(to).map(|node| &node.kind);
            let shared = first == Some(&NodeKind::File(*content));
            (!shared).then(|| format!("is a file of its own, the manifest says a hard link to `{to}`"))
        }
        (Content::Symlink { target }, NodeKind::Symlink(found)) => {
            (target != found).then(|| format!("leads to `{}`, the manifest says `{}`", escaped(found), escaped(target)))
        }
        (Content::Char { major, minor }, NodeKind::Char { major: a, minor: b })
        | (Content::Block { major, minor }, NodeKind::Block { major: a, minor: b }) => {
            ((major, minor) != (a, b)).then(|| format!("is device {a}:{b}, the manifest says {major}:{minor}"))
        }
        (Content::Directory, NodeKind::Directory) | (Content::Fifo, NodeKind::Fifo) => None,
        (content, kind) => Some(format!("is of type {}, the manifest says {}", kind.name(), type_name(content))),
    }
}

pub(super) fn is_microcode(path: &RootPath) -> bool {
    let directory = RootPath::new(MICROCODE).expect("a constant");
    path.starts_with(&directory) || directory.starts_with(path)
}

#[cfg(test)]
mod tests {
    use super::super::tree::FileContent;
    use super::*;
    use crate::manifest::Because;
    use crate::reason::{Evidence, Kind, Reason};
    use crate::recipe::System;

    fn path(text: &str) -> RootPath {
        RootPath::new(text).unwrap()
    }

    fn entry(at: &str, content: Content) -> Entry {
        let reasons = vec![Because { from: None, reason: Reason::new(Evidence::Target, Kind::Target, "") }];
        Entry {
            path: path(at),
            content,
            mode: 0o644,
            uid: 0,
            gid: 0,
            xattrs: vec![],
            package: None,
            packed: None,
            reasons,
        }
    }

    fn file(size: u64, sha256: [u8; 32]) -> Content {
        Content::File { size, sha256, unpacked_from: None }
    }

    fn findings(nodes: Vec<(&str, NodeKind)>, entries: Vec<Entry>, owners: Owners) -> Vec<String> {
        let mut tree = Tree::before_archive();
        tree.contents =
            vec![FileContent { size: 3, sha256: Some([1; 32]) }, FileContent { size: 3, sha256: Some([2; 32]) }];
        for (at, kind) in nodes {
            tree.insert(path(at), Node { kind, mode: 0o644, uid: 0, gid: 0, built_in: false });
        }
        let manifest = Manifest::new(System::Linux, "", entries);
        let mut report = Report::default();
        compare(&tree, &manifest, owners, &mut report);
        report.findings.into_iter().map(|f| format!("{} {}", f.severity.letter(), f.message)).collect()
    }

    #[test]
    fn every_difference_is_told_in_the_manifests_words() {
        let link = |target: &[u8]| Content::Symlink { target: target.to_vec() };
        let found = findings(
            vec![
                ("/a", NodeKind::File(0)),
                ("/b", NodeKind::File(0)),
                ("/c", NodeKind::Directory),
                ("/d", NodeKind::Symlink(b"x".to_vec())),
                ("/e", NodeKind::Char { major: 1, minor: 3 }),
                ("/extra", NodeKind::Fifo),
                ("/h", NodeKind::File(1)),
                ("/kernel/x86/microcode/GenuineIntel.bin", NodeKind::File(0)),
            ],
            vec![
                entry("/a", file(3, [1; 32])),
                entry("/b", file(3, [9; 32])),
                entry("/c", file(3, [1; 32])),
                entry("/d", link(b"y")),
                entry("/e", Content::Char { major: 1, minor: 5 }),
                Entry { mode: 0o755, uid: 5, ..entry("/f", file(4, [1; 32])) },
                entry("/h", Content::Hardlink { to: path("/a") }),
            ],
            Owners::Recorded,
        );
        assert_eq!(
            found,
            [
                "H `/b` has another content than the manifest says: its SHA-256 differs",
                "H `/c` is of type dir, the manifest says file",
                "H `/d` leads to `x`, the manifest says `y`",
                "H `/e` is device 1:3, the manifest says 1:5",
                "H `/f` is in the manifest and not in the image",
                "H `/h` is a file of its own, the manifest says a hard link to `/a`",
                "W `/extra` is in the image and not in the manifest",
            ]
        );
    }

    #[test]
    fn modes_and_owners_are_warnings_and_of_a_directory_one_remark() {
        let run = |owners| {
            let changed = Entry { mode: 0o755, uid: 5, gid: 6, ..entry("/a", file(3, [1; 32])) };
            findings(vec![("/a", NodeKind::File(0))], vec![changed], owners)
        };
        let mode = "W `/a` has mode 0644, the manifest says 0755";
        assert_eq!(run(Owners::Recorded), [mode, "W `/a` belongs to 0:0, the manifest says 5:6"]);
        let remark = "S 1 entry has another owner than the manifest says: only root can give files away";
        assert_eq!(run(Owners::AsUnpacked), [mode, remark]);
    }
}
