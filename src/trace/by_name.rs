//! Libraries that code loads by name: what rules, notes and strings say of them.
//!
//! Who asks for a library is an object, and where it is found depends on the process, so a request is repeated in every
//! process that the object turns up in. What an object's note suggests, and what only looks like a name among its
//! strings, is listed at the end with the place it would lead to, unless the recipe takes it; what an object that calls
//! `dlopen` gives no hint of at all is listed as unknown.

use super::Tracer;
use super::add::probed;
use crate::manifest::Omission;
use crate::objects::dlopen::Feature;
use crate::path::{RootPath, escaped};
use crate::reason::{Evidence, Kind, Priority, Reason};
use crate::recipe::{System, Take};
use crate::resolve::glibc::{Request, Sought};
use crate::resolve::illumos::Answer;
use crate::resolve::store::ObjectId;
use crate::resolve::{Probe, musl};
use crate::root::Link;
use foldhash::{HashMap, HashSet};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of libraries that are loaded by name.
#[derive(Default)]
pub(super) struct ByName {
    /// By the object that asks.
    requests: HashMap<ObjectId, Vec<Request>>,
    /// Requests that nobody makes, because the recipe does not take them.
    untaken: Vec<Request>,
    /// Objects that call `dlopen`, and those of them whose strings have not been read.
    callers: Vec<ObjectId>,
    unread: Vec<ObjectId>,
    /// Callers of which some library is known, even if it is not there.
    explained: HashSet<ObjectId>,
    /// References that are less than required.
    weak: HashMap<Reason, Priority>,
}

