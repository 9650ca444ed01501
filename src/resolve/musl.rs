//! The musl runtime linker: which files a process maps, and why (musl `ldso/dynlink.c`; ld-musl-config(8) on Debian).
//!
//! The loader *is* the C library: `libc.so`, `libpthread.so.0`, `libm.so.6` and their like are names of the loader
//! itself, whatever files have them. As glibc's it walks a *process* breadth first, but by fewer and other rules:
//!
//! 1. A name of the C library, or the very path of `PT_INTERP`, is the loader: no search.
//! 2. A name with a slash is a path.
//! 3. A name that a library was *found* by is that library. Its `DT_SONAME` counts for nothing.
//! 4. Else the directories of: `LD_LIBRARY_PATH`, where the user asks for it; the object, its loader, the loader's
//!    loader …, the executable, where `DT_RUNPATH` is as good as `DT_RPATH` and both are inherited; then of the path file
//!    `/etc/ld-musl-ARCH.path`, or `/lib:/usr/local/lib:/usr/lib` where there is none. No cache, no hwcaps, no
//!    `ld.so.preload`.
//! 5. The first file that can be opened is the one. If it is of another class it is not passed over: it ends the
//!    search, and the process.
//! 6. Two names of one inode are one library; a file that is a C library under another name is the loader.
//!
//! The loader goes on after an error, to tell all of them. Versions of symbols are not looked at. `$ORIGIN` is the only
//! token: a search path with any other `$` is not used at all. `dlopen` searches for the executable, not for its
//! caller. Nothing is taken from the environment of minroot. A set-id program has no library path; that it has no
//! `$ORIGIN` either is left out.

use super::glibc::{By, Failure, Request};
use super::store::{Facts, Object, ObjectId, Store};
use super::{KILLED, LOST, Outcome, Probe, Step, directory_of};
use crate::objects::elf::{CutOff, Dynamic, Elf, ElfError, Identity, Name, PROGRAM_HEADERS};
use crate::path::{RootPath, escaped};
use crate::root::{Found, LookupError};
use goblin::elf::header::{ET_DYN, ET_EXEC};
use std::collections::BTreeMap;
use std::rc::Rc;

/// How the file names of musl's loaders begin.
const LOADER_NAME: &[u8] = b"ld-musl-";

/// Behind `lib` and before a dot: names of the loader itself.
const OWN_NAMES: [&[u8]; 7] = [b"c", b"pthread", b"rt", b"m", b"dl", b"util", b"xnet"];

const DEFAULT_PATH: &[u8] = b"/lib:/usr/local/lib:/usr/lib";

/// `2 * NAME_MAX + 2`, the loader's buffer: a longer path is not tried.
const PATH_LIMIT: usize = 512;

// What strerror(3) of musl says, which is not always what glibc's does.
const ENOENT: &str = "No such file or directory";
const ENOEXEC: &str = "Exec format error";
const EINVAL: &str = "Invalid argument";
const ENOTDIR: &str = "Not a directory";
const ELOOP: &str = "Symbolic link loop";
const NO_ERROR: &str = "No error information";
const EIO: &str = "I/O error";

/// The resolver for one root.
#[derive(Default)]
pub struct Musl {
    /// `LD_LIBRARY_PATH` of every process, when the user asks for one.
    library_path: Rc<[Vec<u8>]>,
    /// By the path in `PT_INTERP`.
    loaders: BTreeMap<Name, Rc<Loader>>,
}

/// What is mapped when one executable runs.
#[derive(Debug, Default)]
pub struct Process {
    /// In the order of the global scope; the executable is the first.
    pub maps: Vec<Map>,
    pub bindings: Vec<Binding>,
    pub missing: Vec<Failure>,
    /// The file that says where libraries are, if the process has asked it.
    pub path_file: Option<RootPath>,
    /// The file of the loader, which is the C library.
    pub loader: Option<ObjectId>,
}

/// One object in a process.
#[derive(Debug)]
pub struct Map {
    pub object: ObjectId,
    /// What the loader calls it: the path it was opened by, for itself that of `PT_INTERP`.
    pub name: Vec<u8>,
    /// A search for this name ends here.
    short_name: Option<Vec<u8>>,
    /// The map that brought it.
    loaded_by: Option<usize>,
    search_path: Option<(Step, Vec<Vec<u8>>)>,
}

