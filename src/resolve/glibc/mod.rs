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
//!    (each only where there is no `DT_RUNPATH`, and all only if the object itself has none); `DT_RUNPATH` of the
//!    object; the cache, which ldconfig(8) makes from `ld.so.conf`; the loader's default directories. `DF_1_NODEFLIB`
//!    takes the default directories out, for that object's own needs.
//! 5. In each directory, glibc-hwcaps subdirectories come first.
//! 6. A file of another class or machine is passed over; a file that is no proper object ends the search, and the
//!    process.
//! 7. Every version needed has to be defined by the object that goes by the name it was linked against.
//!
//! `LD_LIBRARY_PATH` and its like are never taken from the environment.

mod loader;
mod search;
mod tokens;

pub use search::{NameId, Place, PlaceId};

use super::cpu::Cpu;
use super::ldconfig;
use super::store::{Facts, Object, ObjectId, Store};
use super::{Outcome, Probe, Step};
use crate::objects::elf::{Elf, ElfError, Identity};
use crate::path::{RootPath, escaped};
use goblin::elf::dynamic::{DF_1_NODEFLIB, DF_1_PIE};
use goblin::elf::header::{ELFOSABI_GNU, ELFOSABI_NONE, ET_DYN, ET_EXEC};
use loader::BuiltIn;
use search::{DirId, Places};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use tokens::Tokens;

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
    loaders: HashMap<Box<[u8]>, Rc<Loader>>,
    /// Searches that no `RPATH` or `RUNPATH` takes part in: loader, name, kind of object.
    default_searches: HashMap<(u32, NameId, Identity, bool), Option<(PlaceId, Step)>>,
    needed: HashMap<ObjectId, Rc<Needs>>,
    /// What is in the current process, by name and by object; an entry counts when its number is the process's.
    names: Vec<(u32, u32)>,
    n_processes: u32,
    findings: Findings,
    seen: HashSet<(ObjectId, u32, PlaceId)>,
    checked: HashSet<(ObjectId, u32, ObjectId)>,
}

/// What was found out, in the order it was; a caller takes it with [`Glibc::take_findings`].
#[derive(Debug, Default)]
pub struct Findings {
    pub bindings: Vec<Binding>,
    pub missing: Vec<Failure>,
    pub versions: Vec<VersionFailure>,
    /// `/etc/ld.so.preload` entries in use: each one is mapped into every process.
    pub preloads: Vec<(ObjectId, PlaceId)>,
}

/// A name that led to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    pub referrer: ObjectId,
    pub name: Box<[u8]>,
    pub place: PlaceId,
    pub step: Step,
    pub by: By,
    /// The referrer's own search would have failed: it works because something else has loaded the object.
    pub by_load_order_only: bool,
}

/// How a name was asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum By {
    Needed,
    Interpreter,
    /// By `dlopen`, for the reason that the caller gave.
    Dlopen(crate::reason::Reason),
}

/// A name that led nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub referrer: ObjectId,
    pub name: Box<[u8]>,
    pub by: By,
    pub probes: Vec<Probe>,
}

/// A version that the library in use does not define.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VersionFailure {
    pub referrer: ObjectId,
    pub library: ObjectId,
    /// What the library was asked for as.
    pub name: Box<[u8]>,
    pub version: Box<[u8]>,
}

/// A library that the running program will ask for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Request {
    /// Whose code calls `dlopen`: its search path counts.
    pub caller: ObjectId,
    pub name: Box<[u8]>,
    pub reason: crate::reason::Reason,
}

struct Loader {
    number: u32,
    place: Option<PlaceId>,
    built_in: BuiltIn,
    default: Vec<DirId>,
    /// Directories known through the configuration.
    configured: Vec<DirId>,
    /// Files known through a cache.
    cached: HashMap<Box<[u8]>, Vec<PlaceId>>,
    preload: Vec<Box<[u8]>>,
}

/// The names in one object, by number.
struct Needs {
    needed: Vec<NameId>,
    soname: Option<NameId>,
    /// `vn_file` of each needed version.
    version_files: Vec<NameId>,
    has_paths: bool,
}

/// One object in a process.
struct Map {
    object: ObjectId,
    /// Absent for the executable.
    place: Option<PlaceId>,
    /// The map whose `DT_NEEDED` or `dlopen` brought it; an index into the process.
    loaded_by: Option<usize>,
    rpath: Rc<[DirId]>,
    runpath: Rc<[DirId]>,
    no_default: bool,
}

