//! Names, directories and the files in them, each looked at once, by small numbers instead of by their text.
//!
//! Hundreds of executables ask for the same few hundred names in the same few directories. A name is a [`NameId`], a
//! directory a [`DirId`], a file under one spelling a [`PlaceId`]; a question that was answered is a table look-up.

use crate::path::RootPath;
use crate::resolve::cpu::Cpu;
use crate::resolve::ldconfig;
use crate::resolve::store::{ObjectId, Store};
use crate::root::{Directory, FileKind, Found, Link, LookupError, Root};
use foldhash::{HashMap, HashMapExt};
use rayon::prelude::*;
use std::rc::Rc;

/// A name that objects ask for; an index for [`super::Glibc::name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameId(pub(super) u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirId(u32);

/// A file as a loader opened it; an index for [`super::Glibc::place`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaceId(pub u32);

impl PlaceId {
    /// Where a name leads that leads nowhere.
    pub(super) const NOWHERE: PlaceId = PlaceId(u32::MAX);
    /// Where the executable is, which the kernel has opened.
    pub(super) const EXECUTABLE: PlaceId = PlaceId(u32::MAX - 1);
}

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
    /// The search that found it, when it was one.
    pub(super) searched: Option<(DirId, NameId)>,
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spot {
    Absent,
    /// A link that leads nowhere in another way than to a missing file: opening it fails with `ELOOP` or `ENOTDIR`, not
    /// with `ENOENT`. In words.
    Broken(&'static str),
    Taken(PlaceId),
}

/// Texts by number.
#[derive(Default)]
pub struct Names {
    texts: Vec<Box<[u8]>>,
    ids: HashMap<Box<[u8]>, NameId>,
}

impl Names {
    pub fn id(&mut self, name: &[u8]) -> NameId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = NameId(self.texts.len() as u32);
        self.texts.push(name.into());
        self.ids.insert(name.into(), id);
        id
    }

    pub fn text(&self, id: NameId) -> &[u8] {
        &self.texts[id.0 as usize]
    }
}

struct SearchDirectory {
    spelled: Box<[u8]>,
    /// Where it is, if it exists.
    found: Option<Directory>,
    /// Its existing glibc-hwcaps subdirectories for the chosen processor, best first.
    variants: Option<Rc<[DirId]>>,
    /// Files that ldconfig knows by another name than theirs; see [`Places::by_soname`].
    by_soname: Option<Rc<HashMap<NameId, PlaceId>>>,
}

/// The tables.
pub struct Places<'r> {
    pub store: Store<'r>,
    pub names: Names,
    cpu: Cpu,
    directories: Vec<SearchDirectory>,
    directory_ids: HashMap<Box<[u8]>, DirId>,
    places: Vec<Place>,
    in_directory: HashMap<(DirId, NameId), Spot>,
    by_path: HashMap<Box<[u8]>, Spot>,
    /// The first object with an inode.
    inodes: HashMap<(u64, u64), ObjectId>,
    no_variants: Rc<[DirId]>,
}

impl<'r> Places<'r> {
    pub fn new(store: Store<'r>, cpu: Cpu) -> Places<'r> {
        Places {
            store,
            names: Names::default(),
            cpu,
            directories: Vec::new(),
            directory_ids: HashMap::new(),
            places: Vec::new(),
            in_directory: HashMap::new(),
            by_path: HashMap::new(),
            inodes: HashMap::new(),
            no_variants: Rc::new([]),
        }
    }

    pub fn root(&self) -> &'r Root {
        self.store.root()
    }

    pub fn place(&self, id: PlaceId) -> &Place {
        &self.places[id.0 as usize]
    }

    /// A directory by the path a loader would use, which may have `..` in it.
    pub fn directory(&mut self, spelled: &[u8]) -> DirId {
        if let Some(id) = self.directory_ids.get(spelled) {
            return *id;
        }
        let found = self.root().lookup_spelled(spelled).and_then(Directory::from_found).ok();
        let id = DirId(self.directories.len() as u32);
        self.directories.push(SearchDirectory { spelled: spelled.into(), found, variants: None, by_soname: None });
        self.directory_ids.insert(spelled.into(), id);
        id
    }

