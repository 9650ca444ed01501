//! What musl's loader prints of a process that lacks something (musl `ldso/dynlink.c`).
//!
//! It calls the program by the path that the kernel was asked for, and tells of everything before it gives up. The symbols
//! that are missing because a library is, are left out here: they follow from it. Lazy binding it has only for
//! `dlopen`, so that every symbol counts, whatever the flags of its object say.

use super::Finding;
use super::runtime_linker::{Process, RuntimeLinker, SAME_RELEASE};
use crate::path::escaped;
use crate::resolve::glibc::By;
use crate::resolve::is_death;
use crate::resolve::musl::{Map, error_words};
use crate::resolve::store::ObjectId;

impl RuntimeLinker<'_> {
    /// Maps a process of musl and tells what keeps it from starting. What several processes lack is told of the first.
    pub(super) fn start_musl(&mut self, process: &Process, executable: ObjectId) -> Vec<Finding> {
        let mapped = self.musl.run(self.glibc.store_mut(), executable, &[]);
        let name_of = |object: ObjectId| match mapped.maps.iter().find(|map| map.object == object) {
            Some(Map { object, name, .. }) if *object != executable => escaped(name).to_string(),
            _ => process.file.to_string(),
        };
        let mut told = self.lacking(&mapped.maps.iter().map(|map| map.object).collect::<Vec<_>>());
        for failure in mapped.missing.iter().filter(|failure| failure.by == By::Needed) {
            let (referrer, name) = (self.object_path(failure.referrer), escaped(&failure.name).to_string());
            if !self.told.insert((referrer.clone(), name.clone())) {
                continue;
            }
            let message = match error_words(failure) {
                death if is_death(death) => death.to_owned(),
                words => {
                    let needed_by = name_of(failure.referrer);
                    format!("Error loading shared library {name}: {words} (needed by {needed_by})")
                }
            };
            told.push(process.finding(message).at(referrer).hint(self.hint(failure)));
        }
        if !mapped.missing.is_empty() {
            return told;
        }
        let scope: Vec<ObjectId> = mapped.maps.iter().map(|map| map.object).collect();
        for symbol in self.symbols.all_missing(self.glibc.store(), &scope, mapped.loader) {
            if self.told_symbols.insert((symbol.object, symbol.wanted.name.clone())) {
                let name = escaped(&symbol.wanted.name);
                let message = format!("Error relocating {}: {name}: symbol not found", name_of(symbol.object));
                told.push(process.finding(message).at(self.object_path(symbol.object)).hint(SAME_RELEASE));
            }
        }
        told
    }
}
