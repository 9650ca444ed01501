//! Directories to paths, from inode 2 on.
//!
//! A directory is entered once whatever leads to it, and all of them together may have no more bytes than the image, so
//! that every walk ends.

use super::records::{Records, RecordsError};
use super::{Image, Name};
use crate::path::{RootPath, escaped};
use crate::ufs::{FRAGMENT_SIZE, Inode, ROOT_INODE, file_type};
use std::collections::HashSet;
use std::io::{self, Read};

/// The longest path that is gone; the kernel takes none of 1024 bytes and more in one step (`MAXPATHLEN`).
const MAX_PATH: usize = 4096;

/// What has a path.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub path: RootPath,
    /// The same for all names of a file.
    pub number: u32,
    /// Type and mode, owner, size, links, device.
    pub inode: Inode,
    /// What a symlink holds; empty for anything else.
    pub target: Vec<u8>,
}

/// What is wrong in a directory. The walk goes on with what comes after it.
#[derive(Debug, thiserror::Error)]
#[error("directory `{directory}`, inode {number}: {problem}")]
pub struct WalkError {
    directory: RootPath,
    number: u32,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("{0}")]
    Records(RecordsError),
    #[error("directories have more bytes than the image")]
    TooMuch,
    #[error("`{name}` is no name")]
    Name { name: String },
    #[error("the path of `{name}` has more than {MAX_PATH} bytes")]
    Path { name: String },
    #[error("`{name}` leads to inode {inode}, which is not there")]
    NoInode { name: String, inode: u32 },
    #[error("`{name}` leads to the unexpected free inode {inode}")]
    Free { name: String, inode: u32 },
    #[error("`{name}` leads to directory {inode}, which has another name already")]
    SecondName { name: String, inode: u32 },
    #[error("ic_lsize of the symlink `{name}` is {size}, not between 1 and {FRAGMENT_SIZE}")]
    Target { name: String, size: u64 },
    #[error("ic_lsize of the symlink `{name}` is {size}, more than its target has")]
    TargetEnd { name: String, size: u64 },
    #[error("the target of the symlink `{name}` cannot be read: {problem}")]
    UnreadableTarget { name: String, problem: io::Error },
}

/// Iterates over all paths; see [`Image::walk`].
pub struct Walk<'s> {
    image: Image<'s>,
    current: Option<Directory<'s>>,
    /// Directories whose entries come later.
    pending: Vec<(RootPath, u32, Inode)>,
    /// Directories that have a path; empty before the root.
    seen: HashSet<u32>,
    /// Bytes that directories may still have.
    bytes_left: u64,
}

struct Directory<'s> {
    path: RootPath,
    number: u32,
    records: Records<'s>,
}

impl<'s> Walk<'s> {
    pub(super) fn new(image: Image<'s>) -> Walk<'s> {
        Walk { image, current: None, pending: Vec::new(), seen: HashSet::new(), bytes_left: image.length() }
    }

    fn root(&mut self) -> Option<Result<Entry, WalkError>> {
        // It was read when the image was opened.
        let inode = self.image.inode(ROOT_INODE).ok()?;
        self.seen.insert(ROOT_INODE);
        self.pending.push((RootPath::root(), ROOT_INODE, inode.clone()));
        Some(Ok(Entry { path: RootPath::root(), number: ROOT_INODE, inode, target: Vec::new() }))
    }

    /// Goes on with the next directory; `None` when there is none.
    fn open_next(&mut self) -> Option<Result<Directory<'s>, WalkError>> {
        let (path, number, inode) = self.pending.pop()?;
        let Some(left) = self.bytes_left.checked_sub(inode.size) else {
            return Some(Err(WalkError { directory: path, number, problem: Problem::TooMuch }));
        };
        self.bytes_left = left;
        let records = self.image.records(number, &inode);
        Some(Ok(Directory { path, number, records }))
    }

    fn entry(&mut self, directory: &RootPath, Name { inode: number, name }: Name) -> Result<Entry, Problem> {
        let printed = || escaped(&name).to_string();
        if name.is_empty() || name.contains(&b'/') {
            return Err(Problem::Name { name: printed() });
        }
        let path = directory.join(&name);
        if path.as_bytes().len() > MAX_PATH {
            return Err(Problem::Path { name: printed() });
        }
        let inode = self.image.inode(number);
        let inode = inode.map_err(|_| Problem::NoInode { name: printed(), inode: number })?;
        let kind = inode.mode & file_type::MASK;
        if kind == 0 || inode.nlink <= 0 || number < ROOT_INODE {
            return Err(Problem::Free { name: printed(), inode: number });
        }
        let mut target = Vec::new();
        if kind == file_type::SYMLINK {
            if !(1..=u64::from(FRAGMENT_SIZE)).contains(&inode.size) {
                return Err(Problem::Target { name: printed(), size: inode.size });
            }
            let read = self.image.content(number, &inode).read_to_end(&mut target);
            read.map_err(|problem| Problem::UnreadableTarget { name: printed(), problem })?;
            // The reader of early boot stops there, the kernel does not.
            if target.contains(&0) {
                return Err(Problem::TargetEnd { name: printed(), size: inode.size });
            }
        }
        if kind == file_type::DIRECTORY {
            if !self.seen.insert(number) {
                return Err(Problem::SecondName { name: printed(), inode: number });
            }
            self.pending.push((path.clone(), number, inode.clone()));
        }
        Ok(Entry { path, number, inode, target })
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Entry, WalkError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.seen.is_empty() {
            return self.root();
        }
        // `.` and `..` lead back.
        let leads_on =
            |record: &Result<Name, _>| !matches!(record, Ok(Name { name, .. }) if name == b"." || name == b"..");
        loop {
            let mut directory = match self.current.take() {
                Some(directory) => directory,
                None => match self.open_next()? {
                    Ok(directory) => directory,
                    Err(error) => return Some(Err(error)),
                },
            };
            if let Some(record) = directory.records.find(leads_on) {
                let found = record.map_err(Problem::Records).and_then(|name| self.entry(&directory.path, name));
                let (path, number) = (directory.path.clone(), directory.number);
                self.current = Some(directory);
                return Some(found.map_err(|problem| WalkError { directory: path, number, problem }));
            }
        }
    }
}