/// A name that led to a file.
#[derive(Debug)]
pub struct Binding {
    pub referrer: ObjectId,
    pub name: Name,
    pub by: By,
    pub found: Found,
}

/// Where a request would lead.
#[derive(Debug)]
pub enum Sought {
    /// To what the process has already.
    Loaded,
    To(Found),
    /// Nowhere, with every place tried for any of its names.
    Nowhere(Vec<Probe>),
}

/// One `ld-musl-ARCH.so.1`.
struct Loader {
    path: Name,
    found: Option<Found>,
    /// Where everything else has been searched in vain, and what says so.
    directories: Vec<Vec<u8>>,
    path_file: Option<RootPath>,
}

/// Whether musl loads this executable. A library has no interpreter, but needs a C library by musl's name for it.
pub fn loads(elf: &Elf) -> bool {
    match &elf.interpreter {
        Some(interpreter) => memchr::memmem::find(interpreter, LOADER_NAME).is_some(),
        None => elf.needed().iter().any(|name| is_own_soname(name)),
    }
}

/// `libc.so` of musl and Debian, `libc.musl-x86_64.so.1` of Alpine.
fn is_own_soname(name: &[u8]) -> bool {
    name == b"libc.so" || name.starts_with(b"libc.musl-")
}

/// What the loader says after the name of a library that it could not load.
pub fn error_words(failure: &Failure) -> &str {
    match failure.probes.last().map(|probe| &probe.outcome) {
        Some(Outcome::Fatal(words)) => words,
        Some(Outcome::Skipped(words)) => words,
        Some(_) => ENOENT,
        // No directory at all: nothing has failed.
        None => NO_ERROR,
    }
}

impl Musl {
    /// `library_path`: the directories of `LD_LIBRARY_PATH` that every process is started with.
    pub fn new(library_path: &[String]) -> Musl {
        let library_path = library_path.iter().map(|directory| directory.as_bytes().to_vec()).collect();
        Musl { library_path, loaders: BTreeMap::new() }
    }

    /// Works out what is mapped when `executable` runs and its code makes these requests; nothing for what is no ELF
    /// object. A library may stand in for an executable.
    pub fn run(&mut self, store: &mut Store<'_>, executable: ObjectId, requests: &[Request]) -> Process {
        self.walk(store, executable, requests).map(|walk| walk.process).unwrap_or_default()
    }

    /// Where requests beside the ones that are made would lead, each by itself; `None` from an object that is not in the
    /// process.
    pub fn look(
        &mut self,
        store: &mut Store<'_>,
        executable: ObjectId,
        requests: &[Request],
        further: &[&Request],
    ) -> Vec<Option<Sought>> {
        match self.walk(store, executable, requests) {
            // Without its loader nothing can be said of what else the executable would find.
            Some(mut walk) if walk.has_loader => further.iter().map(|request| walk.look(request)).collect(),
            _ => further.iter().map(|_| None).collect(),
        }
    }

    /// The process when everything is loaded; `None` for what is no ELF object.
    fn walk<'w, 'r>(
        &mut self,
        store: &'w mut Store<'r>,
        executable: ObjectId,
        requests: &[Request],
    ) -> Option<Walk<'w, 'r>> {
        let elf = store.object(executable).elf()?;
        let (identity, interpreter) = (elf.identity, elf.interpreter.clone());
        let loader = self.loader(store, interpreter.as_deref());
        let library_path = match self.library_path.is_empty() || store.is_set_id(executable) {
            true => Rc::default(),
            false => self.library_path.clone(),
        };
        let process = Process::default();
        let mut walk = Walk { store, loader, library_path, identity, executable, process, has_loader: true };
        let path = walk.store.object(executable).path.as_bytes().to_vec();
        walk.push(executable, path, None, None);
        if interpreter.is_some() && !walk.load_interpreter() {
            walk.has_loader = false;
            return Some(walk);
        }
        walk.load_needed(0);
        for request in requests {
            if walk.process.maps.iter().all(|map| map.object != request.caller) {
                continue;
            }
            walk.load_request(request);
        }
        Some(walk)
    }

    fn loader(&mut self, store: &Store<'_>, interpreter: Option<&[u8]>) -> Rc<Loader> {
        let usual = || store.root().glob("/lib/ld-musl-*.so.1").first().map(|path| path.as_bytes().to_vec());
        let path: Name = interpreter.map(<[u8]>::to_vec).or_else(usual).unwrap_or_default().into();
        self.loaders.entry(path).or_insert_with_key(|path| Rc::new(Loader::new(store, path))).clone()
    }
}

