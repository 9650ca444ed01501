//! Directories: everything has a path, and as many names as it says.

use super::Problems;
use super::inodes::{ATTRIBUTES, Inodes, SHADOW};
use crate::path::escaped;
use crate::ufs::read::{Image, Name};
use crate::ufs::{ROOT_INODE, file_type};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Reads every directory, whether something leads to it or not.
pub(super) fn check(image: Image<'_>, inodes: &Inodes, problems: &mut Problems) {
    let mut names = Names { inodes, links: HashMap::new(), parents: BTreeMap::new(), back: BTreeMap::new(), problems };
    let mut bytes_left = image.length();
    for (number, _) in inodes.used.iter().filter(|(_, used)| used.kind == file_type::DIRECTORY) {
        let Ok(inode) = image.inode(*number) else { continue };
        let Some(left) = bytes_left.checked_sub(inode.size) else {
            names.problems.tell(|| format!("directory {number}: ic_lsize is {}, more than is left", inode.size));
            continue;
        };
        bytes_left = left;
        let mut before = HashSet::new();
        for (index, record) in image.records(*number, &inode).enumerate() {
            match record {
                Ok(record) => names.add(*number, index, record, &mut before),
                Err(problem) => names.problems.tell(|| format!("directory {number}: {problem}")),
            }
        }
        for first in [&b"."[..], b".."].iter().filter(|first| !before.contains(**first)) {
            names.problems.tell(|| format!("directory {number} has no `{}`", escaped(first)));
        }
    }
    names.finish();
}

struct Names<'n> {
    inodes: &'n Inodes,
    /// Names of each inode.
    links: HashMap<u32, u32>,
    /// The directory that has the name of a directory, and where its `..` leads.
    parents: BTreeMap<u32, u32>,
    back: BTreeMap<u32, u32>,
    problems: &'n mut Problems,
}

impl Names<'_> {
    fn add(&mut self, directory: u32, index: usize, record: Name, before: &mut HashSet<Vec<u8>>) {
        let Name { inode, name } = record;
        let printed = escaped(&name).to_string();
        let place = match &name[..] {
            b"." => Some(0),
            b".." => Some(1),
            _ => None,
        };
        let is_in_place = place.map_or(index >= 2, |place| place == index);
        if name.is_empty() || name.contains(&b'/') || !is_in_place || !before.insert(name) {
            self.problems.tell(|| format!("directory {directory}: d_name of record {index} is `{printed}`"));
        }
        *self.links.entry(inode).or_default() += 1;
        match (place, self.inodes.used.get(&inode)) {
            (_, None) => {
                self.problems.tell(|| format!("directory {directory}: d_ino of `{printed}` is {inode}, a free inode"));
            }
            (Some(0), _) if inode != directory => {
                self.problems.tell(|| format!("directory {directory}: d_ino of `.` is {inode}"));
            }
            (Some(1), _) => {
                self.back.insert(directory, inode);
            }
            (None, Some(used)) if used.kind == file_type::DIRECTORY => {
                let other = if inode == ROOT_INODE { Some(inode) } else { self.parents.insert(inode, directory) };
                if let Some(other) = other {
                    self.problems.tell(|| {
                        format!("directory {inode} has a second name: `{printed}` in {directory}, another in {other}")
                    });
                }
            }
            _ => {}
        }
    }

    fn finish(mut self) {
        self.parents.insert(ROOT_INODE, ROOT_INODE);
        for (directory, back) in &self.back {
            match self.parents.get(directory) {
                Some(parent) if parent != back => {
                    self.problems.tell(|| format!("directory {directory}: d_ino of `..` is {back}, not {parent}"));
                }
                _ => {}
            }
        }
        let reached = self.reached();
        for (number, used) in self.inodes.used.iter().filter(|(_, used)| !matches!(used.kind, SHADOW | ATTRIBUTES)) {
            let counted = self.links.get(number).copied().unwrap_or_default();
            let is_lost = match used.kind {
                file_type::DIRECTORY => !reached.contains(number),
                _ => counted == 0,
            };
            if is_lost {
                self.problems.tell(|| format!("inode {number} is in use, and no path leads to it"));
            }
            self.problems.compare(format_args!("inode {number}: ic_nlink"), i64::from(used.nlink), i64::from(counted));
        }
    }

    /// The directories that are below the root, which a ring of directories is not.
    fn reached(&self) -> HashSet<u32> {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for (directory, parent) in self.parents.iter().filter(|(directory, _)| **directory != ROOT_INODE) {
            children.entry(*parent).or_default().push(*directory);
        }
        let mut reached = HashSet::new();
        let mut pending = vec![ROOT_INODE];
        while let Some(directory) = pending.pop() {
            if reached.insert(directory) {
                pending.extend(children.remove(&directory).unwrap_or_default());
            }
        }
        reached
    }
}