impl Tracer<'_> {
    /// Takes note of an object that runs somewhere, once.
    pub(super) fn meet(&mut self, id: ObjectId) {
        let Some(elf) = self.glibc.store().object(id).elf() else { return };
        if elf.dynamic.as_ref().is_some_and(|dynamic| dynamic.calls_dlopen) {
            self.by_name.callers.push(id);
            self.by_name.unread.push(id);
        }
        if elf.dlopen.is_empty() {
            return;
        }
        let (notes, has_loader) = (elf.dlopen.clone(), elf.dynamic.is_some());
        let path = self.object_path(id);
        if let Some(problem) = &notes.problem {
            let why = format!("its dlopen note is not understood: {problem}");
            self.notes.push(format!("{path}: {why}"));
            self.cannot_know(&path, why);
        }
        if !has_loader {
            self.cannot_know(&path, "it has a dlopen note and no loader that would search for libraries".to_owned());
            return;
        }
        for feature in notes.features {
            self.by_name.explained.insert(id);
            let request = noted(id, feature);
            let is_suggested = request.priority == Some(Priority::Suggested);
            if is_suggested && !self.takes(Take::Suggested) {
                self.by_name.untaken.push(request);
            } else if request.names.len() > 1 {
                self.choices.wait(request);
            } else {
                self.ask_weakly(request);
            }
        }
    }

    pub(super) fn takes(&self, what: Take) -> bool {
        self.input.recipe.trace.take.contains(&what)
    }

    /// Asks for a library in each process that the caller is part of, those to come included.
    pub(super) fn ask(&mut self, request: Request) {
        let known = self.by_name.requests.entry(request.caller).or_default();
        if known.contains(&request) {
            return;
        }
        known.push(request.clone());
        for executable in self.runs_in.get(&request.caller).cloned().unwrap_or_default() {
            self.ask_in(executable, &request);
        }
    }

    /// [`Tracer::ask`] with the priority of the request for all that only it leads to.
    pub(super) fn ask_weakly(&mut self, request: Request) {
        let priority = request.priority.unwrap_or(Priority::Suggested);
        if priority < Priority::Required {
            self.by_name.weak.insert(request.reason.clone(), priority);
        }
        self.ask(request);
    }

    /// Repeats in a process what its objects have asked for in others.
    pub(super) fn repeat_requests(&mut self, executable: ObjectId, members: &[ObjectId]) {
        if self.by_name.requests.is_empty() {
            return;
        }
        for member in members {
            for request in self.by_name.requests.get(member).cloned().unwrap_or_default() {
                self.ask_in(executable, &request);
            }
        }
    }

    fn ask_in(&mut self, executable: ObjectId, request: &Request) {
        let requests = self.requests.entry(executable).or_default();
        if !requests.contains(request) {
            requests.push(request.clone());
            requests.sort();
            self.stale.insert(executable);
        }
    }

    /// Asks for what the strings of new callers name, if the recipe takes that.
    pub(super) fn ask_for_suspected(&mut self) {
        if self.takes(Take::Suspected) {
            for request in self.read_strings() {
                self.ask_weakly(request);
            }
        }
    }

    /// What the callers whose strings have not been read may ask for.
    fn read_strings(&mut self) -> Vec<Request> {
        let unread = std::mem::take(&mut self.by_name.unread);
        let names = self.glibc.store().library_names(&unread);
        let mut requests = Vec::new();
        for (caller, names) in unread.into_iter().zip(names) {
            for name in names {
                // Other names, and paths, are as often for something else: they count where they lead somewhere.
                let is_sure = name.starts_with(b"lib") || name.starts_with(b"$");
                if is_sure {
                    self.by_name.explained.insert(caller);
                }
                let reason = Reason::new(Evidence::Suspected, Kind::Dlopen, escaped(&name).to_string());
                let priority = is_sure.then_some(Priority::Suggested);
                requests.push(Request { caller, names: vec![name], reason, priority });
            }
        }
        requests
    }

    /// Lists what callers may load and nothing brought in, and callers of which nothing is known.
    pub(super) fn list_callers(&mut self) {
        let mut requests = self.read_strings();
        requests.append(&mut self.by_name.untaken);
        // Those that were taken explain their callers, where they led somewhere.
        let asked = self.by_name.requests.values().flatten();
        requests.extend(asked.filter(|request| request.reason.evidence == Evidence::Suspected).cloned());
        requests.sort();
        for (request, sought) in self.look_everywhere(&requests) {
            self.list(request, sought);
        }
        for id in std::mem::take(&mut self.by_name.callers) {
            let object = self.glibc.store().object(id);
            let soname = object.elf().and_then(|elf| elf.soname());
            if !self.by_name.explained.contains(&id) && !self.input.rules.claims(self.system, &object.path, soname) {
                let from = Some(object.path.clone());
                let reason = Reason::new(Evidence::Suspected, Kind::Dlopen, "dlopen");
                let why = "it calls dlopen with a computed name".to_owned();
                self.unknown.insert(Omission { from, reason, to: None, why });
            }
        }
    }

    /// Where requests that nobody made would lead, in each process of their callers.
    fn look_everywhere<'q>(&mut self, requests: &'q [Request]) -> Vec<(&'q Request, Place)> {
        if self.system == System::Illumos {
            let store = self.glibc.store_mut();
            let answers = requests.iter().map(|request| (request, self.illumos.request(store, request)));
            return answers.map(|(request, answer)| (request, Place::of_answer(&answer))).collect();
        }
        let mut processes: BTreeMap<ObjectId, Vec<&Request>> = BTreeMap::new();
        for request in requests {
            let executables = self.runs_in.get(&request.caller).into_iter().flatten().collect::<BTreeSet<_>>();
            executables.into_iter().for_each(|executable| processes.entry(*executable).or_default().push(request));
        }
        let mut places = Vec::new();
        for (executable, further) in processes {
            let sought = self.look_in(executable, &further).into_iter();
            places.extend(further.into_iter().zip(sought).filter_map(|(request, place)| Some((request, place?))));
        }
        places
    }

    /// Where requests would lead in one process; `None` where their caller is not in it.
    fn look_in(&mut self, executable: ObjectId, further: &[&Request]) -> Vec<Option<Place>> {
        let is_of_musl = self.is_of_musl(executable);
        let requests = self.requests.get(&executable).map_or(&[][..], Vec::as_slice);
        if is_of_musl {
            let sought = self.musl.look(self.glibc.store_mut(), executable, requests, further);
            let place = |sought| match sought {
                musl::Sought::Loaded => Place::There(Vec::new()),
                musl::Sought::To(found) => Place::there(&found.links, &found.path),
                musl::Sought::Nowhere(probes) => Place::Nowhere(probes),
            };
            return sought.into_iter().map(|sought| sought.map(place)).collect();
        }
        let sought = self.glibc.look(executable, requests, further);
        let place = |sought| match sought {
            Sought::Loaded => Place::There(Vec::new()),
            Sought::To(place) => {
                let place = self.glibc.place(place);
                Place::there(&place.links, &self.glibc.store().object(place.object).path)
            }
            Sought::Nowhere(probes) => Place::Nowhere(probes),
        };
        sought.into_iter().map(|sought| sought.map(place)).collect()
    }

    /// The paths that requests lead to in some process, links and then the file; none when all are in it already.
    pub(super) fn places_of<'q>(&mut self, requests: &'q [Request]) -> Vec<(&'q Request, Vec<RootPath>)> {
        let places = self.look_everywhere(requests).into_iter();
        let there = places.filter_map(|(request, place)| match place {
            Place::There(paths) => Some((request, paths)),
            Place::Nowhere(_) => None,
        });
        there.collect()
    }

    fn list(&mut self, request: &Request, place: Place) {
        let from = self.object_path(request.caller);
        let name = escaped(&request.name()).to_string();
        match place {
            Place::Nowhere(probes) => {
                if let Some(priority) = request.priority {
                    self.note_missing(Some(&from), name, request.reason.clone(), priority, probed(&probes));
                }
            }
            Place::There(paths) => {
                self.by_name.explained.insert(request.caller);
                let why = match request.reason.evidence {
                    Evidence::Declared => Take::Suggested.reason("its note only suggests it"),
                    _ => Take::Suspected.reason("a string in an object that calls dlopen"),
                };
                for path in paths.into_iter().filter(|path| !self.graph.contains(path)).collect::<Vec<_>>() {
                    let reason = request.reason.clone();
                    let from = Some(from.clone());
                    self.dropped.insert(Omission { from, reason, to: Some(path), why: why.clone() });
                }
            }
        }
    }

    /// Weakens what is missing for a library that is not required itself: without it a feature is lost, and the
    /// program runs.
    pub(super) fn weaken_missing(&mut self) {
        if self.by_name.weak.is_empty() {
            return;
        }
        let reached = [Priority::Required, Priority::Recommended].map(|least| {
            let follow = |reason: &Reason| self.by_name.weak.get(reason).is_none_or(|priority| *priority >= least);
            (least, self.graph.reachable_by(follow))
        });
        let priority_of = |path: &RootPath| {
            let strongest = reached.iter().find(|(_, paths)| paths.contains(path));
            strongest.map_or(Priority::Suggested, |(priority, _)| *priority)
        };
        let mut missing = std::mem::take(&mut self.missing).into_iter().collect::<Vec<_>>();
        for missing in &mut missing {
            if let Some(from) = &missing.from {
                missing.priority = missing.priority.min(priority_of(from));
            }
        }
        self.missing = missing.into_iter().collect();
    }
}

