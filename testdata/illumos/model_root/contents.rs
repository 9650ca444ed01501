//! `var/sadm/install/contents`: which SVR4 package delivered what, one line for each path, sorted.

use super::tables::Year;
use super::tree::{Entry, Kind};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// The text, in the format of contents(5).
pub fn text(entries: &BTreeMap<String, Entry>, year: Year) -> String {
    let lines: Vec<String> = entries.par_iter().map(|(path, entry)| line(path, entry, year)).collect();
    lines.concat()
}

fn line(path: &str, entry: &Entry, year: Year) -> String {
    let packages = entry.packages.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let Entry { mode, owner, group, .. } = entry;
    match &entry.kind {
        Kind::Directory => format!("/{path} d none {mode:04o} {owner} {group} {packages}\n"),
        Kind::Link { target } => format!("/{path}={target} s none {packages}\n"),
        Kind::HardLink { written, .. } => format!("/{path}={written} l none {packages}\n"),
        Kind::File { bytes, .. } => {
            let (kind, class) = entry.editable.as_deref().map_or(("f", "none"), |class| ("e", class));
            let (size, sum, time) = (bytes.len(), checksum(bytes), year.time());
            format!("/{path} {kind} {class} {mode:04o} {owner} {group} {size} {sum} {time} {packages}\n")
        }
    }
}

/// The checksum of `sum` without options: the sum of all bytes, its halves added together twice.
fn checksum(bytes: &[u8]) -> u32 {
    let sum = bytes.iter().fold(0u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
    let folded = (sum & 0xffff) + (sum >> 16);
    (folded & 0xffff) + (folded >> 16)
}
