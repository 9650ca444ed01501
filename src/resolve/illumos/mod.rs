//! The illumos runtime linker: which file each dependency and filtee of an object is (ld.so.1(1); illumos
//! `usr/src/cmd/sgs/rtld/common/{paths,setup,elf,analyze}.c`).
//!
//! Unlike glibc's, its answer does not depend on the process: an object searches for what *it* needs, in
//!
//! 1. the directories of its own `DT_RUNPATH` (or `DT_RPATH`, which means the same), never those of its loader;
//! 2. unless it was linked with `-z nodefaultlib`, the default directories: those of the configuration file of crle(1),
//!    if there is one for the class, else `/lib` and `/usr/lib`, or `/lib/64` and `/usr/lib/64`.
//!
//! A name with a slash is a path. A file of another class or machine is passed over and remembered for the message.
//! `LD_*` variables never count. Filters are searched like dependencies; see [`crate::objects::elf::Filter`].

mod config;
mod tokens;

use super::glibc::Request;
use super::store::{Facts, Object, ObjectId, Store};
use super::{Outcome, Probe, Step};
use crate::objects::elf::{Elf, ElfError, FilterKind, Identity, Name};
use crate::path::{RootPath, escaped};
use crate::root::{FileKind, Found};
use foldhash::HashMap;
use goblin::elf::dynamic::{DF_1_LOADFLTR, DF_1_NODEFLIB};
use std::sync::Arc;

const CONFIGURATIONS: [(u8, &str); 2] = [(32, "/var/ld/ld.config"), (64, "/var/ld/64/ld.config")];
const DEFAULT_DIRECTORIES: [(u8, &[u8]); 2] = [(32, b"/lib:/usr/lib"), (64, b"/lib/64:/usr/lib/64")];

/// What the linker says of a file that it passes over for its kind: this, or words that begin so.
pub const UNKNOWN_FILE: &str = "unknown file type";
pub const WRONG_ELF: &str = "wrong ELF ";

/// One name in an object, and what it led to.
#[derive(Debug, Clone)]
pub struct Reference {
    pub name: Name,
    pub by: By,
    pub answer: Arc<Answer>,
}

/// How an object asks for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// `PT_INTERP`, which the kernel opens.
    Interpreter,
    /// `DT_NEEDED` number `index`.
    Needed { index: usize, lazy: bool },
    /// A filtee; `at_start` for `-z loadfltr`, else it is loaded when a filtered symbol is first looked up.
    Filtee { kind: FilterKind, at_start: bool },
}

/// What a search came to.
#[derive(Debug)]
pub enum Answer {
    Found {
        found: Found,
        object: ObjectId,
        step: Step,
    },
    /// With every place tried.
    Missing(Vec<Probe>),
}

/// A version that the library in use does not define.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionFailure {
    pub library: ObjectId,
    pub name: Name,
    pub version: Name,
}

/// The resolver for one root.
#[derive(Default)]
pub struct Illumos {
    /// By class, read when first asked for.
    defaults: HashMap<u8, Arc<Defaults>>,
    /// Searches in which no directory of an object's own takes part.
    default_searches: HashMap<(Identity, Name), Arc<Answer>>,
}

/// Where objects of one class look by default.
#[derive(Debug, Default)]
struct Defaults {
    directories: Vec<Vec<u8>>,
    /// The file of crle(1) that says so.
    configuration: Option<RootPath>,
}

impl Illumos {
    /// What an object asks for, in the order of its dynamic section, the interpreter first; nothing for what is no ELF
    /// object.
    pub fn references(&mut self, store: &mut Store<'_>, id: ObjectId) -> Vec<Reference> {
        let object = store.object(id);
        let Some(elf) = object.elf().cloned() else { return Vec::new() };
        let path = object.path.clone();
        let mut references = Vec::new();
        if let Some(interpreter) = &elf.interpreter {
            let answer = Arc::new(self.search_path(store, elf.identity, interpreter));
            references.push(Reference { name: interpreter.clone(), by: By::Interpreter, answer });
        }
        let Some(dynamic) = &elf.dynamic else { return references };
        let at_start = dynamic.has_flag_1(DF_1_LOADFLTR);
        for filter in &dynamic.filters {
            for filtee in filter.filtees.split(|byte| *byte == b':').filter(|name| !name.is_empty()) {
                let by = By::Filtee { kind: filter.kind, at_start };
                for answer in self.search_all(store, &path, &elf, filtee) {
                    references.push(Reference { name: filtee.into(), by, answer });
                }
            }
        }
        for (index, name) in dynamic.needed.iter().enumerate() {
            let by = By::Needed { index, lazy: dynamic.lazy.contains(&index) };
            let answer = self.search(store, &path, &elf, name);
            references.push(Reference { name: name.clone(), by, answer });
        }
        references
    }