impl Loader {
    fn new(store: &Store<'_>, path: &Name) -> Loader {
        let found = Some(path).filter(|path| path.starts_with(b"/")).and_then(|p| store.root().lookup_spelled(p).ok());
        let path_file =
            path_file(path).filter(|file| !matches!(store.root().lookup(file), Err(LookupError::NotFound(_))));
        let list = match &path_file {
            // One that cannot be read is as good as an empty one.
            Some(file) => store.root().read_optional(file).ok().flatten().unwrap_or_default(),
            None => DEFAULT_PATH.to_vec(),
        };
        Loader { path: path.clone(), found, directories: elements(&list), path_file }
    }
}

/// `/etc/ld-musl-ARCH.path`, below the directory that has the loader's in it.
fn path_file(loader: &[u8]) -> Option<RootPath> {
    let directory = directory_of(loader);
    let prefix = directory_of(directory);
    let name = loader.rsplit(|byte| *byte == b'/').next()?;
    let arch = name.strip_prefix(LOADER_NAME)?;
    let arch = &arch[..memchr::memmem::find(arch, b".so")?];
    let prefix = prefix.strip_suffix(b"/").unwrap_or(prefix);
    RootPath::new([prefix, b"/etc/", LOADER_NAME, arch, b".path"].concat()).ok()
}

/// The directories of a list, as they are written; empty ones do not count.
fn elements(list: &[u8]) -> Vec<Vec<u8>> {
    // A C string.
    let list = list.split(|byte| *byte == 0).next().unwrap_or_default();
    let elements = list.split(|byte| matches!(byte, b':' | b'\n')).filter(|element| !element.is_empty());
    elements.map(<[u8]>::to_vec).collect()
}

/// One process while it is worked out.
struct Walk<'w, 'r> {
    store: &'w mut Store<'r>,
    loader: Rc<Loader>,
    library_path: Rc<[Vec<u8>]>,
    identity: Identity,
    executable: ObjectId,
    process: Process,
    /// The file of `PT_INTERP` is there, or there is none for a library.
    has_loader: bool,
}

/// What a search came to.
enum Opened {
    File { found: Found, spelled: Vec<u8> },
    Failed,
}

impl Walk<'_, '_> {
    /// Whether the file of `PT_INTERP` is there and can be mapped.
    fn load_interpreter(&mut self) -> bool {
        let (loader, referrer) = (self.loader.clone(), self.executable);
        let outcome = match &loader.found {
            Some(found) => {
                let object = self.store.read(found);
                self.process.loader = Some(object);
                accept(self.store.object(object), self.identity)
            }
            None => Outcome::Absent,
        };
        match (&loader.found, outcome) {
            (Some(found), Outcome::Found) => self.bind(referrer, &loader.path, By::Interpreter, found.clone()),
            (_, outcome) => {
                let probes = vec![probe(&loader.path, Step::Path, outcome)];
                self.fail(referrer, &loader.path, By::Interpreter, probes);
                return false;
            }
        }
        true
    }

    /// Goes through the maps from number `next` on, those that are added on the way included.
    fn load_needed(&mut self, mut next: usize) {
        while let Some(map) = self.process.maps.get(next) {
            let object = map.object;
            // The loader has relocated itself, and needs nothing.
            let is_loader = self.is_loader(object);
            let needed = self.store.object(object).elf().map_or(&[][..], Elf::needed).to_vec();
            for name in needed.iter().filter(|_| !is_loader) {
                self.load(next, object, name, By::Needed);
            }
            next += 1;
        }
    }

    /// The first of the names that leads somewhere; without one, the failure of the last stands for all.
    fn load_request(&mut self, request: &Request) {
        let (next, n_missing) = (self.process.maps.len(), self.process.missing.len());
        let by = By::Dlopen(request.reason.clone(), request.priority);
        for name in &request.names {
            self.process.missing.truncate(n_missing);
            self.load(0, request.caller, name, by.clone());
            if self.process.missing.len() == n_missing {
                break;
            }
        }
        if let Some(failure) = self.process.missing.get_mut(n_missing) {
            failure.name = request.name();
        }
        self.load_needed(next);
    }

