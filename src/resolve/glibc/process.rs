//! The walk through one process: what is mapped, by which names it goes, who brought it (glibc `elf/dl-deps.c`
//! `_dl_map_object_deps`, `elf/rtld.c` `dl_main`).

use super::accept::accept;
use super::built_in;
use super::findings::{Binding, By, Failure, Request, Sought};
use super::loader::Loader;
use super::needs::{Needs, SearchPath};
use super::places::{NameId, PlaceId, Spot};
use super::search::Via;
use super::{Cache, Glibc};
use crate::path::escaped;
use crate::resolve::store::ObjectId;
use crate::resolve::{Outcome, Probe, Step};
use std::rc::Rc;

/// One process while it is worked out.
pub(super) struct Process<'p, 'r> {
    pub glibc: &'p mut Glibc<'r>,
    pub loader: Rc<Loader>,
    /// In the order of loading; the executable is the first.
    pub maps: Vec<Map>,
    /// There is a library path, and the executable does not run with other rights than its caller's (`AT_SECURE` of
    /// getauxval(3)), which would have the loader ignore it.
    pub obeys_library_path: bool,
    /// Every place that a search tries is written down here, when somebody wants to know.
    pub probes: Option<Vec<Probe>>,
}

/// One object in a process.
pub(super) struct Map {
    pub object: ObjectId,
    pub place: PlaceId,
    /// The map whose `DT_NEEDED` or `dlopen` brought it; an index into the process.
    pub loaded_by: Option<usize>,
    /// The nearest map with a `DT_RPATH` among those who loaded it, from `loaded_by` up: a chain of ten thousand
    /// libraries is not walked for each of them.
    pub rpath_above: Option<usize>,
    pub needs: Rc<Needs>,
    /// Absent when the object brings none.
    pub path: Option<Rc<SearchPath>>,
}

impl Map {
    fn has_rpath(&self) -> bool {
        self.path.as_ref().is_some_and(|path| !path.rpath.is_empty())
    }
}

/// Where a name led.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    /// [`PlaceId::NOWHERE`] when it failed, [`PlaceId::EXECUTABLE`] for a name that the executable itself goes by.
    pub place: PlaceId,
    pub via: Via,
}

impl<'p, 'r> Process<'p, 'r> {
    pub fn start(glibc: &'p mut Glibc<'r>, loader: Rc<Loader>, executable: ObjectId) -> Process<'p, 'r> {
        glibc.loaded.start_process();
        glibc.mapped.start_process();
        let obeys_library_path = !glibc.library_path.is_empty() && !glibc.places.store.is_set_id(executable);
        let maps = Vec::with_capacity(16);
        let mut process = Process { glibc, loader, maps, obeys_library_path, probes: None };
        process.push(executable, PlaceId::EXECUTABLE, None);
        process
    }

    /// What the kernel maps beside the executable; whether it is there.
    pub fn load_interpreter(&mut self) -> bool {
        let path = self.loader.path.clone();
        let name = self.glibc.places.names.id(&path);
        let executable = self.maps[0].object;
        let outcome = match self.loader.spot {
            _ if !path.starts_with(b"/") => Outcome::Unusable("a relative path depends on the working directory"),
            Spot::Taken(place) => self.glibc.verdict(place, self.loader.identity),
            Spot::Absent | Spot::Broken(_) => Outcome::Absent,
        };
        let place = match (outcome, self.loader.place()) {
            (Outcome::Found, Some(place)) => place,
            (outcome, _) => {
                if self.glibc.is_new(executable, name, &By::Interpreter, PlaceId::NOWHERE) {
                    let probe = Probe { path: escaped(&path).to_string(), step: Step::Path, outcome };
                    let (referrer, by) = (executable, By::Interpreter);
                    let failure = Failure { referrer, executable, name: path, by, probes: vec![probe] };
                    self.glibc.findings.missing.push(failure);
                }
                return false;
            }
        };
        self.add(place, 0);
        self.glibc.loaded.set(name, self.maps.len() - 1);
        self.tell(0, name, &By::Interpreter, Answer { place, via: Via::Path });
        true
    }

