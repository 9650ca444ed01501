//! New paths of the image to what the rules make of them. The caller keeps the work list and calls
//! [`RuleSet::fire`] again whenever its answers brought new paths.
//!
//! Conditions are asked in the order of their price: globs (through [`super::index`]), facts that hold for the whole
//! run, which are asked once per rule and kept, then symbols, then bytes of the object.

use super::evaluate::{Evaluation, Match, Ready};
use super::facts::Facts;
use super::firing::{Effect, Firing, Made, Need};
use super::globs::GlobCache;
use super::index::Hits;
use super::pattern::{Bindings, PathPattern, Template};
use super::readings::Readings;
use super::{Mechanism, Rule, RuleFile, RuleSet};
use crate::path::RootPath;
use crate::recipe::System;
use foldhash::HashSet;
use rayon::prelude::*;

/// What a run of the engine remembers between calls. Start with the default; use it with one rule set and one root.
#[derive(Debug, Default)]
pub struct RuleState {
    seen: HashSet<RootPath>,
    /// By rule number.
    rules: Vec<Progress>,
    globs: GlobCache,
    readings: Readings,
}

/// What is known about one rule during a run.
#[derive(Debug, Default)]
struct Progress {
    /// The system, architecture and hardware are those of the rule.
    applies: bool,
    fired: bool,
    included: bool,
    /// Objects that wait for `included`; `None` is the image as a whole.
    waiting: Vec<Option<RootPath>>,
    exists: Option<bool>,
    environment: Option<bool>,
}

impl RuleSet {
    /// What follows from `new` paths of the image, symlinks and directories included; a path counts the first time
    /// only. The answer is sorted and holds no firing twice.
    pub fn fire(&self, new: &[RootPath], state: &mut RuleState, facts: &dyn Facts) -> Vec<Firing> {
        if self.numbers.is_empty() {
            return Vec::new();
        }
        let mut run = Run { set: self, state, facts, ready: Vec::new() };
        if run.state.rules.is_empty() {
            run.start();
        }
        let new: Vec<&RootPath> = new.iter().filter(|path| run.state.seen.insert((*path).clone())).collect();
        let hits = |path: &&RootPath| self.index.hits(path, facts.object(path).as_ref());
        let hits: Vec<Hits> = new.par_iter().map(hits).collect();
        for (path, hits) in new.iter().zip(&hits) {
            run.add(path, hits);
        }
        let mut ready = run.ready;
        ready.sort_unstable();
        let evaluation = Evaluation { set: self, facts, globs: &run.state.globs, readings: &run.state.readings };
        // Objects are read and taken apart one beside the other; what they ask for together is remembered.
        let of_objects = ready.par_chunk_by(|one, other| one.object == other.object);
        let (fired, firings): (Vec<Vec<usize>>, Vec<Vec<Firing>>) =
            of_objects.map(|of_object| evaluation.of_object(of_object)).unzip();
        for number in fired.into_iter().flatten() {
            run.state.rules[number].fired = true;
        }
        let mut firings = firings.concat();
        firings.par_sort_unstable();
        firings.dedup();
        firings
    }
}

impl RuleState {
    /// The rules that never fired, though the system is theirs: in a rule of the user's own, most likely a mistake.
    pub fn unmatched<'s>(&self, set: &'s RuleSet, system: System) -> Vec<(&'s RuleFile, &'s Rule)> {
        let numbers = (0..set.numbers.len()).filter(|&number| !self.has_fired(number));
        numbers.map(|number| set.rule(number)).filter(|(file, _)| file.systems.contains(&system)).collect()
    }

    pub(super) fn has_fired(&self, number: usize) -> bool {
        self.rules.get(number).is_some_and(|rule| rule.fired)
    }
}

/// `INIT_PATH` of illumos (usr/src/cmd/init/init.c).
const PROGRAM_PATH: [&[u8]; 3] = [b"/sbin", b"/usr/sbin", b"/usr/bin"];