    pub fn directory_path(&self, id: DirId) -> &[u8] {
        &self.directories[id.0 as usize].spelled
    }

    /// The path of a name in a directory, as a loader spells it.
    pub fn spell(&self, directory: DirId, name: NameId) -> Vec<u8> {
        join(self.directory_path(directory), self.names.text(name))
    }

    /// The glibc-hwcaps subdirectories of a directory, best first; only those that exist.
    pub fn variants(&mut self, id: DirId) -> Rc<[DirId]> {
        let directory = &self.directories[id.0 as usize];
        if let Some(known) = &directory.variants {
            return known.clone();
        }
        let subdirectories = if directory.found.is_some() { self.cpu.subdirectories() } else { &[] };
        let mut existing = Vec::new();
        for subdirectory in subdirectories {
            let variant = self.directory(&join(self.directory_path(id), subdirectory.as_bytes()));
            if self.directories[variant.0 as usize].found.is_some() {
                existing.push(variant);
            }
        }
        let variants = if existing.is_empty() { self.no_variants.clone() } else { existing.into() };
        self.directories[id.0 as usize].variants = Some(variants.clone());
        variants
    }

    /// The file of this name in a directory, read.
    pub fn in_directory(&mut self, directory: DirId, name: NameId) -> Spot {
        if let Some(known) = self.in_directory.get(&(directory, name)) {
            return *known;
        }
        match self.look(directory, name) {
            Ok(found) => {
                let object = self.store.read(&found);
                Spot::Taken(self.add(directory, name, found, object))
            }
            Err(spot) => spot,
        }
    }

    /// Whether the answer of [`Places::in_directory`] is known already.
    pub fn known(&self, directory: DirId, name: NameId) -> Option<Spot> {
        self.in_directory.get(&(directory, name)).copied()
    }

    /// Only the look-up of [`Places::in_directory`], without reading the file.
    ///
    /// # Errors
    /// What is there instead of a file.
    pub fn look(&mut self, directory: DirId, name: NameId) -> Result<Found, Spot> {
        let found = match &self.directories[directory.0 as usize].found {
            Some(at) => self.store.root().lookup_in(at, self.names.text(name)).map_err(|error| no_file(&error)),
            None => Err(Spot::Absent),
        };
        if let Err(spot) = found {
            self.in_directory.insert((directory, name), spot);
        }
        found
    }

    /// For each name the first of its directories that has it, unless that is known already; looked up on all threads.
    pub fn look_all(&mut self, questions: &[(NameId, Vec<DirId>)]) -> Vec<(DirId, NameId, Found)> {
        let root = self.root();
        let is_known = |name, id| matches!(self.known(id, name), Some(Spot::Taken(_)));
        let open = questions.iter().filter(|(name, directories)| !directories.iter().any(|id| is_known(*name, *id)));
        let open: Vec<_> = open
            .map(|(name, directories)| {
                let untried = directories.iter().filter(|id| self.known(**id, *name).is_none());
                let place = |id: &DirId| Some((*id, self.directories[id.0 as usize].found.as_ref()?));
                (*name, self.names.text(*name), untried.filter_map(place).collect::<Vec<_>>())
            })
            .collect();
        let answers = open.par_iter().flat_map_iter(|(name, text, directories)| {
            let mut tried = Vec::new();
            for (id, directory) in directories {
                let answer = root.lookup_in(directory, text);
                let is_found = answer.is_ok();
                tried.push((*id, *name, answer));
                if is_found {
                    break;
                }
            }
            tried
        });
        let mut looked = Vec::new();
        for (directory, name, answer) in answers.collect::<Vec<_>>() {
            match answer {
                Ok(found) => looked.push((directory, name, found)),
                Err(error) => {
                    self.in_directory.insert((directory, name), no_file(&error));
                }
            }
        }
        looked
    }