    /// The libraries of `/etc/ld.so.preload`. The loader grumbles about a missing one, and goes on.
    pub fn load_preloads(&mut self) {
        for word in &self.loader.clone().preload {
            let name = self.glibc.places.names.id(word);
            let answer = self.bring(0, name);
            self.tell(0, name, &By::Preload, answer);
            self.load_variants(0, name, answer);
        }
    }

    /// Goes through the maps from number `next` on, those that are added on the way included.
    pub fn load_needed(&mut self, mut next: usize) {
        while next < self.maps.len() {
            let needs = self.maps[next].needs.clone();
            for need in &needs.needed {
                let answer = self.bring(next, need.name);
                if need.told.replace(answer.place) != answer.place {
                    self.tell(next, need.name, &By::Needed, answer);
                }
                self.load_variants(next, need.name, answer);
            }
            next += 1;
        }
    }

    /// What the code of a map asks for while it runs.
    pub fn load_request(&mut self, request: &Request) {
        let Some(caller) = self.position(request.caller) else { return };
        let next = self.maps.len();
        for text in &request.names {
            let name = self.glibc.places.names.id(text);
            let answer = self.bring(caller, name);
            if answer.place != PlaceId::NOWHERE {
                self.tell(caller, name, &request.by(), answer);
                self.load_variants(caller, name, answer);
                return self.load_needed(next);
            }
        }
        let name = request.name();
        let id = self.glibc.places.names.id(&name);
        if self.glibc.is_new(request.caller, id, &request.by(), PlaceId::NOWHERE) {
            let probes = self.explain_request(caller, request);
            let (referrer, executable, by) = (request.caller, self.maps[0].object, request.by());
            self.glibc.findings.missing.push(Failure { referrer, executable, name, by, probes });
        }
    }

    /// Where a request would lead; `None` when the caller is not in the process.
    pub fn look(&mut self, request: &Request) -> Option<Sought> {
        let caller = self.position(request.caller)?;
        for text in &request.names {
            let name = self.glibc.places.names.id(text);
            if self.glibc.loaded.position(name).is_some() {
                return Some(Sought::Loaded);
            }
            if let Some((place, _)) = self.search(caller, name) {
                return Some(Sought::To(place));
            }
        }
        Some(Sought::Nowhere(self.explain_request(caller, request)))
    }

    fn position(&self, object: ObjectId) -> Option<usize> {
        self.maps.iter().position(|map| map.object == object)
    }

    fn explain_request(&mut self, caller: usize, request: &Request) -> Vec<Probe> {
        let names: Vec<NameId> = request.names.iter().map(|name| self.glibc.places.names.id(name)).collect();
        names.into_iter().flat_map(|name| self.explain(caller, name)).collect()
    }

    /// Brings what `referrer` calls `name` into the process, if it is not there already.
    fn bring(&mut self, referrer: usize, name: NameId) -> Answer {
        if let Some(position) = self.glibc.loaded.position(name) {
            return Answer { place: self.maps[position].place, via: Via::AlreadyLoaded };
        }
        // The executable's own name is empty in the loader's list, and the kernel's library is in every process.
        let text = self.glibc.places.names.text(name);
        if text.is_empty() || text == built_in::kernel_library(self.loader.identity) {
            return Answer { place: PlaceId::EXECUTABLE, via: Via::AlreadyLoaded };
        }
        let Some((place, via)) = self.search(referrer, name) else {
            return Answer { place: PlaceId::NOWHERE, via: Via::Path };
        };
        let identity = self.glibc.places.place(place).identity;
        let position = match self.glibc.mapped.position(identity) {
            Some(known) => known,
            None => self.add(place, referrer),
        };
        self.glibc.loaded.set(name, position);
        Answer { place, via }
    }

