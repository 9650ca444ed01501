//! Follows the symlinks that a manifest records, as the kernel of the image would on the way to a path.
//!
//! Only links *before* the last component are followed: a link that is asked for is an entry of its own, with its own
//! reasons. Where the manifest has no entry the rest of the path is taken as it stands, because the path may be one
//! that was left out.

use crate::manifest::source::Source;
use crate::manifest::{Content, Entry};
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

/// # Errors
/// A link cannot be read.
pub(super) fn locate<'m, S: Source>(source: &'m S, asked: &[u8]) -> Result<Located<'m>, S::Error> {
    let mut links = Vec::new();
    let mut here = RootPath::root();
    // The last component is at the bottom.
    let mut left = Vec::new();
    push_components(&mut left, asked);
    while let Some(component) = left.pop() {
        if component.contains(&0) {
            return Ok(Located { path: None, links });
        }
        if component == b".." {
            here = here.parent().unwrap_or_else(RootPath::root);
            continue;
        }
        here = here.join(component);
        if left.is_empty() {
            break;
        }
        let Some(position) = source.position(here.as_bytes()) else { continue };
        let entry = source.entry_at(position)?;
        let Content::Symlink { target } = &entry.content else { continue };
        if links.len() == MAX_LINKS {
            return Ok(Located { path: None, links });
        }
        links.push(entry);
        here = match target.first() {
            Some(b'/') => RootPath::root(),
            _ => here.parent().unwrap_or_else(RootPath::root),
        };
        push_components(&mut left, target);
    }
    Ok(Located { path: Some(here), links })
}

fn push_components<'a>(stack: &mut Vec<&'a [u8]>, path: &'a [u8]) {
    stack.extend(path.split(|&b| b == b'/').rev().filter(|component| !matches!(*component, b"" | b".")));
}