    /// Reads the files of many look-ups at once, on all threads.
    pub fn read_all(&mut self, looked: Vec<(DirId, NameId, Found)>) -> Vec<PlaceId> {
        let objects = self.store.read_all(looked.iter().map(|(_, _, found)| found));
        let looked = looked.into_iter().zip(objects);
        looked.map(|((directory, name, found), object)| self.add(directory, name, found, object)).collect()
    }

    /// The file at a path that a loader opens as it is.
    pub fn at_path(&mut self, spelled: &[u8]) -> Spot {
        if let Some(known) = self.by_path.get(spelled) {
            return *known;
        }
        let spot = match self.root().lookup_spelled(spelled) {
            Ok(found) => {
                let object = self.store.read(&found);
                Spot::Taken(self.push(spelled.to_vec(), None, found, object))
            }
            Err(error) => no_file(&error),
        };
        self.by_path.insert(spelled.into(), spot);
        spot
    }

    /// The library of a directory that ldconfig enters into the cache as `name`, although its file has another name.
    /// The first question reads every library of the directory.
    pub fn by_soname(&mut self, directory: DirId, name: NameId) -> Option<PlaceId> {
        if let Some(known) = &self.directories[directory.0 as usize].by_soname {
            return known.get(&name).copied();
        }
        let libraries = self.libraries(directory);
        let mut by_soname = HashMap::new();
        for place in self.read_all(libraries) {
            let file = self.places[place.0 as usize].searched.expect("it was found in a directory").1;
            if let Some(key) = self.cache_key(place).map(<[u8]>::to_vec) {
                let key = self.names.id(&key);
                if key != file {
                    by_soname.entry(key).or_insert(place);
                }
            }
        }
        let by_soname = Rc::new(by_soname);
        self.directories[directory.0 as usize].by_soname = Some(by_soname.clone());
        by_soname.get(&name).copied()
    }

    /// The name under which ldconfig would enter a file of a directory into the cache; `None` when it would not.
    pub fn cache_key(&self, place: PlaceId) -> Option<&[u8]> {
        let place = self.place(place);
        let file = self.names.text(place.searched?.1);
        let soname = self.store.object(place.object).elf()?.soname();
        let is_link = place.links.last().is_some_and(|link| link.last);
        ldconfig::cache_key(file, is_link, soname)
    }

    /// The files of a directory that have the name of a library.
    fn libraries(&mut self, directory: DirId) -> Vec<(DirId, NameId, Found)> {
        let Some(at) = &self.directories[directory.0 as usize].found else { return Vec::new() };
        let files = self.root().read_dir(at).unwrap_or_default();
        let libraries = files.iter().filter(|file| ldconfig::is_library_name(file));
        let looked = libraries.filter_map(|file| {
            let name = self.names.id(file);
            Some((directory, name, self.look(directory, name).ok()?))
        });
        looked.filter(|(_, _, found)| found.info.kind == FileKind::File).collect()
    }

    /// Enters a file that was looked up in a directory; the same file again has the same number.
    fn add(&mut self, directory: DirId, name: NameId, found: Found, object: ObjectId) -> PlaceId {
        if let Some(Spot::Taken(known)) = self.known(directory, name) {
            return known;
        }
        let place = self.push(self.spell(directory, name), Some((directory, name)), found, object);
        self.in_directory.insert((directory, name), Spot::Taken(place));
        place
    }

    fn push(&mut self, spelled: Vec<u8>, searched: Option<(DirId, NameId)>, found: Found, object: ObjectId) -> PlaceId {
        let identity = *self.inodes.entry(found.info.inode).or_insert(object);
        let id = PlaceId(self.places.len() as u32);
        let Found { links, through, info, .. } = found;
        self.places.push(Place { spelled, object, identity, size: info.size, links, through, searched });
        id
    }
}

fn no_file(error: &LookupError) -> Spot {
    match error {
        LookupError::Loop(_) => Spot::Broken("too many levels of symbolic links"),
        LookupError::NotADirectory(_) => Spot::Broken("not a directory"),
        _ => Spot::Absent,
    }
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let directory = directory.strip_suffix(b"/").unwrap_or(directory);
    [directory, b"/", name].concat()
}
