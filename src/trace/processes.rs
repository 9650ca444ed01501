//! Files are examined for what they are, and executables for what their processes map.

use super::Tracer;
use super::add::probed;
use crate::manifest::{Omission, Probed};
use crate::path::{RootPath, escaped};
use crate::reason::{Evidence, Kind, Priority, Reason};
use crate::recipe::System;
use crate::resolve::glibc::{Binding, By, Failure, NameId, PlaceId, VersionFailure};
use crate::resolve::store::{Facts, ObjectId};
use crate::resolve::{Outcome, Step, musl};
use crate::root::FileKind;
use crate::startup::LIBRARY_PATH;
use crate::text;
use std::sync::Arc;

const PRELOAD_FILE: &str = "/etc/ld.so.preload";

/// The step of a search that ended with a library which lacks a version.
pub(crate) const VERSION_STEP: &str = "symbol version";

impl Tracer<'_> {
    /// Reads the files that have come in, all at once, and tells executables from scripts and data.
    pub(super) fn examine_files(&mut self) {
        let files = std::mem::take(&mut self.unexamined);
        for id in self.glibc.store_mut().read_all(files.iter()) {
            let object = self.glibc.store().object(id);
            let path = object.path.clone();
            match &object.facts {
                Facts::Elf(elf) => {
                    self.arch = self.arch.or_else(|| kernel_word(elf.identity.machine, elf.identity.bits));
                    self.stale.insert(id);
                }
                Facts::Script(_) if self.only_opened.contains(&path) => {}
                Facts::Script(head) => {
                    let head = head.clone();
                    self.examine_script(&path, &head);
                }
                Facts::Damaged(error) => {
                    let why = format!("the file begins like an ELF object, but {error}");
                    self.cannot_know(&path, why);
                }
                Facts::Unreadable(error) => {
                    let why = format!("cannot be read: {error}");
                    self.cannot_know(&path, why);
                }
                Facts::Data => {}
            }
        }
    }

    pub(super) fn cannot_know(&mut self, path: &RootPath, why: String) {
        let reason = Reason::new(Evidence::Suspected, Kind::String, "");
        self.unknown.insert(Omission { from: Some(path.clone()), reason, to: None, why });
    }

    /// Works out the processes of all executables that are new or have new requests.
    pub(super) fn run_processes(&mut self) {
        let stale = std::mem::take(&mut self.stale);
        let (of_musl, stale): (Vec<_>, Vec<_>) = stale.into_iter().partition(|id| self.is_of_musl(*id));
        for executable in of_musl {
            self.run_musl_process(executable);
        }
        self.glibc.prefetch(&stale);
        for executable in stale {
            let requests = self.requests.get(&executable).map_or(&[][..], Vec::as_slice);
            let members = self.glibc.run(executable, requests);
            self.note_members(executable, &members);
        }
        let findings = self.glibc.take_findings();
        for binding in findings.bindings {
            self.add_binding(&binding);
        }
        for failure in findings.missing {
            self.add_failure(&failure);
        }
        for VersionFailure { referrer, library, name, version } in findings.versions {
            let from = self.object_path(referrer);
            self.version_is_missing(&from, library, &name, &version);
        }
    }

    pub(super) fn is_of_musl(&self, executable: ObjectId) -> bool {
        self.glibc.store().object(executable).elf().is_some_and(musl::loads)
    }

    /// Works out one process of musl, and enters what it maps.
    fn run_musl_process(&mut self, executable: ObjectId) {
        let requests = self.requests.get(&executable).map_or(&[][..], Vec::as_slice);
        let process = self.musl.run(self.glibc.store_mut(), executable, requests);
        let members: Vec<ObjectId> = process.maps.iter().map(|map| map.object).collect();
        self.note_members(executable, &members);
        if let Some(file) = &process.path_file {
            let from = self.object_path(executable);
            self.need(Some(&from), file, Reason::new(Evidence::Proven, Kind::SearchPath, "musl"), Priority::Required);
        }
        for musl::Binding { referrer, name, by, found } in process.bindings {
            let from = self.object_path(referrer);
            self.need_data(Some(&from), &found, reason(&by, detail(&name)));
            // Examined as part of the process: it does not run by itself.
            self.examined.insert(found.path);
        }
        for failure in &process.missing {
            self.add_failure(failure);
        }
    }

    /// Takes down which objects run in a process.
    fn note_members(&mut self, executable: ObjectId, members: &[ObjectId]) {
        for &member in members {
            let executables = self.runs_in.entry(member).or_default();
            let is_new = executables.is_empty();
            if executables.last() != Some(&executable) {
                executables.push(executable);
            }
            if is_new {
                self.meet(member);
            }
        }
        self.repeat_requests(executable, members);
    }

    pub(super) fn object_path(&self, object: ObjectId) -> RootPath {
        self.glibc.store().object(object).path.clone()
    }

    /// Who starts the programs has to set the variable as well.
    pub(super) fn note_library_path(&mut self) {
        let recipe = self.input.recipe;
        let variable = format!("{LIBRARY_PATH}={}", recipe.trace.library_path.join(":"));
        self.notes.extend(match (recipe.trace.library_path.is_empty(), self.system, recipe.startup.is_empty()) {
            (true, _, _) => None,
            (false, System::Illumos, _) => Some("the library path is for Linux: it is not used".to_owned()),
            (false, System::Linux, false) => Some(format!("the startup sets {variable}")),
            (false, System::Linux, true) => {
                Some(format!("libraries are found as by programs with {variable}, which the image does not set"))
            }
        });
    }

    fn add_binding(&mut self, binding: &Binding) {
        let from = self.object_path(binding.referrer);
        let reason = reason(&binding.by, self.detail(binding.name));
        self.add_place(&from, binding.place, reason.clone());
        if binding.by == By::Preload {
            let file = RootPath::new(PRELOAD_FILE).expect("a constant");
            self.need(Some(&from), &file, reason, Priority::Required);
        }
        let object = self.glibc.place(binding.place).object;
        if binding.step == Step::Cache {
            let spelled = self.glibc.place(binding.place).spelled.clone();
            let name = self.glibc.name(binding.name).to_vec();
            self.configured.insert((name, spelled, object, binding.referrer));
        }
        if binding.by_load_order_only {
            let name = self.detail(binding.name);
            let note = format!("{from} finds `{name}` only because another object of the process has loaded it before");
            self.notes.push(note);
        }
    }

    /// A name as it stands in reasons: hundreds of objects ask for the same few.
    fn detail(&mut self, name: NameId) -> Arc<str> {
        self.details.entry(name).or_insert_with(|| detail(self.glibc.name(name))).clone()
    }

    /// A file that a loader opens, under the name it opens it by.
    fn add_place(&mut self, from: &RootPath, place: PlaceId, reason: Reason) {
        if let Some(nodes) = self.placed.get(&place) {
            let from = self.graph.node(from);
            for node in nodes {
                self.graph.connect_nodes(from, *node, reason.clone());
            }
            return;
        }
        let opened = self.glibc.place(place);
        let (object, links, through) = (opened.object, opened.links.clone(), opened.through.clone());
        let path = self.object_path(object);
        self.connect(Some(from), &links, &through, &path, reason);
        // Where a link to the file leads is the same for all: see `connect`.
        let (links, file) = match links.iter().position(|link| link.last) {
            Some(last) => (&links[..=last], None),
            None => (&links[..], Some(&path)),
        };
        let nodes = through.iter().chain(links.iter().map(|link| &link.path)).chain(file);
        self.placed.insert(place, nodes.map(|path| self.graph.node(path)).collect());
        // Examined as part of the process: it does not run by itself.
        self.examined.insert(path);
    }

    fn add_failure(&mut self, failure: &Failure) {
        let from = self.object_path(failure.referrer);
        if failure.by == By::Preload {
            self.preload_is_missing(&failure.name);
            return;
        }
        let probes = probed(&failure.probes);
        let name = escaped(&failure.name).to_string();
        let Some(priority) = priority(&failure.by) else { return };
        let has_searched = !failure.name.contains(&b'/') && failure.by == By::Needed;
        if has_searched && !failure.probes.iter().any(|probe| matches!(probe.outcome, Outcome::Fatal(_))) {
            self.not_found.insert((from.clone(), name.clone()));
        }
        self.note_missing(Some(&from), name, reason(&failure.by, detail(&failure.name)), priority, probes);
    }

    /// The loader says so at every start of every program, and goes on.
    fn preload_is_missing(&mut self, name: &[u8]) {
        let note = format!("{PRELOAD_FILE} names `{}`, which cannot be loaded: it is ignored", escaped(name));
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// `library`, which `from` calls `name`, does not define a version that `from` needs of it.
    pub(super) fn version_is_missing(&mut self, from: &RootPath, library: ObjectId, name: &[u8], version: &[u8]) {
        let library = self.object_path(library);
        let (name, version) = (escaped(name), escaped(version));
        let reason = Reason::new(Evidence::Proven, Kind::Needed, name.to_string());
        let outcome = format!("version `{version}' not found");
        let probes = vec![Probed { path: library.to_string(), step: VERSION_STEP.into(), outcome }];
        let name = format!("{name} ({version})");
        self.note_missing(Some(from), name, reason, Priority::Required, probes);
    }
}

