//! Whether the symbols that a loader looks up when a process starts are defined by an object of the process.
//!
//! The global scope is the executable and what it needs, breadth first. Looked up at the start are: by glibc, the symbols
//! of objects that are linked with `-z now`; by illumos, those of data too in all others; by musl, all. Left out are symbols of copy relocations, which are defined
//! in the executable itself, and glibc's data symbols in objects that bind lazily.

use crate::objects::elf::{Globals, Wanted};
use crate::resolve::store::{ObjectId, Store};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

/// The symbols of the objects of an image, each read once.
#[derive(Default)]
pub(super) struct Symbols {
    known: HashMap<ObjectId, Rc<Globals>>,
    /// Objects whose symbols were all found, and in which objects: where these are, they are found again.
    found_in: HashMap<ObjectId, BTreeSet<ObjectId>>,
}

/// A symbol that no object of the process defines.
pub(super) struct MissingSymbol {
    /// The object that wants it.
    pub object: ObjectId,
    pub wanted: Wanted,
}

impl Symbols {
    /// The symbol that glibc ends a process for: it relocates the last object first, and data before calls.
    pub fn first_missing(&mut self, store: &Store<'_>, scope: &[ObjectId]) -> Option<MissingSymbol> {
        scope.iter().rev().filter(|object| binds_now(store, **object)).find_map(|object| {
            let missing = self.missing_of(store, *object, scope, |globals, wanted| globals.satisfies(wanted));
            Some(MissingSymbol { object: *object, wanted: missing.into_iter().next()? })
        })
    }

    /// The first symbol that illumos ends a process for, in the order in which its objects were loaded. `scope` is all
    /// that `at_start` may load, the executable first.
    pub fn first_missing_illumos(
        &mut self,
        store: &Store<'_>,
        at_start: &[ObjectId],
        scope: &[ObjectId],
    ) -> Option<MissingSymbol> {
        if scope.iter().skip(1).any(|library| self.get(store, *library).defines_nothing()) {
            return None;
        }
        at_start.iter().find_map(|object| {
            let missing = self.missing_of(store, *object, scope, |globals, wanted| globals.names(&wanted.name));
            let is_looked_up = |wanted: &Wanted| !wanted.by_call || binds_now(store, *object);
            Some(MissingSymbol { object: *object, wanted: missing.into_iter().find(is_looked_up)? })
        })
    }

    /// The symbols that musl tells of: it relocates the executable last, and calls before data.
    pub fn all_missing(
        &mut self,
        store: &Store<'_>,
        scope: &[ObjectId],
        loader: Option<ObjectId>,
    ) -> Vec<MissingSymbol> {
        let own = loader.map(|loader| self.get(store, loader));
        let (executable, libraries) = scope.split_at(scope.len().min(1));
        let mut all = Vec::new();
        for object in libraries.iter().chain(executable).filter(|object| Some(**object) != loader) {
            let mut missing = self.missing_of(store, *object, scope, |globals, wanted| {
                globals.defines(&wanted.name) || own.as_ref().is_some_and(|own| is_large_file_name(own, &wanted.name))
            });
            missing.sort_by_key(|wanted| !wanted.by_call);
            all.extend(missing.into_iter().map(|wanted| MissingSymbol { object: *object, wanted }));
        }
        all
    }

    /// Symbols that an object wants and no object of the scope has.
    fn missing_of(
        &mut self,
        store: &Store<'_>,
        object: ObjectId,
        scope: &[ObjectId],
        has: impl Fn(&Globals, &Wanted) -> bool,
    ) -> Vec<Wanted> {
        if self.found_in.get(&object).is_some_and(|found_in| found_in.iter().all(|object| scope.contains(object))) {
            return Vec::new();
        }
        let scope: Vec<(ObjectId, Rc<Globals>)> =
            scope.iter().map(|object| (*object, self.get(store, *object))).collect();
        let (mut missing, mut found_in) = (Vec::new(), BTreeSet::new());
        for wanted in &self.get(store, object).wanted {
            match scope.iter().find(|(_, globals)| has(globals, wanted)) {
                Some((object, _)) => {
                    found_in.insert(*object);
                }
                None => missing.push(wanted.clone()),
            }
        }
        if missing.is_empty() {
            self.found_in.insert(object, found_in);
        }
        missing
    }

    /// The symbols of an object; of one that cannot be read, none.
    fn get(&mut self, store: &Store<'_>, object: ObjectId) -> Rc<Globals> {
        self.known.entry(object).or_insert_with(|| Rc::new(store.globals(object).unwrap_or_default())).clone()
    }
}

/// Whether calls are bound when the object is loaded (`-z now`).
fn binds_now(store: &Store<'_>, object: ObjectId) -> bool {
    let elf = store.object(object).elf();
    elf.and_then(|elf| elf.dynamic.as_ref()).is_some_and(|dynamic| dynamic.binds_now)
}

/// `open64` is `open` where there is no other: musl keeps such names for programs that were linked long ago
/// (`get_lfs64`).
fn is_large_file_name(loader: &Globals, name: &[u8]) -> bool {
    match name {
        b"readdir64_r" => loader.defines(b"readdir_r"),
        _ => name.strip_suffix(b"64").is_some_and(|name| loader.defines(name)),
    }
}