    /// Where the first of the names leads that leads somewhere. The process is as before.
    fn look(&mut self, request: &Request) -> Option<Sought> {
        if self.process.maps.iter().all(|map| map.object != request.caller) {
            return None;
        }
        let Process { maps, bindings, missing, .. } = &self.process;
        let (n_maps, n_bindings, n_missing) = (maps.len(), bindings.len(), missing.len());
        let mut probes = Vec::new();
        for name in &request.names {
            self.load(0, request.caller, name, By::Dlopen(request.reason.clone(), request.priority));
            let Process { maps, bindings, missing, .. } = &mut self.process;
            let is_new = maps.len() > n_maps;
            maps.truncate(n_maps);
            let found = bindings.drain(n_bindings..).next_back();
            let failures = missing.drain(n_missing..);
            match found {
                Some(Binding { found, .. }) if is_new => return Some(Sought::To(found)),
                Some(_) => return Some(Sought::Loaded),
                None => probes.extend(failures.flat_map(|failure| failure.probes)),
            }
        }
        Some(Sought::Nowhere(probes))
    }

    /// Brings what `referrer` calls `name` into the process for the map `needed_by`, if it is not there already.
    fn load(&mut self, needed_by: usize, referrer: ObjectId, name: &[u8], by: By) {
        if name.is_empty() {
            return self.fail(referrer, name, by, vec![probe(name, Step::Path, Outcome::Fatal(EINVAL.to_owned()))]);
        }
        if self.is_own_name(name) {
            self.add_loader();
            return self.keep_own_link(referrer, name, by);
        }
        let is_path = name.contains(&b'/');
        let known = |map: &Map| map.short_name.as_deref() == Some(name);
        if !is_path && let Some(map) = self.process.maps.iter().skip(1).find(|map| known(map)) {
            let found = self.store.root().lookup_spelled(&map.name);
            return found.into_iter().for_each(|found| self.bind(referrer, name, by.clone(), found));
        }
        let mut probes = Vec::new();
        let opened =
            if is_path { self.open(name, Step::Path, &mut probes) } else { self.search(needed_by, name, &mut probes) };
        match opened {
            Some(Opened::File { found, spelled }) => self.add(needed_by, (referrer, name, by), found, spelled, probes),
            Some(Opened::Failed) | None => self.fail(referrer, name, by, probes),
        }
    }

    /// Maps the file that was opened, unless it is in the process or no library.
    fn add(
        &mut self,
        needed_by: usize,
        (referrer, name, by): (ObjectId, &[u8], By),
        found: Found,
        spelled: Vec<u8>,
        mut probes: Vec<Probe>,
    ) {
        let object = self.store.read(&found);
        let short_name = |path: &[u8]| path.rsplit(|byte| *byte == b'/').next().map(<[u8]>::to_vec);
        let is_path = name.contains(&b'/');
        let inode = self.store.object(object).inode;
        let store = &*self.store;
        let mut others = self.process.maps.iter_mut().skip(1);
        if let Some(known) = others.find(|map| store.object(map.object).inode == inode) {
            if !is_path && known.short_name.is_none() {
                known.short_name = short_name(&known.name);
            }
            return self.bind(referrer, name, by, found);
        }
        if self.is_c_library(object) {
            self.add_loader();
            return self.bind(referrer, name, by, found);
        }
        let outcome = accept(self.store.object(object), self.identity);
        if outcome != Outcome::Found {
            if let Some(last) = probes.last_mut() {
                last.outcome = outcome;
            }
            return self.fail(referrer, name, by, probes);
        }
        let short_name = if is_path { None } else { short_name(&spelled) };
        self.push(object, spelled, short_name, Some(needed_by));
        self.bind(referrer, name, by, found);
    }

    /// The file of a name without a slash.
    fn search(&mut self, needed_by: usize, name: &[u8], probes: &mut Vec<Probe>) -> Option<Opened> {
        if let Some(opened) = self.try_directories(&self.library_path, name, &Step::LibraryPath, probes) {
            return Some(opened);
        }
        let mut next = Some(needed_by);
        while let Some(map) = next.map(|index| &self.process.maps[index]) {
            if let Some((step, directories)) = &map.search_path
                && let Some(opened) = self.try_directories(directories, name, step, probes)
            {
                return Some(opened);
            }
            next = map.loaded_by;
        }
        let loader = self.loader.clone();
        self.process.path_file.clone_from(&loader.path_file);
        let step = loader.path_file.clone().map_or(Step::DefaultDirectory, Step::PathFile);
        self.try_directories(&loader.directories, name, &step, probes)
    }

