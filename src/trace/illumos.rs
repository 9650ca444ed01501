//! What the objects of an illumos root bring: each for itself, since its runtime linkers search per object.
//!
//! Userland objects go through ld.so.1, kernel modules through the kernel's own linker. A file found this way is
//! examined in its turn, so that the work list of the trace is the closure.

use super::Tracer;
use super::add::probed;
use crate::manifest::Omission;
use crate::objects::elf::FilterKind;
use crate::path::{RootPath, escaped};
use crate::reason::{Evidence, Kind, Priority, Reason};
use crate::recipe::{LazyPolicy, System};
use crate::resolve::illumos::{Answer, By, Illumos, Reference};
use crate::resolve::krtld::{self, ModulePath, ModulePlace};
use crate::resolve::lazy::{Verdict, judge};
use crate::resolve::store::ObjectId;
use crate::root::Root;
use goblin::elf::header::ET_DYN;

/// Files that a root of illumos has and one of Linux has not. The name of the runtime linker is no such file: that of
/// Linux on PowerPC has it too.
const TELLTALES: [&str; 4] = ["/lib/libc.so.1", "/usr/lib/libc.so.1", "/lib/amd64/libc.so.1", "/etc/name_to_major"];

/// The kernel of a 64-bit root lies here; without it the root's kernel is 32-bit.
pub(super) const KERNEL_64: &str = "/kernel/amd64/genunix";

/// What system a root is of, when nobody says it.
pub(crate) fn system_of(root: &Root) -> System {
    if TELLTALES.iter().any(|path| root.has(path)) { System::Illumos } else { System::Linux }
}

/// The architecture of an illumos root in isainfo(1)'s words: what its kernel is, or its C library where there is none.
pub(super) fn arch_of(root: &Root) -> &'static str {
    if root.has(KERNEL_64) || root.has("/lib/amd64/libc.so.1") { "amd64" } else { "i386" }
}

