//! Reading ahead: most of what the executables of a root will map can be guessed, and read on all threads.

use super::Glibc;
use super::places::{DirId, NameId, PlaceId};
use crate::resolve::store::ObjectId;
use foldhash::{HashSet, HashSetExt};

impl Glibc<'_> {
    /// Reads the files that a number of executables will need, so that [`Glibc::run`] finds them read. A guess that is
    /// wrong costs time and changes nothing.
    pub fn prefetch(&mut self, executables: &[ObjectId]) {
        let mut frontier = executables.to_vec();
        let mut asked: HashSet<NameId> = HashSet::new();
        while !frontier.is_empty() {
            let mut questions: Vec<(NameId, Vec<DirId>)> = Vec::new();
            for object in std::mem::take(&mut frontier) {
                let Some(elf) = self.places.store.object(object).elf() else { continue };
                let (identity, interpreter) = (elf.identity, elf.interpreter.clone());
                let loader = self.loader(interpreter.as_deref(), identity);
                let needs = self.needs.get(&mut self.places, object);
                let path = self.search_path(object, PlaceId::EXECUTABLE, &needs, &loader);
                let own: Vec<DirId> =
                    path.iter().flat_map(|path| path.rpath.iter().chain(&path.runpath)).copied().collect();
                for need in &needs.needed {
                    if self.places.names.text(need.name).contains(&b'/') {
                        continue;
                    }
                    if !own.is_empty() {
                        questions.push((need.name, own.clone()));
                    }
                    // Most names are not in a directory of one's own.
                    if asked.insert(need.name) {
                        questions.push((need.name, loader.configured.iter().chain(&loader.default).copied().collect()));
                    }
                }
            }
            // Programs with the same directories ask the same.
            questions.sort_unstable();
            questions.dedup();
            let mut looked = self.places.look_all(&questions);
            looked.sort_by_key(|(directory, name, _)| (*directory, *name));
            looked.dedup_by_key(|(directory, name, _)| (*directory, *name));
            frontier = self.places.read_all(looked).into_iter().map(|p| self.places.place(p).object).collect();
        }
    }
}
