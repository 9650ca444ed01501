//! Symbol versions: each one needed has to be defined by the object that goes by the name it was linked against (glibc
//! `elf/dl-version.c`, `_dl_check_map_versions`).

use super::Glibc;
use super::findings::VersionFailure;
use super::process::Process;
use crate::objects::elf::Name;
use crate::resolve::store::ObjectId;

impl Process<'_, '_> {
    /// Checks every object of the process; each pair of objects once.
    pub fn check_versions(&mut self) {
        for map in &self.maps {
            for (index, file) in map.needs.versions.iter().enumerate() {
                let Some(position) = self.glibc.loaded.position(file.name) else { continue };
                let library = self.maps[position].object;
                let is_new = file.checked.replace(Some(library)) != Some(library);
                if is_new && self.glibc.checked.insert((map.object, index, library)) {
                    self.glibc.check_version(map.object, index, library);
                }
            }
        }
    }
}

impl Glibc<'_> {
    fn check_version(&mut self, referrer: ObjectId, index: usize, library: ObjectId) {
        let dynamic = |id| self.places.store.object(id).elf().and_then(|elf| elf.dynamic.as_ref());
        let (Some(asking), Some(answering)) = (dynamic(referrer), dynamic(library)) else { return };
        let need = &asking.versions_needed[index];
        let failure = |version: &Name| {
            let (name, version) = (need.file.clone(), version.clone());
            VersionFailure { referrer, library, name, version }
        };
        self.findings.versions.extend(need.absent_from(answering).map(failure));
    }
}
