//! Symbols that the runtime linker of illumos looks up when it starts a program, and that nothing of the process defines.
//!
//! Looked up at the start are those of data, and of calls too in an object that is linked with `-z now`
//! (`elf_reloc` of usr/src/cmd/sgs/rtld/amd64/amd64_elf.c). Where a symbol is found depends on much: direct bindings,
//! lazy dependencies that are loaded because of it, filtees. Told is only what no answer to these questions changes: a
//! symbol that no object has which the program could load without being asked to. A program that lacks a library or a
//! version does not come so far, and of libraries without any symbols nobody can tell.

use super::runtime_linker::SAME_RELEASE;
use super::symbols::Symbols;
use super::{Component, Finding, Report, Severity};
use crate::graph::Graph;
use crate::objects::elf::{FilterKind, SymbolScan};
use crate::path::{RootPath, escaped};
use crate::resolve::illumos::{Answer, By, Illumos};
use crate::resolve::store::{ObjectId, Store};
use crate::root::{FileKind, Root};
use std::collections::{HashMap, HashSet};

/// The file name of the runtime linker.
const RUNTIME_LINKER: &[u8] = b"ld.so.1";

/// Tells the symbols that the programs of the graph lack; what several of them lack in the same object, once.
pub(super) fn check(root: &Root, graph: &Graph, report: &mut Report) {
    let scan = SymbolScan::default();
    let mut linker = Linker {
        store: Store::new(root, &scan),
        illumos: Illumos::default(),
        links: HashMap::new(),
        symbols: Symbols::default(),
    };
    let mut told = HashSet::new();
    for path in graph.paths() {
        let Some((object, symbol)) = linker.missing_symbol(&path) else { continue };
        let file = linker.store.object(object).path.clone();
        if told.insert((object, symbol.clone())) {
            let program = escaped(path.file_name());
            let message = format!(
                "ld.so.1: {program}: fatal: relocation error: file {file}: symbol {symbol}: referenced symbol not found"
            );
            let finding = Finding::new(Severity::Harmful, Component::RuntimeLinker, message);
            report.find(finding.at(&file).hint(SAME_RELEASE));
        }
    }
}

struct Linker<'r> {
    store: Store<'r>,
    illumos: Illumos,
    links: HashMap<ObjectId, Links>,
    symbols: Symbols,
}

/// What an object leads to.
#[derive(Default)]
struct Links {
    /// Loaded with it.
    at_start: Vec<ObjectId>,
    /// Loaded when a symbol is looked for: lazy dependencies, filtees; and the runtime linker, which is there.
    later: Vec<ObjectId>,
    /// A library or a version that it needs is not in the image.
    is_broken: bool,
}

impl Linker<'_> {
    /// The first symbol that keeps a program from starting, with the object that wants it; nothing for other files.
    fn missing_symbol(&mut self, path: &RootPath) -> Option<(ObjectId, String)> {
        let found = self.store.root().lookup_nofollow(path).ok()?;
        if found.info.kind != FileKind::File || found.info.mode & 0o111 == 0 {
            return None;
        }
        let executable = self.store.read(&found);
        let interpreter = self.store.object(executable).elf()?.interpreter.as_ref()?;
        if interpreter.rsplit(|byte| *byte == b'/').next() != Some(RUNTIME_LINKER) {
            return None;
        }
        let all = self.closure(executable, |links| links.at_start.iter().chain(&links.later).copied().collect());
        if all.iter().any(|object| self.links[object].is_broken) {
            return None;
        }
        let at_start = self.closure(executable, |links| links.at_start.clone());
        let missing = self.symbols.first_missing_illumos(&self.store, &at_start, &all)?;
        Some((missing.object, escaped(&missing.wanted.name).to_string()))
    }

    /// What `next` leads to from the executable on, breadth first, the executable first.
    fn closure(&mut self, executable: ObjectId, next: impl Fn(&Links) -> Vec<ObjectId>) -> Vec<ObjectId> {
        let (mut closure, mut met) = (vec![executable], HashSet::from([executable]));
        let mut at = 0;
        while let Some(object) = closure.get(at).copied() {
            let further = next(self.links(object));
            closure.extend(further.into_iter().filter(|object| met.insert(*object)));
            at += 1;
        }
        closure
    }

    fn links(&mut self, object: ObjectId) -> &Links {
        if !self.links.contains_key(&object) {
            let references = self.illumos.references(&mut self.store, object);
            let lacks_version = !Illumos::version_failures(&self.store, object, &references).is_empty();
            let mut links = Links { is_broken: lacks_version, ..Links::default() };
            for reference in references {
                match (&*reference.answer, reference.by) {
                    (Answer::Missing(_), By::Filtee { kind: FilterKind::Auxiliary, .. }) => {}
                    (Answer::Missing(_), _) => links.is_broken = true,
                    (
                        Answer::Found { object, .. },
                        By::Needed { lazy: false, .. } | By::Filtee { at_start: true, .. },
                    ) => {
                        links.at_start.push(*object);
                    }
                    (Answer::Found { object, .. }, _) => links.later.push(*object),
                }
            }
            self.links.insert(object, links);
        }
        &self.links[&object]
    }
}