struct Run<'a> {
    set: &'a RuleSet,
    state: &'a mut RuleState,
    facts: &'a dyn Facts,
    ready: Vec<Ready>,
}

impl Run<'_> {
    /// Settles what holds for the whole run, and fires the rules that wait for nothing.
    fn start(&mut self) {
        for number in 0..self.set.numbers.len() {
            let (file, rule) = self.set.rule(number);
            let arch = rule.when.arch.as_deref().is_none_or(|arch| arch == self.facts.arch());
            let hardware = rule.when.hardware.as_ref().is_none_or(|name| self.facts.hardware().contains(name));
            let applies = file.systems.contains(&self.facts.system()) && arch && hardware;
            self.state.rules.push(Progress { applies, ..Progress::default() });
        }
        for &number in &self.set.index.whole_image {
            self.consider(number, None);
        }
    }

    fn add(&mut self, path: &RootPath, hits: &Hits) {
        for &number in &hits.included {
            self.state.rules[number].included = true;
            for object in std::mem::take(&mut self.state.rules[number].waiting) {
                self.evaluate(number, object.as_ref());
            }
        }
        for &number in &hits.candidates {
            self.consider(number, Some(path));
        }
    }

    /// The rule's globs match `object`; what else it waits for may come later.
    fn consider(&mut self, number: usize, object: Option<&RootPath>) {
        let (_, rule) = self.set.rule(number);
        let progress = &mut self.state.rules[number];
        if !progress.applies {
            return;
        }
        if rule.when.included.is_some() && !progress.included {
            progress.waiting.push(object.cloned());
            return;
        }
        self.evaluate(number, object);
    }

    /// Asks what can be asked without a look into a file.
    fn evaluate(&mut self, number: usize, object: Option<&RootPath>) {
        if self.exists(number) && self.imports(number, object) && self.environment(number) {
            self.ready.push(Ready { object: object.cloned(), number });
        }
    }

    fn exists(&mut self, number: usize) -> bool {
        let (_, rule) = self.set.rule(number);
        let Some(pattern) = &rule.when.exists else { return true };
        let facts = self.facts;
        *self.state.rules[number].exists.get_or_insert_with(|| {
            match Template::new(pattern, (rule.line, 1)).expand_path(&Bindings::new()) {
                Some(PathPattern::Path(path)) => facts.exists(&path),
                Some(PathPattern::Glob(glob)) => !facts.glob(&glob).is_empty(),
                None => false,
            }
        })
    }

    fn imports(&self, number: usize, object: Option<&RootPath>) -> bool {
        match (self.set.index.symbol[number], object) {
            (Some(symbol), Some(object)) => self.facts.imports(object, &self.set.symbols[symbol]),
            _ => true,
        }
    }

    fn environment(&mut self, number: usize) -> bool {
        let (variables, (_, rule)) = (self.facts.environment(), self.set.rule(number));
        let Some(pattern) = &rule.when.environment else { return true };
        let is_given = || !variables.is_empty() && !pattern.matches(variables).is_empty();
        *self.state.rules[number].environment.get_or_insert_with(is_given)
    }
}

