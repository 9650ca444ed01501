//! The processes of an image, mapped as their runtime linker maps them; what is missing is told in its words.
//!
//! The sentences are those of glibc's `elf/dl-load.c`, `elf/dl-version.c`, `elf/dl-lookup.c` and `elf/rtld.c`, which call
//! the program by the name it was started under, and libraries by the path they were opened at. Those of musl are in
//! [`super::musl`].

use super::symbols::{MissingSymbol, Symbols};
use super::tree::Tree;
use super::{Component, Finding, Severity};
use crate::objects::elf::{CutOff, ElfError, Name};
use crate::path::{RootPath, escaped};
use crate::resolve::glibc::{By, Cache, Failure, Glibc, VersionFailure};
use crate::resolve::musl::{self, Musl};
use crate::resolve::store::{Facts, ObjectId, Store};
use crate::resolve::{KILLED, LOST, Outcome, Probe, cpu::Cpu, is_death};
use crate::root::Root;
use std::collections::{BTreeSet, HashMap, HashSet};

/// A program that runs in the image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Process {
    /// Started by the startup, as opposed to a program that another one may start.
    pub is_started: bool,
    /// `argv[0]`.
    pub name: String,
    /// The file that the kernel was asked for, `AT_EXECFN` of getauxval(3): a link, or the script of an interpreter.
    pub file: RootPath,
    /// The file, without symlinks.
    pub path: RootPath,
}

/// The runtime linker of one image.
pub(super) struct RuntimeLinker<'r> {
    root: &'r Root,
    tree: &'r Tree,
    pub(super) glibc: Glibc<'r>,
    pub(super) musl: Musl,
    pub(super) symbols: Symbols,
    /// The path that an object was opened at, and the one that a name of an object led to.
    opened: HashMap<ObjectId, String>,
    bound: HashMap<(ObjectId, Box<[u8]>), String>,
    /// References that have been told: object and name.
    pub told: BTreeSet<(RootPath, String)>,
    pub(super) told_symbols: HashSet<(ObjectId, Name)>,
    /// Objects that were cut off, and of which that was told.
    told_cut_off: HashSet<ObjectId>,
    /// Objects that lack a library or a version: what their processes lack beside that is a consequence.
    broken: HashSet<ObjectId>,
}

pub(super) const SAME_RELEASE: &str = "take program and library from the same release";

impl<'r> RuntimeLinker<'r> {
    pub(super) fn new(root: &'r Root, tree: &'r Tree, store: Store<'r>, library_path: &[String]) -> RuntimeLinker<'r> {
        let glibc = Glibc::new(store, Cpu::default(), Cache::AsItIs, library_path);
        RuntimeLinker {
            root,
            tree,
            glibc,
            musl: Musl::new(library_path),
            symbols: Symbols::default(),
            opened: HashMap::new(),
            bound: HashMap::new(),
            told: BTreeSet::new(),
            told_symbols: HashSet::new(),
            told_cut_off: HashSet::new(),
            broken: HashSet::new(),
        }
    }

    /// Maps a process and tells what keeps it from starting. What several processes lack is told of the first.
    pub(super) fn start(&mut self, process: &Process) -> Vec<Finding> {
        let Ok(found) = self.root.lookup_nofollow(&process.path) else { return Vec::new() };
        let executable = self.glibc.store_mut().read(&found);
        if process.is_started
            && let Some(death) = self.death_of(executable)
        {
            let message = format!("{}: {death}", process.name);
            let finding = Finding::new(Severity::PreventsStart, Component::Program, message);
            return vec![finding.at(process.path.clone()).hint(anew(&process.path))];
        }
        let Facts::Elf(elf) = &self.glibc.store().object(executable).facts else { return Vec::new() };
        if musl::loads(elf) { self.start_musl(process, executable) } else { self.start_glibc(process, executable) }
    }

    /// What a shell says of a program that was cut off, and of which the kernel, or its loader, does not get past the
    /// beginning. A last page that has to be filled with zeros, and that the file does not have, ends it in the kernel
    /// (`padzero` of fs/binfmt_elf.c).
    fn death_of(&self, executable: ObjectId) -> Option<&'static str> {
        match &self.glibc.store().object(executable).facts {
            Facts::Elf(elf) => (elf.cut_off == Some(CutOff::ZeroedPage)).then_some(LOST),
            Facts::Damaged(ElfError::Zeros { .. }) => Some(LOST),
            Facts::Damaged(ElfError::OutOfRange { .. }) => {
                Some(if self.glibc.store().cut_off(executable) == Some(CutOff::Pages) { KILLED } else { LOST })
            }
            Facts::Damaged(_) | Facts::Script(_) | Facts::Data | Facts::Unreadable(_) => None,
        }
    }

    /// Tells of objects of a process that were cut off where nobody looks before the program does, each once.
    pub(super) fn lacking(&mut self, objects: &[ObjectId]) -> Vec<Finding> {
        let mut told = Vec::new();
        for &object in objects {
            let cut_off = self.glibc.store().object(object).elf().and_then(|elf| elf.cut_off);
            let path = self.object_path(object);
            let message = match cut_off {
                Some(CutOff::Bytes) => {
                    "the file was cut off in its last page, and the rest of that reads as zeros".to_owned()
                }
                Some(CutOff::Pages) => format!("{KILLED}, as soon as something touches what the file was cut off from"),
                Some(CutOff::ZeroedPage) | None => continue,
            };
            if self.told_cut_off.insert(object) {
                let finding = Finding::new(Severity::Harmful, Component::Program, message);
                told.push(finding.hint(anew(&path)).at(path));
            }
        }
        told
    }