    fn try_directories(
        &self,
        directories: &[Vec<u8>],
        name: &[u8],
        step: &Step,
        probes: &mut Vec<Probe>,
    ) -> Option<Opened> {
        let paths = directories.iter().map(|directory| [directory, &b"/"[..], name].concat());
        paths.filter(|path| path.len() < PATH_LIMIT).find_map(|path| self.open(&path, step.clone(), probes))
    }

    /// Opens a path; `None` when the search goes on.
    fn open(&self, path: &[u8], step: Step, probes: &mut Vec<Probe>) -> Option<Opened> {
        let (outcome, opened) = if path.starts_with(b"/") {
            match self.store.root().lookup_spelled(path) {
                Ok(found) => (Outcome::Found, Some(Opened::File { found, spelled: path.to_vec() })),
                Err(LookupError::NotADirectory(_)) => (Outcome::Skipped(ENOTDIR), None),
                Err(LookupError::Loop(_)) => (Outcome::Fatal(ELOOP.to_owned()), Some(Opened::Failed)),
                Err(LookupError::Io { .. }) => (Outcome::Fatal(EIO.to_owned()), Some(Opened::Failed)),
                Err(LookupError::NotFound(_) | LookupError::Dangling { .. }) => (Outcome::Absent, None),
            }
        } else {
            (Outcome::Unusable("a relative path depends on the working directory"), None)
        };
        probes.push(probe(path, step, outcome));
        opened
    }

    fn is_own_name(&self, name: &[u8]) -> bool {
        let is_own = |own: &&[u8]| {
            name.strip_prefix(b"lib")
                .and_then(|rest| rest.strip_prefix(*own))
                .is_some_and(|rest| rest.starts_with(b"."))
        };
        OWN_NAMES.iter().any(is_own) || *name == *self.loader.path
    }

    /// The file is not opened. Where a distribution has the name beside the loader, as Alpine has a link, other
    /// programs look for it.
    fn keep_own_link(&mut self, referrer: ObjectId, name: &[u8], by: By) {
        let Some(loader) = self.loader.found.clone().filter(|_| !name.contains(&b'/')) else { return };
        let beside = [directory_of(&self.loader.path), b"/", name].concat();
        match self.store.root().lookup_spelled(&beside) {
            Ok(found) if found.path == loader.path => self.bind(referrer, name, by, found),
            _ => self.bind(referrer, name, by, loader),
        }
    }

    /// The checked symbols are `__libc_start_main` and `stdin`; what a C library calls itself says as much.
    fn is_c_library(&self, object: ObjectId) -> bool {
        let soname = self.store.object(object).elf().and_then(Elf::soname);
        self.is_loader(object) || soname.is_some_and(|soname| is_own_soname(soname) || soname == b"libc.so.6")
    }

    fn is_loader(&self, object: ObjectId) -> bool {
        self.loader.found.as_ref().is_some_and(|found| self.store.object(object).inode == found.info.inode)
    }

    /// Puts the loader into the global scope, when it is first needed.
    fn add_loader(&mut self) {
        let Some(found) = self.loader.found.clone() else { return };
        let object = self.store.read(&found);
        if self.process.maps.iter().skip(1).all(|map| map.object != object) {
            self.push(object, self.loader.path.to_vec(), None, None);
        }
    }

    fn push(&mut self, object: ObjectId, name: Vec<u8>, short_name: Option<Vec<u8>>, loaded_by: Option<usize>) {
        let file = self.store.object(object);
        // The kernel tells of the executable without links, the other names are those that were opened.
        let dynamic = file.elf().and_then(|elf| elf.dynamic.as_ref());
        let search_path = dynamic.and_then(|dynamic| search_path(dynamic, &file.path, directory_of(&name)));
        self.process.maps.push(Map { object, name, short_name, loaded_by, search_path });
    }

    fn bind(&mut self, referrer: ObjectId, name: &[u8], by: By, found: Found) {
        self.process.bindings.push(Binding { referrer, name: name.into(), by, found });
    }

    fn fail(&mut self, referrer: ObjectId, name: &[u8], by: By, probes: Vec<Probe>) {
        let (executable, name) = (self.executable, name.into());
        self.process.missing.push(Failure { referrer, executable, name, by, probes });
    }
}