impl Match<'_> {
    /// Adds what follows.
    pub(super) fn effects(&self, facts: &dyn Facts, globs: &GlobCache, firings: &mut Vec<Firing>) {
        let effects = &self.rule.effects;
        let mut fire = |effect| firings.push(self.firing(effect));
        for template in &effects.needs {
            match self.needs(template, facts, globs) {
                Some(needs) => needs.into_iter().map(Effect::Need).for_each(&mut fire),
                None => fire(Effect::Unresolved { name: self.text(template) }),
            }
        }
        for template in &effects.programs {
            fire(self.program(template));
        }
        if let Some(context) = self.object {
            for template in &effects.libraries {
                fire(Effect::Library { soname: template.expand(&self.bindings), context: context.clone() });
            }
        }
        let directories = effects.directories.iter().map(|template| (template, Made::Directory));
        let files = effects.files.iter().map(|template| (template, Made::File));
        let links = effects.links.iter().map(|(link, target)| {
            let target = target.expand(&self.bindings);
            (link, Made::Link { target })
        });
        for (template, made) in directories.chain(files).chain(links) {
            fire(match template.expand_path(&self.bindings) {
                Some(PathPattern::Path(path)) => Effect::Make { path, made },
                _ => Effect::Unresolved { name: self.text(template) },
            });
        }
        for template in &effects.modules {
            fire(Effect::Module { name: self.text(template) });
        }
        for template in &effects.generate {
            fire(Effect::Generate { name: self.text(template) });
        }
        for template in &effects.never {
            fire(Effect::Never { glob: self.text(template), reason: effects.reason.clone() });
        }
        if !effects.first_of.is_empty() {
            fire(self.of_lists(&effects.first_of, facts, globs, |alternatives| Effect::FirstOf { alternatives }));
        }
        if !effects.any_of.is_empty() {
            fire(self.of_lists(&effects.any_of, facts, globs, |alternatives| Effect::AnyOf { alternatives }));
        }
    }

    fn program(&self, template: &Template) -> Effect {
        let name = template.expand(&self.bindings);
        let need = |path: &[u8]| Some(Need { path: RootPath::new(path).ok()?, below: false });
        if !name.contains(&b'/') {
            let spelled = PROGRAM_PATH.map(|directory| [directory, b"/", &name].concat());
            let alternatives = spelled.iter().filter_map(|path| Some(vec![need(path)?])).collect();
            return Effect::FirstOf { alternatives };
        }
        need(&name).map_or_else(|| Effect::Unresolved { name: self.text(template) }, Effect::Need)
    }

    /// The effect of the lists of which each template stands for some path.
    fn of_lists(
        &self,
        lists: &[Vec<Template>],
        facts: &dyn Facts,
        globs: &GlobCache,
        effect: fn(Vec<Vec<Need>>) -> Effect,
    ) -> Effect {
        let resolved = |list: &Vec<Template>| -> Option<Vec<Need>> {
            let needs: Option<Vec<Vec<Need>>> =
                list.iter().map(|template| self.needs(template, facts, globs)).collect();
            Some(needs?.concat())
        };
        let alternatives: Vec<Vec<Need>> = lists.iter().filter_map(resolved).collect();
        if !alternatives.is_empty() {
            return effect(alternatives);
        }
        let names: Vec<String> = lists.iter().flatten().map(|template| self.text(template)).collect();
        Effect::Unresolved { name: names.join(" | ") }
    }

    /// The paths a template stands for; `None` when there is none.
    fn needs(&self, template: &Template, facts: &dyn Facts, globs: &GlobCache) -> Option<Vec<Need>> {
        let directory = template.without_below();
        let below = directory.is_some();
        let paths = match directory.as_ref().unwrap_or(template).expand_path(&self.bindings)? {
            PathPattern::Path(path) => [path].into(),
            PathPattern::Glob(glob) => globs.matching(&glob, facts),
        };
        (!paths.is_empty()).then(|| paths.iter().map(|path| Need { path: path.clone(), below }).collect())
    }

    fn firing(&self, effect: Effect) -> Firing {
        let file = self.rule.when.reading.as_ref().and_then(|reading| reading.file.as_ref());
        Firing {
            rule: self.file.id.clone(),
            line: self.rule.line,
            from: file.or(self.object).cloned(),
            object: self.object.cloned(),
            effect,
            starts: self.file.mechanism.is_none_or(Mechanism::starts),
            priority: self.rule.priority,
            consequence: self.rule.consequence.clone(),
            optional: self.rule.optional,
            detail: self.detail.clone(),
        }
    }

    fn text(&self, template: &Template) -> String {
        String::from_utf8_lossy(&template.expand(&self.bindings)).into_owned()
    }
}

#[cfg(test)]
mod tests;
