//! The order in which places are tried for a name (glibc `elf/dl-load.c`, `_dl_map_object`).

use super::Glibc;
use super::loader::Loader;
use super::needs::{self, Needs, SearchPath};
use super::places::{DirId, NameId, PlaceId, Spot};
use super::process::Process;
use crate::path::escaped;
use crate::resolve::store::ObjectId;
use crate::resolve::{Outcome, Probe, Step};
use std::rc::Rc;

/// Why a place was tried, without words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    AlreadyLoaded,
    Rpath(ObjectId),
    Runpath(ObjectId),
    LibraryPath,
    Cache,
    DefaultDirectory,
    Path,
}

/// What came of a part of the search.
enum Tried {
    Found(PlaceId),
    Nothing,
    /// Opening the file gave another error than "not there": the loader leaves this list of directories.
    LeaveList,
    /// The loader gives up.
    Fatal,
}

impl Process<'_, '_> {
    /// Where the loader finds a name that `referrer` asks for and that is not loaded yet.
    pub fn search(&mut self, referrer: usize, name: NameId) -> Option<(PlaceId, Via)> {
        if self.glibc.places.names.text(name).contains(&b'/') {
            return self.search_path(referrer, name);
        }
        match self.search_brought(referrer, name) {
            Some((Tried::Found(place), via)) => return Some((place, via)),
            Some(_) => return None,
            None => {}
        }
        let no_default = self.maps[referrer].needs.no_default;
        let key = (self.loader.number, name, no_default);
        if self.probes.is_none()
            && let Some(known) = self.glibc.default_searches.get(&key)
        {
            return *known;
        }
        let answer = self.search_system(name, no_default);
        self.glibc.default_searches.insert(key, answer);
        answer
    }

    /// Searches as [`Process::search`] and gives every place that was tried. What stands in the `RUNPATH` of those who
    /// loaded the referrer, which does not count, is told as well: it is what people expect to count.
    pub fn explain(&mut self, referrer: usize, name: NameId) -> Vec<Probe> {
        self.probes = Some(Vec::new());
        self.search(referrer, name);
        let mut probes = self.probes.take().unwrap_or_default();
        let has_ended = matches!(probes.last(), Some(Probe { outcome: Outcome::Fatal(_), .. }));
        let is_path = self.glibc.places.names.text(name).contains(&b'/');
        let mut ancestor = self.maps[referrer].loaded_by.filter(|_| !has_ended && !is_path);
        while let Some(index) = ancestor {
            let (object, path) = (self.maps[index].object, self.maps[index].path.clone());
            for &directory in path.iter().flat_map(|path| &path.runpath) {
                if let Spot::Taken(_) = self.glibc.places.in_directory(directory, name) {
                    let path = escaped(&self.glibc.places.spell(directory, name)).to_string();
                    let outcome = Outcome::Skipped("there, but a RUNPATH serves only the needs of its own object");
                    probes.push(Probe { path, step: self.glibc.step(Via::Runpath(object)), outcome });
                }
            }
            ancestor = self.maps[index].loaded_by;
        }
        probes
    }

    /// A name with a slash is a path.
    fn search_path(&mut self, referrer: usize, name: NameId) -> Option<(PlaceId, Via)> {
        let path = self.expand(referrer, name);
        if !path.starts_with(b"/") {
            self.record(&path, Via::Path, Outcome::Unusable("a relative path depends on the working directory"));
            return None;
        }
        let spot = self.glibc.places.at_path(&path);
        match self.judge(spot, &path, Via::Path) {
            Tried::Found(place) => Some((place, Via::Path)),
            _ => None,
        }
    }

    /// A name as the loader takes it: tokens count only in one with a slash.
    pub fn expand(&self, referrer: usize, name: NameId) -> Vec<u8> {
        let places = &self.glibc.places;
        let text = places.names.text(name);
        if !text.contains(&b'/') {
            return text.to_vec();
        }
        let origin = needs::origin(places, self.maps[referrer].object, self.maps[referrer].place);
        self.loader.tokens(origin).expand(text)
    }