/// The search path that an object brings; `None` without one, and for one with a token that musl does not know.
fn search_path(dynamic: &Dynamic, object: &RootPath, origin: &[u8]) -> Option<(Step, Vec<Vec<u8>>)> {
    let (step, list) = match (&dynamic.runpath, &dynamic.rpath) {
        (Some(list), _) => (Step::Runpath(object.clone()), list),
        (None, Some(list)) => (Step::Rpath(object.clone()), list),
        (None, None) => return None,
    };
    Some((step, elements(&expand(list, origin)?)))
}

/// `$ORIGIN` is known by its first letters, so that `$ORIGINAL` has an `AL` behind the directory.
fn expand(list: &[u8], origin: &[u8]) -> Option<Vec<u8>> {
    let mut parts = list.split(|byte| *byte == b'$');
    let mut expanded = parts.next().unwrap_or_default().to_vec();
    for part in parts {
        let rest = part.strip_prefix(b"ORIGIN").or_else(|| part.strip_prefix(b"{ORIGIN}"))?;
        expanded.extend_from_slice(origin);
        expanded.extend_from_slice(rest);
    }
    Some(expanded)
}

/// Whether `map_library` maps a file. It looks at `e_type` and the program headers alone, which lie elsewhere in an
/// object of another class.
fn accept(object: &Object, wanted: Identity) -> Outcome {
    let fatal = |words: &str| Outcome::Fatal(words.to_owned());
    let elf = match &object.facts {
        Facts::Elf(elf) => elf,
        Facts::Damaged(ElfError::OutOfRange { field }) if *field != PROGRAM_HEADERS => return fatal(KILLED),
        Facts::Damaged(ElfError::Zeros { .. }) => return fatal(LOST),
        Facts::Damaged(_) | Facts::Script(_) | Facts::Data => return fatal(ENOEXEC),
        Facts::Unreadable(why) => return fatal(why),
    };
    let found = elf.identity;
    let is_of_kind = found.bits == wanted.bits && found.little_endian == wanted.little_endian;
    if !is_of_kind || !matches!(found.file_type, ET_DYN | ET_EXEC) || elf.dynamic.is_none() {
        return fatal(ENOEXEC);
    }
    if elf.cut_off == Some(CutOff::ZeroedPage) {
        return fatal(KILLED);
    }
    if found.machine != wanted.machine {
        return fatal("another machine's object, which musl maps like its own");
    }
    Outcome::Found
}

fn probe(path: &[u8], step: Step, outcome: Outcome) -> Probe {
    Probe { path: escaped(path).to_string(), step, outcome }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_an_unknown_token_is_not_used_at_all() {
        let check = |list: &str, expected: Option<&str>| {
            let expanded = expand(list.as_bytes(), b"/app");
            assert_eq!(expanded.as_deref(), expected.map(str::as_bytes), "{list}");
        };
        check("/lib", Some("/lib"));
        check("$ORIGIN/lib:${ORIGIN}", Some("/app/lib:/app"));
        check("$ORIGINAL", Some("/appAL"));
        check("/lib:$LIB", None);
        check("/lib:$", None);
        check("${ORIGIN", None);
    }

    #[test]
    fn lists_have_colons_and_lines_and_no_empty_elements() {
        let check = |list: &[u8], expected: &[&[u8]]| assert_eq!(elements(list), expected);
        check(DEFAULT_PATH, &[b"/lib", b"/usr/local/lib", b"/usr/lib"]);
        check(b"\n/a\n/b:::/c/\n", &[b"/a", b"/b", b"/c/"]);
        check(b"/a\0/b", &[b"/a"]);
        check(b"", &[]);
    }

    #[test]
    fn the_path_file_is_beside_the_directory_of_the_loader() {
        let check = |loader: &str, expected: Option<&str>| {
            let file = path_file(loader.as_bytes()).map(|path| path.to_string());
            assert_eq!(file.as_deref(), expected, "{loader}");
        };
        check("/lib/ld-musl-x86_64.so.1", Some("/etc/ld-musl-x86_64.path"));
        check("/opt/musl/lib/ld-musl-armhf.so.1", Some("/opt/musl/etc/ld-musl-armhf.path"));
        check("/lib/ld-linux.so.2", None);
    }
}
