//! The glibc runtime linker: which files a process maps, and why.
//!
//! What an object needs is not a property of the object: it depends on who loaded it and on what is loaded already. So
//! the unit is a *process*, one executable with all that is mapped at its start, worked out as ld.so does
//! (ld.so(8); glibc `elf/dl-load.c` `_dl_map_object`, `elf/dl-deps.c`, `elf/dl-version.c`):
//!
//! 1. Objects are taken breadth first: the executable, `/etc/ld.so.preload`, then everybody's `DT_NEEDED` in order.
//! 2. A name that an object in the process was found by, or has as its `DT_SONAME`, is that object: no search.
//! 3. A name with a slash is a path.
//! 4. Else the directories of: `DT_RPATH` of the object, of its loader, of the loader's loader …, of the executable
//!    (each only where there is no `DT_RUNPATH`, and all only if the object itself has none); `LD_LIBRARY_PATH`, where
//!    the user asks for it; `DT_RUNPATH` of the object; the cache, which ldconfig(8) makes from `ld.so.conf`; the loader's default directories. `DF_1_NODEFLIB`
//!    takes the default directories out, and what the cache has below them, for that object's own needs.
//! 5. In each directory, glibc-hwcaps subdirectories come first.
//! 6. A file of another class or machine is passed over; a file that is no proper object ends the search, and the
//!    process.
//! 7. Every version needed has to be defined by the object that goes by the name it was linked against.
//!
//! Nothing is ever taken from the environment of minroot. Left out: filters (`DT_FILTER`,
//! `DT_AUXILIARY`), and the `tls` and platform subdirectories that glibc searched until 2.36.
//!
//! The steps are in one file each: `process` is the walk of 1 and 2, `search` the order of 3 to 5, `accept` the
//! checks of 6, `versions` those of 7; `loader` has what the loader itself brings, `places` the tables that make
//! the second question cheap.

mod accept;
mod built_in;
mod findings;
mod loader;
mod needs;
mod places;
mod prefetch;
mod process;
mod search;
mod tokens;
mod versions;

pub use findings::{Binding, By, Failure, Findings, Request, Sought, VersionFailure};
pub use places::{NameId, Place, PlaceId};

use super::cpu::Cpu;
use super::store::{ObjectId, Store};
use crate::reason::Reason;
use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};
use loader::Loader;
use needs::{NeedsTable, SearchPath};
use places::{DirId, Places};
use process::Process;
use search::Via;
use std::marker::PhantomData;
use std::rc::Rc;

/// Where the loader learns of directories that are not built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// From `ld.so.conf`, as if ldconfig had just run: for a source root.
    FromConfiguration,
    /// From the `ld.so.cache` that is there, and from nothing if it is not: for a finished tree.
    AsItIs,
}

/// The resolver for one root.
pub struct Glibc<'r> {
    places: Places<'r>,
    cache: Cache,
    /// `LD_LIBRARY_PATH` of every process, when the user asks for one.
    library_path: Rc<[DirId]>,
    loaders: Vec<Rc<Loader>>,
    needs: NeedsTable,
    /// By loader, object and the place it was opened at.
    search_paths: HashMap<(u32, ObjectId, PlaceId), Rc<SearchPath>>,
    /// Searches in which no object's own directories take part: loader, name, `DF_1_NODEFLIB`.
    default_searches: HashMap<(u32, NameId, bool), Option<(PlaceId, Via)>>,
    /// Which map of the current process goes by a name, and which stands for all names of an inode.
    loaded: Positions<NameId>,
    mapped: Positions<ObjectId>,
    findings: Findings,
    /// What is in the findings, or was: referrer, name, how it was asked for, where it led.
    told: HashSet<(ObjectId, NameId, u32, PlaceId)>,
    /// Versions that were checked: referrer, number of the `DT_VERNEED` record, library.
    checked: HashSet<(ObjectId, usize, ObjectId)>,
    /// Reasons of `dlopen` requests by number.
    reasons: HashMap<Reason, u32>,
}

impl<'r> Glibc<'r> {
    /// `library_path`: the directories of `LD_LIBRARY_PATH` that every process is started with.
    pub fn new(store: Store<'r>, cpu: Cpu, cache: Cache, library_path: &[String]) -> Glibc<'r> {
        let mut places = Places::new(store, cpu);
        let library_path = library_path.iter().map(|directory| places.directory(directory.as_bytes())).collect();
        Glibc {
            places,
            cache,
            library_path,
            loaders: Vec::new(),
            needs: NeedsTable::default(),
            search_paths: HashMap::new(),
            default_searches: HashMap::new(),
            loaded: Positions::default(),
            mapped: Positions::default(),
            findings: Findings::default(),
            told: HashSet::new(),
            checked: HashSet::new(),
            reasons: HashMap::new(),
        }
    }

    pub fn store(&self) -> &Store<'r> {
        &self.places.store
    }

