//! A library that is missing and yet there: the hint that saves its finder an hour.

use super::Tracer;
use crate::manifest::{Missing, Probed};
use crate::path::{RootPath, escaped};
use crate::resolve::musl;
use std::collections::{BTreeMap, BTreeSet};

impl Tracer<'_> {
    /// Adds to each library that was not found where in the root a file of its name is, if there is one.
    pub(super) fn look_elsewhere(&mut self) {
        let names: BTreeSet<&str> = self.not_found.iter().map(|(_, name)| &name[..]).collect();
        if names.is_empty() {
            return;
        }
        let mut places: BTreeMap<String, Vec<RootPath>> = BTreeMap::new();
        for path in self.input.root.find_named(|name| names.contains(&escaped(name).to_string()[..])) {
            let name = escaped(path.file_name()).to_string();
            places.entry(name).or_default().push(path);
        }
        let missing = std::mem::take(&mut self.missing).into_iter();
        self.missing = missing.map(|missing| self.point_at(missing, &places)).collect();
    }

    fn point_at(&self, mut missing: Missing, places: &BTreeMap<String, Vec<RootPath>>) -> Missing {
        let (Some(referrer), Some(paths)) = (missing.from.clone(), places.get(&missing.name)) else { return missing };
        if !self.not_found.contains(&(referrer.clone(), missing.name.clone())) {
            return missing;
        }
        let object = self.glibc.store().known(&referrer).and_then(|id| self.glibc.store().object(id).elf());
        let file = if object.is_some_and(musl::loads) { "musl's path file" } else { "/etc/ld.so.conf" };
        for path in paths.iter().map(ToString::to_string) {
            if missing.probes.iter().all(|probe| probe.path != path) {
                let outcome = format!(
                    "present, but on no search path of {referrer}: name its directory in {file}, give {referrer} a \
                     RUNPATH, or write a rule"
                );
                missing.probes.push(Probed { path, step: "elsewhere in the root".to_owned(), outcome });
            }
        }
        missing
    }
}