    /// The directories that objects and the user bring: `DT_RPATH` of the referrer and of those who loaded it up to the
    /// executable, unless the referrer has a `DT_RUNPATH`; the library path; that `DT_RUNPATH`. `None` when the search
    /// goes on.
    fn search_brought(&mut self, referrer: usize, name: NameId) -> Option<(Tried, Via)> {
        let mut at = (!self.maps[referrer].needs.has_runpath).then_some(referrer);
        while let Some(index) = at {
            if let Some(path) = self.maps[index].path.clone() {
                let via = Via::Rpath(self.maps[index].object);
                if let tried @ (Tried::Found(_) | Tried::Fatal) = self.try_directories(&path.rpath, name, via) {
                    return Some((tried, via));
                }
            }
            at = self.maps[index].rpath_above;
        }
        if self.obeys_library_path {
            let directories = self.glibc.library_path.clone();
            if let tried @ (Tried::Found(_) | Tried::Fatal) = self.try_directories(&directories, name, Via::LibraryPath)
            {
                return Some((tried, Via::LibraryPath));
            }
        }
        let path = self.maps[referrer].path.clone()?;
        let via = Via::Runpath(self.maps[referrer].object);
        match self.try_directories(&path.runpath, name, via) {
            Tried::Nothing | Tried::LeaveList => None,
            tried => Some((tried, via)),
        }
    }

    /// What is the same for all objects: the cache, then the default directories.
    fn search_system(&mut self, name: NameId, no_default: bool) -> Option<(PlaceId, Via)> {
        let loader = self.loader.clone();
        let cached = match self.try_cache(&loader, name, no_default) {
            Tried::Found(place) => Some(place),
            Tried::Fatal => return None,
            Tried::Nothing | Tried::LeaveList => self.try_configured(&loader, name, no_default),
        };
        let default: &[DirId] = if no_default { &[] } else { &loader.default };
        let by_default = match self.try_directories(default, name, Via::DefaultDirectory) {
            Tried::Found(place) => Some(place),
            _ => None,
        };
        let places = &self.glibc.places;
        match (cached, by_default) {
            // The cache is of no use where it says what is found without it.
            (Some(a), Some(b)) if places.place(a).identity == places.place(b).identity => {
                Some((b, Via::DefaultDirectory))
            }
            (Some(place), _) => Some((place, Via::Cache)),
            (None, place) => Some((place?, Via::DefaultDirectory)),
        }
    }

    /// The `ld.so.cache` that is there.
    fn try_cache(&mut self, loader: &Loader, name: NameId, no_default: bool) -> Tried {
        let places = &mut self.glibc.places;
        let Some(path) = loader.cached.get(places.names.text(name)) else { return Tried::Nothing };
        if no_default && loader.is_default_path(path) {
            return Tried::Nothing;
        }
        let slash = memchr::memrchr(b'/', path).unwrap_or(0);
        let (directory, file) = (places.directory(&path[..slash]), places.names.id(&path[slash + 1..]));
        let spot = places.in_directory(directory, file);
        self.judge(spot, path, Via::Cache)
    }

    /// The cache that ldconfig would make from the configuration. It leaves out what is no library, where the loader
    /// would stop at it, and knows a library by its soname, whatever its file is called.
    fn try_configured(&mut self, loader: &Loader, name: NameId, no_default: bool) -> Option<PlaceId> {
        for &directory in &loader.configured {
            let places = &mut self.glibc.places;
            if no_default && loader.is_default_path(&places.spell(directory, name)) {
                continue;
            }
            let mut spot = places.in_directory(directory, name);
            if let Spot::Taken(place) = spot
                && places.cache_key(place) != Some(places.names.text(name))
            {
                spot = Spot::Absent;
            }
            if spot == Spot::Absent && !loader.default.contains(&directory) {
                spot = places.by_soname(directory, name).map_or(Spot::Absent, Spot::Taken);
            }
            if let Tried::Found(place) = self.judge_in(spot, directory, name, Via::Cache) {
                return Some(place);
            }
        }
        None
    }