    pub fn store_mut(&mut self) -> &mut Store<'r> {
        &mut self.places.store
    }

    pub fn place(&self, id: PlaceId) -> &Place {
        self.places.place(id)
    }

    /// The name that an object asked for, in its own bytes.
    pub fn name(&self, id: NameId) -> &[u8] {
        self.places.names.text(id)
    }

    /// What was found out since the last call.
    pub fn take_findings(&mut self) -> Findings {
        std::mem::take(&mut self.findings)
    }

    /// Works out what is mapped when `executable` runs and its code makes these requests. A library may stand in for
    /// an executable: it is then loaded as by a program that has nothing else.
    ///
    /// Gives the objects of the process, the executable first; nothing for what is no ELF object.
    pub fn run(&mut self, executable: ObjectId, requests: &[Request]) -> Vec<ObjectId> {
        match self.process(executable, requests) {
            Ok(mut process) => {
                process.check_versions();
                process.maps.iter().map(|map| map.object).collect()
            }
            Err(objects) => objects,
        }
    }

    /// Where further requests would lead in the process of [`Glibc::run`], without bringing anything in; in the order
    /// of the question. `None` where that is not known: the process is of another loader, or the caller is not in it.
    pub fn look(&mut self, executable: ObjectId, requests: &[Request], further: &[&Request]) -> Vec<Option<Sought>> {
        match self.process(executable, requests) {
            Ok(mut process) => further.iter().map(|request| process.look(request)).collect(),
            Err(_) => further.iter().map(|_| None).collect(),
        }
    }

    /// The process of an executable, or the objects of one that has no loader of glibc.
    fn process(&mut self, executable: ObjectId, requests: &[Request]) -> Result<Process<'_, 'r>, Vec<ObjectId>> {
        let Some(elf) = self.places.store.object(executable).elf() else { return Err(Vec::new()) };
        if elf.dynamic.is_none() && elf.interpreter.is_none() {
            return Err(vec![executable]);
        }
        let (identity, interpreter) = (elf.identity, elf.interpreter.clone());
        let loader = self.loader(interpreter.as_deref(), identity);
        let mut process = Process::start(self, loader, executable);
        if interpreter.is_some() {
            // Without its loader nothing can be said of what else the executable would find.
            if !process.load_interpreter() {
                return Err(vec![executable]);
            }
            process.load_preloads();
        }
        process.load_needed(0);
        for request in requests {
            process.load_request(request);
        }
        Ok(process)
    }

    /// Whether it has not been told that `name` led `referrer` to this place.
    fn is_new(&mut self, referrer: ObjectId, name: NameId, by: &By, place: PlaceId) -> bool {
        const N_PLAIN: u32 = 4;
        let by = match by {
            By::Needed => 0,
            By::Interpreter => 1,
            By::Preload => 2,
            By::Variant => 3,
            By::Dlopen(reason, _) => {
                let next = self.reasons.len() as u32;
                N_PLAIN + *self.reasons.entry(reason.clone()).or_insert(next)
            }
        };
        self.told.insert((referrer, name, by, place))
    }
}

/// Indexes into the maps of the current process. One table serves all processes: an entry counts when it has the
/// number of the current one.
struct Positions<K> {
    n_processes: u32,
    /// By key: number of the process, index of the map.
    entries: Vec<(u32, u32)>,
    key: PhantomData<K>,
}

impl<K> Default for Positions<K> {
    fn default() -> Positions<K> {
        Positions { n_processes: 0, entries: Vec::new(), key: PhantomData }
    }
}

impl<K: Into<usize>> Positions<K> {
    fn start_process(&mut self) {
        self.n_processes += 1;
    }

    fn position(&self, key: K) -> Option<usize> {
        let (process, position) = *self.entries.get(key.into())?;
        (process == self.n_processes).then_some(position as usize)
    }

    fn set(&mut self, key: K, position: usize) {
        let index = key.into();
        if self.entries.len() <= index {
            self.entries.resize(index + 1, (0, 0));
        }
        self.entries[index] = (self.n_processes, position as u32);
    }
}

impl From<NameId> for usize {
    fn from(id: NameId) -> usize {
        id.0 as usize
    }
}

impl From<ObjectId> for usize {
    fn from(id: ObjectId) -> usize {
        id.0 as usize
    }
}
