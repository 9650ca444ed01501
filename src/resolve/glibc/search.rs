//! Directories and the files in them, each looked at once, by small numbers instead of by their names.
//!
//! Hundreds of executables ask for the same few hundred names in the same few directories. A name is a [`NameId`], a
//! directory a [`DirId`], a file under one spelling a [`PlaceId`]; a question that was answered is a table look-up.

use crate::path::RootPath;
use crate::resolve::cpu::Cpu;
use crate::resolve::store::{ObjectId, Store};
use crate::root::{Directory, Found, Link, Root};
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameId(pub u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirId(u32);

/// A file as a loader opened it; an index for [`super::Glibc::place`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaceId(pub u32);

/// A file as a loader opened it.
#[derive(Debug)]
pub struct Place {
    /// The path the loader used, `..` and symlinks included; `$ORIGIN` of a library is its directory.
    pub spelled: Vec<u8>,
    pub object: ObjectId,
    /// Another object that is the same inode, or `object` itself: what the loader holds for one.
    pub identity: ObjectId,
    /// Bytes of the file.
    pub size: u64,
    /// Symlinks on the way.
    pub links: Vec<Link>,
    /// Directories passed by `..`.
    pub through: Vec<RootPath>,
}

struct SearchDirectory {
    spelled: Vec<u8>,
    /// Where it is, if it exists.
    found: Option<Arc<Directory>>,
    /// Its existing glibc-hwcaps subdirectories for the chosen processor, best first.
    variants: Option<Vec<DirId>>,
}

/// The tables.
pub struct Places<'r> {
    pub store: Store<'r>,
    cpu: Cpu,
    names: Vec<Box<[u8]>>,
    name_ids: HashMap<Box<[u8]>, NameId>,
    directories: Vec<SearchDirectory>,
    directory_ids: HashMap<Vec<u8>, DirId>,
    places: Vec<Place>,
    in_directory: HashMap<(DirId, NameId), Option<PlaceId>>,
    by_path: HashMap<Vec<u8>, Option<PlaceId>>,
    /// The first object with an inode.
    inodes: HashMap<(u64, u64), ObjectId>,
}

impl<'r> Places<'r> {
    pub fn new(store: Store<'r>, cpu: Cpu) -> Places<'r> {
        Places {
            store,
            cpu,
            names: Vec::new(),
            name_ids: HashMap::new(),
            directories: Vec::new(),
            directory_ids: HashMap::new(),
            places: Vec::new(),
            in_directory: HashMap::new(),
            by_path: HashMap::new(),
            inodes: HashMap::new(),
        }
    }

    pub fn root(&self) -> &'r Root {
        self.store.root()
    }

    pub fn name_id(&mut self, name: &[u8]) -> NameId {
        if let Some(id) = self.name_ids.get(name) {
            return *id;
        }
        let id = NameId(self.names.len() as u32);
        self.names.push(name.into());
        self.name_ids.insert(name.into(), id);
        id
    }

    pub fn name(&self, id: NameId) -> &[u8] {
        &self.names[id.0 as usize]
    }

    pub fn n_names(&self) -> usize {
        self.names.len()
    }

    pub fn place(&self, id: PlaceId) -> &Place {
        &self.places[id.0 as usize]
    }

    /// A directory by the path a loader would use, which may have `..` in it.
    pub fn directory(&mut self, spelled: &[u8]) -> DirId {
        if let Some(id) = self.directory_ids.get(spelled) {
            return *id;
        }
        let found = self.root().lookup_spelled(spelled).and_then(Directory::from_found).ok().map(Arc::new);
        let id = DirId(self.directories.len() as u32);
        self.directories.push(SearchDirectory { spelled: spelled.to_vec(), found, variants: None });
        self.directory_ids.insert(spelled.to_vec(), id);
        id
    }

    pub fn directory_path(&self, id: DirId) -> &[u8] {
        &self.directories[id.0 as usize].spelled
    }

    /// The glibc-hwcaps subdirectories of a directory, best first; only those that exist.
    pub fn variants(&mut self, id: DirId) -> Vec<DirId> {
        if let Some(known) = &self.directories[id.0 as usize].variants {
            return known.clone();
        }
        let mut variants = Vec::new();
        if self.directories[id.0 as usize].found.is_some() {
            for subdirectory in self.cpu.subdirectories() {
                let spelled = join(self.directory_path(id), subdirectory.as_bytes());
                let variant = self.directory(&spelled);
                if self.directories[variant.0 as usize].found.is_some() {
                    variants.push(variant);
                }
            }
        }
        self.directories[id.0 as usize].variants = Some(variants.clone());
        variants
    }

    /// The file of this name in a directory, if there is anything.
    pub fn in_directory(&mut self, directory: DirId, name: NameId) -> Option<PlaceId> {
        if let Some(known) = self.in_directory.get(&(directory, name)) {
            return *known;
        }
        let found = self.look(directory, name);
        let place = found.map(|found| {
            let object = self.store.read(&found);
            self.add(directory, name, found, object)
        });
        self.in_directory.insert((directory, name), place);
        place
    }

    /// Whether the answer of [`Places::in_directory`] is known already.
    pub fn is_known(&self, directory: DirId, name: NameId) -> bool {
        self.in_directory.contains_key(&(directory, name))
    }

    /// Only the look-up of [`Places::in_directory`], without reading the file.
    pub fn look(&self, directory: DirId, name: NameId) -> Option<Found> {
        let directory = self.directories[directory.0 as usize].found.as_ref()?;
        self.root().lookup_in(directory, self.name(name)).ok()
    }

    /// Reads the files of many look-ups at once, on all threads.
    pub fn read_all(&mut self, looked: Vec<(DirId, NameId, Found)>) -> Vec<PlaceId> {
        let found: Vec<Found> = looked.iter().map(|(_, _, found)| found.clone()).collect();
        let objects = self.store.read_all(&found);
        let mut places = Vec::new();
        for ((directory, name, found), object) in looked.into_iter().zip(objects) {
            let place = self.add(directory, name, found, object);
            self.in_directory.insert((directory, name), Some(place));
            places.push(place);
        }
        places
    }

    /// The file at a path that a loader would open as it is.
    pub fn at_path(&mut self, spelled: &[u8]) -> Option<PlaceId> {
        if let Some(known) = self.by_path.get(spelled) {
            return *known;
        }
        let place = self.root().lookup_spelled(spelled).ok().map(|found| {
            let object = self.store.read(&found);
            self.push(spelled.to_vec(), found, object)
        });
        self.by_path.insert(spelled.to_vec(), place);
        place
    }

    fn add(&mut self, directory: DirId, name: NameId, found: Found, object: ObjectId) -> PlaceId {
        let spelled = join(self.directory_path(directory), self.name(name));
        self.push(spelled, found, object)
    }

    fn push(&mut self, spelled: Vec<u8>, found: Found, object: ObjectId) -> PlaceId {
        let identity = *self.inodes.entry(found.info.inode).or_insert(object);
        let id = PlaceId(self.places.len() as u32);
        let Found { links, through, info, .. } = found;
        self.places.push(Place { spelled, object, identity, size: info.size, links, through });
        id
    }
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    [directory, b"/", name].concat()
}