    /// The versions that an object needs and the libraries it got do not define.
    pub fn version_failures(store: &Store<'_>, id: ObjectId, references: &[Reference]) -> Vec<VersionFailure> {
        let Some(dynamic) = store.object(id).elf().and_then(|elf| elf.dynamic.as_ref()) else { return Vec::new() };
        let mut failures = Vec::new();
        for need in &dynamic.versions_needed {
            let reference = references.iter().find(|r| matches!(r.by, By::Needed { .. }) && r.name == need.file);
            let Some(Answer::Found { object: library, .. }) = reference.map(|r| &*r.answer) else { continue };
            let Some(found) = store.object(*library).elf().and_then(|elf| elf.dynamic.as_ref()) else { continue };
            failures.extend(need.absent_from(found).map(|version| VersionFailure {
                library: *library,
                name: need.file.clone(),
                version: version.clone(),
            }));
        }
        failures
    }

    /// A library that an object asks for while it runs: searched like one it needs (dlopen(3C)).
    pub fn request(&mut self, store: &mut Store<'_>, request: &Request) -> Arc<Answer> {
        let object = store.object(request.caller);
        let path = object.path.clone();
        let Some(elf) = object.elf().cloned() else { return Arc::new(Answer::Missing(Vec::new())) };
        let mut tried = Vec::new();
        for name in &request.names {
            let answer = self.search(store, &path, &elf, name);
            match &*answer {
                Answer::Found { .. } => return answer,
                Answer::Missing(probes) => tried.extend(probes.iter().cloned()),
            }
        }
        Arc::new(Answer::Missing(tried))
    }

    /// As [`Illumos::search`], with every object of a capability directory.
    fn search_all(&mut self, store: &mut Store<'_>, path: &RootPath, elf: &Elf, name: &[u8]) -> Vec<Arc<Answer>> {
        let Some(directory) = tokens::capability_directory(name) else {
            return vec![self.search(store, path, elf, name)];
        };
        let mut answers = Vec::new();
        for directory in tokens::expand(directory, origin(path)) {
            let Ok(found) = store.root().lookup_spelled(&directory) else { continue };
            let entries = store.root().walk(&found.path).into_iter().filter_map(Result::ok);
            for entry in entries.filter(|entry| entry.info.kind == FileKind::File).collect::<Vec<_>>() {
                let spelled = entry.path.as_bytes().to_vec();
                let (outcome, object) = judge(store, elf.identity, &entry);
                if outcome == Outcome::Found {
                    answers.push(Arc::new(Answer::Found { found: entry, object, step: Step::Path }));
                } else {
                    answers.push(Arc::new(Answer::Missing(vec![probe(&spelled, Step::Path, outcome)])));
                }
            }
        }
        answers
    }

    fn search(&mut self, store: &mut Store<'_>, path: &RootPath, elf: &Elf, name: &[u8]) -> Arc<Answer> {
        if name.contains(&b'/') {
            let expanded = tokens::expand(name, origin(path)).swap_remove(0);
            return Arc::new(self.search_path(store, elf.identity, &expanded));
        }
        let dynamic = elf.dynamic.as_ref();
        let runpath = dynamic.and_then(|dynamic| dynamic.runpath.as_ref().or(dynamic.rpath.as_ref()));
        let takes_defaults = !dynamic.is_some_and(|dynamic| dynamic.has_flag_1(DF_1_NODEFLIB));
        let mut probes = Vec::new();
        if let Some(runpath) = runpath {
            let directories: Vec<Vec<u8>> =
                elements(runpath).flat_map(|element| tokens::expand(element, origin(path))).collect();
            let step = Step::Runpath(path.clone());
            if let Some(answer) = try_directories(store, elf.identity, &directories, name, &step, &mut probes) {
                return Arc::new(answer);
            }
        }
        if !takes_defaults {
            return Arc::new(Answer::Missing(probes));
        }
        let by_default = self.search_defaults(store, elf.identity, name);
        match &*by_default {
            Answer::Missing(tried) if !probes.is_empty() => {
                probes.extend(tried.iter().cloned());
                Arc::new(Answer::Missing(probes))
            }
            _ => by_default,
        }
    }

    fn search_defaults(&mut self, store: &mut Store<'_>, identity: Identity, name: &[u8]) -> Arc<Answer> {
        let key = (identity, Name::from(name));
        if let Some(known) = self.default_searches.get(&key) {
            return known.clone();
        }
        let defaults = self.defaults(store, identity.bits);
        let mut probes = Vec::new();
        let answer =
            try_directories(store, identity, &defaults.directories, name, &Step::DefaultDirectory, &mut probes);
        let answer = Arc::new(answer.unwrap_or(Answer::Missing(probes)));
        self.default_searches.insert(key, answer.clone());
        answer
    }