impl Tracer<'_> {
    /// Works out what the new objects ask for.
    pub(super) fn link_illumos_objects(&mut self) {
        for id in std::mem::take(&mut self.stale) {
            let path = self.object_path(id);
            // Once is enough: what an object needs does not depend on who asks.
            if !self.linked.insert(id) {
                self.link_requests(id);
                continue;
            }
            match self.module_path.place(&path) {
                Some(place) => self.link_module(id, &path, &place),
                None => self.link_object(id, &path),
            }
            self.link_requests(id);
        }
    }

    fn link_object(&mut self, id: ObjectId, path: &RootPath) {
        self.runs_in.entry(id).or_default().push(id);
        self.meet(id);
        let references = self.illumos.references(self.glibc.store_mut(), id);
        for reference in &references {
            match reference.by {
                By::Interpreter => {
                    self.follow(path, reference, Kind::Interpreter, escaped(&reference.name).to_string())
                }
                By::Needed { lazy: false, .. } => {
                    self.follow(path, reference, Kind::Needed, escaped(&reference.name).to_string());
                }
                By::Needed { index, lazy: true } => self.follow_lazy(id, path, reference, index),
                By::Filtee { kind, at_start } => self.follow_filtee(path, reference, kind, at_start),
            }
        }
        let bits = self.glibc.store().object(id).elf().map_or(0, |elf| elf.identity.bits);
        if let Some(file) = self.illumos.configuration(self.glibc.store(), bits)
            && !references.is_empty()
        {
            let reason = Reason::new(Evidence::Proven, Kind::SearchPath, "crle");
            self.need(Some(path), &file, reason, Priority::Required);
        }
        for failure in Illumos::version_failures(self.glibc.store(), id, &references) {
            self.version_is_missing(path, failure.library, &failure.name, &failure.version);
        }
    }

    fn follow(&mut self, from: &RootPath, reference: &Reference, kind: Kind, detail: String) {
        let reason = Reason::new(Evidence::Proven, kind, detail);
        self.follow_answer(from, &escaped(&reference.name).to_string(), &reference.answer, reason, Priority::Required);
    }

    fn follow_answer(&mut self, from: &RootPath, name: &str, answer: &Answer, reason: Reason, priority: Priority) {
        match answer {
            Answer::Found { found, .. } => {
                self.need_found(Some(from), found.clone(), reason);
            }
            Answer::Missing(probes) => {
                if !name.contains('/') {
                    self.not_found.insert((from.clone(), name.to_owned()));
                }
                self.note_missing(Some(from), name.to_owned(), reason, priority, probed(probes));
            }
        }
    }

    fn follow_lazy(&mut self, id: ObjectId, from: &RootPath, reference: &Reference, index: usize) {
        let name = escaped(&reference.name).to_string();
        let policy = self.lazy_policy();
        let library = match &*reference.answer {
            Answer::Found { object, .. } => Some(*object),
            Answer::Missing(_) => None,
        };
        if policy != LazyPolicy::All {
            let store = self.glibc.store_mut();
            store.read_bindings(id);
            library.into_iter().for_each(|library| store.read_bindings(library));
        }
        let store = self.glibc.store();
        let exports = || library.and_then(|library| store.bindings(library));
        // A library that may never be asked for may be absent; one that is bound may not.
        let (evidence, priority) = match judge(policy, index, || store.bindings(id), exports) {
            Verdict::Keep(evidence) => (evidence, Priority::Required),
            Verdict::KeepUnproven(evidence) => (evidence, Priority::Recommended),
            Verdict::Drop(proof) => {
                let to = library.map(|library| self.object_path(library));
                return self.drop_lazy(from, Kind::LazyNeeded, name, to, proof);
            }
        };
        let reason = Reason::new(Evidence::Proven, Kind::LazyNeeded, format!("{name}: {evidence}"));
        self.follow_answer(from, &name, &reference.answer, reason, priority);
    }

    fn follow_filtee(&mut self, from: &RootPath, reference: &Reference, kind: FilterKind, at_start: bool) {
        let name = escaped(&reference.name).to_string();
        let found = match &*reference.answer {
            Answer::Found { found, .. } => Some(found.path.clone()),
            Answer::Missing(_) => None,
        };
        if kind == FilterKind::Auxiliary && found.is_none() {
            return;
        }
        if self.lazy_policy() == LazyPolicy::Eager && !at_start {
            let proof = "not loaded at start: a filtee is loaded when a filtered symbol is first looked up".to_owned();
            return self.drop_lazy(from, Kind::Filtee, name, found, proof);
        }
        self.follow(from, reference, Kind::Filtee, name);
    }

    fn drop_lazy(&mut self, from: &RootPath, kind: Kind, name: String, to: Option<RootPath>, why: String) {
        let reason = Reason::new(Evidence::Proven, kind, name);
        self.dropped.insert(Omission { from: Some(from.clone()), reason, to, why });
    }

    fn lazy_policy(&self) -> LazyPolicy {
        self.input.recipe.trace.lazy.unwrap_or_default()
    }

    /// Libraries that the object asks for while it runs.
    fn link_requests(&mut self, id: ObjectId) {
        let requests = self.requests.get(&id).cloned().unwrap_or_default();
        for request in requests.into_iter().filter(|request| request.caller == id) {
            let path = self.object_path(id);
            let answer = self.illumos.request(self.glibc.store_mut(), &request);
            if matches!(*answer, Answer::Found { .. }) || request.priority.is_some() {
                let name = escaped(&request.name()).to_string();
                let priority = request.priority.unwrap_or_default();
                self.follow_answer(&path, &name, &answer, request.reason, priority);
            }
        }
    }

    fn link_module(&mut self, id: ObjectId, path: &RootPath, place: &ModulePlace<'_>) {
        let store = self.glibc.store();
        let Some(elf) = store.object(id).elf() else { return };
        // Programs in the kernel's directories have an interpreter, and libraries in a directory of `moddir` are shared
        // objects; modules are relocatable, and `unix` has no interpreter.
        if elf.interpreter.is_some() || elf.identity.file_type == ET_DYN {
            return self.link_object(id, path);
        }
        let bits = elf.identity.bits;
        let names: Vec<Vec<u8>> = krtld::needed(elf).map(<[u8]>::to_vec).collect();
        if !self.forbidden.contains_key(path) {
            self.illumos_modules.add_kernel(path, place, bits);
        }
        let module_path = if place.is_primary() { ModulePath::default() } else { self.module_path.clone() };
        for name in names {
            let text = escaped(&name).to_string();
            let reason = Reason::new(Evidence::Proven, Kind::Module, text.clone());
            match module_path.find(self.input.root, place.platform, bits, &name) {
                Ok(found) => {
                    self.need_found(Some(path), found, reason);
                }
                Err(probes) => self.note_missing(Some(path), text, reason, Priority::Required, probed(&probes)),
            }
        }
        if let Some(found) = self.module_path.configuration(self.input.root, place) {
            let reason = Reason::new(Evidence::Proven, Kind::DriverConfiguration, escaped(place.name).to_string());
            self.need_found(Some(path), found, reason);
        }
    }
}