impl<'r> Glibc<'r> {
    pub fn new(store: Store<'r>, cpu: Cpu, cache: Cache) -> Glibc<'r> {
        Glibc {
            places: Places::new(store, cpu),
            cache,
            loaders: HashMap::new(),
            default_searches: HashMap::new(),
            needed: HashMap::new(),
            names: Vec::new(),
            n_processes: 0,
            findings: Findings::default(),
            seen: HashSet::new(),
            checked: HashSet::new(),
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

    /// What was found out since the last call.
    pub fn take_findings(&mut self) -> Findings {
        std::mem::take(&mut self.findings)
    }

    /// glibc-hwcaps variants of the file at a place, which a newer processor would take instead: for the chosen
    /// processor and below.
    pub fn variants(&mut self, place: PlaceId) -> Vec<PlaceId> {
        let spelled = &self.places.place(place).spelled;
        let slash = spelled.iter().rposition(|&b| b == b'/').unwrap_or(0);
        let (directory, name) = (spelled[..slash].to_vec(), spelled[slash + 1..].to_vec());
        let directory = self.places.directory(&directory);
        let name = self.places.name_id(&name);
        let variants = self.places.variants(directory);
        variants.into_iter().filter_map(|variant| self.places.in_directory(variant, name)).collect()
    }

    /// Reads the files that a number of executables will need, on all threads, so that [`Glibc::run`] finds them
    /// read. A guess that is wrong costs time and changes nothing.
    pub fn prefetch(&mut self, executables: &[ObjectId]) {
        let mut frontier = executables.to_vec();
        let mut asked: HashSet<NameId> = HashSet::new();
        while !frontier.is_empty() {
            let mut looked = Vec::new();
            for object in std::mem::take(&mut frontier) {
                let Some(elf) = self.store().object(object).elf() else { continue };
                let (identity, interpreter) = (elf.identity, elf.interpreter.clone());
                let Some(loader) = self.loader(interpreter.as_deref(), identity) else { continue };
                let needs = self.needs(object);
                let own: Vec<DirId> = if needs.has_paths {
                    let map = self.map(object, None, None, &loader);
                    map.rpath.iter().chain(map.runpath.iter()).copied().collect()
                } else {
                    Vec::new()
                };
                for &name in &needs.needed {
                    if !asked.insert(name) && own.is_empty() {
                        continue;
                    }
                    let directories = own.iter().chain(&loader.configured).chain(&loader.default);
                    for &directory in directories {
                        if self.places.is_known(directory, name) {
                            break;
                        }
                        if let Some(found) = self.places.look(directory, name) {
                            looked.push((directory, name, found));
                            break;
                        }
                    }
                }
            }
            looked.sort_by_key(|(directory, name, _)| (*directory, *name));
            looked.dedup_by_key(|(directory, name, _)| (*directory, *name));
            frontier = self.places.read_all(looked).into_iter().map(|p| self.places.place(p).object).collect();
        }
    }

    /// Works out what is mapped when `executable` runs and its code makes these requests. A library may stand in for
    /// an executable: it is then loaded as by a program that has nothing else.
    ///
    /// Gives the objects of the process, the executable first; nothing for what no glibc loader loads.
    pub fn run(&mut self, executable: ObjectId, requests: &[Request]) -> Vec<ObjectId> {
        let Some(elf) = self.store().object(executable).elf() else { return Vec::new() };
        let identity = elf.identity;
        let interpreter = elf.interpreter.clone();
        if elf.dynamic.is_none() && interpreter.is_none() {
            return vec![executable];
        }
        let Some(loader) = self.loader(interpreter.as_deref(), identity) else { return vec![executable] };
        self.n_processes += 1;
        let main = self.map(executable, None, None, &loader);
        let mut process = vec![main];
        if let Some(path) = &interpreter {
            self.load_interpreter(&mut process, path, &loader, identity);
        }
        self.register_soname(executable, 0);
        for name in &loader.preload {
            self.preload(&mut process, name, &loader, identity);
        }
        let mut next = 0;
        self.load_needed(&mut process, &mut next, &loader, identity);
        for request in requests {
            let Some(caller) = process.iter().position(|map| map.object == request.caller) else { continue };
            let name = self.places.name_id(&request.name);
            let by = By::Dlopen(request.reason.clone());
            self.load(&mut process, caller, name, u32::MAX, &by, &loader, identity);
            self.load_needed(&mut process, &mut next, &loader, identity);
        }
        self.check_versions(&process);
        process.iter().map(|map| map.object).collect()
    }

    fn load_needed(&mut self, process: &mut Vec<Map>, next: &mut usize, loader: &Rc<Loader>, identity: Identity) {
        while *next < process.len() {
            let needs = self.needs(process[*next].object);
            for (index, &name) in needs.needed.iter().enumerate() {
                self.load(process, *next, name, index as u32, &By::Needed, loader, identity);
            }
            *next += 1;
        }
    }

    /// Brings one name into the process. `index` numbers the name among those of its object.
    #[allow(clippy::too_many_arguments, reason = "one step of the loader, with the state it works on")]
    fn load(
        &mut self,
        process: &mut Vec<Map>,
        referrer: usize,
        name: NameId,
        index: u32,
        by: &By,
        loader: &Rc<Loader>,
        identity: Identity,
    ) {
        let referring = process[referrer].object;
        if let Some(loaded) = self.loaded(name) {
            // The executable itself goes by its soname, and has no place it was opened at.
            if let Some(place) = process[loaded].place
                && self.seen.insert((referring, index, place))
            {
                let own = self.search(process, referrer, name, loader, identity, &mut None);
                let by_load_order_only = own.is_none();
                self.bind(referring, name, place, Step::AlreadyLoaded, by, by_load_order_only);
            }
            return;
        }
        let Some((place, step)) = self.search(process, referrer, name, loader, identity, &mut None) else {
            return self.fail(process, referrer, name, index, by, loader, identity);
        };
        let object = self.places.place(place).object;
        let known = process.iter().position(|map| {
            map.object == object
                || map.place.is_some_and(|p| self.places.place(p).identity == self.places.place(place).identity)
        });
        let position = known.unwrap_or_else(|| {
            let map = self.map(object, Some(place), Some(referrer), loader);
            process.push(map);
            process.len() - 1
        });
        self.set_loaded(name, position);
        self.register_soname(object, position);
        if self.seen.insert((referring, index, place)) {
            self.bind(referring, name, place, step, by, false);
        }
    }

    /// Searches once more, writing down every place.
    #[allow(clippy::too_many_arguments, reason = "the arguments of `load`")]
    fn fail(
        &mut self,
        process: &[Map],
        referrer: usize,
        name: NameId,
        index: u32,
        by: &By,
        loader: &Rc<Loader>,
        identity: Identity,
    ) {
        let referring = process[referrer].object;
        // A name may be missing in one process and found in another: it is told once for each object.
        if !self.seen.insert((referring, index, PlaceId(u32::MAX))) {
            return;
        }
        let mut probes = Some(Vec::new());
        self.search(process, referrer, name, loader, identity, &mut probes);
        let (name, probes) = (self.places.name(name).into(), probes.unwrap_or_default());
        self.findings.missing.push(Failure { referrer: referring, name, by: by.clone(), probes });
    }

    fn bind(&mut self, referrer: ObjectId, name: NameId, place: PlaceId, step: Step, by: &By, alone: bool) {
        let name = self.places.name(name).into();
        let by = by.clone();
        self.findings.bindings.push(Binding { referrer, name, place, step, by, by_load_order_only: alone });
    }

    fn load_interpreter(&mut self, process: &mut Vec<Map>, path: &[u8], loader: &Rc<Loader>, identity: Identity) {
        let executable = process[0].object;
        let index = u32::MAX - 1;
        let name = self.places.name_id(path);
        let verdict = match loader.place {
            Some(place) => accept(self.store().object(self.places.place(place).object), identity, 0),
            None => Outcome::Absent,
        };
        if verdict != Outcome::Found {
            if self.seen.insert((executable, index, PlaceId(u32::MAX))) {
                let probe = Probe { path: escaped(path).to_string(), step: Step::Path, outcome: verdict };
                let (name, by) = (path.into(), By::Interpreter);
                self.findings.missing.push(Failure { referrer: executable, name, by, probes: vec![probe] });
            }
            return;
        }
        let place = loader.place.expect("checked above");
        let object = self.places.place(place).object;
        let map = self.map(object, Some(place), Some(0), loader);
        process.push(map);
        self.set_loaded(name, process.len() - 1);
        self.register_soname(object, process.len() - 1);
        if self.seen.insert((executable, index, place)) {
            self.bind(executable, name, place, Step::Path, &By::Interpreter, false);
        }
    }

    fn preload(&mut self, process: &mut Vec<Map>, name: &[u8], loader: &Rc<Loader>, identity: Identity) {
        let name = self.places.name_id(name);
        if self.loaded(name).is_some() {
            return;
        }
        // The loader says that a missing entry is ignored, and goes on.
        let Some((place, _)) = self.search(process, 0, name, loader, identity, &mut None) else { return };
        let object = self.places.place(place).object;
        let map = self.map(object, Some(place), Some(0), loader);
        process.push(map);
        self.set_loaded(name, process.len() - 1);
        self.register_soname(object, process.len() - 1);
        let executable = process[0].object;
        if self.seen.insert((executable, u32::MAX - 2, place)) {
            self.findings.preloads.push((executable, place));
        }
    }

    /// Every place the loader would try for a name, in order, until one holds.
    fn search(
        &mut self,
        process: &[Map],
        referrer: usize,
        name: NameId,
        loader: &Rc<Loader>,
        identity: Identity,
        probes: &mut Option<Vec<Probe>>,
    ) -> Option<(PlaceId, Step)> {
        let map = &process[referrer];
        if self.places.name(name).contains(&b'/') {
            return self.search_path(map, name, loader, identity, probes);
        }
        for (directories, step) in self.object_paths(process, referrer) {
            for &directory in directories.iter() {
                match self.try_directory(directory, name, identity, &step, probes) {
                    Tried::Found(place) => return Some((place, step)),
                    Tried::Nothing => {}
                    Tried::Fatal => return None,
                }
            }
        }
        let key = (loader.number, name, identity, map.no_default);
        if probes.is_none()
            && let Some(known) = self.default_searches.get(&key)
        {
            return known.clone();
        }
        let answer = self.search_defaults(loader, name, identity, map.no_default, probes);
        self.default_searches.insert(key, answer.clone());
        answer
    }

    fn search_path(
        &mut self,
        map: &Map,
        name: NameId,
        loader: &Rc<Loader>,
        identity: Identity,
        probes: &mut Option<Vec<Probe>>,
    ) -> Option<(PlaceId, Step)> {
        let origin = self.origin(map.object, map.place);
        let path = loader.tokens(&origin, identity).expand(self.places.name(name));
        if path.first() != Some(&b'/') {
            let outcome = Outcome::Unusable("a relative path depends on the working directory");
            record(probes, &path, &Step::Path, outcome);
            return None;
        }
        let place = self.places.at_path(&path);
        let outcome = self.judge(place, identity);
        record(probes, &path, &Step::Path, outcome.clone());
        (outcome == Outcome::Found).then(|| (place.expect("found"), Step::Path))
    }

    /// Directories that objects bring, each list with whose it is.
    fn object_paths(&self, process: &[Map], referrer: usize) -> Vec<(Rc<[DirId]>, Step)> {
        let mut lists = Vec::new();
        let own = |map: &Map| self.store().object(map.object).path.clone();
        let has_runpath = |map: &Map| {
            let elf = self.store().object(map.object).elf();
            elf.and_then(|e| e.dynamic.as_ref()).is_some_and(|d| d.runpath.is_some())
        };
        if !has_runpath(&process[referrer]) {
            let mut at = Some(referrer);
            let mut passed_main = false;
            while let Some(index) = at {
                let map = &process[index];
                passed_main |= index == 0;
                if !map.rpath.is_empty() {
                    lists.push((map.rpath.clone(), Step::Rpath(own(map))));
                }
                at = map.loaded_by;
            }
            if !passed_main && !process[0].rpath.is_empty() {
                lists.push((process[0].rpath.clone(), Step::Rpath(own(&process[0]))));
            }
        }
        let map = &process[referrer];
        if !map.runpath.is_empty() {
            lists.push((map.runpath.clone(), Step::Runpath(own(map))));
        }
        lists
    }

    fn search_defaults(
        &mut self,
        loader: &Rc<Loader>,
        name: NameId,
        identity: Identity,
        no_default: bool,
        probes: &mut Option<Vec<Probe>>,
    ) -> Option<(PlaceId, Step)> {
        if let Some(places) = loader.cached.get(self.places.name(name)).cloned() {
            for place in places {
                let spelled = self.places.place(place).spelled.clone();
                if no_default && self.in_default_directory(loader, &spelled) {
                    continue;
                }
                let outcome = self.judge(Some(place), identity);
                record(probes, &spelled, &Step::Cache, outcome.clone());
                match outcome {
                    Outcome::Found => return Some((place, Step::Cache)),
                    Outcome::Fatal(_) => return None,
                    _ => {}
                }
            }
        }
        if ldconfig::is_cached_name(self.places.name(name)) {
            for &directory in &loader.configured {
                if loader.default.contains(&directory) {
                    continue;
                }
                // ldconfig leaves out what is no library of any kind, where the loader would stop at it.
                match self.try_directory(directory, name, identity, &Step::Cache, probes) {
                    Tried::Found(place) => return Some((place, Step::Cache)),
                    Tried::Nothing | Tried::Fatal => {}
                }
            }
        }
        if !no_default {
            for &directory in &loader.default {
                match self.try_directory(directory, name, identity, &Step::DefaultDirectory, probes) {
                    Tried::Found(place) => return Some((place, Step::DefaultDirectory)),
                    Tried::Nothing => {}
                    Tried::Fatal => return None,
                }
            }
        }
        None
    }

    fn in_default_directory(&self, loader: &Loader, spelled: &[u8]) -> bool {
        loader.default.iter().any(|directory| {
            let rest = spelled.strip_prefix(self.places.directory_path(*directory));
            rest.is_some_and(|rest| rest.starts_with(b"/") && !rest[1..].contains(&b'/'))
        })
    }

    fn try_directory(
        &mut self,
        directory: DirId,
        name: NameId,
        identity: Identity,
        step: &Step,
        probes: &mut Option<Vec<Probe>>,
    ) -> Tried {
        let mut candidates = self.places.variants(directory);
        candidates.push(directory);
        for candidate in candidates {
            let place = self.places.in_directory(candidate, name);
            let outcome = self.judge(place, identity);
            if probes.is_some() {
                let path = [self.places.directory_path(candidate), b"/", self.places.name(name)].concat();
                record(probes, &path, step, outcome.clone());
            }
            match (outcome, place) {
                (Outcome::Found, Some(place)) => return Tried::Found(place),
                (Outcome::Fatal(_), _) => return Tried::Fatal,
                _ => {}
            }
        }
        Tried::Nothing
    }

    fn judge(&self, place: Option<PlaceId>, identity: Identity) -> Outcome {
        match place {
            Some(place) => {
                let place = self.places.place(place);
                accept(self.store().object(place.object), identity, place.size)
            }
            None => Outcome::Absent,
        }
    }

    /// Each object's versions against the objects that go by the names it was linked with.
    fn check_versions(&mut self, process: &[Map]) {
        for map in process {
            let needs = self.needs(map.object);
            for (index, &file) in needs.version_files.iter().enumerate() {
                let Some(position) = self.loaded(file) else { continue };
                let library = process[position].object;
                if self.checked.insert((map.object, index as u32, library)) {
                    self.check_version(map.object, index, library);
                }
            }
        }
    }

    fn check_version(&mut self, referrer: ObjectId, index: usize, library: ObjectId) {
        let dynamic = |id| self.store().object(id).elf().and_then(|elf: &Elf| elf.dynamic.as_ref());
        let (Some(asking), Some(answering)) = (dynamic(referrer), dynamic(library)) else { return };
        // A library without any versions satisfies every version: "no version information available".
        let Some(defined) = &answering.versions_defined else { return };
        let need = &asking.versions_needed[index];
        let absent = need.versions.iter().filter(|v| !v.weak && !defined.contains(&v.name));
        let failures: Vec<_> = absent
            .map(|v| VersionFailure { referrer, library, name: need.file.clone(), version: v.name.clone() })
            .collect();
        self.findings.versions.extend(failures);
    }

    fn needs(&mut self, object: ObjectId) -> Rc<Needs> {
        if let Some(known) = self.needed.get(&object) {
            return known.clone();
        }
        let dynamic = self.store().object(object).elf().and_then(|elf| elf.dynamic.clone()).unwrap_or_default();
        let needs = Rc::new(Needs {
            needed: dynamic.needed.iter().map(|name| self.places.name_id(name)).collect(),
            soname: dynamic.soname.as_ref().map(|name| self.places.name_id(name)),
            version_files: dynamic.versions_needed.iter().map(|n| self.places.name_id(&n.file)).collect(),
            has_paths: dynamic.rpath.is_some() || dynamic.runpath.is_some(),
        });
        self.needed.insert(object, needs.clone());
        needs
    }

    fn map(&mut self, object: ObjectId, place: Option<PlaceId>, loaded_by: Option<usize>, loader: &Loader) -> Map {
        let mut map = Map { object, place, loaded_by, rpath: Rc::new([]), runpath: Rc::new([]), no_default: false };
        let Some(elf) = self.store().object(object).elf() else { return map };
        let (identity, Some(dynamic)) = (elf.identity, &elf.dynamic) else { return map };
        map.no_default = dynamic.has_flag_1(DF_1_NODEFLIB);
        // With a DT_RUNPATH, the DT_RPATH of the same object is as if it were not there.
        let rpath = dynamic.rpath.clone().filter(|_| dynamic.runpath.is_none());
        let runpath = dynamic.runpath.clone();
        if rpath.is_some() || runpath.is_some() {
            let origin = self.origin(object, place);
            let tokens = loader.tokens(&origin, identity);
            map.rpath = self.path_list(rpath.as_deref(), tokens);
            map.runpath = self.path_list(runpath.as_deref(), tokens);
        }
        map
    }

    /// The directories of a colon-separated list; those relative to the working directory are left out.
    fn path_list(&mut self, list: Option<&[u8]>, tokens: Tokens<'_>) -> Rc<[DirId]> {
        let elements = list.unwrap_or_default().split(|&b| b == b':');
        let expanded = elements.map(|element| tokens.expand(element)).filter(|path| path.starts_with(b"/"));
        expanded.map(|path| self.places.directory(trim_slashes(&path))).collect()
    }

    /// `$ORIGIN`: for the executable the directory of the real file (the kernel's `/proc/self/exe`), for a library that
    /// of the path it was opened by.
    fn origin(&self, object: ObjectId, place: Option<PlaceId>) -> Vec<u8> {
        let path = match place {
            Some(place) => &self.places.place(place).spelled[..],
            None => self.store().object(object).path.as_bytes(),
        };
        match path.iter().rposition(|&b| b == b'/') {
            Some(0) | None => b"/".to_vec(),
            Some(slash) => path[..slash].to_vec(),
        }
    }

    /// The loader of an executable, or the usual one for a library; `None` for one whose rules are not glibc's.
    fn loader(&mut self, interpreter: Option<&[u8]>, identity: Identity) -> Option<Rc<Loader>> {
        let path = interpreter.or_else(|| loader::usual_interpreter(identity))?;
        if let Some(known) = self.loaders.get(path) {
            return Some(known.clone());
        }
        if memchr::memmem::find(path, b"ld-musl-").is_some() {
            return None;
        }
        let place = if path.starts_with(b"/") { self.places.at_path(path) } else { None };
        let bytes = place.and_then(|_| {
            let found = self.places.root().lookup_spelled(path).ok()?;
            self.places.root().read(&found).ok()
        });
        let built_in =
            bytes.and_then(|bytes| BuiltIn::from_loader(&bytes)).unwrap_or_else(|| BuiltIn::guess(path, identity));
        let default = built_in.default_directories.iter().map(|d| self.places.directory(d)).collect();
        let mut loader = Loader {
            number: self.loaders.len() as u32,
            place,
            built_in,
            default,
            configured: Vec::new(),
            cached: HashMap::new(),
            preload: self.preload_names(),
        };
        match self.cache {
            Cache::FromConfiguration => self.read_configuration(&mut loader),
            Cache::AsItIs => self.read_cache(&mut loader),
        }
        let loader = Rc::new(loader);
        self.loaders.insert(path.into(), loader.clone());
        Some(loader)
    }

    fn read_configuration(&mut self, loader: &mut Loader) {
        let configuration = loader.built_in.cache.strip_suffix(b".cache").unwrap_or_default();
        let Ok(path) = RootPath::new([configuration, b".conf"].concat()) else { return };
        let directories = ldconfig::directories(self.places.root(), &path);
        loader.configured = directories.iter().map(|d| self.places.directory(d.as_bytes())).collect();
    }

    fn read_cache(&mut self, loader: &mut Loader) {
        let Ok(path) = RootPath::new(&loader.built_in.cache) else { return };
        let Ok(Some(bytes)) = self.places.root().read_optional(&path) else { return };
        for entry in ldconfig::read_cache(&bytes).unwrap_or_default() {
            if let Some(place) = self.places.at_path(entry.path.as_bytes()) {
                loader.cached.entry(entry.soname.into()).or_default().push(place);
            }
        }
    }

    /// The words of `/etc/ld.so.preload` (ld.so(8), "FILES"): separated by blanks, colons or lines, `#` to the end.
    fn preload_names(&self) -> Vec<Box<[u8]>> {
        let path = RootPath::new("/etc/ld.so.preload").expect("a constant");
        let Ok(Some(bytes)) = self.places.root().read_optional(&path) else { return Vec::new() };
        bytes
            .split(|&b| b == b'\n')
            .map(|line| line.split(|&b| b == b'#').next().unwrap_or_default())
            .flat_map(|line| line.split(|b| matches!(b, b' ' | b'\t' | b':')))
            .filter(|word| !word.is_empty())
            .map(Into::into)
            .collect()
    }

    fn loaded(&self, name: NameId) -> Option<usize> {
        let (process, position) = *self.names.get(name.0 as usize)?;
        (process == self.n_processes).then_some(position as usize)
    }

    fn set_loaded(&mut self, name: NameId, position: usize) {
        if self.names.len() < self.places.n_names() {
            self.names.resize(self.places.n_names(), (0, 0));
        }
        self.names[name.0 as usize] = (self.n_processes, position as u32);
    }

    /// The first object with a soname keeps it.
    fn register_soname(&mut self, object: ObjectId, position: usize) {
        if let Some(soname) = self.needs(object).soname
            && self.loaded(soname).is_none()
        {
            self.set_loaded(soname, position);
        }
    }
}

enum Tried {
    Found(PlaceId),
    Nothing,
    Fatal,
}

impl Loader {
    fn tokens<'a>(&'a self, origin: &'a [u8], identity: Identity) -> Tokens<'a> {
        Tokens { origin, lib: &self.built_in.lib, platform: loader::platform(identity) }
    }
}

/// What the loader does with a file it has opened (`open_verify` in elf/dl-load.c). The fatal words are its own.
fn accept(object: &Object, wanted: Identity, size: u64) -> Outcome {
    /// How little of a file is too little: the ELF header.
    const HEADER: u64 = 64;
    let fatal = |words: &str| Outcome::Fatal(words.to_owned());
    let elf = match &object.facts {
        Facts::Elf(elf) => elf,
        Facts::Damaged(ElfError::TooShort) => return fatal("file too short"),
        Facts::Damaged(error) => return Outcome::Fatal(error.to_string()),
        Facts::Script(_) | Facts::Data if size < HEADER => return fatal("file too short"),
        Facts::Script(_) | Facts::Data => return fatal("invalid ELF header"),
        Facts::Unreadable(why) => return Outcome::Fatal(format!("cannot read file data: {why}")),
    };
    let found = elf.identity;
    if found.bits != wanted.bits {
        return Outcome::Skipped("wrong ELF class");
    }
    if found.little_endian != wanted.little_endian {
        return fatal(if wanted.little_endian {
            "ELF file data encoding not little-endian"
        } else {
            "ELF file data encoding not big-endian"
        });
    }
    if !matches!(found.os_abi, ELFOSABI_NONE | ELFOSABI_GNU) {
        return fatal("ELF file OS ABI invalid");
    }
    if found.machine != wanted.machine {
        return Outcome::Skipped("another machine's object");
    }
    match found.file_type {
        ET_DYN if elf.dynamic.as_ref().is_some_and(|d| d.has_flag_1(DF_1_PIE)) => {
            fatal("cannot dynamically load position-independent executable")
        }
        ET_DYN => Outcome::Found,
        ET_EXEC => fatal("cannot dynamically load executable"),
        _ => fatal("only ET_DYN and ET_EXEC can be loaded"),
    }
}

fn record(probes: &mut Option<Vec<Probe>>, path: &[u8], step: &Step, outcome: Outcome) {
    if let Some(probes) = probes {
        probes.push(Probe { path: escaped(path).to_string(), step: step.clone(), outcome });
    }
}

fn trim_slashes(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&b| b != b'/').map_or(1.min(path.len()), |last| last + 1);
    &path[..end]
}
