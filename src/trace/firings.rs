//! What the rules say, done: paths added, libraries asked for, paths held back.

use super::add::{Purpose, probe};
use super::facts::Known;
use super::{Item, Tracer};
use crate::manifest::{Missing, Omission, Probed};
use crate::modules::{Referrer, Request as ModuleRequest, Wanted};
use crate::path::RootPath;
use crate::reason::{Evidence, Kind, Priority, Reason};
use crate::recipe::{System, Take};
use crate::resolve::glibc::Request;
use crate::root::{FileKind, Found, LookupError};
use crate::rules::{Effect, Firing, Made, Need};
use crate::startup::GeneratedFile;

impl Tracer<'_> {
    /// Shows the rules everything that has come in since they were last asked.
    pub(super) fn fire_rules(&mut self) {
        let new = std::mem::take(&mut self.new_paths);
        let mut state = std::mem::take(&mut self.rule_state);
        let firings = self.input.rules.fire(&new, &mut state, &self.known());
        self.rule_state = state;
        for firing in firings {
            self.act(&firing);
        }
    }

    pub(super) fn known(&self) -> Known<'_> {
        let (store, arch) = (self.glibc.store(), self.arch.unwrap_or_default());
        let environment = &self.environment;
        Known { input: self.input, store, items: &self.items, arch, system: self.system, environment }
    }

    fn act(&mut self, firing: &Firing) {
        let from = self.referrer(firing);
        let from = from.as_ref();
        if let Effect::Need(need) = &firing.effect
            && self.is_only_listed(firing)
        {
            return self.list_need(from, need, firing);
        }
        match &firing.effect {
            Effect::Need(need) => self.need_by_rule(from, need, firing),
            Effect::Library { soname, context } => self.ask_for_library(soname, context, firing),
            Effect::Make { path, made } => self.make_by_rule(from, path, made, firing),
            Effect::Module { .. } if self.system == System::Illumos => self.illumos_modules.want(firing),
            Effect::Module { name } => {
                let wanted = Wanted::Name(name.clone());
                self.module_requests.push(ModuleRequest { by: Referrer::Recipe, wanted, priority: firing.priority });
            }
            Effect::Generate { .. } => {
                self.wants_module_indexes.insert((from.cloned(), firing.detail.clone()));
            }
            Effect::FirstOf { alternatives } => {
                match alternatives.iter().find(|needs| needs.iter().all(|need| self.is_there(need))) {
                    Some(needs) => needs.iter().for_each(|need| self.need_by_rule(from, need, firing)),
                    None => self.no_list_exists(from, alternatives, firing),
                }
            }
            Effect::AnyOf { alternatives } => self.need_any_of(from, alternatives, firing),
            Effect::Never { glob, reason } => {
                for path in self.input.root.glob(glob) {
                    self.forbidden.insert(path, format!("rule {}: {reason}", firing.rule));
                }
            }
            Effect::Unresolved { name } => {
                let outcome = "matches nothing".to_owned();
                let probes = vec![Probed { path: name.clone(), step: firing.detail.clone(), outcome }];
                self.missing_by_rule(from, name.clone(), firing, probes);
            }
        }
    }

    /// What nothing happens without, and a rule only suggests, is not taken unless the recipe wants such things.
    fn is_only_listed(&self, firing: &Firing) -> bool {
        firing.priority == Priority::Suggested && firing.consequence.is_none() && !self.takes(Take::Suggested)
    }

    fn list_need(&mut self, from: Option<&RootPath>, need: &Need, firing: &Firing) {
        let Ok(Found { path, .. }) = self.look_up_need(need) else { return };
        let to = Some(path.clone());
        self.dropped.insert(Omission {
            from: from.cloned(),
            reason: Reason::new(Evidence::Rule, Kind::Rule, firing.detail.clone()),
            to,
            why: Take::Suggested.reason("a rule only suggests it"),
        });
    }

    fn look_up_need(&mut self, need: &Need) -> &Result<Found, LookupError> {
        let root = self.input.root;
        self.rule_lookups.entry(need.path.clone()).or_insert_with(|| root.lookup(&need.path))
    }

    fn is_there(&mut self, need: &Need) -> bool {
        matches!(self.items.get(&need.path), Some(Item::Generated(_))) || self.look_up_need(need).is_ok()
    }

    /// A rule's edge starts at the file that named it if that is in the image, else at the object.
    pub(super) fn referrer(&self, firing: &Firing) -> Option<RootPath> {
        let candidates = [&firing.from, &firing.object];
        candidates.into_iter().flatten().find(|path| self.graph.contains(path)).cloned()
    }

    pub(super) fn need_by_rule(&mut self, from: Option<&RootPath>, need: &Need, firing: &Firing) {
        let reason = Reason::new(Evidence::Rule, Kind::Rule, firing.detail.clone());
        if matches!(self.items.get(&need.path), Some(Item::Generated(_))) {
            self.need(from, &need.path, reason, firing.priority);
            return;
        }
        let purpose = if firing.starts { Purpose::Start } else { Purpose::Open };
        match self.look_up_need(need).clone() {
            Ok(_) if need.below => self.need_below(purpose, from, &need.path, &reason, firing.priority),
            Ok(found) => {
                let path = self.need_for(purpose, from, found, reason);
                self.note_consequence(&path, firing);
            }
            // In the place of a file it says that there is to be none: to systemd, udev and others. The device that it leads
            // to is the kernel's.
            Err(LookupError::Dangling { link, target }) if link == need.path && target == b"/dev/null" => {
                self.make(from, &link, Item::Link { target }, reason);
            }
            Err(error) => {
                let probed = self.with_nearest(&need.path, probe(&need.path, &error), "the rule");
                self.missing_by_rule(from, need.path.to_string(), firing, vec![probed]);
            }
        }
    }

    /// What a rule wants made. What the root has of that name stays as it is; a finished image must have it.
    fn make_by_rule(&mut self, from: Option<&RootPath>, path: &RootPath, made: &Made, firing: &Firing) {
        let reason = Reason::new(Evidence::Rule, Kind::Rule, firing.detail.clone());
        let found = match made {
            Made::Link { .. } => self.input.root.lookup_nofollow(path),
            Made::Directory | Made::File => self.input.root.lookup(path),
        };
        match (found, made) {
            (Ok(found), Made::Link { .. }) if found.info.kind == FileKind::Symlink => {
                self.connect(from, &found.links, &found.through, &found.path, reason);
            }
            (Ok(found), _) => {
                self.need_found(from, found, reason);
            }
            (Err(error), _) if self.input.is_finished() => {
                self.missing_by_rule(from, path.to_string(), firing, vec![probe(path, &error)]);
            }
            (Err(_), Made::File) => {
                let file = GeneratedFile { path: path.clone(), mode: 0o644, bytes: Vec::new() };
                self.generate(from, file, reason);
            }
            (Err(_), Made::Directory) => self.make(from, path, Item::Directory, reason),
            (Err(_), Made::Link { target }) => self.make(from, path, Item::Link { target: target.clone() }, reason),
        }
    }

    pub(super) fn no_list_exists(&mut self, from: Option<&RootPath>, lists: &[Vec<Need>], firing: &Firing) {
        let all = lists.iter().flatten().map(|need| need.path.to_string());
        let name = all.collect::<Vec<_>>().join(" or ");
        self.missing_by_rule(from, name, firing, Vec::new());
    }

    pub(super) fn missing_by_rule(
        &mut self,
        from: Option<&RootPath>,
        name: String,
        firing: &Firing,
        probes: Vec<Probed>,
    ) {
        if !firing.optional {
            let reason = Reason::new(Evidence::Rule, Kind::Rule, firing.detail.clone());
            let (priority, consequence) = (firing.priority, firing.consequence.clone());
            self.missing.insert(Missing { from: from.cloned(), reason, name, priority, consequence, probes });
        }
    }

    /// A library that `context` will load by name, in each process it is part of.
    fn ask_for_library(&mut self, soname: &[u8], context: &RootPath, firing: &Firing) {
        let Some(caller) = self.glibc.store().known(context) else { return };
        let reason = Reason::new(Evidence::Rule, Kind::Rule, firing.detail.clone());
        let priority = (!firing.optional).then_some(firing.priority);
        self.ask(Request { caller, names: vec![soname.into()], reason, priority });
    }
}