    /// Maps the glibc-hwcaps variants of a library that has been brought in beside it: each is in the process on some
    /// processor, and what it needs has to be there. The cache that minroot writes has no variants.
    fn load_variants(&mut self, referrer: usize, name: NameId, answer: Answer) {
        let Answer { place, via } = answer;
        let no_variants = via == Via::Cache && self.glibc.cache == Cache::FromConfiguration;
        if no_variants || via == Via::AlreadyLoaded || place == PlaceId::NOWHERE {
            return;
        }
        let Some((directory, file)) = self.glibc.places.place(place).searched else { return };
        for &directory in self.glibc.places.variants(directory).iter() {
            let Spot::Taken(variant) = self.glibc.places.in_directory(directory, file) else { continue };
            let usable = self.glibc.verdict(variant, self.loader.identity) == Outcome::Found;
            let identity = self.glibc.places.place(variant).identity;
            if usable && self.glibc.mapped.position(identity).is_none() {
                self.add(variant, referrer);
                let baseline = self.glibc.places.place(place).object;
                if self.glibc.is_new(baseline, name, &By::Variant, variant) {
                    self.glibc.bind(baseline, name, &By::Variant, variant, Step::Path, false);
                }
            }
        }
    }

    /// Maps the file at a place; gives its index.
    fn add(&mut self, place: PlaceId, loaded_by: usize) -> usize {
        let object = self.glibc.places.place(place).object;
        self.push(object, place, Some(loaded_by))
    }

    fn push(&mut self, object: ObjectId, place: PlaceId, loaded_by: Option<usize>) -> usize {
        let position = self.maps.len();
        let glibc = &mut *self.glibc;
        let needs = glibc.needs.get(&mut glibc.places, object);
        let path = glibc.search_path(object, place, &needs, &self.loader);
        let identity = if place == PlaceId::EXECUTABLE { object } else { glibc.places.place(place).identity };
        // The first object with a soname keeps it.
        if let Some(soname) = needs.soname
            && glibc.loaded.position(soname).is_none()
        {
            glibc.loaded.set(soname, position);
        }
        if glibc.mapped.position(identity).is_none() {
            glibc.mapped.set(identity, position);
        }
        let rpath_above =
            loaded_by.and_then(|by| if self.maps[by].has_rpath() { Some(by) } else { self.maps[by].rpath_above });
        self.maps.push(Map { object, place, loaded_by, rpath_above, needs, path });
        position
    }

    /// Writes down where a name led, if that is news.
    fn tell(&mut self, referrer: usize, name: NameId, by: &By, answer: Answer) {
        let object = self.maps[referrer].object;
        let Answer { place, via } = answer;
        if place == PlaceId::EXECUTABLE || !self.glibc.is_new(object, name, by, place) {
            return;
        }
        if place == PlaceId::NOWHERE {
            let probes = self.explain(referrer, name);
            let executable = self.maps[0].object;
            let name = match by {
                By::Needed => self.expand(referrer, name).into(),
                _ => self.glibc.places.names.text(name).into(),
            };
            let failure = Failure { referrer: object, executable, name, by: by.clone(), probes };
            return self.glibc.findings.missing.push(failure);
        }
        let by_load_order_only = via == Via::AlreadyLoaded && self.search(referrer, name).is_none();
        let step = self.glibc.step(via);
        self.glibc.bind(object, name, by, place, step, by_load_order_only);
    }
}

impl Glibc<'_> {
    pub(super) fn verdict(&self, place: PlaceId, wanted: crate::objects::elf::Identity) -> Outcome {
        let place = self.places.place(place);
        accept(self.places.store.object(place.object), wanted, place.size)
    }

    fn bind(
        &mut self,
        referrer: ObjectId,
        name: NameId,
        by: &By,
        place: PlaceId,
        step: Step,
        by_load_order_only: bool,
    ) {
        let by = by.clone();
        self.findings.bindings.push(Binding { referrer, name, place, step, by, by_load_order_only });
    }
}