    fn try_directories(&mut self, directories: &[DirId], name: NameId, via: Via) -> Tried {
        for &directory in directories {
            match self.try_directory(directory, name, via) {
                Tried::Nothing => {}
                Tried::LeaveList => return Tried::LeaveList,
                ended => return ended,
            }
        }
        Tried::Nothing
    }

    /// The baseline file of a directory, or a glibc-hwcaps variant where there is no baseline. The loader looks at the
    /// variants first; here every one that some processor takes comes along, see [`Process::load_variants`].
    fn try_directory(&mut self, directory: DirId, name: NameId, via: Via) -> Tried {
        let spot = self.glibc.places.in_directory(directory, name);
        match self.judge_in(spot, directory, name, via) {
            Tried::Nothing => {}
            ended => return ended,
        }
        for &variant in self.glibc.places.variants(directory).iter() {
            let spot = self.glibc.places.in_directory(variant, name);
            match self.judge_in(spot, variant, name, via) {
                Tried::Nothing => {}
                ended => return ended,
            }
        }
        Tried::Nothing
    }

    fn judge_in(&mut self, spot: Spot, directory: DirId, name: NameId, via: Via) -> Tried {
        // Spelling the path costs an allocation that only an explanation is worth.
        if self.probes.is_none() {
            return self.judge(spot, &[], via);
        }
        let path = match spot {
            Spot::Taken(place) => self.glibc.places.place(place).spelled.clone(),
            Spot::Absent | Spot::Broken(_) => self.glibc.places.spell(directory, name),
        };
        self.judge(spot, &path, via)
    }

    fn judge(&mut self, spot: Spot, path: &[u8], via: Via) -> Tried {
        let (outcome, tried) = match spot {
            Spot::Absent => (Outcome::Absent, Tried::Nothing),
            Spot::Broken(words) => (Outcome::Skipped(words), Tried::LeaveList),
            Spot::Taken(place) => match self.glibc.verdict(place, self.loader.identity) {
                Outcome::Found => (Outcome::Found, Tried::Found(place)),
                outcome @ Outcome::Fatal(_) => (outcome, Tried::Fatal),
                outcome => (outcome, Tried::Nothing),
            },
        };
        self.record(path, via, outcome);
        tried
    }

    fn record(&mut self, path: &[u8], via: Via, outcome: Outcome) {
        if let Some(probes) = &mut self.probes {
            let (path, step) = (escaped(path).to_string(), self.glibc.step(via));
            probes.push(Probe { path, step, outcome });
        }
    }
}

impl Glibc<'_> {
    pub(super) fn step(&self, via: Via) -> Step {
        let path = |object| self.places.store.object(object).path.clone();
        match via {
            Via::AlreadyLoaded => Step::AlreadyLoaded,
            Via::Rpath(object) => Step::Rpath(path(object)),
            Via::Runpath(object) => Step::Runpath(path(object)),
            Via::LibraryPath => Step::LibraryPath,
            Via::Cache => Step::Cache,
            Via::DefaultDirectory => Step::DefaultDirectory,
            Via::Path => Step::Path,
        }
    }

    /// The search path of an object that was opened at `place`; `None` for the many that bring none.
    pub(super) fn search_path(
        &mut self,
        object: ObjectId,
        place: PlaceId,
        needs: &Needs,
        loader: &Loader,
    ) -> Option<Rc<SearchPath>> {
        if !needs.has_rpath && !needs.has_runpath {
            return None;
        }
        let key = (loader.number, object, place);
        if let Some(known) = self.search_paths.get(&key) {
            return Some(known.clone());
        }
        let path = Rc::new(SearchPath::read(&mut self.places, object, place, loader));
        self.search_paths.insert(key, path.clone());
        Some(path)
    }
}
