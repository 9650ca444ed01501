//! Follows the symlinks that a manifest records, as the kernel of the image would on the way to a path.
//!
//! Only links *before* the last component are followed: a link that is asked for is an entry of its own, with its own
//! reasons. Where the manifest has no entry the rest of the path is taken as it stands, because the path may be one
//! that was left out.

use crate::manifest::{Content, Entry, Manifest};
use crate::path::RootPath;

/// How many symlinks one look-up may follow: the kernel's own limit (`MAXSYMLINKS`, path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Where a spelling leads.
pub(super) struct Located<'m> {
    /// `None` when the links form a loop or the spelling has a NUL byte.
    pub path: Option<RootPath>,
    /// The links that were followed, in order.
    pub links: Vec<&'m Entry>,
}

pub(super) fn locate<'m>(manifest: &'m Manifest, asked: &[u8]) -> Located<'m> {
    let mut links = Vec::new();
    let mut here = RootPath::root();
    // The last component is at the bottom.
    let mut left = Vec::new();
    push_components(&mut left, asked);
    while let Some(component) = left.pop() {
        if component.contains(&0) {
            return Located { path: None, links };
        }
        if component == b".." {
            here = here.parent().unwrap_or_else(RootPath::root);
            continue;
        }
        here = here.join(component);
        if left.is_empty() {
            break;
        }
        let Some(entry) = manifest.entry(&here) else { continue };
        let Content::Symlink { target } = &entry.content else { continue };
        if links.len() == MAX_LINKS {
            return Located { path: None, links };
        }
        links.push(entry);
        here = match target.first() {
            Some(b'/') => RootPath::root(),
            _ => here.parent().unwrap_or_else(RootPath::root),
        };
        push_components(&mut left, target);
    }
    Located { path: Some(here), links }
}

fn push_components<'a>(stack: &mut Vec<&'a [u8]>, path: &'a [u8]) {
    stack.extend(path.split(|&b| b == b'/').rev().filter(|component| !matches!(*component, b"" | b".")));
}
