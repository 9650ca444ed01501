//! What an image holds as the entries of a manifest: the other side when a manifest is compared with an image.

use super::contents::{Owners, is_microcode};
use super::tree::{FileContent, Node, NodeKind, Tree};
use crate::manifest::{Content, Entry, Manifest};
use crate::path::RootPath;
use std::collections::HashMap;

/// The entries, in the order of their paths. What the image does not record is taken from the entry of the same path.
pub(super) fn entries(tree: &Tree, manifest: &Manifest, owners: Owners) -> Vec<Entry> {
    let mut first_names: HashMap<usize, &RootPath> = HashMap::new();
    let nodes = tree.iter().filter(|(path, node)| !node.built_in && !is_microcode(path) && !path.is_root());
    nodes
        .filter_map(|(path, node)| {
            let known = manifest.entry(path);
            let content = match &node.kind {
                NodeKind::File(content) => match first_names.get(content) {
                    Some(first) => Content::Hardlink { to: (*first).clone() },
                    None => {
                        first_names.insert(*content, path);
                        file(&tree.contents[*content], known)
                    }
                },
                NodeKind::Directory => Content::Directory,
                NodeKind::Symlink(target) => Content::Symlink { target: target.clone() },
                NodeKind::Char { major, minor } => Content::Char { major: *major, minor: *minor },
                NodeKind::Block { major, minor } => Content::Block { major: *major, minor: *minor },
                NodeKind::Fifo => Content::Fifo,
                // No manifest has one.
                NodeKind::Socket => return None,
            };
            Some(entry(path, node, content, known, owners))
        })
        .collect()
}

/// As the manifest has it, where the bytes are the same: how they came about is not in the image.
fn file(found: &FileContent, known: Option<&Entry>) -> Content {
    let sha256 = found.sha256.unwrap_or_default();
    let is_same = |content: &&Content| match content {
        Content::File { size, sha256: digest, .. } | Content::Generated { size, sha256: digest, .. } => {
            (size, digest) == (&found.size, &sha256)
        }
        _ => false,
    };
    let same = known.map(|known| &known.content).filter(is_same);
    same.cloned().unwrap_or(Content::File { size: found.size, sha256, unpacked_from: None })
}

fn entry(path: &RootPath, node: &Node, content: Content, known: Option<&Entry>, owners: Owners) -> Entry {
    // The mode of a symlink means nothing, and further names have mode and owner of the first.
    let is_further = matches!(content, Content::Hardlink { .. });
    let has_mode = !is_further && !matches!(content, Content::Symlink { .. });
    let has_owner = !is_further && owners == Owners::Recorded;
    Entry {
        path: path.clone(),
        content,
        mode: known.filter(|_| !has_mode).map_or(node.mode, |known| known.mode),
        uid: known.filter(|_| !has_owner).map_or(node.uid, |known| known.uid),
        gid: known.filter(|_| !has_owner).map_or(node.gid, |known| known.gid),
        xattrs: known.map(|known| known.xattrs.clone()).unwrap_or_default(),
        package: known.and_then(|known| known.package.clone()),
        packed: None,
        reasons: known.map(|known| known.reasons.clone()).unwrap_or_default(),
    }
}
