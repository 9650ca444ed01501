//! Entries to directories and their records: everything that is known before anything has a place.

use super::{Entry, IsoError, Node, Range, Volume};
use crate::iso::CD_SECTOR;
use crate::iso::names::{Identifier, identifiers};
use crate::iso::rock_ridge::{self, Posix, SystemUse};
use crate::path::RootPath;
use std::collections::{BTreeMap, VecDeque};

/// Bytes of a directory record in front of its identifier.
pub const RECORD_HEADER: usize = 33;

/// The longest record: the length is one byte, and even.
const MAX_RECORD: usize = 254;

/// The most that one record of a file describes: the length has 32 bits, and all but the last are whole sectors.
const MAX_SECTION: u64 = (u32::MAX as u64 / CD_SECTOR) * CD_SECTOR;

/// A directory in the order of the path table.
#[derive(Debug)]
pub struct Directory {
    /// As the path table has it; one zero byte for the root.
    pub identifier: Vec<u8>,
    /// Index of the directory above; the root's is its own.
    pub parent: usize,
    /// Sorted, `.` and `..` first.
    pub records: Vec<Record>,
}

#[derive(Debug)]
pub struct Record {
    pub identifier: Vec<u8>,
    pub data: Data,
    pub system_use: SystemUse,
}

/// What a record points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// The directory with this index.
    Directory(usize),
    /// A file or a part of one. `more` says that the next record has the rest.
    File {
        range: Range,
        more: bool,
    },
    Nothing,
}

impl Directory {
    /// Bytes: records never cross the end of a sector, the last sector is filled up.
    pub fn length(&self) -> u64 {
        let mut end = 0;
        for record in &self.records {
            end = record.offset_after(end) + record.length() as u64;
        }
        end.next_multiple_of(CD_SECTOR)
    }
}

impl Record {
    fn new(identifier: Vec<u8>, data: Data, entries: &[Vec<u8>]) -> Record {
        let room = MAX_RECORD - identifier_end(identifier.len());
        Record { system_use: SystemUse::new(entries, room), identifier, data }
    }

    pub fn length(&self) -> usize {
        (self.system_use_offset() + self.system_use.inline_length()).next_multiple_of(2)
    }

    /// Where the system use field begins.
    pub fn system_use_offset(&self) -> usize {
        identifier_end(self.identifier.len())
    }

    /// Where this record goes when the one before it ends at `end`.
    pub fn offset_after(&self, end: u64) -> u64 {
        let left = end.next_multiple_of(CD_SECTOR) - end;
        if (self.length() as u64) <= left || left == 0 { end } else { end + left }
    }
}

/// Header and identifier, filled up to an even number.
fn identifier_end(identifier: usize) -> usize {
    (RECORD_HEADER + identifier).next_multiple_of(2)
}

/// All directories of a volume, in the order of the path table: by depth, then by the number of the directory above,
/// then by identifier (ECMA-119 section 6.9.1).
///
/// # Errors
/// More directories than a path table can number.
pub fn directories(volume: &Volume) -> Result<Vec<Directory>, IsoError> {
    let tree = Tree::new(volume);
    let mut directories: Vec<Directory> = Vec::new();
    let mut waiting = VecDeque::from([(RootPath::root(), vec![0], 0)]);
    while let Some((path, identifier, parent)) = waiting.pop_front() {
        let here = directories.len();
        if here >= usize::from(u16::MAX) {
            return Err(IsoError::TooManyDirectories);
        }
        let mut records = vec![tree.dot(&path, here), tree.dot_dot(&path, parent)];
        for (identifier, child) in tree.sorted_children(&path) {
            let bytes = identifier.to_bytes();
            let number = here + waiting.len() + 1;
            records.extend(tree.records(child, &bytes, number));
            if tree.entry(child).node == Node::Directory {
                waiting.push_back((child.clone(), bytes, here));
            }
        }
        directories.push(Directory { identifier, parent, records });
    }
    Ok(directories)
}

/// The entries of a volume with what each directory holds.
struct Tree<'a> {
    entries: &'a BTreeMap<RootPath, Entry>,
    children: BTreeMap<RootPath, Vec<&'a RootPath>>,
    serials: BTreeMap<&'a RootPath, u32>,
}

impl<'a> Tree<'a> {
    fn new(volume: &'a Volume) -> Tree<'a> {
        let mut children: BTreeMap<RootPath, Vec<&RootPath>> = BTreeMap::new();
        for path in volume.entries.keys() {
            if let Some(parent) = path.parent() {
                children.entry(parent).or_default().push(path);
            }
        }
        let serials = volume.entries.keys().zip(1..).collect();
        Tree { entries: &volume.entries, children, serials }
    }

    fn entry(&self, path: &RootPath) -> &'a Entry {
        &self.entries[path]
    }

    fn children(&self, path: &RootPath) -> &[&'a RootPath] {
        self.children.get(path).map_or(&[], Vec::as_slice)
    }

    fn sorted_children(&self, path: &RootPath) -> Vec<(Identifier, &'a RootPath)> {
        let children = self.children(path);
        let names: Vec<_> =
            children.iter().map(|child| (child.file_name(), self.entry(child).node == Node::Directory)).collect();
        let mut sorted: Vec<_> = identifiers(&names).into_iter().zip(children.iter().copied()).collect();
        sorted.sort();
        sorted
    }