impl Tracer<'_> {
    /// Tells what libraries for newer processors take, with all that only they need.
    pub(super) fn note_variants(&mut self) {
        let without = self.graph.reachable_by(|reason| reason.kind != Kind::Variant);
        let kept = self.graph.reachable(|path| self.forbidden.contains_key(path));
        let only_theirs = kept.iter().filter(|path| !without.contains(path));
        let found = only_theirs.filter_map(|path| self.input.root.lookup_nofollow(path).ok());
        let sizes: Vec<u64> = found.filter(|f| f.info.kind == FileKind::File).map(|f| f.info.size).collect();
        if !sizes.is_empty() {
            let files = text::count(sizes.len() as u64, "file");
            let size = text::size(sizes.iter().sum());
            let hint = "`--cpu x86-64` leaves them out";
            self.notes.push(format!("variants for newer processors take {size} in {files}; {hint}"));
        }
    }
}

fn detail(name: &[u8]) -> Arc<str> {
    escaped(name).to_string().into()
}

fn reason(by: &By, name: Arc<str>) -> Reason {
    match by {
        By::Needed => Reason::new(Evidence::Proven, Kind::Needed, name),
        By::Interpreter => Reason::new(Evidence::Proven, Kind::Interpreter, name),
        By::Preload => Reason::new(Evidence::Proven, Kind::Preload, PRELOAD_FILE),
        By::Variant => Reason::new(Evidence::Proven, Kind::Variant, "glibc-hwcaps"),
        By::Dlopen(reason, _) => reason.clone(),
    }
}

/// How badly a name was wanted; `None` when its absence is not worth a word.
fn priority(by: &By) -> Option<Priority> {
    match by {
        By::Needed | By::Interpreter => Some(Priority::Required),
        By::Preload | By::Variant => None,
        By::Dlopen(_, priority) => *priority,
    }
}

/// The architecture as `uname -m` says it.
fn kernel_word(machine: u16, bits: u8) -> Option<&'static str> {
    use goblin::elf::header::{EM_386, EM_AARCH64, EM_ARM, EM_PPC64, EM_RISCV, EM_S390, EM_SPARCV9, EM_X86_64};
    Some(match (machine, bits) {
        (EM_X86_64, _) => "x86_64",
        (EM_386, _) => "i686",
        (EM_AARCH64, _) => "aarch64",
        (EM_ARM, _) => "armv7l",
        (EM_RISCV, 64) => "riscv64",
        (EM_PPC64, _) => "ppc64le",
        (EM_S390, 64) => "s390x",
        (EM_SPARCV9, _) => "sparc64",
        _ => return None,
    })
}