    /// The configuration file of crle(1) that counts for objects of a class, if there is one.
    pub fn configuration(&mut self, store: &Store<'_>, bits: u8) -> Option<RootPath> {
        self.defaults(store, bits).configuration.clone()
    }

    fn defaults(&mut self, store: &Store<'_>, bits: u8) -> Arc<Defaults> {
        let read = || {
            let (_, path) = CONFIGURATIONS.iter().find(|(class, _)| *class == bits)?;
            let path = RootPath::new(path).expect("a constant");
            let file = store.root().read_optional(&path).ok().flatten()?;
            let directories = elements(config::library_path(&file, bits)?).map(<[u8]>::to_vec).collect();
            Some(Defaults { directories, configuration: Some(path) })
        };
        let built_in = || {
            let list = DEFAULT_DIRECTORIES.iter().find(|(class, _)| *class == bits).map(|(_, list)| *list);
            Defaults {
                directories: elements(list.unwrap_or_default()).map(<[u8]>::to_vec).collect(),
                configuration: None,
            }
        };
        self.defaults.entry(bits).or_insert_with(|| Arc::new(read().unwrap_or_else(built_in))).clone()
    }

    fn search_path(&self, store: &mut Store<'_>, identity: Identity, path: &[u8]) -> Answer {
        if !path.starts_with(b"/") {
            let outcome = Outcome::Unusable("a relative path depends on the working directory");
            return Answer::Missing(vec![probe(path, Step::Path, outcome)]);
        }
        let mut probes = Vec::new();
        try_file(store, identity, path, &Step::Path, &mut probes).unwrap_or(Answer::Missing(probes))
    }
}

/// The non-empty elements of a list with colons.
fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b':').filter(|element| !element.is_empty())
}

/// `$ORIGIN`: the directory of the object without symlinks, as ld.so.1 resolves it before use.
fn origin(path: &RootPath) -> &[u8] {
    super::directory_of(path.as_bytes())
}

fn try_directories(
    store: &mut Store<'_>,
    identity: Identity,
    directories: &[Vec<u8>],
    name: &[u8],
    step: &Step,
    probes: &mut Vec<Probe>,
) -> Option<Answer> {
    directories.iter().find_map(|directory| {
        let path = [&directory[..], b"/", name].concat();
        try_file(store, identity, &path, step, probes)
    })
}

fn try_file(
    store: &mut Store<'_>,
    identity: Identity,
    path: &[u8],
    step: &Step,
    probes: &mut Vec<Probe>,
) -> Option<Answer> {
    let Ok(found) = store.root().lookup_spelled(path) else {
        probes.push(probe(path, step.clone(), Outcome::Absent));
        return None;
    };
    let (outcome, object) = judge(store, identity, &found);
    if outcome == Outcome::Found {
        return Some(Answer::Found { found, object, step: step.clone() });
    }
    probes.push(probe(path, step.clone(), outcome));
    None
}

fn probe(path: &[u8], step: Step, outcome: Outcome) -> Probe {
    Probe { path: escaped(path).to_string(), step, outcome }
}

/// Whether the linker takes a file for a process of this class and machine; the words are those of its messages
/// (`usr/src/cmd/sgs/rtld/common/rtld.msg`).
fn judge(store: &mut Store<'_>, wanted: Identity, found: &Found) -> (Outcome, ObjectId) {
    let id = store.read(found);
    (accept(store.object(id), wanted), id)
}

fn accept(object: &Object, wanted: Identity) -> Outcome {
    let elf = match &object.facts {
        Facts::Elf(elf) => elf,
        // Without a whole ELF header it is no ELF file.
        Facts::Damaged(ElfError::TooShort) | Facts::Script(_) | Facts::Data => return Outcome::Skipped(UNKNOWN_FILE),
        Facts::Damaged(_) => return Outcome::Skipped("damaged ELF file"),
        Facts::Unreadable(_) => return Outcome::Skipped("cannot be read"),
    };
    let is = elf.identity;
    match is.bits {
        bits if bits == wanted.bits => {}
        64 => return Outcome::Skipped("wrong ELF class: ELFCLASS64"),
        _ => return Outcome::Skipped("wrong ELF class: ELFCLASS32"),
    }
    if is.little_endian != wanted.little_endian {
        return Outcome::Skipped("wrong ELF data format");
    }
    if is.machine != wanted.machine {
        return Outcome::Skipped("wrong ELF machine type");
    }
    Outcome::Found
}
