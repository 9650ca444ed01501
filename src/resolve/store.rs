//! The objects of a root, each read once, whoever refers to it and by whatever name.

use crate::objects::elf::{Bindings, CutOff, Elf, ElfError, Globals, Name, SymbolScan};
use crate::objects::script::{LINE_LIMIT, Script};
use crate::objects::{Format, Ranges, sniff};
use crate::path::RootPath;
use crate::root::{FileKind, Found, Root};
use foldhash::{HashMap, HashMapExt};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A file of the root that has been read; an index into its [`Store`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub u32);

/// One file of the root and what it says.
#[derive(Debug)]
pub struct Object {
    /// Without any symlink.
    pub path: RootPath,
    /// Device and inode: a runtime linker takes two names of one inode for one object.
    pub inode: (u64, u64),
    pub facts: Facts,
}

/// What a file says.
#[derive(Debug)]
pub enum Facts {
    Elf(Box<Elf>),
    /// The magic number of ELF, and then something no loader accepts.
    Damaged(ElfError),
    /// The first bytes of a `#!` script, for [`Script::parse`].
    Script(Vec<u8>),
    Data,
    /// A directory, a device, or a file that cannot be read (with the cause).
    Unreadable(String),
}

/// Reads objects and remembers them by their path.
pub struct Store<'r> {
    root: &'r Root,
    scan: &'r SymbolScan,
    objects: Vec<Object>,
    by_path: HashMap<RootPath, ObjectId>,
    /// The symbols of the few objects that somebody asked for.
    bindings: HashMap<ObjectId, Option<Bindings>>,
}

impl<'r> Store<'r> {
    /// `scan` says which undefined symbols are of interest.
    pub fn new(root: &'r Root, scan: &'r SymbolScan) -> Store<'r> {
        Store { root, scan, objects: Vec::new(), by_path: HashMap::new(), bindings: HashMap::new() }
    }

    /// A store of the same root that has read nothing.
    pub fn anew(&self) -> Store<'r> {
        Store::new(self.root, self.scan)
    }

    pub fn root(&self) -> &'r Root {
        self.root
    }

    pub fn object(&self, id: ObjectId) -> &Object {
        &self.objects[id.0 as usize]
    }

    /// The object at a path that has no symlink in it, if it has been read.
    pub fn known(&self, path: &RootPath) -> Option<ObjectId> {
        self.by_path.get(path).copied()
    }

    /// Reads the file that a look-up found.
    pub fn read(&mut self, found: &Found) -> ObjectId {
        match self.known(&found.path) {
            Some(id) => id,
            None => {
                let object = read(self.root, self.scan, found);
                self.insert(object)
            }
        }
    }

    /// Reads many files at once, on all threads; the order of the answers is that of the question.
    pub fn read_all<'f>(&mut self, found: impl Iterator<Item = &'f Found> + Clone) -> Vec<ObjectId> {
        let unknown: Vec<&Found> = found.clone().filter(|f| self.known(&f.path).is_none()).collect();
        let (root, scan) = (self.root, self.scan);
        let objects: Vec<Object> = unknown.par_iter().map(|f| read(root, scan, f)).collect();
        for object in objects {
            if self.known(&object.path).is_none() {
                self.insert(object);
            }
        }
        found.map(|f| self.by_path[&f.path]).collect()
    }

    /// Reads the symbols of an object, for [`Store::bindings`].
    pub fn read_bindings(&mut self, id: ObjectId) {
        if !self.bindings.contains_key(&id) {
            let bindings = self.open(id).and_then(|file| Elf::bindings(&file).ok().flatten());
            self.bindings.insert(id, bindings);
        }
    }

    /// The symbols that the objects of a process look for in each other. Not remembered.
    pub fn globals(&self, id: ObjectId) -> Option<Globals> {
        Elf::globals(&self.open(id)?).ok().flatten()
    }

    /// What a damaged object lacks of its segments; read when asked for.
    pub fn cut_off(&self, id: ObjectId) -> Option<CutOff> {
        Elf::cut_off(&self.open(id)?).ok().flatten()
    }

    /// The symbols of an object that [`Store::read_bindings`] has read; `None` when it has none.
    pub fn bindings(&self, id: ObjectId) -> Option<&Bindings> {
        self.bindings.get(&id)?.as_ref()
    }

    /// Strings of objects that may be names of libraries, in the order of the question, read on all threads; none of
    /// an object that cannot be read any more.
    pub fn library_names(&self, ids: &[ObjectId]) -> Vec<BTreeSet<Name>> {
        let names = |id: &ObjectId| Elf::library_names(&self.open(*id)?).ok();
        ids.par_iter().map(|id| names(id).unwrap_or_default()).collect()
    }

    /// Whether a program of this file runs with the rights of its owner or its group.
    pub fn is_set_id(&self, id: ObjectId) -> bool {
        self.root.lookup(&self.object(id).path).is_ok_and(|found| found.info.mode & 0o6000 != 0)
    }

    fn open(&self, id: ObjectId) -> Option<FileRanges> {
        FileRanges::open(self.root, &self.object(id).path)
    }

    fn insert(&mut self, object: Object) -> ObjectId {
        let id = ObjectId(u32::try_from(self.objects.len()).expect("fewer than 2^32 files"));
        self.by_path.insert(object.path.clone(), id);
        self.objects.push(object);
        id
    }
}

impl Object {
    pub fn elf(&self) -> Option<&Elf> {
        match &self.facts {
            Facts::Elf(elf) => Some(elf),
            _ => None,
        }
    }

    /// The `#!` line, when the file is a script with a good one.
    pub fn script(&self) -> Option<Script<'_>> {
        match &self.facts {
            Facts::Script(head) => Script::parse(head).ok(),
            _ => None,
        }
    }
}

fn read(root: &Root, scan: &SymbolScan, found: &Found) -> Object {
    let facts = facts(root, scan, found).unwrap_or_else(|error| Facts::Unreadable(error.to_string()));
    Object { path: found.path.clone(), inode: found.info.inode, facts }
}

fn facts(root: &Root, scan: &SymbolScan, found: &Found) -> io::Result<Facts> {
    match found.info.kind {
        FileKind::File => {}
        FileKind::Directory => return Ok(Facts::Unreadable("Is a directory".to_owned())),
        _ => return Ok(Facts::Unreadable("not a regular file".to_owned())),
    }
    let file = FileRanges { file: root.open_file(found)?, size: found.info.size };
    match Elf::read(&file, scan) {
        Ok(elf) => return Ok(Facts::Elf(Box::new(elf))),
        Err(ElfError::NotElf) => {}
        Err(error) => return Ok(Facts::Damaged(error)),
    }
    let mut head = vec![0; LINE_LIMIT];
    let length = file.read_at(0, &mut head)?;
    head.truncate(length);
    Ok(match sniff(&head) {
        Format::Script => Facts::Script(head),
        Format::Elf | Format::Data => Facts::Data,
    })
}

/// A file of the root, to read pieces of.
pub struct FileRanges {
    file: File,
    size: u64,
}

impl FileRanges {
    /// `None` when there is no file, or it cannot be read.
    pub fn open(root: &Root, path: &RootPath) -> Option<FileRanges> {
        let found = root.lookup(path).ok()?;
        Some(FileRanges { file: root.open_file(&found).ok()?, size: found.info.size })
    }
}

impl Ranges for FileRanges {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        FileExt::read_at(&self.file, buffer, offset)
    }
}