/// Where a request would lead.
enum Place {
    /// To these paths: links, then the file; none when all are in.
    There(Vec<RootPath>),
    Nowhere(Vec<Probe>),
}

impl Place {
    fn of_answer(answer: &Answer) -> Place {
        match answer {
            Answer::Found { found, .. } => Place::there(&found.links, &found.path),
            Answer::Missing(probes) => Place::Nowhere(probes.clone()),
        }
    }

    fn there(links: &[Link], file: &RootPath) -> Place {
        Place::There(links.iter().map(|link| &link.path).chain([file]).cloned().collect())
    }
}

/// What a note asks for: `libz.so.1 (recommended for zlib: Compression)`.
fn noted(caller: ObjectId, feature: Feature) -> Request {
    let Feature { sonames, priority, name, description } = feature;
    let names = escaped(&sonames.join(&b" or "[..])).to_string();
    let said = |before: &str, text: Option<String>| {
        text.map(|text| format!("{before}{}", escaped(text.as_bytes()))).unwrap_or_default()
    };
    let detail = format!("{names} ({priority}{}{})", said(" for ", name), said(": ", description));
    let reason = Reason::new(Evidence::Declared, Kind::Dlopen, detail);
    Request { caller, names: sonames, reason, priority: Some(priority) }
}