    fn start_glibc(&mut self, process: &Process, executable: ObjectId) -> Vec<Finding> {
        let Some(elf) = self.glibc.store().object(executable).elf() else { return Vec::new() };
        let bits = elf.identity.bits;
        let scope = self.glibc.run(executable, &[]);
        let findings = self.glibc.take_findings();
        for binding in findings.bindings {
            let place = self.glibc.place(binding.place);
            let path = escaped(&place.spelled).to_string();
            self.opened.entry(place.object).or_insert_with(|| path.clone());
            self.bound.insert((binding.referrer, self.glibc.name(binding.name).into()), path);
        }
        let mut told = self.lacking(&scope);
        for failure in findings.missing.iter().filter(|failure| failure.by == By::Needed) {
            let message = match self.reason(failure, bits) {
                death if is_death(&death) => death,
                reason => format!("{}: error while loading shared libraries: {reason}", process.name),
            };
            let referrer = self.object_path(failure.referrer);
            self.broken.insert(failure.referrer);
            self.told.insert((referrer.clone(), escaped(&failure.name).to_string()));
            told.push(process.finding(message).at(referrer).hint(self.hint(failure)));
        }
        for failure in &findings.versions {
            let message = self.version_message(process, executable, failure);
            let (referrer, version) = (self.object_path(failure.referrer), escaped(&failure.version));
            self.told.insert((referrer.clone(), format!("{} ({version})", escaped(&failure.name))));
            self.broken.insert(failure.referrer);
            told.push(process.finding(message).at(referrer).hint(SAME_RELEASE));
        }
        // Relocation comes after all that, and ends with the first symbol that is missing.
        if scope.iter().all(|object| !self.broken.contains(object))
            && let Some(symbol) = self.symbols.first_missing(self.glibc.store(), &scope)
            && self.told_symbols.insert((symbol.object, symbol.wanted.name.clone()))
        {
            let message = self.symbol_message(process, executable, &symbol);
            told.push(process.finding(message).at(self.object_path(symbol.object)).hint(SAME_RELEASE));
        }
        told
    }

    /// `_dl_lookup_symbol_x` of glibc's `elf/dl-lookup.c`.
    fn symbol_message(&self, process: &Process, executable: ObjectId, symbol: &MissingSymbol) -> String {
        let object = self.name_of(symbol.object, process, executable);
        let version = symbol.wanted.version.as_ref().map(|version| format!(", version {}", escaped(version)));
        let (name, version) = (escaped(&symbol.wanted.name), version.unwrap_or_default());
        format!("{}: symbol lookup error: {object}: undefined symbol: {name}{version}", process.name)
    }

    /// What the loader calls an object of a process.
    fn name_of(&self, object: ObjectId, process: &Process, executable: ObjectId) -> String {
        match self.opened.get(&object) {
            _ if object == executable => process.name.clone(),
            Some(path) => path.clone(),
            None => self.object_path(object).to_string(),
        }
    }

    /// `_dl_map_object`: a file that is no library ends the search with its path, a search without a result with the
    /// name, and with another error if a library of the other class was passed over.
    fn reason(&mut self, failure: &Failure, bits: u8) -> String {
        match failure.probes.last() {
            Some(Probe { outcome: Outcome::Fatal(words), .. }) if is_death(words) => return words.clone(),
            Some(Probe { path, outcome: Outcome::Fatal(words), .. }) => return format!("{path}: {words}"),
            _ => {}
        }
        let name = escaped(&failure.name);
        if failure.probes.iter().any(|probe| self.is_of_other_class(probe, bits)) {
            // The class that was found.
            return format!("{name}: wrong ELF class: {}", if bits == 64 { "ELFCLASS32" } else { "ELFCLASS64" });
        }
        format!("{name}: cannot open shared object file: No such file or directory")
    }

    fn is_of_other_class(&mut self, probe: &Probe, bits: u8) -> bool {
        if !matches!(probe.outcome, Outcome::Skipped(_)) {
            return false;
        }
        let Ok(found) = self.root.lookup_spelled(probe.path.as_bytes()) else { return false };
        let object = self.glibc.store_mut().read(&found);
        self.glibc.store().object(object).elf().is_some_and(|elf| elf.identity.bits != bits)
    }

    fn version_message(&self, process: &Process, executable: ObjectId, failure: &VersionFailure) -> String {
        let bound = self.bound.get(&(failure.referrer, failure.name.clone())).cloned();
        let library = bound.unwrap_or_else(|| self.object_path(failure.library).to_string());
        let requirer = self.name_of(failure.referrer, process, executable);
        let version = escaped(&failure.version);
        format!("{}: {library}: version `{version}' not found (required by {requirer})", process.name)
    }

    pub(super) fn hint(&self, failure: &Failure) -> String {
        let name = failure.name.rsplit(|&b| b == b'/').next().unwrap_or_default();
        let referrer = self.object_path(failure.referrer);
        match self.tree.iter().find(|(path, _)| path.file_name() == name) {
            Some((path, _)) if matches!(failure.probes.last().map(|p| &p.outcome), Some(Outcome::Fatal(_))) => {
                format!("{referrer} needs it; take `{path}` anew from its package")
            }
            Some((path, _)) => {
                format!("{referrer} needs it, and `{path}` does not serve: another class, or no place that is searched")
            }
            None => format!("{referrer} needs it, and no file of the image has this name: add the package that has it"),
        }
    }

    pub(super) fn object_path(&self, object: ObjectId) -> RootPath {
        self.glibc.store().object(object).path.clone()
    }
}

fn anew(path: &RootPath) -> String {
    format!("take `{path}` anew from its package")
}

impl Process {
    pub(super) fn finding(&self, message: String) -> Finding {
        let severity = if self.is_started { Severity::PreventsStart } else { Severity::Harmful };
        Finding::new(severity, Component::RuntimeLinker, message)
    }
}