    fn dot(&self, path: &RootPath, here: usize) -> Record {
        let mut entries = vec![self.posix(path)];
        if path.is_root() {
            entries.insert(0, rock_ridge::sharing_protocol());
            entries.push(rock_ridge::extension_reference());
        }
        Record::new(vec![0], Data::Directory(here), &entries)
    }

    fn dot_dot(&self, path: &RootPath, parent: usize) -> Record {
        let above = path.parent().unwrap_or_else(RootPath::root);
        Record::new(vec![1], Data::Directory(parent), &[self.posix(&above)])
    }

    /// The records of an entry: more than one for a file whose length does not fit one. `number` is the index that the
    /// entry gets if it is a directory.
    fn records(&self, path: &RootPath, identifier: &[u8], number: usize) -> Vec<Record> {
        let mut entries = vec![self.posix(path)];
        entries.extend(rock_ridge::name(path.file_name()));
        let data = match &self.entry(path).node {
            Node::Directory => vec![Data::Directory(number)],
            Node::File(range) => sections(*range),
            Node::Symlink { target } => {
                entries.extend(rock_ridge::symlink(target));
                vec![Data::Nothing]
            }
            Node::Char { major, minor } | Node::Block { major, minor } => {
                entries.push(rock_ridge::device(*major, *minor));
                vec![Data::Nothing]
            }
            Node::Fifo => vec![Data::Nothing],
        };
        data.into_iter().map(|data| Record::new(identifier.to_vec(), data, &entries)).collect()
    }

    fn posix(&self, path: &RootPath) -> Vec<u8> {
        let Entry { attributes, node } = self.entry(path);
        let (kind, links) = match node {
            Node::Directory => {
                let below = self.children(path).iter().filter(|child| self.entry(child).node == Node::Directory);
                (0o040_000, 2 + below.count() as u32)
            }
            Node::File(_) => (0o100_000, 1),
            Node::Symlink { .. } => (0o120_000, 1),
            Node::Char { .. } => (0o020_000, 1),
            Node::Block { .. } => (0o060_000, 1),
            Node::Fifo => (0o010_000, 1),
        };
        rock_ridge::posix(&Posix {
            mode: kind | attributes.mode,
            links,
            uid: attributes.uid,
            gid: attributes.gid,
            serial: self.serials[path],
        })
    }
}

/// Divides a file into the parts that a record each can describe.
fn sections(range: Range) -> Vec<Data> {
    if range.size == 0 {
        return vec![Data::Nothing];
    }
    (0..range.size.div_ceil(MAX_SECTION))
        .map(|section| {
            let start = section * MAX_SECTION;
            let left = range.size - start;
            let part = Range { offset: range.offset + start, size: left.min(MAX_SECTION), ..range };
            Data::File { range: part, more: left > MAX_SECTION }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Attributes, ExtentId};
    use super::*;

    const PLAIN: Attributes = Attributes { mode: 0o644, uid: 0, gid: 0 };

    #[test]
    fn files_of_4_gib_and_more_are_divided_at_sector_boundaries() {
        let range = |size| Range { extent: ExtentId(0), offset: 0, size };
        assert_eq!(sections(range(MAX_SECTION)).len(), 1);
        let parts = sections(range(4_300_000_000 * 2));
        let sizes: Vec<_> = parts
            .iter()
            .map(|part| match part {
                Data::File { range, more } => (range.offset % CD_SECTOR, range.size, *more),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(sizes[0], (0, 0xffff_f800, true));
        assert_eq!(sizes[2], (0, 8_600_000_000 - 2 * 0xffff_f800, false));
        assert_eq!(sizes.len(), 3);
    }

    #[test]
    fn directories_are_numbered_by_depth_and_by_the_one_above() {
        let mut volume = Volume::new("X", 0).unwrap();
        for path in ["/b/x/deep/er", "/a/z/f", "/a/y/f", "/c/f", "/file"] {
            volume.add(&RootPath::new(path).unwrap(), PLAIN, Node::Fifo).unwrap();
        }
        let directories = directories(&volume).unwrap();
        let names: Vec<_> = directories.iter().map(|d| String::from_utf8_lossy(&d.identifier).into_owned()).collect();
        assert_eq!(names, ["\0", "A", "B", "C", "Y", "Z", "X", "DEEP"]);
        assert_eq!(directories.iter().map(|d| d.parent).collect::<Vec<_>>(), [0, 0, 0, 0, 1, 1, 2, 6]);
        // Every directory record leads to the directory that it names.
        for directory in &directories {
            for record in &directory.records[2..] {
                if let Data::Directory(number) = record.data {
                    assert_eq!(directories[number].identifier, record.identifier);
                }
            }
        }
    }

    #[test]
    fn records_do_not_cross_sectors() {
        let mut volume = Volume::new("X", 0).unwrap();
        for i in 0..100 {
            let path = RootPath::new(format!("/{}{i}", "n".repeat(i * 2))).unwrap();
            volume.add(&path, PLAIN, Node::Fifo).unwrap();
        }
        let directory = directories(&volume).unwrap().remove(0);
        let mut end = 0;
        for record in &directory.records {
            let start = record.offset_after(end);
            end = start + record.length() as u64;
            assert!(record.length() <= MAX_RECORD && record.length() % 2 == 0);
            assert_eq!(start / CD_SECTOR, (end - 1) / CD_SECTOR);
        }
    }
}
